"""The figure of a whole-brain analysis: its map on the template in slices, and a row of three slices through each cluster.

Clusters bear the numbers of the cluster table. A full line is around what the analysis declares, a dotted one around clusters above
the cluster-forming threshold that it does not. Left in a slice is the participant's left.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.figures import brain_slices, findings, svg
from pharmasl.figures.brain_slices import Template
from pharmasl.figures.findings import Findings
from pharmasl.figures.numerals import p_text
from pharmasl.files.tables import Row
from pharmasl.space import images
from pharmasl.study.labels import NAMES, Labels

SLICES = 12  # axial ones of the overview
MOST = 10  # clusters with a row of their own
UNIT = 1.5  # units of a drawing per voxel
_VIEWS = ("Sagittal", "Coronal", "Axial")
# Units below a slice, for its coordinate.
_FOOT = 12
# Voxels of a cluster in a slice from which on it is numbered there.
_NUMBERED = 4


@dataclass(frozen=True, kw_only=True)
class StatmapFiles:
    """The files that the figure shows.

    Attributes
    ----------
    reference, t, verdict, clusters : path-like
        Template, t map, map of the p that decides (-log10) and labelled clusters, on one grid.
    table, inference : path-like
        Cluster table and what was tested, as the group stage writes them.
    """

    reference: FilePath
    t: FilePath
    verdict: FilePath
    clusters: FilePath
    table: FilePath
    inference: FilePath


@dataclass(frozen=True)
class Shown:
    """What all slices show.

    Attributes
    ----------
    template : Template
    t, declared, clusters : ndarray
        The t map, whether a voxel is significant, and the number of its cluster; on the brain's box of the template.
    threshold, top : float
        Height from which colours are full, and that of the brightest; a height is |t| or F.
    letter : str
        t, or F, which has no sign.
    numbered : Mapping
        Clusters that are drawn and numbered, to their first row.
    """

    template: Template
    t: np.ndarray
    declared: np.ndarray
    clusters: np.ndarray
    threshold: float
    top: float
    letter: str
    numbered: Mapping[int, Row]


def read(files: StatmapFiles, labels: Labels = NAMES) -> tuple[Findings, Shown] | None:
    """What an analysis found, and its maps cut to the brain; None for one that was not run."""
    results = Findings(files.table, files.inference, labels)
    if not results.ran:
        return None
    template = Template(files.reference)
    p = 10.0 ** -template.crop(images.load(files.verdict)[0]).astype(np.float64)
    t = template.crop(images.load(files.t)[0])
    numbered = dict(list(results.significant().items())[:MOST])
    if not numbered and results.clusters:
        nearest = min(results.clusters, key=lambda cluster: float(results.clusters[cluster]["p_verdict"]))
        numbered = {nearest: results.clusters[nearest]}
    return results, Shown(
        template=template,
        t=t,
        # The map of p is in single precision.
        declared=np.nan_to_num(p, nan=1.0) <= results.alpha * (1 + 1e-5),
        clusters=template.crop(images.load(files.clusters, dtype=np.int32)[0]),
        threshold=results.threshold,
        top=top_of(t, results.threshold),
        letter=results.letter,
        numbered=numbered,
    )


def top_of(t: np.ndarray, threshold: float) -> float:
    """The height of the brightest colour: the largest of the map, rounded up to a half."""
    known = np.abs(t[np.isfinite(t)])
    return max(math.ceil(2 * float(known.max(initial=0.0))) / 2, threshold + 1)


def _outline(drawing: svg.Drawing, inside: np.ndarray, *, solid: bool) -> None:
    """Lines around voxels of a slice; a light one below keeps a dark one visible on any ground."""
    lines = brain_slices.outline(inside)
    if not lines:
        return
    height = drawing.height - _FOOT
    path = "".join(
        "M" + "L".join(f"{svg.digits(UNIT * x)} {svg.digits(height - UNIT * y)}" for x, y in line) + "Z"
        for line in lines
    )
    if solid:
        drawing.raw(f'<path d="{path}" fill="none" stroke="#fff" stroke-width="2.4" stroke-linejoin="round"/>')
    dots = "" if solid else ' stroke-dasharray="1.5 1.8"'
    colour, width = ("#000", 1.2) if solid else ("#fff", 0.9)
    drawing.raw(
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dots}/>'
    )


def _number(drawing: svg.Drawing, own: np.ndarray, number: int) -> None:
    """A cluster's number beside its voxels in a slice, where there is room."""
    where = np.argwhere(own)
    left, right = UNIT * where[:, 0].min(), UNIT * (where[:, 0].max() + 1)
    y = drawing.height - _FOOT - UNIT * (where[:, 1].mean() + 0.5) + 3.5
    inward = right + 9 * len(str(number)) > drawing.width
    x, anchor = (left - 2, "end") if inward else (right + 2, "start")
    drawing.raw(
        f'<text x="{svg.digits(x)}" y="{svg.digits(y)}" text-anchor="{anchor}" font-size="11" font-weight="700" fill="#000" '
        f'stroke="#fff" stroke-width="2.6" paint-order="stroke">{number}</text>'
    )


def slice_svg(shown: Shown, axis: int, index: int, words: str, cross: Sequence[int] | None = None) -> str:
    """A slice with its outlines, numbers, sides and coordinate.

    Parameters
    ----------
    shown : Shown
    axis, index : int
        The slice.
    words : str
        What stands for it where it cannot be seen.
    cross : sequence of int, optional
        A voxel through which fine lines are drawn.
    """
    template = shown.template
    across, up = (other for other in range(3) if other != axis)
    wide, tall = UNIT * template.shape[across], UNIT * template.shape[up]
    drawing = svg.Drawing(wide, tall + _FOOT, size=10)
    address = brain_slices.picture(template, shown.t, axis, index, threshold=shown.threshold, top=shown.top)
    drawing.raw(f'<image href="{address}" width="{svg.digits(wide)}" height="{svg.digits(tall)}"/>')
    clusters, declared = (brain_slices.plane(volume, axis, index) for volume in (shown.clusters, shown.declared))
    _outline(drawing, (clusters > 0) & ~declared, solid=False)
    _outline(drawing, declared, solid=True)
    if cross is not None:
        x, y = UNIT * (cross[across] + 0.5), tall - UNIT * (cross[up] + 0.5)
        # Short of the place itself, which stays in sight.
        for ends in (((0, y), (x - 9, y)), ((x + 9, y), (wide, y)), ((x, 0), (x, y - 9)), ((x, y + 9), (x, tall))):
            drawing.line(*ends, colour=svg.INK, width=0.6, opacity=0.55)
    for number in shown.numbered:
        own = clusters == number
        if own.sum() >= _NUMBERED:
            _number(drawing, own, number)
    if axis != 0:
        drawing.text(1, 10, "L", colour=svg.MUTED)
        drawing.text(wide - 1, 10, "R", anchor="end", colour=svg.MUTED)
    else:
        drawing.text(1, 10, "P", colour=svg.MUTED)
        drawing.text(wide - 1, 10, "A", anchor="end", colour=svg.MUTED)
    where = f"{'xyz'[axis]} = {template.millimetres(axis, index):.0f}".replace("-", "\u2212")
    drawing.text(wide / 2, tall + 9, where, anchor="middle", colour=svg.MUTED)
    return drawing.render(words)


def _bar(shown: Shown) -> str:
    """The scale of the colours: both signs of t, or F from 0."""
    threshold, top = shown.threshold, shown.top
    bottom = 0.0 if shown.letter == "F" else -top
    drawing, steps = svg.Drawing(300, 34, size=11), 60
    scale = svg.Scale(bottom, top, 26, 274)
    values = np.linspace(bottom, top, steps, endpoint=False) + (top - bottom) / (2 * steps)
    rgba = brain_slices.overlay(values, threshold, top)
    mixed = np.rint(255 * (0.6 * (1 - rgba[:, 3:]) + rgba[:, :3] * rgba[:, 3:])).astype(int)
    for value, colour in zip(values, mixed):
        shade = "#{:02x}{:02x}{:02x}".format(*colour)
        drawing.box(scale(value - (top - bottom) / (2 * steps)), 2, 248 / steps + 0.3, 12, colour=shade)
    for value in (-top, -threshold, 0, threshold, top):
        if value >= bottom:
            words = f"{value:.1f}".replace("-", "\u2212") if value else "0"
            drawing.line((scale(value), 14), (scale(value), 17), colour=svg.MUTED)
            drawing.text(scale(value), 28, words, anchor="middle", colour=svg.MUTED)
    drawing.text(12, 13, shown.letter, anchor="middle", bold=True)
    words = f"Colours from {shown.letter} = {bottom:.1f} to {top:.1f}, full beyond {threshold:.2f}, fainter below."
    return f'<div class="scale">{drawing.render(words)}</div>'


def _row(shown: Shown, results: Findings, number: int, row: Row) -> str:
    """Three slices through the peak of a cluster, beside its name."""
    focus: list[int] = shown.template.index(findings.point(row)).tolist()
    name = f"Cluster {number}" + (f": {words}" if (words := findings.cluster_regions(row)) else "")
    where = ",\u00a0".join(f"{value:.0f}".replace("-", "\u2212") for value in findings.point(row))
    p = p_text(row["p_verdict"]).replace(" ", "\u00a0")
    p = p.replace("p", "q", 1) if results.level.startswith("false") else f"family-wise {p}"
    # The voxels of a cluster may be significant in part, or not.
    declared = "" if row["significant"] == "yes" else ", not significant"
    note = f"peak at ({where})\u00a0mm, {shown.letter} = {float(row['t']):.1f}; {p}{declared}".replace(
        "= -", "= \u2212"
    )
    cuts = "".join(
        slice_svg(shown, axis, focus[axis], f"{_VIEWS[axis]} slice through {name}", focus) for axis in range(3)
    )
    point = ",".join(f"{value:g}" for value in findings.point(row))
    return (
        f'<figure class="cuts" data-cluster="{number}" data-point="{point}"><figcaption><strong>{svg.escape(name)}</strong> '
        f"<span>{svg.escape(note)}</span></figcaption><div>{cuts}</div></figure>"
    )


def html(files: StatmapFiles, labels: Labels = NAMES) -> str:
    """The figure as a piece of a page; empty for an analysis that was not run.

    Parameters
    ----------
    files : StatmapFiles
    labels : Labels, optional
    """
    if not (known := read(files, labels)):
        return ""
    results, shown = known
    template = shown.template
    wanted = [template.index(findings.point(row))[2] for row in results.significant().values()][:SLICES]
    overview = "".join(
        slice_svg(shown, 2, int(level), f"Axial slice at z = {template.millimetres(2, int(level)):.0f} mm")
        for level in template.levels(SLICES, wanted)
    )
    rows = "\n".join(_row(shown, results, number, row) for number, row in shown.numbered.items())
    text = svg.escape(caption(results, bool(shown.numbered)))
    return (
        f'<div class="statmap">\n{_bar(shown)}\n<div class="slices">{overview}</div>\n<p class="note">{text}</p>\n'
        f'<div class="rows">\n{rows}\n</div>\n</div>\n'
    )


def write(path: FilePath, files: StatmapFiles, labels: Labels = NAMES) -> None:
    """Write the figure; see :func:`html`."""
    Path(path).write_text(html(files, labels), encoding="utf-8")


def caption(results: Findings, has_rows: bool = True) -> str:
    """What is shown, on whom and at which threshold, in sentences."""
    cluster, number = results.block["tests"]["cluster"], len(results.significant())
    sides = (
        "either direction" if results.is_joint else "two-sided" if results.block["tests"]["two_sided"] else "one-sided"
    )
    outlined = "no cluster is" if not number else "1 cluster is" if number == 1 else f"{number} clusters are"
    draws, fields = results.block["permutation"], results.block.get("random_fields")
    how = f"{draws['number']:,} permutations, " if draws else "random fields, " if fields else ""
    verdict = (
        f"Black outline: significant at {results.level} by {results.decides} ({outlined}; {sides}, {how}"
        f"{cluster['neighbours']} neighbours). White dots: clusters above the cluster-forming threshold that are not."
    )
    if not results.verdict["can_reach_alpha"]:
        verdict = f"Nothing could have been significant: the relabellings allow no p below {results.verdict['smallest_attainable_p']:.2g}."
    numbers = " Numbers are those of the cluster table." if has_rows else ""
    return (
        f"{results.people}; {results.degrees}; full colour above {results.height} = {results.threshold:.2f} "
        f"(p < {cluster['forming_p']:g}), fainter below. {verdict}{numbers} Left (L) is the participant's left."
    )
