"""Words for names, in what is read from the results."""

import pytest
from pharmasl.conduct import flow
from pharmasl.study.labels import NAMES, Labels

LABELS = Labels(
    sessions={"T1": "baseline"},
    arms={"drug": "baclofen 80 mg", "low": "low dose", "placebo": "dummy"},
    conditions={"rest": "resting state"},
    contrasts={"cue": "cue response"},
    analyses={"cue_by_arm": "Response to cues"},
    regions={"vmpfc": "ventromedial prefrontal cortex"},
    answers={"vmpfc_rest": "Prefrontal CBF"},
)


def block(**more):
    return {
        "contrast": "cue",
        "arms": {"treatment": "drug", "control": "placebo"},
        "arm": None,
        "effect": {"name": "group_by_time"},
        "model": {
            "meaning": "change of drug minus change of placebo",
            "design": "Two-arm comparison",
            "formula": "change ~ arm",
        },
        **more,
    }


def test_a_block_has_the_words_and_the_stored_one_keeps_its_names():
    stored = block(
        seed={"roi": "vmpfc", "contrast": "cue"}, pair=["drug", "low"], variance={"larger": "drug", "smaller": "low"}
    )
    worded = LABELS.block(stored)
    assert worded["contrast"] == "cue response"
    assert worded["arms"] == {"treatment": "baclofen 80 mg", "control": "dummy"}
    assert worded["seed"] == {"roi": "ventromedial prefrontal cortex", "contrast": "cue response"}
    assert worded["pair"] == ["baclofen 80 mg", "low dose"]
    assert worded["variance"] == {"larger": "baclofen 80 mg", "smaller": "low dose"}
    assert worded["model"]["meaning"] == "change of baclofen 80 mg minus change of dummy"
    assert worded["model"]["formula"] == "change ~ arm"
    assert stored["contrast"] == "cue"
    assert stored["model"]["meaning"] == "change of drug minus change of placebo"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "One-sample test: mean change within one arm, placebo, against zero",
            "One-sample test: mean change within one arm, dummy, against zero",
        ),
        (
            "slope of the change on the seed's change on drug",
            "slope of the change on the seed's change on baclofen 80 mg",
        ),
        (
            "slope on the seed's change in drug minus that in placebo",
            "slope on the seed's change in baclofen 80 mg minus that in dummy",
        ),
        # A variable whose name begins like an arm's is another.
        ("slope of the change on low_mood", "slope of the change on low_mood"),
        ("slope of the change on drugs", "slope of the change on drugs"),
    ],
)
def test_arms_in_the_sentences_of_a_model(text, words):
    assert LABELS.block(block(model={"meaning": text}))["model"]["meaning"] == words


def test_a_formula_keeps_its_names():
    model = {"meaning": "drug - placebo at T2", "design": "Repeated measures (arm by session)"}
    effect = {"name": "formula", "formula": "cbf ~ arm * session"}
    worded = LABELS.block(block(effect=effect, model={**model, "n_by_arm": {"drug": 3, "low": 4}}))
    assert worded["model"] == {**model, "n_by_arm": {"baclofen 80 mg": 3, "low dose": 4}}


def test_without_words_names_have_spaces():
    assert NAMES.block(block(contrast="cue_response"))["contrast"] == "cue response"
    assert NAMES.block(block())["model"] == block()["model"]


def test_an_analysis_without_arms_or_model():
    assert LABELS.block({"contrast": "cue", "status": "not run: too few", "arms": None}) == {
        "contrast": "cue response",
        "status": "not run: too few",
        "arms": None,
    }


def test_rows_have_the_words():
    row = {"participant_id": "sub-01", "arm": "drug", "session_id": "T1", "condition": "rest", "n": "3"}
    assert LABELS.rows([row, {"arm": None, "session_id": "T2"}]) == [
        {
            "participant_id": "sub-01",
            "arm": "baclofen 80 mg",
            "session_id": "baseline",
            "condition": "resting state",
            "n": "3",
        },
        {"arm": None, "session_id": "T2"},
    ]


def test_the_flow_has_the_words():
    common = {"n": 3, "cause": None, "reason": None, "participants": None}
    rows = [
        {"stage": "randomised", "of": None, "session_id": None, "arm": None, **common},
        {"stage": "not scanned", "of": None, "session_id": "T1", "arm": "drug", **common},
        {"stage": "not usable", "of": "cue", "session_id": "T2", "arm": "low", **common},
        {"stage": "left out", "of": "cue_by_arm", "session_id": None, "arm": "placebo", **common},
        {"stage": "analysed", "of": "craving, mixed model", "session_id": None, "arm": "placebo", **common},
    ]
    worded = flow.in_words(rows, LABELS)
    assert [(row["of"], row["session_id"], row["arm"]) for row in worded] == [
        (None, None, None),
        (None, "baseline", "baclofen 80 mg"),
        ("cue response", "T2", "low dose"),
        ("Response to cues", None, "dummy"),
        ("craving, mixed model", None, "dummy"),
    ]
    assert [row["stage"] for row in worded] == [row["stage"] for row in rows]


def test_a_row_of_a_region_has_the_words_of_region_seed_contrasts_and_arms():
    row = {
        "roi": "vmpfc",
        "seed": "left_insula",
        "contrast": "cue",
        "group": "drug - placebo",
        "n": "12",
        "arm": "drug",
    }
    worded = LABELS.region_row(row | {"seed_contrast": None})
    assert worded == {
        "roi": "ventromedial prefrontal cortex",
        "seed": "left insula",
        "seed_contrast": None,
        "contrast": "cue response",
        "group": "baclofen 80 mg - dummy",
        "n": "12",
        "arm": "drug",
    }
    assert LABELS.region_row({"roi": "vmpfc", "group": "all"})["group"] == "all"
