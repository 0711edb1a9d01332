"""The specification curve as two tables: one row per answer and specification, and one row per answer and choice."""

import dataclasses
import itertools
import logging
import math
import statistics
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from threadpoolctl import threadpool_limits

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.sensitivity import curve, curve_columns, specification_fit
from pharmasl.sensitivity.answer_record import AnswerRecord, WholeBrain

log = logging.getLogger(__name__)

# Columns of specifications.tsv that are numbers of a fit, by the same names.
_FIT_COLUMNS = (
    "estimate",
    "se",
    "ci_low",
    "ci_high",
    "df",
    "t",
    "p",
    "partial_r",
    "partial_r_low",
    "partial_r_high",
)
# The same of an answer's record.
_RECORD_COLUMNS = ("kind", "unit", "meaning", "roi", "contrast", "analysis", "defined_by_same_data")


@dataclass
class Row:
    """One answer of one specification.

    Attributes
    ----------
    specification : dict
        Choice to its value.
    main : bool
        Whether it is the main specification.
    record : AnswerRecord
    status : str
        ``run``, or why there is no estimate.
    fit : Fit or None
        None where the answer was not run.
    rank : int or None
        Place in the curve, from 1.
    p_permutation : float or None
        None too where the same data chose the region: a p of what was chosen for its size means nothing.
    """

    specification: dict[str, str]
    main: bool
    record: AnswerRecord
    status: str
    fit: specification_fit.Fit | None = None
    rank: int | None = None
    p_permutation: float | None = None

    @property
    def blocks(self) -> dict[str, Hashable]:
        """Participant to exchangeability block."""
        people, blocks = self.record.participants, self.record.blocks
        return dict.fromkeys(people) if blocks is None else dict(zip(people, blocks, strict=True))

    def columns(self) -> dict[str, Any]:
        """Its row of ``specifications.tsv``."""
        numbers: dict[str, Any] = {}
        if self.fit is not None:
            numbers = {name: getattr(self.fit, name) for name in _FIT_COLUMNS} | {"n": len(self.fit.participants)}
            if self.record.defined_by_same_data:
                numbers["p"] = None
        return {
            "answer": self.record.answer,
            "rank": self.rank,
            **self.specification,
            "main": self.main,
            **numbers,
            "p_permutation": self.p_permutation,
            **(dataclasses.asdict(self.record.whole_brain) if self.record.whole_brain else {}),
            **{name: getattr(self.record, name) for name in _RECORD_COLUMNS},
            "status": self.status,
        }


@dataclass(frozen=True)
class Answer:
    """An answer under all specifications.

    Attributes
    ----------
    name : str
    rows : list of Row
        In the order of the files.
    exchange : {"permute", "flip"}
        How its participants are relabelled.
    """

    name: str
    rows: list[Row]
    exchange: str

    @property
    def is_chosen(self) -> bool:
        """Whether the same data chose the region in which it is asked, so that nothing is tested."""
        return any(row.record.defined_by_same_data for row in self.rows)

    @property
    def fitted(self) -> list[tuple[Row, specification_fit.Fit]]:
        """The rows that were run, with their fit."""
        return _fitted(self.rows)


def _fitted(rows: Sequence[Row]) -> list[tuple[Row, specification_fit.Fit]]:
    return [(row, row.fit) for row in rows if row.fit is not None]


def _check_numbers(path: FilePath, record: AnswerRecord, name: str) -> None:
    """Refuse an answer whose numbers, or rows of numbers, do not belong to its participants."""
    values, n = getattr(record, name), len(record.participants)
    rows = values if name == "nuisance" else [[value] for value in values]
    known = all(isinstance(v, int | float) and math.isfinite(v) for row in rows for v in row)
    if len(rows) != n or not known or len({len(row) for row in rows}) > 1:
        raise InputError(
            file=path,
            field=f"answers.{record.answer}.{name}",
            found=f"{len(rows)} entries",
            expected=f"{n} finite numbers, one per participant",
            fix="Make the file again: delete it and run the workflow.",
        )


def _read(path: FilePath) -> Iterator[Row]:
    """The row of each answer of one specification."""
    content = tables.read_json(path)
    specification = {name: str(value) for name, value in content["specification"].items()}
    for answer in content["answers"]:
        whole_brain = WholeBrain(**answer["whole_brain"]) if answer["whole_brain"] else None
        record = AnswerRecord(**{**answer, "whole_brain": whole_brain})
        row = Row(specification, bool(content["main"]), record, record.status)
        if record.status == "run":
            for name in ("response", "tested", "nuisance"):
                _check_numbers(path, record, name)
            try:
                row.fit = specification_fit.fit(
                    record.participants,
                    response=record.response,
                    tested=record.tested,
                    nuisance=record.nuisance,
                    kind=record.kind,
                )
            except specification_fit.NotEstimableError as error:
                row.status = f"not run: {error}"
        yield row


def read(paths: Sequence[FilePath]) -> list[Answer]:
    """Read the answers of all specifications, and fit them.

    Parameters
    ----------
    paths : sequence of path-like
        The specifications' ``answers.json``.

    Returns
    -------
    list of Answer

    Raises
    ------
    InputError
        If specifications of one answer disagree about the exchange or about a participant's block, have other choices,
        or an answer's numbers do not belong to its participants.
    """
    rows: dict[str, list[Row]] = {}
    exchanges: dict[str, str] = {}
    blocks: dict[tuple[str, str], Hashable] = {}
    for path in paths:
        for row in _read(path):
            name, exchange = row.record.answer, row.record.exchange
            others = rows.setdefault(name, [])
            if others and set(others[0].specification) != set(row.specification):
                _disagree(path, "specification", list(row.specification), list(others[0].specification))
            others.append(row)
            if row.fit is None:
                continue
            if exchanges.setdefault(name, exchange) != exchange:
                _disagree(path, f"answers.{name}.exchange", exchange, exchanges[name])
            for participant, block in row.blocks.items():
                known = blocks.setdefault((name, participant), block)
                if known != block:
                    _disagree(path, f"answers.{name}.blocks", f"{participant}: {block}", f"{known}")
    return [Answer(name, own, exchanges.get(name, "permute")) for name, own in rows.items()]


def _disagree(path: FilePath, field: str, value: str | list[str], expected: str | list[str]) -> NoReturn:
    raise InputError(
        file=path,
        field=field,
        found=value,
        expected=f"{expected}, as in the other specifications",
        fix="Make the files again: delete the folder of specifications and run the workflow.",
    )


@dataclass(frozen=True)
class _Summary:
    """How an answer's rows are summarised.

    Attributes
    ----------
    scale : {"estimate", "partial_r"}
        What is compared across specifications.
    tested : bool
        Whether specifications are counted as significant.
    direction : int
        Direction in which specifications count as significant; 0 without a fit.
    sign : float
        Sign with which estimates are compared.
    """

    scale: str
    tested: bool
    direction: int = 0
    sign: float = 0

    def value(self, fit: specification_fit.Fit) -> float:
        """The estimate on the scale."""
        return fit.estimate if self.scale == "estimate" else fit.partial_r

    def columns(self, rows: Sequence[Row]) -> dict[str, float | None]:
        """The columns of ``curve.tsv`` that count and summarise rows."""
        fits = [fit for _, fit in _fitted(rows)]
        values = [self.value(fit) for fit in fits]
        counted = sum(fit.p < specification_fit.ALPHA and fit.t * self.direction > 0 for fit in fits)
        significant = counted if self.tested else None
        mean_z = specification_fit.z_of_t([fit.t for fit in fits], [fit.df for fit in fits]).mean() if fits else None
        return {
            "specifications": len(fits),
            "not_run": len(rows) - len(fits),
            "median": statistics.median(values) if values else None,
            "low": min(values, default=None),
            "high": max(values, default=None),
            "same_sign": sum(value * self.sign > 0 for value in values),
            "significant": significant,
            "share_significant": significant / len(fits) if fits and significant is not None else None,
            "mean_z": None if mean_z is None else float(mean_z),
        }

    def shifts(self, rows: Sequence[Row], dimension: str, value: str, reference: str) -> list[float]:
        """Differences of the estimate between two values of a choice where all other choices are equal."""
        values = {}
        for row, fit in _fitted(rows):
            others = tuple(chosen for name, chosen in row.specification.items() if name != dimension)
            values[others, row.specification[dimension]] = self.value(fit)
        return [
            values[others, value] - values[others, reference]
            for others in dict.fromkeys(others for others, _ in values)
            if (others, value) in values and (others, reference) in values
        ]


def summarise(answer: Answer, permutations: int, seed: int) -> list[dict[str, Any]]:
    """One answer's curve.

    Parameters
    ----------
    answer : Answer
        Its rows with a fit are given their rank and their permutation p.
    permutations, seed : int

    Returns
    -------
    list of dict
        Rows of :func:`pharmasl.sensitivity.curve_columns.curve`: all specifications first, then each value of each choice
        that varies.
    """
    rows, fitted = answer.rows, answer.fitted
    units = {row.record.unit for row, _ in fitted}
    scale = "estimate" if len(units) < 2 else "partial_r"
    unit = (fitted[0][0] if fitted else rows[0]).record.unit
    head = {"answer": answer.name, "scale": scale, "unit": "1" if scale == "partial_r" else unit}
    main = next((row for row in rows if row.main), None)
    total: dict[str, Any] = {**head, "dimension": curve_columns.ALL, "value": curve_columns.ALL}
    tested = not answer.is_chosen
    summary = _Summary(scale, tested)
    if fitted:
        relabelling = curve.Relabelling(exchange=answer.exchange, number=permutations, seed=seed)
        joint = _test(answer, relabelling, unit_free=scale == "partial_r")
        of_main = summary.value(main.fit) if main and main.fit else None
        summary = _Summary(scale, tested, joint.direction, math.copysign(1, of_main) if of_main else joint.direction)
        columns = (*(("p_median", "p_significant", "p_mean_z") if tested else ()), "participants", "exchanged")
        total |= {"main": of_main, **{name: getattr(joint, name) for name in columns}}
        for rank, (row, _) in enumerate(sorted(fitted, key=lambda pair: summary.value(pair[1])), start=1):
            row.rank = rank
    return [total | summary.columns(rows), *_choices(rows, head, summary, (main or rows[0]).specification)]


def _test(answer: Answer, relabelling: curve.Relabelling, *, unit_free: bool) -> curve.Joint:
    """The joint test of an answer's specifications; each row with a fit is given its own permutation p."""
    blocks = {participant: block for row, _ in answer.fitted for participant, block in row.blocks.items()}
    together = dataclasses.replace(relabelling, blocks=blocks)
    joint = curve.joint([fit for _, fit in answer.fitted], together, unit_free=unit_free)
    for row, fit in answer.fitted if not answer.is_chosen else ():
        row.p_permutation = curve.own_p(fit, dataclasses.replace(relabelling, blocks=row.blocks))
    return joint


def _choices(
    rows: Sequence[Row], head: Mapping[str, str], summary: _Summary, main: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The rows of ``curve.tsv`` for each value of each choice that varies; ``main`` is the main specification."""
    choices = []
    for dimension in rows[0].specification:
        values = list(dict.fromkeys(row.specification[dimension] for row in rows))
        if len(values) < 2:
            continue
        for value in values:
            chosen = [row for row in rows if row.specification[dimension] == value]
            choice = {**head, "dimension": dimension, "value": value, "of_main": value == main[dimension]}
            choice |= summary.columns(chosen)
            shifts = summary.shifts(rows, dimension, value, main[dimension])
            if shifts and value != main[dimension]:
                choice |= {"shift": statistics.median(shifts), "pairs": len(shifts)}
                choice |= {"shift_low": min(shifts), "shift_high": max(shifts)}
            choices.append(choice)
    return choices


def write(
    paths: Sequence[FilePath], *, table_path: FilePath, curve_path: FilePath, permutations: int, seed: int
) -> None:
    """Read the specifications' answers and write the two tables.

    Parameters
    ----------
    paths : sequence of path-like
        The specifications' ``answers.json``, at least one.
    table_path, curve_path : path-like
        ``specifications.tsv``: one row per answer and specification, sorted by rank, those not run last. ``curve.tsv``: see
        :func:`summarise`.
    permutations : int
        Relabellings, the observed one included.
    seed : int

    Raises
    ------
    InputError
        See :func:`read`.
    """
    with threadpool_limits(1, user_api="blas"):  # the same bytes on any number of cores
        answers = read(paths)
        summaries = [summarise(answer, permutations, seed) for answer in answers]
    log.info("%d specifications, %d answers, %d relabellings", len(paths), len(answers), permutations)
    dimensions = list(answers[0].rows[0].specification) if answers else list(curve_columns.DIMENSIONS)
    ordered = [
        row.columns()
        for answer in answers
        for row in sorted(answer.rows, key=lambda row: math.inf if row.rank is None else row.rank)
    ]
    tables.write_table(table_path, ordered, curve_columns.specifications(dimensions, permutations, seed))
    tables.write_table(curve_path, itertools.chain.from_iterable(summaries), curve_columns.curve(permutations, seed))
