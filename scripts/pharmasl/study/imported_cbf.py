"""CBF maps of another program: which there are, of whom, and what is wrong with them, before any voxel is read.

They take the place of the raw perfusion runs: the same conditions choose among them by the labels of their names, and what
follows knows them as scans.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError, InputErrors
from pharmasl.files import bids
from pharmasl.study import cbf_units, conditions, derivative_datasets, imported_files, imported_headers
from pharmasl.study.derivative_datasets import DerivativeDataset
from pharmasl.study.imported_files import FIELD, MapFiles
from pharmasl.study.scan_acquisition import Acquisition
from pharmasl.study.settings import Settings
from pharmasl.study.trial import ImportedMap, Scan

_MOST_NAMED = 6


@dataclass(frozen=True)
class Listing:
    """The maps of a study, in the place of its raw runs.

    Attributes
    ----------
    dataset : pharmasl.files.bids.Dataset
        The participants of the raw dataset and of the maps; its perfusion images are the maps.
    files : Mapping
        Path of each map to what belongs to it.
    raw : tuple of pharmasl.files.bids.File
        The perfusion runs of the raw dataset, which are not read.
    source : DerivativeDataset
    settings : Settings
    """

    dataset: bids.Dataset
    files: Mapping[str, MapFiles]
    raw: tuple[bids.File, ...]
    source: DerivativeDataset
    settings: Settings


def listing(study: Settings) -> Listing | None:
    """The maps that take the place of a study's raw runs; None where the study has no ``derivatives.cbf``.

    Parameters
    ----------
    study : Settings

    Returns
    -------
    Listing or None

    Raises
    ------
    InputError
        If a folder or the table of the maps cannot be read, or there is no map at all.
    InputErrors
        With every problem of the table.
    """
    wanted = study.derivatives.cbf
    if wanted is None:
        return None
    source = derivative_datasets.read(wanted, FIELD)
    raw = bids.read_dataset(study.bids_dir, may_lack_people=True)
    maps = imported_files.find(wanted, study.conditions)
    people = dict.fromkeys([*raw.subjects, *(own.file.place["sub"] for own in maps)])
    dataset = bids.Dataset(
        root=raw.root,
        subjects=tuple(sorted(people)),
        files=tuple(own.file for own in maps),
        unparsed=(),
        misnamed=raw.misnamed,
    )
    return Listing(dataset, {own.file.path: own for own in maps}, tuple(raw.images("asl")), source, study)


def scans(maps: Listing, runs: Sequence[tuple[str, bids.File]], errors: list[InputError]) -> dict[str, Scan]:
    """The scans by stem.

    Parameters
    ----------
    maps : Listing
    runs : sequence of (condition, bids.File)
        Those of the maps that the conditions take.
    errors : list of InputError
        Of headers, units, masks and measures, appended; scans with errors of their own are not among the result.

    Returns
    -------
    dict of str to Scan
    """
    usable: dict[str, Scan] = {}
    for condition, file in runs:
        try:
            scan = _scan(maps, condition, maps.files[file.path])
        except InputErrors as several:
            errors += several.errors
        except InputError as error:
            errors.append(error)
        else:
            usable[scan.stem] = scan
    errors += _half_masked(usable.values())
    return usable


def _scan(maps: Listing, condition: str, own: MapFiles) -> Scan:
    wanted = maps.settings.derivatives.cbf
    assert wanted is not None
    imported_headers.check(own, wanted)
    units, origin = imported_files.units(own, wanted)
    try:
        factor = cbf_units.conversion(units)
    except ValueError:
        raise InputError(
            own.sidecar or "config",
            "Units" if own.sidecar else f"{FIELD}.units",
            units,
            "a unit of CBF, such as mL/100 g/min or mL/g/min",
            f"Correct it, or take another map by {FIELD}.desc: a map that is no CBF cannot be analysed as one.",
        ) from None
    imported = ImportedMap(
        program=maps.source.program,
        space=wanted.template,
        units=units,
        factor=factor,
        mask=own.mask,
        measures=imported_files.measures(own, wanted, maps.source.words),
        transforms=(*([wanted.transform] if wanted.transform else []), *own.transforms),
    )
    entities = own.file.entities
    acquisition = Acquisition(volume_types=("cbf",), units=units, sources={"units": origin})
    stem = bids.stem(entities, "perf")
    return Scan(
        entities["sub"], entities.get("ses"), condition, stem, own.file.path, None, acquisition, imported=imported
    )


def _half_masked(scans: Iterable[Scan]) -> Iterator[InputError]:
    """The error of maps of which some have a mask and others not: what is missing would be known by two rules."""
    known = [scan for scan in scans if scan.imported]
    without = [scan.name for scan in known if scan.imported and scan.imported.mask is None]
    if without and len(without) < len(known):
        yield InputError(
            FIELD,
            "mask",
            f"none of {_listed(without)}",
            f"a brain mask of each of the {len(known)} maps, or of none",
            "Make the missing ones with the program that made the others, or take all masks away.",
        )


def missing(
    maps: Listing,
    runs: Sequence[tuple[str, bids.File]],
    participants: Iterable[str],
    exclusions: list[dict[str, str | None]],
) -> Iterator[InputError]:
    """The raw runs that a condition takes and no map is of.

    Parameters
    ----------
    maps : Listing
    runs : sequence of (condition, bids.File)
        The maps that the conditions take.
    participants : iterable of str
        Labels of those who are looked at.
    exclusions : list of dict
        Appended to, where the configuration lets such runs be excluded.

    Yields
    ------
    InputError
    """
    study, people = maps.settings, set(participants)
    wanted = study.derivatives.cbf
    assert wanted is not None
    sessions = set(study.sessions.labels) if study.sessions else None
    mapped = {_identity(file) for _, file in runs}
    absent = [
        file
        for file in maps.raw
        if file.place.get("sub") in people
        and (sessions is None or file.place.get("ses") in sessions)
        and conditions.matching(study.conditions, file.entities)
        and _identity(file) not in mapped
    ]
    if not absent:
        return
    names = [bids.stem(file.entities, "perf").rpartition("/")[2] for file in absent]
    if wanted.missing == "exclude":
        for file, name in zip(absent, names, strict=True):
            reason = f"{maps.source.words} has no CBF map of {name}"
            exclusions.append(
                {
                    "participant_id": f"sub-{file.place['sub']}",
                    "session_id": file.place.get("ses"),
                    "condition": conditions.matching(study.conditions, file.entities)[0],
                    "reason": reason,
                }
            )
        return
    yield InputError(
        wanted.dir,
        "CBF maps",
        f"none of {_listed(names)}",
        f"a map of each raw run in {study.bids_dir}",
        f"Process them with {maps.source.words}, or set {FIELD}.missing to exclude: they are then left out, and the study "
        "says so. Maps and raw runs are not mixed.",
    )


def _identity(file: bids.File) -> tuple[tuple[str, str], ...]:
    """By what a map is known to be of a raw run: their labels."""
    return tuple(sorted((key, label) for key, label in file.index.items() if key != "echo"))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
