"""How the spread of a region's values is made of parts: a person's own and a session's, of the whole brain and of a place."""

import math
from dataclasses import dataclass

import numpy as np

from pharmasl.power.ground import Ground
from pharmasl.power.smooth_fields import SmoothNoise
from pharmasl.study.planned_maps import PlannedMaps


@dataclass(frozen=True, kw_only=True)
class Part:
    """What varies between people, or between a person's sessions.

    Attributes
    ----------
    common : float
        Standard deviation of the whole brain's shift.
    local : float
        Standard deviation of the smooth field at a voxel.
    noise : SmoothNoise
        The field, of unit variance.
    """

    common: float
    local: float
    noise: SmoothNoise

    @classmethod
    def of_region(cls, variance: float, share: float, noise: SmoothNoise, inside: np.ndarray) -> "Part":
        """The part by which the mean over a region has a variance, of which a share is the whole brain's."""
        local = math.sqrt((1 - share) * variance / noise.variance_of_mean(inside))
        return cls(common=math.sqrt(share * variance), local=local, noise=noise)

    def draw(self, local: np.random.Generator, common: np.random.Generator, people: int) -> np.ndarray:
        """The values of so many people, ndarray of shape (people, V), float32."""
        values = self.noise.draw(local, people)
        values *= np.float32(self.local)
        values += (self.common * common.standard_normal((people, 1))).astype(np.float32)
        return values

    def variance(self, inside: np.ndarray | None = None) -> float:
        """The variance of the mean over a region; without one, of a voxel."""
        shared = 1.0 if inside is None else self.noise.variance_of_mean(inside)
        return self.common**2 + self.local**2 * shared


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The parts of an outcome's values.

    Attributes
    ----------
    between, within : Part
    """

    between: Part
    within: Part

    @classmethod
    def assumed(cls, planned: PlannedMaps, ground: Ground) -> "Spread":
        """The spread that gives the values of the first place the assumed standard deviation and correlation."""
        drawing, first = planned.drawing, ground.inside[0]
        variance = planned.sd**2

        def part(level: str, own: float) -> Part:
            fwhm = getattr(drawing.smoothness, level)
            share = getattr(drawing.global_share, level)
            return Part.of_region(own, share, SmoothNoise(ground.mask, ground.voxel_size, fwhm), first)

        return cls(
            between=part("between", planned.correlation * variance),
            within=part("within", (1 - planned.correlation) * variance),
        )

    def values(self, inside: np.ndarray | None = None) -> tuple[float, float]:
        """Standard deviation at one session and correlation of the sessions: of the mean over a region, or of a voxel."""
        between, within = self.between.variance(inside), self.within.variance(inside)
        return math.sqrt(between + within), between / (between + within)
