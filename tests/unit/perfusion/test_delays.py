"""Realignment of a series of several delays, whose static tissue looks different at each: motion that is known."""

import head
import numpy as np
import pytest
import solved
from pharmasl.perfusion import motion, tissue_maps, volumes
from pharmasl.space import transforms

ASL = head.centred((32, 38, 15), (4.6, 4.6, 6.5), shift=(-2, 4, 6))
T1W = head.centred((52, 62, 46), (3.2, 3.2, 3.2))
DELAYS, REPEATS = 3, 4
# What is left of grey matter, white matter, fluid and scalp by the two suppression pulses, at each delay.
STATIC = np.array([[420.0, 180.0, 900.0, 260.0], [230.0, 260.0, 500.0, 180.0], [120.0, 330.0, 160.0, 240.0]])
PERFUSION = np.array([9.0, 3.0, 0.0, 0.0])
TYPES = ["label", "control"] * (DELAYS * REPEATS)
GROUP = np.repeat(np.tile(np.arange(DELAYS), REPEATS), 2)


def poses(steps):
    return [transforms.rigid_matrix(step[:3], step[3:], (0, 0, 0)) for step in steps]


@pytest.fixture(scope="module")
def scan():
    """A head that drifts and shakes a little, read slice by slice, so that suppression differs from slice to slice."""
    rng = np.random.default_rng(5)
    drift = np.linspace(0, 1, len(TYPES))[:, None] * np.array([0.6, -0.8, 0.9, 0.012, 0.004, -0.008])
    true = poses(drift + rng.normal(0, 1, drift.shape) * [0.05, 0.05, 0.05, 0.0005, 0.0005, 0.0005])
    height = np.linspace(0, 1, ASL.shape[2])
    series = []
    for kind, group, pose in zip(TYPES, GROUP, true):
        # Later slices have recovered longer: towards the next delay's signal.
        after = STATIC[min(group + 1, DELAYS - 1)]
        signal = STATIC[group][None] * (1 - 0.6 * height[:, None]) + after[None] * 0.6 * height[:, None]
        signal = signal - (PERFUSION if kind == "label" else 0)
        series.append(np.einsum("xyzk,zk->xyz", head.scan(ASL, pose), signal) + rng.normal(0, 2, ASL.shape))
    shares = np.moveaxis(head.render(T1W)[..., :3], 3, 0)
    return np.stack(series, axis=3), true, tissue_maps.reduce(list(shares), T1W.affine)


def errors(data, true, tissues, delay):
    """How far each volume is from where it should be relative to the first one of the series, mm."""
    of = volumes.sort(TYPES, "x", GROUP)
    found = solved.solve(
        data, ASL.affine, of, data[..., :0], ASL.affine, tissues, correct=True, separate=False, delay=delay
    ).motion
    planted = [np.linalg.inv(pose) @ true[1] for pose in true]
    return [head.distance(each @ np.linalg.inv(found[1]), wanted) for each, wanted in zip(found, planted)]


def test_contrast_that_changes_with_the_delay_is_not_taken_for_motion(scan):
    data, true, tissues = scan
    known = max(errors(data, true, tissues, GROUP))
    blind = max(errors(data, true, tissues, np.zeros(len(TYPES), dtype=int)))
    assert known < 0.2
    assert blind > 3 * known


def test_groups_are_linked_by_the_head_that_moves_on_steadily():
    rng = np.random.default_rng(0)
    group = np.repeat(np.tile([0, 1, 2, 3], 6), 2)
    true = np.linspace(0, 1, len(group))[:, None] * rng.normal(0, 1, 6)
    offset = np.concatenate([np.zeros((1, 6)), rng.normal(0, 3, (3, 6))])
    found = motion.continuous(true - offset[group], group)
    # A steady drift is symmetric about each border but for the series' two ends.
    step = np.abs(np.diff(true, axis=0)).max()
    assert found == pytest.approx(offset, abs=2 * step)
    assert motion.continuous(true[group < 1] * 0, group[group < 1]) == pytest.approx(np.zeros((1, 6)))


def test_delays_one_after_the_other_have_one_neighbour_each():
    group = np.repeat([2, 0, 1], 8)
    still = np.zeros((24, 6))
    offset = np.array([[0.0] * 6, [1.0, 2, 3, 0, 0, 0], [-4.0, 5, 6, 0.1, 0, 0]])
    assert motion.continuous(still - offset[group], group) == pytest.approx(offset)


def test_dvars_compares_volumes_of_one_delay():
    values = np.array([[100.0, 50.0, 101.0, 50.5]] * 5)
    found = motion.dvars(values, [("control", 0), ("control", 1)] * 2)
    assert found[2:] == pytest.approx([1.0, 1.0])
