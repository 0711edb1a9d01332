"""Words for names, in what is read from the results."""

import dataclasses

import pytest
import reported
from pharmasl.conduct import flow
from pharmasl.study import configuration, effect_words
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


def test_a_formula_keeps_its_names_and_what_was_tested_of_it_has_the_words():
    effect = {
        "name": "formula",
        "formula": "followup ~ arm + baseline",
        "outcome": "followup",
        "test": "drug - placebo",
        "meaning": "Effect of drug - placebo on CBF at follow-up",
        "is_slope": False,
        "is_joint": False,
    }
    model = {
        "meaning": "drug - placebo",
        "tested_effects": ["drug - placebo"],
        "test_in_coefficients": ["arm[drug]"],
        "coding": ["arm: reference placebo, against it drug, low"],
        "formula": effect["formula"],
        "n_by_arm": {"drug": 3, "low": 4},
    }
    worded = LABELS.block(block(effect=effect, model=model))
    assert worded["model"] == {
        "meaning": "baclofen 80 mg - dummy",
        "tested_effects": ["baclofen 80 mg - dummy"],
        "test_in_coefficients": ["arm[drug]"],
        "coding": ["arm: reference dummy, against it baclofen 80 mg, low dose"],
        "formula": "followup ~ arm + baseline",
        "n_by_arm": {"baclofen 80 mg": 3, "low dose": 4},
    }
    assert worded["effect"]["meaning"] == "Effect of baclofen 80 mg - dummy on CBF at follow-up"
    kind = effect_words.of_block(worded)
    # The label's own brackets, commas and operators change nothing about the sentence.
    awkward = dataclasses.replace(LABELS, arms={"drug": "baclofen, 3 - 4 {mg}", "placebo": "dummy (capsule)"})
    sentence = effect_words.of_block(awkward.block(block(effect=effect, model=model))).sentence
    assert kind.heading == "CBF at follow-up ({contrast}): baclofen 80 mg - dummy; followup ~ arm + baseline"
    assert "for baclofen 80 mg than for dummy, adjusted for each voxel's own baseline" in kind.sentence
    assert "for baclofen, 3 - 4 {{mg}} than for dummy (capsule), adjusted" in sentence


# Words that the program's own sentences and terms are made of, as names of arms and sessions.
AWKWARD = dataclasses.replace(
    NAMES,
    sessions={"baseline": "Before", "age": "After"},
    arms={
        "mean": "80 mg",
        "change": "40 mg",
        "slope": "20 mg",
        "time": "5 mg",
        "of": "Dummy",
        "the": "Sham",
        "arm": "Open label",
        "each": "Waiting list",
    },
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mean", "mean"),
        ("mean - change", "80 mg - 40 mg"),
        ("0.5 mean + 0.5 of - change", "0.5 80 mg + 0.5 Dummy - 40 mg"),
        ("change - 0.5 mean - 0.5 time", "40 mg - 0.5 80 mg - 0.5 5 mg"),
        ("slope on time", "slope on time"),
        ("slope on time, slope - of", "slope on time, 20 mg - Dummy"),
        (
            "slope on age x time, (mean - the) x (age - baseline)",
            "slope on age x time, (80 mg - Sham) x (After - Before)",
        ),
        ("mean - of; change - of, together", "80 mg - Dummy; 40 mg - Dummy, together"),
        (
            "mean - of, averaged over the levels of time, each counting alike, at the mean of age",
            "80 mg - Dummy, averaged over the levels of time, each counting alike, at the mean of age",
        ),
        ("mean - of at baseline", "80 mg - Dummy at Before"),
        ("arm:time", "arm:time"),
        ("arm[change]:age", "arm[change]:age"),
        ("time", "time"),
    ],
)
def test_names_that_are_words_of_the_program_change_nothing_but_levels(text, words):
    assert AWKWARD.term(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("change of change minus change of mean", "change of 40 mg minus change of 80 mg"),
        ("change of other minus change of mean", "change of other minus change of 80 mg"),
        ("baseline of the minus baseline of of", "baseline of Sham minus baseline of Dummy"),
        ("mean change of mean", "mean change of 80 mg"),
        ("slope of the change on the seed's change on change", "slope of the change on the seed's change on 40 mg"),
        (
            "slope on the seed's change in the minus that in of",
            "slope on the seed's change in Sham minus that in Dummy",
        ),
        (
            "slope of the change on the seed's change, arm held fixed",
            "slope of the change on the seed's change, arm held fixed",
        ),
        # A predictor of an arm's name is the predictor.
        ("slope of the change on time", "slope of the change on time"),
        (
            "One-sample test: mean change within one arm, change, against zero, signs flipped",
            "One-sample test: mean change within one arm, 40 mg, against zero, signs flipped",
        ),
        ("Regression of the change on time", "Regression of the change on time"),
        (
            "correlation of the change in cue-elicited craving with the change in CBF, arm held fixed",
            "correlation of the change in cue-elicited craving with the change in CBF, arm held fixed",
        ),
    ],
)
def test_in_what_an_effect_means_arms_alone_have_words(text, words):
    assert AWKWARD.meaning(text) == words
    assert AWKWARD.block(block(model={"meaning": text}))["model"]["meaning"] == words


def test_in_a_coding_levels_alone_have_words():
    assert (
        AWKWARD.coding("arm: reference mean, against it arm, of")
        == "arm: reference 80 mg, against it Open label, Dummy"
    )
    assert (
        AWKWARD.coding("session: reference age, against it baseline") == "session: reference After, against it Before"
    )
    assert AWKWARD.coding("time: reference mean, against it arm") == "time: reference mean, against it arm"


def test_a_sentence_of_a_formula_keeps_its_own_words():
    effect = {"name": "formula", "formula": "followup ~ arm + baseline", "outcome": "followup", "test": "each - mean"}
    effect |= {"meaning": "Effect of each - mean on CBF at follow-up", "is_slope": False, "is_joint": False}
    kind = effect_words.of_block(AWKWARD.block(block(effect=effect, model={"meaning": "each - mean"})))
    assert kind.sentence == (
        "mean CBF at follow-up was {size} mL/100 g/min {higher} for Waiting list than for 80 mg, "
        "adjusted for each voxel's own baseline"
    )
    assert kind.heading == "CBF at follow-up ({contrast}): Waiting list - 80 mg; followup ~ arm + baseline"
    assert kind.test == "each - mean"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("drug - placebo", "baclofen 80 mg - dummy"),
        ("0.5 low + 0.5 drug - placebo", "0.5 low dose + 0.5 baclofen 80 mg - dummy"),
        ("T2 - T1 x drug - placebo", "T2 - baseline x baclofen 80 mg - dummy"),
        ("drug - placebo at T1", "baclofen 80 mg - dummy at baseline"),
        # Coefficients, terms of functions and other names stay; a session's name alone may be that of a term.
        ("arm[drug]", "arm[drug]"),
        ("age:arm[drug]", "age:arm[drug]"),
        ("roi(vmpfc, drug)", "roi(vmpfc, drug)"),
        ("slope on drug_use", "slope on drug_use"),
        ("slope on T1", "slope on T1"),
    ],
)
def test_a_tested_effect_has_words_for_its_levels(text, words):
    assert LABELS.term(text) == words


def test_sessions_that_stand_together_have_their_words():
    assert LABELS.session("T1 and T2") == "baseline and T2"


def test_pages_of_scans_know_no_arm():
    own = LABELS.of_scans()
    assert (own.session("T1"), own.condition("rest")) == ("baseline", "resting state")
    assert own.arms == {}


def test_a_blinded_run_has_no_words_for_arms():
    base = {**reported.CONFIG, "labels": {"arms": {"baclofen": "80 mg"}, "sessions": {"T1": "before"}}}
    labels = [configuration.resolve({**base, "blinded": blinded})["labels"] for blinded in (True, False)]
    assert [own["arms"] for own in labels] == [{}, {"baclofen": "80 mg"}]
    assert labels[0]["sessions"] == {"T1": "before"}


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
