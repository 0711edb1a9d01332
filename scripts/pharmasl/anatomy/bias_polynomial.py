"""A polynomial of position that models what is left of the bias field, fitted to the intensities of grey and white matter."""

import numpy as np
from numba import njit


def exponents(degree: int) -> np.ndarray:
    """Exponents (a, b, c) of the terms x^a y^b z^c; the constant is left out, since it belongs to the means of the tissues.

    Parameters
    ----------
    degree : int
        Largest sum of the exponents; 0 for no term.

    Returns
    -------
    ndarray of shape (T, 3), int64
    """
    terms = [
        (a, b, c)
        for a in range(degree + 1)
        for b in range(degree + 1 - a)
        for c in range(degree + 1 - a - b)
        if a + b + c > 0
    ]
    return np.array(terms, dtype=np.int64).reshape(-1, 3)


@njit(cache=True, nogil=True)
def _terms(position, exponents, powers, out):
    """The terms at one position; ``powers`` (3, 1 + degree) is filled with those of its coordinates."""
    for axis in range(3):
        powers[axis, 0] = 1.0
        for power in range(1, powers.shape[1]):
            powers[axis, power] = powers[axis, power - 1] * position[axis]
    for t in range(exponents.shape[0]):
        out[t] = powers[0, exponents[t, 0]] * powers[1, exponents[t, 1]] * powers[2, exponents[t, 2]]


@njit(cache=True, nogil=True)
def equations(
    log_intensity: np.ndarray,
    position: np.ndarray,
    posterior: np.ndarray,
    mean: np.ndarray,
    deviation: np.ndarray,
    exponents: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of the polynomial that explains log intensity minus log tissue mean.

    Parameters
    ----------
    log_intensity : ndarray of shape (N,)
    position : ndarray of shape (N, 3)
    posterior : ndarray of shape (N, 3)
        Of pure CSF, grey and white matter.
    mean, deviation : ndarray of shape (3,)
        Of the tissues' intensities.
    exponents : ndarray of shape (T, 3)

    Returns
    -------
    matrix : ndarray of shape (T + 1, T + 1)
    vector : ndarray of shape (T + 1,)
        The last row is that of a constant.
    """
    n = exponents.shape[0] + 1
    matrix, vector, term = np.zeros((n, n)), np.zeros(n), np.ones(n)
    powers = np.empty((3, 1 + exponents.max()))
    for i in range(log_intensity.shape[0]):
        # The logarithm of CSF's intensity is noise: the field is estimated from grey and white matter alone.
        grey = posterior[i, 1] * (mean[1] / deviation[1]) ** 2
        white = posterior[i, 2] * (mean[2] / deviation[2]) ** 2
        weight = grey + white
        if posterior[i, 0] > 0.1 or weight <= 0:
            continue
        rest = log_intensity[i] - (grey * np.log(mean[1]) + white * np.log(mean[2])) / weight
        _terms(position[i], exponents, powers, term)
        for a in range(n):
            vector[a] += weight * term[a] * rest
            for b in range(a + 1):
                matrix[a, b] += weight * term[a] * term[b]
    for a in range(n):
        for b in range(a):
            matrix[b, a] = matrix[a, b]
    return matrix, vector


@njit(cache=True, nogil=True)
def divide(
    intensity: np.ndarray, position: np.ndarray, exponents: np.ndarray, bias: np.ndarray, out: np.ndarray
) -> None:
    """Divide intensities by the exponential of the polynomial; ``out`` is filled.

    Parameters
    ----------
    intensity : ndarray of shape (N,)
    position : ndarray of shape (N, 3)
    exponents : ndarray of shape (T, 3)
    bias : ndarray of shape (T,)
        Coefficients of the terms.
    out : ndarray of shape (N,)
    """
    term, powers = np.empty(exponents.shape[0]), np.empty((3, 1 + exponents.max()))
    for i in range(intensity.shape[0]):
        _terms(position[i], exponents, powers, term)
        total = 0.0
        for t in range(len(bias)):
            total += bias[t] * term[t]
        out[i] = intensity[i] * np.exp(-total)
