"""Anatomical names: a labelled image and its list of names.

Points are looked up at the nearest voxel of the atlas' own grid, so that no label is ever interpolated. An atlas drawn on
another template than the study's (AAL3: the Colin 27 brain in MNI space) is off by some millimetres in places; a name
is an orientation for the reader, not a measurement.
"""

import logging

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import ArrayLike

from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables
from pharmasl.space import images
from pharmasl.space.packaged import in_words, package_file

LOG = logging.getLogger(__name__)

UNLABELLED = "unlabelled"


def read_names(path: FilePath) -> dict[int, str]:
    """The names of an atlas' regions by label.

    A line is ``index<TAB>name[<TAB>...]`` (a header is skipped) or ``index name [...]`` separated by blanks (AAL3.txt).

    Returns
    -------
    dict of int to str
        Labels are positive.

    Raises
    ------
    InputError
        If it cannot be read as text, no line begins with an index, or one label has two names.
    """
    names: dict[int, str] = {}
    for line in tables.read_text(path).splitlines():
        parts = [part.strip() for part in (line.split("\t") if "\t" in line else line.split())]
        if len(parts) < 2 or not parts[0].isdigit() or int(parts[0]) == 0:
            continue
        label, name = int(parts[0]), parts[1] if "\t" in line else _words(parts[1:])
        if names.setdefault(label, name) != name:
            raise InputError(
                file=path,
                field=f"label {label}",
                found=[names[label], name],
                expected="one name per label",
                fix="Remove the second line.",
            )
    if not names:
        raise InputError(
            file=path,
            field="labels",
            found="no line 'index name'",
            expected="a line for each region",
            fix="Check atlas.labels.",
        )
    return names


def _words(parts: list[str]) -> str:
    """A name of one or several words, up to the numbers that follow it in colour tables and AAL3.txt."""
    numbers = [number for number, part in enumerate(parts) if number and part.replace(".", "", 1).isdigit()]
    return " ".join(parts[: numbers[0]] if numbers else parts)


class Atlas:
    """A labelled image with names.

    Parameters
    ----------
    image : path-like
        3-D NIfTI of integer labels, 0 = no region, in the study's template space (any grid).
    labels : path-like
        See :func:`read_names`.

    Attributes
    ----------
    labels : ndarray of shape (X, Y, Z), int32
    affine : ndarray of shape (4, 4)
    names : dict of int to str
        By label.
    """

    def __init__(self, image: FilePath, labels: FilePath) -> None:
        # float64 holds every int32 label exactly; float32 merges labels above 16,777,216.
        voxels, self.affine = images.load(image, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            self.labels = voxels.astype(np.int32)
        if voxels.ndim != 3 or not np.array_equal(voxels, self.labels):
            raise InputError(
                file=image,
                field="voxels",
                found=f"{voxels.ndim}-D, not all integers",
                expected="3-D integer labels",
                fix="Check atlas.image.",
            )
        self.names = read_names(labels)

    def lookup(self, points: ArrayLike) -> np.ndarray:
        """Labels at points.

        Parameters
        ----------
        points : ndarray of shape (..., 3)
            RAS+ mm.

        Returns
        -------
        ndarray of shape (...), int32
            0 where there is no region, or outside the atlas' field of view.
        """
        to_voxel = np.linalg.inv(self.affine)
        # Half a voxel rounds up, always: np.round would round to even and shift every second voxel on a 2:1 grid.
        index = np.floor(np.asarray(points) @ to_voxel[:3, :3].T + to_voxel[:3, 3] + 0.5).astype(np.int64)
        inside = np.all((index >= 0) & (index < self.labels.shape), axis=-1)
        index = np.where(inside[..., None], index, 0)
        return np.where(inside, self.labels[tuple(np.moveaxis(index, -1, 0))], 0).astype(np.int32)

    def name(self, label: int) -> str:
        """The name of a label, or its number if it has no name."""
        return self.names.get(int(label), f"label {int(label)}") if label else UNLABELLED

    def nearest(self, point: ArrayLike, within: float = 5.0) -> tuple[str, float]:
        """The region at a point, or the nearest one.

        Parameters
        ----------
        point : array_like of shape (3,)
            RAS+ mm.
        within : float
            Largest distance (mm) of a region from a point that lies in none.

        Returns
        -------
        name : str
            ``"unlabelled"`` when there is no region within reach.
        distance : float
            From the point to the nearest voxel centre of the region, mm; 0 when the point itself is labelled.
        """
        place = np.asarray(point, dtype=np.float64)
        label = int(self.lookup(place))
        if label:
            return self.name(label), 0.0
        reach = int(np.ceil(within / voxel_sizes(self.affine).min())) + 1
        centre = np.linalg.inv(self.affine) @ np.append(place, 1.0)
        low = np.maximum(np.floor(centre[:3]).astype(int) - reach, 0)
        high = np.minimum(np.ceil(centre[:3]).astype(int) + reach + 1, self.labels.shape)
        if np.any(high <= low):
            return UNLABELLED, 0.0
        box = self.labels[tuple(slice(a, b) for a, b in zip(low, high))]
        index = np.argwhere(box > 0)
        if not len(index):
            return UNLABELLED, 0.0
        centres = (index + low) @ self.affine[:3, :3].T + self.affine[:3, 3]
        distance = np.sqrt(((centres - place) ** 2).sum(axis=1))
        best = int(np.argmin(distance))
        if distance[best] > within:
            return UNLABELLED, 0.0
        return self.name(box[tuple(index[best])]), float(distance[best])

    def shares(self, points: np.ndarray) -> list[tuple[str, float]]:
        """The shares of the regions in a set of points.

        Parameters
        ----------
        points : ndarray of shape (N, 3)
            RAS+ mm, such as the voxel centres of a cluster.

        Returns
        -------
        list of (str, float)
            Name and share (0 to 1, they sum to 1), the largest first; points outside all regions count as
            ``"unlabelled"``.
        """
        labels, counts = np.unique(self.lookup(points), return_counts=True)
        order = np.lexsort((labels, -counts))
        return [(self.name(labels[i]), counts[i] / counts.sum()) for i in order]


def write_atlas(
    image: str, labels: str, package: str | None = None, *, image_path: FilePath, labels_path: FilePath
) -> None:
    """Write an atlas as one labelled image and one table.

    Parameters
    ----------
    image, labels : str
        Paths of the atlas, within the package if there is one.
    package : str, optional
        An installed Python package that has the files.
    image_path, labels_path : path-like
        The outputs: a NIfTI image of int32 labels, and a TSV with the columns ``index`` and ``name``.

    Raises
    ------
    InputError
        If a file is missing or has other content than it should.
    """
    atlas = Atlas(package_file(package, image), package_file(package, labels)) if package else Atlas(image, labels)
    LOG.info("atlas: %s, %d regions, %s voxels", image, len(atlas.names), atlas.labels.shape)
    code = images.template_code(images.space_name(image_path))
    images.save(image_path, atlas.labels, atlas.affine, dtype=np.int32, intent="label", code=code)
    rows = [{"index": label, "name": name} for label, name in sorted(atlas.names.items())]
    tables.write_table(labels_path, rows, {"index": "Label in the image", "name": "Region"})
    if package:
        # The table's dictionary is the image's sidecar too.
        sidecar = bids.sidecar(image_path)
        sources = [in_words(package, image), in_words(package, labels)]
        tables.write_json(sidecar, {**tables.read_json(sidecar), "OtherSources": sources})
