"""Every case of wrong input is refused, left out with the reason or read rightly; the table in docs/ says so."""

import re

import pytest
import wrong_input
from loading import ROOT

from cases import catalogue, not_right, table

DOCUMENT = ROOT / "docs" / "input_checks.md"


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    return wrong_input.good_trial(tmp_path_factory.mktemp("good"))


def _parameters():
    for case in catalogue.CASES:
        reason = not_right.REASONS.get(case.name)
        marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
        yield pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", list(_parameters()))
def test_a_case_is_answered_rightly(case, good, tmp_path):
    answer = wrong_input.tried(case, good, tmp_path)
    assert answer.right, f"expected {case.outcome} /{case.words}/: {answer.words}"


def test_names_are_unique_and_what_is_not_right_is_a_case():
    names = [case.name for case in catalogue.CASES]
    assert len(names) == len(set(names))
    assert set(not_right.REASONS) <= set(names)


def test_the_good_trial_is_accepted(good, tmp_path):
    case = wrong_input.Case("nothing is wrong", "", lambda trial: None, "accepted", holds=lambda s: not s.exclusions)
    assert wrong_input.tried(case, good, tmp_path).right


def test_the_document_has_every_case_in_order():
    rows = re.findall(r"^\| \d+ \| (.*?) \| (.*?) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(table.cell(case.name), case.expected) for case in catalogue.CASES]
