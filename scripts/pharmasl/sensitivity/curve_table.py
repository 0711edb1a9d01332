"""The specification curve as two tables: one row an answer and specification, and one row an answer and choice."""

import itertools
import math
import statistics
from dataclasses import dataclass, field

from threadpoolctl import threadpool_limits

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.sensitivity import curve, curve_columns

_TOLD = ("kind", "unit", "meaning", "roi", "contrast", "analysis", "defined_by_same_data", "status")


@dataclass
class Row:
    """One answer of one specification."""

    specification: dict
    main: bool
    told: dict
    fit: curve.Fit | None = None
    blocks: dict = field(default_factory=dict)
    columns: dict = field(default_factory=dict)

    def value(self, scale):
        """The estimate on a scale of the curve."""
        return self.fit.estimate if scale == "estimate" else self.fit.partial_r


def _numbers(path, answer, name, n):
    """The n numbers, or rows of numbers, of an answer."""
    values = answer[name]
    rows = values if name == "nuisance" else [[value] for value in values]
    known = all(isinstance(v, int | float) and math.isfinite(v) for row in rows for v in row)
    if len(rows) != n or not known or len({len(row) for row in rows}) > 1:
        raise InputError(
            path,
            f"answers.{answer['answer']}.{name}",
            f"{len(rows)} entries",
            f"{n} finite numbers, one a participant",
            "Make the file again: delete it and run the workflow.",
        )
    return values


def _read(path):
    """Rows of one specification."""
    content = tables.read_json(path)
    specification = {name: str(value) for name, value in content["specification"].items()}
    for answer in content["answers"]:
        row = Row(specification, bool(content["main"]), {name: answer.get(name) for name in _TOLD})
        row.columns = dict(answer.get("whole_brain") or {})
        if answer["status"] == "run":
            people = answer["participants"]
            given = [_numbers(path, answer, name, len(people)) for name in ("response", "tested", "nuisance")]
            try:
                row.fit = curve.fit(people, *given, answer["kind"])
            except curve.NotEstimableError as error:
                row.told["status"] = f"not run: {error}"
            row.blocks = dict(zip(people, answer["blocks"] or [None] * len(people), strict=True))
        yield answer["answer"], answer.get("exchange"), row


def read(paths):
    """Read the answers of all specifications, and fit them.

    Parameters
    ----------
    paths : sequence of path-like
        The specifications' ``answers.json``.

    Returns
    -------
    dict
        Answer to a list of :class:`Row`, in the order of the paths, and to how its participants are exchanged.

    Raises
    ------
    InputError
        If specifications of one answer disagree about the exchange or about a participant's block, have other choices,
        or an answer's numbers do not belong to its participants.
    """
    rows, exchange, blocks = {}, {}, {}
    for path in paths:
        for name, how, row in _read(path):
            others = rows.setdefault(name, [])
            if others and set(others[0].specification) != set(row.specification):
                _disagree(path, "specification", list(row.specification), list(others[0].specification))
            others.append(row)
            if row.fit is None:
                continue
            if exchange.setdefault(name, how) != how:
                _disagree(path, f"answers.{name}.exchange", how, exchange[name])
            for participant, block in row.blocks.items():
                known = blocks.setdefault((name, participant), block)
                if known != block:
                    _disagree(path, f"answers.{name}.blocks", f"{participant}: {block}", f"{known}")
    return {name: (members, exchange.get(name, "permute")) for name, members in rows.items()}


def _disagree(path, where, found, expected):
    raise InputError(
        path,
        where,
        found,
        f"{expected}, as in the other specifications",
        "Make the files again: delete the folder of specifications and run the workflow.",
    )


def _shifts(rows, dimension, value, reference, scale):
    """Differences of the estimate between two values of a choice where all else is equal."""
    rest = [name for name in rows[0].specification if name != dimension]
    found = {}
    for row in rows:
        found[tuple(row.specification[name] for name in rest), row.specification[dimension]] = row.value(scale)
    return [
        found[key, value] - found[key, reference]
        for key in dict.fromkeys(key for key, _ in found)
        if (key, value) in found and (key, reference) in found
    ]


def _summary(rows, run, direction, sign, scale):
    values = [row.value(scale) for row in run]
    significant = sum(row.fit.p < curve.ALPHA and row.fit.t * direction > 0 for row in run)
    return {
        "specifications": len(run),
        "not_run": len(rows) - len(run),
        "median": statistics.median(values) if values else None,
        "low": min(values, default=None),
        "high": max(values, default=None),
        "same_sign": sum(value * sign > 0 for value in values),
        "significant": significant,
        "share_significant": significant / len(run) if run else None,
        "mean_z": float(curve.z_of_t([row.fit.t for row in run], [row.fit.df for row in run]).mean()) if run else None,
    }


def summarise(name, rows, exchange, permutations, seed):
    """One answer's curve.

    Parameters
    ----------
    name : str
    rows : list of Row
        Of all specifications; those with a fit are given their rank and their permutation p in ``columns``.
    exchange : {"permute", "flip"}
    permutations, seed : int

    Returns
    -------
    list of dict
        Rows of :func:`pharmasl.sensitivity.curve_columns.curve`: all specifications first, then each value of each choice that varies.
    """
    run = [row for row in rows if row.fit is not None]
    units = {row.told["unit"] for row in run}
    scale = "estimate" if len(units) < 2 else "partial_r"
    head = {"answer": name, "scale": scale, "unit": "1" if scale == "partial_r" else rows[0].told["unit"]}
    main = next((row for row in rows if row.main), None)
    reference = (main or rows[0]).specification
    total = {**head, "dimension": curve_columns.ALL, "value": curve_columns.ALL}
    direction = sign = 0
    if run:
        head["unit"] = total["unit"] = "1" if scale == "partial_r" else run[0].told["unit"]
        blocks = {participant: block for row in run for participant, block in row.blocks.items()}
        together = curve.joint([row.fit for row in run], exchange, blocks, permutations, seed, scale == "partial_r")
        direction = together.direction
        of_main = main.value(scale) if main and main.fit else None
        sign = math.copysign(1, of_main) if of_main else direction
        total |= {
            "main": of_main,
            "p_median": together.p_median,
            "p_significant": together.p_significant,
            "p_mean_z": together.p_mean_z,
            "participants": together.participants,
            "exchanged": together.exchanged,
        }
        for row in run:
            row.columns["p_permutation"] = curve.own_p(row.fit, exchange, row.blocks, permutations, seed)
        for rank, row in enumerate(sorted(run, key=lambda row: row.value(scale)), start=1):
            row.columns["rank"] = rank
    out = [total | _summary(rows, run, direction, sign, scale)]
    for dimension in rows[0].specification:
        values = list(dict.fromkeys(row.specification[dimension] for row in rows))
        if len(values) < 2:
            continue
        for value in values:
            chosen = [row for row in rows if row.specification[dimension] == value]
            each = {**head, "dimension": dimension, "value": value, "of_main": value == reference[dimension]}
            each |= _summary(chosen, [row for row in chosen if row.fit], direction, sign, scale)
            differences = _shifts(run, dimension, value, reference[dimension], scale) if run else []
            if differences and value != reference[dimension]:
                each |= {"shift": statistics.median(differences), "pairs": len(differences)}
                each |= {"shift_low": min(differences), "shift_high": max(differences)}
            out.append(each)
    return out


def specification_row(name, row):
    """A row of ``specifications.tsv``."""
    fit = row.fit
    found = {}
    if fit is not None:
        found = {
            each: getattr(fit, each)
            for each in (
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
        }
        found["n"] = len(fit.participants)
    return {"answer": name, **row.specification, "main": row.main, **found, **row.columns, **row.told}


def write(paths, table_path, curve_path, permutations, seed):
    """Read the specifications' answers and write the two tables.

    Parameters
    ----------
    paths : sequence of path-like
        The specifications' ``answers.json``, at least one.
    table_path, curve_path : path-like
        ``specifications.tsv``: a row an answer and specification, sorted by rank, those not run last. ``curve.tsv``: see
        :func:`summarise`.
    permutations : int
        Relabellings, the observed one counted.
    seed : int

    Raises
    ------
    InputError
        See :func:`read`.
    """
    with threadpool_limits(1, user_api="blas"):  # the same bytes on any number of cores
        answers = read(paths)
        summaries = [summarise(name, rows, exchange, permutations, seed) for name, (rows, exchange) in answers.items()]
    dimensions = list(next(iter(answers.values()))[0][0].specification) if answers else list(curve_columns.DIMENSIONS)
    ordered = [
        specification_row(name, row)
        for name, (rows, _) in answers.items()
        for row in sorted(rows, key=lambda row: row.columns.get("rank", math.inf))
    ]
    tables.write_table(table_path, ordered, curve_columns.specifications(dimensions, permutations, seed))
    tables.write_table(curve_path, itertools.chain.from_iterable(summaries), curve_columns.curve(permutations, seed))
