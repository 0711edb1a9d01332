"""Arterial territories of the template, coarsely: what is fed by one artery varies together.

Each territory is what lies nearest to the points that stand for it, with soft borders. The points follow the maps of Tatu
and others (Neurology 1998, doi 10.1212/WNL.50.6.1699; Frontiers of Neurology and Neuroscience 2012, doi 10.1159/000333602); the
borders are good to a centimetre or two, which is what people differ by.
"""

import numpy as np
from numba import njit

# Template mm on the left; each is mirrored to the right.
_LEFT = {
    "anterior": ((-7, 55, 0), (-7, 45, 25), (-7, 20, 50), (-7, -15, 58), (-8, -45, 52), (-7, 35, -15), (-18, 30, 48)),
    "middle": ((-50, 15, 5), (-55, -15, 15), (-50, -45, 25), (-42, 30, 20), (-42, -10, 45), (-52, -25, -10), (-28, 0, 5), (-35, 45, 0)),
    "posterior": ((-18, -85, 5), (-10, -68, 20), (-30, -60, -12), (-28, -30, -18), (-12, -20, 5), (-30, -78, 20)),
    "cerebellar": ((-22, -60, -40), (-35, -55, -38), (-8, -35, -35)),
}  # fmt: skip
NAMES = tuple(f"{name}, {side}" for name in _LEFT for side in ("left", "right"))
_POINTS = tuple(
    np.array(points, dtype=np.float32) * np.array([sign, 1, 1], dtype=np.float32)
    for points in _LEFT.values()
    for sign in (1, -1)
)
# mm over which one territory gives way to the next.
_BORDER = 4.0


def shares(points: np.ndarray) -> np.ndarray:
    """The share of each territory at template points.

    Parameters
    ----------
    points : ndarray of shape (..., 3)

    Returns
    -------
    ndarray of shape (territories, ...), float32
        In the order of :data:`NAMES`; sum one.
    """
    places = np.ascontiguousarray(points, dtype=np.float32)
    distance = np.empty((len(_POINTS), *places.shape[:-1]), dtype=np.float32)
    for k, own in enumerate(_POINTS):
        _nearest(places.reshape(-1, 3), own, distance[k].reshape(-1))
    weight = np.exp((distance.min(axis=0) - distance) / np.float32(_BORDER))
    return weight / weight.sum(axis=0)


@njit(cache=True, nogil=True)
def _nearest(points, own, out):
    """Distance of points to the nearest of a territory's."""
    for i in range(points.shape[0]):
        best = np.inf
        for k in range(own.shape[0]):
            x, y, z = points[i, 0] - own[k, 0], points[i, 1] - own[k, 1], points[i, 2] - own[k, 2]
            best = min(best, x * x + y * y + z * z)
        out[i] = np.sqrt(best)


def field(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A field that has a territory's own value in it, scaled so that values of unit variance give unit variance everywhere.

    Parameters
    ----------
    values : ndarray of shape (territories,)
    share : ndarray of shape (territories, ...)
        From :func:`shares`.
    """
    length = np.sqrt((share**2).sum(axis=0))
    return (np.tensordot(values.astype(np.float32), share, axes=1) / length).astype(np.float32)


def transit(times: dict[str, float], border: float, share: np.ndarray) -> np.ndarray:
    """Arterial transit time at points: that of their territory, and more where territories meet.

    Parameters
    ----------
    times : dict of str to float
        Seconds by territory, both sides alike.
    border : float
        Seconds added halfway between two territories.
    share : ndarray of shape (territories, ...)
        From :func:`shares`.
    """
    own = np.array([times[name.partition(",")[0]] for name in NAMES], dtype=np.float32)
    between = 2 * (1 - share.max(axis=0))
    return np.tensordot(own, share, axes=1) + np.float32(border) * between
