"""The accuracy of the workflow's CBF maps, masks, registrations and motion correction, by the simulated truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.simulate.comparison_table import Comparison, rounded
from pharmasl.space import images, resample, transforms


@dataclass(frozen=True)
class PersonFiles:
    """Paths of a participant's brain mask and T1w-to-template field, of the truth and of the results.

    Attributes
    ----------
    field : path-like or None
        None where the results do not keep it.
    """

    truth_mask: FilePath
    truth_field: FilePath
    mask: FilePath
    field: FilePath | None


@dataclass(frozen=True)
class RunFiles:
    """Paths of a run's motion and coregistration, of the truth and of the results.

    Attributes
    ----------
    person : int
        Index of the participant.
    """

    truth_motion: FilePath
    truth_coregistration: FilePath
    motion: FilePath
    coregistration: FilePath
    person: int


def map_rows(truth_paths: Sequence[FilePath], result_paths: Sequence[FilePath], gm_path: FilePath) -> list[Comparison]:
    """Rows of the accuracy of the CBF maps in template space, unsmoothed.

    Parameters
    ----------
    truth_paths, result_paths : sequence of path-like
        Of the same scans in the same order.
    gm_path : path-like
        Grey matter shares of the template.

    Returns
    -------
    list of Comparison
    """
    planted, measured, correlation = [], [], []
    grey = None
    for truth_path, result_path in zip(truth_paths, result_paths, strict=True):
        truth = images.load(truth_path)
        points = transforms.points(truth.grid)
        if grey is None:
            grey = resample.resample(*images.load(gm_path), points, fill=0.0) > 0.7
        result = resample.resample(*images.load(result_path), points)
        both = np.isfinite(truth.data) & np.isfinite(result)
        correlation.append(np.corrcoef(truth.data[both], result[both])[0, 1])
        planted.append(truth.data[both & grey].mean())
        measured.append(result[both & grey].mean())
    ratio = np.array(measured) / np.array(planted)
    return [
        Comparison(
            effect="CBF of grey matter, mean over scans",
            region="template grey matter above 0.7",
            unit="mL/100 g/min",
            expected=rounded(float(np.mean(planted))),
            found=rounded(float(np.mean(measured))),
            verdict=f"each scan {100 * (ratio.min() - 1):+.1f} to {100 * (ratio.max() - 1):+.1f} %",
        ),
        Comparison(
            effect="CBF map with the truth, mean over scans",
            region="brain",
            unit="Pearson's r over voxels",
            expected=1,
            found=rounded(float(np.mean(correlation))),
            verdict=f"lowest {min(correlation):.2f}",
        ),
    ]


def transit_rows(
    truth_paths: Sequence[FilePath], result_paths: Sequence[FilePath], gm_path: FilePath
) -> list[Comparison]:
    """Rows of the accuracy of the maps of arterial transit time in template space; parameters as of :func:`map_rows`.

    Median over the voxels, of which a few have too little signal for a time of arrival.
    """
    planted, measured, spread = [], [], []
    grey = None
    for truth_path, result_path in zip(truth_paths, result_paths, strict=True):
        truth = images.load(truth_path)
        points = transforms.points(truth.grid)
        if grey is None:
            grey = resample.resample(*images.load(gm_path), points, fill=0.0) > 0.7
        result = resample.resample(*images.load(result_path), points)
        both = np.isfinite(truth.data) & np.isfinite(result) & grey
        planted.append(np.median(truth.data[both]))
        measured.append(np.median(result[both]))
        spread.append(np.median(np.abs(result[both] - truth.data[both])))
    error = np.array(measured) - np.array(planted)
    region = "template grey matter above 0.7"
    return [
        Comparison(
            effect="arterial transit time, median over voxels, mean over scans",
            region=region,
            unit="s",
            expected=rounded(float(np.mean(planted))),
            found=rounded(float(np.mean(measured))),
            verdict=f"each scan {error.min():+.2f} to {error.max():+.2f} s",
        ),
        Comparison(
            effect="absolute error of the arterial transit time, median over voxels, mean over scans",
            region=region,
            unit="s",
            expected=0,
            found=rounded(float(np.mean(spread))),
            verdict=f"worst {max(spread):.2f}",
        ),
    ]


def geometry_rows(people: Sequence[PersonFiles], runs: Sequence[RunFiles], gm_path: FilePath) -> list[Comparison]:
    """Rows of the accuracy of masks, registration and motion correction.

    Parameters
    ----------
    people : sequence of PersonFiles
    runs : sequence of RunFiles
    gm_path : path-like
        Grey matter shares of the template, where the registration is judged.

    Returns
    -------
    list of Comparison
        Without that of the registration where nobody's field is kept.
    """
    dice = [_dice(person) for person in people]
    first_grid = transforms.read_field(people[0].truth_field)[1]
    grey = resample.resample(*images.load(gm_path), transforms.points(first_grid), fill=0.0) > 0.5
    fits = [_registration(person, grey) for person in people]
    placement = [placement_error(run, fits[run.person].points) for run in runs]
    errors = [fit.error for fit in fits if fit.error is not None]
    return [
        Comparison(
            effect="brain mask, mean over participants",
            region="T1w image",
            unit="Dice coefficient",
            expected=1,
            found=rounded(float(np.mean(dice))),
            verdict=f"lowest {min(dice):.3f}",
        ),
        *(
            [
                _millimetres(
                    "error of the fit to the template, mean over participants",
                    "template grey matter above 0.5",
                    errors,
                )
            ]
            if errors
            else []
        ),
        _millimetres(
            "error of motion correction and coregistration together, root mean square over volumes, mean over scans",
            "grey matter",
            placement,
        ),
    ]


def _dice(person: PersonFiles) -> float:
    """Agreement of the brain mask with the true one."""
    truth = images.load(person.truth_mask).data > 0.5
    mask = images.load(person.mask).data > 0.5
    return 2 * (truth & mask).sum() / (truth.sum() + mask.sum())


@dataclass(frozen=True)
class _Fit:
    """The accuracy of a registration.

    Attributes
    ----------
    error : float or None
        Mean distance, mm; None where the results do not keep the field.
    points : ndarray of shape (N, 3)
        Points of the brain in the T1w frame, at which rigid errors are measured.
    """

    error: float | None
    points: np.ndarray


def _registration(person: PersonFiles, grey: np.ndarray) -> _Fit:
    """The accuracy of a participant's registration in the template's grey matter."""
    planted, grid = transforms.read_field(person.truth_field)
    inside = planted[grey][::23]
    if person.field is None:
        return _Fit(None, inside)
    points = transforms.points(grid)[grey]
    field, field_grid = transforms.read_field(person.field)
    fitted = np.stack([resample.resample(field[..., k], field_grid.affine, points) for k in range(3)], axis=-1)
    distance = np.linalg.norm(fitted - planted[grey], axis=-1)
    return _Fit(float(np.nanmean(distance)), inside)


def placement_error(run: RunFiles, points: np.ndarray) -> float:
    """Root mean square over volumes of the displacement (mm) of points by wrong motion and coregistration."""
    truth = transforms.read_affines(run.truth_motion) @ transforms.read_affines(run.truth_coregistration)[0]
    result = transforms.read_affines(run.motion) @ transforms.read_affines(run.coregistration)[0]
    squares = [
        ((transforms.apply(a, points) - transforms.apply(b, points)) ** 2).sum(axis=-1).mean()
        for a, b in zip(truth, result)
    ]
    return np.sqrt(np.mean(squares))


def _millimetres(effect: str, region: str, errors: Sequence[float]) -> Comparison:
    """The row of an error in mm."""
    values = np.array(errors)
    return Comparison(
        effect=effect,
        region=region,
        unit="mm",
        expected=0,
        found=rounded(float(values.mean())),
        verdict=f"worst {values.max():.2f}",
    )
