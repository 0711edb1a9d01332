"""Bands of acceptable quality, and the measures that leave them."""

import math

from pharmasl.errors import InputError
from pharmasl.quality.columns import METRICS

# A flag asks for a look, so the bands are wide. Sources: spatial CoV above 1 is "artefact" in ExploreASL's sorting
# (Mutsaerts et al.); GM CBF and the ratio to WM as in the open CBF_QC criteria; a displacement of 0.5 mm is Power et
# al.'s (2012) limit for one volume. The other limits are assumed: no published one was found.
BANDS = {
    "qei": (0.5, None),
    "negative_gm_share": (None, 0.1),
    "spatial_cov": (None, 1.0),
    "gm_cbf": (25.0, 120.0),
    "gm_wm_ratio": (1.2, 4.0),
    "fd_mean": (None, 0.5),
    "fd_max": (None, 3.0),
    "coverage": (0.85, None),
    "template_correlation": (0.3, None),
}


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
        ``measure:low``, ``measure:high`` or, where the measure could not be formed, ``measure:missing``.
    """
    found = []
    for name, (low, high) in bands.items():
        value = metrics[name]
        if value is None or math.isnan(value):
            found.append(f"{name}:missing")
        elif low is not None and value < low:
            found.append(f"{name}:low")
        elif high is not None and value > high:
            found.append(f"{name}:high")
    return found


def describe(flag):
    """A flag in words: ``fd_mean:high`` gives "mean framewise displacement high"."""
    name, side = flag.split(":")
    words = METRICS[name]["LongName"]
    lower = words if words[1].isupper() else words[0].lower() + words[1:]
    return f"{lower} {side}"
