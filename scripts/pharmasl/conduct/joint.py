"""The p of several analyses in each of their common relabellings, from the tables of maxima that they have kept.

Two analyses of the same people with the same design draw the same relabellings: row b of either's table of maxima is of
the same labelling. Only then may their dependence be taken from these rows.
"""

import dataclasses

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import combination
from pharmasl.group.engine import permutation


class NotJointError(Exception):
    """The analyses have no relabellings in common; the message says why."""


def relabelling_p(path: str, statistic: str, two_sided: bool) -> np.ndarray:
    """The p that an analysis would have had, had each relabelling been the observed labelling.

    Parameters
    ----------
    path : path-like
        ``{analysis}_desc-permutations_null.tsv``, the observed labelling in its first row.
    statistic : {"voxel", "extent", "mass", "tfce", "any"}
        By which the analysis is decided.
    two_sided : bool

    Returns
    -------
    ndarray of shape (B,)
        Multiples of 1/B.
    """
    return combination.relabelling_p(_null(path), statistic, two_sided)


def _null(path):
    """The maxima of a table; those that were not computed are None."""
    rows = tables.read_table(path)
    values = {field.name: [row[field.name] for row in rows] for field in dataclasses.fields(permutation.Null)}
    return permutation.Null(
        **{name: None if None in column else np.array(column, dtype=np.float64) for name, column in values.items()}
    )


def _drawn(block):
    """What decides the relabellings of an analysis, each part with its value."""
    draws = block["permutation"]
    return {
        "participants": block["participants"],
        "design": block["model"]["design_sha256"],
        "number of relabellings": draws["number"],
        "seed": draws["seed"],
    }


def together(names: list[str], inferences: list[str], nulls: list[str]) -> np.ndarray:
    """The p of each analysis in each common relabelling.

    Parameters
    ----------
    names : list of str
    inferences, nulls : list of path-like
        ``{analysis}_inference.json`` and the tables of maxima, in the same order.

    Returns
    -------
    ndarray of shape (B, K)
        NaN for an analysis that was not run.

    Raises
    ------
    NotJointError
        If analyses that were run differ in their people, design or relabellings, or none was run.
    InputError
        If a table does not belong to its inference file.
    """
    blocks = [tables.read_json(path) for path in inferences]
    ran = [k for k, block in enumerate(blocks) if block["status"] == "run"]
    if not ran:
        raise NotJointError("none of the analyses was run")
    first = _drawn(blocks[ran[0]])
    for k in ran[1:]:
        for what, value in _drawn(blocks[k]).items():
            if value != first[what]:
                raise NotJointError(f"{names[ran[0]]} and {names[k]} differ in {what}{_whom(what, first, value)}")
    columns = {}
    for k in ran:
        verdict = blocks[k]["verdict"]
        columns[k] = relabelling_p(nulls[k], verdict["statistic"], blocks[k]["tests"]["two_sided"])
        if abs(columns[k][0] - verdict["p"]) > 1e-9 or len(columns[k]) != first["number of relabellings"]:
            raise InputError(
                nulls[k],
                "relabelling 0",
                f"p {columns[k][0]:g} of {len(columns[k])} relabellings",
                f"p {verdict['p']:g} of {first['number of relabellings']}, as {inferences[k]} has it",
                "Delete both files and run the analysis again.",
            )
    out = np.full((first["number of relabellings"], len(names)), np.nan)
    for k, values in columns.items():
        out[:, k] = values
    return out


def _whom(what, first, value):
    """Who takes part in one of two analyses alone, in words."""
    if what != "participants":
        return ""
    return f": {', '.join(sorted(set(first[what]) ^ set(value)))} in one alone"
