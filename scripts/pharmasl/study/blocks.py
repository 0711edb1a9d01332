"""The blocks of a run in which conditions alternate: read from a table, checked against the series, and timed."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError, InputErrors, did_you_mean, similar
from pharmasl.files import bids, tables
from pharmasl.statistics import block_design
from pharmasl.study import conditions, sidecar, stimulus_recording
from pharmasl.study.run_blocks import Block, RunBlocks, by_condition
from pharmasl.study.scan_acquisition import Acquisition
from pharmasl.study.settings import Settings

# Seconds by which blocks may overlap, as times are rounded.
_ROUNDING = 0.01
# By how much longer than the series a time must be to be taken for milliseconds.
_MILLISECONDS = 20
# Share of the series that times fill, if they are numbers of volumes or pairs, at least.
_FILLED = 0.75
# Volumes of a pair.
_PAIR = 2
_NEEDED = ("onset", "duration", "trial_type")
# Columns of a table by which it is told whose blocks they are, with the entity of the run's name.
_PLACES = {"participant_id": "sub", "session_id": "ses", "run": "run", "acquisition": "acq", "task": "task"}
# Other names that people give these columns: passed over, the rows would be taken for every run's.
_OTHER_NAMES = {
    **dict.fromkeys(("participant", "subject", "subject_id", "sub", "id"), "participant_id"),
    **dict.fromkeys(("session", "ses", "visit"), "session_id"),
    **dict.fromkeys(("run_id", "run_number"), "run"),
    **dict.fromkeys(("acq", "acquisition_id"), "acquisition"),
    **dict.fromkeys(("task_id", "task_name"), "task"),
}
_SIGN = {"control": 0.5, "label": -0.5}


def resolve(
    dataset: bids.Dataset,
    asl: bids.File,
    acquisition: Acquisition,
    study: Settings,
    overrides: Sequence[sidecar.Override] = (),
) -> RunBlocks:
    """The blocks of one run.

    Parameters
    ----------
    dataset : bids.Dataset
    asl : bids.File
        The run's image.
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    study : pharmasl.study.settings.Settings
    overrides : sequence of pharmasl.study.sidecar.Override
        Fields that take the place of the sidecar's.

    Returns
    -------
    RunBlocks

    Raises
    ------
    InputErrors
        If the table is missing or its blocks do not fit the series; if the series has no single delay, or no labels and
        controls; and if the conditions cannot be told from one another or from drift.
    """
    fields = sidecar.overridden(sidecar.read(dataset, asl, "asl"), overrides, asl.entities).fields
    starts, end = _volume_starts(asl, acquisition, fields)
    series = _Series(asl.name, starts, end, acquisition.volume_types)
    written = _Table.read(dataset, asl, study, series)
    blocks = _blocks(written, study, series)
    for check in (
        _counted(written, series),
        _before_labelling(blocks, written, study, series),
        _single_events(written, study, series),
    ):
        if errors := list(check):
            raise InputErrors(errors)
    names = study.block_conditions
    own = by_condition(names, blocks)
    used = [kind in _SIGN for kind in acquisition.volume_types]
    wait = _single(acquisition.labeling_duration) + _single(acquisition.post_labeling_delay)
    run = RunBlocks(
        conditions=names,
        blocks=blocks,
        readouts=tuple(round(start + wait, 6) if is_used else None for start, is_used in zip(starts, used)),
        signs=tuple(_SIGN.get(kind) for kind in acquisition.volume_types),
        delay=study.blocks.delay,
        cutoff=block_design.drift_cutoff(own) if study.blocks.cutoff is None else study.blocks.cutoff,
        source=bids.place(written.path, dataset.root),
    )
    if errors := list(_too_few(own, written.path, asl)) or list(_indistinct(run, study, written.path, asl)):
        raise InputErrors(errors)
    return run


def unread(dataset: bids.Dataset, study: Settings, subjects: Iterable[str]) -> Iterator[dict[str, str | None]]:
    """Tables of events beside perfusion runs that are not read, as rows of what is left out.

    Parameters
    ----------
    dataset : bids.Dataset
    study : pharmasl.study.settings.Settings
    subjects : iterable of str
        Labels of the participants to look at.
    """
    if study.block_conditions and study.blocks.table is None:
        return
    why = "blocks.table is" if study.block_conditions else "no condition has a block"
    wanted = set(subjects)
    for file in dataset.files:
        if (file.suffix, file.datatype, file.extension) == ("events", "perf", ".tsv") and file.place["sub"] in wanted:
            yield {
                "participant_id": f"sub-{file.place['sub']}",
                "session_id": file.place.get("ses"),
                "reason": f"{file.name} is not read: {why}",
            }


def _single(value: Any) -> float:
    return 0.0 if value is None else float(value)


def _volume_starts(
    asl: bids.File, acquisition: Acquisition, fields: Mapping[str, Any]
) -> tuple[tuple[float, ...], float]:
    """When each volume began, and when the last one ended, seconds since the first began."""
    types = acquisition.volume_types
    fault = None
    if acquisition.several_delays:
        fault = ("PostLabelingDelay", "several delays or labelling durations", "one of each")
    elif not {"control", "label"} <= set(types):
        fault = ("volume_type", ", ".join(sorted(set(types))), "controls and labels")
    elif isinstance(fields.get("EchoTime"), list) and len(set(fields["EchoTime"])) > 1:
        # The volumes of an excitation's echoes are of one time.
        fault = ("EchoTime", "volumes of several echoes in one file", "a file for each echo")
    field = "RepetitionTimePreparation"
    value = fields.get(field, fields.get("RepetitionTime"))
    if fault is None and value is None:
        fault = (field, "nothing", "seconds from each volume to the next")
    if fault is not None:
        name, there, expected = fault
        raise InputError(
            asl.path,
            name,
            there,
            f"{expected}: its conditions alternate in blocks",
            "Correct it, or leave the run out.",
        )
    lasts = [float(time) for time in value] if isinstance(value, list) else [float(value or 0)] * len(types)
    starts = np.concatenate([[0.0], np.cumsum(lasts)])
    return tuple(float(start) for start in starts[:-1]), float(starts[-1])


@dataclass(frozen=True)
class _Series:
    """A run's name, when its volumes began and the last one ended (s since the first began), and what they are."""

    name: str
    starts: tuple[float, ...]
    end: float
    types: tuple[str, ...]

    @property
    def first_used(self) -> int:
        """The first control or label."""
        return next(number for number, kind in enumerate(self.types) if kind in _SIGN)

    @property
    def volume(self) -> float:
        """How long a control or label lasts, on average, s."""
        used = self.starts[self.first_used :]
        return (self.end - used[0]) / len(used)


@dataclass(frozen=True)
class _Table:
    """What a table says of one run: onset, duration and trial type of each row, with its line."""

    path: str
    rows: tuple[tuple[float, float, str, int], ...]

    @classmethod
    def read(cls, dataset: bids.Dataset, asl: bids.File, study: Settings, series: "_Series") -> "_Table":
        """The table that holds for a run."""
        if study.blocks.table is not None:
            return _own_rows(os.path.join(dataset.root, study.blocks.table), asl)
        for suffix, extension, reader in (("events", ".tsv", _events), ("stim", ".tsv.gz", _stimulus)):
            if files := dataset.metadata(asl, suffix, extension):
                return reader(dataset, asl, files[-1].path, study, series)
        beside = asl.path.removesuffix(f"_asl{asl.extension}") + "_events.tsv"
        raise InputError(
            beside,
            "(whole file)",
            "no such file",
            "the blocks of the run: onset, duration, trial_type",
            _misplaced(dataset, asl) or "Add it, or name one table for all runs by blocks.table in the configuration.",
        )


def _misplaced(dataset: bids.Dataset, asl: bids.File) -> str:
    """What is to be done with tables of events that lie in the visit and do not apply to the run; empty without any."""
    names = [
        file.name
        for file in dataset.files
        if (file.suffix, file.extension) == ("events", ".tsv")
        and file.place == asl.place
        and file.datatype in (asl.datatype, None)
    ]
    return (
        f"Rename {' or '.join(names[:3])}: a table has the name of its run, with events.tsv for asl.nii.gz."
        if names
        else ""
    )


def _own_rows(path: str, asl: bids.File) -> _Table:
    """The rows of the configuration's table that are meant for a run."""
    sheet = tables.read_sheet(path)
    _check_columns(sheet)
    _check_places(sheet)
    rows = []
    for row, line in zip(sheet.rows, sheet.lines):
        if all(_is_meant(row.get(column), key, asl) for column, key in _PLACES.items()):
            rows.append(_numbers(path, row, line))
    if not rows:
        raise InputError(
            path,
            "participant_id" if "participant_id" in sheet.columns else "onset",
            f"no row of {asl.name}",
            "the blocks of each run that conditions take",
            _unpadded(sheet, asl) or "Add them, or take the run out of the conditions.",
        )
    return _Table(path, tuple(rows))


def _check_places(sheet: tables.Sheet) -> None:
    """Refuse columns that say whose blocks they are by another name than the one that is read."""
    for name in sheet.columns:
        meant = _OTHER_NAMES.get(name.casefold()) or next((own for own in _PLACES if own == name.casefold()), name)
        if meant != name and meant not in sheet.columns:
            raise InputError(
                sheet.path,
                "header",
                name,
                f"{meant}, the column that says whose blocks they are",
                f"Rename it {meant}; or remove it where each row holds for all runs.",
            )


def _unpadded(sheet: tables.Sheet, asl: bids.File) -> str:
    """What is to be done where a spreadsheet took the labels for numbers: 1 for 01; empty where it did not."""
    own, label = asl.entities.get("sub", ""), "participant_id"
    written = {bids.bare_label(own_label, "sub") for row in sheet.rows if (own_label := row.get(label))}
    short = own.lstrip("0")
    return f"It has {short} for {own}: write the zeros in front." if short != own and short in written else ""


def _is_meant(label: str | None, key: str, asl: bids.File) -> bool:
    """Whether a cell names the run, or leaves it open."""
    if label is None:
        return True
    return conditions.same_label(key, asl.entities.get(key), bids.bare_label(label, key))


def _events(dataset: bids.Dataset, asl: bids.File, path: str, study: Settings, series: _Series) -> _Table:
    """All rows of a run's own table of events; those of no type, as responses are, are no blocks."""
    sheet = tables.read_sheet(path)
    _check_columns(sheet)
    typed = [(row, line) for row, line in zip(sheet.rows, sheet.lines) if row["trial_type"] is not None]
    return _Table(path, tuple(_numbers(path, row, line) for row, line in typed))


def _stimulus(dataset: bids.Dataset, asl: bids.File, path: str, study: Settings, series: _Series) -> _Table:
    """Blocks of a run's recording of stimuli: a column for each condition's block, more than 0.5 while it is shown."""
    recording = stimulus_recording.read(dataset, bids.File(path, asl.entities, "stim", ".tsv.gz", asl.depth))
    shift, slack = study.blocks.start or 0.0, _PAIR * series.volume
    first, last = recording.start - shift, recording.end - shift
    used = series.starts[series.first_used]
    if first > used + slack or last < series.end - slack:
        raise InputError(
            path,
            "rows",
            f"a recording from {first:g} to {last:g} s",
            f"one of the whole run, from {used:g} to {series.end:g} s, within a pair",
            "Correct StartTime or SamplingFrequency, or add the rows that are missing: what is not recorded would count as baseline.",
        )
    wanted = [str(study.conditions[name].block) for name in study.block_conditions]
    rows = [(*shown, name, 0) for name in wanted for shown in recording.shown(name)]
    return _Table(path, tuple(sorted(rows)))


def _check_columns(sheet: tables.Sheet) -> None:
    missing = [name for name in _NEEDED if name not in sheet.columns]
    if missing:
        if any(tables.is_number(name) for name in sheet.columns):
            fix = f"The first line is a block: add the line {', '.join(_NEEDED)} above it."
            raise InputError(sheet.path, "header", ", ".join(sheet.columns), ", ".join(_NEEDED), fix)
        raise InputError(
            sheet.path,
            "header",
            ", ".join(sheet.columns),
            ", ".join(_NEEDED),
            did_you_mean(similar(missing[0], sheet.columns), f"Add the column {missing[0]}; BIDS names it so."),
        )


def _numbers(path: str, row: Mapping[str, str | None], line: int) -> tuple[float, float, str, int]:
    """A row's onset, duration and trial type."""
    values = []
    for name in ("onset", "duration"):
        text = row[name]
        if text is None or not tables.is_number(text) or not np.isfinite(float(text)):
            there = "nothing" if text is None else text
            raise InputError(path, f"{name} (line {line})", there, "a number of seconds", "Correct the table.")
        values.append(float(text))
    kind = row["trial_type"]
    if kind is None:
        raise InputError(path, f"trial_type (line {line})", "nothing", "which block it is", "Correct the table.")
    return values[0], values[1], kind, line


def _blocks(written: _Table, study: Settings, series: _Series) -> tuple[Block, ...]:
    """The blocks of a run, in time, on the clock of its first volume."""
    start, end = study.blocks.start or 0.0, series.end
    names = {study.conditions[name].block: name for name in study.block_conditions}
    ignored = study.blocks.ignore
    strange = sorted({kind for *_, kind, _ in written.rows} - set(names) - set(ignored))
    if strange:
        raise InputError(
            written.path,
            "trial_type",
            ", ".join(strange),
            f"one of {', '.join(map(str, names))}, which conditions have as their block",
            did_you_mean(
                similar(strange[0], [str(name) for name in names]),
                "Add a condition with this block, or put it into blocks.ignore, where it counts as the baseline.",
            ),
        )
    blocks, previous = [], None
    longest = max((onset + duration for onset, duration, *_ in written.rows), default=0.0)
    for onset, duration, kind, line in sorted(written.rows):
        if kind in ignored:
            continue
        begin = onset - start
        clock = "Correct the table, or, if its clock began at another time, set blocks.start."
        for name, value, wrong, wanted, fix in (
            ("duration", duration, duration <= 0, "more than 0 s", "Correct the table: a block lasts."),
            (
                "onset",
                onset,
                begin < 0,
                f"{start:g} s or later, when the first stored volume began",
                clock,
            ),
            (
                "onset + duration",
                onset + duration,
                begin + duration > end + _ROUNDING,
                f"at most {end + start:g} s, where {series.name} ends",
                clock,
            ),
        ):
            if wrong:
                if longest > _MILLISECONDS * end:
                    fix = "Times are in seconds, and this looks like milliseconds."
                where = f"{name} (line {line})" if line else name
                raise InputError(written.path, where, f"{value:g} s", wanted, fix)
        block = Block(names[kind], round(begin, 6), duration)
        if previous is not None and block.onset < previous.onset + previous.duration - _ROUNDING:
            raise InputError(
                written.path,
                f"onset (line {line})" if line else "onset",
                f"{onset:g} s, before the block of {previous.condition} from {previous.onset + start:g} s has ended",
                "blocks one after the other",
                "Correct the table: a run is in one condition at a time.",
            )
        blocks.append(block)
        previous = block
    return tuple(blocks)


def _before_labelling(
    blocks: Sequence[Block], written: _Table, study: Settings, series: _Series
) -> Iterator[InputError]:
    """A first block during M0 or dummies, unless the configuration says what the clock counts from: it may be the first control."""
    begins = series.starts[series.first_used]
    if study.blocks.start is not None or not blocks or blocks[0].onset > begins - _ROUNDING:
        return
    yield InputError(
        written.path,
        "onset",
        f"{blocks[0].onset:g} s, before the run's first control or label at {begins:g} s",
        f"times since the first stored volume ({series.types[0]}) began, or blocks.start",
        f"If the clock began with the first control or label, set blocks.start: {-begins:g}; if with the first stored volume, "
        "blocks.start: 0.",
    )


def _single_events(written: _Table, study: Settings, series: _Series) -> Iterator[InputError]:
    """The shortest block, where it is shorter than a volume: a single event, to which the series shows no response."""
    shown = [row for row in written.rows if row[2] not in study.blocks.ignore]
    if not shown:
        return
    onset, duration, kind, line = min(shown, key=lambda row: row[1])
    if duration < series.volume - _ROUNDING:
        yield InputError(
            written.path,
            f"duration (line {line})" if line else f"{kind} at {onset:g} s",
            f"{duration:g} s",
            f"{series.volume:g} s or more, the time of a volume",
            "A series of labels and controls shows no response to single events: give the blocks in which they were shown.",
        )


def _counted(written: _Table, series: _Series) -> Iterator[InputError]:
    """Times that are numbers of volumes or of pairs: whole numbers that end early, and would fill the series so."""
    last = max((onset + duration for onset, duration, *_ in written.rows), default=0.0)
    if last >= series.end / 2 or any(value != round(value) for row in written.rows for value in row[:2]):
        return
    for lasts, unit in ((series.volume, "volumes"), (_PAIR * series.volume, "pairs")):
        if lasts > 1 and _FILLED * series.end <= last * lasts <= series.end + lasts:
            yield InputError(
                written.path,
                "onset + duration",
                f"{last:g} at the end of the last row, of a series of {series.end:g} s, which as many {unit} would fill",
                "seconds",
                f"Multiply onset and duration by {lasts:g} s. If they are seconds, add a last row, until the end of the series, of a "
                "type that blocks.ignore names.",
            )
            return


def _too_few(own: Mapping[str, np.ndarray], path: FilePath, asl: bids.File) -> Iterator[InputError]:
    least = block_design.LEAST_BLOCKS
    for condition, blocks in own.items():
        if len(blocks) < least:
            yield InputError(
                path,
                condition,
                f"{len(blocks)} block{'s' * (len(blocks) != 1)}",
                f"{least} at least, in {asl.name} as in each run",
                "Fewer cannot be told from drift: scan each condition in a run of its own, without blocks.",
            )


def _indistinct(run: RunBlocks, study: Settings, path: FilePath, asl: bids.File) -> Iterator[InputError]:
    """Contrasts that the design cannot tell from drift."""
    design, most = run.design(), block_design.MOST_INFLATION
    for name, contrast in study.contrasts.items():
        weights = {key: weight for key, weight in contrast.weights.items() if key in run.conditions and weight}
        if not weights:
            continue
        inflation = design.inflation(design.of_conditions(weights))
        if not inflation <= most:
            yield InputError(
                path,
                f"contrasts.{name}",
                f"drift increases its variance {inflation:.1f} times" if np.isfinite(inflation) else "not determined",
                f"{most:g} times at most, in {asl.name} as in each run",
                "Its conditions cannot be told from drift: alternate them more often, or scan each in a run of its own.",
            )
