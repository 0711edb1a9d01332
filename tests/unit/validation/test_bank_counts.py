"""Trials of the error bank counted: denominators are the trials that were tested, and uniform p are told from small ones."""

from types import SimpleNamespace

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.validation import bank_counts, bank_page, bank_study
from pharmasl.validation.bank_study import BankStudy, BankTrials
from pharmasl.validation.replicates import CONFOUNDED, NOTHING, PLANTED
from scipy import stats


def answer(seed, p, *, analysis="rest", scaling="absolute", brain=0.0, at_effect="no"):
    told = dict.fromkeys(bank_study.STATISTICS, None if p is None else str(p))
    return {
        "seed": str(seed),
        "source": "null 1",
        "analysis": analysis,
        "scaling": scaling,
        **told,
        "brain": None if p is None else str(brain),
        "at_effect": at_effect,
        "cpu_seconds": "2.5",
    }


def region(seed, low, high, *, planted="1.0", p="0.2"):
    middle = str((low + high) / 2)
    return {
        "seed": str(seed),
        "analysis": "rest",
        "roi": "insula",
        "estimate": middle,
        "ci_low": str(low),
        "ci_high": str(high),
        "p": p,
        "planted": planted,
    }


def trials(answers=(), regions=(), kind=NOTHING, name="null"):
    variant = SimpleNamespace(name=name, kind=kind, alpha=0.05)
    return BankTrials(variant=variant, answers=list(answers), regions=list(regions))


def test_what_was_not_tested_is_in_no_denominator_and_is_told():
    rows = [answer(1, 0.05000000000000001, brain=0.02), answer(2, 0.2), answer(3, None)]
    (count,) = bank_counts.called(trials(rows, kind=CONFOUNDED))
    # A whole number of relabellings is at most the level, whatever its logarithm was rounded to.
    assert (count.called["declared"].count, count.called["declared"].number, count.untested) == (1, 2, 1)
    assert count.brain == pytest.approx(0.02)


def test_smirnovs_statistic_is_the_published_one():
    p = np.random.default_rng(3).uniform(size=40) ** 1.4
    known = stats.ks_1samp(p, stats.uniform.cdf, alternative="greater", method="exact")
    assert bank_counts.smirnov(p) == pytest.approx((known.statistic, known.pvalue))
    assert bank_counts.smirnov(np.ones(10)) == (0.0, 1.0)


def test_uniform_p_pass_and_small_ones_do_not():
    """Of 400 trials: p of 500 relabellings, and the same with a test that is too often significant."""
    draws = np.random.default_rng(8).integers(1, 501, 400) / 500
    fair, *_ = bank_counts.uniformity(trials([answer(k, p) for k, p in enumerate(draws)]))
    assert all(share.low <= level <= share.high for level, share in fair.at_most.items())
    assert fair.chance > 0.05
    liberal, *_ = bank_counts.uniformity(trials([answer(k, p**1.5) for k, p in enumerate(draws)]))
    assert liberal.chance < 1e-4
    assert liberal.at_most[0.05].low > 0.05
    assert bank_counts.uniformity(trials([answer(1, 0.5)], kind=PLANTED)) == []


def test_cover_is_of_the_trials_in_which_the_truth_is_known():
    rows = [region(1, 0.0, 2.0), region(2, 1.5, 2.5), region(3, 0.5, 1.5, planted=None)]
    (row,) = bank_counts.cover(trials(regions=rows))
    assert (row.holds.count, row.holds.number, row.planted, row.width) == (1, 2, 1.0, 1.5)
    assert row.error.value == 0.5


def test_the_page_says_of_which_errors_and_what_is_lacking():
    own = [
        trials([answer(1, 0.2), answer(2, 0.01)], [region(1, 0, 2)]),
        trials([answer(1, 0.01, brain=0.1), answer(1, 0.3, scaling="scaled")], kind=CONFOUNDED, name="global_flow"),
        trials([answer(1, 0.01, at_effect="yes")], kind=PLANTED, name="plain"),
    ]
    bank = BankStudy(variants=own, lacking={"transit": "its drug changes the errors"}, permutations=500, spacing=4.0)
    page = "\n\n".join(map(str, bank_page.sections(bank, 0.05)))
    lines = page.splitlines()
    assert "| null | 2 | null 1 |" in lines
    assert "- transit: none, since its drug changes the errors" in lines
    assert any(line.startswith("| global_flow | rest | absolute | 1 of 1 (2.5 to 100 %)") for line in lines)
    assert any(line.startswith("| global_flow | rest | scaled | 0 of 1") for line in lines)
    assert any("| 1 | 0 | 2 | 1 of 1 (2.5 to 100 %) |" in line for line in lines)
    tables_of = [line for line in lines if line.startswith("|")]
    assert all(
        line.count("|") == tables_of[k - 1].count("|") for k, line in enumerate(tables_of) if line.startswith("|---")
    )


def test_trials_of_other_settings_are_refused(tmp_path):
    variant = SimpleNamespace(name="null", configuration="now")
    row = {"seed": 1, "configuration": "then"}
    tables.write_table(tmp_path / "null_500.tsv", [row], dict.fromkeys(row, "-"))
    with pytest.raises(InputError, match="then, of other settings"):
        bank_study._Table(tmp_path, variant, 500)
    assert bank_study._Table(tmp_path, variant, 500, ["then"])._answers[0]["seed"] == "1"
