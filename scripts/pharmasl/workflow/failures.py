"""Which jobs failed, and why: a marker beside the log of each, so that processes on other machines can say so too.

A job's marker, ``<log without .log>.failed``, is a JSON file. It is written when the job starts, holds the reason when it
fails, and is removed when it succeeds. One that holds no reason is of a job that was killed before it could give any.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pharmasl.errors import FilePath, wrapped

_SUFFIX = ".failed"
_SUMMARY = "failures.txt"
# An environment variable, set where the run's logger says why a job failed, so that the job itself need not.
REPORTED = "PHARMASL_FAILURES_REPORTED"
KILLED = "It ended without a word: killed, or out of memory or time."


@dataclass(frozen=True)
class Failure:
    """A job that did not end well.

    Attributes
    ----------
    job : str
        The rule, and the scan, participant or analysis it was for.
    reason : str
        What the job said, or :data:`KILLED`.
    of_input : bool
        Whether the input is at fault, so that another attempt with the same input is in vain.
    attempted : str
        A digest of the job's inputs and parameters.
    """

    job: str
    reason: str
    of_input: bool
    attempted: str


def marker(log: FilePath) -> Path:
    """The path of the marker beside a job's log."""
    return Path(log).with_suffix(_SUFFIX)


def attempted(inputs: Iterable[str], params: Any) -> str:
    """A digest of what a job starts from: its parameters, and path, size and date of its input files.

    Parameters
    ----------
    inputs : iterable of path-like
    params : object
        With a text form that holds all values.

    Returns
    -------
    str
    """
    files = []
    for path in inputs:
        state = os.stat(path) if os.path.exists(path) else None
        files.append((str(path), state and (state.st_size, state.st_mtime_ns)))
    return hashlib.blake2b(repr((files, str(params))).encode(), digest_size=8).hexdigest()


def record(log: FilePath, failure: Failure) -> None:
    """Write a job's marker."""
    marker(log).write_text(json.dumps(asdict(failure), ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: FilePath) -> Failure | None:
    """Read a marker; None where it is gone or was cut off."""
    try:
        return Failure(**json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def clear(log: FilePath) -> None:
    """Remove a job's marker, if any."""
    marker(log).unlink(missing_ok=True)


def forget(logs: FilePath) -> None:
    """Remove the summary and all markers below a folder: they are of an earlier run."""
    Path(logs, _SUMMARY).unlink(missing_ok=True)
    for path in Path(logs).rglob(f"*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def summary(logs: FilePath) -> str:
    """All failures below a folder as text, also in ``failures.txt`` there: each reason once, with its jobs and a log.

    Parameters
    ----------
    logs : path-like

    Returns
    -------
    str
        Empty where no job failed.
    """
    jobs: dict[str, list[str]] = {}
    first: dict[str, Path] = {}
    for path in sorted(Path(logs).rglob(f"*{_SUFFIX}")):
        failure = read(path)
        if failure:
            jobs.setdefault(failure.reason, []).append(failure.job)
            first.setdefault(failure.reason, path.with_suffix(".log"))
    if not jobs:
        return ""
    number = sum(len(names) for names in jobs.values())
    lines = [f"{number} job{'s' if number > 1 else ''} failed; what does not depend on them was done:"]
    for reason, names in jobs.items():
        lines += [
            "",
            wrapped(", ".join(names)),
            wrapped("  " + reason.replace("\n", "\n  ")),
            f"  log: {first[reason]}",
        ]
    text = "\n".join(lines) + "\n"
    Path(logs, _SUMMARY).write_text(text, encoding="utf-8")
    return text
