"""The measures of a scan beside their bands, with likely causes and what to do."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pharmasl.figures.numerals import MISSING
from pharmasl.files.tables import Row
from pharmasl.quality import flags
from pharmasl.quality.advice import Advice, advice
from pharmasl.quality.measure_columns import ACROSS_REPEATS, BY_DESIGN, METRICS
from pharmasl.report.words import MINUS, fixed

# Measures that say what the others were formed over.
_COUNTS = ("delays", "gm_voxels", "gm_threshold", "wm_voxels", "wm_threshold")
_WHOLE = ("pairs_used", "pairs", "pairs_without_signal", *_COUNTS)
_SHARES = ("negative_gm_share", "high_cbf_share", "coverage", "zero_cbf_share")
_COARSE = ("gm_cbf", "wm_cbf", "gm_cbf_z", "dispersion_index")
_STATES = {"low": "low", "high": "high", "missing": "missing"}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A row of the table of measures.

    Attributes
    ----------
    name, meaning, value, band, source : str
        ``band`` is empty where there is none.
    state : str
        ``low``, ``high``, ``missing``, or empty within the band.
    advice : Advice or None
        Of a flagged one.
    """

    name: str
    meaning: str
    value: str
    band: str
    source: str
    state: str
    advice: Advice | None


def shown(name: str, value: str | float | None) -> str:
    """A measure with as many digits as it is worth, and its unit."""
    number = math.nan if value is None else float(value)
    if not math.isfinite(number):
        return MISSING
    if name in _SHARES:
        return f"{number:.1%}" if 0 < number < 0.1 else f"{number:.0%}"
    if name in _WHOLE:
        return f"{number:g}"
    unit = METRICS[name]["Units"]
    text = fixed(number, 1 if name in _COARSE else 2)
    return text if unit == "1" else f"{text} {'%' if unit == 'percent' else unit}"


def band_words(name: str, band: flags.Band) -> str:
    """A band in words: "at most 0.5 mm"."""
    low, high = (None if limit is None else _limit(name, limit) for limit in band)
    unit = "" if name in _SHARES or METRICS[name]["Units"] == "1" else f" {METRICS[name]['Units']}"
    if low is None:
        return f"at most {high}{unit}" if high is not None else ""
    return f"at least {low}{unit}" if high is None else f"{low} to {high}{unit}"


def _limit(name: str, limit: float) -> str:
    return f"{limit:g}".replace("-", MINUS) if name not in _SHARES else f"{100 * limit:g}%"


def measures(
    row: Row, bands: Mapping[str, flags.Band], own: Mapping[str, Sequence[float | None] | None]
) -> list[Measure]:
    """The table of measures, flagged ones first.

    Parameters
    ----------
    row : Row
        Of the quality table.
    bands : mapping
        As :func:`pharmasl.quality.flags.resolve` returns.
    own : mapping
        The configuration's own bands.
    """
    raised = dict(flag.split(":") for flag in (row["flags"] or "").split(",") if flag)
    table = []
    for name, described in METRICS.items():
        if name in (*ACROSS_REPEATS, *BY_DESIGN) and row[name] is None and name not in raised:
            continue
        band = bands.get(name)
        state = raised.get(name, "")
        table.append(
            Measure(
                name=described["LongName"],
                meaning=described["Description"],
                value=shown(name, row[name]),
                band=band_words(name, band) if band else "",
                source=("the configuration" if name in own else flags.SOURCES.get(name, "")) if band else "",
                state=_STATES.get(state, state),
                advice=advice(f"{name}:{state}") if state else None,
            )
        )
    return sorted(table, key=lambda measure: not measure.state)
