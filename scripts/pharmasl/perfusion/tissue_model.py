"""A perfusion image as a mixture of tissue maps, at one resolution, and its fit from a start.

The intensities of the tissues and a smooth bias field are solved for at each Gauss-Newton step (variable projection, Golub
and Pereyra 1973); voxels that the model cannot explain (scalp, vessels, dropout) lose their weight (Tukey's biweight).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import ndimage

from pharmasl.perfusion import stretch as head_stretch
from pharmasl.perfusion.tissue_maps import LEVELS, Tissues, blur
from pharmasl.space import transforms

# Displacements, mm, at which nothing of the tissues' pattern can be left: about the width of a gyrus and its neighbour.
DISPLACED = 12.0
_TUKEY = 4.685
_ITERATIONS = 30
_TOLERANCE = 2e-3
# Fewest points within the brain by which anything is fitted.
_LEAST_POINTS = 50


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
        Each tissue's, relative to the image's 98th percentile.
    uncertainty : float
        Root mean square displacement of the brain that the residuals let expect, mm: the standard error of the six
        parameters, from the curvature of the fit. Residuals of neighbours are alike, so it is a figure to compare
        images by, not an error bar.
    starts : int
        The number of places from which it was begun.
    """

    matrix: np.ndarray
    unexplained: float
    intensities: np.ndarray
    uncertainty: float
    starts: int = 1


@njit(cache=True, nogil=True)
def _evaluate(maps, points, matrix, values, gradients):
    nx, ny, nz, kinds = maps.shape
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
            # The corners of the cell by their steps along the three axes.
            c000, c001, c010, c011 = (
                maps[a, b, c, k],
                maps[a, b, c + 1, k],
                maps[a, b + 1, c, k],
                maps[a, b + 1, c + 1, k],
            )
            c100, c101 = maps[a + 1, b, c, k], maps[a + 1, b, c + 1, k]
            c110, c111 = maps[a + 1, b + 1, c, k], maps[a + 1, b + 1, c + 1, k]
            low0, low1 = c000 * (1 - fz) + c001 * fz, c010 * (1 - fz) + c011 * fz
            high0, high1 = c100 * (1 - fz) + c101 * fz, c110 * (1 - fz) + c111 * fz
            low, high = low0 * (1 - fy) + low1 * fy, high0 * (1 - fy) + high1 * fy
            values[i, k] = low * (1 - fx) + high * fx
            gradients[i, k, 0] = high - low
            gradients[i, k, 1] = (low1 - low0) * (1 - fx) + (high1 - high0) * fx
            near = (c001 - c000) * (1 - fy) + (c011 - c010) * fy
            far = (c101 - c100) * (1 - fy) + (c111 - c110) * fy
            gradients[i, k, 2] = near * (1 - fx) + far * fx


@njit(cache=True, nogil=True)
def _within(values, inside):
    """Which points lie within the brain (``inside``), and how many."""
    count = 0
    for i in range(values.shape[0]):
        total = 0.0
        for k in range(values.shape[1]):
            total += values[i, k]
        inside[i] = total > 0.05
        count += inside[i]
    return count


@njit(cache=True, nogil=True)
def _derivatives(gradients, intensities, gain, points, matrix, to_maps, inside, out):
    """``out``: slope, arms, centre and design of :class:`_Linearised`, in one pass over the points."""
    slope, arms, centre, design = out
    count = 0
    centre[:] = 0.0
    for i in range(points.shape[0]):
        for a in range(3):
            arms[i, a] = (
                points[i, 0] * matrix[a, 0] + points[i, 1] * matrix[a, 1] + points[i, 2] * matrix[a, 2] + matrix[a, 3]
            )
        if inside[i]:
            count += 1
            for a in range(3):
                centre[a] += arms[i, a]
    centre /= count
    steps = np.empty(3)
    for i in range(points.shape[0]):
        for a in range(3):
            arms[i, a] -= centre[a]
            total = 0.0
            for k in range(intensities.shape[0]):
                total += gradients[i, k, a] * intensities[k]
            steps[a] = total * gain[i]
        for b in range(3):
            slope[i, b] = steps[0] * to_maps[0, b] + steps[1] * to_maps[1, b] + steps[2] * to_maps[2, b]
            design[i, b] = slope[i, b]
        design[i, 3] = arms[i, 1] * slope[i, 2] - arms[i, 2] * slope[i, 1]
        design[i, 4] = arms[i, 2] * slope[i, 0] - arms[i, 0] * slope[i, 2]
        design[i, 5] = arms[i, 0] * slope[i, 1] - arms[i, 1] * slope[i, 0]


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


def _solve(design: np.ndarray, weight: np.ndarray, target: np.ndarray, ridge: float) -> np.ndarray:
    p = design.shape[1]
    normal, right = np.empty((p, p)), np.empty(p)
    _normal(np.ascontiguousarray(design), weight, target, normal, right)
    return np.linalg.solve(normal + ridge * (np.trace(normal) / p + 1e-12) * np.eye(p), right)


@dataclass(frozen=True)
class _Mixture:
    """The tissues' ``intensities`` (K,), the ``bias`` field's coefficients, its ``gain`` (N,), and the ``residual`` (N,)."""

    intensities: np.ndarray
    bias: np.ndarray
    gain: np.ndarray
    residual: np.ndarray


@dataclass(frozen=True)
class _Linearised:
    """The model about an alignment, at N points.

    ``inside`` (N,) marks points within the brain; ``residual``, ``weight`` (N,) and ``spread`` are those of the fitted
    ``mixture``; ``slope`` (N, 3) is its derivative by a point's place, ``arms``
    (N, 3) are the places from ``centre`` (3,), and ``design`` (N, 6) its derivative by the rigid parameters.
    """

    inside: np.ndarray
    residual: np.ndarray
    weight: np.ndarray
    spread: float
    mixture: _Mixture
    slope: np.ndarray
    arms: np.ndarray
    centre: np.ndarray
    design: np.ndarray


class TissueModel:
    """One resolution: its maps, the image and its points.

    Parameters
    ----------
    tissues : pharmasl.perfusion.tissue_maps.Tissues
    number : int
        Of :data:`pharmasl.perfusion.tissue_maps.LEVELS`.
    image : ndarray of shape (X, Y, Z)
        Scaled so that its 98th percentile is one.
    affine : ndarray of shape (4, 4)
        Voxel to RAS+ mm.
    most : int
        Number of points, about.
    near : ndarray of shape (4, 4), optional
        Points are only taken near the tissues as this maps points of the image to points of the maps.
    """

    def __init__(
        self,
        tissues: Tissues,
        number: int,
        image: np.ndarray,
        affine: np.ndarray,
        most: int,
        near: np.ndarray | None = None,
    ) -> None:
        fwhm = LEVELS[number][0]
        self.maps, self.to_maps = tissues.blurred[number], np.linalg.inv(tissues.affine)
        # The tissues of a voxel beside one another, as they already lie in memory after reduce().
        self._beside = np.ascontiguousarray(np.moveaxis(self.maps, 0, -1))
        voxel = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
        blurred = blur(image, fwhm, voxel)
        chosen = np.ones(image.shape, dtype=bool) if near is None else self._around(near, image.shape, affine)
        index = _thin(np.argwhere(chosen), most)
        self.points, self.values = transforms.apply(affine, index.astype(float)), blurred[tuple(index.T)].astype(float)
        corners = transforms.apply(affine, np.array([[0, 0, 0], np.array(image.shape) - 1.0]))
        middle, half = corners.mean(axis=0), np.abs(corners[1] - corners[0]).max() / 2
        u = (self.points - middle) / half
        second = [u[:, a] * u[:, b] for a in range(3) for b in range(a, 3)]
        self.field = np.stack([np.ones(len(u)), *u.T, *second], axis=1)

    def _around(self, matrix: np.ndarray, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
        """Voxels of the image within about a centimetre of the tissues, under an alignment."""
        to_maps = self.to_maps @ matrix @ affine
        total = sum(self.maps)
        inside = ndimage.affine_transform(total, to_maps[:3, :3], to_maps[:3, 3], output_shape=shape, order=1) > 0.05
        reach = np.maximum(1, np.round(8 / np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))).astype(int)
        grown = ndimage.maximum_filter(inside.astype(np.uint8), size=tuple(2 * reach + 1)) > 0
        return grown if grown.any() else np.ones(shape, dtype=bool)

    def fit(self, start: np.ndarray, iterations: int = _ITERATIONS, stretch: bool = False) -> Fit:
        """The fit from a start.

        Parameters
        ----------
        start : ndarray of shape (4, 4)
            Maps points of the image to points of the maps.
        iterations : int
            Steps at most.
        stretch : bool
            Whether size and shape are fitted too (symmetric stretches, with the prior on their total).

        Returns
        -------
        Fit
        """
        matrix, count = start, self.maps.shape[0]
        values, gradients = np.empty((len(self.points), count)), np.empty((len(self.points), count, 3))
        weight, bias = np.ones(len(self.points)), np.eye(self.field.shape[1])[0]
        inside = np.empty(len(self.points), dtype=bool)
        for number in range(iterations):
            _evaluate(self._beside, self.points, self.to_maps @ matrix, values, gradients)
            if _within(values, inside) < _LEAST_POINTS:
                return Fit(matrix, 1.0, np.zeros(count), np.inf)
            mixture = self._mixture(values, weight, bias, rounds=1 if number else 4)
            model = self._linearised(matrix, gradients, inside.copy(), mixture)
            weight, bias = model.weight, mixture.bias
            if stretch:
                step = self._stretch(model, matrix)
                motion, matrix = step.parameters, head_stretch.about(step.change, model.centre) @ matrix
            else:
                motion = _solve(model.design, model.weight, model.residual, 1e-9)
            matrix = transforms.rigid_matrix(motion[:3], motion[3:6], model.centre) @ matrix
            if np.abs(motion[:3]).max() < _TOLERANCE and np.abs(motion[3:]).max() * 50 < _TOLERANCE:
                break
        return Fit(matrix, self._unexplained(model.residual), mixture.intensities, _uncertainty(model))

    def _mixture(self, values: np.ndarray, weight: np.ndarray, bias: np.ndarray, *, rounds: int) -> _Mixture:
        """The tissues' intensities and the bias field, fitted in turn to the image at an alignment."""
        for _ in range(rounds):
            gain = np.einsum("nq,q->n", self.field, bias)
            intensities = _solve(values * gain[:, None], weight, self.values, 1e-6)
            mixture = np.einsum("nk,k->n", values, intensities)
            bias = _solve(self.field * mixture[:, None], weight, self.values, 1e-6)
        gain = np.einsum("nq,q->n", self.field, bias)
        return _Mixture(intensities, bias, gain, self.values - mixture * gain)

    def _linearised(
        self, matrix: np.ndarray, gradients: np.ndarray, inside: np.ndarray, mixture: _Mixture
    ) -> _Linearised:
        """The model about an alignment: its derivatives, and what each point counts."""
        residual = mixture.residual
        spread = 1.4826 * np.median(np.abs(residual[inside])) + 1e-6
        weight = np.clip(1 - (residual / (_TUKEY * spread)) ** 2, 0, 1) ** 2
        number = len(residual)
        slope, arms, centre, design = np.empty((number, 3)), np.empty((number, 3)), np.empty(3), np.empty((number, 6))
        frame = self.points, matrix, np.ascontiguousarray(self.to_maps[:3, :3])
        _derivatives(gradients, mixture.intensities, mixture.gain, *frame, inside, (slope, arms, centre, design))
        return _Linearised(inside, residual, weight, spread, mixture, slope, arms, centre, design)

    def _stretch(self, model: _Linearised, matrix: np.ndarray) -> head_stretch.StretchStep:
        """One Gauss-Newton step in twelve parameters with the prior."""
        symmetric = head_stretch.derivatives(model.slope, model.arms)
        design = np.ascontiguousarray(np.hstack([model.design, symmetric]))
        normal, right = np.empty((12, 12)), np.empty(12)
        _normal(design, model.weight, model.residual, normal, right)
        # As many independent residuals as blocks of INDEPENDENT mm in the brain, not as points.
        extent = np.prod(np.ptp(model.arms[model.inside], axis=0)) * np.pi / 6
        independent = extent / head_stretch.INDEPENDENT**3 / max(model.inside.sum(), 1)
        return head_stretch.step(normal, right, min(1.0, independent) / model.spread**2, matrix)

    def _unexplained(self, residual: np.ndarray) -> float:
        # Residuals beyond half of the image's range count alike: one bright vessel is as unexplained as one eye.
        loss = 1 - np.clip(1 - (residual / 0.5) ** 2, 0, 1) ** 3
        null = 1 - np.clip(1 - (self.values / 0.5) ** 2, 0, 1) ** 3
        return float(loss.sum() / max(null.sum(), 1e-9))

    def contrast(self, matrix: np.ndarray) -> tuple[float, float]:
        """The share of variation that the tissues account for, here and elsewhere: see :func:`coregistration.contrast`."""
        values, gradients = (
            np.empty((len(self.points), len(self.maps))),
            np.empty((len(self.points), len(self.maps), 3)),
        )

        def shares(move: np.ndarray) -> np.ndarray:
            moved = transforms.rigid_matrix(move, (0, 0, 0), (0, 0, 0)) @ matrix
            _evaluate(self._beside, self.points, self.to_maps @ moved, values, gradients)
            return values.copy()

        own = shares(np.zeros(3))
        inside = own.sum(axis=1) > 0.8
        if inside.sum() < _LEAST_POINTS:
            return 0.0, 0.0
        seen = self.values[inside]
        # A vessel or a dropout is worth no more than the ordinary extremes.
        seen = np.clip(seen, *np.percentile(seen, [2, 98]))
        field, one = self.field[inside], np.ones(inside.sum())

        def left(*columns: np.ndarray) -> float:
            design = np.column_stack([field, *columns])
            rest = seen - np.einsum("np,p->n", design, _solve(design, one, seen, 1e-9))
            return float(np.einsum("n,n->", rest, rest))

        smooth = max(left(), 1e-12)

        def explained(tissues: np.ndarray) -> float:
            return max(0.0, 1 - left(tissues[inside, 0], tissues[inside, 1]) / smooth)

        moves = [sign * DISPLACED * np.eye(3)[axis] for axis in range(3) for sign in (1, -1)]
        return explained(own), float(np.mean([explained(shares(move)) for move in moves]))


def _uncertainty(model: _Linearised) -> float:
    """Root mean square displacement of the brain by the standard error of the rigid parameters, mm."""
    curvature = np.einsum("na,n,nb->ab", model.design, model.weight, model.design) + 1e-12 * np.eye(6)
    covariance = model.spread**2 * np.linalg.inv(curvature)
    arms = model.arms[model.inside]
    # A rotation r displaces an arm a by r x a: its square over the brain is the trace of covariance times inertia.
    inertia = np.mean((arms**2).sum(axis=1)) * np.eye(3) - np.einsum("na,nb->ab", arms, arms) / len(arms)
    variance = np.trace(covariance[:3, :3]) + np.sum(covariance[3:, 3:] * inertia)
    return float(np.sqrt(max(variance, 0.0)))


def _thin(index: np.ndarray, most: int) -> np.ndarray:
    """About ``most`` of these voxels, spread evenly in space without chance: a lattice with irrational steps."""
    # Powers of the plastic number, whose multiples fill the unit interval evenly in three dimensions.
    place = np.mod(index[:, 0] * 0.8191725134 + index[:, 1] * 0.6710436067 + index[:, 2] * 0.5497004779, 1.0)
    return index[place < most / len(index)]
