"""Variability of regional CBF and of cue responses: what was asked for comes back from the fields."""

import numpy as np
import pytest
import simulation
from pharmasl.errors import InputError
from pharmasl.simulate import effect_places, flow_fields, reliabilities, territories
from pharmasl.simulate.flow_fields import FlowFields
from pharmasl.simulate.simulation_settings import PlannedEffect
from pharmasl.space import images
from pharmasl.study import settings

CENTRES = np.array(
    [(x, y, z) for x in (-45, -15, 15, 45) for y in (-75, -40, 0, 40) for z in (-15, 20, 50) if abs(y) + z < 90.0]
)
LOW, HIGH = np.array([-130.0] * 3), np.array([130.0] * 3)
PEOPLE = 40


def spheres():
    """Points of a sphere of 10 mm about each centre: shape (centres, points, 3)."""
    steps = np.arange(-10, 11, 5.0)
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return CENTRES[:, None] + points[(points**2).sum(axis=1) <= 100]


@pytest.fixture(scope="module")
def fields():
    asked = simulation.participant(
        variability={"regional": {"sd": 0.1, "icc": 0.7}, "cue": {"sd": 6.0, "icc": 0.4}, "runs": 0.02}
    )
    return FlowFields.at(spheres(), LOW, HIGH, asked.variability, asked.blood_flow)


def visits(person, visit):
    """Two visits of each person, means over the spheres: shape (2, people, centres)."""
    rng = np.random.default_rng(7)
    made = []
    for _ in range(PEOPLE):
        own = person(rng)
        made.append([(own + visit(rng)).mean(axis=-1) for _ in range(2)])
    return np.moveaxis(np.array(made), 1, 0)


def spread_and_icc(values):
    """SD over people at one visit and ICC(1), pooled over the places."""
    between = values.mean(axis=0).var(axis=0, ddof=1).mean()
    within = (values[1] - values[0]).var(axis=0).mean() / 2
    total = between + within / 2
    return np.sqrt(total), (between - within / 2) / total


def test_regional_cbf_varies_as_asked_for(fields):
    sd, icc = spread_and_icc(visits(fields.person, fields.visit))
    assert sd == pytest.approx(0.1, rel=0.1)
    assert icc == pytest.approx(0.7, rel=0.1)


def test_the_response_to_cues_varies_as_asked_for_with_what_the_runs_add(fields):
    values = visits(fields.person_cue, fields.visit_cue)
    rng = np.random.default_rng(8)
    runs = 60 * (1 + 0.02 * rng.standard_normal((2, 2, PEOPLE, 1)))
    sd, icc = spread_and_icc(values + runs[0] - runs[1])
    assert sd == pytest.approx(6, rel=0.1)
    assert icc == pytest.approx(0.4, rel=0.1)


def test_the_mean_over_a_sphere_has_the_variance_of_an_average_over_pairs():
    """By pairs of points drawn in a sphere."""
    rng = np.random.default_rng(3)
    points = rng.uniform(-10, 10, (2, 400_000, 3))
    one, two = points[:, ((points**2).sum(axis=-1) <= 100).all(axis=0)]
    squares = ((one - two) ** 2).sum(axis=1)
    for scale in (3.0, 8.5, 200.0):
        average = np.exp(-squares / (4 * scale**2)).mean()
        assert flow_fields.sphere_share(scale) ** 2 == pytest.approx(average, rel=0.01)


def test_parts_are_the_algebra_of_what_was_asked_for():
    asked = simulation.trial(variability={"grey": {"sd": 10.0, "icc": 0.64}, "runs": 0.05}).variability
    parts = reliabilities.grey(asked, 50.0)
    assert (parts.people, parts.sessions**2 + parts.runs**2) == pytest.approx((8, (6 / 50) ** 2))


def test_a_territory_is_on_its_side_and_its_field_has_unit_variance():
    points = np.array([[-55.0, -15, 15], [55, -15, 15], [-18, -85, 5], [7, 45, 25], [22, -60, -40]])
    share = territories.shares(points)
    np.testing.assert_allclose(share.sum(axis=0), 1, rtol=1e-5)
    names = [territories.NAMES[k].split(", ") for k in share.argmax(axis=0)]
    assert [name for name, _ in names] == ["middle", "middle", "posterior", "anterior", "cerebellar"]
    assert [side for _, side in names] == ["left", "right", "left", "right", "right"]
    rng = np.random.default_rng(1)
    grid = territories.shares(np.random.default_rng(2).uniform(-60, 60, (300, 3)))
    fields = np.array([territories.field(rng.standard_normal(len(grid)), grid) for _ in range(800)])
    np.testing.assert_allclose(fields.var(axis=0).mean(), 1, rtol=0.05)


def effect(**place):
    return settings.build(
        PlannedEffect, {"arm": "both", "session": "both", "conditions": ["rest"], "amount": 1.0, "spread": 0.0, **place}
    )


def test_effects_lie_in_spheres_labels_images_or_everywhere(tmp_path):
    affine = np.diag([4.0, 4, 4, 1])
    labels = np.zeros((10, 10, 10), np.int16)
    labels[:5], labels[5:] = 1, 2
    images.save(tmp_path / "atlas.nii.gz", labels, affine, dtype=np.int16)
    (tmp_path / "atlas.txt").write_text("1 Left\n2 Right\n")
    weights = np.linspace(0, 1, 1000).reshape(10, 10, 10).astype(np.float32)
    images.save(tmp_path / "weights.nii.gz", weights, affine)
    images.save(tmp_path / "twice.nii.gz", 2 * weights, affine)
    atlas = settings.build(
        settings.Atlas, {"image": str(tmp_path / "atlas.nii.gz"), "labels": str(tmp_path / "atlas.txt")}
    )
    asked = {
        "sphere": effect(sphere=[20, 20, 20], radius=8.0),
        "right": effect(atlas=["Right"]),
        "image": effect(image=str(tmp_path / "weights.nii.gz")),
        "all": effect(everywhere=True),
    }
    points = np.array([[20.0, 20, 20], [28, 20, 20], [4, 4, 4], [500, 0, 0]])
    weight = {name: place.weight(points) for name, place in effect_places.places(asked, atlas).items()}
    np.testing.assert_allclose(weight["sphere"], [1, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(weight["right"], [1, 1, 0, 0])
    np.testing.assert_allclose(weight["image"], [weights[5, 5, 5], weights[7, 5, 5], weights[1, 1, 1], 0], atol=1e-5)
    np.testing.assert_array_equal(weight["all"], 1)
    with pytest.raises(InputError, match="Middle"):
        effect_places.places({"wrong": effect(atlas=["Middle"])}, atlas)
    with pytest.raises(InputError, match="from 0 to 1"):
        effect_places.places({"wrong": effect(image=str(tmp_path / "twice.nii.gz"))}, atlas)
