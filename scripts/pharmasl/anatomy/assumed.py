"""The template in place of the anatomy of a participant who has no T1-weighted image.

The files are those of the other anatomy stages, so that nothing downstream differs: "T1w" space is then the template's
own, both deformations are the identity, and the tissue shares are the template's probabilities. What differs between
people is left to the perfusion scan's own affine fit, and the sidecars say that the anatomy is assumed.
"""

import shutil

import numpy as np

from pharmasl.anatomy import normalisation, preparation
from pharmasl.files import tables
from pharmasl.space import images, transforms
from pharmasl.space.images import Grid

WARNING = "No T1w of this participant: the template stands in for it, and shares of tissue are those of other people"


def assume(given, made, space):
    """Write the anatomy's files.

    Parameters
    ----------
    given : dict
        Paths of the template: ``t1w`` (brain only, 0 outside), ``mask``, ``gm``, ``wm``, ``csf`` at 1 mm, and
        ``reference_t1w``, ``reference_gm`` at the resolution of the group analyses.
    made : dict
        Paths to write: ``preproc``, ``mask``, ``sidecar``, ``forward``, ``inverse``, ``field_sidecar``, ``gm``, ``wm``,
        ``csf``, ``template_t1w``, ``template_gm``.
    space : str
        The template's name.
    """
    brain, affine = images.load(given["t1w"])
    scale = preparation.BRAIN_MEDIAN / np.median(brain[brain > 0])
    images.save(made["preproc"], brain * scale, affine)
    reference, reference_affine = images.load(given["reference_t1w"])
    images.save(made["template_t1w"], reference * scale, reference_affine)
    for name, source in {"mask": "mask", "gm": "gm", "wm": "wm", "csf": "csf", "template_gm": "reference_gm"}.items():
        shutil.copyfile(given[source], made[name])
    grid = normalisation.coarse_grid(Grid(brain.shape, affine), normalisation.FIELD_SPACING)
    for name in ("forward", "inverse"):
        transforms.write_field(made[name], transforms.points(grid), grid.affine)
    tables.write_json(
        made["sidecar"],
        {"Assumed": True, "Description": WARNING, "Template": space, "SkullStripped": True},
    )
    tables.write_json(
        made["field_sidecar"],
        {"Assumed": True, "Description": f"{WARNING}; the map to the template is the identity", "Template": space},
    )
