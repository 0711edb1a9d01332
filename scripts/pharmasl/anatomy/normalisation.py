"""Deformable registration of a T1-weighted image to the template by greedy (Yushkevich et al. 2016) or by ANTs.

Either fits an affine map and then a diffeomorphism; greedy by the local correlation of the two images in a window of 5 x 5
x 5 voxels. Both become one dense field on a grid of 2 mm over the template; its inverse is computed from it.
"""

import contextlib
import ctypes
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from pharmasl.anatomy import ants_fit
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.space import fields, images, inverse_fields, itk_transforms, resample, transforms
from pharmasl.space.images import Grid, Volume
from pharmasl.study.settings import Registration

LOG = logging.getLogger(__name__)

# Names of the settings that each backend uses.
SETTINGS = {
    "greedy": ("resolution", "affine_iterations", "warp_iterations", "seed"),
    "ants": ("resolution", "ants_transform", "seed"),
}
SOFTWARE = {"greedy": ("greedy", "picsl-greedy"), "ants": ("ANTs", "antspyx")}
FIELD_SPACING = 2.0  # mm, of the field that is written
MARGIN = 6.0  # mm around the brain that the fit uses: all of the field of view that it needs
# More folding than this is reported. Real heads that are fitted correlate with the template by 0.82 to 0.95, heads that
# lie the wrong way round by up to 0.57, noise by 0.1.
TOLERATED_FOLDS = 0.001
LOWEST_CORRELATION = 0.7
CHECKS = {
    "template_correlation": "Pearson correlation of the warped T1w with the template, 6 mm within its brain",
    "folded_share": "share of the template's brain where the Jacobian determinant is 0 or less",
    "folding_tolerated": f"whether that is at most {TOLERATED_FOLDS}",
    "jacobian_percentiles": "Jacobian determinant in the template's brain: percentiles 0.1, 50, 99.9",
    "inverse_error_mm": "distance to where a brain voxel of the T1w returns: median, 95th percentile",
    "inverse_unconverged_share": "share of the inverse field's nodes in the brain where the inversion stopped above 0.002 mm",
}
# One thread: greedy's sums over voxels, and so its result, depend on their number.
GREEDY = "-V 0 -threads 1 -seed {seed} -float -m NCC 2x2x2"

_RIM = 6.0  # mm


def normalise(
    preproc: FilePath,
    mask: FilePath,
    template: FilePath,
    *,
    forward: FilePath,
    sidecar: FilePath,
    registration: Registration,
) -> None:
    """Register the T1w of one person to the template; write the map and a record of it.

    Parameters
    ----------
    preproc, mask : path-like
        Bias-corrected T1w and its brain mask.
    template : path-like
        T1w of the template, brain only, 0 outside.
    forward : path-like
        Written: an ITK displacement field, which lies over the template and brings T1w images there.
    sidecar : path-like
        Written: JSON with methods, settings and checks.
    registration : settings.Registration

    Raises
    ------
    InputError
        If the registration failed, or the backend is not installed.
    """
    head = images.load(preproc)
    inside = images.load(mask, dtype=np.uint8).data > 0
    brain, target = Volume(head.data * inside, head.affine), images.load(template)
    field, field_affine = register(brain, target, registration)
    fit = checked(Volume(field, field_affine), head, inside, target)
    if fit.measures["template_correlation"] < LOWEST_CORRELATION:
        raise unlike_template(
            preproc,
            fit.measures,
            "Look at the T1w, its brain mask and the orientation in its header: the head may lie on its side or be "
            "mirrored there.",
        )
    LOG.info(
        "registration by %s: correlation with the template %.3f",
        registration.backend,
        fit.measures["template_correlation"],
    )
    fit.write(forward)
    tables.write_json(sidecar, _record(registration, fit.measures))


class Fit(NamedTuple):
    """A map of template points to points of a T1w image, and measures of it.

    Attributes
    ----------
    forward : images.Volume
        RAS+ mm, with the affine of its grid.
    measures : dict
        By the names of :data:`CHECKS`.
    """

    forward: Volume
    measures: dict[str, Any]

    def write(self, forward: FilePath) -> None:
        """Write the map as an ITK displacement field."""
        if self.measures["folded_share"] > TOLERATED_FOLDS:
            LOG.warning("the field folds in %.2f %% of the template's brain", 100 * self.measures["folded_share"])
        transforms.write_field(forward, *self.forward)


def checked(field: Volume, head: Volume, inside: np.ndarray, template: Volume) -> Fit:
    """A map of template points to points of a T1w image with its measures.

    Parameters
    ----------
    field : images.Volume
        RAS+ mm in the T1w image of each node of a grid over the template.
    head, template : images.Volume
        T1-weighted; the template's is 0 outside the brain.
    inside : ndarray of bool
        Brain mask of ``head``.

    Returns
    -------
    Fit
    """
    forward = Volume(fields.rounded(*field), field.affine)
    return Fit(forward, check(forward, Volume(head.data * inside, head.affine), inside, template))


def unlike_template(file: FilePath, measures: Mapping[str, Any], fix: str) -> InputError:
    """The error of a registration after which a T1w image is not like the template."""
    return InputError(
        file=file,
        field="correlation with the template after registration",
        found=f"{measures['template_correlation']:.2f}",
        expected=f"at least {LOWEST_CORRELATION}",
        fix=fix,
    )


def _record(registration: Registration, measures: dict[str, Any]) -> dict[str, Any]:
    """The content of the sidecar of a registration."""
    software, distribution = SOFTWARE[registration.backend]
    return {
        "Description": "Affine and deformable registration of the T1w image to the template, composed into one map",
        "Software": software,
        "SoftwarePackage": distribution,
        "SoftwareVersion": metadata.version(distribution),
        "Settings": {name: getattr(registration, name) for name in SETTINGS[registration.backend]},
        "Checks": measures,
        "ChecksDescription": CHECKS,
    }


def register(brain: Volume, template: Volume, registration: Registration) -> tuple[np.ndarray, np.ndarray]:
    """The map of template points to corresponding points of a brain image.

    Parameters
    ----------
    brain : images.Volume
        T1-weighted intensities, 0 outside the brain.
    template : images.Volume
        T1-weighted, 0 outside the brain.
    registration : settings.Registration
        ``resolution``: the finest voxel size (mm) at which the images are compared. ``affine_iterations`` and
        ``warp_iterations`` of greedy: numbers at 4, 2 and 1 mm, such as ``"100x50x0"``; at a resolution of 2 the last
        level is not run. ``ants_transform``: the transform that ``ants.registration`` fits.

    Returns
    -------
    field : ndarray of shape (U, V, W, 3)
        RAS+ mm in the brain image of each node of a grid of 2 mm over the template.
    field_affine : ndarray of shape (4, 4)
        Of that grid, whose first node is the template's first voxel.

    Raises
    ------
    InputError
        If the backend is not installed.
    """
    fixed = _prepared(template, registration.resolution)
    moving = _prepared(brain, registration.resolution)
    if registration.backend == "ants":
        matrix, warp = ants_fit.fit(
            fixed.volume, moving.volume, transform=registration.ants_transform, seed=registration.seed
        )
    else:
        matrix, warp = _greedy(fixed.volume, moving.volume, registration)
    # The fit covers a part of the template's grid: beyond it, the displacement at its border continues.
    beyond = [
        (start, length - start - fitted)
        for start, length, fitted in zip(fixed.first, fixed.grid.shape, fixed.volume.data.shape)
    ]
    warp = np.pad(warp, [*beyond, (0, 0)], mode="edge")
    step = np.maximum(1, np.round(FIELD_SPACING / voxel_sizes(fixed.grid.affine))).astype(int)
    field_affine = fixed.grid.affine @ np.diag([*step, 1.0])
    warp = warp[:: step[0], :: step[1], :: step[2]]
    nodes = transforms.points(Grid(warp.shape[:3], field_affine))
    return transforms.apply(matrix, nodes + warp), field_affine


def _greedy(fixed: Volume, moving: Volume, registration: Registration) -> tuple[np.ndarray, np.ndarray]:
    """Greedy's affine matrix, and the displacement (RAS+ mm) of the fixed image's voxels that is applied before it."""
    import SimpleITK as sitk
    from picsl_greedy import Greedy3D

    greedy, printed = Greedy3D(), io.StringIO()
    options = GREEDY.format(seed=int(registration.seed))
    names = {"fixed": _itk(fixed), "moving": _itk(moving)}

    # greedy finds images and results by name in memory: no file, and no path in a command line.
    def run(command: str, iterations: str, result: str) -> Any:
        levels = _levels(iterations, registration.resolution)
        with _quiet():
            greedy.execute(
                f"{options} -i fixed moving -n {levels} {command} -o {result}", out=printed, **names, **{result: None}
            )
        names.clear()
        return greedy[result]

    affine_fit = run("-a -dof 12 -ia-image-centers", registration.affine_iterations, "matrix")
    matrix = np.array(affine_fit, dtype=np.float64)
    displacement = sitk.GetArrayFromImage(run("-it matrix", registration.warp_iterations, "warp"))
    warp = displacement.transpose(2, 1, 0, 3).astype(np.float64)
    warp[..., :2] *= -1  # ITK's LPS to RAS; greedy's matrix is RAS already
    return matrix, warp


def check(forward: Volume, brain: Volume, inside: np.ndarray, template: Volume) -> dict[str, Any]:
    """Measures of a registration.

    Parameters
    ----------
    forward : images.Volume
        The field, RAS+ mm, with the affine of its grid.
    brain, template : images.Volume
        The images that were registered.
    inside : ndarray of bool
        The brain mask.

    Returns
    -------
    dict
        By the names of :data:`CHECKS`.
    """
    expected = resample.resample(*template, transforms.points(forward.grid), fill=0)
    body = expected > 0
    # The rim is left out: any two brains share an outline after registration, but only a right fit shares what's inside.
    layers = max(1, round(_RIM / np.abs(np.linalg.det(forward.affine[:3, :3])) ** (1 / 3)))
    inner = ndimage.binary_erosion(ndimage.binary_fill_holes(body), iterations=layers)
    warped = resample.resample(*brain, forward.data[inner], fill=0)
    volume = fields.jacobian(*forward)[body]
    voxels = np.argwhere(inside)[::29].astype(np.float64)
    points = transforms.apply(brain.affine, voxels)
    inverse = inverse_fields.invert(forward, brain.grid, transforms.apply(brain.affine, np.argwhere(inside)))
    error = fields.sample(*forward, fields.sample(*inverse.field, points)) - points
    distance = np.sqrt((error**2).sum(axis=-1))
    folded = float((volume <= 0).mean())
    return {
        "template_correlation": round(float(np.corrcoef(warped, expected[inner])[0, 1]), 4),
        "folded_share": folded,
        "folding_tolerated": folded <= TOLERATED_FOLDS,
        "jacobian_percentiles": [round(float(v), 3) for v in np.percentile(volume, [0.1, 50, 99.9])],
        "inverse_error_mm": [round(float(v), 4) for v in np.percentile(distance, [50, 95])],
        "inverse_unconverged_share": inverse.unconverged,
    }


class _Prepared(NamedTuple):
    """A volume as it is registered.

    Attributes
    ----------
    volume : images.Volume
        Cut to its non-zero part and a margin.
    grid : images.Grid
        Before the cut.
    first : ndarray of shape (3,)
        Indices of the cut volume's first voxel on that grid.
    """

    volume: Volume
    grid: Grid
    first: np.ndarray


def _prepared(image: Volume, resolution: float) -> _Prepared:
    """An image at a coarser resolution, cut to its non-zero part and a margin."""
    volume, affine = image
    grid = images.spaced(image.grid, resolution)
    step = np.diag(np.linalg.inv(affine) @ grid.affine)[:3]
    if (step > 1).any():
        # Standard deviation of the Gaussian by which a voxel of the coarse grid is wider than one of the fine grid.
        blur = np.sqrt(np.maximum(step**2 - 1, 0)) / resample.FWHM_PER_SIGMA
        volume = ndimage.gaussian_filter(volume, blur, truncate=3)
        volume = resample.resample(volume, affine, transforms.points(grid), fill=0)
    margin = np.ceil(MARGIN / voxel_sizes(grid.affine)).astype(int)
    box = ndimage.find_objects((volume > 1e-3 * volume.max()).astype(np.int8))[0]
    box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(box, margin))
    first = np.array([s.start for s in box])
    cut = grid.affine.copy()
    cut[:3, 3] = transforms.apply(grid.affine, first.astype(np.float64))
    return _Prepared(Volume(np.ascontiguousarray(volume[box]), cut), grid, first)


def _itk(volume: Volume) -> Any:
    """A SimpleITK image with the orientation of the volume's affine."""
    import SimpleITK as sitk

    spacing, origin, direction = itk_transforms.geometry(volume.affine)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data.T, dtype=np.float32))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    return image


def _levels(iterations: str, resolution: float) -> str:
    """Greedy's ``-n``: the iterations at 4, 2 and 1 mm, without the last at a resolution of 2 mm."""
    levels = [int(n) for n in str(iterations).split("x")]
    if resolution >= 2 and len(levels) > 2:
        levels = levels[:2]
    return "x".join(str(n) for n in levels)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send to the log what a library prints past Python: the optimiser calls a search that has converged a failed one."""
    flush = ctypes.CDLL(None).fflush  # C's own buffer of what it printed
    sys.stdout.flush()
    flush(None)
    kept = os.dup(1)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        try:
            yield
        finally:
            flush(None)
            os.dup2(kept, 1)
            os.close(kept)
            printed.seek(0)
            LOG.debug("greedy: %s", printed.read().decode(errors="replace").strip())
