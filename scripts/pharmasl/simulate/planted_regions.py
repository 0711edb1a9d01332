"""Where the trial's effects are planted, in template millimetres (RAS+)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Region:
    """A sphere with a soft edge, or several of one name.

    Attributes
    ----------
    name : str
    label : str
        As a reader knows it.
    centres : tuple of tuple of float
        mm; two for a bilateral region.
    core, edge : float
        mm: the weight is one up to ``core`` from a centre, zero beyond ``edge``.
    """

    name: str
    label: str
    centres: tuple
    core: float
    edge: float

    def weight(self, points):
        """The share of the planted amplitude at some points.

        Parameters
        ----------
        points : ndarray of shape (..., 3)

        Returns
        -------
        ndarray of shape (...), float32
            One within ``core`` of a centre, falling as a raised cosine to exactly zero at ``edge``.
        """
        nearest = self.distance(points)
        fall = np.clip((nearest - self.core) / (self.edge - self.core), 0, 1)
        return (0.5 + 0.5 * np.cos(np.pi * fall)).astype(np.float32)

    def distance(self, points):
        """Distance (mm) of points of shape (..., 3) to the nearest centre."""
        points = np.asarray(points, dtype=np.float64)
        squares = [((points - centre) ** 2).sum(axis=-1) for centre in self.centres]
        return np.sqrt(np.minimum.reduce(squares))


# The three regions of the model study. The raised cosine passes one half at 12 mm, 11 mm and 11 mm.
REGIONS = {
    region.name: region
    for region in (
        Region("dlpfc", "right dorsolateral prefrontal cortex", ((42.0, 36.0, 28.0),), core=9.0, edge=15.0),
        Region(
            "insula",
            "anterior ventral insula, both sides",
            ((-36.0, 14.0, -8.0), (36.0, 14.0, -8.0)),
            core=8.0,
            edge=14.0,
        ),
        Region("vmpfc", "ventromedial prefrontal cortex", ((0.0, 44.0, -12.0),), core=8.0, edge=14.0),
    )
}
