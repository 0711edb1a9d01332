"""Distortion of an analytic head with a known field: what is unwarped lies where it was, with the intensity that it had."""

import head
import numpy as np
import planted_epi
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import distortion_check, epi_shift, motion
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.perfusion.field_map import Field
from pharmasl.perfusion.tissue_maps import reduce
from pharmasl.space import images, resample, spline, transforms
from pharmasl.study.distortion import Distortion, PhaseEncoding
from scipy import ndimage

GRID = head.centred((46, 54, 26), (4.0, 4.0, 5.0))
POINTS = transforms.points(GRID)
SIGNAL = np.array([850.0, 700, 1100, 400])
BRAIN = head.render(GRID)[..., :3].sum(axis=-1) > 0.9
FRONT = BRAIN & (planted_epi.sinus(POINTS) > 20)
FORWARD = PhaseEncoding(direction="j", readout_time=0.03)
BACKWARD = PhaseEncoding(direction="j-", readout_time=0.03)
FLAT = planted_epi.epi(GRID, SIGNAL, 0)


def unwarping(series=FORWARD, m0=None, multiple=1.0):
    return Unwarping(Field(multiple * planted_epi.sinus(POINTS), GRID.affine), Distortion(series=series, m0=m0))


def relative(found, true, where=FRONT):
    return float(np.sqrt(((found[where] / true[where] - 1) ** 2).mean()))


@pytest.mark.parametrize("encoding", [FORWARD, BACKWARD])
def test_an_image_is_restored_in_place_and_intensity(encoding):
    distorted = planted_epi.epi(GRID, SIGNAL, encoding.voxels_per_hertz)
    found = epi_shift.unwarped(distorted, GRID.affine, unwarping(encoding))
    assert relative(distorted, FLAT) > 0.15
    assert relative(found, FLAT) < 0.05
    # The wrong sign makes it worse.
    worse = epi_shift.unwarped(distorted, GRID.affine, unwarping(encoding, multiple=-1))
    assert relative(worse, FLAT) > relative(distorted, FLAT)


def test_an_axis_that_is_stored_the_other_way_round_turns_the_sign():
    distorted = planted_epi.epi(GRID, SIGNAL, FORWARD.voxels_per_hertz)
    affine = GRID.affine @ np.diag([1, -1, 1, 1])
    affine[:3, 3] = transforms.apply(GRID.affine, np.array([0, GRID.shape[1] - 1, 0]))
    field = Field(planted_epi.sinus(POINTS)[:, ::-1], affine)
    own = Unwarping(field, Distortion(series=BACKWARD))
    found = epi_shift.unwarped(distorted[:, ::-1], affine, own)[:, ::-1]
    assert np.allclose(found, epi_shift.unwarped(distorted, GRID.affine, unwarping()), atol=0.05)


def test_a_moved_volume_is_sampled_once_through_motion_and_shift():
    """The composed sample of a moved, distorted volume is that of one that neither moved nor was distorted."""
    matrix = transforms.rigid_matrix((1.5, -1.0, 0.5), (0.02, -0.01, 0.03), (0, 0, 0))
    # A point of the reference lies at the inverse's place in the volume; the field moves with the head.
    moved = planted_epi.epi(GRID, SIGNAL, FORWARD.voxels_per_hertz, matrix=matrix)
    own = unwarping()
    shift = own.shift(POINTS, GRID.affine)
    found = spline.sample(spline.coefficients(moved), GRID.affine, POINTS, np.linalg.inv(matrix), shift)
    found = found * own.intensity(POINTS, GRID.affine)
    inner = FRONT & np.isfinite(found)
    assert relative(found, FLAT, inner) < 0.07


def test_both_interpolations_take_the_shift():
    volume = planted_epi.epi(GRID, SIGNAL, FORWARD.voxels_per_hertz)
    shift = unwarping().shift(POINTS, GRID.affine)
    cubic = spline.sample(spline.coefficients(volume), GRID.affine, POINTS, shift=shift)
    linear = resample.resample(volume, GRID.affine, POINTS, shift=shift)
    assert relative(linear, cubic, BRAIN) < 0.06
    by_voxel = np.moveaxis(np.indices(GRID.shape), 0, -1).astype(float)
    by_voxel[..., 1] += shift.voxels.reshape(GRID.shape)
    assert np.allclose(
        cubic, spline.sample(spline.coefficients(volume), np.eye(4), by_voxel), atol=0.01, equal_nan=True
    )


def test_volumes_are_realigned_as_well_as_without_distortion():
    matrix = transforms.rigid_matrix((1.0, 0.8, -0.6), (0.01, 0.02, -0.01), (0, 0, 0))

    def error(voxels_per_hertz, shift):
        volumes = [planted_epi.epi(GRID, SIGNAL, voxels_per_hertz, matrix=pose) for pose in (np.eye(4), matrix)]
        mean = motion.mean(volumes[:1], GRID.affine, np.eye(4)[None], GRID, shift)
        starts, weight = [np.eye(4)] * 2, BRAIN.astype(float)
        found = motion.realign(volumes, GRID.affine, mean, GRID.affine, weight, starts=starts, shift=shift)
        return head.distance(found[1], np.linalg.inv(matrix))

    assert error(FORWARD.voxels_per_hertz, unwarping().shift(POINTS, GRID.affine)) < 1.05 * error(0, None)


def test_intensity_cancels_between_images_of_one_encoding():
    """The quotient of two images is restored without the stretch; that of two encodings needs it."""
    perfusion = np.array([9.0, 3, 0, 0])
    true = planted_epi.epi(GRID, perfusion, 0) / np.maximum(FLAT, 1)
    grey = FRONT & (true > 0.7 * true[BRAIN].max())

    def quotient(m0_encoding, modulate):
        own = unwarping(m0=m0_encoding)
        sampled = []
        for signal, encoding, separate in ((perfusion, FORWARD, False), (SIGNAL, m0_encoding or FORWARD, True)):
            image = planted_epi.epi(GRID, signal, encoding.voxels_per_hertz)
            shift = own.shift(POINTS, GRID.affine, separate=separate)
            values = spline.sample(spline.coefficients(image), GRID.affine, POINTS, shift=shift)
            sampled.append(
                values * own.modulation(POINTS, GRID.affine, np.eye(4), separate=separate) if modulate else values
            )
        return sampled[0] / np.maximum(sampled[1], 1)

    assert not unwarping().modulates
    assert not unwarping(m0=FORWARD).modulates
    assert unwarping(m0=BACKWARD).modulates
    same, opposed, wrong = quotient(None, True), quotient(BACKWARD, True), quotient(BACKWARD, False)
    assert relative(same, true, grey) < 0.05
    assert relative(opposed, true, grey) < 0.08
    assert relative(wrong, true, grey) > 0.2
    assert abs(np.mean(opposed[grey] / true[grey] - 1)) < 0.02 < 0.1 < abs(np.mean(wrong[grey] / true[grey] - 1))


def test_where_the_field_folds_nothing_is_known():
    steep = unwarping(PhaseEncoding(direction="j-", readout_time=0.3))
    lost = np.isnan(steep.modulation(POINTS, GRID.affine, np.eye(4), separate=False))
    slope = np.gradient(planted_epi.sinus(POINTS), axis=1)
    assert np.array_equal(lost, 1 - 0.3 * slope < epi_shift.LEAST_STRETCH)
    assert 0.001 < lost[BRAIN].mean() < 0.3
    assert np.isfinite(unwarping().modulation(POINTS, GRID.affine, np.eye(4), separate=False)).all()


@pytest.fixture(scope="module")
def tissues():
    fine = head.centred((92, 108, 80), (2.0, 2.0, 2.0))
    return reduce(list(np.moveaxis(head.render(fine)[..., :3].astype(np.float32), -1, 0)), fine.affine)


@pytest.mark.parametrize(
    ("multiple", "words"),
    [(1.0, None), (-1.0, "opposite sign"), (2 * np.pi, "too large|another unit"), (1.5, "too large")],
)
def test_a_map_of_the_wrong_sign_unit_or_readout_time_is_refused(multiple, words, tissues):
    field = Field(1.6 * planted_epi.sinus(POINTS), GRID.affine)
    image = planted_epi.epi(
        GRID, SIGNAL, FORWARD.voxels_per_hertz, field=lambda points: 1.6 * planted_epi.sinus(points)
    )
    own = Unwarping(field, Distortion(series=FORWARD)).times(multiple)
    checked = distortion_check.check(image, GRID.affine, own, tissues, np.eye(4))
    if words is None:
        distortion_check.judge(checked, "asl.nii.gz")
        assert checked.minimum == pytest.approx(1, abs=0.15)
        assert checked.confirmed
    else:
        with pytest.raises(InputError, match=words):
            distortion_check.judge(checked, "asl.nii.gz")


def test_a_noisy_map_that_is_right_is_not_refused(tissues):
    """Unsmoothed, half of this map would leave 3 % less unexplained than the whole: its noise stretches neighbours unlike."""
    encoding = PhaseEncoding(direction="j", readout_time=0.04)
    image = planted_epi.epi(GRID, SIGNAL, encoding.voxels_per_hertz)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(GRID.shape), 1.7 / np.array([4, 4, 5]))
    hertz = planted_epi.sinus(POINTS) + 2.5 * noise / noise.std()
    own = Unwarping(Field(hertz, GRID.affine), Distortion(series=encoding))
    assert distortion_check.check(image, GRID.affine, own, tissues, np.eye(4)).better is None
    assert distortion_check.check(image, GRID.affine, own.times(-1), tissues, np.eye(4)).better == -1


def test_a_multiple_between_those_that_are_tried_counts():
    """The least of the parabola, at 0.71, lies 1.4 % below the map itself; no multiple that was tried does."""
    shares = dict(zip(distortion_check.MULTIPLES, (0.3464, 0.2908, 0.2702, 0.2720, 0.3007)))
    assert distortion_check.Check(shares).better == 0.5
    # The same where the map itself is the best of those tried: said, and not refused.
    shares[0.5] = 0.2721
    assert distortion_check.Check(shares).better is None


@pytest.mark.parametrize(
    ("shares", "confirmed"),
    [
        # A real scan, by its map as it is, and by one that is a quarter too large and a fifth too small.
        ((0.2852, 0.2493, 0.2362, 0.2307, 0.2360), True),
        ((0.2957, 0.2493, 0.2338, 0.2318, 0.2459), False),
        ((0.2771, 0.2493, 0.2383, 0.2312, 0.2315), False),
    ],
)
def test_a_readout_time_that_is_a_quarter_off_is_warned_of(shares, confirmed, caplog):
    checked = distortion_check.Check(dict(zip(distortion_check.MULTIPLES, shares)))
    distortion_check.judge(checked, "asl.nii.gz")
    assert checked.confirmed == confirmed == checked.record()["Confirmed"]
    assert ("readout time" in caplog.text) != confirmed


def test_the_field_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "field.nii.gz"
    images.save(path, planted_epi.sinus(POINTS), GRID.affine)
    own = epi_shift.read([path], Distortion(series=FORWARD))
    assert np.allclose(own.field.hertz, planted_epi.sinus(POINTS), atol=1e-4)
    assert epi_shift.read([], Distortion(series=FORWARD)) is None
    assert epi_shift.read([path], None) is None
