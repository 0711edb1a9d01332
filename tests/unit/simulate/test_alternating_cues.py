"""Runs in which cues alternate: their blocks, their names, and what their volumes hold."""

import numpy as np
import pytest
import simulation
from pharmasl.simulate import alternating_cues, label_control_series
from pharmasl.simulate.alternating_cues import CueBlocks
from pharmasl.simulate.label_control_series import Alternation, Magnetisation, Tissue
from pharmasl.space.images import Grid
from pharmasl.statistics import block_design

SCANNER = simulation.participant(
    perfusion={"matrix": [4, 4, 4], "voxel_size": [4, 4, 4], "pairs": 30, "slice_time": 0.05, "repetition_time": 4}
).perfusion
BLOCKS = CueBlocks(duration=20.0, delay=6.0, bold=0.01)


def test_blocks_follow_one_another_from_the_first_control_to_the_end():
    blocks = BLOCKS.blocks(SCANNER, "neutral")
    assert [cue for *_, cue in blocks] == ["neutral", "smoking"] * 6
    assert blocks[0][:2] == (SCANNER.m0_repetition_time, 20.0)
    assert [blocks[k + 1][0] - blocks[k][0] for k in range(11)] == [20.0] * 11
    assert blocks[-1][0] + blocks[-1][1] == SCANNER.m0_repetition_time + 60 * 4.0


@pytest.mark.parametrize(
    ("duration", "condition", "entities"),
    [
        (0, "smoking", {"acq": "smoking"}),
        (20, "rest", {"acq": "rest"}),
        (20, "smoking", {"acq": "cues", "run": "1"}),
        (20, "neutral", {"acq": "cues", "run": "2"}),
    ],
)
def test_runs_are_named_by_what_is_in_them(duration, condition, entities):
    assert alternating_cues.run_entities({"duration": duration}, condition) == entities


def test_volumes_hold_perfusion_and_bold_of_their_own_slices_time():
    """Without noise or motion, label and control of a slice are those of the response at its readout."""
    grid = Grid((4, 4, 4), np.diag([4.0, 4, 4, 1]))
    static, perfusion, added = np.full(grid.shape, 75.0), np.full(grid.shape, 4500.0), np.full(grid.shape, 600.0)
    course = BLOCKS.course(SCANNER, "smoking")
    smoking = np.array([own[:2] for own in BLOCKS.blocks(SCANNER, "smoking") if own[2] == "smoking"])
    begun = SCANNER.m0_repetition_time + 4.0 * np.arange(60)
    for z in range(4):
        times = begun + SCANNER.labeling_duration + SCANNER.post_labeling_delay + 0.05 * z
        np.testing.assert_allclose(course[1:, z], block_design.response(times, smoking, 6.0), atol=1e-12)
    series = label_control_series.acquire(
        None,
        SCANNER,
        Tissue(grid.affine, Magnetisation.from_volumes({"gm": static}), perfusion),
        grid,
        np.eye(4),
        np.tile(np.eye(4), (61, 1, 1)),
        alternation=Alternation(added, np.full(grid.shape, 0.02), course),
    )[1:3, 1:3]
    share = SCANNER.static_share("gm")
    for volume, kind in enumerate(SCANNER.volume_types):
        if kind == "m0scan":
            continue
        label = SCANNER.label_signal() * (4500 + 600 * course[volume]) * (kind == "label")
        expected = share * 75 * (1 + 0.02 * course[volume]) - label
        np.testing.assert_allclose(series[..., volume], np.broadcast_to(expected, series.shape[:3]), rtol=1e-5)


def test_a_run_has_maps_of_each_of_its_conditions():
    stem = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-cues_run-1"
    assert alternating_cues.state_stems({"duration": 0}, "smoking", stem) == [("smoking", stem)]
    assert alternating_cues.state_stems({"duration": 20}, "rest", stem) == [("rest", stem)]
    assert alternating_cues.state_stems({"duration": 20}, "neutral", stem) == [
        ("smoking", f"{stem}_condition-smoking"),
        ("neutral", f"{stem}_condition-neutral"),
    ]
