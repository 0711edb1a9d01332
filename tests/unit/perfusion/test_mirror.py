"""Left and right of a scan and its T1w: agree, contradict each other, or cannot be told."""

import head
import numpy as np
import pytest
import solved
from loading import shared_data
from pharmasl.perfusion import coregistration, mirror, series, tissue_maps, volumes
from pharmasl.space import template, transforms
from posed import ASL, DELTAM, M0, T1W, TRUE, maps, scanned


def solve(tissues, noise=0.0, **options):
    """A registration of one M0 and one pair, as a job does it."""
    clean = np.stack([scanned() @ weights for weights in (M0, 0.3 * M0, 0.3 * M0 - DELTAM)], axis=-1)
    data = (clean + noise * np.random.default_rng(5).normal(size=clean.shape)).astype(np.float32)
    of = volumes.sort(("m0scan", "control", "label"), "asl")
    return solved.solve(
        data, ASL.affine, of, data[..., :1], ASL.affine, tissues, correct=False, separate=False, **options
    )


@pytest.mark.parametrize("noise", [0.0, 60.0])
def test_a_t1w_of_the_same_sides_agrees(noise):
    record = solve(maps(), noise).registration
    assert record["Accepted"], record
    assert record["LeftRight"] == mirror.AGREE
    assert record["Contrast"] > 1.5 * record["ContrastMirrored"]


@pytest.mark.parametrize("noise", [0.0, 60.0])
def test_a_mirrored_t1w_is_not_accepted_and_the_reason_names_left_and_right(noise):
    record = solve(mirror.mirrored(maps()), noise).registration
    assert record["LeftRight"] == mirror.CONTRADICT
    assert not record["Accepted"]
    assert record["Reason"].startswith("left and right of T1w and perfusion contradict each other")
    # More starts cannot help, and are not tried.
    assert record["Starts"] == 30


@pytest.mark.parametrize("tilt", [(0, 0.3, 0), (0, 0, -0.3), (0.2, -0.2, 0.2)])
def test_a_head_that_lies_askew_in_its_image_is_judged_alike(tilt):
    turn = transforms.rigid_matrix((9, -6, 4), tilt, (0, 0, 0))
    grid, image = ASL, scanned() @ M0
    verdicts = []
    for tissues, matrix in ((maps(), TRUE), (tissue_maps.stretched(maps(), turn), np.linalg.inv(turn) @ TRUE)):
        verdict = {"ContrastImage": "M0", "Contrast": coregistration.contrast(image, grid.affine, tissues, matrix)[0]}
        verdict |= {"Accepted": True, "Reason": None}
        verdicts.append(mirror.confront(verdict, {"M0": image}, tissues, grid, matrix))
    assert verdicts[0]["LeftRight"] == verdicts[1]["LeftRight"] == mirror.AGREE
    assert verdicts[0]["ContrastMirrored"] == pytest.approx(verdicts[1]["ContrastMirrored"], rel=0.05)


def test_a_symmetric_head_and_pure_noise_cannot_be_told():
    symmetric = head.render(T1W)
    halves = 0.5 * (symmetric + symmetric[::-1])
    tissues = tissue_maps.reduce([halves[..., k] for k in range(3)], T1W.affine)
    image = halves @ M0
    verdict = {"ContrastImage": "M0", "Contrast": coregistration.contrast(image, T1W.affine, tissues, np.eye(4))[0]}
    verdict |= {"Accepted": True, "Reason": None}
    told = mirror.confront(verdict, {"M0": image}, tissues, T1W, np.eye(4))
    assert told["LeftRight"] == mirror.UNDECIDED
    assert told["Accepted"]
    noise = np.random.default_rng(1).normal(100, 30, ASL.shape)
    verdict["Contrast"] = coregistration.contrast(noise, ASL.affine, maps(), TRUE)[0]
    assert mirror.confront(verdict, {"M0": noise}, maps(), ASL, TRUE)["LeftRight"] == mirror.UNDECIDED


def test_mirrored_twice_is_as_before():
    twice = mirror.mirrored(mirror.mirrored(maps()))
    np.testing.assert_allclose(twice.affine, maps().affine, atol=1e-9)
    # The plane is that of the tissues' middle, and each voxel's left-right coordinate changes sides about it.
    middle = tissue_maps.middle(maps())
    once = mirror.mirrored(maps()).affine @ [3, 4, 5, 1]
    here = maps().affine @ [3, 4, 5, 1]
    np.testing.assert_allclose([once[0] + here[0], once[1], once[2]], [2 * middle[0], here[1], here[2]])


def test_the_templates_tissues_are_not_asked():
    _, _, tissue, affine = template.tissue_maps()
    general = tissue_maps.reduce([tissue[label] for label in template.TISSUES], affine)
    path = shared_data("data", "siemens-xa30-pcasl", "sub-01", "perf", "sub-01_asl.nii.gz")
    types = path.with_name("sub-01_aslcontext.tsv").read_text().split()[1:]
    loaded = series.load(path, types)
    data, own, of = loaded.data, loaded.affine, loaded.volumes
    found = solved.solve(data, own, of, data[..., of.m0scan], own, general, correct=False, separate=False, stretch=True)
    assert found.registration["Accepted"]
    assert "LeftRight" not in found.registration
