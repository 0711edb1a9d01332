"""Each participant's values and change in the clusters and regions of an analysis, by arm: the trial's central figure.

A panel per cluster and declared region: lines join a participant's sessions, points are changes, and the marks in bold are means
with 95 % confidence intervals. Values of sessions are as measured; what the model explains is adjusted as the model adjusts it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.figures import changes_data, svg
from pharmasl.figures.changes_adjusted import Adjustment
from pharmasl.figures.changes_data import Changes, ChangesFiles, Quantity
from pharmasl.figures.changes_places import People, Place
from pharmasl.figures.svg import Drawing, Scale
from pharmasl.study.effect_kinds import BASELINE, CHANGE
from pharmasl.study.labels import Labels

# Units of a panel: its height, where values begin and end, the width of an axis, of a session's column and of an arm's changes.
_HEIGHT, _TOP, _BOTTOM, _AXIS, _STEP, _CHANGE, _GAP = 236, 30, 186, 38, 34, 58, 28
# Letters of an arm's name below a column of such a width.
_LETTER = 6.2
# Participants of an arm from which on they have no names, so that a page of hundreds stays small.
MANY = 120


def colour(people: People, arm: str) -> str:
    """The colour of an arm: treatment, control, the others."""
    return svg.ARMS[people.order.index(arm) % len(svg.ARMS)]


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "\u2212")


def _short(words: str, width: float) -> str:
    most = max(int(width / _LETTER), 3)
    return words if len(words) <= most else f"{words[: most - 1]}\u2026"


def _mean_mark(drawing: Drawing, x: float, scale: Scale, values: Sequence[float], shape: int, own: str) -> None:
    """A mean in bold with its interval."""
    value, half = changes_data.mean(values)
    words = f"mean {_number(value)}" + (
        f" ({_number(value - half)} to {_number(value + half)})" if half == half else ""
    )
    for end in (value - half, value + half):
        # An interval that leaves the panel has no cap there.
        if scale.low <= end <= scale.high:
            drawing.line((x - 4, scale(end)), (x + 4, scale(end)), colour=svg.INK, width=1.6)
    low, high = max(value - half, scale.low), min(value + half, scale.high)
    drawing.line((x, scale(low)), (x, scale(high)), colour=svg.INK, width=1.6)
    drawing.mark(x, scale(value), shape=shape, size=4.6, colour=own, edge=svg.INK, title=words)


def _with_intervals(groups: Iterable[Iterable[float]]) -> list[float]:
    """All values and the ends of their means' intervals, as far as these are no further off than the values' own range."""
    own = [list(values) for values in groups]
    every = [value for values in own for value in values]
    if not every:
        return []
    low, high = min(every), max(every)
    for value, half in map(changes_data.mean, own):
        every += [max(value - half, 2 * low - high), min(value + half, 2 * high - low)] if half == half else []
    return every


def _spread(number: int, width: float) -> np.ndarray:
    return np.linspace(-width, width, number) if number > 1 else np.zeros(number)


def _participants(
    drawing: Drawing,
    place: Place,
    sessions: Sequence[str],
    members: Sequence[str],
    at: Sequence[float],
    column: "_Column",
) -> None:
    """The lines and points of an arm's participants; of very many, lines without names."""
    across = dict(zip(members, _spread(len(members), 9 if len(sessions) == 1 else 0)))
    points = {
        who: [
            (at[n] + across[who], column.scale(place.values[who, session]))
            for n, session in enumerate(sessions)
            if (who, session) in place.values
        ]
        for who in members
    }
    with drawing.group(f'fill="none" stroke="{column.colour}" stroke-width="1.1" opacity="0.5"'):
        if len(members) > MANY:
            drawing.path(*points.values())
        else:
            for who, own in points.items():
                drawing.path(own, title=_named(who, place, sessions, column.labels))
    with drawing.group(f'fill="{column.colour}" opacity="0.6"'):
        for who, own in points.items():
            for x, y in own if len(members) <= MANY or len(own) == 1 else ():
                title = _named(who, place, sessions, column.labels) if len(own) == 1 else None
                drawing.dot(x, y, shape=column.shape, size=2, title=title)


def _named(who: str, place: Place, sessions: Sequence[str], labels: Labels) -> str:
    """A participant and the values, as a title."""
    known = [session for session in sessions if (who, session) in place.values]
    return f"{who}: " + ", ".join(
        f"{labels.session(session)} {_number(place.values[who, session])}" for session in known
    )


@dataclass(frozen=True)
class _Column:
    """How an arm is drawn."""

    scale: Scale
    colour: str
    shape: int
    labels: Labels


def _values(drawing: Drawing, place: Place, people: People, left: float) -> float:
    """The values of every session, an arm beside the other; returns the right edge."""
    sessions = people.sessions
    wide = _STEP * max(len(sessions) - 1, 1)
    right = left + len(people.order) * (wide + _GAP)
    together = [place.at(session, people.members(arm)).values() for arm in people.order for session in sessions]
    scale = Scale.over(_with_intervals(together), _BOTTOM, _TOP)
    drawing.axis(scale, left, right)
    for k, arm in enumerate(people.order):
        start, own, members = left + _GAP / 2 + k * (wide + _GAP), colour(people, arm), people.members(arm)
        middle = start + wide / 2
        at = [start + _STEP * n for n in range(len(sessions))] if len(sessions) > 1 else [middle]
        _participants(drawing, place, sessions, members, at, _Column(scale, own, k, people.labels))
        means = [changes_data.mean(place.at(session, members).values())[0] for session in sessions]
        drawing.line(*((x, scale(value)) for x, value in zip(at, means)), colour=svg.INK, width=2)
        for x, session in zip(at, sessions):
            _mean_mark(drawing, x, scale, list(place.at(session, members).values()), k, own)
            name = people.labels.session(session)
            drawing.text(x, _BOTTOM + 15, _short(name, 36), anchor="middle", colour=svg.MUTED, size=10)
        words = _short(people.words(arm), wide + _GAP)
        drawing.text(middle, _BOTTOM + 31, words, anchor="middle", colour=own, bold=True)
        drawing.text(middle, _BOTTOM + 45, f"n = {len(members)}", anchor="middle", colour=svg.MUTED, size=10)
    return right


def _outcome(place: Place, people: People, values: Mapping[str, float] | None) -> dict[str, dict[str, float]]:
    """By arm what the model explains: adjusted values, or changes."""
    own = {}
    for arm in people.order:
        members = people.members(arm)
        known = place.changes(people.sessions, members) if values is None else values
        own[arm] = {who: known[who] for who in members if who in known}
    return own


def _changes(drawing: Drawing, own: Mapping[str, Mapping[str, float]], people: People, left: float, zero: bool) -> None:
    """The changes of each arm, or the values of one session, zero among them where asked."""
    right = left + len(people.order) * _CHANGE
    scale = Scale.over(_with_intervals(changes.values() for changes in own.values()), _BOTTOM, _TOP, zero=zero)
    drawing.axis(scale, left, right)
    if zero:
        drawing.line((left, scale(0)), (right, scale(0)), colour=svg.INK, width=1)
    for k, (arm, changes) in enumerate(own.items()):
        middle, shade = left + (k + 0.5) * _CHANGE, colour(people, arm)
        with drawing.group(f'fill="{shade}" opacity="0.6"'):
            for (who, value), shift in zip(changes.items(), _spread(len(changes), 14)):
                title = f"{who}: {_number(value)}" if len(changes) <= MANY else None
                drawing.dot(middle + shift, scale(value), shape=k, size=3, title=title)
        _mean_mark(drawing, middle, scale, list(changes.values()), k, shade)
        drawing.text(middle, _BOTTOM + 31, _short(people.words(arm), _CHANGE), anchor="middle", colour=shade, bold=True)
        drawing.text(middle, _BOTTOM + 45, f"n = {len(changes)}", anchor="middle", colour=svg.MUTED, size=10)


def _right_axis(people: People, adjustment: Adjustment | None) -> str:
    """What the right part of a panel shows, in words."""
    names = [people.labels.session(session) for session in people.sessions]
    change = f"hange, {names[1]} \u2212 {names[0]}" if len(names) > 1 else ""
    if adjustment is None:
        return f"C{change}"
    if adjustment.outcome == CHANGE:
        return f"Adjusted c{change}"
    return f"Adjusted value, {names[0] if adjustment.outcome == BASELINE else names[-1]}"


def by_arm(place: Place, people: People, unit: str, adjustment: Adjustment | None = None) -> Drawing:
    """A panel of values by arm and, of two sessions or more, their changes; what the model explains where it adjusts.

    Parameters
    ----------
    place : Place
    people : People
    unit : str
    adjustment : Adjustment, optional
    """
    adjusted = adjustment.values(place, people.sessions) if adjustment else {}
    if not adjusted:
        adjustment = None
    wide = len(people.order) * (_STEP * max(len(people.sessions) - 1, 1) + _GAP)
    two = len(people.sessions) > 1 or adjustment is not None
    width = _AXIS + wide + (_AXIS + 8 + len(people.order) * _CHANGE if two else 0) + 8
    drawing = Drawing(max(width, 190), _HEIGHT)
    drawing.text(2, 14, unit, colour=svg.MUTED, size=10.5)
    right = _values(drawing, place, people, _AXIS)
    if two:
        words = _right_axis(people, adjustment)
        drawing.text(right + 14, 14, _short(words, width - right - 14), colour=svg.MUTED, size=10.5)
        own = _outcome(place, people, adjusted or None)
        zero = adjustment is None or adjustment.outcome == CHANGE
        _changes(drawing, own, people, right + _AXIS + 8, zero)
    return drawing


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Slope and intercept of a least-squares line; None of fewer than three points or without spread."""
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    return slope, float(y.mean() - slope * x.mean())


def _draw_line(
    drawing: Drawing, scales: tuple[Scale, Scale], quantity: Quantity, values: Mapping[str, float], shade: str
) -> None:
    """The least-squares line of some participants' values on the quantity, over their range of it."""
    across, scale = scales
    along = np.array([quantity.values[who] for who in values])
    fitted = _line(along, np.array(list(values.values())))
    if fitted:
        ends = [(across(end), scale(fitted[1] + fitted[0] * end)) for end in (along.min(), along.max())]
        drawing.line(*ends, colour=shade, width=2)


def against(
    place: Place, people: People, unit: str, quantity: Quantity, adjustment: Adjustment | None = None
) -> Drawing:
    """A panel of the change (or the value of a single session) against a quantity, with a line per arm.

    Values are adjusted as the model adjusts them; where it has one slope for all, that is the line.
    """
    members = [who for arm in people.order for who in people.members(arm)]
    two = len(people.sessions) > 1
    values = place.changes(people.sessions, members) if two else place.at(people.sessions[0], members)
    adjusted = adjustment.values(place, people.sessions) if adjustment else {}
    one_slope = adjustment is not None and bool(adjusted) and adjustment.one_slope
    if adjustment and adjusted:
        values, two = adjusted, adjustment.outcome == CHANGE
    values = {who: value for who, value in values.items() if who in quantity.values}
    drawing = Drawing(330, _HEIGHT)
    left, right, bottom = float(_AXIS), 322.0, _BOTTOM + 4.0
    across = Scale.over([quantity.values[who] for who in values], left, right)
    scale = Scale.over(values.values(), bottom, _TOP)
    drawing.axis(scale, left, right)
    for at, words in zip(across.ticks(), svg.tick_texts(across.ticks())):
        drawing.text(across(at), bottom + 14, words, anchor="middle", colour=svg.MUTED)
    drawing.line((left, bottom), (right, bottom), colour=svg.MUTED)
    first = f"Change ({unit})" if two else unit
    if adjusted:
        first = f"Adjusted {first[0].lower()}{first[1:]}" if two else f"Adjusted value ({unit})"
    key = right
    for k, arm in reversed(list(enumerate(people.order))):
        shade, own = colour(people, arm), [who for who in people.members(arm) if who in values]
        with drawing.group(f'fill="{shade}" opacity="0.75"'):
            for who in own:
                title = f"{who}: {_number(quantity.values[who])}, {_number(values[who])}"
                drawing.dot(across(quantity.values[who]), scale(values[who]), shape=k, size=3.2, title=title)
        if not one_slope:
            _draw_line(drawing, (across, scale), quantity, {who: values[who] for who in own}, shade)
        words = _short(people.words(arm), 90)
        drawing.text(key, 14, words, anchor="end", colour=shade, bold=True)
        key -= _LETTER * 1.1 * len(words) + 8
        drawing.mark(key, 10, shape=k, colour=shade)
        key -= 10
    drawing.text(2, 14, _short(first, 1.1 * key), colour=svg.MUTED, size=10.5)
    if one_slope:
        _draw_line(drawing, (across, scale), quantity, values, svg.INK)
    drawing.text(
        (left + right) / 2, _HEIGHT - 12, _short(quantity.words, 300), anchor="middle", colour=svg.MUTED, size=10.5
    )
    return drawing


def described(place: Place, people: People, adjustment: Adjustment | None = None) -> str:
    """A panel in words, for those who do not see it: each arm's mean change or value, adjusted where the panel is."""
    parts = []
    adjusted = adjustment.values(place, people.sessions) if adjustment else {}
    for arm in people.order:
        members = people.members(arm)
        if adjusted:
            value, half = changes_data.mean(adjusted[who] for who in members if who in adjusted)
        elif len(people.sessions) > 1:
            value, half = changes_data.mean(place.changes(people.sessions, members).values())
        else:
            value, half = changes_data.mean(place.at(people.sessions[0], members).values())
        if value == value:
            interval = f" (95 % interval {_number(value - half)} to {_number(value + half)})" if half == half else ""
            parts.append(f"{people.words(arm)} {_number(value)}{interval}")
    what = "mean change" if len(people.sessions) > 1 else "mean"
    if adjustment and adjusted:
        what = "adjusted mean change" if adjustment.outcome == CHANGE else "adjusted mean"
    return f"{place.name}: {what} {', '.join(parts)}."


def panel(place: Place, changes: Changes) -> str:
    """A panel with its heading, as HTML."""
    draw = by_arm(place, changes.people, changes.unit, changes.adjustment)
    if changes.quantity is not None:
        draw = against(place, changes.people, changes.unit, changes.quantity, changes.adjustment)
    target = f' data-cluster="{place.key.removeprefix("cluster-")}"' if place.key.startswith("cluster-") else ""
    wide = ' class="wide"' if draw.width > 400 else ""
    return (
        f"<figure{wide}{target}><figcaption><strong>{svg.escape(place.name)}</strong> "
        f"<span>{svg.escape(place.note)}</span></figcaption>{draw.render(described(place, changes.people, changes.adjustment))}</figure>"
    )


def caption(changes: Changes) -> str:
    """What the panels show, in sentences."""
    text = "Large marks: means with 95\u00a0% confidence intervals; small ones and thin lines: participants."
    adjustment = changes.adjustment
    if changes.quantity is not None:
        lines = (
            "the line is the model's slope"
            if adjustment and adjustment.one_slope and adjustment.terms
            else ("lines are least squares within each arm")
        )
        text = f"A point is a participant; {lines}."
    elif len(changes.people.sessions) == 1:
        text = "Large marks: means with 95\u00a0% confidence intervals; small ones: participants."
    if adjustment:
        text += _adjusted_for(adjustment)
    elif others := _others(changes.block):
        text += f" Values as measured, not adjusted for {others}."
    if changes.clusters:
        text += " The same data chose the clusters, so what is seen in them is larger than what is to be expected in new data."
    return text


def _adjusted_for(adjustment: Adjustment) -> str:
    """What values called adjusted are adjusted for, and what not."""
    text = ""
    if adjustment.terms:
        text = (
            f" Adjusted values are partial residuals of the model: what {', '.join(adjustment.terms)} would explain is held at its mean. "
            "Their intervals take the model's coefficients as known. Values of sessions are as measured."
        )
    if adjustment.unknown:
        text += f" Not adjusted for {', '.join(adjustment.unknown)}, which the model takes at each voxel."
    return text


def _others(block: Mapping[str, object]) -> str:
    """The terms of the model beside the one tested and the intercept, in words."""
    covariates = [str(name) for name in (block.get("covariates") or [])]  # type: ignore[attr-defined]
    model = block.get("model")
    written = str(model.get("formula", "")) if isinstance(model, Mapping) else ""
    terms = [term for term in map(str.strip, written.partition("~")[2].split("+")) if term not in ("", "0", "1")]
    # A formula of one term has no other.
    is_formula = (block.get("effect") or {}).get("name") == "formula"  # type: ignore[attr-defined]
    if not covariates and is_formula and (len(terms) > 1 or "*" in written):
        return f"the other terms of {written}"
    return ", ".join(covariates)


def html(files: ChangesFiles, labels: Labels) -> str:
    """The figure as a piece of a page; empty for an analysis that was not run, or has neither cluster nor region.

    Parameters
    ----------
    files : ChangesFiles
    labels : Labels
    """
    changes = changes_data.read(files, labels)
    if changes is None or not (changes.clusters or changes.regions):
        return ""
    panels = "\n".join(panel(place, changes) for place in [*changes.clusters, *changes.regions])
    return f'<div class="changes">\n{panels}\n</div>\n<p class="note">{svg.escape(caption(changes))}</p>\n'


def write(path: FilePath, files: ChangesFiles, labels: Labels) -> None:
    """Write the figure; see :func:`html`."""
    Path(path).write_text(html(files, labels), encoding="utf-8")
