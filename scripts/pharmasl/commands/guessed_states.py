"""Which states a dataset's perfusion runs are of, by the labels in their names and what their sidecars call them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pharmasl.commands import guessed_blocks
from pharmasl.errors import InputErrors
from pharmasl.files import bids
from pharmasl.study import sidecar
from pharmasl.study.conditions import SELECTORS

# By which a run is known, the usual way first; images of one acquisition are told apart by the others.
_STATES = ("acquisition", "task", "direction")
_CHOICES = ("reconstruction", "echo", "part")
_NAMED_BY = ("TaskName", "SeriesDescription", "ProtocolName")
# Words of a series' name that say nothing of the state.
_EMPTY_WORDS = frozenset(
    {"asl", "pcasl", "pasl", "casl", "perf", "perfusion", "mri", "scan", "run", "3d", "2d", "ep2d"}
)
_NEUTRAL = ("neutral", "control", "baseline")
_REST = ("rest", "resting", "eyes", "fixation")


@dataclass(frozen=True)
class State:
    """A state, and how its runs are known.

    Attributes
    ----------
    name : str
        As the configuration may name it.
    selector : dict of str to str
        The configuration's word for each entity, and its label.
    runs : int
    """

    name: str
    selector: Mapping[str, str]
    runs: int


@dataclass(frozen=True)
class States:
    """The states of a dataset.

    Attributes
    ----------
    states : tuple of State
    questions : tuple of str
        What only the user can know.
    contrasts : mapping of str to mapping of str to int
    ignored : tuple of str
        Types of events that are no condition, where conditions alternate within runs.
    """

    states: tuple[State, ...]
    questions: tuple[str, ...]
    contrasts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def guess(dataset: bids.Dataset, images: Sequence[bids.File]) -> States:
    """Sort the perfusion runs into states.

    Parameters
    ----------
    dataset : bids.Dataset
    images : sequence of bids.File
        The series.

    Returns
    -------
    States
    """
    labels = {word: Counter(file.index.get(SELECTORS[word]) for file in images) for word in SELECTORS}
    states = [word for word in _STATES if len(labels[word]) > 1 or (word != "direction" and None not in labels[word])]
    chosen = {word: _first(labels[word]) for word in _CHOICES if len(labels[word]) > 1}
    questions = [
        f"there are images of {word}: {', '.join(sorted(filter(None, labels[word])))}; they are one acquisition, so one "
        f"has to be chosen. Is it {label}?"
        for word, label in chosen.items()
    ]
    kept = [file for file in images if all(_label(file, word) == label for word, label in chosen.items())]
    groups = Counter(tuple((word, _label(file, word)) for word in states) for file in kept)
    several = max(Counter((tuple(file.place.items()), _labels(file, states)) for file in kept).values(), default=1) > 1
    blocks = {
        group: guessed_blocks.look(
            dataset, [file for file in kept if tuple((word, _label(file, word)) for word in states) == group]
        )
        for group in groups
    }
    # In one set of runs alone, as the configuration allows.
    alternating = [group for group, own in blocks.items() if own.conditions][:1]
    questions += [question for own in blocks.values() for question in own.questions]
    if len(groups) == 1 and several and not alternating:
        return _by_run(dataset, kept, dict(next(iter(groups))), chosen, questions)
    if several:
        questions.append("a state has several runs a session; their CBF is averaged. Are they repetitions?")
    unnamed = sum(count for labels, count in groups.items() if None in dict(labels).values())
    named = {group: count for group, count in groups.items() if None not in dict(group).values()}
    if unnamed and named:
        questions.append(
            f"{unnamed} runs have no label of {' and '.join(states)} and are not used. Which state are they?"
        )
    entries = []
    for group, count in sorted((named or {(): unnamed}).items()):
        selector = {word: str(label) for word, label in group}
        if group in alternating:
            entries += [({**selector, **chosen, "block": kind}, count, kind) for kind in blocks[group].conditions]
        else:
            entries.append(({**selector, **chosen}, count, "_".join(selector.values())))
    return _named(entries, questions, *(blocks[group].ignored for group in alternating))


def _by_run(
    dataset: bids.Dataset,
    images: Sequence[bids.File],
    common: Mapping[str, str | None],
    chosen: Mapping[str, str],
    questions: list[str],
) -> States:
    """States of runs that differ by their index alone: by what the sidecars call them, or one for each index."""
    words = {word: label for word, label in common.items() if label is not None}
    series: dict[str, Counter[str]] = {}
    for file in images:
        series.setdefault(file.index.get("run") or "", Counter())[_series(dataset, file)] += 1
    names = {run: counts.most_common(1)[0][0] for run, counts in series.items()}
    are_named = (
        len(set(names.values())) == len(names)
        and all(len(counts) == 1 for counts in series.values())
        and all(names.values())
    )
    numbers = ", ".join(run or "none" for run in sorted(series))
    if are_named:
        questions.append(
            f"the runs {numbers} differ by their number alone; the names are those of the series in the sidecars. Are these "
            "the states, in this order, in every session?"
        )
    else:
        questions.append(
            f"the runs {numbers} differ by their number alone, and no sidecar says what they are. Each stands here as a state of "
            "its own: rename them (rest, cue ...). If they are repetitions of one state, write one line, such as rest: {}, and "
            "their CBF is averaged."
        )
    kept = {run: counts for run, counts in sorted(series.items()) if run}
    return _named(
        [
            ({**words, "run": run, **chosen}, counts.total(), names[run] if are_named else f"run_{run}")
            for run, counts in kept.items()
        ],
        questions,
    )


def _series(dataset: bids.Dataset, file: bids.File) -> str:
    """What a run's sidecar calls its series; empty where it does not."""
    try:
        fields = sidecar.read(dataset, file, "asl").fields
    except InputErrors:
        return ""
    return next((fields[name] for name in _NAMED_BY if isinstance(fields.get(name), str)), "")


def _named(
    entries: Sequence[tuple[dict[str, str], int, str]], questions: Sequence[str], ignored: tuple[str, ...] = ()
) -> States:
    names: list[str] = []
    for number, (_, _, words) in enumerate(entries, start=1):
        name = plain_name(words) or ("cbf" if len(entries) == 1 else f"state_{number}")
        names.append(name if name not in names else f"{name}_{number}")
    states = tuple(State(name, selector, runs) for name, (selector, runs, _) in zip(names, entries))
    contrasts, asked = _contrasts(names)
    return States(states, (*questions, *asked), contrasts, ignored)


def plain_name(words: str) -> str:
    """Words as a name that the configuration allows: lower case, without those that say nothing; empty if none is left."""
    parts = [part for part in re.split(r"[^a-z0-9]+", words.casefold()) if part]
    name = "_".join([part for part in parts if part not in _EMPTY_WORDS] or parts)[:60]
    return name if not name or name[0].isalpha() else f"state_{name}"


def _contrasts(names: Sequence[str]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Each state by itself; and, where one is neutral, each that is neither neutral nor rest minus it."""
    contrasts = {name: {name: 1} for name in names}
    neutral = [name for name in names if any(word in name for word in _NEUTRAL)]
    active = [name for name in names if name not in neutral and not any(word in name.split("_") for word in _REST)]
    if len(neutral) != 1 or not active:
        return contrasts, []
    contrasts |= {f"{name}_response": {name: 1, neutral[0]: -1} for name in active}
    return contrasts, []


def _first(labels: Counter[str | None]) -> str:
    """The label of images of one acquisition that is chosen: the first echo, the magnitude, else the first name."""
    known = sorted(label for label in labels if label)
    return "mag" if "mag" in known else known[0]


def _label(file: bids.File, word: str) -> str | None:
    return file.index.get(SELECTORS[word])


def _labels(file: bids.File, words: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(_label(file, word) for word in words)
