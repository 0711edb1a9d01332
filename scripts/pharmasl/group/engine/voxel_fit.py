"""A model fitted at every voxel whose design is the voxel's own, or of which several columns are tested at once.

With Z the columns that all voxels share beside the tested ones, C a voxel's own nuisance columns, and e the outcome's residual on
[Z, C], scaled to length 1, the residuals are permuted against the voxel's whole design (Freedman and Lane 1983, J Bus Econ Stat
1:292; Winkler et al. 2014, NeuroImage 92:381), each voxel's covariates among it. With X the tested columns without their projection
on Z, orthonormal, and C orthonormal and without theirs, a relabelling's products with e are

    b = X* . e  (common),   a = Q* . e  (common),   d = C* . e  (the voxel's own),

Q a basis of Z without the constant, the star for relabelled rows. With G = X'C and L L' = (I - G G')^-1, u = L'(b - G d) are the
coordinates of e on what the tested columns have beside all others, and

    F = (|u|^2 / q) / ((1 - |a|^2 - |d|^2 - |u|^2) / df),   of one column t = u sqrt(df / (1 - |a|^2 - |d|^2 - u^2)).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from pharmasl.group.engine import glm, orthonormal_columns, row_products, voxel_design, voxelwise_kernels
from pharmasl.group.engine.voxel_design import VoxelDesign
from pharmasl.group.engine.voxelwise_kernels import Relabelled, Voxels

_TILE = 512
# A voxel whose residuals are no longer than this share of its data does not vary.
_LEAST_OUTCOME = 1e-10
# A map whose deviations from its mean over the participants are all below this share of it is constant, in single precision.
_LEAST_MAP = 1e-7
# A column of which less than this share of its length lies outside the others is a combination of them.
LEAST_COLUMN = 1e-3
# The tested columns' variance must not be inflated more than this by the voxel's own covariates.
MOST_INFLATION = 100.0


@dataclass(frozen=True)
class LeftOut:
    """The voxels that cannot be tested, and why; a voxel counts for the first reason that it meets.

    Attributes
    ----------
    keep : ndarray of bool, shape (V,)
        Those that can.
    missing : dict of str to int
        Voxels where a map has no finite value for some participant, by map.
    constant : dict of str to int
        Voxels where a map is the same for all participants, by map.
    combination : int
        Voxels where a covariate is a combination of other columns.
    inflated : int
        Voxels whose covariates leave the tested columns less than 1 / :data:`MOST_INFLATION` of their variance.
    without_variance : int
        Voxels whose outcome does not vary once the nuisance is out.
    """

    keep: np.ndarray
    missing: dict[str, int]
    constant: dict[str, int]
    combination: int
    inflated: int
    without_variance: int


@dataclass(frozen=True, kw_only=True)
class Form:
    """Voxels in the form of the engine.

    Attributes
    ----------
    rows : ndarray of shape (W, 1 + k + r, n), float64
    mixing : ndarray of shape (q0, q0 + k, W), or (0, 0, W)
        As of :class:`pharmasl.group.engine.voxelwise_kernels.Voxels`.
    lengths : ndarray of shape (1 + k + r, 3, W)
        As of :func:`pharmasl.group.engine.orthonormal_columns.prepare`.
    own_gram : ndarray of shape (r, r, W)
        As of :func:`pharmasl.group.engine.orthonormal_columns.prepare`.
    kept_share : ndarray of shape (W,)
        Share of the tested columns' variance that the voxel's nuisance leaves, at worst.
    constant : dict of str to ndarray of bool, shape (W,)
        Where a map does not vary.
    """

    rows: np.ndarray
    mixing: np.ndarray
    lengths: np.ndarray
    own_gram: np.ndarray
    kept_share: np.ndarray
    constant: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class VoxelFit:
    """A model fitted at every voxel.

    Attributes
    ----------
    design : pharmasl.group.engine.voxel_design.VoxelDesign
    values : ndarray or memmap of shape (n, V)
        The outcome.
    maps : mapping of str to ndarray or memmap of shape (n, V)
    effect : ndarray of shape (V,)
        The tested coefficient; of several, the one that is largest in absolute value.
    height : ndarray of shape (V,)
        Student's t; of several columns F.
    scale : ndarray of shape (V,)
        Length of the tested column beside all others, so that effect / (t / scale) is the residual standard deviation; NaN
        where several are tested.
    mixing : ndarray of shape (q0, q0 + k, V), or (0, 0, V)
    """

    design: VoxelDesign
    values: np.ndarray
    maps: Mapping[str, np.ndarray]
    effect: np.ndarray
    height: np.ndarray
    scale: np.ndarray
    mixing: np.ndarray

    @property
    def voxels(self) -> int:
        """V."""
        return self.values.shape[1]

    @property
    def z(self) -> np.ndarray:
        """The standard normal quantile with the tail probability of t, or with the upper one of F."""
        return to_z(self.height, self.design)

    def form(self, start: int, stop: int) -> Form:
        """Some voxels in the form of the engine."""
        return form(self.design, self.values, self.maps, start, stop)


def to_z(height: np.ndarray, design: VoxelDesign) -> np.ndarray:
    """The z of t or F, ndarray of the shape of ``height``."""
    if design.columns == 1:
        return glm.t_to_z(height, design.df)
    return glm.f_to_z(height, design.columns, design.df)


def forming_height(design: VoxelDesign, p: float) -> float:
    """The cluster-forming height: the t with this p in one tail, or the F with this upper p."""
    if design.columns == 1:
        return float(special.stdtrit(design.df, 1 - p))
    return float(special.fdtri(design.columns, design.df, 1 - p))


def _double(values: np.ndarray, start: int, stop: int) -> np.ndarray:
    # A copy, contiguous whatever the layout of the data: it is overwritten.
    return np.array(values[:, start:stop], dtype=np.float64, order="C")


def form(design: VoxelDesign, values: np.ndarray, maps: Mapping[str, np.ndarray], start: int, stop: int) -> Form:
    """Some voxels in the form of the engine, from ``start`` to before ``stop``."""
    outcome, width = _double(values, start, stop), stop - start
    constant, centred = {}, {}
    for name in design.maps:
        centred[name], constant[name] = _double(maps[name], start, stop), np.empty(width, dtype=bool)
        orthonormal_columns.centre(centred[name], _LEAST_MAP, constant[name])
    n, q0, k = design.participants, design.tested.shape[1], design.nuisance
    columns = voxel_design.raw_columns(design, centred) if design.own else np.empty((0, n, width))
    rows, lengths = np.empty((width, 1 + design.own, n)), np.empty((1 + design.own, 3, width))
    gram, own_gram = np.empty((q0, k, width)), np.zeros((design.own_tested, design.own_tested, width))
    orthonormal_columns.prepare(outcome, columns, k, design.projector, design.tested, rows, lengths, gram, own_gram)
    mixing, share = _mixing(gram)
    # Of a combination of common and own columns the tested column depends on how the others are written.
    for own in lengths[1 + k :] if not design.mixed else ():
        share = np.minimum(share, np.divide(own[2], own[1], out=np.zeros(width), where=own[1] > 0) ** 2)
    return Form(rows=rows, mixing=mixing, lengths=lengths, own_gram=own_gram, kept_share=share, constant=constant)


def _mixing(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L' and -L'G of each voxel, side by side, and the least share of variance that is left to a tested column."""
    q0, k, width = gram.shape
    if not (q0 and k):
        return np.empty((0, 0, width)), np.ones(width)
    left = np.empty((width, q0, q0))
    for i in range(q0):
        for j in range(q0):
            left[:, i, j] = float(i == j)
            for c in range(k):
                left[:, i, j] -= gram[i, c] * gram[j, c]
    least = left[:, 0, 0] if q0 == 1 else np.linalg.eigvalsh(left)[:, 0]
    # What cannot be tested is left out: no voxel of them must stop the others.
    left[least < 1e-9] = np.eye(q0)
    upper = 1 / np.sqrt(left) if q0 == 1 else np.linalg.cholesky(np.linalg.inv(left)).transpose(0, 2, 1)
    mixing = np.zeros((q0, q0 + k, width))
    for i in range(q0):
        for j in range(i, q0):
            mixing[i, j] = upper[:, i, j]
            for c in range(k):
                mixing[i, q0 + c] -= upper[:, i, j] * gram[j, c]
    return mixing, least


def testable(design: VoxelDesign, values: np.ndarray, maps: Mapping[str, np.ndarray]) -> LeftOut:
    """Which voxels can be tested.

    Parameters
    ----------
    design : pharmasl.group.engine.voxel_design.VoxelDesign
    values : ndarray or memmap of shape (n, V)
        The outcome, finite.
    maps : mapping of str to ndarray or memmap of shape (n, V)
        Those of the design; NaN or infinite where missing.

    Returns
    -------
    LeftOut

    Raises
    ------
    ValueError
        If the outcome or a map has another shape, a map is not there, or the outcome is not finite.
    """
    n, voxels = design.participants, values.shape[-1]
    shapes = {"the outcome": values.shape, **{name: np.shape(maps[name]) for name in design.maps if name in maps}}
    wrong = [f"{name} {shape}" for name, shape in shapes.items() if shape != (n, voxels)]
    wrong += [f"no map {name}" for name in design.maps if name not in maps]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: a model of {n} participants and {voxels} voxels")
    keep = np.ones(voxels, dtype=bool)
    counts = np.zeros(3, dtype=np.int64)
    missing, constant = dict.fromkeys(design.maps, 0), dict.fromkeys(design.maps, 0)
    for start in range(0, voxels, _TILE):
        stop = min(start + _TILE, voxels)
        good = keep[start:stop]
        if not np.isfinite(values[:, start:stop]).all():
            raise ValueError("the outcome must be finite")
        finite = {}
        for name in design.maps:
            finite[name] = np.asarray(maps[name][:, start:stop], dtype=np.float64)
            there = np.isfinite(finite[name]).all(axis=0)
            missing[name] += int((good & ~there).sum())
            good &= there
            finite[name] = np.where(there, finite[name], 0.0)
        fitted = form(design, values[:, start:stop], finite, 0, stop - start)
        for name, flat in fitted.constant.items():
            constant[name] += int((good & flat).sum())
            good &= ~flat
        raw, _, beside = fitted.lengths.transpose(1, 0, 2)
        for number, bad in enumerate(
            (
                (beside[1:] < LEAST_COLUMN * raw[1:]).any(axis=0) | (raw[1:] == 0).any(axis=0),
                fitted.kept_share < 1 / MOST_INFLATION,
                beside[0] <= _LEAST_OUTCOME * raw[0],
            )
        ):
            counts[number] += int((good & bad).sum())
            good &= ~bad
    return LeftOut(keep, missing, constant, *(int(number) for number in counts))


def fit(design: VoxelDesign, values: np.ndarray, maps: Mapping[str, np.ndarray]) -> VoxelFit:
    """Fit the model at voxels that can all be tested.

    Parameters
    ----------
    design : pharmasl.group.engine.voxel_design.VoxelDesign
    values : ndarray or memmap of shape (n, V), float32 or float64
    maps : mapping of str to ndarray or memmap of shape (n, V)

    Returns
    -------
    VoxelFit
    """
    voxels, q0 = values.shape[1], design.tested.shape[1]
    effect, height = np.empty(voxels), np.empty(voxels)
    scale = np.full(voxels, np.nan)
    mixed = bool(q0 and design.nuisance)
    mixing = np.empty((q0, q0 + design.nuisance, voxels) if mixed else (0, 0, voxels))
    observed = relabelled(design, np.arange(design.participants, dtype=np.int32)[None], None, np.inf)
    for start in range(0, voxels, _TILE):
        part = slice(start, min(start + _TILE, voxels))
        own = form(design, values, maps, part.start, part.stop)
        coordinates = np.empty((design.columns, part.stop - start))
        voxelwise_kernels.observe(Voxels(own.rows, own.mixing, start), observed, height[part], coordinates)
        mixing[:, :, part] = own.mixing
        if design.columns == 1:
            shrunk = 1 / own.mixing[0, 0] if mixed else 1.0
            scale[part] = design.scale * shrunk if q0 else own.lengths[-1, 2]
            effect[part] = coordinates[0] * own.lengths[0, 2] / scale[part]
            continue
        estimates = _estimates(design, own, coordinates)
        effect[part] = np.take_along_axis(estimates, np.abs(estimates).argmax(axis=0)[None], axis=0)[0]
    return VoxelFit(design=design, values=values, maps=maps, effect=effect, height=height, scale=scale, mixing=mixing)


def _estimates(design: VoxelDesign, own: Form, coordinates: np.ndarray) -> np.ndarray:
    """All tested coefficients, ndarray of shape (q, W), from the coordinates of the outcome's residual of length 1."""
    q0, q = design.tested.shape[1], design.columns
    out = np.zeros(coordinates.shape)
    if q0:
        inner = coordinates
        if design.nuisance:
            inner = np.zeros(coordinates.shape)
            for i in range(q0):
                for j in range(i + 1):
                    inner[i] += own.mixing[j, i] * coordinates[j]
        for i in range(q0):
            for j in range(q0):
                out[i] += design.estimates[i, j] * inner[j]
        return out * own.lengths[0, 2]
    # The columns were made orthonormal one after the other: from the last on back.
    for i in reversed(range(q)):
        rest = coordinates[i] * own.lengths[0, 2]
        for j in range(i + 1, q):
            rest = rest - own.own_gram[i, j] * out[j]
        out[i] = rest / own.lengths[1 + design.nuisance + i, 2]
    return out


def relabelled(
    design: VoxelDesign, permutations: np.ndarray | None, signs: np.ndarray | None, threshold: float
) -> Relabelled:
    """The design under a batch of relabellings, in the form of the compiled loops.

    Parameters
    ----------
    design : pharmasl.group.engine.voxel_design.VoxelDesign
    permutations, signs : ndarray of shape (B, n), or None
        As of :class:`pharmasl.group.engine.relabelling.Relabellings`.
    threshold : float
        Cluster-forming height.
    """
    n = design.participants
    number = len(permutations if permutations is not None else signs)  # type: ignore[arg-type]
    orders = np.tile(np.arange(n, dtype=np.int32), (number, 1)) if permutations is None else permutations
    both = np.concatenate([design.tested, design.basis], axis=1)
    weights = both[orders].transpose(0, 2, 1)
    if signs is not None:
        weights = weights * signs[:, None]
        orders = orders + np.where(signs < 0, n, 0)
    filled = np.zeros((-(-number // row_products.ROWS) * row_products.ROWS, n), dtype=np.int32)
    filled[:number] = orders
    return Relabelled(
        np.ascontiguousarray(weights),
        filled,
        design.tested.shape[1],
        design.nuisance,
        design.columns,
        float(design.df),
        float(threshold),
    )
