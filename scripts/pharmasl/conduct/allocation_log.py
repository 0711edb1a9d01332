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
from pathlib import Path

from pharmasl.errors import InputError
from pharmasl.files import blinding, tables
from pharmasl.records import provenance

SHAM, REAL = "sham", "real"

DESCRIPTION = (
    "Each state of code and configuration that was run, oldest first. sham: the blinded report was complete (report_sha256). "
    "real: a run with the trial's own allocation began; the first of them is the unblinding. Settings leave out the key "
    "blinded, which is what unblinding changes, and where dataset and results lie; files are those of the workflow, with a BLAKE2 digest each."
)
# What unblinding itself changes, and where dataset and results lie.
_LEFT_OUT = ("blinded", "bids_dir", "output_dir")


def state(settings, versions):
    """What is to be frozen: configuration and code, each with one digest over all.

    Parameters
    ----------
    settings : dict
        The complete configuration.
    versions : dict
        Of the packages that compute.

    Returns
    -------
    dict
        ``allocation``, ``code`` and ``configuration`` (digests), ``files`` (path to digest), ``settings``, ``versions``.
    """
    return {
        "allocation": SHAM if settings["blinded"] else REAL,
        **digests(settings),
        "files": provenance.files(),
        "settings": _kept(settings),
        "versions": versions,
    }


def digests(settings):
    """One digest over all code, ``code``, and one over the configuration, ``configuration``."""
    return {"code": _digest(provenance.files()), "configuration": _digest(_kept(settings))}


def _kept(settings):
    return {key: value for key, value in settings.items() if key not in _LEFT_OUT}


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def record(path, now, report=None):
    """Add an entry to the log, unless its last one says the same.

    Parameters
    ----------
    path : path-like
        Made if it is not there. It is replaced at once, so that a run that is cut off leaves the old or the new one.
    now : dict
        As :func:`state` gives it.
    report : path-like, optional
        The blinded report that was frozen with it.

    Raises
    ------
    InputError
        If that report does not carry the mark of a sham allocation: it was written with the trial's own.
    """
    path = Path(path)
    page = Path(report).read_bytes() if report else b""
    if report and f"{blinding.MARK}: {blinding.TEXT}" not in html.unescape(page.decode("utf-8", "replace")):
        raise InputError(
            report,
            blinding.MARK,
            "no mark of a sham allocation",
            "a page that was written blinded",
            "It was written with the trial's own allocation and is not recorded as a blinded report. Remove the results "
            "that depend on the arms (study, group, rois, craving, sensitivity, report), or name another output_dir.",
        )
    entries = read(path) if path.is_file() else []
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    seen = {"report_sha256": hashlib.sha256(page).hexdigest()} if report else {}
    entry = {"time": time, **now, **seen}
    if entries and {**entries[-1], "time": time} == entry:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    tables.write_json(new, {"Description": DESCRIPTION, "Entries": [*entries, entry]})
    os.replace(new, path)


def read(path):
    """The entries of a log, oldest first."""
    return tables.read_json(path)["Entries"]


def history(path):
    """What the log tells of a trial's unblinding.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict
        ``unblinded`` (the first entry with the trial's allocation), ``frozen`` (the last with a sham one before it; None
        if there is none), ``now`` (the last entry with the trial's allocation), ``files`` and ``settings`` (sorted names
        of what differs between ``frozen`` and ``now``) and ``changes`` (how often code or configuration changed between
        runs with the trial's allocation).

    Raises
    ------
    InputError
        If the trial's own allocation is not on record.
    """
    entries = read(path)
    real = [entry for entry in entries if entry["allocation"] == REAL]
    if not real:
        raise InputError(
            path,
            "Entries",
            "sham allocations alone",
            "an entry with the trial's own",
            "Start the workflow by its Snakefile: it keeps the record.",
        )
    first = entries.index(real[0])
    frozen, now = entries[first - 1] if first else None, real[-1]
    states = [(entry["code"], entry["configuration"]) for entry in real]
    return {
        "unblinded": real[0],
        "frozen": frozen,
        "now": now,
        "files": _differing(frozen["files"], now["files"]) if frozen else [],
        "settings": _differing(_flat(frozen["settings"]), _flat(now["settings"])) if frozen else [],
        "changes": sum(before != after for before, after in itertools.pairwise(states)),
    }


def _differing(before, after):
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _flat(settings, prefix=""):
    """Nested settings by their dotted names."""
    found = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
