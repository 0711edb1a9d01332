"""Simulated time-encoded runs: what each block leaves in them, and what the workflow makes of a whole raw scan."""

import dataclasses

import coded
import numpy as np
import pytest
from kinetic_models import continuous_difference
from pharmasl.simulate import label_control_series, scanner_model, smooth_noise
from pharmasl.space import images

DURATIONS, DELAY = (0.9, 0.8, 0.6), 0.3
CODE = scanner_model.CodedCycles(
    matrix=tuple(tuple(int(value) for value in row) for row in coded.hadamard(4)),
    label=-1,
    durations=DURATIONS,
    delay=DELAY,
    cycles=2,
)
SCANNER = scanner_model.Scanner(
    matrix=(6, 6, 4),
    voxel_size=(4.0, 4.0, 6.0),
    pairs=3,
    labeling_duration=1.8,
    post_labeling_delay=1.8,
    slice_time=0.05,
    labeling_efficiency=0.85,
    m0_repetition_time=10.0,
    repetition_time=5.0,
    static_signal=0.2,
    noise=0.03,
    fluctuation=0.0,
    perfusion_fluctuation=0.0,
    translation=0.1,
    rotation=0.1,
    receive_bias=0.0,
    spikes=0.0,
    encoding=CODE,
)


def tissue(transit):
    """Grey matter with a CBF of 60 everywhere, and one transit time."""
    grid = smooth_noise.box([-40.0] * 3, [40.0] * 3, 4.0)
    m0 = np.full(grid.shape, scanner_model.M0["gm"], dtype=np.float32)
    times = images.Volume(np.full(grid.shape, transit, dtype=np.float32), grid.affine)
    return label_control_series.Tissue(
        grid.affine, label_control_series.Magnetisation.from_volumes({"gm": m0}), 60 * m0, times
    )


@pytest.mark.parametrize("label", [-1, 1])
@pytest.mark.parametrize("transit", [0.4, 1.1, 1.9])
def test_each_block_leaves_what_the_kinetic_model_says(transit, label):
    """Against the model as the tests have it, slice by slice, in each cycle; the vendor's sign changes nothing but the sign."""
    scanner = dataclasses.replace(SCANNER, encoding=dataclasses.replace(CODE, label=label))
    assert len(scanner.volume_types) == 9
    still = np.repeat(np.eye(4)[None], 9, axis=0)
    run = label_control_series.acquire(None, scanner, tissue(transit), scanner.grid(np.zeros(3)), np.eye(4), still)
    cycles = run[3, 3, :, 1:].reshape(4, 2, 4).astype(float)
    decoded = -label * 2 / 4 * cycles @ coded.hadamard(4)
    delays = coded.delays(DURATIONS, DELAY)
    for number, late in enumerate(scanner.slice_timing):
        expected = 75 * continuous_difference(60, transit, delays + late, np.array(DURATIONS), 0.85, 1.65, 0.9)
        # The static signal of 15 to 20 is single precision.
        assert decoded[number] == pytest.approx(np.tile(expected, (2, 1)), abs=1e-5)


def test_volumes_are_called_label_if_any_block_labels():
    assert SCANNER.volume_types == ["m0scan", *["control", "label", "label", "label"] * 2]
    assert dataclasses.replace(SCANNER, encoding=None).volume_types == ["m0scan", *["control", "label"] * 3]
    assert SCANNER.preparation == pytest.approx(2.6)
