"""Adjusted values against ordinary least squares by another program: what is drawn is what the model estimates."""

import numpy as np
import pandas
import pytest
from pharmasl.figures import changes_adjusted
from pharmasl.figures.changes_places import People, Place
from pharmasl.study.labels import Labels
from statsmodels.formula.api import ols

NAMES = [f"sub-{k:02d}" for k in range(1, 25)]
LABELS = Labels(
    **{key: {} for key in ("sessions", "arms", "conditions", "contrasts", "analyses", "regions", "answers")}
)


@pytest.fixture
def data():
    rng = np.random.default_rng(8)
    n = len(NAMES)
    arm = np.arange(n) % 3
    age = rng.normal(40, 9, n) + 6 * (arm == 1)
    before = rng.normal(50, 6, n)
    after = before * 0.6 + 20 + 5 * (arm == 1) + 9 * (arm == 2) + 0.3 * age + rng.normal(0, 2, n)
    columns = {"arm": np.array(["placebo", "low", "high"])[arm], "age": age, "before": before, "after": after}
    return {**columns, "change": after - before}


def place(data):
    values = {(who, "T1"): float(value) for who, value in zip(NAMES, data["before"])}
    values |= {(who, "T2"): float(value) for who, value in zip(NAMES, data["after"])}
    return Place(key="region-x", name="x", note="", chosen=False, values=values)


def people(data):
    arms = dict(zip(NAMES, data["arm"].tolist()))
    return People(arms=arms, order=["low", "placebo", "high"], sessions=["T1", "T2"], labels=LABELS)


def adjustment(data, outcome, columns, weights, voxelwise=None, by_arm=True):
    """Of a design of named columns; ``weights`` of its contrasts."""
    tested = {"columns": list(columns), "weights": weights, "outcome": outcome}
    tested["voxelwise"] = [[name] if name else [] for name in voxelwise or []]
    rows = [
        {"participant_id": who, **{name: values[k] for name, values in columns.items()}} for k, who in enumerate(NAMES)
    ]
    return changes_adjusted.read({"model": {"tested_model": tested}}, rows, people(data), by_arm=by_arm)


def design(data, **more):
    n = len(NAMES)
    dummies = {f"arm[{name}]": (data["arm"] == name).astype(float) for name in ("high", "low")}
    return {"intercept": np.ones(n), **dummies, **more}


def arm_means(data, values):
    return {
        name: np.mean([values[who] for who, own in zip(NAMES, data["arm"]) if own == name]) for name in set(data["arm"])
    }


def test_arms_of_an_f_test_differ_by_the_models_estimates(data):
    own = adjustment(data, "change", design(data, age=data["age"]), [[0, 1, 0, 0], [0, 0, 1, 0]])
    assert own.terms == ["age"]
    assert own.unknown == []
    means = arm_means(data, own.values(place(data), ["T1", "T2"]))
    fit = ols("change ~ C(arm, Treatment('placebo')) + age", pandas.DataFrame(data)).fit()
    for name in ("high", "low"):
        expected = fit.params[f"C(arm, Treatment('placebo'))[T.{name}]"]
        assert means[name] - means["placebo"] == pytest.approx(expected, rel=1e-10)
    # The level is that of the measured values.
    assert np.mean(list(own.values(place(data), ["T1", "T2"]).values())) == pytest.approx(data["change"].mean())


def test_the_follow_up_is_adjusted_for_the_places_own_baseline(data):
    columns = design(data, baseline=np.ones(len(NAMES)))
    own = adjustment(data, "followup", columns, [[0, 1, 0, 0]], [None, None, None, "baseline"])
    assert own.terms == ["each cluster's or region's own baseline"]
    means = arm_means(data, own.values(place(data), ["T1", "T2"]))
    fit = ols("after ~ C(arm, Treatment('placebo')) + before", pandas.DataFrame(data)).fit()
    expected = fit.params["C(arm, Treatment('placebo'))[T.high]"]
    assert means["high"] - means["placebo"] == pytest.approx(expected, rel=1e-10)


def test_a_line_through_partial_residuals_has_the_models_slope(data):
    centred = data["age"] - data["age"].mean()
    own = adjustment(data, "change", design(data, age=centred), [[0, 0, 0, 1]], by_arm=False)
    assert own.terms == ["arm"]
    assert own.one_slope
    values = own.values(place(data), ["T1", "T2"])
    slope = np.polyfit(data["age"], [values[who] for who in NAMES], 1)[0]
    expected = ols("change ~ C(arm) + age", pandas.DataFrame(data)).fit().params["age"]
    assert slope == pytest.approx(expected, rel=1e-9)


def test_margins_of_a_tested_product_are_shown(data):
    high = (data["arm"] == "high").astype(float)
    centred = data["age"] - data["age"].mean()
    columns = design(data, age=centred, sex=np.arange(24) % 2 * 1.0, **{"arm[high]:age": high * centred})
    own = adjustment(data, "change", columns, [[0, 0, 0, 0, 0, 1]], by_arm=False)
    assert own.terms == ["sex"]
    assert not own.one_slope


def test_columns_with_the_arms_names_are_arms(data):
    columns = {name: (data["arm"] == name).astype(float) for name in ("low", "placebo", "high")} | {"age": data["age"]}
    own = adjustment(data, "change", columns, [[1, -1, 0, 0]])
    assert own.terms == ["age"]


def test_nothing_to_adjust_for_adjusts_nothing(data):
    assert adjustment(data, "change", design(data), [[0, 1, 0]]) is None


def test_a_map_that_no_place_knows_is_named_and_not_adjusted_for(data):
    columns = design(data, gm=np.ones(len(NAMES)))
    own = adjustment(data, "change", columns, [[0, 1, 0, 0]], [None, None, None, "gm"])
    assert own.unknown == ["gm"]
    assert own.values(place(data), ["T1", "T2"]) == {}


def test_scans_and_too_few_people_are_left_as_measured(data):
    own = adjustment(data, "change", design(data, age=data["age"]), [[0, 1, 0, 0]])
    few = {visit: value for visit, value in place(data).values.items() if visit[0] in NAMES[:4]}
    assert own.values(Place(key="x", name="x", note="", chosen=False, values=few), ["T1", "T2"]) == {}
    rows = [{"participant_id": NAMES[0], "session_id": "T1", "intercept": 1.0}]
    tested = {"columns": ["intercept"], "weights": [[1]], "outcome": "cbf", "voxelwise": []}
    assert changes_adjusted.read({"model": {"tested_model": tested}}, rows, people(data), by_arm=True) is None
