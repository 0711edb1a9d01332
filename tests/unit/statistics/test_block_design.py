"""The model of a run in which conditions alternate: its response, its columns, and what drift costs it."""

import numpy as np
import pytest
from pharmasl.statistics import block_design
from scipy import stats

TIMES = 4.0 * np.arange(200) + 3.6
SIGN = np.where(np.arange(200) % 2, -0.5, 0.5)


def alternating(duration, number):
    """Blocks of two conditions, one after the other."""
    onsets = 20 + duration * np.arange(2 * number)
    return {
        name: np.stack([onsets[k::2], np.full(number, float(duration))], axis=1) for k, name in enumerate(("a", "b"))
    }


@pytest.mark.parametrize("delay", [2.0, 6.0, 19.5])
def test_response_is_the_difference_of_a_gamma_distribution(delay):
    blocks = alternating(30, 5)["a"]
    law = stats.gamma(block_design.SHAPE, scale=delay / block_design.SHAPE)
    exact = sum(law.cdf(TIMES - onset) - law.cdf(TIMES - onset - duration) for onset, duration in blocks)
    assert law.mean() == pytest.approx(delay)
    np.testing.assert_allclose(block_design.response(TIMES, blocks, delay), exact, rtol=0, atol=1e-14)


def test_response_without_delay_is_the_block():
    blocks = np.array([[3.6, 8.0]])
    np.testing.assert_array_equal(block_design.response(TIMES, blocks, 0.0)[:4], [1, 1, 0, 0])


def test_cutoff_is_longer_than_the_cycle():
    assert block_design.drift_cutoff(alternating(20, 8)) == block_design.LEAST_CUTOFF
    assert block_design.drift_cutoff(alternating(100, 3)) == 2.5 * 200


def test_columns_give_back_what_a_series_is_made_of():
    """Perfusion 10, of which a adds 2 and b 1; BOLD 5 and 3; drift and a constant."""
    blocks = alternating(50, 5)
    model = block_design.design(SIGN, TIMES, blocks, delay=6.0, cutoff=block_design.drift_cutoff(blocks))
    a, b = (block_design.response(TIMES, blocks[name], 6.0) for name in "ab")
    series = 1000 + SIGN * (10 + 2 * a + 1 * b) + 5 * a + 3 * b + 7 * model.matrix[:, model.names.index("drift 1")]
    found = np.linalg.lstsq(model.matrix, series, rcond=None)[0]
    assert model.of_conditions({"a": 1}) @ found == pytest.approx(12, abs=1e-8)
    assert model.of_conditions({"b": 1}) @ found == pytest.approx(11, abs=1e-8)
    assert model.of_conditions({"a": 1, "b": -1}) @ found == pytest.approx(1, abs=1e-8)


def test_drift_costs_short_cycles_little_and_long_blocks_much():
    """The inflation is the ratio of two least-squares variances, with and without the columns of drift."""
    short, long = alternating(60, 6), alternating(390, 1)
    for blocks, least, most in ((short, 1, 1.05), (long, 2, np.inf)):
        model = block_design.design(SIGN, TIMES, blocks, delay=6.0, cutoff=block_design.drift_cutoff(blocks))
        weights = model.of_conditions({"a": 1, "b": -1})
        assert least <= model.inflation(weights) <= most
        kept = [k for k, name in enumerate(model.names) if "drift" not in name]
        with_drift = weights @ np.linalg.inv(model.matrix.T @ model.matrix) @ weights
        part, own = model.matrix[:, kept], weights[kept]
        without = own @ np.linalg.inv(part.T @ part) @ own
        assert model.inflation(weights) == pytest.approx(with_drift / without, rel=1e-6)


def test_what_no_volume_shows_is_not_determined():
    blocks = {"a": np.array([[20.0, 60.0]]), "b": np.array([[5000.0, 60.0]])}
    model = block_design.design(SIGN, TIMES, blocks, delay=6.0, cutoff=128.0)
    assert np.isinf(model.variance(model.of_conditions({"b": 1})))
    assert np.isfinite(model.variance(model.of_conditions({"a": 1})))
