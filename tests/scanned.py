"""The files from which the page of a scan is made, small and made up."""

from dataclasses import replace

import numpy as np
from pharmasl.files import tables
from pharmasl.perfusion import slice_signal
from pharmasl.quality.measure_columns import COLUMNS, METRICS
from pharmasl.report.scans.scan_files import ScanFiles
from pharmasl.space import images, transforms

AFFINE = np.array([[-4.0, 0, 0, 40], [0, 4, 0, -48], [0, 0, 6, -24], [0, 0, 0, 1]])
TEMPLATE = np.array([[4.0, 0, 0, -40], [0, 4, 0, -48], [0, 0, 4, -48], [0, 0, 0, 1]])
NAME = "sub-01_ses-T1_acq-rest"
PAIRS = ["m0scan", *(["control", "label"] * 4)]


def acquisition(types=PAIRS, delay=1.8, **changes):
    """An acquisition as a rule's params hold it."""
    return {
        "volume_types": list(types),
        "labeling_type": "PCASL",
        "labeling_duration": 1.8,
        "post_labeling_delay": delay,
        "slice_timing": None,
        "background_suppression": True,
        "m0_type": "Included",
        "t1_blood": 1.65,
        "sources": {
            "post_labeling_delay": "PostLabelingDelay of /home/jane doe/sub-01/perf/sub-01_asl.json",
            "t1_blood": "calibration consensus (3 T: Alsop et al. 2015)",
        },
        **changes,
    }


def quality_row(**changes):
    """A row of the quality table of a good scan."""
    measures = dict.fromkeys(METRICS, 0.9) | {"pairs": 4, "pairs_used": 4, "delays": 1, "gm_cbf": 55.0, "wm_cbf": 22.0}
    measures |= {
        "gm_wm_ratio": 2.5,
        "negative_gm_share": 0.01,
        "high_cbf_share": 0.0,
        "spatial_cov": 0.3,
        "gm_cbf_z": 6,
    }
    measures |= {"fd_mean": 0.2, "gm_threshold": 0.7, "wm_threshold": 0.9, "pairs_without_signal": 0}
    label = {"participant_id": "sub-01", "session_id": "T1", "condition": "rest", "scan": NAME}
    return {**label, **measures, "registration": "accepted", "usable": "yes", **changes}


def write(folder, *, types=PAIRS, delays=None, passed=None, m0=False, att=False, row=None, slices=None):
    """Write the files of a scan and return their paths.

    Parameters
    ----------
    folder : Path
    types : sequence of str
        Of the volumes.
    delays : sequence of float, optional
        Of the repeats.
    passed : sequence of int, optional
        Whether each repeat passes.
    m0 : bool
        Whether there is an M0 image of its own.
    att : bool
        Whether there is a map of the transit time.
    row : dict, optional
        Of the quality table.
    slices : pharmasl.perfusion.slice_signal.SliceSignal, optional
        Of a 2D readout.
    """
    rng = np.random.default_rng(0)
    brain = np.zeros((20, 24, 8), dtype=np.float32)
    brain[4:16, 4:20, 1:7] = 1
    gm = np.where(np.arange(20)[:, None, None] % 4 < 2, 0.95, 0.02).astype(np.float32) * brain
    wm = (0.97 * brain - gm).clip(0)
    levels = {"m0scan": 500, "control": 100, "label": 98, "deltam": 2, "cbf": 50}
    series = np.stack([levels[kind] * brain + rng.normal(0, 1, brain.shape) for kind in types], axis=3)
    template = np.zeros((20, 24, 24), dtype=np.float32)
    template[4:16, 4:20, 2:22] = 1
    head = {name: folder / f"{name}.nii.gz" for name in ("t1w", "t1w_mask", "template_t1w", "template_cbf")}
    head |= {name: folder / f"{name}.nii.gz" for name in ("reference", "reference_mask", "reference_gm")}
    for path in head.values():
        images.save(path, template * (60 if path.name.startswith("template_cbf") else 1), TEMPLATE)
    native = {"asl": series, "cbf": 60 * gm + 20 * wm, "brain_mask": brain, "gm": gm, "wm": wm, "csf": 0.03 * brain}
    native |= {"aslref": 100 * brain, "att": 1.2 * brain, "m0scan": np.stack([500 * brain] * 2, axis=3)}
    for name, data in native.items():
        images.save(folder / f"{name}.nii.gz", data, AFFINE)
    for name in ("m0_motion", "coregistration"):
        transforms.write_affines(folder / f"{name}.txt", np.eye(4))
    transforms.write_affines(folder / "motion.txt", [np.eye(4)] * len(types))
    motion = [{"framewise_displacement": 0.2 if k else None, "dvars": 1.0 if k else None} for k in range(len(types))]
    described = {"framewise_displacement": "mm", "dvars": "percent", **slice_signal.columns(0)}
    if slices:
        described |= slice_signal.columns(len(slices.change[0]))
        motion = [{**own, **more} for own, more in zip(motion, slice_signal.rows(slices, range(len(slices.change[0]))))]
    tables.write_table(folder / "confounds.tsv", motion, described)
    _write_repeats(folder / "repeats.tsv", types, delays, passed)
    tables.write_json(folder / "cbf.json", {"M0": {"Source": "m0scan volumes of the series", "Volumes": 1}})
    tables.write_json(folder / "registration.json", {"Image": "M0", "Overlap": 0.95, "Accepted": True, "Reason": None})
    tables.write_table(folder / "quality.tsv", [row or quality_row()], COLUMNS)
    return ScanFiles(
        **head,
        **{name: folder / f"{name}.nii.gz" for name in ("asl", "cbf", "brain_mask", "gm", "wm", "csf", "aslref")},
        later_echoes=[],
        m0=[folder / "m0scan.nii.gz"] if m0 else [],
        field=[],
        field_sidecar=[],
        att=[folder / "att.nii.gz"] if att else [],
        transit_time=[],
        t1=[],
        blocks=[],
        motion=folder / "motion.txt",
        m0_motion=folder / "m0_motion.txt",
        coregistration=folder / "coregistration.txt",
        confounds=folder / "confounds.tsv",
        repeats=folder / "repeats.tsv",
        sidecar=folder / "cbf.json",
        registration=folder / "registration.json",
        quality=folder / "quality.tsv",
    )


def with_field(folder, files, pair=None):
    """The files of a scan that a field of 40 Hz throughout corrects, shown by a field map or by two images (``pair``).

    The tissues find the field half as large as it is said to be.
    """
    images.save(folder / "field.nii.gz", np.full((20, 24, 8), 40.0), AFFINE)
    described = {"Displacement": {"Percentiles": [50, 95, 99], "Value": [4.0, 4.0, 4.0], "Unit": "mm"}}
    described["Place"] = {
        "By": "registration",
        "Movement": 2.13,
        "Unexplained": {"headers": 0.25, "registration": 0.21},
    }
    tables.write_json(folder / "field.json", {**described, **({"OpposedImages": pair} if pair else {})})
    record = tables.read_json(files.registration)
    check = {"Unexplained": {"0": 0.3, "0.5": 0.2, "1": 0.21}, "Minimum": 0.64, "Confirmed": False}
    tables.write_json(files.registration, {**record, "FieldMap": check})
    corrected = {"By": "a map of the field", "ChosenBy": "the only field map of the session"}
    tables.write_json(files.sidecar, {**tables.read_json(files.sidecar), "DistortionCorrection": corrected})
    return replace(files, field=[folder / "field.nii.gz"], field_sidecar=[folder / "field.json"])


def _write_repeats(path, types, delays, passed):
    controls = [k for k, kind in enumerate(types) if kind in ("control", "deltam", "cbf")]
    labels = [k for k, kind in enumerate(types) if kind == "label"] or [None] * len(controls)
    passed = passed or [1] * len(controls)
    rows = [
        {
            "control": control,
            "label": label,
            "passed": has_passed,
            "reason": None if has_passed else "motion: 2 mm",
            "gm_cbf": 50.0 + k,
            "post_labeling_delay": delays[k] if delays else 1.8,
        }
        for k, (control, label, has_passed) in enumerate(zip(controls, labels, passed))
    ]
    tables.write_table(path, rows, dict.fromkeys(rows[0], "made up"))
