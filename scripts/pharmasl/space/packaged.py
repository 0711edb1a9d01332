"""Files that installed Python packages carry: the template and the atlas. Light, because the plan needs them too."""

from importlib.util import find_spec
from pathlib import Path

from pharmasl.errors import InputError


def package_file(package, name):
    """The path of a data file that an installed Python package carries; the package is not imported.

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
        f"Python package {package}", name, "not installed", "the file in the environment", f"Install {package}."
    )


def nilearn_file(kind):
    """The path of nilearn's template: ``t1``, ``gm`` or ``wm``.

    Raises
    ------
    InputError
        As :func:`package_file`.
    """
    return package_file("nilearn", f"datasets/data/mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz")
