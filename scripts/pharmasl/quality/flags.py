"""Bands of acceptable quality, and the measures that leave them."""

import math

from pharmasl.errors import InputError
from pharmasl.quality.measure_columns import ACROSS_REPEATS, METRICS

# Limits included in the band, and where they come from. A flag asks for a look, so the bands are wide. The limits
# marked assumed are ours: no published one was found.
_BANDS = {
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
}
BANDS = {name: limits for name, (limits, _) in _BANDS.items()}
SOURCES = {name: source for name, (_, source) in _BANDS.items()}


def resolve(overrides):
    """Lay the configured bands over the built-in ones.

    Parameters
    ----------
    overrides : dict
        Measure to ``[low, high]``, or to None for no band.

    Returns
    -------
    dict
        Measure to ``(low, high)``, limits included in the band; None leaves a side open.

    Raises
    ------
    InputError
        If a key is no measure, or a value no pair of limits in order.
    """
    for name, band in overrides.items():
        field = f"quality.bands.{name}"
        if name not in METRICS:
            raise InputError("config", field, name, f"one of {', '.join(METRICS)}", "Correct the name.")
        if band is not None and (len(band) != 2 or (None not in band and band[0] > band[1])):
            raise InputError("config", field, band, "[low, high]", "Give two limits; null leaves a side open.")
    bands = {**BANDS, **overrides}
    return {name: tuple(band) for name, band in bands.items() if band is not None}


def flags(metrics, bands):
    """The measures of a scan that lie outside their bands.

    Parameters
    ----------
    metrics : dict
        Measure to value.
    bands : dict
        As :func:`resolve` returns.

    Returns
    -------
    list of str
        ``measure:low``, ``measure:high`` or, where the measure could not be formed, ``measure:missing``. A scan of
        one repeat a delay by acquisition lacks what is formed across repeats by design, and is not flagged for it.
    """
    found = []
    for name, (low, high) in bands.items():
        value = metrics[name]
        if value is None or math.isnan(value):
            if name in ACROSS_REPEATS and metrics["pairs"] == metrics["delays"]:
                continue
            found.append(f"{name}:missing")
        elif low is not None and value < low:
            found.append(f"{name}:low")
        elif high is not None and value > high:
            found.append(f"{name}:high")
    return found


def describe(flag):
    """A flag in words: ``fd_mean:high`` gives "mean framewise displacement high"."""
    name, side = flag.split(":")
    return f"{plain(name)} {side}"


def plain(name):
    """A measure in words, as they stand within a sentence."""
    words = METRICS[name]["LongName"]
    return words if words[1].isupper() else words[0].lower() + words[1:]
