"""The template's files: nilearn's need no words here; those of a template of one's own, on a grid of its own."""

from types import SimpleNamespace

import head
import numpy as np
import pytest
from loading import script
from pharmasl.errors import InputError
from pharmasl.space import images

GRID = head.centred((64, 78, 58), (2.5, 2.5, 2.5), shift=(1, -2, 3))
NAMES = {"t1w": "t1w", "mask": "mask", "gm": "gm", "wm": "wm", "csf": "csf"}


@pytest.fixture(scope="module")
def tissue():
    return head.render(GRID, blur=1.5, parts=1)


@pytest.fixture(scope="module")
def brain(tissue):
    return tissue[..., :3].sum(axis=-1) > 0.5


def files(folder, **data):
    paths = {}
    for name, values in data.items():
        paths[name] = str(folder / f"own_{name}.nii.gz")
        images.save(paths[name], values, GRID.affine)
    return paths


def run(folder, given, resolution=5):
    out = {f"{size}{name}": folder / f"{size}{name}.nii.gz" for size in ("fine_", "") for name in NAMES}
    script("template").main(
        SimpleNamespace(input=given, output=SimpleNamespace(**out), params=SimpleNamespace(resolution=resolution))
    )
    return {name: images.load(path)[0] for name, path in out.items()}, images.load(out["t1w"])[1]


def test_a_template_with_a_skull_is_cut_to_its_mask_and_its_shares_add_up(tmp_path, tissue, brain):
    t1w = 10 * tissue @ [66.0, 100.0, 22.0, 80.0]
    made, affine = run(tmp_path, files(tmp_path, t1w=t1w, mask=brain, gm=tissue[..., 0], wm=tissue[..., 1]))
    np.testing.assert_array_equal(made["fine_mask"] > 0, brain)
    assert not made["fine_t1w"][~brain].any()
    assert made["fine_t1w"].max() == 1
    np.testing.assert_allclose(made["fine_t1w"][brain], t1w[brain] / t1w[brain].max(), atol=1e-6)
    np.testing.assert_allclose(made["fine_gm"][brain], tissue[brain, 0], atol=1e-6)
    np.testing.assert_allclose(made["fine_csf"][brain], 1 - tissue[brain, 0] - tissue[brain, 1], atol=1e-6)
    # The analysis' grid: cubes over the same field of view, means over them.
    assert made["t1w"].shape == (32, 39, 29)
    np.testing.assert_allclose(np.abs(np.diag(affine)[:3]), 5)
    volume = [brain.sum() * 2.5**3, (made["mask"] > 0).sum() * 5**3]
    assert volume[1] == pytest.approx(volume[0], rel=0.02)
    grey = [made["fine_gm"].sum() * 2.5**3, made["gm"].sum() * 5**3]
    assert grey[1] == pytest.approx(grey[0], rel=0.02)
    inner = made["csf"] + made["gm"] + made["wm"]
    assert inner[made["mask"] > 0].min() > 0.4
    assert inner.max() <= 1 + 1e-5


def test_a_brain_alone_needs_no_mask_and_a_map_of_fluid_is_taken(tmp_path, tissue, brain):
    t1w = np.where(brain, tissue @ [66.0, 100.0, 22.0, 0.0] + 1, 0)
    # Maps that leave a tenth of each voxel to nothing, as some templates' do.
    maps = {name: 0.9 * tissue[..., k] for k, name in enumerate(("gm", "wm", "csf"))}
    made, _ = run(tmp_path, files(tmp_path, t1w=t1w, **maps))
    np.testing.assert_array_equal(made["fine_mask"] > 0, brain)
    np.testing.assert_allclose((made["fine_gm"] + made["fine_wm"] + made["fine_csf"])[brain], 1, atol=1e-5)
    ratio = made["fine_gm"][brain] * tissue[brain, 1] - made["fine_wm"][brain] * tissue[brain, 0]
    np.testing.assert_allclose(ratio, 0, atol=1e-5)
    assert not made["fine_csf"][~brain].any()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda data: data.pop("mask"), "template.t1w"),
        (lambda data: data.update(mask=0 * data["mask"]), "template.mask"),
        (lambda data: data.update(t1w=0 * data["t1w"]), "template.t1w"),
        (lambda data: data.update(gm=100 * data["gm"]), "template.gm"),
        (lambda data: data.update(wm=data["wm"] - 0.5), "template.wm"),
        (lambda data: data.update(wm=0 * data["wm"]), "template.wm"),
    ],
    ids=["skull, no mask", "empty mask", "empty T1w", "percent", "negative", "no white matter"],
)
def test_files_that_are_no_template_are_refused_and_nothing_written(tmp_path, tissue, brain, change, field):
    t1w = tissue @ [66.0, 100.0, 22.0, 80.0] + 5
    data = {"t1w": t1w, "mask": brain.astype(np.float32), "gm": tissue[..., 0], "wm": tissue[..., 1]}
    change(data)
    given = files(tmp_path, **data)
    with pytest.raises(InputError) as caught:
        run(tmp_path, given)
    assert caught.value.field == field
    assert not list(tmp_path.glob("fine_*"))


def test_a_template_stored_from_right_to_left_is_written_from_left_to_right(tmp_path, tissue, brain):
    """Pictures and planes take the axes to be right, anterior and superior: each voxel keeps its place."""
    t1w = np.where(brain, tissue @ [66.0, 100.0, 22.0, 0.0] + 1, 0)
    maps = {"t1w": t1w, "gm": tissue[..., 0], "wm": tissue[..., 1]}
    (tmp_path / "straight").mkdir()
    straight, affine = run(tmp_path / "straight", files(tmp_path / "straight", **maps))
    mirrored = GRID.affine @ np.array([[-1, 0, 0, GRID.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    given = {}
    for name, values in maps.items():
        given[name] = str(tmp_path / f"mirrored_{name}.nii.gz")
        images.save(given[name], values[::-1], mirrored)
    turned, own = run(tmp_path, given)
    np.testing.assert_array_equal(own, affine)
    for name, values in straight.items():
        np.testing.assert_array_equal(turned[name], values, err_msg=name)


def test_a_mask_alone_is_a_template_without_tissues(tmp_path, brain):
    made, affine = run(tmp_path, files(tmp_path, mask=brain), resolution=2.5)
    np.testing.assert_array_equal(made["mask"] > 0, brain)
    np.testing.assert_array_equal(affine, GRID.affine)
    np.testing.assert_array_equal(made["t1w"], brain)
    assert np.isnan(made["gm"]).all()
    assert np.isnan(made["fine_csf"]).all()
