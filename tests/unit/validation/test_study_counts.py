"""Outcomes counted: denominators hold what was not answered and what failed, and means are those of the replicates."""

import numpy as np
import pytest
from pharmasl.files import tables
from pharmasl.simulate.comparison_table import COLUMNS, CRAVING, RESTING, RESTING_REGION
from pharmasl.validation import outcomes, replicates, study_counts, validation_page
from pharmasl.validation.outcomes import DECLARED, AnalysisOutcome, Answer, Compared, Outcome, RegionChange
from pharmasl.validation.replicates import CONFOUNDED, NOTHING, PLANTED, Record, StageCost
from scipy import stats


def compared(effect=RESTING, region="dlPFC", **values):
    nothing = dict.fromkeys(
        ("planted", "expected", "estimate", "p", "holds", "holds_population", "distance", "dice"), None
    )
    return Compared(effect=effect, region=region, unit="mL/100 g/min", **{**nothing, "verdict": "found", **values})


def outcome(number, rows=(), *, variant="plain", kind=PLANTED, p=0.01, craving=0.2, called=0.1, change=-2.0):
    analysis = AnalysisOutcome(
        name="rest",
        was_run=p is not None,
        least_p={} if p is None else {DECLARED: p, "tfce": 0.9},
        called=called,
    )
    costs = {"simulate": StageCost(seconds=60, cpu_seconds=100.0 * number)}
    record = Record(
        variant=variant,
        number=number,
        seed=number,
        configuration="",
        status="finished",
        failed_at=None,
        reason=None,
        failures=0,
        costs=costs,
        peak_bytes=int(2e9),
    )
    return Outcome(
        kind=kind,
        record=record,
        compared=list(rows),
        analyses=[analysis],
        answers=[Answer(name="craving", role="primary", p=craving, p_corrected=craving)],
        changes=[RegionChange(analysis="rest", region="brain", estimate=change, low=-3.0, high=-1.0, p=0.01)],
        scans=12,
        usable=11,
    )


def test_recovery_is_of_all_replicates_with_what_was_expected_in_each():
    rows = [
        compared(planted=8.0, expected=4.0, estimate=5.0, p=0.01, distance=4.0, dice=0.5),
        compared(planted=8.0, expected=6.0, estimate=5.0, p=0.03, distance=8.0, dice=0.7),
        compared(planted=8.0, expected=5.0, estimate=2.0, verdict="not found"),
    ]
    (row,) = study_counts.recovery([outcome(k, [one]) for k, one in enumerate(rows, 1)], 0.05)
    assert (row.planted, row.expected, row.estimate, row.ratio) == (8.0, 5.0, 4.0, 0.8)
    assert (row.called.count, row.called.number, row.p, row.distance, row.dice) == (2, 3, 0.02, 6.0, 0.6)
    errors = np.array([1.0, -1.0, -3.0])
    known = stats.t.interval(0.95, 2, errors.mean(), stats.sem(errors))
    assert (row.error.value, row.error.low, row.error.high) == pytest.approx((-1.0, *known))


def test_a_region_is_called_by_its_own_p_and_sign_and_has_a_ratio_where_something_is_there():
    values = [(4.0, 4.2, 0.01), (4.4, 4.0, 0.2), (4.2, -4.0, 0.01)]
    own = [
        outcome(k, [compared(RESTING_REGION, expected=e, estimate=f, p=p, verdict="estimated")])
        for k, (e, f, p) in enumerate(values)
    ]
    (row,) = study_counts.recovery(own, 0.05)
    assert (row.called.count, row.called.number) == (1, 3)
    assert row.ratio == pytest.approx(4.2 / 12.6)
    around = [
        outcome(k, [compared(RESTING_REGION, expected=e, estimate=1.0, p=0.5, verdict="estimated")])
        for k, e in enumerate((-1, 1, 0.5))
    ]
    assert study_counts.recovery(around, 0.05)[0].ratio is None


def test_answers_that_were_not_given_are_counted_as_such():
    own = [outcome(1, p=0.01), outcome(2, p=0.2, called=0.0), outcome(3, p=None, called=0.0, craving=None)]
    rows = {(row.answer, row.statistic): row for row in study_counts.called(own, 0.05)}
    declared = rows["rest", DECLARED]
    assert (declared.called.count, declared.called.number, declared.unanswered, declared.brain) == (1, 2, 1, 0.1)
    assert (rows["rest", "tfce"].called.count, rows["rest", "tfce"].called.number) == (0, 2)
    assert (rows["craving", ""].called.number, rows["craving", ""].unanswered) == (2, 1)
    assert rows[study_counts.ANY_PRIMARY, ""].unanswered == 1


def test_cover_is_of_the_sample_and_of_the_population_apart():
    rows = [
        compared(CRAVING, "craving", holds=True, holds_population=False),
        compared(CRAVING, "craving", holds=True, holds_population=True),
        compared(CRAVING, "craving", holds=False, holds_population=None),
    ]
    (row,) = study_counts.cover([outcome(k, [one]) for k, one in enumerate(rows)])
    assert (row.sample.count, row.sample.number, row.population.count, row.population.number) == (2, 3, 1, 2)


def test_changes_and_costs_are_means():
    own = [outcome(1, change=-2.0), outcome(2, change=-1.0)]
    (change,) = study_counts.changes(own)
    assert (change.estimate.value, change.called.count) == (-1.5, 2)
    (cost,) = study_counts.costs(own)
    assert (cost.stages["simulate"].cpu_seconds, cost.gigabytes, cost.usable) == (150.0, 2.0, 11.0)


@pytest.fixture
def finished(tmp_path):
    """The tables that stay of a replicate in which nothing was planted and whose seed region was not found."""
    effects = [
        {"effect": "cue-elicited craving group by time", "amount": 0.0},
        {"effect": "cigarettes a day at follow-up", "amount": 0.0},
    ]
    (tmp_path / "truth").mkdir()
    tables.write_table(tmp_path / "truth/effects.tsv", effects, dict.fromkeys(effects[0], "-"))
    rows = [
        {"effect": CRAVING, "ci_low": -1.0, "ci_high": 2.0, "planted": 3.0, "holds": "no", "verdict": "none"},
        {
            "effect": RESTING_REGION,
            "ci_low": 1.0,
            "ci_high": 2.0,
            "expected": 1.5,
            "holds": "yes",
            "verdict": "estimated",
        },
    ]
    tables.write_table(tmp_path / "comparison.tsv", [{"region": "x", "unit": "x", **row} for row in rows], COLUMNS)
    for name, content in (
        (
            "rest",
            {
                "status": "run",
                "verdict": {"p": 0.03, "significant_voxels": 20},
                "search_volume": {"voxels": 200},
                "result": {"least_p": {"voxel": 0.5, "extent": 0.03}},
            },
        ),
        ("cue", {"status": "not run: no cluster", "verdict": None}),
    ):
        (tmp_path / "results/group" / name).mkdir(parents=True)
        tables.write_json(tmp_path / "results/group" / name / f"contrast-{name}_inference.json", content)
    for path, row in (
        ("trial/verdict.tsv", {"answer": "craving", "role": "primary", "p": 0.2, "p_corrected": 0.4}),
        ("quality/scans.tsv", {"usable": "yes"}),
    ):
        (tmp_path / "results" / path).parent.mkdir(parents=True)
        tables.write_table(tmp_path / "results" / path, [row], dict.fromkeys(row, "-"))
    outcome(1, variant="null").record.write(tmp_path)
    return tmp_path


class Null:
    name, kind, alpha = "null", NOTHING, 0.05


def test_a_replicates_tables_are_read_with_what_is_true_of_the_population(finished):
    own = outcomes.read(replicates.Replicate(Null(), 1, finished))
    assert [(row.holds, row.holds_population) for row in own.compared] == [(False, True), (True, False)]
    assert [(one.name, one.was_run) for one in own.analyses] == [("cue", False), ("rest", True)]
    assert own.analyses[1].least_p == {DECLARED: 0.03, "voxel": 0.5, "extent": 0.03}
    assert own.analyses[1].called == 0.1
    assert (own.scans, own.usable) == (1, 1)


def test_the_page_has_each_count(finished, tmp_path):
    asked = [replicates.Replicate(Null(), 1, finished), replicates.Replicate(Null(), 2, tmp_path / "other")]
    confounded = outcome(1, variant="transit", kind=CONFOUNDED)
    own = [outcomes.read(asked[0]), outcome(1, [compared(planted=8.0, expected=4.0, estimate=5.0)]), confounded]
    page = validation_page.compose(asked, own, 0.05, "trial.yaml", [], None)
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert "| null | nothing is planted | 2 | 1 | 0 | 1 | 0 |" in lines
    assert any(
        line.startswith(f"| plain | {RESTING} | dlPFC | 8 | 4 | 5 | 1 | 1.25 | 1 of 1 (2.5 to 100 %)") for line in lines
    )
    assert "| null | cue | declared | – | 1 |" in lines
    assert "| transit | rest | 1 of 1 (2.5 to 100 %) | 10 % | 0 |" in lines
    assert all(line.count("|") == lines[k - 1].count("|") for k, line in enumerate(lines) if line.startswith("|---"))
