"""The contrast maps and regional values under one specification.

Scans are judged, contrasts weighted and regions read by the functions of the main stages, so that the main specification
gives what the study gives.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pharmasl.contrasts import contrast_maps, scaling
from pharmasl.endpoints import regional_values
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.quality import implausible, judgement
from pharmasl.regions import region_values
from pharmasl.sensitivity.specification import Specification, VisitScans
from pharmasl.space import images
from pharmasl.study import arms as study_arms

# Participant with sub-, session and contrast.
MapKey = tuple[str, str | None, str]


@dataclass(frozen=True, kw_only=True)
class SpecificationFiles:
    """The files that the answers under a specification take.

    Attributes
    ----------
    maps : sequence of path-like
        Each visit's scans under the image alternative, in the order of the specification's visits.
    quality : sequence of path-like
        The quality table of every scan.
    participants : path-like
        The participants' table.
    template_mask : path-like
    masks, sidecars : sequence of path-like
        Of the specification's regions.
    gm : path-like or None
        The template's probability of grey matter.
    scores : path-like or None
        The craving scores.
    """

    maps: Sequence[FilePath]
    quality: Sequence[FilePath]
    participants: FilePath
    template_mask: FilePath
    masks: Sequence[FilePath]
    sidecars: Sequence[FilePath]
    gm: FilePath | None = None
    scores: FilePath | None = None


@dataclass(frozen=True, kw_only=True)
class SpecificationData:
    """The contrast maps and regional values under a specification.

    Attributes
    ----------
    people : list of dict
        The rows of the participants' table with what the models take.
    masks : mapping
        Region to its mask's file.
    defined_by_data : mapping
        Region to whether it is a cluster of an analysis of this trial.
    maps : mapping
        :data:`MapKey` to the contrast map's file.
    tables : mapping
        Region to its table of values, as the group stage reads it.
    values : mapping
        Region and contrast to CBF by visit.
    """

    people: list[dict[str, str | None]]
    masks: Mapping[str, FilePath]
    defined_by_data: Mapping[str, bool]
    maps: Mapping[MapKey, str]
    tables: Mapping[str, str]
    values: Mapping[tuple[str, str], regional_values.Visits]


def prepare(specification: Specification, files: SpecificationFiles, folder: Path) -> SpecificationData:
    """Write the contrast maps and regional values under a specification to a folder.

    Parameters
    ----------
    specification : Specification
    files : SpecificationFiles
    folder : Path

    Returns
    -------
    SpecificationData
    """
    people = tables.read_table(files.participants, of_arms=True)
    regions = list(specification.regions)
    masks = dict(zip(regions, files.masks, strict=True))
    maps = _contrast_maps(specification, files, folder)
    paths = _regional_values(specification, masks, maps, files.gm, folder)
    values = regional_values.read_values(list(paths.values()), files.sidecars)
    sidecars = zip(regions, files.sidecars, strict=True)
    return SpecificationData(
        people=study_arms.used(people, specification.terms),
        masks=masks,
        defined_by_data={name: bool(tables.read_json(path)["AnalysisDefined"]) for name, path in sidecars},
        maps=maps,
        tables=paths,
        values=values.cbf,
    )


def judge_again(row: Mapping[str, Any], specification: Specification) -> judgement.Verdict:
    """The verdict on a scan by the rules of a specification.

    Parameters
    ----------
    row : mapping
        The scan's row of its quality table.
    specification : Specification

    Returns
    -------
    Verdict
    """
    own = specification.exclude_scans.get(row["scan"])
    findings = judgement.Findings(
        flags=row["flags"].split(",") if row["flags"] else [],
        implausible=row["implausible"].split("; ") if row["implausible"] else [],
        pairs_used=int(float(row["pairs_used"])),
        pairs=int(float(row["pairs"])),
        left_out_by=row["left_out_by"],
        registration_accepted=row["registration"] == "accepted",
    )
    return judgement.decide(
        judgement.reasons(specification.rules, findings, own, specification.poor_scans.get(row["scan"])),
        own=own,
        accepted=specification.accept_scans.get(row["scan"]),
        without_result=implausible.is_without_result(row),
    )


def _judged_scans(paths: Sequence[FilePath], specification: Specification) -> dict[str, contrast_maps.JudgedScan]:
    scans = {}
    for path in paths:
        (row,) = tables.read_table(path)
        verdict = judge_again(row, specification)
        scans[row["scan"]] = contrast_maps.JudgedScan(
            scan=row["scan"],
            condition=row["condition"],
            is_usable=verdict.is_usable,
            exclusion_reason="; ".join(verdict.reasons),
        )
    return scans


def _contrast_maps(specification: Specification, files: SpecificationFiles, folder: Path) -> dict[MapKey, str]:
    """Write the contrast maps, as the contrast stage makes them."""
    scans = _judged_scans(files.quality, specification)
    relative = _relative(specification, files)
    maps = {}
    for number, (visit, path) in enumerate(zip(specification.visits, files.maps, strict=True)):
        data, affine = images.load(path)
        # An image of one volume is stored without the last axis.
        volumes = data if data.ndim == 4 else data[..., None]
        if volumes.shape[3] != len(visit.scans):
            raise InputError(
                file=path,
                field="volumes",
                found=volumes.shape[3],
                expected=f"{len(visit.scans)}, one per scan",
                fix="Make the maps again.",
            )
        for contrast in visit.contrasts:
            # Not compressed: read several times, and soon removed.
            out = folder / f"{number}_{contrast}.nii"
            images.save(out, _contrast(volumes, visit, contrast, scans, relative.get(contrast)), affine)
            maps[visit.participant_id, visit.session_id, contrast] = str(out)
    return maps


def _relative(specification: Specification, files: SpecificationFiles) -> dict[str, scaling.RelativeCbf]:
    """How the scans of each contrast of relative CBF are scaled."""
    template = [path for path in (files.template_mask, files.gm) if path is not None]
    return {
        name: scaling.RelativeCbf(
            wanted=wanted,
            reference=scaling.Reference.read(wanted.reference, template),
            minimum_coverage=specification.minimum_coverage,
        )
        for name, wanted in specification.relative.items()
    }


def _contrast(
    volumes: np.ndarray,
    visit: VisitScans,
    contrast: str,
    scans: Mapping[str, contrast_maps.JudgedScan],
    relative: scaling.RelativeCbf | None,
) -> np.ndarray:
    """A contrast of a visit's scans, NaN everywhere where a state has no usable scan."""
    parts = visit.contrasts[contrast]
    judged = [
        dataclasses.replace(scans[visit.scans[part.scan]], condition=visit.conditions[part.scan]) for part in parts
    ]
    maps = [volumes[..., part.scan] for part in parts]
    if relative is not None:
        for number, volume in enumerate(maps):
            scaled = relative.scale(volume, np.zeros(volume.shape), np.isfinite(volume))
            maps[number] = scaled.cbf
            if scaled.fault is not None:
                judged[number] = dataclasses.replace(judged[number], is_usable=False, exclusion_reason=scaled.fault)
    weights = contrast_maps.usable_weights([part.weight for part in parts], judged)
    if weights is None:
        return np.full(volumes.shape[:3], np.nan, dtype=np.float32)
    used = [number for number, scan in enumerate(judged) if scan.is_usable]
    effect, _ = contrast_maps.combine(
        maps=[maps[k] for k in used],
        errors=[],
        covered=[np.isfinite(maps[k]) for k in used],
        weights=[weights[k] for k in used],
    )
    return effect


def _regional_values(
    specification: Specification,
    masks: Mapping[str, FilePath],
    maps: Mapping[MapKey, str],
    gm: FilePath | None,
    folder: Path,
) -> dict[str, str]:
    """Write each region's table of values."""
    contrasts = [
        region_values.VisitContrast(participant_id=participant, session_id=session, arm=None, contrast=contrast)
        for participant, session, contrast in maps
    ]
    paths = {}
    for name, statistic in specification.regions.items():
        paths[name] = str(folder / f"{name}_values.tsv")
        region_values.write_values(
            paths[name],
            name,
            mask=masks[name],
            maps=list(maps.values()),
            contrasts=contrasts,
            statistic=statistic,
            minimum_coverage=specification.minimum_coverage,
            gm=gm,
        )
    return paths
