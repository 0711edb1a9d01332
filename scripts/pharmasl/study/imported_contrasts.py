"""Contrast maps of another program, in place of all that comes before the group analyses: which there are, and whether they fit.

A map is found by a pattern of its path or named by a row of a table. All lie on one grid of one named space, the template's.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pharmasl.errors import InputError, InputErrors, did_you_mean, nearest_path, similar
from pharmasl.files import bids, tables
from pharmasl.space import header, template_boxes
from pharmasl.study import copies, derivative_datasets, file_patterns, own_template
from pharmasl.study.derivative_datasets import DerivativeDataset
from pharmasl.study.derivatives import ImportedContrasts
from pharmasl.study.effect_words import PERFUSION
from pharmasl.study.settings import Sessions, Settings

FIELD = "derivatives.contrasts"
COLUMNS = ("participant_id", "session_id", "contrast", "file")
_LABEL = re.compile("[a-zA-Z0-9+]+")
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]{0,59}")
_GRID_TOLERANCE = 1e-3  # mm


@dataclass(frozen=True, kw_only=True)
class ImportedContrast:
    """A contrast map of another program.

    Attributes
    ----------
    subject : str
        Label, without ``sub-``.
    session : str or None
        Label, without ``ses-``; None in a study without sessions.
    contrast : str
    path : str
    """

    subject: str
    session: str | None
    contrast: str
    path: str

    @property
    def visit(self) -> tuple[str, str | None]:
        """Subject and session."""
        return self.subject, self.session


@dataclass(frozen=True, kw_only=True)
class Import:
    """What a folder of contrast maps holds.

    Attributes
    ----------
    dataset : DerivativeDataset or None
        Which program made it; None where that is not known, which is an error.
    maps : tuple of ImportedContrast
        In the order of participants, sessions and contrasts.
    errors : tuple of InputError
    """

    dataset: DerivativeDataset | None
    maps: tuple[ImportedContrast, ...] = ()
    errors: tuple[InputError, ...] = field(default=())

    @property
    def subjects(self) -> tuple[str, ...]:
        """Labels of all participants with a map."""
        return tuple(dict.fromkeys(own.subject for own in self.maps))

    def listing(self, root: str) -> bids.Dataset:
        """The maps as the files of a dataset, whose participants and sessions other checks look up."""
        files = []
        for own in self.maps:
            labels = {"sub": own.subject, **({"ses": own.session} if own.session else {})}
            files.append(bids.File(own.path, labels, "statmap", ".nii.gz", 0, "contrasts", labels))
        return bids.Dataset(root, self.subjects, tuple(files))


def read(wanted: ImportedContrasts) -> Import:
    """The contrast maps that a configuration asks for, with all that is wrong with them.

    Parameters
    ----------
    wanted : ImportedContrasts

    Returns
    -------
    Import
    """
    errors: list[InputError] = []
    try:
        dataset = derivative_datasets.read(wanted, FIELD)
    except InputError as error:
        if not os.path.isdir(wanted.dir):
            return Import(dataset=None, errors=(error,))
        dataset = None
        errors.append(error)
    listed: list[ImportedContrast] = []
    try:
        for own in _listed_in(wanted) if wanted.files is None else _matching(wanted):
            listed.append(own)
    except InputErrors as several:
        errors += several.errors
    except InputError as error:
        errors.append(error)
    listed.sort(key=lambda own: (own.subject, own.session or "", own.contrast, own.path))
    maps = tuple({(own.visit, own.contrast): own for own in listed}.values())
    errors += _twice(listed)
    if not errors:
        errors += [
            *copies.find(own.path for own in maps),
            *_named_spaces(maps, wanted.space),
            *_named_people(maps),
            *_grids(maps, wanted.space),
        ]
    return Import(dataset=dataset, maps=maps, errors=tuple(errors))


def names(wanted: ImportedContrasts) -> list[str]:
    """The contrasts of which there are maps, as the configuration or the table names them.

    Raises
    ------
    InputError
        If there is no table, or it has no column of contrasts.
    """
    if wanted.files is not None:
        return list(wanted.files)
    sheet = _sheet(wanted)
    return sorted({row["contrast"] for row in sheet.rows if row["contrast"] and _NAME.fullmatch(row["contrast"])})


def _sheet(wanted: ImportedContrasts) -> tables.Sheet:
    """The table of the maps."""
    path = os.path.join(wanted.dir, str(wanted.table))
    if not os.path.isfile(path):
        expected, advice = "an existing table below dir", nearest_path(path, "Correct the path.")
        raise InputError("config", f"{FIELD}.table", path, expected, advice)
    sheet = tables.read_sheet(path)
    for name in COLUMNS:
        if name not in sheet.columns and name != "session_id":
            hint = did_you_mean(similar(name, sheet.columns), f"Add it: the table has {', '.join(COLUMNS)}.")
            raise InputError(
                path, name, f"no such column, of {', '.join(sheet.columns)}", "a column of the table", hint
            )
    return sheet


def _matching(wanted: ImportedContrasts) -> Iterator[ImportedContrast]:
    """The maps whose paths fit the patterns."""
    for contrast, pattern in (wanted.files or {}).items():
        setting = f"{FIELD}.files.{contrast}"
        file_patterns.check(pattern, setting, ("participant", "session"))
        matches = list(file_patterns.find(wanted.dir, pattern))
        if not matches:
            raise InputError(
                "config",
                setting,
                pattern,
                f"the path of a map below {wanted.dir}; no file has such a path",
                nearest_path(os.path.join(wanted.dir, pattern), "Correct the pattern, which is below dir."),
            )
        for file in matches:
            yield ImportedContrast(
                subject=file.labels["participant"],
                session=file.labels.get("session"),
                contrast=contrast,
                path=file.path,
            )


def _listed_in(wanted: ImportedContrasts) -> Iterator[ImportedContrast]:
    """The maps that the rows of a table name; all its faults at once."""
    sheet = _sheet(wanted)
    path = sheet.path
    errors: list[InputError] = []
    maps: list[ImportedContrast] = []
    for line, row in zip(sheet.lines, sheet.rows, strict=True):
        problems = list(_row_problems(wanted, path, line, row))
        errors += problems
        if not problems:
            session = bids.bare_label(row["session_id"] or "", "ses") if "session_id" in row else ""
            maps.append(
                ImportedContrast(
                    subject=bids.bare_label(row["participant_id"] or "", "sub"),
                    session=session or None,
                    contrast=str(row["contrast"]),
                    path=os.path.join(wanted.dir, str(row["file"])),
                )
            )
    if errors:
        raise InputErrors(errors)
    yield from maps


def _row_problems(
    wanted: ImportedContrasts, path: str, line: int, row: Mapping[str, str | None]
) -> Iterator[InputError]:
    for column, entity in (("participant_id", "sub"), ("session_id", "ses")):
        label = bids.bare_label(row.get(column) or "", entity)
        if not _LABEL.fullmatch(label) and (label or column == "participant_id"):
            yield InputError(
                path, f"line {line}, {column}", row.get(column) or "nothing", "letters and digits", "Correct the label."
            )
    name = row["contrast"] or ""
    if not _NAME.fullmatch(name):
        expected = "a name: a letter, then letters, digits and underscores, 60 at most"
        yield InputError(path, f"line {line}, contrast", name or "nothing", expected, "Rename the contrast.")
    file = row["file"]
    if file is None or not os.path.isfile(os.path.join(wanted.dir, file)):
        advice = nearest_path(os.path.join(wanted.dir, file or ""), "Correct the path, which is below dir.")
        yield InputError(path, f"line {line}, file", file or "nothing", "an image that is there", advice)


def _twice(listed: Sequence[ImportedContrast]) -> Iterator[InputError]:
    """Two maps of one contrast at one visit."""
    groups: dict[tuple[object, str], list[ImportedContrast]] = {}
    for own in listed:
        groups.setdefault((own.visit, own.contrast), []).append(own)
    for same in groups.values():
        if len(same) > 1:
            where = f" at ses-{same[0].session}" if same[0].session else ""
            yield InputError(
                same[0].path,
                "(file name)",
                f"{same[0].contrast} of sub-{same[0].subject}{where} again, in {same[1].path}",
                "one map of a contrast at a visit",
                "Remove one, or make the pattern stricter: nothing says which of them is meant.",
            )


def _named_spaces(maps: Sequence[ImportedContrast], space: str) -> Iterator[InputError]:
    """Maps whose names say that they lie in another space."""
    for own in maps:
        name = bids.parse(os.path.basename(own.path))
        stated = name.entities.get("space") if name else None
        if stated not in (None, space):
            yield InputError(
                own.path,
                "space",
                stated,
                f"{space}, as {FIELD}.space says",
                "Correct the setting or the pattern: templates called MNI differ by millimetres, and are not mixed.",
            )


def _named_people(maps: Sequence[ImportedContrast]) -> Iterator[InputError]:
    """Maps whose names say that they are of another participant or session than the pattern or the row does."""
    for own in maps:
        name = bids.parse(os.path.basename(own.path))
        for entity, label, kind in (("sub", own.subject, "participant"), ("ses", own.session, "session")):
            stated = name.entities.get(entity) if name else None
            if None not in (stated, label) and stated != label:
                yield InputError(
                    own.path,
                    entity,
                    f"{entity}-{stated} in the name",
                    f"{entity}-{label}, by its folder or by the row of the table",
                    f"Correct the row or the pattern, or rename the file to the {kind} that it is of.",
                )


def _grids(maps: Sequence[ImportedContrast], space: str) -> Iterator[InputError]:
    """Maps that cannot be read, hold several volumes, or lie on another grid than the first or on that of another template."""
    first: header.Header | None = None
    for own in maps:
        try:
            image = header.read(own.path)
            header.check_place(image)
        except InputErrors as several:
            yield from several.errors
            continue
        if image.volumes > 1:
            shape = (*image.shape, image.volumes)
            yield InputError(own.path, "dim", shape, "one volume: a contrast map", "Name the contrast's own file.")
        elif first is None:
            first = image
            if other := template_boxes.another(image, space):
                yield InputError(
                    own.path,
                    "grid",
                    f"the grid of {other}",
                    f"that of {space}, as {FIELD}.space says",
                    "Find out which of the two it is, and name it: templates called MNI differ by millimetres.",
                )
        elif image.shape != first.shape or not np.allclose(image.affine, first.affine, rtol=0, atol=_GRID_TOLERANCE):
            other = "another affine" if image.shape == first.shape else f"shape {image.shape}"
            yield InputError(
                own.path,
                "grid",
                other,
                f"that of {first.path}: shape {first.shape}, and its affine",
                "Take maps of one run of the program: all lie on one grid.",
            )


def sessions_problems(maps: Sequence[ImportedContrast], sessions: Sessions | None) -> Iterator[InputError]:
    """Sessions that the maps have and the configuration does not, or the other way round.

    Parameters
    ----------
    maps : sequence of ImportedContrast
    sessions : Sessions or None

    Yields
    ------
    InputError
    """
    present = list(dict.fromkeys(own.session for own in maps if own.session))
    if sessions is None and present:
        expected = f"the maps' sessions, {', '.join(present)}"
        yield InputError("config", "sessions", "nothing", expected, "Add sessions: {baseline: ...}.")
    for label in sessions.labels if sessions else ():
        if label not in present:
            known = f"a session of the maps: {', '.join(present) or 'they have none; put {session} into the pattern'}"
            yield InputError("config", "sessions", label, known, did_you_mean(similar(label, present), "Correct it."))


def check(study: Settings) -> Iterator[InputError]:
    """What a study of ready-made contrast maps cannot ask for, and whether the template is theirs.

    Parameters
    ----------
    study : Settings
        Complete.

    Yields
    ------
    InputError
    """
    wanted = study.derivatives.contrasts
    if wanted is None:
        return
    if wanted.space != study.template.space:
        yield InputError(
            "config",
            f"{FIELD}.space",
            wanted.space,
            f"{study.template.space}, the study's template",
            "Declare the template of the maps the study's: set template.space to its name and template.t1w or template.mask to its "
            "files. Templates called MNI differ by millimetres, and are not mixed.",
        )
    bold = "bold" in (wanted.measure or "").casefold()
    if (wanted.measure == PERFUSION.measure and wanted.factor is None) or (bold and wanted.factor is not None):
        yield InputError(
            "config",
            f"{FIELD}.measure",
            f"{wanted.measure}, in {wanted.unit}",
            "CBF with a unit of CBF such as mL/100 g/min, or another measure with a unit of its own",
            "Correct the one that is wrong: measure or unit.",
        )
    yield from _needing_scans(study)


def _needing_scans(study: Settings) -> Iterator[InputError]:
    """Settings that read single scans, their anatomy or the template's tissues."""
    own = own_template.files(study.template)
    has_tissues = not own or {"gm", "wm"} <= set(own)
    for name, region in study.rois.items():
        if region.space == "native":
            yield _refusal(f"rois.{name}.space", "native", "template: a map of a contrast has no scan of its own space")
        if region.statistic == "gm_weighted" and not has_tissues:
            yield _refusal(f"rois.{name}.statistic", "gm_weighted", "mean or median, or template.gm and template.wm")
    for name, analysis in study.analyses.items():
        formula = analysis.formula
        terms = [] if formula is None else [*formula.maps, *formula.variables]
        for term in ("gm", "att", "global"):
            if term in terms:
                yield _refusal(f"analyses.{name}.model", term, "terms of the participants' table or of contrast maps")
    if study.sensitivity:
        yield _refusal("sensitivity", "a section", "nothing: its alternatives process scans again")


def _refusal(setting: str, value: str, expected: str) -> InputError:
    return InputError("config", setting, f"{value}, with {FIELD}", expected, "Take it out, or process the scans here.")
