"""Spatial transforms and their files.

Every transform here maps a point of the *reference* (where voxels are wanted) to a point of the *source* (where they
are read): the direction that resampling needs. So the transform that brings a source image onto a reference, BIDS'
``from-<source>_to-<reference>_mode-image_xfm``, is stored as the map of reference points to source points, as ITK does.

In memory all coordinates are RAS+ millimetres (nibabel's); in files they are ITK's LPS+, so that ITK, ANTs, greedy,
Slicer and nitransforms read them.
"""

import numpy as np

from pharmasl.errors import InputError
from pharmasl.space import images

# RAS+ to LPS+ and back: the first two axes change sign.
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def rigid_matrix(translation, rotation, centre):
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
    x, y, z = rotation
    angle = np.sqrt(x * x + y * y + z * z)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=np.float64)
    # sinc keeps both coefficients exact at angle 0: sin(a)/a and (1 - cos a)/a^2.
    turn = np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * cross @ cross
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.asarray(translation) + centre - turn @ centre
    return matrix


def rigid_parameters(matrix, centre):
    """The translation (mm) and rotation vector (radians) of a rigid matrix about a centre: :func:`rigid_matrix` undone."""
    turn = matrix[:3, :3]
    axis = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine, cosine = np.linalg.norm(axis), 0.5 * (np.trace(turn) - 1)
    angle = np.arctan2(sine, cosine)
    rotation = axis * (angle / sine if sine > 1e-12 else 1.0)
    return turn @ centre + matrix[:3, 3] - centre, rotation


def rigid_log(matrix):
    """The logarithm of a rigid matrix in the group of rigid motions: :func:`rigid_exp` undone, for angles below pi.

    Returns
    -------
    ndarray of shape (6,)
        Velocity (mm) at the origin and rotation vector (radians) of the steady screw motion that gets there in unit time.
    """
    translation, rotation = rigid_parameters(matrix, np.zeros(3))
    return np.concatenate([np.linalg.solve(_screw(rotation), translation), rotation])


def rigid_exp(motion):
    """The rigid matrix to which a steady screw motion leads in unit time (Murray, Li and Sastry 1994, proposition 2.9).

    Parameters
    ----------
    motion : array_like of shape (6,)
        Velocity (mm) at the origin and rotation vector (radians).

    Returns
    -------
    ndarray of shape (4, 4)
    """
    velocity, rotation = np.asarray(motion[:3], dtype=np.float64), np.asarray(motion[3:], dtype=np.float64)
    return rigid_matrix(_screw(rotation) @ velocity, rotation, np.zeros(3))


def _screw(rotation):
    """What a steady motion's velocity at the origin is multiplied with to give its displacement there."""
    x, y, z = rotation
    angle = np.sqrt(x * x + y * y + z * z)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=np.float64)
    # (1 - cos a)/a^2, and (a - sin a)/a^3 by its series where the difference would cancel.
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    third = (angle - np.sin(angle)) / angle**3 if angle > 1e-2 else 1 / 6 - angle**2 / 120
    return np.eye(3) + second * cross + third * cross @ cross


def write_affines(path, matrices):
    """Write one or more affine transforms as an ITK transform file (text).

    Parameters
    ----------
    path : path-like
    matrices : array_like of shape (4, 4) or (N, 4, 4)
        RAS+ maps of reference points to source points.
    """
    matrices = np.asarray(matrices, dtype=np.float64).reshape(-1, 4, 4)
    lines = ["#Insight Transform File V1.0"]
    for number, matrix in enumerate(matrices):
        lps = _FLIP @ matrix @ _FLIP
        values = " ".join(repr(float(v)) for v in [*lps[:3, :3].ravel(), *lps[:3, 3]])
        lines += [
            f"#Transform {number}",
            "Transform: AffineTransform_double_3_3",
            f"Parameters: {values}",
            "FixedParameters: 0 0 0",
        ]
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


def read_affines(path):
    """Read an ITK transform file of affine transforms.

    Returns
    -------
    ndarray of shape (N, 4, 4)
        RAS+ maps of reference points to source points.

    Raises
    ------
    InputError
        If a transform is not an affine or rigid matrix.
    """
    found, kind, parameters = [], None, None
    with open(path, encoding="ascii") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key == "Transform":
                kind = value.strip()
                if not kind.startswith(("AffineTransform_", "MatrixOffsetTransformBase_")):
                    raise InputError(
                        path, "Transform", kind, "an ITK AffineTransform", "Convert the transform to a matrix."
                    )
            elif key == "Parameters":
                parameters = np.array(value.split(), dtype=np.float64)
            elif key == "FixedParameters":
                centre = np.array(value.split(), dtype=np.float64)
                lps = np.eye(4)
                lps[:3, :3] = parameters[:9].reshape(3, 3)
                lps[:3, 3] = parameters[9:] + centre - lps[:3, :3] @ centre
                found.append(_FLIP @ lps @ _FLIP)
    if not found:
        raise InputError(path, "Transform", "none", "at least one ITK transform", "Make the file again.")
    return np.array(found)


def write_field(path, coordinates, affine):
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


def read_field(path):
    """Read an ITK displacement field.

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


def points(grid):
    """RAS+ coordinates (mm) of a grid's voxel centres: ndarray of shape (X, Y, Z, 3), float64."""
    shape, affine = grid
    axes = [np.arange(n, dtype=np.float64) for n in shape]
    parts = [axis.reshape([-1 if k == j else 1 for k in range(3)]) for j, axis in enumerate(axes)]
    out = np.empty((*tuple(shape), 3))
    for k in range(3):
        out[..., k] = sum(affine[k, j] * parts[j] for j in range(3)) + affine[k, 3]
    return out


def apply(matrix, coordinates):
    """Map points by a 4 x 4 matrix: ``coordinates`` of shape (..., 3), returned in the same shape."""
    return coordinates @ matrix[:3, :3].T + matrix[:3, 3]
