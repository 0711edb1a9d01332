"""Slices of a statistical map on a template: pictures of voxels (WebP), and outlines as paths to be drawn over them.

Voxels below the cluster-forming threshold fade with their height instead of vanishing, so that a reader sees how close they are to
it (Taylor et al. 2023, doi 10.1016/j.neuroimage.2023.120138).
"""

import base64
import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageFilter

from pharmasl.errors import FilePath, InputError
from pharmasl.space import images

# Two families of hues of rising lightness, which can be told apart with any colour vision.
POSITIVE = ("#a50f26", "#e34a33", "#fd8d3c", "#fed976")
NEGATIVE = ("#08519c", "#2b8cbe", "#4dc3d9", "#c6f1f5")
FADE = 4  # power of |t| / threshold below the threshold
# Pixels of a picture per voxel, and its quality in percent.
ZOOM, QUALITY = 3, 78


def _rgb(colours: Sequence[str]) -> np.ndarray:
    return np.array([[int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in colours])


def shades(colours: Sequence[str], place: np.ndarray) -> np.ndarray:
    """Colours of a scale at places from 0 to 1, shape ``place.shape + (3,)``."""
    stops = _rgb(colours)
    return np.stack([np.interp(place, np.linspace(0, 1, len(stops)), stops[:, k]) for k in range(3)], axis=-1)


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
    positive = (np.nan_to_num(t) >= 0)[..., np.newaxis]
    opacity = np.where(np.isfinite(t), np.minimum(size / threshold, 1) ** FADE, 0)
    return np.concatenate(
        [np.where(positive, shades(POSITIVE, place), shades(NEGATIVE, place)), opacity[..., np.newaxis]], axis=-1
    )


class Template:
    """A T1-weighted template to draw on, cropped to its brain.

    Parameters
    ----------
    path : path-like
        Brain-only T1-weighted image, axes along right, anterior and superior.
    """

    def __init__(self, path: FilePath) -> None:
        data, self.affine = images.load(path)
        if not (np.diag(self.affine)[:3] > 0).all():
            steps, wanted = np.diag(self.affine)[:3].tolist(), "axes along right, anterior and superior"
            # Its picture would show the right side of the brain as the left.
            raise InputError(path, "affine", steps, wanted, "Make the template again.")
        brain = data > 0.05 * np.percentile(data, 99.5)
        edges = [np.flatnonzero(brain.any(axis=tuple(k for k in range(3) if k != axis))) for axis in range(3)]
        self.box = tuple(slice(max(edge[0] - 2, 0), edge[-1] + 3) for edge in edges)
        self.first = np.array([box.start for box in self.box])
        self.data = np.clip(data / np.percentile(data[brain], 99.5), 0, 1)[self.box]
        self.brain = brain[self.box]
        self.step = np.diag(self.affine)[:3]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the box."""
        return self.brain.shape

    def crop(self, volume: np.ndarray) -> np.ndarray:
        """A volume on the template's grid, cut to the brain's box."""
        return volume[self.box]

    def index(self, point: Iterable[float]) -> np.ndarray:
        """Voxel of the box nearest to a point in mm."""
        voxel = np.linalg.inv(self.affine) @ [*point, 1.0]
        return np.clip(np.rint(voxel[:3]).astype(int) - self.first, 0, np.array(self.data.shape) - 1)

    def millimetres(self, axis: int, index: int) -> float:
        """Coordinate of a slice, mm."""
        return float(self.affine[axis, 3] + self.step[axis] * (index + self.first[axis]))

    def levels(self, count: int, wanted: Iterable[int]) -> np.ndarray:
        """``count`` axial slices spread over the brain, none of them almost empty; the nearest are moved onto the wanted ones."""
        area = self.brain.sum(axis=(0, 1))
        filled = np.flatnonzero(area > 0.3 * area.max())
        levels = np.linspace(filled[0], filled[-1], count).round().astype(int)
        moved: set[int] = set()
        for index in wanted:
            free = [k for k in range(count) if k not in moved]
            if free and index not in levels:
                nearest = min(free, key=lambda k: abs(int(levels[k]) - index))
                levels[nearest] = index
                moved.add(nearest)
        return np.unique(levels)


def plane(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """A slice with its horizontal axis first: sagittal (y, z), coronal (x, z) or axial (x, y)."""
    return np.take(volume, index, axis=axis)


def _grown(values: np.ndarray, smooth: bool = True) -> np.ndarray:
    """A slice in pixels: rows from the top, ``ZOOM`` for each voxel."""
    picture = Image.fromarray(np.ascontiguousarray(values.T[::-1]).astype(np.float32))
    size = (picture.width * ZOOM, picture.height * ZOOM)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR))


def _rim(brain: np.ndarray) -> np.ndarray:
    """Opacity of a slice: 1 in the brain, 0 outside, with a smooth rim."""
    mask = Image.fromarray((255 * brain.T[::-1]).astype(np.uint8))
    mask = mask.resize((mask.width * ZOOM, mask.height * ZOOM), Image.Resampling.BICUBIC)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(1.2 * ZOOM / 2)), dtype=np.float64) / 255
    return np.clip((soft - 0.5) * 3 + 0.5, 0, 1)


def picture(template: Template, t: np.ndarray, axis: int, index: int, *, threshold: float, top: float) -> str:
    """A slice as a ``data:`` address, transparent outside the brain.

    Parameters
    ----------
    template : Template
    t : ndarray
        The map on the template's box, NaN where there are no data.
    axis, index : int
        The slice.
    threshold, top : float
        As of :func:`overlay`.
    """
    values = plane(t, axis, index)
    rgba = overlay(_grown(np.nan_to_num(values), smooth=False), threshold, top)
    return _mixed(template, rgba[..., :3], rgba[..., 3:], axis, index)


def coloured(template: Template, colours: np.ndarray, known: np.ndarray, axis: int, index: int) -> str:
    """A slice in given colours as a ``data:`` address, the template where nothing is known.

    Parameters
    ----------
    template : Template
    colours : ndarray of shape (A, B, 3)
        Of the slice's voxels as :func:`plane` has them, 0 to 1.
    known : ndarray of bool, shape (A, B)
    axis, index : int
        The slice.
    """
    grown = np.stack([_grown(colours[..., part], smooth=False) for part in range(3)], axis=-1)
    opacity = np.clip(_grown(known.astype(np.float32), smooth=False), 0, 1)[..., np.newaxis]
    return _mixed(template, np.clip(grown, 0, 1), opacity, axis, index)


def _mixed(template: Template, colours: np.ndarray, opacity: np.ndarray, axis: int, index: int) -> str:
    """Colours (pixels of a slice, 0 to 1) over the template, as a ``data:`` address."""
    ground = 0.1 + 0.74 * np.clip(_grown(plane(template.data, axis, index)), 0, 1)
    mixed = ground[..., np.newaxis] * (1 - opacity) + colours * opacity
    rim = _rim(plane(template.brain, axis, index))
    pixels = np.rint(255 * np.concatenate([mixed * (rim[..., np.newaxis] > 0), rim[..., np.newaxis]], axis=-1))
    memory = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(memory, "WEBP", quality=QUALITY, method=3)
    return "data:image/webp;base64," + base64.b64encode(memory.getvalue()).decode("ascii")


# Of a square of four voxels, as bits from the lower left against the clock: the edges (bottom, right, top, left) that a line joins.
_LINES: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 0), (1, 2)), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((2, 0),), 10: ((0, 1), (2, 3)), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),), 14: ((0, 3),),
}  # fmt: skip
_MIDDLES = ((0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5))


def outline(inside: np.ndarray) -> list[list[tuple[float, float]]]:
    """The border of a region in a slice, halfway between voxels in it and out of it.

    Parameters
    ----------
    inside : ndarray of bool, shape (A, B)

    Returns
    -------
    list of list of (float, float)
        Closed lines in voxels, the centre of the first voxel at (0.5, 0.5).
    """
    padded = np.pad(inside, 1).astype(np.int64)
    code = padded[:-1, :-1] + 2 * padded[1:, :-1] + 4 * padded[1:, 1:] + 8 * padded[:-1, 1:]
    following: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for a, b in np.argwhere((code > 0) & (code < 15)).tolist():
        for start, end in _LINES[int(code[a, b])]:
            ends = [(a + _MIDDLES[edge][0] - 0.5, b + _MIDDLES[edge][1] - 0.5) for edge in (start, end)]
            following.setdefault(ends[0], []).append(ends[1])
    lines = []
    while following:
        begin = min(following)
        line = [begin]
        while line[-1] in following:
            onward = following[line[-1]]
            point = onward.pop()
            if not onward:
                del following[line[-1]]
            line.append(point)
            if point == begin:
                break
        lines.append(line)
    return lines
