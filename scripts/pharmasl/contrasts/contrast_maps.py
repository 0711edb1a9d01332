"""Contrasts: weighted sums of the states' CBF maps at one visit."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.contrasts import scaling
from pharmasl.contrasts.scaling import RelativeCbf
from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables
from pharmasl.space import images
from pharmasl.study import relative_cbf

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class JudgedScan:
    """A scan of a state, and whether it may be used.

    Attributes
    ----------
    scan : str
        Its name.
    condition : str
        The state.
    is_usable : bool
    exclusion_reason : str or None
        Why it is not usable.
    """

    scan: str
    condition: str
    is_usable: bool
    exclusion_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class State:
    """Which state a map is of.

    Attributes
    ----------
    scan : str
        The scan's name; of conditions that alternate within a run, with the condition.
    condition : str
    """

    scan: str
    condition: str


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Two states that alternate within one run, whose estimates covary.

    Attributes
    ----------
    first, second : int
        Their places among the maps of a contrast.
    file, volume : int
        Where their covariance is: the place of the run's image, and of the volume in it.
    """

    first: int
    second: int
    file: int
    volume: int


def combine(
    maps: Sequence[np.ndarray],
    errors: Sequence[np.ndarray],
    covered: Sequence[np.ndarray],
    weights: Sequence[float],
    covariances: Mapping[tuple[int, int], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A weighted sum of maps and its standard error.

    Parameters
    ----------
    maps, errors : sequence of ndarray
        CBF of each state and its standard error, mL/100 g/min, of one shape. Without ``errors`` the error is 0.
    covered : sequence of ndarray of bool
        Where each map holds data.
    weights : sequence of float
    covariances : mapping of (int, int) to ndarray, optional
        Of the estimates of two states that alternate within one run, by their places among the maps.

    Returns
    -------
    effect, error : ndarray, float32
        NaN where any state with a weight other than 0 is not covered. States that are scanned separately have independent
        errors: variances add with the squared weights. Those of one run have not, and their covariance counts.
    """
    inside = np.logical_and.reduce(list(covered))
    effect = sum(w * np.asarray(m, dtype=np.float64) for w, m in zip(weights, maps))
    variance = sum((w * np.asarray(e, dtype=np.float64)) ** 2 for w, e in zip(weights, errors))
    for (first, second), covariance in (covariances or {}).items():
        variance = variance + 2 * weights[first] * weights[second] * np.asarray(covariance, dtype=np.float64)
    inside &= np.isfinite(effect)
    return (
        np.where(inside, effect, np.nan).astype(np.float32),
        np.where(inside, np.sqrt(np.maximum(variance, 0)), np.nan).astype(np.float32),
    )


def usable_weights(weights: Sequence[float], scans: Sequence[JudgedScan]) -> list[float] | None:
    """The weights of a contrast's scans once the excluded ones are left out.

    Parameters
    ----------
    weights : sequence of float
        One per scan; the runs of one state share the state's weight evenly.
    scans : sequence of JudgedScan

    Returns
    -------
    list of float or None
        One per scan: 0 for an excluded one, the others' share increased so that each state keeps its weight. None where a
        state has no usable run: the contrast cannot be formed then.
    """
    runs: dict[str, int] = {}
    usable: dict[str, int] = {}
    for scan in scans:
        runs[scan.condition] = runs.get(scan.condition, 0) + 1
        usable[scan.condition] = usable.get(scan.condition, 0) + scan.is_usable
    if not all(usable.values()):
        return None
    kept = []
    for weight, scan in zip(weights, scans):
        number, number_usable = runs[scan.condition], usable[scan.condition]
        if not scan.is_usable:
            kept.append(0.0)
        # Not multiplied where nothing is excluded: such a contrast keeps every bit.
        elif number == number_usable:
            kept.append(weight)
        else:
            kept.append(weight * number / number_usable)
    return kept


def read_quality(paths: Sequence[FilePath], states: Sequence[State] | None = None) -> list[JudgedScan]:
    """The judgement on each scan, from its quality table.

    Parameters
    ----------
    paths : sequence of path-like
        The table of each scan.
    states : sequence of State, optional
        Which of the scan's states is meant; a scan has one unless conditions alternate in it.

    Raises
    ------
    InputError
        For a table that does not judge exactly one scan.
    """
    scans = []
    for number, path in enumerate(paths):
        table = tables.read_table(path)
        if len(table) != 1 or table[0].get("usable") not in ("yes", "no"):
            raise InputError(
                file=path,
                field="usable",
                found=f"{len(table)} rows, usable: {[row.get('usable') for row in table]}",
                expected="one row, yes or no",
                fix="Judge the scan again.",
            )
        (row,) = table
        state = State(scan=row["scan"], condition=row["condition"]) if states is None else states[number]
        scans.append(
            JudgedScan(
                scan=state.scan,
                condition=state.condition,
                is_usable=row["usable"] == "yes",
                exclusion_reason=row["exclusion_reason"],
            )
        )
    return scans


@dataclass(frozen=True, kw_only=True)
class ScanFiles:
    """The files of the scans of a contrast, one path per scan, in one order.

    Attributes
    ----------
    maps, errors, coverages : sequence of path-like
        CBF of each scan, its standard error, and where it holds data.
    quality : sequence of path-like
        The table of its quality.
    covariances : sequence of path-like
        Of each run in which several of these states alternate: a volume for each pair of its conditions.
    """

    maps: Sequence[FilePath]
    errors: Sequence[FilePath]
    coverages: Sequence[FilePath]
    quality: Sequence[FilePath]
    covariances: Sequence[FilePath] = ()


@dataclass(frozen=True)
class _Maps:
    """The maps of a scan that is not excluded, its mean where CBF is relative, and what its error was multiplied with."""

    cbf: np.ndarray
    error: np.ndarray
    covered: np.ndarray
    mean: scaling.ScanMean | None = None
    gain: float = 1.0


def write_contrast(
    files: ScanFiles,
    weights: Sequence[float],
    relative: RelativeCbf | None,
    *,
    effect_path: FilePath,
    error_path: FilePath,
    sidecar_path: FilePath,
    states: Sequence[State] | None = None,
    joint: Sequence[Joint] = (),
) -> None:
    """Write a contrast and its standard error from the files of its scans.

    Parameters
    ----------
    files : ScanFiles
    weights : sequence of float
        See :func:`usable_weights`.
    states : sequence of State, optional
        See :func:`read_quality`.
    joint : sequence of Joint
        Those of them that alternate within one run.
    relative : RelativeCbf or None
        None for absolute CBF. A scan that cannot be scaled is not usable here.
    effect_path, error_path : path-like
        Written: both NaN everywhere where a state has no usable scan.
    sidecar_path : path-like
        Written: each scan with its weight, and why it has none.
    """
    scans, maps = read_quality(files.quality, states), {}
    for number, scan in enumerate(scans):
        # An excluded scan is not even read: where it has no data, the others' are not lost.
        if scan.is_usable:
            maps[number], fault = _read(files, number, relative)
            if fault is not None:
                scans[number] = dataclasses.replace(scan, is_usable=False, exclusion_reason=fault)
    kept, grid = usable_weights(weights, scans), images.grid(files.maps[0])
    if kept is None:
        effect = error = np.full(grid.shape, np.nan, dtype=np.float32)
    else:
        used = [number for number, scan in enumerate(scans) if scan.is_usable]
        effect, error = combine(
            maps=[maps[k].cbf for k in used],
            errors=[maps[k].error for k in used],
            covered=[maps[k].covered for k in used],
            weights=[kept[k] for k in used],
            covariances=_covariances(files, joint, maps, used),
        )
    code = images.form_code(files.maps[0])
    images.save(effect_path, effect, grid.affine, intent="estimate", code=code)
    images.save(error_path, error, grid.affine, code=code)
    excluded = "; ".join(f"{scan.scan}: {scan.exclusion_reason}" for scan in scans if not scan.is_usable)
    log.info("%d scans, excluded: %s", len(scans), excluded or "none")
    scaling_record = _scaling_record(relative)
    tables.write_json(
        bids.sidecar(error_path),
        {"Description": "Standard error of a contrast, from its scans' own", "Units": scaling_record["Units"]},
    )
    tables.write_json(
        sidecar_path,
        {
            "Description": "Weighted sum of the states' CBF maps at one visit",
            **scaling_record,
            "Scans": [
                _scan_record(scan, 0.0 if kept is None else kept[number], maps.get(number))
                for number, scan in enumerate(scans)
            ],
            "Missing": f"a state has no usable scan: {excluded}" if kept is None else None,
        },
    )


def _read(files: ScanFiles, number: int, relative: RelativeCbf | None) -> tuple[_Maps, str | None]:
    """A scan's maps, scaled where CBF is relative, and why they cannot be scaled."""
    cbf, error = images.load(files.maps[number])[0], images.load(files.errors[number])[0]
    covered = images.load(files.coverages[number])[0] > 0.5
    if relative is None:
        return _Maps(cbf, error, covered), None
    scaled = relative.scale(cbf, error, covered)
    return _Maps(scaled.cbf, scaled.error, covered, scaled.mean, scaled.gain), scaled.fault


def _covariances(
    files: ScanFiles, joint: Sequence[Joint], maps: Mapping[int, _Maps], used: Sequence[int]
) -> dict[tuple[int, int], np.ndarray]:
    """The covariances of the states that are used, each by its places among them."""
    images_of = {pair.file: images.load(files.covariances[pair.file])[0] for pair in joint}
    return {
        (used.index(pair.first), used.index(pair.second)): images_of[pair.file].reshape(
            (*maps[pair.first].cbf.shape, -1)
        )[..., pair.volume]
        * (maps[pair.first].gain * maps[pair.second].gain)
        for pair in joint
        if pair.first in used and pair.second in used
    }


def _scaling_record(relative: RelativeCbf | None) -> dict[str, Any]:
    """The unit of the map and, where CBF is relative, how it was scaled."""
    if relative is None:
        return {"Units": relative_cbf.CBF_UNIT}
    wanted = relative.wanted
    return {
        "Units": relative_cbf.unit(wanted),
        "Scaling": {
            "Method": wanted.scaling,
            "Description": relative_cbf.sentence(wanted),
            "Reference": scaling.DEFINITIONS[wanted.reference],
            "ReferenceVoxels": int(relative.reference.voxels.sum()),
            "MinimumCoverage": relative.minimum_coverage,
            "LeastMean": scaling.LEAST_MEAN if wanted.scaling == relative_cbf.PROPORTIONAL else None,
        },
    }


def _scan_record(scan: JudgedScan, weight: float, maps: _Maps | None) -> dict[str, Any]:
    """A scan in the sidecar."""
    record = {
        "Scan": scan.scan,
        "Condition": scan.condition,
        "Weight": weight,
        "Excluded": None if scan.is_usable else scan.exclusion_reason,
    }
    if maps is not None and maps.mean is not None:
        record |= {"ReferenceMean": maps.mean.mean, "ReferenceCoverage": maps.mean.coverage}
    return record
