"""Affine and symmetric diffeomorphic registration by ANTs (Avants et al. 2008, doi 10.1016/j.media.2007.06.004).

For comparability with pipelines that register by ANTs. antspyx is not among the locked packages, since it needs an older
numpy and scipy: it is imported only if the configuration asks for this fit, from an environment of its own
(``envs/ants.yaml``).
"""

import os
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from pharmasl.errors import InputError
from pharmasl.space import transforms
from pharmasl.space.images import Volume


def package() -> ModuleType:
    """antspyx, imported in such a way that its results do not depend on the number of cores.

    ITK reads its number of threads when it is loaded, and antsRegistration its seed when it runs, both from the
    environment of the process: the keyword ``random_seed`` of ``ants.registration`` (0.6.3) has no effect.

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


def fit(fixed: Volume, moving: Volume, *, transform: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The affine and deformable transform of a brain to the template.

    Parameters
    ----------
    fixed, moving : images.Volume
        Template and brain, 0 outside.
    transform : str
        A ``type_of_transform`` of ``ants.registration`` that gives a displacement field.
    seed : int

    Returns
    -------
    matrix : ndarray of shape (4, 4)
        RAS+ mm; applied after the displacement.
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
        registration = ants.registration(
            _image(ants, fixed),
            _image(ants, moving),
            type_of_transform=transform,
            outprefix=str(Path(folder, "fit")),
        )
        warp, linear = registration["fwdtransforms"]
        coordinates, grid = transforms.read_field(warp)
        matrix = _matrix(ants.read_transform(linear))
    return matrix, coordinates - transforms.points(grid)


def _matrix(transform: Any) -> np.ndarray:
    """The RAS+ matrix of an ITK affine transform, which is x -> A (x - c) + c + t in LPS+."""
    parameters, centre = np.asarray(transform.parameters), np.asarray(transform.fixed_parameters)
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:] + centre - matrix[:3, :3] @ centre
    return transforms.FLIP @ matrix @ transforms.FLIP


def _image(ants: ModuleType, volume: Volume) -> Any:
    """An image of antspyx."""
    size = voxel_sizes(volume.affine)
    lps = transforms.FLIP @ volume.affine
    return ants.from_numpy(
        np.ascontiguousarray(volume.data, dtype=np.float32),
        origin=lps[:3, 3].tolist(),
        spacing=size.tolist(),
        direction=lps[:3, :3] / size,
    )
