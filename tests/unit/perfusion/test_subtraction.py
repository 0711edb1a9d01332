import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import subtraction, volumes

ALTERNATING = ["m0scan", *["control", "label"] * 6]


def repeats(types, method, group=None):
    of = volumes.sort(types, "x")
    return subtraction.differences(of, method, group or [0] * len(types), "x")


@pytest.mark.parametrize("method", subtraction.METHODS)
@pytest.mark.parametrize("types", [ALTERNATING, ["label", "control"] * 5], ids=["control first", "label first"])
def test_static_tissue_cancels_and_perfusion_stays(method, types):
    found = repeats(types, method)
    static = np.full(len(types), 1000.0)
    label = np.array([kind == "label" for kind in types])
    assert found.weights @ static == pytest.approx(0, abs=1e-9)
    assert found.weights @ (static - 7 * label) == pytest.approx(7, abs=1e-9)


def test_pairwise_is_control_minus_its_label():
    found = repeats(["label", "control", "control", "label"], "pairwise")
    assert found.weights.tolist() == [[-1, 1, 0, 0], [0, 0, 1, -1]]


def test_surround_removes_a_linear_drift_that_pairwise_mistakes_for_perfusion():
    drift = np.arange(13.0)
    assert repeats(ALTERNATING, "pairwise").weights @ drift == pytest.approx(-1)
    # The first control has no label before it.
    assert (repeats(ALTERNATING, "surround").weights @ drift)[1:] == pytest.approx(0, abs=1e-12)


def test_sinc_interpolates_a_slow_wave_better_than_surround_and_pairwise():
    types = ["control", "label"] * 40
    time = np.arange(80)
    wave = np.sin(2 * np.pi * time / 14)
    inner = slice(5, -5)
    left = {m: np.abs(repeats(types, m).weights @ wave)[inner].max() for m in subtraction.METHODS}
    assert left["sinc"] < 0.25 * left["surround"] < 0.25 * left["pairwise"]


def test_sinc_needs_an_even_series():
    with pytest.raises(InputError, match="evenly spaced"):
        repeats(["control", "label", "label", "control", "control", "label"], "sinc")


def test_neighbours_are_of_the_same_delay():
    types, group = ["control", "label"] * 4, [0, 0, 1, 1, 0, 0, 1, 1]
    found = repeats(types, "surround", group)
    assert found.group.tolist() == [0, 1, 0, 1]
    for row, number in zip(found.weights, found.group):
        assert not row[np.array(group) != number].any()


@pytest.mark.parametrize("method", subtraction.METHODS)
def test_the_standard_error_is_that_of_repeated_series(method):
    rng = np.random.default_rng(1)
    found = repeats(["control", "label"] * 12, method)
    each = found.weights @ rng.normal(0, 1, (24, 40000))
    variance = each.var(axis=0, ddof=1) / 12 * subtraction.shared_noise(found.weights)
    # Monte Carlo over 40,000 series: the standard deviation of a mean is known to 0.4 %.
    assert np.sqrt(variance.mean()) == pytest.approx(each.mean(axis=0).std(), rel=0.015)
    if method == "pairwise":
        assert subtraction.shared_noise(found.weights) == pytest.approx(1, rel=1e-12)


def test_a_series_of_differences_is_taken_as_it_is():
    found = repeats(["m0scan", "deltam", "deltam"], "surround")
    assert found.weights.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert found.pairs.tolist() == [[1, -1], [2, -1]]
