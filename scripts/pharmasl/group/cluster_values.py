"""Each participant's mean of the contrast in every cluster of an analysis, at each of its sessions.

The clusters were chosen by these very values: the table describes what was tested, and is no independent estimate
(Kriegeskorte et al. 2009, doi 10.1038/nn.2303).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.group.maps import covered
from pharmasl.space import images

COLUMNS: dict[str, str | dict[str, Any]] = {
    "participant_id": "Participant",
    "session_id": "Session label, without ses-",
    "arm": "Arm of the trial; n/a in a study without arms",
    "cluster": "Label in the clusters image, as in the cluster table",
    "value": {
        "Description": (
            "Mean of the contrast map over the cluster's voxels with data; n/a without any. The same data chose the cluster, so "
            "differences between arms or sessions are overestimates"
        ),
        "DefinedBySameData": True,
    },
    "coverage": {"Description": "Share of the cluster's voxels that have data", "Units": "1"},
}


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A contrast map of a participant at a session.

    Attributes
    ----------
    participant_id : str
        With ``sub-``.
    session_id : str or None
        Without ``ses-``; None in a dataset without sessions.
    arm : str or None
    path : path-like
        The map.
    """

    participant_id: str
    session_id: str | None
    arm: str | None
    path: FilePath


def means(values: np.ndarray, labels: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of a map in each cluster, and how much of each has data.

    Parameters
    ----------
    values : ndarray of shape (V,)
        The map in the voxels of all clusters; NaN, infinity and 0 stand for "not covered".
    labels : ndarray of shape (V,), int
        The cluster of each voxel, 1 to ``number``.
    number : int

    Returns
    -------
    mean : ndarray of shape (number,)
        NaN where a cluster has no voxel with data.
    coverage : ndarray of shape (number,)
        0 to 1.
    """
    good = covered(values)
    total = np.bincount(labels[good], weights=values[good].astype(np.float64), minlength=number + 1)[1:]
    count = np.bincount(labels[good], minlength=number + 1)[1:]
    size = np.bincount(labels, minlength=number + 1)[1:]
    with np.errstate(invalid="ignore"):
        return total / np.where(count > 0, count, np.nan), count / np.where(size > 0, size, np.nan)


def rows(clusters: FilePath, visits: Sequence[Visit]) -> Iterator[Mapping[str, Any]]:
    """The rows of the table, a map in memory at a time.

    Parameters
    ----------
    clusters : path-like
        The labelled image.
    visits : sequence of Visit

    Raises
    ------
    InputError
        If a map is on another grid.
    """
    image, affine = images.load(clusters, dtype=np.int32)
    where = np.flatnonzero(image > 0)
    labels = image.ravel()[where]
    number = int(labels.max(initial=0))
    for visit in visits if number else ():
        data, own = images.load(visit.path)
        if data.shape != image.shape or not np.allclose(own, affine, atol=1e-4):
            raise InputError(
                visit.path, "grid", data.shape, f"the clusters' grid, {image.shape}", "Run the analysis again."
            )
        mean, coverage = means(data.ravel()[where], labels, number)
        for cluster in range(1, number + 1):
            value, share = mean[cluster - 1], coverage[cluster - 1]
            yield {
                "participant_id": visit.participant_id,
                "session_id": visit.session_id,
                "arm": visit.arm,
                "cluster": cluster,
                "value": None if np.isnan(value) else float(f"{value:.7g}"),
                "coverage": float(f"{share:.4g}"),
            }


def write(path: FilePath, clusters: FilePath, visits: Sequence[Visit], *, contrast: str, unit: str) -> None:
    """Write the table of an analysis.

    Parameters
    ----------
    path : path-like
        ``.tsv``; a sidecar is written beside it.
    clusters : path-like
        The labelled image.
    visits : sequence of Visit
        The maps of the participants analysed.
    contrast, unit : str
        Of the maps, for the sidecar.
    """
    described: dict[str, Any] = dict(COLUMNS)
    described["value"] = {**described["value"], "Contrast": contrast, "Units": unit}
    tables.write_table(path, rows(clusters, visits), described)
