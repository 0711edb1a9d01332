"""The trial that a configuration asks for, before its files are made: who has which runs."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pharmasl.errors import FilePath, InputError, InputErrors
from pharmasl.files import bids, tables
from pharmasl.simulate import simulation_checks, virtual_trial
from pharmasl.simulate.scanner_model import Scanner
from pharmasl.simulate.simulation_settings import ParticipantSettings, TrialSettings
from pharmasl.study import schemas, settings
from pharmasl.study.settings import Arms, SessionPair

MAKER = "pharmasl simulate"
TRIAL = tuple(get_type_hints(TrialSettings))
PARTICIPANT = tuple(get_type_hints(ParticipantSettings))


@dataclass(frozen=True)
class Group:
    """People who have the same runs, and are therefore made by one rule.

    Attributes
    ----------
    rule : str
        The rule's name.
    subjects : tuple of str
        Labels, without ``sub-``.
    runs : tuple of int
        Numbers of the runs, from 0, sessions first.
    """

    rule: str
    subjects: tuple[str, ...]
    runs: tuple[int, ...]


def complete(written: Mapping[str, Any]) -> dict[str, Any]:
    """The section ``simulate`` with its defaults.

    Raises
    ------
    InputErrors
        If the section is not as the schema says, or contradicts itself.
    """
    section = deepcopy(dict(written))
    problems = schemas.check(section, "simulate", "config", prefix="simulate.", fill=True)
    if not problems:
        asked = settings.build(TrialSettings, {name: section[name] for name in TRIAL})
        problems = list(simulation_checks.problems(written, asked))
        scanner = settings.build(Scanner, section["perfusion"])
        coded = list(simulation_checks.coding(scanner, asked.blocks))
        problems += coded or list(simulation_checks.timing(scanner))
    if problems:
        raise InputErrors(problems)
    return section


def only_simulated(bids_dir: FilePath) -> None:
    """Refuse a folder that holds a dataset which the simulator did not make: it would be overwritten.

    Raises
    ------
    InputError
    """
    path = Path(bids_dir, "dataset_description.json")
    if not path.is_file():
        return
    makers = tables.read_json(path).get("GeneratedBy") or []
    if not any(isinstance(maker, Mapping) and maker.get("Name") == MAKER for maker in makers):
        raise InputError(
            file=path,
            field="GeneratedBy",
            found=makers or "nothing",
            expected=f"{MAKER}, as in a dataset that the simulator made: it overwrites what is there",
            fix="Give bids_dir a folder of its own, or remove the section simulate.",
        )


def groups(section: Mapping[str, Any], arms: Arms, sessions: SessionPair) -> list[Group]:
    """The participants by the runs that they have; those with all runs first.

    Parameters
    ----------
    section : mapping
        From :func:`complete`.
    arms : settings.Arms
    sessions : settings.SessionPair
    """
    asked = settings.build(TrialSettings, {name: section[name] for name in TRIAL})
    trial = virtual_trial.draw(asked, arms, sessions)
    runs: dict[str, list[int]] = {bids.bare_label(row["participant_id"], "sub"): [] for row in trial.participants}
    for row in trial.scans:
        if row.get("present") != "no":
            runs[bids.bare_label(row["participant_id"], "sub")].append(row["run"])
    by_runs: dict[tuple[int, ...], list[str]] = {}
    for subject, own in runs.items():
        by_runs.setdefault(tuple(own), []).append(subject)
    ordered = sorted(by_runs.items(), key=lambda item: (-len(item[0]), item[0]))
    return [
        Group("simulate_participant" + (f"__{number}" if number else ""), tuple(subjects), own)
        for number, (own, subjects) in enumerate(ordered)
    ]


def analysed(groups: Sequence[Group], result: Callable[[str, int], FilePath]) -> list[tuple[str, int]]:
    """The simulated scans that a study has analysed: people may have been taken out of it, and scans refused.

    Parameters
    ----------
    groups : sequence of Group
    result : callable
        Path of the result of a participant's run.

    Returns
    -------
    list of (str, int)
        Subject and number of the run, by subject; all scans where none has a result yet.
    """
    scans = sorted((subject, run) for group in groups for subject in group.subjects for run in group.runs)
    return [scan for scan in scans if Path(result(*scan)).exists()] or scans
