"""Regions from images and atlases that are not what they seem."""

import nibabel
import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.regions import region_masks
from pharmasl.space import atlas, images
from pharmasl.study import settings

GRID = images.Grid((4, 4, 4), np.diag([2.0, 2, 2, 1]))


def image(folder, data):
    path = folder / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data, GRID.affine), path)
    return path


def region(folder, data, **more):
    definition = settings.build(settings.RegionDefinition, {"image": "x", **more})
    return region_masks.mask(definition, GRID, image=[image(folder, data)])


def test_several_values_need_a_label_or_a_threshold(tmp_path):
    data = np.zeros(GRID.shape, np.float32)
    data[0], data[1, 0, 0], data[2, 0] = 0.25, 0.5, 0.75
    with pytest.raises(InputError, match="threshold"):
        region(tmp_path, data)
    assert np.array_equal(region(tmp_path, data, threshold=0.5), data >= 0.5)
    assert np.array_equal(region(tmp_path, data * 4, label=3), data == 0.75)
    assert np.array_equal(region(tmp_path, (data > 0) * np.float32(7)), data > 0)


def test_several_volumes_are_refused(tmp_path):
    with pytest.raises(InputError, match="one volume"):
        region(tmp_path, np.ones((*GRID.shape, 2), np.float32))


def test_labels_of_32_bits_stay_apart(tmp_path):
    data = np.zeros(GRID.shape, np.int32)
    data[0], data[1], data[2], data[3] = 1, 65537, 16777216, 16777217
    names = tmp_path / "names.txt"
    names.write_text("1 Left Insula 220 0\n65537 Right Insula\n16777216\tBoth\n16777217\tboth\n")
    paths = [tmp_path / "atlas.nii.gz", tmp_path / "atlas.tsv"]
    atlas.write_atlas(str(image(tmp_path, data)), str(names), image_path=paths[0], labels_path=paths[1])
    for name, expected in (("Left Insula", data == 1), ("right insula", data == 65537), ("Both", data >= 16777216)):
        definition = settings.build(settings.RegionDefinition, {"atlas": [name]})
        assert np.array_equal(region_masks.mask(definition, GRID, atlas=paths), expected)
