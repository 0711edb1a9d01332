"""What the configuration says of regions and of the atlas, before the first job."""

import subprocess
import sys

import nibabel
import numpy as np
import pytest
import skeleton
from complete_settings import study
from pharmasl.errors import InputError, InputErrors
from pharmasl.regions import region_checks, region_masks
from pharmasl.space import images, template, transforms
from pharmasl.space.packaged import nilearn_file
from pharmasl.study import configuration, settings
from pharmasl.workflow import plan

# The default template: the brain of nilearn at 2 mm.
GRID = images.Grid((99, 117, 95), np.array([[2.0, 0, 0, -98], [0, 2, 0, -134], [0, 0, 2, -72], [0, 0, 0, 1]]))


def problems(regions, **more):
    config = configuration.resolve(
        {"bids_dir": "bids", "output_dir": "results", "conditions": {"rest": {}}, "rois": regions, **more}
    )
    return list(region_checks.problems(settings.build(settings.Settings, config)))


def sphere(centre, radius):
    return settings.build(settings.RegionDefinition, {"sphere": centre, "radius": radius})


def image(folder, data, affine=GRID.affine, code=2):
    made = nibabel.Nifti1Image(data, affine)
    made.set_sform(affine, code)
    made.set_qform(affine, code)
    nibabel.save(made, folder / "roi.nii.gz")
    return str(folder / "roi.nii.gz")


def block(values=1, dtype=np.uint8):
    """An image of the template's shape with values in 8 mm cubes around (0, 0, 0)."""
    data = np.zeros(GRID.shape, dtype)
    for number, value in enumerate(np.atleast_1d(values)):
        data[47 + 4 * number : 51 + 4 * number, 65:69, 34:38] = value
    return data


def test_the_grid_is_the_templates():
    grid = region_checks.template_grid(study().template)
    assert grid.shape == GRID.shape
    assert np.array_equal(grid.affine, GRID.affine)
    mask, affine = template.tissue_maps()[1::2]
    places = np.argwhere(mask) @ affine[:3, :3] + affine[:3, 3]
    assert (tuple(places.min(axis=0)), tuple(places.max(axis=0))) == region_checks.BRAIN


@pytest.mark.parametrize(
    "definition",
    [
        {"sphere": [0, 44, -12], "radius": 10},
        {"sphere": [0, 44, -12], "radius": 1},
        {"sphere": [0, 0, 80], "radius": 6},
        {"atlas": ["Insula_L", "insula_r"], "y_above": 5, "z_below": 5},
        {"atlas": ["Insula_L"], "y_above": 0, "y_below": 5},
    ],
)
def test_sound_regions_are_taken(definition):
    assert problems({"a": definition}) == []


@pytest.mark.parametrize(
    ("definition", "field", "words"),
    [
        ({"sphere": [0, -20, 108], "radius": 6}, "rois.a", "at most 0 % of .*minimum_roi_coverage"),
        ({"sphere": [0, 0, 86], "radius": 6}, "rois.a", "at most .. % of"),
        ({"sphere": [0, 0, 300], "radius": 6}, "rois.a", "Nothing of it lies on the grid"),
        ({"sphere": [-300, 0, 0], "radius": 6}, "rois.a", "Nothing of it lies on the grid"),
        ({"sphere": [1, 45, -11], "radius": 1.5}, "rois.a", "at least one voxel"),
        ({"sphere": [0, 44, -12], "radius": 0.1}, "rois.a.radius", "1 mm or more"),
        ({"sphere": [0, 44, -12], "radius": 10, "y_below": 20}, "rois.a", "cuts leave nothing"),
        ({"atlas": ["Insula_Left"]}, "rois.a.atlas", "Insula_L"),
        ({"atlas": ["Insula_L"], "y_above": 200}, "rois.a.y_above", "-134 to 98 mm"),
        ({"atlas": ["Insula_L"], "z_below": -72}, "rois.a.z_below", "-72 to 116 mm"),
        ({"image": "none.nii.gz"}, "rois.a.image", "none.nii.gz.*no such file"),
    ],
)
def test_a_region_that_is_none_is_one_problem(definition, field, words):
    (error,) = problems({"good": {"sphere": [0, 44, -12], "radius": 10}, "a": definition})
    assert error.field == field
    with pytest.raises(InputError, match=words):
        raise error


def test_planes_that_contradict_each_other_are_refused():
    for region in ({"atlas": ["Insula_L"]}, {"sphere": [0, 44, -12], "radius": 10}):
        with pytest.raises(InputErrors, match="y_above 5 and y_below 0"):
            problems({"a": {**region, "y_above": 5, "y_below": 0}})


def test_every_unknown_label_is_a_problem():
    errors = problems({"a": {"atlas": ["Insula_Left", "Insula_L", "Precuneos_L"]}})
    assert [error.found for error in errors] == ["Insula_Left", "Precuneos_L"]
    assert "Precuneus_L" in errors[1].fix


@pytest.mark.parametrize(
    ("data", "how", "more", "words"),
    [
        (block([1, 2]), {}, {}, "the values 1, 2"),
        (block([0.25, 0.5], np.float32), {}, {}, "threshold"),
        (block(), {}, {"label": 3}, "at least one voxel"),
        (block(0.5, np.float32), {}, {"threshold": 0.9}, "at least one voxel"),
        (block(0), {}, {}, "at least one voxel"),
        (np.ones((4, 4, 4, 2), np.uint8), {}, {}, "4-D"),
        (block(), {"code": 0}, {}, "qform_code, sform_code"),
        (block(), {"affine": np.eye(4)}, {}, "does not say where it is"),
        (block(), {"affine": np.diag([2.0, 2, 2, 1])}, {}, "does not say where it is"),
        (np.ones((4, 4, 4), np.uint8), {"affine": GRID.affine}, {}, "at most 0 %"),
    ],
)
def test_an_image_that_is_no_region_is_one_problem(tmp_path, data, how, more, words):
    (error,) = problems({"a": {"image": image(tmp_path, data, **how), **more}})
    assert error.field.startswith("rois.a")
    with pytest.raises(InputError, match=words):
        raise error


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (block(), {}),
        (block(200), {}),
        (block([1, 2]), {"label": 2}),
        (block([0.25, 0.5], np.float32), {"threshold": 0.5}),
        (block([1, np.nan], np.float32), {}),
    ],
)
def test_an_image_of_a_region_is_taken(tmp_path, data, more):
    assert problems({"a": {"image": image(tmp_path, data), **more}}) == []


def test_a_pointer_and_a_text_are_no_images(tmp_path):
    path = tmp_path / "roi.nii.gz"
    for text, words in (("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"), ("x" * 900, "sizeof_hdr")):
        path.write_text(text)
        (error,) = problems({"a": {"image": str(path)}})
        assert words in str(error)
        assert error.field == "rois.a.image"


def test_part_of_the_grid_holds_the_whole_sphere():
    rng = np.random.default_rng(0)
    turned = GRID.affine.copy()
    turned[:2, :2] = 2 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    for grid in (GRID, images.Grid((40, 50, 30), turned)):
        for _ in range(5):
            centre = transforms.points(grid)[tuple(rng.integers(0, grid.shape))] + rng.uniform(-1, 1, 3)
            definition = sphere(centre.tolist(), float(rng.uniform(3, 15)))
            part = region_checks._part_around(centre, definition.radius, grid)
            assert region_masks.mask(definition, part).sum() == region_masks.mask(definition, grid).sum()


def test_the_box_never_refuses_what_the_brain_covers():
    """The brain of the analyses' grid, which is that of the jobs, lies within the box."""
    mask, affine = template.tissue_maps()[1::2]
    centres = np.argwhere(mask) @ affine[:3, :3] + affine[:3, 3]
    highest = centres[centres[:, 2].argmax()]
    assert (
        problems({"a": {"sphere": highest.round().tolist(), "radius": 3}, "b": {"sphere": [0, 0, 84], "radius": 1}})
        == []
    )
    definition = sphere([0, 0, 108], 6)
    inside = region_masks.mask(definition, GRID)
    for minimum in (0, 0.5):
        with pytest.raises(InputError, match="0 %"):
            region_masks.check_coverage(definition, inside, np.zeros(GRID.shape, bool), minimum=minimum)
    region_masks.check_coverage(definition, inside, inside, minimum=1)


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        ("labels", lambda path: path.unlink(), "existing file"),
        ("image", lambda path: path.unlink(), "existing file"),
        ("labels", lambda path: path.write_bytes("1 R\u00e9gion\n".encode("latin-1")), "UTF-8"),
        ("labels", lambda path: path.write_text("1 A\n1 B\n"), "label 1"),
        ("labels", lambda path: path.write_text("nothing\n"), "index name"),
        ("image", lambda path: path.write_bytes(b""), "empty file"),
        ("image", lambda path: images.save(path, np.ones((3, 3, 3, 4)), GRID.affine), "4 volumes"),
    ],
)
def test_an_atlas_of_ones_own_is_checked(tmp_path, key, change, words):
    files = {"image": tmp_path / "atlas.nii.gz", "labels": tmp_path / "atlas.txt"}
    images.save(files["image"], block([1, 2]), GRID.affine, dtype=np.int16)
    files["labels"].write_text("1 Left Insula\n2 Right Insula\n")
    atlas = {kind: str(path) for kind, path in files.items()}
    regions = {"a": {"atlas": ["left insula"]}}
    assert problems(regions, atlas=atlas) == []
    (error,) = problems({"a": {"atlas": ["Left"]}}, atlas=atlas)
    assert "Left Insula" in error.fix
    change(files[key])
    (error,) = problems(regions, atlas=atlas)
    assert words in str(error)


def test_packages_that_only_the_jobs_have_are_no_problem(monkeypatch):
    def absent(*arguments):
        raise InputError("Python package x", "x", "not installed", "x", "x")

    monkeypatch.setattr(region_checks, "package_file", absent)
    monkeypatch.setattr(region_checks, "nilearn_file", absent)
    assert problems({"a": {"atlas": ["Insula_L"]}, "b": {"sphere": [0, 0, 300], "radius": 3}}) == []


def test_a_template_of_ones_own_gives_the_grid(tmp_path):
    for kind in ("t1w", "gm", "wm"):
        images.save(tmp_path / f"{kind}.nii.gz", np.ones((20, 20, 20)), np.diag([2.0, 2, 2, 1]))
    files = {kind: str(tmp_path / f"{kind}.nii.gz") for kind in ("t1w", "gm", "wm")}
    own = {"template": {"space": "Own", **files}}
    assert problems({"a": {"sphere": [20, 20, 20], "radius": 5}}, **own) == []
    assert len(problems({"a": {"sphere": [0, 44, -12], "radius": 5}}, **own)) == 1
    # There a first voxel at 0, 0, 0 is the template's own place.
    assert problems({"a": {"image": image(tmp_path, np.ones((9, 9, 9)), np.diag([2.0, 2, 2, 1]))}}, **own) == []


def test_only_a_trial_needs_its_regions(tmp_path):
    dataset = skeleton.dataset(tmp_path / "bids", participants=2, conditions=("rest",))
    config = {
        **skeleton.config(dataset, tmp_path / "results"),
        "conditions": {"rest": {"acquisition": "rest"}},
        "contrasts": {"rest": {"rest": 1}},
        "rois": {"air": {"sphere": [0, -20, 108], "radius": 6}},
    }
    reading = plan.read(config)
    with pytest.raises(InputErrors, match=r"rois\.air"):
        plan.check_trial(reading)


def test_checking_regions_stays_light():
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in ("numba", "scipy", "matplotlib"))
    path = str(plan.__file__).rsplit("/pharmasl/", 1)[0]
    code = "from pharmasl.regions import region_checks"
    subprocess.run([sys.executable, "-c", f"import sys; {hidden}{code}"], cwd=path, check=True)
    assert nilearn_file("t1").is_file()
