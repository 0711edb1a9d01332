"""The errors of a replicate's scans: smoothed CBF as the workflow found it, minus the truth smoothed alike, on the truth's grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables
from pharmasl.files.tables import Row
from pharmasl.space import images, resample, transforms
from pharmasl.space.images import Grid

Scan = tuple[str, str, str]


@dataclass(frozen=True)
class ErrorMaps:
    """Errors of N scans in V voxels.

    Attributes
    ----------
    scans : tuple of (str, str, str)
        Participant, session and condition; several runs' maps of a condition of a session are averaged.
    errors : ndarray of shape (N, V), float32
        mL/100 g/min; NaN where a map has no value.
    mask : ndarray of bool, shape (X, Y, Z)
        Where the voxels lie.
    grid : images.Grid
    grey : ndarray of bool, shape (V,)
        Voxels of grey matter.
    """

    scans: tuple[Scan, ...]
    errors: np.ndarray
    mask: np.ndarray
    grid: Grid
    grey: np.ndarray

    def has_voxels_of(self, other: "ErrorMaps") -> bool:
        """Whether it has the same voxels as another."""
        same = np.array_equal(self.mask, other.mask)
        return same and np.allclose(self.grid.affine, other.grid.affine)

    def write(self, path: FilePath) -> None:
        """Write it as a compressed file of numpy's."""
        with open(path, "wb") as file:
            np.savez_compressed(
                file,
                scans=np.array(self.scans),
                errors=self.errors,
                mask=self.mask,
                affine=self.grid.affine,
                grey=self.grey,
            )


def read(path: FilePath) -> ErrorMaps:
    """The errors that a file has."""
    with np.load(path) as content:
        scans = tuple((str(who), str(session), str(condition)) for who, session, condition in content["scans"])
        mask = content["mask"]
        grid = Grid(mask.shape, content["affine"])
        return ErrorMaps(scans, content["errors"], mask, grid, content["grey"])


def collect(results: Path, truth: Path, fwhm: float) -> ErrorMaps:
    """The errors of the scans that a study has found usable.

    Parameters
    ----------
    results, truth : Path
        Folders of the study and of what was planted.
    fwhm : float
        Of the study's smoothing, mm.

    Raises
    ------
    InputError
        If a map of a usable scan is not there.
    """
    maps: dict[Scan, list[_Pair]] = {}
    for row in tables.read_table(results / "quality/scans.tsv"):
        if row["usable"] == "yes":
            who = f"sub-{bids.bare_label(row['participant_id'], 'sub')}"
            for condition, pair in _pairs(results, truth, who, row):
                maps.setdefault((who, row["session_id"], condition), []).append(pair)
    scans = list(maps)
    grid = images.grid(maps[scans[0]][0].truth)
    points = transforms.points(grid)
    (template,) = (results / "template").glob("*_res-1_desc-brain_mask.nii.gz")
    (shares,) = (results / "template").glob("*_res-1_label-GM_probseg.nii.gz")
    mask = resample.resample(*images.load(template), points, fill=0.0) > 0.5
    grey = resample.resample(*images.load(shares), points[mask], fill=0.0) > 0.5
    errors = np.empty((len(scans), int(mask.sum())), dtype=np.float32)
    for number, scan in enumerate(scans):
        own = [
            resample.resample(*images.load(pair.estimate), points[mask])
            - resample.smooth(*images.load(pair.truth), fwhm)[mask]
            for pair in maps[scan]
        ]
        errors[number] = own[0] if len(own) == 1 else np.mean(own, axis=0)
    return ErrorMaps(tuple(scans), errors, mask, grid, grey)


def difference(changed: ErrorMaps, plain: ErrorMaps, people: Sequence[str], session: str) -> ErrorMaps:
    """What the errors of some people's scans in a session differ by between two replicates of the same people.

    Parameters
    ----------
    changed, plain : ErrorMaps
        With and without that which differs.
    people : sequence of str
    session : str

    Returns
    -------
    ErrorMaps
        Of the scans that are in both, changed minus plain.

    Raises
    ------
    ValueError
        If they do not have the same voxels.
    """
    if not changed.has_voxels_of(plain):
        raise ValueError("the errors of two replicates of the same people lie in different voxels")
    index = {scan: number for number, scan in enumerate(plain.scans)}
    taken = [
        (number, index[scan])
        for number, scan in enumerate(changed.scans)
        if scan[0] in people and scan[1] == session and scan in index
    ]
    values = [changed.errors[own] - plain.errors[other] for own, other in taken]
    errors = np.stack(values) if values else np.empty((0, changed.errors.shape[1]), dtype=np.float32)
    return ErrorMaps(tuple(changed.scans[own] for own, _ in taken), errors, changed.mask, changed.grid, changed.grey)


@dataclass(frozen=True)
class _Pair:
    """The map of a condition as it is, and as the workflow found it."""

    truth: Path
    estimate: Path


def _pairs(results: Path, truth: Path, who: str, row: Row) -> list[tuple[str, _Pair]]:
    """The conditions of a scan by its row of the table of quality, with their maps."""
    session, scan = f"ses-{row['session_id']}", row["scan"]
    places = [folder / who / session / "perf" for folder in (truth, results)]
    alternating = bids.state_stem(scan, "")
    states = [path.name.removeprefix(alternating) for path in places[0].glob(f"{alternating}*_cbf.nii.gz")]
    named = [(label, f"{alternating}{label}") for label in sorted(name.split("_")[0] for name in states)]
    return [
        (condition, _Pair(_map(places[0], stem, "cbf"), _map(places[1], stem, "desc-smooth_cbf")))
        for condition, stem in named or [(row["condition"], scan)]
    ]


def _map(place: Path, stem: str, ending: str) -> Path:
    """The one map of a scan, or of a condition, with this ending."""
    paths: Sequence[Path] = list(place.glob(f"{stem}_space-*_{ending}.nii.gz"))
    if len(paths) != 1:
        raise InputError(
            place,
            f"{stem}_space-*_{ending}.nii.gz",
            [path.name for path in paths] or "no such file",
            "one map of each usable scan",
            "Run the replicate again: its results are not whole.",
        )
    return paths[0]


@dataclass(frozen=True, kw_only=True)
class ErrorParts:
    """What a scan's error in grey matter is made of, as variances over voxels, (mL/100 g/min)^2.

    Attributes
    ----------
    total : float
        Mean square of the errors.
    common : float
        Of what all people have in common.
    person : float
        Of what all scans of a person have in common beyond that: anatomy, registration to the template.
    session : float
        Of what the scans of a session have in common beyond that: M0, the head's place.
    run : float
        The rest: noise, motion and coregistration of the run.
    """

    total: float
    common: float
    person: float
    session: float
    run: float


def parts(maps: ErrorMaps) -> ErrorParts | None:
    """The errors by what they are shared by: components of variance of a nested design, estimated by the means' squares.

    People and sessions with all scans of the study are taken. With S sessions of R runs in each of n people, and the mean squares
    MP, MS and MR (between people, between sessions of a person, between runs of a session) at a voxel: run = MR,
    session = (MS - MR) / R, person = (MP - MS) / (S R), common = mean^2 - MP / (n S R); averaged over the voxels of grey matter. A
    component that is smaller than its error can be below zero. None of fewer than two people, sessions or runs.
    """
    people = sorted({who for who, _, _ in maps.scans})
    sessions = sorted({session for _, session, _ in maps.scans})
    conditions = sorted({condition for _, _, condition in maps.scans})
    index = {scan: number for number, scan in enumerate(maps.scans)}
    whole = [who for who in people if all((who, s, c) in index for s in sessions for c in conditions)]
    if len(whole) < 2 or len(sessions) < 2 or len(conditions) < 2:
        return None
    rows = [index[who, session, condition] for who in whole for session in sessions for condition in conditions]
    values = maps.errors[rows][:, maps.grey].astype(np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    n, s, r = len(whole), len(sessions), len(conditions)
    nested = values.reshape(n, s, r, -1)
    by_session, by_person = nested.mean(axis=2), nested.mean(axis=(1, 2))
    mean = nested.mean(axis=(0, 1, 2))
    runs = ((nested - by_session[:, :, None]) ** 2).sum(axis=(0, 1, 2)) / (n * s * (r - 1))
    visits = r * ((by_session - by_person[:, None]) ** 2).sum(axis=(0, 1)) / (n * (s - 1))
    persons = s * r * ((by_person - mean) ** 2).sum(axis=0) / (n - 1)
    return ErrorParts(
        total=float((values**2).mean()),
        common=float((mean**2 - persons / (n * s * r)).mean()),
        person=float(((persons - visits) / (s * r)).mean()),
        session=float(((visits - runs) / r).mean()),
        run=float(runs.mean()),
    )
