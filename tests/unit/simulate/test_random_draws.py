"""Trials drawn at random: their replicates behave as trials do, and each purpose has random numbers of its own."""

import dataclasses

import complete_settings
import designs
import numpy as np
import pytest
import simulation
from pharmasl.errors import InputErrors
from pharmasl.regions import value_models
from pharmasl.regions.value_models import Values
from pharmasl.simulate import planned_trial, planted_cigarettes, random_draws, virtual_trial
from scipy import stats

NULL = {"resting_rise": 0, "resting_spread": 0, "slope": 0}
PEOPLE = {"treatment": 21, "control": 22}
SEEDS = 500


def draw(**changes):
    return virtual_trial.draw(simulation.trial(**changes), simulation.arms(), simulation.sessions())


def column(rows, name):
    return np.array([row[name] for row in rows], dtype=float)


def changes_at_rest(trial):
    """Follow-up minus baseline of the dlPFC's CBF at rest, in the order of the participants."""
    rest = [row for row in trial.scans if row["condition"] == "rest"]
    value = {(row["participant_id"], row["session_id"]): row["gm_cbf"] + row["dlpfc"] for row in rest}
    return np.array(
        [value[row["participant_id"], "T2"] - value[row["participant_id"], "T1"] for row in trial.participants]
    )


def p_by_the_workflow(trial, values, inference):
    """The p of group by time in one region, and its interval, by the model of the workflow."""
    table = [{"participant_id": row["participant_id"], "arm": row["arm"]} for row in trial.participants]
    names = [row["participant_id"] for row in table]
    arms = {"treatment": "baclofen", "control": "placebo"}
    model = designs.group_by_time(names, table, arms, "participants.tsv", [])
    model = dataclasses.replace(model, kind=dataclasses.replace(model.kind, is_slope=True))
    (test,) = value_models.test(model, Values(outcome=values[:, None]), inference, np.ones(1, dtype=bool)).tests
    return test.p, test.estimates[0]


@pytest.fixture(scope="module")
def inference():
    return complete_settings.inference(permutations=200, seed=1)


def test_p_is_uniform_and_intervals_hold_nothing_under_the_null(inference):
    """Both of CBF by arm and of craving with the insula's response, over 500 seeds."""
    p, correlation, covered = [], [], []
    for seed in range(SEEDS):
        trial = draw(seed=seed, people=PEOPLE, effects=NULL, craving={"slope": 0})
        own, estimate = p_by_the_workflow(trial, changes_at_rest(trial), inference)
        p.append(own)
        covered.append(estimate.low <= 0 <= estimate.high)
        craving = column(trial.participants, "craving_followup") - column(trial.participants, "craving_baseline")
        correlation.append(stats.pearsonr(column(trial.participants, "insula_cue_change"), craving).pvalue)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert stats.kstest(correlation, "uniform").pvalue > 0.01
    low, high = stats.binom.ppf([0.005, 0.995], SEEDS, 0.95) / SEEDS
    assert low <= np.mean(covered) <= high


def test_power_of_a_planted_effect_is_that_of_the_closed_form(inference):
    """Noncentral t; the changes' SD is that of two visits and of the effect's own spread."""
    rise, spread = 6.0, 3.0
    asked = simulation.trial()
    level = asked.blood_flow.grey
    about = asked.people.age_slope**2 * np.var(np.arange(22, 58)) + asked.people.sex_difference**2 / 4
    within = asked.variability.grey.wscv * level
    between = asked.variability.grey.sd**2 - within**2 + about
    changes = {"treatment": np.sqrt(2 * within**2 * (1 + between / level**2) + spread**2)}
    n = PEOPLE["treatment"] + PEOPLE["control"]
    error = changes["treatment"] * np.sqrt(1 / PEOPLE["treatment"] + 1 / PEOPLE["control"])
    critical = stats.t.isf(0.025, n - 2)
    expected = stats.nct.sf(critical, n - 2, rise / error) + stats.nct.cdf(-critical, n - 2, rise / error)
    significant = []
    for seed in range(SEEDS):
        trial = draw(seed=seed, people=PEOPLE, effects={"resting_rise": rise, "resting_spread": spread, "slope": 0})
        significant.append(p_by_the_workflow(trial, changes_at_rest(trial), inference)[0] <= 0.05)
    assert 0.5 < expected < 0.95
    low, high = stats.binom.ppf([0.005, 0.995], SEEDS, expected) / SEEDS
    assert low <= np.mean(significant) <= high, (expected, np.mean(significant))


def test_arms_are_as_large_as_declared():
    trial = draw(people=PEOPLE)
    arms = [row["arm"] for row in trial.participants]
    assert (arms.count("baclofen"), arms.count("placebo")) == (21, 22)
    assert draw(seed=1, people=PEOPLE).participants != trial.participants


@pytest.mark.parametrize("asked", [{"wscv": 0.12}, {"icc": 0.6}])
def test_spread_and_repeatability_of_grey_matter_are_those_that_were_asked_for(asked):
    """In 4,000 people, at equal age, sex and site; runs of different conditions on different days."""
    still = {"age_slope": 0, "sex_difference": 0, "treatment": 400, "control": 400}
    variability = {"grey": {"sd": 12.0, **asked}, "runs": 0.03}
    scans = [row for seed in range(5) for row in draw(seed=seed, people=still, variability=variability).scans]
    first, second = (
        column([row for row in scans if (row["session_id"], row["condition"]) == key], "gm_cbf")
        for key in (("T1", "rest"), ("T2", "rest"))
    )
    smoking = column([row for row in scans if (row["session_id"], row["condition"]) == ("T1", "smoking")], "gm_cbf")
    wscv = asked.get("wscv") or 12.0 * np.sqrt(1 - asked["icc"]) / 60
    assert np.std([first, second], ddof=1) == pytest.approx(12, rel=0.05)
    assert np.sqrt(np.mean(np.log(second / first) ** 2) / 2) == pytest.approx(wscv, rel=0.05)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(1 - (wscv * 60 / 12) ** 2, rel=0.05)
    assert np.sqrt(np.mean(np.log(smoking / first) ** 2) / 2) == pytest.approx(0.03, rel=0.05)


def test_white_matter_goes_with_grey_matter_as_closely_as_was_asked_for():
    people = {**PEOPLE, "treatment": 400, "control": 400}
    alone, apart = (draw(people=people, variability={"white": share}) for share in (0, 0.15))
    assert [row["gm_cbf"] for row in alone.scans] == [row["gm_cbf"] for row in apart.scans]
    exact, ratio = (
        column(trial.participants, "wm_cbf") / column(trial.participants, "gm_cbf") for trial in (alone, apart)
    )
    np.testing.assert_allclose(exact, 20 / 60, rtol=1e-12)
    assert ratio.mean() == pytest.approx(20 / 60, rel=0.02)
    assert ratio.std(ddof=1) / ratio.mean() == pytest.approx(0.15, rel=0.08)
    scans = column(apart.scans, "wm_cbf") / column(apart.scans, "gm_cbf")
    np.testing.assert_allclose(scans.reshape(len(ratio), -1), ratio[:, None].repeat(6, axis=1), rtol=1e-12)


def test_age_sex_and_site_have_the_effects_that_were_declared():
    people = {
        "treatment": 400,
        "control": 400,
        "sites": 4,
        "site_spread": 0.2,
        "age_slope": -0.5,
        "sex_difference": 9.0,
    }
    rows = [row for seed in range(3) for row in draw(seed=seed, people={**people, "site_spread": 0}).participants]
    design = np.column_stack([np.ones(len(rows)), column(rows, "age"), [row["sex"] == "F" for row in rows]])
    _, slope, difference = np.linalg.lstsq(design, column(rows, "gm_cbf"), rcond=None)[0]
    assert slope == pytest.approx(-0.5, abs=0.07)
    assert difference == pytest.approx(9.0, abs=1.3)
    rows = draw(people=people).participants
    means = [column([row for row in rows if row["site"] == f"site{k}"], "gm_cbf").mean() for k in range(1, 5)]
    levels = 60 * 0.2 * random_draws.stream(20200218, random_draws.Purpose.SITE_LEVEL).standard_normal(4)
    np.testing.assert_allclose(np.array(means) - 60, levels, atol=3)


def test_scans_are_lost_and_fail_at_the_rates_that_were_declared():
    missing = {"dropout": {"treatment": 0.3, "control": 0.1}, "session": 0.05, "scan": 0.04, "failed": 0.1}
    trial = draw(people={"treatment": 400, "control": 400}, missing=missing)
    dropped = {
        arm: [row["dropped"] == "yes" for row in trial.participants if row["arm"] == arm]
        for arm in ("baclofen", "placebo")
    }
    assert np.mean(dropped["baclofen"]) == pytest.approx(0.3, abs=0.07)
    assert np.mean(dropped["placebo"]) == pytest.approx(0.1, abs=0.05)
    first = [row for row in trial.scans if row["session_id"] == "T1"]
    assert np.mean([row["present"] == "no" for row in first]) == pytest.approx(1 - 0.95 * 0.96, abs=0.03)
    there = [row for row in trial.scans if row["present"] == "yes"]
    assert np.mean([row["failed"] == "yes" for row in there]) == pytest.approx(0.1, abs=0.02)
    gone = {row["participant_id"] for row in trial.participants if row["dropped"] == "yes"}
    assert not [row for row in there if row["participant_id"] in gone and row["session_id"] == "T2"]
    for row in trial.craving:
        assert (row["craving_post"] is None) == (row["participant_id"] in gone and row["session_id"] == "T2")
    smoking = planted_cigarettes.draw(
        simulation.trial(people={"treatment": 400, "control": 400}, missing=missing, cigarettes={"lost": 0}),
        trial.participants,
        simulation.arms(),
        simulation.sessions(),
    )
    assert {row["participant_id"] for row in smoking.table if row["cigarettes_per_day"] is None} == gone


PLANTED = {
    "drug": {"everywhere": True, "amount": -5.0, "conditions": ["rest"]},
    "practice": {"sphere": [0, 0, 0], "radius": 10, "amount": 2.0, "spread": 1.0, "arm": "both", "session": "both"},
}


def test_effects_are_planted_by_arm_session_and_condition():
    trial = draw(planted=PLANTED, people={"treatment": 400, "control": 400})
    arms = {row["participant_id"]: row["arm"] for row in trial.participants}
    for row in trial.scans:
        there = arms[row["participant_id"]] == "baclofen" and (row["session_id"], row["condition"]) == ("T2", "rest")
        assert row["drug"] == (-5.0 if there else 0.0)
    practice = column(trial.scans, "practice")
    assert practice.mean() == pytest.approx(2, abs=0.1)
    assert practice.std() == pytest.approx(1, rel=0.08)


def test_transit_varies_over_people_and_visits_and_with_the_drug():
    people = {"treatment": 400, "control": 400}
    trial = draw(people=people, transit={"simulated": True, "people": 0.2, "sessions": 0.1, "drug": 0.3})
    rest = [row for row in trial.scans if row["condition"] == "rest"]
    first, second = (column([row for row in rest if row["session_id"] == name], "transit") for name in ("T1", "T2"))
    treated = np.array([row["arm"] == "baclofen" for row in trial.participants])
    change = second - first
    assert first.std() == pytest.approx(np.hypot(0.2, 0.1), rel=0.08)
    assert change[~treated].std() == pytest.approx(0.1 * np.sqrt(2), rel=0.08)
    assert change[treated].mean() - change[~treated].mean() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    "change",
    [
        {"effects": {"resting_rise": 3}},
        {"planted": PLANTED},
        {"missing": {"dropout": {"treatment": 0.5, "control": 0.5}, "scan": 0.2}},
        {"cigarettes": {"effect": 2.0}},
    ],
    ids=["effect", "planted", "missing", "cigarettes"],
)
def test_a_change_of_one_thing_changes_nothing_else(change):
    before, after = draw(), draw(**change)
    same = ("participant_id", "arm", "age", "sex", "gm_cbf", "site", "craving_baseline")
    for one, two in zip(before.participants, after.participants):
        assert [one[name] for name in same] == [two[name] for name in same]
    assert [row["gm_cbf"] for row in before.scans] == [row["gm_cbf"] for row in after.scans]
    rise = simulation.section()["effects"]["resting_rise"] - change.get("effects", {}).get("resting_rise", 30)
    treated = np.array([row["arm"] == "baclofen" for row in before.participants])
    lost = column(before.participants, "dlpfc_change") - column(after.participants, "dlpfc_change")
    np.testing.assert_allclose(lost, rise * treated, atol=1e-9)


def test_people_are_grouped_by_the_runs_that_they_have():
    section = planned_trial.complete(
        {"truth_dir": "truth", "missing": {"dropout": {"treatment": 0.5}, "scan": 0.05}, "people": PEOPLE}
    )
    groups = planned_trial.groups(section, simulation.arms(), simulation.sessions())
    assert groups[0].rule == "simulate_participant"
    assert groups[0].runs == (0, 1, 2, 3, 4, 5)
    assert any(group.runs == (0, 1, 2) for group in groups)
    assert len({group.rule for group in groups}) == len(groups)
    assert sorted(subject for group in groups for subject in group.subjects) == [f"{k:02d}" for k in range(1, 44)]


def test_people_who_were_taken_out_of_the_study_are_not_compared(tmp_path):
    groups = [planned_trial.Group("a", ("01", "03"), (0, 1)), planned_trial.Group("a__1", ("02",), (1,))]

    def result(subject, run):
        return tmp_path / f"{subject}_{run}"

    everyone = [("01", 0), ("01", 1), ("02", 1), ("03", 0), ("03", 1)]
    assert planned_trial.analysed(groups, result) == everyone
    for name in ("01_0", "01_1", "02_1", "03_1"):
        (tmp_path / name).touch()
    assert planned_trial.analysed(groups, result) == [scan for scan in everyone if scan != ("03", 0)]


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({"exact": True, "people": {"treatment": 5, "control": 6}}, "simulate.people"),
        ({"exact": True, "planted": PLANTED}, "simulate.planted"),
        ({"exact": True, "people": {"sites": 2}}, "simulate.people.sites"),
        ({"blood_flow": {"pattern": 0.1}}, "simulate.blood_flow.pattern"),
        ({"people": {"age": [50, 20]}}, "simulate.people.age"),
        ({"people": {"treatment": 2, "control": 2, "sites": 9}}, "simulate.people.sites"),
        ({"variability": {"grey": {"sd": 4, "wscv": 0.2}}}, "simulate.variability.grey"),
        ({"variability": {"grey": {"sd": 4}}}, "simulate.variability.grey"),
        ({"variability": {"runs": 0.2}}, "simulate.variability.grey"),
        ({"transit": {"drug": 0.3}}, "simulate.transit.drug"),
        ({"transit": {"vessels": 0.5}}, "simulate.transit.vessels"),
        ({"perfusion": {"repetition_time": 3.5}}, "simulate.perfusion.repetition_time"),
        ({"perfusion": {"repetition_time": 4, "slice_time": 0.02}}, "simulate.perfusion.repetition_time"),
        ({"exact": True, "transit": {"simulated": True}}, "simulate.transit"),
        ({"variability": {"runs": 0.08}}, "simulate.variability.cue"),
        ({"planted": {"dlpfc": PLANTED["drug"]}}, "simulate.planted"),
        ({"planted": {"drug": {"amount": 3}}}, "simulate.planted.drug"),
        ({"planted": {"drug": {"amount": 3, "everywhere": True, "atlas": ["A"]}}}, "simulate.planted.drug"),
    ],
)
def test_what_contradicts_itself_is_refused(written, field):
    with pytest.raises(InputErrors) as error:
        planned_trial.complete({"truth_dir": "truth", **written})
    assert any(field in str(problem.field) for problem in error.value.errors), str(error.value)


def test_a_real_dataset_is_never_written_into(tmp_path):
    planned_trial.only_simulated(tmp_path)
    path = tmp_path / "dataset_description.json"
    path.write_text('{"GeneratedBy": [{"Name": "pharmasl simulate"}]}')
    planned_trial.only_simulated(tmp_path)
    path.write_text('{"Name": "A trial", "BIDSVersion": "1.10.0"}')
    with pytest.raises(Exception, match="GeneratedBy"):
        planned_trial.only_simulated(tmp_path)
