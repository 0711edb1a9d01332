"""The tests of drawn studies: those of regions against scipy and the closed form, searches against their error rate."""

import dataclasses

import drawn_studies
import numpy as np
import pytest
from pharmasl.power import draws, study_tests
from pharmasl.power.spread import Spread
from pharmasl.statistics import trial_power
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, PlannedTest
from scipy import stats

PLACES = [np.s_[3:6, 3:6, 3:6], np.s_[0:2, 0:2, 0:2]]
STUDIES = 100


@pytest.fixture
def planned(tmp_path):
    maps = {"shift": 0, "scalings": ["absolute"], "relabellings": 100}
    one = drawn_studies.planned(tmp_path, maps=maps, sizes=(10, 11), effects=(0.0, 9.0), sd=11.0, correlation=0.7)
    return dataclasses.replace(
        one, places={"one": one.places["sphere of 12 mm"], "other": one.places["sphere of 8 mm"]}
    )


def rows(planned, ground, numbers):
    spread = Spread.assumed(planned, ground)
    for number in numbers:
        study = draws.draw(planned, ground, spread, number)
        yield study, list(study_tests.rows(planned, ground, study))


def test_a_regions_test_is_the_t_test_of_its_changes(planned):
    ground = drawn_studies.ground(PLACES)
    for study, own in rows(planned, ground, range(6)):
        change = (study.followup - study.baseline)[:, ground.inside[0]].mean(axis=1, dtype=np.float64)
        change[:10] += 9.0
        expected = stats.ttest_ind(change[:10], change[10:])
        row = next(r for r in own if (r["place"], r["effect"], r["model"]) == ("one", 9.0, CHANGE))
        assert np.isclose(row["estimate"], change[:10].mean() - change[10:].mean(), atol=1e-4)
        assert row["region"] == int(expected.pvalue <= 0.05 and expected.statistic > 0)
        # Placed wrongly by nothing, it is the region.
        assert row["shifted"] == row["region"]


@pytest.mark.slow
def test_power_is_the_closed_forms_and_searches_err_as_often_as_they_say(planned):
    ground = drawn_studies.ground(PLACES[:1])
    planned = dataclasses.replace(planned, places={"one": planned.places["one"]})
    every = [row for _, own in rows(planned, ground, range(STUDIES)) for row in own]
    for model in (CHANGE, ANCOVA):
        for effect in planned.effects:
            own = [row for row in every if (row["model"], row["effect"]) == (model, effect)]
            assert len(own) == STUDIES
            test = PlannedTest(method=model, covariates=0, alpha=0.025, two_sided=False)
            expected = float(trial_power.power(test, (10, 11), effect, 11.0, 0.7))
            error = np.sqrt(expected * (1 - expected) / STUDIES)
            assert abs(np.mean([row["region"] for row in own]) - expected) < 3.5 * error
            if not effect:
                for search in ("parcel", "voxel", "extent", "mass"):
                    hits = sum(row[f"{search}_anywhere"] for row in own)
                    assert stats.binomtest(hits, STUDIES, 0.05, alternative="greater").pvalue > 0.001, (model, search)


def test_a_search_within_a_region_looks_nowhere_else(planned):
    ground = drawn_studies.ground(PLACES)
    ground = dataclasses.replace(ground, searched=ground.inside[0])
    within = dataclasses.replace(planned, within=planned.places["one"], effects=(0.0, 60.0))
    _, own = next(rows(within, ground, [0]))
    strong = {row["place"]: row for row in own if (row["effect"], row["model"]) == (60.0, CHANGE)}
    assert strong["one"]["voxel"] == 1
    assert strong["other"]["region"] == 1
    assert strong["other"]["voxel"] == 0


def test_scaling_by_the_global_mean_takes_a_global_change_away(planned):
    """What all of a scan has in common is gone, so that a region's estimate varies less."""
    ground = drawn_studies.ground(PLACES[:1])
    both = dataclasses.replace(
        planned,
        places={"one": planned.places["one"]},
        effects=(0.0,),
        scalings=("absolute", "proportional"),
    )
    estimates = {name: [] for name in both.scalings}
    for _, own in rows(both, ground, range(25)):
        for row in own:
            if row["model"] == CHANGE:
                estimates[row["scaling"]].append(row["estimate"])
    assert np.std(estimates["proportional"]) < 0.9 * np.std(estimates["absolute"])
