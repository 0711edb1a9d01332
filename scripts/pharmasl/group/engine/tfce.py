"""Threshold-free cluster enhancement (Smith and Nichols 2009, NeuroImage 44:83), exact: an integral, not a sum of steps.

With e(h) the size of the cluster of voxels at least h high that holds a voxel of height t,

    TFCE = integral from 0 to t of e(h)^E h^H dh.

e changes only where h passes a voxel's height, so the integral is a finite sum of e^E (h1^(H+1) - h0^(H+1)) / (H+1)
without any step size. Positive and negative voxels are enhanced apart; negative ones get negative values.

The whole map (:meth:`Enhancer.enhance`) comes from one sweep from the highest voxel down that keeps the tree of
clusters. Of a relabelling only the maximum is needed (:meth:`Enhancer.maximum`), and that needs no tree: voxels belong to the
basin of the peak that steepest ascent leads to; within a basin nothing merges, so a cluster is its voxels met so far,
and two basins merge at the highest pair of neighbours between them. Below a merge both halves gain alike, so only the
larger integral can lead to the maximum and the other is forgotten.
"""

from dataclasses import dataclass

import numpy as np

from pharmasl.group.engine import clusters, tfce_kernels
from pharmasl.group.engine.tfce_kernels import Cells, Integrand, Work
from pharmasl.group.engine.z_table import ZTable

# Heights are single precision: two relabellings that only swap equal participants may differ in a voxel's last bit.
TIE = 1e-7


@dataclass(frozen=True, kw_only=True)
class Enhancement:
    """What is integrated.

    Attributes
    ----------
    extent_power, height_power : float
        E and H; above 0.
    neighbours : int
        6 (as FSL, PALM and nilearn), 18 or 26.
    scale : str
        ``t``, or ``z``: the standard normal quantile with the tail probability of t, as PALM does.

    Raises
    ------
    ValueError
        For other values.
    """

    extent_power: float
    height_power: float
    neighbours: int
    scale: str

    def __post_init__(self) -> None:
        if not (0 < self.extent_power < np.inf and 0 < self.height_power < np.inf):
            raise ValueError("extent_power and height_power must be above 0 and finite")
        if self.neighbours not in (6, 18, 26) or self.scale not in ("t", "z"):
            raise ValueError("neighbours must be 6, 18 or 26, and scale t or z")


class Enhancer:
    """TFCE on one mask, with its work space: not to be shared by threads.

    Parameters
    ----------
    mask : ndarray of bool, shape (X, Y, Z)
    enhancement : Enhancement
    df : float, optional
        Degrees of freedom of t; needed by the scale z.
    columns : int
        Columns tested: with several the map is of F, of as many degrees of freedom in the numerator.

    Raises
    ------
    ValueError
        Without degrees of freedom where these are needed.
    """

    def __init__(self, mask: np.ndarray, enhancement: Enhancement, df: float | None = None, columns: int = 1) -> None:
        if enhancement.scale == "z" and df is None:
            raise ValueError("z of t needs the degrees of freedom")
        lattice = clusters.Lattice(mask, enhancement.neighbours)
        place, forward = lattice.place.astype(np.uint32), lattice.offsets
        powers = np.arange(len(place) + 1, dtype=np.float64) ** enhancement.extent_power
        self.integrand = Integrand(powers, float(enhancement.height_power))
        self.scale = ZTable(df, columns) if enhancement.scale == "z" and df is not None else None
        plane, row, column = lattice.strides
        # Room behind the end for the neighbour of a neighbour of a block's last cell.
        self.volume = np.zeros(lattice.size + 2 * plane + tfce_kernels.LANES, dtype=np.float32)
        across = {plane: (row, column), row: (plane, column), column: (plane, row)}
        pairs = [across.get(int(offset), (row, column)) for offset in forward]
        beside = [
            [(sign * face, int(face < offset)) for face in lattice.strides for sign in (1, -1) if sign * face != offset]
            for offset in map(int, forward)
        ]
        self.cells = Cells(
            place=place,
            blocks=tfce_kernels.blocks_of(place),
            forward=forward,
            steps=np.array([(a, -a, b, -b) for a, b in pairs], dtype=np.int64),
            beside=np.array([links[:5] for links in beside], dtype=np.int64),
        )
        self.work: Work | None = None

    def _scaled(self, t: np.ndarray) -> np.ndarray:
        # Single precision first: a map and a relabelling's map are scaled from the same bits.
        values = np.ascontiguousarray(t, dtype=np.float32)
        return values if self.scale is None else self.scale(values)

    def _allocate(self, links: int) -> Work:
        self.work = Work.allocate(self.volume.size, len(self.cells.place), links)
        return self.work

    def maximum(self, t: np.ndarray) -> tuple[float, float]:
        """The largest integral of either sign.

        Parameters
        ----------
        t : ndarray of shape (V,)
            Finite. Used in single precision.

        Returns
        -------
        positive, negative : float
            The largest of the positive voxels, and minus the smallest of the negative ones; 0 where there are none.
        """
        voxels = len(self.cells.place)
        if not voxels:
            return 0.0, 0.0
        work = self._allocate(voxels // 4 + 4096) if self.work is None else self.work
        heights = self._scaled(t)
        while True:
            positive, negative = tfce_kernels.maximum(heights, self.volume, self.cells, self.integrand, work)
            if positive >= 0:
                return positive, negative
            # Rough maps have more links; there are never more than neighbours.
            work = self._allocate(4 * len(work.ends))

    def enhance(self, t: np.ndarray) -> np.ndarray:
        """Every voxel's integral, with the sign of its t.

        Parameters
        ----------
        t : ndarray of shape (V,)
            Finite. Used in single precision.

        Returns
        -------
        ndarray of shape (V,), float64
        """
        place, forward = self.cells.place, self.cells.forward
        out = np.zeros(len(place))
        if len(place):
            self.volume[place] = self._scaled(t)
            tfce_kernels.whole_map(self.volume, place, np.concatenate([-forward, forward]), self.integrand, out)
        return out


def enhance(
    t: np.ndarray, mask: np.ndarray, enhancement: Enhancement, df: float | None = None, columns: int = 1
) -> np.ndarray:
    """The exact TFCE map of one map of t.

    Parameters
    ----------
    t : ndarray of shape (V,)
        Statistic of each voxel of ``mask``, in C order; finite.
    mask : ndarray of bool, shape (X, Y, Z)
    enhancement : Enhancement
    df : float, optional
        Degrees of freedom of t; needed by the scale z.
    columns : int
        Columns tested; with several the map is of F.

    Returns
    -------
    ndarray of shape (V,), float64
        Negative where t is.
    """
    return Enhancer(mask, enhancement, df, columns).enhance(t)
