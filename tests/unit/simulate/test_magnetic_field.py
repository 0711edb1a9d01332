"""The simulated magnetic field against closed forms, and against what is known of real heads."""

import numpy as np
import pytest
from pharmasl.simulate import deformation, magnetic_field, participant_anatomy
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import transforms
from pharmasl.space.images import Grid


def test_a_sphere_of_air_is_a_dipole():
    places = np.array([[0, 0, 10], [0, 10, 0], [0, 0, 20], [20, 0, 0], [0, 0, 9.9], [3, 2, 1]], dtype=np.float32)
    field = magnetic_field.air(places + np.float32(5), np.full(3, 5.0), 10.0)
    np.testing.assert_allclose(field, [2, -1, 0.25, -0.125, 0, 0], rtol=1e-5)


def test_it_obeys_laplace_around_the_air():
    """As magnetic fields do where nothing is: the sum of second derivatives vanishes against each of them."""
    grid = Grid((40, 40, 40), np.diag([1.0, 1, 1, 1]))
    field = magnetic_field.air(transforms.points(grid), np.array([-30.0, 5, 60]), 12.0).astype(np.float64)
    second = [np.gradient(np.gradient(field, axis=k), axis=k)[2:-2, 2:-2, 2:-2] for k in range(3)]
    assert np.abs(sum(second)).max() < 0.02 * np.abs(second[2]).max()


def test_shims_take_off_the_second_order_alone():
    points = transforms.points(Grid((20, 24, 18), np.diag([6.0, 6, 6, 1]))).astype(np.float32)
    brain = ((points - 55) ** 2).sum(-1) < 45**2
    x, y, z = np.moveaxis((points.astype(np.float64) - 60) / 100, -1, 0)
    smooth = 3 - 20 * x + 8 * y * z + 30 * (x * x - y * y) + 5 * (2 * z * z - x * x - y * y)
    np.testing.assert_allclose(magnetic_field.harmonics(points, brain, smooth), smooth, atol=1e-3)
    # x squared alone is none of them: it obeys no Laplace.
    assert np.std((x * x - magnetic_field.harmonics(points, brain, x * x))[brain]) > 0.01


@pytest.fixture(scope="module")
def person():
    template = participant_anatomy.read_template(step=3)
    shape = deformation.draw(np.random.default_rng(3), template.low, template.high, template.centre, 3.0)
    grid = participant_anatomy.t1w_grid(template, shape, 4.0)
    return participant_anatomy.head(np.random.default_rng(4), template, shape, grid), shape


def test_a_head_has_the_field_that_was_asked_for(person):
    head, shape = person
    hertz = magnetic_field.draw(np.random.default_rng(1), head, shape, 68.0, 0.0)
    brain = head.fractions["gm"] + head.fractions["wm"] > 0.5
    weight = REGIONS["vmpfc"].weight(head.template_points) * brain
    assert (weight * hertz).sum() / weight.sum() == pytest.approx(68, rel=1e-4)
    # Beside the figures of a real head: 5 to 95 % of its brain lie in -16 to 37 Hz, 99.9 % below 180; the ventral insula has 10.
    low, high, most = np.percentile(hertz[brain], [5, 95, 99.9])
    assert -25 < low < 0 < high < 40
    assert 90 < most < 300
    insula = REGIONS["insula"].weight(head.template_points) * brain > 0.5
    assert np.abs(hertz[insula]).mean() < 15


def test_people_differ_by_what_was_asked_for(person):
    head, shape = person
    brain = head.fractions["gm"] + head.fractions["wm"] > 0.5
    weight = REGIONS["vmpfc"].weight(head.template_points) * brain
    drawn = [
        (weight * magnetic_field.draw(np.random.default_rng(seed), head, shape, 68.0, 0.2)).sum() / weight.sum()
        for seed in range(24)
    ]
    # 24 draws of a Gaussian that ends at two standard deviations (0.88 of its standard deviation is left).
    assert np.std(drawn) / 68 == pytest.approx(0.2 * 0.88, rel=0.35)
    assert np.mean(drawn) == pytest.approx(68, rel=0.12)
