"""Heads: the tissues of the ICBM template in a person's shape, with a scalp, a skull and a face around them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import ndimage

from pharmasl.simulate import smooth_noise
from pharmasl.simulate.deformation import Deformation
from pharmasl.space import images, resample, transforms
from pharmasl.space.images import Grid
from pharmasl.space.packaged import nilearn_file

TISSUES = ("gm", "wm", "csf")
AXES = (0, 1, 2)

# T1-weighted intensities at 3 T, white matter 100 (MPRAGE-like).
_T1W = {"gm": 66.0, "wm": 100.0, "csf": 22.0}

# Margins of the T1w image below and above the brain's box, mm: scalp, and neck and face.
_MARGIN = np.array([[26.0, 26.0, 52.0], [26.0, 34.0, 24.0]])

# mm from the brain's hull to the skin; how many times as far it is at most; and how far beyond a surface its soft edge ends.
_SCALP, _THICKEST, _EDGE = 14.0, 1.5, 0.6 + 1e-6
# Left and right.
_SIDES = (-1.0, 1.0)

# Centres and radii of face and neck, template mm; the neck ends at a height.
_FACE = (0.0, 42.0, -72.0), (62.0, 52.0, 62.0)
_NECK, _NECK_TOP = ((0.0, -38.0, -115.0), (58.0, 62.0, 90.0)), -45.0

# Voxel size (mm) at which the distance to the brain is computed: it is smooth.
_HULL_SPACING = 3.0


@dataclass(frozen=True)
class Template:
    """The template's tissues.

    Attributes
    ----------
    grid : images.Grid
    fractions : mapping of str to ndarray
        ``gm``, ``wm``, ``csf``: shares of the voxel with sum one in the brain.
    texture : ndarray
        What the tissue shares do not explain of the template's T1w, relative to white matter.
    hull : ndarray
        Signed distance (mm, positive outside) to the brain's closed hull, on ``hull_grid``.
    hull_grid : images.Grid
        Reaches 60 mm beyond ``grid``.
    low, high : ndarray of shape (3,)
        Corners (mm) of the brain's box.
    centre : ndarray of shape (3,)
        Of the box.
    """

    grid: Grid
    fractions: Mapping[str, np.ndarray]
    texture: np.ndarray
    hull: np.ndarray
    hull_grid: Grid
    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class Head:
    """A person's head on the grid of the T1w image.

    Attributes
    ----------
    grid : images.Grid
    fractions : mapping of str to ndarray
        ``gm``, ``wm``, ``csf`` and ``other`` (scalp, muscle, marrow).
    mask : ndarray of bool
        The brain with its CSF.
    fed : ndarray of bool
        Where there is any grey or white matter.
    t1w : ndarray
        Without bias field and noise, white matter 100.
    template_points : ndarray of shape (X, Y, Z, 3)
        The voxels' places in the template, mm.
    """

    grid: Grid
    fractions: Mapping[str, np.ndarray]
    mask: np.ndarray
    fed: np.ndarray
    t1w: np.ndarray
    template_points: np.ndarray

    @functools.cached_property
    def fed_points(self) -> np.ndarray:
        """The places in the template of the voxels that blood feeds: ndarray of shape (N, 3)."""
        return self.template_points[self.fed]

    @functools.cached_property
    def fed_fractions(self) -> Mapping[str, np.ndarray]:
        """The fractions of grey and white matter in them, each of shape (N,)."""
        return {name: self.fractions[name][self.fed] for name in ("gm", "wm")}


def read_template(step: int = 1) -> Template:
    """The template of nilearn, the ICBM 152 2009a symmetric.

    Parameters
    ----------
    step : int
        Keep every ``step``-th voxel along each axis, for tests.

    Returns
    -------
    Template
    """
    volumes = {}
    for name in ("t1", "gm", "wm"):
        data, affine = images.load(nilearn_file(name))
        volumes[name] = data[::step, ::step, ::step] / np.float32(255)
    affine = affine @ np.diag([step, step, step, 1.0])
    return make_template(volumes["t1"], volumes["gm"], volumes["wm"], affine)


def make_template(t1: np.ndarray, gm: np.ndarray, wm: np.ndarray, affine: np.ndarray) -> Template:
    """A template from a T1w image and tissue shares, all from 0 to 1 and of one shape (X, Y, Z)."""
    brain = (t1 > 0) | (gm + wm > 0.5)
    csf = np.clip(1 - gm - wm, 0, 1) * brain
    # The template is a mean of many brains, and its cortex is blurred; squares make it as crisp as one person's.
    squares = {"gm": gm * gm, "wm": wm * wm, "csf": csf * csf}
    total = sum(squares.values(), start=np.float32(0))
    scale = np.where(brain, 1 / np.maximum(total, 1e-6), 0).astype(np.float32)
    fractions = {name: square * scale for name, square in squares.items()}
    expected = sum(
        (share * t1[brain & (share > 0.95)].mean() for share in fractions.values() if (brain & (share > 0.95)).any()),
        start=np.zeros((), dtype=np.float32),
    )
    texture = np.where(brain, t1 - expected, 0) / t1[brain].max()

    corners = np.argwhere(brain)
    ends = transforms.apply(affine, np.stack([corners.min(axis=0), corners.max(axis=0)]).astype(np.float64))
    low, high = ends.min(axis=0), ends.max(axis=0)
    hull_grid = smooth_noise.box(low - 60, high + 60, _HULL_SPACING)
    inside = resample.resample(brain, affine, transforms.points(hull_grid), fill=0.0) > 0.5
    inside = ndimage.binary_closing(inside, iterations=3)
    hull = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    hull = ndimage.gaussian_filter(hull * _HULL_SPACING, 1.0)
    return Template(
        Grid(brain.shape, affine), fractions, texture.astype(np.float32), hull, hull_grid, low, high, (low + high) / 2
    )


def _band(distance: np.ndarray, start: float, end: float, width: float = 1.2) -> np.ndarray:
    """One between two distances (mm), zero elsewhere, with edges about as wide as a voxel."""
    return np.clip((distance - start) / width + 0.5, 0, 1) * np.clip((end - distance) / width + 0.5, 0, 1)


def _ellipsoid(points: np.ndarray, centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Signed distance of points of shape (N, 3) to an ellipsoid, to first order, mm."""
    out = np.empty(len(points))
    _to_ellipsoid(points, np.array(centre), np.array(radii), np.mean(radii), out)
    return out


@njit(cache=True, nogil=True)
def _to_ellipsoid(points, centre, radii, scale, out):
    for i in range(points.shape[0]):
        x = (points[i, 0] - centre[0]) / radii[0]
        y = (points[i, 1] - centre[1]) / radii[1]
        z = (points[i, 2] - centre[2]) / radii[2]
        out[i] = (np.sqrt(x * x + y * y + z * z) - 1) * scale


def _surroundings(
    rng: np.random.Generator, template: Template, points: np.ndarray, brain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Intensity (white matter 100) around the brain at template points, and the share that gives signal in EPI.

    Parameters
    ----------
    rng : numpy.random.Generator
    template : Template
    points : ndarray of shape (X, Y, Z, 3)
    brain : ndarray of shape (X, Y, Z)
        Share of brain: where it is one, what is around it is not worked out, and both are zero.
    """
    last = transforms.apply(template.hull_grid.affine, np.array(template.hull_grid.shape) - 1.0)
    near, distance = np.empty(brain.shape, dtype=np.bool_), np.empty(brain.shape, dtype=np.float32)
    # A plane at a time stays in the processor's cache.
    for own, plane, tissue, to_hull in zip(near, points, brain, distance):
        inside_box = np.clip(plane, template.hull_grid.affine[:3, 3], last)
        to_hull[:] = resample.resample(template.hull, template.hull_grid.affine, inside_box)
        _mark_near(plane, tissue, to_hull, _PARTS, own)
    whole = np.zeros((2, *brain.shape), dtype=np.float32)
    whole[:, near] = _around(rng, template, points[near], distance[near])
    return whole[0], whole[1]


@njit(cache=True, nogil=True)
def _mark_near(points, brain, distance, parts, out):
    """Mark the points of a plane at which something may lie around the brain: by the hull, or in one of some ellipsoids."""
    for j in range(points.shape[0]):
        for k in range(points.shape[1]):
            near = distance[j, k] < np.float32((_SCALP + _EDGE) * _THICKEST)
            if brain[j, k] < 1 and not near:
                for n in range(parts.shape[0]):
                    near = near or _is_within(points[j, k], parts[n])
            out[j, k] = near and brain[j, k] < 1


@njit(cache=True, nogil=True)
def _is_within(point, part):
    """Whether a point lies in an ellipsoid or nearly so, and below its ceiling: centre, radii, their mean, ceiling."""
    reach = 1 + 1.001 * _EDGE / part[6]
    if point[2] >= part[7] + _EDGE:
        return False
    for axis in range(3):
        # Most points are far away.
        if abs(point[axis] - part[axis]) > reach * part[3 + axis]:
            return False
    x, y, z = (point[0] - part[0]) / part[3], (point[1] - part[1]) / part[4], (point[2] - part[2]) / part[5]
    return (np.sqrt(x * x + y * y + z * z) - 1) * part[6] < _EDGE


def _face(points: np.ndarray) -> np.ndarray:
    return _ellipsoid(points, *_FACE)


def _neck(points: np.ndarray) -> np.ndarray:
    """The neck, which begins below the occiput."""
    return np.maximum(_ellipsoid(points, *_NECK), points[:, 2] - _NECK_TOP)


def _eye(side: float) -> tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]:
    """Centres and radii of an orbit and of the eye in it."""
    orbit = (32.0 * side, 58.0, -38.0), (18.0, 24.0, 18.0)
    return orbit, ((32.0 * side, 66.0, -37.0), (12.0, 12.0, 12.0))


# Face, neck, orbits and eyes, as :func:`_is_within` takes them.
_PARTS = np.array(
    [
        [*centre, *radii, np.mean(radii), ceiling]
        for (centre, radii), ceiling in (
            (_FACE, np.inf),
            (_NECK, _NECK_TOP),
            *((part, np.inf) for side in _SIDES for part in _eye(side)),
        )
    ]
)


def _around(
    rng: np.random.Generator, template: Template, points: np.ndarray, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`_surroundings` gives, at points of shape (N, 3) that lie so far (mm) from the brain's hull."""
    low, high = template.low - 55, template.high + 55
    thickness = 1 + 0.15 * smooth_noise.sample(rng, points, 20.0, low, high)
    layer = distance / np.clip(thickness, 0.6, _THICKEST)
    outside = np.minimum(np.minimum(layer - _SCALP, _face(points)), _neck(points))

    muscle = 48 + 9 * smooth_noise.sample(rng, points, 4.0, low, high)
    fat = 112 + 8 * smooth_noise.sample(rng, points, 6.0, low, high)
    tissue = muscle + (fat - muscle) * _band(outside, -5.5, -1.5)
    tissue *= np.clip(0.5 - outside / 1.2, 0, 1)

    # Compact bone, marrow between its tables; at the skull's base the bone is there too, under face and neck.
    marrow = 48 + 10 * smooth_noise.sample(rng, points, 8.0, low, high)
    bone = 7 + (marrow - 7) * _band(layer, 3.8, 6.6)
    skull = _band(layer, 1.8, 8.6)
    tissue += (bone - tissue) * skull
    fluid = np.clip((1.8 - layer) / 1.2 + 0.5, 0, 1)
    tissue += (_T1W["csf"] - tissue) * fluid

    soft = np.clip(0.5 - outside / 1.2, 0, 1) * (1 - skull) * (1 - fluid) + 0.5 * skull * _band(layer, 3.8, 6.6)
    soft = _add_face(points, layer, tissue, soft)
    return np.clip(tissue, 0, None).astype(np.float32), soft.astype(np.float32)


def _add_face(points: np.ndarray, layer: np.ndarray, tissue: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """Add orbits, eyes and the air of nose and throat to ``tissue``; returns the soft tissue with them."""
    for side in _SIDES:
        orbit, eye = (_ellipsoid(points, *part) for part in _eye(side))
        free = layer > 3
        for part, value in ((orbit, 96.0), (eye, 20.0)):
            share = np.clip(0.5 - part / 1.2, 0, 1) * free
            tissue += (value - tissue) * share
        soft = np.maximum(soft, np.clip(0.5 - orbit / 1.2, 0, 1) * free * 0.6)
    for centre, radii in (((0.0, 62.0, -62.0), (13.0, 20.0, 24.0)), ((0.0, 20.0, -92.0), (11.0, 14.0, 30.0))):
        air = np.clip(0.5 - _ellipsoid(points, centre, radii) / 1.2, 0, 1) * (layer > 4)
        tissue *= 1 - air
        soft *= 1 - air
    return soft


def t1w_grid(template: Template, shape: Deformation, voxel_size: float) -> Grid:
    """The grid of a T1w image, centred so that the whole head lies in it.

    Parameters
    ----------
    template : Template
    shape : deformation.Deformation
    voxel_size : float
        mm, isotropic.

    Returns
    -------
    images.Grid
        Slightly oblique, as scanners' grids are.
    """
    low, high = template.low - _MARGIN[0], template.high + _MARGIN[1]
    extent = (high - low) * 1.04
    centre = transforms.apply(np.linalg.inv(shape.matrix), (low + high) / 2)
    counts = np.ceil(extent / voxel_size).astype(int)
    affine = transforms.rigid_matrix(np.zeros(3), np.deg2rad([3.0, -1.5, 1.0]), np.zeros(3)) @ np.diag(
        [voxel_size] * 3 + [1.0]
    )
    affine[:3, 3] = centre - affine[:3, :3] @ ((counts - 1) / 2)
    return Grid(tuple(int(n) for n in counts), affine)


def head(rng: np.random.Generator, template: Template, shape: Deformation, grid: Grid) -> Head:
    """A person's head.

    Parameters
    ----------
    rng : numpy.random.Generator
    template : Template
    shape : deformation.Deformation
    grid : images.Grid
        Of the T1w image.

    Returns
    -------
    Head
    """
    points = shape.to_template(transforms.points(grid))

    volumes = np.stack([*(template.fractions[name] for name in TISSUES), template.texture], axis=-1)
    warped = {name: np.empty(grid.shape, dtype=np.float32) for name in (*TISSUES, "texture")}
    for i, plane in enumerate(points):
        many = resample.resample_many(volumes, template.grid.affine, plane, fill=0.0)
        for number, volume in enumerate(warped.values()):
            volume[i] = many[..., number]
    texture = warped.pop("texture")
    fractions = warped
    nothing = np.float32(0)
    brain = np.minimum(sum(fractions.values(), start=nothing), 1)
    surroundings, soft = _surroundings(rng, template, points, brain)
    t1w = sum((fractions[name] * _T1W[name] for name in TISSUES), start=nothing)
    t1w = t1w + 60 * texture + (1 - brain) * surroundings
    fractions["other"] = (1 - brain) * soft
    fed = fractions["gm"] + fractions["wm"] > 0
    return Head(grid, fractions, brain > 0.5, fed, np.clip(t1w, 0, None).astype(np.float32), points)


def scanned(rng: np.random.Generator, head: Head, bias: float, noise: float) -> np.ndarray:
    """The T1w image with a receive field and Rician noise.

    Parameters
    ----------
    rng : numpy.random.Generator
    head : Head
    bias : float
        Largest departure of the receive field from one.
    noise : float
        Standard deviation of the noise of each channel, as a share of white matter.

    Returns
    -------
    ndarray of int16
        White matter about 1000.
    """
    field = receive_field(rng, head.grid, bias)
    deviation = np.float32(100 * noise)
    real = head.t1w * field
    real += deviation * rng.standard_normal(real.shape, dtype=np.float32)
    imaginary = deviation * rng.standard_normal(real.shape, dtype=np.float32)
    return np.rint(10 * np.hypot(real, imaginary)).astype(np.int16)


def receive_field(rng: np.random.Generator, grid: Grid, amplitude: float) -> np.ndarray:
    """A smooth field between ``1 - amplitude`` and ``1 + amplitude`` on a grid, float32."""
    corners = transforms.apply(grid.affine, np.array([[0.0, 0, 0], np.array(grid.shape) - 1.0]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    coarse = smooth_noise.box(low, high, 20.0)
    field = smooth_noise.gaussian(rng, coarse, 50.0)
    field = 1 + amplitude * (2 * (field - field.min()) / np.ptp(field) - 1)
    points = np.clip(transforms.points(grid), low, high)
    return resample.resample(field, coarse.affine, points)
