"""SPM's full factorial design against SPM's maps and against restricted likelihood and whitening written out."""

import json

import numpy as np
import pytest
from loading import shared_data
from pharmasl.errors import InputError
from pharmasl.group import full_factorial, random_fields, residual_smoothness
from scipy import stats


def small():
    folder = shared_data("reference", "group-stats")
    stored = np.load(folder / "small" / "data.npz")
    first, second = (stored["Y"][:, k].T.copy() for k in (0, 1))
    spm = {each["design"]: each for each in json.loads((folder / "small_reference" / "spm.json").read_text())}["ff"]
    t = np.load(folder / "small_reference" / "spm_t.npz")["ff"]
    # In the order of names: drug, placebo.
    return first, second, np.where(stored["drug"] == 1, "drug", "placebo"), stored["mask"], spm, t


def of_spm(h):
    """SPM's list (variances drug T1, placebo T1, drug T2, placebo T2; covariances drug, placebo) as matrices."""
    return np.array([[[h[0], h[4]], [h[4], h[2]]], [[h[1], h[5]], [h[5], h[3]]]])


def test_with_spms_covariance_the_map_is_spms():
    first, second, groups, _, spm, t = small()
    found = full_factorial.fit(first, second, groups, "drug", "placebo", covariance=of_spm(spm["reml_h"]))
    assert found.df == round(spm["erdf"]) == 26
    assert np.abs(found.t - t).max() < 3e-6


def test_from_the_data_alone_covariance_and_map_are_spms():
    first, second, groups, _, spm, t = small()
    found = full_factorial.fit(first, second, groups, "drug", "placebo")
    assert found.selected == 12424
    np.testing.assert_allclose(found.covariance, of_spm(spm["reml_h"]), rtol=1e-10)
    assert np.abs(found.t - t).max() < 3e-6
    # The likelihood's own maximum, without SPM's prior, is another by a little.
    exact = full_factorial.fit(first, second, groups, "drug", "placebo", prior=0)
    assert 1e-4 < np.abs(exact.covariance - found.covariance).max() < 3e-4
    assert 1e-4 < np.abs(exact.t - t).max() < 4e-4


def test_a_vanishing_prior_leaves_the_likelihoods_maximum():
    first, second, groups, *_ = small()
    closed, _ = full_factorial.pooled_covariance(first, second, groups, prior=0)
    iterated, _ = full_factorial.pooled_covariance(first, second, groups, prior=1e-13)
    np.testing.assert_allclose(iterated, closed, rtol=1e-10)


def test_smoothness_of_the_whitened_residuals_is_spms():
    first, second, groups, mask, spm, _ = small()
    residuals = full_factorial.whitened_residuals(first, second, groups, of_spm(spm["reml_h"]))
    estimate = residual_smoothness.smoothness(residuals, mask, 30)
    np.testing.assert_allclose(estimate.fwhm, spm["FWHM_voxels"], rtol=2e-6)
    np.testing.assert_allclose(random_fields.resels(mask, estimate.fwhm), spm["R_resels"], rtol=5e-6)


def written_out(first, second, code, selection_p):
    """Scans in one long vector, covariance components as matrices, Fisher scoring, whitening by an eigenbasis."""
    sizes = np.bincount(code)
    data = np.concatenate([first, second], axis=1).T
    n, cells = len(data), 2 * len(sizes)
    cell = np.concatenate([2 * code, 2 * code + 1])
    design = np.eye(cells)[cell]
    components = [np.diag((cell == k).astype(float)) for k in range(cells)]
    person = np.tile(np.arange(len(code)), 2)
    pairs = (person[:, None] == person) & ~np.eye(n, dtype=bool)
    components += [pairs * (np.tile(code, 2) == g)[:, None].astype(float) for g in range(len(sizes))]
    beta, residual, *_ = np.linalg.lstsq(design, data)
    df = n - cells
    f = (design @ beta) ** 2
    keep = f.sum(axis=0) / cells / (residual / df) > stats.f.isf(selection_p, cells, df)
    chosen = data[:, keep] * np.sqrt(df / residual[keep])
    pooled = chosen @ chosen.T / keep.sum()
    h = np.r_[np.ones(cells), np.zeros(len(sizes))]
    for _ in range(30):
        inverse = np.linalg.inv(sum(a * q for a, q in zip(h, components)))
        b = inverse @ design
        p = inverse - b @ np.linalg.solve(design.T @ b, b.T)
        pq = [p @ q for q in components]
        slope = [-0.5 * np.trace(q) + 0.5 * np.trace(q @ p @ pooled) for q in pq]
        h = h + np.linalg.solve([[0.5 * np.trace(a @ c) for c in pq] for a in pq], slope)
    covariance = sum(a * q for a, q in zip(h, components))
    values, vectors = np.linalg.eigh(covariance)
    white = (vectors / np.sqrt(values)) @ vectors.T
    x = white @ design
    beta, residual, *_ = np.linalg.lstsq(x, white @ data)
    contrast = np.zeros(cells)
    contrast[:4] = [-1, 1, 1, -1]
    error = np.sqrt(residual / df * (contrast @ np.linalg.inv(x.T @ x) @ contrast))
    return covariance, contrast @ beta, contrast @ beta / error, int(keep.sum()), white @ data - x @ beta


@pytest.mark.parametrize("arms", [(5, 7), (6, 4, 5)])
def test_the_closed_form_is_the_iterated_one(arms):
    rng = np.random.default_rng(len(arms))
    code = np.repeat(np.arange(len(arms)), arms)
    person = rng.normal(0, 6, (300, len(code)))
    first = 4 + person + rng.normal(0, 5, person.shape)
    second = 5 + 0.8 * person + rng.normal(0, 8, person.shape) - 3 * (code == 0)
    # Participants of the arms in turn: their order is no one's business.
    shuffle = rng.permutation(len(code))
    first, second, code = first[:, shuffle], second[:, shuffle], code[shuffle]
    covariance, effect, t, selected, residuals = written_out(first, second, code, 0.05)
    found = full_factorial.fit(first, second, [f"arm{k}" for k in code], "arm0", "arm1", selection_p=0.05, prior=0)
    assert 0 < selected == found.selected < 300
    n = len(code)
    for g in range(len(arms)):
        i = int(np.flatnonzero(code == g)[0])
        block = covariance[np.ix_([i, n + i], [i, n + i])]
        np.testing.assert_allclose(found.covariance[g], block, rtol=1e-9)
    np.testing.assert_allclose(found.effect, effect, rtol=1e-9)
    np.testing.assert_allclose(found.t, t, rtol=1e-9)
    white = full_factorial.whitened_residuals(first, second, [f"arm{k}" for k in code], found.covariance)
    order = np.concatenate(
        [np.concatenate([np.flatnonzero(code == g), n + np.flatnonzero(code == g)]) for g in range(len(arms))]
    )
    np.testing.assert_allclose(white, residuals.T[:, order], atol=1e-4)


def test_it_is_the_test_on_differences_where_every_voxel_has_the_pooled_covariance():
    # One voxel: its own covariance is the pooled one, so that the numerator's variance is that of Welch's t.
    rng = np.random.default_rng(5)
    first, second = rng.normal(50, 8, (1, 43)), rng.normal(50, 8, (1, 43))
    groups = np.repeat(["a", "b"], [21, 22])
    found = full_factorial.fit(first, second, groups, "a", "b", prior=0)
    change = (second - first)[0]
    welch = stats.ttest_ind(change[:21], change[21:], equal_var=False).statistic
    assert found.t[0] == pytest.approx(welch, rel=1e-10)
    assert found.effect[0] == pytest.approx(change[:21].mean() - change[21:].mean())
    assert found.df == 82
    assert full_factorial.fit(first, second, groups, "b", "a", prior=0).t[0] == pytest.approx(-found.t[0])


def test_blocks_of_voxels_do_not_matter(monkeypatch):
    rng = np.random.default_rng(6)
    first, second = rng.normal(50, 8, (500, 10)), rng.normal(50, 8, (500, 10))
    groups = list("aaaabbbbbb")
    whole = full_factorial.fit(first, second, groups, "a", "b")
    monkeypatch.setattr(full_factorial, "_TILE", 64)
    parts = full_factorial.fit(first, second, groups, "a", "b")
    np.testing.assert_allclose(parts.t, whole.t, rtol=1e-12)
    assert parts.selected == whole.selected


def test_what_it_cannot_take_is_refused():
    rng = np.random.default_rng(7)
    first, second, groups = rng.normal(50, 8, (20, 6)), rng.normal(50, 8, (20, 6)), list("aaabbb")
    missing = second.copy()
    missing[3, 2] = np.nan
    with pytest.raises(InputError, match="complete data"):
        full_factorial.fit(first, missing, groups, "a", "b")
    with pytest.raises(InputError, match="at least two arms"):
        full_factorial.fit(first, second, ["a"] * 6, "a", "b")
    with pytest.raises(InputError, match=r"arm c: found '1 participant"):
        full_factorial.fit(first, second, list("aaabbc"), "a", "b")
    with pytest.raises(InputError, match="Name an arm"):
        full_factorial.fit(first, second, groups, "a", "z")
    with pytest.raises(InputError, match="signal to pool"):
        full_factorial.fit(first - 50, second - 50, groups, "a", "b", selection_p=1e-12)
    with pytest.raises(ValueError, match="shapes"):
        full_factorial.fit(first, second[:, :5], groups, "a", "b")
    first[0], second[0] = 60, 60
    assert full_factorial.fit(first, second, groups, "a", "b").t[0] == 0
