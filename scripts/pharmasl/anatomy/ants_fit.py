"""Affine and symmetric diffeomorphic registration by ANTs (Avants et al. 2008, doi 10.1016/j.media.2007.06.004).

For comparability with pipelines that register by ANTs. antspyx is no package of this workflow's lock, since it asks for an
older numpy and scipy: it is imported when this fit was chosen, from an environment of its own (``envs/ants.yaml``).
"""

import os
import tempfile
from pathlib import Path

import numpy as np

from pharmasl.errors import InputError
from pharmasl.space import transforms

TRANSFORM = "antsRegistrationSyNQuick[s]"

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # RAS+ to LPS+


def package():
    """antspyx, imported so that its results do not depend on the machine's cores.

    ITK reads its number of threads when it is loaded, and antsRegistration its seed when it runs, both from the process'
    environment: the keyword ``random_seed`` of ``ants.registration`` (0.6.3) has no effect.

    Raises
    ------
    InputError
        If antspyx is not installed.
    """
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    try:
        import ants
    except ImportError as error:
        raise InputError(
            file="configuration",
            field="anatomy: registration: backend",
            found="ants",
            expected=f"the Python package antspyx in the environment of this rule ({error})",
            fix="Run with --sdm conda, which makes that environment from envs/ants.yaml, or take backend: greedy.",
        ) from error
    return ants


def fit(fixed, fixed_affine, moving, moving_affine, *, transform=TRANSFORM, seed=1):
    """Fit a brain to the template.

    Parameters
    ----------
    fixed, moving : ndarray of shape (X, Y, Z)
        Template and brain, 0 outside.
    fixed_affine, moving_affine : ndarray of shape (4, 4)
    transform : str
        A ``type_of_transform`` of ``ants.registration`` that ends in a displacement field.
    seed : int

    Returns
    -------
    matrix : ndarray of shape (4, 4)
        RAS+ mm; it follows the displacement.
    displacement : ndarray of shape (X, Y, Z, 3)
        RAS+ mm, of the fixed image's voxels.

    Raises
    ------
    InputError
        If antspyx is not installed.
    """
    ants = package()
    os.environ["ANTS_RANDOM_SEED"] = str(int(seed))
    with tempfile.TemporaryDirectory() as folder:
        found = ants.registration(
            _image(ants, fixed, fixed_affine),
            _image(ants, moving, moving_affine),
            type_of_transform=transform,
            outprefix=str(Path(folder, "fit")),
        )
        warp, linear = found["fwdtransforms"]
        coordinates, grid = transforms.read_field(warp)
        matrix = _matrix(ants.read_transform(linear))
    return matrix, coordinates - transforms.points(grid)


def _matrix(transform):
    """An ITK affine transform, which is x -> A (x - c) + c + t in LPS+, as a RAS+ matrix."""
    parameters, centre = np.asarray(transform.parameters), np.asarray(transform.fixed_parameters)
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:] + centre - matrix[:3, :3] @ centre
    return _FLIP @ matrix @ _FLIP


def _image(ants, volume, affine):
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    lps = _FLIP @ affine
    return ants.from_numpy(
        np.ascontiguousarray(volume, dtype=np.float32),
        origin=lps[:3, 3].tolist(),
        spacing=size.tolist(),
        direction=lps[:3, :3] / size,
    )
