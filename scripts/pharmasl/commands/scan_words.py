"""How a scan was acquired, in words that can be compared."""

from typing import Any

from pharmasl.study.scan_acquisition import ENCODED
from pharmasl.study.trial import Scan

# Fields, each with its words.
Signature = tuple[tuple[str, str], ...]
# What of the acquisition is compared and shown, as words with the value and its unit.
_ACQUISITION = {
    "labeling_type": "{}",
    "field_strength": "{} T",
    "labeling_duration": "labelling {} s",
    "post_labeling_delay": "delay {} s",
    "bolus_cutoff_technique": "{}",
    "bolus_cutoff_delay": "bolus cut off at {} s",
    "background_suppression": "background suppression: {}",
    "m0_type": "M0 {}",
    "repetition_time": "repetition time {} s",
    "labeling_efficiency": "labelling efficiency {}",
    "units": "{}",
}
_M0 = {
    "Included": "in the series",
    "Separate": "in a file of its own",
    "Estimate": "as a number",
    "Absent": "of controls",
}


def signature(scan: Scan) -> Signature:
    """The acquisition of a scan, field by field, as a reader compares it; two scans acquired alike have the same."""
    taken = scan.acquisition
    if scan.imported:
        made_by = f"CBF maps of {scan.imported.program.name} {scan.imported.program.version}"
        masked = "with brain masks" if scan.imported.mask else "without brain masks"
        return (("program", made_by), ("units", str(taken.units)), ("mask", masked))
    words = [
        (key, text.format(_value(key, getattr(taken, key))))
        for key, text in _ACQUISITION.items()
        if getattr(taken, key) is not None
    ]
    readout = "2D readout" if taken.slice_timing else "3D readout"
    if taken.encoding is not None:
        cycles = taken.volume_types.count(ENCODED) // len(taken.encoding)
        counted = f"time-encoded: {cycles} {'cycle' if cycles == 1 else 'cycles'} of {len(taken.encoding)} volumes"
    else:
        # Of two volumes, a label and its control.
        pairs = sum(kind in ("label", "deltam", "cbf") for kind in taken.volume_types)
        counted = f"{pairs} {'pair' if pairs == 1 else 'pairs'}"
    return (*words[:2], ("readout", readout), *words[2:], ("pairs", counted))


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key == "m0_type":
        return _M0.get(value, value)
    if isinstance(value, tuple):
        values = sorted({number for number in value if number is not None})
        return f"{values[0]:g} to {values[-1]:g}" if len(values) > 1 else f"{values[0]:g}"
    return f"{value:g}" if isinstance(value, float | int) else str(value)
