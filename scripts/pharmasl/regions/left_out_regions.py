"""The left-out region of an analysis' cluster, from files: each participant's CBF, and the whole procedure's test.

The analysis' model and its clusters are found again from its own design table and maps; see ``leave_one_out``.
"""

import logging
import math

import numpy as np
from scipy.special import stdtrit

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group.engine import clusters
from pharmasl.regions import definitions, leave_one_out, region_values
from pharmasl.space import images

log = logging.getLogger(__name__)

REGION_COLUMNS = {
    "participant_id": "Participant",
    "arm": "Arm of the trial",
    "voxels": "Voxels of the cluster found without the participant, cuts applied; 0: none was found",
    "overlap": {"Description": "Dice coefficient of that cluster with the one of all participants", "Units": "1"},
    "value": {
        "Description": "Change of the analysis' own contrast in that cluster, adjusted for all terms of its model but the "
        "tested one",
        "Units": "mL/100 g/min",
    },
    "tested": "The analysis' tested term",
}


class _Within:
    """A chooser whose regions are cut to some voxels; a region that the cut empties counts as not found."""

    def __init__(self, chooser, allowed):
        self.chooser, self.allowed = chooser, allowed

    def full(self, t):
        found = self.chooser.full(t)
        return found[self.allowed[found]]

    def again(self, t, first, sign):
        found = self.chooser.again(t, first, sign)
        return found[self.allowed[found]]


def _design(path, inference):
    """Participants, tested column and the others of an analysis' design table."""
    rows = tables.read_table(path)
    tested = inference["model"]["tested_term"]
    terms = [name for name in rows[0] if name != "participant_id"]
    if tested not in terms:
        raise InputError(path, "tested term", tested, f"one column of {terms}", "Take another region.")
    matrix = np.array([[float(row[name]) for name in terms] for row in rows])
    k = terms.index(tested)
    return [row["participant_id"] for row in rows], matrix[:, k], np.delete(matrix, k, axis=1), terms


def _cuts(roi, mask, affine):
    """Voxels of the mask that a region's cuts keep."""
    centres = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return definitions.within_cuts(roi, centres)


def write(given, outputs, *, roi, rows, members, inference, minimum_coverage, permutations, seed):
    """Read every contrast map in the region found without its participant, and test the defining effect there.

    Parameters
    ----------
    given : dict
        ``baseline``, ``followup`` (maps of the defining analysis, one a member), ``design``, ``inference`` (its
        files), ``search`` (mask of the voxels tested), ``mask`` (the region of all participants, for those who took no
        part in the analysis), ``maps`` (contrast maps to read), ``gm`` (template's grey matter, or None).
    outputs : dict
        ``values``: as ``region_values.write_values``; ``regions``: :data:`REGION_COLUMNS`; ``test``: JSON.
    roi : Region
    rows : list of VisitContrast
        One per map of ``maps``.
    members : list of str
        One a map of ``baseline``, ``sub-`` included.
    inference : dict
        ``cluster_forming_p`` and ``neighbours`` of the analysis.
    minimum_coverage : float
    permutations, seed : int

    Raises
    ------
    InputError
        If the tested term is not one column of the design, or a map is on another grid.
    """
    told = tables.read_json(given["inference"])
    volume, affine = images.load(given["mask"], dtype=np.uint8)
    whole = volume > 0
    grid = images.Grid(whole.shape, affine)
    gm = region_values.template_weights(given["gm"], grid) if roi.statistic == "gm_weighted" else None
    region_of, regions, test = {}, [], {"status": told["status"]}
    if told["status"] == "run" and whole.any():
        region_of, regions, test = _find(given, told, roi, members, inference, permutations, seed, whole)
    out = []
    for path, row in zip(given["maps"], rows, strict=True):
        data = region_values.load_on_grid(path, grid)
        # Who took no part in the analysis took no part in the choice of its region either.
        inside = region_of.get(row.participant_id, np.nonzero(whole))
        weights = None if gm is None else gm[inside]
        value = region_values.summarise(
            data[inside], statistic=roi.statistic, minimum_coverage=minimum_coverage, weights=weights
        )
        out.append({**row.row(), "roi": roi.name, **value._asdict()})
    columns = region_values.value_columns(roi.statistic)
    columns["roi"] = "Region of interest, found again without the participant"
    tables.write_table(outputs["values"], out, columns)
    arm_of = {row.participant_id: row.arm for row in rows}
    for row in regions:
        row["arm"] = arm_of.get(row["participant_id"])
    tables.write_table(outputs["regions"], regions, REGION_COLUMNS)
    tables.write_json(outputs["test"], test)


def _find(given, told, roi, members, inference, permutations, seed, whole):
    participants, x, nuisance, terms = _design(given["design"], told)
    search, affine = images.load(given["search"], dtype=np.uint8)
    search = search > 0
    data = np.empty((len(participants), int(search.sum())), dtype=np.float32)
    paths = {member: pair for member, *pair in zip(members, given["baseline"], given["followup"], strict=True)}
    for values, participant in zip(data, participants):
        first, second = (images.load(path)[0][search] for path in paths[participant])
        values[:] = second - first
    lattice = clusters.Lattice(search, inference["neighbours"])
    n, p = len(x), 1 + nuisance.shape[1]

    def labeller(df):
        threshold = float(stdtrit(df, 1 - inference["cluster_forming_p"]))
        return lambda t: clusters.label(t, threshold, lattice)[0]

    chooser = leave_one_out.Cluster(labeller(n - p), int(roi.cluster), labeller(n - 1 - p))
    chooser = _Within(chooser, _cuts(roi, search, affine))
    # What the model's other terms explain is taken out once, so that permuted maps are exchangeable.
    residual = (data - nuisance @ (np.linalg.pinv(nuisance) @ data)).astype(np.float32)
    found = leave_one_out.left_out(residual, x, nuisance, chooser)
    if found is None:
        return {}, [], {"status": f"not run: cluster {roi.cluster} was not found again"}
    agreement = _dice(found.first, whole[search])
    if agreement < 0.999:
        log.warning("the cluster found again overlaps the analysis' one by a Dice coefficient of %.3f", agreement)
    places = np.argwhere(search)
    region_of = {
        who: tuple(places[voxels].T) if len(voxels) else (np.empty(0, int),) * 3
        for who, voxels in zip(participants, found.regions)
    }
    regions = [
        {"participant_id": who, "voxels": len(voxels), "overlap": overlap, "value": value, "tested": each}
        for who, voxels, overlap, value, each in zip(participants, found.regions, found.overlap, found.values, x)
    ]
    # Within arms where the arm is a nuisance of an association; freely where the arm itself is tested.
    strata = nuisance[
        :, [k for k, term in enumerate(t for t in terms if t != told["model"]["tested_term"]) if term == "arm"]
    ]
    strata = strata[:, 0] if strata.shape[1] else None
    result = leave_one_out.permutation_test(residual, x, nuisance, chooser, permutations, seed, strata)
    same = residual[:, found.first].mean(axis=1, dtype=np.float64)
    r_same, p_same, _ = leave_one_out.correlation(x, same, nuisance)
    return (
        region_of,
        regions,
        {
            "status": "run",
            "Description": "Correlation of the analysis' tested term with the change in the cluster found without each "
            "participant, adjusted for the other terms; p by permuting maps, choice of the cluster and test together",
            "r": _number(result.r),
            "p": _number(result.p),
            "p_naive": _number(result.p_naive),
            "p_naive_meaning": "by the t distribution: too small, since the values share the data that chose their regions",
            "sidedness": "one-sided, in the direction of the cluster",
            "r_same_region": _number(r_same),
            "p_same_region": _number(p_same),
            "same_region_meaning": "in the one cluster of all participants, p by the t distribution: both circular, since "
            "the cluster was chosen for this very relation",
            "tested_term": told["model"]["tested_term"],
            "n": result.n,
            "participants": len(participants),
            "permutations": permutations,
            "seed": seed,
            "dice_with_the_analysis": round(agreement, 4),
            "participants_without_a_cluster": [row["participant_id"] for row in regions if not row["voxels"]],
        },
    )


def _dice(voxels, region):
    total = len(voxels) + int(region.sum())
    return float(2 * region[voxels].sum() / total) if total else 1.0


def _number(value):
    return None if math.isnan(value) else float(value)
