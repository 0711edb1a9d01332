"""The error bank: its truth is the simulator's, errors go with people and not with the arm, and what is planted is found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simulation
from pharmasl.commands import validate
from pharmasl.simulate import label_control_series, participant_anatomy, virtual_trial
from pharmasl.simulate.scanned_person import Person
from pharmasl.simulate.simulation_settings import PlannedEffect
from pharmasl.space import images, resample, transforms
from pharmasl.space.images import Grid
from pharmasl.space.packaged import nilearn_file
from pharmasl.validation import bank_study, bank_trial
from pharmasl.validation.bank_tests import SCALED, BankTests
from pharmasl.validation.bank_trial import ErrorBank
from pharmasl.validation.bank_truth import BASELINE, FOLLOWUP, planted_difference
from pharmasl.validation.error_maps import ErrorMaps
from pharmasl.validation.study_counts import ANY_PRIMARY

ROOT = Path(__file__).parents[3]
PEOPLE, SPACING = 12, 4
CONDITIONS = ("rest", "smoking", "neutral")


@pytest.fixture(scope="module")
def variant():
    return validate.variant_of("plain", [ROOT / "config/twin.yaml"], ROOT / "config/twin")


@pytest.fixture(scope="module")
def maps():
    """Errors of noise, of twelve people, on a coarse grid over the template's brain."""
    volume = images.grid(nilearn_file("t1"))
    shape = tuple(-(-n // SPACING) for n in volume.shape)
    grid = Grid(shape, volume.affine @ np.diag([SPACING, SPACING, SPACING, 1.0]))
    brain = resample.resample(*images.load(nilearn_file("t1")), transforms.points(grid), fill=0.0) > 100
    scans = tuple((f"sub-{k:02d}", s, c) for k in range(1, PEOPLE + 1) for s in ("T1", "T2") for c in CONDITIONS)
    errors = np.random.default_rng(5).standard_normal((len(scans), int(brain.sum()))).astype(np.float32)
    return ErrorMaps(scans, errors, brain, grid, np.ones(errors.shape[1], dtype=bool))


def bank(variant, maps, permutations=99, **effects):
    """A bank of twelve new people, of a trial with these effects."""
    people = replace(variant.trial.people, treatment=6, control=6)
    missing = replace(
        variant.trial.missing, dropout=replace(variant.trial.missing.dropout, treatment=0, control=0), scan=0
    )
    trial = replace(variant.trial, people=people, missing=missing, effects=replace(variant.trial.effects, **effects))
    return ErrorBank(maps, variant.study, trial, variant.person, permutations)


@pytest.mark.slow
def test_its_truth_is_that_of_a_simulated_person(variant, maps):
    """Without variability of regions, which each draws for itself; the person's head is the template's own shape."""
    quiet = replace(
        variant.person.variability,
        regional=replace(variant.person.variability.regional, sd=0.0),
    )
    anatomy = replace(variant.person.anatomy, warp=0.0, voxel_size=2.0)
    settings = replace(variant.person, variability=quiet, anatomy=anatomy)
    own = replace(bank(variant, maps, resting_rise=30.0), person=settings)
    trial = virtual_trial.draw(own.trial, simulation.arms(), simulation.sessions())
    treated = next(row for row in trial.participants if row["arm"] == "baclofen")
    rows = [row for row in trial.scans if row["participant_id"] == treated["participant_id"]]
    template = participant_anatomy.read_template()
    person = Person.draw(settings, 1, template, {})
    scan = next(row for row in rows if (row["session_id"], row["condition"]) == ("T2", "rest"))
    run = person.run(scan, person.session(3))
    back = person.shape.from_template(transforms.points(maps.grid))
    truth = label_control_series.apparent_cbf(run.tissue, back)
    expected = resample.smooth(truth, maps.grid.affine, own.study.perfusion.smoothing_fwhm)[maps.mask]
    values = own.truth().scans(1, rows, 7)["T2", "rest"]
    known = np.isfinite(expected) & np.isfinite(values)
    assert known.mean() > 0.99
    assert values[known].mean() == pytest.approx(expected[known].mean(), rel=0.01)
    assert np.corrcoef(values[known], expected[known])[0, 1] > 0.99


class Nothing:
    """A truth without any CBF."""

    def scans(self, number, rows, seed):
        return {(row["session_id"], row["condition"]): np.float32(0) for row in rows}


def test_a_person_gets_one_donors_errors(variant, maps):
    """Without any truth, the maps are the errors of a donor, sessions perhaps exchanged."""
    seen = bank_trial.draw(bank(variant, maps), Nothing(), 11).maps
    index = {scan: number for number, scan in enumerate(maps.scans)}
    donors, turned = [], []
    for scans in seen.values():
        (number,) = np.flatnonzero((maps.errors == scans["T1", "rest"]).all(axis=1))
        who, session, condition = maps.scans[number]
        assert condition == "rest"
        donors.append(who)
        turned.append(session == "T2")
        other = {"T1": "T2", "T2": "T1"}[session]
        for state in CONDITIONS:
            assert np.array_equal(scans["T1", state], maps.errors[index[who, session, state]])
            assert np.array_equal(scans["T2", state], maps.errors[index[who, other, state]])
    assert sorted(donors) == sorted({who for who, _, _ in maps.scans})
    assert 0 < sum(turned) < PEOPLE


def test_errors_go_with_neither_arm(variant, maps):
    """Over 150 trials the arms' changes by errors alone differ by nothing, though one session's errors are all higher."""
    higher = np.array([[4.0 * (session == "T2")] for _, session, _ in maps.scans]) + maps.errors[:, :1]
    own = bank(variant, replace(maps, errors=higher.astype(np.float32)))
    differences = []
    for seed in range(150):
        trial = bank_trial.draw(own, Nothing(), seed)
        change = {who: float((scans["T2", "rest"] - scans["T1", "rest"])[0]) for who, scans in trial.maps.items()}
        means = [
            np.mean([change[row["participant_id"]] for row in trial.participants if row["arm"] == arm])
            for arm in (own.arms.treatment, own.arms.control)
        ]
        differences.append(means[0] - means[1])
    assert abs(np.mean(differences)) < 3 * np.std(differences) / np.sqrt(len(differences))
    # Each person's change is plus or minus four, and so it spreads.
    assert np.std(differences) > 1


def test_what_the_drug_changes_in_errors_goes_to_treated_people_after_treatment(variant, maps):
    """Of two donors who were simulated with and without the drug, whole; everything else is as without it."""
    scans = tuple((who, "T2", state) for who in ("sub-03", "sub-08") for state in CONDITIONS)
    drug = replace(maps, scans=scans, errors=np.stack([np.full(maps.errors.shape[1], 100.0 * k) for k in range(1, 7)]))
    own = bank(variant, maps)
    without = bank_trial.draw(own, Nothing(), 11)
    treated = bank_trial.draw(replace(own, drug=drug), Nothing(), 11)
    arms = {row["participant_id"]: row["arm"] for row in treated.participants}
    added = []
    for who, scans in treated.maps.items():
        for (session, state), values in scans.items():
            change = values - without.maps[who][session, state]
            if arms[who] == "baclofen" and session == "T2":
                added.append(float(np.round(change.mean(), 2)))
            else:
                assert not change.any()
    assert len(added) == 6 * len(CONDITIONS)
    assert {tuple(sorted(added[k : k + 3])) for k in range(0, 18, 3)} == {(100.0, 200.0, 300.0), (400.0, 500.0, 600.0)}


def effect(**values):
    nothing = dict.fromkeys(("sphere", "radius", "atlas", "image", "everywhere"))
    return PlannedEffect(
        **{**nothing, "arm": "treatment", "session": "followup", "conditions": CONDITIONS, "spread": 0.0, **values}
    )


PLANTED = {
    "whole": effect(everywhere=True, amount=-6.0),
    "ball": effect(sphere=(20.0, -60.0, 30.0), radius=12.0, amount=9.0, arm="control", conditions=("rest",)),
    "always": effect(atlas=("Precuneus_L",), amount=3.0, session="both"),
    "all": effect(everywhere=True, amount=50.0, arm="both"),
}


def test_what_is_planted_in_the_population_is_the_difference_of_many_draws(variant, maps):
    """With no spread, of each draw."""
    own = bank(variant, maps, resting_rise=8.0, resting_spread=0.0, cue_spread=0.0, slope=-0.5)
    trial = replace(own.trial, planted=PLANTED)
    drawn = virtual_trial.draw(trial, own.arms, own.sessions)
    treated = {row["participant_id"] for row in drawn.participants if row["arm"] == own.arms.treatment}
    for which, label in ((BASELINE, "T1"), (FOLLOWUP, "T2")):
        for state in CONDITIONS:
            rows = [row for row in drawn.scans if (row["session_id"], row["condition"]) == (label, state)]
            for name, expected in planted_difference(trial, which, state).items():
                means = [
                    np.mean([row[name] for row in rows if (row["participant_id"] in treated) == arm]) for arm in (1, 0)
                ]
                assert means[0] - means[1] == pytest.approx(expected, abs=1e-9)


def test_planted_effects_of_the_configuration_are_in_the_truth(variant, maps):
    """A person's maps with and without the gains differ by what the population's maps have, whatever the person's own level."""
    own = bank(variant, maps, resting_rise=8.0)
    # White matter as it is on average.
    variability = replace(own.trial.variability, white=0.0)
    own = replace(own, trial=replace(own.trial, planted=PLANTED, variability=variability))
    truth = own.truth()
    trial = virtual_trial.draw(own.trial, own.arms, own.sessions)
    rows = [row for row in trial.scans if row["participant_id"] == trial.participants[2]["participant_id"]]
    regions = ("dlpfc", "insula", "vmpfc", *PLANTED)
    without = [{**row, **dict.fromkeys(regions, 0.0)} for row in rows]
    with_gains = [
        {**row, **planted_difference(own.trial, FOLLOWUP if row["session_id"] == "T2" else BASELINE, row["condition"])}
        for row in rows
    ]
    before, after = truth.scans(3, without, 5), truth.scans(3, with_gains, 5)
    for session, label in ((BASELINE, "T1"), (FOLLOWUP, "T2")):
        change = after[label, "rest"] - before[label, "rest"]
        assert np.nanmax(np.abs(change - truth.planted({"rest": 1.0}, session))) < 1e-3
    points = transforms.points(maps.grid)[maps.mask]
    middle = np.linalg.norm(points - (20.0, -60.0, 30.0), axis=1) < 4
    # The drug's -6 everywhere, and what the control arm gains: both smaller by white matter and by what the smoothing takes.
    assert -15 < np.nanmean(truth.planted({"rest": 1.0}, FOLLOWUP)[middle]) < -6
    assert not np.nan_to_num(truth.planted({"smoking": 1.0, "neutral": -1.0}, BASELINE)).any()


@pytest.mark.slow
def test_large_effects_are_found_and_the_same_trial_comes_again(variant, maps):
    """At rest in the planted place, by an association with the cluster that was found there, in the planned region, and in craving."""
    own = bank(variant, maps, permutations=200, resting_rise=120.0, resting_spread=25.0, slope=-2.0, cue_spread=0.5)
    truth = own.truth()
    tests = BankTests(own, truth)
    first = tests.test(bank_trial.draw(own, truth, 3))
    names = ["rest_interaction", "rest_adjusted", "cue_interaction", "dlpfc_to_cue"]
    assert [one.analysis for one in first.answers] == [*names, "craving", ANY_PRIMARY, names[0]]
    assert first.answers[-1].scaling == SCALED
    assert first.answers[-1].at_effect
    rest, association = first.answers[0], first.answers[3]
    assert rest.at_effect
    assert rest.least_p["declared"] <= 0.05
    assert association.least_p["declared"] <= 0.05
    assert first.answers[5].least_p["declared"] <= 0.05
    assert set(rest.least_p) == set(bank_study.STATISTICS)
    (region,) = [one for one in first.regions if (one.analysis, one.region) == ("rest_interaction", "dlpfc")]
    assert region.planted > 20
    assert region.low <= region.planted <= region.high
    assert region.p < 0.05
    assert tests.test(bank_trial.draw(own, truth, 3)) == first


def test_too_few_people_are_no_answer(variant, maps):
    own = bank(variant, maps)
    few = replace(own, trial=replace(own.trial, people=replace(own.trial.people, treatment=1, control=1)))
    truth = few.truth()
    said = BankTests(few, truth).test(bank_trial.draw(few, truth, 1))
    assert all(answer.least_p == {} for answer in said.answers)
    assert said.regions == []
