"""The three anatomy scripts in a row on a simulated head of which mask, tissues and place in the template are known."""

from types import SimpleNamespace

import complete_settings
import head_of_4mm
import nibabel
import numpy as np
import pytest
from loading import script
from pharmasl.anatomy import brain_mask, preparation
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.simulate import participant_anatomy
from pharmasl.space import images, transforms
from pharmasl.study import settings

CHOSEN = {"resolution": 2, "affine_iterations": "50x0x0", "warp_iterations": "60x0x0", "seed": 1}
REGISTRATION = complete_settings.registration(**CHOSEN)
BIAS = {"shrink": 4, "iterations": [20, 20, 20]}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A head of 4 mm through all three scripts: the truth, and the paths of everything."""
    folder = tmp_path_factory.mktemp("anatomy")
    fine, coarse, shape, head = head_of_4mm.drawn(folder)
    t1w = participant_anatomy.scanned(np.random.default_rng(5), head, 0.2, 0.03)
    images.save(folder / "t1w.nii.gz", t1w, head.grid.affine, dtype=np.int16)

    given = {
        "t1w": folder / "t1w.nii.gz",
        "template": fine.t1w,
        "priors_gm": fine.gm,
        "priors_wm": fine.wm,
        "priors_csf": fine.csf,
        "reference": coarse.t1w,
    }
    made = {
        "prepare_anatomy": {
            "preproc": "preproc.nii.gz",
            "mask": "mask.nii.gz",
            "sidecar": "preproc.json",
            "poses": "poses.txt",
        },
        "normalise_anatomy": {"forward": "forward.nii.gz", "sidecar": "forward.json"},
        "invert_registration": {"inverse": "inverse.nii.gz"},
        "segment_anatomy": {name: f"{name}.nii.gz" for name in ("gm", "wm", "csf", "template_t1w", "template_gm")},
    }
    params = SimpleNamespace(bias=BIAS, registration=settings.plain(REGISTRATION), code="unused")
    paths = dict(given)
    for name, files in made.items():
        output = {key: folder / file for key, file in files.items()}
        if name == "normalise_anatomy":
            paths["registration"] = output["sidecar"]
        script(name).main(
            SimpleNamespace(
                input=SimpleNamespace(**paths), output=SimpleNamespace(**output), params=params, threads=1, log=["-"]
            )
        )
        paths.update(output if name != "normalise_anatomy" else {k: v for k, v in output.items() if k != "sidecar"})
    return SimpleNamespace(head=head, shape=shape, paths=paths)


def test_the_mask_is_the_brain(chain):
    mask = images.load(chain.paths["mask"], dtype=np.uint8)[0] > 0
    truth = chain.head.mask
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.95


def test_the_bias_field_is_divided_out(chain):
    """White matter, sure by the truth, varies by noise alone after the correction."""
    raw, _ = images.load(chain.paths["t1w"])
    corrected, _ = images.load(chain.paths["preproc"])
    white = chain.head.fractions["wm"] > 0.98
    spread = [np.std(image[white]) / np.mean(image[white]) for image in (raw, corrected)]
    assert spread[1] < 0.7 * spread[0]
    mask = images.load(chain.paths["mask"], dtype=np.uint8)[0] > 0
    assert np.median(corrected[mask]) == pytest.approx(100, abs=0.05)


def test_the_field_leads_to_the_planted_points(chain):
    field, grid = transforms.read_field(chain.paths["forward"])
    points = transforms.points(grid)
    brain = images.load(chain.paths["template"])[0][::2, ::2, ::2] > 0.2
    assert brain.shape == field.shape[:3]
    error = np.linalg.norm(chain.shape.to_template(field[brain]) - points[brain], axis=-1)
    assert error.mean() < 2.0  # half a voxel of the T1w
    back, back_grid = transforms.read_field(chain.paths["inverse"])
    truth = chain.head.mask
    assert back.shape[:3] == truth.shape
    np.testing.assert_allclose(back_grid.affine, chain.head.grid.affine, atol=1e-4)
    assert np.linalg.norm(back[truth] - chain.head.template_points[truth], axis=-1).mean() < 2.0


def test_the_shares_are_the_planted_tissues(chain):
    mask = images.load(chain.paths["mask"], dtype=np.uint8)[0] > 0
    both = mask & chain.head.mask
    total = 0
    for tissue, limit in (("csf", 0.1), ("gm", 0.12), ("wm", 0.1)):
        found, affine = images.load(chain.paths[tissue])
        np.testing.assert_allclose(affine, chain.head.grid.affine, atol=1e-4)
        assert not found[~mask].any()
        assert np.sqrt(((found - chain.head.fractions[tissue])[both] ** 2).mean()) < limit
        total = total + found
    np.testing.assert_allclose(total[mask], 1, atol=1e-5)


def test_the_images_in_template_space_are_the_templates_anatomy(chain):
    reference, affine = images.load(chain.paths["reference"])
    t1w, t1w_affine = images.load(chain.paths["template_t1w"])
    grey, _ = images.load(chain.paths["template_gm"])
    expected, _ = images.load(chain.paths["priors_gm"].with_name("coarse_GM.nii.gz"))
    assert t1w.shape == reference.shape == grey.shape
    np.testing.assert_allclose(t1w_affine, affine)
    inside = reference > 0.2
    assert np.corrcoef(t1w[inside], reference[inside])[0, 1] > 0.85
    assert np.corrcoef(grey[inside], expected[inside])[0, 1] > 0.8


def test_sidecars_tell_what_was_done(chain):
    preparation = tables.read_json(chain.paths["sidecar"])
    assert preparation["SkullStripped"] is False
    np.testing.assert_array_equal(transforms.read_affines(chain.paths["poses"]), np.eye(4)[None])
    assert preparation["BiasCorrection"]["Settings"]["iterations"] == [20, 20, 20]
    registration = tables.read_json(chain.paths["registration"])
    assert registration["Settings"] == CHOSEN
    assert registration["Checks"]["folded_share"] == 0
    assert registration["Checks"]["inverse_error_mm"][0] < 0.1


def test_headers_are_complete(chain):
    for name in ("preproc", "mask", "gm", "forward", "inverse", "template_gm"):
        header = nibabel.load(chain.paths[name]).header
        assert int(header["qform_code"]) > 0
        assert int(header["sform_code"]) > 0


def prepared(folder, paths):
    names = {"preproc": ".nii.gz", "mask": ".nii.gz", "sidecar": ".json", "poses": ".txt"}
    folder.mkdir()
    output = {name: folder / f"{name}{ending}" for name, ending in names.items()}
    snakemake = SimpleNamespace(
        input=SimpleNamespace(t1w=paths), output=SimpleNamespace(**output), params=SimpleNamespace(bias=BIAS), threads=1
    )
    script("prepare_anatomy").main(snakemake)
    return output


@pytest.mark.slow
def test_a_second_scan_of_the_head_in_another_pose_is_averaged_midway(chain, tmp_path):
    """Another bias field, contrast scale and noise; the head has turned by 6 degrees and moved by a centimetre."""
    turned = transforms.rigid_matrix([6, -5, 8], [0.08, -0.05, 0.04], [0, 0, 0])
    grid = chain.head.grid
    known = participant_anatomy.read_template(step=2)
    # The same head, rendered anew on the same grid: its own place in the template lies behind the turn.
    shape = SimpleNamespace(
        matrix=chain.shape.matrix @ turned,
        to_template=lambda points: chain.shape.to_template(transforms.apply(turned, points)),
    )
    moved = participant_anatomy.head(np.random.default_rng(4), known, shape, grid)
    images.save(
        tmp_path / "again.nii.gz",
        3 * participant_anatomy.scanned(np.random.default_rng(6), moved, 0.2, 0.03),
        grid.affine,
    )
    paths = [str(chain.paths["t1w"]), str(tmp_path / "again.nii.gz")]
    made = prepared(tmp_path / "both", paths)
    poses = transforms.read_affines(made["poses"])
    # Points of the first image to those of the second: the turn undone.
    found, true = poses[1] @ np.linalg.inv(poses[0]), np.linalg.inv(turned)
    brain = transforms.apply(grid.affine, np.argwhere(chain.head.mask).astype(float))
    error = np.linalg.norm(transforms.apply(found, brain) - transforms.apply(true, brain), axis=-1)
    assert error.mean() < 0.1
    assert np.degrees(np.linalg.norm(transforms.rigid_log(np.linalg.inv(true) @ found)[3:])) < 0.1
    np.testing.assert_allclose(transforms.rigid_log(poses[0]), -transforms.rigid_log(poses[1]), atol=1e-9)
    told = tables.read_json(made["sidecar"])
    assert told["Average"]["LeastCorrelationOfTwo"] > 0.9
    assert len(told["BiasCorrection"]["FieldPercentiles1And99"]) == 2
    mask = images.load(made["mask"])[0] > 0
    mean, affine = images.load(made["preproc"])
    assert np.median(mean[mask]) == pytest.approx(100, abs=0.05)
    # The mask is drawn on the mean, where the brain lies midway.
    middle = transforms.apply(affine, np.argwhere(mask)).mean(axis=0)
    assert np.linalg.norm(transforms.apply(poses[0], middle) - brain.mean(axis=0)) < 1


def test_heads_and_brains_are_not_averaged(tmp_path, monkeypatch):
    def corrected(path, *_):
        facts = brain_mask.MaskFacts(method="", brain_only=path.endswith("brain.nii.gz"), volume_ml=1200.0)
        return preparation.Corrected(None, facts, [1.0, 1.0])

    monkeypatch.setattr(preparation, "_corrected", corrected)
    with pytest.raises(InputError, match=r"removed in brain\.nii\.gz") as caught:
        prepared(tmp_path / "mixed", ["head.nii.gz", "brain.nii.gz"])
    assert caught.value.field == "skull"
    assert not list((tmp_path / "mixed").iterdir())


@pytest.mark.parametrize(
    ("data", "field"), [(np.zeros((20, 20, 20)), "intensities"), (np.ones((20, 20, 20, 3)), "dimensions")]
)
def test_an_image_that_is_none_is_refused_and_nothing_written(tmp_path, data, field):
    images.save(tmp_path / "t1w.nii.gz", data, np.eye(4))
    output = SimpleNamespace(**{n: tmp_path / f"{n}.nii.gz" for n in ("preproc", "mask", "sidecar", "poses")})
    snakemake = SimpleNamespace(
        input=SimpleNamespace(t1w=tmp_path / "t1w.nii.gz"), output=output, params=SimpleNamespace(bias=BIAS), threads=1
    )
    with pytest.raises(InputError) as caught:
        script("prepare_anatomy").main(snakemake)
    assert caught.value.field == field
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t1w.nii.gz"]
