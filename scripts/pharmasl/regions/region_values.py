"""CBF of regions of interest in contrast maps on the template's analysis grid."""

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.space import images

log = logging.getLogger(__name__)

_UNITS = "UnitsByContrast"
STATISTICS = {
    "mean": "Mean",
    "median": "Median",
    "gm_weighted": "Mean weighted by the template's probability of grey matter",
}

VALUE_COLUMNS = {
    "participant_id": "Participant",
    "session_id": "Session label, without ses-",
    "arm": "Arm of the trial",
    "contrast": "Contrast of conditions whose map was averaged",
    "roi": "Region of interest",
    "cbf": {
        "Description": "Mean of the contrast map over the region's voxels with data; n/a where coverage is too low",
        "Units": "mL/100 g/min",
    },
    "coverage": {"Description": "Share of the region's voxels that have data; n/a for an empty region", "Units": "1"},
    "n_voxels": "Number of voxels averaged, that is, of the region's voxels that have data",
}


@dataclass(frozen=True, kw_only=True)
class VisitContrast:
    """A contrast at one visit of a participant.

    Attributes
    ----------
    participant_id : str
        With ``sub-``.
    session_id : str or None
        Without ``ses-``.
    arm : str or None
    contrast : str
    unit : str or None
        Of its values, where they are none of absolute CBF.
    """

    participant_id: str
    session_id: str | None
    arm: str | None
    contrast: str
    unit: str | None = None

    def row(self) -> dict[str, str | None]:
        """Its columns of a table of values."""
        names = [field.name for field in dataclasses.fields(VisitContrast) if field.name != "unit"]
        return {name: getattr(self, name) for name in names}


def with_units(column: Mapping[str, Any], contrasts: Iterable[VisitContrast]) -> dict[str, Any]:
    """A column of values with the unit of each contrast that differs from the column's: of relative CBF, or no CBF.

    Parameters
    ----------
    column : mapping
        Of a data dictionary.
    contrasts : iterable of VisitContrast
    """
    units = {contrast.contrast: contrast.unit for contrast in contrasts if contrast.unit is not None}
    return {**column, **({_UNITS: units} if units else {})}


def unit_of(column: Mapping[str, Any], contrast: str) -> str:
    """The unit of a contrast's values, from a column that :func:`with_units` has described."""
    return str(column.get(_UNITS, {}).get(contrast, column["Units"]))


class RegionValue(NamedTuple):
    """CBF of a region in one map or scan.

    Attributes
    ----------
    cbf : float or None
        None where too little of the region has data.
    coverage : float or None
        Share of the region that has data; None for an empty region.
    n_voxels : float
        Number of voxels with data.
    """

    cbf: float | None
    coverage: float | None
    n_voxels: float


def summarise(
    values: np.ndarray, *, statistic: str, minimum_coverage: float, weights: np.ndarray | None = None
) -> RegionValue:
    """One value of a map in a region, from the voxels that have data.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The map in the region's voxels, NaN where there are no data.
    statistic : str
        One of :data:`STATISTICS`.
    minimum_coverage : float
        Minimum share of voxels, or for ``"gm_weighted"`` of the weights, with data for the value to count.
    weights : ndarray of shape (n,), optional
        Probability of grey matter, for ``"gm_weighted"``.

    Returns
    -------
    RegionValue
        Without a value where coverage is below the minimum, the region is empty, or its weights sum to 0.
    """
    finite = np.isfinite(values)
    n = int(finite.sum())
    if statistic == "gm_weighted":
        share = np.asarray(weights, dtype=np.float64)
        total, covered = float(share.sum()), float(share[finite].sum())
        coverage = covered / total if total > 0 else None
    else:
        covered, coverage = n, n / len(values) if len(values) else None
    if coverage is None or covered == 0 or coverage < minimum_coverage:
        return RegionValue(None, coverage, n)
    with_data = values[finite]
    if statistic == "mean":
        value = with_data.mean(dtype=np.float64)
    elif statistic == "median":
        value = np.median(with_data.astype(np.float64))
    else:
        value = (with_data.astype(np.float64) * share[finite]).sum() / covered
    return RegionValue(float(value), coverage, n)


def value_columns(statistic: str, contrasts: Iterable[VisitContrast]) -> dict[str, Any]:
    """:data:`VALUE_COLUMNS` with the statistic by which the value was taken, and the units of relative CBF."""
    columns: dict[str, Any] = dict(VALUE_COLUMNS)
    words = columns["cbf"]["Description"].removeprefix("Mean")
    described = {**columns["cbf"], "Description": STATISTICS[statistic] + words, "Statistic": statistic}
    columns["cbf"] = with_units(described, contrasts)
    if statistic == "gm_weighted":
        words = "Share of the region's grey matter (sum of probabilities) that has data; n/a for a region without any"
        columns["coverage"] = {**columns["coverage"], "Description": words}
    return columns


def load_on_grid(path: FilePath, grid: images.Grid, *, fix: str = "Rerun the contrast stage.") -> np.ndarray:
    """An image that must lie on a grid.

    Parameters
    ----------
    path : path-like
    grid : images.Grid
    fix : str
        For the message: how to make the image again.

    Returns
    -------
    ndarray of shape ``grid.shape``

    Raises
    ------
    InputError
        If it is on another grid.
    """
    data, affine = images.load(path)
    if data.shape != grid.shape or not np.allclose(affine, grid.affine, atol=1e-4):
        raise InputError(
            file=path,
            field="grid",
            found=data.shape,
            expected=f"the grid {grid.shape} of the images that it is read with",
            fix=fix,
        )
    return data


def template_weights(path: FilePath, grid: images.Grid) -> np.ndarray:
    """The template's probability of grey matter on a mask's grid, shape ``grid.shape``; raises as :func:`load_on_grid`."""
    return np.nan_to_num(load_on_grid(path, grid, fix="Rerun the template."))


def write_values(
    table_path: FilePath,
    roi: str,
    *,
    mask: FilePath,
    maps: Sequence[FilePath],
    contrasts: Sequence[VisitContrast],
    statistic: str,
    minimum_coverage: float,
    gm: FilePath | None = None,
) -> None:
    """Write the CBF of a region in each map.

    Parameters
    ----------
    table_path : path-like
        The table to write; columns as :data:`VALUE_COLUMNS`.
    roi : str
        The region's name.
    mask : path-like
        Mask written by :func:`pharmasl.regions.region_masks.write_mask`.
    maps : sequence of path-like
        Contrast maps on the mask's grid, mL/100 g/min.
    contrasts : sequence of VisitContrast
        What each map is, in the maps' order.
    statistic : str
        One of :data:`STATISTICS`.
    minimum_coverage : float
        See :func:`summarise`.
    gm : path-like, optional
        The template's probability of grey matter, for ``"gm_weighted"``.

    Raises
    ------
    InputError
        If a map is on another grid than the mask, or maps and contrasts differ in number.
    """
    mask_data, affine = images.load(mask, dtype=np.uint8)
    inside, grid = mask_data > 0, images.Grid(mask_data.shape, affine)
    weights = template_weights(gm, grid)[inside] if statistic == "gm_weighted" and gm is not None else None
    if len(maps) != len(contrasts):
        raise InputError(
            file=table_path,
            field="rows",
            found=len(contrasts),
            expected=f"{len(maps)}, one per map",
            fix="Pass one row for each map.",
        )
    rows = []
    for path, contrast in zip(maps, contrasts):
        values = load_on_grid(path, grid)[inside]
        value = summarise(values, statistic=statistic, minimum_coverage=minimum_coverage, weights=weights)
        if value.cbf is None and value.coverage is not None:
            log.warning("%s: %s covers %.0f %% of it: n/a", roi, path, 100 * value.coverage)
        rows.append({**contrast.row(), "roi": roi, **value._asdict()})
    log.info("%s: %s in %d maps, missing in %d", roi, statistic, len(rows), sum(row["cbf"] is None for row in rows))
    tables.write_table(table_path, rows, value_columns(statistic, contrasts))
