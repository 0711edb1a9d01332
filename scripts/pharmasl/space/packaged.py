"""Data files of installed Python packages: the template and the atlas. No package is imported, since planning needs them."""

from importlib.util import find_spec
from pathlib import Path

from pharmasl.errors import InputError


def package_file(package: str, name: str) -> Path:
    """The path of a data file of an installed Python package.

    Raises
    ------
    InputError
        If the package is not installed or has no such file.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder, name)
        if path.is_file():
            return path
    raise InputError(
        file=f"Python package {package}",
        field=name,
        found="not installed",
        expected="the file in the environment",
        fix=f"Install {package}.",
    )


def in_words(package: str, name: str) -> str:
    """A data file of a package, for a sidecar: it lies in no dataset."""
    return f"{Path(name).name} of the Python package {package}"


def nilearn_name(kind: str) -> str:
    """The name of an image of nilearn's template within the package."""
    return f"datasets/data/mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"


def nilearn_file(kind: str) -> Path:
    """The path of an image of nilearn's template, the ICBM 152 2009a symmetric: ``t1``, ``gm`` or ``wm``.

    Raises
    ------
    InputError
        As :func:`package_file`.
    """
    return package_file("nilearn", nilearn_name(kind))
