"""Where the configuration has words for its names, no page that people read shows a name."""

from types import SimpleNamespace

import drawn
import pytest
import raw_names
import scanned
from pharmasl.report.scans import review_page, scan_page

WORDS = {
    "sessions": {"T1": "Before", "T2": "After"},
    "arms": {"baclofen": "80 mg", "placebo": "Dummy"},
    "conditions": {"rest": "Eyes closed"},
    "contrasts": {"rest": "Quiet CBF"},
    "analyses": {"rest_interaction": "First question", "seed_link": "Second question"},
    "regions": {"cluster_one": "Third place", "insula": "Fourth place"},
    "answers": {"insula_rest": "Third question", "insula_link": "Fourth question"},
}
NAMES = sorted({name for own in WORDS.values() for name in own})
# Reasons for which somebody is left out are quoted from the files.
REASONS = ("no scan at T2", "not run: seed cluster_one has no values", "no CBF of rest at T2")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    made = drawn.make(tmp_path_factory.mktemp("labelled"), words=WORDS)
    return SimpleNamespace(text=drawn.page(made), labels=made.settings.labels, here=made.study.here)


def shown(text):
    """Where a name stands, reasons aside, and T1 where it is a relaxation time."""
    own = text
    for reason in REASONS:
        own = own.replace(reason, "")
    for words in ("T1 of ", "T1 recovery", "T1,blood"):
        own = own.replace(words, "")
    return own


def test_no_name_of_the_configuration_is_shown(page):
    assert raw_names.raw(shown(page.text), NAMES) == []
    seen = " ".join(raw_names.texts(page.text))
    words = {text for own in WORDS.values() for text in own.values()}
    assert {text for text in words if text not in seen} == set()


def test_the_page_of_ratings_knows_sessions_and_conditions_and_no_arm(page):
    review_page.write(page.here / "review.html", page.here / "quality.tsv", page.labels.of_scans())
    text = (page.here / "review.html").read_text(encoding="utf-8")
    assert raw_names.raw(text, ["T1", "T2", "rest"]) == []
    assert "Before, Eyes closed" in text
    assert not any(arm in text for arm in (*WORDS["arms"], *WORDS["arms"].values()))


def test_the_page_of_a_scan_has_the_words_of_its_session_and_condition(page, tmp_path):
    row = scanned.quality_row(scan="sub-01_ses-T1_acq-rest", participant_id="sub-01", session_id="T1", condition="rest")
    row |= {"flags": "fd_mean:high", "fd_mean": 0.9, "usable": "no", "exclusion_reason": "too much motion"}
    files = scanned.write(tmp_path, row=row, passed=[1, 0, 1, 1], m0=True)
    known = {"acquisition": scanned.acquisition(), "interpolation": "cubic", "bands": {}, "assumed": False}
    scan_page.write(tmp_path / "scan.html", files, **known, labels=page.labels)
    text = (tmp_path / "scan.html").read_text(encoding="utf-8")
    assert raw_names.raw(shown(text), ["T1", "rest"]) == []
    seen = " ".join(raw_names.texts(text))
    assert "Before" in seen
    assert "Eyes closed" in seen


def test_a_name_in_a_text_an_attribute_or_a_figure_is_seen_and_one_in_code_is_not():
    assert raw_names.raw('<p>on drug_a</p><img alt="drug a"><svg><text>drug_a</text></svg>', ["drug_a"]) == [
        "on drug_a",
        "drug a",
        "drug_a",
    ]
    assert raw_names.raw("<p>arm[drug_a], <code>drug_a</code></p>", ["drug_a"]) == []
