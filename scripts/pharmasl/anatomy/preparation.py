"""Preparation of raw T1-weighted images: brain mask, bias field, intensity scale, and the mean of several."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pharmasl.anatomy import average, brain_mask, rigid_alignment
from pharmasl.anatomy.bias import bias_field
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.space import images, transforms
from pharmasl.study import settings

LOG = logging.getLogger(__name__)

BRAIN_MEDIAN = 100.0  # median intensity of the brain after scaling
_INTENSITY_STEP = 2.0**-6  # stored intensities are multiples of it: far below noise, and a third of the file's size


@dataclass(frozen=True)
class Corrected:
    """A raw image after the correction of its bias field.

    Attributes
    ----------
    image : rigid_alignment.Image
        At a brain median of 100.
    facts : brain_mask.MaskFacts
    field_range : list of float
        Percentiles 1 and 99 of the bias field in the brain.
    """

    image: rigid_alignment.Image
    facts: brain_mask.MaskFacts
    field_range: list[float]


def prepare(
    t1w: Sequence[FilePath],
    *,
    preproc: FilePath,
    mask: FilePath,
    sidecar: FilePath,
    poses: FilePath,
    bias: settings.Bias,
    threads: int = 1,
) -> None:
    """Mask the brain of raw T1w, correct their bias fields, average several, and write the result.

    Parameters
    ----------
    t1w : sequence of path-like
        Raw images of one person, of a whole head or already without skull. A single one keeps its grid; several are
        averaged midway between them (:mod:`pharmasl.anatomy.average`).
    preproc, mask, sidecar : path-like
        Written: the corrected head, float32, with a brain median of 100; the mask, uint8; a JSON record of both.
    poses : path-like
        Written: ITK affines, one per raw image in their order, that bring the images onto ``preproc``.
    bias : settings.Bias
    threads : int
        For the networks of the mask; no output depends on them.

    Raises
    ------
    InputError
        If a file is not an image or shows no plausible brain; if images of one person are too unlike, or some show a head
        and some a brain alone.
    """
    raw = [_corrected(path, bias, threads) for path in t1w]
    names = [Path(path).name for path in t1w]
    description = f"T1w with its bias field divided out, scaled to a brain median of {BRAIN_MEDIAN:g}"
    record: dict[str, Any] = {"Description": description}
    if len(raw) == 1:
        image, facts, matrices = raw[0].image, raw[0].facts, np.eye(4)[None]
    else:
        _check_same_kind(t1w, raw)
        mean = average.mean([one.image for one in raw])
        image, facts = _mean_image(mean, f"mean of {', '.join(names)}", threads)
        matrices = mean.poses
        centre = transforms.apply(image.affine, np.argwhere(image.mask).mean(axis=0))
        record["Description"] += ", and averaged over all sources"
        record["Average"] = _average_record(matrices, mean.correlations, centre)
    LOG.info("%d T1w: brain of %.1f mL, mask by %s", len(raw), facts.volume_ml, facts.method)
    images.save(preproc, stored(image.head), image.affine)
    images.save(mask, image.mask, image.affine, dtype=np.uint8)
    transforms.write_affines(poses, matrices)
    ranges = [one.field_range for one in raw]
    record |= {
        "SkullStripped": facts.brain_only,
        "BrainMask": {"Method": facts.method, "Volume": facts.volume_ml, "VolumeUnits": "mL"},
        "BiasCorrection": {
            "Method": "N4 (SimpleITK), fitted within the brain mask",
            "Settings": settings.plain(bias),
            "FieldPercentiles1And99": ranges[0] if len(ranges) == 1 else ranges,
        },
    }
    tables.write_json(sidecar, record)


def stored(head: np.ndarray) -> np.ndarray:
    """Scaled intensities as they are stored: multiples of a step far below noise."""
    return np.round(head / _INTENSITY_STEP) * _INTENSITY_STEP


def _mean_image(mean: average.Mean, name: str, threads: int) -> tuple[rigid_alignment.Image, brain_mask.MaskFacts]:
    """The mean of several images with a brain mask of its own, at a brain median of 100."""
    inside, facts = brain_mask.brain_mask(mean.head, mean.affine, name, threads)
    head = mean.head * np.float32(BRAIN_MEDIAN / np.median(mean.head[inside]))
    return rigid_alignment.Image(name, head, inside, mean.affine), facts


def _corrected(path: FilePath, bias: settings.Bias, threads: int) -> Corrected:
    """One raw image after the correction of its bias field."""
    head, affine = images.load(path)
    if head.ndim != 3:
        raise InputError(
            file=path, field="dimensions", found=head.shape, expected="three", fix="Give one T1-weighted volume."
        )
    head = np.nan_to_num(head, nan=0.0, posinf=0.0, neginf=0.0)
    if head.max() <= head.min():
        raise InputError(
            file=path,
            field="intensities",
            found=f"all {head.max():g}",
            expected="an image",
            fix="The file is empty: export it again.",
        )
    inside, facts = brain_mask.brain_mask(head, affine, path, threads)
    field = bias_field(head, inside, affine, bias)
    corrected = head / field
    corrected *= BRAIN_MEDIAN / np.median(corrected[inside])
    low, high = np.percentile(field[inside], [1, 99])
    image = rigid_alignment.Image(Path(path).name, corrected, inside, affine)
    return Corrected(image, facts, [round(float(low), 4), round(float(high), 4)])


def _check_same_kind(paths: Sequence[FilePath], raw: Sequence[Corrected]) -> None:
    """Refuse to average heads and brains without skull."""
    stripped = [Path(path).name for path, one in zip(paths, raw) if one.facts.brain_only]
    if 0 < len(stripped) < len(paths):
        raise InputError(
            file=paths[0],
            field="skull",
            found=f"removed in {', '.join(stripped)}, not in the others",
            expected="images of one kind",
            fix="Remove the ones or the others from the dataset, or set anatomy.t1w to first.",
        )


def _average_record(matrices: np.ndarray, correlations: np.ndarray, centre: np.ndarray) -> dict[str, Any]:
    """The sidecar's record of the average: the motion of each source about the brain's centre."""
    moved = [transforms.rigid_parameters(matrix, centre) for matrix in matrices]
    apart = ~np.eye(len(matrices), dtype=bool)
    return {
        "Method": "rigid alignment of every pair, each image moved half the way; one cubic B-spline interpolation of each "
        "image, midway between all; equal weights",
        "Translation": [[round(float(v), 3) for v in translation] for translation, _ in moved],
        "TranslationUnits": "mm, of each source from the mean, at the brain's centre",
        "Rotation": [[round(float(v), 3) for v in np.degrees(rotation)] for _, rotation in moved],
        "RotationUnits": "degrees, about the axes x, y, z",
        "LeastCorrelationOfTwo": round(float(correlations[apart].min()), 4),
    }
