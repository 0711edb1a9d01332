"""The smallest called estimates in numbers: percentiles, shares, grey matter, and what is empty."""

import numpy as np
import pytest
from pharmasl.files import tables
from pharmasl.group import called_summary
from pharmasl.group.called_summary import CalledFiles
from pharmasl.space import images

AFFINE, SHAPE = np.diag([2.0, 2.0, 2.0, 1.0]), (5, 6, 4)


def rows_of(folder, volume):
    mask = np.ones(SHAPE)
    mask[0] = 0
    grey = np.where(np.arange(SHAPE[1])[:, np.newaxis] < 3, 0.9, 0.2) * np.ones(SHAPE)
    for name, data in (("called", volume), ("mask", mask), ("gm", grey)):
        images.save(folder / f"{name}.nii", data, AFFINE)
    tables.write_json(folder / "inference.json", {"effect": {"unit": "mL/100 g/min"}})
    files = CalledFiles(
        **{name: folder / f"{name}.nii" for name in ("called", "mask", "gm")}, inference=folder / "inference.json"
    )
    called_summary.write(folder / "called.tsv", files)
    return tables.read_table(folder / "called.tsv")


def test_percentiles_and_shares_are_those_of_the_voxels(tmp_path):
    volume = np.random.default_rng(4).uniform(6, 18, SHAPE).astype(np.float32)
    volume[2, 1, 1] = np.nan
    rows = rows_of(tmp_path, volume)
    inside = {"search_volume": volume[1:], "grey_matter": volume[1:, :3]}
    assert {row["place"] for row in rows} == set(inside)
    for row in rows:
        known = inside[row["place"]][np.isfinite(inside[row["place"]])]
        at, value = float(row["at"]), float(row["value"])
        assert int(row["voxels"]) == len(known)
        wanted = np.percentile(known, at) if row["measure"] == "percentile" else np.mean(known <= at)
        assert value == pytest.approx(wanted, rel=1e-6)
    assert [float(row["at"]) for row in rows[:6]] == [10, 50, 90, 10, 20, 50]


def test_a_map_without_values_has_no_rows(tmp_path):
    assert rows_of(tmp_path, np.full(SHAPE, np.nan)) == []


@pytest.mark.parametrize(
    ("middle", "estimates"),
    [(12.3, [10, 20, 50]), (10.0, [10, 20, 50]), (9.99, [5, 10, 20]), (0.034, [0.02, 0.05, 0.1]), (1.0, [1, 2, 5])],
)
def test_round_estimates_lie_about_the_median(middle, estimates):
    assert called_summary.round_estimates(middle) == estimates
