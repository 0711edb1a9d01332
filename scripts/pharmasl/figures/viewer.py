"""The interactive viewer of a map: what its script (``report/assets/viewer.js``) needs, as blocks of text in the page.

Volumes are cut to the brain's box, one byte a voxel, as differences between neighbours, deflated (zlib) and in base64. The
template, and the atlas' regions in words, stand in a page once.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.figures import brain_slices, findings, statmap, svg
from pharmasl.figures.brain_slices import Template
from pharmasl.figures.statmap import StatmapFiles
from pharmasl.files import blinding
from pharmasl.space.atlas import Atlas
from pharmasl.space.region_words import in_words

# A byte of a map is 128 + value / top * FULL; 0 where there are no data.
ZERO, FULL = 128, 127
# Levels of grey of the template, and clusters and regions that have a number of their own.
_GREYS, _MOST = 64, 254


def packed(volume: np.ndarray) -> str:
    """A volume of bytes as text.

    Parameters
    ----------
    volume : ndarray of uint8, shape (X, Y, Z)

    Returns
    -------
    str
        Base64 of the deflated differences along y, then along x, modulo 256; x runs fastest.
    """
    values = volume.astype(np.int16)
    values[:, 1:] -= volume[:, :-1]
    along = values.copy()
    values[1:] -= along[:-1]
    bytes_ = (values & 255).astype(np.uint8).ravel(order="F").tobytes()
    return base64.b64encode(zlib.compress(bytes_, 9)).decode("ascii")


def in_bytes(t: np.ndarray, top: float) -> np.ndarray:
    """A map as bytes; see :data:`ZERO`."""
    scaled = np.clip(np.rint(np.nan_to_num(t) / top * FULL), -FULL, FULL) + ZERO
    return np.where(np.isfinite(t), scaled, 0).astype(np.uint8)


def _block(kind: str, text: str) -> str:
    """Data in a page: no script, since its type is none."""
    return f'<script type="text/plain" class="{kind}">{text}</script>'


def _json(content: Any) -> str:
    """JSON that may stand in a ``script`` element, and in an attribute once it is escaped."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def template_html(reference: FilePath, atlas: Sequence[FilePath]) -> str:
    """The template and the atlas' regions, once for all viewers of a page.

    Parameters
    ----------
    reference : path-like
        Brain-only T1-weighted template, as of :class:`pharmasl.figures.brain_slices.Template`.
    atlas : sequence of path-like
        Empty, or the labelled image and its names.
    """
    template = Template(reference)
    grey = np.where(template.brain, 1 + np.rint(template.data * (_GREYS - 2)), 0).astype(np.uint8)
    first = [template.millimetres(axis, 0) for axis in range(3)]
    meta: dict[str, Any] = {
        "shape": list(template.shape),
        "first": first,
        "step": template.step.tolist(),
        "greys": _GREYS,
    }
    blocks = [_block("viewer-template", packed(grey))]
    if atlas:
        names = Atlas(*atlas)
        index = np.stack(np.meshgrid(*map(np.arange, template.shape), indexing="ij"), axis=-1)
        labels = names.lookup(index * template.step + np.array(first))
        known = np.unique(labels[template.brain & (labels > 0)])
        # Of an atlas with more regions than bytes the first are named.
        known = known[:_MOST]
        order = np.searchsorted(known, labels).clip(0, max(len(known) - 1, 0))
        own = np.where(np.isin(labels, known) & template.brain, order + 1, 0).astype(np.uint8)
        meta["regions"] = [in_words(names.name(int(label))) for label in known]
        blocks.append(_block("viewer-atlas", packed(own)))
    blocks.insert(0, _block("viewer-space", _json(meta)))
    return "".join(blocks) + "\n"


def html(files: StatmapFiles) -> str:
    """The viewer of an analysis as a piece of a page; empty for one that was not run.

    Parameters
    ----------
    files : StatmapFiles
    """
    if not (read := statmap.read(files)):
        return ""
    results, shown = read
    known = {number: row for number, row in results.clusters.items() if number <= _MOST}
    meta = {
        "letter": shown.letter,
        "threshold": round(shown.threshold, 4),
        "top": shown.top,
        "zero": ZERO,
        "full": FULL,
        "fade": brain_slices.FADE,
        "positive": brain_slices.POSITIVE,
        "negative": brain_slices.NEGATIVE,
        "blinded": blinding.MARK if blinding.active() else "",
        "start": _start(shown, known),
        "clusters": {
            str(number): {"point": findings.point(row), "name": findings.cluster_regions(row)}
            for number, row in known.items()
        },
    }
    clusters = np.where(shown.clusters <= _MOST, shown.clusters, 255).astype(np.uint8)
    # A voxel's cluster, and whether it is declared, in one volume each: both are almost empty.
    volumes = {
        "viewer-map": in_bytes(shown.t, shown.top),
        "viewer-clusters": clusters,
        "viewer-declared": shown.declared.astype(np.uint8),
    }
    blocks = "".join(_block(kind, packed(volume)) for kind, volume in volumes.items())
    return (
        f'<div class="viewer" data-viewer="{svg.escape(_json(meta))}">\n'
        "<noscript><p>The slice viewer needs JavaScript; the slices above show the same map.</p></noscript>\n"
        f"{blocks}</div>\n"
    )


def _start(shown: statmap.Shown, clusters: dict[int, Any]) -> list[float]:
    """Where the viewer begins, mm: the first cluster's peak, or the largest height."""
    for number in shown.numbered:
        if number in clusters:
            return findings.point(clusters[number])
    known = np.where(np.isfinite(shown.t), np.abs(shown.t), -1)
    voxel = np.unravel_index(int(known.argmax()), known.shape)
    return [shown.template.millimetres(axis, int(voxel[axis])) for axis in range(3)]


def write(path: FilePath, files: StatmapFiles) -> None:
    """Write the viewer; see :func:`html`."""
    Path(path).write_text(html(files), encoding="utf-8")
