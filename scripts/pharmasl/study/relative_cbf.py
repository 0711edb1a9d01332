"""Relative CBF in words: what the numbers of a contrast are once each scan is scaled by its own mean.

Brain-wide CBF differs between people and sessions (caffeine, carbon dioxide, haematocrit, labelling efficiency), and in each
voxel that adds to what is compared. Proportional scaling divides it out, additive scaling takes it off. Both ask another
question than absolute CBF does: whether CBF changes here more than it does on average.
"""

from pharmasl.study.cbf_units import CBF_UNIT
from pharmasl.study.settings import Scaling

# What a scan's mean is scaled to, mL/100 g/min: the convention of PET and SPM.
GLOBAL_MEAN = 50.0
PROPORTIONAL, ADDITIVE = "proportional", "additive"

REFERENCES = {"brain": "brain", "grey_matter": "grey matter"}


def unit(contrast: Scaling) -> str:
    """The unit of a contrast's numbers.

    Parameters
    ----------
    contrast : Scaling

    Returns
    -------
    str
    """
    reference = REFERENCES[contrast.reference]
    if contrast.scaling == PROPORTIONAL:
        return f"{CBF_UNIT} of relative CBF ({reference} mean of each scan scaled to {GLOBAL_MEAN:g})"
    if contrast.scaling == ADDITIVE:
        return f"{CBF_UNIT} above the {reference} mean of each scan"
    return CBF_UNIT


def sentence(contrast: Scaling) -> str | None:
    """What was done to each scan, as a clause without a subject; None for absolute CBF.

    Parameters
    ----------
    contrast : Scaling

    Returns
    -------
    str or None
    """
    mean = f"its own mean over the {REFERENCES[contrast.reference]}"
    if contrast.scaling == PROPORTIONAL:
        return f"each scan's CBF divided by {mean} and multiplied by {GLOBAL_MEAN:g} {CBF_UNIT}"
    if contrast.scaling == ADDITIVE:
        return f"{mean} taken off each scan's CBF"
    return None
