"""Maps of repeatability between baseline and follow-up, of the people of the table of regions (:mod:`pharmasl.regions.repeated_values`).

A voxel's numbers are those that the table would have of a region of that voxel alone. One person's maps are in memory at a time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pharmasl.contrasts import scaling
from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables
from pharmasl.group import maps
from pharmasl.regions.repeated_people import LEAST, LEVEL, RepeatedContrast, RepeatedPeople
from pharmasl.space import images
from pharmasl.statistics import repeatability
from pharmasl.statistics.detectable_effects import spread_factors
from pharmasl.statistics.paired_moments import SESSIONS, PairedMoments

# Of the people with maps of both sessions, the share that has to cover a voxel.
LEAST_SHARE = 0.75
WITHIN_SD, WITHIN_CV, ICC = "within_sd", "within_cv", "icc"
# Where numbers are summed up, as the references of relative CBF are named.
PLACES = ("brain", "grey_matter")
_PERCENTILES = (10, 50, 90)


@dataclass(frozen=True, kw_only=True)
class RepeatedMapFiles:
    """What is read.

    Attributes
    ----------
    baseline, followup : sequence of path-like
        A contrast's maps of those who have both, in one order.
    template_mask, gm : path-like
        On their grid.
    """

    baseline: Sequence[FilePath]
    followup: Sequence[FilePath]
    template_mask: FilePath
    gm: FilePath


class RepeatedMapOutputs(Protocol):
    """Paths of what is written: three maps, that of how many people they are of, and their summary."""

    within_sd: str
    within_cv: str
    icc: str
    people: str
    table: str


COLUMNS: dict[str, Any] = {
    "contrast": "Contrast of conditions",
    "map": {
        "Description": "Which map is summed up",
        "Levels": {
            WITHIN_SD: "within-person standard deviation, a shift of all people left out",
            WITHIN_CV: "within-person coefficient of variation, by logarithms",
            ICC: "intraclass correlation ICC(3,1), a shift of all people left out",
        },
    },
    "place": {
        "Description": "Over which of the map's voxels",
        "Levels": {
            "brain": "all that have a value",
            "grey_matter": f"those with a probability of grey matter of at least {scaling.LEAST_GREY_MATTER:g} in the template",
        },
    },
    "unit": "Unit of percentile_10, median and percentile_90",
    "people": "Arm whose people are taken; all: people of all arms, or of a study without arms",
    "n": "People with maps of both sessions",
    "least_n": "People who have to cover a voxel for it to have a value",
    "voxels": "Voxels with a value",
    "percentile_10": "10th percentile over the voxels",
    "median": "Median over the voxels",
    "percentile_90": "90th percentile over the voxels",
    "note": "Why there is no value",
}


def write(
    files: RepeatedMapFiles, outputs: RepeatedMapOutputs, people: RepeatedPeople, contrast: RepeatedContrast
) -> None:
    """Write the maps of a contrast, their sidecars, and the table that sums them up.

    Parameters
    ----------
    files : RepeatedMapFiles
    outputs : RepeatedMapOutputs
    people : RepeatedPeople
    contrast : RepeatedContrast

    Raises
    ------
    InputError
        If a map lies on another grid.
    """
    template, affine = images.load(files.template_mask)
    mask = template > 0
    moments, number = _moments(files, images.Grid(mask.shape, affine), mask)
    least = max(LEAST, math.ceil(LEAST_SHARE * number))
    volumes = _volumes(moments, moments.count >= least, is_cbf=contrast.is_cbf)
    code = images.form_code(files.template_mask)
    for name, values in volumes.items():
        images.save(getattr(outputs, name), maps.fill(values, mask), affine, code=code)
    images.save(outputs.people, maps.fill(moments.count, mask, outside=0), affine, dtype=np.int16, code=code)
    note = _note(number, name=None, is_cbf=contrast.is_cbf)
    sidecars = _sidecars(contrast, people, number, least)
    for name, content in sidecars.items():
        tables.write_json(bids.sidecar(getattr(outputs, name)), content | ({"Note": note} if note else {}))
    grey = images.load(files.gm)[0][mask] >= scaling.LEAST_GREY_MATTER
    rows = [
        {
            "contrast": contrast.name,
            "map": name,
            "place": place,
            "unit": sidecars[name]["Units"],
            "people": people.arm or "all",
            "n": number,
            "least_n": least,
            **_summary(values[grey] if place == "grey_matter" else values),
            "note": _note(number, name, is_cbf=contrast.is_cbf),
        }
        for name, values in volumes.items()
        for place in PLACES
    ]
    tables.write_table(outputs.table, rows, COLUMNS)


def _moments(files: RepeatedMapFiles, grid: images.Grid, mask: np.ndarray) -> tuple[PairedMoments, int]:
    """The people's moments, and how many of them have maps of both sessions."""
    moments, number = PairedMoments(int(mask.sum())), 0
    for pair in zip(files.baseline, files.followup, strict=True):
        first, second = (_values(path, grid, mask) for path in pair)
        if np.isfinite(first).any() and np.isfinite(second).any():
            moments.add(first, second)
            number += 1
    return moments, number


def _values(path: FilePath, grid: images.Grid, mask: np.ndarray) -> np.ndarray:
    data, affine = images.load(path)
    if data.shape != grid.shape or not np.allclose(affine, grid.affine, atol=1e-4):
        raise InputError(
            path, "grid", f"{data.shape}", f"the template mask's, {grid.shape}, with its affine", "Make the map again."
        )
    inside = data[mask]
    return np.where(maps.covered(inside), inside, np.nan)


def _volumes(moments: PairedMoments, known: np.ndarray, *, is_cbf: bool) -> dict[str, np.ndarray]:
    squares = moments.squares()
    nowhere = np.full(len(known), np.nan)
    variation = 100 * repeatability.of_logarithms(np.sqrt(moments.logarithmic_residual())) if is_cbf else nowhere
    volumes = {
        WITHIN_SD: np.sqrt(squares.residual),
        WITHIN_CV: variation,
        ICC: repeatability.consistency(squares),
    }
    return {name: np.where(known, values, np.nan) for name, values in volumes.items()}


def _note(number: int, name: str | None, *, is_cbf: bool) -> str | None:
    if number < LEAST:
        return f"not computed of fewer than {LEAST} people with maps of both sessions"
    if name == WITHIN_CV and not is_cbf:
        return "a difference of conditions, or of a scan from its mean, has no coefficient of variation"
    return None


def _summary(values: np.ndarray) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {"voxels": 0}
    low, middle, high = (float(value) for value in np.percentile(known, _PERCENTILES))
    return {"voxels": len(known), "percentile_10": low, "median": middle, "percentile_90": high}


def _sidecars(contrast: RepeatedContrast, people: RepeatedPeople, number: int, least: int) -> dict[str, dict[str, Any]]:
    """What each map is, by the name of the rule's output."""
    common = {
        "Contrast": contrast.name,
        "Sessions": list(people.sessions),
        "People": people.arm or "all",
        "Participants": number,
        "LeastParticipants": least,
    }
    spread = "standard deviation of one person's value from session to session, a shift of all people left out"
    variation = "Within-person coefficient of variation, by logarithms; NaN where a value is not above 0"
    if not contrast.is_cbf:
        variation = f"Empty: {_note(LEAST, WITHIN_CV, is_cbf=False)}"
    factors = {}
    if number >= LEAST:
        low, high = spread_factors((number - 1) * (SESSIONS - 1), LEVEL)
        factors = {
            "SmallestDetectableChangeFactor": round(float(repeatability.DETECTABLE), 6),
            "ConfidenceLevel": LEVEL,
            "ConfidenceLimitsFactors": [round(low, 6), round(high, 6)],
        }
    return {
        WITHIN_SD: {
            "Description": f"Within-person {spread}. Times SmallestDetectableChangeFactor: what one person's change exceeds by "
            "chance in 5 % of pairs of sessions. Times ConfidenceLimitsFactors: its confidence limits in a voxel of all Participants",
            "Units": contrast.unit,
            **common,
            **factors,
        },
        WITHIN_CV: {"Description": variation, "Units": "%", **common},
        ICC: {
            "Description": "Intraclass correlation ICC(3,1) of a single session, a shift of all people left out; an estimate below 0 is "
            "left as it is",
            "Units": "1",
            **common,
        },
        "people": {
            "Description": "People with a value in both sessions; the other maps are NaN where they are fewer than LeastParticipants",
            "Units": "1",
            **common,
        },
    }
