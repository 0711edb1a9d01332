"""The parts of a figure's file that a page lays out by its width: panels that flow, a narrow drawing, a note.

A file by itself is one SVG: panels side by side with the note below them, or the wide drawing, within which the narrow one is hidden.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pharmasl.figures import measured

_SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
_BOX = re.compile(r'<svg [^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>')
_NAME = re.compile(r'(\bid="|href="#|url\(#)')
_HIDDEN = 'class="narrow" display="none"'
_PANEL = re.compile(r'<svg class="panel" [^>]*?(viewBox="[^"]*")[^>]*>(.*?)</svg>', re.DOTALL)
_NOTE = re.compile(r'<text class="note"[^>]*>(.*?)</text>')
_MARK = re.compile(r'<tspan fill="([^"]*)">(.*?)</tspan>')
# A page's drawings are at most so much larger than in their file.
_LARGEST = {"wide": 1.35, "narrow": 1.6, "panel": 1.7}
# Points: of a note's text, between panels, and panels beside each other.
_SIZE, _GAP, COLUMNS = 9, 12, 3
_INK, _MUTED = "var(--ink, #1c2026)", "var(--muted, #606872)"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a page shows of a figure, as SVG.

    Attributes
    ----------
    wide, narrow : str
        The drawing for wide pages and that for narrow ones; the latter is empty where the former serves all, both where there are panels.
    panels : sequence of str
    notes : sequence of str
        As HTML.
    """

    wide: str = ""
    narrow: str = ""
    panels: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence below panels, or what a mark in them means.

    Attributes
    ----------
    text : str
    mark : str
        A character that stands for the mark; empty for a sentence.
    colour : str
        Of the mark, as it stands in a page.
    """

    text: str
    mark: str = ""
    colour: str = _INK


def _inner(svg: str) -> tuple[float, float, str]:
    """Width, height and content of an SVG, points."""
    head = _BOX.search(svg)
    assert head is not None
    return float(head[1]), float(head[2]), svg[head.end() : svg.rindex("</svg>")]


def _root(width: float, height: float, content: str) -> str:
    return f'<svg {_SVG} viewBox="0 0 {width:g} {height:g}" width="{width:g}pt" height="{height:g}pt">{content}</svg>\n'


def single(wide: str, narrow: str | None = None) -> str:
    """A file of a drawing and, hidden within it, one for narrow pages.

    Parameters
    ----------
    wide, narrow : str
        SVG with the size as its view box.
    """
    width, height, content = _inner(wide)
    if narrow is not None:
        # Names of its own: what is not drawn does not have to be pointed at.
        across, tall, own = _inner(_NAME.sub(r"\1n", narrow))
        content += (
            f'<svg {_HIDDEN} viewBox="0 0 {across:g} {tall:g}" width="{across:g}" height="{tall:g}">{own}</svg>\n'
        )
    return _root(width, height, content)


def _note(note: Note, y: float, across: float) -> tuple[str, float]:
    """A note as text from a height downwards, and the height below it."""
    indent = 14 if note.mark else 0
    lines = measured.wrapped(note.text, (across - indent) / 72, _SIZE)
    spans = [
        f'<tspan x="{indent}" y="{y + k * _SIZE * measured.LEADING:.2f}">{html.escape(line)}</tspan>'
        for k, line in enumerate(lines)
    ]
    if note.mark:
        spans[0] = f'<tspan fill="{note.colour}">{note.mark}</tspan>{spans[0]}'
    colour = _INK if note.mark else _MUTED
    style = f"font: {_SIZE}px 'DejaVu Sans', Verdana, sans-serif"
    text = f'<text class="note" x="0" y="{y:.2f}" style="{style}" fill="{colour}">{" ".join(spans)}</text>\n'
    return text, y + len(lines) * _SIZE * measured.LEADING


def sheet(panels: Sequence[str], notes: Iterable[Note] = ()) -> str:
    """A file of panels side by side, and notes below them.

    Parameters
    ----------
    panels : sequence of str
        SVGs with their sizes as view boxes, all of one width.
    notes : iterable of Note
    """
    own = [_inner(panel) for panel in panels]
    columns = min(COLUMNS, len(own))
    width = own[0][0]
    parts, y = [], 0.0
    for first in range(0, len(own), columns):
        row = own[first : first + columns]
        for k, (across, tall, content) in enumerate(row):
            place = f'x="{k * (width + _GAP):g}" y="{y:g}" width="{across:g}" height="{tall:g}"'
            parts.append(f'<svg class="panel" {place} viewBox="0 0 {across:g} {tall:g}">{content}</svg>\n')
        y += max(tall for _, tall, _ in row) + _GAP
    total = columns * width + (columns - 1) * _GAP
    y += _SIZE
    for note in notes:
        text, y = _note(note, y, total)
        parts.append(text)
    return _root(total, y, "".join(parts))


def _shown(kind: str, box: str, content: str) -> str:
    """A drawing as it stands in a page."""
    width = float(box.split()[2])
    style = f"max-width:{_LARGEST[kind] * width:.0f}px"
    return f'<svg {_SVG} class="{kind}" {box} width="100%" style="{style}" aria-hidden="true">{content}</svg>'


def _html(note: str) -> str:
    text = _MARK.sub(r'<span style="color:\1">\2</span> ', note)
    return re.sub(r"</?tspan[^>]*>", "", text)


def split(text: str) -> Parts:
    """The parts of a figure's file, for a page.

    Parameters
    ----------
    text : str
        As :func:`single` or :func:`sheet` wrote it.

    Returns
    -------
    Parts
    """
    panels = [_shown("panel", box, content) for box, content in _PANEL.findall(text)]
    if panels:
        return Parts(panels=panels, notes=[_html(note) for note in _NOTE.findall(text)])
    outer, hidden, inner = text.partition(f"<svg {_HIDDEN} ")
    width, height, content = _inner(outer if not hidden else f"{outer}</svg>")
    wide = _shown("wide", f'viewBox="0 0 {width:g} {height:g}"', content)
    if not hidden:
        return Parts(wide=wide)
    width, height, content = _inner(f"<svg {inner[: inner.index('</svg>')]}</svg>")
    return Parts(wide=wide, narrow=_shown("narrow", f'viewBox="0 0 {width:g} {height:g}"', content))
