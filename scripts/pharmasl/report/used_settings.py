"""Which settings of a study count: those of stages whose results another program has made do not."""

from collections.abc import Mapping
from typing import Any

# Of the quality of a map whose repeats and registration are not known, these decide nothing.
_OF_RAW_SCANS = ("least_pairs", "exclude_failed_registration")
_BLANK: Mapping[str, Any] = {}


def used(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the settings that nothing in the study reads.

    Parameters
    ----------
    configuration : mapping
        Complete, of plain values.

    Returns
    -------
    dict
        In the same order.
    """
    imported = configuration.get("derivatives") or _BLANK
    sections = dict(configuration)
    if imported.get("contrasts"):
        kept: Mapping[str, Mapping[str, Any] | None] = {"anatomy": None, "perfusion": None, "quality": None}
    elif imported.get("cbf"):
        quality = configuration.get("quality") or _BLANK
        kept = {
            "anatomy": None,
            "perfusion": _only(configuration, "perfusion", "smoothing_fwhm"),
            "quality": {name: value for name, value in quality.items() if name not in _OF_RAW_SCANS},
        }
    elif source := imported.get("anatomy"):
        own = ("registration",) if "registration" in (source.get("own") or ()) else ()
        kept = {"anatomy": _only(configuration, "anatomy", "per", *own)}
    else:
        return sections
    changed = {name: kept.get(name, value) for name, value in sections.items()}
    return {name: value for name, value in changed.items() if name not in kept or value}


def _only(configuration: Mapping[str, Any], section: str, *names: str) -> dict[str, Any]:
    every = configuration.get(section) or _BLANK
    return {name: every[name] for name in names if name in every}
