"""Where a CBF map that another program made holds CBF."""

from collections.abc import Sequence

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.space import images


def known(data: np.ndarray, mask: Sequence[FilePath]) -> np.ndarray:
    """The voxels of a map that hold CBF.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z)
    mask : sequence of path-like
        Its brain mask, on its grid; or empty.

    Returns
    -------
    ndarray of bool, shape (X, Y, Z)
        Within the mask; without one, what is not exactly 0: no measured CBF is.
    """
    inside = images.load(mask[0]).data > 0.5 if mask else data != 0
    return np.isfinite(data) & inside
