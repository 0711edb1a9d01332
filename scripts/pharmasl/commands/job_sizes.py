"""How long the jobs of a study take before any of them has run: by rule, as a function of the sizes that a plan knows.

A rule's seconds are those of a job of the demo (:data:`pharmasl.workflow.stages.SECONDS`), of which a share is the same for all
studies (imports, files, the brain mask's network) and other shares grow in proportion to a size. The shares were fitted to the demo
and to a study of 1 mm images (docs/speed.md has both tables; ``python benchmarks/predicted_times.py`` compares any finished run).
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import nibabel
import numpy as np

from pharmasl.errors import FilePath
from pharmasl.study.settings import Inference, Registration
from pharmasl.study.trial import Study
from pharmasl.workflow import stages

# Voxels of the template's grid at 1 mm.
_TEMPLATE = 197 * 233 * 189
# A relabelling without threshold-free enhancement, as a share of one with it.
_WITHOUT_ENHANCEMENT = 0.05


@dataclass(frozen=True, kw_only=True)
class JobSizes:
    """The sizes of a study's jobs; those of scans, anatomies and analyses are means.

    Attributes
    ----------
    series : float
        Voxels of a raw series over all its volumes.
    t1w : float
        Voxels of a raw T1w.
    registration : float
        Iterations of the fit to the template, each times its voxels as a share of those at 1 mm.
    template : float
        Voxels of the grid of the group analyses.
    sampled : float
        The same times the volumes of a series, each of which is sampled on it.
    relabelled : float
        Voxels of that grid times the relabellings of a whole-brain analysis; those without enhancement count less.
    alternatives : float
        The same of an alternative of the sensitivity analysis.
    left_out : float
        The same of an analysis, times the participants: a region without each one.
    people : float
    scans : float
    """

    series: float
    t1w: float
    registration: float
    template: float
    sampled: float
    relabelled: float
    alternatives: float
    left_out: float
    people: float
    scans: float


# Those of config/demo.yaml.
DEMO = JobSizes(
    series=40 * 46 * 26 * 13,
    t1w=102 * 125 * 120,
    registration=1.71875,
    template=_TEMPLATE / 27,
    sampled=_TEMPLATE / 27 * 13,
    relabelled=_TEMPLATE / 27 * 1000,
    alternatives=_TEMPLATE / 27 * 500,
    left_out=_TEMPLATE / 27 * 1000 * 12,
    people=12,
    scans=72,
)

# The shares of a rule's seconds in the demo that grow with a size.
SHARES = {
    "prepare_anatomy": {"t1w": 0.1},
    "normalise_anatomy": {"registration": 0.5, "t1w": 0.2},
    "segment_anatomy": {"t1w": 0.2},
    "align_perfusion": {"series": 0.12, "t1w": 0.1},
    "quantify_perfusion": {"series": 0.25, "sampled": 0.25, "t1w": 0.2},
    "fit_perfusion": {"series": 0.25, "sampled": 0.25, "t1w": 0.1},
    "block_responses": {"series": 0.2, "sampled": 0.6},
    "scan_quality": {"series": 0.08, "template": 0.4},
    "imported_quality": {"template": 0.4},
    "scan_page": {"series": 0.15, "template": 0.3},
    "imported_page": {"template": 0.5},
    "study_quality": {"scans": 0.1},
    "session_contrast": {"template": 0.5},
    "smooth_grey_matter": {"template": 0.5},
    "global_values": {"scans": 0.7},
    "group_statistics": {"relabelled": 0.65, "template": 0.1},
    "group_f_statistics": {"relabelled": 0.65, "template": 0.1},
    "parcel_values": {"people": 0.5},
    "roi_craving": {"people": 0.2},
    "roi_left_out": {"left_out": 0.5},
    "alternative_maps": {"template": 0.7},
    "specification": {"alternatives": 0.5},
    "group_figure": {"people": 0.1},
    "report": {"people": 0.1},
}


def of_study(study: Study) -> JobSizes:
    """The sizes of a study's jobs, by its settings and its images' headers.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Returns
    -------
    JobSizes
    """
    settings = study.settings
    template = _TEMPLATE / settings.template.resolution**3
    volumes = _mean(len(scan.acquisition.volume_types) for scan in study.scans.values() if not scan.imported)
    relabelled = template * _mean(_relabellings(analysis.inference) for analysis in settings.analyses.values())
    alternatives = settings.sensitivity.permutations if settings.sensitivity else 0
    return JobSizes(
        series=_mean(voxels(scan.asl) for scan in study.scans.values()),
        t1w=_mean(voxels(path) for paths in study.t1w.values() for path in paths),
        registration=work_of(settings.anatomy.registration),
        template=template,
        sampled=template * volumes,
        relabelled=relabelled,
        alternatives=template * alternatives,
        left_out=relabelled * len(study.participants),
        people=len(study.participants),
        scans=len(study.scans),
    )


def seconds(rule: str, sizes: JobSizes) -> float:
    """Seconds of one core that a job of a rule takes, Snakemake's own left out.

    Parameters
    ----------
    rule : str
    sizes : JobSizes
    """
    shares = SHARES.get(rule, {})
    growth = 1.0 + sum(share * (getattr(sizes, name) / getattr(DEMO, name) - 1) for name, share in shares.items())
    return stages.SECONDS.get(rule, stages.OTHER_SECONDS) * growth


def work_of(registration: Registration) -> float:
    """The iterations of a registration at 4, 2 and 1 mm, each times its voxels as a share of those at 1 mm.

    Parameters
    ----------
    registration : Registration
    """
    total = 0.0
    for iterations in (registration.affine_iterations, registration.warp_iterations):
        for level, number in enumerate(iterations.split("x")):
            size = 4 / 2**level
            # Levels finer than the fit's resolution are not run.
            total += int(number) / size**3 if size >= registration.resolution else 0.0
    return total


def _relabellings(inference: Inference) -> float:
    return inference.permutations * (1.0 if "tfce" in inference.statistics else _WITHOUT_ENHANCEMENT)


def voxels(path: FilePath, volumes: int | None = None) -> int:
    """Voxels of an image over all its volumes, or over so many, by its header."""
    shape = nibabel.Nifti1Image.from_filename(os.fspath(path)).shape
    return int(np.prod(shape if volumes is None else (*shape[:3], volumes)))


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
