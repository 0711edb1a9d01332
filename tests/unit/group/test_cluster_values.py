"""Each participant's means in the clusters, against brute force."""

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import cluster_values
from pharmasl.group.cluster_values import Visit
from pharmasl.space import images

AFFINE = np.diag([2.0, 2, 2, 1])


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(3)
    clusters = np.zeros((7, 8, 6), dtype=np.int16)
    clusters[1:4, 2:5, 1:3], clusters[5, 5:7, 4], clusters[0, 0, 0] = 1, 2, 3
    images.save(tmp_path / "clusters.nii.gz", clusters, AFFINE, dtype=np.int16)
    maps, visits = {}, []
    for who, arm in (("sub-1", "drug"), ("sub-2", "placebo")):
        for session in ("T1", "T2"):
            data = rng.normal(40, 10, clusters.shape)
            data[1, 2, 1], data[2, 2, 1] = np.nan, 0.0
            if session == "T2":
                data[0, 0, 0] = np.nan
            maps[who, session], path = data, tmp_path / f"{who}_{session}.nii.gz"
            images.save(path, data, AFFINE)
            visits.append(Visit(participant_id=who, session_id=session, arm=arm, path=path))
    return tmp_path, clusters, maps, visits


def test_means_are_those_of_the_voxels_with_data(study):
    folder, clusters, maps, visits = study
    cluster_values.write(folder / "v.tsv", folder / "clusters.nii.gz", visits, contrast="rest", unit="mL/100 g/min")
    rows = tables.read_table(folder / "v.tsv")
    assert len(rows) == 3 * 4
    for row in rows:
        inside = clusters == int(row["cluster"])
        data = maps[row["participant_id"], row["session_id"]][inside]
        good = data[np.isfinite(data) & (data != 0)]
        assert float(row["coverage"]) == pytest.approx(len(good) / inside.sum(), abs=1e-4)
        if len(good):
            assert float(row["value"]) == pytest.approx(good.mean(), rel=1e-6)
        else:
            assert row["value"] is None
    sidecar = tables.read_json(folder / "v.json")["value"]
    assert (sidecar["Contrast"], sidecar["DefinedBySameData"]) == ("rest", True)


def test_no_cluster_no_rows_and_no_map_is_read(study):
    folder, clusters, _, _visits = study
    images.save(folder / "none.nii.gz", np.zeros(clusters.shape), AFFINE, dtype=np.int16)
    absent = [Visit(participant_id="sub-1", session_id="T1", arm=None, path=folder / "absent.nii.gz")]
    cluster_values.write(folder / "v.tsv", folder / "none.nii.gz", absent, contrast="rest", unit="1")
    assert tables.read_table(folder / "v.tsv") == []


def test_another_grid_is_refused(study):
    folder, _clusters, _, visits = study
    images.save(visits[2].path, np.ones((4, 4, 4)), AFFINE)
    with pytest.raises(InputError, match="sub-2_T1"):
        cluster_values.write(folder / "v.tsv", folder / "clusters.nii.gz", visits, contrast="rest", unit="1")
