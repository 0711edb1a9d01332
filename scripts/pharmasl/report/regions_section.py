"""An analysis in the declared regions and in the parcels of the atlas: sentences, two tables and a figure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING, number, p_value
from pharmasl.files import blinding, tables
from pharmasl.files.tables import Row
from pharmasl.report import pictures
from pharmasl.report.words import (
    DAGGER,
    HARD,
    NONE,
    Table,
    between,
    columns_named,
    count,
    fixed,
    p_words,
    short,
    signed,
)
from pharmasl.space.region_words import in_words
from pharmasl.statistics.detectable_effects import GOAL
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Settings

# Rows of the table of parcels on the page: all significant ones up to here, or the nearest where none is.
SHOWN, NEAREST = 20, 5
_JOINTLY = "jointly"


@dataclass(frozen=True, kw_only=True)
class RegionsFiles:
    """``_regions.tsv``, ``_parcels.tsv`` and their picture."""

    regions: FilePath
    parcels: FilePath
    figure: FilePath


@dataclass(frozen=True, kw_only=True)
class RegionsSection:
    """What the page says of an analysis in regions.

    Attributes
    ----------
    sentences : sequence of str
    regions, parcels : Table or None
        None where there is nothing to show.
    figure, alt : str
        The picture, and what stands for it where it cannot be seen.
    notes : sequence of str
    """

    sentences: Sequence[str]
    regions: Table | None
    parcels: Table | None
    figure: str
    alt: str
    notes: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the rows are of: the effect in words, its unit, alpha, and whether it can be reached by relabelling."""

    meaning: str
    unit: str
    alpha: float
    in_reach: bool

    @property
    def interval(self) -> str:
        """The interval's name."""
        return f"{100 * (1 - self.alpha):g}{HARD}%{HARD}CI"


def section(files: RegionsFiles, block: Mapping[str, Any], labels: Labels = NAMES) -> RegionsSection | None:
    """The section of an analysis in regions.

    Parameters
    ----------
    files : RegionsFiles
    block : mapping
        Content of the analysis' ``_inference.json``.
    labels : Labels, optional

    Returns
    -------
    RegionsSection or None
        None where the analysis was not run.
    """
    if block["status"] != "run":
        return None
    verdict = block.get("verdict") or {}
    asked = _Asked(
        meaning=block["model"].get("meaning") or block["effect"]["meaning"],
        unit=block["effect"]["unit"],
        alpha=float(block["alpha"]),
        in_reach=bool(verdict.get("can_reach_alpha", True)),
    )
    regions = [labels.region_row(row) for row in tables.read_table(files.regions)]
    parcels = [labels.region_row(row) for row in tables.read_table(files.parcels)]
    sentences = [*_declared(regions, asked), *_atlas(parcels, asked)]
    shown = _strongest(parcels)
    chosen = any(row["defined_by_same_data"] == "true" for row in regions)
    with_effect = [row for row in (*regions, *shown) if row["detectable"] is not None]
    return RegionsSection(
        sentences=sentences,
        regions=_table(regions, "roi", "The effect in the declared regions", asked) if regions else None,
        parcels=_table(shown, "parcel", _parcels_caption(parcels), asked) if shown else None,
        figure=pictures.fragment(files.figure),
        alt="Estimates with their intervals in each declared region, and of all parcels. " + " ".join(sentences),
        notes=[
            f"{DAGGER} A cluster of this trial's own analysis, chosen by these data: its estimate is a description, too large on "
            "average, and has no p."
        ]
        * chosen
        + [_detectable_words(blinded=blinding.MARK in block)] * bool(with_effect),
    )


def _detectable_words(*, blinded: bool) -> str:
    """What the smallest effects of the table are."""
    pooled = (
        " The arms are a sham allocation here: what a drug changes is part of the residual variance, and makes these effects too large."
        if blinded
        else ""
    )
    return (
        f"Detectable effect: the smallest true effect that a test with this residual variance and this number of people finds with a probability of "
        f"{100 * GOAL:g}{HARD}%, p corrected as in the table; its interval is that of the residual variance. It says how fine the design "
        f"was, and nothing about the effect that was estimated, whose interval stands beside it.{pooled}"
    )


def _cited(atlas: str) -> str:
    """The reference of the atlas that comes with the workflow; of another it is not known here."""
    return " (Rolls et al. 2020)" if atlas.startswith("AAL3") else ""


def method(settings: Settings) -> str:
    """How regions and parcels were tested, as a paragraph of methods."""
    atlas, number = PurePath(settings.atlas.labels).stem, len(settings.rois)
    declared = f"{count(number, 'declared region')} and in " if number else ""
    return (
        f"The model of each analysis was also fitted to mean {settings.quantity.measure} in {declared}every parcel of the atlas {atlas}{_cited(atlas)}, over "
        f"the voxels that the scans cover (missing where they cover less than {100 * settings.minimum_roi_coverage:g}{HARD}% of a "
        "region). P values were corrected over the declared regions, and separately over the parcels, by the distribution of the "
        "largest statistic in the same relabellings. Regions selected by the same data are reported without p."
    )


def _tests(rows: Sequence[Row]) -> list[Row]:
    """The rows that hold a region's test."""
    joint = any(row["effect"] == _JOINTLY for row in rows)
    return [row for row in rows if not joint or row["effect"] in (_JOINTLY, None)]


def _by(rows: Sequence[Row]) -> str:
    """How p were corrected, in words that follow "corrected"."""
    ways = {row["corrected_by"] for row in rows} - {None}
    if ways == {"Holm"}:
        return "by Holm's method"
    return "by the largest statistic over them in each relabelling"


def _effect(row: Row, asked: _Asked) -> str:
    """A region's effect in numbers."""
    if row["estimate"] is None:
        return f"F({short(row['df_effect'])}, {short(row['df'])}) = {fixed(row['value'])}"
    interval = between(row["ci_low"], row["ci_high"])
    return f"{signed(row['estimate'])} {asked.unit} ({asked.interval} {interval})"


def _declared(rows: Sequence[Row], asked: _Asked) -> list[str]:
    """What the declared regions show."""
    if not rows:
        return ["No region was declared (rois)."]
    answered = [row for row in _tests(rows) if row["p_fwe"] is not None]
    if not answered:
        return ["No declared region has a p: see the notes of the table."]
    good = [row for row in answered if row["significant"] == "yes"]
    which = count(len(answered), "declared region")
    if not good and not asked.in_reach:
        return [f"In {which} no p could have reached {asked.alpha:g}: there are too few relabellings."]
    if not good:
        return [f"None of {which} was significant at family-wise p \u2264 {asked.alpha:g}, corrected {_by(answered)}."]
    words = [f"{in_words(row['roi'])}: {_effect(row, asked)}, corrected {p_words(row['p_fwe'])}" for row in good]
    return [f"{len(good)} of {which} significant, corrected {_by(answered)}. {'; '.join(words)}."]


def _atlas(rows: Sequence[Row], asked: _Asked) -> list[str]:
    """What the parcels show."""
    tests = _tests(rows)
    answered = [row for row in tests if row["p_fwe"] is not None]
    if not answered:
        return ["No parcel of the atlas could be tested."] if rows else []
    good = [row for row in answered if row["significant"] == "yes"]
    which = count(len(answered), "parcel")
    lost = len(tests) - len(answered)
    apart = f" ({lost} more could not be tested)" if lost else ""
    if not good:
        if not asked.in_reach:
            return []
        return [f"None of the atlas' {which} was significant{apart}, corrected over all of them {_by(answered)}."]
    # Their words have commas of their own.
    places = "; ".join(in_words(row["parcel"]) for row in sorted(good, key=lambda row: number(row["p"]))[:NEAREST])
    more = f", first {places}" if len(good) > NEAREST else f": {places}"
    return [f"{len(good)} of the atlas' {which} significant{apart}, corrected over all of them {_by(answered)}{more}."]


def _strongest(rows: Sequence[Row]) -> list[Row]:
    """The significant parcels, or the nearest; by p, each with the rows of its effects."""
    answered = [row for row in _tests(rows) if row["p_fwe"] is not None]
    answered.sort(key=lambda row: number(row["p"]))
    good = [row for row in answered if row["significant"] == "yes"]
    order = [row["parcel"] for row in (good[:SHOWN] if good else answered[:NEAREST])]
    return [row for parcel in order for row in rows if row["parcel"] == parcel]


def _parcels_caption(rows: Sequence[Row]) -> str:
    good = sum(row["significant"] == "yes" for row in rows)
    if not good:
        return f"The {NEAREST} parcels with the smallest p; the file has all"
    return (
        f"The {SHOWN} significant parcels with the smallest p; the file has all"
        if good > SHOWN
        else "Significant parcels"
    )


def _table(rows: Sequence[Row], key: str, caption: str, asked: _Asked) -> Table:
    """Every region with its estimate, interval, size, statistic and p."""
    several = len({row["effect"] for row in rows if row["effect"]}) > 1
    percent = any(row["percent"] is not None for row in rows)
    standardised = any(row["hedges_g"] is not None for row in rows)
    detectable = any(row["detectable"] is not None for row in rows)
    heads = [
        "Region" if key == "roi" else "Parcel",
        *["Effect"] * several,
        "Estimate",
        asked.interval,
        *["% of baseline"] * percent,
        *[f"Hedges' g ({asked.interval})"] * standardised,
        "Statistic",
        "p",
        "p corrected",
        "p Holm",
        *[f"Detectable effect ({asked.interval})"] * detectable,
        "n",
        "Note",
    ]
    cells = []
    for row in rows:
        dagger = f" {DAGGER}" if row.get("defined_by_same_data") == "true" else ""
        cells.append(
            [
                in_words(row[key]) + dagger,
                *[row["effect"] or MISSING] * several,
                _cell(row["estimate"], signed),
                between(row["ci_low"], row["ci_high"]) if row["estimate"] is not None else NONE,
                *[_cell(row["percent"], lambda value: signed(value, 1))] * percent,
                *[_size(row)] * standardised,
                _statistic(row),
                _cell(row["p"], p_value),
                _cell(row["p_fwe"], p_value),
                _cell(row["p_holm"], p_value),
                *[_detectable(row)] * detectable,
                row["n"],
                row["note"] or "",
            ]
        )
    text = {0, len(heads) - 1} | ({1} if several else set())
    marked = {k for k, row in enumerate(rows) if row["significant"] == "yes"}
    main = columns_named(
        heads,
        ["Region", "Parcel", "Effect", "Estimate", asked.interval, "% of", "p corrected", "Detectable", "n", "Note"],
    )
    return Table(f"{caption}: {asked.meaning}, {asked.unit}", heads, cells, text, marked, main=main)


def _cell(value: str | None, words: Callable[[str], str]) -> str:
    return NONE if value is None else words(value)


def _size(row: Row) -> str:
    if row["hedges_g"] is None:
        return NONE
    return f"{fixed(row['hedges_g'])} ({between(row['hedges_g_low'], row['hedges_g_high'])})"


def _detectable(row: Row) -> str:
    if row["detectable"] is None:
        return NONE
    return f"{fixed(row['detectable'])} ({between(row['detectable_low'], row['detectable_high'])})"


def _statistic(row: Row) -> str:
    value = number(row["value"])
    if math.isnan(value):
        return NONE
    df = f"{short(row['df_effect'])}, {short(row['df'])}" if row["statistic"] == "F" else short(row["df"])
    return f"{row['statistic']}({df}) = {fixed(value)}"
