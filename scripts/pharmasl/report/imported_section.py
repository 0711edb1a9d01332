"""What the page says of ready-made contrast maps: who made them, of what they are, in which space, and what was done to them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report.words import count, listed, plain, short

# Maps whose values spread so many times as widely as others' are hardly of one unit.
MOST_SPREAD = 10.0
_AS_THEY_ARE = "none: the map's own values, on its own grid"


def sentences(scans: Sequence[Row], sidecars: Sequence[FilePath]) -> list[str]:
    """:func:`sentence` and :func:`spread`, or nothing in a study of scans."""
    return [sentence(scans, sidecars), *spread(scans, sidecars)] if sidecars else []


def sentence(scans: Sequence[Row], sidecars: Iterable[FilePath]) -> str:
    """Ready-made contrast maps in a sentence: how many, of whom, from where, of what.

    Parameters
    ----------
    scans : sequence of Row
        Of ``scans.tsv``: a row per map.
    sidecars : iterable of path-like
        Of the maps.

    Returns
    -------
    str
    """
    people = dict.fromkeys(row["participant_id"] for row in scans)
    contrasts = dict.fromkeys(plain(str(row["condition"])) for row in scans)
    sessions = dict.fromkeys(row["session_id"] for row in scans if row["session_id"])
    at = f", at {count(len(sessions), 'session')} ({listed(sessions)})" if sessions else ""
    return (
        f"{count(len(scans), 'contrast map')} ({listed(contrasts)}) of {count(len(people), 'participant')}{at} "
        f"{'was' if len(scans) == 1 else 'were'} made by {_source(sidecars)}."
    )


def method(sidecars: Iterable[FilePath]) -> str:
    """Where the contrast maps come from, and what was done to them, as a paragraph of methods; empty without any.

    Parameters
    ----------
    sidecars : iterable of path-like
        Of the maps.

    Returns
    -------
    str
    """
    records = [tables.read_json(path) for path in sidecars]
    if not records:
        return ""
    done = {str(record["Transform"]) for record in records}
    how = "unchanged, on their own grid"
    if done != {_AS_THEY_ARE}:
        how = f"sampled trilinearly on the grid of the analyses, without a change of space ({_distinct(records, 'Space')})"
    scaled = {float(record["ScaledBy"]) for record in records} - {1.0}
    factor = f", multiplied by {listed(f'{value:g}' for value in sorted(scaled))}" if scaled else ""
    return (
        f"The contrast maps were made by {_named(records)}, and were taken over {how}{factor}. Preprocessing and first-level models are "
        "described by that program. Voxels that hold 0 or no number count as not covered."
    )


def spread(scans: Sequence[Row], sidecars: Sequence[FilePath]) -> list[str]:
    """That the maps' values spread very differently, as maps of different units do, as a list of no or one sentence.

    Parameters
    ----------
    scans : sequence of Row
        Of ``scans.tsv``.
    sidecars : sequence of path-like
        Of the maps, in the order of the rows.

    Returns
    -------
    list of str
    """
    by_contrast: dict[str, list[tuple[float, str]]] = {}
    for row, path in zip(scans, sidecars, strict=True):
        where = f"{row['participant_id']}{' at ' + row['session_id'] if row['session_id'] else ''}"
        by_contrast.setdefault(str(row["condition"]), []).append((float(tables.read_json(path)["Spread"]), where))
    text = []
    for contrast, own in by_contrast.items():
        (least, narrow), (most, wide) = min(own), max(own)
        if most > MOST_SPREAD * least:
            text.append(
                f"The values of {plain(contrast)} spread from {short(least)} ({narrow}) to {short(most)} ({wide}) over the brain, "
                f"{most / least:.0f}-fold: check that all maps are of one unit."
            )
    return text


def _source(sidecars: Iterable[FilePath]) -> str:
    return _named([tables.read_json(path) for path in sidecars])


def _named(records: Sequence[Mapping[str, Any]]) -> str:
    """Programs with their versions, then what the maps are of, in which unit and space."""
    programs = dict.fromkeys(" ".join(program.values()) for record in records for program in record["GeneratedBy"])
    return f"{listed(programs)} ({_distinct(records, 'Measure')}, {_distinct(records, 'Units')}; space {_distinct(records, 'Space')})"


def _distinct(records: Sequence[Mapping[str, Any]], name: str) -> str:
    return listed(dict.fromkeys(str(record[name]) for record in records))
