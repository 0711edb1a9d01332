"""Echo-planar readouts of a head with a field: against closed forms, and unwarped by the workflow's own correction."""

import dataclasses

import numpy as np
import pytest
from pharmasl.perfusion import field_map, opposed_pair
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.simulate import echo_planar, field_map_images, label_control_series, scanner_model, susceptibility
from pharmasl.simulate.echo_planar import FINE, Readout
from pharmasl.simulate.label_control_series import Magnetisation
from pharmasl.space import images, spline, transforms
from pharmasl.space.images import Grid
from pharmasl.study.distortion import OPPOSED, Distortion, FieldMap, PhaseEncoding

GRID = Grid((12, 40, 6), np.diag([4.0, 4.0, 6.0, 1.0]))
# Of the head's images: finer, and beyond that grid on all sides.
HEAD = Grid((56, 180, 44), np.array([[1.0, 0, 0, -4], [0, 1, 0, -10], [0, 0, 1, -6], [0, 0, 0, 1]]))
AHEAD, BACK = (PhaseEncoding(direction=direction, readout_time=0.025) for direction in ("j", "j-"))
SCANNER = scanner_model.Scanner(
    matrix=GRID.shape,
    voxel_size=(4.0, 4.0, 6.0),
    pairs=2,
    labeling_duration=1.8,
    post_labeling_delay=1.8,
    slice_time=0.0,
    labeling_efficiency=0.85,
    m0_repetition_time=10.0,
    repetition_time=5.0,
    static_signal=0.2,
    noise=0.02,
    fluctuation=0.0,
    perfusion_fluctuation=0.0,
    translation=0.0,
    rotation=0.0,
    receive_bias=0.0,
    spikes=0.0,
)


def bump(points, height=60.0, width=18.0):
    """A field like that above a sinus, Hz."""
    return (height * np.exp(-((points - [24, 80, 15]) ** 2).sum(-1) / (2 * width**2))).astype(np.float32)


def brain(points):
    """An ellipsoid with folds."""
    inside = (((points - [24, 78, 15]) / [26, 62, 30]) ** 2).sum(-1) < 1
    return (inside * (60 + 25 * np.sin(points[..., 1] / 2.5) * np.cos(points[..., 0] / 4))).astype(np.float32)


def read_out(readout, signal):
    points = transforms.points(readout.fine(GRID))
    fine = images.Volume(signal(points).astype(np.float32), GRID.affine).data
    return readout.image(fine, points, np.eye(4))


def test_signal_that_is_pushed_keeps_its_sum():
    rng = np.random.default_rng(1)
    signal, out = np.zeros((3, 4, 60), np.float32), np.zeros((3, 4, 60))
    signal[..., 15:45] = rng.uniform(1, 2, (3, 4, 30))
    shift = (6 * np.sin(np.arange(60) / 5) + rng.uniform(-1, 1, (3, 4, 60))).astype(np.float32)
    echo_planar.push(signal, shift, out)
    np.testing.assert_allclose(out.sum(-1), signal.sum(-1, dtype=float), rtol=1e-12)


def test_whole_voxels_are_pushed_whole():
    signal, out = np.arange(20, dtype=np.float32)[None, None], np.zeros((1, 1, 20))
    echo_planar.push(signal, np.full((1, 1, 20), 3, np.float32), out)
    np.testing.assert_array_equal(out[0, 0, 3:], signal[0, 0, :-3])
    assert not out[0, 0, :3].any()


@pytest.mark.parametrize("encoding", [AHEAD, BACK])
def test_a_slope_of_the_field_thins_out_or_piles_up(encoding):
    """Where the field rises by s Hz a voxel, the image's signal is the tissue's over 1 + s times readout time."""
    slope = 8.0
    hertz = (transforms.points(HEAD)[..., 1] - 80) / 4 * slope
    seen = read_out(Readout(encoding, hertz.astype(np.float32), HEAD.affine), lambda points: np.ones(points.shape[:-1]))
    sign = 1 if encoding is AHEAD else -1
    np.testing.assert_allclose(seen[:, 12:28], 1 / (1 + sign * slope * 0.025), rtol=1e-4)


@pytest.mark.parametrize("direction", ["i", "i-", "j", "j-"])
def test_a_constant_field_moves_the_image_the_way_of_its_encoding(direction):
    encoding = PhaseEncoding(direction=direction, readout_time=0.025)
    hertz = np.full(HEAD.shape, 80.0, np.float32)
    still = read_out(Readout(encoding, 0 * hertz, HEAD.affine), brain)
    moved = read_out(Readout(encoding, hertz, HEAD.affine), brain)
    steps, axis = (-2 if direction.endswith("-") else 2), "ij".index(direction[0])
    inside = [slice(3, -3)] * 3
    np.testing.assert_allclose(np.roll(still, steps, axis)[tuple(inside)], moved[tuple(inside)], atol=1e-3)


def test_without_a_field_a_run_is_as_it_was():
    """The point spread along the phase encoding is added by the readout in place of beforehand."""
    points, still = transforms.points(HEAD), np.repeat(np.eye(4)[None], 5, axis=0)
    whole, sharp = (
        label_control_series.Tissue(
            HEAD.affine,
            Magnetisation.from_volumes({"gm": label_control_series.spread(brain(points), HEAD.affine, SCANNER, axes)}),
            label_control_series.spread(60 * brain(points), HEAD.affine, SCANNER, axes),
        )
        for axes in ((0, 1, 2), (0, 2))
    )
    readout = Readout(AHEAD, np.zeros(HEAD.shape, np.float32), HEAD.affine)
    plain = label_control_series.acquire(None, SCANNER, whole, GRID, np.eye(4), still)
    same = label_control_series.acquire(None, SCANNER, sharp, GRID, np.eye(4), still, readout=readout)
    # Linear interpolation is applied before the blur here, and after it there.
    assert np.abs(plain - same)[..., 0].max() < 0.01 * plain.max()
    delta, other = (run[..., 1] - run[..., 2] for run in (plain, same))
    assert np.abs(delta - other).max() < 0.015 * delta.max()
    finished = label_control_series.finished(sharp, SCANNER, (0, 2))
    np.testing.assert_allclose(finished.perfusion, whole.perfusion, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("encoding", [AHEAD, BACK])
def test_the_workflow_unwarps_what_is_planted(encoding):
    """Signal, too, once it is multiplied with the stretch; by the field of the wrong sign it gets worse."""
    readout = Readout(encoding, bump(transforms.points(HEAD)), HEAD.affine)
    flat, seen = read_out(dataclasses.replace(readout, hertz=0 * readout.hertz), brain), read_out(readout, brain)
    points = transforms.points(GRID)
    unwarping = Unwarping(field_map.Field(bump(points), GRID.affine), Distortion(series=encoding))

    def error(own):
        back = spline.sample(spline.coefficients(seen), GRID.affine, points, shift=own.shift(points, GRID.affine))
        difference = (back * own.intensity(points, GRID.affine) - flat)[3:-3, 8:-8, 1:-1]
        return np.sqrt(np.mean(difference**2))

    before = np.sqrt(np.mean((seen - flat)[3:-3, 8:-8, 1:-1] ** 2))
    assert error(unwarping) < 0.25 * before
    assert error(unwarping.times(-1)) > 1.2 * before


def test_a_slice_loses_what_its_phases_leave():
    """By the closed form, of a field that rises by 2 Hz a mm across slices of 6 mm."""
    hertz = (2 * transforms.points(HEAD)[..., 2]).astype(np.float32)
    share = echo_planar.kept(hertz, HEAD.affine, np.array([0, 0, 6.0]), 0.03)
    phase = np.pi * 2 * 6 * 0.03
    np.testing.assert_allclose(share, np.sin(phase) / phase, rtol=1e-5)
    np.testing.assert_array_equal(echo_planar.kept(hertz, HEAD.affine, np.array([0, 4.0, 0]), 0.03), 1)


@pytest.fixture
def scene():
    points = transforms.points(HEAD)
    sharp = label_control_series.spread(brain(points), HEAD.affine, SCANNER, (0, 2))
    return field_map_images.Scene(SCANNER, {"gm": sharp}, bump(points, 300.0), HEAD.affine)


def saved(folder, shown):
    paths = {name: str(folder / f"{name}.nii.gz") for name in shown}
    for name, path in paths.items():
        images.save(path, shown[name].data, shown[name].grid.affine, dtype=np.int16)
    return paths


def inside(points):
    return (((points - [24, 78, 15]) / [20, 54, 22]) ** 2).sum(-1) < 1


def test_the_workflow_reads_the_phase_difference(tmp_path, scene):
    """Though it wraps: 300 Hz are more than half a turn between the echoes."""
    paths = saved(
        tmp_path, field_map_images.phase_difference(np.random.default_rng(2), scene, GRID, np.eye(4), AHEAD.axis)
    )
    metadata = field_map_images.phase_difference(np.random.default_rng(2), scene, GRID, np.eye(4), 1)[
        "phasediff"
    ].metadata
    own = field_map.read(
        [paths["phasediff"], paths["magnitude1"]],
        "phasediff",
        metadata["EchoTime2"] - metadata["EchoTime1"],
        None,
        3.0,
    )
    points = transforms.points(GRID)
    left = (own.hertz - bump(points, 300.0))[inside(points)]
    assert np.sqrt(np.mean(left**2)) < 3
    assert np.ptp(images.load(paths["phasediff"]).data) > 8000


def test_the_workflow_reads_the_pair(tmp_path, scene):
    scene = dataclasses.replace(scene, hertz=bump(transforms.points(HEAD)))
    both = field_map_images.opposed(np.random.default_rng(2), scene, GRID, (np.eye(4), np.eye(4)), (BACK, AHEAD))
    paths = saved(tmp_path, both)
    assert list(paths) == ["dir-AP_epi", "dir-PA_epi"]
    assert both["dir-AP_epi"].metadata["PhaseEncodingDirection"] == "j-"
    own = FieldMap(kind=OPPOSED, images=tuple(paths.values()), encodings=(BACK, AHEAD), volumes=(None, None))
    points = transforms.points(GRID)
    true, (read, *_) = bump(points), opposed_pair.read(own)
    where = inside(points) & (true > 5)
    assert np.sqrt(np.mean((read.hertz - true)[where] ** 2)) < 0.1 * np.sqrt(np.mean(true[where] ** 2))


def test_what_a_session_has_of_a_field():
    asked = susceptibility.Susceptibility(
        hertz=68.0, people=0.0, direction="j-", readout_time=0.025, dropout=True, field_map="opposed"
    )
    assert susceptibility.field_names(asked) == ["dir-AP_epi", "dir-PA_epi"]
    assert susceptibility.field_names(dataclasses.replace(asked, direction="i")) == ["dir-LR_epi", "dir-RL_epi"]
    assert susceptibility.field_names(dataclasses.replace(asked, hertz=0.0)) == []
    assert susceptibility.field_names(dataclasses.replace(asked, field_map="none")) == []
    assert asked.blurred_axes == (0, 2)
    assert dataclasses.replace(asked, hertz=0.0).blurred_axes == (0, 1, 2)
    assert susceptibility.millimetres(asked, (3.0, 4.0, 5.0)) == pytest.approx(0.1)
    assert FINE % 2 == 1
