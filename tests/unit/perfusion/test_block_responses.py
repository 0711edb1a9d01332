"""CBF of conditions that alternate within a run, found back in images whose CBF is known at every point."""

from collections.abc import Sequence
from typing import get_origin, get_type_hints

import numpy as np
import pytest
from perfusion_settings import quantification as quantification_settings
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import block_responses, kinetics
from pharmasl.space import images, transforms
from pharmasl.statistics import block_design
from pharmasl.study import run_blocks, scan_acquisition
from quantified import ASL, M0, Files, difference

TYPES = ["m0scan", *(["control", "label"] * 24)]
CUES = ("smoking", "neutral")
FACTOR = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9) / 1000
STARTS = 4.0 * np.arange(len(TYPES))
RUN = run_blocks.RunBlocks(
    conditions=CUES,
    blocks=tuple(run_blocks.Block(CUES[k % 2], 4 + 24.0 * k, 24.0) for k in range(8)),
    readouts=tuple(None if kind == "m0scan" else start + 3.6 for start, kind in zip(STARTS, TYPES)),
    signs=tuple({"control": 0.5, "label": -0.5}.get(kind) for kind in TYPES),
    delay=6.0,
    cutoff=128.0,
    source="blocks.tsv",
)
ADDED = {"smoking": 3.0, "neutral": -1.0}
MOTION = [
    transforms.rigid_matrix((0.05 * t, -0.03 * t, 0.02 * t), (4e-4 * t, 0, -3e-4 * t), (0, 0, 10))
    for t in range(len(TYPES))
]


def _volumes(motion, timing=None, bold=20.0):
    """A run in which each condition adds to deltaM and BOLD everywhere, on a drifting signal."""
    points, volumes = transforms.points(ASL), []
    slices = np.zeros(ASL.shape[2]) if timing is None else np.array(timing)
    for number, (kind, matrix) in enumerate(zip(TYPES, motion)):
        here = transforms.apply(np.linalg.inv(matrix), points)
        if kind == "m0scan":
            volumes.append(np.full(ASL.shape, 1000.0))
            continue
        shown = {
            cue: block_design.response(RUN.readouts[number] + slices, RUN.by_condition()[cue], RUN.delay)
            for cue in CUES
        }
        added = sum(ADDED[cue] * shown[cue] for cue in CUES)
        static = 1000 + 0.1 * number + bold * shown["smoking"]
        volumes.append(static + RUN.signs[number] * (difference(here) + added) + 0 * here[..., 0])
    return volumes


def _case(folder, motion=None, timing=None, run=RUN, repeats=None, volumes=None, **settings):
    """The files of a run that was quantified, and those of its blocks; ``repeats`` changes rows of the table of repeats."""
    motion = [np.eye(4)] * len(TYPES) if motion is None else motion
    acquisition = {"volume_types": TYPES, "slice_timing": timing}
    files = Files(folder, motion, acquisition, _volumes(motion, timing) if volumes is None else volumes)
    made = files.quantify()
    if repeats is not None:
        rows = [{**row, **repeats.get(number, {})} for number, row in enumerate(tables.read_table(made["repeats"]))]
        tables.write_table(made["repeats"], rows, dict.fromkeys(rows[0], "as it was"))
    given = {n: files.path(n) for n in ("asl", "forward", "reference", "template_mask")}
    given |= {n: files.path(n, ".txt") for n in ("motion", "m0_motion", "coregistration")}
    given |= {n: made[n] for n in ("brain_mask", "gm", "wm", "repeats")}
    out = {}
    for name, kind in get_type_hints(block_responses.Outputs).items():
        end = {"design": ".tsv", "sidecar": ".json"}.get(name, ".nii.gz")
        own = [str(folder / f"block_{cue}_{name}{end}") for cue in run.conditions]
        out[name] = own if get_origin(kind) is Sequence else str(folder / f"block_{name}{end}")
    block_responses.write(
        block_responses.Inputs(**given, m0=[]),
        block_responses.Outputs(**out),
        run,
        acquisition=scan_acquisition.build(files.acquisition),
        quantification=quantification_settings(m0=M0, **settings),
    )
    return files, out


def _inner(files, folder):
    brain = images.load(str(folder / "out_brain_mask.nii.gz"))[0] > 0
    inner = np.zeros(brain.shape, dtype=bool)
    inner[5:-5, 5:-5, 4:-4] = brain[5:-5, 5:-5, 4:-4]
    return inner


def test_cbf_of_each_condition_is_found_through_all_transforms(tmp_path):
    files, made = _case(tmp_path, motion=MOTION)
    inner, points = _inner(files, tmp_path), transforms.points(ASL)
    for number, cue in enumerate(CUES):
        truth = FACTOR * (difference(points) + ADDED[cue])
        # Single precision of a difference of 10 on a signal of 1000, and what interpolation leaves of the head's motion.
        assert images.load(made["cbf"][number])[0][inner] == pytest.approx(truth[inner], abs=0.05)
        on_template = FACTOR * (files.expected() + ADDED[cue])
        covered = images.load(made["coverage"][number])[0] > 0
        assert covered.sum() > 0.95 * files.mask.sum()
        assert images.load(made["template_cbf"][number])[0][covered] == pytest.approx(on_template[covered], abs=0.05)
    record = tables.read_json(made["sidecar"])
    assert record["Conditions"] == list(CUES)
    assert record["VolumesLeftOut"] == {}
    assert len(record["Blocks"]) == 8
    rows = tables.read_table(made["design"])
    assert [int(row["volume"]) for row in rows] == list(range(1, len(TYPES)))
    shown = block_design.response(np.array(RUN.readouts[1:]), RUN.by_condition()["smoking"], 6.0)
    assert [float(row["smoking"]) for row in rows] == pytest.approx(shown, abs=1e-5)


def test_each_slice_has_the_response_of_its_own_time(tmp_path):
    """Slices read up to 2.1 s later: at the first slice's time for all, the effect in the last ones is off."""
    timing = [0.093 * z for z in range(ASL.shape[2])]
    _, made = _case(tmp_path, timing=timing)
    brain = images.load(str(tmp_path / "out_brain_mask.nii.gz"))[0] > 0
    factor = kinetics.continuous(1.8 + np.array(timing), 1.8, 0.85, 1.65, 0.9) / 1000
    smoking, neutral = (images.load(path)[0] for path in made["cbf"])
    found = (smoking - neutral) / (factor * (ADDED["smoking"] - ADDED["neutral"]))
    assert found[brain] == pytest.approx(1, abs=0.015)
    # Were all slices taken to be read with the first, the last ones' effect would be off by more than the tolerance.
    late = np.array(RUN.readouts[1:]) + timing[-1]
    one, other = (block_design.response(late, RUN.by_condition()[cue], RUN.delay) for cue in CUES)
    model = RUN.design()
    series = np.array(RUN.signs[1:]) * (ADDED["smoking"] * one + ADDED["neutral"] * other)
    wrong = model.of_conditions({"smoking": 1, "neutral": -1}) @ np.linalg.lstsq(model.matrix, series, rcond=None)[0]
    assert abs(wrong / (ADDED["smoking"] - ADDED["neutral"]) - 1) > 0.03


def test_pairs_left_out_count_for_nothing(tmp_path):
    """Volumes 7 and 8, a pair that was left out, are spoilt; what is found stays the truth."""
    spoilt = [volume + 30.0 * (number in (7, 8)) for number, volume in enumerate(_volumes([np.eye(4)] * len(TYPES)))]
    left_out = {3: {"excluded": "true", "reason": "motion: 3 mm"}}
    files, made = _case(tmp_path, repeats=left_out, volumes=spoilt)
    assert tables.read_json(made["sidecar"])["VolumesLeftOut"] == {"7": "motion: 3 mm", "8": "motion: 3 mm"}
    inner, points = _inner(files, tmp_path), transforms.points(ASL)
    for cue, path in zip(CUES, made["cbf"]):
        truth = FACTOR * (difference(points) + ADDED[cue])
        assert images.load(path)[0][inner] == pytest.approx(truth[inner], abs=0.05)


def test_errors_and_covariance_are_those_of_the_difference(tmp_path):
    """Var(a) + Var(b) - 2 Cov(a, b) is the variance that the difference has over many voxels of equal noise."""
    rng = np.random.default_rng(0)
    noisy = [
        volume + (kind != "m0scan") * rng.normal(0, 2, ASL.shape)
        for volume, kind in zip(_volumes([np.eye(4)] * len(TYPES)), TYPES)
    ]
    files, made = _case(tmp_path, volumes=noisy)
    errors = [images.load(path)[0][files.mask] for path in made["error"]]
    covariance = images.load(made["covariance"])[0].reshape(*files.mask.shape, -1)[..., 0][files.mask]
    smoking, neutral = (images.load(path)[0][files.mask] for path in made["template_cbf"])
    error = np.sqrt(np.mean(errors[0] ** 2 + errors[1] ** 2 - 2 * covariance))
    assert error == pytest.approx(np.std(smoking - neutral), rel=0.06)
    # Both share the baseline's error, and the correlation is that of least squares with this design.
    model = RUN.design()
    sums = np.array([model.of_conditions({cue: 1.0}) for cue in CUES]) @ np.linalg.pinv(model.matrix)
    known = sums @ sums.T
    assert np.median(covariance / (errors[0] * errors[1])) == pytest.approx(
        known[0, 1] / np.sqrt(known[0, 0] * known[1, 1]), abs=0.03
    )


def test_a_run_with_too_few_volumes_left_is_refused(tmp_path):
    left_out = {number: {"excluded": "true", "reason": "motion"} for number in range(2, 24)}
    with pytest.raises(InputError, match="not left out"):
        _case(tmp_path, repeats=left_out)
