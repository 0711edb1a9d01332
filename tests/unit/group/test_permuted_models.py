"""Tests of maps by formulas: the voxel's own baseline and F, from the model to the blocks of the inference file."""

import dataclasses

import complete_settings
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from pharmasl.errors import InputError
from pharmasl.group import formula_models, permutation_inference
from pharmasl.group.formula_models import DesignRows
from pharmasl.group.maps import Maps
from pharmasl.study import settings
from scipy import stats

N, SHAPE = 18, (6, 6, 5)
LABELS = ("placebo", "low", "high")
ARMS = {"column": "arm", "treatment": "low", "control": "placebo", "others": ["high"]}
NAMES = [f"sub-{number:02d}" for number in range(N)]
TABLE = [
    {"participant_id": name, "arm": LABELS[number % 3], "age": str(30 + (7 * number) % 23)}
    for number, name in enumerate(NAMES)
]


def model_of(formula, test="arm"):
    analysis = complete_settings.analysis(effect=None, model=formula, test=test, arms=ARMS)
    arms = settings.Arms(column="arm", treatment="low", control="placebo", others=("high",))
    return formula_models.build(analysis, arms, DesignRows(participants=NAMES), TABLE, "participants.tsv")


def maps_of(*, effect=0.0, seed=1):
    rng = np.random.default_rng(seed)
    mask = np.ones(SHAPE, dtype=bool)
    mask[0] = False
    voxels = int(mask.sum())
    baseline = rng.normal(60, 9, (N, voxels))
    tissue = rng.uniform(0.2, 0.9, (N, voxels))
    treated = np.array([row["arm"] == "high" for row in TABLE], dtype=float)
    followup = 20 + 0.7 * baseline + rng.normal(0, 4, (N, voxels))
    followup[:, :20] += effect * treated[:, None]
    return Maps(
        followup.astype(np.float32),
        mask,
        np.diag([2.0, 2.0, 2.0, 1.0]),
        int(mask.sum()) + 36,
        [0] * N,
        [(False, False)] * N,
        baseline.mean(axis=0),
        ["map.nii.gz"] * N,
        terms={"baseline": baseline.astype(np.float32), "gm": tissue.astype(np.float32)},
    )


def inference(**changes):
    return complete_settings.inference(
        **{"permutations": 200, "statistics": ["extent", "mass", "tfce"], "cluster_forming_p": 0.01, **changes}
    )


def ran(formula, test="arm", *, maps=None, **changes):
    return permutation_inference.test(
        model_of(formula, test), maps or maps_of(effect=14), inference(**changes), is_cbf=True, threads=1
    )


def voxel_fit_of(maps, voxel, formula):
    values = {
        "followup": maps.values[:, voxel].astype(float),
        "arm": [row["arm"] for row in TABLE],
        "age": [float(row["age"]) for row in TABLE],
        **{name: own[:, voxel].astype(float) for name, own in maps.terms.items()},
    }
    return smf.ols(formula, pd.DataFrame(values)).fit()


def test_f_of_arms_adjusted_for_the_voxels_own_baseline_is_least_squares_and_finds_what_was_planted():
    maps = maps_of(effect=14)
    result = ran("followup ~ arm + baseline + age", maps=maps)
    treatment = "C(arm, Treatment('placebo'))"
    for voxel in (0, 7, 40, 111):
        whole = voxel_fit_of(maps, voxel, f"followup ~ {treatment} + baseline + age")
        table = whole.f_test(f"{treatment}[T.low] = 0, {treatment}[T.high] = 0")
        np.testing.assert_allclose(result.maps["t"][voxel], table.fvalue, rtol=1e-6)
        estimates = whole.params.filter(like="arm")
        np.testing.assert_allclose(result.maps["effect"][voxel], estimates.iloc[np.abs(estimates).argmax()], rtol=1e-6)
    assert result.definitions["verdict"]["significant"]
    assert set(np.flatnonzero(result.maps["voxel_pfwe"] > 1.31)) <= set(range(20))
    block = result.definitions
    assert block["model"]["statistic"].startswith("F, ")
    assert (block["model"]["df_tested"], block["model"]["df"]) == (2, N - 5)
    assert block["tests"]["two_sided"] is False
    assert block["tests"]["voxel"]["statistic"] == "largest F in the mask over relabellings"
    assert "own covariates" in block["permutation"]["method"]
    assert "hedges_g" not in result.maps
    assert (result.null.min_t == 0).all()
    # F has no direction: no z below 0 is to be read as one.
    tail = stats.f.sf(result.maps["t"], 2, N - 5)
    np.testing.assert_allclose(result.maps["z"], np.maximum(stats.norm.isf(tail), 0), rtol=1e-6, atol=1e-9)
    assert (result.maps["z"] == 0).any()
    assert all(row.get("effect_low") is None and row["effect_mean"] > 0 for row in result.clusters)


def test_one_contrast_beside_the_baseline_has_the_size_of_least_squares():
    maps = maps_of(effect=14)
    result = ran("followup ~ arm + baseline + gm", {"placebo": -1, "high": 1}, maps=maps)
    treatment = "C(arm, Treatment('placebo'))"
    for voxel in (3, 60):
        whole = voxel_fit_of(maps, voxel, f"followup ~ {treatment} + baseline + gm")
        found = whole.params[f"{treatment}[T.high]"], whole.tvalues[f"{treatment}[T.high]"]
        np.testing.assert_allclose((result.maps["effect"][voxel], result.maps["t"][voxel]), found, rtol=1e-6)
        # Hedges' g: the adjusted difference in residual standard deviations of the adjusted model.
        np.testing.assert_allclose(
            result.maps["hedges_g"][voxel],
            found[0] / np.sqrt(whole.scale) * (1 - 3 / (4 * whole.df_resid - 1)),
            rtol=2e-3,
        )
        np.testing.assert_allclose(result.maps["percent"][voxel], 100 * found[0] / maps.baseline[voxel], rtol=1e-6)
    assert result.definitions["verdict"]["significant"]
    assert result.definitions["random_fields"]["status"].startswith("not known: ")
    largest = result.clusters[0]
    assert largest["effect_low"] < largest["effect_mean"] < largest["effect_high"]


def test_an_f_of_arms_alone_needs_no_map_and_is_scipys():
    maps = maps_of()
    result = ran("followup ~ arm", maps=maps)
    groups = [maps.values[[row["arm"] == label for row in TABLE]].astype(float) for label in LABELS]
    f, p = stats.f_oneway(*groups, axis=0)
    np.testing.assert_allclose(result.maps["t"], f, rtol=1e-6)
    q = stats.false_discovery_control(p)
    np.testing.assert_allclose(10.0 ** -result.maps["qfdr"], q, rtol=1e-5)


def test_voxels_that_a_map_does_not_allow_are_out_and_counted():
    maps = maps_of()
    maps.terms["gm"][4, 11] = np.nan
    maps.terms["gm"][:, 12] = 0.0
    maps.values[:, 13] = maps.terms["baseline"][:, 13]
    result = ran("followup ~ arm + baseline + gm", {"placebo": -1, "high": 1}, maps=maps)
    volume = result.definitions["search_volume"]
    assert volume["voxels_without_a_finite_map"] == {"baseline": 0, "gm": 1}
    assert volume["voxels_of_a_constant_map"] == {"baseline": 0, "gm": 1}
    assert volume["voxels_without_variance"] == 1
    assert volume["voxels"] == maps.voxels - 3
    assert len(result.maps["t"]) == maps.voxels - 3


def test_a_slope_on_a_map_is_tested():
    maps = maps_of()
    result = ran("followup ~ arm + baseline", "baseline", maps=maps)
    whole = voxel_fit_of(maps, 9, "followup ~ arm + baseline")
    np.testing.assert_allclose(result.maps["t"][9], whole.tvalues["baseline"], rtol=1e-6)
    np.testing.assert_allclose(result.maps["effect"][9], whole.params["baseline"], rtol=1e-6)
    assert result.definitions["verdict"]["significant"]


@pytest.mark.parametrize(
    ("formula", "test", "found"),
    [
        ("followup ~ arm", "arm", "several effects"),
        ("followup ~ arm + baseline", {"placebo": -1, "low": 1}, "baseline"),
    ],
)
def test_a_variance_for_each_arm_is_refused(formula, test, found):
    with pytest.raises(InputError, match=found):
        ran(formula, test, variance="by_arm")


def test_few_participants_are_relabelled_in_every_order():
    names = NAMES[:6]
    table = [{**row, "arm": LABELS[number % 2]} for number, row in enumerate(TABLE[:6])]
    analysis = complete_settings.analysis(effect=None, model="followup ~ arm + baseline", test="arm")
    arms = settings.Arms(column="arm", treatment="low", control="placebo", others=())
    model = formula_models.build(analysis, arms, DesignRows(participants=names), table, "participants.tsv")
    whole = maps_of()
    maps = dataclasses.replace(
        whole, values=whole.values[:6], terms={name: own[:6] for name, own in whole.terms.items()}
    )
    result = permutation_inference.test(
        model, maps, inference(permutations=1000, statistics=["extent"]), is_cbf=True, threads=1
    )
    # 6!, not the 20 ways to make two arms of three: each participant has a baseline of their own.
    block = result.definitions["permutation"]
    assert (block["number"], block["exhaustive"]) == (720, True)
    assert block["smallest_attainable_p"] == 1 / 720
    assert len(np.unique(result.null.max_t.round(9))) > 300
