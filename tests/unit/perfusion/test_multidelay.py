"""The multi-delay fit against planted truth, a general minimiser, exhaustive search and Monte Carlo."""

import itertools

import kinetic_models
import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import kinetics
from scipy import optimize

CONSTANTS = {"labeling_efficiency": 0.85, "t1_blood": 1.65, "partition_coefficient": 0.9}
SIX = np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5])
TIMES = np.arange(1, 11) * 0.3
FORWARD = {"continuous": kinetic_models.continuous_difference, "pulsed": kinetic_models.pulsed_difference}
ARTERIAL = {"continuous": kinetic_models.continuous_arterial, "pulsed": kinetic_models.pulsed_arterial}


def column(values):
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


def tissue(kind, cbf, att, delays, bolus, t1_tissue=None):
    return FORWARD[kind](column(cbf), column(att), delays, bolus, **CONSTANTS, t1_tissue=t1_tissue)


def arteries(kind, abv, abat, delays, bolus):
    return ARTERIAL[kind](column(abv), column(abat), delays, bolus, **CONSTANTS)


SEVEN_DURATIONS = np.array([1.8, 1.8, 1.8, 1.4, 1.4, 0.9, 0.9])
SEVEN_DELAYS = np.array([0.3, 0.6, 0.9, 1.2, 1.5, 1.9, 2.3])
PROTOCOLS = {
    "six delays": ("continuous", SIX, 1.4, None),
    "tissue decay": ("continuous", SIX, 1.4, 1.3),
    "tissue decay slower than blood": ("continuous", SIX, 1.4, 1.9),
    "durations differ": ("continuous", SEVEN_DELAYS, SEVEN_DURATIONS, None),
    "two delays": ("continuous", np.array([0.5, 1.8]), 1.8, None),
    "short labelling, encoded": ("continuous", np.arange(7) * 0.35 + 0.3, 0.35, None),
    "pulsed": ("pulsed", TIMES, 0.7, None),
    "pulsed, tissue decay": ("pulsed", TIMES, 0.7, 1.3),
    "pulsed, nearly the T1 of blood": ("pulsed", TIMES, 0.7, 1.65 * (1 + 1e-10)),
    "FAIR without cut-off": ("pulsed", TIMES, np.inf, None),
    "FAIR without cut-off, tissue decay": ("pulsed", TIMES, np.inf, 1.3),
    "boluses differ": ("pulsed", TIMES, np.minimum(TIMES, np.linspace(0.4, 1.1, 10)), None),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_planted_truth_comes_back(name):
    kind, delays, bolus, t1 = PROTOCOLS[name]
    ends = delays + bolus if kind == "continuous" else delays
    starts = delays if kind == "continuous" else np.maximum(delays - bolus, 0)
    # What data can tell: some label still arrives, and two delays bear signal.
    low, high = starts.min(), np.sort(ends)[-2]
    truth = np.array(list(itertools.product((0.5, 12.0, 60.0, 140.0), np.linspace(low, min(high, 3), 40)[1:-1])))
    offsets = np.linspace(0, 0.6, len(truth))[::-1, None]
    for times in (delays, delays + offsets):
        y = tissue(kind, truth[:, 0], truth[:, 1], times, bolus, t1)
        # Slices read later see no more label, so that some lose what tells their ATT.
        first = (times if kind == "continuous" else times - bolus).min(axis=-1)
        told = truth[:, 1] > np.maximum(first, 0) + 1e-6
        found = kinetic_models.fit(y, times, kind=kind, bolus=bolus, t1_tissue=t1, **CONSTANTS)
        assert told.mean() > 0.3
        assert np.max(np.abs(found.cbf / truth[:, 0] - 1)[told]) < 1e-8
        assert np.max(np.abs(found.att - truth[:, 1])[told]) < 1e-8
        assert np.max(found.residual / np.abs(y).max(axis=1)) < 1e-12
        assert found.abv is None
        assert found.abat is None


def test_label_that_arrived_before_the_first_delay_tells_cbf_and_a_limit_of_att():
    y = tissue("continuous", [57.3, 20.0], [0.1, 0.2499], SIX, 1.4)
    found = kinetic_models.fit(y, SIX, kind="continuous", bolus=1.4, noise=np.full(2, 1e-3), **CONSTANTS)
    assert found.cbf == pytest.approx([57.3, 20.0], rel=1e-12)
    assert found.att.tolist() == [0.25, 0.25]
    assert np.isnan(found.att_error).all()
    # Six independent estimates by the consensus formula, weighted with their precision.
    factors = kinetics.continuous(SIX, 1.4, **CONSTANTS)
    assert found.cbf_error == pytest.approx(1e-3 / np.sqrt(np.sum(factors**-2.0)), rel=1e-12)


def noisy(kind, delays, bolus, t1, count, sd, seed=0):
    rng = np.random.default_rng(seed)
    y = tissue(kind, rng.uniform(-20, 90, count), rng.uniform(0.1, 2.6, count), delays, bolus, t1)
    return y + rng.normal(0, sd, y.shape)


def mean_square(model, y, weights):
    return np.sum(weights * (y - model) ** 2, axis=-1) / np.sum(weights, axis=-1)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_no_minimiser_finds_a_lower_cost(name):
    kind, delays, bolus, t1 = PROTOCOLS[name]
    rng = np.random.default_rng(1)
    count = 300
    times = delays + rng.uniform(0, 0.5, (count, 1))
    weights = rng.integers(1, 5, times.shape).astype(float)
    y = noisy(kind, times, bolus, t1, count, 1.5e-3)
    found = kinetic_models.fit(y, times, kind=kind, bolus=bolus, t1_tissue=t1, weights=weights, **CONSTANTS)
    positive = found.cbf > 0
    assert np.array_equal(np.isnan(found.att), ~positive)
    assert 0.05 < positive.mean() < 0.98
    # The residual reported is that of the model at the values reported.
    model = tissue(kind, found.cbf[positive], found.att[positive], times[positive], bolus, t1)
    cost = mean_square(model, y[positive], weights[positive])
    assert found.residual[positive] == pytest.approx(np.sqrt(cost), rel=1e-9, abs=1e-12)
    # Exhaustive search over ATT, CBF being linear.
    least = np.full(count, np.inf)
    for att in np.linspace(0, 3, 1501):
        g = tissue(kind, np.ones(count), np.full(count, att), times, bolus, t1)
        norm = np.sum(weights * g * g, axis=1)
        cbf = np.sum(weights * g * y, axis=1) / np.where(norm > 0, norm, 1)
        least = np.minimum(least, mean_square(cbf[:, None] * g, y, weights))
    cost = found.residual**2
    assert np.all(cost <= least * (1 + 1e-9) + 1e-22)
    for v in range(12):

        def left(x, v=v):
            return np.sqrt(weights[v]) * (y[v] - tissue(kind, x[0], x[1], times[v], bolus, t1)[0]) * 1e3

        for start in (0.4, 1.1, 1.9):
            other = optimize.least_squares(
                left, [40.0, start], bounds=([-np.inf, 0], [np.inf, 3]), x_scale=[50, 1], diff_step=1e-7
            )
            assert cost[v] <= 2 * other.cost / 1e6 / weights[v].sum() * (1 + 1e-9) + 1e-22


@pytest.mark.parametrize(("kind", "delays", "bolus"), [("continuous", SIX, 1.4), ("pulsed", TIMES, 0.7)])
def test_no_search_finds_a_lower_cost_with_label_in_arteries(kind, delays, bolus):
    count = 60
    rng = np.random.default_rng(2)
    times = delays + rng.uniform(0, 0.4, (count, 1))
    y = noisy(kind, times, bolus, None, count, 1e-3)
    y += arteries(kind, rng.uniform(0, 0.02, count), rng.uniform(0.1, 1.2, count), times, bolus)
    ones = np.ones_like(y)
    found = kinetic_models.fit(y, times, kind=kind, bolus=bolus, arterial=True, **CONSTANTS)
    alone = kinetic_models.fit(y, times, kind=kind, bolus=bolus, **CONSTANTS)
    assert np.all(found.residual <= alone.residual * (1 + 1e-12))
    assert np.all(found.abv >= 0)
    assert np.array_equal(np.isnan(found.abat), found.abv == 0)
    both = (found.cbf > 0) & (found.abv > 0)
    assert both.mean() > 0.3
    assert np.all(found.abat[both] <= found.att[both])
    assert np.all(found.cbf[found.abv > 0] >= 0)
    only = (found.cbf == 0) & (found.abv > 0)
    assert only.any()
    assert np.isnan([found.att[only], found.cbf_error[only], found.att_error[only]]).all()
    model = arteries(kind, found.abv[only], found.abat[only], times[only], bolus)
    assert found.residual[only] == pytest.approx(np.sqrt(mean_square(model, y[only], ones[only])), rel=1e-8)
    model = tissue(kind, found.cbf[both], found.att[both], times[both], bolus)
    model += arteries(kind, found.abv[both], found.abat[both], times[both], bolus)
    assert found.residual[both] == pytest.approx(np.sqrt(mean_square(model, y[both], ones[both])), rel=1e-8)
    cost = found.residual**2
    grid = np.linspace(0, 3, 41)
    for v in range(count):
        g = tissue(kind, np.ones(41), grid, times[v], bolus)
        least = np.inf
        for abat in grid[1::2]:
            h = arteries(kind, 1.0, abat, times[v], bolus)[0]
            for one in g[grid >= abat]:
                # Neither may be negative beside the other; CBF alone may.
                for columns in ([one * 1e3, h], [one * 1e3, -one * 1e3]):
                    _, left = optimize.nnls(np.column_stack(columns), y[v] * 1e3)
                    least = min(least, (left / 1e3) ** 2 / len(delays))
        assert cost[v] <= least * (1 + 1e-9)


ARTERIAL_PROTOCOLS = {
    "continuous": (np.linspace(0.2, 2.4, 12), 0.9),
    "pulsed": (np.arange(1, 13) * 0.25, 0.6),
}


@pytest.mark.parametrize("kind", ARTERIAL_PROTOCOLS)
def test_planted_arteries_come_back(kind):
    delays, bolus = ARTERIAL_PROTOCOLS[kind]
    truth = np.array(list(itertools.product((10.0, 60.0), (1.31, 1.63), (0.004, 0.02), (0.43, 0.61, 0.87))))
    cbf, att, abv, abat = truth.T
    y = tissue(kind, cbf, att, delays, bolus) + arteries(kind, abv, abat, delays, bolus)
    found = kinetic_models.fit(y, delays, kind=kind, bolus=bolus, arterial=True, **CONSTANTS)
    assert found.cbf == pytest.approx(cbf, rel=1e-8)
    assert found.att == pytest.approx(att, abs=1e-8)
    # Times between which an arrival reaches the same delays are the same to data.
    ends = delays + bolus if kind == "continuous" else delays
    starts = ends - bolus
    edges = np.unique(np.round(np.concatenate([[0.0], starts[starts > 0], ends]), 9))
    where = np.searchsorted(edges, abat)
    assert found.abat == pytest.approx((edges[where - 1] + edges[where]) / 2, abs=1e-8)
    if kind == "continuous":
        assert found.abv * np.exp(-found.abat / 1.65) == pytest.approx(abv * np.exp(-abat / 1.65), rel=1e-8)
    else:
        assert found.abv == pytest.approx(abv, rel=1e-8)


@pytest.mark.parametrize("prior", [None, (1.3, 1e4)])
def test_label_in_arteries_that_gains_little_is_left_out(prior):
    count, sd = 300, 1e-3
    rng = np.random.default_rng(9)
    y = noisy("continuous", SIX, 1.4, None, count, sd)
    y += arteries("continuous", rng.uniform(0, 0.01, count), rng.uniform(0.3, 1.2, count), SIX, 1.4)
    options = {"kind": "continuous", "bolus": 1.4, "noise": np.full(count, sd), "att_prior": prior, **CONSTANTS}
    alone = kinetic_models.fit(y, SIX, **options)
    both = kinetic_models.fit(y, SIX, arterial=True, **options)
    found = kinetic_models.fit(y, SIX, arterial=True, arterial_gain=4.0, **options)
    gain = 6 * (alone.residual**2 - both.residual**2) / sd**2
    kept = gain > 4
    assert 0.1 < kept.mean() < 0.9
    for name in ("cbf", "att", "residual"):
        expected = np.where(kept, getattr(both, name), getattr(alone, name))
        assert getattr(found, name) == pytest.approx(expected, rel=1e-6, nan_ok=True)
    assert np.array_equal(found.abv > 0, kept)
    options["noise"][7] = np.nan
    found = kinetic_models.fit(y, SIX, arterial=True, arterial_gain=4.0, **options)
    assert np.flatnonzero(np.isnan(found.cbf)).tolist() == [7]


def test_an_arrival_in_arteries_before_all_delays_change_is_an_interval_from_zero():
    # Pulsed, first inversion time below the bolus: all delays' label passes from 0 s on, for a while.
    times, bolus = np.array([0.3, 0.5, 0.8, 1.1, 1.5, 1.9, 2.3, 2.7]), 0.6
    y = tissue("pulsed", 60.0, 1.21, times, bolus) + arteries("pulsed", 0.02, 0.15, times, bolus)
    found = kinetic_models.fit(y, times, kind="pulsed", bolus=bolus, arterial=True, **CONSTANTS)
    # 0.8 - 0.6 s is the first change.
    assert found.abat == pytest.approx([0.1], abs=1e-8)
    assert found.abv == pytest.approx([0.02], rel=1e-8)
    assert found.att == pytest.approx([1.21], abs=1e-8)
    # A bound of ATT within that interval does not cut it.
    found = kinetic_models.fit(y, times, kind="pulsed", bolus=bolus, arterial=True, att_bounds=(0.05, 3.0), **CONSTANTS)
    assert found.abat == pytest.approx([0.1], abs=1e-8)


def test_without_label_in_arteries_the_fit_is_that_of_tissue():
    y = tissue("continuous", [60.0, 25.0], [0.9, 1.37], SIX, 1.4)
    found = kinetic_models.fit(y, SIX, kind="continuous", bolus=1.4, arterial=True, **CONSTANTS)
    assert found.cbf == pytest.approx([60.0, 25.0], rel=1e-9)
    assert found.att == pytest.approx([0.9, 1.37], abs=1e-9)
    assert found.abv.tolist() == [0, 0]
    assert np.isnan(found.abat).all()


@pytest.mark.parametrize(
    ("kind", "delays", "bolus", "t1", "att", "abv"),
    [
        ("continuous", SIX, 1.4, None, 1.12, None),
        ("continuous", SIX, 1.4, 1.3, 0.87, None),
        ("pulsed", TIMES, 0.7, None, 0.75, None),
        ("pulsed", TIMES, np.inf, 1.3, 0.75, None),
        ("continuous", np.linspace(0.2, 2.4, 12), 0.9, None, 1.5, 0.02),
    ],
)
def test_standard_errors_are_the_spread_of_estimates(kind, delays, bolus, t1, att, abv):
    count, sd = 20000, 1e-4
    rng = np.random.default_rng(3)
    repeats = rng.integers(1, 6, len(delays)).astype(float)
    clean = tissue(kind, 60.0, att, delays, bolus, t1)
    if abv:
        clean = clean + arteries(kind, abv, 0.61, delays, bolus)
    y = clean + rng.normal(0, 1, (count, len(delays))) * sd / np.sqrt(repeats)
    options = {"kind": kind, "bolus": bolus, "t1_tissue": t1, "weights": repeats, "arterial": bool(abv)}
    found = kinetic_models.fit(y, delays, noise=np.full(count, sd), **options, **CONSTANTS)
    # A standard deviation of 20 000 draws is known to half a percent.
    assert np.std(found.cbf) / np.mean(found.cbf_error) == pytest.approx(1, abs=0.02)
    assert np.std(found.att) / np.mean(found.att_error) == pytest.approx(1, abs=0.02)
    assert np.mean(found.cbf) == pytest.approx(60, abs=5 * np.mean(found.cbf_error) / np.sqrt(count) + 0.01)
    # From residuals, the variance comes back on average.
    implied = kinetic_models.fit(y, delays, **options, **CONSTANTS)
    free = len(delays) - (4 if abv else 2)
    # The arterial arrival, known to an interval, is counted as a parameter although here it takes nothing away.
    expected = (free + 1) / free if abv else 1.0
    assert np.mean(implied.cbf_error**2) / np.mean(found.cbf_error**2) == pytest.approx(expected, abs=0.03)


def posterior(y, att, kind, times, bolus, t1, weights, noise, prior):
    """The cost that the prior asks to be least, CBF being linear: shape (V,)."""
    g = tissue(kind, np.ones(len(y)), att, times, bolus, t1)
    norm = np.sum(weights * g * g, axis=1)
    cbf = np.sum(weights * g * y, axis=1) / np.where(norm > 0, norm, 1)
    squares = np.sum(weights * (y - cbf[:, None] * g) ** 2, axis=1)
    return np.where(norm > 0, squares / noise**2 + ((att - prior[0]) / prior[1]) ** 2, np.inf)


@pytest.mark.parametrize("prior", [(1.3, 0.5), (0.2, 0.3), (4.0, 1.0)])
@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_no_search_finds_a_greater_posterior_density(name, prior):
    kind, delays, bolus, t1 = PROTOCOLS[name]
    count, sd = 200, 1.5e-3
    rng = np.random.default_rng(4)
    times = delays + rng.uniform(0, 0.5, (count, 1))
    weights = rng.integers(1, 5, times.shape).astype(float)
    y = noisy(kind, times, bolus, t1, count, sd)
    noise = rng.uniform(1e-3, 3e-3, count)
    options = {"kind": kind, "bolus": bolus, "t1_tissue": t1, "weights": weights, "noise": noise}
    found = kinetic_models.fit(y, times, **options, att_prior=prior, **CONSTANTS)
    least = np.full(count, np.inf)
    for att in np.linspace(0, 3, 1501):
        one = posterior(y, np.full(count, att), kind, times, bolus, t1, weights, noise, prior)
        least = np.minimum(least, one)
    positive = found.cbf > 0
    assert positive.mean() > 0.3
    att = np.where(positive, found.att, 1.0)
    cost = posterior(y, att, kind, times, bolus, t1, weights, noise, prior)
    assert np.all((cost <= least * (1 + 1e-9))[positive])
    model = tissue(kind, found.cbf[positive], found.att[positive], times[positive], bolus, t1)
    expected = np.sqrt(mean_square(model, y[positive], weights[positive]))
    assert found.residual[positive] == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_a_wide_prior_is_none_and_a_narrow_one_a_known_att():
    y = noisy("continuous", SIX, 1.4, None, 300, 1e-3)
    options = {"kind": "continuous", "bolus": 1.4, "noise": np.full(300, 1e-3), **CONSTANTS}
    free = kinetic_models.fit(y, SIX, **options)
    wide = kinetic_models.fit(y, SIX, att_prior=(1.3, 1e6), **options)
    assert wide.cbf == pytest.approx(free.cbf, rel=1e-5)
    arrived_later = free.att > 0.25
    assert wide.att[arrived_later] == pytest.approx(free.att[arrived_later], abs=1e-6)
    narrow = kinetic_models.fit(y, SIX, att_prior=(1.1, 1e-7), **options)
    g = tissue("continuous", 1.0, 1.1, SIX, 1.4)[0]
    assert narrow.cbf == pytest.approx(y @ g / (g @ g), rel=1e-4, abs=1e-3)
    assert np.nanmax(np.abs(narrow.att - 1.1)) < 1e-6
    assert narrow.cbf_error == pytest.approx(1e-3 / np.sqrt(g @ g), rel=1e-4)


def test_the_prior_is_searched_for_label_in_arteries_too():
    count, prior, sd = 40, (1.3, 0.4), 1.5e-3
    rng = np.random.default_rng(6)
    y = noisy("continuous", SIX, 1.4, None, count, sd)
    y += arteries("continuous", rng.uniform(0, 0.02, count), rng.uniform(0.1, 1.2, count), SIX, 1.4)
    options = {"kind": "continuous", "bolus": 1.4, "noise": np.full(count, sd), "arterial": True, **CONSTANTS}
    found = kinetic_models.fit(y, SIX, att_prior=prior, **options)
    positive = np.flatnonzero(found.cbf > 0)
    assert len(positive) > count / 2
    assert np.all((found.abat <= found.att)[positive] | (found.abv == 0)[positive])
    # A wide grid is off the edges, where the arterial signal of some delay starts or ends.
    grid = np.linspace(0.013, 2.987, 120)
    g = tissue("continuous", np.ones(120), grid, SIX, 1.4)
    for v in positive:
        cost = found.residual[v] ** 2 * 6 / sd**2 + ((found.att[v] - prior[0]) / prior[1]) ** 2
        for abat in grid[::4]:
            h = arteries("continuous", 1.0, abat, SIX, 1.4)[0]
            h = h / np.linalg.norm(h) if h.any() else h
            for number in np.flatnonzero(grid >= abat)[::3]:
                one = g[number] / np.linalg.norm(g[number]) if g[number].any() else g[number]
                away = ((grid[number] - prior[0]) / prior[1]) ** 2
                for columns in ([one, h], [one, -one]):
                    _, left = optimize.nnls(np.column_stack(columns), y[v])
                    assert cost <= (left**2 / sd**2 + away) * (1 + 1e-9)


def test_errors_with_a_prior_are_those_of_truth_drawn_from_it():
    count, sd = 40000, 1.2e-3
    rng = np.random.default_rng(7)
    att = rng.normal(1.0, 0.1, count)
    truth = np.full(count, 60.0)
    y = tissue("continuous", truth, att, SIX, 1.4) + rng.normal(0, sd, (count, 6))
    options = {"kind": "continuous", "bolus": 1.4, "noise": np.full(count, sd), **CONSTANTS}
    found = kinetic_models.fit(y, SIX, att_prior=(1.0, 0.1), **options)
    # The prior tells about as much as the data; neither error alone would do.
    assert np.std((found.att - att) / found.att_error) == pytest.approx(1, abs=0.05)
    assert np.std((found.cbf - truth) / found.cbf_error) == pytest.approx(1, abs=0.05)
    free = kinetic_models.fit(y, SIX, **options)
    assert np.nanmedian(found.att_error) < 0.8 * np.nanmedian(free.att_error)


def test_a_prior_lowers_the_errors_of_noisy_voxels():
    count, sd = 2000, 1.5e-3
    rng = np.random.default_rng(8)
    cbf, att = rng.uniform(10, 90, count), rng.uniform(0.3, 2.2, count)  # nothing like the prior
    y = tissue("continuous", cbf, att, SIX, 1.4) + rng.normal(0, sd, (count, 6))
    options = {"kind": "continuous", "bolus": 1.4, "noise": np.full(count, sd), **CONSTANTS}
    errors = [
        np.sqrt(np.mean((kinetic_models.fit(y, SIX, att_prior=prior, **options).cbf - cbf) ** 2))
        for prior in (None, (1.3, 0.5))
    ]
    assert errors[1] < 0.6 * errors[0]


def test_errors_from_residuals_need_more_delays_than_parameters():
    y = tissue("continuous", [60.0], [1.1], np.array([0.5, 1.8]), 1.8)
    found = kinetic_models.fit(y, [0.5, 1.8], kind="continuous", bolus=1.8, **CONSTANTS)
    assert np.isnan(found.cbf_error).all()
    assert np.isnan(found.att_error).all()
    found = kinetic_models.fit(y, [0.5, 1.8], kind="continuous", bolus=1.8, noise=np.array([1e-3]), **CONSTANTS)
    assert found.cbf_error[0] > 0
    assert found.att_error[0] > 0


def test_exchanged_labels_change_the_sign_of_cbf_and_nothing_else():
    y = noisy("continuous", SIX, 1.4, None, 500, 2e-3)
    one, other = (kinetic_models.fit(s * y, SIX, kind="continuous", bolus=1.4, **CONSTANTS) for s in (1, -1))
    assert np.array_equal(one.cbf, -other.cbf)
    assert np.array_equal(one.cbf_error, other.cbf_error, equal_nan=True)
    assert np.array_equal(one.residual, other.residual)
    assert np.array_equal(np.isnan(one.att), one.cbf <= 0)
    assert (one.cbf < 0).any()


def test_a_voxel_without_signal_has_no_flow_and_no_att():
    found = kinetic_models.fit(np.zeros((1, 6)), SIX, kind="continuous", bolus=1.4, arterial=True, **CONSTANTS)
    assert found.cbf.tolist() == [0]
    assert np.isnan(found.att).all()
    assert found.abv.tolist() == [0]


def test_att_at_a_bound():
    y = tissue("continuous", [60.0, 60.0], [0.4, 1.3], SIX, 1.4)
    options = {"kind": "continuous", "bolus": 1.4, "noise": np.full(2, 1e-3), "att_bounds": (0.6, 1.1)}
    found = kinetic_models.fit(y, SIX, **options, **CONSTANTS)
    assert found.att.tolist() == [0.6, 1.1]
    assert np.isnan(found.att_error).all()
    assert np.isfinite(found.cbf_error).all()
    g = tissue("continuous", 1.0, 1.1, SIX, 1.4)[0]
    assert found.cbf[1] == pytest.approx(g @ y[1] / (g @ g), rel=1e-12)
    assert found.cbf_error[1] == pytest.approx(1e-3 / np.sqrt(g @ g), rel=1e-12)
    # Bounds beyond which no label ever arrives leave nothing to fit.
    options["att_bounds"] = (2.95, 3.0)
    assert np.isnan(kinetic_models.fit(y, SIX, **options, **CONSTANTS).cbf).all()


def test_a_single_delay_with_signal_tells_neither():
    y = np.array([[0, 0, 0, 0, 0, 4e-3]])
    found = kinetic_models.fit(y, SIX, kind="continuous", bolus=1.4, noise=np.array([1e-3]), **CONSTANTS)
    # The fifth delay's label arrives no earlier than 1.25 + 1.4 s.
    assert found.att == pytest.approx([2.65], abs=1e-12)
    assert np.isnan(found.cbf_error).all()
    assert np.isnan(found.att_error).all()


def test_missing_values_are_left_out():
    y = noisy("continuous", SIX, 1.4, None, 50, 1e-3)
    options = {"kind": "continuous", "bolus": 1.4, **CONSTANTS}
    holes = y.copy()
    holes[:, 2] = np.nan
    holes[:, 4] = np.inf
    weights = np.array([1.0, 1, 0, 1, 0, 1])
    kept = weights > 0
    fits = [
        kinetic_models.fit(holes, SIX, **options),
        kinetic_models.fit(y, SIX, weights=weights, **options),
        kinetic_models.fit(y, SIX, weights=np.tile(weights, (50, 1)), **options),
        kinetic_models.fit(y[:, kept], SIX[kept], **options),
    ]
    for name in ("cbf", "att", "cbf_error", "att_error", "residual"):
        for other in fits[1:]:
            assert np.array_equal(getattr(fits[0], name), getattr(other, name), equal_nan=True)
    holes[0] = np.nan
    holes[1, :5] = np.nan
    holes[2, :3] = np.nan
    found = kinetic_models.fit(holes, SIX, **options)
    assert np.isnan(found.cbf[:2]).all()
    assert np.isfinite(found.cbf[2:]).all()
    found = kinetic_models.fit(holes, SIX, arterial=True, **options)
    assert np.isnan([found.cbf[:3], found.abv[:3], found.residual[:3]]).all()
    assert np.isfinite(found.cbf[3:]).all()


@pytest.mark.parametrize("arterial", [False, True])
def test_weights_are_repeats(arterial):
    repeats = np.array([1, 2, 3, 1, 4, 2])
    rng = np.random.default_rng(5)
    each = np.repeat(np.arange(6), repeats)
    y = noisy("continuous", SIX[each], 1.4, None, 200, 1e-3)
    mean = np.stack([y[:, each == i].mean(axis=1) for i in range(6)], axis=1)
    options = {"kind": "continuous", "bolus": 1.4, "noise": rng.uniform(1e-3, 2e-3, 200), "arterial": arterial}
    whole = kinetic_models.fit(y, SIX[each], **options, **CONSTANTS)
    averaged = kinetic_models.fit(mean, SIX, weights=repeats, **options, **CONSTANTS)
    for name in ("cbf", "att", "cbf_error", "att_error"):
        one, other = getattr(whole, name), getattr(averaged, name)
        assert np.array_equal(np.isnan(one), np.isnan(other))
        assert one == pytest.approx(other, rel=1e-6, nan_ok=True)


def test_voxels_do_not_see_each_other():
    y = noisy("continuous", SIX, 1.4, None, 300, 1e-3).astype(np.float32)
    options = {"kind": "continuous", "bolus": 1.4, "arterial": True, **CONSTANTS}
    whole = kinetic_models.fit(y, SIX, **options)
    order = np.random.default_rng(0).permutation(300)
    parts = [kinetic_models.fit(y[part], SIX, **options) for part in np.array_split(order, 7)]
    for name in ("cbf", "att", "abv", "abat", "cbf_error", "residual"):
        assert getattr(whole, name)[order].tobytes() == np.concatenate([getattr(p, name) for p in parts]).tobytes()


@pytest.mark.parametrize(("kind", "delays", "bolus"), [("continuous", SIX, 1.4), ("pulsed", TIMES, 0.7)])
def test_each_voxel_may_have_its_own_t1_of_tissue(kind, delays, bolus):
    rng = np.random.default_rng(4)
    cbf, att, t1 = rng.uniform(5, 90, 400), rng.uniform(0.7, 1.8, 400), rng.uniform(0.7, 2.2, 400)
    t1[::50] = CONSTANTS["t1_blood"]
    y = tissue(kind, cbf, att, delays, bolus, t1[:, np.newaxis])
    found = kinetic_models.fit(y, delays, kind=kind, bolus=bolus, t1_tissue=t1, **CONSTANTS)
    assert found.cbf == pytest.approx(cbf, rel=1e-8)
    assert found.att == pytest.approx(att, abs=1e-8)
    # One T1 for all is the same fit, to the bit.
    y += rng.normal(0, 5e-4, y.shape)
    options = {"kind": kind, "bolus": bolus, "noise": np.full(400, 5e-4), "arterial": True, "arterial_gain": 4.0}
    whole = kinetic_models.fit(y, delays, att_prior=(1.3, 1.0), t1_tissue=1.3, **options, **CONSTANTS)
    each = kinetic_models.fit(
        y, delays, att_prior=(np.full(400, 1.3), 1.0), t1_tissue=np.full(400, 1.3), **options, **CONSTANTS
    )
    for name in ("cbf", "att", "cbf_error", "att_error", "abv", "abat", "residual"):
        assert np.array_equal(getattr(whole, name), getattr(each, name), equal_nan=True)


def test_each_voxel_may_have_its_own_prior_of_att():
    y = noisy("continuous", SIX, 1.4, None, 300, 1.5e-3)
    options = {"kind": "continuous", "bolus": 1.4, **CONSTANTS}
    means = np.random.default_rng(5).uniform(0.3, 2.5, 300)
    found = kinetic_models.fit(y, SIX, att_prior=(means, 0.3), noise=np.full(300, 1.5e-3), **options)
    for v in range(0, 300, 30):
        alone = kinetic_models.fit(y[[v]], SIX, att_prior=(means[v], 0.3), noise=np.full(1, 1.5e-3), **options)
        assert found.cbf[v] == alone.cbf[0]
        assert np.array_equal(found.att[[v]], alone.att, equal_nan=True)
    # Without data to speak of, ATT is what was believed.
    narrow = kinetic_models.fit(y, SIX, att_prior=(means, 1e-7), noise=np.full(300, 1.5e-3), **options)
    positive = narrow.cbf > 0
    assert narrow.att[positive] == pytest.approx(means[positive], abs=1e-6)


def test_a_voxel_of_unknown_t1_or_prior_has_no_estimate():
    y = tissue("continuous", [60.0] * 3, [1.0] * 3, SIX, 1.4)
    options = {"kind": "continuous", "bolus": 1.4, "noise": np.full(3, 1e-4), **CONSTANTS}
    unknown = np.array([np.nan, 1.3, 1.3])
    for found in (
        kinetic_models.fit(y, SIX, t1_tissue=unknown, **options),
        kinetic_models.fit(y, SIX, att_prior=(unknown, 1.0), **options),
    ):
        assert np.isnan(found.cbf).tolist() == [True, False, False]
        assert np.isnan(found.residual[0])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"relative": np.ones((3, 1)), "delays": [1.8]}, "delays"),
        ({"relative": np.ones((3, 3)), "delays": [1.0, 1.5, 1.8], "arterial": True}, "delays"),
        ({"relative": np.ones(6)}, "delays"),
        ({"delays": SIX[:5]}, "PostLabelingDelay"),
        ({"delays": np.tile(SIX, (2, 1))}, "PostLabelingDelay"),
        ({"delays": -SIX}, "PostLabelingDelay"),
        ({"delays": SIX * np.nan}, "PostLabelingDelay"),
        ({"weights": [1.0, 2.0]}, "weights"),
        ({"weights": [1, 1, 1, 1, 1, -1]}, "weights"),
        ({"bolus": np.inf}, "bolus"),
        ({"bolus": 0.0}, "bolus"),
        ({"bolus": [1.4, 1.4]}, "bolus"),
        ({"labeling_efficiency": 0}, "LabelingEfficiency"),
        ({"labeling_efficiency": 85}, "LabelingEfficiency"),
        ({"t1_blood": np.nan}, "T1 of blood"),
        ({"t1_tissue": 0}, "T1 of tissue"),
        ({"t1_tissue": np.nan}, "T1 of tissue"),
        ({"t1_tissue": np.array([1.3, -1.3, 1.3])}, "T1 of tissue"),
        ({"t1_tissue": np.array([1.3, np.inf, 1.3])}, "T1 of tissue"),
        ({"t1_tissue": np.array([1.3, 1.3])}, "T1 of tissue"),
        ({"att_prior": (np.array([1.3, -0.1, 1.3]), 1.0), "noise": np.ones(3)}, "prior of ATT"),
        ({"att_prior": (np.ones(2), 1.0), "noise": np.ones(3)}, "prior of ATT"),
        ({"partition_coefficient": -1}, "blood-brain partition coefficient"),
        ({"noise": np.ones(2)}, "noise"),
        ({"att_bounds": (2, 1)}, "bounds of ATT"),
        ({"att_bounds": (0, np.inf)}, "bounds of ATT"),
        ({"att_prior": (1.3, 0.0), "noise": np.ones(3)}, "prior of ATT"),
        ({"att_prior": (np.nan, 1.0), "noise": np.ones(3)}, "prior of ATT"),
        ({"att_prior": (1.3, 1.0)}, "noise"),
        ({"arterial": True, "arterial_gain": 4.0}, "noise"),
        ({"arterial_gain": -1.0, "noise": np.ones(3)}, "gain by label in arteries"),
    ],
)
def test_senseless_input_is_named(change, field):
    call = {"relative": np.ones((3, 6)), "delays": SIX, "kind": "continuous", "bolus": 1.4, **CONSTANTS, **change}
    with pytest.raises(InputError) as error:
        kinetic_models.fit(call.pop("relative"), call.pop("delays"), **call)
    assert error.value.field == field


def test_no_voxels_give_no_estimates():
    found = kinetic_models.fit(np.ones((0, 6)), SIX, kind="continuous", bolus=1.4, **CONSTANTS)
    assert found.cbf.shape == (0,)
