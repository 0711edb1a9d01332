"""A raw T1-weighted image made ready: brain mask, bias field, intensity scale."""

import numpy as np

from pharmasl import images, tables
from pharmasl.anatomy import bias as bias_module
from pharmasl.anatomy import brain_mask
from pharmasl.errors import InputError

BRAIN_MEDIAN = 100.0  # intensity that the brain's median becomes
_INTENSITY_STEP = 2.0**-6  # of which stored intensities are multiples: far below noise, and a third of the file's size


def prepare(t1w, preproc, mask, sidecar, bias=None, threads=1):
    """Mask the brain of a raw T1w, then correct its bias field, and write both.

    Parameters
    ----------
    t1w : path-like
        A raw image, of a whole head or already without skull.
    preproc, mask, sidecar : path-like
        Written: the whole head corrected, float32, with a brain median of 100; the mask, uint8; JSON of both.
    bias : dict, optional
        Settings of :func:`pharmasl.anatomy.bias.bias_field`.
    threads : int
        For the mask's networks; no output depends on them.

    Raises
    ------
    InputError
        If the image is none, or holds no plausible brain.
    """
    head, affine = images.load(t1w)
    if head.ndim != 3:
        raise InputError(t1w, "dimensions", head.shape, "three", "Give one T1-weighted volume.")
    head = np.nan_to_num(head, nan=0.0, posinf=0.0, neginf=0.0)
    if head.max() <= head.min():
        raise InputError(t1w, "intensities", f"all {head.max():g}", "an image", "The file is empty: export it again.")
    inside, facts = brain_mask.brain_mask(head, affine, t1w, threads)
    settings = {"shrink": 4, "iterations": [50, 50, 50, 50], **(bias or {})}
    field = bias_module.bias_field(head, inside, affine, **settings)
    corrected = head / field
    corrected *= BRAIN_MEDIAN / np.median(corrected[inside])
    corrected = np.round(corrected / _INTENSITY_STEP) * _INTENSITY_STEP
    images.save(preproc, corrected, affine)
    images.save(mask, inside, affine, dtype=np.uint8)
    low, high = np.percentile(field[inside], [1, 99])
    tables.write_json(
        sidecar,
        {
            "Description": f"T1w with its bias field divided out, scaled to a brain median of {BRAIN_MEDIAN:g}",
            "SkullStripped": facts["brain_only"],
            "BrainMask": {"Method": facts["method"], "Volume": facts["volume_ml"], "VolumeUnits": "mL"},
            "BiasCorrection": {
                "Method": "N4 (SimpleITK), fitted within the brain mask",
                "Settings": settings,
                "FieldPercentiles1And99": [round(float(low), 4), round(float(high), 4)],
            },
        },
    )
