"""The designs of the analyses as they are if every scan is usable: what is known of them before the first job."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from pharmasl.errors import InputError
from pharmasl.group import formula_models
from pharmasl.group.model import Model
from pharmasl.study import arms as study_arms
from pharmasl.study.effect_kinds import MIXED_MODEL
from pharmasl.study.settings import Analysis
from pharmasl.study.trial import Study

Rows = list[dict[str, Any]]


def table(study: Study) -> tuple[str, Rows]:
    """Where the participants' table is, and its rows with the arm under one name."""
    return os.path.join(study.settings.bids_dir, study.settings.participants_table), study.people()


def people(study: Study, analysis: Analysis, rows: Rows) -> list[str]:
    """The members of an analysis with a value in all its columns, with ``sub-``."""
    known = {row["participant_id"]: row for row in rows}
    columns = study_arms.all_columns(analysis)
    members = [f"sub-{member}" for member in study.members(analysis.name)]
    return [who for who in members if all(known[who].get(column) is not None for column in columns)]


def formula_model(study: Study, analysis: Analysis, people: Sequence[str], file: str, rows: Rows) -> Model:
    """The model of an analysis with a formula; ``people`` are its rows', ``file`` and ``rows`` the participants' table.

    Raises
    ------
    InputError
        As :func:`pharmasl.group.formula_models.build`.
    """
    return formula_models.build(analysis, study.settings.arms, _design_rows(study, analysis, people), rows, file)


def joint_analyses(study: Study) -> Iterator[str]:
    """The analyses that test several effects together, by F.

    Where a design is refused the answer does not matter: :func:`pharmasl.workflow.plan.check_trial` says why.
    """
    file, rows = table(study)
    for name, analysis in study.settings.analyses.items():
        if analysis.formula is None:
            continue
        try:
            if formula_model(study, analysis, people(study, analysis, rows), file, rows).is_joint:
                yield name
        except InputError:
            continue


def _design_rows(study: Study, analysis: Analysis, people: Sequence[str]) -> formula_models.DesignRows:
    """The rows that the design of a formula has if every scan is usable."""
    if analysis.method != MIXED_MODEL:
        return formula_models.DesignRows(participants=people)
    sessions = study.analysis_sessions(analysis.name)
    scans = [
        (f"sub-{member}", label) for which, label in sessions.items() for member in study.members(analysis.name, which)
    ]
    scans = [(who, label) for who, label in scans if who in set(people)]
    return formula_models.DesignRows(
        participants=[who for who, _ in scans],
        sessions=[label for _, label in scans],
        labels=list(sessions.values()),
    )
