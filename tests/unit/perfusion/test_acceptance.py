"""What is accepted as a registration: the right pose of a head; not a wrong one, a sphere, noise or nothing."""

import functools

import head
import numpy as np
import pytest
import solved
from loading import shared_data
from pharmasl.perfusion import acceptance, alignment, coregistration, realigned_scan, series, tissue_maps, volumes
from pharmasl.space import images, template, transforms
from posed import ASL, DELTAM, M0, TRUE, maps, scanned


def test_the_foreground_is_the_brain_without_its_scalp():
    tissue = scanned()
    found = acceptance.foreground(tissue @ M0, ASL.affine)
    brain = tissue[..., :3].sum(axis=3) > 0.5
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > 0.95


def test_the_foreground_may_be_cut_by_the_field_of_view():
    slab = slice(7, 12)
    tissue = scanned()[:, :, slab]
    found = acceptance.foreground(tissue @ M0, ASL.affine)
    brain = tissue[..., :3].sum(axis=3) > 0.5
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > 0.95


def test_the_images_of_perfusion_are_called_as_the_alignment_calls_them():
    assert set(acceptance.PERFUSION) == {realigned_scan.MEANS["deltam"], realigned_scan.MEANS["cbf"]}


def test_the_body_of_a_map_of_perfusion_is_the_brain_though_white_matter_is_dark():
    tissue = scanned()
    brain = tissue[..., :3].sum(axis=3) > 0.5
    for signal in (DELTAM, np.array([60.0, 5.0, 0.0, 0.0])):
        shown = acceptance.body(tissue @ signal, ASL.affine)
        assert acceptance.overlap(shown, brain) > 0.92
    assert not acceptance.body(np.zeros(ASL.shape), ASL.affine).any()


@pytest.mark.parametrize("name", acceptance.PERFUSION)
def test_a_series_of_perfusion_alone_is_accepted_where_it_lies_and_not_elsewhere(name):
    rng = np.random.default_rng(5)
    tissue = scanned()
    image = tissue @ np.array([60.0, 10.0, 0.0, 0.0]) + rng.normal(0, 15, ASL.shape)
    verdict = acceptance.judge({name: image}, maps(), ASL, TRUE)
    assert (verdict["Accepted"], verdict["ContrastImage"]) == (True, name)
    for move in ((12, 0, 0), (0, 16, 0), (0, 0, 30)):
        wrong = TRUE @ transforms.rigid_matrix(move, (0, 0, 0), (0, 0, 0))
        assert not acceptance.judge({name: image}, maps(), ASL, wrong)["Accepted"]
    noise = rng.normal(0, 15, ASL.shape)
    assert not acceptance.judge({name: noise}, maps(), ASL, TRUE)["Accepted"]


def test_the_right_pose_is_accepted():
    verdict = acceptance.judge({"M0": scanned() @ M0}, maps(), ASL, TRUE)
    assert verdict["Accepted"]
    assert verdict["Reason"] is None
    assert verdict["Overlap"] > 0.93
    assert verdict["Contrast"] > 2 * verdict["ContrastDisplaced"]


@pytest.mark.parametrize(
    ("move", "turn"),
    [((0, 14, 0), (0, 0, 0)), ((0, 0, 20), (0.2, 0, 0)), ((40, 0, 0), (0, 0, 0.35)), ((0, 0, 0), (0, 0, np.pi))],
)
def test_a_wrong_pose_is_not(move, turn):
    wrong = TRUE @ transforms.rigid_matrix(move, turn, (0, 0, 6))
    verdict = acceptance.judge({"M0": scanned() @ M0, "deltaM": scanned() @ DELTAM}, maps(), ASL, wrong)
    assert not verdict["Accepted"]
    assert verdict["Reason"]


def sphere():
    return np.clip(54 - np.linalg.norm(transforms.points(ASL) - [0, 0, 6], axis=-1), 0, 4) * 200.0


@pytest.mark.parametrize("kind", ["sphere", "noise", "empty"])
def test_what_is_no_brain_is_not_accepted_wherever_it_was_fitted(kind):
    noise = np.random.default_rng(0).normal(0, 8, ASL.shape)
    picture = {"sphere": sphere() + noise, "noise": np.abs(noise), "empty": np.zeros(ASL.shape)}[kind].astype(
        np.float32
    )
    fit = coregistration.coregister(picture, ASL.affine, maps())
    verdict = acceptance.judge({"M0": picture}, maps(), ASL, fit.matrix)
    assert not verdict["Accepted"]
    assert "no brain" in verdict["Reason"]


def solve(stretch=False, m0=None, types=("m0scan", "control", "label"), tissues=None):
    """A scan of three volumes; the second and third lie 40 mm and 20 degrees from the headers' place."""
    pose = ((25, -25, 19), (0.2, -0.2, 0.2))
    tissue = scanned(*pose)
    data = np.stack([tissue @ M0 if m0 is None else m0, tissue @ M0, tissue @ (M0 - DELTAM)], axis=3).astype(np.float32)
    of = volumes.sort(types, "asl")
    found = solved.solve(
        data,
        ASL.affine,
        of,
        data[..., :1],
        ASL.affine,
        tissues or maps(),
        correct=True,
        separate=False,
        stretch=stretch,
    )
    return found, TRUE @ transforms.rigid_matrix(*pose, (0, 0, 0))


def test_headers_40_mm_and_20_degrees_apart_are_overcome_and_accepted():
    found, true = solve()
    record = found.registration
    assert head.distance(found.to_t1w, true) < 0.5
    assert head.distance(np.eye(4), true @ np.linalg.inv(TRUE)) > 35
    assert record["Accepted"]
    assert record["Starts"] == 2 * len(coregistration.SHIFTS) * len(coregistration.TILTS)
    assert record["Target"] == "T1w"
    assert record["Uncertainty"]["Unit"] == "mm"
    assert list(record) == [key for key in alignment.REGISTRATION if key in record]


def test_a_first_result_that_is_wrong_is_found_and_mended(monkeypatch):
    right = coregistration.coregister
    wrong = TRUE @ transforms.rigid_matrix((0, 30, 0), (0, 0, 1.0), (0, 0, 0))

    def misled(image, affine, tissues, starts=None, wide=False):
        found = right(image, affine, tissues, starts, wide)
        # Only the search from many places, or what starts from a right place, finds it.
        near = starts is not None and head.distance(starts[0], found.matrix) < 8
        return found if wide or near else coregistration.replace(found, matrix=wrong)

    monkeypatch.setattr(coregistration, "coregister", misled)
    monkeypatch.setattr(coregistration, "WIDE_SURVIVORS", 2)
    found, true = solve()
    assert found.registration["Accepted"]
    assert head.distance(found.to_t1w, true) < 1
    assert found.registration["Starts"] > 100


def test_an_empty_scan_ends_not_accepted_and_with_finite_transforms(monkeypatch):
    monkeypatch.setattr(coregistration, "WIDE_SHIFTS", coregistration.SHIFTS[:1])
    data = np.zeros((*ASL.shape, 3), dtype=np.float32)
    of = volumes.sort(("m0scan", "control", "label"), "asl")
    found = solved.solve(data, ASL.affine, of, data[..., :1], ASL.affine, maps(), correct=False, separate=False)
    assert not found.registration["Accepted"]
    assert found.registration["Uncertainty"]["Value"] is None
    assert np.isfinite(found.to_t1w).all()


@functools.cache
def template_maps():
    _, _, tissue, affine = template.tissue_maps()
    return tissue_maps.reduce([tissue[label] for label in template.TISSUES], affine)


def real(dataset, name):
    path = shared_data("data", dataset, *name.split("/"))
    context = path.with_name(path.name.replace("asl.nii.gz", "aslcontext.tsv"))
    loaded = series.load(path, context.read_text().split()[1:])
    data, affine, of = loaded.data, loaded.affine, loaded.volumes
    pair = [of.m0scan[0], *of.pairs[-1]]
    return data[..., pair], affine, volumes.sort(("m0scan", "control", "label"), path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "name", "accepted"),
    [
        ("phantom-xa30-pcasl", "sub-phantom/perf/sub-phantom_asl.nii.gz", False),
        # Of one pair, which shows next to no perfusion: the hardest of the real scans.
        ("siemens-prisma-multiasl", "sub-01/perf/sub-01_acq-pasl2d_asl.nii.gz", True),
    ],
)
def test_a_real_scan_without_a_t1w_fits_the_template_and_a_water_sphere_does_not(monkeypatch, dataset, name, accepted):
    monkeypatch.setattr(coregistration, "WIDE_SURVIVORS", 2)
    data, affine, of = real(dataset, name)
    found = solved.solve(
        data, affine, of, data[..., :1], affine, template_maps(), correct=False, separate=False, stretch=True
    )
    record = found.registration
    assert record["Target"] == "template"
    assert record["Accepted"] is accepted, record
    if accepted:
        assert record["Overlap"] > 0.9
        assert all(0.95 < value < 1.25 for value in record["Stretch"])
    else:
        assert "this is no brain" in record["Reason"]
    assert images.Grid(found.reference.shape, affine).shape == data.shape[:3]
