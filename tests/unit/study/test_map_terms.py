"""Of which session a map that is a term is, and what is said of one that treatment may have changed."""

import complete_settings
import pytest
import skeleton
from pharmasl.statistics import formulas
from pharmasl.study import map_terms


def terms(formula, contrast="rest"):
    return map_terms.terms(formulas.parse(formula), contrast)


@pytest.mark.parametrize(
    ("outcome", "sessions"),
    [("change", ("baseline", "followup")), ("followup", ("followup",)), ("baseline", ("baseline",)), ("cbf", ())],
)
def test_a_term_follows_the_outcome_but_what_describes_the_person_before(outcome, sessions):
    found = {term.text: term for term in terms(f"{outcome} ~ arm + gm + att + cbf(cue) + global")}
    assert {name: term.sessions for name, term in found.items()} == {
        "gm": ("baseline",),
        "att": sessions,
        "cbf(cue)": sessions,
        "global": sessions,
    }
    assert found["cbf(cue)"].contrast == "cue"
    assert found["att"].contrast == found["global"].contrast == "rest"


def test_the_baseline_is_the_baselines():
    (term,) = terms("followup ~ arm + baseline + age")
    assert (term.sessions, term.is_difference, term.words) == (("baseline",), False, "CBF (rest) at baseline")


def test_terms_in_words():
    found = terms("change ~ arm + att + cbf(cue) + gm + global", "rest")
    assert [term.words for term in found] == [
        "change of arterial transit time",
        "change of CBF (cue)",
        "grey matter of the participant",
        "change of global CBF",
    ]
    assert [term.words for term in terms("cbf ~ arm * session + att + (1 | participant)")] == [
        "arterial transit time of the scan"
    ]
    assert [term.words for term in terms("followup ~ arm + global")] == ["global CBF at follow-up"]


def test_what_was_measured_before_treatment_carries_no_caution():
    for formula in ("followup ~ arm + baseline + gm", "baseline ~ arm + att + cbf(cue) + global"):
        assert [map_terms.caution(term) for term in terms(formula)] == [None] * len(terms(formula))
    for formula in ("change ~ arm + att", "followup ~ arm + cbf(cue)", "cbf ~ arm + global + (1 | participant)"):
        (term,) = terms(formula)
        assert map_terms.caution(term).startswith(f"{term.text} ({term.words}) was measured after treatment began")


def test_columns_of_the_followup_carry_one_too():
    assert "weight_T2 was measured after treatment" in map_terms.column_caution("weight_T2", "T2")
    assert map_terms.column_caution("weight_T2 - weight_T1", "T2") is not None
    assert map_terms.column_caution("weight_T1", "T2") is None
    assert map_terms.column_caution("age", "T2") is None
    assert map_terms.column_caution("T2", "T2") is None


def problems(tmp_path, formula, delays=None, t1w=True):
    """What a plan says of an analysis with a formula, of four people."""
    bids = skeleton.dataset(tmp_path / "bids")
    if not t1w:
        for path in bids.glob("sub-02/**/*_T1w.nii.gz"):
            path.unlink()
    config = skeleton.config(bids)
    config["anatomy"] = {"missing_t1w": "template"}
    config["analyses"]["one"] = {"contrast": "rest", "model": formula, "test": "arm"}
    if delays:
        config["perfusion"] = {"override": {"PostLabelingDelay": delays}}
    study = complete_settings.read(config)
    return list(map_terms.problems(study, study.settings.analyses["one"], ["01", "02"]))


def test_transit_times_of_a_single_delay_are_refused(tmp_path):
    (error,) = problems(tmp_path, "change ~ arm + att")
    assert error.field == "analyses.one.model"
    assert "sub-01_ses-T1_acq-rest and 3 more with a single post-labelling delay" in str(error)


def test_transit_times_of_several_delays_are_not(tmp_path):
    # M0 and three pairs, two delays.
    assert problems(tmp_path, "change ~ arm + att", [0, 1.0, 1.0, 1.8, 1.8, 1.8, 1.8]) == []


def test_grey_matter_of_people_without_a_t1w_is_refused(tmp_path):
    (error,) = problems(tmp_path, "change ~ arm + gm", t1w=False)
    assert "no T1w of sub-02" in str(error)
    assert problems(tmp_path / "all", "change ~ arm + gm + cbf(cue) + baseline + global") == []


def test_global_cbf_is_a_term_of_a_model_of_scans(tmp_path):
    assert problems(tmp_path, "cbf ~ arm * session + global + (1 | participant)") == []


def test_an_analysis_has_the_cautions_of_all_its_terms():
    study = complete_settings.study(
        sessions=complete_settings.SESSIONS,
        arms=complete_settings.ARMS,
        contrasts={"rest": {"rest": 1}, "cue": {"cue": 1}},
        rois={"ball": {"sphere": [0, 0, 0], "radius": 6}},
        analyses={
            "one": {
                "contrast": "rest",
                "model": "change ~ arm + age + weight_T2 + cbf(cue) + global",
                "test": "arm",
            },
            "two": {"contrast": "rest", "effect": "group_by_time", "covariates": ["age", "weight_T2 - weight_T1"]},
            "four": {"contrast": "rest", "model": "change ~ arm + roi(ball, cue) + cbf(cue)", "test": "cbf(cue)"},
            "three": {"contrast": "rest", "model": "followup ~ arm + baseline + gm + age", "test": "arm"},
        },
    )
    sessions = {"baseline": "T1", "followup": "T2"}
    found = {name: map_terms.cautions(each, sessions) for name, each in study.analyses.items()}
    assert [text.split(" ")[0] for text in found["one"]] == ["cbf(cue)", "global", "weight_T2"]
    assert len(found["two"]) == 1
    assert found["three"] == []
    # What is tested is the question; a region's change beside it is a covariate.
    assert [text.split(" was")[0] for text in found["four"]] == ["roi(ball, cue)"]
