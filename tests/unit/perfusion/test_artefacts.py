"""Detection of artefacts in the repeats of a series, and the rules that leave repeats out."""

import csv
import dataclasses
import warnings

import numpy as np
import pytest
from perfusion_settings import perfusion
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import artefacts, outlier_rules
from pharmasl.study import settings as study_settings
from scipy import stats

VOXELS = 1500
LIMITS = perfusion()["outliers"]
THRESHOLDS = {field.name for field in dataclasses.fields(outlier_rules.Thresholds)}
GREY, WHITE, FLUID = slice(0, 600), slice(600, 1000), slice(1000, 1200)


def shares():
    """Shares of the tissues, of which none is exactly 1: maps that have been resampled."""
    found = np.full((3, VOXELS), 0.0)
    for k, where in enumerate((GREY, WHITE, FLUID)):
        found[:, where] = 0.015
        found[k, where] = 0.97
    found[:2, 1200:] = np.linspace(0.1, 0.85, VOXELS - 1200), np.linspace(0.85, 0.1, VOXELS - 1200)
    return found


def simulate(seed, repeats, bad=0, strength=0.0, noise=25.0, fluctuation=0.05):
    """A series, and which repeats are good. Artefacts are smooth patterns of either sign, as motion leaves."""
    rng = np.random.default_rng(seed)
    gm, wm, _ = shares()
    truth = 60 * gm + 20 * wm
    series = truth[:, None] * (1 + fluctuation * rng.standard_normal(repeats)) + rng.normal(0, noise, (VOXELS, repeats))
    good = np.ones(repeats, dtype=bool)
    good[rng.choice(repeats, bad, replace=False)] = False
    phase = np.linspace(0, 20, VOXELS)
    for i in np.flatnonzero(~good):
        series[:, i] += strength * rng.choice([-1, 1]) * np.sin(phase * rng.uniform(0.5, 2) + rng.uniform(0, 6))
    return series, good


def choose(series, rule, displacement=None, settings=(), tissue=None, slices=None):
    displacement = np.zeros(series.shape[1]) if displacement is None else displacement
    rules = [] if rule == "none" else [rule] if isinstance(rule, str) else rule
    changed = dict(settings)
    thresholds = outlier_rules.Thresholds(**{name: changed.pop(name) for name in THRESHOLDS & set(changed)})
    outliers = study_settings.build(study_settings.Outliers, {**LIMITS, **changed, "rules": rules})
    tissues = tuple(shares() if tissue is None else tissue)
    slices = np.zeros(series.shape[1]) if slices is None else slices
    return artefacts.choose(
        series, tissues, displacement=displacement, slices=slices, outliers=outliers, thresholds=thresholds
    )


def published(series, gm, wm, csf, threshold=0.95, undo=True, skip=True, at=None):
    """SCORE as its authors publish it, spelled out anew; with a peer's departures from it on request."""
    masks = [np.asarray(tissue) > threshold for tissue in (gm, wm, csf)]
    pooled = masks if at is None else [np.asarray(tissue) == at for tissue in (gm, wm, csf)]
    together = masks[0] | masks[1] | masks[2]
    level = series[masks[0]].mean(axis=0)
    mad = np.median(np.abs(level - np.median(level)))
    index = np.where(np.abs(level - np.median(level)) > 2.5 * mad / 0.675, 1, 0)

    def variance():
        mean = series[:, index == 0].mean(axis=1)
        with np.errstate(invalid="ignore"):
            return sum((m.sum() - 1) * (np.var(mean[m], ddof=1) if m.any() else np.nan) for m in pooled)

    now, before = variance(), None
    while (before is None or now < before) and (index == 0).sum() > 1:
        before, kept = now, index.copy()
        mean = series[:, index == 0].mean(axis=1)
        likeness = np.full(len(index), -2.0 if skip else 0.0)
        for i in range(len(index)):
            if index[i] == 0:
                likeness[i] = np.corrcoef(mean[together], series[together, i])[0, 1]
            elif not skip:
                break
        index[np.argmax(likeness)] = 2
        now = variance()
    return (kept if undo else index) == 0


CASES = [
    (n, bad, strength) for n in (12, 30, 50) for bad, strength in ((0, 0.0), (2, 60.0), (4, 100.0), (n // 3, 60.0))
]


@pytest.mark.parametrize(("repeats", "bad", "strength"), CASES)
def test_score_is_the_published_algorithm(repeats, bad, strength):
    for seed in range(3):
        series, _ = simulate(100 * repeats + 10 * bad + seed, repeats, bad, strength)
        assert np.array_equal(choose(series, "score").kept, published(series, *shares()))


def test_score_loses_fewer_good_repeats_than_with_the_peers_faults():
    ours, faulty, caught, total = 0, 0, 0, 0
    for seed in range(25):
        series, good = simulate(seed, 24, 3, 500.0)
        kept = choose(series, "score").kept
        ours += (good & ~kept).sum()
        caught += (~good & ~kept).sum()
        total += (~good).sum()
        # It stops at the first repeat that is out already, and does not take back the last removal.
        faulty += (good & ~published(series, *shares(), undo=False, skip=False)).sum()
    assert ours < 0.5 * faulty
    assert caught > 0.9 * total


def test_the_last_removal_is_undone():
    # In noise alone no removal lowers the variance: the second stage may not cost a single repeat.
    for seed in range(10):
        series, _ = simulate(seed, 20, noise=25.0, fluctuation=0.0)
        choice = choose(series, "score")
        assert all("from the median" in reason for reason in choice.reasons if reason)
        assert (~published(series, *shares(), undo=False)).sum() == (~choice.kept).sum() + 1


def test_a_repeat_out_already_does_not_end_the_search():
    series, _ = simulate(3, 16, fluctuation=0.01)
    series[:, 0] += 300
    artefact = 500 * np.sin(np.linspace(0, 40, VOXELS))
    series[:, 9] += artefact - artefact[GREY].mean()
    choice = choose(series, "score")
    assert not choice.kept[0]
    assert "MAD/0.675 from the median" in choice.reasons[0]
    assert not choice.kept[9]
    assert choice.reasons[9].startswith("score: the likest to the mean (r = 0.")
    # With the peer's faults it stays.
    assert published(series, *shares(), undo=False, skip=False)[9]


def test_no_share_need_be_exactly_one():
    series, _ = simulate(4, 16, fluctuation=0.01)
    artefact = 500 * np.sin(np.linspace(0, 40, VOXELS))
    series[:, 9] += artefact - artefact[GREY].mean()
    assert max(tissue.max() for tissue in shares()) < 1
    assert not choose(series, "score").kept[9]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert published(series, *shares(), at=1)[9]


def test_thin_tissues_lower_the_threshold_and_say_so():
    series, _ = simulate(5, 16, fluctuation=0.01)
    series[:, 7] += 400
    thin = [tissue * 0.75 for tissue in shares()]
    choice = choose(series, "score", tissue=thin)
    assert not choice.kept[7]
    assert "score: grey matter taken above a share of 0.7 in place of 0.95 (600 voxels)" in choice.notes
    assert np.isfinite([row["gm_cbf"] for row in choice.rows]).all()
    none = choose(series, "score", tissue=[np.zeros(VOXELS)] * 3)
    assert none.kept.all()
    assert "score: not applied, no grey matter" in none.notes
    assert np.isnan(none.rows[0]["gm_cbf"])


def test_more_than_a_hundred_repeats():
    series, good = simulate(6, 130, 8, 150.0)
    series[:, ~good] += 100
    kept = choose(series, "score").kept
    assert np.array_equal(kept, published(series, *shares()))
    assert not kept[~good].any()
    assert kept[good].mean() > 0.9


@pytest.mark.parametrize("repeats", [12, 24, 40])
def test_a_spike_of_motion_is_found_and_its_exclusion_saves_the_mean(repeats):
    series, _ = simulate(repeats, repeats)
    gm, wm, _ = shares()
    # A control and a label read two millimetres apart: edges, and a part of the static signal.
    spike = repeats // 3
    series[:, spike] += repeats * (6 + 8 * np.sin(np.linspace(0, 60, VOXELS)))
    displacement = np.random.default_rng(repeats).gamma(4, 0.05, repeats)
    displacement[spike] = 2.3

    def error(kept):
        return abs(series[:, kept].mean(axis=1)[GREY].mean() / (60 * gm + 20 * wm)[GREY].mean() - 1)

    assert error(np.ones(repeats, dtype=bool)) > 0.05
    for rule, words in (
        ("motion", "motion: displacement 2.30 mm, above 1 mm"),
        ("score", "score: mean grey-matter CBF"),
    ):
        choice = choose(series, rule, displacement)
        assert not choice.kept[spike]
        assert choice.reasons[spike].startswith(words)
        assert error(choice.kept) < 0.05
    assert choose(series, "motion", displacement).kept.sum() == repeats - 1


def test_motion_leaves_alone_what_is_unknown():
    series, _ = simulate(7, 10)
    displacement = np.array([np.nan, 1.0, 1.01] + [0.1] * 7)
    assert list(np.flatnonzero(~choose(series, "motion", displacement).kept)) == [2]
    choice = choose(series, "motion", np.full(10, np.nan))
    assert choice.kept.all()
    assert choice.notes == ["motion: not applied, no displacement is known"]


def test_a_rule_marks_however_few_it_leaves():
    series, _ = simulate(7, 10)
    choice = choose(series, "motion", 0.5 + np.arange(10.0))
    assert list(np.flatnonzero(choice.passed)) == list(np.flatnonzero(choice.kept)) == [0]
    assert choice.mean_of == "the 1 of 10 repeats that pass"
    assert [row["motion_drop"] for row in choice.rows] == [False] + [True] * 9
    # Of a scan without a good repeat there is still a map, of all of them, and none of them counts.
    choice = choose(series, "motion", 1.5 + np.arange(10.0))
    assert not choice.passed.any()
    assert choice.kept.all()
    assert choice.mean_of == "10 of 10 repeats, none of which passes"
    assert all(row["excluded"] is row["passed"] is False for row in choice.rows)
    assert choice.reasons[0] == "motion: displacement 1.50 mm, above 1 mm"


@pytest.mark.parametrize(
    "rules", [["motion"], ["global"], ["motion", "global"], ["motion", "score"], ["global", "motion", "score"]]
)
def test_a_repeat_that_moves_more_never_raises_the_number_that_pass(rules):
    """Whatever the scan, and however many are left; SCORE compares repeats with one another, and does not see motion."""
    rng = np.random.default_rng(len(rules))
    for seed in range(40):
        repeats = int(rng.integers(1, 14))
        series, _ = simulate(seed, repeats, repeats // 3, 200.0)
        displacement = rng.gamma(1, 1, repeats)
        before = choose(series, rules, displacement).passed
        for _ in range(6):
            worse = int(rng.integers(repeats))
            displacement[worse] += rng.gamma(1, 1)
            after = choose(series, rules, displacement).passed
            assert not (after & ~before).any()
            before = after


def test_a_repeat_of_a_stranger_mean_never_raises_the_number_that_pass():
    rng = np.random.default_rng(3)
    for seed in range(40):
        repeats = int(rng.integers(1, 14))
        series, _ = simulate(seed, repeats)
        middle = np.mean(LIMITS["global_limits"])
        before = choose(series, ["global", "motion"]).passed
        for _ in range(6):
            worse = int(rng.integers(repeats))
            # Further from the middle of the limits than it is.
            series[:, worse] += np.sign(series[:, worse].mean() - middle) * rng.uniform(0, 80)
            after = choose(series, ["global", "motion"]).passed
            assert not (after & ~before).any()
            before = after


def test_global_limits():
    series, _ = simulate(8, 10)
    series[:, 3] += 200
    series[:, 5] -= 120
    assert list(np.flatnonzero(~choose(series, "global").kept)) == [3, 5]
    level = float(np.nanmean(series[:, 0]))
    assert choose(series, "global", settings={"global_limits": [-200, 400]}).kept.all()
    assert (
        choose(series, "global")
        .reasons[3]
        .startswith(f"global: mean CBF {np.mean(series[:, 3]):.1f}, outside -40 to 150")
    )
    assert choose(series, "global").rows[0]["global_cbf"] == pytest.approx(level)


def test_slices_out_of_line_leave_their_repeats_out():
    series, _ = simulate(8, 10, fluctuation=0.0)
    slices = np.zeros(10)
    slices[[2, 7]] = 1, 4
    choice = choose(series, "slices", slices=slices)
    assert list(np.flatnonzero(~choice.kept)) == [2, 7]
    assert choice.reasons[7] == "slices: 4 out of line"
    assert choose(series, "motion", slices=slices).kept.all()
    assert [row["slices_drop"] for row in choose(series, "motion", slices=slices).rows] == list(slices > 0)
    unknown = choose(series, "slices", slices=np.full(10, np.nan))
    assert unknown.kept.all()
    assert unknown.notes == ["slices: not applied, the signal of single slices is not known"]


def moved(seed, repeats, bad):
    series, _ = simulate(seed, repeats, fluctuation=0.0)
    displacement = np.linspace(0.05, 0.2, repeats)
    series[:, bad] += np.random.default_rng(seed).normal(0, 250, (VOXELS, len(bad)))
    displacement[bad] = np.linspace(1, 2, len(bad))
    return series, displacement


def test_enable_keeps_what_raises_t():
    series, displacement = moved(9, 20, [4, 11])
    choice = choose(series, "enable", displacement)
    assert list(np.flatnonzero(~choice.kept)) == [4, 11]
    grey = series[GREY]
    best = np.median(stats.ttest_1samp(grey[:, choice.kept], 0, axis=1).statistic)
    everything = np.median(stats.ttest_1samp(grey, 0, axis=1).statistic)
    assert f"t {best:.2f} with 18 repeats, {everything:.2f} with all 20" in choice.reasons[4]
    still, _ = simulate(10, 20, fluctuation=0.0)
    assert choose(still, "enable", displacement).kept.all()


def test_enable_keeps_half_and_needs_six():
    series, displacement = moved(11, 20, list(range(5, 20)))
    series[:, 5:] += np.random.default_rng(12).normal(0, 100 * np.arange(1, 16) ** 2, (VOXELS, 15))
    assert choose(series, "enable", displacement).kept.sum() == 10
    choice = choose(series[:, :5], "enable", displacement[:5])
    assert choice.kept.all()
    assert choice.notes == ["enable: not applied, 5 repeats where it needs 6"]
    assert choose(series, "enable", np.full(20, np.nan)).notes == ["enable: not applied, no displacement is known"]


def test_each_rule_judges_all_repeats():
    series, _ = simulate(12, 14, fluctuation=0.02)
    displacement = np.full(14, 0.1)
    series[:, 2] += 500
    displacement[2] = 3.0
    series[:, 6] += 60
    choice = choose(series, ["motion", "score"], displacement)
    assert choice.reasons[2].startswith("motion: ")
    assert choice.reasons[6].startswith("score: ")
    assert choose(series, ["score", "motion"], displacement).reasons[2].startswith("score: ")
    # The second rule is not switched off by what the first leaves: both judge all six.
    few = choose(series[:, :6], ["motion", "score"], displacement[:6])
    assert few.notes == []
    assert choose(series[:, :5], ["motion", "score"], displacement[:5]).notes == [
        "score: not applied, 5 repeats where it needs 6"
    ]
    for rules in (["motion", "score"], ["score", "motion"]):
        alone = [choose(series, rule, displacement).passed for rule in rules]
        assert np.array_equal(choose(series, rules, displacement).passed, alone[0] & alone[1])


def test_detection_does_not_depend_on_exclusion(tmp_path):
    series, _ = simulate(13, 14, 2, 100.0)
    displacement = np.linspace(0, 1.3, 14)
    outcomes = ("passed", "excluded", "reason")
    tables_of = []
    for rule in ("none", "motion", "score", "enable", "global", "slices", ["global", "score"]):
        choice = choose(series, rule, displacement)
        assert [row["excluded"] for row in choice.rows] == list(~choice.kept)
        assert [bool(reason) for reason in choice.reasons] == list(~choice.kept)
        tables_of.append([{k: v for k, v in row.items() if k not in outcomes} for row in choice.rows])
    assert all(rows == tables_of[0] for rows in tables_of)
    assert choose(series, "none").kept.all()
    assert sum(row["score_drop"] for row in tables_of[0]) == (~choose(series, "score", displacement).kept).sum()
    tables.write_table(tmp_path / "repeats.tsv", choice.rows, artefacts.COLUMNS)
    with open(tmp_path / "repeats.tsv") as file:
        assert len(list(csv.DictReader(file, delimiter="\t"))) == 14
    assert set(choice.rows[0]) == set(artefacts.COLUMNS)


def test_figures_are_what_they_are_called():
    series, _ = simulate(14, 9)
    series[:40, 2] = np.nan
    inside = np.max(shares(), axis=0) > 0.95
    rows = choose(series, "none").rows
    level = np.nanmean(series[GREY], axis=0)
    for i, row in enumerate(rows):
        others = np.nanmean(np.delete(series, i, axis=1), axis=1)
        here = inside & np.isfinite(series[:, i])
        assert row["gm_cbf"] == pytest.approx(level[i])
        mad = np.median(np.abs(level - np.median(level)))
        assert row["gm_deviation"] == pytest.approx(0.675 * (level[i] - np.median(level)) / mad)
        assert row["mean_correlation"] == pytest.approx(np.corrcoef(series[here, i], others[here])[0, 1])
        assert row["residual_sd"] == pytest.approx(np.std(series[here, i] - others[here], ddof=1))
    assert rows[2]["reached"] == pytest.approx(1 - 40 / VOXELS)


def test_repeats_that_do_not_reach():
    series, _ = simulate(15, 12, fluctuation=0.02)
    whole = choose(series, "score").kept
    series[::7, 3] = np.nan
    series[5] = np.nan
    assert np.array_equal(choose(series, "score").kept, whole)
    series[:, 4] = np.nan
    choice = choose(series, "score")
    assert choice.reasons[4] == "score: reaches no grey matter"
    assert choice.kept.sum() == whole.sum() - 1
    assert not choose(series, "global").kept[4]


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        ("scrub", {}),
        (["score", "score"], {}),
        (["none", "score"], {}),
        ("none", {"motion_limit": 0}),
        ("none", {"global_limits": [10, 10]}),
        ("none", {"score_threshold": 1.0}),
        ("none", {"score_threshold": 0.3}),
        ("none", {"enable_least": 2}),
        ("none", {"enable_gain": 1.5}),
    ],
)
def test_senseless_settings_are_refused(rule, settings):
    with pytest.raises(InputError, match=r"perfusion\.outliers"):
        choose(simulate(0, 8)[0], rule, settings=settings)


def test_the_limits_stand_in_the_configuration_alone():
    series = simulate(0, 8)[0]
    for name in ("motion_limit", "global_limits"):
        with pytest.raises(TypeError, match=name):
            study_settings.build(study_settings.Outliers, {other: LIMITS[other] for other in LIMITS if other != name})
    moved = np.where(np.arange(8) == 2, 1.2, 0.0)
    # 1 mm of the schema, and one's own.
    assert np.flatnonzero(~choose(series, "motion", moved).kept).tolist() == [2]
    assert choose(series, "motion", moved, {"motion_limit": 1.5}).kept.all()
