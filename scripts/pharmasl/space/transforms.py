"""Spatial transforms and their files.

A transform maps points of the *reference* (the grid of the output) to points of the *source* (the image that is sampled),
as resampling needs it. So the transform that brings a source image onto a reference, BIDS'
``from-<source>_to-<reference>_mode-image_xfm``, is stored as the map of reference points to source points, as ITK does.

In memory all coordinates are RAS+ millimetres, as in nibabel; in files they are LPS+, as in ITK, so that ITK, ANTs,
greedy, Slicer and nitransforms read them.
"""

import numpy as np
from numpy.typing import ArrayLike

from pharmasl.errors import FilePath, InputError
from pharmasl.space import images

# From RAS+ to LPS+ and back: the first two axes change sign.
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def rigid_matrix(translation: ArrayLike, rotation: ArrayLike, centre: ArrayLike) -> np.ndarray:
    """The rigid motion that rotates about a centre and then translates.

    Parameters
    ----------
    translation : array_like of shape (3,)
        Millimetres.
    rotation : array_like of shape (3,)
        Rotation vector, radians (Rodrigues' formula).
    centre : array_like of shape (3,)
        The point about which to rotate, millimetres.

    Returns
    -------
    ndarray of shape (4, 4)
    """
    x, y, z = np.asarray(rotation)
    angle = np.sqrt(x * x + y * y + z * z)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=np.float64)
    # sinc keeps both coefficients exact at angle 0: sin(a)/a and (1 - cos a)/a^2.
    turn = np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * cross @ cross
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.asarray(translation) + centre - turn @ centre
    return matrix


def rigid_parameters(matrix: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The translation (mm) and rotation vector (radians) of a rigid matrix about a centre; inverts :func:`rigid_matrix`."""
    turn = matrix[:3, :3]
    axis = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine, cosine = np.linalg.norm(axis), 0.5 * (np.trace(turn) - 1)
    angle = np.arctan2(sine, cosine)
    rotation = axis * (angle / sine if sine > 1e-12 else 1.0)
    return turn @ centre + matrix[:3, 3] - centre, rotation


def rigid_log(matrix: np.ndarray) -> np.ndarray:
    """The logarithm of a rigid matrix in the group of rigid motions, for angles below pi; inverts :func:`rigid_exp`.

    Returns
    -------
    ndarray of shape (6,)
        Velocity (mm) at the origin and rotation vector (radians) of the steady screw motion that leads there in unit time.
    """
    translation, rotation = rigid_parameters(matrix, np.zeros(3))
    return np.concatenate([np.linalg.solve(_screw(rotation), translation), rotation])


def rigid_exp(motion: ArrayLike) -> np.ndarray:
    """The rigid matrix to which a steady screw motion leads in unit time (Murray, Li and Sastry 1994, proposition 2.9).

    Parameters
    ----------
    motion : array_like of shape (6,)
        Velocity (mm) at the origin and rotation vector (radians).

    Returns
    -------
    ndarray of shape (4, 4)
    """
    velocity, rotation = np.split(np.asarray(motion, dtype=np.float64), [3])
    return rigid_matrix(_screw(rotation) @ velocity, rotation, np.zeros(3))


def _screw(rotation: np.ndarray) -> np.ndarray:
    """The matrix that turns the velocity of a steady screw motion at the origin into its displacement there."""
    x, y, z = rotation
    angle = np.sqrt(x * x + y * y + z * z)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=np.float64)
    # (1 - cos a)/a^2, and (a - sin a)/a^3, the latter by its series where the difference would cancel.
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    third = (angle - np.sin(angle)) / angle**3 if angle > 1e-2 else 1 / 6 - angle**2 / 120
    return np.eye(3) + second * cross + third * cross @ cross


def write_affines(path: FilePath, matrices: ArrayLike) -> None:
    """Write one or more affine transforms as a text file of ITK.

    Parameters
    ----------
    path : path-like
    matrices : array_like of shape (4, 4) or (N, 4, 4)
        RAS+ maps of reference points to source points.
    """
    lines = ["#Insight Transform File V1.0"]
    for number, matrix in enumerate(np.asarray(matrices, dtype=np.float64).reshape(-1, 4, 4)):
        lps = FLIP @ matrix @ FLIP
        values = " ".join(repr(float(v)) for v in [*lps[:3, :3].ravel(), *lps[:3, 3]])
        lines += [
            f"#Transform {number}",
            "Transform: AffineTransform_double_3_3",
            f"Parameters: {values}",
            "FixedParameters: 0 0 0",
        ]
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


def read_affines(path: FilePath) -> np.ndarray:
    """The affine transforms of a text file of ITK.

    Returns
    -------
    ndarray of shape (N, 4, 4)
        RAS+ maps of reference points to source points.

    Raises
    ------
    InputError
        If there is no transform, or one that is not an affine or rigid matrix.
    """
    matrices: list[np.ndarray] = []
    parameters = np.zeros(12)
    with open(path, encoding="ascii") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key == "Transform":
                kind = value.strip()
                if not kind.startswith(("AffineTransform_", "MatrixOffsetTransformBase_")):
                    raise InputError(
                        file=path,
                        field="Transform",
                        found=kind,
                        expected="an ITK AffineTransform",
                        fix="Convert the transform to a matrix.",
                    )
            elif key == "Parameters":
                parameters = np.array(value.split(), dtype=np.float64)
            elif key == "FixedParameters":
                centre = np.array(value.split(), dtype=np.float64)
                lps = np.eye(4)
                lps[:3, :3] = parameters[:9].reshape(3, 3)
                lps[:3, 3] = parameters[9:] + centre - lps[:3, :3] @ centre
                matrices.append(FLIP @ lps @ FLIP)
    if not matrices:
        raise InputError(
            file=path,
            field="Transform",
            found="none",
            expected="at least one ITK transform",
            fix="Make the file again.",
        )
    return np.array(matrices)


def write_field(path: FilePath, coordinates: np.ndarray, affine: np.ndarray) -> None:
    """Write a dense map as an ITK displacement field.

    Parameters
    ----------
    path : path-like
        ``.nii.gz``
    coordinates : ndarray of shape (X, Y, Z, 3)
        RAS+ source point (mm) of each voxel of the reference grid.
    affine : ndarray of shape (4, 4)
        Of the reference grid.
    """
    displacement = coordinates - points(images.Grid(coordinates.shape[:3], affine))
    displacement[..., :2] *= -1
    images.save(path, displacement[:, :, :, None, :], affine, intent="vector")


def read_field(path: FilePath) -> tuple[np.ndarray, images.Grid]:
    """The dense map of an ITK displacement field.

    Returns
    -------
    coordinates : ndarray of shape (X, Y, Z, 3), float64
        RAS+ source point (mm) of each voxel of the reference grid.
    grid : images.Grid
        The reference grid.
    """
    displacement, affine = images.load(path, dtype=np.float64)
    displacement = displacement.reshape((*displacement.shape[:3], 3))
    reference = images.Grid(displacement.shape[:3], affine)
    displacement[..., :2] *= -1
    return points(reference) + displacement, reference


def points(grid: images.Grid) -> np.ndarray:
    """RAS+ coordinates (mm) of a grid's voxel centres: ndarray of shape (X, Y, Z, 3), float64."""
    shape, affine = grid
    axes = [np.arange(n, dtype=np.float64) for n in shape]
    parts = [axis.reshape([-1 if k == j else 1 for k in range(3)]) for j, axis in enumerate(axes)]
    out = np.empty((*tuple(shape), 3))
    for k in range(3):
        out[..., k] = sum(affine[k, j] * parts[j] for j in range(3)) + affine[k, 3]
    return out


def apply(matrix: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Map points by a 4 x 4 matrix: ``coordinates`` of shape (..., 3), returned in the same shape."""
    return coordinates @ matrix[:3, :3].T + matrix[:3, 3]
