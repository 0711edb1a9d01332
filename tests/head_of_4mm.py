"""A simulated head of 4 mm of which mask, tissues and place in the template are known."""

from typing import NamedTuple

import numpy as np
from pharmasl.simulate import deformation, participant_anatomy
from pharmasl.space import template


class KnownHead(NamedTuple):
    """The template's files at 1 mm and at 3 mm, the head's shape, and the head."""

    fine: template.TemplateFiles
    coarse: template.TemplateFiles
    shape: deformation.Deformation
    head: participant_anatomy.Head


def drawn(folder):
    """The head, and the template written below a folder."""
    names = {"t1w": "t1w", "mask": "mask", "gm": "GM", "wm": "WM", "csf": "CSF"}
    fine, coarse = (
        template.TemplateFiles(**{field: folder / f"{size}_{name}.nii.gz" for field, name in names.items()})
        for size in ("fine", "coarse")
    )
    template.write_template(fine, coarse, 3.0)
    known = participant_anatomy.read_template(step=2)
    shape = deformation.draw(np.random.default_rng(3), known.low, known.high, known.centre, 4.0)
    grid = participant_anatomy.t1w_grid(known, shape, 4.0)
    return KnownHead(fine, coarse, shape, participant_anatomy.head(np.random.default_rng(4), known, shape, grid))
