"""Named calibrations: sets of constants and M0 settings in ``config/calibrations``, one file each."""

import copy
import functools
from collections.abc import Mapping
from typing import Any

import yaml

from pharmasl.study.schemas import FOLDER

_FOLDER = FOLDER.parent / "calibrations"


@functools.cache
def load(name: str) -> dict[str, Any]:
    """A calibration.

    Parameters
    ----------
    name : str
        A file of ``config/calibrations``, without its extension.

    Returns
    -------
    dict
        Keys of the configuration's ``perfusion``, and ``references``: key to where its values come from.
    """
    return yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def names() -> list[str]:
    """The calibrations there are."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def fill(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Lay a study's own settings over a calibration.

    Parameters
    ----------
    settings : dict
        ``perfusion`` of the user's configuration.
    name : str

    Returns
    -------
    dict
        A new one; tables by field strength are taken whole, other groups key by key.
    """
    base = {key: value for key, value in copy.deepcopy(load(name)).items() if key != "references"}
    for key, value in settings.items():
        group = key in ("labeling_efficiency", "m0", "outliers") and isinstance(value, dict)
        base[key] = {**base[key], **value} if group else value
    return base


def source(settings: Mapping[str, Any], key: str) -> str:
    """Where a value of a study's settings comes from, in words.

    Parameters
    ----------
    settings : dict
        As :func:`fill` gives them.
    key : str
        ``t1_blood``, or with the key of a group, ``labeling_efficiency.PCASL``.

    Returns
    -------
    str
        The calibration and its reference, or the configuration's key where that says otherwise.
    """
    name = settings["calibration"]
    preset, own, reference = load(name), settings, load(name)["references"]
    for part in key.split("."):
        preset, own = preset[part], own[part]
        reference = reference.get(part) if isinstance(reference, dict) else reference
    if preset != own:
        return f"config perfusion.{key}"
    return f"calibration {name}" + (f" ({reference})" if reference else "")
