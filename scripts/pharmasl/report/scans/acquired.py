"""What was acquired, and what was resolved of it: each value with where it comes from."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pharmasl.report.words import MINUS, count, fixed, listed
from pharmasl.study.scan_acquisition import ENCODED
from pharmasl.study.sheets import ACQUISITION

Row = tuple[str, str, str]  # what, value, where it comes from

# Folders before a file's name: a page names files, not where they lie. A folder's name may hold blanks.
_FILE = r"[^\s/]+\.(?:json|tsv|nii|nii\.gz|ya?ml)"
_FOLDERS = re.compile(rf"(?<= of ).*/(?={_FILE}$)|/?(?:[^\s/:;,()]+/)+(?={_FILE}\b)")
_KINDS = {
    "control": "control",
    "label": "label",
    ENCODED: "time-encoded",
    "m0scan": "M0",
    "deltam": "deltaM",
    "cbf": "CBF",
    "noRF": "noRF",
}
_WORDS = {
    "labeling_type": "Labelling",
    "post_labeling_delay": "Post-labelling delay (PASL: inversion time)",
    "slice_timing": "Readout of the slices",
    "labeling_efficiency": "Labelling efficiency",
    "background_suppression": "Background suppression",
    "suppression_pulses": "Background-suppression pulses",
    "m0_type": "M0",
}
_M0 = {
    "Separate": "an image of its own",
    "Included": "volumes of the series",
    "Estimate": "one number",
    "Absent": "the mean control",
}


def without_folders(text: str) -> str:
    """A text with every path in it cut to its file's name."""
    return _FOLDERS.sub("", text)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        known = list(dict.fromkeys(number for number in value if number is not None))
        return ", ".join(_text(number) for number in known)
    if isinstance(value, int | float):
        return f"{value:.5g}".replace("-", MINUS)
    return str(value)


def _timing(value: Sequence[float]) -> str:
    return f"{min(value):g} to {max(value):g}"


def rows(acquisition: Mapping[str, Any]) -> Iterator[Row]:
    """The values by which a scan is quantified.

    Parameters
    ----------
    acquisition : mapping
        As :meth:`pharmasl.study.scan_acquisition.Acquisition.plain` gives it.

    Yields
    ------
    tuple of str
        What, value with unit, and where it comes from; values that the scan has none of are left out.
    """
    sources = acquisition.get("sources") or {}
    for name, described in ACQUISITION.items():
        value = acquisition.get(name)
        if value is None and name != "slice_timing":
            continue
        words = _WORDS.get(name) or (
            str(described["Description"]) if isinstance(described, Mapping) else str(described)
        )
        unit = f" {described['Units']}" if isinstance(described, Mapping) else ""
        if name == "m0_type":
            shown = _M0.get(str(value), str(value))
        elif name == "slice_timing":
            shown = "one readout for all slices" if value is None else _timing(value)
            unit = "" if value is None else unit
        else:
            shown = _text(value)
        yield words.partition(";")[0], shown + unit, without_folders(str(sources.get(name) or "not recorded"))


def volumes(types: Sequence[str]) -> str:
    """How many volumes of each type a series has, in words."""
    numbers = {kind: types.count(kind) for kind in dict.fromkeys(types)}
    return listed(f"{number} {_KINDS.get(kind, 'unused')}" for kind, number in numbers.items())


def summary(acquisition: Mapping[str, Any], shape: Sequence[int], affine: np.ndarray) -> str:
    """The acquisition in a sentence.

    Parameters
    ----------
    acquisition : mapping
    shape : sequence of int
        Voxels along the three axes.
    affine : ndarray of shape (4, 4)
    """
    types = list(acquisition["volume_types"])
    parts = [acquisition.get("labeling_type") or "CBF as the scanner computed it"]
    parts.append(f"{count(len(types), 'volume')} ({volumes(types)})")
    parts.append("3D readout" if acquisition.get("slice_timing") is None else "slices read one after another (2D)")
    parts.append(grid_words(shape, affine))
    return ", ".join(parts) + "."


def grid_words(shape: Sequence[int], affine: np.ndarray) -> str:
    """The voxels of a grid, in words; parameters as of :func:`summary`."""
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    grid = " \u00d7 ".join(str(number) for number in shape[:3])
    voxel = " \u00d7 ".join(f"{size:.3g}" for size in sizes)
    return f"{grid} voxels of {voxel} mm"


def echo_words(sidecar: Mapping[str, Any]) -> str:
    """Which echoes are shown and were used, in a sentence; empty of a series of one."""
    own = sidecar.get("SummedEchoes")
    if not own:
        taken = str(sidecar.get("Echo") or "").partition(" (")[0]
        return f"Of the echoes, {taken} was used." if taken else ""
    times = ", ".join(_text(1e3 * time) for time in own["EchoTimes"]["Value"])
    weights, expected = (", ".join(fixed(value) for value in own[name]) for name in ("Weights", "ExpectedSignal"))
    measured = ", ".join(fixed(value) for value in own["Signal"])
    decay = f"; this scan's head has {measured}" if measured else ""
    gain = fixed(own["Gain"] or own["ExpectedGain"])
    return (
        f"Series and M0 are weighted sums of their echoes at {times} ms, with weights of {weights}: the signal expected of each echo "
        f"over that of the first is {expected} (T2* {_text(1e3 * own['T2Star']['Value'])} ms){decay}. Noise that is independent "
        f"between echoes is {gain} times less against the signal than in the first; CBF does not depend on the weights."
    )


def m0_words(sidecar: Mapping[str, Any]) -> str:
    """Where M0 comes from, in a sentence."""
    m0 = sidecar.get("M0") or {}
    source = str(m0.get("Source") or "none")
    if (estimate := m0.get("Estimate")) is not None:
        return f"M0 is one number for all voxels: {_text(estimate['Value'])}."
    return f"M0 comes from: {without_folders(source)}."
