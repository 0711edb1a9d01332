"""Deformable registration of a T1-weighted image to the template by greedy (Yushkevich et al. 2016) or by ANTs.

Either fits an affine map and then a diffeomorphism; greedy by the local correlation of the two images in a window of 5 x 5
x 5 voxels. Both become one dense field on a grid of 2 mm over the template, and its inverse one over the T1w image.
"""

import contextlib
import ctypes
import io
import logging
import os
import sys
import tempfile
from importlib import metadata

import numpy as np
from scipy import ndimage

from pharmasl.anatomy import ants_fit
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.space import fields, images, resample, transforms
from pharmasl.space.images import Grid

LOG = logging.getLogger(__name__)

# What each backend heeds.
DEFAULTS = {
    "greedy": {"resolution": 1, "affine_iterations": "100x0x0", "warp_iterations": "100x50x0", "seed": 1},
    "ants": {"resolution": 1, "ants_transform": ants_fit.TRANSFORM, "seed": 1},
}
SOFTWARE = {"greedy": ("greedy", "picsl-greedy"), "ants": ("ANTs", "antspyx")}
FIELD_SPACING = 2.0  # mm, of the fields that are written
MARGIN = 6.0  # mm around the brain that greedy sees: all of the field of view that it needs
# More folding than this is reported. Real heads that are fitted correlate with the template by 0.82 to 0.95, heads that
# lie the wrong way round by up to 0.57, noise by 0.1.
TOLERATED_FOLDS = 0.001
LOWEST_CORRELATION = 0.7
# One thread: greedy's sums over voxels, and so its result, depend on how many there are.
GREEDY = "-V 0 -threads 1 -seed {seed} -float -m NCC 2x2x2"

_RIM = 6.0  # mm
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def normalise(preproc, mask, template, forward, inverse, sidecar, **registration):
    """Register the files of one person to the template and write both fields and what there is to know of them.

    Parameters
    ----------
    preproc, mask : path-like
        Bias-corrected T1w and its brain mask.
    template : path-like
        T1w of the template, brain only, 0 outside.
    forward, inverse : path-like
        Written: ITK displacement fields. ``forward`` lies over the template and brings T1w images there, ``inverse`` lies
        over the T1w image and brings template images there.
    sidecar : path-like
        Written: JSON with methods, settings and checks.
    **registration
        Of :func:`register`.

    Raises
    ------
    InputError
        If the fit is no fit, or the backend is not installed.
    """
    backend, settings = chosen(**registration)
    head, affine = images.load(preproc)
    inside = images.load(mask, dtype=np.uint8)[0] > 0
    target, target_affine = images.load(template)
    field, field_affine = register(head * inside, affine, target, target_affine, **registration)
    field = fields.rounded(field, field_affine)

    grid = coarse_grid(Grid(head.shape, affine), FIELD_SPACING)
    back, failed = fields.invert(field, field_affine, transforms.points(grid))
    back = fields.rounded(back, grid.affine)

    facts = check(field, field_affine, back, grid.affine, head * inside, affine, inside, target, target_affine)
    facts["inverse_unconverged_share"] = failed / np.prod(grid.shape)
    if facts["template_correlation"] < LOWEST_CORRELATION:
        raise InputError(
            file=preproc,
            field="correlation with the template after registration",
            found=f"{facts['template_correlation']:.2f}",
            expected=f"at least {LOWEST_CORRELATION}",
            fix="Look at the T1w, its brain mask and the orientation in its header: the head may lie on its side or be "
            "mirrored there.",
        )
    if facts["folded_share"] > TOLERATED_FOLDS:
        LOG.warning("the field folds in %.2f %% of the template's brain", 100 * facts["folded_share"])
    transforms.write_field(forward, field, field_affine)
    transforms.write_field(inverse, back, grid.affine)
    tables.write_json(
        sidecar,
        {
            "Description": "Affine and deformable registration of the T1w image to the template, composed into one map",
            "Software": SOFTWARE[backend][0],
            "SoftwarePackage": SOFTWARE[backend][1],
            "SoftwareVersion": metadata.version(SOFTWARE[backend][1]),
            "Settings": settings,
            "Checks": facts,
            "ChecksDescription": {
                "template_correlation": "Pearson correlation of the warped T1w with the template, 6 mm within its brain",
                "folded_share": "share of the template's brain where the Jacobian determinant is 0 or less",
                "folding_tolerated": f"whether that is at most {TOLERATED_FOLDS}",
                "jacobian_percentiles": "Jacobian determinant in the template's brain: percentiles 0.1, 50, 99.9",
                "inverse_error_mm": "distance to where a brain voxel of the T1w returns: median, 95th percentile",
                "inverse_unconverged_share": "share of the inverse field's nodes, mostly outside the head, "
                "where the inversion stopped above 0.002 mm",
            },
        },
    )


def chosen(backend="greedy", **registration):
    """The backend and the settings that it heeds, those not given at their defaults."""
    defaults = DEFAULTS[backend]
    return backend, {key: registration.get(key, value) for key, value in defaults.items()}


def register(brain, affine, template, template_affine, **registration):
    """The map of template points to the points of a brain image that look alike.

    Parameters
    ----------
    brain : ndarray of shape (X, Y, Z)
        T1-weighted intensities, 0 outside the brain.
    affine : ndarray of shape (4, 4)
    template : ndarray of shape (U, V, W)
        T1-weighted, 0 outside the brain.
    template_affine : ndarray of shape (4, 4)
    resolution : float
        Voxel size (mm) at which the images are compared at last: 1 or 2 (several times faster, less exact).
    backend : str
        ``"greedy"`` or ``"ants"``, which must be installed.
    affine_iterations, warp_iterations : str
        Of greedy: numbers of iterations at 4, 2 and 1 mm, such as ``"100x50x0"``. At a resolution of 2 the last is not run.
    ants_transform : str
        Of ANTs: the transform that ``ants.registration`` fits.
    seed : int
        Of the backend's random numbers.

    Returns
    -------
    field : ndarray of shape (U', V', W', 3)
        RAS+ mm in the brain image of each node of a grid of 2 mm over the template.
    field_affine : ndarray of shape (4, 4)
        Of that grid, whose first node is the template's first voxel.

    Raises
    ------
    InputError
        If the backend is not installed.
    """
    backend, settings = chosen(**registration)
    resolution = settings["resolution"]
    fixed, fixed_affine, fixed_grid, first = _prepared(template, template_affine, resolution)
    moving, moving_affine, _, _ = _prepared(brain, affine, resolution)

    if backend == "ants":
        transform, seed = settings["ants_transform"], settings["seed"]
        matrix, warp = ants_fit.fit(fixed, fixed_affine, moving, moving_affine, transform=transform, seed=seed)
    else:
        matrix, warp = _greedy(fixed, fixed_affine, moving, moving_affine, settings)
    # What was fitted is a part of the template's grid: beyond it, the displacement at its border goes on.
    beyond = [(start, length - start - seen) for start, length, seen in zip(first, fixed_grid.shape, fixed.shape)]
    warp = np.pad(warp, [*beyond, (0, 0)], mode="edge")
    size = np.sqrt((fixed_grid.affine[:3, :3] ** 2).sum(axis=0))
    step = np.maximum(1, np.round(FIELD_SPACING / size)).astype(int)
    field_affine = fixed_grid.affine @ np.diag([*step, 1.0])
    warp = warp[:: step[0], :: step[1], :: step[2]]
    nodes = transforms.points(Grid(warp.shape[:3], field_affine))
    return transforms.apply(matrix, nodes + warp), field_affine


def _greedy(fixed, fixed_affine, moving, moving_affine, settings):
    """Greedy's affine matrix, and the displacement (RAS+ mm) of the fixed image's voxels that comes before it."""
    import SimpleITK as sitk
    from picsl_greedy import Greedy3D

    greedy, said = Greedy3D(), io.StringIO()
    options = GREEDY.format(seed=int(settings["seed"]))
    names = {"fixed": _itk(fixed, fixed_affine), "moving": _itk(moving, moving_affine)}

    # greedy finds images and results by name in memory: no file, and no path in a command line.
    def run(command, kind, result):
        levels = _levels(settings[f"{kind}_iterations"], settings["resolution"])
        with _quiet():
            greedy.execute(
                f"{options} -i fixed moving -n {levels} {command} -o {result}", out=said, **names, **{result: None}
            )
        names.clear()
        return greedy[result]

    matrix = np.array(run("-a -dof 12 -ia-image-centers", "affine", "matrix"), dtype=np.float64)
    warp = sitk.GetArrayFromImage(run("-it matrix", "warp", "warp")).transpose(2, 1, 0, 3).astype(np.float64)
    warp[..., :2] *= -1  # ITK's LPS to RAS; greedy's matrix is RAS already
    return matrix, warp


def check(field, field_affine, back, back_affine, brain, affine, inside, template, template_affine):
    """Measures of a registration: see ``ChecksDescription`` of :func:`normalise`'s sidecar."""
    grid = Grid(field.shape[:3], field_affine)
    here = resample.resample(template, template_affine, transforms.points(grid), fill=0)
    body = here > 0
    # The rim is left out: any two brains share an outline after registration, but only a right fit shares what's inside.
    layers = max(1, round(_RIM / np.abs(np.linalg.det(field_affine[:3, :3])) ** (1 / 3)))
    inner = ndimage.binary_erosion(ndimage.binary_fill_holes(body), iterations=layers)
    warped = resample.resample(brain, affine, field[inner], fill=0)
    volume = fields.jacobian(field, field_affine)[body]
    voxels = np.argwhere(inside)[::29].astype(np.float64)
    points = transforms.apply(affine, voxels)
    error = fields.sample(field, field_affine, fields.sample(back, back_affine, points)) - points
    distance = np.sqrt((error**2).sum(axis=-1))
    folded = float((volume <= 0).mean())
    return {
        "template_correlation": round(float(np.corrcoef(warped, here[inner])[0, 1]), 4),
        "folded_share": folded,
        "folding_tolerated": folded <= TOLERATED_FOLDS,
        "jacobian_percentiles": [round(float(v), 3) for v in np.percentile(volume, [0.1, 50, 99.9])],
        "inverse_error_mm": [round(float(v), 4) for v in np.percentile(distance, [50, 95])],
    }


def coarse_grid(grid, spacing):
    """A grid along the same axes, from the first voxel's centre to at least the last's, with nodes ``spacing`` mm apart.

    Axes whose voxels are larger than that keep them.
    """
    size = np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0))
    step = np.maximum(1.0, spacing / size)
    shape = tuple(int(np.ceil((n - 1) / s - 1e-9)) + 1 for n, s in zip(grid.shape, step))
    return Grid(shape, grid.affine @ np.diag([*step, 1.0]))


def _prepared(volume, affine, resolution):
    """A volume at a coarser resolution, cut to its non-zero part and a margin: data, affine, uncut grid, first voxel."""
    grid = coarse_grid(Grid(volume.shape, affine), resolution)
    step = np.diag(np.linalg.inv(affine) @ grid.affine)[:3]
    if (step > 1).any():
        # The Gaussian that a voxel of the coarse grid is wider than one of the fine, in standard deviations.
        blur = np.sqrt(np.maximum(step**2 - 1, 0)) / resample.FWHM_PER_SIGMA
        volume = ndimage.gaussian_filter(volume, blur, truncate=3)
        volume = resample.resample(volume, affine, transforms.points(grid), fill=0)
    size = np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0))
    margin = np.ceil(MARGIN / size).astype(int)
    box = ndimage.find_objects((volume > 1e-3 * volume.max()).astype(np.int8))[0]
    box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(box, margin))
    first = np.array([s.start for s in box])
    cut = grid.affine.copy()
    cut[:3, 3] = transforms.apply(grid.affine, first.astype(np.float64))
    return np.ascontiguousarray(volume[box]), cut, grid, first


def _itk(volume, affine):
    """A SimpleITK image with the orientation of a NIfTI affine."""
    import SimpleITK as sitk

    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    lps = _LPS @ affine
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.T, dtype=np.float32))
    image.SetSpacing(size.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / size).ravel().tolist())
    return image


def _levels(iterations, resolution):
    """Greedy's ``-n``: the iterations at 4, 2 and 1 mm, without the last at a resolution of 2 mm."""
    levels = [int(n) for n in str(iterations).split("x")]
    if resolution >= 2 and len(levels) > 2:
        levels = levels[:2]
    return "x".join(str(n) for n in levels)


@contextlib.contextmanager
def _quiet():
    """Log what a library prints by itself past Python: the optimiser calls a search that has converged a failed one."""
    flush = ctypes.CDLL(None).fflush  # C's own buffer of what it printed
    sys.stdout.flush()
    flush(None)
    kept = os.dup(1)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 1)
        try:
            yield
        finally:
            flush(None)
            os.dup2(kept, 1)
            os.close(kept)
            said.seek(0)
            LOG.debug("greedy: %s", said.read().decode(errors="replace").strip())
