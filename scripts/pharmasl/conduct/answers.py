"""The p of each answer on which a trial rests or which supports it, read from the results of its stage."""

import math
from dataclasses import dataclass

from pharmasl.endpoints import families, measure_rows
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.group import verdict
from pharmasl.study import primary
from pharmasl.study.settings import Arms, DeclaredCorrelation

ANALYSIS, ENDPOINT, CORRELATION = "analysis", "endpoint", "correlation"
ANSWERED = "answered"
# The row of the craving models (pharmasl.endpoints.comparisons) that answers the trial's question: do the arms' changes differ?
CRAVING_TEST = {"analysis": "difference_of_changes", "term": "arm:session"}
CRAVING_WORDS = "difference of the arms' changes, Welch's t"


@dataclass(frozen=True)
class Answer:
    """An answer of the trial: a p, or the reason why there is none.

    Attributes
    ----------
    name : str
        As in ``primary`` of the configuration.
    kind : {"analysis", "endpoint", "correlation"}
    test : str
        What its p is, in words.
    p : float
        Two-sided unless the analysis is one-sided; corrected for the search of the brain, not for the other answers. NaN
        where it could not be answered.
    status : str
        ``answered``, or why not.
    least : float
        The smallest p that it could have; 0 where there is no such limit.
    """

    name: str
    kind: str
    test: str = ""
    p: float = math.nan
    status: str = ANSWERED
    least: float = 0.0


def analysis(name: str, path: FilePath) -> Answer:
    """The answer of a whole-brain analysis.

    Parameters
    ----------
    name : str
    path : path-like
        ``_inference.json``.

    Returns
    -------
    Answer
    """
    block = tables.read_json(path)
    if block["status"] != "run":
        return Answer(name, ANALYSIS, status=block["status"])
    decided = block["verdict"]
    test = f"{verdict.WORDS[decided['statistic']]}, {decided['error_rate']}"
    if decided["error_rate"] != verdict.FAMILY_WISE:
        return Answer(name, ANALYSIS, test, status=f"no family-wise p: {decided['error_rate']}")
    return Answer(name, ANALYSIS, test, float(decided["p"]), least=float(decided["smallest_attainable_p"] or 0))


def craving(path: FilePath) -> Answer:
    """The answer of the craving models: the difference of the arms' changes.

    Parameters
    ----------
    path : path-like
        ``craving_model.tsv``.

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If the table does not have exactly one such row.
    """
    rows = [row for row in tables.read_table(path) if all(row[key] == value for key, value in CRAVING_TEST.items())]
    if len(rows) != 1:
        raise InputError(
            file=path,
            field="rows",
            found=len(rows),
            expected=f"one row of {CRAVING_TEST}",
            fix="Run craving_model again.",
        )
    p, why = rows[0]["p"], rows[0]["method"]
    if p is None:
        return Answer(primary.CRAVING, ENDPOINT, CRAVING_WORDS, status=f"not answered: {why or 'no p'}")
    return Answer(primary.CRAVING, ENDPOINT, CRAVING_WORDS, float(p))


def endpoint(name: str, path: FilePath) -> Answer:
    """The answer of an endpoint: the tested effect in the first of its populations.

    Parameters
    ----------
    name : str
    path : path-like
        ``endpoints/{endpoint}_model.tsv``.

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If the table has no such row.
    """
    rows = [row for row in tables.read_table(path) if row["analysis"] == measure_rows.TEST]
    if not rows:
        raise InputError(
            file=path, field="rows", found="none", expected="the tested effect", fix="Run endpoint_model again."
        )
    row = rows[0]
    words = f"{row['term']}, {row['method']}"
    if row["p"] is None:
        return Answer(name, ENDPOINT, words, status=f"not answered: {row['method'] or 'no p'}")
    return Answer(name, ENDPOINT, words, float(row["p"]))


@dataclass(frozen=True, kw_only=True)
class CorrelationTest:
    """The correlation with craving that is tested in all regions together.

    Attributes
    ----------
    declared : DeclaredCorrelation
    resamples : int
        Relabellings of its permutation test.
    arms : Arms
    """

    declared: DeclaredCorrelation
    resamples: int
    arms: Arms


def correlation(name: str, path: FilePath, tested: CorrelationTest) -> Answer:
    """The answer of a region's declared correlation with craving or with an endpoint.

    Parameters
    ----------
    name : str
        ``craving.<roi>`` or ``<endpoint>.<roi>``.
    path : path-like
        ``roi_craving.tsv``, or the ``_relations.tsv`` of the endpoint.
    tested : CorrelationTest

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If the table does not have exactly one such test.
    """
    test, arms = tested.declared, tested.arms
    score, _, roi = name.rpartition(".")
    rows = [
        row
        for row in tables.read_table(path)
        if row["roi"] == roi and row["role"] == families.TESTED and families.is_declared(test, row, arms)
    ]
    if len(rows) != 1:
        raise InputError(
            file=path,
            field="rows",
            found=len(rows),
            expected=f"one declared test for {name}",
            fix="Run the rule that writes it again.",
        )
    words, row = f"correlation with {score} ({families.words(test, arms)})", rows[0]
    if row["p"] is None:
        return Answer(name, CORRELATION, words, status=f"not answered: {row['note'] or 'no p'}")
    # The comparison of two correlations has its p by Fisher's z; all others by permutation, the observed order counted.
    least = 0.0 if test.method == "pearson_difference" else 1 / (tested.resamples + 1)
    return Answer(name, CORRELATION, words, float(row["p"]), least=least)
