"""The smallest estimates that an analysis would have called significant: what the page says and shows of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.figures.numerals import number
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report import pictures
from pharmasl.report.analysis_definitions import Block
from pharmasl.report.words import between, fixed, upper

_PLACES = {"grey_matter": "grey matter", "search_volume": "the voxels searched"}


@dataclass(frozen=True, kw_only=True)
class CalledFiles:
    """What sums up the map of an analysis, and its picture."""

    table: FilePath
    figure: FilePath


@dataclass(frozen=True, kw_only=True)
class CalledSection:
    """Sentences, a picture, and what stands for it where it cannot be seen."""

    sentences: Sequence[str]
    figure: Markup
    alt: str


def section(files: CalledFiles, block: Block) -> CalledSection | None:
    """What would have been called; None of an analysis that was not run.

    Parameters
    ----------
    files : CalledFiles
    block : mapping
        Content of ``_inference.json``.
    """
    called = block.get("smallest_called")
    if called is None:
        return None
    if called["status"] != "known":
        why = called["status"].removeprefix("none: ")
        return CalledSection(sentences=[f"No smallest called estimate can be stated: {why}."], figure=Markup(), alt="")
    rows = tables.read_table(files.table)
    places = [place for place in _PLACES if any(row["place"] == place for row in rows)]
    text = [f"{upper(called['criterion'])}."]
    if places:
        text.append(
            _estimates([row for row in rows if row["place"] == places[0]], two_sided=block["tests"]["two_sided"])
        )
    text.append(
        "Where a true effect is of that size, its estimate reaches that height in about half of all studies. It follows from the design and the noise, "
        "not from what was estimated."
    )
    text += [f"{upper(note)}." for note in called["notes"]]
    return CalledSection(
        sentences=[" ".join(text)],
        figure=pictures.fragment(files.figure),
        alt=f"Map of the smallest estimate that would have been called, axial slices. {' '.join(text)}",
    )


def _estimates(rows: Sequence[Row], *, two_sided: bool) -> str:
    """Of a place the estimates that reach the height, and where round ones would have."""
    unit, place = rows[0]["unit"], _PLACES[rows[0]["place"]]
    low, middle, high = (
        next(row["value"] for row in rows if row["measure"] == "percentile" and number(row["at"]) == at)
        for at in (10, 50, 90)
    )
    # Slopes are small numbers.
    decimals = 1 if number(middle) >= 2 else 2
    shares = [
        f"{'one' if rank else 'an estimate'} of {number(row['at']):g} {'' if rank else 'would have reached it '}in {_percent(row)} %"
        for rank, row in enumerate(row for row in rows if row["measure"] == "share")
    ]
    sign = " of either sign" if two_sided else ""
    return (
        f"With each voxel's standard error that is an estimate{sign} of {fixed(middle, decimals)} {unit} (median over {place}; 10th to 90th percentile "
        f"{between(low, high, decimals)}); {', '.join(shares)} of {place}."
    )


def _percent(row: Row) -> str:
    """A share in per cent: of a few voxels among many neither 0 nor 100."""
    share = 100 * number(row["value"])
    if 0 < share < 1:
        return "less than 1"
    if 99 < share < 100:
        return "more than 99"
    return f"{share:.0f}"
