"""The methods text of conditions that alternate within a run."""

import complete_settings
from pharmasl.report import literature, methods_blocks, methods_section
from pharmasl.study.labels import TOGETHER

CUES = {cue: {"acquisition": "cues", "block": cue} for cue in ("smoking", "neutral")}
CONTRASTS = {"cue": {"smoking": 1, "neutral": -1}}


def test_states_with_runs_of_their_own_have_no_blocks():
    assert methods_blocks.blocks(complete_settings.study(conditions={"rest": {}})) is None


def test_the_text_says_what_was_modelled_and_cites_it():
    study = complete_settings.study(conditions=CUES, contrasts=CONTRASTS, blocks={"delay": 8})
    text = methods_blocks.blocks(study)
    for words in (
        "smoking and neutral alternated in blocks",
        "mean delay 8 s",
        "128 s or 2.5 cycles",
        "six motion parameters",
    ):
        assert words in text
    cited = sorted(reference.key for reference in literature.cited_in([text]))
    assert cited == ["hernandez-garcia2010", "liu2005", "mumford2006"]
    still = complete_settings.study(
        conditions=CUES,
        contrasts=CONTRASTS,
        blocks={"delay": 0, "cutoff": 200},
        perfusion={"motion": {"regress": False}},
    )
    text = methods_blocks.blocks(still)
    assert "taken to be answered at once" in text
    assert "periods of at least 200 s, and a constant" in text
    assert "motion" not in text


def test_conditions_of_one_run_are_named_together():
    study = complete_settings.study(
        conditions=CUES, contrasts=CONTRASTS, labels={"conditions": {"smoking": "smoking cues"}}
    )
    assert study.labels.condition(TOGETHER.join(CUES)) == "smoking cues and neutral"
    assert methods_section.weighted({"smoking": 1, "neutral": -1}, study.labels) == "smoking cues \u2212 neutral"
