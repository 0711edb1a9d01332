"""``./run init``: a configuration made from a dataset."""

import argparse
import json
import os
from pathlib import Path

import yaml

from pharmasl.commands import (
    configuration_text,
    guessed_maps,
    guessed_people,
    guessed_scores,
    guessed_sessions,
    guessed_states,
    overview,
)
from pharmasl.commands.usage import CONFIGURATION
from pharmasl.errors import InputError, InputErrors, did_you_mean, nearest_path, wrapped
from pharmasl.files import bids
from pharmasl.study import inventory
from pharmasl.workflow import plan


def main(arguments: list[str]) -> int:
    """Write a configuration, and say what it holds and what only the user can know.

    Parameters
    ----------
    arguments : list of str
        The dataset's folder, and ``-o`` with the file to write.

    Returns
    -------
    int
        1 if the study cannot be planned before something is fixed.

    Raises
    ------
    InputError
        If the file is there already, or the dataset cannot be read or has no perfusion series.
    """
    parser = argparse.ArgumentParser(
        prog="./run init", description="Write a commented configuration made from a BIDS dataset."
    )
    parser.add_argument(
        "bids_dir",
        help="the folder of the dataset, which holds the sub- folders, or one of CBF maps that another program made",
    )
    parser.add_argument("-o", "--output", default=CONFIGURATION, help="the file to write (default: %(default)s)")
    options = parser.parse_args(arguments)
    if os.path.lexists(options.output):
        fix = f"Name another: ./run init {options.bids_dir} -o FILE. Nothing is overwritten."
        raise InputError(options.output, "(whole file)", "a file of this name", "a new file", fix)
    seen = look(options.bids_dir)
    text = configuration_text.compose(seen)
    problems = plan_problems(text)
    if problems and seen.people.covariates:
        plainer = configuration_text.compose(seen, with_covariates=False)
        if not plan_problems(plainer):
            text, problems = plainer, []
    Path(options.output).write_text(text, encoding="utf-8")
    _say(options.output, seen, text)
    if problems:
        print(f"\nBefore it can be planned, fix what only you can know:\n{wrapped(InputErrors(problems))}")
        return 1
    print(f"\nNext: read {options.output}, then ./run check --configfile {options.output}")
    return 0


def look(root: str) -> configuration_text.Seen:
    """What a dataset holds, as far as a configuration speaks of it.

    Parameters
    ----------
    root : str
        The dataset's folder.

    Returns
    -------
    configuration_text.Seen

    Raises
    ------
    InputError
        If it is no BIDS dataset, or has no perfusion series.
    """
    if not os.path.isdir(root):
        hint = nearest_path(root, "Correct the path.")
        raise InputError(root, "BIDS_DIR", "no such folder", "the folder of a BIDS dataset", hint)
    if maps := guessed_maps.guess(root):
        return _look_at_maps(maps)
    dataset = _dataset(root)
    stock = inventory.take(dataset, dataset.subjects, ("mag",))
    images = stock.dataset.images("asl")
    if not images:
        kinds = sorted({file.suffix for file in dataset.files if file.is_image}) or ["none"]
        raise InputError(
            root,
            "perf/*_asl.nii.gz",
            f"no perfusion series; images of {', '.join(kinds)}",
            "series of labels and controls",
            "Convert them to BIDS: sub-01/[ses-1/]perf/sub-01_[ses-1_]asl.nii.gz with its .json and aslcontext.tsv.",
        )
    scanned = sorted({file.entities["sub"] for file in images})
    sessions = guessed_sessions.order(dataset, {file.entities["ses"] for file in images if "ses" in file.entities})
    with_t1w = {file.entities["sub"] for file in stock.dataset.images("T1w")}
    return configuration_text.Seen(
        title=_title(root),
        bids_dir=os.path.normpath(root),
        output_dir=_output(root),
        sessions=sessions,
        states=guessed_states.guess(stock.dataset, images),
        people=guessed_people.guess(dataset, scanned),
        scores=guessed_scores.guess(root, scanned, sessions.labels),
        without_t1w=tuple(label for label in scanned if label not in with_t1w),
    )


def _look_at_maps(maps: guessed_maps.Maps) -> configuration_text.Seen:
    """What there is of a study of whose CBF another program made the maps."""
    dataset = bids.read_dataset(maps.bids_dir, may_lack_people=True)
    scanned = sorted({file.entities["sub"] for file in maps.images})
    sessions = guessed_sessions.order(dataset, {file.entities["ses"] for file in maps.images if "ses" in file.entities})
    return configuration_text.Seen(
        title=_title(maps.bids_dir),
        bids_dir=maps.bids_dir,
        output_dir=_output(maps.bids_dir),
        sessions=sessions,
        states=guessed_states.guess(dataset, maps.images),
        people=guessed_people.guess(dataset, scanned),
        scores=guessed_scores.guess(maps.bids_dir, scanned, sessions.labels),
        without_t1w=(),
        maps=maps,
    )


def _dataset(root: str) -> bids.Dataset:
    try:
        return bids.read_dataset(root)
    except InputError as problem:
        below = sorted(
            entry.path
            for entry in os.scandir(root)
            if entry.is_dir() and any(name.startswith("sub-") for name in os.listdir(entry.path))
        )
        if not below:
            raise
        raise InputError(root, problem.field, "no such folder", problem.expected, did_you_mean(below)) from None


def _title(root: str) -> str:
    try:
        name = json.loads(Path(root, "dataset_description.json").read_text(encoding="utf-8-sig"))["Name"]
    except (OSError, ValueError, KeyError, TypeError):
        name = None
    plain = str(name or Path(root).resolve().name).replace("{", "(").replace("}", ")")
    return plain.strip() or "A study"


def _output(root: str) -> str:
    """A folder of results beside the dataset, or among its derivatives where the run's own folder lies in the dataset."""
    inside = os.path.commonpath([os.path.realpath(root), os.path.realpath(os.curdir)]) == os.path.realpath(root)
    return os.path.join(os.path.normpath(root), "derivatives", "pharmasl") if inside else "results"


def plan_problems(text: str) -> list[InputError]:
    """What keeps a configuration from being planned.

    Parameters
    ----------
    text : str
        YAML.

    Returns
    -------
    list of InputError
    """
    try:
        return plan.trial_problems(plan.read(yaml.safe_load(text)))
    except InputErrors as problems:
        return list(problems.errors)
    except InputError as problem:
        return [problem]


def _say(path: str, seen: configuration_text.Seen, text: str) -> None:
    arms = f"arms {' and '.join(seen.people.arms)} ({seen.people.arm.name})" if seen.people.arm else "no arms yet"
    sessions = f"sessions {', '.join(seen.sessions.labels)}" if seen.sessions.labels else "no sessions"
    states = overview.named([state.name for state in seen.states.states], most=8)
    people = len(seen.people.with_row) + len(seen.people.without_row)
    print(f"Wrote {path}: {people} people with scans, {sessions}, {arms}, states {states}.")
    asked = configuration_text.questions(text)
    if asked:
        print(f"\n{len(asked)} {'thing' if len(asked) == 1 else 'things'} to check, asked in the file:")
        for number, question in enumerate(asked, start=1):
            print(wrapped(f"  {number}. {question}"))
