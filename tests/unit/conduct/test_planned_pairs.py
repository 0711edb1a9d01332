"""Planned pairs of arms, corrected over pairs by relabellings that they have in common: against Dunnett's test."""

import numpy as np
import pytest
from pharmasl.errors import InputErrors
from pharmasl.group import combination, formula_models
from pharmasl.group.engine import clusters, differences, glm, permutation, relabelling
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.group.formula_models import DesignRows
from pharmasl.statistics import multiplicity
from pharmasl.study import configuration
from scipy import stats

from tests import complete_settings

NAMES = [f"sub-{k:02d}" for k in range(45)]
LABELS = ["placebo", "low", "high"]
TABLE = [{"participant_id": name, "arm": LABELS[k % 3], "age": str(20 + 7 * k % 31)} for k, name in enumerate(NAMES)]
ARMS = {"column": "arm", "treatment": "high", "control": "placebo", "others": ["low"]}


def model(test, text="change ~ arm"):
    analysis = complete_settings.analysis(effect=None, model=text, test=test, arms=ARMS)
    rows = DesignRows(participants=NAMES)
    return formula_models.build(analysis, complete_settings.arms(**ARMS), rows, TABLE, "participants.tsv")


def relabelled_p(values, own, orders):
    """The p of one voxel in each relabelling."""
    fit = differences.fit(values, glm.partial_form(*own.partition()))
    lattice = clusters.Lattice(np.ones((1, 1, 1), dtype=bool), 18)
    null = permutation.null_distribution(
        fit, glm.partial_form(*own.partition()), Relabellings(permutations=orders), lattice, MaximumStatistics()
    )
    return combination.relabelling_p(null, "voxel", True)


def test_the_least_corrected_p_is_dunnetts():
    """Dunnett's many-to-one test by the multivariate t, with which normal data and 10,000 relabellings agree."""
    pairs = [model("low - placebo"), model("high - placebo")]
    orders, _ = relabelling.relabellings(pairs[0].matrix, 10_000, 3)
    groups = {label: np.array([row["arm"] == label for row in TABLE]) for label in LABELS}
    for seed in range(4):
        y = np.random.default_rng(seed).normal(size=(len(NAMES), 1)) + 0.7 * groups["high"][:, None]
        p = np.column_stack([relabelled_p(y, own, orders) for own in pairs])
        corrected = multiplicity.joint(p)
        low, high, control = (y[groups[label], 0] for label in ("low", "high", "placebo"))
        dunnett = stats.dunnett(low, high, control=control, random_state=1).pvalue
        # Both estimates of the permutation p and the approximation by the normal law are within .015.
        assert corrected.min() == pytest.approx(dunnett.min(), abs=0.015)
        assert corrected.min() >= p[0].min()


def test_pairs_have_their_relabellings_in_common_and_other_designs_have_not():
    low, high = model("low - placebo"), model("high - placebo")
    assert low.digest() != high.digest()
    assert low.relabelling_digest() == high.relabelling_digest()
    assert low.relabelling_digest() != model("low - placebo", "change ~ arm + age").relabelling_digest()


def planned(second):
    analyses = {"low": {"contrast": "rest", "model": "followup ~ arm + baseline", "test": "low - placebo"}}
    analyses["high"] = {"contrast": "rest", "model": "followup ~ arm + baseline", "test": "high - placebo", **second}
    study = {
        "bids_dir": "bids",
        "output_dir": "results",
        "conditions": {"rest": {}},
        "contrasts": {"rest": {"rest": 1}},
    }
    study |= {"sessions": complete_settings.SESSIONS, "arms": ARMS, "analyses": analyses}
    return study | {"primary": {"answers": ["low", "high"], "correction": "joint"}}


def test_the_plan_takes_pairs_of_one_model_and_refuses_others():
    configuration.resolve(planned({}))
    with pytest.raises(InputErrors, match="model is followup ~ arm \\+ baseline in low, followup ~ arm in high"):
        configuration.resolve(planned({"model": "followup ~ arm"}))
    with pytest.raises(InputErrors, match="what is relabelled is permute in low, flip in high"):
        configuration.resolve(planned({"test": "1"}))
