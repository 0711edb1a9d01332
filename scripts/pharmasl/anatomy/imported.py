"""Anatomies that another program made, as the files of the workflow's own: T1w image, brain mask, tissues, fit to the template.

Nothing is estimated anew. Intensities are scaled as everywhere, fractions of tissue are held to the brain mask, and the
program's transform becomes one dense field, whose fit is measured as that of the
workflow's own registration.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.anatomy import brain_mask, normalisation, preparation, segmentation
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.space import images, itk_transforms
from pharmasl.space.images import Volume
from pharmasl.space.template import probabilities

LOG = logging.getLogger(__name__)

# A head without its skull has next to nothing brighter than background outside the brain mask.
_SKULL = 0.02
# Least mean of the tissues' sum in the brain mask: masks of these programs reach a little beyond their tissues.
LEAST_FILLED = 0.7

Program = Mapping[str, str]


@dataclass(frozen=True)
class Tissues:
    """Paths of the fractions of grey matter, white matter and cerebrospinal fluid."""

    gm: FilePath
    wm: FilePath
    csf: FilePath


def _origin(program: Program) -> dict[str, Any]:
    """What a sidecar says of where its image comes from."""
    return {
        "Imported": True,
        "Program": program["name"],
        "ProgramVersion": program["version"],
    }


def import_image(
    t1w: FilePath, mask: FilePath, *, preproc: FilePath, brain: FilePath, sidecar: FilePath, program: Program
) -> None:
    """Write a preprocessed T1w and its brain mask.

    Parameters
    ----------
    t1w, mask : path-like
        The program's, on one grid.
    preproc, brain, sidecar : path-like
        Written: the T1w, float32, with a brain median of 100; the mask, uint8; a JSON record of both.
    program : mapping of str to str
        ``name`` and ``version``.

    Raises
    ------
    InputError
        If the mask cannot be that of a brain, or the T1w is dark in it.
    """
    head = images.load(t1w)
    inside = np.nan_to_num(images.load(mask).data) > 0.5
    volume = brain_mask.check(inside, head.affine, mask)
    data = np.nan_to_num(head.data, nan=0.0, posinf=0.0, neginf=0.0)
    median = float(np.median(data[inside]))
    if not median > 0:
        raise InputError(
            file=t1w,
            field="intensities",
            found=f"a median of {median:g} in the brain mask",
            expected="a T1-weighted image, brighter than 0 in the brain",
            fix="Look at the image and its mask: they may be of different people, or the file may be damaged.",
        )
    scaled = preparation.stored(data * np.float32(preparation.BRAIN_MEDIAN / median))
    images.save(preproc, scaled, head.affine)
    images.save(brain, inside, head.affine, dtype=np.uint8)
    outside = scaled[~inside] > brain_mask.BACKGROUND * preparation.BRAIN_MEDIAN
    LOG.info("%s %s: brain of %.1f mL", program["name"], program["version"], volume)
    record = {
        "Description": f"Preprocessed T1w of another program, scaled to a brain median of {preparation.BRAIN_MEDIAN:g}",
        **_origin(program),
        "SkullStripped": bool(outside.mean() < _SKULL),
        "BrainMask": {
            "Method": f"{program['name']} {program['version']} ({os.path.basename(mask)})",
            "Volume": round(volume, 1),
            "VolumeUnits": "mL",
        },
    }
    tables.write_json(sidecar, record)


@dataclass(frozen=True)
class RegistrationFiles:
    """Paths of an imported fit to the template.

    Attributes
    ----------
    transforms : sequence of path-like
        ITK transforms that bring T1w images onto the template; of several, that to the template first.
    preproc, mask : path-like
        T1w and its brain mask.
    template : path-like
        T1w of the template, brain only, 0 outside.
    forward, sidecar : path-like
        Written, as by :func:`pharmasl.anatomy.normalisation.normalise`.
    """

    transforms: Sequence[FilePath]
    preproc: FilePath
    mask: FilePath
    template: FilePath
    forward: FilePath
    sidecar: FilePath


def import_registration(files: RegistrationFiles, program: Program, space: str) -> None:
    """Write another program's transform to the template as a dense field.

    Parameters
    ----------
    files : RegistrationFiles
    program : mapping of str to str
        ``name`` and ``version``.
    space : str
        The template's name.

    Raises
    ------
    InputError
        If ITK cannot read the transform, or the T1w that it brings to the template is not like the template.
    """
    head, target = images.load(files.preproc), images.load(files.template)
    inside = images.load(files.mask, dtype=np.uint8).data > 0
    grid = images.spaced(target.grid, normalisation.FIELD_SPACING)
    field = Volume(itk_transforms.on_grid(files.transforms, grid), grid.affine)
    fit = normalisation.checked(field, head, inside, target)
    if fit.measures["template_correlation"] < normalisation.LOWEST_CORRELATION:
        raise normalisation.unlike_template(
            files.transforms[-1],
            fit.measures,
            f"Check that the transform is of this T1w, leads from it to {space} (not back), and that the files of the "
            f"study's template are those of {space}.",
        )
    LOG.info("imported registration: correlation with the template %.3f", fit.measures["template_correlation"])
    fit.write(files.forward)
    record = {
        "Description": "Transform of the T1w image to the template, as another program fitted it, as one dense field",
        **_origin(program),
        "Template": space,
        "Inverse": "computed from the field, by Newton's method",
        "Checks": fit.measures,
        "ChecksDescription": normalisation.CHECKS,
    }
    tables.write_json(files.sidecar, record)


@dataclass(frozen=True)
class Anatomy:
    """Paths of an anatomy that is in the results already: T1w, brain mask, field over the template; a template image."""

    preproc: FilePath
    mask: FilePath
    forward: FilePath
    reference: FilePath


def import_segmentation(sources: Tissues, anatomy: Anatomy, outputs: segmentation.SegmentationOutput) -> None:
    """Write another program's fractions of tissue, and T1w and grey matter in template space.

    Parameters
    ----------
    sources : Tissues
        On the grid of the T1w.
    anatomy : Anatomy
    outputs : segmentation.SegmentationOutput
        Written: fractions within the brain mask, divided by their sum where that is above 1.

    Raises
    ------
    InputError
        If a map holds no probabilities, or the maps leave much of the brain mask empty.
    """
    head, affine = images.load(anatomy.preproc)
    mask = images.load(anatomy.mask, dtype=np.uint8).data > 0
    shares = {}
    for label, source in (("CSF", sources.csf), ("GM", sources.gm), ("WM", sources.wm)):
        shares[label] = np.where(mask, probabilities(source, f"label-{label}_probseg"), 0).astype(np.float32)
    total = shares["CSF"] + shares["GM"] + shares["WM"]
    filled = float(total[mask].mean())
    if filled < LEAST_FILLED:
        raise InputError(
            file=sources.gm,
            field="sum of the fractions of tissue in the brain mask",
            found=f"{filled:.2f}",
            expected=f"{LEAST_FILLED} to 1",
            fix="Check that fractions and brain mask are of one person and one run of the program.",
        )
    scale = np.maximum(total, 1)
    for path, label in zip(outputs.shares, segmentation.TISSUES):
        shares[label] /= scale
        images.save(path, shares[label], affine)
    LOG.info("imported fractions of tissue fill %.3f of the brain mask", filled)
    on_template = ((outputs.template_t1w, head * mask), (outputs.template_gm, shares["GM"]))
    segmentation.carry_to_template(on_template, affine, anatomy.forward, anatomy.reference)
