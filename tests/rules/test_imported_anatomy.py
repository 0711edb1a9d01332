"""The three scripts that import an anatomy, on a simulated head whose place in the template is known."""

from types import SimpleNamespace

import fmriprep
import head_of_4mm
import numpy as np
import pytest
from loading import script
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.simulate import participant_anatomy
from pharmasl.space import images, inverse_fields, transforms

SPACE = "MNI152NLin2009aSym"
PARAMS = SimpleNamespace(program={"name": "fMRIPrep", "version": "25.2.7"}, space=SPACE, code="unused")


def run(name, given, out):
    script(name).main(
        SimpleNamespace(input=SimpleNamespace(**given), output=SimpleNamespace(**out), params=PARAMS, log=["-"])
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A head of 4 mm as fMRIPrep's derivatives, and the template."""
    folder = tmp_path_factory.mktemp("imported")
    fine, coarse, shape, head = head_of_4mm.drawn(folder)
    t1w = participant_anatomy.scanned(np.random.default_rng(5), head, 0.0, 0.03)
    # The warp of ANTs lies over its whole template.
    over = images.coarser(images.grid(fine.t1w), 2.0)
    start = fmriprep.of_head(folder / "fmriprep", "01", head, shape, t1w, over, SPACE)
    files = {kind: f"{start}{end}" for kind, end in fmriprep.native().items()}
    files["transform"] = f"{start}_from-T1w_to-{SPACE}_mode-image_xfm.h5"
    files["back"] = f"{start}_from-{SPACE}_to-T1w_mode-image_xfm.h5"
    grid = images.grid(fine.t1w)
    return SimpleNamespace(folder=folder, grid=grid, fine=fine, coarse=coarse, shape=shape, head=head, files=files)


def chosen(source, *kinds, **others):
    return {kind: source.files[kind] for kind in kinds} | others


def registration(source, folder, transform, preproc, mask, *others):
    out = {"forward": folder / "forward.nii.gz", "sidecar": folder / "xfm.json"}
    given = {"transforms": [*others, transform], "preproc": preproc, "mask": mask, "template": source.fine.t1w}
    run("import_registration", given, out)
    return out


@pytest.fixture(scope="module")
def made(source):
    folder = source.folder
    image = {"preproc": folder / "preproc.nii.gz", "mask": folder / "mask.nii.gz"}
    run("import_anatomy", chosen(source, "t1w", "mask"), {**image, "sidecar": folder / "preproc.json"})
    field = registration(source, folder, source.files["transform"], image["preproc"], image["mask"])
    names = ("gm", "wm", "csf", "template_t1w", "template_gm")
    tissues = {name: folder / f"{name}_made.nii.gz" for name in names}
    given = chosen(source, "gm", "wm", "csf", **image, forward=field["forward"], reference=source.coarse.t1w)
    run("import_segmentation", given, tissues)
    record = {"record": field.pop("sidecar"), "sidecar": folder / "preproc.json"}
    return SimpleNamespace(**image, **field, **tissues, **record)


def test_t1w_has_the_scale_of_every_other(source, made):
    image, affine = images.load(made.preproc)
    mask = images.load(made.mask, dtype=np.uint8).data > 0
    raw, raw_affine = images.load(source.files["t1w"])
    np.testing.assert_array_equal(affine, raw_affine)
    np.testing.assert_array_equal(mask, source.head.mask)
    assert np.median(image[mask]) == pytest.approx(100, abs=0.02)
    # One factor, and steps of 1/64.
    np.testing.assert_allclose(image, raw * (100 / np.median(raw[mask])), rtol=0, atol=1 / 64)


def test_field_leads_to_the_planted_points(source, made):
    field, grid = transforms.read_field(made.forward)
    points = transforms.points(grid)
    brain = images.load(source.fine.t1w)[0][::2, ::2, ::2] > 0.2
    assert brain.shape == field.shape[:3]
    error = np.linalg.norm(source.shape.to_template(field[brain]) - points[brain], axis=-1)
    # The field's steps of 1/1024 mm, and what the planted maps themselves leave open.
    assert np.percentile(error, 99) < 0.02
    inverse_fields.write(source.folder / "inverse.nii.gz", made.forward, made.mask)
    back, back_grid = transforms.read_field(source.folder / "inverse.nii.gz")
    np.testing.assert_allclose(back_grid.affine, source.head.grid.affine, atol=1e-4)
    truth = source.head.mask
    error = np.linalg.norm(back[truth] - source.head.template_points[truth], axis=-1)
    assert np.percentile(error, 99) < 0.2


def test_tissues_are_those_of_the_program(source, made):
    mask = source.head.mask
    for tissue in ("gm", "wm", "csf"):
        share, _ = images.load(getattr(made, tissue))
        assert not share[~mask].any()
        np.testing.assert_allclose(share[mask], source.head.fractions[tissue][mask], rtol=0, atol=1e-6)


def test_images_in_template_space_are_the_templates_anatomy(source, made):
    reference, affine = images.load(source.coarse.t1w)
    t1w, t1w_affine = images.load(made.template_t1w)
    grey, _ = images.load(made.template_gm)
    expected, _ = images.load(source.coarse.gm)
    np.testing.assert_allclose(t1w_affine, affine)
    inside = reference > 0.2
    assert np.corrcoef(t1w[inside], reference[inside])[0, 1] > 0.9
    assert np.corrcoef(grey[inside], expected[inside])[0, 1] > 0.9


def test_sidecars_name_program_version_and_files(source, made):
    image, fit = tables.read_json(made.sidecar), tables.read_json(made.record)
    for record in (image, fit):
        assert (record["Imported"], record["Program"], record["ProgramVersion"]) == (True, "fMRIPrep", "25.2.7")
    assert image["SkullStripped"] is False
    assert image["BrainMask"]["Volume"] == pytest.approx(source.head.mask.sum() * 0.064, abs=0.06)
    assert fit["Template"] == SPACE
    assert fit["Checks"]["template_correlation"] > 0.85
    assert fit["Checks"]["inverse_error_mm"][0] < 0.05


def test_a_stated_transform_leads_on_from_another_template(source, made, tmp_path):
    """The program's template is the study's, moved: what leads there and back again is what led there at once."""
    moved = np.eye(4)
    moved[:3, 3] = 8, -12, 16  # whole steps of the warp, so that nothing is interpolated anew
    transforms.write_affines(tmp_path / "from-other_to-own.txt", moved)
    over = images.coarser(source.grid, 2.0)
    coordinates = source.shape.from_template(transforms.points(over))
    over = images.Grid(over.shape, moved @ over.affine)
    fmriprep.composite(tmp_path / "xfm.h5", coordinates, over, np.linalg.inv(source.shape.matrix))
    out = registration(
        source, tmp_path, tmp_path / "xfm.h5", made.preproc, made.mask, tmp_path / "from-other_to-own.txt"
    )
    field, _ = transforms.read_field(out["forward"])
    expected, _ = transforms.read_field(made.forward)
    brain = images.load(source.fine.t1w)[0][::2, ::2, ::2] > 0.2
    # One step of what is stored.
    np.testing.assert_allclose(field[brain], expected[brain], rtol=0, atol=1 / 256)


def test_transform_of_the_other_direction_is_refused(source, made, tmp_path):
    with pytest.raises(InputError, match="leads from it to MNI152NLin2009aSym") as caught:
        registration(source, tmp_path, source.files["back"], made.preproc, made.mask)
    assert caught.value.file == source.files["back"]
    assert not list(tmp_path.iterdir())


def test_mask_that_is_no_brain_is_refused(source, tmp_path):
    small = np.zeros_like(source.head.mask)
    small[20:30, 20:30, 20:30] = True
    fmriprep.save(tmp_path / "mask.nii.gz", small, source.head.grid.affine, np.uint8)
    out = {name: tmp_path / name for name in ("preproc", "mask", "sidecar")}
    with pytest.raises(InputError, match="brain volume"):
        run("import_anatomy", chosen(source, "t1w", mask=tmp_path / "mask.nii.gz"), out)


def test_fractions_of_another_scale_or_place_are_refused(source, made, tmp_path):
    share, affine = images.load(source.files["gm"])
    names = ("gm", "wm", "csf", "template_t1w", "template_gm")
    out = {name: tmp_path / f"{name}.nii.gz" for name in names}
    placed = {"preproc": made.preproc, "mask": made.mask, "forward": made.forward, "reference": source.coarse.t1w}

    def segment(**changed):
        run("import_segmentation", chosen(source, "gm", "wm", "csf") | changed | placed, out)

    with pytest.raises(InputError, match="probabilities, 0 to 1"):
        segment(gm=fmriprep.save(tmp_path / "percent.nii.gz", 100 * share, affine))
    shifted = {
        kind: fmriprep.save(tmp_path / f"{kind}_far.nii.gz", np.roll(images.load(source.files[kind])[0], 20, 2), affine)
        for kind in ("gm", "wm", "csf")
    }
    with pytest.raises(InputError, match="sum of the fractions"):
        segment(**shifted)
