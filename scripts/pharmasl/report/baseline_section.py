"""Table 1: the participants of each arm at baseline. Without p values: the arms of a randomised trial differ by chance.

CONSORT 2025 (Hopewell et al. 2025, doi 10.1136/bmj-2024-081123), item 25, asks for this table.
"""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.figures.numerals import MISSING, number
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report.words import Table, count, fixed, plain, upper
from pharmasl.study.labels import Labels
from pharmasl.study.settings import Arms

# Columns of participants in the order of the table, before all others; each with what it is called.
_FIRST = {"age": "Age (years)", "sex": "Sex"}
# A score's columns, and what they are called.
_CRAVING = {
    "before": "Craving before the cues",
    "after": "Craving after the cues",
    "cue_elicited": "Cue-elicited craving",
}


@dataclass(frozen=True, kw_only=True)
class BaselineTables:
    """What the table is made of; sequences are empty where the study has no such thing.

    Attributes
    ----------
    participants : sequence of Row
        Those who were scanned.
    quality : sequence of Row
        The quality of every scan: its grey-matter CBF.
    craving : sequence of Row
        ``craving_scores.tsv``.
    endpoints : Mapping
        An endpoint's words with its unit, to the rows of its model's table.
    """

    participants: Sequence[Row]
    quality: Sequence[Row]
    craving: Sequence[Row]
    endpoints: Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class _Groups:
    """Participants by arm; one group of all in a study without arms."""

    names: Sequence[str | None]
    arm: Mapping[str, str | None]

    def members(self, name: str | None) -> list[str]:
        return [who for who, arm in self.arm.items() if name in (None, arm)]

    def means(self, values: Mapping[str, float]) -> list[str]:
        """Mean (SD) of each group."""
        return [_mean([values[who] for who in self.members(name) if who in values]) for name in self.names]


def table(
    content: BaselineTables, columns: Iterable[str], *, arms: Arms | None, baseline: str | None, labels: Labels
) -> Table:
    """Each arm at baseline: mean (SD), or n (%). Single participants' values stay off the page.

    Parameters
    ----------
    content : BaselineTables
    columns : iterable of str
        Of the participants: covariates. Age and sex come first where there are any.
    arms : Arms or None
    baseline : str or None
        The first session; None in a study of one.
    labels : Labels

    Returns
    -------
    Table
    """
    present = {row["arm"] for row in content.participants} if arms else set()
    names: list[str | None] = [None]
    if arms:
        names = [name for name in (arms.treatment, arms.control, *arms.others) if name in present]
    groups = _Groups(names, {row["participant_id"]: row.get("arm") for row in content.participants})
    rows = [
        ["Participants", *(str(len(groups.members(name))) for name in names)],
        *_columns(content.participants, columns, groups),
        *_cbf(content.quality, baseline, groups, labels),
        *_craving(content.craving, baseline, groups),
        *_endpoints(content.endpoints, baseline, groups),
    ]
    when = f" at {labels.session(baseline)}" if baseline else ""
    heads = ["", *(labels.arm(name) if name else "All" for name in names)]
    return Table(f"Table 1. The participants who were scanned, measures{when}: mean (SD) or n (%)", heads, rows)


def _columns(people: Sequence[Row], columns: Iterable[str], groups: _Groups) -> Iterator[list[str]]:
    present = list(people[0]) if people else []
    first = [name for known in _FIRST for name in present if name.lower() == known]
    for name in dict.fromkeys([*first, *(name for name in columns if name in present)]):
        known = {row["participant_id"]: row[name] for row in people if row[name] is not None}
        if not known:
            continue
        words = _FIRST.get(name.lower(), upper(plain(name)))
        lost = len(people) - len(known)
        words += f", {count(lost, 'value')} missing" if lost else ""
        if all(map(tables.is_number, known.values())):
            yield [words, *groups.means({who: float(value) for who, value in known.items()})]
            continue
        for level in sorted(set(known.values())):
            yield [
                f"{words}: {level}",
                *(_share([known[who] for who in groups.members(name) if who in known], level) for name in groups.names),
            ]


def _cbf(quality: Sequence[Row], baseline: str | None, groups: _Groups, labels: Labels) -> Iterator[list[str]]:
    usable = [row for row in quality if row["usable"] == "yes" and row["gm_cbf"] is not None]
    usable = [row for row in usable if baseline in (None, row["session_id"])]
    for condition in dict.fromkeys(row["condition"] for row in usable):
        values: dict[str, list[float]] = {}
        for row in usable:
            if row["condition"] == condition:
                values.setdefault(row["participant_id"], []).append(number(row["gm_cbf"]))
        what = f", {labels.condition(condition)}" if condition else ""
        words = f"Grey-matter CBF{what} (mL/100 g/min)"
        yield [words, *groups.means({who: statistics.fmean(own) for who, own in values.items()})]


def _craving(scores: Sequence[Row], baseline: str | None, groups: _Groups) -> Iterator[list[str]]:
    own = [row for row in scores if baseline in (None, row["session_id"])]
    for column, words in _CRAVING.items():
        values = {row["participant_id"]: number(row[column]) for row in own if row.get(column) is not None}
        if values:
            yield [f"{words} (points)", *groups.means(values)]


def _endpoints(endpoints: Mapping[str, Sequence[Row]], baseline: str | None, groups: _Groups) -> Iterator[list[str]]:
    for words, model in endpoints.items():
        observed = {
            row["arm"]: row
            for row in reversed(model)
            if row["analysis"] == "observed" and row["session_id"] == baseline and row["estimate"] is not None
        }
        if observed:
            yield [words, *(_summary(observed.get(name)) for name in groups.names)]


def _summary(row: Row | None) -> str:
    if row is None:
        return MISSING
    spread = "" if row["sd"] is None else f" ({fixed(row['sd'], 1)})"
    return f"{fixed(row['estimate'], 1)}{spread}"


def _mean(values: Sequence[float]) -> str:
    if not values:
        return MISSING
    spread = f" ({fixed(statistics.stdev(values), 1)})" if len(values) > 1 else ""
    return f"{fixed(statistics.fmean(values), 1)}{spread}"


def _share(values: Sequence[str], level: str) -> str:
    if not values:
        return MISSING
    number_of = sum(value == level for value in values)
    return f"{number_of} ({100 * number_of / len(values):.0f} %)"
