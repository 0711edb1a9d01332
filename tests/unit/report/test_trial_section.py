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
        "The trial shows, at family-wise error 0.05 over 1 primary answer: rest, p = 0.03.",
        "Everything else on this page is exploratory.",
    ]


def test_what_is_not_shown_is_not_told_as_absent():
    told = words(row("rest", "0.03", "0.06"), row("craving", "0.2", "0.2"))
    assert told[0].startswith(
        "The trial shows none of its primary answers, at family-wise error 0.05 over 2 primary answers"
    )
    assert told[1] == (
        "Not shown: rest, p = 0.06 (p = 0.03 by itself); cue-elicited craving, p = 0.2. Absence of evidence is no evidence "
        "of absence."
    )


@pytest.mark.parametrize("status", ["not run: no scans", "could not reach 0.05: its smallest attainable p is 0.33"])
def test_what_could_not_be_answered_is_said_apart_and_never_told_as_absence(status):
    told = words(
        row("rest", "0.4", None if "not run" in status else "0.6", status=status), row("craving", "0.01", "0.02")
    )
    assert told[0].endswith("cue-elicited craving, p = 0.02 (p = 0.01 by itself).")
    assert told[1] == f"Not answered, and counted as not shown: rest ({status.removeprefix('not run: ')})."
    assert "Absence" not in " ".join(told)


def test_a_trial_that_could_answer_nothing_says_that_first():
    told = words(
        row("rest", None, None, status="not run: no scans"), row("craving", None, None, status="not answered: flat")
    )
    assert told[0] == (
        "The trial could not answer what it rests on, at family-wise error 0.05 over 2 primary answers, by Holm's step-down "
        "method: it says nothing for or against an effect."
    )
    assert told[1] == "Not answered, and counted as not shown: rest (no scans); cue-elicited craving (flat)."


def test_the_table_and_the_lines_of_the_sections(tmp_path):
    rows = [row("rest", "0.03", "0.06"), row("craving.vmpfc", "0.02", None, role="secondary", significant=None)]
    table = trial_section.table(rows)
    assert [cells[0] for cells in table.rows] == ["rest", "vmpfc with craving"]
    assert [cells[5] for cells in table.rows] == ["not shown", trial_section.NONE]
    assert trial_section.section(None).sentences == [trial_section.UNDECLARED]


def test_the_methods_say_what_was_declared():
    asked = {"answers": ["rest", "craving"], "correction": "joint", "alpha": 0.01, "secondary": ["craving.vmpfc"]}
    text = trial_section.method(settings.build(settings.Primary, asked))
    assert text.startswith(
        "The trial rests on 2 answers declared in the configuration: rest and cue-elicited craving, corrected"
    )
    assert "relabellings that the analyses have in common at family-wise error 0.01" in text
    assert "Secondary answers, vmpfc with craving, are reported" in text
    one = trial_section.method(settings.build(settings.Primary, {**asked, "answers": ["rest"], "secondary": []}))
    assert one == (
        "The trial rests on 1 answer declared in the configuration: rest, tested at 0.01; what could not be answered counts "
        "as not shown. All others are exploratory."
    )
    assert "No primary answer was declared" in trial_section.method(None)
