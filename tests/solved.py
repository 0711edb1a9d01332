"""The alignment of a scan in memory, from its arrays."""

import numpy as np
from pharmasl.perfusion import alignment
from pharmasl.perfusion.realigned_scan import M0Volumes
from pharmasl.perfusion.series import Series
from pharmasl.perfusion.timing import Timing


def solve(data, affine, volumes, m0_data, m0_affine, tissues, *, correct, separate, stretch=False, delay=None):
    """The transforms; ``delay`` is the number of each volume's delay."""
    timing = None
    if delay is not None:
        count = int(np.max(delay)) + 1
        timing = Timing(np.asarray(delay), np.arange(count) + 1.0, np.ones(count), np.zeros(1))
    series, m0 = Series(data, affine, volumes, timing), M0Volumes(m0_data, m0_affine, separate)
    return alignment.solve(series, m0, tissues, correct=correct, stretch=stretch)
