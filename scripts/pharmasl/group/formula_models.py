"""Models that a formula and a test define: the design of the rows, what is tested, and what is exchangeable.

Rows are participants, whose change, follow-up or baseline is explained, or scans (``cbf``), whose participants have a random
intercept. Factors and numbers are coded by :mod:`pharmasl.statistics.formula_designs`, tests by
:mod:`pharmasl.statistics.formula_tests`. The reference of ``arm`` is the control arm, that of ``session`` the baseline session.

Rows are permuted under the null, but the mean of all (test ``1``) is tested by flips of signs. A site is a block: rows are
exchanged within sites only, and its levels are terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.group import allocation, design
from pharmasl.group.design import Sample
from pharmasl.group.design_names import ONE_BASELINE
from pharmasl.group.model import Model
from pharmasl.statistics import factors, formula_designs, formula_tests
from pharmasl.statistics.covariates import Row
from pharmasl.statistics.formula_designs import Design, Table, Value
from pharmasl.statistics.formulas import Formula
from pharmasl.study import effect_kinds
from pharmasl.study.effect_kinds import FLIP, PERMUTE
from pharmasl.study.settings import RESERVED, Arms, ModelSettings


@dataclass(frozen=True, kw_only=True)
class DesignRows:
    """The rows of a design.

    Attributes
    ----------
    participants : sequence of str
        Of each row, in the order of the maps.
    sessions : sequence of str or None
        Label of each row's session, where a row is a scan.
    labels : sequence of str
        The sessions' labels, the baseline first.
    """

    participants: Sequence[str]
    sessions: Sequence[str] | None = None
    labels: Sequence[str] = ()


def build(
    analysis: ModelSettings,
    arms: Arms | None,
    rows: DesignRows,
    table: Sequence[Row],
    file: FilePath,
    numbers: Mapping[str, np.ndarray] | None = None,
) -> Model:
    """The model of an analysis with a formula.

    Parameters
    ----------
    analysis : pharmasl.study.settings.ModelSettings
    arms : pharmasl.study.settings.Arms or None
        None in a study without arms, which no term of the formula may name then.
    rows : DesignRows
    table : sequence of mapping
        Rows of participants.tsv: ``participant_id``, ``arm`` and the formula's columns.
    file : path-like
        The table, for messages.
    numbers : mapping, optional
        A value per row of each ``roi(region, contrast)`` by its text, and of ``global``; without, stand-ins with which a design
        can be checked before any map is read.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        For what :func:`pharmasl.statistics.formula_designs.design` and :func:`pharmasl.statistics.formula_tests.test` refuse, a
        participant of an unknown arm, no more rows than terms, and terms that are combinations of others.
    """
    formula = analysis.formula
    if formula is None:
        raise ValueError(f"{analysis.contrast}: an analysis without a formula")
    sample = Sample.read(rows.participants, table, file)
    if arms is not None:
        _check_arms(sample, arms, analysis.arm)
    values = _table(formula, sample, arms, rows, numbers)
    made = formula_designs.design(formula, values)
    test = formula_tests.test(made, analysis.test)
    kept = np.arange(len(made.names))
    if analysis.constrained_baseline and arms is not None:
        kept = _kept(made, sample, arms, rows)
    names = [made.names[column] for column in kept]
    matrix, voxelwise = made.matrix[:, kept], tuple(made.voxelwise[column] for column in kept)
    _check(matrix, names, voxelwise, sample)
    blocks, notes = _blocks(sample, analysis.site)
    allocated = None if rows.sessions is None else allocation.of_design(made, values, rows.sessions, test.term)
    text = f"{formula.text}, {ONE_BASELINE}" if analysis.constrained_baseline else formula.text
    kind = effect_kinds.of_formula(
        text,
        outcome=formula.outcome,
        test=test.words,
        exchange=PERMUTE if test.term else FLIP,
        takes_baseline="baseline" in formula.maps,
        is_slope=test.is_slope,
        is_joint=len(test.names) > 1,
    )
    return Model(
        kind=kind,
        arm=analysis.arm,
        participants=sample.participants,
        arms=[row.get("arm") for row in sample.rows],
        names=names,
        matrix=matrix,
        weights=test.weights[:, kept],
        blocks=blocks if kind.exchange == PERMUTE else None,
        formula=f"{text}; tested: {test.words}",
        meaning=test.words,
        descriptions={name: made.descriptions[name] for name in names},
        sessions=None if rows.sessions is None else np.array([rows.labels.index(label) for label in rows.sessions]),
        session_labels=tuple(rows.labels) or ("baseline", "followup"),
        notes=notes,
        effects=test.names,
        voxelwise=voxelwise if any(voxelwise) else (),
        random=formula.random,
        coding=tuple(made.coding),
        symbols=tuple(test.symbols(made.names)),
        allocation=None if allocated is None else allocated.of_columns(kept),
    )


def columns(formula: Formula, sessions: Sequence[str]) -> list[str]:
    """The columns of the participants' table that a formula reads, sessions' own included."""
    plain = [name for name in formula.variables if name not in RESERVED]
    return [*plain, *(f"{column}_{label}" for column in formula.visits for label in sessions)]


def _check_arms(sample: Sample, arms: Arms, arm: str | None) -> None:
    expected = [arm] if arm else list(arms.labels)
    present = {row.get("arm") for row in sample.rows}
    # An arm that nobody is of is no level; one that the trial does not have is a mistake in the table.
    sample.arms([label for label in expected if label in present] if present <= set(expected) else expected)


def _table(
    formula: Formula, sample: Sample, arms: Arms | None, rows: DesignRows, numbers: Mapping[str, np.ndarray] | None
) -> Table:
    values: dict[str, Sequence[Value]] = {
        "arm": [row.get("arm") for row in sample.rows],
        **{name: [row.get(name) for row in sample.rows] for name in sample.rows[0] if name != "arm"},
    }
    levels = {"arm": [arms.control, arms.treatment, *arms.others]} if arms else {}
    if rows.sessions is not None:
        values["session"], levels["session"] = list(rows.sessions), list(rows.labels)
        for column in formula.visits:
            values[f"visit({column})"] = [
                row.get(f"{column}_{label}") for row, label in zip(sample.rows, rows.sessions)
            ]
    measured = [f"roi({', '.join(pair)})" for pair in formula.regions]
    measured += ["global"] if "global" in formula.variables else []
    for place, name in enumerate(measured):
        # Stand-ins never take the place of values that were not read.
        values[name] = stand_in(len(sample.rows), place) if numbers is None else numbers[name].tolist()
    return Table(columns=values, rows=sample.participants, levels=levels, file=sample.file)


def stand_in(number: int, place: int = 0) -> list[float]:
    """Numbers to check a design with before any map is read: ones that no column combines to, others for each ``place``."""
    return np.modf((0.618033988749895 + 0.1 * np.sqrt(2 + place)) * np.arange(1, number + 1) ** 1.1)[0].tolist()


def _kept(made: Design, sample: Sample, arms: Arms, rows: DesignRows) -> np.ndarray:
    """The columns under one mean of the arms at baseline: those that are the same for all arms there.

    Raises
    ------
    InputError
        If the baseline session is not the reference of ``session``, so that no column is the arms' difference at baseline.
    """
    at_baseline = np.array([label == rows.labels[0] for label in rows.sessions or ()])
    arm = [row.get("arm") for row in sample.rows]
    treated = np.array([label != arms.control for label in arm])
    about_arm = np.array([any(name.startswith("arm[") for name in column.split(":")) for column in made.names])
    differs = about_arm & (np.abs(made.matrix[at_baseline & treated]) > 0).any(axis=0)
    if not differs.any():
        raise made.formula.refusal(made.formula.text, "a term of the arm at baseline", "Take constrained_baseline out.")
    return np.flatnonzero(~differs)


def _check(matrix: np.ndarray, names: list[str], voxelwise: Sequence[Sequence[str]], sample: Sample) -> None:
    if len(matrix) <= len(names):
        raise InputError(
            sample.file,
            "participants",
            f"{len(matrix)} for {len(names)} terms ({', '.join(names)})",
            "more participants (or scans) than terms",
            "Take terms out.",
        )
    # A column with a map differs from voxel to voxel: numbers that no other column combines to stand for it.
    maps = {name: place for place, name in enumerate(dict.fromkeys(name for own in voxelwise for name in own))}
    checked = matrix.copy()
    for column, own in enumerate(voxelwise):
        for name in own:
            checked[:, column] *= np.array(stand_in(len(matrix), 10 + maps[name])) - 0.5
    design.check_rank(checked, names, sample.file)


def _blocks(sample: Sample, site: str | None) -> tuple[np.ndarray | None, list[str]]:
    if site is None:
        return None, []
    levels = [str(row[site]) for row in sample.rows]
    factors.check_levels(levels, sample.participants, site, sample.file)
    order = sorted(set(levels))
    lonely = [level for level in order if levels.count(level) == 1]
    notes = [f"{site} {', '.join(lonely)}: one participant, who tells nothing about the effect"] if lonely else []
    return np.array([order.index(level) for level in levels], dtype=np.int64), notes
