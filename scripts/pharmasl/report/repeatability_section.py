"""How repeatable CBF was between baseline and follow-up: sentences and a table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.figures.numerals import number
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report import pictures
from pharmasl.report.words import CI, DAGGER, NONE, Table, between, columns_named, count, fixed, signed, upper
from pharmasl.space.region_words import in_words
from pharmasl.study.labels import Labels
from pharmasl.study.relative_cbf import REFERENCES

_ALL = "all"


@dataclass(frozen=True, kw_only=True)
class MappedFiles:
    """What sums up the maps of a contrast, and their picture."""

    table: FilePath
    figure: FilePath


@dataclass(frozen=True, kw_only=True)
class MappedContrast:
    """The maps of a contrast: heading, sentence, picture, and what stands for it where it cannot be seen."""

    heading: str
    sentence: str
    figure: Markup
    alt: str


@dataclass(frozen=True, kw_only=True)
class RepeatabilitySection:
    """What the page says of repeatability; ``notes`` stand below the table, the maps below them; ``method`` is for the methods text."""

    sentences: Sequence[str]
    table: Table
    notes: Sequence[str]
    maps: Sequence[MappedContrast]
    method: str


def section(path: FilePath, labels: Labels, mapped: Sequence[MappedFiles] = ()) -> RepeatabilitySection:
    """The section of ``tables/repeatability.tsv``, and of the maps.

    Parameters
    ----------
    path : path-like
    labels : Labels
    mapped : sequence of MappedFiles

    Returns
    -------
    RepeatabilitySection
    """
    rows = tables.read_table(path)
    shown = [row for row in rows if row["kind"] != "parcel"]
    contrasts = dict.fromkeys(row["contrast"] for row in rows)
    sentences = [_people(rows, labels)]
    sentences += [
        words
        for contrast in contrasts
        for words in (
            *_grey_matter([row for row in shown if row["contrast"] == contrast], labels.contrast(contrast)),
            *_parcels([row for row in rows if row["contrast"] == contrast and row["kind"] == "parcel"], labels),
        )
    ]
    notes = []
    if any(row["defined_by_same_data"] == "true" for row in shown):
        notes.append(f"{DAGGER} A cluster of this trial's own analysis, chosen by these data.")
    return RepeatabilitySection(
        sentences=sentences,
        table=_table(shown, path, labels),
        notes=notes,
        maps=[_mapped(files, labels) for files in mapped],
        method=_method(rows, labels, is_mapped=bool(mapped)),
    )


def _method(rows: Sequence[Row], labels: Labels, *, is_mapped: bool) -> str:
    people = (
        f"the {labels.arm(rows[0]['people'])} arm"
        if rows and rows[0]["people"] != _ALL
        else "all participants together"
    )
    text = (
        f"Repeatability from baseline to follow-up was estimated in {people} by a two-way analysis of variance of participants and sessions: "
        "within-person standard deviation (interval by the chi-square distribution), smallest detectable change of one person, "
        "coefficient of variation by logarithms, intraclass correlations ICC(3,1) and ICC(2,1) (Shrout and Fleiss 1979), the latter with a generalised confidence interval (Weerahandi 1993), "
        "and limits of agreement (Bland and Altman 1999) with exact intervals (Carkeet 2015)"
    )
    if is_mapped:
        text += "; the first, the coefficient of variation and ICC(3,1) also at each voxel with both sessions of at least three quarters of these participants"
    return f"{text}."


def _mapped(files: MappedFiles, labels: Labels) -> MappedContrast:
    rows = {(row["map"], row["place"]): row for row in tables.read_table(files.table)}
    spread, variation, correlation = (rows[name, "grey_matter"] for name in ("within_sd", "within_cv", "icc"))
    contrast = upper(labels.contrast(spread["contrast"]))
    people = count(int(spread["n"]), "person", "people")
    if spread["median"] is None:
        why = f": {spread['note']}" if spread["note"] else ""
        return MappedContrast(
            heading=contrast, sentence=f"{people}; no voxel has a value{why}.", figure=Markup(""), alt=""
        )
    parts = [f"within-person standard deviation {_spread(spread)} {spread['unit']}"]
    if variation["median"] is not None:
        parts.append(f"coefficient of variation {_spread(variation, 1)} %")
    parts.append(f"ICC(3,1) {_spread(correlation)}")
    sentence = (
        f"Of {people}, over {int(spread['voxels']):,} voxels of grey matter, median (10th to 90th percentile): {', '.join(parts)}. A voxel has a "
        f"value where at least {spread['least_n']} of them have CBF in both sessions."
    )
    return MappedContrast(
        heading=contrast,
        sentence=sentence,
        figure=pictures.fragment(files.figure),
        alt=f"{contrast}: maps of the within-person standard deviation and of ICC(3,1), axial slices. {sentence}",
    )


def _spread(row: Row, digits: int = 2) -> str:
    """Median and percentiles over voxels."""
    return f"{fixed(row['median'], digits)} ({between(row['percentile_10'], row['percentile_90'], digits)})"


def _people(rows: Sequence[Row], labels: Labels) -> str:
    if not rows or rows[0]["people"] == _ALL:
        return (
            "All people were taken together: what a drug changed in some of them and not in others stands here as a lack of "
            "repeatability."
        )
    return f"From the {labels.arm(rows[0]['people'])} arm alone, whose people had no drug between the sessions."


def _grey_matter(rows: Sequence[Row], contrast: str) -> list[str]:
    """The spread of a contrast's mean over grey matter."""
    for row in rows:
        if (row["kind"], row["name"]) == ("global", "grey_matter") and row["within_sd"] is not None:
            share = f", {_interval(row, 'within_cv', 1)} % of the mean" if row["within_cv"] is not None else ""
            return [
                f"{upper(contrast)}, mean over grey matter ({fixed(row['mean'], 1)} {row['unit']}): within-person standard deviation "
                f"{_interval(row, 'within_sd')}{share}; ICC(3,1) {_interval(row, 'icc_consistency')}; "
                f"{count(int(row['n']), 'person', 'people')} ({CI} in brackets)."
            ]
    return []


def _parcels(rows: Sequence[Row], labels: Labels) -> list[str]:
    spreads = [number(row["within_sd"]) for row in rows if row["within_sd"] is not None]
    if not spreads:
        return []
    correlations = [number(row["icc_consistency"]) for row in rows if row["icc_consistency"] is not None]
    return [
        f"{upper(labels.contrast(rows[0]['contrast']))}, over {count(len(spreads), 'parcel')} of the atlas: median within-person standard deviation "
        f"{fixed(np.median(spreads))} {rows[0]['unit']}, median ICC(3,1) {fixed(np.median(correlations))}."
    ]


def _interval(row: Row, name: str, digits: int = 2) -> str:
    if row[name] is None:
        return NONE
    return f"{fixed(row[name], digits)} ({between(row[f'{name}_low'], row[f'{name}_high'], digits)})"


def _table(rows: Sequence[Row], path: FilePath, labels: Labels) -> Table:
    """Global CBF and the declared regions of every contrast."""
    heads = [
        "Region",
        "Contrast",
        "n",
        "Mean",
        f"Within-person SD ({CI})",
        f"CV, % ({CI})",
        f"Smallest detectable change of one person ({CI})",
        f"ICC(3,1) ({CI})",
        f"ICC(2,1) ({CI})",
        f"Change of all ({CI})",
        f"Lower limit of agreement ({CI})",
        f"Upper limit of agreement ({CI})",
        "Note",
    ]
    cells = [
        [
            _place(row, labels),
            labels.contrast(row["contrast"]),
            row["n"],
            fixed(row["mean"], 1) if row["mean"] is not None else NONE,
            _interval(row, "within_sd"),
            _interval(row, "within_cv", 1),
            _interval(row, "detectable_change"),
            _interval(row, "icc_consistency"),
            _interval(row, "icc_agreement"),
            _change(row),
            _interval(row, "lower_limit"),
            _interval(row, "upper_limit"),
            row["note"] or "",
        ]
        for row in rows
    ]
    units = list(dict.fromkeys(row["unit"] for row in rows))
    caption = f"Repeatability from baseline to follow-up{f', {units[0]}' if len(units) == 1 else ''}"
    main = columns_named(heads, ["Region", "Contrast", "n", "Mean", "Within", "CV", "ICC(3", "Note"])
    return Table(caption, heads, cells, {0, 1, len(heads) - 1}, file=path, main=main)


def _place(row: Row, labels: Labels) -> str:
    if row["kind"] == "global":
        return upper(REFERENCES[row["name"]])
    dagger = f" {DAGGER}" if row["defined_by_same_data"] == "true" else ""
    return in_words(labels.region(row["name"])) + dagger


def _change(row: Row) -> str:
    if row["bias"] is None:
        return NONE
    return f"{signed(row['bias'])} ({between(row['bias_low'], row['bias_high'])})"
