"""Mixed models of scans from formula to family-wise p: planted effects, incomplete participants, voxels that scans lack."""

import dataclasses

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.group import formula_models, reallocation_inference
from pharmasl.group.formula_models import DesignRows
from pharmasl.group.maps import Maps
from scipy import stats

from tests import complete_settings

SHAPE = (6, 7, 8)
LABELS = ("T1", "T2", "T3")
FORMULA = "cbf ~ arm * session + age + (1 | participant)"


@dataclasses.dataclass
class Trial:
    """Scans of a trial."""

    rows: DesignRows
    table: list
    values: np.ndarray

    def model(self, formula=FORMULA, test="arm:session", **more):
        analysis = complete_settings.analysis(effect=None, model=formula, test=test, **more)
        model = formula_models.build(analysis, complete_settings.arms(), self.rows, self.table, "participants.tsv")
        return model, analysis.inference

    def maps(self):
        mask = np.ones(SHAPE, dtype=bool)
        n = len(self.values)
        paths = [f"{who}_{when}.nii.gz" for who, when in zip(self.rows.participants, self.rows.sessions)]
        baseline = np.full(mask.sum(), 50.0)
        return Maps(self.values, mask, np.eye(4), int(mask.sum()), [0] * n, [(False,)] * n, baseline, paths)

    def result(self, threads=1, **more):
        changes = {
            "inference": {"permutations": 200, "statistics": ["extent", "mass", "tfce"], **more.pop("inference", {})}
        }
        model, inference = self.model(**more, **changes)
        return reallocation_inference.test(model, self.maps(), inference, is_cbf=True, threads=threads)


def trial(rng, people=20, missing=0.25, effect=0.0, between=6.0, labels=LABELS, sites="A"):
    names = [f"sub-{k:02d}" for k in range(people)]
    arms = ["baclofen" if k % 2 else "placebo" for k in range(people)]
    table = [
        {"participant_id": name, "arm": arm, "age": str(20 + (7 * k) % 31), "centre": sites[k % len(sites)]}
        for k, (name, arm) in enumerate(zip(names, arms))
    ]
    pairs = [
        (k, t) for k in range(people) for t in range(len(labels)) if t == k % len(labels) or rng.random() >= missing
    ]
    voxels = int(np.prod(SHAPE))
    level = rng.normal(50, between, (people, voxels))
    values = np.stack([level[k] for k, _ in pairs]) + rng.normal(0, 4, (len(pairs), voxels))
    treated = np.array([arms[k] == "baclofen" and t == len(labels) - 1 for k, t in pairs])
    planted = np.zeros(SHAPE)
    planted[1:4, 1:4, 1:4] = effect
    values[treated] += planted.ravel()
    rows = DesignRows(participants=[names[k] for k, _ in pairs], sessions=[labels[t] for _, t in pairs], labels=labels)
    return Trial(rows, table, values.astype(np.float32))


def test_a_planted_effect_is_found_by_f_with_scans_missing():
    result = trial(np.random.default_rng(2), effect=14.0).result()
    block = result.definitions
    assert block["model"]["n"] == 20
    assert block["model"]["statistic"].startswith("F of a random-intercept model")
    assert block["permutation"]["exchanged"] == "allocation"
    assert block["permutation"]["exact"]
    assert block["verdict"]["significant"]
    inside = np.zeros(SHAPE)
    inside[1:4, 1:4, 1:4] = 1
    largest = result.labels == 1
    assert largest.sum() >= 20
    assert inside.ravel()[largest].mean() > 0.9
    p = 10.0 ** -result.maps["voxel_pfwe"]
    assert p[inside.ravel() > 0].min() <= 0.01
    # F of several effects has no sign and no one effect.
    assert not {"effect", "percent"} & set(result.maps)
    assert (result.null.min_t == 0).all()
    assert block["tests"]["two_sided"] is False
    assert block["smallest_called"]["status"] == "none: several effects tested together have no one size"
    assert "called" not in result.maps


def test_one_contrast_has_effects_with_intervals_and_both_signs():
    test = {"arm": {"baclofen": 1, "placebo": -1}, "session": {"T3": 1, "T1": -1}}
    result = trial(np.random.default_rng(3), effect=-16.0).result(test=test)
    row = result.clusters[0]
    assert row["effect_low"] < row["effect_mean"] < row["effect_high"] < 0
    assert row["p_fwe_cluster"] <= 0.01
    assert row["effect_mean"] == pytest.approx(result.maps["effect"][result.labels == 1].mean(), rel=0.05)
    np.testing.assert_allclose(result.maps["percent"], 100 * result.maps["effect"] / 50, rtol=0.2)
    # The visit between is an effect that is not tested.
    assert not result.definitions["permutation"]["exact"]
    tail = stats.norm.sf(np.abs(result.maps["z"]))
    p = 2 * stats.t.sf(np.abs(result.maps["t"]), result.definitions["model"]["df_range"][1])
    assert (2 * tail >= p * 0.98).all()


def test_the_smallest_called_estimate_has_the_forming_z_at_its_own_degrees_of_freedom():
    test = {"arm": {"baclofen": 1, "placebo": -1}, "session": {"T3": 1, "T1": -1}}
    result = trial(np.random.default_rng(3)).result(test=test)
    block, maps = result.definitions["smallest_called"], result.maps
    assert block["statistic"] == "extent"
    assert block["height"] == result.definitions["tests"]["cluster"]["forming_z"]
    assert "null model's variance ratio" in block["notes"][0]
    # Between the quantiles of the fewest and the most degrees of freedom; of z itself it is less.
    heights = maps["called"] / np.abs(maps["effect"] / maps["t"])
    low, high = (
        stats.t.isf(stats.norm.sf(block["height"]), df) for df in result.definitions["model"]["df_range"][::-1]
    )
    assert heights.min() == pytest.approx(low, rel=1e-9)
    assert heights.max() == pytest.approx(high, rel=1e-9)
    assert low > block["height"]


def test_threads_change_nothing():
    made = trial(np.random.default_rng(4))
    one, two = (made.result(threads=threads) for threads in (1, 2))
    for name, values in one.maps.items():
        np.testing.assert_array_equal(values, two.maps[name])
    for first, second in zip(vars(one.null).values(), vars(two.null).values()):
        np.testing.assert_array_equal(first, second)


def test_what_was_not_allocated_is_tested_by_flips():
    made = trial(np.random.default_rng(5))
    block = made.result(test="session").definitions
    assert block["permutation"]["exchanged"] == "signs"
    assert "approximate" in block["permutation"]["method"]
    assert made.result(test="age").definitions["permutation"]["exchanged"] == "signs"
    assert any("flipped" in note for note in block["model"]["notes"])
    with pytest.raises(reallocation_inference.TooFewError, match="11 participants"):
        trial(np.random.default_rng(5), people=11).result(test="session")


def test_a_common_baseline_is_exact_too():
    result = trial(np.random.default_rng(6)).result(constrained_baseline=True)
    assert result.definitions["permutation"]["exact"]
    assert [name for name in result.model.names if name.startswith("arm[")] == [
        "arm[baclofen]:session[T2]",
        "arm[baclofen]:session[T3]",
    ]


def test_voxels_that_scans_lack_are_tested_with_the_scans_that_are_there():
    made = trial(np.random.default_rng(7), people=24)
    values = made.values.reshape(-1, *SHAPE)
    values[3, 0] = np.nan
    values[8, :, 0, 0] = np.nan
    # Two thirds of the scans lack these.
    values[: 2 * len(values) // 3, 5, 6, 7] = np.nan
    result = made.result()
    volume = result.definitions["search_volume"]
    assert volume["voxels_with_too_few_scans"] == 1
    assert volume["patterns_of_scans"] == 4
    assert volume["voxels_that_scans_lack"] == 7 * 8 + 6 - 1 + 0
    assert result.searched.voxels == np.prod(SHAPE) - 1
    assert np.isfinite(result.maps["z"]).all()


def test_sites_are_strata_and_one_of_a_single_participant_never_moves():
    made = trial(np.random.default_rng(8), sites="AAAABBBB")
    for k, row in enumerate(made.table):
        row["centre"] = {0: "C", 1: "D"}.get(k, row["centre"])
    result = made.result(formula="cbf ~ arm * session + (1 | participant)", site="centre")
    assert "within sites" in result.definitions["permutation"]["method"]
    scheme = reallocation_inference.relabelled_scans(result.model, made.model(site="centre")[1])
    assert len(set(scheme.labels[:, 0])) == len(set(scheme.labels[:, 1])) == 1
    assert len(np.unique(scheme.labels, axis=0)) > 100


def test_no_variance_between_participants_and_voxels_that_do_not_vary():
    made = trial(np.random.default_rng(9), between=0.0)
    made.values[:, 5] = 50.0
    result = made.result()
    assert result.definitions["model"]["boundary_voxels"] > 0.3 * result.searched.voxels
    assert result.searched.constant == 1
    assert np.isfinite(result.maps["t"]).all()
    made.values[:] = 50.0
    with pytest.raises(InputError, match="no CBF varies"):
        made.result()


def test_a_crossover_deals_sequences():
    rng = np.random.default_rng(10)
    made = trial(rng, people=14, labels=("T1", "T2"), missing=0.2)
    order = {"baclofen": ("yes", "no"), "placebo": ("no", "yes")}
    for row in made.table:
        row["drug_T1"], row["drug_T2"] = order[row["arm"]]
    result = made.result(formula="cbf ~ visit(drug) + session + (1 | participant)", test="visit(drug)")
    block = result.definitions
    assert result.model.allocation.what == "sequence"
    assert block["permutation"]["exact"]
    assert "equence" in block["permutation"]["method"]
    assert block["model"]["design"].startswith("Crossover")
    assert any("carry-over" in note and "Add the term sequence" in note for note in block["model"]["notes"])
