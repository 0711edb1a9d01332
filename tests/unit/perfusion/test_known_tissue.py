"""CBF with a known transit time and T1 of tissue, against the model's own integral and planted truth."""

import re

import head
import kinetic_models
import numpy as np
import pytest
import quantified
from loading import ROOT
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import kinetics, known_maps
from pharmasl.space import images, transforms

DOCUMENT = (
    (ROOT / "docs/perfusion.md")
    .read_text(encoding="utf-8")
    .partition("## Known transit time and T1")[2]
    .partition("\n## ")[0]
)
EFFICIENCY, T1_BLOOD, PARTITION = 0.85, 1.65, 0.9
CONSTANTS = (EFFICIENCY, T1_BLOOD, PARTITION)


def integral(delivery, transit_time, duration, read, t1):
    """The label in tissue at a CBF of 1 mL/100 g/min over M0: Buxton's convolution, by Simpson's rule."""
    end = min(transit_time + duration, read)
    if end <= transit_time:
        return 0.0
    s = np.linspace(transit_time, end, 4001)
    weight = np.array([1, *[4, 2] * 1999, 4, 1]) * (s[1] - s[0]) / 3
    return float(2 / PARTITION / 6000 * (weight * EFFICIENCY * delivery(s) * np.exp(-(read - s) / t1)).sum())


@pytest.mark.parametrize("transit_time", [0.3, 0.9, 1.79, 1.81, 2.3, 2.9])
@pytest.mark.parametrize("t1", [0.9, 1.3, 1.65, 2.1])
def test_the_continuous_factor_inverts_the_convolution(transit_time, t1):
    signal = integral(lambda s: np.exp(-transit_time / T1_BLOOD) + 0 * s, transit_time, 1.8, 3.6, t1)
    factor = kinetics.known_continuous(1.8, 1.8, np.array(transit_time), t1, *CONSTANTS)
    assert factor * signal == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("bolus", [0.7, np.inf])
@pytest.mark.parametrize("transit_time", [0.3, 0.9, 1.3, 1.7])
@pytest.mark.parametrize("t1", [0.9, 1.3, 1.65, 2.1])
def test_the_pulsed_factor_inverts_the_convolution(transit_time, t1, bolus):
    signal = integral(lambda s: np.exp(-s / T1_BLOOD), transit_time, bolus, 1.8, t1)
    factor = kinetics.known_pulsed(1.8, bolus, np.array(transit_time), t1, *CONSTANTS)
    assert factor * signal == pytest.approx(1, abs=1e-9)


def test_arrived_label_that_decays_as_in_blood_is_the_consensus():
    for time in (0.5, 1.1, 1.8):
        own = kinetics.known_continuous(1.8, 1.8, np.array(time), T1_BLOOD, *CONSTANTS)
        assert own == pytest.approx(kinetics.continuous(1.8, 1.8, *CONSTANTS), rel=1e-12)
        own = kinetics.known_pulsed(1.8, 0.7, np.array(min(time, 1.1)), T1_BLOOD, *CONSTANTS)
        assert own == pytest.approx(kinetics.pulsed(1.8, 0.7, *CONSTANTS), rel=1e-12)


@pytest.mark.parametrize(
    "row", re.findall(r"^\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| 60 \| (.*?) \| (.*?) \|$", DOCUMENT, re.MULTILINE)
)
def test_the_table_of_the_documentation_is_the_models(row):
    time = float(row[0])
    signal = kinetic_models.continuous_difference(60, time, 1.8, 1.8, *CONSTANTS, t1_tissue=1.3)

    def cbf(known_time, t1):
        return float(kinetics.known_continuous(1.8, 1.8, np.array(known_time), t1, *CONSTANTS) * signal)

    times, t1s = ([float(number) for number in cell.split(" / ")] for cell in row[3:])
    assert float(row[1]) == pytest.approx(kinetics.continuous(1.8, 1.8, *CONSTANTS) * signal, abs=0.051)
    assert float(row[2]) == pytest.approx(cbf(time, T1_BLOOD), abs=0.051)
    assert times == pytest.approx([cbf(time - 0.1, 1.3), cbf(time + 0.1, 1.3)], abs=0.051)
    assert t1s == pytest.approx([cbf(time, 1.2), cbf(time, 1.4)], abs=0.051)


def test_the_documentation_has_its_table():
    assert DOCUMENT.count(" | 60 | ") == 4


def test_label_that_has_not_arrived_gives_no_number():
    assert np.isinf(kinetics.known_continuous(1.8, 1.8, np.array([3.6, 4.0]), 1.3, *CONSTANTS)).all()
    assert np.isinf(kinetics.known_pulsed(1.8, np.inf, np.array([1.8, 2.0]), 1.3, *CONSTANTS)).all()


def known(time=(1.1, 1.1), t1=None):
    values = {"transit_time": dict(zip(("gm", "wm"), time))}
    return values | ({"t1": dict(zip(("gm", "wm"), t1))} if t1 else {})


def planted(tmp_path, cbf, time, t1=T1_BLOOD, **acquisition):
    """A scan whose difference is that of a CBF, at one transit time and T1."""
    scan = quantified.Files(tmp_path, acquisition=acquisition)
    signal = 1000 * kinetic_models.continuous_difference(cbf, time, 1.8, 1.8, *CONSTANTS, t1_tissue=t1)
    ones = np.ones(quantified.ASL.shape)
    levels = {"m0scan": 1000.0, "label": 1000 - signal}
    volumes = [levels.get(kind, 1000.0) * ones for kind in scan.acquisition["volume_types"]]
    images.save(scan.path("asl"), quantified.distinct(volumes), quantified.ASL.affine)
    return scan


@pytest.mark.parametrize(("time", "t1"), [(0.8, 1.3), (1.3, 1.3), (2.3, 1.3), (2.3, T1_BLOOD)])
def test_a_planted_cbf_comes_back_on_both_grids(tmp_path, time, t1):
    scan = planted(tmp_path, 60, time, t1)
    made = scan.quantify(known=scan.known_tissue(**known((time, time), (t1, t1))))
    for name, mask in (("cbf", "brain_mask"), ("template_cbf", "coverage")):
        values = images.load(made[name]).data[images.load(made[mask]).data > 0]
        assert len(values) > 500
        assert np.abs(values - 60).max() < 0.01
    series = scan.of_repeats(
        known={
            key: value
            for key, value in scan.known_tissue(**known((time, time), (t1, t1))).items()
            if "sidecar" not in key
        }
    )
    assert np.abs(series[series != 0] - 60).max() < 0.01


def test_the_effect_of_an_error_is_that_of_quantifying_with_it(tmp_path):
    """What is said to change with 0.1 s is what changes when the whole scan is quantified with 0.1 s more."""
    scan = planted(tmp_path, 60, 2.0, 1.3)

    def grey_mean(time, t1):
        made = scan.quantify(known=scan.known_tissue(**known((time, time), (t1, t1))))
        inside, share = images.load(made["brain_mask"]).data > 0, images.load(made["gm"]).data
        return np.average(images.load(made["cbf"]).data[inside], weights=share[inside]), made

    mean, made = grey_mean(2.0, 1.3)
    record = tables.read_json(made["sidecar"])["KnownTissue"]
    assert record["LateShare"] == 0
    assert record["ArrivingShare"] == 1
    for name, changed in (
        ("transit_time +0.1 s", (2.1, 1.3)),
        ("transit_time -0.1 s", (1.9, 1.3)),
        ("t1 +0.1 s", (2.0, 1.4)),
        ("t1 -0.1 s", (2.0, 1.2)),
    ):
        assert record["WithError"][name]["gm"] == pytest.approx(grey_mean(*changed)[0] / mean, rel=1e-5)
    plain = scan.quantify()
    inside, share = images.load(plain["brain_mask"]).data > 0, images.load(plain["gm"]).data
    consensus = np.average(images.load(plain["cbf"]).data[inside], weights=share[inside])
    assert record["OverUnknown"]["gm"] == pytest.approx(mean / consensus, rel=1e-5)


def test_a_voxel_has_the_values_of_its_tissues_by_their_shares(tmp_path):
    scan = quantified.Files(tmp_path)
    paths = scan.known_tissue(**known((1.0, 1.6), (1.3, 0.9)))
    made = scan.quantify(known=paths)
    inside = images.load(made["brain_mask"]).data > 0
    # The made-up head is 0.6 grey and 0.3 white everywhere.
    assert images.load(paths["transit_time"][0]).data[inside] == pytest.approx(1.2, abs=1e-5)
    assert images.load(paths["t1"][0]).data[inside] == pytest.approx((0.6 * 1.3 + 0.3 * 0.9) / 0.9, abs=1e-5)


def test_voxels_that_too_little_label_reached_have_no_cbf(tmp_path):
    scan = planted(tmp_path, 60, 3.1)
    made = scan.quantify(known=scan.known_tissue(**known((3.1, 3.1))))
    assert not images.load(made["coverage"]).data.any()
    assert not images.load(made["cbf"]).data.any()
    record = tables.read_json(made["sidecar"])["KnownTissue"]
    assert record["LateShare"] == 1
    assert record["WithError"]["transit_time +0.1 s"]["gm"] is None


def test_slices_read_later_have_their_own_delay(tmp_path):
    """A delay of 1.8 s and slices up to 0.46 s later: with a transit time of 2 s the label still arrives in the first ones."""
    times = [0.02 * number for number in range(quantified.ASL.shape[2])]
    scan = planted(tmp_path, 60, 2.0, slice_timing=times)
    made = scan.quantify(known=scan.known_tissue(**known((2.0, 2.0), (1.3, 1.3))))
    cbf, inside = images.load(made["cbf"]).data, images.load(made["brain_mask"]).data > 0
    signal = kinetic_models.continuous_difference(60, 2.0, 1.8, 1.8, *CONSTANTS)
    for number in (3, 12, 20):
        unit = kinetic_models.continuous_difference(1, 2.0, 1.8 + times[number], 1.8, *CONSTANTS, t1_tissue=1.3)
        assert cbf[:, :, number][inside[:, :, number]] == pytest.approx(signal / unit, rel=1e-4)


def test_missing_values_are_those_of_the_nearest_voxel():
    values = np.full((5, 4, 3), np.nan)
    values[0], values[4] = 1.0, 2.0
    full = known_maps.filled(values)
    assert (full[1] == 1).all()
    assert (full[3] == 2).all()
    assert np.array_equal(full[[0, 4]], values[[0, 4]])


def on_map(space, unit="s"):
    return {"image": None, "space": space, "unit": unit}


def linear(points):
    """A transit time that differs from place to place, seconds."""
    return 1.2 + points @ np.array([0.003, -0.002, 0.004])


def whole(folder, values, affine):
    path = folder / "map.nii.gz"
    images.save(path, values.astype(np.float32), affine)
    return {"transit_time": str(path)}


def brain_points(scan, made):
    """The points of the T1w that the brain's voxels of the scan show, and their mask."""
    inside = images.load(made["brain_mask"]).data > 0
    points = transforms.points(quantified.ASL)[inside]
    return transforms.apply(np.linalg.inv(quantified.TO_ASL), points), inside


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1000)])
def test_a_map_on_the_t1w_is_brought_to_the_scan(tmp_path, unit, factor):
    scan = quantified.Files(tmp_path)
    own = whole(tmp_path, factor * linear(transforms.points(quantified.T1W)), quantified.T1W.affine)
    paths = scan.known_tissue(own, transit_time=on_map("T1w", unit))
    points, inside = brain_points(scan, scan.quantify(known=paths))
    assert images.load(paths["transit_time"][0]).data[inside] == pytest.approx(linear(points), abs=2e-3)
    values = tables.read_json(paths["transit_time_sidecar"][0])["Values"]
    assert (values["File"], values["Space"], values["Covered"]) == ("map.nii.gz", "T1w", 1)


def test_a_map_on_the_template_is_brought_to_the_scan_by_the_inverse_of_its_deformation(tmp_path):
    scan = quantified.Files(tmp_path)
    wide = head.centred((44, 48, 40), (4.0, 4.0, 4.0), shift=(1, 1, 1))
    transforms.write_field(scan.path("forward"), quantified.warp(transforms.points(wide)), wide.affine)
    own = whole(tmp_path, linear(transforms.points(wide)), wide.affine)
    paths = scan.known_tissue(own, transit_time=on_map("MNI152NLin2009aSym"))
    points, inside = brain_points(scan, scan.quantify(known=paths))
    there = points.copy()
    for _ in range(200):
        there += points - quantified.warp(there)
    assert np.abs(quantified.warp(there) - points).max() < 1e-9
    assert images.load(paths["transit_time"][0]).data[inside] == pytest.approx(linear(there), abs=2e-3)


def test_holes_of_a_map_are_filled_from_beside_them(tmp_path):
    scan = quantified.Files(tmp_path)
    values = np.full(quantified.T1W.shape, 1.3)
    values[22:25, 20:24, 18:22] = np.nan
    values[:4, :4] = -1
    own = whole(tmp_path, values, quantified.T1W.affine)
    paths = scan.known_tissue(own, transit_time=on_map("T1w"))
    assert images.load(paths["transit_time"][0]).data == pytest.approx(1.3, abs=1e-5)
    assert 0.9 < tables.read_json(paths["transit_time_sidecar"][0])["Values"]["Covered"] < 1


def refused(tmp_path, values, unit="s", affine=quantified.T1W.affine):
    scan = quantified.Files(tmp_path)
    with pytest.raises(InputError) as error:
        scan.known_tissue(whole(tmp_path, values, affine), transit_time=on_map("T1w", unit))
    assert error.value.file.endswith("map.nii.gz")
    return str(error.value)


@pytest.mark.parametrize(("value", "unit"), [(1100, "s"), (1.1, "ms")])
def test_a_map_in_another_unit_than_stated_is_refused(tmp_path, value, unit):
    text = refused(tmp_path, np.full(quantified.T1W.shape, value), unit)
    assert re.search(r"values: found .a median of (1100|0.0011) s in .*, by the unit m?s., expected 0.1 to 5 s", text)


def test_a_map_that_does_not_cover_the_brain_is_refused(tmp_path):
    values = np.full(quantified.T1W.shape, 1.2)
    values[:, :, :20] = 0
    assert re.search(r"in \d\d % of the scan's grey and white matter", refused(tmp_path, values))


def test_a_map_that_lies_elsewhere_is_refused(tmp_path):
    moved = quantified.T1W.affine.copy()
    moved[:3, 3] += 200
    text = refused(tmp_path, np.full(quantified.T1W.shape, 1.2), affine=moved)
    assert "in 0 % of the scan's grey and white matter" in text


def test_a_map_without_any_value_is_refused(tmp_path):
    assert "in 0 %" in refused(tmp_path, np.full(quantified.T1W.shape, np.nan))
