"""What was taken to be known of label in tissue, and what an error of it changes, in words and as a table."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.figures.numerals import MISSING
from pharmasl.perfusion.known_factor import STEP
from pharmasl.report.words import fixed, listed, short, signed
from pharmasl.study import known_images

Sidecar = Mapping[str, Any]
_NAMES = {"TransitTime": "arterial transit time", "T1": "T1 of tissue"}
_PLACES = {known_images.T1W: "on the participant's T1-weighted image"}
_CHANGED = {"transit_time": _NAMES["TransitTime"], "t1": _NAMES["T1"]}


@dataclass(frozen=True, kw_only=True)
class KnownTissue:
    """What the page of a scan says of it.

    Attributes
    ----------
    words : str
        Sentences.
    rows : sequence of (str, str, str)
        What is changed, and by how many percent mean CBF of grey and of white matter then differs.
    """

    words: str
    rows: Sequence[tuple[str, str, str]]


def values(record: Sidecar) -> str:
    """The known quantities of a scan with their values: a part of a sentence."""
    return _listed([_value(name, record[key]) for key, name in _NAMES.items() if record[key] is not None], record)


def _listed(parts: list[str], record: Sidecar) -> str:
    return listed([*parts, *(["T1 of tissue that is that of blood"] if record["T1"] is None else [])])


def _value(name: str, own: Sidecar) -> str:
    """One quantity of a scan: of each tissue, or by a map."""
    if "File" not in own:
        return f"{name} ({_constants(own)})"
    own_median = own["GreyMatterPercentiles"]["Value"]
    median = "" if own_median is None else f", with a median of {fixed(own_median[1])} s in grey matter"
    filled = 1 - own["Covered"]
    holes = f"; {share(filled)} of the tissue had no value and took the nearest" if filled > 0 else ""
    return f"{name} by a map ({own['File']}, {_place(own['Space'])}{median}{holes})"


def _place(space: str) -> str:
    return _PLACES.get(space, f"on {space}")


def _constants(own: Sidecar) -> str:
    return f"{short(own['GreyMatter'])} s in grey and {short(own['WhiteMatter'])} s in white matter, by each voxel's shares of them"


def _over_scans(name: str, own: Sequence[Sidecar]) -> str:
    """One quantity of several scans: each way in which it is stated, and the medians of maps over the scans."""
    parts = [f"{name} ({words})" for words in dict.fromkeys(_constants(value) for value in own if "File" not in value)]
    for space in dict.fromkeys(value["Space"] for value in own if "File" in value):
        known = [value["GreyMatterPercentiles"]["Value"] for value in own if value.get("Space") == space]
        medians = sorted(fixed(percentiles[1]) for percentiles in known if percentiles is not None)
        ends = list(dict.fromkeys([*medians[:1], *medians[-1:]]))
        grey = f" (median in grey matter {' to '.join(ends)} s)" if ends else ""
        parts.append(f"{name} by a map {_place(space)}{grey}")
    return listed(parts, "or")


def percent(ratio: float | None) -> str:
    """A ratio as a change in percent, with its sign."""
    return MISSING if ratio is None else f"{signed(100 * (ratio - 1), 1)} %"


def of_scan(record: Sidecar | None) -> KnownTissue | None:
    """What a scan's page says; None where nothing was taken to be known.

    Parameters
    ----------
    record : Mapping or None
        ``KnownTissue`` of its sidecar.
    """
    if not record:
        return None
    words = [f"CBF was computed with a known {values(record)}; not measured in this scan."]
    if record["LateShare"] > 0:
        words.append(
            f"In {share(record['LateShare'])} of the brain less than a third of the label has arrived at the readout: CBF is not known "
            "there."
        )
    if record["ArrivingShare"] > 0:
        words.append(
            f"In {share(record['ArrivingShare'])} of the voxels with a CBF some label is still on its way at the readout, so that it "
            "hangs on the transit time."
        )
    without = record["OverConsensus"]
    rows = [("against the consensus' formula", percent(without["gm"]), percent(without["wm"]))]
    for change, ratios in record["WithError"].items():
        rows.append((f"if {_error(change)}", percent(ratios["gm"]), percent(ratios["wm"])))
    return KnownTissue(words=" ".join(words), rows=rows)


def share(value: float) -> str:
    """A share in percent, one below a tenth of a percent said so."""
    return "less than 0.1 %" if 0 < value < 0.001 else f"{fixed(100 * value, 1 if value < 0.1 else 0)} %"


def _error(change: str) -> str:
    """What is changed, such as ``transit_time +0.1 s``, in words."""
    name, step, _ = change.split()
    return f"the {_CHANGED[name]} were {short(abs(float(step)))} s {'longer' if step.startswith('+') else 'shorter'}"


def methods(sidecars: Sequence[Sidecar]) -> Iterator[str]:
    """What was taken to be known, and what an error of it would change, as sentences of the methods."""
    records = [sidecar["KnownTissue"] for sidecar in sidecars if sidecar.get("KnownTissue")]
    if not records:
        return
    known = {key: [record[key] for record in records if record[key] is not None] for key in _NAMES}
    parts = [_over_scans(name, known[key]) for key, name in _NAMES.items() if known[key]]
    which = "" if len(records) == len(sidecars) else f" in {len(records)} of {len(sidecars)} scans"
    yield f"Label was taken to have a known {_listed(parts, records[0])}{which}; it was not measured in these scans."
    changes = []
    for name, words in _CHANGED.items():
        ends = [_median(records, f"{name} {sign}{STEP:g} s") for sign in "+-"]
        if all(end is not None for end in ends):
            changes.append(
                f"a {words} {short(STEP)} s longer or shorter would change it by {percent(ends[0])} or {percent(ends[1])}"
            )
    ratios = [record["OverConsensus"]["gm"] for record in records if record["OverConsensus"]["gm"] is not None]
    if ratios:
        yield (
            f"Mean grey-matter CBF differs by {percent(statistics.median(ratios))} from that of the consensus' formula (Alsop et al. 2015)"
            f"{'; ' * bool(changes)}{'; '.join(changes)} (medians of {len(ratios)} {'scan' if len(ratios) == 1 else 'scans'})."
        )
    late = [record["LateShare"] for record in records]
    if max(late) > 0:
        yield (
            "CBF is not known where less than a third of the label had arrived by the readout: at most "
            f"{share(max(late))} of the brain in any one scan."
        )


def _median(records: Sequence[Sidecar], change: str) -> float | None:
    known = [record["WithError"][change]["gm"] for record in records if change in record["WithError"]]
    known = [ratio for ratio in known if ratio is not None]
    return statistics.median(known) if known else None
