"""Sections, tables, numbers and shares in Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pharmasl.statistics.proportions import Share
from pharmasl.validation.study_counts import Mean

Row = Sequence[str]


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs and tables, in Markdown."""

    title: str
    parts: Sequence[str]

    def __str__(self) -> str:
        return "\n\n".join([f"## {self.title}", *(part for part in self.parts if part)])


def table(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """A table in Markdown; empty without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines])


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits; a dash for none."""
    return "–" if value is None else f"{value:.{digits}g}"


def share_words(share: Share) -> str:
    """A share as ``3 of 20 (3.2 to 38 %)``; a dash of none."""
    if share.low is None or share.high is None:
        return "–"
    return f"{share.count} of {share.number} ({100 * share.low:.2g} to {100 * share.high:.3g} %)"


def mean_words(mean: Mean) -> str:
    """A mean as ``1.2 (0.8 to 1.6)``."""
    if mean.low is None or mean.high is None:
        return number(mean.value)
    return f"{number(mean.value)} ({number(mean.low)} to {number(mean.high)})"
