"""The mixed model at every voxel against lme4 and the test on differences; its size with missing sessions."""

import csv

import designs
import numpy as np
import pytest
from loading import shared_data
from pharmasl.errors import InputError
from pharmasl.group import mixed_maps
from pharmasl.group.engine import glm
from scipy import stats

ARMS = {"treatment": "drug", "control": "placebo"}


def small():
    folder = shared_data("reference", "group-stats")
    stored = np.load(folder / "small" / "data.npz")
    table = [
        {"participant_id": f"sub-{k:02d}", "arm": "drug" if drug else "placebo", "age": repr(float(age))}
        for k, (drug, age) in enumerate(zip(stored["drug"], stored["covariates"][:, 0]))
    ]
    with open(folder / "small_reference" / "lme.tsv", encoding="utf-8") as file:
        return stored, table, list(csv.DictReader(file, delimiter="\t"))


def scans(n, missing=()):
    """(participant, session) pairs, a participant's sessions together."""
    missing = {tuple(pair) for pair in missing}
    return [(s, t) for s in range(n) for t in (0, 1) if (s, t) not in missing]


def fit(data, plan, voxels=None, method="satterthwaite"):
    return mixed_maps.fit(data, plan, method=method, voxels=voxels)


def laid_out(table, kept, covariates=()):
    names = [table[s]["participant_id"] for s, _ in kept]
    return mixed_maps.layout(
        names, [("baseline", "followup")[t] for _, t in kept], table, designs.arms(**ARMS), "p.tsv", covariates
    )


@pytest.mark.parametrize("case", ["complete", "incomplete"])
@pytest.mark.parametrize("form", ["plain", "cov"])
def test_maps_are_lme4s(case, form):
    stored, table, fits = small()
    fits = [fit for fit in fits if (fit["case"], fit["model"]) == (case, form)]
    kept = scans(15, stored["missing"] if case == "incomplete" else ())
    plan = laid_out(table, kept, ["age"] if form == "cov" else [])
    voxels = [int(fit["voxel"]) for fit in fits]
    found = fit(np.array([stored["Y"][s, t, voxels] for s, t in kept]).T, plan)
    assert len(plan.incomplete) == (3 if case == "incomplete" else 0)

    def lme4(column):
        return np.array([float(fit[column]) for fit in fits])

    assert np.abs(found.effect - lme4("estimate")).max() < 1e-5
    assert np.abs(found.se - lme4("se")).max() < 1e-6
    assert np.abs(found.t - lme4("t")).max() < 1e-5
    assert np.abs(found.df - lme4("df_satterthwaite")).max() < 1e-5
    np.testing.assert_allclose(found.p, lme4("p_satterthwaite"), rtol=1e-5)
    assert np.abs(found.participant_variance - lme4("var_subject")).max() < 1e-4
    assert np.abs(found.residual_variance - lme4("var_residual")).max() < 1e-4
    assert found.boundary.tolist() == [fit["singular"] == "1" for fit in fits]
    assert found.boundary.any()
    small_sample = fit(
        np.array([stored["Y"][s, t, voxels] for s, t in kept]).T,
        plan,
        method="kenward-roger",
    )
    for name, column in (("se", "se_kr"), ("t", "t_kr"), ("df", "df_kr"), ("p", "p_kr")):
        np.testing.assert_allclose(getattr(small_sample, name), lme4(column), rtol=1e-5, atol=1e-7)
    tail = stats.norm.sf(np.abs(found.z))
    np.testing.assert_allclose(2 * tail, found.p, rtol=1e-9)
    assert (np.sign(found.z) == np.sign(found.t)).all()


@pytest.mark.parametrize("covariates", [[], ["age"]])
def test_complete_data_give_the_test_on_differences_off_the_boundary(covariates):
    stored, table, _ = small()
    kept = scans(15)
    plan = laid_out(table, kept, covariates)
    some = slice(0, None, 7)
    found = fit(np.array([stored["Y"][s, t, some] for s, t in kept]).T, plan)
    names = [row["participant_id"] for row in table]
    effect = designs.group_by_time(names, table, ARMS, "p.tsv", covariates)
    change = (stored["Y"][:, 1, some].astype(float) - stored["Y"][:, 0, some]).T.copy()
    paired = glm.fit(change, glm.partial_form(*effect.partition()))
    inner = ~found.boundary
    assert 0.9 < inner.mean() < 1
    np.testing.assert_allclose(found.effect, paired.effect, rtol=1e-7, atol=1e-9)
    assert np.abs(found.t - paired.t)[inner].max() < 1e-8
    np.testing.assert_allclose(found.df[inner], effect.df, atol=1e-7)
    # On the boundary it is another test, and says so.
    np.testing.assert_allclose(found.df[~inner], 30 - plan.matrix.shape[1])
    assert np.abs(found.t - paired.t)[~inner].min() > 1e-6


def trial(rng, voxels, missing, between=6.0, n=(10, 12), effect=0.0):
    people = sum(n)
    table = [
        {"participant_id": f"sub-{k:02d}", "arm": "drug" if k < n[0] else "placebo", "age": str(20 + k % 7)}
        for k in range(people)
    ]
    kept = scans(people, missing)
    level = rng.normal(50, between, (voxels, people))
    data = np.stack([level[:, s] + rng.normal(0, 6, voxels) + effect * (s < n[0]) * t for s, t in kept], axis=1)
    return data, table, kept


def test_size_is_nominal_with_missing_sessions_and_power_is_no_less_than_of_pairs():
    rng = np.random.default_rng(11)
    missing = [(1, 1), (4, 1), (8, 0), (12, 1), (15, 1), (20, 1)]
    data, table, kept = trial(rng, 6000, missing)
    plan = laid_out(table, kept)
    found = fit(data, plan)
    rate = (found.p < 0.05).mean()
    assert abs(rate - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 / 6000), rate
    data, table, kept = trial(rng, 3000, missing, between=4.0, effect=-7.0)
    found = fit(data, plan)
    places = {key: k for k, key in enumerate(kept)}
    pairs = [s for s in range(22) if (s, 0) in places and (s, 1) in places]
    change = np.stack([data[:, places[s, 1]] - data[:, places[s, 0]] for s in pairs])
    drug = np.array(pairs) < 10
    paired = stats.ttest_ind(change[drug], change[~drug]).pvalue
    assert (found.p < 0.05).mean() > (paired < 0.05).mean()
    assert abs(found.effect.mean() + 7) < 3.3 * found.effect.std() / np.sqrt(3000)


def test_blocks_and_data_on_demand_do_not_matter(monkeypatch):
    rng = np.random.default_rng(12)
    data, table, kept = trial(rng, 300, [(2, 1)])
    plan = laid_out(table, kept, ["age"])
    whole = fit(data, plan)
    asked = []

    def on_demand(start, stop):
        asked.append(stop - start)
        return data[start:stop]

    monkeypatch.setattr(mixed_maps, "_TILE", 64)
    parts = fit(on_demand, plan, voxels=300)
    assert asked == [64, 64, 64, 64, 44]
    for one, other in zip(whole, parts):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_voxel_without_variation_has_no_test_and_one_voxel_is_enough():
    rng = np.random.default_rng(13)
    data, table, kept = trial(rng, 3, [])
    plan = laid_out(table, kept)
    data[1] = 60
    found = fit(data, plan)
    assert np.isnan(found.t).tolist() == np.isnan(found.z).tolist() == [False, True, False]
    corrected = fit(data, plan, method="kenward-roger")
    assert np.isnan(corrected.t).tolist() == [False, True, False]
    single = fit(data[2:], plan)
    assert single.t[0] == pytest.approx(found.t[2], rel=1e-12)


def test_what_cannot_be_laid_out_is_refused():
    rng = np.random.default_rng(14)
    data, table, kept = trial(rng, 5, [])

    def refused(kept, covariates=(), table=table):
        with pytest.raises(InputError) as caught:
            laid_out(table, kept, covariates)
        return str(caught.value)

    assert "one map each" in refused([*kept, kept[0]])
    assert "1 participant(s) at followup" in refused([(s, t) for s, t in kept if not (s < 9 and t == 1)])
    assert "nobody with both" in refused([(s, s % 2) for s in range(22)])
    months = [{**row, "months": str(12 * int(row["age"]))} for row in table]
    assert "months = 12 age" in refused(kept, ["age", "months"], months)
    assert "not used twice" in refused(kept, ["age", "age"])
    plan = laid_out(table, kept)
    data[3, 7] = np.nan
    with pytest.raises(InputError, match="a scan of sub-03 without a value"):
        fit(data, plan)
    with pytest.raises(ValueError, match="neither"):
        fit(data, plan, method="wald")
    with pytest.raises(ValueError, match="not sessions"):
        mixed_maps.layout(["sub-00"], ["T1"], table, designs.arms(**ARMS), "p.tsv")
