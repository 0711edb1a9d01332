"""The specification curve: each answer against statsmodels, and the joint test where nothing is and where something is."""

import importlib.util
import itertools
import json
import math

import numpy as np
import pytest
import statsmodels.api as sm
from loading import ROOT
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.sensitivity import curve, curve_table, specification_fit
from pharmasl.statistics import correlation_tests, partial_correlation
from scipy import stats

NAMES = [f"sub-{i:02d}" for i in range(1, 25)]


def data(n=24, seed=0, effect=1.0):
    rng = np.random.default_rng(seed)
    arm, age = np.repeat([1.0, 0.0], n // 2), rng.normal(40, 8, n)
    return effect * arm + 0.05 * age + rng.normal(size=n), arm, np.column_stack([np.ones(n), age])


def fit(participants, response, tested, nuisance, kind="effect"):
    return specification_fit.fit(participants, response=response, tested=tested, nuisance=nuisance, kind=kind)


def relabelling(exchange, number, seed, blocks=None):
    return curve.Relabelling(exchange=exchange, number=number, seed=seed, blocks=blocks or {})


def ols(y, tested, nuisance):
    return sm.OLS(y, np.column_stack([tested, nuisance])).fit()


def test_an_effect_is_that_of_statsmodels():
    y, arm, nuisance = data()
    found, reference = fit(NAMES, y, arm, nuisance), ols(y, arm, nuisance)
    assert found.estimate == pytest.approx(reference.params[0], rel=1e-12)
    assert found.se == pytest.approx(reference.bse[0], rel=1e-12)
    assert (found.ci_low, found.ci_high) == pytest.approx(reference.conf_int()[0], rel=1e-10)
    assert (found.t, found.p, found.df) == pytest.approx((reference.tvalues[0], reference.pvalues[0], 21), rel=1e-10)


def test_a_redundant_covariate_costs_no_degree_of_freedom():
    y, arm, nuisance = data()
    twice = np.column_stack([nuisance, 3 * nuisance[:, 1] - 2, np.zeros(24)])
    assert fit(NAMES, y, arm, twice).t == pytest.approx(fit(NAMES, y, arm, nuisance).t, rel=1e-9)
    assert fit(NAMES, y, arm, twice).df == 21


def test_a_mean_is_the_one_sample_t_test():
    y = data()[0]
    found, reference = fit(NAMES, y, np.ones(24), np.empty((24, 0))), stats.ttest_1samp(y, 0)
    assert (found.estimate, found.t, found.p) == pytest.approx((y.mean(), reference.statistic, reference.pvalue))


@pytest.mark.parametrize("named", [True, False])
def test_a_correlation_is_the_craving_stage_s(named):
    y, arm, nuisance = data()
    x = np.random.default_rng(1).normal(size=24) + 0.5 * y
    adjusted = np.column_stack([arm, nuisance[:, 1]])
    found = fit(NAMES, y, x, np.column_stack([np.ones(24), adjusted]) if named else adjusted, "correlation")
    observed = partial_correlation.Observations(x, y, adjusted.T, np.zeros(24))
    reference = correlation_tests.correlate(observed, "pearson", np.random.default_rng(0), 100)
    assert found.estimate == pytest.approx(reference.estimate, rel=1e-12)
    assert (found.ci_low, found.ci_high, found.p) == pytest.approx(
        (reference.ci_low, reference.ci_high, reference.p_t), rel=1e-10
    )
    assert found.df == 24 - 4


def test_the_unit_free_estimate_keeps_the_decision_and_inverts_the_noncentral_t():
    y, arm, nuisance = data()
    # Shifted so that the interval of the coefficient begins at 0: the other one must, too.
    at_edge = y - fit(NAMES, y, arm, nuisance).ci_low * arm
    found = fit(NAMES, at_edge, arm, nuisance)
    assert found.ci_low == pytest.approx(0, abs=1e-9)
    assert found.partial_r_low == pytest.approx(0, abs=1e-6)
    assert found.partial_r == pytest.approx(found.t / math.sqrt(found.t**2 + 21))
    noncentrality = found.partial_r_high * math.sqrt(21 / (1 - found.partial_r_high**2))
    assert stats.nct.cdf(found.t, 21, noncentrality) == pytest.approx(0.025, abs=1e-6)
    assert fit(NAMES, 7 * y, 0.1 * arm, nuisance).partial_r == pytest.approx(fit(NAMES, y, arm, nuisance).partial_r)


@pytest.mark.parametrize(
    ("y", "tested", "nuisance", "why"),
    [
        ([1, 2, 3.0], [0, 1, 0], [[1, 5], [1, 6], [1, 8]], "3 participants for a model of 3 terms"),
        ([1, 2, 4, 3.0], [2, 2, 2, 2], [[1.0]] * 4, "tested variable does not vary"),
        ([2, 2, 2, 2.0], [0, 1, 0, 1], [[1.0]] * 4, "response does not vary"),
    ],
)
def test_what_cannot_be_estimated_says_why(y, tested, nuisance, why):
    with pytest.raises(specification_fit.NotEstimableError, match=why):
        fit(NAMES[: len(y)], y, tested, nuisance)


def test_a_relabelling_refits_the_relabelled_residuals():
    y, arm, nuisance = data()
    fitted = fit(NAMES, y, arm, nuisance)
    reduced = sm.OLS(y, nuisance).fit()
    rng = np.random.default_rng(3)
    orders = np.array([np.arange(24), *(rng.permutation(24) for _ in range(3))])
    for found, order in zip(curve.relabelled(fitted, orders)[0], orders):
        # Freedman and Lane: the fitted values stay in place.
        assert found == pytest.approx(ols(reduced.fittedvalues + reduced.resid[order], arm, nuisance).tvalues[0])
    signs = rng.choice([-1.0, 1.0], (3, 24))
    for found, sign in zip(curve.relabelled(fitted, signs=signs)[0], signs):
        assert found == pytest.approx(ols(reduced.fittedvalues + sign * reduced.resid, arm, nuisance).tvalues[0])


def test_draws_begin_with_the_observed_labelling_and_keep_to_blocks():
    blocks = ["a", "b", "a", None, "b", "a"]
    draws = np.concatenate(list(curve.permutations(2300, blocks, 5)))
    assert draws.shape == (2300, 6)
    assert draws[0].tolist() == list(range(6))
    assert (np.sort(draws, axis=1) == np.arange(6)).all()
    assert all(blocks[i] == blocks[j] for draw in draws[:200] for i, j in enumerate(draw))
    # The 3! 2! 1! orders are equally frequent.
    counts = np.unique(draws, axis=0, return_counts=True)[1]
    assert len(counts) == 12
    assert stats.chisquare(counts).pvalue > 0.001
    signs = np.concatenate(list(curve.flips(1500, 4, 5)))
    assert signs[0].tolist() == [1] * 4
    assert stats.chisquare(np.unique(signs, axis=0, return_counts=True)[1]).pvalue > 0.001


def test_the_permutation_p_is_the_exact_one():
    rng = np.random.default_rng(2)
    y, arm = rng.normal(size=8) + np.repeat([1.2, 0], 4), np.repeat([1.0, 0.0], 4)
    names = NAMES[:8]
    fitted = fit(names, y, arm, np.ones((8, 1)))
    every = [y[list(chosen)].mean() - np.delete(y, chosen).mean() for chosen in itertools.combinations(range(8), 4)]
    exact = np.mean(np.abs(every) >= abs(y[:4].mean() - y[4:].mean()) - 1e-12)
    error = math.sqrt(exact * (1 - exact) / 20000)
    assert curve.own_p(fitted, relabelling("permute", 20000, 1)) == pytest.approx(exact, abs=4 * error)
    mean = fit(names, y, np.ones(8), np.empty((8, 0)))
    every = [abs(np.dot(signs, y)) for signs in itertools.product([-1, 1], repeat=8)]
    exact = np.mean(np.array(every) >= abs(y.sum()) - 1e-12)
    assert curve.own_p(mean, relabelling("flip", 20000, 1)) == pytest.approx(exact, abs=4 * math.sqrt(exact / 20000))


def test_one_specification_s_joint_p_is_its_own():
    y, arm, nuisance = data(effect=1.5)
    fitted = fit(NAMES, y, arm, nuisance)
    found = curve.joint([fitted], relabelling("permute", 2000, 4))
    own = curve.own_p(fitted, relabelling("permute", 2000, 4))
    assert 0.001 < own < 0.5
    assert (found.p_median, found.p_mean_z) == (own, own)
    # Twice the same is one: everything is shared.
    twice = curve.joint([fitted, fitted], relabelling("permute", 2000, 4))
    assert (twice.p_median, twice.p_mean_z, twice.mean_z) == pytest.approx((own, own, found.mean_z))


def test_the_three_statistics():
    t, df = np.array([[3.0, -0.5, 2.5, 2.2], [-3.0, -4.0, 2.5, -1.0], [0, 0, 0, 0]]), np.array([20, 20, 15, 15])
    values = t * np.array([1.0, 2.0, 1.0, 0.5])
    median, direction, significant, mean_z = curve.statistics(values, t, df)
    assert median == pytest.approx([1.8, -1.75, 0])
    assert direction.tolist() == [1, -1, 0]
    assert significant.tolist() == [3, 2, 0]
    expected = stats.norm.isf(stats.t.sf(t, df)).mean(axis=1)
    assert mean_z == pytest.approx(expected, abs=1e-12)
    assert specification_fit.z_of_t(np.array([np.inf, -np.inf]), 5).tolist() == [38, -38]


def test_places_are_changed_among_participants_of_the_same_specifications():
    y, arm, nuisance = data()
    kept = np.array([i not in (0, 13, 14) for i in range(24)])
    fits = [fit(NAMES, y, arm, nuisance)]
    fits.append(fit([n for n, k in zip(NAMES, kept) if k], y[kept], arm[kept], nuisance[kept]))
    found = curve.joint(
        fits, relabelling("permute", 100, 1, {name: "b" if name == "sub-01" else "a" for name in NAMES})
    )
    assert (found.participants, found.exchanged) == (24, 23)  # the one of her block stays
    # The order of the specifications and of the participants does not matter.
    other = fit(NAMES[::-1], y[::-1], arm[::-1], nuisance[::-1])
    again = curve.joint([fits[1], other], relabelling("permute", 500, 1))
    assert again.p_mean_z == pytest.approx(curve.joint(fits, relabelling("permute", 500, 1)).p_mean_z)


def studies(number, effect, exchange):
    """Joint p values of simulated studies, (number, 3), as the benchmark has them."""
    path = ROOT / "benchmarks" / "specification_curve.py"
    spec = importlib.util.spec_from_file_location("benchmark_specification_curve", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    return np.array(
        [
            benchmark.p_values(np.random.default_rng([7, k]), effect, exchange, 200, k, compare=False)
            for k in range(number)
        ]
    )


@pytest.mark.parametrize("exchange", ["permute", "flip"])
def test_the_joint_test_finds_nothing_where_nothing_is(exchange):
    p = studies(400, 0.0, exchange)
    # Correlated specifications of differing participants: uniform p of the median and of the mean z.
    for k in (0, 2):
        assert stats.kstest(p[:, k], "uniform").pvalue > 0.01
        assert stats.binomtest(int((p[:, k] <= 0.05).sum()), 400, 0.05).pvalue > 0.01
    # The number significant has few values, and often none: never too small a p.
    assert stats.binomtest(int((p[:, 1] <= 0.05).sum()), 400, 0.05, "greater").pvalue > 0.01


def test_the_joint_test_finds_what_is_planted():
    assert (studies(20, 3.0, "permute") <= 0.05).mean(axis=0).min() >= 0.95
    assert (studies(20, 3.0, "flip") <= 0.05).mean(axis=0).min() >= 0.95


# The tables


def specification(folder, number, scaling, quality, main=False, shift=0.0, unit="mL/100 g/min", **changes):
    """Write the answers of one specification and return the path."""
    y, arm, nuisance = data()
    kept = [i for i in range(24) if quality == "own" or i not in (3, 20)]
    answer = {
        "answer": "dlpfc_rest",
        "kind": "effect",
        "unit": unit,
        "meaning": "more on drug",
        "roi": "dlpfc",
        "contrast": "rest",
        "analysis": "rest_interaction",
        "defined_by_same_data": False,
        "status": "run",
        "participants": [NAMES[i] for i in kept],
        "response": (y + shift * arm)[kept].tolist(),
        "tested": arm[kept].tolist(),
        "nuisance": nuisance[kept].tolist(),
        "exchange": "permute",
        "blocks": None,
        "whole_brain": {
            "p_fwe_cluster_in_region": 0.03,
            "p_fwe_cluster_smallest": None,
            "p_fwe_voxel_smallest": 0.2,
            "sign_in_region": -1,
        },
    }
    path = folder / f"{number}" / "answers.json"
    path.parent.mkdir()
    chosen = {"scaling": scaling, "smoothing_fwhm": "6", "partial_volume": "false", "quality": quality}
    content = {"specification": {**chosen, "covariates": "own"}, "main": main, "answers": [{**answer, **changes}]}
    path.write_text(json.dumps(content))
    return path


def tabled(folder, paths, permutations=200):
    curve_table.write(
        paths,
        table_path=folder / "specifications.tsv",
        curve_path=folder / "curve.tsv",
        permutations=permutations,
        seed=9,
    )
    return tables.read_table(folder / "specifications.tsv"), tables.read_table(folder / "curve.tsv")


def test_a_row_a_specification_ranked_and_a_shift_all_else_equal(tmp_path):
    paths = [
        specification(tmp_path, 0, "absolute", "own", True),
        specification(tmp_path, 1, "global", "own", shift=-3.0),
        specification(tmp_path, 2, "absolute", "strict", shift=0.5),
        specification(tmp_path, 3, "global", "strict", shift=-3.5),
    ]
    rows, summary = tabled(tmp_path, paths)
    y, arm, nuisance = data()
    kept = np.delete(np.arange(24), [3, 20])
    whole = ols(y, arm, nuisance).params[0]
    strict = ols(y[kept], arm[kept], nuisance[kept]).params[0]
    expected = [strict - 3.5, whole - 3.0, *sorted([strict + 0.5, whole])]
    assert [row["rank"] for row in rows] == list("1234")
    assert [float(row["estimate"]) for row in rows] == pytest.approx(expected)
    assert [row["n"] for row in rows][:2] == ["22", "24"]
    assert [row["main"] for row in rows].count("true") == 1
    assert {row["sign_in_region"] for row in rows} == {"-1"}
    assert {row["p_fwe_cluster_smallest"] for row in rows} == {None}
    total = summary[0]
    assert (total["specifications"], total["not_run"], total["exchanged"], total["participants"]) == (
        "4",
        "0",
        "24",
        "24",
    )
    assert float(total["main"]) == pytest.approx(whole)
    assert float(total["median"]) == pytest.approx(np.median(expected))
    assert total["same_sign"] == str(sum(value * whole > 0 for value in expected))
    significant = [row for row in rows if float(row["p"]) < 0.05 and float(row["t"]) * np.median(expected) > 0]
    assert total["significant"] == str(len(significant))
    assert 0 < float(total["p_median"]) <= 1
    # Only what varies has rows: two dimensions of two values.
    shifts = {(row["dimension"], row["value"]): row for row in summary[1:]}
    assert len(shifts) == 4
    assert float(shifts["scaling", "global"]["shift"]) == pytest.approx(np.median([-3.0, -4.0]))
    assert float(shifts["scaling", "global"]["shift_low"]) == pytest.approx(-4)
    assert shifts["scaling", "global"]["pairs"] == "2"
    gain = strict - whole
    assert float(shifts["quality", "strict"]["shift"]) == pytest.approx(np.median([gain + 0.5, gain - 0.5]))
    assert shifts["scaling", "absolute"]["shift"] is None
    assert shifts["scaling", "absolute"]["of_main"] == "true"
    # Written again, the same bytes.
    before = (tmp_path / "curve.tsv").read_bytes()
    tabled(tmp_path, paths)
    assert (tmp_path / "curve.tsv").read_bytes() == before
    sidecar = tables.read_json(tmp_path / "curve.json")
    assert (sidecar["p_median"]["Permutations"], sidecar["p_median"]["Seed"]) == (200, 9)


def test_different_units_are_compared_without_them(tmp_path):
    paths = [
        specification(tmp_path, 0, "absolute", "own", True),
        specification(tmp_path, 1, "global", "own", shift=1, unit="%"),
    ]
    rows, (total, *_) = tabled(tmp_path, paths)
    assert (total["scale"], total["unit"]) == ("partial_r", "1")
    assert float(total["median"]) == pytest.approx(np.mean([float(row["partial_r"]) for row in rows]))
    assert [row["unit"] for row in rows] == ["mL/100 g/min", "%"]


def test_what_was_not_run_stays_in_the_table_with_its_reason(tmp_path):
    paths = [
        specification(tmp_path, 0, "absolute", "own", True, status="not run: no values"),
        specification(tmp_path, 1, "global", "own"),
        specification(tmp_path, 2, "global", "strict", tested=[1.0] * 22),
    ]
    rows, (total, *_) = tabled(tmp_path, paths)
    assert [(row["rank"], row["status"]) for row in rows] == [
        ("1", "run"),
        (None, "not run: no values"),
        (None, "not run: the tested variable does not vary beyond what the model adjusts for"),
    ]
    assert (total["specifications"], total["not_run"], total["main"]) == ("1", "2", None)
    for path in paths[1:]:
        path.unlink()
    rows, (total, *_) = tabled(tmp_path, paths[:1])
    assert (total["specifications"], total["median"], total["p_median"]) == ("0", None, None)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"blocks": ["x"] * 24}, "blocks"),
        ({"exchange": "flip"}, "exchange"),
        ({"response": [1.0, 2.0]}, "response"),
        ({"nuisance": [[1.0, None]] * 24}, "nuisance"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, changes, where):
    paths = [
        specification(tmp_path, 0, "absolute", "own", True),
        specification(tmp_path, 1, "global", "own", **changes),
    ]
    with pytest.raises(InputError) as caught:
        tabled(tmp_path, paths)
    assert where in str(caught.value)
    assert str(paths[1]) in str(caught.value)
