"""The field of two images of opposed phase encoding, of an analytic head with a known field."""

import functools

import head
import numpy as np
import planted_epi
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import displacement, displacement_kernels, opposed_pair
from pharmasl.space import images, transforms
from pharmasl.study.distortion import OPPOSED, FieldMap, PhaseEncoding

GRID = head.centred((46, 54, 26), (4.0, 4.0, 5.0))
POINTS = transforms.points(GRID)
SIGNAL = np.array([850.0, 700, 1100, 400])
BRAIN = head.render(GRID)[..., :3].sum(axis=-1) > 0.9
FRONT = BRAIN & (planted_epi.sinus(POINTS) > 20)
TRUE = planted_epi.sinus(POINTS)
# Millimetres in a Hz, at 30 ms and 4 mm.
MILLIMETRES = 0.03 * 4


@functools.cache
def rendered(voxels_per_hertz, pose=None):
    """An image of the head, in a pose of rigid parameters."""
    matrix = None if pose is None else transforms.rigid_matrix(pose[:3], pose[3:], (0, 0, 0))
    return planted_epi.epi(GRID, SIGNAL, voxels_per_hertz, matrix=matrix)


def written(folder, directions=("j", "j-"), times=(0.03, 0.03), second=1.0, pose=None):
    """Two images of the head, as a field map."""
    encodings = tuple(PhaseEncoding(direction=d, readout_time=t) for d, t in zip(directions, times))
    paths = []
    rng = np.random.default_rng(4)
    for number, encoding in enumerate(encodings):
        image = rendered(encoding.voxels_per_hertz, pose if number else None) * (second if number else 1)
        paths.append(str(folder / f"{number}.nii.gz"))
        images.save(paths[-1], image + rng.normal(0, 8, GRID.shape), GRID.affine)
    return FieldMap(kind=OPPOSED, images=tuple(paths), encodings=encodings, volumes=(None, None))


def error(field, where=FRONT, constant=0.0):
    return float(np.sqrt((((field.hertz - TRUE)[where] - constant) ** 2).mean()) * MILLIMETRES)


@pytest.mark.parametrize(("directions", "times"), [(("j", "j-"), (0.03, 0.03)), (("j-", "j"), (0.02, 0.03))])
def test_the_field_is_the_planted_one(directions, times, tmp_path):
    field, _, record = opposed_pair.read(written(tmp_path, directions, times))
    distorted = float(np.sqrt((TRUE[FRONT] ** 2).mean()) * MILLIMETRES)
    assert distorted > 4.5
    assert error(field) < 0.08 * distorted
    assert error(field, BRAIN) < 0.08 * distorted
    assert record["Difference"][1] < 0.3 * record["Difference"][0]
    assert record["GainDifference"] < 0.05
    assert np.isfinite(field.hertz).all()


def test_another_gain_of_the_whole_image_changes_nothing(tmp_path):
    first, *_ = opposed_pair.read(written(tmp_path))
    second, _, record = opposed_pair.read(written(tmp_path, second=1.4))
    assert record["Gain"] == pytest.approx(1.4, abs=0.02)
    assert np.abs(second.hertz - first.hertz)[BRAIN].max() * MILLIMETRES < 0.1


@pytest.mark.parametrize(
    "gain", [1 + 0.2 * POINTS[..., 1] / 100, 1 + 0.2 * POINTS[..., 2] / 100, 1 + 0.3 * (POINTS / 100 @ np.ones(3)) ** 2]
)
def test_another_receive_field_is_refused(gain, tmp_path):
    with pytest.raises(InputError, match="prescan"):
        opposed_pair.read(written(tmp_path, second=gain))


def test_a_slight_change_of_gain_is_taken_off(tmp_path):
    field, _, record = opposed_pair.read(written(tmp_path, second=1 + 0.05 * POINTS[..., 1] / 100))
    assert 0.03 < record["GainDifference"] < 0.1
    assert error(field, BRAIN) < 0.5


def test_a_movement_between_the_images_is_found(tmp_path):
    pose = (1.0, 0.0, 0.5, 0.015, 0.01, -0.01)
    matrix = transforms.rigid_matrix(pose[:3], pose[3:], (0, 0, 0))
    field, _, record = opposed_pair.read(written(tmp_path, pose=pose))
    assert record["Movement"] == pytest.approx(head.distance(np.linalg.inv(matrix), np.eye(4)), abs=0.4)
    # A constant is a movement of the whole image, which registration takes up.
    assert error(field, FRONT, float((field.hertz - TRUE)[BRAIN].mean())) < 0.6


def test_several_volumes_and_some_of_a_series(tmp_path):
    own = written(tmp_path)
    single, *_ = opposed_pair.read(own)
    image, affine = images.load(own.images[0])
    images.save(own.images[0], np.stack([image * 0.3, image, image], axis=3), affine)
    several = FieldMap(kind=OPPOSED, images=own.images, encodings=own.encodings, volumes=((1, 2), None))
    field, *_ = opposed_pair.read(several)
    assert np.abs(field.hertz - single.hertz)[BRAIN].max() * MILLIMETRES < 0.05


def test_an_empty_image_is_refused(tmp_path):
    own = written(tmp_path)
    images.save(own.images[1], np.zeros(GRID.shape), GRID.affine)
    with pytest.raises(InputError, match=r"1\.nii\.gz: voxels"):
        opposed_pair.read(own)


def test_the_same_image_twice_is_refused(tmp_path):
    own = written(tmp_path)
    image, affine = images.load(own.images[0])
    images.save(own.images[1], image, affine)
    with pytest.raises(InputError, match=r"1\.nii\.gz: voxels: found 'those of 0\.nii\.gz'"):
        opposed_pair.read(own)


def test_the_derivatives_are_those_of_the_energy():
    """Against differences of the energy, of a state that is no solution."""
    rng = np.random.default_rng(0)
    shape = (3, 4, 12)
    first, second, u = (rng.normal(size=shape) for _ in range(3))
    u *= 0.2
    weight, gain = rng.uniform(0.5, 1, shape), np.full(shape, 1.3)
    factors = (1.0, -0.6)

    def energy(state, more=gain):
        rest, derivatives = np.zeros(shape), tuple(np.zeros(shape) for _ in range(3))
        curvature, gradient = np.zeros(shape), np.zeros(shape)
        data = displacement_kernels.residual(first, second, more, weight, state, factors, rest, derivatives)
        displacement_kernels.transposed(rest, derivatives[0], derivatives[1], gradient)
        data += displacement_kernels.roughness(state, np.array([0.1, 0.2, 0.3]), gradient)
        data += displacement_kernels.barrier(state, 0.5, curvature, gradient)
        return data, gradient, float((rest * derivatives[2]).sum())

    _, gradient, by_gain = energy(u)
    for place in [(0, 0, 0), (1, 2, 5), (2, 3, 11), (1, 1, 10)]:
        step = np.zeros(shape)
        step[place] = 1e-6
        numerical = (energy(u + step)[0] - energy(u - step)[0]) / 2e-6
        assert gradient[place] == pytest.approx(numerical, rel=1e-4, abs=1e-6)
    numerical = (energy(u, gain * np.exp(1e-6))[0] - energy(u, gain * np.exp(-1e-6))[0]) / 2e-6
    assert by_gain == pytest.approx(numerical, rel=1e-4)


@pytest.mark.parametrize("count", [4, 10])
def test_the_matrix_of_a_step_is_that_of_the_derivatives(count):
    """J' J of the data, by differences of the residual, with the roughness' and the barrier's own parts."""
    rng = np.random.default_rng(3)
    shape = (3, 4, 9)
    first, second, u, v = (rng.normal(size=shape) for _ in range(4))
    u *= 0.2
    weight, change = rng.uniform(0.5, 1, shape), rng.normal(size=count)
    logarithm = np.einsum("kxzy,k->xzy", displacement.basis(shape, count), change)
    derivatives = tuple(np.zeros(shape) for _ in range(3))

    def residual(step):
        rest = np.zeros(shape)
        gain = 1.3 * np.exp(step * logarithm)
        displacement_kernels.residual(
            first, second, gain, weight, u + step * v, (1.0, -0.6), rest, tuple(np.zeros(shape) for _ in range(3))
        )
        return rest

    displacement_kernels.residual(
        first, second, np.full(shape, 1.3), weight, u, (1.0, -0.6), np.zeros(shape), derivatives
    )
    image = (residual(1e-6) - residual(-1e-6)) / 2e-6
    expected, curvature = np.zeros(shape), np.zeros(shape)
    weights = np.array([0.1, 0.2, 0.3])
    displacement_kernels.transposed(image, derivatives[0], derivatives[1], expected)
    displacement_kernels.roughness(v, weights, expected)
    displacement_kernels.barrier(u, 0.5, curvature, np.zeros(shape))
    displacement_kernels.transposed(curvature * np.gradient(v, axis=2), np.zeros(shape), np.ones(shape), expected)
    out, other = np.zeros(shape), np.zeros(count)
    along = displacement_kernels.product(v, change, derivatives, curvature, weights, out, other)
    columns = displacement.basis(shape, count) * derivatives[2]
    assert out == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert other == pytest.approx(np.einsum("kxzy,xzy->k", columns, image), rel=1e-5, abs=1e-6)
    assert along == pytest.approx(float((v * out).sum() + (change * other).sum()))


def test_no_image_is_folded():
    """Two images that no smooth displacement makes alike are left as far apart as that takes."""
    rng = np.random.default_rng(1)
    first, second = rng.uniform(0, 1, (2, 8, 8, 20))
    pair = displacement.Pair(first, second, np.full(3, 4.0), np.ones(first.shape))
    solution = displacement.solve(pair, displacement.start(pair))
    assert np.abs(np.gradient(solution.u, axis=2)).max() < 1
