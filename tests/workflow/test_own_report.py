"""Snakemake's own report (``--report``): what it holds, by category, and what its captions say."""

import json
import re
from html import unescape

import pytest
import skeleton

# What would be markup in a caption.
LABEL = "Rest <b>bold</b> *a* |b|_ `c`_"
MODEL = "cbf ~ arm * session + (1 | participant)"
BLOCK = {
    "status": "run",
    "alpha": 0.05,
    "model": {"formula": MODEL, "n": 7},
    "verdict": {"statistic": "extent", "error_rate": "family-wise error"},
    "tests": {"cluster": {"forming_p": 0.001, "neighbours": 18}},
    "permutation": {"number": 1000},
}


def finished(small, **settings):
    """A folder with the files that the report shows, as a run leaves them, and the configuration that asks for them."""
    config = {**skeleton.config("bids"), **settings}
    config["labels"] = {"analyses": {"rest_interaction": LABEL}}
    config["endpoints"] = {
        "craving": {
            "table": "phenotype/craving.tsv",
            "score": "craving_pre",
            "unit": "points",
            "model": "followup ~ arm + baseline",
            "test": "arm",
        }
    }
    small.configure(config)
    results = small.folder / "results"
    analysis = results / "group/rest_interaction"
    for end in (
        "figure.html",
        "design.svg",
        "desc-changes_figure.html",
        "desc-regions_figure.svg",
        "clusters.tsv",
        "regions.tsv",
        "parcels.tsv",
    ):
        skeleton.write(analysis / f"contrast-restInteraction_{end}", f"<p>{end}</p>")
    skeleton.write(analysis / "contrast-restInteraction_inference.json", BLOCK)
    for name in ("report/index.html", "report/CITATION.html", "report/checklist.tsv", "study/flow.svg"):
        skeleton.write(results / name, name)
    for end in ("sensitivity.tsv", "figure.svg"):
        skeleton.write(results / f"endpoints/craving_{end}", end)
    skeleton.write(results / "endpoints/craving_model.tsv", "population\tanalysis\tn\nall\ttest\t5\n")
    skeleton.write(results / "study/flow.tsv", "stage\tn\nrandomised\t3\nrandomised\t4\nscanned\t6\n")
    for name in ("scans.tsv", "exclusions.tsv"):
        skeleton.write(results / "quality" / name, "participant_id\nsub-01\nsub-02\n")
    skeleton.write(results / "quality/scans.svg", "<svg/>")
    return results


def part(html, name):
    """What the report holds as a variable of its page."""
    start = f'<script id="{name.replace("_", "-")}">\n    var {name} = '
    content, _ = json.JSONDecoder().raw_decode(html, html.index(start) + len(start))
    return content


@pytest.fixture
def html(small):
    finished(small)
    small.snakemake("--report", "report.html")
    return (small.folder / "report.html").read_text()


@pytest.fixture
def records(html):
    """The report's results: name of the file to its record."""
    return {path.rpartition("/")[2]: record for path, record in part(html, "results").items()}


def test_figures_tables_and_pages_are_listed_by_category(html):
    categories = {
        category: {path.rpartition("/")[2] for paths in subcategories.values() for path in paths}
        for category, subcategories in part(html, "categories").items()
    }
    assert categories == {
        "1 Answers": {"index.html"},
        "2 Participants": {"flow.svg"},
        "3 Image quality": {"scans.tsv", "exclusions.tsv", "scans.svg"},
        "4 Whole-brain analyses": {
            "contrast-restInteraction_figure.html",
            "contrast-restInteraction_design.svg",
            "contrast-restInteraction_desc-changes_figure.html",
            "contrast-restInteraction_desc-regions_figure.svg",
            "contrast-restInteraction_clusters.tsv",
            "contrast-restInteraction_regions.tsv",
            "contrast-restInteraction_parcels.tsv",
        },
        "6 Clinical endpoints": {"craving_model.tsv", "craving_sensitivity.tsv", "craving_figure.svg"},
        "8 Methods and reporting": {"CITATION.html", "checklist.tsv"},
    }


def test_captions_state_model_number_and_threshold(records):
    caption = html_text(records["contrast-restInteraction_figure.html"]["caption"])
    assert f"Model: {MODEL}" in caption
    assert "N: 7 participants" in caption
    assert (
        "Threshold: cluster extent decides at a family-wise error of 0.05; clusters formed at p < 0.001 with 18 neighbours; 1,000 "
        "relabellings" in caption
    )
    endpoint = html_text(records["craving_figure.svg"]["caption"])
    assert "Model: followup ~ arm + baseline" in endpoint
    assert "N: 5 participants (everyone randomised)" in endpoint
    assert "N: 7 participants randomised" in html_text(records["flow.svg"]["caption"])
    assert "N: 2 scans" in html_text(records["scans.svg"]["caption"])


def test_a_blinded_study_is_marked_where_arms_count(small):
    finished(small, blinded=True)
    small.snakemake("--report", "report.html")
    records = part((small.folder / "report.html").read_text(), "results")
    marked = {path.rpartition("/")[2]: "BLINDED" in record["caption"] for path, record in records.items()}
    assert marked.pop("scans.svg") is marked.pop("scans.tsv") is marked.pop("exclusions.tsv") is False
    assert set(marked.values()) == {True}
    assert "BLINDED" in part((small.folder / "report.html").read_text(), "workflow_desc")


def html_text(fragment):
    """A fragment's text without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", "", fragment)).split())
