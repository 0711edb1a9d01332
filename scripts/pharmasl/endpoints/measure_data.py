"""The rows of an endpoint's model: a row per participant, or per participant and session, with the columns of its formula."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.endpoints.measure_scores import Measured
from pharmasl.errors import FilePath, InputError
from pharmasl.group import design as group_design
from pharmasl.statistics import formula_designs, formula_tests
from pharmasl.statistics.formula_designs import Design, Table, Value
from pharmasl.statistics.formula_tests import Test
from pharmasl.statistics.formulas import Formula, RandomTerm
from pharmasl.study import endpoint_formulas
from pharmasl.study.endpoint_formulas import ARM, BASELINE, CHANGE, FOLLOWUP, PARTICIPANT, SCORE, SESSION
from pharmasl.study.settings import MeasureModel

BY_ARM = "by_arm"
_INTERCEPTS = (RandomTerm(PARTICIPANT),)


@dataclass(frozen=True, kw_only=True)
class ModelRows:
    """The complete rows of a model.

    Attributes
    ----------
    response : ndarray of shape (n,)
    columns : mapping
        Of the formula: a value per row.
    participants, sessions, arms : tuple of str
        Whose score each row is; the session is that of the outcome (follow-up of a change).
    left_out : tuple of str
        Participants of the population who have no complete row.
    """

    response: np.ndarray
    columns: Mapping[str, Sequence[Value]]
    participants: tuple[str, ...]
    sessions: tuple[str, ...]
    arms: tuple[str, ...]
    left_out: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.response)


def formula_of(asked: MeasureModel) -> Formula:
    """The formula of an endpoint, as far as it can be read without data.

    Raises
    ------
    InputError
        For what is no formula, maps and regions among its terms, random effects other than a participant's intercept, and sessions in
        a model of one row per participant.
    """
    formula = endpoint_formulas.read(asked)
    if named := [factor.text for factor in formula.factors if factor.function in ("roi", "cbf", "visit")]:
        raise formula.refusal(
            ", ".join(named), "columns of numbers or words", "Ask for relations to relate the score to regional CBF."
        )
    if formula.outcome == SCORE and formula.random != _INTERCEPTS:
        raise formula.refusal(
            " + ".join(map(str, formula.random)) or "no random effect",
            "(1 | participant) in a model of score",
            "Add (1 | participant) and no other; take a site as a fixed term.",
        )
    if formula.outcome != SCORE and formula.random:
        raise formula.refusal(
            str(formula.random[0]),
            f"no random effect in a model of {formula.outcome}",
            "Take it out: a row per participant.",
        )
    if formula.outcome != SCORE and SESSION in formula.variables:
        raise formula.refusal(
            SESSION, f"no session in a model of {formula.outcome}", "Take score ~ ... + (1 | participant) instead."
        )
    if own := {SCORE, FOLLOWUP, CHANGE, PARTICIPANT} & set(formula.variables):
        raise formula.refusal(
            sorted(own)[0], "arm, session, baseline and columns as terms", "Take it out of the terms."
        )
    return formula


def participant_terms(formula: Formula) -> str:
    """The terms of a formula that are of participants, not of their scores or sessions, as text; the arm is among them always."""
    factors = {factor.text: factor for factor in formula.factors}
    texts = [ARM]
    for term in formula.terms:
        variables = {name for text in term for name in factors[text].variables}
        if term and not variables & {BASELINE, SESSION}:
            texts.append(
                ":".join(text if factors[text].function or text.isidentifier() else f"`{text}`" for text in term)
            )
    return " + ".join(dict.fromkeys(texts))


def used_sessions(formula: Formula, measured: Measured) -> tuple[str, ...]:
    """The sessions whose scores the model explains."""
    sessions = measured.sessions
    if formula.outcome == SCORE:
        return tuple(
            label for label in sessions.labels if label != sessions.baseline or BASELINE not in formula.variables
        )
    return (sessions.baseline if formula.outcome == BASELINE else sessions.later,)


def rows(formula: Formula, measured: Measured, people: Sequence[str]) -> ModelRows:
    """The complete rows of some participants.

    Parameters
    ----------
    formula : Formula
    measured : Measured
    people : sequence of str

    Returns
    -------
    ModelRows
        Participant by participant, sessions in the trial's order.
    """
    sessions = used_sessions(formula, measured)
    outcome: list[float] = []
    kept: list[tuple[str, str]] = []
    columns: dict[str, list[Value]] = {name: [] for name in formula.variables}
    for who in people:
        own = measured.people[who]
        before = measured.score(who, measured.sessions.baseline)
        for session in sessions:
            score = measured.score(who, session)
            if formula.outcome == CHANGE:
                score = None if score is None or before is None else score - before
            values = {
                name: {ARM: own["arm"], BASELINE: before, SESSION: session}.get(name, own.get(name)) for name in columns
            }
            if score is not None and None not in values.values():
                outcome.append(score)
                kept.append((who, session))
                for name, value in values.items():
                    columns[name].append(value)
    present = {who for who, _ in kept}
    return ModelRows(
        response=np.array(outcome, dtype=np.float64),
        columns=columns,
        participants=tuple(who for who, _ in kept),
        sessions=tuple(session for _, session in kept),
        arms=tuple(str(measured.people[who]["arm"]) for who, _ in kept),
        left_out=tuple(who for who in people if who not in present),
    )


def table(own: ModelRows, measured: Measured, file: FilePath) -> Table:
    """The rows as the table of a formula; the control arm and the first session are the references."""
    arms = measured.arms
    names = [f"{who}, {session}" for who, session in zip(own.participants, own.sessions)]
    return Table(
        columns=own.columns,
        rows=names if len(set(own.participants)) < len(own) else list(own.participants),
        levels={ARM: [arms.control, arms.treatment, *arms.others], SESSION: list(measured.sessions.labels)},
        file=file,
    )


def check_rows(own: ModelRows, name: str, file: FilePath) -> None:
    """Refuse a model without a complete row."""
    if not len(own):
        raise InputError(
            file,
            f"endpoints.{name}",
            "no participant with all scores and columns of the model",
            "several in each arm",
            "Complete the tables, or correct the model.",
        )


def check_number(rows: int, terms: int, asked: MeasureModel, file: FilePath) -> None:
    """Refuse a model that has no more complete rows than coefficients."""
    if rows <= terms:
        raise InputError(
            file,
            f"endpoints.{asked.name}",
            f"{rows} complete rows",
            f"more than the {terms} coefficients of {asked.formula}",
            "Complete the tables, or take terms out of the model.",
        )


@dataclass(frozen=True, kw_only=True)
class EndpointModel:
    """A model of an endpoint, ready to be fitted.

    Attributes
    ----------
    formula : Formula
    rows : ModelRows
    design : Design
    test : Test
    """

    formula: Formula
    rows: ModelRows
    design: Design
    test: Test

    @property
    def is_mixed(self) -> bool:
        """Whether its rows are visits."""
        return self.formula.outcome == SCORE


def build(
    asked: MeasureModel, formula: Formula, measured: Measured, people: Sequence[str], file: FilePath
) -> EndpointModel:
    """The model of some participants.

    Parameters
    ----------
    asked : MeasureModel
    formula : Formula
    measured : Measured
    people : sequence of str
    file : path-like
        Where columns and scores are from, for messages.

    Returns
    -------
    EndpointModel

    Raises
    ------
    InputError
        For too few rows, columns that are absent or wrong, terms that are combinations of one another, and a test that is none of
        the model.
    """
    own = rows(formula, measured, people)
    check_rows(own, asked.name, file)
    made = formula_designs.design(formula, table(own, measured, file))
    n, terms = made.matrix.shape
    check_number(n, terms, asked, file)
    group_design.check_rank(made.matrix, made.names, file)
    if formula.outcome == SCORE and len(set(own.participants)) == n:
        raise InputError(
            file,
            f"endpoints.{asked.name}",
            "one score per participant",
            "several scores of some participants, for (1 | participant)",
            "Add sessions, or model followup.",
        )
    test = formula_tests.test(made, asked.test)
    if asked.variance == BY_ARM and len(test.weights) > 1:
        raise InputError(
            file,
            f"endpoints.{asked.name}.variance",
            BY_ARM,
            "one tested difference with by_arm",
            "Take equal or robust.",
        )
    return EndpointModel(formula=formula, rows=own, design=made, test=test)
