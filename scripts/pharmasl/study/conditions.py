"""Which state each perfusion run was scanned in."""

import os
from collections.abc import Iterator, Mapping, Sequence

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.files import bids
from pharmasl.study.labels import TOGETHER
from pharmasl.study.settings import Condition

SELECTORS = {
    "acquisition": "acq",
    "run": "run",
    "task": "task",
    "reconstruction": "rec",
    "direction": "dir",
    "echo": "echo",
    "part": "part",
}
# Entities that tell images of one acquisition apart, with the selector that chooses among them; averaging such images as
# if they were repetitions would give a number that nobody measured.
ONE_ACQUISITION = {"echo": "echo", "rec": "reconstruction", "part": "part", "chunk": None}


def matching(conditions: Mapping[str, Condition], entities: Mapping[str, str]) -> list[str]:
    """Names of the conditions whose selectors a run's entities (key to label) meet."""
    return [
        name
        for name, selector in conditions.items()
        if all(
            same_label(SELECTORS[key], entities.get(SELECTORS[key]), label) for key, label in labels(selector).items()
        )
    ]


def labels(condition: Condition) -> dict[str, str | int]:
    """The labels that a condition asks for, by the configuration's word for the entity."""
    return {key: getattr(condition, key) for key in SELECTORS if getattr(condition, key) is not None}


def same_label(key: str, label: str | None, wanted: str | int) -> bool:
    """Whether the label of an entity in a name, None without it, is the one that the configuration writes.

    Those of indices are numbers (``run-01`` is 1); others are compared letter by letter.
    """
    if label is None:
        return False
    return bids.number(label) == bids.number(str(wanted)) if key in bids.INDICES else label == str(wanted)


def of_run(names: Sequence[str], conditions: Mapping[str, Condition]) -> str | None:
    """The state of a run that several conditions take: all their names, where they alternate in it in blocks; else None.

    Parameters
    ----------
    names : sequence of str
        Of the conditions, as :func:`matching` gives them; at least one.
    conditions : Mapping of str to Condition
    """
    if len(names) > 1 and any(conditions[name].block is None for name in names):
        return None
    return TOGETHER.join(names)


def of_state(state: str) -> list[str]:
    """The conditions of a run's state: its one, or those that alternate within it."""
    return state.split(TOGETHER)


def unmatched(conditions: Mapping[str, Condition], runs: Sequence[bids.File]) -> Iterator[InputError]:
    """Conditions that no run of the dataset meets: a misspelt label, most likely.

    Parameters
    ----------
    conditions : Mapping of str to Condition
    runs : sequence of bids.File
        All perfusion images of the dataset.

    Yields
    ------
    InputError
    """
    matched = {name for run in runs for name in matching(conditions, run.entities)}
    for name, selector in conditions.items():
        if name in matched or not runs:
            continue
        parts: list[str] = []
        close: list[str] = []
        for key, wanted in labels(selector).items():
            known = sorted({run.entities[SELECTORS[key]] for run in runs if SELECTORS[key] in run.entities})
            parts.append(f"{key}: {', '.join(known) or 'none in any name'}")
            close += [label for label in similar(str(wanted), known) if label != str(wanted)]
        yield InputError(
            "config",
            f"conditions.{name}",
            ", ".join(f"{key}: {label}" for key, label in labels(selector).items()),
            f"labels that a perfusion run of the dataset has together; there are {'; '.join(parts)}",
            did_you_mean(close, "Correct the labels, or remove the condition."),
        )


def ambiguous(scans: Sequence[tuple[str, bids.File]]) -> Iterator[InputError]:
    """Images of one acquisition that a condition takes together.

    Parameters
    ----------
    scans : sequence of (condition, bids.File)

    Yields
    ------
    InputError
        One a condition and entity, with the first images concerned.
    """
    groups: dict[tuple[str, str | None, str | None], list[bids.File]] = {}
    for condition, file in scans:
        groups.setdefault((condition, file.place.get("sub"), file.place.get("ses")), []).append(file)
    seen = set()
    for (condition, *_), files in groups.items():
        for key, selector in ONE_ACQUISITION.items():
            labels = {file.index.get(key) or ("mag" if key == "part" else None) for file in files}
            if len(labels) < 2 or (condition, key) in seen:
                continue
            seen.add((condition, key))
            names = " and ".join(os.path.basename(file.path) for file in files[:3])
            fix = f"Choose one by conditions.{condition}: {{{selector}: {min(label for label in labels if label)}}}."
            fix += (
                " Or take the first, or the sum of all, by perfusion.echo: first or weighted." if key == "echo" else ""
            )
            yield InputError(
                "config",
                f"conditions.{condition}",
                names,
                f"images of one {key}: these are no repetitions",
                fix if selector else "Join the chunks to one image: they are not assembled by this workflow.",
            )
