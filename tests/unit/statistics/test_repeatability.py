"""Repeatability against R's psych, irr, SimplyAgree and quantiles, published values, closed forms, and the cover of its intervals."""

import json
from pathlib import Path

import numpy as np
import pytest
from pharmasl.statistics.repeatability import repeatability

REFERENCE = json.loads((Path(__file__).parents[1] / "reference/repeatability.json").read_text())
AGREEMENT = json.loads((Path(__file__).parents[1] / "reference/agreement.json").read_text())


def triple(interval):
    return [interval.estimate, interval.low, interval.high]


@pytest.mark.parametrize("name", ["shrout", "two"])
def test_intraclass_correlations_are_those_of_psych(name):
    reference = REFERENCE[name]
    repeated = repeatability(np.array(reference["values"]))
    # Its interval of ICC(2,1) is McGraw and Wong's, this project's another.
    assert repeated.agreement_icc.estimate == pytest.approx(reference["icc2"][0], abs=1e-6)
    assert triple(repeated.consistency) == pytest.approx(reference["icc3"], abs=1e-6)


def test_shrout_and_fleiss_published_values():
    repeated = repeatability(np.array(REFERENCE["shrout"]["values"]))
    assert round(float(repeated.agreement_icc.estimate), 2) == 0.29
    assert round(float(repeated.consistency.estimate), 2) == 0.71
    assert repeated.agreement is None


@pytest.mark.parametrize("name", AGREEMENT)
def test_intraclass_correlations_are_those_of_irr(name):
    reference = AGREEMENT[name]
    repeated = repeatability(np.array(reference["values"]))
    assert triple(repeated.consistency) == pytest.approx(reference["consistency"], abs=1e-6)
    # Its interval of agreement is McGraw and Wong's.
    assert repeated.agreement_icc.estimate == pytest.approx(reference["agreement"][0], abs=1e-6)


@pytest.mark.parametrize("name", ["wright", "mini", "meters", "weir"])
def test_bias_and_limits_are_those_of_simplyagree(name):
    reference = AGREEMENT[name]
    agreement = repeatability(np.array(reference["values"])).agreement
    assert triple(agreement.bias) == pytest.approx(reference["bias"], abs=1e-6)
    # Its limits take the normal quantile, these 1.96, as Bland and Altman do; its limits' intervals are their approximation, with equal
    # distances to both sides, which exact ones have more of outwards and less inwards.
    for own, its in ((agreement.lower, reference["lower"]), (agreement.upper, reference["upper"])):
        distance = (its[0] - reference["bias"][0]) / 1.959963984540054
        assert (own.estimate - agreement.bias.estimate) / 1.96 == pytest.approx(distance, abs=1e-6)
        inner, outer = sorted([own.high - own.estimate, own.estimate - own.low])
        assert inner < (its[2] - its[1]) / 2 < outer


def test_values_that_bland_and_altman_and_weir_published():
    # Lancet 1986: two meters of peak flow. They print limits of two standard deviations.
    meters = repeatability(np.array(AGREEMENT["meters"]["values"])[:, ::-1])
    bias, spread = meters.agreement.bias, (meters.agreement.upper.estimate - meters.agreement.bias.estimate) / 1.96
    assert [round(float(value), 1) for value in triple(bias)] == [-2.1, -22.0, 17.8]
    assert round(float(spread), 1) == 38.8
    # 2005, page 236: the standard error of measurement of data set A.
    weir = repeatability(np.array(AGREEMENT["weir"]["values"]))
    assert round(float(weir.within_sd.estimate), 1) == 7.6


def test_values_that_simplyagree_prints_of_shrout_and_fleiss():
    # Its vignette "Reliability Analysis" (2022). What it heads "95 % C.I." of ICC(3,1) leaves 5 % out at each end.
    repeated = repeatability(np.array(AGREEMENT["shrout"]["values"]), level=0.9)
    assert round(float(repeated.within_sd.estimate), 2) == 1.01
    assert round(float(repeated.agreement_icc.estimate), 4) == 0.2898
    assert [round(float(value), 4) for value in triple(repeated.consistency)] == [0.7148, 0.4118, 0.9258]


def test_within_person_spread_bias_and_limits_are_those_of_r():
    reference = REFERENCE["two"]
    repeated = repeatability(np.array(reference["values"]))
    assert triple(repeated.within_sd) == pytest.approx(reference["within_sd"], rel=1e-9)
    assert triple(repeated.within_cv) == pytest.approx(reference["within_cv"], rel=1e-9)
    assert triple(repeated.agreement.bias) == pytest.approx(reference["bias"], rel=1e-9)
    assert triple(repeated.agreement.upper) == pytest.approx(reference["upper"], rel=1e-6)
    assert triple(repeated.agreement.lower) == pytest.approx(reference["lower"], rel=1e-6)
    assert triple(repeated.detectable_change) == pytest.approx([1.96 * 2**0.5 * v for v in reference["within_sd"]])


def test_of_two_sessions_the_within_person_spread_is_that_of_changes():
    values = np.random.default_rng(1).normal(50, 9, (12, 2))
    spread = np.std(values[:, 1] - values[:, 0], ddof=1) / np.sqrt(2)
    assert repeatability(values).within_sd.estimate == pytest.approx(spread, rel=1e-12)


def test_a_shift_of_all_people_is_no_lack_of_repeatability_but_of_agreement():
    values = np.random.default_rng(2).normal(50, 9, (12, 1)) + np.random.default_rng(3).normal(0, 4, (12, 3))
    shifted = values + np.array([0, 5, 10])
    one, other = repeatability(values), repeatability(shifted)
    assert triple(other.within_sd) == pytest.approx(triple(one.within_sd), rel=1e-9)
    assert triple(other.consistency) == pytest.approx(triple(one.consistency), rel=1e-9)
    assert other.agreement_icc.estimate < one.agreement_icc.estimate


def test_a_map_is_each_of_its_voxels():
    values = np.random.default_rng(4).normal(20, 9, (7, 2, 3, 4))
    values[:, :, 0, 0] += 60
    whole = repeatability(values)
    for place in np.ndindex(3, 4):
        one = repeatability(values[(slice(None), slice(None), *place)])
        for name in ("within_sd", "within_cv", "consistency", "agreement_icc"):
            for part in ("estimate", "low", "high"):
                left, right = getattr(getattr(whole, name), part)[place], getattr(getattr(one, name), part)
                np.testing.assert_allclose(left, right, rtol=1e-9)
        np.testing.assert_allclose(whole.agreement.upper.high[place], one.agreement.upper.high, rtol=1e-9)


def test_a_value_of_zero_or_less_has_no_coefficient_of_variation():
    values = np.random.default_rng(5).normal(1, 3, (9, 2))
    assert (values <= 0).any()
    repeated = repeatability(values)
    assert np.isnan(triple(repeated.within_cv)).all()
    assert np.isfinite(triple(repeated.within_sd)).all()


def test_equal_sessions_and_equal_values():
    people = np.arange(5.0)[:, np.newaxis] + 1
    same = repeatability(np.hstack([people, people]))
    assert same.within_sd.estimate == 0
    assert triple(same.consistency) == [1, 1, 1]
    nothing = repeatability(np.ones((5, 2)))
    assert np.isnan(nothing.consistency.estimate)
    assert np.isnan(nothing.agreement_icc.estimate)


def test_a_missing_value_is_missing_in_what_it_is_part_of():
    values = np.random.default_rng(6).normal(50, 9, (9, 2, 2))
    values[3, 1, 0] = np.nan
    repeated = repeatability(values)
    assert np.isnan(triple(repeated.within_sd)).tolist() == [[True, False]] * 3


@pytest.mark.parametrize("shape", [(2, 2), (5, 1)])
def test_too_few(shape):
    with pytest.raises(ValueError, match="three people and two sessions"):
        repeatability(np.ones(shape))


def covered(interval, truth):
    return np.mean((interval.low <= truth) & (truth <= interval.high))


@pytest.mark.parametrize("people", [6, 22, 43])
@pytest.mark.parametrize("correlation", [0.1, 0.7])
def test_intervals_cover_the_truth(people, correlation):
    rng = np.random.default_rng(people)
    within, between, draws = 7.0, 7.0 * np.sqrt(correlation / (1 - correlation)), 10_000
    person = between * rng.standard_normal((people, 1, draws))
    repeated = repeatability(500 + person + within * rng.standard_normal((people, 2, draws)))
    limit = 1.96 * np.sqrt(2) * within
    covers = [
        covered(repeated.within_sd, within),
        covered(repeated.consistency, correlation),
        covered(repeated.agreement.bias, 0),
        covered(repeated.agreement.upper, limit),
        covered(repeated.agreement.lower, -limit),
    ]
    # Exact intervals: five standard errors of a share of .95 of 10,000 draws are .011.
    assert covers == pytest.approx([0.95] * 5, abs=0.011)


# A shift of all people that is nothing, as in the benchmark, and as large as the within-person standard deviation.
@pytest.mark.parametrize("shift", [0.0, 3.0, 7.0])
@pytest.mark.parametrize("people", [6, 43])
@pytest.mark.parametrize("correlation", [0.1, 0.9])
def test_the_interval_of_agreement_covers_the_truth_whatever_the_shift(people, correlation, shift):
    rng = np.random.default_rng([people, round(shift)])
    within, draws = 7.0, 3000
    between = within * np.sqrt(correlation / (1 - correlation))
    person = between * rng.standard_normal((people, 1, draws))
    values = person + within * rng.standard_normal((people, 2, draws)) + np.array([0, shift])[:, np.newaxis]
    truth = between**2 / (between**2 + within**2 + shift**2 / 2)
    assert 0.93 <= covered(repeatability(values).agreement_icc, truth) <= 0.97


@pytest.mark.parametrize("sessions", [2, 3, 4])
def test_the_generalised_interval_has_the_quantiles_of_drawn_parts(sessions):
    rng, people, draws = np.random.default_rng(sessions), 12, 400_000
    values = rng.normal(50, 9, (people, 1)) + rng.normal(0, 5, (people, sessions)) + 4 * np.arange(sessions)
    own = repeatability(values).agreement_icc
    # Each draw is the truth that a study with these mean squares and these deviations would have come from.
    mean = values.mean(axis=0)
    left = values - mean - values.mean(axis=1, keepdims=True) + mean.mean()
    df = (people - 1) * (sessions - 1)
    residual = (left**2).sum() / rng.chisquare(df, draws)
    people_squares = sessions * ((values.mean(axis=1) - mean.mean()) ** 2).sum() / rng.chisquare(people - 1, draws)
    between = (people_squares - residual) / sessions
    noise = rng.standard_normal((sessions, draws)) * np.sqrt(residual / people)
    shifts = (mean - mean.mean())[:, np.newaxis] - (noise - noise.mean(axis=0))
    drawn = between / (between + residual + (shifts**2).sum(axis=0) / (sessions - 1))
    assert np.allclose([own.low, own.high], np.quantile(drawn, [0.025, 0.975]), atol=0.006)


@pytest.mark.parametrize("people", [6, 43])
def test_the_coefficient_of_variation_of_a_log_normal_value_is_covered(people):
    rng, deviation = np.random.default_rng(people), 0.15
    values = np.exp(4 + rng.normal(0, 0.2, (people, 1, 10_000)) + rng.normal(0, deviation, (people, 2, 10_000)))
    truth = np.sqrt(np.exp(deviation**2) - 1)
    assert covered(repeatability(values).within_cv, truth) == pytest.approx(0.95, abs=0.011)
