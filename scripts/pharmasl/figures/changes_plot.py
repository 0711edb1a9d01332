"""Each participant's values and change in the clusters and regions of an analysis, by arm: the trial's central figure.

A panel per cluster and declared region: lines join a participant's sessions, points are changes, and the marks in bold are means
with 95 % confidence intervals. Values of sessions are as measured; what the model explains is adjusted as the model adjusts it.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.figures import changes_data, measured, svg
from pharmasl.figures.changes_adjusted import Adjustment
from pharmasl.figures.changes_data import Changes, ChangesFiles, Quantity
from pharmasl.figures.changes_places import People, Place
from pharmasl.figures.svg import Drawing, Scale
from pharmasl.study.effect_kinds import BASELINE, CHANGE
from pharmasl.study.labels import Labels

# Units of a drawing: where values begin and end, and the width of an axis.
_TOP, _BOTTOM, _AXIS = 30, 186, 34
# All arms together, so that a phone has room for a drawing; a session's column, an arm's changes
# (both more for long words, less where arms are many), and at most between arms.
_ARMS, _STEP, _CHANGE, _GAP = 290, 34, 54, 28
# Of a panel against a quantity: its width.
_SQUARE = 330
_LEADING = 14  # units of a line of text
# A name below a column takes at most so many lines; longer ones get a letter or a number, and a note says for what it stands.
_MOST_LINES = 3
# Units: a drawing at least, and a panel's drawings together from which on it takes a row of its own.
_LEAST, _BROAD = 140, 440
# Participants of an arm from which on they have no names, so that a page of hundreds stays small.
MANY = 120


@dataclass(frozen=True)
class Widths:
    """Units of the columns of a drawing: a session's, an arm's with all sessions, and an arm's changes."""

    step: float
    arm: float
    change: float

    @classmethod
    def fitting(cls, people: People) -> "Widths":
        """Those that a study's arms and sessions have room for, as wide as the longest words of their names."""
        room, steps = _ARMS / max(len(people.order), 1), max(len(people.sessions) - 1, 1)
        gap = min(_GAP, 0.4 * room)
        step = min(max(_STEP, _longest(map(people.labels.session, people.sessions))), (room - gap) / steps)
        change = min(max(_CHANGE, _longest(map(people.words, people.order))), room)
        return cls(step, max(steps * step + gap, change), change)


def _longest(names: Iterable[str]) -> float:
    """The width of the longest word of names, bold, and a space."""
    words = [word for name in names for word in name.split()]
    return 72 * max((measured.width(word, svg.SIZE, bold=True) for word in words), default=0.0) + 4


def colour(people: People, arm: str) -> str:
    """The colour of an arm: treatment, control, the others."""
    return svg.ARMS[people.order.index(arm) % len(svg.ARMS)]


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "\u2212")


def _lines(words: str, width: float) -> list[str]:
    """Words in lines of a width (units of a drawing)."""
    return measured.wrapped(words, width / 72, svg.SIZE)


@dataclass(frozen=True, kw_only=True)
class Names:
    """What stands below the columns of a panel: names in lines, or marks for names that are too long for their place.

    Attributes
    ----------
    sessions, arms : Mapping
        Name in the tables to lines.
    notes : Mapping
        A mark to the words that it stands for.
    """

    sessions: Mapping[str, Sequence[str]]
    arms: Mapping[str, Sequence[str]]
    notes: Mapping[str, str]

    @classmethod
    def fitting(cls, people: People) -> "Names":
        """The names of a study's sessions and arms."""
        notes: dict[str, str] = {}

        def fit(words: Mapping[str, str], width: float, marks: Sequence[str]) -> dict[str, Sequence[str]]:
            lines = {name: _lines(own, width) for name, own in words.items()}
            whole = all(
                len(own) <= _MOST_LINES and " ".join(own).split() == words[name].split() for name, own in lines.items()
            )
            if whole:
                return dict(lines)
            short = dict(zip(words, marks))
            notes.update({mark: words[name] for name, mark in short.items()})
            return {name: [mark] for name, mark in short.items()}

        count = len(people.sessions)
        sessions = {name: people.labels.session(name) for name in people.sessions}
        numbers = [str(k + 1) for k in range(count)]
        arms = {name: people.words(name) for name in people.order if people.words(name)}
        widths = Widths.fitting(people)
        return cls(
            sessions=fit(sessions, widths.step if count > 1 else widths.arm, numbers),
            arms=fit(arms, widths.change, string.ascii_uppercase),
            notes=notes,
        )

    def session(self, name: str) -> str:
        """A session in one line."""
        return " ".join(self.sessions[name])

    def arm(self, name: str) -> Sequence[str]:
        """An arm's lines; none in a study without arms."""
        return self.arms.get(name, ())

    @property
    def session_lines(self) -> int:
        """Lines that sessions take."""
        return max(map(len, self.sessions.values()), default=0)

    @property
    def arm_lines(self) -> int:
        """Lines that arms take."""
        return max(map(len, self.arms.values()), default=0)

    @property
    def height(self) -> float:
        """Of a panel with these names below it, units."""
        return _BOTTOM + _LEADING * (self.session_lines + self.arm_lines + 1) + 10


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


def _below(drawing: Drawing, x: float, names: Names, arm: str, shade: str, number: int) -> None:
    """An arm's name and number below its column."""
    y = _BOTTOM + 1 + _LEADING * (1 + names.session_lines)
    for line in names.arm(arm):
        drawing.text(x, y, line, anchor="middle", colour=shade, bold=True)
        y += _LEADING
    y = _BOTTOM + 1 + _LEADING * (1 + names.session_lines + names.arm_lines)
    drawing.text(x, y, f"n = {number}", anchor="middle", colour=svg.MUTED)


def _values(drawing: Drawing, place: Place, people: People, names: Names, left: float) -> None:
    """The values of every session, an arm beside the other."""
    sessions, widths = people.sessions, Widths.fitting(people)
    right = left + len(people.order) * widths.arm
    together = [place.at(session, people.members(arm)).values() for arm in people.order for session in sessions]
    scale = Scale.over(_with_intervals(together), _BOTTOM, _TOP)
    drawing.axis(scale, left, right)
    for k, arm in enumerate(people.order):
        own, members, middle = colour(people, arm), people.members(arm), left + (k + 0.5) * widths.arm
        start = middle - widths.step * (len(sessions) - 1) / 2
        at = [start + widths.step * n for n in range(len(sessions))] if len(sessions) > 1 else [middle]
        _participants(drawing, place, sessions, members, at, _Column(scale, own, k, people.labels))
        means = [changes_data.mean(place.at(session, members).values())[0] for session in sessions]
        drawing.line(*((x, scale(value)) for x, value in zip(at, means)), colour=svg.INK, width=2)
        for x, session in zip(at, sessions):
            _mean_mark(drawing, x, scale, list(place.at(session, members).values()), k, own)
            for line, words in enumerate(names.sessions[session]):
                drawing.text(x, _BOTTOM + 1 + _LEADING * (1 + line), words, anchor="middle", colour=svg.MUTED)
        _below(drawing, middle, names, arm, own, len(members))


def _outcome(place: Place, people: People, values: Mapping[str, float] | None) -> dict[str, dict[str, float]]:
    """By arm what the model explains: adjusted values, or changes."""
    own = {}
    for arm in people.order:
        members = people.members(arm)
        known = place.changes(people.sessions, members) if values is None else values
        own[arm] = {who: known[who] for who in members if who in known}
    return own


def _changes(
    drawing: Drawing, own: Mapping[str, Mapping[str, float]], people: People, names: Names, left: float, zero: bool
) -> None:
    """The changes of each arm, or the values of one session, zero among them where asked."""
    wide = Widths.fitting(people).change
    right = left + len(people.order) * wide
    scale = Scale.over(_with_intervals(changes.values() for changes in own.values()), _BOTTOM, _TOP, zero=zero)
    drawing.axis(scale, left, right)
    if zero:
        drawing.line((left, scale(0)), (right, scale(0)), colour=svg.INK, width=1)
    for k, (arm, changes) in enumerate(own.items()):
        middle, shade = left + (k + 0.5) * wide, colour(people, arm)
        with drawing.group(f'fill="{shade}" opacity="0.6"'):
            for (who, value), shift in zip(changes.items(), _spread(len(changes), 0.25 * wide)):
                title = f"{who}: {_number(value)}" if len(changes) <= MANY else None
                drawing.dot(middle + shift, scale(value), shape=k, size=3, title=title)
        _mean_mark(drawing, middle, scale, list(changes.values()), k, shade)
        _below(drawing, middle, names, arm, shade, len(changes))


def _right_axis(people: People, own: Names, adjustment: Adjustment | None) -> str:
    """What the right part of a panel shows, in words."""
    names = [own.session(session) for session in people.sessions]
    change = f"hange, {names[1]} \u2212 {names[0]}" if len(names) > 1 else ""
    if adjustment is None:
        return f"C{change}"
    if adjustment.outcome == CHANGE:
        return f"Adjusted c{change}"
    return f"Adjusted value, {names[0] if adjustment.outcome == BASELINE else names[-1]}"


def by_arm(
    place: Place, people: People, unit: str, adjustment: Adjustment | None = None, names: Names | None = None
) -> list[Drawing]:
    """A drawing of values by arm and, of two sessions or more, one of their changes; what the model explains where it adjusts.

    Parameters
    ----------
    place : Place
    people : People
    unit : str
    adjustment : Adjustment, optional
    names : Names, optional
        Those of the people.
    """
    names = names or Names.fitting(people)
    adjusted = adjustment.values(place, people.sessions) if adjustment else {}
    if not adjusted:
        adjustment = None
    widths, count = Widths.fitting(people), len(people.order)
    drawing = Drawing(max(_AXIS + count * widths.arm + 4, _LEAST), names.height)
    _above(drawing, unit)
    _values(drawing, place, people, names, _AXIS)
    if len(people.sessions) < 2 and adjustment is None:
        return [drawing]
    second = Drawing(max(_AXIS + count * widths.change + 4, _LEAST), names.height)
    _above(second, _right_axis(people, names, adjustment))
    own = _outcome(place, people, adjusted or None)
    zero = adjustment is None or adjustment.outcome == CHANGE
    _changes(second, own, people, names, _AXIS, zero)
    return [drawing, second]


def _above(drawing: Drawing, words: str) -> None:
    """What the vertical axis shows, in two lines at most."""
    lines = _lines(words, drawing.width - 4)
    if len(lines) > 2:
        lines = [lines[0], measured.shortened(" ".join(lines[1:]), (drawing.width - 4) / 72, svg.SIZE)]
    for k, line in enumerate(lines):
        drawing.text(2, _TOP - 16 - 13 * (len(lines) - 1 - k), line, colour=svg.MUTED)


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


def _key_places(people: People, names: Names) -> list[svg.Point]:
    """Where the arms' names stand above a panel, side by side as far as there is room."""
    places, x, y = [], 0.0, float(_TOP)
    for arm in people.order:
        wide = 12 + 72 * measured.width(" ".join(names.arm(arm)), svg.SIZE, bold=True)
        if x > 0 and x + wide > _SQUARE:
            x, y = 0.0, y + _LEADING
        places.append((x, y))
        x += wide + 12
    return places


def against(
    place: Place,
    people: People,
    unit: str,
    quantity: Quantity,
    adjustment: Adjustment | None = None,
    names: Names | None = None,
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
    names = names or Names.fitting(people)
    below = _lines(quantity.words, _SQUARE - _AXIS)
    keys = _key_places(people, names)
    top = keys[-1][1] + 12
    left, right, bottom = float(_AXIS), _SQUARE - 8.0, top + 160
    drawing = Drawing(_SQUARE, bottom + _LEADING * (len(below) + 1) + 12)
    for k, (arm, (x, y)) in enumerate(zip(people.order, keys)):
        drawing.mark(x + 4, y - 4, shape=k, colour=colour(people, arm))
        drawing.text(x + 12, y, " ".join(names.arm(arm)), colour=colour(people, arm), bold=True)
    across = Scale.over([quantity.values[who] for who in values], left, right)
    scale = Scale.over(values.values(), bottom, top)
    drawing.axis(scale, left, right)
    for at, words in zip(across.ticks(), svg.tick_texts(across.ticks())):
        drawing.text(across(at), bottom + 14, words, anchor="middle", colour=svg.MUTED)
    drawing.line((left, bottom), (right, bottom), colour=svg.MUTED)
    first = f"Change ({unit})" if two else unit
    if adjusted:
        first = f"Adjusted {first[0].lower()}{first[1:]}" if two else f"Adjusted value ({unit})"
    for k, arm in enumerate(people.order):
        shade, own = colour(people, arm), [who for who in people.members(arm) if who in values]
        with drawing.group(f'fill="{shade}" opacity="0.75"'):
            for who in own:
                title = f"{who}: {_number(quantity.values[who])}, {_number(values[who])}"
                drawing.dot(across(quantity.values[who]), scale(values[who]), shape=k, size=3.2, title=title)
        if not one_slope:
            _draw_line(drawing, (across, scale), quantity, {who: values[who] for who in own}, shade)
    _above(drawing, first)
    if one_slope:
        _draw_line(drawing, (across, scale), quantity, values, svg.INK)
    for k, line in enumerate(below):
        y = bottom + _LEADING * (k + 2) + 4
        drawing.text((left + right) / 2, y, line, anchor="middle", colour=svg.MUTED)
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


def panel(place: Place, changes: Changes, names: Names) -> str:
    """A panel with its heading, as HTML: drawings that stand side by side where there is room."""
    people, unit, adjustment = changes.people, changes.unit, changes.adjustment
    if changes.quantity is not None:
        drawn = [against(place, people, unit, changes.quantity, adjustment, names)]
    else:
        drawn = by_arm(place, people, unit, adjustment, names)
    target = f' data-cluster="{place.key.removeprefix("cluster-")}"' if place.key.startswith("cluster-") else ""
    wide = ' class="wide"' if sum(own.width for own in drawn) > _BROAD else ""
    pictures = "".join(own.render() for own in drawn)
    return (
        f"<figure{wide}{target}><figcaption><strong>{svg.escape(place.name)}</strong> "
        f"<span>{svg.escape(place.note)}</span></figcaption>"
        f'<div class="pair" role="img" aria-label="{svg.escape(described(place, people, adjustment))}">{pictures}</div></figure>'
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
    names = Names.fitting(changes.people)
    panels = "\n".join(panel(place, changes, names) for place in [*changes.clusters, *changes.regions])
    marks = "".join(
        f'<p class="note"><strong>{mark}</strong> {svg.escape(words)}</p>\n' for mark, words in names.notes.items()
    )
    return f'<div class="changes">\n{panels}\n</div>\n{marks}<p class="note">{svg.escape(caption(changes))}</p>\n'


def write(path: FilePath, files: ChangesFiles, labels: Labels) -> None:
    """Write the figure; see :func:`html`."""
    Path(path).write_text(html(files, labels), encoding="utf-8")
