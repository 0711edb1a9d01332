"""Rigid realignment of a series by least squares, and how much the head moved.

Gauss-Newton with the derivative taken once, on the reference (inverse compositional), after Friston et al. (1995, doi
10.1002/hbm.460030303) and Baker and Matthews (2004). Each volume has an intensity scale of its own, and may have known
maps (the tissues) as further linear terms: a label differs from a control by perfusion, which is a mixture of grey and
white matter, and without these terms a part of that difference is mistaken for motion.
"""

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pharmasl.space import images, resample, separable, spline, transforms

log = logging.getLogger(__name__)

# Power et al. 2012 (doi 10.1016/j.neuroimage.2011.10.018): a rotation displaces a point on a sphere of 50 mm radius.
HEAD_RADIUS = 50.0
# The first, coarse fit of each volume sees smoothed images: it takes up several degrees and centimetres.
COARSE_FWHM = 10.0
# Standard deviation of the fine fit's smoothing, voxels. Thick slices alias: detail that does not move with the head
# holds unsmoothed volumes to the voxel grid. On rendered heads in known poses 0.6 cuts the error to a third; on a real
# series it brings realignment into line with each volume's own registration to the T1-weighted image.
FINE_SIGMA = 0.6
# A fit that takes the head further than this from where it started is no fit, mm.
REACH = 60.0
# Points nearer than this add time, hardly precision.
SPACING = 2.5
_TOLERANCE = 5e-4
_ITERATIONS = 40
_CONTRASTS = 4


class TooThinError(ValueError):
    """An image has too few voxels along an axis for volumes to be realigned to it."""


@dataclass(frozen=True)
class Reference:
    """What a volume is fitted to.

    Attributes
    ----------
    points : ndarray of shape (N, 3)
        RAS+ mm, in the reference's space.
    design : ndarray of shape (N, 7 + K)
        Derivative of the reference by the six rigid parameters, the reference itself, and the known maps.
    weight : ndarray of shape (N,)
    normal : ndarray of shape (7 + K, 7 + K)
        ``design.T @ diag(weight) @ design``.
    centre : ndarray of shape (3,)
        About which rotations turn, mm.
    shift : pharmasl.space.spline.Shift or None
        Of the points, where volumes are distorted and the reference is not.
    """

    points: np.ndarray
    design: np.ndarray
    weight: np.ndarray
    normal: np.ndarray
    centre: np.ndarray
    shift: spline.Shift | None = None


def reference(
    image: np.ndarray,
    affine: np.ndarray,
    weight: np.ndarray,
    maps: Sequence[np.ndarray] = (),
    spacing: float = SPACING,
    shift: spline.Shift | None = None,
) -> Reference:
    """The derivatives of a reference image, taken once.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    weight : ndarray of shape (X, Y, Z)
        How much each voxel counts; those of weight zero are left out.
    maps : sequence of ndarray of shape (X, Y, Z)
        Known maps that may add to a volume in any amount.
    spacing : float
        Least distance of the points used, mm.
    shift : pharmasl.space.spline.Shift, optional
        Of all voxels: where volumes show what the reference, without distortion, has there.

    Returns
    -------
    Reference
    """
    voxel = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    step = np.maximum(1, np.round(spacing / voxel)).astype(int)
    chosen = np.zeros(image.shape, dtype=bool)
    chosen[:: step[0], :: step[1], :: step[2]] = True
    # The spline is mirrored at the outermost voxels: its derivative across the border is none of the head's.
    chosen[[0, -1]] = chosen[:, [0, -1]] = chosen[:, :, [0, -1]] = False
    if not chosen.any():
        raise TooThinError("no voxel lies inside the outermost ones")
    chosen &= weight > 0
    points = transforms.apply(affine, np.argwhere(chosen).astype(np.float64))
    weights = weight[chosen].astype(np.float64)
    coefficients = spline.coefficients(image)
    gradient = np.empty((len(points), 3))
    for axis in range(3):
        nudge = np.zeros(3)
        nudge[axis] = 0.1
        ahead = spline.sample(coefficients, affine, points + nudge)
        gradient[:, axis] = np.nan_to_num((ahead - spline.sample(coefficients, affine, points - nudge)) / 0.2)
    centre = np.average(points, axis=0, weights=weights)
    columns = [gradient, np.cross(points - centre, gradient), image[chosen][:, None]]
    design = np.ascontiguousarray(np.hstack(columns + [known[chosen][:, None] for known in maps]), dtype=np.float64)
    # einsum, unlike a matrix product, sums in one order whatever the number of threads.
    normal = np.einsum("na,n,nb->ab", design, weights, design)
    return Reference(points, design, weights, normal, centre, shift and shift.at(chosen.ravel()))


def fit(coefficients: np.ndarray, affine: np.ndarray, target: Reference, start: np.ndarray) -> np.ndarray:
    """The alignment of one volume with the reference.

    Parameters
    ----------
    coefficients : ndarray of shape (X, Y, Z)
        Of :func:`pharmasl.space.spline.coefficients`.
    affine : ndarray of shape (4, 4)
        Of the volume; its grid need not be the reference's.
    target : Reference
    start : ndarray of shape (4, 4)

    Returns
    -------
    ndarray of shape (4, 4)
        Maps points of the reference to points of the volume. ``start``, if the volume holds nothing to fit.
    """
    matrix = start
    for _ in range(_ITERATIONS):
        right, lost, total = spline.project(
            coefficients,
            affine,
            target.points,
            matrix,
            design=target.design,
            weight=target.weight,
            shift=target.shift,
        )
        try:
            solution = np.linalg.solve(target.normal - lost, right)
        except np.linalg.LinAlgError:
            solution = np.zeros_like(right)
        # The volume is modelled as scale * (reference + its derivative * motion) + maps.
        if not total > 0 or not solution[6] > 0:
            log.warning("a volume shows nothing of the reference image and is left where it is")
            return start
        motion = solution[:6] / solution[6]
        matrix = matrix @ np.linalg.inv(transforms.rigid_matrix(motion[:3], motion[3:], target.centre))
        if not np.linalg.norm(transforms.apply(matrix, target.centre) - transforms.apply(start, target.centre)) < REACH:
            log.warning("the fit of a volume runs away, and the volume is left where it is")
            return start
        if np.abs(motion[:3]).max() < _TOLERANCE and np.abs(motion[3:]).max() * HEAD_RADIUS < _TOLERANCE:
            break
    return matrix


def head(image: np.ndarray) -> np.ndarray:
    """A weight for realignment while the brain is unknown: 1 where the image is bright, and one voxel around."""
    bright = image > 0.2 * np.percentile(image, 98)
    return ndimage.binary_dilation(bright).astype(np.float32)


def realign(
    volumes: Sequence[np.ndarray],
    affine: np.ndarray,
    image: np.ndarray,
    image_affine: np.ndarray,
    weight: np.ndarray,
    *,
    maps: Sequence[np.ndarray] = (),
    starts: Sequence[np.ndarray] | np.ndarray | None = None,
    fine: bool = True,
    shift: spline.Shift | None = None,
) -> np.ndarray:
    """The alignments of volumes with a reference image.

    Parameters
    ----------
    volumes : sequence of ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Of the volumes.
    image, image_affine : ndarray
        The reference.
    weight, maps
        As for :func:`reference`, on the reference's grid.
    starts : sequence of ndarray of shape (4, 4), optional
        Where to start each volume's fit, near enough for the fine fit alone. Without it each volume gets a coarse fit
        first, from the place of the volume before.
    fine : bool
        False leaves it at the coarse fit, good to about 0.1 mm: for a pass that another follows.
    shift : pharmasl.space.spline.Shift, optional
        As for :func:`reference`; of the fine fit.

    Returns
    -------
    ndarray of shape (len(volumes), 4, 4)
        Maps points of the reference to points of each volume.
    """
    sharp: Reference | None = None
    coarse: Reference | None = None
    if fine:
        sharp = reference(_soften(image), image_affine, weight, [_soften(known) for known in maps], shift=shift)
    if starts is None:
        # Points nearer than the smoothing say the same twice.
        coarse = reference(_blur(image, image_affine), image_affine, weight, spacing=COARSE_FWHM)
    matrices, last = [], np.eye(4)
    for number, volume in enumerate(volumes):
        if starts is not None:
            last = starts[number]
        elif coarse is not None:
            last = fit(spline.coefficients(_blur(volume, affine)), affine, coarse, last)
        if sharp is not None:
            last = fit(spline.coefficients(_soften(volume)), affine, sharp, last)
        matrices.append(last)
    return np.array(matrices).reshape(-1, 4, 4)


def realign_contrast(
    volume: np.ndarray,
    affine: np.ndarray,
    image: np.ndarray,
    image_affine: np.ndarray,
    weight: np.ndarray,
    *,
    maps: Sequence[np.ndarray],
    start: np.ndarray,
) -> np.ndarray:
    """The alignment of one volume whose contrast differs from the reference's: M0 beside a background-suppressed control.

    The reference is first given the volume's contrast, as a mixture of itself and the tissue maps fitted at the
    present alignment; then the volume is fitted to that; and again.

    Parameters
    ----------
    volume : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    image, image_affine : ndarray
        The reference.
    weight : ndarray
    maps : sequence of ndarray
        Tissue maps, on the reference's grid.
    start : ndarray of shape (4, 4)

    Returns
    -------
    ndarray of shape (4, 4)
        Maps points of the reference to points of the volume.
    """
    coefficients, matrix = spline.coefficients(_soften(volume)), start
    # The tissue maps are brought to the image's range, so that the mixture is as well determined as it can be.
    level = float(np.percentile(image, 98))
    basis = np.stack([_soften(image), *(level * _soften(known) for known in maps)], axis=-1).astype(np.float64)
    points = transforms.points(images.Grid(image.shape, image_affine))
    for _ in range(_CONTRASTS):
        values = spline.sample(coefficients, affine, points, matrix)
        here = np.isfinite(values) & (weight > 0)
        if here.sum() <= basis.shape[-1]:
            break
        design, weights = basis[here], weight[here].astype(np.float64)
        normal = np.einsum("na,n,nb->ab", design, weights, design)
        # The pseudo-inverse leaves out a map that is zero throughout.
        share = np.linalg.pinv(normal, hermitian=True) @ np.einsum("na,n,n->a", design, weights, values[here])
        blend = np.einsum("xyzk,k->xyz", basis, share)
        matrix = fit(coefficients, affine, reference(blend, image_affine, weight), matrix)
    return matrix


def _soften(image: np.ndarray) -> np.ndarray:
    return separable.gaussian(image, FINE_SIGMA, truncate=4)


def _blur(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    sigma = COARSE_FWHM / resample.FWHM_PER_SIGMA / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return separable.gaussian(image, sigma, truncate=3)


def mean(
    volumes: Sequence[np.ndarray],
    affine: np.ndarray,
    matrices: np.ndarray,
    grid: images.Grid,
    shift: spline.Shift | None = None,
) -> np.ndarray:
    """The mean of realigned volumes on a grid, over those volumes whose field of view holds the voxel.

    Parameters
    ----------
    volumes : sequence of ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Of the volumes.
    matrices : ndarray of shape (N, 4, 4)
        Maps points of ``grid`` to points of each volume.
    grid : pharmasl.space.images.Grid
    shift : pharmasl.space.spline.Shift, optional
        Of the grid's voxels, where the volumes are distorted.

    Returns
    -------
    ndarray of shape ``grid.shape``, float32
        Zero where no volume reaches.
    """
    points = transforms.points(grid)
    total, count = np.zeros(grid.shape), np.zeros(grid.shape)
    for volume, matrix in zip(volumes, matrices):
        values = spline.sample(spline.coefficients(volume), affine, points, matrix, shift)
        here = np.isfinite(values)
        np.add(total, values, out=total, where=here)
        count += here
    return (total / np.maximum(count, 1)).astype(np.float32)


def parameters(matrices: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Translation (mm) and rotation vector (radians) of each rigid matrix about a centre: ndarray of shape (N, 6)."""
    return np.array([np.concatenate(transforms.rigid_parameters(matrix, centre)) for matrix in matrices]).reshape(-1, 6)


def continuous(parameters: np.ndarray, group: np.ndarray) -> np.ndarray:
    """How far the references of several groups of volumes lie from the first one's, the head moving on steadily.

    Each group has been realigned within itself. What a group is off by is the same for all its volumes, while true motion
    knows nothing of groups: so neighbours in time of different groups are taken to be where the other is, on average.

    Parameters
    ----------
    parameters : ndarray of shape (N, 6)
        Rigid parameters of each volume within its group, in order of acquisition.
    group : ndarray of int, shape (N,)
        From 0 to G - 1.

    Returns
    -------
    ndarray of shape (G, 6)
        To be added to the parameters of each group's volumes; zero for the first group. Least squares over all
        neighbours, for motions so small that rotations add.
    """
    group = np.asarray(group)
    border = np.flatnonzero(np.diff(group))
    design = np.zeros((len(border), group.max() + 1))
    design[np.arange(len(border)), group[border]] = 1
    design[np.arange(len(border)), group[border + 1]] -= 1
    change = parameters[border + 1] - parameters[border]
    offset = np.zeros((group.max() + 1, 6))
    # The normal equations are never singular: every group has a neighbour of another.
    normal = np.einsum("na,nb->ab", design[:, 1:], design[:, 1:])
    offset[1:] = np.linalg.solve(normal, np.einsum("na,nk->ak", design[:, 1:], change))
    return offset


def framewise_displacement(parameters: np.ndarray) -> np.ndarray:
    """How far the head moved since the volume before (Power 2012): the sum of the six parameters' absolute changes.

    Parameters
    ----------
    parameters : ndarray of shape (N, 6)
        Translations in mm, rotations in radians; a rotation counts as its arc on a sphere of 50 mm radius.

    Returns
    -------
    ndarray of shape (N,)
        mm; NaN for the first volume.
    """
    change = np.abs(np.diff(parameters, axis=0, prepend=np.nan))
    return change[:, :3].sum(axis=1) + HEAD_RADIUS * change[:, 3:].sum(axis=1)


def dvars(values: np.ndarray, types: Sequence[Hashable]) -> np.ndarray:
    """Root mean square over the brain of a volume's change, in percent (Power 2012, DVARS).

    A volume is compared with the last one of its own type: from control to label perfusion changes, not the head.

    Parameters
    ----------
    values : ndarray of shape (V, N)
        Realigned volumes at the voxels of the brain; NaN where a volume does not reach.
    types : sequence
        Type of each volume, or its type and delay.

    Returns
    -------
    ndarray of shape (N,)
        Percent of the earlier volume's mean; NaN for the first volume of each type.
    """
    out = np.full(len(types), np.nan)
    last: dict[Hashable, np.ndarray] = {}
    for number, kind in enumerate(types):
        now = values[:, number].astype(np.float64)
        before = last.get(kind, np.full_like(now, np.nan))
        here = np.isfinite(now) & np.isfinite(before)
        level = before[here].mean() if here.any() else 0.0
        if level > 0:
            out[number] = 100 * np.sqrt(np.mean((now[here] - before[here]) ** 2)) / level
        last[kind] = now
    return out
