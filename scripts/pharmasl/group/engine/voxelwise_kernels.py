"""The compiled loops of models of which several columns are tested, or columns differ from voxel to voxel.

They stand in one module because numba's file cache does not notice when a function of *another* module changes.

As in :mod:`pharmasl.group.engine.kernels`, what decides is computed in double precision with sums in one fixed order; products in
low precision only screen.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from pharmasl.group.engine.kernels import Found

# Smallest residual share of variance: keeps a statistic finite where a model fits a voxel perfectly.
_LEAST = 1e-14
# What rounding may do to the sums of the screen itself, in single precision.
_SLACK = np.float32(4e-6)


class Relabelled(NamedTuple):
    """A model under a batch of relabellings.

    Attributes
    ----------
    weights : ndarray of shape (B, q0 + m, n), float64
        Of the tested columns that all voxels share, then of the basis of the common nuisance columns.
    orders : ndarray of shape (B', n), int32
        Row of the voxelwise columns that participant i's outcome meets; n more where its sign is flipped. B' is B filled up
        to a multiple of :data:`pharmasl.group.engine.row_products.ROWS`.
    tested : int
        q0.
    nuisance : int
        Voxelwise nuisance columns, k.
    columns : int
        All columns tested, q; one makes a t, several an F.
    df, threshold : float
        Residual degrees of freedom; cluster-forming height, infinite for none.
    """

    weights: np.ndarray
    orders: np.ndarray
    tested: int
    nuisance: int
    columns: int
    df: float
    threshold: float


class Voxels(NamedTuple):
    """Some voxels, in double precision.

    Attributes
    ----------
    rows : ndarray of shape (W, 1 + k + r, n)
        The outcome's residual, the voxelwise nuisance columns and the voxelwise tested columns, each of length 1.
    mixing : ndarray of shape (q0, q0 + k, W), or (0, 0, W) where the products stand for themselves
        What makes orthonormal coordinates of the common tested columns' and the nuisance columns' products.
    first : int
        Index of the first of these voxels.
    """

    rows: np.ndarray
    mixing: np.ndarray
    first: int


class Screened(NamedTuple):
    """Products in low precision, and how far they may be off.

    Attributes
    ----------
    common : ndarray of shape ((q0 + m) * B or more, W), float32 or int32
        Of each common weight and permutation, for W voxels.
    row_scale, scale : ndarray of shape ((q0 + m) * B,) and (W,), float32
        What they are to be multiplied with.
    delta : ndarray of shape (W,), float32
        How far such a product may be off.
    own : ndarray of shape (k + r, B', W or more), float32 or int32
        Products with the voxelwise columns.
    own_scale, own_delta : float32
        What these are to be multiplied with, and how far they may be off then.
    """

    common: np.ndarray
    row_scale: np.ndarray
    scale: np.ndarray
    delta: np.ndarray
    own: np.ndarray
    own_scale: np.float32
    own_delta: np.float32


@njit(cache=True, nogil=True, fastmath={"contract"})
def _product(row, weight):
    total = 0.0
    for i in range(row.size):
        total += weight[i] * row[i]
    return total


@njit(cache=True, nogil=True, fastmath={"contract"})
def _product_of(column, outcome, order):
    total = 0.0
    n = outcome.size
    for i in range(n):
        j = order[i]
        own = column[j] if j < n else -column[j - n]
        total += own * outcome[i]
    return total


# Functions of their own: in callers that may contract a product and a sum into one rounding these stay two.
@njit(cache=True, nogil=True)
def _without(rest, c):
    return rest - c * c


@njit(cache=True, nogil=True)
def _with(total, factor, value):
    return total + factor * value


# As C divides: a check for 0 at every voxel would keep the loop from being vectorised.
@njit(cache=True, nogil=True, error_model="numpy")
def _height(value, explained, rest, columns, df):
    """T of one coordinate ``value``, or F of the sum of squares ``explained`` by several."""
    left = max(rest - explained, _LEAST)
    return value * np.sqrt(df / left) if columns == 1 else explained / left * (df / columns)


@njit(cache=True, nogil=True)
def statistic(
    rows: np.ndarray,
    mixing: np.ndarray,
    relabelled: Relabelled,
    p: int,
    products: np.ndarray,
    coordinates: np.ndarray,
) -> float:
    """The statistic of a voxel under relabelling p: t, or F.

    Parameters
    ----------
    rows : ndarray of shape (1 + k + r, n)
        As of :class:`Voxels`.
    mixing : ndarray of shape (q0, q0 + k) or (0, 0)
    relabelled : Relabelled
    p : int
    products : ndarray of shape (q0 + k,)
        Work space.
    coordinates : ndarray of shape (q,)
        Filled: of the outcome's residual, on what the tested columns have beside all others.
    """
    weights, order = relabelled.weights[p], relabelled.orders[p]
    tested, nuisance = relabelled.tested, relabelled.nuisance
    rest, explained, value = 1.0, 0.0, 0.0
    for j in range(tested, weights.shape[0]):
        rest = _without(rest, _product(rows[0], weights[j]))
    for j in range(tested):
        products[j] = _product(rows[0], weights[j])
    for j in range(nuisance):
        products[tested + j] = _product_of(rows[1 + j], rows[0], order)
        rest = _without(rest, products[tested + j])
    for j in range(tested):
        value = products[j]
        if mixing.shape[0]:
            value = 0.0
            for c in range(mixing.shape[1]):
                value = _with(value, mixing[j, c], products[c])
        explained = _with(explained, value, value)
        coordinates[j] = value
    for j in range(1 + nuisance, rows.shape[0]):
        value = _product_of(rows[j], rows[0], order)
        explained = _with(explained, value, value)
        coordinates[tested + j - 1 - nuisance] = value
    return _height(value, explained, rest, relabelled.columns, relabelled.df)


@njit(cache=True, nogil=True)
def observe(voxels: Voxels, relabelled: Relabelled, height: np.ndarray, coordinates: np.ndarray) -> None:
    """Fill ``height`` (W,) and ``coordinates`` (q, W) of the first relabelling, the observed labelling."""
    products, own = np.empty(relabelled.tested + relabelled.nuisance), np.empty(relabelled.columns)
    for v in range(voxels.rows.shape[0]):
        height[v] = statistic(voxels.rows[v], voxels.mixing[:, :, v], relabelled, 0, products, own)
        coordinates[:, v] = own


@njit(cache=True, nogil=True)
def _keep(kept, p, voxel, height):
    """Take a voxel's height into account; returns which of the extremes it is, or -1."""
    which = -1
    if height > kept.extremes[p, 0]:
        kept.extremes[p, 0], which = height, 0
    elif height < kept.extremes[p, 1]:
        kept.extremes[p, 1], which = height, 1
    return which


@njit(cache=True, nogil=True)
def _store(kept, p, voxel, height):
    if kept.counts[p] < kept.voxels.shape[1]:
        kept.voxels[p, kept.counts[p]] = voxel
        kept.t[p, kept.counts[p]] = height
    kept.counts[p] += 1


@njit(cache=True, nogil=True, fastmath=True)
def _take_common(product, scale_of_row, scale, delta, rest):
    for j in range(rest.size):
        most = abs(np.float32(product[j]) * (scale_of_row * scale[j])) + delta[j]
        rest[j] -= most * most


@njit(cache=True, nogil=True, fastmath=True)
def _take_own(product, scale, delta, rest):
    for j in range(rest.size):
        most = abs(np.float32(product[j]) * scale) + delta
        rest[j] -= most * most


@njit(cache=True, nogil=True, fastmath=True)
def _start_own(product, scale, delta, rest):
    for j in range(rest.size):
        most = abs(np.float32(product[j]) * scale) + delta
        rest[j] = (np.float32(1) - _SLACK) - most * most


@njit(cache=True, nogil=True, fastmath=True)
def _add_common_square(product, scale_of_row, scale, off, most):
    for j in range(most.size):
        size = abs(np.float32(product[j]) * (scale_of_row * scale[j])) + off[j]
        most[j] += size * size


@njit(cache=True, nogil=True, fastmath=True)
def _mix_common(product, scale_of_row, scale, factor, value):
    for j in range(value.size):
        value[j] += factor[j] * (np.float32(product[j]) * (scale_of_row * scale[j]))


@njit(cache=True, nogil=True, fastmath=True)
def _mix_own(product, scale, factor, value):
    for j in range(value.size):
        value[j] += factor[j] * (np.float32(product[j]) * scale)


@njit(cache=True, nogil=True, fastmath=True)
def _mix_two(common, scale_of_row, scale, own, own_scale, factors, value):
    """The coordinate of one common tested column beside one column of the voxel's own."""
    first, second = factors[0], factors[1]
    for j in range(value.size):
        value[j] = first[j] * (np.float32(common[j]) * (scale_of_row * scale[j]))
        value[j] += second[j] * (np.float32(own[j]) * own_scale)


@njit(cache=True, nogil=True, fastmath=True)
def _add_square(value, off, most):
    for j in range(value.size):
        size = abs(value[j]) + off[j]
        most[j] += size * size


@njit(cache=True, nogil=True, fastmath=True)
def _may(value, off, rest, positive, negative):
    """Whether a voxel's t may surpass what matters."""
    limit = positive if value > np.float32(0) else negative
    # Where the sign is not certain, the lower of the two limits.
    limit = limit if abs(value) > off else min(positive, negative)
    size = abs(value) + off
    return size * size + _SLACK >= limit * rest


@njit(cache=True, nogil=True, fastmath=True)
def _matters(value, off, rest, positive, negative):
    """Whether any voxel's t of a stretch may; a set of bits is reduced faster than a maximum."""
    hit = np.int32(0)
    for j in range(value.size):
        hit |= np.int32(_may(value[j], off[j], rest[j], positive, negative))
    return hit != 0


@njit(cache=True, nogil=True, fastmath=True)
def _matters_beside(screened, p, factors, bounds, positive, negative):
    """The same of one common tested column beside one column of the voxel's own, which is not yet out of the rest."""
    _, off, _, rest = bounds
    common, scale_of_row, scale = screened.common[p], screened.row_scale[p], screened.scale
    own, own_scale, own_delta = screened.own[0, p], screened.own_scale, screened.own_delta
    first, second = factors[0], factors[1]
    hit = np.int32(0)
    for j in range(off.size):
        product = np.float32(own[j]) * own_scale
        value = first[j] * (np.float32(common[j]) * (scale_of_row * scale[j])) + second[j] * product
        most = abs(product) + own_delta
        hit |= np.int32(_may(value, off[j], rest[j] - most * most, positive, negative))
    return hit != 0


@njit(cache=True, nogil=True)
def _holds_nothing(screened, mixing, relabelled, p, bounds, limits):
    """Whether nothing of a tile matters under relabelling p: without any bounds stored, where one column is beside one."""
    rest, permutations = bounds[3], relabelled.weights.shape[0]
    rest[:] = np.float32(1) - _SLACK
    for j in range(1, relabelled.weights.shape[1]):
        q = p + permutations * j
        _take_common(screened.common[q, : rest.size], screened.row_scale[q], screened.scale, screened.delta, rest)
    return not _matters_beside(screened, p, mixing[0], bounds, limits[0], limits[1])


@njit(cache=True, nogil=True, fastmath=True)
def _matters_of_several(most, rest, limit):
    """Whether any voxel's F of a stretch may."""
    hit = np.int32(0)
    for j in range(most.size):
        hit |= np.int32(most[j] >= limit * rest[j])
    return hit != 0


@njit(cache=True, nogil=True)
def _any(bounds, part, columns, positive, negative):
    value, off, most, rest = bounds
    if columns > 1:
        return _matters_of_several(most[part], rest[part], positive)
    return _matters(value[part], off[part], rest[part], positive, negative)


@njit(cache=True, nogil=True)
def _offsets(screened, mixing, tested, nuisance, offsets):
    """Fill ``offsets`` (q0 + 1, W): how far each tested coordinate may be off, that of the voxel's own columns last."""
    offsets[tested, :] = screened.own_delta
    for j in range(tested):
        for v in range(offsets.shape[1]):
            if not mixing.shape[0]:
                offsets[j, v] = screened.delta[v]
                continue
            total = np.float32(0)
            for c in range(tested):
                total += abs(mixing[j, c, v]) * (screened.delta[v] + _SLACK)
            for c in range(nuisance):
                total += abs(mixing[j, tested + c, v]) * (screened.own_delta + _SLACK)
            offsets[j, v] = total


@njit(cache=True, nogil=True)
def _least_rest(screened, relabelled, p, rest):
    """What is left of the outcome's sum of squares, at least, once relabelled nuisance columns are out."""
    permutations, width = relabelled.weights.shape[0], rest.size
    tested, nuisance = relabelled.tested, relabelled.nuisance
    if nuisance:
        _start_own(screened.own[0, p, :width], screened.own_scale, screened.own_delta, rest)
    else:
        rest[:] = np.float32(1) - _SLACK
    for j in range(1, nuisance):
        _take_own(screened.own[j, p, :width], screened.own_scale, screened.own_delta, rest)
    for j in range(tested, relabelled.weights.shape[1]):
        q = p + permutations * j
        _take_common(screened.common[q, :width], screened.row_scale[q], screened.scale, screened.delta, rest)


@njit(cache=True, nogil=True)
def _bounds(screened, mixing, relabelled, p, offsets, bounds):
    """Bounds of relabelling p's coordinates: the last one, how far it may be off, most of what is explained, least rest."""
    value, off, most, rest = bounds
    permutations, width = relabelled.weights.shape[0], rest.size
    tested, nuisance, several = relabelled.tested, relabelled.nuisance, relabelled.columns > 1
    _least_rest(screened, relabelled, p, rest)
    if tested == 1 and nuisance == 1 and not several:
        own, own_scale = screened.own[0, p, :width], screened.own_scale
        _mix_two(screened.common[p, :width], screened.row_scale[p], screened.scale, own, own_scale, mixing[0], value)
        return
    most[:] = _SLACK
    if several and not mixing.shape[0]:
        for j in range(tested):
            q = p + permutations * j
            common = screened.common[q, :width]
            _add_common_square(common, screened.row_scale[q], screened.scale, screened.delta, most)
        tested = 0
    for j in range(tested):
        off[:], value[:] = offsets[j], np.float32(0)
        for c in range(tested):
            q = p + permutations * c
            if mixing.shape[0]:
                _mix_common(screened.common[q, :width], screened.row_scale[q], screened.scale, mixing[j, c], value)
            elif c == j:
                _scaled(screened.common[q, :width], screened.row_scale[q], screened.scale, value)
        for c in range(nuisance):
            _mix_own(screened.own[c, p, :width], screened.own_scale, mixing[j, tested + c], value)
        if several:
            _add_square(value, off, most)
    for j in range(nuisance, screened.own.shape[0]):
        off[:] = offsets[relabelled.tested]
        for v in range(width):
            value[v] = np.float32(screened.own[j, p, v]) * screened.own_scale
        if several:
            _add_square(value, off, most)


@njit(cache=True, nogil=True, fastmath=True)
def _scaled(product, scale_of_row, scale, value):
    for j in range(value.size):
        value[j] = np.float32(product[j]) * (scale_of_row * scale[j])


@njit(cache=True, nogil=True)
def screen(
    screened: Screened,
    mixing: np.ndarray,
    ceiling: float | np.floating,
    voxels: Voxels,
    relabelled: Relabelled,
    kept: Found,
    best: np.ndarray,
    work: np.ndarray,
) -> None:
    """Decide, for each permutation, the voxels of a tile that may be its maximum or in a cluster.

    Parameters
    ----------
    screened : Screened
    mixing : ndarray of shape (q0, q0 + k, W) or (0, 0, W), float32
        As of :class:`Voxels`.
    ceiling : float32
        Share of the rest that is explained at the cluster-forming threshold.
    voxels : Voxels
    relabelled : Relabelled
    kept : pharmasl.group.engine.kernels.Found
        Updated.
    best : ndarray of shape (B, 2), float32
        Lower bounds of the largest such share among positive and negative values; updated.
    work : ndarray of shape (q0 + 5, W) or more, float32
        Work space.
    """
    columns, df, threshold, tested = relabelled.columns, relabelled.df, relabelled.threshold, relabelled.tested
    width, block = voxels.rows.shape[0], 64
    value, off, most, rest = work[0, :width], work[1, :width], work[2, :width], work[3, :width]
    offsets = work[4 : 5 + tested, :width]
    _offsets(screened, mixing, tested, relabelled.nuisance, offsets)
    off[:] = offsets[0]
    bounds, whole = (value, off, most, rest), slice(0, width)
    products, coordinates = np.empty(tested + relabelled.nuisance), np.empty(columns)
    # Where clusters are formed most tiles hold something: there all bounds are made at once.
    alone = tested == 1 and relabelled.nuisance == 1 and columns == 1 and ceiling > np.float32(1)
    for p in range(relabelled.weights.shape[0]):
        if alone and _holds_nothing(screened, mixing, relabelled, p, bounds, best[p]):
            continue
        _bounds(screened, mixing, relabelled, p, offsets, bounds)
        # Most tiles hold nothing that matters; the others are searched in blocks.
        if not _any(bounds, whole, columns, min(ceiling, best[p, 0]), min(ceiling, best[p, 1])):
            continue
        for start in range(0, width, block):
            part = slice(start, min(start + block, width))
            if not _any(bounds, part, columns, min(ceiling, best[p, 0]), min(ceiling, best[p, 1])):
                continue
            for j in range(part.start, part.stop):
                if not _any(bounds, slice(j, j + 1), columns, min(ceiling, best[p, 0]), min(ceiling, best[p, 1])):
                    continue
                height = statistic(voxels.rows[j], voxels.mixing[:, :, j], relabelled, p, products, coordinates)
                which = _keep(kept, p, voxels.first + j, height)
                if which >= 0:
                    ratio = height * height if columns == 1 else columns * height
                    best[p, which] = np.float32(ratio / (df + ratio) * (1 - 1e-6))
                if abs(height) > threshold:
                    _store(kept, p, voxels.first + j, height)


@njit(cache=True, nogil=True)
def _take_square(rest, values):
    for j in range(rest.size):
        rest[j] = _without(rest[j], values[j])


@njit(cache=True, nogil=True)
def _add_product(total, factor, values):
    for j in range(total.size):
        total[j] = _with(total[j], factor[j], values[j])


@njit(cache=True, nogil=True)
def _fill_heights(value, explained, rest, columns, df, height):
    for j in range(value.size):
        height[j] = _height(value[j], explained[j], rest[j], columns, df)


@njit(cache=True, nogil=True)
def whole_maps(
    voxels: Voxels, relabelled: Relabelled, common: np.ndarray, own: np.ndarray, kept: Found, maps: np.ndarray
) -> None:
    """The statistic of every voxel of a tile and permutation; the bits are those of :func:`screen`.

    Parameters
    ----------
    voxels : Voxels
    relabelled : Relabelled
    common : ndarray of shape (B * (q0 + m), W), float64
        Products of each permutation's weights, one permutation after the other.
    own : ndarray of shape (k + r, B', W), float64
        Products with the voxelwise columns.
    kept : pharmasl.group.engine.kernels.Found
        Updated.
    maps : ndarray of shape (B, V), float32
        Filled from the tile's first voxel on.
    """
    mixing, tested, nuisance = voxels.mixing, relabelled.tested, relabelled.nuisance
    permutations, terms, width = relabelled.weights.shape[0], relabelled.weights.shape[1], voxels.rows.shape[0]
    work = np.empty((4, width))
    value, explained, rest, height = work[0], work[1], work[2], work[3]
    for p in range(permutations):
        rest[:], explained[:], value[:] = 1.0, 0.0, 0.0
        for j in range(tested, terms):
            _take_square(rest, common[p * terms + j, :width])
        for c in range(nuisance):
            _take_square(rest, own[c, p, :width])
        for j in range(tested):
            if mixing.shape[0]:
                value[:] = 0.0
                for c in range(tested):
                    _add_product(value, mixing[j, c], common[p * terms + c, :width])
                for c in range(nuisance):
                    _add_product(value, mixing[j, tested + c], own[c, p, :width])
            else:
                value[:] = common[p * terms + j, :width]
            _add_product(explained, value, value)
        for c in range(nuisance, own.shape[0]):
            value[:] = own[c, p, :width]
            _add_product(explained, value, value)
        _fill_heights(value, explained, rest, relabelled.columns, relabelled.df, height)
        for j in range(width):
            maps[p, voxels.first + j] = height[j]
            _keep(kept, p, voxels.first + j, height[j])
            if abs(height[j]) > relabelled.threshold:
                _store(kept, p, voxels.first + j, height[j])
