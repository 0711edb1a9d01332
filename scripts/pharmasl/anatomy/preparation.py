"""Raw T1-weighted images made ready: brain mask, bias field, intensity scale, and the mean of several."""

from pathlib import Path

import numpy as np

from pharmasl.anatomy import average, brain_mask
from pharmasl.anatomy import bias as bias_module
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.space import images, transforms

BRAIN_MEDIAN = 100.0  # intensity that the brain's median becomes
_INTENSITY_STEP = 2.0**-6  # of which stored intensities are multiples: far below noise, and a third of the file's size


def prepare(t1w, preproc, mask, sidecar, poses, bias=None, threads=1):
    """Mask the brain of raw T1w and correct their bias fields; average several; write the result.

    Parameters
    ----------
    t1w : path-like, or sequence of path-like
        Raw images of one person, of a whole head or already without skull. A single one keeps its grid; several are
        averaged midway between them (:mod:`pharmasl.anatomy.average`).
    preproc, mask, sidecar : path-like
        Written: the whole head corrected, float32, with a brain median of 100; the mask, uint8; JSON of both.
    poses : path-like
        Written: ITK affines, one a raw image in the order given, that bring each onto ``preproc``.
    bias : dict, optional
        Settings of :func:`pharmasl.anatomy.bias.bias_field`.
    threads : int
        For the mask's networks; no output depends on them.

    Raises
    ------
    InputError
        If an image is none, or holds no plausible brain; if images of one person are too unlike, or some show a head
        and some a brain alone.
    """
    paths = [t1w] if isinstance(t1w, (str, Path)) else list(t1w)
    settings = {"shrink": 4, "iterations": [50, 50, 50, 50], **(bias or {})}
    corrected, masking, ranges = zip(*(_corrected(path, settings, threads) for path in paths))
    told = {
        "Description": f"T1w with its bias field divided out, scaled to a brain median of {BRAIN_MEDIAN:g}",
        "Sources": [Path(path).name for path in paths],
    }
    if len(paths) == 1:
        (image,), (facts,), (field_range,) = corrected, masking, ranges
        head, inside, affine, matrices = image.head, image.mask, image.affine, np.eye(4)[None]
    else:
        _same_kind(paths, masking)
        head, affine, matrices, correlations = average.mean(corrected)
        inside, facts = brain_mask.brain_mask(head, affine, f"mean of {', '.join(told['Sources'])}", threads)
        head = head * np.float32(BRAIN_MEDIAN / np.median(head[inside]))
        field_range = list(ranges)
        told["Description"] += ", and averaged over all sources"
        told["Average"] = _average(matrices, correlations, transforms.apply(affine, np.argwhere(inside).mean(axis=0)))
    images.save(preproc, np.round(head / _INTENSITY_STEP) * _INTENSITY_STEP, affine)
    images.save(mask, inside, affine, dtype=np.uint8)
    transforms.write_affines(poses, matrices)
    tables.write_json(
        sidecar,
        {
            **told,
            "SkullStripped": facts["brain_only"],
            "BrainMask": {"Method": facts["method"], "Volume": facts["volume_ml"], "VolumeUnits": "mL"},
            "BiasCorrection": {
                "Method": "N4 (SimpleITK), fitted within the brain mask",
                "Settings": settings,
                "FieldPercentiles1And99": field_range,
            },
        },
    )


def _corrected(path, settings, threads):
    """One raw image without its bias field, at a brain median of 100; facts of the mask; the field's range."""
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
    field = bias_module.bias_field(head, inside, affine, **settings)
    corrected = head / field
    corrected *= BRAIN_MEDIAN / np.median(corrected[inside])
    low, high = np.percentile(field[inside], [1, 99])
    image = average.Image(Path(path).name, corrected, inside, affine)
    return image, facts, [round(float(low), 4), round(float(high), 4)]


def _same_kind(paths, masking):
    stripped = [Path(path).name for path, facts in zip(paths, masking) if facts["brain_only"]]
    if 0 < len(stripped) < len(paths):
        raise InputError(
            file=paths[0],
            field="skull",
            found=f"removed in {', '.join(stripped)}, not in the others",
            expected="images of one kind",
            fix="Take the ones or the others out of the dataset, or set anatomy.t1w to first.",
        )


def _average(matrices, correlations, centre):
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
