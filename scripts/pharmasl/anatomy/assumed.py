"""The template in place of the anatomy of a participant who has no T1-weighted image.

The files are those of the other anatomy stages, so that nothing downstream differs: "T1w" space is then that of the
template, the deformation is the identity, and the tissue shares are the template's probabilities. Differences between
people are left to the affine fit of the perfusion scan, and the sidecars say that the anatomy is assumed.
"""

import logging
import shutil
from dataclasses import dataclass

import numpy as np

from pharmasl.anatomy import normalisation, preparation
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.space import images, transforms

LOG = logging.getLogger(__name__)

WARNING = "No T1w of this participant: the template stands in for it, and shares of tissue are those of other people"


@dataclass(frozen=True)
class TemplateImages:
    """Paths of the template's images.

    Attributes
    ----------
    t1w, mask, gm, wm, csf : path-like
        At 1 mm; the T1w shows the brain only, 0 outside.
    reference_t1w, reference_gm : path-like
        At the resolution of the group analyses.
    """

    t1w: FilePath
    mask: FilePath
    gm: FilePath
    wm: FilePath
    csf: FilePath
    reference_t1w: FilePath
    reference_gm: FilePath


@dataclass(frozen=True)
class AnatomyFiles:
    """Paths of the files of an anatomy."""

    preproc: FilePath
    mask: FilePath
    sidecar: FilePath
    forward: FilePath
    field_sidecar: FilePath
    gm: FilePath
    wm: FilePath
    csf: FilePath
    template_t1w: FilePath
    template_gm: FilePath


def assume(template: TemplateImages, anatomy: AnatomyFiles, space: str) -> None:
    """Write the template's images as the files of an anatomy.

    Parameters
    ----------
    template : TemplateImages
    anatomy : AnatomyFiles
        Written.
    space : str
        The template's name.
    """
    LOG.info(WARNING)
    brain = images.load(template.t1w)
    scale = preparation.BRAIN_MEDIAN / np.median(brain.data[brain.data > 0])
    code = images.form_code(template.t1w)
    images.save(anatomy.preproc, brain.data * scale, brain.affine, code=code)
    reference = images.load(template.reference_t1w)
    images.save(anatomy.template_t1w, reference.data * scale, reference.affine, code=code)
    for source, copy in (
        (template.mask, anatomy.mask),
        (template.gm, anatomy.gm),
        (template.wm, anatomy.wm),
        (template.csf, anatomy.csf),
        (template.reference_gm, anatomy.template_gm),
    ):
        shutil.copyfile(source, copy)
    grid = images.spaced(brain.grid, normalisation.FIELD_SPACING)
    transforms.write_field(anatomy.forward, transforms.points(grid), grid.affine)
    tables.write_json(
        anatomy.sidecar, {"Assumed": True, "Description": WARNING, "Template": space, "SkullStripped": True}
    )
    tables.write_json(
        anatomy.field_sidecar,
        {"Assumed": True, "Description": f"{WARNING}; the map to the template is the identity", "Template": space},
    )
