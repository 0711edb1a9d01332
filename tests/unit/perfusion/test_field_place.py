"""The place of a field map whose head moved before the scan, of an analytic head with a known field."""

import functools

import head
import numpy as np
import planted_epi
import pytest
from pharmasl.files import tables
from pharmasl.perfusion import field_place, scan_field
from pharmasl.perfusion.field_map import Field
from pharmasl.perfusion.tissue_maps import reduce
from pharmasl.space import images, transforms
from pharmasl.study import scan_acquisition
from pharmasl.study.distortion import Distortion, FieldMap, PhaseEncoding

GRID = head.centred((56, 64, 32), (3.4, 3.4, 4.5))
POINTS = transforms.points(GRID)
SIGNAL = np.array([850.0, 700, 1100, 250])
# A gradient echo of short echo time: another contrast than the series'.
MAGNITUDE = np.array([300.0, 340, 130, 250])
BRAIN = head.render(GRID)[..., :3].sum(axis=-1) > 0.9
FRONT = BRAIN & (planted_epi.sinus(POINTS) > 20)
ENCODING = PhaseEncoding(direction="j", readout_time=0.03)
MILLIMETRES = 0.03 * 3.4
POSES = {"still": (0,) * 6, "2 mm": (1.2, -1.1, 1.2, 0, 0, 0), "3 degrees": (0, 0, 0, 0.03, 0.03, -0.03)}


@pytest.fixture(scope="module")
def maps():
    fine = head.centred((92, 108, 80), (2.0, 2.0, 2.0))
    return [image.astype(np.float32) for image in np.moveaxis(head.render(fine)[..., :3], -1, 0)], fine.affine


def sinus(points):
    return planted_epi.sinus(points, peak=150.0)


@functools.cache
def acquired(name):
    """A field map of the head, and its magnitude, whose pose before the scan was another one."""
    pose = POSES[name]
    to_head = transforms.rigid_matrix(pose[:3], pose[3:], (0, 0, 0))
    noise = np.random.default_rng(2).normal(0, 5, GRID.shape)
    beside = head.render(GRID, to_head) @ MAGNITUDE + noise
    return Field(sinus(transforms.apply(to_head, POINTS)), GRID.affine), beside, np.linalg.inv(to_head)


@functools.cache
def image(constant=0.0):
    return planted_epi.epi(GRID, SIGNAL, ENCODING.voxels_per_hertz, field=lambda points: sinus(points) + constant)


def left(field, matrix, shift=0.0):
    """What a field in this place is off by, in mm, where the head lies ``shift`` mm further to the front."""
    true = sinus(POINTS - np.array([0, shift, 0]))
    return float(np.sqrt(((field.at(POINTS, matrix) - true)[FRONT] ** 2).mean()) * MILLIMETRES)


@pytest.mark.parametrize("name", list(POSES))
def test_the_field_is_placed_where_its_head_lies(name, maps):
    field, beside, true = acquired(name)
    place = field_place.find(field, beside, image(), GRID.affine, Distortion(series=ENCODING), reduce(*maps))
    assert place.by == field_place.REGISTERED
    assert head.distance(place.matrix, true) < 0.4
    assert place.movement == pytest.approx(head.distance(true, np.eye(4)), abs=0.3)
    assert left(field, place.matrix) < 0.15
    if name != "still":
        assert left(field, np.eye(4)) > 0.4


def test_a_constant_of_the_field_moves_head_and_field_alike(maps):
    """A scanner tuned 20 Hz off displaces the image by 2 mm, and the field belongs where the head then seems to be."""
    field, beside, _ = acquired("still")
    place = field_place.find(field, beside, image(20.0), GRID.affine, Distortion(series=ENCODING), reduce(*maps))
    assert place.by == field_place.REGISTERED
    assert left(field, place.matrix, 20 * MILLIMETRES) < 0.35 * left(field, np.eye(4), 20 * MILLIMETRES)


def test_a_magnitude_that_shows_no_head_leaves_the_field_where_the_headers_have_it(maps):
    field, _, _ = acquired("still")
    noise = np.random.default_rng(0).normal(100, 30, GRID.shape)
    place = field_place.find(field, noise, image(), GRID.affine, Distortion(series=ENCODING), reduce(*maps))
    assert place.by == field_place.HEADERS
    assert np.array_equal(place.matrix, np.eye(4))
    assert "pattern" in place.record()["Why"]


@pytest.mark.parametrize("known", ["magnitude", "no magnitude", "no T1w"])
def test_what_is_written_has_the_place_and_how_it_was_found(known, maps, tmp_path):
    field, beside, true = acquired("2 mm")
    series = np.stack([image()] * 4, axis=3) + np.random.default_rng(5).normal(0, 4, (*GRID.shape, 4))
    for name, data in (("hertz", field.hertz), ("magnitude", beside), ("asl", series)):
        images.save(tmp_path / f"{name}.nii.gz", data, GRID.affine)
    tissues = [tmp_path / f"{name}.nii.gz" for name in ("gm", "wm", "csf")]
    for path, data in zip(tissues, maps[0]):
        images.save(path, data, maps[1])
    own = FieldMap(
        kind="fieldmap",
        images=(str(tmp_path / "hertz.nii.gz"),),
        magnitude=None if known == "no magnitude" else str(tmp_path / "magnitude.nii.gz"),
        units="Hz",
    )
    outputs = {"field": tmp_path / "f.nii.gz", "sidecar": tmp_path / "f.json", "displacement": tmp_path / "d.nii.gz"}
    acquisition = scan_acquisition.build({"volume_types": ["control", "label"] * 2})
    scan_field.write(
        outputs,
        own,
        tmp_path / "asl.nii.gz",
        [] if known == "no T1w" else tissues,
        acquisition=acquisition,
        distorted=Distortion(series=ENCODING),
        tesla=3.0,
    )
    record = tables.read_json(outputs["sidecar"])["Place"]
    written = Field(*images.load(outputs["field"]))
    if known == "magnitude":
        assert record["By"] == "registration"
        assert record["Movement"] == pytest.approx(head.distance(true, np.eye(4)), abs=0.4)
        assert left(written, np.eye(4)) < 0.5 * left(field, np.eye(4))
    else:
        assert record["By"] == "headers"
        assert {"no magnitude": "magnitude", "no T1w": "T1-weighted"}[known] in record["Why"]
        assert left(written, np.eye(4)) == pytest.approx(left(field, np.eye(4)), rel=0.05)
