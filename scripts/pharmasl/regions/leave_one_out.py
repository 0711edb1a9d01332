"""Values of a region defined by the same data: each participant's own value from the region found without them.

A region that is a cluster of a map is chosen because its voxels are related to the map's tested variable. A relation of its
mean CBF with that variable, or with anything that shares the choice, is then too large (Kriegeskorte et al. 2009,
doi 10.1038/nn.2303). Reading participant i from the cluster that is found again *without* participant i takes the bias
out of the estimate (Esterman et al. 2010, doi 10.1016/j.neuroimage.2009.10.085), but not out of its p: the values of
different participants share most of the data that chose their regions, so that they are dependent, and the textbook p of
their correlation is too small. The p here comes from permuting the whole procedure, the choice of the region
included. Which permutation answers the question follows from the hypothesis:

- The region was chosen by the tested variable itself (the arm's cluster, and does its CBF change differ between arms;
  the craving map's cluster, and is its CBF related to craving): permute that variable and choose anew each time
  (:func:`permutation_test`).
- The region was chosen by the arm or by a seed, and is tested against craving, which took no part in the choice: the
  regions stay, and craving is permuted *within arms* with the arm as nuisance, as :mod:`pharmasl.endpoints.correlations`
  always does. CBF and craving both carry the effect of treatment, which a correlation over both arms that is not adjusted
  for arm would show once more.

Maps without a participant are not refitted but updated: with leverage h_i and residual e_i of the full fit the
coefficient falls by ``(X'X)^-1 x_i e_i / (1 - h_i)`` and the residual sum of squares by ``e_i^2 / (1 - h_i)``. Of permuted
maps only the voxels are fitted that could exceed the choice's threshold in one of them (:class:`Screen`): about one in fifty, and one in twenty where a covariate is a nuisance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from pharmasl.group.engine import clusters

# A correlation needs at least this many values.
MINIMUM_VALUES = 4


# Permutations whose bounds are computed in one product of matrices.
BLOCK = 16


class Chooser(Protocol):
    """Chooses a region from a map of t, and finds it again in a map without one participant.

    A map is given by some of its voxels: ``voxels`` are their indices, ascending, and ``t`` is of the same shape. The others
    do not exceed ``least``. A region is given by its positions in ``voxels``.

    Attributes
    ----------
    least : float
        Height of |t| that a voxel must exceed to be chosen.
    """

    least: float

    def full(self, t: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        """The region in the map of all participants, empty if there is none."""

    def again(self, t: np.ndarray, voxels: np.ndarray, first: np.ndarray, sign: float) -> np.ndarray:
        """The region in a map without one participant; ``first`` and ``sign`` are those of all."""


@dataclass(frozen=True)
class Regions:
    """Where each participant's value was read.

    Attributes
    ----------
    values : ndarray of shape (n,)
        NaN where no region was found without the participant.
    regions : list of ndarray of int
        Each participant's voxels.
    overlap : ndarray of shape (n,)
        Dice coefficient of each with the region found in all participants.
    first : ndarray of int
        Voxels of that region.
    sign : float
        Sign of t in it.
    """

    values: np.ndarray
    regions: list[np.ndarray]
    overlap: np.ndarray
    first: np.ndarray
    sign: float


@dataclass(frozen=True)
class Correlation:
    """A partial correlation, its two-sided p by the t distribution, and the number of values."""

    r: float
    p: float
    n: int


@dataclass(frozen=True)
class Result:
    """A correlation over left-out values.

    Attributes
    ----------
    r, p : float
        The correlation and its permutation p.
    p_naive : float
        The textbook p, which is too small.
    n : int
        Number of values.
    null : ndarray of shape (permutations,)
        Correlations in the permuted data, signed by the direction of the region.
    """

    r: float
    p: float
    p_naive: float
    n: int
    null: np.ndarray


class Updates:
    """Student's t of one regressor in all participants and without each of them.

    Parameters
    ----------
    x : ndarray of shape (n,)
        The tested variable.
    nuisance : ndarray of shape (n, k)
        The others, the intercept among them.

    Raises
    ------
    ValueError
        If the columns are dependent, also without a participant (whose leverage is then 1), or leave no residuals.
    """

    def __init__(self, x: np.ndarray, nuisance: np.ndarray) -> None:
        matrix = np.column_stack([x, nuisance]).astype(np.float64)
        self.n, self.p = matrix.shape
        if self.n - self.p < 2 or np.linalg.matrix_rank(matrix) < self.p:
            raise ValueError(
                f"a design of {self.n} participants and {self.p} columns has too few participants to leave one out"
            )
        self.matrix = matrix
        self.inverse = np.linalg.inv(matrix.T @ matrix)
        self.projector = self.inverse @ matrix.T
        self.leverage = (matrix * self.projector.T).sum(axis=1)
        if (self.leverage > 1 - 1e-10).any():
            raise ValueError("without one participant the design has dependent columns")

    def fit(self, data: np.ndarray) -> np.ndarray:
        """Fit the maps (n, V), keep what the updates need, and return t of all participants, (V,)."""
        coefficients = self.projector @ data
        self.b = coefficients[0]
        self.residual = data - self.matrix @ coefficients
        self.rest = (self.residual**2).sum(axis=0)
        return _t(self.b, self.rest / (self.n - self.p) * self.inverse[0, 0])

    def without(self, i: int) -> np.ndarray:
        """Student's t without participant i, (V,), with n - 1 - p degrees of freedom."""
        left, e = 1 - self.leverage[i], self.residual[i]
        b = self.b - self.projector[0, i] / left * e
        rest = np.maximum(self.rest - e * e / left, 0)
        variance = self.inverse[0, 0] + self.projector[0, i] ** 2 / left
        return _t(b, rest * (variance / (self.n - 1 - self.p)))


def _t(b: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Coefficients over their standard errors; 0 where there is no variance."""
    return np.divide(b, np.sqrt(variance), out=np.zeros_like(b), where=variance > 0)


class Screen:
    """Which voxels of permuted maps can exceed a height of |t|, with all participants or without one of them.

    Let x be the tested variable less what the nuisance explains of it, e_i a permuted map's residuals from the nuisance, W
    their sum of squares and h_i the nuisance's leverages. Without participant i, t^2 > c^2 is

        (x'e - x_i e_i / (1 - h_i))^2 > k (x'x - x_i^2 / (1 - h_i)) (W - e_i^2 / (1 - h_i)),   k = c^2 / (df + c^2)

    (the participant as one more nuisance column). A bound of all |e_i| thus bounds every participant's t at once; it follows
    from the largest value of the map, which a permutation does not change, and the map's products with the nuisance.

    Parameters
    ----------
    updates : Updates
        The model.
    maps : ndarray of shape (n, V)
        Not permuted.
    least : float
        The height c.
    """

    def __init__(self, updates: Updates, maps: np.ndarray, least: float) -> None:
        x, nuisance = updates.matrix[:, 0], updates.matrix[:, 1:]
        basis = np.linalg.qr(nuisance)[0]
        adjusted = x - basis @ (basis.T @ x)
        self.rows = np.column_stack([adjusted, basis]).T.astype(maps.dtype)
        self.maps = maps
        self.largest = np.abs(maps).max(axis=0)
        self.total = np.einsum("iv,iv->v", maps, maps)
        rest = 1 - (basis**2).sum(axis=1)
        self.reach = float((np.abs(adjusted) / rest).max())
        self.share = float((1 / rest).max())
        self.basis_norm = float(np.sqrt(1 - rest.min()))
        k = least**2 / (updates.n - 1 - updates.p + least**2)
        # What a single participant leaves of x'x; the last factor is for the products' rounding.
        self.bar = k * float((adjusted @ adjusted - adjusted**2 / rest).min()) * (1 - 1e-3)

    def candidates(self, orders: np.ndarray) -> Iterator[np.ndarray]:
        """For each order of the participants, shape (K, n), the voxels that can exceed the height, ascending."""
        for start in range(0, len(orders), BLOCK):
            block = orders[start : start + BLOCK]
            weights = np.empty((len(block), *self.rows.shape), dtype=self.maps.dtype)
            for rows, order in zip(weights, block):
                rows[:, order] = self.rows
            products = weights.reshape(-1, self.rows.shape[1]) @ self.maps
            for product in products.reshape(*weights.shape[:2], -1):
                explained = np.einsum("kv,kv->v", product[1:], product[1:])
                largest = self.largest + self.basis_norm * np.sqrt(explained)
                least = np.maximum(self.total - explained - self.share * largest**2, 0)
                yield np.flatnonzero((np.abs(product[0]) + self.reach * largest) ** 2 >= self.bar * least)


class Cluster:
    """Chooses cluster ``rank`` of a map and, in a map without one participant, the cluster that overlaps it most.

    If no cluster overlaps, the largest cluster of the same sign takes its place.

    Parameters
    ----------
    lattice : clusters.Lattice
    threshold : float
        Height of |t| that forms clusters in the map of all participants.
    threshold_without : float
        The same for maps without a participant, which have one degree of freedom less.
    rank : int
        Number of the cluster, 1 for the largest.
    """

    def __init__(self, lattice: clusters.Lattice, threshold: float, threshold_without: float, rank: int = 1) -> None:
        self.neighbourhood, self.rank = lattice.neighbourhood(), rank
        self.threshold, self.threshold_without = threshold, threshold_without
        self.least = min(threshold, threshold_without)

    def _clusters(self, t: np.ndarray, voxels: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the voxels beyond the threshold, and the number of each one's cluster, 1 the largest."""
        above = np.flatnonzero(np.abs(t) > threshold)
        return above, clusters.label_voxels(voxels[above], t[above], self.neighbourhood)[0]

    def full(self, t: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        """The region in all participants, empty if there is none."""
        above, labels = self._clusters(t, voxels, self.threshold)
        return above[labels == self.rank]

    def again(self, t: np.ndarray, voxels: np.ndarray, first: np.ndarray, sign: float) -> np.ndarray:
        """The region in a map without one participant."""
        above, labels = self._clusters(t, voxels, self.threshold_without)
        same = sign * t[above] > 0
        inside = np.zeros(len(t), dtype=bool)
        inside[first] = True
        overlapping = labels[same & inside[above]]
        if len(overlapping):
            return above[labels == np.bincount(overlapping).argmax()]
        # Clusters are numbered by size.
        return above[labels == labels[same].min()] if same.any() else above[:0]


def left_out(
    data: np.ndarray,
    x: np.ndarray,
    nuisance: np.ndarray,
    chooser: Chooser,
    read: np.ndarray | None = None,
) -> Regions | None:
    """Each participant's mean over the region found without them.

    Parameters
    ----------
    data : ndarray of shape (n, V)
        The maps that define the region, such as changes in CBF.
    x : ndarray of shape (n,)
        The variable whose map defines it.
    nuisance : ndarray of shape (n, k)
        With the intercept.
    chooser : Chooser
    read : ndarray of shape (n, V) or (n, V, m), optional
        Maps in which to read; without it, ``data``.

    Returns
    -------
    Regions or None
        None if the map of all participants has no such region. ``values`` is (n,) or (n, m).
    """
    updates = Updates(x, nuisance)
    t = updates.fit(data)
    return _read(updates, t, chooser, np.arange(len(t)), data if read is None else read)


def _read(updates: Updates, t: np.ndarray, chooser: Chooser, voxels: np.ndarray, read: np.ndarray) -> Regions | None:
    """The regions of a map that is fitted at some voxels, as positions in these, and each participant's mean over their own."""
    first = chooser.full(t, voxels)
    if not len(first):
        return None
    sign = float(np.sign(t[first[0]]))
    n = updates.n
    values = np.full((n, *read.shape[2:]), np.nan)
    regions, overlap = [], np.zeros(n)
    member = np.zeros(len(t), dtype=bool)
    member[first] = True
    for i in range(n):
        region = chooser.again(updates.without(i), voxels, first, sign)
        regions.append(region)
        if len(region):
            values[i] = read[i, region].mean(axis=0, dtype=np.float64)
            overlap[i] = 2 * member[region].sum() / (len(region) + len(first))
    return Regions(values, regions, overlap, first, sign)


def _partial(x: np.ndarray, values: np.ndarray, nuisance: np.ndarray) -> tuple[float, int]:
    """Partial correlation of x with values given nuisance (with intercept), and the number of values; 0 for too few."""
    known = np.isfinite(values)
    n = int(known.sum())
    if n < max(MINIMUM_VALUES, nuisance.shape[1] + 3):
        return 0.0, n
    vectors, singular, _ = np.linalg.svd(nuisance[known], full_matrices=False)
    basis = vectors[:, singular > 1e-10 * singular[0]]
    both = np.stack([x[known], values[known]], axis=1)
    both = both - basis @ (basis.T @ both)
    size = (both**2).sum(axis=0)
    return (float(both[:, 0] @ both[:, 1] / np.sqrt(size.prod())) if (size > 0).all() else 0.0), n


def correlation(x: np.ndarray, values: np.ndarray, nuisance: np.ndarray) -> Correlation:
    """Partial correlation with its p by the t distribution, as if the data had not chosen the region.

    Parameters
    ----------
    x, values : ndarray of shape (n,)
        ``values`` may hold NaN.
    nuisance : ndarray of shape (n, k)
        With the intercept.

    Returns
    -------
    Correlation
        p is NaN where no degrees of freedom are left.
    """
    r, n = _partial(x, values, nuisance)
    df = n - 1 - nuisance.shape[1]
    p = float(2 * stdtr(df, -abs(r) * np.sqrt(df / max(1 - r * r, 1e-300)))) if df > 0 else np.nan
    return Correlation(r, p, n)


def permutation_test(
    data: np.ndarray,
    x: ArrayLike,
    nuisance: ArrayLike,
    chooser: Chooser,
    permutations: int,
    seed: int,
    strata: ArrayLike | None = None,
) -> Result:
    """Test a variable against the CBF of the region that it defined itself, permuting choice and test together.

    The nuisance is taken out of the maps once; then the participants' residual maps are permuted among themselves
    (Freedman & Lane 1983; with an intercept alone, or with strata that are columns of the nuisance, the test is exact).
    For each order the map is fitted, the region chosen, found again without each participant, and x correlated with
    the values so read, all alike. An order that yields no region has a correlation of 0.

    The alternative is one-sided in the direction that the region was chosen for: r is signed by it, so that a relation
    that the left-out values do not confirm (r below 0) counts against the hypothesis.

    Parameters
    ----------
    data : ndarray of shape (n, V)
    x : array_like of shape (n,)
        Craving, or the arm.
    nuisance : array_like of shape (n, k)
        With the intercept.
    chooser : Chooser
    permutations : int
        Random orders in addition to the observed one.
    seed : int
    strata : array_like of shape (n,), optional
        Participants are permuted within these only.

    Returns
    -------
    Result
        ``r`` is NaN, and so are both p, if the observed map has no such region.
    """
    x = np.asarray(x, dtype=np.float64)
    nuisance = np.asarray(nuisance, dtype=np.float64)
    residual = (data - nuisance @ (np.linalg.pinv(nuisance) @ data)).astype(data.dtype)
    updates = Updates(x, nuisance)
    rng = np.random.default_rng(seed)
    labels = np.zeros(len(x)) if strata is None else np.asarray(strata)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    # A voxel's values lie together, since few voxels are read of each order.
    by_voxel = np.ascontiguousarray(residual.T)
    orders = np.tile(np.arange(len(x)), (permutations + 1, 1))
    for order in orders[1:]:
        for members in groups:
            order[members] = rng.permutation(members)

    def statistic(order: np.ndarray, voxels: np.ndarray) -> tuple[Correlation, float] | None:
        """The correlation over left-out values and the sign of the region; None without a region."""
        maps = np.ascontiguousarray(by_voxel[voxels][:, order].T)
        regions = _read(updates, updates.fit(maps), chooser, voxels, maps)
        return None if regions is None else (correlation(x, regions.values, nuisance), regions.sign)

    results = map(statistic, orders, Screen(updates, by_voxel.T, chooser.least).candidates(orders))
    observed = next(results)
    if observed is None:
        return Result(np.nan, np.nan, np.nan, 0, np.empty(0))
    null = np.array([0.0 if permuted is None else permuted[1] * permuted[0].r for permuted in results])
    test, sign = observed
    reached = int((null >= sign * test.r - 1e-12).sum())
    return Result(test.r, (reached + 1) / (permutations + 1), test.p, test.n, null)
