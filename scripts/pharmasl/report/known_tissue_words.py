"""What was taken to be known of label in tissue, and what an error of it changes, in words and as a table."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.figures.numerals import MISSING
from pharmasl.report.words import fixed, listed, short, signed
from pharmasl.study import known_images
from pharmasl.study.physiology import ERROR_STEP

Sidecar = Mapping[str, Any]
_NAMES = {"TransitTime": "arterial transit time", "T1": "T1 of tissue"}
_PLACES = {known_images.T1W: "on the participant's T1-weighted image"}
_CHANGED = {"transit_time": _NAMES["TransitTime"], "t1": _NAMES["T1"]}


@dataclass(frozen=True, kw_only=True)
class KnownTissue:
    """What the page of a scan says of it.

    Attributes
    ----------
    title : str
        What is known.
    words : str
        Sentences.
    columns : sequence of str
        Heads of the rows' figures.
    rows : sequence of sequence of str
        What is changed, by how many percent mean CBF of grey and of white matter then differs, and of several delays by how many
        seconds their mean transit times do.
    """

    title: str
    words: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


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
    several = record["SeveralDelays"]
    words = list(_of_several(record) if several else _of_one(record))
    changes = [(f"against {record['Unknown']}", record["OverUnknown"])]
    changes += [(f"if {_error(change, several)}", ratios) for change, ratios in record["WithError"].items()]
    tissues = {"gm": "Grey matter", "wm": "White matter"}
    columns = [f"{words}, CBF" for words in tissues.values()]
    rows = [[name, *(percent(ratios[tissue]) for tissue in tissues)] for name, ratios in changes]
    if several:
        columns += [f"{words}, transit time" for words in tissues.values()]
        for row, (_, ratios) in zip(rows, changes):
            row += [_seconds(ratios.get("Later", {}).get(tissue)) for tissue in tissues]
    known = listed([words for key, words in _NAMES.items() if record[key] is not None])
    return KnownTissue(title=f"With a known {known}", words=" ".join(words), columns=columns, rows=rows)


def _of_one(record: Sidecar) -> Iterator[str]:
    """What is said of a scan of a single delay."""
    yield f"CBF was computed with a known {values(record)}; not measured in this scan."
    if record["LateShare"] > 0:
        yield (
            f"In {share(record['LateShare'])} of the brain less than a third of the label has arrived at the readout: CBF is not known "
            "there."
        )
    if record["ArrivingShare"] > 0:
        yield (
            f"In {share(record['ArrivingShare'])} of the voxels with a CBF some label is still on its way at the readout, so that it "
            "hangs on the transit time."
        )


def _of_several(record: Sidecar) -> Iterator[str]:
    """What is said of a scan of several delays."""
    time, t1, sd = record["TransitTime"], record["T1"], record["TransitTimePriorSD"]
    if t1 is not None:
        yield f"CBF and transit time were fitted with a known {_value('T1 of tissue', t1)}; not measured in this scan."
    if time is not None and sd is not None:
        yield f"A known {_value(_NAMES['TransitTime'], time)} is the mean of the prior of the transit time, of SD {short(sd)} s."
    elif time is not None:
        yield (
            f"The known {_value(_NAMES['TransitTime'], time)} was not used: no delay has repeats that show the noise, by which a prior "
            "is weighed."
        )


def _seconds(value: float | None) -> str:
    """A difference of transit times."""
    return MISSING if value is None else f"{signed(value, 3)} s"


def share(value: float) -> str:
    """A share in percent, one below a tenth of a percent said so."""
    return "less than 0.1 %" if 0 < value < 0.001 else f"{fixed(100 * value, 1 if value < 0.1 else 0)} %"


def _error(change: str, several: bool) -> str:
    """What is changed, such as ``transit_time +0.1 s``, in words."""
    name, step, _ = change.split()
    words = f"mean of the {_NAMES['TransitTime']}'s prior" if several and name == "transit_time" else _CHANGED[name]
    return f"the {words} were {short(abs(float(step)))} s {'longer' if step.startswith('+') else 'shorter'}"


def methods(sidecars: Sequence[Sidecar]) -> Iterator[str]:
    """What was taken to be known, and what an error of it would change, as sentences of the methods."""
    records = [sidecar["KnownTissue"] for sidecar in sidecars if sidecar.get("KnownTissue")]
    for several in (False, True):
        own = [record for record in records if record["SeveralDelays"] == several]
        if own:
            which = "" if len(own) == len(sidecars) else f" in {len(own)} of {len(sidecars)} scans"
            yield from _methods_of_several(own, which) if several else _methods_of_one(own, which)


def _methods_of_one(records: Sequence[Sidecar], which: str) -> Iterator[str]:
    """Of scans of a single delay."""
    known = {key: [record[key] for record in records if record[key] is not None] for key in _NAMES}
    parts = [_over_scans(name, known[key]) for key, name in _NAMES.items() if known[key]]
    yield f"Label was taken to have a known {_listed(parts, records[0])}{which}; it was not measured in these scans."
    yield from _effects(records, _CHANGED)
    late = [record["LateShare"] for record in records]
    if max(late) > 0:
        yield (
            "CBF is not known where less than a third of the label had arrived by the readout: at most "
            f"{share(max(late))} of the brain in any one scan."
        )


def _methods_of_several(records: Sequence[Sidecar], which: str) -> Iterator[str]:
    """Of scans of several delays."""
    t1s = [record["T1"] for record in records if record["T1"] is not None]
    if t1s:
        yield (
            f"After its arrival label was taken to decay with a known {_over_scans(_NAMES['T1'], t1s)}{which}; it was not measured in "
            "these scans."
        )
    timed = [record for record in records if record["TransitTime"] is not None]
    used = [record for record in timed if record["TransitTimePriorSD"] is not None]
    if used:
        deviations = listed(dict.fromkeys(short(record["TransitTimePriorSD"]) for record in used), "or")
        yield (
            f"The mean of the transit time's prior (SD {deviations} s) was a known "
            f"{_over_scans(_NAMES['TransitTime'], [record['TransitTime'] for record in used])}{which}."
        )
    if len(used) < len(timed):
        yield (
            f"In {len(timed) - len(used)} of the scans a known transit time was not used: no delay had repeats that show the noise, by "
            "which a prior is weighed."
        )
    yield from _effects(records, {**_CHANGED, "transit_time": "mean of that prior"})


def _effects(records: Sequence[Sidecar], names: Mapping[str, str]) -> Iterator[str]:
    """What known values, and errors of theirs, change in the mean CBF of grey matter: medians over scans."""
    changes = []
    for name, words in names.items():
        ends = [_median(records, f"{name} {sign}{ERROR_STEP:g} s") for sign in "+-"]
        if all(end is not None for end in ends):
            changes.append(
                f"a {words} {short(ERROR_STEP)} s longer or shorter would change it by {percent(ends[0])} or {percent(ends[1])}"
            )
    ratios = [record["OverUnknown"]["gm"] for record in records if record["OverUnknown"]["gm"] is not None]
    if ratios:
        yield (
            f"Mean grey-matter CBF differs by {percent(statistics.median(ratios))} from that of {records[0]['Unknown']}"
            f"{'; ' * bool(changes)}{'; '.join(changes)} (medians of {len(ratios)} {'scan' if len(ratios) == 1 else 'scans'})."
        )


def _median(records: Sequence[Sidecar], change: str) -> float | None:
    known = [record["WithError"][change]["gm"] for record in records if change in record["WithError"]]
    known = [ratio for ratio in known if ratio is not None]
    return statistics.median(known) if known else None
