"""Reading the maps of many participants: common voxels, differences, and the file they lie in when they are many."""

import numpy as np
import permuting
import pytest
from pharmasl.group import maps
from pharmasl.group.engine import clusters, differences, glm, relabelling
from pharmasl.space import images

SHAPE = (7, 8, 6)
N = 9


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(0)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:-1, 1:-1, 1:-1] = True
    images.save(tmp_path / "mask.nii.gz", mask, np.eye(4), dtype=np.uint8)
    lists, data = [[], []], []
    for k in range(N):
        pair = 50 + rng.normal(0, 5, (2, *SHAPE)).astype(np.float32)
        # One map lacks a slice, one session of another participant is missing altogether.
        if k == 2:
            pair[0, 1] = 0
        if k == 5:
            pair[1] = np.nan
        for number, each in enumerate(pair):
            lists[number].append(tmp_path / f"{k}_{number}.nii.gz")
            images.save(lists[number][-1], each, np.eye(4))
        data.append(pair)
    return lists, tmp_path / "mask.nii.gz", mask, np.array(data)


def test_differences_within_the_voxels_of_all(study):
    lists, template, mask, data = study
    found = maps.read(lists, template)
    expected = mask.copy()
    expected[1] = False
    assert np.array_equal(found.mask, expected)
    assert found.template_voxels == mask.sum()
    assert found.empty[5] == (False, True)
    assert sum(map(any, found.empty)) == 1
    kept = [k for k in range(N) if k != 5]
    change = (data[kept, 1] - data[kept, 0])[:, expected]
    np.testing.assert_allclose(found.values, change, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.baseline, data[kept, 0][:, expected].mean(axis=0), rtol=1e-6)
    assert found.lost == [6 * 4 if k == 2 else 0 for k in kept]


def test_a_file_gives_the_same_bits_as_memory(study, monkeypatch):
    lists, template, _, _ = study
    inside = maps.read(lists, template)
    monkeypatch.setattr(maps, "IN_MEMORY", 0)
    outside = maps.read(lists, template)
    assert isinstance(outside.values, np.memmap)
    assert not isinstance(inside.values, np.memmap)
    assert np.array_equal(inside.values, outside.values)
    assert np.array_equal(inside.mask, outside.mask)
    keep = np.arange(outside.values.shape[1]) % 3 > 0
    assert np.array_equal(inside.within(keep).values, outside.within(keep).values)
    model = glm.partial_form(np.arange(8) % 2, np.ones((8, 1)))
    orders = relabelling.relabellings(np.column_stack([np.arange(8) % 2, np.ones(8)]), 40, 1)[0]
    nulls = []
    for found in (inside, outside):
        fit = differences.fit(found.values, model)
        lattice = clusters.Lattice(found.mask, 18)
        nulls.append((fit.t, permuting.null_distribution(fit, model, orders, lattice, 2.0)))
    assert np.array_equal(nulls[0][0], nulls[1][0])
    assert np.array_equal(nulls[0][1].max_t, nulls[1][1].max_t)
    assert np.array_equal(nulls[0][1].extent_negative, nulls[1][1].extent_negative)


def test_one_session_alone(study):
    lists, template, _, data = study
    found = maps.read(lists[:1], template)
    assert not any(map(any, found.empty))
    np.testing.assert_allclose(found.values, data[:, 0][:, found.mask], rtol=1e-6)
