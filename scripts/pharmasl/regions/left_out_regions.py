"""The left-out region of an analysis' cluster, from files: each participant's CBF, and the test of the whole procedure.

The analysis' model and its clusters are found again from its own design table and maps; see
:mod:`pharmasl.regions.leave_one_out`.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import stdtrit

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.group.engine import clusters
from pharmasl.regions import leave_one_out, region_definitions, region_values
from pharmasl.space import images
from pharmasl.study import effect_words
from pharmasl.study.settings import Region

log = logging.getLogger(__name__)

_VALUE = {
    "Description": "Change of the analysis' own contrast in that cluster, adjusted for all terms of its model but the tested one"
}
REGION_COLUMNS: dict[str, str | dict[str, str]] = {
    "participant_id": "Participant",
    "arm": "Arm of the trial",
    "voxels": "Voxels of the cluster found without the participant, cuts applied; 0: none was found",
    "overlap": {"Description": "Dice coefficient of that cluster with the one of all participants", "Units": "1"},
    "value": _VALUE,
    "tested": "The analysis' tested term",
}


@dataclass(frozen=True, kw_only=True)
class LeftOutFiles:
    """What is read.

    Attributes
    ----------
    baseline, followup : sequence of path-like
        Maps of the defining analysis, one per member.
    design, inference : path-like
        Its design table, and what it did.
    search : path-like
        Mask of the voxels that it tested.
    mask : path-like
        The region of all participants, for those who took no part in the analysis.
    maps : sequence of path-like
        Contrast maps to read.
    gm : path-like or None
        The template's grey matter, for a weighted mean.
    """

    baseline: Sequence[FilePath]
    followup: Sequence[FilePath]
    design: FilePath
    inference: FilePath
    search: FilePath
    mask: FilePath
    maps: Sequence[FilePath]
    gm: FilePath | None


@dataclass(frozen=True, kw_only=True)
class LeftOutTables:
    """What is written: values as ``region_values.write_values``, the regions, and the test (JSON)."""

    values: FilePath
    regions: FilePath
    test: FilePath


@dataclass(frozen=True, kw_only=True)
class ClusterForming:
    """How the defining analysis formed its clusters."""

    cluster_forming_p: float
    neighbours: int


class _Within:
    """A chooser whose regions are cut to some voxels; a region that the cut empties counts as not found."""

    def __init__(self, chooser: leave_one_out.Chooser, allowed: np.ndarray) -> None:
        self.chooser, self.allowed, self.least = chooser, allowed, chooser.least

    def full(self, t: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        region = self.chooser.full(t, voxels)
        return region[self.allowed[voxels[region]]]

    def again(self, t: np.ndarray, voxels: np.ndarray, first: np.ndarray, sign: float) -> np.ndarray:
        region = self.chooser.again(t, voxels, first, sign)
        return region[self.allowed[voxels[region]]]


@dataclass(frozen=True)
class _Design:
    """The design of the defining analysis.

    Attributes
    ----------
    participants : list of str
    term : str
        The tested term.
    tested : ndarray of shape (n,)
    nuisance : ndarray of shape (n, k)
        The other columns.
    arm : ndarray of shape (n,) or None
        The arm, where it is among the other columns.
    """

    participants: list[str]
    term: str
    tested: np.ndarray
    nuisance: np.ndarray
    arm: np.ndarray | None


def _read_design(path: FilePath, term: str) -> _Design:
    """The design from the table of an analysis that tested a term.

    Raises
    ------
    InputError
        If the tested term is not one column.
    """
    rows = tables.read_table(path)
    terms = [name for name in rows[0] if name != "participant_id"]
    if term not in terms:
        raise InputError(
            file=path,
            field="tested term",
            found=term,
            expected=f"one column of {terms}",
            fix="Take another region.",
        )
    columns = {name: np.array([float(row[name]) for row in rows]) for name in terms}
    others = {name: values for name, values in columns.items() if name != term}
    return _Design(
        participants=[row["participant_id"] for row in rows],
        term=term,
        tested=columns[term],
        nuisance=np.stack(list(others.values()), axis=1),
        arm=others.get("arm"),
    )


@dataclass(frozen=True)
class _LeftOut:
    """The regions found again without each participant.

    Attributes
    ----------
    test : dict
        What the test's JSON holds.
    voxels : dict
        Participant to the indices of their region in the volume, a tuple of three arrays.
    rows : list of dict
        Rows of :data:`REGION_COLUMNS`, but for the arm.
    """

    test: dict[str, Any]
    voxels: dict[str, tuple[np.ndarray, ...]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


def write(
    files: LeftOutFiles,
    outputs: LeftOutTables,
    *,
    roi: Region,
    rows: Sequence[region_values.VisitContrast],
    members: Sequence[str],
    forming: ClusterForming,
    minimum_coverage: float,
    permutations: int,
    seed: int,
) -> None:
    """Read every contrast map in the region found without its participant, and test the defining effect there.

    Parameters
    ----------
    files : LeftOutFiles
    outputs : LeftOutTables
    roi : Region
        A cluster of an analysis.
    rows : sequence of VisitContrast
        One per map of ``files.maps``.
    members : sequence of str
        One per map of ``files.baseline``, with ``sub-``.
    forming : ClusterForming
    minimum_coverage : float
    permutations, seed : int

    Raises
    ------
    InputError
        If the tested term is not one column of the design, or a map is on another grid.
    """
    summary = tables.read_json(files.inference)
    volume, affine = images.load(files.mask, dtype=np.uint8)
    whole = volume > 0
    without = _LeftOut({"status": summary["status"]})
    if summary["status"] == "run" and whole.any():
        design = _read_design(files.design, summary["model"]["tested_term"])
        search = _Search(files, design, members, forming)
        without = search.find(roi, whole, permutations, seed)
    grid = images.Grid(whole.shape, affine)
    gm = region_values.template_weights(files.gm, grid) if files.gm and roi.statistic == "gm_weighted" else None
    values = []
    for path, row in zip(files.maps, rows, strict=True):
        data = region_values.load_on_grid(path, grid)
        # Who took no part in the analysis took no part in the choice of its region either.
        inside = without.voxels.get(row.participant_id, np.nonzero(whole))
        value = region_values.summarise(
            data[inside],
            statistic=roi.statistic,
            minimum_coverage=minimum_coverage,
            weights=None if gm is None else gm[inside],
        )
        values.append({**row.row(), "roi": roi.name, **value._asdict()})
    columns = region_values.value_columns(roi.statistic, rows)
    columns["roi"] = "Region of interest, found again without the participant"
    tables.write_table(outputs.values, values, columns)
    arm_of = {row.participant_id: row.arm for row in rows}
    regions = [{**row, "arm": arm_of.get(row["participant_id"])} for row in without.rows]
    described = {**_VALUE, "Units": effect_words.unit_of(summary)}
    tables.write_table(outputs.regions, regions, {**REGION_COLUMNS, "value": described})
    tables.write_json(outputs.test, without.test)


class _Search:
    """The defining analysis' maps of change, and how its clusters are found in them."""

    def __init__(self, files: LeftOutFiles, design: _Design, members: Sequence[str], forming: ClusterForming) -> None:
        mask, self.affine = images.load(files.search, dtype=np.uint8)
        self.mask, self.design, self.forming = mask > 0, design, forming
        self.lattice = clusters.Lattice(self.mask, forming.neighbours)
        paths = {member: pair for member, *pair in zip(members, files.baseline, files.followup, strict=True)}
        change = np.empty((len(design.participants), int(self.mask.sum())), dtype=np.float32)
        for values, participant in zip(change, design.participants):
            baseline, followup = (images.load(path)[0][self.mask] for path in paths[participant])
            values[:] = followup - baseline
        # What the model's other terms explain is taken out once, so that permuted maps are exchangeable.
        nuisance = design.nuisance
        self.residual = (change - nuisance @ (np.linalg.pinv(nuisance) @ change)).astype(np.float32)

    def _chooser(self, roi: Region) -> leave_one_out.Chooser:
        """Chooses the region's cluster, and keeps the voxels that its cuts leave."""
        df = len(self.design.tested) - 1 - self.design.nuisance.shape[1]
        threshold, threshold_without = (
            float(stdtrit(freedom, 1 - self.forming.cluster_forming_p)) for freedom in (df, df - 1)
        )
        chooser = leave_one_out.Cluster(self.lattice, threshold, threshold_without, int(roi.cluster or 0))
        centres = np.argwhere(self.mask) @ self.affine[:3, :3].T + self.affine[:3, 3]
        return _Within(chooser, region_definitions.within_cuts(roi, centres))

    def find(self, roi: Region, whole: np.ndarray, permutations: int, seed: int) -> _LeftOut:
        """The regions without each participant, and the test; ``whole`` is the mask of the region of all participants."""
        design, chooser = self.design, self._chooser(roi)
        regions = leave_one_out.left_out(self.residual, design.tested, design.nuisance, chooser)
        if regions is None:
            return _LeftOut({"status": f"not run: cluster {roi.cluster} was not found again"})
        agreement = _dice(regions.first, whole[self.mask])
        if agreement < 0.999:
            log.warning("the cluster found again overlaps the analysis' one by a Dice coefficient of %.3f", agreement)
        places = np.argwhere(self.mask)
        voxels = {
            who: tuple(places[own].T) if len(own) else (np.empty(0, int),) * 3
            for who, own in zip(design.participants, regions.regions)
        }
        names = ("participant_id", "voxels", "overlap", "value", "tested")
        sizes = [len(own) for own in regions.regions]
        columns = (design.participants, sizes, regions.overlap, regions.values, design.tested)
        rows = [dict(zip(names, cells)) for cells in zip(*columns)]
        test = self._test(chooser, regions.first, permutations, seed)
        lost = [row["participant_id"] for row in rows if not row["voxels"]]
        more = {"dice_with_the_analysis": round(agreement, 4), "participants_without_a_cluster": lost}
        return _LeftOut({**test, **more}, voxels, rows)

    def _test(self, chooser: leave_one_out.Chooser, first: np.ndarray, permutations: int, seed: int) -> dict[str, Any]:
        """The test of the tested term in the left-out regions, and its circular counterpart in the region ``first``."""
        design = self.design
        # Within arms where the arm is a nuisance of an association; freely where the arm itself is tested.
        result = leave_one_out.permutation_test(
            self.residual, design.tested, design.nuisance, chooser, permutations, seed, design.arm
        )
        same = leave_one_out.correlation(
            design.tested, self.residual[:, first].mean(axis=1, dtype=np.float64), design.nuisance
        )
        return {
            "status": "run",
            "Description": "Correlation of the analysis' tested term with the change in the cluster found without each "
            "participant, adjusted for the other terms; p by permuting maps, choice of the cluster and test together",
            "r": _number(result.r),
            "p": _number(result.p),
            "p_naive": _number(result.p_naive),
            "p_naive_meaning": "by the t distribution: too small, since the values share the data that chose their regions",
            "sidedness": "one-sided, in the direction of the cluster",
            "r_same_region": _number(same.r),
            "p_same_region": _number(same.p),
            "same_region_meaning": "in the one cluster of all participants, p by the t distribution: both circular, since "
            "the cluster was chosen for this very relation",
            "tested_term": design.term,
            "n": result.n,
            "participants": len(design.participants),
            "permutations": permutations,
            "seed": seed,
        }


def _dice(voxels: np.ndarray, region: np.ndarray) -> float:
    """Dice coefficient of some voxels with a region of the same mask."""
    total = len(voxels) + int(region.sum())
    return float(2 * region[voxels].sum() / total) if total else 1.0


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
