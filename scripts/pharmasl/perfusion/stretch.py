"""Size and shape of a head relative to the template's: symmetric stretches, and their prior."""

from dataclasses import dataclass

import numpy as np

# Logarithm of the template's size over a person's, and its standard deviation between people, along one axis; that of a
# shear. The ICBM 152 templates are larger than most brains (Lancaster et al. 2007, doi 10.1002/hbm.20345): by 9 % in the
# mean of four real people's perfusion scans, 4 % apart (standard deviation) from axis to axis and person to person.
SIZE, SIZE_DEVIATION, SHEAR_DEVIATION = 0.09, 0.06, 0.03
# A stretch beyond these is no brain's.
STRETCH = (0.8, 1.4)
# Residuals within this distance are alike, mm: so many volumes of this width count as independent against the prior.
INDEPENDENT = 12.0
# Elements of a symmetric matrix.
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class StretchStep:
    """A Gauss-Newton step: twelve parameters, the six rigid ones first, and the stretch as a matrix of shape (3, 3)."""

    parameters: np.ndarray
    change: np.ndarray


def about(turn: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The affine matrix (4, 4) of a linear map (3, 3) about a centre, mm."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, centre - turn @ centre
    return matrix


def stretch_of(matrix: np.ndarray) -> np.ndarray:
    """The symmetric stretch that follows the rotation in an affine matrix (left polar decomposition): (3, 3)."""
    values, axes = np.linalg.eigh(matrix[:3, :3] @ matrix[:3, :3].T)
    return np.einsum("ak,k,bk->ab", axes, np.sqrt(values), axes)


def logarithm(symmetric: np.ndarray) -> np.ndarray:
    """The logarithm of a symmetric matrix."""
    values, axes = np.linalg.eigh(symmetric)
    return np.einsum("ak,k,bk->ab", axes, np.log(values), axes)


def derivatives(slope: np.ndarray, arms: np.ndarray) -> np.ndarray:
    """The image's derivatives by the six elements of a symmetric stretch: ndarray of shape (N, 6).

    Parameters
    ----------
    slope : ndarray of shape (N, 3)
        The image's derivative by a point's place.
    arms : ndarray of shape (N, 3)
        The points, from the centre of the stretch, mm.
    """
    symmetric = [slope[:, a] * arms[:, b] + (slope[:, b] * arms[:, a] if a != b else 0) for a, b in PAIRS]
    return np.stack(symmetric, axis=1)


def step(normal: np.ndarray, right: np.ndarray, share: float, matrix: np.ndarray) -> StretchStep:
    """The step in twelve parameters, with the prior on the total stretch.

    Parameters
    ----------
    normal, right : ndarray of shape (12, 12) and (12,)
        Normal equations of the residuals.
    share : float
        What a residual counts against the prior: independent residuals per point, over their variance.
    matrix : ndarray of shape (4, 4)
        The alignment so far.

    Returns
    -------
    StretchStep
    """
    normal, right = normal * share, right * share
    present = logarithm(stretch_of(matrix))
    for number, (a, b) in enumerate(PAIRS, start=6):
        expected, deviation = (SIZE, SIZE_DEVIATION) if a == b else (0.0, SHEAR_DEVIATION)
        normal[number, number] += deviation**-2
        right[number] += (expected - present[a, b]) * deviation**-2
    parameters = np.linalg.solve(normal + 1e-9 * np.diag(np.diag(normal)), right)
    change = np.zeros((3, 3))
    for (a, b), value in zip(PAIRS, parameters[6:]):
        change[a, b] = change[b, a] = np.clip(value, -0.1, 0.1)
    values, axes = np.linalg.eigh(change)
    change = np.einsum("ak,k,bk->ab", axes, np.exp(values), axes)
    # What of it would leave the range of brains is taken back.
    values, axes = np.linalg.eigh(stretch_of(about(change, np.zeros(3)) @ matrix))
    back = np.einsum("ak,k,bk->ab", axes, np.clip(values, *STRETCH) / values, axes)
    return StretchStep(parameters, back @ change)
