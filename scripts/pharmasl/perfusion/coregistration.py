"""Registration of a perfusion scan to tissue maps: rigid to the participant's own, affine to the template's.

The image is modelled, not compared: as a mixture of the T1-weighted image's grey matter, white matter and cerebrospinal
fluid maps with free intensities, times a smooth bias field. The intensities and the field are solved for at each
Gauss-Newton step (variable projection, Golub and Pereyra 1973), voxels that the model cannot explain (scalp, vessels,
dropout) lose their weight (Tukey's biweight), and the maps are blurred less and less. So one method serves images of
any contrast: M0, control, or a background-suppressed control.

Where the maps are the template's, of other people's brains, their size and shape (a symmetric stretch) are fitted to the
scan first, as six more parameters with a prior; after that everything is rigid, as with maps of the participant's own.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from scipy import ndimage

from pharmasl.errors import InputError
from pharmasl.space import resample, transforms

log = logging.getLogger(__name__)

# Grid of the tissue maps while fitting: finer than any perfusion voxel.
MAP_SPACING = 2.0
# Full widths at half maximum to which maps and image are brought, mm; and how many points each level uses.
LEVELS = ((14.0, 3000), (8.0, 8000), (5.0, 20000))
# Points, steps, and survivors of the first look at each start.
QUICK = (1200, 6, 4)
# Starts about each of the two positions (headers as they are, centres of mass together), mm and radians.
SHIFTS = ((0, 0, 0), (0, 0, 20), (0, 0, -20), (0, 20, 0), (0, -20, 0))
TILTS = ((0, 0, 0), (0.2, 0, 0), (-0.2, 0, 0))
# The same for a scan whose first registration is in doubt, and how many of these survive the first look.
WIDE_SHIFTS = (*SHIFTS, (20, 0, 0), (-20, 0, 0), (0, 0, 40), (0, 0, -40))
WIDE_TILTS = (*TILTS, (0, 0.35, 0), (0, -0.35, 0), (0, 0, 0.35), (0, 0, -0.35), (0.5, 0, 0), (-0.5, 0, 0))
WIDE_SURVIVORS = 8
# Displacements, mm, at which nothing of the tissues' pattern can be left: about the width of a gyrus and its neighbour.
DISPLACED = 12.0
# Logarithm of the template's size over a person's, and its standard deviation between people, along one axis; that of a
# shear. The ICBM 152 templates are larger than most brains (Lancaster et al. 2007, doi 10.1002/hbm.20345): by 9 % in the
# mean of four real people's perfusion scans, 4 % apart (standard deviation) from axis to axis and person to person.
SIZE, SIZE_DEVIATION, SHEAR_DEVIATION = 0.09, 0.06, 0.03
# What lies this far around the brain (mm) has an intensity of its own while the size is fitted. Without it, scalp and
# meninges that are as bright as the brain count as brain: the same head became 7 % larger by its M0 than by its deltaM.
RIM = (2.0, 12.0)
# A stretch beyond these is no brain's.
STRETCH = (0.8, 1.4)
# Residuals within this distance are alike, mm: so many volumes of this width count as independent against the prior.
INDEPENDENT = 12.0
_TUKEY = 4.685
_ITERATIONS = 30
_TOLERANCE = 2e-3


@dataclass(frozen=True)
class Tissues:
    """Tissue maps on a coarse grid of their own.

    Attributes
    ----------
    maps : ndarray of shape (K, X, Y, Z), float32
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    blurred : tuple of ndarray of shape (K, X, Y, Z), float32
        The maps at the width of each of :data:`LEVELS`.
    """

    maps: np.ndarray
    affine: np.ndarray
    blurred: tuple


@dataclass(frozen=True)
class Fit:
    """A rigid registration.

    Attributes
    ----------
    matrix : ndarray of shape (4, 4)
        Maps points of the perfusion image to points of the T1-weighted image.
    unexplained : float
        Share of the image that the tissue model leaves over, 0 (none) to 1 (all of it), robustly counted.
    intensities : ndarray of shape (K,)
        Of each tissue, relative to the image's 98th percentile.
    uncertainty: float
        Root mean square displacement of the brain that the residuals let expect, mm: the standard error of the six
        parameters, from the curvature of the fit. Residuals of neighbours are alike, so it is a figure to compare
        images by, not an error bar.
    starts : int
        From how many places it was begun.
    """

    matrix: np.ndarray
    unexplained: float
    intensities: np.ndarray
    uncertainty: float
    starts: int = 1


@njit(cache=True, nogil=True)
def _evaluate(maps, points, matrix, values, gradients):
    kinds, nx, ny, nz = maps.shape
    for i in range(points.shape[0]):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        x = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * pz + matrix[0, 3]
        y = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * pz + matrix[1, 3]
        z = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2] * pz + matrix[2, 3]
        if not (0 <= x < nx - 1 and 0 <= y < ny - 1 and 0 <= z < nz - 1):
            values[i] = 0.0
            gradients[i] = 0.0
            continue
        a, b, c = int(x), int(y), int(z)
        fx, fy, fz = x - a, y - b, z - c
        for k in range(kinds):
            cube = maps[k]
            low0 = cube[a, b, c] * (1 - fz) + cube[a, b, c + 1] * fz
            low1 = cube[a, b + 1, c] * (1 - fz) + cube[a, b + 1, c + 1] * fz
            high0 = cube[a + 1, b, c] * (1 - fz) + cube[a + 1, b, c + 1] * fz
            high1 = cube[a + 1, b + 1, c] * (1 - fz) + cube[a + 1, b + 1, c + 1] * fz
            low, high = low0 * (1 - fy) + low1 * fy, high0 * (1 - fy) + high1 * fy
            values[i, k] = low * (1 - fx) + high * fx
            gradients[i, k, 0] = high - low
            gradients[i, k, 1] = (low1 - low0) * (1 - fx) + (high1 - high0) * fx
            near = (cube[a, b, c + 1] - cube[a, b, c]) * (1 - fy) + (cube[a, b + 1, c + 1] - cube[a, b + 1, c]) * fy
            far = (cube[a + 1, b, c + 1] - cube[a + 1, b, c]) * (1 - fy) + (
                cube[a + 1, b + 1, c + 1] - cube[a + 1, b + 1, c]
            ) * fy
            gradients[i, k, 2] = near * (1 - fx) + far * fx


@njit(cache=True, nogil=True)
def _normal(design, weight, target, normal, right):
    """Sums of weight * design * design and weight * design * target, in one order whatever the number of threads."""
    n, p = design.shape
    normal[:] = 0.0
    right[:] = 0.0
    for i in range(n):
        if weight[i] == 0.0:
            continue
        for a in range(p):
            scaled = weight[i] * design[i, a]
            right[a] += scaled * target[i]
            for b in range(a + 1):
                normal[a, b] += scaled * design[i, b]
    for a in range(p):
        for b in range(a):
            normal[b, a] = normal[a, b]


def _solve(design, weight, target, ridge):
    p = design.shape[1]
    normal, right = np.empty((p, p)), np.empty(p)
    _normal(np.ascontiguousarray(design), weight, target, normal, right)
    return np.linalg.solve(normal + ridge * (np.trace(normal) / p + 1e-12) * np.eye(p), right)


def reduce(maps, affine, spacing=MAP_SPACING):
    """Crop tissue maps to where they are not zero and average them onto a coarser grid.

    Parameters
    ----------
    maps : sequence of ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    spacing : float
        Voxels are joined in blocks up to about this size, mm.

    Returns
    -------
    Tissues

    Raises
    ------
    InputError
        If the maps are empty.
    """
    voxel = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    found = ndimage.find_objects(np.any([m > 0.01 for m in maps], axis=0).astype(np.uint8))
    if not found:
        raise InputError(
            "tissue maps",
            "values",
            "zero everywhere",
            "shares of tissue from 0 to 1",
            "Look at the brain mask of the T1w.",
        )
    box = found[0]
    block = np.maximum(1, np.floor(spacing / voxel + 0.2)).astype(int)
    # Whole blocks, with room around for the blurs.
    margin = np.ceil(16.0 / (block * voxel)).astype(int) * block
    first = np.array([s.start for s in box]) - margin
    blocks = np.ceil((np.array([s.stop for s in box]) + margin - first) / block).astype(int)
    out = np.zeros((len(maps), *blocks), dtype=np.float32)
    inside = tuple(slice(max(0, -f), max(0, -f) + s.stop - max(0, f)) for f, s in zip(first, box))
    for number, image in enumerate(maps):
        padded = np.zeros(blocks * block, dtype=np.float32)
        # first is at most the box's start, so that the box always lies within.
        part = image[tuple(slice(max(0, f), s.stop) for f, s in zip(first, box))]
        padded[inside] = part
        split = padded.reshape(blocks[0], block[0], blocks[1], block[1], blocks[2], block[2])
        out[number] = split.mean(axis=(1, 3, 5))
    coarse = affine.copy()
    coarse[:3, :3] = affine[:3, :3] * block
    coarse[:3, 3] = transforms.apply(affine, first + (block - 1) / 2)
    spacing = block * voxel
    blurred = [np.stack([_blur(image, fwhm, spacing) for image in out]) for fwhm, _ in LEVELS]
    return Tissues(out, coarse, tuple(blurred))


def _blur(image, fwhm, voxel):
    """Brought to a full width at half maximum, mm; a voxel counts as a blur of its own size."""
    sigma = np.sqrt(np.maximum(0, fwhm**2 - voxel**2)) / resample.FWHM_PER_SIGMA / voxel
    return ndimage.gaussian_filter(image, sigma, truncate=2.5)


class _Level:
    """One resolution: its maps, the image and its points, and the fit from any start."""

    def __init__(self, tissues, number, image, affine, most, near=None):
        fwhm = LEVELS[number][0]
        self.maps, self.to_maps = tissues.blurred[number], np.linalg.inv(tissues.affine)
        voxel = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
        blurred = _blur(image, fwhm, voxel)
        chosen = np.ones(image.shape, dtype=bool) if near is None else self._around(near, image.shape, affine)
        index = _thin(np.argwhere(chosen), most)
        self.points, self.values = transforms.apply(affine, index.astype(float)), blurred[tuple(index.T)].astype(float)
        corners = transforms.apply(affine, np.array([[0, 0, 0], np.array(image.shape) - 1.0]))
        middle, half = corners.mean(axis=0), np.abs(corners[1] - corners[0]).max() / 2
        u = (self.points - middle) / half
        second = [u[:, a] * u[:, b] for a in range(3) for b in range(a, 3)]
        self.field = np.stack([np.ones(len(u)), *u.T, *second], axis=1)

    def _around(self, matrix, shape, affine):
        """Voxels of the image within about a centimetre of the tissues, under a given alignment."""
        to_maps = self.to_maps @ matrix @ affine
        total = self.maps.sum(axis=0)
        inside = ndimage.affine_transform(total, to_maps[:3, :3], to_maps[:3, 3], output_shape=shape, order=1) > 0.05
        reach = np.maximum(1, np.round(8 / np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))).astype(int)
        grown = ndimage.maximum_filter(inside.astype(np.uint8), size=tuple(2 * reach + 1)) > 0
        return grown if grown.any() else np.ones(shape, dtype=bool)

    def fit(self, start, iterations=_ITERATIONS, stretch=False):
        """From a start, by rigid moves; with ``stretch`` also by symmetric stretches, with the prior on their total."""
        matrix, count = start, self.maps.shape[0]
        values, gradients = np.empty((len(self.points), count)), np.empty((len(self.points), count, 3))
        weight, bias = np.ones(len(self.points)), np.eye(self.field.shape[1])[0]
        for step in range(iterations):
            _evaluate(self.maps, self.points, self.to_maps @ matrix, values, gradients)
            inside = values.sum(axis=1) > 0.05
            if inside.sum() < 50:
                return Fit(matrix, 1.0, np.zeros(count), np.inf)
            for _ in range(1 if step else 4):
                gain = np.einsum("nq,q->n", self.field, bias)
                intensities = _solve(values * gain[:, None], weight, self.values, 1e-6)
                mixture = np.einsum("nk,k->n", values, intensities)
                bias = _solve(self.field * mixture[:, None], weight, self.values, 1e-6)
            gain = np.einsum("nq,q->n", self.field, bias)
            residual = self.values - mixture * gain
            spread = 1.4826 * np.median(np.abs(residual[inside])) + 1e-6
            weight = np.clip(1 - (residual / (_TUKEY * spread)) ** 2, 0, 1) ** 2
            slope = np.einsum("nka,k->na", gradients, intensities) * gain[:, None]
            slope = np.einsum("na,ab->nb", slope, self.to_maps[:3, :3])
            moved = np.stack([np.einsum("nb,b->n", self.points, row[:3]) + row[3] for row in matrix[:3]], axis=1)
            centre = moved[inside].mean(axis=0)
            design = np.hstack([slope, np.cross(moved - centre, slope)])
            if stretch:
                motion, change = self._stretch(design, slope, moved - centre, weight, residual, spread, inside, matrix)
                matrix = _about(change, centre) @ matrix
            else:
                motion = _solve(design, weight, residual, 1e-9)
            matrix = transforms.rigid_matrix(motion[:3], motion[3:6], centre) @ matrix
            if np.abs(motion[:3]).max() < _TOLERANCE and np.abs(motion[3:]).max() * 50 < _TOLERANCE:
                break
        # Residuals beyond half of the image's range count alike: one bright vessel is as unexplained as one eye.
        loss = 1 - np.clip(1 - (residual / 0.5) ** 2, 0, 1) ** 3
        null = 1 - np.clip(1 - (self.values / 0.5) ** 2, 0, 1) ** 3
        curvature = np.einsum("na,n,nb->ab", design, weight, design) + 1e-12 * np.eye(6)
        covariance = spread**2 * np.linalg.inv(curvature)
        arms = (moved - centre)[inside]
        # A rotation r displaces an arm a by r x a: its square over the brain is the trace of covariance times inertia.
        inertia = np.mean((arms**2).sum(axis=1)) * np.eye(3) - np.einsum("na,nb->ab", arms, arms) / len(arms)
        variance = np.trace(covariance[:3, :3]) + np.sum(covariance[3:, 3:] * inertia)
        return Fit(matrix, float(loss.sum() / max(null.sum(), 1e-9)), intensities, float(np.sqrt(max(variance, 0.0))))

    def contrast(self, matrix):
        """See :func:`contrast`."""
        values, gradients = (
            np.empty((len(self.points), len(self.maps))),
            np.empty((len(self.points), len(self.maps), 3)),
        )

        def shares(move):
            _evaluate(
                self.maps,
                self.points,
                self.to_maps @ transforms.rigid_matrix(move, (0, 0, 0), (0, 0, 0)) @ matrix,
                values,
                gradients,
            )
            return values.copy()

        own = shares((0, 0, 0))
        inside = own.sum(axis=1) > 0.8
        if inside.sum() < 50:
            return 0.0, 0.0
        seen = self.values[inside]
        # A vessel or a dropout is worth no more than the ordinary extremes.
        seen = np.clip(seen, *np.percentile(seen, [2, 98]))
        field, one = self.field[inside], np.ones(inside.sum())

        def left(*columns):
            design = np.column_stack([field, *columns])
            rest = seen - np.einsum("np,p->n", design, _solve(design, one, seen, 1e-9))
            return float(np.einsum("n,n->", rest, rest))

        smooth = max(left(), 1e-12)

        def explained(found):
            return max(0.0, 1 - left(found[inside, 0], found[inside, 1]) / smooth)

        moves = [sign * DISPLACED * np.eye(3)[axis] for axis in range(3) for sign in (1, -1)]
        return explained(own), float(np.mean([explained(shares(move)) for move in moves]))

    def _stretch(self, rigid, slope, arms, weight, residual, spread, inside, matrix):
        """One Gauss-Newton step in twelve parameters with the prior: all of them, and the stretch as a 3 x 3 matrix."""
        symmetric = [slope[:, a] * arms[:, b] + (slope[:, b] * arms[:, a] if a != b else 0) for a, b in _PAIRS]
        design = np.ascontiguousarray(np.hstack([rigid, np.stack(symmetric, axis=1)]))
        normal, right = np.empty((12, 12)), np.empty(12)
        _normal(design, weight, residual, normal, right)
        # As many independent residuals as blocks of INDEPENDENT mm in the brain, not as points.
        extent = np.prod(np.ptp(arms[inside], axis=0)) * np.pi / 6
        share = min(1.0, extent / INDEPENDENT**3 / max(inside.sum(), 1)) / spread**2
        normal, right = normal * share, right * share
        present = _logarithm(stretch_of(matrix))
        for number, (a, b) in enumerate(_PAIRS, start=6):
            expected, deviation = (SIZE, SIZE_DEVIATION) if a == b else (0.0, SHEAR_DEVIATION)
            normal[number, number] += deviation**-2
            right[number] += (expected - present[a, b]) * deviation**-2
        step = np.linalg.solve(normal + 1e-9 * np.diag(np.diag(normal)), right)
        change = np.zeros((3, 3))
        for (a, b), value in zip(_PAIRS, step[6:]):
            change[a, b] = change[b, a] = np.clip(value, -0.1, 0.1)
        values, axes = np.linalg.eigh(change)
        change = np.einsum("ak,k,bk->ab", axes, np.exp(values), axes)
        # What of it would leave the range of brains is taken back.
        values, axes = np.linalg.eigh(stretch_of(_about(change, np.zeros(3)) @ matrix))
        back = np.einsum("ak,k,bk->ab", axes, np.clip(values, *STRETCH) / values, axes)
        return step, back @ change


_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def _about(turn, centre):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, centre - turn @ centre
    return matrix


def _logarithm(symmetric):
    values, axes = np.linalg.eigh(symmetric)
    return np.einsum("ak,k,bk->ab", axes, np.log(values), axes)


def stretch_of(matrix):
    """The symmetric stretch that follows the rotation in an affine matrix (left polar decomposition): (3, 3)."""
    values, axes = np.linalg.eigh(matrix[:3, :3] @ matrix[:3, :3].T)
    return np.einsum("ak,k,bk->ab", axes, np.sqrt(values), axes)


def _thin(index, most):
    """About ``most`` of the given voxels, spread evenly in space without chance: a lattice with irrational steps."""
    # Powers of the plastic number, whose multiples fill the unit interval evenly in three dimensions.
    place = np.mod(index[:, 0] * 0.8191725134 + index[:, 1] * 0.6710436067 + index[:, 2] * 0.5497004779, 1.0)
    return index[place < most / len(index)]


def coregister(image, affine, tissues, starts=None, wide=False):
    """Register an image of a perfusion scan to tissue maps.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    tissues : Tissues
        Of :func:`reduce`: grey matter, white matter, cerebrospinal fluid.
    starts : sequence of ndarray of shape (4, 4), optional
        Maps points of the image to points of the maps. Unless given, a fan of starts about the headers' position and
        about that which brings the centres of mass together; the one that explains most of the image goes on.
    wide : bool
        A wider and denser fan.

    Returns
    -------
    Fit
    """
    bright = float(np.percentile(image, 98))
    if not bright > 0:
        log.warning("an image without signal cannot be registered: its header's position stands")
        return Fit(np.eye(4), 1.0, np.zeros(len(tissues.maps)), np.inf)
    image = (image / bright).astype(np.float32)
    tried = 0 if starts is None else len(starts)
    if starts is None:
        # A quick look from many places, a proper fit from the best few.
        quick = _Level(tissues, 0, image, affine, QUICK[0])
        fan = _fan(image, affine, tissues, *((WIDE_SHIFTS, WIDE_TILTS) if wide else (SHIFTS, TILTS)))
        trials = sorted((quick.fit(start, QUICK[1]) for start in fan), key=lambda trial: trial.unexplained)
        starts = [trial.matrix for trial in trials[: WIDE_SURVIVORS if wide else QUICK[2]]]
        tried = len(fan)
    coarse = _Level(tissues, 0, image, affine, LEVELS[0][1])
    best = min((coarse.fit(start) for start in starts), key=lambda trial: trial.unexplained)
    for number in range(1, len(LEVELS)):
        best = _Level(tissues, number, image, affine, LEVELS[number][1], near=best.matrix).fit(best.matrix)
    return replace(best, starts=tried)


def contrast(image, affine, tissues, matrix):
    """How much of the image's variation within the brain the pattern of grey and white matter accounts for.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    tissues : Tissues
    matrix : ndarray of shape (4, 4)
        Maps points of the image to points of the maps.

    Returns
    -------
    here : float
        Share (partial R squared, 0 to 1) of the variance that a smooth field leaves, among points well inside the brain.
    elsewhere : float
        The mean of such shares, at the same points, with the maps displaced by :data:`DISPLACED` mm along each axis, to
        and fro. A registration that fits the brain's pattern, and not its outline alone, has much more here.
    """
    bright = float(np.percentile(image, 98))
    if not bright > 0:
        return 0.0, 0.0
    level = _Level(tissues, len(LEVELS) - 1, (image / bright).astype(np.float32), affine, LEVELS[-1][1], near=matrix)
    return level.contrast(matrix)


def stretched(tissues, matrix):
    """The same maps in another space, whose points ``matrix`` maps to points of the present one."""
    return replace(tissues, affine=np.linalg.inv(matrix) @ tissues.affine)


def average_size(tissues):
    """The map from a brain of average size to the template: a stretch about the maps' centre, (4, 4)."""
    return _about(np.exp(SIZE) * np.eye(3), middle(tissues))


def fit_stretch(image, affine, tissues, start):
    """Fit size and shape of the template's maps to an image.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    tissues : Tissues
        Of the template.
    start : ndarray of shape (4, 4)
        Maps points of the image to points of the template, roughly.

    Returns
    -------
    stretch : ndarray of shape (4, 4)
        Symmetric, about the maps' centre: takes a head of the scan's size and shape to the template.
    rigid : ndarray of shape (4, 4)
        Maps points of the image to points of that head: the whole is ``stretch @ rigid``.
    """
    bright, centre = float(np.percentile(image, 98)), middle(tissues)
    if not bright > 0:
        return average_size(tissues), np.eye(4)
    image, found = (image / bright).astype(np.float32), []
    # With the rim and without: dark fluid beside a bright scalp would otherwise pass for a larger brain.
    for maps in (_rimmed(tissues), tissues):
        matrix = start
        # Not at the coarsest level: blurred, scalp and brain are one, and the brain would be stretched to the scalp.
        for number in range(1, len(LEVELS)):
            level = _Level(maps, number, image, affine, LEVELS[number][1], near=matrix)
            matrix = level.fit(matrix, stretch=True).matrix
        found.append((contrast(image, affine, tissues, matrix)[0], matrix))
    matrix = max(found, key=lambda pair: pair[0])[1]
    stretch = _about(stretch_of(matrix), centre)
    return stretch, np.linalg.inv(stretch) @ matrix


def _rimmed(tissues):
    """The maps, and one more of what lies around the brain."""
    total = tissues.maps.sum(axis=0)
    voxel = np.sqrt((tissues.affine[:3, :3] ** 2).sum(axis=0))
    away = ndimage.distance_transform_edt(total < 0.5, sampling=voxel)
    rim = np.where((away > RIM[0]) & (away <= RIM[1]), np.clip(1 - total, 0, 1), 0).astype(np.float32)
    blurred = [
        np.concatenate([maps, _blur(rim, fwhm, voxel)[None]]) for maps, (fwhm, _) in zip(tissues.blurred, LEVELS)
    ]
    return replace(tissues, maps=np.concatenate([tissues.maps, rim[None]]), blurred=tuple(blurred))


def middle(tissues):
    """The centre of mass of tissue maps, RAS+ mm: ndarray of shape (3,)."""
    return transforms.apply(tissues.affine, np.array(ndimage.center_of_mass(tissues.maps.sum(axis=0))))


def _fan(image, affine, tissues, shifts, tilts):
    centre_of_image = transforms.apply(affine, np.array(ndimage.center_of_mass(np.clip(image, 0, 1))))
    centre_of_maps = middle(tissues)
    starts = []
    for offset in (np.zeros(3), centre_of_maps - centre_of_image):
        for shift in shifts:
            for tilt in tilts:
                starts.append(transforms.rigid_matrix(offset + shift, tilt, centre_of_image))
    return starts


def carry(image, affine, grid, matrix, *, where=None, parts=3):
    """Average a finer image over the voxels of a coarser grid: a tissue map on the perfusion grid.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm of ``image``.
    grid : pharmasl.space.images.Grid
    matrix : ndarray of shape (4, 4)
        Maps points of ``grid`` to points of ``image``.
    where : ndarray of bool, shape ``grid.shape``, optional
        The voxels wanted; the others stay zero.
    parts : int
        A voxel's mean is that of at most this many points along each axis.

    Returns
    -------
    ndarray of shape ``grid.shape``, float32
        What lies outside the image's field of view counts as zero.
    """
    coarse = np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0))
    fine = np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).min()
    count = np.clip(np.round(coarse / fine), 1, parts).astype(int)
    where = np.ones(grid.shape, dtype=bool) if where is None else where
    points = transforms.points(grid)[where]
    total = np.zeros(len(points))
    for part in np.ndindex(*count):
        # The centre of each of count equal parts of the voxel, as an offset from the voxel's centre.
        offset = np.eye(4)
        offset[:3, 3] = grid.affine[:3, :3] @ ((np.array(part) + 0.5) / count - 0.5)
        total += resample.resample(image, affine, points, matrix @ offset, fill=0)
    out = np.zeros(grid.shape, dtype=np.float32)
    out[where] = total / count.prod()
    return out
