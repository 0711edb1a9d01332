"""The error bank: its truth is the simulator's, errors go with people and not with the arm, and a planted effect is found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simulation
from pharmasl.commands import validate
from pharmasl.simulate import label_control_series, participant_anatomy, virtual_trial
from pharmasl.simulate.scanned_person import Person
from pharmasl.space import images, resample, transforms
from pharmasl.space.images import Grid
from pharmasl.space.packaged import nilearn_file
from pharmasl.validation import bank_study, error_bank
from pharmasl.validation.error_bank import BankTruth, ErrorBank
from pharmasl.validation.error_maps import ErrorMaps

ROOT = Path(__file__).parents[3]
PEOPLE, SPACING = 12, 4
CONDITIONS = ("rest", "smoking", "neutral")


@pytest.fixture(scope="module")
def variant():
    return validate._variant("plain", [ROOT / "config/twin.yaml"], ROOT / "config/twin")


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
    values = BankTruth(own).scans(1, rows, 7)["T2", "rest"]
    known = np.isfinite(expected) & np.isfinite(values)
    assert known.mean() > 0.99
    assert values[known].mean() == pytest.approx(expected[known].mean(), rel=0.01)
    assert np.corrcoef(values[known], expected[known])[0, 1] > 0.99


def test_a_person_gets_one_donors_errors(variant, maps, monkeypatch):
    """Without any truth, the maps are the errors of a donor, sessions perhaps exchanged."""
    own, seen = bank(variant, maps), {}
    monkeypatch.setattr(error_bank, "_answer", lambda bank, one, participants, people: seen.update(people))

    class Nothing:
        def scans(self, number, rows, seed):
            return {(row["session_id"], row["condition"]): np.float32(0) for row in rows}

    error_bank.test(own, Nothing(), 11)
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


@pytest.mark.slow
def test_a_large_effect_is_found_and_the_same_trial_comes_again(variant, maps, tmp_path):
    own = bank(variant, maps, permutations=199, resting_rise=80.0, resting_spread=0.0)
    truth = BankTruth(own)
    first = error_bank.test(own, truth, 3)
    assert [answer.analysis for answer in first] == ["rest_interaction", "rest_adjusted", "cue_interaction"]
    assert first[0].at_effect
    assert first[0].least_p["declared"] <= 0.05
    assert error_bank.test(own, truth, 3) == first
    assert set(first[0].least_p) == set(bank_study.STATISTICS)


def test_too_few_people_are_no_answer(variant, maps):
    own = bank(variant, maps)
    few = replace(own, trial=replace(own.trial, people=replace(own.trial.people, treatment=1, control=1)))
    assert all(answer.least_p == {} for answer in error_bank.test(few, BankTruth(few), 1))
