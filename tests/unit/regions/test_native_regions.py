"""Regions in native space against a known chain of transforms: a rigid pose, a smooth warp, and where a region goes."""

import complete_settings
import numpy as np
import pytest
from head import centred
from pharmasl.contrasts.contrast_maps import JudgedScan
from pharmasl.errors import InputErrors
from pharmasl.regions import native_contrasts, native_shares, native_values
from pharmasl.regions.region_values import RegionValue
from pharmasl.report import methods_section
from pharmasl.space import transforms
from pharmasl.space.images import Grid
from pharmasl.study import configuration

TEMPLATE = centred((44, 48, 40), (2, 2, 2))
T1W = centred((50, 54, 46), (2, 2, 2), shift=(3, -2, 4))
# The T1w's points to the scan's: what the coregistration stores.
POSE = transforms.rigid_matrix([4, -6, 5], [0.15, -0.1, 0.2], [0, 0, 0])
TILT = transforms.rigid_matrix([0, 0, 0], [0.05, 0.1, -0.08], [0, 0, 0])
CENTRE, RADIUS = np.array([8.0, 6.0, -5.0]), 12.0


def scan_grid(shape=(28, 30, 20), voxel=(3.5, 3.5, 5.0)):
    grid = centred(shape, voxel, shift=(4, -6, 5))
    return Grid(grid.shape, TILT @ grid.affine)


SCAN = scan_grid()


def size(height):
    """How much larger the template is than the head, where there is a warp."""
    return 1 + 0.025 * height


def to_template(points, height=3.0):
    """T1w to template: shear waves and a stretch; one-to-one."""
    return size(height) * (points + height * np.sin(np.roll(points, -1, axis=-1) / 25)) + [1, 2, -1]


def to_t1w(points, height=3.0):
    """The same undone, by fixed points: the waves' slope is at most 0.12."""
    start = (points - [1, 2, -1]) / size(height)
    found = start
    for _ in range(60):
        found = start - height * np.sin(np.roll(found, -1, axis=-1) / 25)
    return found


def sphere(radius=RADIUS):
    return ((transforms.points(TEMPLATE) - CENTRE) ** 2).sum(axis=-1) <= radius**2


def chain(masks, grid=SCAN, height=3.0):
    back, forward = to_template(transforms.points(T1W), height), to_t1w(transforms.points(TEMPLATE), height)
    return native_shares.RegionsInScan(
        masks=np.array(masks),
        affine=TEMPLATE.affine,
        grid=grid,
        to_t1w=np.linalg.inv(POSE),
        to_template=native_shares.Deformation(back, T1W.affine),
        from_template=native_shares.Deformation(forward, TEMPLATE.affine),
    )


def own_share(grid=SCAN, height=3.0, number=9, mask=None):
    """The share of each voxel whose points end in the mask's voxels, at other points and without a field between."""
    mask = sphere() if mask is None else mask
    total = np.zeros(grid.shape)
    inverse = np.linalg.inv(TEMPLATE.affine)
    for part in np.ndindex(number, number, number):
        offset = grid.affine[:3, :3] @ ((np.array(part) + 0.5) / number - 0.5)
        points = transforms.apply(np.linalg.inv(POSE), transforms.points(grid) + offset)
        voxel = np.floor(transforms.apply(inverse, to_template(points, height)) + 0.5).astype(int)
        inside = ((voxel >= 0) & (voxel < mask.shape)).all(axis=-1)
        total[inside] += mask[tuple(voxel[inside].T)]
    return total / number**3


@pytest.fixture(scope="module")
def warped():
    everywhere = np.ones(SCAN.shape, dtype=bool)
    region = chain([sphere(), np.zeros(TEMPLATE.shape, dtype=bool)])
    return region, region.shares(everywhere).reshape(2, *SCAN.shape)


def summary(values, share, statistic="mean", grey=None):
    return native_values.summarise(values, share, statistic=statistic, grey=grey)


def mean(cbf, share):
    return summary(cbf.ravel(), share.ravel())[0]


def test_parts_fill_a_voxel():
    offsets = native_shares.part_offsets(SCAN.affine[:3, :3], 1)
    # 3.5, 3.5 and 5 mm in parts of at most 1 mm.
    assert len(offsets) == 4 * 4 * 5
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=1e-12)
    # The second moment of n equal parts' centres is (1 - 1/n^2) voxel^2 / 12.
    own = offsets @ np.linalg.inv(SCAN.affine[:3, :3]).T
    np.testing.assert_allclose((own**2).mean(axis=0), (1 - 1 / np.array([16, 16, 25])) / 12, rtol=1e-12)


def test_shares_are_those_of_the_chain_itself(warped):
    _, (share, empty) = warped
    reference = own_share()
    assert not empty.any()
    # An edge that crosses a voxel is known to a part of its 7 along an axis: at most half of one is amiss.
    assert np.abs(share - reference).max() < 1 / 14
    amiss = (share - reference)[(reference > 0) & (reference < 1)]
    assert amiss.std() < 1 / 7 / np.sqrt(12) / 2
    assert (share[reference == 1] == 1).mean() > 0.98
    # What is amiss has either sign: it adds up as chance does.
    assert abs(amiss.sum()) < 3 * amiss.std() * np.sqrt(len(amiss))


def test_a_rigid_chain_keeps_volume_and_a_warp_has_its_jacobian(warped):
    voxel = abs(np.linalg.det(SCAN.affine[:3, :3]))
    true = sphere().sum() * 8
    rigid = chain([sphere()], height=0).shares(np.ones(SCAN.shape, dtype=bool))
    assert rigid.sum() * voxel == pytest.approx(true, rel=0.003)
    points, step = transforms.points(TEMPLATE)[sphere()], 1e-3
    slopes = [(to_t1w(points + step * e) - to_t1w(points - step * e)) / (2 * step) for e in np.eye(3)]
    expected = np.linalg.det(np.stack(slopes, axis=-1)).sum() * 8
    assert expected / true == pytest.approx(size(3) ** -3, abs=0.01)
    assert warped[1][0].sum() * voxel == pytest.approx(expected, rel=0.003)


def test_cbf_that_is_constant_is_found_exactly(warped):
    share = warped[1][0]
    assert mean(np.full(SCAN.shape, 52.5), share) == pytest.approx(52.5, rel=1e-14)
    grey = np.random.default_rng(0).uniform(size=SCAN.shape)
    for statistic in ("median", "gm_weighted"):
        found, _ = summary(np.full(share.size, 52.5), share.ravel(), statistic, grey.ravel())
        assert found == pytest.approx(52.5, rel=1e-14)


def test_a_planted_pattern_is_read_with_no_more_than_its_partial_volumes(warped):
    share = warped[1][0]
    # Perfusion of 80 in a ball that reaches farther than any voxel at the region's edge, 20 elsewhere: no mixture.
    wide = own_share(number=3, mask=sphere(RADIUS + 9))
    assert mean(20 + 60 * wide, share) == pytest.approx(80, rel=1e-12)
    # Where it ends with the region, edge voxels are mixed: a voxel of share s has 20 + 60 s and the weight s.
    true = own_share()
    expected = 20 + 60 * (true**2).sum() / true.sum()
    assert 60 < expected < 75
    assert mean(20 + 60 * true, share) == pytest.approx(expected, abs=0.1)
    # The nearest-neighbour reading, whole voxels whose centre is inside, would have other mixtures.
    middle, _ = summary((20 + 60 * true).ravel(), share.ravel(), "median")
    assert middle == np.median((20 + 60 * true)[share >= 0.5])
    assert middle > expected


def test_a_linear_field_gives_its_value_at_the_regions_centroid():
    share = chain([sphere()], height=0).shares(np.ones(SCAN.shape, dtype=bool))[0]
    slope = np.array([0.7, -0.4, 0.5])
    cbf = 50 + transforms.points(SCAN) @ slope
    # A rigid chain takes the centroid of the region's voxels with it.
    centroid = transforms.apply(POSE, to_t1w(transforms.points(TEMPLATE)[sphere()], height=0)).mean(axis=0)
    assert mean(cbf, share) == pytest.approx(50 + centroid @ slope, abs=0.05)
    # A grid shifted by two mm, as between sessions, finds the same.
    moved = Grid(SCAN.shape, SCAN.affine + np.array([[0, 0, 0, 2.0]] * 3 + [[0] * 4]))
    other = chain([sphere()], grid=moved, height=0).shares(np.ones(SCAN.shape, dtype=bool))[0]
    assert mean(50 + transforms.points(moved) @ slope, other) == pytest.approx(50 + centroid @ slope, abs=0.05)


def test_coverage_is_the_share_of_the_region_that_lies_in_voxels_with_data(warped):
    region, _ = warped
    whole = np.ones(SCAN.shape, dtype=bool)
    assert region.coverage(0, whole) == 1
    assert region.coverage(1, whole) is None
    assert region.coverage(0, ~whole) == 0
    # Data above a slice alone: the region's points there, by the chain itself.
    half = whole.copy()
    half[:, :, :9] = False
    rng = np.random.default_rng(1)
    where = transforms.points(TEMPLATE)[sphere()][:, None, :] + rng.uniform(-1, 1, (sphere().sum(), 20, 3))
    in_scan = transforms.apply(np.linalg.inv(SCAN.affine) @ POSE, to_t1w(where))
    expected = (in_scan[..., 2] >= 8.5).mean()
    assert 0.3 < expected < 0.7
    assert region.coverage(0, half) == pytest.approx(expected, abs=0.005)
    # What lies outside the field of view is as little covered as what lies outside the brain.
    affine = SCAN.affine.copy()
    affine[:3, 3] += SCAN.affine[:3, :3] @ [0, 0, 9]
    cut = chain([sphere()], grid=Grid((28, 30, 11), affine))
    assert cut.coverage(0, np.ones((28, 30, 11), dtype=bool)) == region.coverage(0, half)
    # Weighted: grey matter in the upper part alone is covered as far as it goes.
    weights = np.zeros(TEMPLATE.shape)
    weights[sphere()] = np.where((in_scan[..., 2] > 10).all(axis=1), 0.8, 0)
    assert region.coverage(0, half, weights) == 1
    assert region.coverage(0, half, 0 * weights) is None


def test_shares_do_not_depend_on_which_voxels_are_asked_for_nor_on_how_many_at_once(warped, monkeypatch):
    region, (share, _) = warped
    some = np.random.default_rng(2).uniform(size=SCAN.shape) < 0.3
    monkeypatch.setattr(native_shares, "AT_ONCE", 7000)
    np.testing.assert_array_equal(region.shares(some)[0], share[some])
    # Nor do voxels far from the region, or none at all, bear a share.
    assert not region.shares(share == 0).any()
    assert region.shares(np.zeros(SCAN.shape, dtype=bool)).shape == (2, 0)


def test_effective_number_and_statistics_by_hand():
    values, share = np.array([10.0, 20, 30, 40]), np.array([1, 0.5, 0.25, 0])
    value, n = summary(values, share)
    assert value == pytest.approx((10 + 10 + 7.5) / 1.75)
    assert n == pytest.approx(1.75**2 / (1 + 0.25 + 0.0625))
    assert summary(values, share, "median") == (15, 2)
    value, n = summary(values, share, "gm_weighted", np.array([0, 1, 1, 1]))
    assert value == pytest.approx((10 + 7.5) / 0.75)
    assert n == pytest.approx(0.75**2 / (0.25 + 0.0625))
    assert summary(values, 0 * share) == (None, 0)
    assert summary(values, 0.4 * share, "median") == (None, 0)


def judged(*pairs):
    return [JudgedScan(scan="", condition=condition, is_usable=usable == "yes") for condition, usable in pairs]


def test_a_contrast_of_scans_follows_the_rule_of_the_contrast_maps():
    scans = [RegionValue(60, 1, 40), RegionValue(50, 0.8, 30), RegionValue(30, 0.9, 35)]
    quality = judged(("a", "yes"), ("a", "yes"), ("b", "yes"))
    assert native_contrasts.combine(scans, [0.5, 0.5, -1], quality, 0.5) == (25, 0.8, 30)
    # An excluded run leaves its weight to the state's other, and is not asked for its coverage.
    quality = judged(("a", "yes"), ("a", "no"), ("b", "yes"))
    assert native_contrasts.combine(scans, [0.5, 0.5, -1], quality, 0.85) == (30, 0.9, 35)
    quality = judged(("a", "yes"), ("a", "no"), ("b", "no"))
    assert native_contrasts.combine(scans, [0.5, 0.5, -1], quality, 0.5) == (None, 0, 0)
    quality = judged(("a", "yes"), ("a", "yes"), ("b", "yes"))
    assert native_contrasts.combine(scans, [0.5, 0.5, -1], quality, 0.85) == (None, 0.8, 30)
    scans[0] = RegionValue(None, 1, 40)
    assert native_contrasts.combine(scans, [0.5, 0.5, -1], quality, 0.5) == (None, 0.8, 30)
    empty = [RegionValue(None, None, 0)] * 3
    assert native_contrasts.combine(empty, [0.5, 0.5, -1], quality, 0.5) == (None, None, 0)


def test_the_methods_say_in_which_space_each_region_was_read():
    sphere = {"sphere": [0, 0, 0], "radius": 6}
    rois = {
        "vmpfc": {**sphere, "space": "native", "statistic": "median"},
        "left_insula": {**sphere, "space": "template"},
    }
    regions = complete_settings.study(rois=rois).rois
    assert methods_section.regional(regions, ["left_insula"], "cue") == "Mean CBF (cue) of left insula"
    assert methods_section.regional(regions, ["left_insula", "vmpfc"], "cue") == (
        "Mean CBF (cue) of left insula (smoothed, in template space) and median CBF (cue) of vmpfc (unsmoothed, in the "
        "native space of each scan)"
    )


def test_a_native_region_is_none_for_the_sensitivity_analysis():
    config = {
        "bids_dir": "bids",
        "output_dir": "out",
        "sessions": {"baseline": "T1", "followup": "T2"},
        "arms": {"column": "arm", "treatment": "a", "control": "b"},
        "conditions": {"rest": {}},
        "contrasts": {"rest": {"rest": 1}},
        "analyses": {"change": {"contrast": "rest", "effect": "group_by_time"}},
        "rois": {"vmpfc": {"sphere": [0, 44, -12], "radius": 10, "space": "native"}},
        "sensitivity": {"answers": {"one": {"analysis": "change", "roi": "vmpfc"}}},
    }
    with pytest.raises(InputErrors) as caught:
        configuration.resolve(config)
    (error,) = caught.value.errors
    assert error.field == "sensitivity.answers.one.roi"
    assert "space: template" in error.fix
    config["rois"]["vmpfc"]["space"] = "template"
    assert configuration.resolve(config)["rois"]["vmpfc"]["statistic"] == "mean"
    del config["sensitivity"], config["rois"]["vmpfc"]["space"]
    assert configuration.resolve(config)["rois"]["vmpfc"]["space"] == "template"
