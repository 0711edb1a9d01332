"""The verdict of the trial in words."""

import pytest
from pharmasl.report import trial_section
from pharmasl.study import settings

ROW = {"kind": "analysis", "role": "primary", "test": "cluster extent, family-wise error", "status": "answered"}
ROW |= {"correction": "holm", "alpha": "0.05"}


def row(name, p, corrected, **changes):
    significant = "yes" if corrected is not None and float(corrected) <= 0.05 else "no"
    return {**ROW, "answer": name, "p": p, "p_corrected": corrected, "significant": significant, **changes}


def words(*rows):
    return [text.replace("\u00a0", " ") for text in trial_section.sentences(list(rows))]


def test_a_single_primary_answer_needs_no_correction():
    assert words(row("rest", "0.03", "0.03")) == [
        "Significant at a level of 0.05: rest, p = 0.03.",
        "All other results on this page are exploratory.",
    ]


def test_what_is_not_shown_is_not_told_as_absent():
    told = words(row("rest", "0.03", "0.06"), row("craving", "0.2", "0.2"))
    assert told[0] == (
        "None of the primary answers was significant after correction over 2 primary answers (Holm's step-down method; "
        "family-wise error rate 0.05)."
    )
    assert told[1] == (
        "Not significant: rest, p = 0.06 (unadjusted p = 0.03); cue-elicited craving, p = 0.2. Absence of evidence is not "
        "evidence of absence."
    )


@pytest.mark.parametrize("status", ["not run: no scans", "could not reach 0.05: its smallest attainable p is 0.33"])
def test_what_could_not_be_answered_is_said_apart_and_never_told_as_absence(status):
    told = words(
        row("rest", "0.4", None if "not run" in status else "0.6", status=status), row("craving", "0.01", "0.02")
    )
    assert told[0].endswith("cue-elicited craving, p = 0.02 (unadjusted p = 0.01).")
    assert told[1] == f"Could not be tested, and counted as not significant: rest ({status.removeprefix('not run: ')})."
    assert "Absence" not in " ".join(told)


def test_a_trial_that_could_answer_nothing_says_that_first():
    told = words(
        row("rest", None, None, status="not run: no scans"), row("craving", None, None, status="not answered: flat")
    )
    assert told[0] == "No primary answer could be tested: the trial is evidence neither for nor against an effect."
    assert (
        told[1] == "Could not be tested, and counted as not significant: rest (no scans); cue-elicited craving (flat)."
    )


def test_the_table_and_the_lines_of_the_sections(tmp_path):
    rows = [row("rest", "0.03", "0.06"), row("craving.vmpfc", "0.02", None, role="secondary", significant=None)]
    table = trial_section.table(rows)
    assert [cells[0] for cells in table.rows] == ["rest", "vmpfc with craving"]
    assert [cells[5] for cells in table.rows] == ["not significant", trial_section.NONE]
    assert trial_section.section(None).sentences == [trial_section.UNDECLARED]


def test_the_methods_say_what_was_declared():
    asked = {"answers": ["rest", "craving"], "correction": "joint", "alpha": 0.01, "secondary": ["craving.vmpfc"]}
    text = trial_section.method(settings.build(settings.Primary, asked))
    assert text.startswith(
        "2 primary answers were declared in the configuration: rest and cue-elicited craving, corrected for multiplicity by"
    )
    assert "relabellings that the analyses share at a family-wise error rate of 0.01" in text
    assert "Secondary answers (vmpfc with craving) are each tested" in text
    one = trial_section.method(settings.build(settings.Primary, {**asked, "answers": ["rest"], "secondary": []}))
    assert one == (
        "1 primary answer was declared in the configuration: rest, tested at a level of 0.01. An answer that could not be tested "
        "counts as not significant. All others are exploratory."
    )
    assert "No primary answer was declared" in trial_section.method(None)
