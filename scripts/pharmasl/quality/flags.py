"""Bands of acceptable quality, and the measures that leave them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pharmasl.errors import InputError
from pharmasl.quality.measure_columns import ACROSS_REPEATS, BY_DESIGN, METRICS


class Band(NamedTuple):
    """The range in which a measure raises no flag, limits included; None leaves a side open."""

    low: float | None
    high: float | None


# The bands, and where they come from. A flag asks for inspection, so the bands are wide. The limits marked assumed are this
# project's: no published one is known.
_BANDS: dict[str, tuple[tuple[float | None, float | None], str]] = {
    "qei": (
        (0.5, None),
        "assumed: no cut-off is published; midway between poor (1/3) and average (2/3) on the raters' scale to which "
        "the index was fitted (Dolui et al. 2024)",
    ),
    "negative_gm_share": ((None, 0.1), "assumed"),
    "high_cbf_share": ((None, 0.1), "assumed"),
    "spatial_cov": ((None, 1.0), "ExploreASL: above 1 is sorted as artefact (after Mutsaerts et al. 2017)"),
    "gm_cbf": ((25.0, 120.0), "the open CBF_QC criteria"),
    "gm_cbf_z": ((1.645, None), "below it, not above zero at a one-sided p of 0.05"),
    "gm_wm_ratio": ((1.2, 4.0), "the open CBF_QC criteria"),
    "fd_mean": ((None, 0.5), "Power et al. 2012: the limit for one volume"),
    "fd_max": ((None, 3.0), "assumed: about a voxel"),
    "coverage": ((0.85, None), "assumed"),
    "registration_overlap": ((0.8, None), "assumed: the limit below which a registration is not accepted"),
    "template_correlation": ((0.3, None), "assumed"),
    "pairs_without_signal": ((None, 0), "none is expected to be empty, damaged or a copy"),
    "orders_open": ((None, 0), "the order of a time-encoded series is to be known (docs/perfusion.md)"),
    "slices_out_of_line": ((None, 0.01), "assumed: four real scans have up to 0.006 (docs/perfusion.md)"),
}
BANDS = {name: Band(*limits) for name, (limits, _) in _BANDS.items()}
SOURCES = {name: source for name, (_, source) in _BANDS.items()}


def resolve(overrides: Mapping[str, Sequence[float | None] | None]) -> dict[str, Band]:
    """The configured bands, and the built-in ones of all other measures.

    Parameters
    ----------
    overrides : mapping
        Measure to ``[low, high]``, or to None for no band.

    Returns
    -------
    dict of str to Band

    Raises
    ------
    InputError
        If a key is no measure, or a value no pair of limits in order.
    """
    bands: dict[str, Band] = dict(BANDS)
    for name, limits in overrides.items():
        field = f"quality.bands.{name}"
        if name not in METRICS:
            raise InputError(
                file="config",
                field=field,
                found=name,
                expected=f"one of {', '.join(METRICS)}",
                fix="Correct the name.",
            )
        if limits is None:
            bands.pop(name, None)
            continue
        if len(limits) != 2 or not _in_order(*limits):
            raise InputError(
                file="config",
                field=field,
                found=limits,
                expected="[low, high]",
                fix="Give two limits; null leaves a side open.",
            )
        bands[name] = Band(*limits)
    return bands


def _in_order(low: float | None, high: float | None) -> bool:
    return low is None or high is None or low <= high


def flags(measures: Mapping[str, float], bands: Mapping[str, Band]) -> list[str]:
    """The measures of a scan that lie outside their bands.

    Parameters
    ----------
    measures : mapping
        Measure to value.
    bands : mapping
        As :func:`resolve` returns.

    Returns
    -------
    list of str
        ``measure:low``, ``measure:high`` or, where the measure could not be formed, ``measure:missing``. A scan that was
        acquired with one repeat per delay lacks what is formed across repeats, one that is not read slice by slice what is
        formed across slices, one that is not time-encoded what is said of a code, and is not flagged for it.
    """
    raised = []
    for name, (low, high) in bands.items():
        value = measures[name]
        if value is None or math.isnan(value):
            if name in BY_DESIGN or (name in ACROSS_REPEATS and measures["pairs"] == measures["delays"]):
                continue
            raised.append(f"{name}:missing")
        elif low is not None and value < low:
            raised.append(f"{name}:low")
        elif high is not None and value > high:
            raised.append(f"{name}:high")
    return raised


def describe(flag: str) -> str:
    """A flag in words: ``fd_mean:high`` gives "mean framewise displacement high"."""
    name, side = flag.split(":")
    return f"{plain(name)} {side}"


def plain(name: str) -> str:
    """A measure in words, as they stand within a sentence."""
    words = METRICS[name]["LongName"]
    return words if words[1].isupper() else words[0].lower() + words[1:]
