"""Heads and runs of the simulator against closed forms, and against the workflow's own formula."""

import dataclasses

import numpy as np
import pytest
from pharmasl.perfusion import kinetics
from pharmasl.simulate import (
    arteries,
    deformation,
    label_control_series,
    participant_anatomy,
    scanner_model,
    smooth_noise,
)
from pharmasl.simulate.label_control_series import Magnetisation
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import images, transforms
from pharmasl.space.images import Grid

SCANNER = scanner_model.Scanner(
    matrix=(8, 8, 5),
    voxel_size=(4.0, 4.0, 6.0),
    pairs=3,
    labeling_duration=1.8,
    post_labeling_delay=1.8,
    slice_time=0.04,
    labeling_efficiency=0.85,
    m0_repetition_time=10.0,
    repetition_time=5.0,
    static_signal=0.2,
    noise=0.15,
    fluctuation=0.0005,
    perfusion_fluctuation=0.05,
    translation=0.1,
    rotation=0.1,
    receive_bias=0.15,
    spikes=0.0,
)
STILL = np.repeat(np.eye(4)[None], 7, axis=0)


@pytest.fixture(scope="module")
def template():
    return participant_anatomy.read_template(step=4)


@pytest.fixture(scope="module")
def shape(template):
    return deformation.draw(np.random.default_rng(3), template.low, template.high, template.centre, 4.0)


@pytest.fixture(scope="module")
def head(template, shape):
    return participant_anatomy.head(
        np.random.default_rng(4), template, shape, participant_anatomy.t1w_grid(template, shape, 6.0)
    )


def uniform(fractions, levels, multiple=1.0):
    """Tissue without structure, larger than the field of view."""
    grid = smooth_noise.box([-40.0] * 3, [40.0] * 3, 4.0)
    magnetisation = {name: np.full(grid.shape, scanner_model.M0[name] * share) for name, share in fractions.items()}
    flow = sum(levels.get(name, 0) * magnetisation[name] for name in fractions) * multiple
    return label_control_series.Tissue(grid.affine, Magnetisation.from_volumes(magnetisation), flow)


def quantified(run, scanner):
    """CBF by the workflow's formula, of a run without noise: mean over pairs, slice by slice."""
    static, delta = run[..., 1:], run[..., 1::2] - run[..., 2::2]
    assert static.shape[-1] == 2 * scanner.pairs
    delays = kinetics.slice_delays(scanner.post_labeling_delay, scanner.slice_timing, scanner.matrix[2])
    factor = np.array(
        [
            kinetics.continuous(
                delay,
                scanner.labeling_duration,
                scanner.labeling_efficiency,
                scanner_model.T1_BLOOD,
                scanner_model.PARTITION,
            )
            for delay in delays
        ]
    )
    return factor * delta.mean(axis=-1)


@pytest.mark.parametrize("tissue", ["gm", "wm"])
def test_label_signal_is_the_inverse_of_the_formula(tissue):
    delays = kinetics.slice_delays(1.8, SCANNER.slice_timing, 5)
    factor = [
        kinetics.continuous(delay, 1.8, 0.85, scanner_model.T1_BLOOD, scanner_model.PARTITION) for delay in delays
    ]
    np.testing.assert_allclose(60 * SCANNER.label_signal() * np.array(factor), 60, rtol=1e-12)


@pytest.mark.parametrize(("tissue", "cbf"), [("gm", 60.0), ("wm", 20.0)])
@pytest.mark.parametrize("static", [0.2, 1.0])
def test_pure_tissue_gives_back_its_cbf(tissue, cbf, static):
    scanner = dataclasses.replace(SCANNER, static_signal=static)
    run = label_control_series.acquire(
        None, scanner, uniform({tissue: 1.0}, {tissue: cbf}), scanner.grid(np.zeros(3)), np.eye(4), STILL
    )
    m0 = run[..., 0] / (1 - np.exp(-scanner.m0_repetition_time / scanner_model.T1[tissue]))
    np.testing.assert_allclose(m0, scanner_model.M0[tissue], rtol=1e-6)
    # A label volume is single precision: a difference of a few thousandths of the static signal keeps four digits.
    rounding = (
        np.finfo(np.float32).eps
        * scanner_model.M0[tissue]
        * static
        / (cbf * scanner_model.M0[tissue] * scanner.label_signal().min())
    )
    np.testing.assert_allclose(quantified(run, scanner) / m0, cbf, rtol=max(4 * rounding, 1e-6))


def test_mixed_voxel_gives_the_mean_weighted_by_magnetisation():
    shares, levels = {"gm": 0.5, "wm": 0.3, "csf": 0.2}, {"gm": 60.0, "wm": 20.0}
    tissue = uniform(shares, levels)
    weight = {name: scanner_model.M0[name] * share for name, share in shares.items()}
    wanted = (60 * weight["gm"] + 20 * weight["wm"]) / sum(weight.values())
    np.testing.assert_allclose(label_control_series.apparent_cbf(tissue, np.zeros((1, 3))), wanted, rtol=1e-6)
    run = label_control_series.acquire(None, SCANNER, tissue, SCANNER.grid(np.zeros(3)), np.eye(4), STILL)
    np.testing.assert_allclose(quantified(run, SCANNER) / sum(weight.values()), wanted, rtol=1e-4)


def test_static_signal_recovers_from_suppression():
    share = SCANNER.static_share("gm")
    assert share[0] == pytest.approx(0.2)
    assert share[4] == pytest.approx(1 - 0.8 * np.exp(-0.16 / scanner_model.T1["gm"]), rel=1e-12)
    np.testing.assert_array_equal(dataclasses.replace(SCANNER, static_signal=1.0).static_share("csf"), 1)


def test_head_moves_as_planned():
    """A translation by one voxel shifts the image by one voxel, in the direction in which the head moved."""
    rng = np.random.default_rng(5)
    grid = SCANNER.grid(np.zeros(3))
    m0 = {"gm": rng.uniform(10, 75, grid.shape).astype(np.float32)}
    tissue = label_control_series.Tissue(grid.affine, Magnetisation.from_volumes(m0), np.zeros(grid.shape, np.float32))
    motions = STILL.copy()
    motions[3, :3, 3] = grid.affine[:3, 0]
    run = label_control_series.acquire(None, SCANNER, tissue, grid, np.eye(4), motions)
    np.testing.assert_allclose(run[1:, ..., 3], run[:-1, ..., 1], rtol=1e-5)


def test_placement_maps_the_asl_frame_to_the_t1w_frame():
    grid = SCANNER.grid(np.zeros(3))
    m0 = {"gm": np.random.default_rng(5).uniform(10, 75, grid.shape).astype(np.float32)}
    placement = transforms.rigid_matrix([3.0, -2.0, 1.0], [0.1, 0.05, -0.2], [1.0, 2.0, 3.0])
    moved = Grid(grid.shape, placement @ grid.affine)
    run = label_control_series.acquire(
        None,
        SCANNER,
        label_control_series.Tissue(moved.affine, Magnetisation.from_volumes(m0), 0 * m0["gm"]),
        grid,
        placement,
        STILL,
    )
    np.testing.assert_allclose(run[..., 1] / SCANNER.static_share("gm"), m0["gm"], rtol=1e-4)


def test_drift_starts_at_zero_and_has_the_planned_size():
    many = dataclasses.replace(SCANNER, pairs=20000)
    position = label_control_series.drift(np.random.default_rng(6), many)
    assert not position[0].any()
    # 40001 volumes with a memory of some 14 (2 sqrt(pi) 4): the standard error of a deviation is 1.3 %.
    np.testing.assert_allclose(position.std(axis=0), [0.1] * 3 + [np.deg2rad(0.1)] * 3, rtol=0.05)
    # A Gaussian kernel of s volumes leaves steps of 1 / (s sqrt 2) of the deviation.
    steps = np.diff(position, axis=0).std(axis=0) / position.std(axis=0)
    np.testing.assert_allclose(steps, 1 / (label_control_series.MEMORY * np.sqrt(2)), rtol=0.05)


def test_thermal_noise_is_rician_of_the_planned_size():
    grid = Grid((30, 30, 5), SCANNER.grid(np.zeros(3)).affine)
    quiet = dataclasses.replace(SCANNER, matrix=grid.shape, fluctuation=0.0, perfusion_fluctuation=0.0)
    empty = label_control_series.Tissue(
        np.diag([4.0, 4, 4, 1]),
        Magnetisation.from_volumes({"gm": np.zeros((3, 3, 3))}),
        np.zeros((3, 3, 3), np.float32),
    )
    run = label_control_series.acquire(
        np.random.default_rng(7), dataclasses.replace(quiet, noise=5.0), empty, grid, np.eye(4), STILL
    )
    # Rayleigh: mean sigma sqrt(pi / 2), and n = 31500 makes its standard error 0.3 %.
    assert run.mean() == pytest.approx(label_control_series.SCALE * 5.0 * np.sqrt(np.pi / 2), rel=0.015)
    assert np.array_equal(run, np.rint(run))


def test_gain_is_that_of_grey_matter_at_the_centre():
    centre = np.array(REGIONS["dlpfc"].centres)
    weights = {"dlpfc": REGIONS["dlpfc"].weight(centre)}
    multiple = label_control_series.modulation(weights, {"dlpfc": 28.0, "insula": 0.0}, 56.0, np.zeros(1))
    np.testing.assert_allclose(multiple, 1.5, rtol=1e-6)
    weights = {"dlpfc": REGIONS["dlpfc"].weight(-centre)}
    far = label_control_series.modulation(weights, {"dlpfc": 28.0}, 56.0, np.full(1, 0.1))
    np.testing.assert_allclose(far, 1.1, rtol=1e-6)


def test_warp_can_be_undone(template, shape):
    assert shape.jacobian().min() > 0.2
    points = np.random.default_rng(8).uniform(template.low, template.high, (2000, 3))
    back = shape.to_template(shape.from_template(points))
    assert np.abs(back - points).max() < 0.02
    # And it is worth undoing.
    assert np.linalg.norm(shape.forward, axis=0).max() > 4


def test_exponential_of_a_turn_is_the_turn():
    """A velocity field v(x) = A x, with A antisymmetric, turns points by exp(A)."""
    grid = smooth_noise.box([-50.0] * 3, [50.0] * 3, 5.0)
    rotation = np.array([0.0, 0.0, 0.2])
    generator = np.cross(rotation, np.eye(3))
    velocity = np.moveaxis(transforms.points(grid) @ generator, -1, 0)
    turned = deformation.exponential(velocity, grid)
    points = np.random.default_rng(9).uniform(-25, 25, (500, 3))
    wanted = transforms.apply(transforms.rigid_matrix(np.zeros(3), rotation, np.zeros(3)), points)
    found = points + np.moveaxis(deformation.sampled(turned, grid, points), 0, -1)
    # The first step, of a 128th, is straight: the radius (43 mm at most) grows by 128 (0.2 / 128)^2 / 2, 0.016 %.
    np.testing.assert_allclose(found, wanted, atol=0.01)


def test_tissue_shares_fill_the_brain(template, head):
    total = sum(template.fractions.values())
    brain = total > 0
    np.testing.assert_allclose(total[brain], 1, atol=1e-5)
    inside = sum(head.fractions[name] for name in participant_anatomy.TISSUES)
    assert inside.max() <= 1 + 1e-5
    assert (inside + head.fractions["other"]).max() <= 1 + 1e-5
    # Litres: 1 to 2 for a head of a person.
    assert 1.0 < head.mask.sum() * 6.0**3 / 1e6 < 2.0


def test_t1w_has_the_contrast_of_a_t1w(head):
    levels = {name: np.median(head.t1w[head.fractions[name] > 0.9]) for name in ("gm", "wm")}
    assert 0.55 < levels["gm"] / levels["wm"] < 0.8
    assert np.isfinite(head.t1w).all()
    # No part of the head lies on the upper, front, back or side faces of the image.
    for face in (head.t1w[0], head.t1w[-1], head.t1w[:, 0], head.t1w[:, -1], head.t1w[..., -1]):
        assert face.max() < 30 or face.mean() < 30
    assert head.mask.sum() == head.mask[1:-1, 1:-1, 1:-1].sum()


def test_scanned_image_has_the_planned_field_and_noise(head):
    rng = np.random.default_rng(10)
    field = participant_anatomy.receive_field(rng, head.grid, 0.2)
    assert field.min() >= 0.8 - 1e-5
    assert field.max() <= 1.2 + 1e-5
    assert np.ptp(field) > 0.3
    image = participant_anatomy.scanned(np.random.default_rng(11), head, 0.0, 0.03)
    assert image.dtype == np.int16
    residual = image[head.mask] / 10 - head.t1w[head.mask]
    assert residual.std() == pytest.approx(3, rel=0.05)


def test_random_field_has_unit_spread_and_holds_outside_its_box():
    points = np.random.default_rng(12).uniform(-100, 100, (4000, 3))
    values = smooth_noise.sample(np.random.default_rng(13), points, 8.0, [-100.0] * 3, [100.0] * 3)
    assert values.std() == pytest.approx(1, abs=0.15)
    outside = smooth_noise.sample(np.random.default_rng(13), 3 * points, 8.0, [-100.0] * 3, [100.0] * 3)
    assert np.isfinite(outside).all()


@pytest.mark.parametrize("transit", [0.5, 1.79, 2.2, 3.0, 3.59, 4.0])
def test_late_label_is_missing_as_the_convolution_says(transit):
    """Label arrives from the transit time on, decayed by blood's T1 since it was labelled, and decays on."""
    scanner = dataclasses.replace(SCANNER, slice_time=0.0)

    def signal(delta):
        readout, steps = scanner.labeling_duration + scanner.post_labeling_delay, np.linspace(0, 1, 20_001)
        first, last = min(delta, readout), min(delta + scanner.labeling_duration, readout)
        arrival = first + steps * (last - first)
        values = np.exp(-delta / scanner_model.T1_BLOOD) * np.exp(-(readout - arrival) / scanner_model.T1_BLOOD)
        return np.trapezoid(values, arrival)

    (share,) = scanner.arrived(np.array([transit]), np.array([0]))
    assert share == pytest.approx(signal(transit) / signal(0.0), abs=1e-6)


def test_what_has_not_arrived_lowers_the_cbf_that_one_delay_finds(head):
    tissue = uniform({"gm": 1.0}, {"gm": 60.0})
    late = dataclasses.replace(
        tissue, transit=images.Volume(np.full(tissue.perfusion.shape, 2.2, dtype=np.float32), tissue.affine)
    )
    scanner = dataclasses.replace(SCANNER, slice_time=0.0, static_signal=1.0)
    grid = scanner.grid(np.zeros(3))
    cbf = [
        quantified(label_control_series.acquire(None, scanner, one, grid, np.eye(4), STILL), scanner)
        for one in (tissue, late)
    ]
    assert cbf[1][4, 4, 2] / cbf[0][4, 4, 2] == pytest.approx(
        float(scanner.arrived(np.array([2.2]), np.array([4]))[0]), rel=1e-4
    )


@pytest.mark.parametrize(("transit", "bright"), [(1.9, False), (2.05, False), (2.2, True), (3.0, True)])
def test_an_artery_is_bright_while_the_label_is_in_it_and_dark_once_it_has_passed(transit, bright):
    """Blood is 0.3 s earlier there: at a delay of 1.8 s it is labelled from 2.1 s on, and has decayed since it was labelled."""
    tissue = uniform({"gm": 1.0}, {"gm": 60.0})
    times = images.Volume(np.full(tissue.perfusion.shape, transit, dtype=np.float32), tissue.affine)
    blood = np.full(tissue.perfusion.shape, 0.05 * 75 / 0.9, dtype=np.float32)
    late = dataclasses.replace(tissue, transit=times)
    vessels = dataclasses.replace(late, arteries=blood, lead=0.3)
    scanner = dataclasses.replace(SCANNER, slice_time=0.0, static_signal=1.0)
    grid = scanner.grid(np.zeros(3))
    plain, seen = (
        label_control_series.acquire(None, scanner, one, grid, np.eye(4), STILL)[4, 4, 2, 1:] for one in (late, vessels)
    )
    wanted = 2 * scanner.labeling_efficiency * blood.flat[0] * np.exp(-(transit - 0.3) / 1.65) if bright else 0.0
    np.testing.assert_allclose((plain - seen)[1::2], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(plain[0::2], seen[0::2])


def test_large_arteries_lie_where_they_are_known_to_be():
    """A tube about a course of the middle cerebral artery, on both sides, and nothing a centimetre away."""
    places = np.array([[-28.0, 2, -18], [28.0, 2, -18], [-28.0, 3.25, -18], [-28.0, 2, -8], [0.0, -20, 10]])
    np.testing.assert_allclose(arteries.share(places), [1, 1, 0.5, 0, 0], atol=0.06)


def test_spikes_are_single_slices_at_the_rate_that_was_declared():
    tissue = uniform({"gm": 1.0}, {"gm": 60.0})
    scanner = dataclasses.replace(SCANNER, pairs=400, spikes=0.2)
    still = np.repeat(np.eye(4)[None], 801, axis=0)
    plain, spiked = (
        label_control_series.acquire(np.random.default_rng(5), one, tissue, scanner.grid(np.zeros(3)), np.eye(4), still)
        for one in (dataclasses.replace(scanner, spikes=0.0), scanner)
    )
    ratio = spiked.sum(axis=(0, 1)) / plain.sum(axis=(0, 1))
    out = ratio > 1.1
    np.testing.assert_allclose(ratio[out], 1.3, atol=0.01)
    np.testing.assert_array_equal(spiked[..., 0], plain[..., 0])
    assert set(out.sum(axis=0)) == {0, 1}
    assert out.sum() / 800 == pytest.approx(0.2, abs=0.045)
