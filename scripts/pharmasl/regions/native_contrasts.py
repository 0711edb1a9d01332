"""CBF of a region in each contrast, from the values read in each scan's own space."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.contrasts import contrast_maps, global_values, scaling
from pharmasl.contrasts.scaling import ScanMean
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.regions import native_values
from pharmasl.regions.region_values import VALUE_COLUMNS, RegionValue, VisitContrast, with_units
from pharmasl.study.cbf_units import CBF_UNIT
from pharmasl.study.settings import Scaling

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ScansContrast(VisitContrast):
    """A contrast at one visit, with the scans that it is made of.

    Attributes
    ----------
    scans : tuple of int
        Places among all scans.
    weights : tuple of float
        Weight of each of these scans.
    scaling : pharmasl.study.settings.Scaling or None
        How each of them is scaled first; None for absolute CBF.
    """

    scans: tuple[int, ...]
    weights: tuple[float, ...]
    scaling: Scaling | None = None


@dataclass(frozen=True, kw_only=True)
class ScanTables:
    """Tables of the scans.

    Attributes
    ----------
    values, quality : sequence of path-like
        Of :func:`pharmasl.regions.native_values.write_scan_values`, and of quality; one per scan, in one order.
    means : path-like or None
        Of all scans' global CBF, where a contrast is of relative CBF.
    """

    values: Sequence[FilePath]
    quality: Sequence[FilePath]
    means: FilePath | None = None


def columns(statistic: str, contrasts: Sequence[ScansContrast]) -> dict[str, Any]:
    """The columns of :data:`pharmasl.regions.region_values.VALUE_COLUMNS`, described for values of scans."""
    how = native_values.COLUMNS["statistic"]["Levels"][statistic]
    of_scan = native_values.COLUMNS["coverage"]["Description"].removesuffix("; n/a for an empty region")
    return {
        **VALUE_COLUMNS,
        "contrast": "Contrast of conditions, taken of the scans' values",
        "cbf": with_units(
            {
                "Description": "Weighted sum of the scans' values, read in each scan's own space, without smoothing or resampling "
                f"of CBF. {how}; n/a where a state has no usable scan or a scan's coverage is too low",
                "Units": CBF_UNIT,
                "Statistic": statistic,
                "Space": "native",
            },
            contrasts,
        ),
        "coverage": {
            "Description": f"{of_scan}; the least of the scans used, 0 without any; n/a for an empty region",
            "Units": "1",
        },
        "n_voxels": f"{native_values.COLUMNS['n_voxels']}; the least of the scans used",
    }


def combine(
    values: Sequence[RegionValue],
    weights: Sequence[float],
    scans: Sequence[contrast_maps.JudgedScan],
    minimum_coverage: float,
) -> RegionValue:
    """A contrast of one region's values in several scans.

    Parameters
    ----------
    values : sequence of RegionValue
        One per scan.
    weights : sequence of float
        One per scan.
    scans : sequence of JudgedScan
    minimum_coverage : float
        Of each scan that is used.

    Returns
    -------
    RegionValue
        ``cbf`` is None where a state has no usable scan, or a scan that is used covers too little. ``coverage`` and
        ``n_voxels`` are the least of the scans used; ``coverage`` is 0 without any, None for an empty region.
    """
    if any(value.coverage is None for value in values):
        return RegionValue(None, None, 0.0)
    usable_weights = contrast_maps.usable_weights(weights, scans)
    if usable_weights is None:
        return RegionValue(None, 0.0, 0.0)
    used = [(weight, value) for weight, value, scan in zip(usable_weights, values, scans) if scan.is_usable]
    coverage = min(value.coverage for _, value in used if value.coverage is not None)
    n = min(value.n_voxels for _, value in used)
    weighted = [weight * value.cbf for weight, value in used if value.cbf is not None]
    if coverage < minimum_coverage or len(weighted) < len(used):
        return RegionValue(None, coverage, n)
    return RegionValue(sum(weighted), coverage, n)


def _read(path: FilePath, roi: str, statistic: str) -> RegionValue:
    """A region's row of a scan's table, in numbers."""
    for row in tables.read_table(path):
        if (row["roi"], row["statistic"]) == (roi, statistic):
            cbf, coverage = (None if row[name] is None else float(row[name]) for name in ("cbf", "coverage"))
            return RegionValue(cbf, coverage, float(row["n_voxels"]))
    raise InputError(
        file=path,
        field="roi",
        found="no such row",
        expected=f"a row of {roi}, {statistic}",
        fix="Read the scan's regions again.",
    )


def scale(
    value: RegionValue, scan: contrast_maps.JudgedScan, mean: ScanMean, wanted: Scaling, minimum_coverage: float
) -> tuple[RegionValue, contrast_maps.JudgedScan]:
    """A region's value in a scan, scaled by the scan's own mean.

    Parameters
    ----------
    value : RegionValue
    scan : JudgedScan
    mean : ScanMean
        Of the scan's map on the template, over the wanted reference.
    wanted : Scaling
        Not absolute.
    minimum_coverage : float
        Share of the reference that the scan has to cover.

    Returns
    -------
    RegionValue
        As it was where the scan cannot be scaled.
    JudgedScan
        Not usable then.
    """
    reason = scaling.fault(mean, wanted, minimum_coverage)
    if scan.is_usable and reason is not None:
        scan = dataclasses.replace(scan, is_usable=False, exclusion_reason=reason)
    if reason is not None or mean.mean is None or value.cbf is None:
        return value, scan
    scaled = scaling.scaled(value.cbf, mean.mean, wanted.scaling, dtype=np.float64)
    return value._replace(cbf=float(scaled)), scan


def write_contrast_values(
    table_path: FilePath,
    roi: str,
    scans: ScanTables,
    *,
    contrasts: Sequence[ScansContrast],
    statistic: str,
    minimum_coverage: float,
    states: Sequence[contrast_maps.State] | None = None,
) -> None:
    """Write the CBF of a region in each contrast.

    Parameters
    ----------
    table_path : path-like
        The table to write; columns as :data:`pharmasl.regions.region_values.VALUE_COLUMNS`.
    roi : str
    scans : ScanTables
    contrasts : sequence of ScansContrast
        Their ``scans`` are places among the scans.
    statistic : str
        One that the scans' tables have.
    minimum_coverage : float
        Of each scan that is used.
    states : sequence of pharmasl.contrasts.contrast_maps.State, optional
        Which states the values are of, where conditions alternate within scans.

    Raises
    ------
    InputError
        If a scan's table does not have the region, or its quality table no judgement.
    """
    values = [_read(path, roi, statistic) for path in scans.values]
    judgements = contrast_maps.read_quality(scans.quality, states)
    means = {} if scans.means is None else global_values.read_scans(scans.means)
    rows = []
    for contrast in contrasts:
        own = [(values[place], judgements[place]) for place in contrast.scans]
        if (wanted := contrast.scaling) is not None:
            own = [
                scale(value, scan, means[scan.scan][wanted.reference], wanted, minimum_coverage) for value, scan in own
            ]
        value = combine([value for value, _ in own], contrast.weights, [scan for _, scan in own], minimum_coverage)
        if value.cbf is None and value.coverage is not None:
            where = (contrast.participant_id, contrast.session_id, contrast.contrast)
            log.warning(
                "%s: %s covers %.0f %% of it: n/a", roi, " ".join(name for name in where if name), 100 * value.coverage
            )
        rows.append({**contrast.row(), "roi": roi, **value._asdict()})
    log.info("%s: %s in %d contrasts of %d scans", roi, statistic, len(rows), len(values))
    tables.write_table(table_path, rows, columns(statistic, contrasts))
