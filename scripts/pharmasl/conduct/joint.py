"""The p of several analyses in each of their common relabellings, from their tables of maxima.

Two analyses of the same participants with the same design draw the same relabellings: row b of either's table of maxima
is of the same labelling. Only then may their dependence be taken from these rows.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.group import combination
from pharmasl.group.engine import maxima


class NotJointError(Exception):
    """The analyses have no relabellings in common; the message says why."""


def relabelling_p(path: FilePath, statistic: str, two_sided: bool) -> np.ndarray:
    """The p that an analysis would have had, had each relabelling been the observed labelling.

    Parameters
    ----------
    path : path-like
        ``_desc-permutations_null.tsv``, the observed labelling in its first row.
    statistic : {"voxel", "extent", "mass", "tfce", "any"}
        What decides the analysis.
    two_sided : bool

    Returns
    -------
    ndarray of shape (B,)
        Multiples of 1/B.
    """
    return combination.relabelling_p(_null(path), statistic, two_sided)


def _null(path: FilePath) -> maxima.Null:
    """The maxima in a table; those that were not computed are None."""
    rows = tables.read_table(path)
    columns: dict[str, Any] = {}
    for field in dataclasses.fields(maxima.Null):
        cells = [row[field.name] for row in rows]
        columns[field.name] = None if None in cells else np.array(cells, dtype=np.float64)
    return maxima.Null(**columns)


def _relabelling_basis(block: dict[str, Any]) -> dict[str, Any]:
    """What determines the relabellings of an analysis, by name."""
    draws = block["permutation"]
    return {
        "participants": block["participants"],
        # Not the test: planned pairs of arms in one model have their relabellings in common.
        "design": block["model"]["relabelled_sha256"],
        "number of relabellings": draws["number"],
        "seed": draws["seed"],
    }


def together(names: Sequence[str], inferences: Sequence[FilePath], nulls: Sequence[FilePath]) -> np.ndarray:
    """The p of each analysis in each common relabelling.

    Parameters
    ----------
    names : sequence of str
    inferences, nulls : sequence of path-like
        ``_inference.json`` and the tables of maxima, in the same order.

    Returns
    -------
    ndarray of shape (B, K)
        NaN for an analysis that was not run.

    Raises
    ------
    NotJointError
        If analyses that were run differ in their participants, design or relabellings, or none was run.
    InputError
        If a table does not belong to its inference file.
    """
    blocks = [tables.read_json(path) for path in inferences]
    ran = [k for k, block in enumerate(blocks) if block["status"] == "run"]
    if not ran:
        raise NotJointError("none of the analyses was run")
    first = _relabelling_basis(blocks[ran[0]])
    for k in ran[1:]:
        for part, value in _relabelling_basis(blocks[k]).items():
            if value != first[part]:
                alone = _in_one_alone(first[part], value) if part == "participants" else ""
                raise NotJointError(f"{names[ran[0]]} and {names[k]} differ in {part}{alone}")
    columns = {}
    for k in ran:
        verdict = blocks[k]["verdict"]
        columns[k] = relabelling_p(nulls[k], verdict["statistic"], blocks[k]["tests"]["two_sided"])
        if abs(columns[k][0] - verdict["p"]) > 1e-9 or len(columns[k]) != first["number of relabellings"]:
            raise InputError(
                file=nulls[k],
                field="relabelling 0",
                found=f"p {columns[k][0]:g} of {len(columns[k])} relabellings",
                expected=f"p {verdict['p']:g} of {first['number of relabellings']}, as {inferences[k]} has it",
                fix="Delete both files and run the analysis again.",
            )
    out = np.full((first["number of relabellings"], len(names)), np.nan)
    for k, values in columns.items():
        out[:, k] = values
    return out


def _in_one_alone(first: Sequence[str], second: Sequence[str]) -> str:
    """The participants of only one of two analyses, in words."""
    return f": {', '.join(sorted(set(first) ^ set(second)))} in one alone"
