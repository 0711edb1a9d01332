"""Power curves of a planned trial: a panel for each planned result, a line for each model."""

from collections.abc import Sequence

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.figures import panel, style
from pharmasl.figures.panel import Panel
from pharmasl.figures.parts import Note
from pharmasl.statistics import correlation_power, trial_power
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP, PEARSON, PlannedCorrelation
from pharmasl.study.planned_power import PLANNED, Reckoning

COLOURS = {CHANGE: style.BLUE, ANCOVA: style.GREEN, FOLLOWUP: style.MUTED, PEARSON: style.BLUE}
NAMES = {
    CHANGE: "change",
    ANCOVA: "follow-up adjusted for baseline",
    FOLLOWUP: "follow-up alone",
    PEARSON: "Pearson's r",
}
_DASHES = {CHANGE: "-", ANCOVA: (0, (5, 1.6)), FOLLOWUP: (0, (1.2, 1.6)), PEARSON: "-"}
_MARKS = {
    CHANGE: "\u2500\u2500",
    ANCOVA: "\u2013 \u2013",
    FOLLOWUP: "\u00b7\u00b7\u00b7\u00b7",
    PEARSON: "\u2500\u2500",
}
_POINTS = 160


@style.styled
def draw(path: FilePath, reckonings: Sequence[Reckoning], goal: float) -> None:
    """Draw the curves.

    Parameters
    ----------
    path : path-like
        SVG to write.
    reckonings : sequence of Reckoning
    goal : float
        Wanted power.
    """
    own = [one for one in reckonings if one.varied == PLANNED]
    names = dict.fromkeys(one.outcome.name for one in own)
    panels = [_panel(name, [one for one in own if one.outcome.name == name], goal) for name in names]
    notes = [
        Note(mark=_MARKS[method], text=NAMES[method], colour=style.in_page(COLOURS[method]))
        for method in dict.fromkeys(one.test.method for one in own)
    ]
    band = "Shaded: the planned model, from the lower to the upper end of the standard deviation's range."
    panel.save(panels, path, [*notes, Note(mark="", text=band, colour=style.in_page(style.MUTED))])


def _panel(name: str, models: Sequence[Reckoning], goal: float) -> Panel:
    """The curves of a planned result."""
    treatment, control = models[0].complete
    drawn = Panel(
        title=name,
        above=f"Power, {treatment} + {control} people",
        below="True correlation" if models[0].sd is None else f"True difference of the arms, {models[0].question.unit}",
        height=2.1,
    )
    planned = models[0]
    farthest = max(
        [
            planned.outcome.effect_range.high,
            *planned.outcome.others,
            *(one.detectable for one in models if np.isfinite(one.detectable)),
        ]
    )
    most = 1.25 * farthest if planned.sd is not None else min(1.25 * farthest, 0.99)
    effects = np.linspace(0, most, _POINTS)
    axes = drawn.axes
    if planned.outcome.spread is not None:
        assumed = planned.outcome.spread.assumed
        axes.fill_between(
            effects,
            _curve(planned, effects, assumed.low),
            _curve(planned, effects, assumed.high),
            color=COLOURS[planned.test.method],
            alpha=0.16,
            linewidth=0,
        )
    for one in reversed(models):
        method = one.test.method
        width = 2.2 if one.is_planned else 1.3
        axes.plot(effects, _curve(one, effects), color=COLOURS[method], linewidth=width, linestyle=_DASHES[method])
    axes.axhline(goal, color=style.RULE, linewidth=0.8, zorder=0.5)
    axes.axvline(planned.effect, color=style.RULE, linewidth=0.8, zorder=0.5)
    target = planned.outcome.effect_range
    axes.hlines([planned.power], target.low, target.high, color=style.INK, linewidth=1.2, zorder=3)
    axes.scatter([planned.effect], [planned.power], s=34, color=style.INK, linewidths=0, zorder=3)
    axes.set_xlim(0, effects[-1])
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    return drawn


def _curve(one: Reckoning, effects: np.ndarray, deviation: float | None = None) -> np.ndarray:
    if isinstance(one.test, PlannedCorrelation):
        return correlation_power.power(one.test, one.complete, effects)
    spread = one.outcome.spread
    assert spread is not None
    assert one.sd is not None
    assert one.correlation is not None
    sd = one.sd if deviation is None else float(spread.sd_at(deviation, one.correlation))
    return trial_power.power(one.test, one.complete, effects, sd, one.correlation)
