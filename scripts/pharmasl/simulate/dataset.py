"""The trial as files: a plain BIDS dataset, and the planted truth beside it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.tables import Columns, Row
from pharmasl.simulate import (
    alternating_cues,
    label_control_series,
    participant_anatomy,
    planted_cigarettes,
    susceptibility,
    virtual_trial,
)
from pharmasl.simulate.alternating_cues import CUES
from pharmasl.simulate.effect_places import Place
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.simulate.scanned_person import Person
from pharmasl.simulate.scanner_model import ECHO_TIME, Scanner
from pharmasl.simulate.simulation_settings import ParticipantSettings, PlannedEffect, TrialSettings
from pharmasl.simulate.susceptibility import Susceptibility
from pharmasl.simulate.trial_draws import CONDITIONS, CUE_REGIONS
from pharmasl.space import images, resample, transforms
from pharmasl.space.images import Grid
from pharmasl.space.packaged import nilearn_file
from pharmasl.study.settings import Arms, SessionPair

LOG = logging.getLogger(__name__)

_README = """\
A simulated trial: it was made by pharmasl's simulator, and nobody was scanned.

Two arms, two sessions, three ASL runs a session: rest, smoking cues and neutral cues (acq-rest, acq-smoking and
acq-neutral). Each run is pCASL, an M0 volume first and controls and labels after it. Heads are the ICBM
152 2009a template carried into random shapes. Craving before and after the cues is in phenotype/craving.tsv, cigarettes a
day in phenotype/smoking.tsv.

What was planted is not in this dataset; it lies in a folder of its own.
"""

_README_BLOCKS = """
Of these, the cues alternate in blocks: acq-cues, run-1 begins with smoking cues and run-2 with neutral ones. Their onsets and
durations are in _events.tsv beside each run, in seconds since its first volume, M0, began.
"""

# BIDS allows phenotype tables of one row per participant; the validator (schema of 2025) refuses one row per visit.
_IGNORE = "phenotype/craving.*\nphenotype/smoking.*\n"
# Nor does BIDS know of events beside perfusion.
_IGNORE_EVENTS = "**/perf/*_events.tsv\n"

# mm: the true field in the head is kept on about that.
_TRUTH_FIELD_SPACING = 2

# mm: the truth in template space is kept on every fourth millimetre, which is finer than what the scanner resolves.
_TRUTH_SPACING = 4


@dataclass(frozen=True)
class TrialFiles:
    """Paths of the trial's tables; the sidecars of tables are written beside them.

    Attributes
    ----------
    description, readme, ignore, participants, craving, smoking : path-like
        Of the dataset.
    plan, scans, effects : path-like
        Of the truth.
    """

    description: FilePath
    readme: FilePath
    ignore: FilePath
    participants: FilePath
    craving: FilePath
    smoking: FilePath
    plan: FilePath
    scans: FilePath
    effects: FilePath


def write_trial(settings: TrialSettings, arms: Arms, sessions: SessionPair, outputs: TrialFiles) -> None:
    """Draw the trial and write its tables.

    Parameters
    ----------
    settings : simulation_settings.TrialSettings
    arms : settings.Arms
    sessions : settings.SessionPair
    outputs : TrialFiles
    """
    trial = virtual_trial.draw(settings, arms, sessions)
    LOG.info("seed %d: %d participants, %d scans", settings.seed, len(trial.participants), len(trial.scans))
    tables.write_json(
        outputs.description,
        {
            "Name": "Simulated trial of baclofen in smokers (pharmasl demo)" if settings.exact else "Simulated trial",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["pharmasl simulator"],
            "GeneratedBy": [{"Name": "pharmasl simulate", "Description": f"seed {settings.seed}"}],
        },
    )
    alternates = settings.blocks.planted
    Path(outputs.readme).write_text(_README + _README_BLOCKS if alternates else _README, encoding="utf-8")
    Path(outputs.ignore).write_text(_IGNORE + _IGNORE_EVENTS if alternates else _IGNORE, encoding="utf-8")
    cigarettes = planted_cigarettes.draw(settings, trial.participants, arms, sessions)
    columns = virtual_trial.PARTICIPANT_COLUMNS
    known = ["age", "sex"]
    if not settings.exact:
        columns = {**columns, **virtual_trial.RANDOM_PARTICIPANT_COLUMNS}
        known += ["site"] if settings.people.sites > 1 else []
    levels = {arms.treatment: "active drug", arms.control: "control"}
    tables.write_table(
        outputs.participants,
        [
            {"participant_id": row["participant_id"], arms.column: row["arm"], **{name: row[name] for name in known}}
            for row in trial.participants
        ],
        {
            "participant_id": "Participant",
            arms.column: {"Description": "Arm of the trial", "Levels": levels},
            **{name: columns[name] for name in known},
        },
    )
    tables.write_table(outputs.craving, trial.craving, virtual_trial.CRAVING_COLUMNS)
    tables.write_table(outputs.smoking, cigarettes.table, planted_cigarettes.COLUMNS)
    planted = [{**row, **own} for row, own in zip(trial.participants, cigarettes.plan)]
    tables.write_table(outputs.plan, planted, {**columns, **planted_cigarettes.PLAN_COLUMNS})
    scans = virtual_trial.SCAN_COLUMNS
    if not settings.exact:
        scans = {**scans, **virtual_trial.RANDOM_SCAN_COLUMNS, **virtual_trial.planted_columns(settings)}
    tables.write_table(outputs.scans, trial.scans, scans)
    tables.write_table(outputs.effects, _effect_rows(settings), _EFFECT_COLUMNS)


_EFFECT_COLUMNS: Columns = {
    "effect": "Effect",
    "region": "Region, or what the effect is seen in",
    "x": {"Description": "Centre in the template, RAS+", "Units": "mm"},
    "y": {"Description": "Centre in the template, RAS+", "Units": "mm"},
    "z": {"Description": "Centre in the template, RAS+", "Units": "mm"},
    "amount": "Planted amount in grey matter at the centre",
    "unit": "Unit of the amount",
    "meaning": "What the amount is",
}


def _effect_rows(settings: TrialSettings) -> list[Row]:
    """Rows of the planted effects."""
    effects, slope = settings.effects, settings.craving.slope
    flow_unit, slope_unit = "mL/100 g/min", "mL/100 g/min per mL/100 g/min"
    group_by_time = "change from baseline to follow-up in the treatment arm minus the same in the control arm"
    rows = [
        {
            **place,
            "effect": "resting group by time",
            "amount": effects.resting_rise,
            "unit": flow_unit,
            "meaning": group_by_time,
        }
        for place in _places("dlpfc")
    ]
    for place in (place for name in CUE_REGIONS for place in _places(name)):
        rows += [
            {
                **place,
                "effect": "cue response at baseline",
                "amount": effects.cue_response,
                "unit": flow_unit,
                "meaning": "smoking minus neutral, mean of all participants",
            },
            {
                **place,
                "effect": "association with the dlPFC's change",
                "amount": effects.slope,
                "unit": slope_unit,
                "meaning": "change of the cue response for each unit of change in the dlPFC, in both arms",
            },
        ]
    return [
        *rows,
        *(_own_row(name, effect) for name, effect in settings.planted.items()),
        {
            "effect": "cue-elicited craving group by time",
            "region": "craving",
            "amount": slope * effects.slope * effects.resting_rise,
            "unit": "points",
            "meaning": group_by_time,
        },
        {
            "effect": "craving with the insula's cue response",
            "region": "craving",
            "amount": slope,
            "unit": "points per mL/100 g/min",
            "meaning": "change in cue-elicited craving for each unit of change in the insula's cue response",
        },
        {
            "effect": "cigarettes a day at follow-up",
            "region": "cigarettes",
            "amount": settings.cigarettes.effect,
            "unit": "cigarettes a day",
            "meaning": "treatment arm minus control arm, at equal baselines",
        },
    ]


def _own_row(name: str, effect: PlannedEffect) -> Row:
    """The row of one of the configuration's own effects."""
    centre = dict(zip("xyz", effect.sphere or ()))
    who = "in both arms" if effect.arm == "both" else f"in the {effect.arm} arm"
    when = "in both sessions" if effect.session == "both" else f"at {effect.session}"
    return {
        **centre,
        "effect": name,
        "region": ", ".join(effect.atlas) if effect.atlas else effect.image or ("sphere" if centre else "whole brain"),
        "amount": effect.amount,
        "unit": "mL/100 g/min",
        "meaning": f"{who}, {when}, during {', '.join(effect.conditions)}; SD over people {effect.spread:g}",
    }


def _places(name: str) -> list[Row]:
    """The label and the centres of a region."""
    region = REGIONS[name]
    return [{"region": region.label, "x": x, "y": y, "z": z} for x, y, z in region.centres]


def write_truth_maps(outputs: Mapping[str, FilePath], places: Mapping[str, Place], spacing: int = 2) -> None:
    """Write the weights of the regions on a grid of ``spacing`` mm over the template.

    Parameters
    ----------
    outputs : mapping of str to path
        By the names of ``places``.
    places : mapping of str to effect_places.Place
    spacing : int
        mm.
    """
    volume = images.grid(nilearn_file("t1"))
    grid = _coarser(volume, spacing)
    points = transforms.points(grid)
    for name, place in places.items():
        images.save(outputs[name], place.weight(points), grid.affine)


def _coarser(grid: Grid, spacing: int) -> Grid:
    """The voxels of a grid that lie at multiples of ``spacing`` mm from its first."""
    step = max(1, round(spacing / np.linalg.norm(grid.affine[:3, 0])))
    shape = tuple(-(-n // step) for n in grid.shape)
    return Grid(shape, grid.affine @ np.diag([step, step, step, 1.0]))


def _t1w_sidecar() -> dict[str, Any]:
    return {
        "Manufacturer": "pharmasl simulator",
        "MagneticFieldStrength": 3,
        "MRAcquisitionType": "3D",
        "PulseSequenceType": "Simulated T1-weighted",
        "RepetitionTime": 1.81,
        "EchoTime": 0.0035,
        "FlipAngle": 9,
    }


def asl_sidecar(scanner: Scanner, distortion: Susceptibility) -> dict[str, Any]:
    """The BIDS metadata of a run."""
    suppressed, slices = scanner.static_signal < 1, scanner.slice_time > 0
    volumes = len(scanner.volume_types)
    sidecar: dict[str, Any] = {
        "Manufacturer": "pharmasl simulator",
        "MagneticFieldStrength": 3,
        "MRAcquisitionType": "2D" if slices else "3D",
        "PulseSequenceType": "Simulated 2D EPI" if slices else "Simulated 3D GRASE",
        "ArterialSpinLabelingType": "PCASL",
        # Nothing is labelled before the M0 volume.
        **_label_times(scanner),
        "LabelingEfficiency": scanner.labeling_efficiency,
        "BackgroundSuppression": suppressed,
        "VascularCrushing": False,
        "M0Type": "Included",
        **({} if scanner.encoding else {"TotalAcquiredPairs": scanner.pairs}),
        "AcquisitionVoxelSize": list(scanner.voxel_size),
        "RepetitionTimePreparation": [scanner.m0_repetition_time] + [scanner.repetition_time] * (volumes - 1),
        "EchoTime": ECHO_TIME,
        "FlipAngle": 90,
    }
    if slices:
        sidecar |= {"SliceEncodingDirection": "k", "SliceTiming": scanner.slice_timing}
    if suppressed:
        sidecar["BackgroundSuppressionNumberPulses"] = 2
    if distortion.planted:
        sidecar |= susceptibility.encoded(distortion.encoding)
        if distortion.field_map != "none":
            sidecar["B0FieldSource"] = susceptibility.IDENTIFIER
    return sidecar


def _label_times(scanner: Scanner) -> dict[str, Any]:
    """Of pairs, duration and delay; of time-encoded runs those of all blocks together, and how many volumes a cycle has.

    BIDS (1.10) has no field for the code, its blocks or their order; ``TimeEncodedMatrixSize`` is what converters write.
    """
    if scanner.encoding is None:
        return {
            "LabelingDuration": scanner.labeling_duration,
            "PostLabelingDelay": scanner.post_labeling_delay,
        }
    return {
        "LabelingDuration": round(sum(scanner.encoding.durations), 6),
        "PostLabelingDelay": scanner.encoding.delay,
        "TimeEncodedMatrixSize": len(scanner.encoding.matrix),
    }


@dataclass(frozen=True)
class ParticipantFiles:
    """Paths of a participant's files; those of runs are lists in the order of the scans.

    Attributes
    ----------
    t1w, t1w_sidecar, asl, asl_sidecar, aslcontext, events : path-like or list of path-like
        Of the dataset; no events unless cues alternate within runs.
    mask, gm, wm, field, motion, coregistration, cbf : path-like or list of path-like
        Of the truth.
    field_map, field_map_sidecar : list of path-like
        Of the dataset: the images of each session's field map in the order of :func:`susceptibility.field_names`; none unless a
        magnetic field is simulated.
    hertz : list of path-like
        Of the truth: the magnetic field, or none.
    states : list of path-like
        Of the truth: the maps of the conditions of each run in which cues alternate, in the order of the runs and of ``CUES``.
    att : list of path-like
        Of the truth: arterial transit time of the runs, where they are time-encoded and it is simulated.
    """

    t1w: FilePath
    t1w_sidecar: FilePath
    asl: Sequence[FilePath]
    asl_sidecar: Sequence[FilePath]
    aslcontext: Sequence[FilePath]
    mask: FilePath
    gm: FilePath
    wm: FilePath
    field: FilePath
    motion: Sequence[FilePath]
    coregistration: Sequence[FilePath]
    cbf: Sequence[FilePath]
    events: Sequence[FilePath] = ()
    field_map: Sequence[FilePath] = ()
    field_map_sidecar: Sequence[FilePath] = ()
    hertz: Sequence[FilePath] = ()
    states: Sequence[FilePath] = ()
    att: Sequence[FilePath] = ()


def write_participant(
    settings: ParticipantSettings,
    index: int,
    scans: Sequence[Row],
    visits: Mapping[str, Mapping[str, Row]],
    template: participant_anatomy.Template,
    places: Mapping[str, Place],
    outputs: ParticipantFiles,
) -> None:
    """Simulate one participant and write the images.

    Parameters
    ----------
    settings : simulation_settings.ParticipantSettings
    index : int
        The number that seeds the participant's random draws.
    scans : sequence of dict
        The rows of the truth's scans of those runs that the participant has, as text or numbers.
    visits : mapping of str to mapping of str to dict
        Session to condition to the row of the truth's scans, of all runs, whether or not the participant has them.
    template : participant_anatomy.Template
    places : mapping of str to effect_places.Place
        Of the configuration's own effects.
    outputs : ParticipantFiles
    """
    person = Person.draw(settings, index, template, places)
    grid, head = person.head.grid, person.head
    LOG.info("participant %d: T1w of %s voxels, %d ASL runs", index, grid.shape, len(scans))
    images.save(outputs.t1w, person.t1w, grid.affine, dtype=np.int16)
    tables.write_json(outputs.t1w_sidecar, _t1w_sidecar())

    coarse = _coarser(template.grid, _TRUTH_SPACING)
    back = person.shape.from_template(transforms.points(coarse))
    transforms.write_field(outputs.field, back, coarse.affine)
    images.save(outputs.mask, head.mask, grid.affine, dtype=np.uint8)
    for name, path in (("gm", outputs.gm), ("wm", outputs.wm)):
        # In steps of 1/256, which compress to a tenth of the size.
        images.save(path, np.rint(256 * head.fractions[name]) / 256, grid.affine)

    if person.hertz is not None:
        coarse_head = _coarser(grid, _TRUTH_FIELD_SPACING)
        hertz = resample.resample(person.hertz, grid.affine, transforms.points(coarse_head), fill=0.0)
        images.save(outputs.hertz[0], hertz, coarse_head.affine)

    scanner, sessions, states = settings.perfusion, {}, iter(outputs.states)
    for number, scan in enumerate(scans):
        if scan["session_id"] not in sessions:
            # By the visit's first run, whether or not the participant has it.
            first = int(scan["run"]) // len(CONDITIONS) * len(CONDITIONS)
            sessions[scan["session_id"]] = person.session(first)
            _write_field_map(outputs, person, first, str(scan["session_id"]))
        alternates = settings.blocks.planted and scan["condition"] in CUES
        run = person.run(scan, sessions[scan["session_id"]], visits[scan["session_id"]] if alternates else None)
        images.save(
            outputs.asl[number],
            np.minimum(run.data, 32767),
            run.grid.affine,
            time_step=scanner.repetition_time,
            dtype=np.int16,
        )
        tables.write_json(outputs.asl_sidecar[number], asl_sidecar(scanner, settings.distortion))
        context = "\n".join(["volume_type", *scanner.volume_types]) + "\n"
        Path(outputs.aslcontext[number]).write_text(context, encoding="utf-8")
        if alternates:
            _write_events(outputs.events, scan, settings)
        transforms.write_affines(outputs.motion[number], run.motions)
        transforms.write_affines(outputs.coregistration[number], np.linalg.inv(run.placement))
        cbf = label_control_series.apparent_cbf(run.tissue, back)
        images.save(outputs.cbf[number], cbf, coarse.affine)
        if outputs.att and run.tissue.transit is not None:
            transit = np.where(np.isfinite(cbf), resample.resample(*run.tissue.transit, back), np.nan)
            images.save(outputs.att[number], transit.astype(np.float32), coarse.affine)
        for tissue in run.states.values():
            images.save(next(states), label_control_series.apparent_cbf(tissue, back), coarse.affine)


def _write_field_map(outputs: ParticipantFiles, person: Person, first: int, session: str) -> None:
    """Write a session's field map."""
    own = f"_ses-{session}_"
    images_of, sidecars = (
        [path for path in paths if own in Path(path).name] for paths in (outputs.field_map, outputs.field_map_sidecar)
    )
    for path, sidecar, image in zip(images_of, sidecars, person.field_map(first).values(), strict=True):
        images.save(path, np.clip(image.data, -32768, 32767), image.grid.affine, dtype=np.int16)
        tables.write_json(sidecar, image.metadata)


def _write_events(paths: Sequence[FilePath], scan: Row, settings: ParticipantSettings) -> None:
    """Write the blocks of a run in which cues alternate."""
    entities = alternating_cues.run_entities({"duration": settings.blocks.duration}, str(scan["condition"]))
    end = f"ses-{scan['session_id']}_acq-{entities['acq']}_run-{entities['run']}_events.tsv"
    path = next(Path(path) for path in paths if str(path).endswith(end))
    blocks = settings.blocks.blocks(settings.perfusion, str(scan["condition"]))
    lines = ["onset\tduration\ttrial_type", *(f"{onset:g}\t{lasts:g}\t{cue}" for onset, lasts, cue in blocks)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
