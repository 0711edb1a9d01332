"""The magnetic field of a head in the scanner: what air in the sinuses and beside the ears leaves of it after shimming.

Air in a sphere of radius R changes the field around it, B0 being along z, as a dipole does, and not within it::

    a (R / r)^3 (3 (z / r)^2 - 1)

Spheres stand for the sphenoid and ethmoid sinuses, the frontal ones, and the mastoid cells, none of which reaches into the template's brain; the
scanner's shims take off a constant, slopes and second-order harmonics. Places and radii were chosen by a real head at 3 T: with 68 Hz on
average in the vmPFC, as there, the template has 62 Hz above the ears (57 there), 12 at the frontal pole (35), -9 in the ventral insula (10), and
50 and 209 Hz as 99 and 99.9 % of the brain (79 and 180). The amplitude is then that of air in tissue (9.4 ppm) within 2 %.
"""

from collections.abc import Iterator

import numpy as np

from pharmasl.simulate.deformation import Deformation
from pharmasl.simulate.participant_anatomy import Head
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import transforms

# Centre in the template and radius, mm.
_AIR = (
    ((0, 50, -47), 17.0),
    ((-16, 79, -20), 10.0),
    ((16, 79, -20), 10.0),
    ((-54, -28, -48), 11.0),
    ((54, -28, -48), 11.0),
)
# By which people's differ: standard deviation of a centre along each axis, mm, and of a radius, as a share.
_PLACE, _SIZE = 2.0, 0.08
# Every so many voxels of the brain are enough to shim on.
_EVERY = 11


def draw(rng: np.random.Generator, head: Head, shape: Deformation, hertz: float, spread: float) -> np.ndarray:
    """The field of a person's head.

    Parameters
    ----------
    rng : numpy.random.Generator
    head : participant_anatomy.Head
    shape : deformation.Deformation
        By which the template's places are found in the head.
    hertz : float
        Mean over people of the field in the vmPFC, Hz.
    spread : float
        Standard deviation of that over people, as a share.

    Returns
    -------
    ndarray of shape ``head.grid.shape``, float32
        Hz.
    """
    points = transforms.points(head.grid).astype(np.float32)
    places, sizes = rng.standard_normal((len(_AIR), 3)), rng.standard_normal(len(_AIR))
    field = np.zeros(head.grid.shape, dtype=np.float32)
    for (centre, radius), place, size in zip(_AIR, places, sizes):
        own = shape.from_template(np.array(centre) + _PLACE * np.clip(place, -2, 2))
        field += air(points, own, radius * float(np.exp(_SIZE * np.clip(size, -2, 2))))
    brain = head.fractions["gm"] + head.fractions["wm"] > 0.5
    shimmed = field - harmonics(points, brain, field)
    weight = REGIONS["vmpfc"].weight(head.template_points) * brain
    mean = float((weight * shimmed).sum(dtype=np.float64) / weight.sum(dtype=np.float64))
    own_hertz = hertz * (1 + spread * float(np.clip(rng.standard_normal(), -2, 2)))
    return shimmed * np.float32(own_hertz / mean)


def air(points: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """The field around a sphere of air, zero in it; 2 at its poles along z and -1 at its equator.

    Parameters
    ----------
    points : ndarray of shape (..., 3)
        RAS+ mm.
    centre : ndarray of shape (3,)
    radius : float
        mm.

    Returns
    -------
    ndarray of shape (...), float32
    """
    offset = points - centre.astype(np.float32)
    square = np.maximum((offset**2).sum(axis=-1), np.float32(1e-3))
    dipole = (np.float32(radius**2) / square) ** np.float32(1.5) * (3 * offset[..., 2] ** 2 / square - 1)
    return np.where(square < radius**2, np.float32(0), dipole)


def harmonics(points: np.ndarray, brain: np.ndarray, field: np.ndarray) -> np.ndarray:
    """What shims of second order make of a field: its least-squares fit over the brain.

    Parameters
    ----------
    points : ndarray of shape (X, Y, Z, 3)
    brain : ndarray of bool, shape (X, Y, Z)
    field : ndarray of shape (X, Y, Z)

    Returns
    -------
    ndarray of shape (X, Y, Z), float32
    """
    middle = points[brain].mean(axis=0, dtype=np.float64).astype(np.float32)
    chosen = np.stack(list(_harmonics(points[brain][::_EVERY], middle)), axis=-1).astype(np.float64)
    coefficients = np.linalg.lstsq(chosen, field[brain][::_EVERY], rcond=None)[0].astype(np.float32)
    total = np.zeros(field.shape, dtype=np.float32)
    for coefficient, term in zip(coefficients, _harmonics(points, middle)):
        total += coefficient * term
    return total


def _harmonics(points: np.ndarray, middle: np.ndarray) -> Iterator[np.ndarray]:
    """Solid harmonics up to the second order at points of shape (..., 3), by decimetres from a middle."""
    x, y, z = np.moveaxis((points - middle) / np.float32(100), -1, 0)
    yield from (np.ones_like(x), x, y, z)
    yield from (x * y, x * z, y * z, x * x - y * y, 2 * z * z - x * x - y * y)
