"""What the page says of an analysis' effect on global CBF, beside the effect on the maps."""

from collections.abc import Mapping
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report.words import HARD, between, fixed, listed, p_words, short, signed, upper
from pharmasl.study.cbf_units import CBF_UNIT
from pharmasl.study.relative_cbf import REFERENCES

_JOINTLY = "jointly"


def sentences(table: FilePath, block: Mapping[str, Any]) -> list[str]:
    """The effect on global CBF, in sentences.

    Parameters
    ----------
    table : path-like
        ``_global.tsv``.
    block : mapping
        Content of the analysis' ``_inference.json``.

    Returns
    -------
    list of str
        What the maps are of, where CBF is relative, and the effect on the mean of absolute CBF; empty where the analysis was
        not run.
    """
    rows = _rows(table)
    if not rows:
        return []
    text = []
    if scaling := block.get("scaling"):
        text.append(f"The maps are of relative CBF: {scaling['meaning']}.")
    parts = [_effect_words(row, block) for row in reversed(rows)]
    notes = sorted({row["note"] for row in rows if row["note"]})
    text.append(
        f"Global CBF itself, absolute, by the same model: {listed(parts)}." + "".join(f" {upper(n)}." for n in notes)
    )
    return text


def caution(table: FilePath, block: Mapping[str, Any]) -> str:
    """That global CBF differs too, where maps of absolute CBF cannot tell an effect in a place from one everywhere.

    Parameters
    ----------
    table, block
        As for :func:`sentences`.

    Returns
    -------
    str
        A sentence; empty where global CBF is not significant at the level of the analysis, and of relative CBF.
    """
    level = float(block["alpha"]) if "alpha" in block else 0.0
    differs = [row for row in _rows(table) if row["p"] is not None and float(row["p"]) <= level]
    if block.get("scaling") or not differs:
        return ""
    words = listed([_effect_words(row, block) for row in reversed(differs)])
    return (
        f"Global CBF differs by the same model too ({words}): maps of absolute CBF do not tell an effect in these places from one on the "
        "whole brain, which scaled CBF leaves out."
    )


def _rows(table: FilePath) -> list[Row]:
    """The effect on each mean; of several effects the joint one alone."""
    rows = tables.read_table(table)
    joint = any(row["effect"] == _JOINTLY for row in rows)
    return [row for row in rows if not joint or row["effect"] == _JOINTLY or row["effect"] is None]


def _effect_words(row: Row, block: Mapping[str, Any]) -> str:
    unit = block["effect"]["unit"].replace(block.get("cbf_unit", CBF_UNIT), CBF_UNIT, 1)
    interval = f"{100 * (1 - float(block['alpha'])):g}{HARD}%{HARD}CI"
    where = f"over the {REFERENCES[str(row['reference'])]}"
    if row["p"] is None:
        return f"{where} not tested"
    if row["estimate"] is None:
        size = f"F({short(row['df_effect'])}, {short(row['df'])}) = {fixed(row['value'])}"
    else:
        size = f"{signed(row['estimate'])} {unit} ({interval} {between(row['ci_low'], row['ci_high'])})"
    return f"{where} {size}, {p_words(row['p'])}"
