"""One drawn study: maps of both sessions, covariates, the direction of a wrong placement, and its relabellings' seed."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pharmasl.power.ground import Ground
from pharmasl.power.spread import Spread
from pharmasl.study.planned_maps import PlannedMaps


class Purpose(IntEnum):
    """What a stream of random numbers is for; the numbers are part of what a seed stands for."""

    PEOPLE = 201
    PEOPLE_GLOBAL = 202
    BASELINE = 203
    BASELINE_GLOBAL = 204
    FOLLOWUP = 205
    FOLLOWUP_GLOBAL = 206
    COVARIATES = 207
    SHIFT = 208
    RELABELLINGS = 209


@dataclass(frozen=True, kw_only=True)
class DrawnStudy:
    """A study without an effect.

    Attributes
    ----------
    baseline, followup : ndarray of shape (n, V), float32
        The treatment arm first.
    covariates : ndarray of shape (n, k)
    offset : ndarray of int, shape (3,)
        Voxels by which the region is placed wrongly.
    seed : int
        Of the relabellings.
    """

    baseline: np.ndarray
    followup: np.ndarray
    covariates: np.ndarray
    offset: np.ndarray
    seed: int


def draw(planned: PlannedMaps, ground: Ground, spread: Spread, number: int) -> DrawnStudy:
    """The study of a number: the same whatever else is drawn.

    Parameters
    ----------
    planned : PlannedMaps
    ground : Ground
    spread : Spread
    number : int
    """

    def stream(purpose: Purpose) -> np.random.Generator:
        return np.random.default_rng([planned.drawing.seed, int(purpose), number])

    people = sum(planned.sizes)
    person = spread.between.draw(stream(Purpose.PEOPLE), stream(Purpose.PEOPLE_GLOBAL), people)
    person += np.float32(planned.drawing.mean)
    baseline = spread.within.draw(stream(Purpose.BASELINE), stream(Purpose.BASELINE_GLOBAL), people)
    followup = spread.within.draw(stream(Purpose.FOLLOWUP), stream(Purpose.FOLLOWUP_GLOBAL), people)
    baseline += person
    followup += person
    direction = stream(Purpose.SHIFT).standard_normal(3)
    direction *= planned.drawing.shift / ground.voxel_size / np.linalg.norm(direction)
    return DrawnStudy(
        baseline=baseline,
        followup=followup,
        covariates=stream(Purpose.COVARIATES).standard_normal((people, planned.covariates)),
        offset=np.rint(direction).astype(np.int64),
        seed=int(stream(Purpose.RELABELLINGS).integers(2**32)),
    )
