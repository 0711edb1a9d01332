"""Where the trial's effects are planted, in template millimetres (RAS+)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Region:
    """A sphere with a soft edge, or several spheres of one name.

    Attributes
    ----------
    name : str
    label : str
        The region's name for readers.
    centres : tuple of tuple of float
        mm; two for a bilateral region.
    core, edge : float
        mm; the weight is one up to ``core`` from a centre and zero beyond ``edge``.
    """

    name: str
    label: str
    centres: tuple[tuple[float, ...], ...]
    core: float
    edge: float

    def around(self, centre: tuple[float, ...]) -> "Region":
        """The part of the region around one of its centres."""
        return replace(self, centres=(centre,))

    def weight(self, points: ArrayLike) -> np.ndarray:
        """The share of the planted amplitude at points.

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

    def distance(self, points: ArrayLike) -> np.ndarray:
        """Distance (mm) of points of shape (..., 3) to the nearest centre."""
        places = np.asarray(points, dtype=np.float64)
        squares = [((places - centre) ** 2).sum(axis=-1) for centre in self.centres]
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
