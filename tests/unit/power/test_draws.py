"""Drawn maps have the spread that was assumed of the planned region, and streams of their own."""

import dataclasses

import drawn_studies
import numpy as np
import pytest
from pharmasl.power import draws
from pharmasl.power.spread import Spread

PLACES = [np.s_[3:6, 3:6, 3:6], np.s_[1:3, 6:8, 2:4]]


@pytest.fixture
def planned(tmp_path):
    return drawn_studies.planned(tmp_path, sd=11.0, correlation=0.7, sizes=(15, 15))


def test_the_regions_standard_deviation_and_correlation_come_back(planned):
    ground = drawn_studies.ground(PLACES)
    spread = Spread.assumed(planned, ground)
    assert np.allclose(spread.values(ground.inside[0]), (11.0, 0.7))
    studies = [draws.draw(planned, ground, spread, number) for number in range(150)]
    for inside in ground.inside:
        sd, correlation = spread.values(inside)
        first, second = (
            np.concatenate([getattr(study, name)[:, inside].mean(axis=1, dtype=np.float64) for study in studies])
            for name in ("baseline", "followup")
        )
        # 4,500 people: standard errors of 1 % and of .01.
        assert abs(np.std([first, second]) / sd - 1) < 0.03
        assert abs(np.corrcoef(first, second)[0, 1] - correlation) < 0.03
    voxels = np.concatenate([study.baseline[:, 0] for study in studies])
    assert abs(voxels.std() / spread.values()[0] - 1) < 0.05


def test_half_of_what_differs_is_the_whole_brains(planned):
    ground = drawn_studies.ground(PLACES)
    spread = Spread.assumed(planned, ground)
    for part, own in ((spread.between, 0.7), (spread.within, 0.3)):
        assert np.isclose(part.common**2, 0.5 * own * 121)
        assert np.isclose(part.variance(ground.inside[0]), own * 121)


def test_a_study_is_the_same_whatever_else_is_drawn(planned):
    ground = drawn_studies.ground(PLACES)
    spread = Spread.assumed(planned, ground)
    one, other = (draws.draw(planned, ground, spread, 7) for _ in range(2))
    assert (one.baseline == other.baseline).all()
    assert one.seed == other.seed
    assert one.seed != draws.draw(planned, ground, spread, 8).seed
    more = dataclasses.replace(planned, covariates=2)
    assert (draws.draw(more, ground, spread, 7).followup == one.followup).all()
