"""Where the configuration has words for its names, no page that people read shows a name."""

from types import SimpleNamespace

import pytest
import raw_names
import reported
from pharmasl.figures import craving_plot, flow_diagram, quality_plot
from pharmasl.files import tables
from pharmasl.report.scans import review_page
from pharmasl.study import configuration, settings

WORDS = {
    "sessions": {"T1": "Before", "T2": "After"},
    "arms": {"baclofen": "80 mg", "placebo": "Dummy"},
    "conditions": {"rest": "Eyes closed"},
    "contrasts": {"rest": "Quiet CBF"},
    "analyses": {"rest_interaction": "First question", "seed_link": "Second question"},
    "regions": {"cluster_one": "Third place", "insula": "Fourth place"},
}
NAMES = sorted({name for own in WORDS.values() for name in own})
# Reasons for which somebody is left out are quoted from the files.
REASONS = ("no scan at T2", "not run: seed cluster_one has no values", "no CBF of rest at T2")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    study = reported.make(tmp_path_factory.mktemp("labelled"))
    here, config = study.here, configuration.resolve({**reported.CONFIG, "labels": WORDS})
    typed = settings.read(config)
    quality_plot.draw(tables.read_table(here / "quality.tsv"), {}, here / "quality.svg", typed.labels)
    flow_diagram.draw(here / "flow.svg", here / "flow.tsv", typed.arms, typed.labels)
    craving_plot.scores(here / "craving.svg", here / "craving_scores.tsv", typed.arms, typed.sessions, typed.labels)
    craving_plot.diagnostics(here / "diagnostics.svg", here / "influence.tsv", typed.arms, typed.labels)
    figures = {"quality_figure": here / "quality.svg", "flow_figure": [here / "flow.svg"]}
    figures |= {"craving_figure": [here / "craving.svg"], "craving_diagnostics": [here / "diagnostics.svg"]}
    return SimpleNamespace(text=reported.write(study, config=config, **figures), labels=typed.labels, here=here)


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


def test_a_name_in_a_text_an_attribute_or_a_figure_is_seen_and_one_in_code_is_not():
    assert raw_names.raw('<p>on drug_a</p><img alt="drug a"><svg><text>drug_a</text></svg>', ["drug_a"]) == [
        "on drug_a",
        "drug a",
        "drug_a",
    ]
    assert raw_names.raw("<p>arm[drug_a], <code>drug_a</code></p>", ["drug_a"]) == []
