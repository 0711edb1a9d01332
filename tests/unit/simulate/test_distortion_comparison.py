"""What a magnetic field displaces and what a correction leaves of it, of maps whose errors are known."""

import numpy as np
import pytest
from pharmasl.simulate import distortion_comparison
from pharmasl.simulate.accuracy import PersonFiles, RunFiles
from pharmasl.simulate.distortion_comparison import BRAIN, VMPFC, FieldFiles
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import images, transforms

TEMPLATE = images.Grid(
    (24, 32, 20), np.diag([4.0, 4, 4, 1]) + np.array([[0, 0, 0, -46], [0, 0, 0, -60], [0, 0, 0, -40], [0] * 4])
)
HEAD = images.Grid(
    (30, 36, 26), np.diag([4.0, 4, 4, 1]) + np.array([[0, 0, 0, -60], [0, 0, 0, -70], [0, 0, 0, -50], [0] * 4])
)
POINTS = transforms.points(TEMPLATE)
# The head lies a little off the template, and the scan off the head.
TO_HEAD = transforms.rigid_matrix([2.0, -3.0, 1.0], [0.02, 0.0, 0.03], np.zeros(3))
TO_SCAN = transforms.rigid_matrix([1.0, 4.0, -2.0], [0.0, 0.05, 0.0], np.zeros(3))
MILLIMETRES = 0.1


def hertz(points):
    """Linear, so that sampling it is exact."""
    return (20 + points @ [0.1, 0.5, -0.4]).astype(np.float32)


@pytest.fixture
def scan(tmp_path):
    """One scan, and how to judge it with a field that is off by so many Hz and CBF by a factor."""
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("gm", "field", "truth", "true_cbf", "cbf", "hertz")}
    images.save(paths["gm"], np.ones(TEMPLATE.shape), TEMPLATE.affine)
    transforms.write_field(paths["field"], transforms.apply(TO_HEAD, POINTS), TEMPLATE.affine)
    images.save(paths["truth"], hertz(transforms.points(HEAD)), HEAD.affine)
    true = np.where((POINTS[..., 2] > -36), 50 + POINTS[..., 1] / 10, np.nan)
    images.save(paths["true_cbf"], true, TEMPLATE.affine)
    # The results' reference is the third volume, the truth's the first, and their registration to the T1w is off.
    motion = [transforms.rigid_matrix([0.1 * k, 0.3 * k, 0.0], [0.0, 0.0, 0.01 * k], np.zeros(3)) for k in range(4)]
    affines = {
        "truth_motion": motion,
        "motion": [own @ np.linalg.inv(motion[2]) for own in motion],
        "truth_coregistration": TO_SCAN,
        "coregistration": transforms.rigid_matrix([9.0, 9.0, 9.0], [0.0, 0.0, 0.0], np.zeros(3)),
    }
    for name, matrices in affines.items():
        transforms.write_affines(tmp_path / name, matrices)
    person = PersonFiles("none", paths["field"], "none", None)
    run = RunFiles(**{name: tmp_path / name for name in affines}, person=0)

    def rows(off, factor, corrected=True):
        back = transforms.apply(np.linalg.inv(motion[2] @ TO_SCAN), transforms.points(HEAD))
        images.save(paths["hertz"], hertz(back) + off, HEAD.affine)
        images.save(paths["cbf"], true * factor, TEMPLATE.affine)
        field = FieldFiles([paths["truth"]], [paths["hertz"]] if corrected else [], MILLIMETRES)
        maps = [(paths["true_cbf"], paths["cbf"])]
        found = distortion_comparison.distortion_rows(field, [person], [run], maps, paths["gm"])
        return {(row.region, row.unit): row for row in found}

    return rows


def displaced(region):
    inside = POINTS[..., 2] > -36
    if region == VMPFC:
        inside &= REGIONS["vmpfc"].weight(POINTS) > 0.5
    return MILLIMETRES * np.sqrt(np.mean(hertz(transforms.apply(TO_HEAD, POINTS))[inside] ** 2))


@pytest.mark.parametrize("region", [BRAIN, VMPFC])
def test_a_field_that_is_off_leaves_what_it_is_off_by(scan, region):
    row = scan(3.0, 1.0)[region, "mm"]
    assert row.planted == pytest.approx(displaced(region), rel=1e-3)
    assert row.found == pytest.approx(0.3, rel=1e-3)
    assert row.verdict.startswith("corrected")


@pytest.mark.parametrize("region", [BRAIN, VMPFC])
def test_a_correction_that_leaves_more_than_half_is_said_to_be_poor(scan, region):
    row = scan(-0.7 * displaced(region) / MILLIMETRES, 1.0)[region, "mm"]
    assert row.found == pytest.approx(0.7 * displaced(region), rel=1e-3)
    assert row.verdict.startswith("in part corrected")
    assert row.verdict.endswith("more than half is left in 1 of 1")


@pytest.mark.parametrize("region", [BRAIN, VMPFC])
def test_without_a_correction_all_is_left(scan, region):
    row = scan(0.0, 1.0, corrected=False)[region, "mm"]
    assert row.found == row.planted == pytest.approx(displaced(region), rel=1e-3)
    assert row.verdict == "not corrected"


def test_cbf_is_judged_by_its_mean_and_its_voxels(scan):
    row = scan(0.0, 1.12)[VMPFC, "mL/100 g/min"]
    assert row.found == pytest.approx(1.12 * row.expected, rel=1e-3)
    assert row.verdict == "+12.0 %, root mean square error over voxels 12.0 %, each scan +12.0 to +12.0 %"
