"""The viewer's data: what is packed is what the map holds."""

import base64
import html as entities
import json
import re
import zlib

import numpy as np
import pytest
from inferred import TWO_ARMS
from pharmasl.figures import statmap, viewer
from pharmasl.files import tables
from pharmasl.space import images

AFFINE = np.array([[4.0, 0, 0, -48], [0, 4, 0, -60], [0, 0, 4, -40], [0, 0, 0, 1]])


def unpacked(text, shape):
    """As the page's script does it: sums along x, then along y, modulo 256."""
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape, order="F").astype(np.int64)
    return np.cumsum(np.cumsum(values, axis=0), axis=1) & 255


@pytest.fixture
def files(tmp_path):
    index = np.stack(np.meshgrid(*map(np.arange, (25, 31, 21)), indexing="ij"), -1)
    inside = np.linalg.norm((index - [12, 15, 10]) / [11, 14, 9], axis=-1) < 1
    t = np.where(inside, np.random.default_rng(1).normal(size=inside.shape), np.nan)
    t[16:19, 16:19, 9:12] = -6
    images.save(tmp_path / "t1w.nii.gz", 100.0 * inside, AFFINE)
    images.save(tmp_path / "t.nii.gz", t, AFFINE)
    images.save(tmp_path / "p.nii.gz", np.where(t == -6, 2.0, np.where(inside, 0.0, np.nan)), AFFINE)
    images.save(tmp_path / "clusters.nii.gz", np.where(t == -6, 1, 0), AFFINE, dtype=np.int16)
    row = {"cluster": 1, "peak": 1, "x": 20, "y": 8, "z": 0, "sign": "-", "size_voxels": 27, "volume_mm3": 1728}
    row |= {"p_verdict": 0.01, "significant": "yes", "t": -6, "region": "Insula_R", "regions": "</script> 70 %"}
    tables.write_table(tmp_path / "c.tsv", [row], dict.fromkeys(row, ""))
    tables.write_json(tmp_path / "i.json", TWO_ARMS)
    return statmap.StatmapFiles(
        reference=tmp_path / "t1w.nii.gz",
        t=tmp_path / "t.nii.gz",
        verdict=tmp_path / "p.nii.gz",
        clusters=tmp_path / "clusters.nii.gz",
        table=tmp_path / "c.tsv",
        inference=tmp_path / "i.json",
    )


def block(text, kind):
    return re.search(rf'class="{kind}">([^<]*)</script>', text)[1]


def test_volumes_are_packed_without_loss():
    volume = np.random.default_rng(2).integers(0, 256, (7, 5, 4)).astype(np.uint8)
    assert (unpacked(viewer.packed(volume), volume.shape) == volume).all()


def test_the_map_comes_back_within_half_a_step(files):
    text = viewer.html(files)
    meta = json.loads(entities.unescape(re.search('data-viewer="([^"]*)"', text)[1]))
    space = json.loads(block(viewer.template_html(files.reference, []), "viewer-space"))
    shown = unpacked(block(text, "viewer-map"), space["shape"])
    t = images.load(files.t)[0]
    first = np.rint((np.array(space["first"]) - AFFINE[:3, 3]) / 4).astype(int)
    own = t[tuple(slice(start, start + size) for start, size in zip(first, space["shape"]))]
    value = np.where(shown > 0, (shown - meta["zero"]) / meta["full"] * meta["top"], np.nan)
    assert (np.isfinite(value) == np.isfinite(own)).all()
    assert np.nanmax(np.abs(value - own)) <= 0.5 * meta["top"] / meta["full"] + 1e-6
    declared = unpacked(block(text, "viewer-declared"), space["shape"])
    assert ((declared > 0) == (own == -6)).all()
    assert meta["clusters"]["1"]["point"] == [20, 8, 0]


def test_nothing_of_the_data_ends_its_block(files):
    text = viewer.html(files)
    assert text.count("</script>") == text.count("<script") == 3


def test_regions_are_words_at_the_atlas_own_places(files, tmp_path):
    labels = np.zeros((50, 62, 42), dtype=np.int16)
    labels[24:30, 30:40, 20:26] = 310
    affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    images.save(tmp_path / "atlas.nii.gz", labels, affine, dtype=np.int16)
    (tmp_path / "atlas.txt").write_text("310 Insula_R\n9 Insula_L\n")
    text = viewer.template_html(files.reference, [tmp_path / "atlas.nii.gz", tmp_path / "atlas.txt"])
    space = json.loads(block(text, "viewer-space"))
    assert space["regions"] == ["right insula"]
    own = unpacked(block(text, "viewer-atlas"), space["shape"])
    points = np.argwhere(own == 1) * space["step"] + np.array(space["first"])
    voxels = np.floor((points - affine[:3, 3]) / 2 + 0.5).astype(int)
    assert len(points)
    assert (labels[tuple(voxels.T)] == 310).all()
