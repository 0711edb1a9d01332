"""Models of regions' values against statsmodels, and their corrected p against all relabellings enumerated here."""

import dataclasses
import itertools

import complete_settings
import designs
import numpy as np
import pytest
import statsmodels.api as sm
from pharmasl.group import permutation_inference
from pharmasl.group.engine import clusters, differences, glm, permutation, relabelling
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.regions import least_squares, value_models, value_permutations
from pharmasl.regions.value_models import Values
from pharmasl.regions.value_permutations import RegionForm
from pharmasl.statistics import effect_sizes
from scipy import stats
from statsmodels.stats.multitest import multipletests

ARMS = {"treatment": "drug", "control": "placebo"}


def sample(drug, placebo, seed=1):
    """Participants of two arms with an age and a site."""
    rng = np.random.default_rng(seed)
    arms = ["drug"] * drug + ["placebo"] * placebo
    names = [f"sub-{k:02d}" for k in range(len(arms))]
    return names, [
        {"participant_id": name, "arm": arm, "age": str(rng.integers(20, 60)), "site": "ab"[k % 2]}
        for k, (name, arm) in enumerate(zip(names, arms))
    ]


def group_by_time(drug=12, placebo=9, covariates=("age",), site=None):
    names, table = sample(drug, placebo)
    return designs.group_by_time(names, table, ARMS, "participants.tsv", covariates, site)


def inference(**changes):
    return complete_settings.inference(**{"permutations": 500, "seed": 3, **changes})


def run(model, outcome, tested=None, maps=None, **changes):
    everywhere = np.ones(outcome.shape[1], dtype=bool)
    values = Values(outcome=outcome, maps=maps or {})
    return value_models.test(model, values, inference(**changes), everywhere if tested is None else tested)


def correlated(n, regions, seed=2):
    """Noise that all regions share in part."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, regions)) + rng.normal(size=(n, 1))


def test_estimates_are_those_of_statsmodels():
    model = group_by_time(site="site")
    outcome = correlated(21, 5) + 2 * (np.array(model.arms) == "drug")[:, None]
    family = run(model, outcome, alpha=0.1)
    for k, one in enumerate(family.tests):
        fitted = sm.OLS(outcome[:, k], model.matrix).fit().t_test(model.weights)
        own = one.estimates[0]
        low, high = fitted.conf_int(0.1)[0]
        assert np.allclose(
            [own.value, own.se, own.t, own.p, own.low, own.high],
            [fitted.effect[0], fitted.sd[0, 0], fitted.tvalue[0, 0], fitted.pvalue, low, high],
            rtol=1e-10,
        )
        assert (one.df, one.value, one.p) == (model.df, own.t, own.p)
    assert np.allclose(
        [one.p_holm for one in family.tests], multipletests([one.p for one in family.tests], method="holm")[1]
    )


def test_an_arms_standardised_difference_is_that_of_two_groups():
    model = group_by_time(covariates=())
    outcome = correlated(21, 1)
    own = run(model, outcome).tests[0].estimates[0]
    drug = np.array(model.arms) == "drug"
    expected = effect_sizes.two_groups(outcome[drug, 0], outcome[~drug, 0])
    assert np.allclose([own.g, own.g_low, own.g_high], [expected.g, expected.low, expected.high], rtol=1e-9)


def test_several_effects_are_tested_jointly_as_statsmodels_does():
    model = group_by_time(site="site")
    weights = np.zeros((2, len(model.names)))
    weights[0, model.names.index("arm")] = weights[1, model.names.index("age")] = 1
    fit = least_squares.fit(model.matrix, correlated(21, 1)[:, 0], weights)
    expected = sm.OLS(correlated(21, 1)[:, 0], model.matrix).fit().f_test(weights)
    assert np.isclose(fit.f, expected.fvalue)
    assert fit.df == expected.df_denom


def test_corrected_p_count_all_relabellings():
    """Seven participants in two arms: 35 ways to draw the arms, all compared by their largest |t|."""
    names, table = sample(4, 3)
    model = designs.group_by_time(names, table, ARMS, "participants.tsv")
    outcome = correlated(7, 6)
    outcome[:4, 2] += 3
    largest = []
    for drug in itertools.combinations(range(7), 4):
        treated = np.isin(np.arange(7), drug)
        largest.append(np.abs(stats.ttest_ind(outcome[treated], outcome[~treated]).statistic).max())
    observed = np.abs(stats.ttest_ind(outcome[:4], outcome[4:]).statistic)
    expected = (np.array(largest) >= observed[:, None] - 1e-9).mean(axis=1)
    family = run(model, outcome)
    assert family.relabellings == 35
    assert np.allclose([one.p_corrected for one in family.tests], expected)
    assert {one.corrected_by for one in family.tests} == {"max-T"}


def test_corrected_p_with_a_covariate_permute_residuals():
    """Freedman and Lane's scheme written out, with the relabellings that the analysis' maps have."""
    model = group_by_time()
    outcome = correlated(21, 4)
    outcome[:12, 1] += 1.5
    orders, _ = relabelling.relabellings(model.matrix, 500, 3, None)
    nuisance = np.delete(model.matrix, model.names.index("arm"), axis=1)
    residual = outcome - nuisance @ np.linalg.lstsq(nuisance, outcome, rcond=None)[0]
    largest = []
    for order in orders:
        # Participant i's data meet row order[i] of the design.
        t = [sm.OLS(column, model.matrix[order]).fit().tvalues[model.names.index("arm")] for column in residual.T]
        largest.append(np.abs(t).max())
    observed = [abs(one.value) for one in run(model, outcome).tests]
    expected = [(np.array(largest) >= value - 1e-9).mean() for value in observed]
    assert np.allclose([one.p_corrected for one in run(model, outcome).tests], expected)


def test_regions_are_to_the_engine_what_voxels_without_neighbours_are():
    """The largest t of every relabelling is that of the maps' own program."""
    model = group_by_time(site="site")
    outcome = correlated(21, 9)
    drawn = Relabellings(permutations=relabelling.relabellings(model.matrix, 700, 3, model.blocks)[0])
    partial = glm.partial_form(*model.partition())
    apart = np.zeros((1, 1, 18), dtype=bool)
    apart[..., ::2] = True
    null = permutation.null_distribution(
        differences.fit(np.ascontiguousarray(outcome), partial),
        partial,
        drawn,
        clusters.Lattice(apart, 6),
        MaximumStatistics(),
    )
    forms = [RegionForm.make(model.matrix, model.weights, column) for column in outcome.T]
    _, largest = value_permutations.largest(forms, drawn, two_sided=True)
    assert np.allclose(largest, null.largest_t(True), rtol=1e-9)
    _, largest = value_permutations.largest(forms, drawn, two_sided=False)
    assert np.allclose(np.maximum(largest, 0), null.largest_t(False), rtol=1e-9)


def with_baseline(model, weights=None, effects=()):
    """The model with the region's own baseline as a covariate."""
    names = [*model.names, "baseline"]
    own = np.zeros((len(model.weights) if weights is None else len(weights), len(names)))
    own[:, :-1] = model.weights if weights is None else weights
    return dataclasses.replace(
        model,
        names=names,
        matrix=np.column_stack([model.matrix, np.ones(len(model.matrix))]),
        weights=own,
        effects=effects,
        voxelwise=((),) * (len(names) - 1) + (("baseline",),),
    )


def permuted_by_hand(model, outcome, baseline, tested, number=300):
    """Freedman and Lane's scheme region by region, by statsmodels: the largest F of each relabelling, and the observed F."""
    # Every participant has a baseline of their own: all orders count, not those of the arms alone.
    orders, _ = relabelling.relabellings(np.eye(len(outcome)), number, 3, None)
    designs_of = [np.column_stack([model.matrix[:, :-1], column - column.mean()]) for column in baseline.T]
    largest = np.zeros(len(orders))
    for design, y in zip(designs_of, outcome.T):
        nuisance = np.delete(design, tested, axis=1)
        residual = sm.OLS(y, nuisance).fit().resid
        for b, order in enumerate(orders):
            f = sm.OLS(residual, design[order]).fit().f_test(np.eye(design.shape[1])[tested]).fvalue
            largest[b] = max(largest[b], f)
    observed = [
        sm.OLS(y, design).fit().f_test(np.eye(design.shape[1])[tested]) for design, y in zip(designs_of, outcome.T)
    ]
    return largest, observed


def test_the_regions_own_baseline_adjusts_it():
    plain = group_by_time()
    model = with_baseline(plain)
    baseline = correlated(21, 3, seed=7)
    outcome = 0.7 * baseline + correlated(21, 3)
    outcome[:12, 0] += 1.5
    largest, observed = permuted_by_hand(model, outcome, baseline, [plain.names.index("arm")])
    family = run(model, outcome, maps={"baseline": baseline}, permutations=300)
    expected = [(largest >= one.fvalue - 1e-9).mean() for one in observed]
    assert np.allclose([one.value**2 for one in family.tests], [one.fvalue for one in observed])
    assert np.allclose([one.p for one in family.tests], [one.pvalue for one in observed])
    assert np.allclose([one.p_corrected for one in family.tests], expected)


def test_several_effects_are_corrected_by_the_largest_f():
    plain = group_by_time()
    tested = [plain.names.index("arm"), plain.names.index("age")]
    model = with_baseline(plain, np.eye(len(plain.names))[tested], ("arm", "age"))
    baseline = correlated(21, 2, seed=7)
    outcome = correlated(21, 2)
    largest, observed = permuted_by_hand(model, outcome, baseline, tested)
    family = run(model, outcome, maps={"baseline": baseline}, permutations=300)
    assert [one.statistic for one in family.tests] == ["F", "F"]
    assert np.allclose([one.value for one in family.tests], [one.fvalue for one in observed])
    assert np.allclose([one.p for one in family.tests], [one.pvalue for one in observed])
    expected = [(largest >= one.fvalue - 1e-9).mean() for one in observed]
    assert np.allclose([one.p_corrected for one in family.tests], expected)
    assert [estimate.name for estimate in family.tests[0].estimates] == ["arm", "age"]


@pytest.mark.parametrize("tested", [["arm"], ["arm", "age"]])
def test_a_design_of_the_regions_own_is_tested_as_the_maps_are(tested):
    """The family-wise p of regions are those of the same values as maps of voxels that do not touch."""
    plain = group_by_time()
    model = with_baseline(plain, np.eye(len(plain.names))[[plain.names.index(name) for name in tested]], tuple(tested))
    baseline, outcome = (correlated(21, 8, seed).astype(np.float32).astype(float) for seed in (7, 2))
    outcome[:12, 3] += 2
    mask = np.zeros((1, 1, 16), dtype=bool)
    mask[..., ::2] = True
    maps = Maps(
        outcome.astype(np.float32),
        mask,
        np.eye(4),
        8,
        [0] * 21,
        [(False,)] * 21,
        np.full(8, 50.0),
        [f"{name}.nii.gz" for name in model.participants],
        terms={"baseline": baseline.astype(np.float32)},
    )
    inference_of_maps = inference(statistics=["extent"])
    result = permutation_inference.test(model, maps, inference_of_maps, is_cbf=True, threads=1)
    family = run(model, outcome, maps={"baseline": baseline}, statistics=["extent"])
    assert np.allclose(-np.log10([one.p_corrected for one in family.tests]), result.maps["voxel_pfwe"])
    assert np.allclose([one.value for one in family.tests], result.maps["t"])


def test_without_a_baseline_a_participant_does_not_count_in_that_region():
    model = with_baseline(group_by_time())
    baseline, outcome = correlated(21, 2, seed=7), correlated(21, 2)
    baseline[4, 1] = np.nan
    family = run(model, outcome, maps={"baseline": baseline})
    assert [len(one.participants) for one in family.tests] == [21, 20]
    assert [one.corrected_by for one in family.tests] == ["max-T", "Bonferroni"]


def test_one_arm_has_one_variance_whatever_is_asked():
    names, table = sample(9, 5)
    model = designs.build("regression", names[:9], table, designs.arms("", ""), "f", predictor="age", arm="drug")
    outcome = correlated(9, 2)
    same = run(model, outcome), run(model, outcome, variance="by_arm")
    assert same[0].tests == same[1].tests


def test_signs_are_flipped_for_a_change_within_an_arm():
    names, table = sample(6, 3)
    model = designs.within_arm(names, table, "drug", "participants.tsv")
    outcome = correlated(6, 3) + 1
    signs = np.array(list(itertools.product((1, -1), repeat=6)))
    flipped = np.abs(stats.ttest_1samp(outcome[None] * signs[:, :, None], 0, axis=1).statistic).max(axis=1)
    observed = np.abs(stats.ttest_1samp(outcome, 0).statistic)
    family = run(model, outcome)
    expected = (flipped >= observed[:, None] - 1e-9).mean(axis=1)
    assert np.allclose([one.p_corrected for one in family.tests], expected)


def test_a_residual_variance_per_arm_gives_welchs_test():
    model = group_by_time(covariates=())
    outcome = correlated(21, 3)
    outcome[:12] *= 3
    family = run(model, outcome, variance="by_arm")
    for k, one in enumerate(family.tests):
        expected = stats.ttest_ind(outcome[:12, k], outcome[12:, k], equal_var=False)
        interval = expected.confidence_interval(0.95)
        own = one.estimates[0]
        assert one.statistic == "v"
        assert np.allclose([one.value, one.df, one.p], [expected.statistic, expected.df, expected.pvalue])
        assert np.allclose([own.low, own.high], interval)


def test_two_equal_regions_count_as_one_for_the_largest_statistic():
    model = group_by_time()
    outcome = correlated(21, 3)
    alone = run(model, outcome).tests
    doubled = run(model, np.column_stack([outcome, outcome[:, 0]])).tests
    assert [one.p_corrected for one in doubled[:3]] == [one.p_corrected for one in alone]
    assert doubled[3] == dataclasses.replace(doubled[0])


def test_regions_that_lack_participants_have_their_share_of_the_error():
    model = group_by_time()
    outcome = correlated(21, 5)
    whole = run(model, outcome[:, [0, 1, 4]])
    outcome[3, 2] = np.nan
    outcome[:12, 3] = np.nan
    family = run(model, outcome)
    assert (family.size, family.complete) == (4, 3)
    lacking = family.tests[2]
    keep = np.arange(21) != 3
    expected = sm.OLS(outcome[keep, 2], model.matrix[keep]).fit().t_test(model.weights)
    assert np.isclose(lacking.p, float(expected.pvalue))
    assert (lacking.corrected_by, len(lacking.participants)) == ("Bonferroni", 20)
    assert lacking.p_corrected == min(4 * lacking.p, 1)
    assert "sub-03" in lacking.note
    for one, alone in zip([family.tests[k] for k in (0, 1, 4)], whole.tests):
        assert np.isclose(one.p_corrected, min(alone.p_corrected * 4 / 3, 1))
    # One arm alone tells nothing of the difference of arms.
    assert family.tests[3].estimates == ()
    assert "cannot be estimated" in family.tests[3].note


def test_regions_without_values_or_variation_and_those_that_do_not_count_are_no_part_of_the_family():
    model = group_by_time()
    outcome = correlated(21, 5)
    alone = run(model, outcome[:, :2])
    outcome[:, 2], outcome[:, 3] = np.nan, 7.0
    family = run(model, outcome, tested=np.array([True, True, True, True, False]))
    assert [one.p_corrected for one in family.tests[:2]] == [one.p_corrected for one in alone.tests]
    assert family.size == 2
    assert "cover" in family.tests[2].note
    assert "vary" in family.tests[3].note
    assert np.isfinite(family.tests[4].p)
    assert np.isnan(family.tests[4].p_corrected)


def test_a_model_is_read_as_it_was_written(tmp_path):
    model = group_by_time(site="site")
    model.write(tmp_path / "design.tsv")
    inference_block = {
        "effect": {"name": model.name, "meaning": model.meaning, "unit": model.kind.unit},
        "model": {"formula": model.formula, "tested_term": "arm", "tested_model": model.record()},
    }
    again = Model.read(tmp_path / "design.tsv", inference_block)
    assert again.digest() == model.digest()
    assert again.arms == model.arms


@pytest.mark.parametrize("weights", [[[0.0, 1.0, 0.0]], [[0.0, 1.0, 1.0]]])
def test_what_dependent_columns_leave_open_cannot_be_estimated(weights):
    design = np.column_stack([np.ones(8), np.arange(8.0), np.arange(8.0)])
    response = np.random.default_rng(0).normal(size=8)
    if weights[0][2]:
        fit = least_squares.fit(design, response, np.array(weights))
        assert np.isclose(fit.t[0], sm.OLS(response, design[:, :2]).fit().tvalues[1])
    else:
        with pytest.raises(ValueError, match="cannot be estimated"):
            least_squares.fit(design, response, np.array(weights))
