"""The figure of a whole-brain analysis: its t map on the template, with what was significant outlined.

Voxels below the cluster-forming threshold fade with their t instead of vanishing, so that a reader sees how close they
are to it (Taylor et al. 2023, doi 10.1016/j.neuroimage.2023.120138). Left in a slice is the participant's left.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pharmasl.errors import FilePath
from pharmasl.figures import findings, style
from pharmasl.figures.findings import Findings
from pharmasl.files.tables import Row
from pharmasl.space import images

# Two families of hues of rising lightness, which can be told apart with any colour vision.
POSITIVE = LinearSegmentedColormap.from_list("positive", ["#a50f26", "#e34a33", "#fd8d3c", "#fed976"])
NEGATIVE = LinearSegmentedColormap.from_list("negative", ["#08519c", "#2b8cbe", "#4dc3d9", "#c6f1f5"])
COLUMNS, ROWS = 6, 2
FADE = 4  # power of |t| / threshold below the threshold


def overlay(t: np.ndarray, threshold: float, top: float) -> np.ndarray:
    """Colours and opacities of a t map.

    Parameters
    ----------
    t : ndarray
        NaN where there are no data.
    threshold : float
        |t| above which a voxel is drawn in full.
    top : float
        |t| of the brightest colour; the darkest is that of the threshold.

    Returns
    -------
    ndarray of shape ``t.shape + (4,)``
        RGBA, 0 to 1.
    """
    size = np.abs(np.nan_to_num(t))
    place = np.clip((size - threshold) / max(top - threshold, 1e-6), 0, 1)
    rgba = np.where((np.nan_to_num(t) >= 0)[..., np.newaxis], POSITIVE(place), NEGATIVE(place))
    rgba[..., 3] = np.where(np.isfinite(t), np.minimum(size / threshold, 1) ** FADE, 0)
    return rgba


def plane(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """A slice with its horizontal axis first: sagittal (y, z), coronal (x, z) or axial (x, y)."""
    return np.take(volume, index, axis=axis)


class Template:
    """A T1-weighted template to draw on, cropped to its brain.

    Parameters
    ----------
    path : path-like
        Brain-only T1-weighted image, axes along right, anterior and superior.
    """

    def __init__(self, path: FilePath) -> None:
        data, self.affine = images.load(path)
        brain = data > 0.05 * np.percentile(data, 99.5)
        edges = [np.flatnonzero(brain.any(axis=tuple(k for k in range(3) if k != axis))) for axis in range(3)]
        self.box = tuple(slice(max(edge[0] - 2, 0), edge[-1] + 3) for edge in edges)
        self.first = np.array([box.start for box in self.box])
        self.data = np.where(brain, data / np.percentile(data[brain], 99.5), np.nan)[self.box]
        self.brain = brain[self.box]
        self.step = np.diag(self.affine)[:3]

    def crop(self, volume: np.ndarray) -> np.ndarray:
        """A volume on the template's grid, cut to the brain's box."""
        return volume[self.box]

    def index(self, point: Iterable[float]) -> np.ndarray:
        """Voxel of the box nearest to a point in mm."""
        voxel = np.linalg.inv(self.affine) @ [*point, 1.0]
        return np.clip(np.rint(voxel[:3]).astype(int) - self.first, 0, np.array(self.data.shape) - 1)

    def millimetres(self, axis: int, index: int) -> float:
        """Coordinate of a slice, mm."""
        return self.affine[axis, 3] + self.step[axis] * (index + self.first[axis])

    def levels(self, count: int, wanted: Iterable[int]) -> np.ndarray:
        """``count`` axial slices spread over the brain, of which the nearest are moved onto the wanted ones."""
        filled = np.flatnonzero(self.brain.sum(axis=(0, 1)) > 0.2 * self.brain.sum(axis=(0, 1)).max())
        levels = np.linspace(filled[0], filled[-1], count).round().astype(int)
        moved: set[int] = set()
        for index in wanted:
            free = [k for k in range(count) if k not in moved]
            if free and index not in levels:
                nearest = min(free, key=lambda k: abs(int(levels[k]) - index))
                levels[nearest] = index
                moved.add(nearest)
        return np.sort(levels)


@dataclass(frozen=True)
class _Shown:
    """What all slices show.

    Attributes
    ----------
    template : Template
    t, rgba, outline : ndarray
        The t map, its colours, and whether a voxel is significant; on the brain's box of the template.
    threshold, top : float
        Height from which colours are full, and that of the brightest; a height is |t| or F.
    letter : str
        t, or F, which has no sign.
    """

    template: Template
    t: np.ndarray
    rgba: np.ndarray
    outline: np.ndarray
    threshold: float
    top: float
    letter: str = "t"


def _slice(axes: Axes, shown: _Shown, axis: int, index: int) -> None:
    background = plane(shown.template.data, axis, index)
    axes.imshow(background.T, origin="lower", cmap="gray", vmin=-0.15, vmax=1.25, interpolation="bilinear")
    axes.imshow(plane(shown.rgba, axis, index).transpose(1, 0, 2), origin="lower", interpolation="nearest")
    edge = plane(shown.outline, axis, index)
    if edge.any():
        axes.contour(edge.T.astype(float), levels=[0.5], colors="black", linewidths=1.2)
    axes.set_axis_off()


def _glass(axes: Axes, shown: _Shown, axis: int) -> None:
    """Largest |t| along an axis, inside the brain's silhouette."""
    silhouette = np.pad(shown.template.brain.any(axis=axis), 1).astype(float)
    size = np.where(np.isfinite(shown.t), np.abs(shown.t), -1.0)
    strongest = np.take_along_axis(shown.t, np.expand_dims(size.argmax(axis=axis), axis), axis=axis).squeeze(axis)
    rgba = overlay(np.where(np.abs(strongest) > shown.threshold, strongest, np.nan), shown.threshold, shown.top)
    rows, columns = (np.arange(n) - 1 for n in silhouette.shape)
    axes.contourf(rows, columns, silhouette.T, levels=[0.5, 2], colors=["#f0f1f3"], zorder=0)
    axes.contour(rows, columns, silhouette.T, levels=[0.5], colors=style.MUTED, linewidths=0.9)
    axes.imshow(rgba.transpose(1, 0, 2), origin="lower", interpolation="nearest", zorder=1)
    edge = shown.outline.any(axis=axis)
    if edge.any():
        axes.contour(edge.T.astype(float), levels=[0.5], colors="black", linewidths=1.2)
    axes.set_axis_off()


def _bar(axes: Axes, shown: _Shown) -> None:
    """The scale of the colours: both signs of t, or F from 0."""
    threshold, top = shown.threshold, shown.top
    bottom = 0.0 if shown.letter == "F" else -top
    span = np.linspace(bottom, top, 513)
    axes.imshow(np.full((513, 1, 3), 0.75), origin="lower", aspect="auto", extent=(0, 1, bottom, top))
    axes.imshow(overlay(span, threshold, top)[:, np.newaxis], origin="lower", aspect="auto", extent=(0, 1, bottom, top))
    axes.set_xticks([])
    axes.yaxis.tick_right()
    marks = [value for value in (-top, -threshold, 0, threshold, top) if value >= bottom]
    axes.set_yticks(marks, [f"{value:.1f}" for value in marks])
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.set_title(shown.letter, loc="center", weight="normal")


@dataclass(frozen=True, kw_only=True)
class StatmapFiles:
    """The files that the figure shows.

    Attributes
    ----------
    reference, t, verdict : path-like
        Template, t map and map of the p that decides (-log10), on one grid.
    table, inference : path-like
        Cluster table and what was tested, as the group stage writes them.
    """

    reference: FilePath
    t: FilePath
    verdict: FilePath
    table: FilePath
    inference: FilePath


# Figure fractions: width of a column of slices, and the left edge of the first.
_WIDTH, _LEFT = 0.152, 0.012


@style.styled
def draw(path: FilePath, name: str, files: StatmapFiles) -> None:
    """Draw an analysis: axial slices, a projection, and cuts through the strongest peak.

    Parameters
    ----------
    path : path-like
        PNG to write; a page with the reason for an analysis that was not run.
    name : str
        Of the analysis.
    files : StatmapFiles
    """
    results = Findings(files.table, files.inference)
    question = results.question
    # "CBF" keeps its capitals.
    title = f"{name}: {question if question[:2].isupper() else question[0].lower() + question[1:]}"
    if not results.ran:
        style.placeholder(path, title, results.status)
        return
    shown = _shown(files, results)
    # The strongest peak of each significant cluster, else the strongest voxel of the map.
    peaks = sorted(results.significant().values(), key=lambda row: -abs(float(row["t"])))
    drawn = style.figure(12, 8.3)
    drawn.text(0.015, 0.972, title, fontsize=14, weight="bold", va="top")
    drawn.text(0.015, 0.928, caption(results), fontsize=10, color=style.MUTED, va="top")
    _axial_slices(drawn, shown, peaks)
    _projections_and_cuts(drawn, shown, peaks)
    _bar(drawn.add_axes((0.945, 0.4, 0.014, 0.4)), shown)
    style.save(drawn, path)


def _shown(files: StatmapFiles, results: Findings) -> _Shown:
    """The maps of an analysis, cut to the brain."""
    template = Template(files.reference)
    p = 10.0 ** -template.crop(images.load(files.verdict)[0]).astype(np.float64)
    t = template.crop(images.load(files.t)[0])
    top = max(math.ceil(2 * float(np.nanmax(np.abs(t)))) / 2, results.threshold + 1)
    # The map of p is in single precision.
    outline = np.nan_to_num(p, nan=1.0) <= results.alpha * (1 + 1e-5)
    return _Shown(template, t, overlay(t, results.threshold, top), outline, results.threshold, top, results.letter)


def _axial_slices(drawn: Figure, shown: _Shown, peaks: list[Row]) -> None:
    """Two rows of axial slices, through the peaks where there are any."""
    template = shown.template
    wanted = [template.index(findings.point(row))[2] for row in peaks[:COLUMNS]]
    for k, level in enumerate(template.levels(ROWS * COLUMNS, wanted)):
        axes = drawn.add_axes((_LEFT + (k % COLUMNS) * _WIDTH, 0.615 - (k // COLUMNS) * 0.272, _WIDTH - 0.006, 0.25))
        _slice(axes, shown, 2, level)
        axes.set_title(f"z = {template.millimetres(2, level):.0f}", loc="center", fontsize=8.5, weight="normal", pad=2)
        if k == 0:
            axes.text(0.0, 0.96, "L", transform=axes.transAxes, fontsize=9)
            axes.text(1.0, 0.96, "R", transform=axes.transAxes, fontsize=9, ha="right")


def _projections_and_cuts(drawn: Figure, shown: _Shown, peaks: list[Row]) -> None:
    """The bottom row: the largest height along each axis, and three cuts through the strongest peak."""
    template, shape = shown.template, shown.t.shape
    height = "F" if shown.letter == "F" else "|t|"
    if peaks:
        focus = template.index(findings.point(peaks[0]))
        cuts = "Strongest significant peak: " + findings.place(peaks[0])
    else:
        focus = np.array(np.unravel_index(np.nanargmax(np.abs(shown.t)), shape))
        cuts = f"Largest {height}; no cluster is significant"
    for column, text in ((0, f"Largest {height} through the brain, above the threshold"), (3, cuts)):
        drawn.text(_LEFT + column * _WIDTH + 0.004, 0.305, text, fontsize=10, weight="bold", va="top")
    span = max(shape) + 2
    for axis in range(3):
        across, up = (other for other in range(3) if other != axis)
        glass = drawn.add_axes((_LEFT + axis * _WIDTH, 0.02, _WIDTH - 0.008, 0.235))
        _glass(glass, shown, axis)
        cut = drawn.add_axes((_LEFT + (axis + 3) * _WIDTH, 0.02, _WIDTH - 0.008, 0.235))
        _slice(cut, shown, axis, focus[axis])
        cut.plot([0, shape[across] - 1], [focus[up]] * 2, color=style.INK, linewidth=0.5, alpha=0.6)
        cut.plot([focus[across]] * 2, [0, shape[up] - 1], color=style.INK, linewidth=0.5, alpha=0.6)
        text = f"{'xyz'[axis]} = {template.millimetres(axis, focus[axis]):.0f}"
        cut.set_title(text, loc="center", fontsize=8.5, weight="normal", pad=2)
        for axes in (cut, glass):
            axes.set_xlim((shape[across] - span) / 2, (shape[across] + span) / 2)
            axes.set_ylim((shape[up] - span) / 2, (shape[up] + span) / 2)


def caption(results: Findings) -> str:
    """What was tested, on whom and at which threshold, in two lines."""
    cluster, number = results.block["tests"]["cluster"], len(results.significant())
    sides = (
        "either direction" if results.is_joint else "two-sided" if results.block["tests"]["two_sided"] else "one-sided"
    )
    outlined = "no cluster is" if not number else "1 cluster is" if number == 1 else f"{number} clusters are"
    draws, fields = results.block["permutation"], results.block.get("random_fields")
    how = f"{draws['number']:,} permutations, " if draws else "random fields, " if fields else ""
    verdict = (
        f"Outlined in black: what is significant at {results.level} by {results.decides} ({outlined}; {sides}, {how}"
        f"{cluster['neighbours']} neighbours)."
    )
    if not results.verdict["can_reach_alpha"]:
        verdict = f"Nothing could have been significant: the relabellings allow no p below {results.verdict['smallest_attainable_p']:.2g}."
    return (
        f"{results.people}; {results.degrees}; full colour above "
        f"{results.height} = {results.threshold:.2f} (p < {cluster['forming_p']:g}), fainter below.\n{verdict}"
    )
