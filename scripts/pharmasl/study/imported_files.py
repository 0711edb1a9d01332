"""The files of another program's CBF maps, by BIDS names, by a pattern or by a table, and what is written beside them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pharmasl.errors import InputError, InputErrors, did_you_mean, similar
from pharmasl.files import bids, json_object, tables
from pharmasl.study import conditions as study_conditions
from pharmasl.study import file_patterns, imported_transforms, schemas
from pharmasl.study.derivatives import CbfMaps
from pharmasl.study.settings import Condition

FIELD = "derivatives.cbf"
# Names in a pattern of paths, and the entity that each is.
PLACES = {"participant": "sub", "session": "ses", "acquisition": "acq", "run": "run", "task": "task"}
_CONDITION = "condition"
# Measures of quality by the columns that ASLPrep's table of a run has for them, since 0.7 and in 0.3 to 0.6; its index has the
# map's label in its columns' names.
_COLUMNS = {
    "fd_mean": ("mean_fd", "FD"),
    "qei": ("qei_cbf{}", "{}QEI"),
    "structural_similarity": ("qei_cbf{}_rho_ss",),
    "dispersion_index": ("qei_cbf{}_di",),
}
_COLUMN_LABELS = {"basilGM": "_basil_gm"}
_EARLIER_LABELS = {None: "cbf", "basilGM": "pvc", "pvGM": "pvc"}
_TABLE_COLUMNS = ("participant_id", "session_id", _CONDITION, "cbf", "mask")


@dataclass(frozen=True, kw_only=True)
class MapFiles:
    """A map, and what belongs to it.

    Attributes
    ----------
    file : pharmasl.files.bids.File
        The map, as if it were a raw run: its entities are those of raw data alone.
    mask, sidecar, quality : str or None
        Its brain mask, its JSON and the program's table of its quality.
    transforms : tuple of str
        Of a map on the scan's own grid, the transforms to the template in its name, that to the template first.
    row : Mapping of str to str
        Measures of quality that a table of maps has; text.
    """

    file: bids.File
    mask: str | None = None
    sidecar: str | None = None
    quality: str | None = None
    transforms: tuple[str, ...] = ()
    row: Mapping[str, str | None] = field(default_factory=dict)


def find(wanted: CbfMaps, conditions: Mapping[str, Condition]) -> list[MapFiles]:
    """The maps, in the order of their paths (of a table: of its rows).

    Parameters
    ----------
    wanted : CbfMaps
    conditions : Mapping
        Name to Condition, of the configuration.

    Returns
    -------
    list of MapFiles

    Raises
    ------
    InputError, InputErrors
        If the pattern means nothing, the table is not as it should be, or there is no map.
    """
    if wanted.files is None:
        maps = list(_named(wanted))
    elif wanted.has_table:
        maps = _tabulated(wanted, conditions)
    else:
        maps = _by_pattern(wanted, conditions)
    if not maps:
        raise _none(wanted)
    first: dict[frozenset[tuple[str, str]], str] = {}
    # A file in another participant's folder is an error of its own.
    for own in (part for part in maps if _is_in_place(part.file)):
        other = first.setdefault(frozenset(own.file.index.items()), own.file.path)
        if other != own.file.path:
            raise InputError(
                own.file.path,
                "participant, session and state",
                f"those of {other} too",
                "one map of each scan",
                f"Remove one of the two, or tell them apart: by {FIELD}.files, or by the labels that conditions select.",
            )
    return maps


def _is_in_place(file: bids.File) -> bool:
    """Whether a file's name and its folders speak of one participant and session."""
    return all(file.entities.get(key) == file.place.get(key) for key in ("sub", "ses"))


def _named(wanted: CbfMaps) -> Iterator[MapFiles]:
    """Maps with BIDS names."""
    dataset = bids.read_dataset(wanted.dir, may_lack_people=True)
    paths = {_key(file): file.path for file in dataset.files if file.datatype == "perf"}
    own = {} if wanted.on_scan else _derived(space=wanted.template, res=wanted.resolution)
    for file in dataset.images("cbf"):
        derived = _derived_of(file)
        if file.datatype != "perf" or derived != {**own, **_derived(desc=wanted.desc)}:
            continue
        known = {key: label for key, label in file.entities.items() if key in bids.RAW_ENTITIES}
        kinds = {
            "mask": ("mask", ".nii", {**own, "desc": "brain"}),
            "sidecar": ("cbf", ".json", derived),
            "quality": ("cbf", ".tsv", {"desc": "qualitycontrol"}),
            # Of ASLPrep 0.3 to 0.6.
            "earlier_quality": ("cbf", ".csv", {"desc": "qualitycontrol"}),
        }
        folder = os.path.dirname(file.path)
        beside = {
            name: paths.get((folder, suffix, extension, frozenset({**known, **labels}.items())))
            for name, (suffix, extension, labels) in kinds.items()
        }
        tables_of = [path for path in (beside["quality"], beside["earlier_quality"]) if path]
        if len(tables_of) > 1:
            raise InputError(
                tables_of[1],
                "(whole file)",
                f"{os.path.basename(tables_of[0])} too",
                "one table of a scan's quality: ASLPrep writes .csv in versions 0.3 to 0.6, .tsv since 0.7",
                "Remove what another version than that of the maps has left, or process the data with one version anew.",
            )
        yield MapFiles(
            file=_as_run(file.path, known, file.place),
            mask=beside["mask"],
            sidecar=beside["sidecar"],
            quality=next(iter(tables_of), None),
            transforms=imported_transforms.of_scan(dataset, file, wanted.template) if wanted.on_scan else (),
        )


def _key(file: bids.File) -> tuple[str, str, str, frozenset[tuple[str, str]]]:
    """By what a file is found beside a map."""
    extension = file.extension.removesuffix(".gz")
    return os.path.dirname(file.path), file.suffix, extension, frozenset(file.entities.items())


def _derived(**labels: str | None) -> dict[str, str]:
    return {key: label for key, label in labels.items() if label is not None}


def _derived_of(file: bids.File) -> dict[str, str]:
    return {key: label for key, label in file.entities.items() if key not in bids.RAW_ENTITIES}


def _as_run(path: str, entities: Mapping[str, str], place: Mapping[str, str]) -> bids.File:
    """A map as if it were a raw run of its participant and session."""
    extension = ".nii.gz" if path.endswith(".gz") else ".nii"
    return bids.File(path, dict(entities), "asl", extension, 3, "perf", dict(place))


def _by_pattern(wanted: CbfMaps, conditions: Mapping[str, Condition]) -> list[MapFiles]:
    assert wanted.files is not None
    names = [*PLACES, _CONDITION]
    file_patterns.check(wanted.files, f"{FIELD}.files", names)
    if wanted.mask is not None:
        file_patterns.check(wanted.mask, f"{FIELD}.mask", names)
    maps = []
    for match in file_patterns.find(wanted.dir, wanted.files):
        entities = {PLACES[name]: label for name, label in match.labels.items() if name in PLACES}
        if state := match.labels.get(_CONDITION):
            if state not in conditions:
                continue
            entities |= _selected(conditions[state])
        mask = None
        if wanted.mask is not None:
            paths = [os.path.join(wanted.dir, path) for path in file_patterns.filled(wanted.mask, match.labels)]
            # The first where neither is there: its absence is an error that names it.
            mask = next((path for path in paths if os.path.isfile(path)), paths[0])
        maps.append(MapFiles(file=_placed(match.path, entities), mask=mask, sidecar=_json_beside(match.path)))
    return maps


def _placed(path: str, entities: Mapping[str, str]) -> bids.File:
    ordered = {key: entities[key] for key in bids.RAW_ENTITIES if key in entities}
    return _as_run(path, ordered, {key: ordered[key] for key in ("sub", "ses") if key in ordered})


def _selected(condition: Condition) -> dict[str, str]:
    """The entities by which a condition is known."""
    keys = study_conditions.SELECTORS
    return {key: str(value) for name, key in keys.items() if (value := getattr(condition, name)) is not None}


def _json_beside(path: str) -> str | None:
    sidecar = path.removesuffix(".gz").removesuffix(".nii") + ".json"
    return sidecar if os.path.isfile(sidecar) else None


def _tabulated(wanted: CbfMaps, conditions: Mapping[str, Condition]) -> list[MapFiles]:
    """Maps that a table names."""
    assert wanted.files is not None
    sheet = tables.read_sheet(os.path.join(wanted.dir, wanted.files))
    measured = [name for name in sheet.columns if name in schemas.choices("config", "measure")]
    errors = [
        InputError(
            sheet.path,
            name,
            f"no such column, of {', '.join(sheet.columns)}",
            "a column of every table of maps",
            did_you_mean(similar(name, sheet.columns), "Add it."),
        )
        for name in ("participant_id", "cbf", *([_CONDITION] if len(conditions) > 1 else []))
        if name not in sheet.columns
    ]
    if errors:
        raise InputErrors(errors)
    maps = []
    for line, row in zip(sheet.lines, sheet.rows, strict=True):
        try:
            maps.append(_row(wanted, conditions, row, f"line {line}, "))
        except InputError as error:
            errors.append(InputError(sheet.path, error.field, error.found, error.expected, error.fix))
    if errors:
        raise InputErrors(errors)
    return [
        MapFiles(file=own.file, mask=own.mask, sidecar=own.sidecar, row={name: own.row[name] for name in measured})
        for own in maps
    ]


def _row(wanted: CbfMaps, conditions: Mapping[str, Condition], row: Mapping[str, str | None], where: str) -> MapFiles:
    """The map of a row of the table."""
    for name in ("participant_id", "cbf"):
        if row[name] is None:
            raise InputError("", f"{where}{name}", None, "a value in each row", "Fill it in, or remove the row.")
    state = row.get(_CONDITION) or (next(iter(conditions)) if len(conditions) == 1 else None)
    if state not in conditions:
        known = ", ".join(conditions)
        hint = did_you_mean(similar(str(state), conditions), "Correct it.")
        raise InputError("", f"{where}{_CONDITION}", state, f"one of the conditions: {known}", hint)
    entities = {"sub": bids.bare_label(str(row["participant_id"]), "sub"), **_selected(conditions[str(state)])}
    if row.get("session_id"):
        entities["ses"] = bids.bare_label(str(row["session_id"]), "ses")
    for key, label in entities.items():
        if bids.parse(f"{key}-{label}_cbf.nii") is None:
            raise InputError("", f"{where}{key}", label, "letters and digits", "Correct the label.")
    path = os.path.join(wanted.dir, str(row["cbf"]))
    if not os.path.isfile(path):
        raise InputError("", f"{where}cbf", path, "a file that is there", "Correct the path, which is below the dir.")
    mask = os.path.join(wanted.dir, str(row["mask"])) if row.get("mask") else None
    return MapFiles(file=_placed(path, entities), mask=mask, sidecar=_json_beside(path), row=dict(row))


def _none(wanted: CbfMaps) -> InputError:
    """The error of a folder without the maps asked for, with what is there instead."""
    if wanted.files is not None:
        return InputError(
            wanted.dir,
            wanted.files,
            "no file that fits",
            "the CBF maps",
            f"Correct {FIELD}.files: it is the path below {FIELD}.dir.",
        )
    dataset = bids.read_dataset(wanted.dir, may_lack_people=True)
    kinds = dict.fromkeys(_kind(_derived_of(file)) for file in dataset.images("cbf") if file.datatype == "perf")
    space = {} if wanted.on_scan else _derived(space=wanted.template, res=wanted.resolution)
    asked = _kind({**space, **_derived(desc=wanted.desc)})
    if any("_mean_cbf.nii" in os.path.basename(path) for path in dataset.unparsed):
        fix = (
            "The maps are named *_mean_cbf, as ASLPrep before 0.3 named them: give their pattern by "
            f"{FIELD}.files, or process the data with a current version."
        )
    else:
        fix = f"Set {FIELD}.space, {FIELD}.grid and {FIELD}.desc to what is there, or write that space (ASLPrep: --output-spaces)."
    return InputError(
        wanted.dir,
        "sub-*/perf/*_cbf.nii.gz",
        f"maps with {'; '.join(sorted(kinds))}" if kinds else "no CBF map",
        f"maps with {asked}",
        fix,
    )


def _kind(derived: Mapping[str, str]) -> str:
    return ", ".join(f"{key}-{label}" for key, label in derived.items()) or "no space and no desc"


def units(own: MapFiles, wanted: CbfMaps) -> tuple[str, str]:
    """The unit of a map, and where it is stated.

    Raises
    ------
    InputError
        If the sidecar and the configuration state none, or two.
    """
    stated = json_object.read(own.sidecar).get("Units") if own.sidecar else None
    if stated is None and wanted.units is None:
        raise InputError(
            own.sidecar or own.file.path,
            "Units",
            "no such field" if own.sidecar else "no sidecar",
            "the unit of the map",
            f"Set {FIELD}.units to it, such as mL/100 g/min.",
        )
    if stated is not None and wanted.units is not None and str(stated) != wanted.units:
        raise InputError(
            str(own.sidecar),
            "Units",
            stated,
            f"{wanted.units}, as {FIELD}.units has it",
            f"Leave {FIELD}.units out, or correct one of the two.",
        )
    if stated is not None:
        return str(stated), f"Units of {os.path.basename(str(own.sidecar))}"
    return str(wanted.units), f"config {FIELD}.units"


def measures(own: MapFiles, wanted: CbfMaps, maker: str) -> dict[str, float]:
    """The measures of quality that the other program has of a map, by the names that they have here.

    Parameters
    ----------
    own : MapFiles
    wanted : CbfMaps
    maker : str
        The program with its version.

    Raises
    ------
    InputError
        If one is no number, or the table does not have one row, or it has none of the columns that are known.
    """
    values: Mapping[str, str | None] = own.row
    named = {name: name for name in own.row}
    file = wanted.files or ""
    if own.quality:
        sheet = tables.read_sheet(own.quality, "," if own.quality.endswith(".csv") else "\t")
        rows: Sequence[Mapping[str, str | None]] = sheet.rows
        if len(rows) != 1:
            raise InputError(
                own.quality, "(rows)", len(rows), "one row, of one run", "Take the table from its source anew."
            )
        values, file = rows[0], own.quality
        named = _named_columns(sheet.columns, wanted.desc)
        if not named:
            raise InputError(
                own.quality,
                "header",
                f"columns {', '.join(sheet.columns)}, of {maker}",
                "mean_fd, or FD in ASLPrep 0.3 to 0.6",
                f"Name the maps by a table with measures of your own ({FIELD}.files), or take the file away: without it no measure "
                "of the program is used.",
            )
    return {
        name: number
        for name, column in named.items()
        if (number := _number(values.get(column), file, column)) is not None
    }


def _named_columns(columns: Sequence[str], desc: str | None) -> dict[str, str]:
    """The measures that a table has for maps with a label, each with its column."""
    current = _COLUMN_LABELS.get(desc or "", f"_{desc}" if desc else "")
    labels = (current, _EARLIER_LABELS.get(desc, desc or ""))
    named = {}
    for name, known in _COLUMNS.items():
        own = [column.format(label) for column, label in zip(known, labels)]
        # This workflow's own results have the names of here.
        own += [] if desc else [name]
        if column := next((column for column in own if column in columns), None):
            named[name] = column
    return named


def _number(text: str | None, file: str, column: str) -> float | None:
    if text is None or text.casefold() == "nan":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(file, column, text, "a number", "Correct the table.") from None
