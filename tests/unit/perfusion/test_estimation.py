"""Which repeats make a map, and how: delays, exclusion, calibration and correction, on scans of known CBF."""

import kinetic_models
import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import far_off, kinetics
from pharmasl.space import images, transforms
from quantified import ASL, TEMPLATE, TO_ASL, Files, warp

FACTOR = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9)
POINTS = transforms.points(ASL)


def files(folder, volumes, **acquisition):
    """A scan of volumes that are the same at every voxel, or arrays."""
    flat = [np.broadcast_to(np.asarray(volume, dtype=np.float64), ASL.shape) for volume in volumes]
    return Files(folder, acquisition=acquisition, volumes=flat)


def load(made, name):
    return images.load(made[name])[0]


def inside(made):
    return load(made, "brain_mask") > 0


DELAYS = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]


def delayed(folder, kind="PCASL", timing=None, types=("label", "control"), att=None):
    """Two repeats of six delays: CBF rises along x, ATT along y."""
    cbf = 50 + 0.5 * POINTS[..., 0]
    att = 0.9 + 0.004 * POINTS[..., 1] if att is None else att
    offset = 0.0 if timing is None else np.asarray(timing)
    volumes, each = [np.full(ASL.shape, 1000.0)], [None]
    for delay in [*DELAYS, *DELAYS]:
        time = delay + offset
        if kind == "PCASL":
            relative = kinetic_models.continuous_difference(cbf, att, time, 1.4, 0.85, 1.65, 0.9)
        else:
            relative = kinetic_models.pulsed_difference(cbf, att, time + 1, 0.7, 0.98, 1.65, 0.9)
        for volume_type in types:
            volumes.append(
                1000 * relative if volume_type == "deltam" else 300 - 1000 * relative * (volume_type == "label")
            )
            each.append(delay if kind == "PCASL" else delay + 1)
    change = {"volume_types": ["m0scan", *types * 12], "post_labeling_delay": each, "background_suppression": True}
    if kind == "PASL":
        change |= {
            "labeling_type": "PASL",
            "labeling_duration": None,
            "labeling_efficiency": 0.98,
            "bolus_cutoff_delay": 0.7,
            "bolus_cutoff_technique": "QUIPSSII",
        }
    else:
        change["labeling_duration"] = [None] + [1.4] * (len(each) - 1)
    return files(folder, volumes, slice_timing=timing, **change), cbf, att


@pytest.mark.parametrize("kind", ["PCASL", "PASL"])
@pytest.mark.parametrize("types", [("label", "control"), ("deltam",)], ids=["pairs", "deltam"])
def test_several_delays_give_cbf_and_transit_time(tmp_path, kind, types):
    timing = [0.01 * z for z in range(ASL.shape[2])]
    scan, cbf, att = delayed(tmp_path, kind, timing, types)
    made = scan.quantify(fitted=True, outliers={"rules": []}, delays={"transit_sd": None})
    brain = inside(made)
    # The images are single precision: deltaM of 5 on 300.
    assert load(made, "cbf")[brain] == pytest.approx(cbf[brain], rel=1e-4)
    assert load(made, "att")[brain] == pytest.approx(att[brain], abs=1e-4)
    there = transforms.apply(TO_ASL, warp(transforms.points(TEMPLATE)))[scan.mask]
    # The signal is not linear in space, as interpolation would like it.
    assert load(made, "template_att")[scan.mask] == pytest.approx(0.9 + 0.004 * there[:, 1], abs=2e-3)
    assert load(made, "template_cbf")[scan.mask] == pytest.approx(50 + 0.5 * there[:, 0], rel=5e-3)
    record = tables.read_json(made["sidecar"])
    assert record["Constants"]["post_labeling_delay"]["Value"] == pytest.approx(
        DELAYS if kind == "PCASL" else [delay + 1 for delay in DELAYS]
    )
    assert "Woods" in record["Reference"]
    rows = tables.read_table(made["repeats"])
    assert len(rows) == 12
    assert len({row["post_labeling_delay"] for row in rows}) == 6


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 2, 1)])
@pytest.mark.parametrize("kind", ["PCASL", "PASL"])
def test_several_delays_of_slices_stored_along_another_axis(tmp_path, kind, order):
    # From the top down, as a minus sign in SliceEncodingDirection says. At 0.15 s from first to last, a tenth in CBF, some
    # label of every voxel still arrives after the first delay: else its transit time could not be told.
    timing = np.linspace(0.15, 0, ASL.shape[2]).tolist()
    scan, cbf, att = delayed(tmp_path, kind, timing)
    series, affine = images.load(scan.path("asl"))
    images.save(scan.path("asl"), series.transpose(*order, 3), affine[:, [*order, 3]])
    scan.acquisition["slice_axis"] = order.index(2)
    made = scan.quantify(fitted=True, outliers={"rules": []}, delays={"transit_sd": None})
    brain = inside(made)
    assert load(made, "cbf")[brain] == pytest.approx(cbf.transpose(order)[brain], rel=1e-4)
    assert load(made, "att")[brain] == pytest.approx(att.transpose(order)[brain], abs=1e-4)


def test_label_that_arrives_late_is_underestimated_by_a_single_delay_and_not_by_several(tmp_path):
    scan, cbf, _ = delayed(tmp_path, att=np.full(ASL.shape, 1.6))
    made = scan.quantify(fitted=True, outliers={"rules": []}, delays={"transit_sd": None})
    brain = inside(made)
    assert load(made, "cbf")[brain] == pytest.approx(cbf[brain], rel=1e-4)
    # The series holds the apparent CBF, each delay by itself: of the latest, 0.1 s before the label's last arrival, nine
    # tenths, of the first next to nothing.
    apparent = (scan.of_repeats(outliers={"rules": []}, delays={"transit_sd": None})[brain] / cbf[brain, None]).mean(
        axis=0
    )
    assert apparent[5] == pytest.approx(apparent[11], rel=1e-4)
    assert apparent[0] < 0.05 < 0.85 < apparent[5] < 0.95


def test_the_arterial_term_takes_the_blood_that_passes(tmp_path):
    scan, cbf, _ = delayed(tmp_path)
    volumes, affine = images.load(scan.path("asl"))
    for number, (volume_type, delay) in enumerate(
        zip(scan.acquisition["volume_types"], scan.acquisition["post_labeling_delay"])
    ):
        if volume_type == "label":
            volumes[..., number] -= 1000 * kinetic_models.continuous_arterial(0.02, 0.6, delay, 1.4, 0.85, 1.65, 0.9)
    images.save(scan.path("asl"), volumes, affine)
    brain = inside(scan.quantify(fitted=True, outliers={"rules": []}, delays={"transit_sd": None}))
    plain = load(scan.quantify(fitted=True, outliers={"rules": []}, delays={"transit_sd": None}), "cbf")[brain]
    found = load(
        scan.quantify(fitted=True, outliers={"rules": []}, delays={"arterial": True, "transit_sd": None}), "cbf"
    )[brain]
    assert np.abs(plain / cbf[brain] - 1).mean() > 0.1
    assert found == pytest.approx(cbf[brain], rel=2e-3)


def test_fair_without_a_cut_off_counts_what_the_inversion_time_lets_in(tmp_path):
    scan = files(
        tmp_path,
        [1000, 1000, 990],
        volume_types=["m0scan", "control", "label"],
        labeling_type="PASL",
        labeling_duration=None,
        labeling_efficiency=0.98,
        post_labeling_delay=1.5,
    )
    made = scan.quantify()
    assert load(made, "cbf")[inside(made)] == pytest.approx(0.01 * kinetics.pulsed(1.5, 1.5, 0.98, 1.65, 0.9), rel=1e-4)


def test_q2tips_as_the_manufacturer_counts(tmp_path):
    scan = files(
        tmp_path,
        [1000, 1000, 990],
        volume_types=["m0scan", "control", "label"],
        labeling_type="PASL",
        labeling_duration=None,
        labeling_efficiency=0.98,
        post_labeling_delay=2.0,
        bolus_cutoff_delay=[0.7, 1.6],
        bolus_cutoff_technique="Q2TIPS",
    )
    for choice, time in (("consensus", 2.0), ("commercial", 1.6)):
        made = scan.quantify(q2tips=choice)
        expected = 0.01 * kinetics.pulsed(time, 0.7, 0.98, 1.65, 0.9)
        assert load(made, "cbf")[inside(made)] == pytest.approx(expected, rel=1e-4)
        assert tables.read_json(made["sidecar"])["Constants"]["post_labeling_delay"]["Value"] == time


def test_each_pair_by_its_own_control(tmp_path):
    # Controls of 1000 and 500 with differences of one percent each: the quotient of means would be the same, that of
    # differing shares would not.
    volumes = [1000, 990, 500, 490]
    change = {"volume_types": ["control", "label"] * 2, "m0_type": "Absent", "m0_of_pair": True}
    scan = files(tmp_path, volumes, **change)
    made = scan.quantify()
    assert load(made, "cbf")[inside(made)] == pytest.approx(FACTOR * (0.01 + 0.02) / 2, rel=1e-4)
    assert "each pair" in tables.read_json(made["sidecar"])["M0"]["Source"]


# Fewer than those of which one so far from the others is left out by itself.
PAIRS = far_off.LEAST - 1


def spiked(folder, size, noise=1.0):
    """Twelve pairs of 60 and 20 mL/100 g/min, one of them with a spike."""
    rng = np.random.default_rng(3)
    grey = (np.indices(ASL.shape) // 4).sum(axis=0) % 2 == 0
    truth = np.where(grey, 60.0, 20.0)
    volumes = [np.full(ASL.shape, 1000.0)]
    for number in range(PAIRS):
        spike = size * np.sin(POINTS[..., 1] / 6) + size if number == 4 else 0
        volumes += [
            1000 + rng.normal(0, noise, ASL.shape),
            1000 - 1000 * truth / FACTOR - spike + rng.normal(0, noise, ASL.shape),
        ]
    scan = files(folder, volumes, volume_types=["m0scan"] + ["control", "label"] * PAIRS)
    # Tissue maps on the T1w grid, sampled where the scan's voxels lie.
    for name, share in (("gm", grey), ("wm", ~grey), ("csf", np.zeros(ASL.shape)), ("mask", np.ones(ASL.shape))):
        images.save(scan.path(name), share.astype(np.float32), ASL.affine)
    transforms.write_affines(scan.path("coregistration", ".txt"), np.eye(4))
    return scan, grey


@pytest.mark.parametrize("average", ["mean", "robust"])
def test_a_spike_is_found_left_out_and_told(tmp_path, average):
    scan, grey = spiked(tmp_path, 60.0)
    rules = ["score"] if average == "mean" else []
    spoilt = load(scan.quantify(outliers={"rules": []}), "cbf")[grey].mean()
    made = scan.quantify(outliers={"rules": rules, "average": average})
    assert spoilt > 1.2 * 60
    assert load(made, "cbf")[grey].mean() == pytest.approx(60, rel=0.05)
    rows = tables.read_table(made["repeats"])
    if average == "mean":
        assert rows[4]["reason"].startswith("score: mean grey-matter CBF")
        record = tables.read_json(made["sidecar"])
        assert record["Outliers"]["Excluded"]["4"] == rows[4]["reason"]
        assert record["NumberOfRepeatsUsed"] == PAIRS - len(record["Outliers"]["Excluded"])
    else:
        weights = [float(row["weight"]) for row in rows]
        assert max(weights) <= 1
        assert weights[4] == min(weights) < 0.5


def moved(by):
    """A pose shifted by so many mm."""
    return transforms.rigid_matrix((0, by, 0), (0, 0, 0), (0, 0, 0))


def displacements(made, column="displacement"):
    """A column of the table of repeats."""
    return [np.nan if row[column] is None else float(row[column]) for row in tables.read_table(made["repeats"])]


@pytest.mark.parametrize("first", ["control", "label"])
def test_pairs_that_moved_as_a_whole_are_kept_and_told(tmp_path, first):
    second = {"control": "label", "label": "control"}[first]
    poses = [by for pair in range(10) for by in 2 * [5.0 * (pair % 2)]]
    motion = [np.eye(4), *map(moved, poses)]
    scan = Files(tmp_path, motion=motion, acquisition={"volume_types": ["m0scan"] + [first, second] * 10})
    made = scan.quantify(outliers={"rules": ["motion"]})
    assert displacements(made) == pytest.approx(np.zeros(10), abs=1e-6)
    assert displacements(made, "displacement_before") == pytest.approx([np.nan] + [5] * 9, abs=1e-6, nan_ok=True)
    assert tables.read_json(made["sidecar"])["NumberOfRepeatsPassed"] == 10
    # Every other label elsewhere than its control: those pairs go, and no others.
    motion = [np.eye(4), *(moved(5.0 * (number % 4 == 3)) for number in range(20))]
    made = Files(tmp_path, motion=motion, acquisition=scan.acquisition).quantify(outliers={"rules": ["motion"]})
    assert displacements(made) == pytest.approx([0, 5] * 5, abs=1e-6)
    assert [row["passed"] for row in tables.read_table(made["repeats"])] == ["true", "false"] * 5


def test_displacement_counts_every_label_that_a_difference_is_made_of(tmp_path):
    motion = [np.eye(4), *(moved(by) for by in (0, 0, 3, 3, 3, 3, 3, 3))]
    scan = Files(tmp_path, motion=motion, acquisition={"volume_types": ["m0scan"] + ["control", "label"] * 4})
    assert displacements(scan.quantify()) == pytest.approx([0, 0, 0, 0], abs=1e-6)
    # The second control has the mean of the labels before and after it taken away, of which the former lay elsewhere.
    assert displacements(scan.quantify(subtraction="surround")) == pytest.approx([0, 1.5, 0, 0], abs=1e-6)


def test_a_label_without_measurement_costs_its_own_pair_alone(tmp_path):
    motion = [np.eye(4), np.eye(4), np.eye(4), *[moved(4.0)] * 4]
    types = ["m0scan"] + ["control", "label"] * 3
    scan = Files(tmp_path, motion=motion, acquisition={"volume_types": types})
    data, affine = images.load(scan.path("asl"))
    data[..., 4] = 0
    images.save(scan.path("asl"), data, affine)
    made = scan.quantify(outliers={"rules": ["motion"]})
    assert displacements(made) == pytest.approx([0, np.nan, 0], abs=1e-6, nan_ok=True)
    # Of the volumes that hold a measurement the one before the third pair is the second control, in the same place.
    assert displacements(made, "displacement_before") == pytest.approx([np.nan, 4, 0], abs=1e-6, nan_ok=True)
    assert [row["passed"] for row in tables.read_table(made["repeats"])] == ["true", "false", "true"]


def test_a_difference_that_the_scanner_made_has_no_displacement(tmp_path):
    motion = [np.eye(4), np.eye(4), moved(4.0)]
    made = Files(tmp_path, motion=motion, acquisition={"volume_types": ["m0scan", "deltam", "deltam"]}).quantify()
    assert np.isnan([*displacements(made), *displacements(made, "displacement_before")]).all()


def test_motion_in_a_pair_is_told_and_left_out(tmp_path):
    motion = [np.eye(4)] * 5
    motion[3] = moved(2.0)
    scan = Files(tmp_path, motion=motion, acquisition={"volume_types": ["m0scan"] + ["control", "label"] * 2})
    rows = tables.read_table(scan.quantify(outliers={"rules": ["motion"]})["repeats"])
    assert [float(row["displacement"]) for row in rows] == pytest.approx([0, 2], abs=1e-6)
    assert [(row["passed"], row["excluded"]) for row in rows] == [("true", "false"), ("false", "true")]
    scan = Files(
        tmp_path,
        motion=[*motion, np.eye(4), np.eye(4)],
        acquisition={"volume_types": ["m0scan"] + ["control", "label"] * 3},
    )
    made = scan.quantify(outliers={"rules": ["motion"]})
    record = tables.read_json(made["sidecar"])
    assert list(record["Outliers"]["Excluded"]) == ["1"]
    assert record["MeanOf"] == "the 2 of 3 repeats that pass"


def test_a_scan_of_which_no_pair_passes_is_quantified_and_says_so(tmp_path):
    motion = [np.eye(4), *(moved(2.0 * k) for k in range(4))]
    scan = Files(tmp_path, motion=motion, acquisition={"volume_types": ["m0scan"] + ["control", "label"] * 2})
    made = scan.quantify(outliers={"rules": ["motion"]})
    record = tables.read_json(made["sidecar"])
    assert record["MeanOf"] == "2 of 2 repeats, none of which passes"
    assert (record["NumberOfRepeatsPassed"], record["NumberOfRepeatsUsed"]) == (0, 2)
    rows = tables.read_table(made["repeats"])
    assert {row["passed"] for row in rows} == {row["excluded"] for row in rows} == {"false"}
    assert all(row["reason"].startswith("motion: displacement") for row in rows)
    assert (load(made, "cbf")[inside(made)] > 0).all()


def test_partial_volume_correction_parts_grey_from_white(tmp_path):
    grey = np.clip(0.5 + POINTS[..., 0] / 80 + 0.2 * np.sin(POINTS[..., 1] / 5), 0, 1)
    cbf = 60 * grey + 20 * (1 - grey)
    scan = files(tmp_path, [1000, 1000, 1000 - 1000 * cbf / FACTOR], volume_types=["m0scan", "control", "label"])
    for name, share in (("gm", grey), ("wm", 1 - grey), ("csf", 0 * grey), ("mask", np.ones(ASL.shape))):
        images.save(scan.path(name), share.astype(np.float32), ASL.affine)
    transforms.write_affines(scan.path("coregistration", ".txt"), np.eye(4))
    made = scan.quantify(partial_volume={"use": True})
    own, shares = load(made, "gm_cbf"), load(made, "gm")
    # Shares on the scan's grid are averages over its voxels, so the corners of the sine are not exact.
    assert own[shares > 0.5] == pytest.approx(60, abs=1)
    assert load(made, "wm_cbf")[load(made, "wm") > 0.5] == pytest.approx(20, abs=1)
    assert np.isnan(own[shares < 0.05]).all()
    found = load(made, "smooth")[load(made, "coverage") > 0]
    assert found == pytest.approx(60, abs=1)


@pytest.mark.parametrize(("units", "factor"), [("mL/100 g/min", 1), ("mL/g/min", 100), (None, 1)])
def test_a_scanners_cbf_comes_in_standard_units(tmp_path, units, factor):
    scan = files(
        tmp_path, [45 / factor] * 2, volume_types=["cbf", "cbf"], m0_type=None, labeling_type=None, units=units
    )
    made = scan.quantify()
    assert load(made, "cbf")[inside(made)] == pytest.approx(45, rel=1e-5)


@pytest.mark.parametrize(
    ("volumes", "types", "change", "field"),
    [
        ([0.45] * 2, ["cbf"] * 2, {"labeling_type": None, "m0_type": None, "units": None}, "Units"),
        ([0.45] * 2, ["cbf"] * 2, {"labeling_type": None, "m0_type": None, "units": "percent"}, "Units"),
    ],
)
def test_implausible_units_are_refused_and_nothing_is_written(tmp_path, volumes, types, change, field):
    scan = files(tmp_path, volumes, volume_types=types, **change)
    with pytest.raises(InputError) as error:
        scan.quantify()
    assert error.value.field == field
    assert not list(tmp_path.glob("out_*"))


def test_m0_of_another_scale_is_computed_and_measured(tmp_path):
    # M0 a thirty-second of the series' scale, as one manufacturer's gains have it.
    scan = files(tmp_path, [1000 / 32, 1000, 990], volume_types=["m0scan", "control", "label"])
    found = tables.read_json(scan.quantify()["sidecar"])["Consistency"]
    assert found["GreyMatterMedian"] == pytest.approx(0.32 * FACTOR, rel=1e-3)
    assert found["M0OverControl"] == pytest.approx(1 / 32, rel=1e-4)


def test_a_gain_of_the_series_over_m0_is_configured(tmp_path):
    scan = files(tmp_path, [1000 / 32, 1000, 993], volume_types=["m0scan", "control", "label"])
    made = scan.quantify(m0={"scale": 32, "t1_recovery": False, "smoothing_fwhm": 0})
    assert load(made, "cbf")[inside(made)] == pytest.approx(0.007 * FACTOR, rel=1e-4)


@pytest.mark.parametrize("method", ["surround", "sinc"])
def test_other_subtractions_see_the_same_perfusion(tmp_path, method):
    scan = files(tmp_path, [1000] + [1000, 993] * 8, volume_types=["m0scan"] + ["control", "label"] * 8)
    made = scan.quantify(subtraction=method)
    assert load(made, "cbf")[inside(made)] == pytest.approx(0.007 * FACTOR, rel=1e-4)


def test_more_than_a_hundred_pairs(tmp_path):
    rng = np.random.default_rng(0)
    volumes = [1000.0] + [1000 + rng.normal() - 7 * (i % 2) for i in range(202)]
    scan = files(tmp_path, volumes, volume_types=["m0scan"] + ["control", "label"] * 101)
    made = scan.quantify(outliers={"rules": ["score"], "average": "scrub"})
    assert load(made, "cbf")[inside(made)] == pytest.approx(0.007 * FACTOR, rel=0.1)
