"""Models that formulas define: equal to the named effects where these ask the same, and to least squares otherwise."""

import numpy as np
import pytest
import statsmodels.api as sm
from pharmasl.errors import InputError
from pharmasl.group import baseline_adjustment, definitions, design_names, effects, formula_models
from pharmasl.group.formula_models import DesignRows
from pharmasl.study import effect_words
from pharmasl.study.effect_kinds import FLIP, PERMUTE

from tests import complete_settings

RANDOM = np.random.default_rng(20201)
NAMES = [f"sub-{number:02d}" for number in range(1, 25)]
TABLE = [
    {
        "participant_id": name,
        "arm": ["placebo", "baclofen", "low"][place % 3],
        "age": str(20 + (7 * place) % 31),
        "sex": "FM"[(place // 3) % 2],
        "centre": "ABB"[(place // 5) % 3],
        "drug_T1": "no",
        "drug_T2": "yes" if place % 2 else "no",
    }
    for place, name in enumerate(NAMES)
]
THREE = {**complete_settings.ARMS, "others": ["low"]}


def _analysis(model, test, arms=None, **more):
    rois = {"dlpfc": {"sphere": [0, 0, 0], "radius": 6}}
    return complete_settings.analysis(effect=None, model=model, test=test, arms=arms, rois=rois, **more)


def _build(analysis, names=NAMES, table=TABLE, three=True, rows=None, numbers=None):
    arms = complete_settings.arms(**(THREE if three else {}))
    return formula_models.build(
        analysis, arms, rows or DesignRows(participants=names), table, "participants.tsv", numbers
    )


def _statistic(model, y):
    """F of the tested effects by least squares of the whole model and of the model without them."""
    x, nuisance = model.partition()
    x = x.reshape(len(y), -1)
    whole = np.column_stack([x, nuisance])
    result = sm.OLS(y, whole).fit()
    return result.params[: x.shape[1]], result.f_test(np.eye(x.shape[1], whole.shape[1])).fvalue


def test_a_formula_says_what_a_named_effect_does():
    two = [row for row in TABLE if row["arm"] != "low"]
    names = [row["participant_id"] for row in two]
    named = effects.build(
        complete_settings.analysis(covariates=["age", "sex"]), complete_settings.arms(), names, two, "participants.tsv"
    )
    own = _build(_analysis("change ~ arm + age + sex", "arm"), names, two, three=False)
    y = RANDOM.normal(size=len(names))
    for first, second in zip(_statistic(named, y), _statistic(own, y)):
        np.testing.assert_allclose(first, second, rtol=1e-10)
    assert (own.exchange, own.outcome, own.df) == (PERMUTE, "change", named.df)
    assert own.formula == "change ~ arm + age + sex; tested: baclofen - placebo"
    assert own.symbols == ("arm[baclofen]",)


def test_several_effects_are_tested_together():
    model = _build(_analysis("change ~ arm * sex + age", "arm", arms=THREE))
    y = RANDOM.normal(size=len(NAMES))
    estimates, f = _statistic(model, y)
    fit = sm.OLS(y, model.matrix).fit()
    np.testing.assert_allclose(estimates, model.weights @ fit.params, rtol=1e-9)
    np.testing.assert_allclose(f, fit.f_test(model.weights).fvalue, rtol=1e-9)
    assert model.effects == ("baclofen - placebo", "low - placebo")
    assert model.is_joint
    with pytest.raises(ValueError, match="2 effects"):
        _ = model.contrast


def test_maps_multiply_columns_and_are_left_out_of_the_partition():
    model = _build(_analysis("followup ~ arm * baseline + age", "arm", arms=THREE))
    assert model.maps == ["baseline"]
    assert [name for name, maps in zip(model.names, model.voxelwise) if maps] == [
        "baseline",
        "arm[baclofen]:baseline",
        "arm[low]:baseline",
    ]
    x, nuisance = model.partition()
    assert (x.shape, nuisance.shape) == ((24, 2), (24, 2))
    with pytest.raises(ValueError, match="voxel to voxel"):
        _build(_analysis("followup ~ arm * baseline", "arm:baseline", arms=THREE)).partition()


def test_the_mean_is_tested_by_flips():
    model = _build(
        _analysis("change ~ age", "1", arm="baclofen"), [n for n, row in zip(NAMES, TABLE) if row["arm"] == "baclofen"]
    )
    assert (model.exchange, model.effects) == (FLIP, ("mean",))


def test_a_site_is_a_block_and_a_term():
    model = _build(_analysis("change ~ arm", "arm", arms=THREE, site="centre"))
    assert model.names == ["intercept", "arm[baclofen]", "arm[low]", "centre[B]"]
    assert sorted(set(model.blocks.tolist())) == [0, 1]


def test_regions_are_numbers():
    values = RANDOM.normal(size=len(NAMES))
    analysis = _analysis("change ~ roi(dlpfc, rest) + arm", "roi(dlpfc, rest)", arms=THREE)
    model = _build(analysis, numbers={"roi(dlpfc, rest)": values})
    np.testing.assert_allclose(model.matrix[:, 1], values - values.mean())
    assert model.kind.is_slope
    assert analysis.seeds[0].roi == "dlpfc"


def _scans(labels=("T1", "T2", "T3")):
    pairs = [(name, label) for place, name in enumerate(NAMES) for label in labels[: 3 - (place % 4 == 0)]]
    return DesignRows(participants=[name for name, _ in pairs], sessions=[label for _, label in pairs], labels=labels)


def test_scans_of_several_sessions():
    rows = _scans()
    model = _build(_analysis("cbf ~ arm * session + (1 | participant)", "arm:session", arms=THREE), rows=rows)
    assert model.effects[0] == "(baclofen - placebo) x (T2 - T1)"
    assert (len(model.weights), model.session_labels, str(model.random[0])) == (
        4,
        ("T1", "T2", "T3"),
        "(1 | participant)",
    )
    assert model.sessions.tolist()[:5] == [0, 1, 0, 1, 2]


def test_a_common_baseline_leaves_out_what_tells_the_arms_apart_there():
    formula, test = (
        "cbf ~ arm * session + (1 | participant)",
        {"arm": {"baclofen": 1, "placebo": -1}, "session": {"T2": 1, "T1": -1}},
    )
    free, common = (
        _build(_analysis(formula, test, arms=THREE, constrained_baseline=constrained), rows=_scans())
        for constrained in (False, True)
    )
    assert set(free.names) - set(common.names) == {"arm[baclofen]", "arm[low]"}
    assert design_names.name_of(common).startswith(
        "Repeated measures (arm by session), one mean of the arms at baseline"
    )
    assert "one mean" not in design_names.name_of(free)
    assert common.kind.headline({"contrast": "rest"}).endswith(", one mean of the arms at baseline")
    at_baseline = common.matrix[common.sessions == 0]
    np.testing.assert_array_equal(at_baseline, np.tile(at_baseline[:1], (len(at_baseline), 1)))
    assert [name for name, weight in zip(common.names, common.contrast) if weight] == ["arm[baclofen]:session[T2]"]


def test_a_slope_over_scans_is_no_crossover():
    rows = _scans()
    values = {"roi(dlpfc, rest)": RANDOM.normal(size=len(rows.participants))}
    analysis = _analysis("cbf ~ arm + roi(dlpfc, rest) + (1 | participant)", "roi(dlpfc, rest)", arms=THREE)
    name = design_names.name_of(_build(analysis, rows=rows, numbers=values))
    assert name == "Slope on roi(dlpfc, rest) over scans, a random intercept for each participant"


def test_columns_of_each_session():
    rows = _scans(("T1", "T2"))
    rows = DesignRows(
        participants=[n for n, s in zip(rows.participants, rows.sessions)], sessions=rows.sessions, labels=("T1", "T2")
    )
    model = _build(_analysis("cbf ~ visit(drug) + session + (1 | participant)", "visit(drug)", arms=THREE), rows=rows)
    wanted = [
        float(next(row for row in TABLE if row["participant_id"] == who)[f"drug_{label}"] == "yes")
        for who, label in zip(rows.participants, rows.sessions)
    ]
    assert model.matrix[:, model.names.index("visit(drug)[yes]")].tolist() == wanted


@pytest.mark.parametrize(
    ("model", "test", "says"),
    [
        ("change ~ arm + dose", "arm", "the column dose"),
        ("change ~ arm + age + I(2 * age)", "arm", "combination of the others"),
        (
            "change ~ arm + baseline + arm * sex + arm * centre + poly(age, 5) + arm:age + sex:centre:age + sex:centre:arm:age + arm:sex:age + centre:arm:age",
            "arm",
            "more participants",
        ),
    ],
)
def test_what_cannot_be_estimated(model, test, says):
    with pytest.raises(InputError, match=says):
        _build(_analysis(model, test, arms=THREE))


@pytest.mark.parametrize(
    ("model", "test", "says"),
    [
        (
            "followup ~ arm + baseline",
            "arm",
            "mean CBF at follow-up was 3.2 mL/100 g/min higher for baclofen than for placebo, adjusted for each voxel's own baseline",
        ),
        ("change ~ age + arm", "age", "the change in CBF was 3.21 mL/100 g/min higher per unit of age"),
        (
            "change ~ arm",
            "arm",
            "the mean change in CBF was 3.2 mL/100 g/min higher for baclofen than for placebo",
        ),
        (
            "change ~ arm * sex",
            "arm:sex",
            "the effect (baclofen - placebo) x (M - F) on the change in CBF was 3.2 mL/100 g/min higher than zero",
        ),
        ("change ~ 1", "1", "the mean change in CBF was 3.2 mL/100 g/min higher than zero"),
    ],
)
def test_what_was_found_is_a_clause_that_names_the_levels(model, test, says):
    two = [row for row in TABLE if row["arm"] != "low"]
    built = _build(_analysis(model, test), [row["participant_id"] for row in two], two, three=False)
    block = {"contrast": "rest", "arms": complete_settings.ARMS, "effect": definitions.effect(built.kind, None)}
    kind = effect_words.of_block(block)
    assert kind.finding(block, size=3.21, positive=True) == says
    outcome = "CBF at follow-up" if model.startswith("followup") else "Change in CBF"
    assert kind.headline(block) == f"{outcome} (rest): {built.meaning}; {model}"


def test_of_several_effects_the_clause_names_all():
    built = _build(_analysis("change ~ arm", "arm"))
    block = {"contrast": "rest", "arms": THREE, "effect": definitions.effect(built.kind, None)}
    clause = effect_words.of_block(block).finding(block, size=3.21, positive=True)
    assert "(baclofen - placebo; low - placebo) were not all zero" in clause


@pytest.mark.parametrize(
    ("model", "test", "expected"),
    [
        ("change ~ arm + age", "arm", True),
        ("change ~ arm + baseline", "arm", False),
        ("followup ~ arm", "arm", False),
        ("change ~ arm * age", "arm:age", False),
        ("change ~ age", "age", False),
    ],
)
def test_which_formulas_are_told_what_adjusting_would_give(model, test, expected):
    assert baseline_adjustment.concerns(_build(_analysis(model, test))) is expected
