"""Which settings of a study count: those of stages whose results another program has made do not."""

from collections.abc import Collection, Mapping
from typing import Any

from pharmasl.study.derivatives import Derivatives

# Of the quality of a map whose repeats and registration are not known, these decide nothing.
_OF_RAW_SCANS = ("least_pairs", "exclude_failed_registration")


def used(configuration: Mapping[str, Any], derivatives: Derivatives) -> dict[str, Any]:
    """A configuration without the settings that nothing in the study reads.

    Parameters
    ----------
    configuration : mapping
        Complete, of plain values.
    derivatives : Derivatives
        Of the same study.

    Returns
    -------
    dict
        In the same order.
    """
    kept = {name: _part(name, value, derivatives) for name, value in configuration.items()}
    return {name: value for name, value in kept.items() if value is not None}


def _part(section: str, value: Any, derivatives: Derivatives) -> Any:
    """What counts of a section; None where nothing does."""
    of_scans = section in ("anatomy", "perfusion", "quality")
    if derivatives.contrasts:
        return None if of_scans else value
    if derivatives.cbf and of_scans:
        if section == "quality":
            return _only(value, set(value) - set(_OF_RAW_SCANS))
        return _only(value, ["smoothing_fwhm"]) if section == "perfusion" else None
    if derivatives.anatomy and section == "anatomy":
        return _only(value, ["per", *(["registration"] if "registration" in derivatives.anatomy.own else [])])
    return value


def _only(section: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name in names}
