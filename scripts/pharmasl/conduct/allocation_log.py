"""The record of when the trial's own allocation was used, and of the code and configuration that were frozen before.

One entry for each state of code and configuration that was run: with a sham allocation, once its report was written
(the freeze); with the trial's own, before the run's first job (the first such entry is the unblinding). Entries are
added, never changed. An entry holds the time, so this is the one file that differs between two runs alike.
"""

import datetime
import hashlib
import html
import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from pharmasl.errors import FilePath, InputError
from pharmasl.files import blinding, tables
from pharmasl.records import provenance

SHAM, REAL = "sham", "real"

DESCRIPTION = (
    "Each state of code and configuration that was run, oldest first. sham: the blinded report was complete (report_sha256). "
    "real: a run with the trial's own allocation began; the first of them is the unblinding. Settings leave out the key "
    "blinded, which is what unblinding changes, and where dataset and results lie; files are those of the workflow, with a BLAKE2 digest each."
)
# What unblinding itself changes, and where dataset and results lie.
_LEFT_OUT = ("blinded", "bids_dir", "output_dir", "outputs")


class Digests(TypedDict):
    """One digest over all code, and one over the configuration."""

    code: str
    configuration: str


class State(Digests):
    """What is frozen.

    Attributes
    ----------
    allocation : {"sham", "real"}
    files : dict
        Digest of each file of the workflow, by its path.
    settings : dict
        The configuration, without what unblinding changes and without the folders.
    versions : dict
        Version of each package that computes.
    """

    allocation: str
    files: dict[str, str]
    settings: dict[str, Any]
    versions: dict[str, str]


class Entry(State):
    """An entry of the log: a state with its time (UTC) and, where it was frozen, the digest of the blinded report."""

    time: str
    report_sha256: NotRequired[str]


@dataclass(frozen=True)
class History:
    """What the log says of a trial's unblinding.

    Attributes
    ----------
    unblinded : Entry
        The first with the trial's own allocation.
    frozen : Entry or None
        The last with a sham allocation before it.
    latest : Entry
        The last with the trial's own allocation.
    changed_files, changed_settings : list of str
        What differs between ``frozen`` and ``latest``, sorted.
    changes : int
        How often code or configuration changed between runs with the trial's own allocation.
    """

    unblinded: Entry
    frozen: Entry | None
    latest: Entry
    changed_files: list[str]
    changed_settings: list[str]
    changes: int


def state(complete: Mapping[str, Any], versions: dict[str, str]) -> State:
    """The state of code and configuration, each with one digest over all of it.

    Parameters
    ----------
    complete : Mapping
        The complete configuration as plain values, of which the record is made.
    versions : dict
        Of the packages that compute.

    Returns
    -------
    State
    """
    return {
        "allocation": SHAM if complete["blinded"] else REAL,
        **digests(complete),
        "files": provenance.files(),
        "settings": _frozen_part(complete),
        "versions": versions,
    }


def digests(complete: Mapping[str, Any]) -> Digests:
    """One digest over all code, and one over the configuration."""
    return {"code": _digest(provenance.files()), "configuration": _digest(_frozen_part(complete))}


def _frozen_part(complete: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in complete.items() if key not in _LEFT_OUT}


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def record(path: FilePath, current: State, report: FilePath | None = None) -> None:
    """Add an entry to the log, unless its last one says the same.

    Parameters
    ----------
    path : path-like
        Made if it does not exist, and replaced as a whole, so that a run that is cut off leaves the old or the new log.
    current : State
    report : path-like, optional
        The blinded report that was frozen with it.

    Raises
    ------
    InputError
        If that report does not carry the mark of a sham allocation: it was written with the trial's own.
    """
    page = Path(report).read_bytes() if report else b""
    if report and f"{blinding.MARK}: {blinding.TEXT}" not in html.unescape(page.decode("utf-8", "replace")):
        raise InputError(
            file=report,
            field=blinding.MARK,
            found="no mark of a sham allocation",
            expected="a page that was written blinded",
            fix="It was written with the trial's own allocation and is not recorded as a blinded report. Remove the results "
            "that depend on the arms (study, group, rois, craving, sensitivity, report), or name another output_dir.",
        )
    log = Path(path)
    entries = read(log) if log.is_file() else []
    entry: Entry = {"time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), **current}
    if report:
        entry["report_sha256"] = hashlib.sha256(page).hexdigest()
    if entries and {**entries[-1], "time": entry["time"]} == entry:
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    new = log.with_name(log.name + ".new")
    tables.write_json(new, {"Description": DESCRIPTION, "Entries": [*entries, entry]})
    os.replace(new, log)


def read(path: FilePath) -> list[Entry]:
    """The entries of a log, oldest first."""
    return tables.read_json(path)["Entries"]


def history(path: FilePath) -> History:
    """When the trial's own allocation was first used, and what has changed since the freeze.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    History

    Raises
    ------
    InputError
        If the trial's own allocation is not on record.
    """
    entries = read(path)
    real = [entry for entry in entries if entry["allocation"] == REAL]
    if not real:
        raise InputError(
            file=path,
            field="Entries",
            found="sham allocations alone",
            expected="an entry with the trial's own",
            fix="Start the workflow by its Snakefile: it keeps the record.",
        )
    first = entries.index(real[0])
    frozen, latest = entries[first - 1] if first else None, real[-1]
    states = [(entry["code"], entry["configuration"]) for entry in real]
    return History(
        unblinded=real[0],
        frozen=frozen,
        latest=latest,
        changed_files=_differing(frozen["files"], latest["files"]) if frozen else [],
        changed_settings=_differing(_flat(frozen["settings"]), _flat(latest["settings"])) if frozen else [],
        changes=sum(before != after for before, after in itertools.pairwise(states)),
    )


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names, sorted, of what one of two states has not, or has otherwise."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
