"""The person's and the visit's own departures of regional CBF, in a trial drawn at random.

A field is the sum of one value per arterial territory and of smooth local noise. Its amplitude is set so that the mean over a
sphere of :data:`RADIUS` mm, the size of a planned region, has the SD that was asked for.
"""

import functools
from dataclasses import dataclass

import numpy as np

from pharmasl.simulate import reliabilities, smooth_noise, territories
from pharmasl.simulate.simulation_settings import BloodFlow, Variability
from pharmasl.space.resample import FWHM_PER_SIGMA

# mm
RADIUS = 10.0


@functools.lru_cache(maxsize=8)
def sphere_share(scale: float) -> float:
    """SD of the mean over a sphere of :data:`RADIUS` of smooth noise with unit SD.

    White noise smoothed by a Gaussian of SD ``scale`` has the correlation ``exp(-d^2 / (4 scale^2))`` at distance d; the
    variance of the mean is its average over all pairs of points of the sphere, whose distances have the density
    ``3 d^2 / R^3 (1 - 3 d / (4 R) + d^3 / (16 R^3))`` (Deltheil's ball line picking).
    """
    distance = np.linspace(0, 2 * RADIUS, 2001)
    share = distance / RADIUS
    density = 3 * share**2 / RADIUS * (1 - 0.75 * share + share**3 / 16)
    values = density * np.exp(-(distance**2) / (4 * scale**2))
    step = distance[1] - distance[0]
    return float(np.sqrt(step * (values.sum() - (values[0] + values[-1]) / 2)))


@dataclass(frozen=True)
class FlowFields:
    """Draws fields at a person's points.

    Attributes
    ----------
    points : ndarray of shape (..., 3)
        Template mm.
    low, high : ndarray of shape (3,)
        Corners of the box over which noise is drawn, mm.
    shares : ndarray of shape (territories, ...)
        Of the points.
    asked : simulation_settings.Variability
    flow : simulation_settings.BloodFlow
    """

    points: np.ndarray
    low: np.ndarray
    high: np.ndarray
    shares: np.ndarray
    asked: Variability
    flow: BloodFlow

    @classmethod
    def at(
        cls, points: np.ndarray, low: np.ndarray, high: np.ndarray, asked: Variability, flow: BloodFlow
    ) -> "FlowFields":
        """Fields at template points."""
        return cls(points, low, high, territories.shares(points), asked, flow)

    def person(self, rng: np.random.Generator) -> np.ndarray:
        """What stays with the person of regional CBF, as a share of CBF."""
        return self._regional(rng, reliabilities.of_icc(self.asked.regional.sd, self.asked.regional.icc).between)

    def visit(self, rng: np.random.Generator) -> np.ndarray:
        """What a visit adds."""
        return self._regional(rng, reliabilities.of_icc(self.asked.regional.sd, self.asked.regional.icc).within)

    def person_cue(self, rng: np.random.Generator) -> np.ndarray:
        """What stays with the person of the response to cues, mL/100 g/min."""
        return self._local(rng, reliabilities.cue(self.asked, self.flow.grey).between, self.asked.cue.smoothness)

    def visit_cue(self, rng: np.random.Generator) -> np.ndarray:
        """What a visit adds to the response to cues, mL/100 g/min."""
        return self._local(rng, reliabilities.cue(self.asked, self.flow.grey).within, self.asked.cue.smoothness)

    def _regional(self, rng: np.random.Generator, deviation: float) -> np.ndarray:
        asked = self.asked.regional
        values = rng.standard_normal(len(self.shares))
        whole = np.float32(deviation * np.sqrt(asked.territory)) * territories.field(values, self.shares)
        return whole + self._local(rng, deviation * np.sqrt(1 - asked.territory), asked.smoothness)

    def _local(self, rng: np.random.Generator, deviation: float, smoothness: float) -> np.ndarray:
        scale = smoothness / FWHM_PER_SIGMA
        return np.float32(deviation / sphere_share(scale)) * self.noise(rng, scale)

    def noise(self, rng: np.random.Generator, scale: float) -> np.ndarray:
        """Noise of unit SD at the points, smoothed by a Gaussian of SD ``scale`` mm."""
        return smooth_noise.sample(rng, self.points, scale, self.low, self.high)
