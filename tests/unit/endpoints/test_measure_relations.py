"""An endpoint is related to regions as craving is: the same numbers give the same table."""

import complete_settings
import measured
import numpy as np
import pandas as pd
import scored
from pharmasl.endpoints import correlation_table, correlations, endpoint, measure_relations
from pharmasl.study import settings

ASKED = {"rois": ["vmpfc"], "contrast": "rest", "resamples": 199, "covariates": ["age"]}


def _data():
    rng = np.random.default_rng(1)
    arms = ["baclofen", "placebo"] * 8
    data = measured.measured(arms, rng.normal(20, 4, (16, 2)).tolist(), age=list(range(30, 46)))
    cbf = {("vmpfc", "rest"): {(who[4:], when): float(rng.normal(50, 5)) for who, when in data.scores}}
    return data, scored.regions(cbf, {"vmpfc": False})


def test_the_table_is_that_of_craving_with_the_same_scores():
    data, values = _data()
    asked = complete_settings.craving(settings.RegionCorrelations, **ASKED)
    arms, sessions = complete_settings.arms(), complete_settings.sessions()
    frame = measure_relations.frame(data, asked.covariates)
    rows = frame.rename(columns={"score": "cue_elicited"}).to_dict("records")
    expected = correlations.analyse(endpoint.frame(rows), values, asked, arms, sessions)
    table = correlations.analyse(frame, values, asked, arms, sessions, column="score")
    pd.testing.assert_frame_equal(table, expected)
    (tested,) = table[table["role"] == "tested"].to_dict("records")
    assert tested["adjusted_for"] == "arm, age"


def test_the_dictionary_names_the_score():
    outcome = correlation_table.Outcome(
        column="score", words="cigarettes", unit="cigarettes (a day)", field="endpoints.cigarettes.relations"
    )
    text = str(correlation_table.columns(outcome))
    assert "craving" not in text
    assert "cigarettes (a day) per mL/100 g/min" in text
    assert correlation_table.columns(correlation_table.CRAVING)["roi"] == {"Description": "Region of interest"}
