"""The trial as files: a plain BIDS dataset, and beside it what was planted."""

from pathlib import Path

import numpy as np

from pharmasl.files import tables
from pharmasl.simulate import deformation, label_control_series, participant_anatomy, smooth_noise, virtual_trial
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import images, transforms

_README = """\
A simulated trial: it was made by pharmasl's simulator, and nobody was scanned.

Two arms, two sessions, three ASL runs a session: rest, smoking cues and neutral cues (acq-rest, acq-smoking and
acq-neutral). Each run is pCASL, an M0 volume first and control/label pairs after it. Heads are the ICBM
152 2009a template carried into random shapes. Craving before and after the cues is in phenotype/craving.tsv.

What was planted is not in this dataset; it lies in a folder of its own.
"""

# BIDS knows phenotype tables of one row a participant; the validator (schema of 2025) refuses one row a visit.
_IGNORE = "phenotype/craving.*\n"

# Streams of random numbers, one for each purpose, so that a change in one leaves the others as they were.
_TRIAL, _SHAPE, _HEAD, _PLACEMENT, _REGIONAL, _RUN, _PATTERN = range(7)

# mm: the truth in template space is kept on every fourth millimetre, which is finer than what the scanner resolves.
_TRUTH_SPACING = 4


def _stream(seed, index, purpose, *more):
    return np.random.default_rng([seed, index, purpose, *more])


def write_trial(settings, arms, sessions, outputs):
    """Draw the trial and write its tables.

    Parameters
    ----------
    settings : dict
        The ``simulate`` section of the configuration.
    arms : dict
        ``column``, ``treatment``, ``control``.
    sessions : dict
        ``baseline``, ``followup``.
    outputs : mapping of str to path
        ``description``, ``readme``, ``ignore``, ``participants``, ``craving`` of the dataset; ``plan``, ``scans``, ``effects`` of the
        truth. Sidecars of the tables are written beside them.
    """
    participants, scans, craving = virtual_trial.plan(settings, arms, sessions)
    tables.write_json(
        outputs["description"],
        {
            "Name": "Simulated trial of baclofen in smokers (pharmasl demo)",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["pharmasl simulator"],
            "GeneratedBy": [{"Name": "pharmasl simulate", "Description": f"seed {settings['seed']}"}],
        },
    )
    Path(outputs["readme"]).write_text(_README, encoding="utf-8")
    Path(outputs["ignore"]).write_text(_IGNORE, encoding="utf-8")
    columns = virtual_trial.PARTICIPANT_COLUMNS
    levels = {arms["treatment"]: "active drug", arms["control"]: "control"}
    tables.write_table(
        outputs["participants"],
        [
            {"participant_id": row["participant_id"], arms["column"]: row["arm"], "age": row["age"], "sex": row["sex"]}
            for row in participants
        ],
        {
            "participant_id": "Participant",
            arms["column"]: {"Description": "Arm of the trial", "Levels": levels},
            "age": columns["age"],
            "sex": columns["sex"],
        },
    )
    tables.write_table(outputs["craving"], craving, virtual_trial.CRAVING_COLUMNS)
    tables.write_table(outputs["plan"], participants, columns)
    tables.write_table(outputs["scans"], scans, virtual_trial.SCAN_COLUMNS)
    tables.write_table(outputs["effects"], _effect_rows(settings), _EFFECT_COLUMNS)


_EFFECT_COLUMNS = {
    "effect": "Effect",
    "region": "Region, or what the effect is seen in",
    "x": {"Description": "Centre in the template, RAS+", "Units": "mm"},
    "y": {"Description": "Centre in the template, RAS+", "Units": "mm"},
    "z": {"Description": "Centre in the template, RAS+", "Units": "mm"},
    "amount": "Planted amount in grey matter at the centre",
    "unit": "Unit of the amount",
    "meaning": "What the amount is",
}


def _effect_rows(settings):
    effects, scores = settings["effects"], settings["craving"]
    flow_unit, slope_unit = "mL/100 g/min", "mL/100 g/min per mL/100 g/min"
    rows = []
    for x, y, z in REGIONS["dlpfc"].centres:
        place = {"region": REGIONS["dlpfc"].label, "x": x, "y": y, "z": z}
        rows.append(
            {
                **place,
                "effect": "resting group by time",
                "amount": effects["resting_rise"],
                "unit": flow_unit,
                "meaning": "change from baseline to follow-up in the treatment arm minus the same in the control arm",
            }
        )
    for name in ("insula", "vmpfc"):
        for x, y, z in REGIONS[name].centres:
            place = {"region": REGIONS[name].label, "x": x, "y": y, "z": z}
            rows += [
                {
                    **place,
                    "effect": "cue response at baseline",
                    "amount": effects["cue_response"],
                    "unit": flow_unit,
                    "meaning": "smoking minus neutral, mean of all participants",
                },
                {
                    **place,
                    "effect": "association with the dlPFC's change",
                    "amount": effects["slope"],
                    "unit": slope_unit,
                    "meaning": "change of the cue response for each unit of change in the dlPFC, in both arms",
                },
            ]
    rows.append(
        {
            "effect": "cue-elicited craving group by time",
            "region": "craving",
            "amount": scores["slope"] * effects["slope"] * effects["resting_rise"],
            "unit": "points",
            "meaning": "change from baseline to follow-up in the treatment arm minus the same in the control arm",
        }
    )
    rows.append(
        {
            "effect": "craving with the insula's cue response",
            "region": "craving",
            "amount": scores["slope"],
            "unit": "points per mL/100 g/min",
            "meaning": "change of cue-elicited craving for each unit of change of the insula's cue response",
        }
    )
    return rows


def write_truth_maps(outputs, spacing=2):
    """Write each region's weight on every ``spacing``-th millimetre of the template.

    Parameters
    ----------
    outputs : mapping of str to path
        One for each name in :data:`regions.REGIONS`.
    spacing : int
        mm.
    """
    volume = images.grid(participant_anatomy.template_folder() / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
    grid = _coarser(volume, spacing)
    points = transforms.points(grid)
    for name, region in REGIONS.items():
        images.save(outputs[name], region.weight(points), grid.affine)


def _coarser(grid, spacing):
    """Every voxel of a grid that lies on a multiple of ``spacing`` mm from its first."""
    step = round(spacing / np.linalg.norm(grid.affine[:3, 0]))
    shape = tuple(-(-n // step) for n in grid.shape)
    return images.Grid(shape, grid.affine @ np.diag([step, step, step, 1.0]))


def scanner(settings):
    """The :class:`series.Scanner` of the ``simulate`` section of the configuration."""
    values = dict(settings["perfusion"])
    for key in ("matrix", "voxel_size"):
        values[key] = tuple(values[key])
    return label_control_series.Scanner(**values)


def _t1w_sidecar():
    return {
        "Manufacturer": "pharmasl simulator",
        "MagneticFieldStrength": 3,
        "MRAcquisitionType": "3D",
        "PulseSequenceType": "Simulated T1-weighted",
        "RepetitionTime": 1.81,
        "EchoTime": 0.0035,
        "FlipAngle": 9,
    }


def asl_sidecar(scanner):
    """The BIDS metadata of a run: dict."""
    suppressed, slices = scanner.static_signal < 1, scanner.slice_time > 0
    volumes = len(scanner.volume_types)
    sidecar = {
        "Manufacturer": "pharmasl simulator",
        "MagneticFieldStrength": 3,
        "MRAcquisitionType": "2D" if slices else "3D",
        "PulseSequenceType": "Simulated 2D EPI" if slices else "Simulated 3D GRASE",
        "ArterialSpinLabelingType": "PCASL",
        "LabelingDuration": scanner.labeling_duration,
        # Nothing is labelled before the M0 volume.
        "PostLabelingDelay": scanner.post_labeling_delay,
        "LabelingEfficiency": scanner.labeling_efficiency,
        "BackgroundSuppression": suppressed,
        "VascularCrushing": False,
        "M0Type": "Included",
        "TotalAcquiredPairs": scanner.pairs,
        "AcquisitionVoxelSize": list(scanner.voxel_size),
        "RepetitionTimePreparation": [scanner.m0_repetition_time] + [scanner.repetition_time] * (volumes - 1),
        "EchoTime": 0.012,
        "FlipAngle": 90,
    }
    if slices:
        sidecar |= {"SliceEncodingDirection": "k", "SliceTiming": scanner.slice_timing}
    if suppressed:
        sidecar["BackgroundSuppressionNumberPulses"] = 2
    return sidecar


def write_participant(settings, plan, scans, template, outputs):
    """Simulate one participant and write the images.

    Parameters
    ----------
    settings : dict
        The ``simulate`` section of the configuration.
    plan : dict
        The participant's row of :data:`trial.PARTICIPANT_COLUMNS`, as text or numbers.
    scans : list of dict
        The participant's rows of :data:`trial.SCAN_COLUMNS`.
    template : anatomy.Template
    outputs : mapping
        ``t1w``, ``t1w_sidecar``; ``asl``, ``asl_sidecar``, ``aslcontext`` (lists, in the order of ``scans``); of the truth
        ``mask``, ``gm``, ``wm``, ``field``, and the lists ``motion``, ``coregistration``, ``cbf``.
    """
    seed, index = settings["seed"], int(plan["index"])
    machine = scanner(settings)
    shape = deformation.draw(
        _stream(seed, index, _SHAPE), template.low, template.high, template.centre, settings["anatomy"]["warp"]
    )
    rng = _stream(seed, index, _HEAD)
    grid = participant_anatomy.t1w_grid(template, shape, settings["anatomy"]["voxel_size"])
    head = participant_anatomy.head(rng, template, shape, grid)
    t1w = participant_anatomy.scanned(rng, head, settings["anatomy"]["bias"], settings["anatomy"]["noise"])
    images.save(outputs["t1w"], t1w, grid.affine, dtype=np.int16)
    tables.write_json(outputs["t1w_sidecar"], _t1w_sidecar())

    coarse = _coarser(template.grid, _TRUTH_SPACING)
    back = shape.from_template(transforms.points(coarse))
    transforms.write_field(outputs["field"], back, coarse.affine)
    images.save(outputs["mask"], head.mask, grid.affine, dtype=np.uint8)
    for name in ("gm", "wm"):
        # In steps of 1/256, which packs to a tenth of the size.
        images.save(outputs[name], np.rint(256 * head.fractions[name]) / 256, grid.affine)

    magnetisation = label_control_series.magnetisation(head, machine)
    brain_centre = shape.from_template(template.centre)
    low, high = template.low - 60, template.high + 60
    flow = settings["blood_flow"]
    # Three deviations at most, so that no tissue's flow turns negative.
    pattern = smooth_noise.sample(_stream(seed, index, _PATTERN), head.template_points, 10.0, low, high)
    pattern = np.float32(flow["pattern"]) * np.clip(pattern, -3, 3)
    placements, regional = {}, {}
    for number, scan in enumerate(scans):
        session = scan["session_id"]
        if session not in placements:
            placements[session] = _placement(_stream(seed, index, _PLACEMENT, number), brain_centre)
            field = smooth_noise.sample(_stream(seed, index, _REGIONAL, number), head.template_points, 18.0, low, high)
            regional[session] = pattern + np.float32(flow["regional"]) * field
        gains = {name: float(scan[name]) for name in REGIONS}
        multiple = label_control_series.modulation(
            head.template_points, REGIONS, gains, float(scan["gm_cbf"]), regional[session]
        )
        levels = {"gm": float(scan["gm_cbf"]), "wm": float(scan["wm_cbf"])}
        tissue = label_control_series.Tissue(
            grid.affine, magnetisation, label_control_series.perfusion(head, levels, multiple, machine)
        )

        rng = _stream(seed, index, _RUN, int(scan["run"]))
        # Within a session the head lies nearly, not quite, where it lay; the ASL frame is the session's.
        placement = placements[session] @ _small_motion(rng, 0.6, 0.5, brain_centre)
        asl_grid = machine.grid(transforms.apply(np.linalg.inv(placements[session]), brain_centre))
        motions = label_control_series.motion_matrices(
            label_control_series.drift(rng, machine), asl_grid.affine[:3] @ [*((np.array(asl_grid.shape) - 1) / 2), 1]
        )
        run = label_control_series.acquire(rng, machine, tissue, asl_grid, placement, motions)
        images.save(
            outputs["asl"][number],
            np.minimum(run, 32767),
            asl_grid.affine,
            time_step=machine.repetition_time,
            dtype=np.int16,
        )
        tables.write_json(outputs["asl_sidecar"][number], asl_sidecar(machine))
        Path(outputs["aslcontext"][number]).write_text(
            "\n".join(["volume_type", *machine.volume_types]) + "\n", encoding="utf-8"
        )
        transforms.write_affines(outputs["motion"][number], motions)
        transforms.write_affines(outputs["coregistration"][number], np.linalg.inv(placement))
        images.save(outputs["cbf"][number], label_control_series.apparent_cbf(tissue, back), coarse.affine)


def _small_motion(rng, translation, rotation, centre):
    return transforms.rigid_matrix(
        translation * rng.standard_normal(3), np.deg2rad(rotation * rng.standard_normal(3)), centre
    )


def _placement(rng, centre):
    """Where the ASL frame lies in the T1w frame: the head has moved between the scans, and the headers do not know."""
    return _small_motion(rng, 1.5, 1.0, centre)
