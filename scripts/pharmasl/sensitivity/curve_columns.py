"""Columns of the two tables of the specification curve."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pharmasl.errors import FilePath
from pharmasl.files import tables

TableRow = dict[str, Any]  # text, None where missing

# The row of curve.tsv that is about all specifications of an answer.
ALL = "all"

DIMENSIONS: dict[str, Any] = {
    "scaling": {
        "Description": "How CBF was scaled",
        "Levels": {
            "absolute": "mL/100 g/min",
            "global": "Each scan divided by its brain's mean, times 50 mL/100 g/min",
        },
    },
    "smoothing_fwhm": {"Description": "Smoothing in template space, full width at half maximum", "Units": "mm"},
    "partial_volume": "Whether CBF was corrected for partial volumes",
    "quality": "Rule by which scans were left out for their quality; own: the study's",
    "covariates": "Set of covariates adjusted for; own: each analysis' own",
}
WHOLE_BRAIN = {
    "p_fwe_cluster_in_region": "Family-wise corrected p of the largest cluster that touches the region",
    "p_fwe_cluster_smallest": "Smallest family-wise corrected p of a cluster anywhere",
    "p_fwe_voxel_smallest": "Smallest family-wise corrected p of a voxel anywhere",
    "sign_in_region": "Sign of the effect of that cluster in the region: 1 or -1",
}


def specifications(dimensions: Sequence[str], permutations: int, seed: int) -> dict[str, Any]:
    """Columns of ``specifications.tsv``.

    Parameters
    ----------
    dimensions : sequence of str
        The choices, in order.
    permutations, seed : int

    Returns
    -------
    dict
        As :func:`pharmasl.files.tables.write_table` takes it.
    """
    resampled = {"Permutations": permutations, "Seed": seed}
    return {
        "answer": "Name of the question in the configuration",
        "rank": "Place in the curve, 1 for the least estimate (the least partial correlation where units differ)",
        **{name: DIMENSIONS.get(name, f"Choice: {name}") for name in dimensions},
        "main": "true: the specification of the main analysis",
        "n": "Participants",
        "estimate": "Coefficient of the tested variable, or partial correlation",
        "se": "Standard error of the estimate",
        "ci_low": "Lower end of the 95 % confidence interval: by Student's t, of a correlation by Fisher's z",
        "ci_high": "Upper end of the 95 % confidence interval",
        "df": "Degrees of freedom",
        "t": "Estimate over its standard error",
        "p": "Two-sided p by Student's t, uncorrected",
        "p_permutation": {
            "Description": "Two-sided p by relabelling the participants (Freedman & Lane), the observed labelling counted, uncorrected",
            **resampled,
        },
        "partial_r": "The estimate free of units: t / sqrt(t^2 + df), the partial correlation of response and tested variable",
        "partial_r_low": "Lower end of its 95 % confidence interval: by the noncentral t distribution, of a correlation by Fisher's z",
        "partial_r_high": "Upper end of its 95 % confidence interval",
        **WHOLE_BRAIN,
        "unit": "Unit of estimate, se, ci_low and ci_high",
        "kind": {
            "Description": "What is estimated",
            "Levels": {"effect": "Coefficient in a linear model", "correlation": "Partial correlation"},
        },
        "meaning": "What a positive estimate means",
        "roi": "Region whose CBF is taken",
        "contrast": "Contrast of conditions",
        "analysis": "Whole-brain analysis of the same question",
        "defined_by_same_data": "true: the region is a cluster of an analysis of this trial, chosen by the data it would be tested on: its estimates are a description, p is missing",
        "status": "run, or why there is no estimate",
    }


def curve(permutations: int, seed: int) -> dict[str, Any]:
    """Columns of ``curve.tsv``; parameters and result as :func:`specifications`."""
    resampled = {"Permutations": permutations, "Seed": seed}
    joint = "Joint p of all specifications: share of relabellings of the participants, the same for every specification, the observed one counted, in which "
    return {
        "answer": "Name of the question in the configuration",
        "dimension": "The choice that the row is about; all: the row is about all specifications together",
        "value": "The specifications with this value of it",
        "of_main": "true: the main specification's value",
        "specifications": "Specifications with an estimate",
        "not_run": "Specifications without one",
        "scale": {
            "Description": "What median, low, high, main and shift are",
            "Levels": {
                "estimate": "Estimates, in the column unit",
                "partial_r": "Partial correlations, since the specifications' estimates differ in unit",
            },
        },
        "unit": "Their unit",
        "main": "The main specification's estimate",
        "median": "Median of the estimates",
        "low": "Lowest estimate",
        "high": "Highest estimate",
        "same_sign": "Specifications whose estimate has the sign of the main one (of the median, where the main one was not run)",
        "significant": "Specifications with p < 0.05 (Student's t) in the direction of the median of all specifications",
        "share_significant": "The same as a share",
        "mean_z": "Mean over specifications of the normal deviate with the tail probability of t",
        "p_median": {
            "Description": f"{joint}the median is as far from 0",
            **resampled,
        },
        "p_significant": {
            "Description": f"{joint}as many specifications are significant in the direction of their median",
            **resampled,
        },
        "p_mean_z": {
            "Description": f"{joint}the mean z is as far from 0",
            **resampled,
        },
        "participants": "Participants of any specification",
        "exchanged": "Of these, those who change places (or signs) in the relabellings: places are changed among participants of the same specifications and the same exchangeability block",
        "shift": "Median difference of the estimate, this value minus the main specification's value, over pairs of specifications that agree in all else",
        "shift_low": "Least such difference",
        "shift_high": "Greatest such difference",
        "pairs": "Number of such pairs",
    }


class AnswerRows(NamedTuple):
    """The rows of one answer in the two tables, as text.

    Attributes
    ----------
    total : dict
        Its row of all specifications together.
    specifications : list of dict
    choices : list of dict
        Its rows of the values of each choice.
    """

    total: TableRow
    specifications: list[TableRow]
    choices: list[TableRow]


def read(table: FilePath, curve: FilePath) -> Iterator[AnswerRows]:
    """Read the two tables, answer by answer.

    Parameters
    ----------
    table, curve : path-like
        ``specifications.tsv`` and ``curve.tsv``.

    Yields
    ------
    AnswerRows
    """
    specifications, summaries = tables.read_table(table), tables.read_table(curve)
    for total in summaries:
        if total["dimension"] == ALL:
            rows, choices = (
                [row for row in rows if row["answer"] == total["answer"]] for rows in (specifications, summaries)
            )
            yield AnswerRows(total, rows, [row for row in choices if row["dimension"] != ALL])
