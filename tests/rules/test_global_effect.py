"""The script that tests an analysis' model on global CBF, against ordinary least squares of statsmodels."""

from types import SimpleNamespace

import complete_settings
import designs
import numpy as np
import pytest
import statsmodels.api as sm
from loading import script
from pharmasl.contrasts import global_values
from pharmasl.files import tables
from pharmasl.group import definitions, formula_models
from pharmasl.group.formula_models import DesignRows
from pharmasl.study import settings
from scipy import stats

ARMS = {"column": "arm", "treatment": "drug", "control": "placebo", "others": []}
NAMES = [f"sub-{k:02d}" for k in range(1, 19)]
DRUG = np.arange(18) < 10
AGE = 20.0 + 7 * np.arange(18) % 31
TABLE = [
    {"participant_id": name, "arm": "drug" if treated else "placebo", "age": str(age)}
    for name, treated, age in zip(NAMES, DRUG, AGE)
]
RNG = np.random.default_rng(4)
# By reference, participant, session, contrast.
CBF = 50 + RNG.normal(0, 5, (2, 18, 1, 1)) + RNG.normal(0, 3, (2, 18, 2, 2))
CBF[:, DRUG, 1, 0] -= 6
REFERENCES, SESSIONS, CONTRASTS = ("brain", "grey_matter"), ("T1", "T2"), ("rest", "cue")


def write(folder, model, missing=(), **block):
    rows = []
    for k, name in enumerate(NAMES):
        for s, session in enumerate(SESSIONS):
            for c, contrast in enumerate(CONTRASTS):
                row = {"participant_id": name, "session_id": session, "contrast": contrast}
                for r, reference in enumerate(REFERENCES):
                    known = (reference, name, session, contrast) not in missing
                    row[reference] = float(CBF[r, k, s, c]) if known else None
                    row |= {f"{reference}_voxels": 9, f"{reference}_coverage": 1.0}
                rows.append(row)
    tables.write_table(folder / "global_values.tsv", rows, global_values.CONTRAST_COLUMNS)
    model.write(folder / "design.tsv")
    content = {
        "status": "run",
        "alpha": 0.05,
        "arm": None,
        "effect": definitions.effect(model.kind, None),
        "model": {"formula": model.formula, "tested_term": "arm", "tested_model": model.record()},
    }
    tables.write_json(folder / "inference.json", {**content, **block})


def run(folder, **analysis):
    inference = complete_settings.plain_inference(**analysis.pop("inference", {}))
    stated = {"effect": "group_by_time", "contrast": "rest", **analysis}
    params = SimpleNamespace(
        analysis=complete_settings.plain_analysis(inference=inference, **stated),
        sessions={"baseline": "T1", "followup": "T2"},
        is_cbf=True,
    )
    files = {name: folder / f"{name}{end}" for name, end in (("design", ".tsv"), ("inference", ".json"))}
    inputs = SimpleNamespace(**files, global_values=folder / "global_values.tsv")
    output = SimpleNamespace(table=folder / "global.tsv")
    script("global_effect").main(SimpleNamespace(input=inputs, output=output, params=params))
    return tables.read_table(output.table)


def formula(text, test="arm", **numbers):
    """The model of a formula, and the settings that say it."""
    stated = {"contrast": "rest", "model": text, "test": test}
    analysis = complete_settings.study(
        sessions=complete_settings.SESSIONS,
        arms={**ARMS},
        contrasts={"rest": {"rest": 1}, "cue": {"cue": 1}},
        analyses={"own": stated},
    ).analyses["own"]
    arms = settings.build(settings.Arms, ARMS)
    rows = DesignRows(participants=NAMES)
    return formula_models.build(analysis, arms, rows, TABLE, "participants.tsv", numbers or None), stated


def assert_is(row, fitted, place=1):
    low, high = fitted.conf_int()[place]
    told = [float(row[name]) for name in ("estimate", "se", "ci_low", "ci_high", "value", "p", "df")]
    expected = [fitted.params[place], fitted.bse[place], low, high, fitted.tvalues[place], fitted.pvalues[place]]
    assert np.allclose(told, [*expected, fitted.df_resid])


def test_the_change_of_global_cbf_is_tested_over_brain_and_grey_matter(tmp_path):
    write(tmp_path, designs.group_by_time(NAMES, TABLE, ARMS, "participants.tsv", ["age"]))
    rows = run(tmp_path, covariates=["age"])
    assert [row["reference"] for row in rows] == ["brain", "grey_matter"]
    design = sm.add_constant(np.column_stack([DRUG, AGE]).astype(float))
    for r, row in enumerate(rows):
        assert_is(row, sm.OLS(CBF[r, :, 1, 0] - CBF[r, :, 0, 0], design).fit())
        assert float(row["percent"]) == pytest.approx(100 * float(row["estimate"]) / CBF[r, :, 0, 0].mean())
        assert row["n"] == "18"
        # Neither reference is corrected for the other.
        assert float(row["critical"]) == pytest.approx(stats.t.isf(0.025, float(row["df"])))
        assert float(row["detectable_low"]) < float(row["detectable"]) < float(row["detectable_high"])
    columns = tables.read_json(tmp_path / "global.json")
    assert columns["estimate"]["Units"] == "mL/100 g/min"
    assert "p_fwe" not in columns


def test_the_voxels_own_baseline_becomes_the_global_baseline(tmp_path):
    model, stated = formula("followup ~ arm + baseline + age")
    write(tmp_path, model)
    rows = run(tmp_path, **stated, effect=None)
    for r, row in enumerate(rows):
        design = sm.add_constant(np.column_stack([DRUG, CBF[r, :, 0, 0], AGE]).astype(float))
        assert_is(row, sm.OLS(CBF[r, :, 1, 0], design).fit())
        assert row["note"] is None


def test_global_cbf_is_not_adjusted_for_itself_nor_for_maps_without_a_mean(tmp_path):
    numbers = {"global": RNG.normal(size=18)}
    model, stated = formula("change ~ arm + age + global + gm + cbf(cue)", **numbers)
    write(tmp_path, model)
    for r, row in enumerate(run(tmp_path, **stated, effect=None)):
        cue = CBF[r, :, 1, 1] - CBF[r, :, 0, 1]
        design = sm.add_constant(np.column_stack([DRUG, AGE, cue]).astype(float))
        assert_is(row, sm.OLS(CBF[r, :, 1, 0] - CBF[r, :, 0, 0], design).fit())
        assert row["note"] == "not adjusted for global, gm"


def test_an_analysis_of_global_cbf_as_predictor_has_no_effect_on_it(tmp_path):
    model, stated = formula("change ~ arm + global", "global", **{"global": RNG.normal(size=18)})
    write(tmp_path, model)
    rows = run(tmp_path, **stated, effect=None)
    assert [row["estimate"] for row in rows] == [None, None]
    assert "not tested: global is what the analysis tests" in rows[0]["note"]


def test_relative_cbf_is_tested_in_absolute_units(tmp_path):
    unit = "mL/100 g/min of relative CBF (brain mean of each scan scaled to 50)"
    model = designs.group_by_time(NAMES, TABLE, ARMS, "participants.tsv")
    effect = {**definitions.effect(model.kind, None), "unit": unit}
    write(tmp_path, model, effect=effect, cbf_unit=unit)
    design = sm.add_constant(DRUG.astype(float))
    assert_is(run(tmp_path)[0], sm.OLS(CBF[0, :, 1, 0] - CBF[0, :, 0, 0], design).fit())
    assert tables.read_json(tmp_path / "global.json")["estimate"]["Units"] == "mL/100 g/min"


def test_people_without_a_mean_are_named_and_left_out_of_that_reference(tmp_path):
    missing = [("grey_matter", NAMES[3], "T2", "rest")]
    write(tmp_path, designs.group_by_time(NAMES, TABLE, ARMS, "participants.tsv"), missing)
    brain, grey = run(tmp_path)
    assert (brain["n"], grey["n"]) == ("18", "17")
    assert NAMES[3] in grey["note"]
    kept = np.arange(18) != 3
    change = CBF[1, :, 1, 0] - CBF[1, :, 0, 0]
    assert_is(grey, sm.OLS(change[kept], sm.add_constant(DRUG[kept].astype(float))).fit())


def test_the_interval_is_at_one_minus_alpha(tmp_path):
    write(tmp_path, designs.group_by_time(NAMES, TABLE, ARMS, "participants.tsv"))
    row = run(tmp_path, inference={"alpha": 0.1})[0]
    fitted = sm.OLS(CBF[0, :, 1, 0] - CBF[0, :, 0, 0], sm.add_constant(DRUG.astype(float))).fit()
    assert np.allclose([float(row["ci_low"]), float(row["ci_high"])], fitted.conf_int(0.1)[1])


def test_an_analysis_that_was_not_run_has_an_empty_table(tmp_path):
    model = designs.group_by_time(NAMES, TABLE, ARMS, "participants.tsv")
    write(tmp_path, model, status="not run: no scans")
    assert run(tmp_path) == []


def test_a_mixed_model_of_complete_scans_is_the_test_of_their_changes(tmp_path):
    """With both sessions of everyone, arm by session is the arms' difference of changes, and its t is that of a t test."""
    text = "cbf ~ arm * session + (1 | participant)"
    analysis = complete_settings.study(
        sessions=complete_settings.SESSIONS,
        arms={**ARMS},
        contrasts={"rest": {"rest": 1}},
        analyses={"own": {"contrast": "rest", "model": text, "test": "arm:session"}},
    ).analyses["own"]
    rows = DesignRows(participants=[*NAMES, *NAMES], sessions=["T1"] * 18 + ["T2"] * 18, labels=["T1", "T2"])
    arms = settings.build(settings.Arms, ARMS)
    write(tmp_path, formula_models.build(analysis, arms, rows, TABLE, "participants.tsv", None))
    stated = {"model": text, "test": "arm:session", "method": "mixed_model", "effect": None}
    for r, row in enumerate(run(tmp_path, **stated, inference={"degrees_of_freedom": "kenward-roger"})):
        fitted = sm.OLS(CBF[r, :, 1, 0] - CBF[r, :, 0, 0], sm.add_constant(DRUG.astype(float))).fit()
        told = [float(row[name]) for name in ("estimate", "se", "value", "p", "df")]
        assert np.allclose(told, [fitted.params[1], fitted.bse[1], fitted.tvalues[1], fitted.pvalues[1], 16], rtol=1e-4)
        assert row["n"] == "18"


def test_several_effects_are_told_jointly_and_each(tmp_path):
    model, stated = formula("change ~ arm * age", ["arm", "arm:age"])
    write(tmp_path, model)
    rows = run(tmp_path, **stated, effect=None)
    brain = [row for row in rows if row["reference"] == "brain"]
    assert [row["statistic"] for row in brain] == ["F", "t", "t"]
    age = AGE - AGE.mean()
    design = sm.add_constant(np.column_stack([DRUG, age, DRUG * age]).astype(float))
    fitted = sm.OLS(CBF[0, :, 1, 0] - CBF[0, :, 0, 0], design).fit()
    joint = fitted.f_test(np.eye(4)[[1, 3]])
    assert float(brain[0]["value"]) == pytest.approx(float(joint.fvalue))
    assert float(brain[0]["p"]) == pytest.approx(float(joint.pvalue))
