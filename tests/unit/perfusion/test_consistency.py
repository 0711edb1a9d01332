"""What controls, M0 and CBF say about one another, against planted factors; and repeats that are far off."""

import math

import numpy as np
import pytest
from pharmasl.files import tables
from pharmasl.perfusion import artefacts, consistency, far_off, repeat_measures, signal, volumes
from pharmasl.perfusion import timing as parameters
from pharmasl.space import images, transforms
from pharmasl.study import scan_acquisition
from quantified import ASL, Files


def leveled(level, types=None, group=None):
    types = types or ["control", "label"] * (len(level) // 2)
    of = volumes.sort(types, "x", group, signal.Signal({}, np.array(level, dtype=float)))
    groups = np.zeros(len(level), dtype=int) if group is None else np.asarray(group)
    return consistency.gain_step(of, groups[of.acquired[:, 0]])


@pytest.mark.parametrize("factor", [0.1, 0.5, 0.9, 1.0, 1.25, 3.0])
@pytest.mark.parametrize("place", [2, 5, 8])
def test_a_step_is_its_planted_factor_at_its_place(factor, place):
    pairs = np.where(np.arange(10) < place, 1.0, factor) * 200
    step, volume = leveled(np.repeat(pairs, 2))
    assert step == pytest.approx(max(factor, 1 / factor))
    assert volume == (None if factor == 1 else 2 * place)


def test_drift_spikes_and_delays_are_no_step():
    drift = np.linspace(1, 1.5, 40)
    assert leveled(drift)[0] < 1.03
    spike = np.ones(40)
    spike[20:22] = 3
    assert leveled(spike)[0] == pytest.approx(1)
    group = np.tile([0, 0, 1, 1, 2, 2], 5)
    static = np.array([5.0, 2.0, 1.0])[group]
    assert leveled(static, group=group)[0] == pytest.approx(1)
    static[12:] *= 2
    assert leveled(static, group=group)[0] == pytest.approx(2)
    rng = np.random.default_rng(0)
    assert max(leveled(np.exp(rng.normal(0, 0.02, 60)))[0] for _ in range(300)) < 1.08


def test_few_pairs_and_other_series():
    assert leveled([1, 1, 2, 2, 2, 2]) == (pytest.approx(2), 2)
    assert math.isnan(leveled([1, 1])[0])
    assert math.isnan(leveled([1, 1, 1], types=["deltam"] * 3)[0])
    # A lost pair has no level.
    assert leveled([1, 1, np.nan, 1, 1, 1, 1, 1, 1, 1])[0] == pytest.approx(1)


def test_the_least_quotient_follows_from_recovery():
    assert consistency.least_m0(True, 2.0, 1.6) == 1.2
    assert consistency.least_m0(False, 2.0, 1.6) == pytest.approx(0.8 * (1 - math.exp(-1.25)))
    assert consistency.least_m0(False, None, 1.6) == consistency.least_m0(None, None, None) == pytest.approx(0.48)


def record(files, **settings):
    return tables.read_json(files.quantify(**settings)["sidecar"])["Consistency"]


def test_m0_over_control_is_the_planted_quotient(tmp_path):
    files = Files(tmp_path, acquisition={"background_suppression": True})
    data, affine = images.load(files.path("asl"))
    data[..., 0] *= 4
    images.save(files.path("asl"), data, affine)
    found = record(files)
    assert found["M0OverControl"] == pytest.approx(4, rel=1e-5)
    assert (found["M0OverControlLeast"], found["BackgroundSuppression"]) == (1.2, True)
    assert found["M0Spread"] == 1
    assert found["ZeroShare"] == 0
    assert found["GainStep"] == pytest.approx(1, abs=1e-4)
    assert record(files, m0={"scale": 0.5, "t1_recovery": False, "smoothing_fwhm": 0.0})[
        "M0OverControl"
    ] == pytest.approx(2, rel=1e-5)
    # A suppressed control that is called M0.
    data[..., 0] /= 4
    images.save(files.path("asl"), data, affine)
    assert record(files)["M0OverControl"] == pytest.approx(1, rel=1e-5)


def test_of_several_delays_the_brightest_controls_count():
    values = np.tile(np.array([300.0, 0, 100, 0, 310, 0, 90, 0]), (5, 1))
    control, group = np.array([0, 2, 4, 6]), np.array([0, 1, 0, 1])
    assert consistency.brightest(values, control, group) == pytest.approx(np.full(5, 305))


def test_m0_of_its_own_grid_and_of_a_number(tmp_path):
    images.save(
        tmp_path / "m0.nii.gz",
        np.stack([np.full((20, 20, 20), v) + np.arange(20) * 1e-3 for v in (2000.0, 500)], 3),
        np.diag([8.0, 8, 8, 1]) - np.pad(np.full((3, 1), 80.0), ((0, 1), (3, 0))),
    )
    change = {"volume_types": ["control", "label"] * 3, "m0_type": "Separate"}
    files = Files(tmp_path, acquisition=change, m0=[tmp_path / "m0.nii.gz"])
    transforms.write_affines(files.path("m0_motion", ".txt"), [np.eye(4)] * 2)
    found = record(files)
    assert found["M0OverControl"] == pytest.approx(1.25, rel=1e-4)
    assert found["M0Spread"] == pytest.approx(4, rel=1e-3)
    files = Files(tmp_path, acquisition={**change, "m0_type": "Estimate", "m0_estimate": 3000.0})
    found = record(files)
    assert found["M0OverControl"] == pytest.approx(3, rel=1e-5)
    assert found["M0Spread"] is None


@pytest.mark.parametrize("types", [["m0scan", "deltam", "deltam"], ["control", "label"]])
def test_where_there_is_nothing_to_compare_nothing_is_told(tmp_path, types):
    kind = "Included" if "m0scan" in types else "Absent"
    found = record(Files(tmp_path, acquisition={"volume_types": types, "m0_type": kind}))
    assert found["M0OverControl"] is None
    assert found["GainStep"] is None


def choice(values):
    rows = [{"repeat": n, "gm_cbf": v, "excluded": False, "reason": ""} for n, v in enumerate(values)]
    away = repeat_measures.deviation(np.array(values), np.isfinite(values))
    rows = [{**row, "gm_deviation": float(each)} for row, each in zip(rows, away)]
    return artefacts.Choice(np.ones(len(rows), dtype=bool), [""] * len(rows), rows, [])


def test_a_repeat_tens_of_deviations_away_is_left_out_and_told():
    values = [50.0, 52, 48, 51, 49, 50, 53, 47, 745]
    found = far_off.without_far_off(choice(values))
    assert found.kept.tolist() == [True] * 8 + [False]
    # The median is 50, the median absolute deviation 2.
    assert found.reasons[8].startswith("far off: grey-matter CBF 745.0 mL/100 g/min is 235 robust standard deviations")
    assert found.rows[8]["excluded"]
    assert far_off.without_far_off(choice(values[:8])).kept.all()
    assert far_off.without_far_off(choice(values[-5:])).kept.all()
    assert far_off.without_far_off(choice([50.0 + k for k in range(8)] + [54 + 2 / 0.675 * 19])).kept.all()


def test_a_repeat_that_reaches_no_grey_matter_stays_with_the_rules():
    assert far_off.without_far_off(choice([50.0, 51, 49, 50, 52, 48, 50, 51, np.nan])).kept.all()


def test_the_workflow_leaves_out_a_pair_of_another_scale_by_itself(tmp_path):
    files = Files(tmp_path, acquisition={"volume_types": ["m0scan", *["control", "label"] * 10]})
    data, affine = images.load(files.path("asl"))
    rng = np.random.default_rng(0)
    data[..., 1:] += rng.normal(0, 0.5, (*ASL.shape, 20)).astype(np.float32)
    expected = images.load(files.quantify(outliers={"rules": []})["cbf"])[0]
    data[..., 7] += 200
    images.save(files.path("asl"), data, affine)
    made = files.quantify(outliers={"rules": []})
    rows = tables.read_table(made["repeats"])
    assert [row["excluded"] for row in rows] == ["false"] * 3 + ["true"] + ["false"] * 6
    assert rows[3]["reason"].startswith("far off")
    assert images.load(made["cbf"])[0] == pytest.approx(expected, abs=15)
    assert np.median((images.load(made["cbf"])[0] - expected)[expected > 0]) == pytest.approx(0, abs=1)


def timing(delay, duration, offset=(0.0,)):
    arrays = (np.asarray(values, dtype=float) for values in (delay, duration, offset))
    return parameters.Timing(np.zeros(2, dtype=int), *arrays)


@pytest.mark.parametrize(
    ("times", "pulsed", "expected"),
    [
        (timing([1.8], [1.8]), False, 1.8),
        (timing([0.2], [1.8], [0.0, 0.04, 0.08]), False, 0.24),
        (timing([0.25, 1.5], [1.4, 1.4]), False, 1.5),
        (timing([2.0], [0.8]), True, 1.2),
        (timing([1.8], [np.inf]), True, 1.8),
        # QUIPSS: what arrives after TI1 counts, TI2 - TI1 of the bolus.
        (timing([1.4], [0.7]), True, 0.7),
    ],
)
def test_the_effective_delay_is_what_the_last_blood_had(times, pulsed, expected):
    assert consistency.effective_delay(times, pulsed=pulsed) == pytest.approx(expected)


def test_half_of_the_mean_transit_is_the_least():
    assert (consistency.least_delay(pulsed=False), consistency.least_delay(pulsed=True)) == (0.65, 0.35)


def test_a_bolus_that_nothing_cuts_off_leaves_the_whole_inversion_time():
    uncut = {"volume_types": ["control", "label"], "labeling_type": "PASL", "post_labeling_delay": 1.8}
    several = {**uncut, "volume_types": ["control", "label"] * 2, "post_labeling_delay": [0.9, 0.9, 1.8, 1.8]}
    for acquired in (uncut, several):
        times = parameters.timing(scan_acquisition.build(acquired), "x", (4, 4, 5))
        assert consistency.effective_delay(times, pulsed=True) == pytest.approx(1.8)
