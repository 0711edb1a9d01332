"""The displacement between two images of opposed phase encoding, which shows the field that caused it.

Signal of one image is displaced one way along the phase encoding, that of the other the other way, and each is thinned out or
piled up as it is displaced. So one displacement u unwarps both to the same image (Andersson, Skare & Ashburner 2003, doi
10.1016/S1053-8119(03)00336-7): ``first(y + a u) (1 + a u') = g second(y + b u) (1 + b u')``, the factors a and b being of opposite
sign. The gain g may change smoothly over the head. u and g are solved for together by Gauss-Newton steps with conjugate
gradients, from blurred images to sharp ones; u is smooth, and no image folds.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pharmasl.perfusion import displacement_kernels as kernels
from pharmasl.space import resample

# Blur of the images, full width at half maximum in mm, and the weight of the roughness of u, for heads of signal about 1.
LEVELS = ((24.0, 0.2), (16.0, 0.1), (10.0, 0.05), (6.0, 0.02), (4.0, 0.01))
# Of the barrier against folds. A tenth and more holds a true field back where it nearly folds an image.
_BARRIER = 0.002
# A step may not bring u' nearer to a fold than this at once.
_STEEPEST = 0.97
_STEPS, _INNER = 20, 60
# Of the energy, and of the inner residual: less is no progress.
_GAINED, _SOLVED = 1e-4, 1e-4


@dataclass(frozen=True)
class Pair:
    """Two images of opposed phase encoding, that axis last.

    Attributes
    ----------
    first, second : ndarray of shape (X, Z, Y)
    voxel : ndarray of shape (3,)
        Millimetres along the axes.
    weight : ndarray of shape (X, Z, Y)
        How much voxels count: noise around the head is the least where the gain is.
    factors : tuple of float
        By how much each image is displaced where u is 1: of opposite sign, the larger of magnitude 1.
    """

    first: np.ndarray
    second: np.ndarray
    voxel: np.ndarray
    weight: np.ndarray
    factors: tuple[float, float] = (1.0, -1.0)


@dataclass(frozen=True)
class Solution:
    """A displacement and a gain.

    Attributes
    ----------
    u : ndarray of shape (X, Z, Y)
        A point at y is read at y + factor * u in an image, in voxels.
    gain : ndarray of shape (4,) or (10,)
        Logarithm of what the second image is to be multiplied with: a constant, its change along the axes, and its curvature.
    """

    u: np.ndarray
    gain: np.ndarray


def start(pair: Pair) -> Solution:
    """No displacement; the second image has the first one's signal in all."""
    gain = np.zeros(4)
    gain[0] = np.log(max(float(pair.first.sum()), 1e-9) / max(float(pair.second.sum()), 1e-9))
    return Solution(np.zeros(pair.first.shape), gain)


def curved(solution: Solution) -> Solution:
    """The same, from where the gain may curve."""
    return Solution(solution.u, np.concatenate([solution.gain, np.zeros(6)]))


def basis(shape: tuple[int, ...], count: int) -> np.ndarray:
    """The functions that a gain is a mixture of, (4 or 10, X, Z, Y): a constant, -1 to 1 along each axis, their products."""
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    products = [axes[a] * axes[b] for a in range(3) for b in range(a, 3)]
    return np.stack([np.ones(shape), *axes, *products][:count])


def solve(pair: Pair, begin: Solution, levels: tuple[tuple[float, float], ...] = LEVELS) -> Solution:
    """The displacement and the gain, from a start through levels of blur and roughness."""
    state = begin
    for level in levels:
        state = _Level(pair, level, len(begin.gain)).descend(state)
    return state


def energy(pair: Pair, solution: Solution) -> float:
    """What is left of the difference of the sharpest images, and the roughness of u, in one sum."""
    return _Level(pair, LEVELS[-1], len(solution.gain)).energy(solution)[0]


class _Level:
    """The energy of one blur, and its Gauss-Newton steps."""

    def __init__(self, pair: Pair, level: tuple[float, float], count: int):
        blur, rough = level
        bright = pair.first[pair.first > np.percentile(pair.first, 60)]
        scale = float(np.percentile(bright, 75)) if bright.size else 1.0
        sigma = blur / resample.FWHM_PER_SIGMA / pair.voxel
        self.first, self.second = (
            np.ascontiguousarray(
                ndimage.spline_filter1d(
                    ndimage.gaussian_filter(image / scale, sigma, truncate=3), 3, axis=2, mode="mirror"
                )
            )
            for image in (pair.first, pair.second)
        )
        self.factors = (float(pair.factors[0]), float(pair.factors[1]))
        self.weights = rough * (pair.voxel[2] / pair.voxel) ** 2
        self.weight = pair.weight
        self.functions = basis(pair.first.shape, count)
        self.rest, self.by_place, self.by_slope, self.by_gain, self.curvature = (
            np.zeros(pair.first.shape) for _ in range(5)
        )

    def energy(self, state: Solution) -> tuple[float, np.ndarray]:
        """Of a state, and the gradient of what is not data; the derivatives of the data are kept."""
        logarithm = np.einsum("kxzy,k->xzy", self.functions, state.gain)
        data = kernels.residual(
            self.first,
            self.second,
            np.exp(logarithm),
            self.weight,
            state.u,
            self.factors,
            self.rest,
            (self.by_place, self.by_slope, self.by_gain),
        )
        gradient = np.zeros(state.u.shape)
        data += kernels.roughness(state.u, self.weights, gradient)
        data += kernels.barrier(state.u, _BARRIER, self.curvature, gradient)
        return data, gradient

    def descend(self, state: Solution) -> Solution:
        """The state of least energy, or near it."""
        value, gradient = self.energy(state)
        for _ in range(_STEPS):
            step, change = self._step(gradient)
            length = 1.0
            while length > 1e-3 and np.abs(np.gradient(state.u + length * step, axis=2)).max() > _STEEPEST:
                length *= 0.8
            for _ in range(6):
                trial = Solution(state.u + length * step, state.gain + length * change)
                reached, gradient = self.energy(trial)
                if reached < value:
                    break
                length *= 0.5
            else:
                return state
            gained, state, value = value - reached, trial, reached
            if gained < _GAINED * value:
                break
        return state

    def _step(self, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The Gauss-Newton step of u and of the gain, by conjugate gradients with the diagonal as preconditioner."""
        right = gradient.copy()
        kernels.transposed(self.rest, self.by_place, self.by_slope, right)
        columns = self.functions * self.by_gain
        diagonal = self.by_place**2 + 0.5 * self.by_slope**2 + 2 * self.weights.sum() + 0.5 * self.curvature
        own = np.maximum(np.einsum("kxzy,kxzy->k", columns, columns), 1e-12)
        left, other = -right, -np.einsum("kxzy,xzy->k", columns, self.rest)
        x, gain = np.zeros(left.shape), np.zeros(len(own))
        direction, other_direction = left / diagonal, other / own
        out, other_out = np.empty(left.shape), np.empty(len(own))
        derivatives = (self.by_place, self.by_slope, self.by_gain)
        power = first = float((left * direction).sum() + (other * other_direction).sum())
        for _ in range(_INNER):
            bent = kernels.product(
                direction, other_direction, derivatives, self.curvature, self.weights, out, other_out
            )
            if not bent > 0:
                break
            length = power / bent
            gain += length * other_direction
            other -= length * other_out
            before = power
            power = kernels.advance(x, left, direction, out, diagonal, length) + float((other * other / own).sum())
            if power < _SOLVED * first:
                break
            kernels.turn(direction, left, diagonal, power / before)
            other_direction = other / own + power / before * other_direction
        return x, gain
