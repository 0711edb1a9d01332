"""What the simulated magnetic field displaces, what the workflow leaves of it, and what CBF is there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.simulate.accuracy import PersonFiles, RunFiles
from pharmasl.simulate.comparison_table import Comparison, rounded
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import images, resample, transforms

BRAIN, VMPFC = "grey matter of the brain", f"grey matter of the {REGIONS['vmpfc'].label}"
# The least share of grey matter, and the least weight of the vmPFC.
_GREY, _WEIGHT = 0.5, 0.5
# A correction that leaves more than this share of a displacement is a poor one.
_POOR = 0.5


@dataclass(frozen=True)
class FieldFiles:
    """The magnetic field of the truth and of the results.

    Attributes
    ----------
    truth : sequence of path-like
        By participant, Hz, in the T1w frame.
    results : sequence of path-like
        By run, Hz, on its grid; empty where the study corrects no scan.
    millimetres : float
        By which a Hz displaces.
    """

    truth: Sequence[FilePath]
    results: Sequence[FilePath]
    millimetres: float


@dataclass(frozen=True)
class ScanFiles:
    """What one scan is judged by.

    Attributes
    ----------
    person : accuracy.PersonFiles
    run : accuracy.RunFiles
    truth_cbf, cbf : path-like
        In template space.
    truth_hertz : path-like
        The person's field.
    hertz : path-like or None
        The one that the scan was corrected by.
    """

    person: PersonFiles
    run: RunFiles
    truth_cbf: FilePath
    cbf: FilePath
    truth_hertz: FilePath
    hertz: FilePath | None


@dataclass(frozen=True)
class ScanErrors:
    """Errors in a region of a scan.

    Attributes
    ----------
    displaced, left : float
        Root mean squares of the displacement along the phase encoding, and of what its correction leaves, mm.
    planted, measured : float
        Mean CBF, mL/100 g/min.
    error : float
        Root mean square error of CBF over voxels, as a share of its mean.
    """

    displaced: float
    left: float
    planted: float
    measured: float
    error: float


def scan_errors(scan: ScanFiles, grey: np.ndarray, millimetres: float) -> dict[str, ScanErrors]:
    """The errors of a scan by region.

    Parameters
    ----------
    scan : ScanFiles
    grey : ndarray of bool
        The template's grey matter on the grid of the true CBF.
    millimetres : float
        By which a Hz displaces.

    Returns
    -------
    dict of str to ScanErrors
        For :data:`BRAIN` and :data:`VMPFC`.
    """
    truth = images.load(scan.truth_cbf)
    points = transforms.points(truth.grid)
    measured = resample.resample(*images.load(scan.cbf), points)
    head_points = transforms.read_field(scan.person.truth_field)[0]
    hertz = resample.resample(*images.load(scan.truth_hertz), head_points)
    left = hertz
    if scan.hertz is not None:
        left = hertz - resample.resample(*images.load(scan.hertz), head_points, _to_reference(scan.run))
    inside = grey & np.isfinite(truth.data) & np.isfinite(measured) & np.isfinite(left)
    regions = {BRAIN: inside, VMPFC: inside & (REGIONS["vmpfc"].weight(points) > _WEIGHT)}
    return {
        name: ScanErrors(
            displaced=millimetres * _rms(hertz[where]),
            left=millimetres * _rms(left[where]),
            planted=float(truth.data[where].mean(dtype=np.float64)),
            measured=float(measured[where].mean(dtype=np.float64)),
            error=_rms((measured - truth.data)[where]) / float(truth.data[where].mean(dtype=np.float64)),
        )
        for name, where in regions.items()
    }


def _to_reference(run: RunFiles) -> np.ndarray:
    """Maps points of the T1w frame to where they truly lie in the results' reference: by the first volume, which both know.

    So that the field is judged apart from the registration to the T1w image.
    """
    truth, placed = transforms.read_affines(run.truth_motion)[0], transforms.read_affines(run.truth_coregistration)[0]
    return np.linalg.inv(transforms.read_affines(run.motion)[0]) @ truth @ placed


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def template_grey(gm_path: FilePath, truth_cbf: FilePath) -> np.ndarray:
    """The template's grey matter on the grid of the true CBF."""
    return resample.resample(*images.load(gm_path), transforms.points(images.grid(truth_cbf)), fill=0.0) > _GREY


def distortion_rows(
    field: FieldFiles,
    people: Sequence[PersonFiles],
    runs: Sequence[RunFiles],
    maps: Sequence[tuple[FilePath, FilePath]],
    gm_path: FilePath,
) -> list[Comparison]:
    """Rows of displacement and of CBF, over the brain and in the vmPFC.

    Parameters
    ----------
    field : FieldFiles
    people : sequence of PersonFiles
    runs : sequence of RunFiles
    maps : sequence of (path-like, path-like)
        CBF of each run in template space: of the truth and of the results.
    gm_path : path-like
        Grey matter shares of the template.

    Returns
    -------
    list of Comparison
    """
    grey = template_grey(gm_path, maps[0][0])
    results: Sequence[FilePath | None] = field.results or [None] * len(runs)
    scans = [
        ScanFiles(people[run.person], run, *cbf, field.truth[run.person], hertz)
        for run, cbf, hertz in zip(runs, maps, results, strict=True)
    ]
    errors = [scan_errors(scan, grey, field.millimetres) for scan in scans]
    return [
        row
        for name in (BRAIN, VMPFC)
        for row in _region_rows(name, [scan[name] for scan in errors], bool(field.results))
    ]


def _verdict(displaced: np.ndarray, left: np.ndarray) -> str:
    """What corrected scans' displacements, (N,), were brought down to."""
    poor = int((left > _POOR * displaced).sum())
    counted = f"; more than half is left in {poor} of {len(left)}" if poor else ""
    return f"{'in part ' if poor else ''}corrected, worst {left.max():.2f}{counted}"


def _region_rows(region: str, scans: Sequence[ScanErrors], corrected: bool) -> list[Comparison]:
    """The two rows of a region."""
    displaced, left, planted, measured, error = (
        np.array([getattr(scan, name) for scan in scans])
        for name in ("displaced", "left", "planted", "measured", "error")
    )
    bias = 100 * (measured / planted - 1)
    return [
        Comparison(
            effect="displacement along the phase encoding by the magnetic field, root mean square, mean over scans",
            region=region,
            unit="mm",
            planted=rounded(float(displaced.mean())),
            expected=0,
            found=rounded(float(left.mean())),
            verdict=_verdict(displaced, left) if corrected else "not corrected",
        ),
        Comparison(
            effect="CBF where the magnetic field displaces it, mean over scans",
            region=region,
            unit="mL/100 g/min",
            expected=rounded(float(planted.mean())),
            found=rounded(float(measured.mean())),
            verdict=f"{bias.mean():+.1f} %, root mean square error over voxels {100 * error.mean():.1f} %, each scan "
            f"{bias.min():+.1f} to {bias.max():+.1f} %",
        ),
    ]
