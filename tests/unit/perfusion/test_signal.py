"""Volumes that hold no measurement: planted faults are found with their reason, and what is left gives the same CBF."""

import numpy as np
import pytest
from loading import shared_data
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import series, signal, subtraction, volumes
from pharmasl.space import images
from quantified import ACQUISITION, ASL, Files

SHAPE = (16, 16, 6)
TYPES = ["m0scan", "m0scan", *["control", "label"] * 4]


def good(seed=0, types=TYPES, level=300.0, noise=6.0):
    """A bright body in noise: M0 five times as bright, labels 1 % darker than controls."""
    rng = np.random.default_rng(seed)
    body = np.zeros(SHAPE)
    body[3:13, 3:13, 1:5] = 1
    factor = {"m0scan": 5, "control": 1, "label": 0.99, "deltam": 0.01, "cbf": 0.2}
    out = [level * factor.get(kind, 1) * body + np.abs(rng.normal(0, noise, SHAPE)) for kind in types]
    return np.stack(out, axis=3).astype(np.float32), body > 0


def lost(reasons):
    return signal.Signal(reasons, np.empty(0))


def test_good_volumes_are_kept():
    for seed in range(20):
        data, _ = good(seed)
        assert signal.examine(data, TYPES).lost == {}


@pytest.mark.parametrize("number", [1, 4, 9])
def test_each_fault_is_found_in_its_volume_alone_and_named(number):
    clean, _ = good()
    block = (slice(5, 9), slice(5, 9), slice(2, 4))

    def planted(change):
        data = clean.copy()
        change(data[..., number])
        return signal.examine(data, TYPES).lost

    def put(value, where=...):
        return lambda volume: volume.__setitem__(where, value)

    assert planted(put(0)) == {number: "holds nothing but the value 0"}
    assert planted(put(77)) == {number: "holds nothing but the value 77"}
    assert planted(put(np.nan)) == {number: "holds no finite value"}
    assert planted(put(np.nan, block))[number].startswith("is damaged: 8.00% of the head's voxels hold no finite value")
    assert planted(put(np.nan, (5, 5, 2)))[number].startswith("is damaged: 0.25%")
    assert planted(put(-1.9e34, block))[number].startswith("is damaged: it holds values of 1.9e+34")
    assert planted(put(np.inf, block))[number].startswith("is damaged")
    # The end of a file that was cut and filled up: its last slices.
    assert planted(put(0, (..., slice(4, 6))))[number] == "is incomplete: 25.0% of the head's voxels are exactly zero"
    rng = np.random.default_rng(1)
    assert "holds no signal" in planted(put(np.abs(rng.normal(0, 6, SHAPE))))[number]
    assert set(planted(put(0))) == set(planted(put(-1.9e34, block))) == {number}


def test_volumes_of_another_level_or_copied_are_found():
    data, _ = good()
    data[..., 4] = data[..., 0] + 1
    assert signal.examine(data, TYPES).lost[4].startswith("is of another kind: its level in the head is 5 times")
    data, _ = good()
    data[..., 7] = data[..., 4]
    assert signal.examine(data, TYPES).lost == {7: "is a copy of volume 4"}
    # M0 volumes enter as their mean, which copies leave as it is.
    data[..., 1] = data[..., 0]
    assert signal.examine(data, TYPES).lost == {7: "is a copy of volume 4"}


def test_what_most_volumes_miss_is_background():
    data, body = good()
    data[~body] = np.nan
    assert signal.examine(data, TYPES).lost == {}
    data[~body] = 0
    assert signal.examine(data, TYPES).lost == {}


def test_most_of_a_series_may_be_empty():
    data, _ = good()
    data[..., 4:] = 0
    assert sorted(signal.examine(data, TYPES).lost) == [4, 5, 6, 7, 8, 9]


def test_levels_are_compared_within_a_delay():
    types, group = ["control", "label"] * 6, np.repeat([0, 1] * 3, 2)
    data, _ = good(types=types)
    data *= np.where(group, 5, 1)
    assert signal.examine(data, types, group).lost == {}
    assert len(signal.examine(data, types).lost) > 0


def test_dummies_may_be_empty_and_maps_masked():
    types = ["n/a", "noRF", *["deltam"] * 4]
    data, body = good(types=types)
    data[..., :2] = 0
    data[~body] = 0
    assert signal.examine(data, types).lost == {}
    data[..., 3] = 0
    assert list(signal.examine(data, types).lost) == [3]


def test_a_lost_volume_takes_its_partner_with_it_and_no_other_is_paired_anew():
    types = ["control", "label"] * 4
    of = volumes.sort(types, "x", examined=lost({2: "is empty"}))
    assert of.pairs.tolist() == [[0, 1], [4, 5], [6, 7]]
    assert of.acquired.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert of.control.tolist() == [0, 4, 6]
    assert of.unpaired.tolist() == []
    of = volumes.sort(["deltam"] * 3, "x", examined=lost({0: "is empty"}))
    assert (of.kind, of.deltam.tolist(), of.acquired[:, 0].tolist()) == ("deltam", [1, 2], [0, 1, 2])


def test_subtraction_of_neighbours_goes_round_lost_labels():
    types = ["control", "label"] * 4
    found = subtraction.differences(volumes.sort(types, "x", examined=lost({3: "is empty"})), "surround", [0] * 8, "x")
    assert found.alive.tolist() == [True, False, True, True]
    assert found.lost[1] == "no measurement: volume 3 is empty"
    assert found.weights[2].tolist() == [0, -0.5, 0, 0, 1, -0.5, 0, 0]
    # A padded end leaves an even series, and a shorter one gives the same weights.
    short = subtraction.differences(volumes.sort(types[:6], "x"), "sinc", [0] * 6, "x")
    padded = subtraction.differences(volumes.sort(types, "x", examined=lost({6: "e", 7: "e"})), "sinc", [0] * 8, "x")
    assert np.array_equal(padded.weights[:3, :6], short.weights)
    assert padded.alive.tolist() == [True, True, True, False]
    many = ["control", "label"] * 12
    gap = subtraction.differences(volumes.sort(many, "x", examined=lost({13: "is empty"})), "sinc", [0] * 24, "x")
    assert gap.alive.sum() == 12 - 6
    assert not gap.weights[~gap.alive].any()


def test_a_series_without_any_repeat_left_is_refused_with_the_cause():
    data, _ = good()
    data[..., 2:] = data[..., 2:3]
    with pytest.raises(InputError, match=r"asl: volumes: found 'volumes 3, 4, .*: is a copy of volume 2'"):
        volumes.sort(TYPES, "asl", examined=signal.examine(data, TYPES))


LONG = ["m0scan", *["control", "label"] * 5]


@pytest.mark.parametrize("subtraction_method", ["pairwise", "surround"])
@pytest.mark.parametrize("fault", [0.0, np.nan, -1.9e34])
def test_cbf_is_that_of_the_scan_without_the_empty_end(tmp_path, fault, subtraction_method):
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()
    short = Files(tmp_path / "short", acquisition={"volume_types": LONG[:7]})
    long = Files(tmp_path / "long", acquisition={"volume_types": LONG})
    data, affine = images.load(long.path("asl"))
    # Each pair has its own perfusion, so that one pair more or less shows.
    for number in range(2, 11, 2):
        data[..., number] -= number
    images.save(short.path("asl"), data[..., :7], affine)
    images.save(long.path("asl"), data, affine)
    whole = images.load(long.quantify(subtraction=subtraction_method)["cbf"])[0]
    data[..., 7:] = fault
    images.save(long.path("asl"), data, affine)
    made, expected = long.quantify(subtraction=subtraction_method), short.quantify(subtraction=subtraction_method)
    for name in ("cbf", "template_cbf", "smooth", "error"):
        assert np.array_equal(images.load(made[name])[0], images.load(expected[name])[0])
    assert np.abs(whole - images.load(expected["cbf"])[0]).max() > 10
    rows = tables.read_table(made["repeats"])
    assert [row["no_signal"] for row in rows] == [*["false"] * 3, "true", "true"]
    assert [row["excluded"] for row in rows] == [*["false"] * 3, "true", "true"]
    assert rows[3]["reason"].startswith("no measurement: volume 7 holds ")
    assert (rows[3]["control"], rows[3]["label"], rows[3]["weight"]) == ("7", "8", "0.0")
    record = tables.read_json(made["sidecar"])
    assert (record["NumberOfRepeats"], record["NumberOfRepeatsUsed"]) == (5, 3)
    assert list(record["VolumesWithoutMeasurement"]) == ["7", "8", "9", "10"]
    assert long.of_repeats(subtraction=subtraction_method).shape[3] == 5


def test_each_pair_by_its_own_control_without_the_lost_one(tmp_path):
    change = {"volume_types": LONG, "m0_type": "Absent", "m0_of_pair": True}
    files = Files(tmp_path, acquisition=change)
    data, affine = images.load(files.path("asl"))
    data[..., 3] = 0
    images.save(files.path("asl"), data, affine)
    made = files.quantify()
    series_cbf, brain = files.of_repeats(), images.load(made["brain_mask"])[0] > 0
    assert not series_cbf[brain][:, 1].any()
    assert series_cbf[brain][:, [0, 2, 3, 4]].mean(axis=0) == pytest.approx(
        images.load(made["cbf"])[0][brain].mean(), rel=1e-4
    )


def test_m0_without_signal_is_left_out_or_refused_by_its_number(tmp_path):
    types = ["m0scan", "m0scan", "control", "label"]
    files = Files(tmp_path, acquisition={"volume_types": types})
    data, affine = images.load(files.path("asl"))
    expected = images.load(files.quantify()["cbf"])[0]
    data[..., 0] = 0
    images.save(files.path("asl"), data, affine)
    assert images.load(files.quantify()["cbf"])[0] == pytest.approx(expected, abs=1e-3)
    data[..., 1] = np.nan
    images.save(files.path("asl"), data, affine)
    expected = (
        r"in_asl\.nii\.gz: m0scan: found 'volume 0: holds nothing but the value 0; volume 1: holds no finite value'"
    )
    with pytest.raises(InputError, match=expected):
        files.quantify()
    images.save(tmp_path / "m0.nii.gz", np.zeros(ASL.shape), ASL.affine)
    with pytest.raises(InputError, match=r"m0\.nii\.gz: m0scan: found 'volume 0: holds nothing but the value 0'"):
        series.load_m0([tmp_path / "m0.nii.gz"])


def test_m0_volumes_that_nothing_needs_may_be_empty(tmp_path):
    files = Files(tmp_path, acquisition={"m0_type": "Estimate", "m0_estimate": 1000.0})
    data, affine = images.load(files.path("asl"))
    data[..., 0] = 0
    images.save(files.path("asl"), data, affine)
    assert images.load(files.quantify()["cbf"])[0].max() > 10


def test_a_delay_that_is_lost_leaves_the_others(tmp_path):
    delays = [1.0, 1.8, 2.6]
    times = [0.0, *np.repeat(delays, 4)]
    change = {
        "volume_types": ["m0scan", *["control", "label"] * 6],
        "post_labeling_delay": times,
        "labeling_duration": [1.8] * 13,
    }
    files = Files(tmp_path, acquisition={**ACQUISITION, **change})
    data, affine = images.load(files.path("asl"))
    data[..., 9:] = 0
    images.save(files.path("asl"), data, affine)
    made = files.quantify(fitted=True)
    brain = images.load(made["brain_mask"])[0] > 0
    assert np.median(images.load(made["cbf"])[0][brain]) > 10
    assert [row["no_signal"] for row in tables.read_table(made["repeats"])] == ["false"] * 4 + ["true"] * 2


REAL = [
    ("data", "openneuro-ds000240-sub01", "sub-01", "perf", "sub-01"),
    ("data", "siemens-xa30-pcasl", "sub-01", "perf", "sub-01"),
    ("data", "siemens-prisma-multiasl", "sub-01", "perf", "sub-01_acq-pcasl3d"),
    ("data", "siemens-prisma-multiasl", "sub-01", "perf", "sub-01_acq-pasl2d"),
    ("data", "oxford-pcasl-6pld", "sub-01", "perf", "sub-01"),
    ("data", "asldro-hrgt", "sub-gkm", "perf", "sub-gkm"),
    ("data", "asldro-hrgt", "sub-matched", "perf", "sub-matched"),
    ("data", "phantom-xa30-pcasl", "sub-phantom", "perf", "sub-phantom"),
]


@pytest.mark.parametrize("place", REAL, ids=lambda place: "-".join(place[1:2] + place[4:]))
def test_no_volume_of_a_real_scan_is_lost(place):
    folder = shared_data(*place[:-1])
    types = (folder / f"{place[-1]}_aslcontext.tsv").read_text().split()[1:]
    data, _ = images.load(folder / f"{place[-1]}_asl.nii.gz")
    assert signal.examine(data, types).lost == {}
