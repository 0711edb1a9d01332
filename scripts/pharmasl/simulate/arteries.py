"""Large arteries of the template, coarsely: tubes along the courses of the anterior, middle and posterior cerebral arteries.

Label that has not arrived in the tissue at readout is still in them, and bright. The courses follow the maps of Tatu and others (Frontiers
of Neurology and Neuroscience 2012, doi 10.1159/000333602), good to a centimetre or so.
"""

import numpy as np
from numba import njit

# Template mm on the left, from the circle of Willis outwards; each is mirrored to the right.
_LEFT = (
    ((-10, 2, -16), (-2, 14, -14), (-3, 34, -4), (-4, 40, 14), (-4, 24, 30), (-4, 0, 38), (-5, -28, 44)),
    ((-10, 2, -16), (-28, 2, -18), (-40, 4, -8), (-44, -6, 2), (-50, -24, 12), (-52, -44, 26)),
    ((-40, 4, -8), (-44, 20, 8), (-44, 30, 24)),
    ((-4, -18, -16), (-14, -26, -14), (-20, -38, -8), (-14, -56, 2), (-10, -76, 8)),
)
_ENDS = np.array(
    [
        [np.array(course[k]) * (sign, 1, 1), np.array(course[k + 1]) * (sign, 1, 1)]
        for course in _LEFT
        for sign in (1, -1)
        for k in range(len(course) - 1)
    ],
    dtype=np.float64,
)
# mm, and over what the share of blood falls from one to zero about it.
_RADIUS, _EDGE = 1.25, 1.0


def share(points: np.ndarray) -> np.ndarray:
    """The share of large arteries at template points of shape (N, 3): ndarray of shape (N,), float32, 0 to 1."""
    out = np.empty(len(points), dtype=np.float32)
    _distance(np.ascontiguousarray(points, dtype=np.float64), _ENDS, out)
    return np.clip(0.5 - (out - np.float32(_RADIUS)) / np.float32(_EDGE), 0, 1)


@njit(cache=True, nogil=True)
def _distance(points, ends, out):
    """Distance of points to the nearest of some segments."""
    for i in range(points.shape[0]):
        best = np.inf
        for k in range(ends.shape[0]):
            along, length, squares = 0.0, 0.0, 0.0
            for axis in range(3):
                step = ends[k, 1, axis] - ends[k, 0, axis]
                along += (points[i, axis] - ends[k, 0, axis]) * step
                length += step * step
            place = min(max(along / length, 0.0), 1.0)
            for axis in range(3):
                step = ends[k, 1, axis] - ends[k, 0, axis]
                squares += (points[i, axis] - ends[k, 0, axis] - place * step) ** 2
            best = min(best, squares)
        out[i] = np.sqrt(best)
