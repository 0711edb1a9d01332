"""The page of a planned trial's power."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import FilePath
from pharmasl.report import map_power_section, pictures, power_words, templates
from pharmasl.report.power_words import share
from pharmasl.report.words import NONE, Table, fixed, short
from pharmasl.statistics.trial_assumptions import Uncertain
from pharmasl.study.map_assumptions import MapAssumptions
from pharmasl.study.planned_power import CORRELATION, EFFECT, EFFECT_END, PLANNED, RETENTION, SPREAD, Reckoning
from pharmasl.study.power_assumptions import Assumptions
from pharmasl.study.settings import Settings

TEMPLATE = "power.html.j2"
_VARIED = {
    PLANNED: "as planned",
    EFFECT_END: "effect",
    SPREAD: "standard deviation",
    CORRELATION: "correlation",
    RETENTION: "share with both sessions",
}


@dataclass(frozen=True, kw_only=True)
class PowerFiles:
    """The tables and the figures that the page shows; of the maps depth None where it was not asked for."""

    table: FilePath
    figure: FilePath
    maps: FilePath | None
    map_figure: FilePath | None


def write(
    output: FilePath, files: PowerFiles, reckonings: Sequence[Reckoning], assumptions: Assumptions, study: Settings
) -> None:
    """Write the page as HTML.

    Parameters
    ----------
    output : path-like
    files : PowerFiles
    reckonings : sequence of Reckoning
    assumptions : Assumptions
    study : Settings
    """
    planned = [one for one in reckonings if one.is_planned and one.varied == PLANNED]
    maps = [] if files.maps is None else map_power_section.sections(files.maps)
    text = (
        templates.environment(Path(output).parent)
        .get_template(TEMPLATE)
        .render(
            title=study.title,
            blinded=None,
            lead=[_answer(one) for one in planned],
            protocol=[power_words.protocol(one, assumptions, study) for one in planned],
            models=_models(reckonings, files.table),
            sensitivity=_sensitivity(reckonings),
            assumed=_assumed(assumptions, {one.outcome.name: one.question.unit for one in planned}),
            cautions=list(dict.fromkeys(one.outcome.caution for one in planned if one.outcome.caution)),
            figure=pictures.fragment(files.figure),
            alt=" ".join(_answer(one) for one in planned),
            goal=share(assumptions.power),
            maps=maps,
            drawn=_drawing(assumptions),
            map_alt=" ".join(part.sentences[-1] for part in maps),
            map_figure=None if files.map_figure is None else pictures.fragment(files.map_figure),
        )
    )
    Path(output).write_text(text, encoding="utf-8")


def _answer(one: Reckoning) -> str:
    if math.isnan(one.power):
        return f"{one.outcome.name}: {power_words.TOO_FEW}."
    size = (
        f"a correlation of {short(one.effect)}"
        if one.sd is None
        else f"a difference of {short(one.effect)} {one.question.unit}"
    )
    return (
        f"{one.outcome.name}: {size} is found with a probability of {share(one.power)} by {power_words.compared(one.test)}, "
        f"with {one.complete[0]} + {one.complete[1]} people."
    )


def _probability(value: float | None) -> str:
    return NONE if value is None or math.isnan(value) else fixed(value)


def _in_unit(reckonings: Sequence[Reckoning]) -> str:
    """The unit of all results in brackets; nothing where they differ: the table of assumptions has them."""
    units = {one.question.unit for one in reckonings}
    return f" ({units.pop()})" if len(units) == 1 else ""


def _models(reckonings: Sequence[Reckoning], file: FilePath) -> Table:
    """Every model at every size of the effect."""
    rows = [one for one in reckonings if one.varied in (PLANNED, EFFECT)]
    heads = [
        "Result",
        "Model",
        "Effect",
        "Power",
        "Assurance",
        "Detectable effect",
        "People needed",
        "Randomised",
        "Scans",
    ]
    cells = [
        [
            one.outcome.name,
            power_words.compared(one.test) + " (planned)" * one.is_planned,
            short(one.effect),
            _probability(one.power),
            _probability(one.assurance),
            power_words.size(one.detectable) if math.isfinite(one.detectable) else NONE,
            "{} + {}".format(*one.needed.complete) if one.needed else NONE,
            "{} + {}".format(*one.needed.randomised) if one.needed else NONE,
            f"{one.needed.scans:,}" if one.needed else NONE,
        ]
        for one in rows
    ]
    marked = {place for place, one in enumerate(rows) if one.is_planned and one.varied == PLANNED}
    caption = f"Power by model and size of the effect{_in_unit(reckonings)}"
    return Table(caption, heads, cells, {0, 1}, marked, file=file, main={0, 1, 2, 3, 4, 5, 6})


def _sensitivity(reckonings: Sequence[Reckoning]) -> Table:
    """The planned model with one assumption at a time at an end of its range."""
    rows = [one for one in reckonings if one.is_planned and one.varied != EFFECT]
    rows.sort(key=lambda one: list(dict.fromkeys(other.outcome.name for other in reckonings)).index(one.outcome.name))
    heads = [
        "Result",
        "Varied",
        "Effect",
        "SD",
        "Correlation",
        "With both sessions",
        "Power",
        "Detectable effect",
        "People needed",
    ]
    cells = [
        [
            one.outcome.name,
            _VARIED[one.varied],
            short(one.effect),
            NONE if one.sd is None else power_words.size(one.sd),
            NONE if one.correlation is None else fixed(one.correlation),
            "{} + {}".format(*one.complete),
            _probability(one.power),
            power_words.size(one.detectable) if math.isfinite(one.detectable) else NONE,
            "{} + {}".format(*one.needed.complete) if one.needed else NONE,
        ]
        for one in rows
    ]
    marked = {place for place, one in enumerate(rows) if one.varied == PLANNED}
    return Table(f"The planned model under other assumptions{_in_unit(reckonings)}", heads, cells, {0, 1}, marked)


def _assumed(assumptions: Assumptions, units: Mapping[str, str]) -> Table:
    """Each assumption with its source."""
    heads = ["Result", "Assumption", "Value", "Range", "Source"]
    cells = []
    for outcome in assumptions.outcomes:
        unit, spread = units[outcome.name], outcome.spread
        target = "Target correlation" if spread is None else f"Target difference, {unit}"
        cells.append([outcome.name, target, *_values(outcome.effect_range), outcome.effect_source])
        if spread is not None:
            kind = "within a person" if spread.sd is None else "between people"
            words = f"Standard deviation {kind}, {unit}"
            cells += [
                [outcome.name, words, *_values(spread.assumed), str(outcome.spread_source)],
                [
                    outcome.name,
                    "Correlation of the sessions",
                    *_values(spread.correlation),
                    str(outcome.correlation_source),
                ],
            ]
        if outcome.retention is not None:
            source = str(outcome.retention_source)
            cells.append([outcome.name, "Share with both values", *_values(outcome.retention), source])
    if assumptions.maps is not None:
        cells += _assumed_of_maps(assumptions.maps)
    cells.append(["All", "Share with both sessions", *_values(assumptions.retention), assumptions.retention_source])
    return Table("Assumptions and where they come from", heads, cells, {0, 1, 4})


def _assumed_of_maps(maps: MapAssumptions) -> list[list[str]]:
    """What is assumed of the drawn maps."""
    parts = [
        ("Mean CBF of the brain", maps.mean),
        ("Smoothness of what people differ by, mm", maps.smoothness.between),
        ("Smoothness of what sessions differ by, mm", maps.smoothness.within),
        ("Share of the variance between people that is the whole brain's", maps.global_share.between),
        ("Share of the variance between sessions that is the whole brain's", maps.global_share.within),
    ]
    return [["Maps", words, short(known.value), NONE, known.source] for words, known in parts]


def _drawing(assumptions: Assumptions) -> str | None:
    """How the maps were drawn; None where they are not asked for."""
    maps = assumptions.maps
    if maps is None:
        return None
    return (
        f"Each study is drawn on voxels of {short(maps.voxel_size)} mm and tested as the study will be, with {maps.relabellings} "
        f"relabellings. Power: the share of studies in which the test is significant in the place, in the direction of the effect. Wrong "
        f"place: a region of the place's form {short(maps.shift)} mm off, in a random direction. Closed form: of the region, by the noncentral t "
        f"distribution. Scaled: each scan's CBF divided by its mean over the brain, times 50 mL/100 g/min. Adjusted: follow-up adjusted for the "
        f"baseline of every voxel."
    )


def _values(known: Uncertain) -> list[str]:
    return [short(known.value), power_words.bounds(known) or NONE]
