"""What was taken to be known of label in tissue, and what an error of it changes, in words and as a table."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.figures.numerals import MISSING
from pharmasl.perfusion.known_factor import STEP
from pharmasl.report.words import fixed, listed, short, signed

Sidecar = Mapping[str, Any]
_NAMES = {"TransitTime": "arterial transit time", "T1": "T1 of tissue"}
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
    parts = []
    for key, name in _NAMES.items():
        own = record[key]
        if own is None:
            continue
        parts.append(
            f"{name} of {short(own['GreyMatter'])} s in grey and {short(own['WhiteMatter'])} s in white matter"
        )
    if record["T1"] is None:
        parts.append("T1 of tissue that is that of blood")
    return listed(parts)


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
    words = [
        f"CBF was computed with a known {values(record)}, mixed in each voxel by its shares of tissue, and not measured in "
        "this scan."
    ]
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
    known = list(dict.fromkeys(map(values, records)))
    yield (
        f"Label was taken to have a known {listed(known, 'or')}, mixed in each voxel by its shares of tissue; it was not measured in these scans."
    )
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
