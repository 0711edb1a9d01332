"""Global CBF: the mean of each scan over the brain and over grey matter, and the same of each contrast.

Absolute, also for contrasts of relative CBF: what such a contrast takes out of the maps is what stands here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.contrasts import contrast_maps, scaling
from pharmasl.contrasts.contrast_maps import JudgedScan
from pharmasl.contrasts.scaling import Reference, ScanMean
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.space import images
from pharmasl.study.cbf_units import CBF_UNIT
from pharmasl.study.relative_cbf import REFERENCES

# A participant with sub-, a session and a contrast.
GlobalKey = tuple[str, str | None, str]

_PLACE: dict[str, Any] = {"participant_id": "Participant", "session_id": "Session"}


def _reference_columns(what: str) -> dict[str, Any]:
    """The columns of both references in a table of scans or contrasts."""
    columns: dict[str, Any] = {}
    for name in REFERENCES:
        definition = scaling.DEFINITIONS[name]
        columns[name] = {"Description": f"{what} over {definition}", "Units": CBF_UNIT}
        columns[f"{name}_voxels"] = "Voxels of it with data"
        columns[f"{name}_coverage"] = {"Description": "Their share of it", "Units": "1"}
    return columns


SCAN_COLUMNS: Mapping[str, Any] = {
    **_PLACE,
    "condition": "State",
    "scan": "Scan",
    "usable": "Whether the scan enters contrasts",
    **_reference_columns("Mean CBF"),
}
CONTRAST_COLUMNS: Mapping[str, Any] = {
    **_PLACE,
    "contrast": "Contrast of conditions; absolute also where the contrast is of relative CBF",
    **_reference_columns(
        "Weighted sum of the usable scans' mean CBF, n/a where a state has none or one covers too little,"
    ),
}
_SCAN_NUMBERS = ("voxels", "coverage")


@dataclass(frozen=True, kw_only=True)
class ContrastScans:
    """A contrast at one visit, and the scans that it is made of.

    Attributes
    ----------
    participant_id : str
        With ``sub-``.
    session_id : str or None
    contrast : str
    scans : tuple of int
        Places among all scans.
    weights : tuple of float
        Weight of each of these scans.
    """

    participant_id: str
    session_id: str | None
    contrast: str
    scans: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class GlobalFiles:
    """The files of the scans, one path per scan, in one order, and of the template.

    Attributes
    ----------
    maps, coverages, quality : sequence of path-like
        The map of each scan that enters contrasts, where it holds data, and the table of its quality.
    template : sequence of path-like
        The template's brain mask and its probability of grey matter.
    """

    maps: Sequence[FilePath]
    coverages: Sequence[FilePath]
    quality: Sequence[FilePath]
    template: Sequence[FilePath]


def write(
    scans_path: FilePath,
    contrasts_path: FilePath,
    files: GlobalFiles,
    contrasts: Sequence[ContrastScans],
    minimum_coverage: float,
    states: Sequence[contrast_maps.State] | None = None,
) -> None:
    """Write the global CBF of every scan and of every contrast.

    Parameters
    ----------
    scans_path, contrasts_path : path-like
        The tables to write; columns as :data:`SCAN_COLUMNS` and :data:`CONTRAST_COLUMNS`.
    files : GlobalFiles
    contrasts : sequence of ContrastScans
    minimum_coverage : float
        Share of a reference that each scan of a contrast has to cover.
    states : sequence of pharmasl.contrasts.contrast_maps.State, optional
        Which states the maps are of, where conditions alternate within scans.
    """
    references = [Reference.read(name, files.template) for name in REFERENCES]
    judged = contrast_maps.read_quality(files.quality, states)
    means: list[dict[str, ScanMean]] = []
    rows = []
    for scan, cbf, coverage, quality in zip(judged, files.maps, files.coverages, files.quality, strict=True):
        volume, covered = images.load(cbf)[0], images.load(coverage)[0] > 0.5
        means.append({reference.name: reference.mean(volume, covered) for reference in references})
        (row,) = tables.read_table(quality)
        known = {name: row[name] for name in SCAN_COLUMNS if name in row}
        rows.append(known | {"scan": scan.scan, "condition": scan.condition} | _numbers(means[-1]))
    tables.write_table(scans_path, rows, SCAN_COLUMNS)
    of_contrasts = []
    for contrast in contrasts:
        own = [judged[place] for place in contrast.scans]
        values = {
            name: combine([means[place][name] for place in contrast.scans], contrast.weights, own, minimum_coverage)
            for name in REFERENCES
        }
        place = {"participant_id": contrast.participant_id, "session_id": contrast.session_id}
        of_contrasts.append({**place, "contrast": contrast.contrast, **_numbers(values)})
    tables.write_table(contrasts_path, of_contrasts, CONTRAST_COLUMNS)


def combine(
    means: Sequence[ScanMean], weights: Sequence[float], scans: Sequence[JudgedScan], minimum_coverage: float
) -> ScanMean:
    """The global CBF of a contrast.

    Parameters
    ----------
    means : sequence of ScanMean
        One per scan, over one reference.
    weights : sequence of float
        One per scan.
    scans : sequence of JudgedScan
    minimum_coverage : float
        Of each scan that is used.

    Returns
    -------
    ScanMean
        The mean is None where a state has no usable scan, or a scan that is used covers too little. Voxels and coverage are
        the least of the scans used.
    """
    usable = contrast_maps.usable_weights(weights, scans)
    if usable is None:
        return ScanMean(None, 0, 0.0)
    used = [(weight, mean) for weight, mean, scan in zip(usable, means, scans) if scan.is_usable]
    voxels, coverage = min(mean.voxels for _, mean in used), min(mean.coverage for _, mean in used)
    terms = [weight * mean.mean for weight, mean in used if mean.mean is not None]
    if coverage < minimum_coverage or len(terms) < len(used):
        return ScanMean(None, voxels, coverage)
    return ScanMean(sum(terms), voxels, coverage)


def _numbers(means: Mapping[str, ScanMean]) -> dict[str, float | int | None]:
    """The columns of both references in a row."""
    row: dict[str, float | int | None] = {}
    for name, mean in means.items():
        row |= {name: mean.mean, f"{name}_voxels": mean.voxels, f"{name}_coverage": mean.coverage}
    return row


def read_scans(path: FilePath) -> dict[str, dict[str, ScanMean]]:
    """The global CBF of every scan, by its name and by reference.

    Parameters
    ----------
    path : path-like
        A table of :func:`write`.

    Returns
    -------
    dict
    """
    return {row["scan"]: {name: _mean(row, name) for name in REFERENCES} for row in tables.read_table(path)}


def _mean(row: Mapping[str, Any], reference: str) -> ScanMean:
    value = row[reference]
    return ScanMean(
        None if value is None else float(value), int(row[f"{reference}_voxels"]), float(row[f"{reference}_coverage"])
    )


@dataclass(frozen=True)
class GlobalValues:
    """The global CBF of every contrast.

    Attributes
    ----------
    path : path-like
        The table, for messages.
    values : mapping
        :data:`GlobalKey` to reference to mL/100 g/min, None where it is not known.
    """

    path: FilePath
    values: Mapping[GlobalKey, Mapping[str, float | None]]

    @classmethod
    def read(cls, path: FilePath) -> "GlobalValues":
        """The values of a table of :func:`write`."""
        values = {
            (row["participant_id"], row["session_id"], row["contrast"]): {
                name: None if row[name] is None else float(row[name]) for name in REFERENCES
            }
            for row in tables.read_table(path)
        }
        return cls(path, values)

    def at(
        self, participants: Sequence[str], sessions: Sequence[str | None], contrast: str, reference: str
    ) -> list[float]:
        """The global CBF of scans or visits, NaN where it is not known.

        Parameters
        ----------
        participants : sequence of str
            With ``sub-``, one per value.
        sessions : sequence of str or None
            One per value.
        contrast : str
        reference : {"brain", "grey_matter"}

        Returns
        -------
        list of float

        Raises
        ------
        InputError
            If the table has no row of a participant at a session.
        """
        values = []
        for participant, session in zip(participants, sessions, strict=True):
            row = self.values.get((participant, session, contrast))
            if row is None:
                raise InputError(
                    file=self.path,
                    field=contrast,
                    found=f"no row of {participant} at {session}",
                    expected="a row of each visit that is analysed",
                    fix="Make the table again.",
                )
            known = row[reference]
            values.append(float("nan") if known is None else known)
        return values
