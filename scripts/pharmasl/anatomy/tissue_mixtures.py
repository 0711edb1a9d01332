"""Mixtures of tissues in a voxel, and the fit of their distributions of intensity.

A voxel holds one tissue or two that are adjacent in a brain, CSF with grey or grey with white matter, in one of a few
shares. The intensities of these states follow from three normal distributions (Laidlaw et al. 1998,
doi 10.1109/42.668696), which are fitted by expectation and maximisation together with what is left of the bias field and
with tissue priors from the template (Ashburner & Friston 2005, doi 10.1016/j.neuroimage.2005.02.018).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from pharmasl.anatomy import bias_polynomial

# A prior never excludes a tissue: this much of each is expected everywhere.
PRIOR_FLOOR = 0.02
# Voxels that are enough to fit three distributions and a smooth field.
_SAMPLE = 150_000
# What keeps the fit of real images determined, where a wide grey matter can pass for mixtures and mixtures for it:
# noise is the same in all tissues, and grey matter and CSF vary at most this much more than white matter;
_WIDEST = 1.5
# each of the cortex's two surfaces, about 0.17 m2, lies in a layer of mixed voxels as thick as a voxel: this share of
# the brain (about 1.3 L) per mm of voxel size, at most 0.3; the weight of mixtures is drawn half the way towards it;
_MIXED_PER_MM, _MOST_MIXED, _EXPECTED_MIXED = 0.13, 0.3, 0.5
# and pure CSF, rare outside the ventricles, weighs at least this much of its mixtures, or only its darkest voxels remain.
_LEAST_FLUID = 0.6


@dataclass(frozen=True)
class Mixtures:
    """The states of a voxel.

    Attributes
    ----------
    fractions : ndarray of shape (S, 3)
        Shares of CSF, grey and white matter.
    kinds : ndarray of shape (S,)
        0 to 2 for the pure tissues, 3 for CSF with grey matter, 4 for grey with white matter.
    """

    fractions: np.ndarray
    kinds: np.ndarray


@dataclass(frozen=True)
class TissueModel:
    """The distributions of intensity of the tissues.

    Attributes
    ----------
    mean, deviation : ndarray of shape (3,)
        Of CSF, grey and white matter.
    weight : ndarray of shape (5,)
        Of the kinds of :class:`Mixtures`, with sum 1.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray


class States(NamedTuple):
    """The states of a voxel as the compiled functions take them.

    Attributes
    ----------
    fractions : ndarray of shape (S, 3)
    centre : ndarray of shape (S,)
        Mean intensity.
    precision : ndarray of shape (S,)
        Half the inverse variance.
    constant : ndarray of shape (S,)
        Logarithm of the density at the mean, times the weight.
    """

    fractions: np.ndarray
    centre: np.ndarray
    precision: np.ndarray
    constant: np.ndarray


def mixtures(levels: int) -> Mixtures:
    """The states of a voxel: the pure tissues, and mixtures of two in ``levels`` shares, both pure ones included."""
    inner = np.linspace(0, 1, levels)[1:-1]
    none = np.zeros_like(inner)
    fractions = np.concatenate(
        [np.eye(3), np.stack([1 - inner, inner, none], axis=1), np.stack([none, 1 - inner, inner], axis=1)]
    )
    return Mixtures(fractions, np.array([0, 1, 2] + [3] * len(inner) + [4] * len(inner)))


def states(model: TissueModel, mixed: Mixtures) -> States:
    """The distributions of intensity of the states of a voxel."""
    centre = (mixed.fractions * model.mean).sum(axis=1)
    variance = (mixed.fractions * model.deviation**2).sum(axis=1)
    count = np.bincount(mixed.kinds, minlength=5)
    constant = np.log(np.maximum(model.weight, 1e-12) / count)[mixed.kinds] - 0.5 * np.log(variance)
    return States(mixed.fractions, centre, 0.5 / variance, constant)


def expected_share(affine: np.ndarray) -> float:
    """The share of the brain's voxels that hold two tissues on either surface of the cortex, by their size."""
    return min(_MOST_MIXED, _MIXED_PER_MM * abs(np.linalg.det(affine[:3, :3])) ** (1 / 3))


@dataclass(frozen=True)
class Voxels:
    """The voxels of a brain.

    Attributes
    ----------
    intensity : ndarray of shape (N,), float64
        Relative to the median.
    log_prior : ndarray of shape (N, S), float32
        Logarithm of the prior weight of the states.
    position : ndarray of shape (N, 3), float32
        From about -1 to 1.
    """

    intensity: np.ndarray
    log_prior: np.ndarray
    position: np.ndarray

    def sample(self) -> "Voxels":
        """A part of the voxels that is large enough for the fit."""
        # Every n-th of the voxels in memory order would be a lattice; a seeded draw has no direction.
        chosen = np.arange(len(self.intensity))
        if len(chosen) > _SAMPLE:
            chosen = np.sort(np.random.default_rng(0).choice(len(self.intensity), _SAMPLE, replace=False))
        return Voxels(self.intensity[chosen], self.log_prior[chosen], self.position[chosen])


def fit(
    voxels: Voxels, mixed: Mixtures, *, share: float, bias_degree: int, iterations: int
) -> tuple[TissueModel, np.ndarray, int]:
    """The distributions of the tissues and the bias, fitted to a sample of the voxels.

    Parameters
    ----------
    voxels : Voxels
    mixed : Mixtures
    share : float
        From :func:`expected_share`.
    bias_degree : int
        Degree of the polynomial that models the bias; 0 for none.
    iterations : int
        Largest number.

    Returns
    -------
    model : TissueModel
    intensity : ndarray of shape (N,), float64
        Of all voxels, with the bias divided out.
    used : int
        Number of iterations.

    Raises
    ------
    ValueError
        If the three tissues cannot be distinguished.
    """
    sample = voxels.sample()
    intensity, log_observed = sample.intensity.copy(), np.log(sample.intensity)
    exponents = bias_polynomial.exponents(bias_degree)
    bias = np.zeros(len(exponents))
    model = _start(intensity)
    pure = np.empty((len(intensity), 3), dtype=np.float32)
    used = 0
    for used in range(1, iterations + 1):
        before = model.mean
        sums = _expect(intensity, sample.log_prior, states(model, mixed), mixed.kinds, model.mean, pure)
        model = _maximise(sums, share)
        if len(exponents) and used > 2:
            matrix, vector = bias_polynomial.equations(
                log_observed, sample.position, pure, model.mean, model.deviation, exponents
            )
            # A tiny ridge keeps terms that the mask hardly distinguishes from growing against each other.
            matrix[np.diag_indices_from(matrix)] += 1e-6 * np.trace(matrix) / len(matrix)
            # The last row is the constant: it is solved for, so that it does not distort the terms, and left to the means.
            bias = np.linalg.solve(matrix, vector)[:-1]
            bias_polynomial.divide(sample.intensity, sample.position, exponents, bias, intensity)
        if np.abs(model.mean - before).max() < 2e-4 and used > 8:
            break
    if not model.mean[0] < model.mean[1] < model.mean[2]:
        raise ValueError(
            f"mean intensities of CSF, GM and WM over the brain's median are {model.mean.round(3).tolist()}"
        )
    corrected = voxels.intensity.copy()
    if len(exponents):
        bias_polynomial.divide(voxels.intensity, voxels.position, exponents, bias, corrected)
    return model, corrected, used


def _start(sample: np.ndarray) -> TissueModel:
    """The model of three classes by one-dimensional k-means from fixed percentiles."""
    mean = np.percentile(sample, [12, 45, 85])
    for _ in range(50):
        nearest = np.searchsorted((mean[1:] + mean[:-1]) / 2, sample)
        count = np.bincount(nearest, minlength=3)
        if (count == 0).any():
            raise ValueError("fewer than three groups of intensities in the brain mask")
        before, mean = mean, np.bincount(nearest, sample, minlength=3) / count
        if np.abs(mean - before).max() < 1e-4:
            break
    square = np.bincount(nearest, (sample - mean[nearest]) ** 2, minlength=3) / count
    # At first, half of each class's voxels are taken for mixtures, and its standard deviation is halved.
    pure = count / (2 * count.sum())
    return TissueModel(mean, np.sqrt(np.maximum(square / 4, 1e-6)), np.concatenate([pure, [0.25, 0.25]]))


def _maximise(sums: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], share: float) -> TissueModel:
    """The model from the sums of :func:`_expect` and the expected weight of either kind of mixture."""
    matrix, vector, count, square = sums
    if (count[:3] < 1).any():
        raise ValueError("a tissue has no voxels left")
    # Below a thousandth of the median intensity there is no noise to model, only a division by 0.
    deviation = np.sqrt(np.maximum(square / count[:3], 1e-6))
    deviation[:2] = np.minimum(deviation[:2], _WIDEST * deviation[2])
    weight = count / count.sum()
    weight[3:] += _EXPECTED_MIXED * (share - weight[3:])
    weight[0] = max(weight[0], _LEAST_FLUID * weight[3])
    weight /= weight.sum()
    return TissueModel(np.linalg.solve(matrix, vector), deviation, weight)


@njit(cache=True, nogil=True)
def _expect(intensity, log_prior, states, kinds, mean, pure):
    """Posterior of the states of each voxel by itself.

    ``pure`` is filled with the posteriors of the three pure states. Returns the normal equations of the means (3, 3) and
    (3,), the sums of the posteriors by kind of voxel (5,), and the squared distances of the pure ones from their mean (3,).
    """
    matrix, vector, count, square = np.zeros((3, 3)), np.zeros(3), np.zeros(5), np.zeros(3)
    fractions, centre, precision, constant = states.fractions, states.centre, states.precision, states.constant
    n_states = centre.shape[0]
    value = np.empty(n_states)
    for i in range(intensity.shape[0]):
        y = intensity[i]
        largest = -np.inf
        for s in range(n_states):
            value[s] = constant[s] - precision[s] * (y - centre[s]) ** 2 + log_prior[i, s]
            largest = max(largest, value[s])
        total = 0.0
        for s in range(n_states):
            value[s] = np.exp(value[s] - largest)
            total += value[s]
        for s in range(n_states):
            p = value[s] / total
            count[kinds[s]] += p
            if s < 3:
                pure[i, s] = p
                square[s] += p * (y - mean[s]) ** 2
            p *= precision[s]
            for a in range(3):
                vector[a] += p * fractions[s, a] * y
                for b in range(3):
                    matrix[a, b] += p * fractions[s, a] * fractions[s, b]
    return matrix, vector, count, square
