"""The scripts of the specification curve and their section of the report, from the specifications' answers on."""

import dataclasses
import itertools
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from loading import script
from pharmasl.files import blinding, tables
from pharmasl.report import page, sensitivity_section, templates
from pharmasl.report.report_files import ReportFiles
from pharmasl.study import labels, settings
from pharmasl.workflow.rule_files import rule_files

NAMES = [f"sub-{i:02d}" for i in range(1, 21)]
ARM = np.repeat([1.0, 0.0], 10)
HOSTILE = "More on <b>drug</b> & than on placebo"


def answers(folder, lost=(), effect=2.0, mixed=False):
    """Answers of eight specifications to two questions; ``lost``: (question, specification) that were not run."""
    rng, paths = np.random.default_rng(8), []
    base = {"dlpfc_rest": effect * ARM + rng.normal(size=20), "insula_craving": rng.normal(size=20)}
    tested = {"dlpfc_rest": ARM, "insula_craving": rng.normal(size=20)}
    chosen = itertools.product(("absolute", "global"), ("6", "10"), ("own", "strict"))
    for number, (scaling, smoothing, quality) in enumerate(chosen):
        kept = [i for i in range(20) if quality == "own" or i not in (4, 15)]
        told = []
        for name, kind in (("dlpfc_rest", "effect"), ("insula_craving", "correlation")):
            y = base[name] + 0.2 * rng.normal(size=20) - 1.5 * ARM * (scaling == "global")
            told.append(
                {
                    "answer": name,
                    "kind": kind,
                    "unit": "%" if mixed and scaling == "global" else "mL/100 g/min",
                    "meaning": HOSTILE,
                    "roi": name.split("_")[0],
                    "contrast": "rest",
                    "analysis": None,
                    "defined_by_same_data": name == "insula_craving",
                    "status": "not run: only <two> participants" if (name, number) in lost else "run",
                    "participants": [NAMES[i] for i in kept],
                    "response": y[kept].tolist(),
                    "tested": tested[name][kept].tolist(),
                    "nuisance": [[1.0]] * len(kept),
                    "exchange": "permute",
                    "blocks": None,
                    "whole_brain": None,
                }
            )
        path = folder / f"{number}" / "answers.json"
        path.parent.mkdir()
        choice = {"scaling": scaling, "smoothing_fwhm": smoothing, "partial_volume": "false", "quality": quality}
        content = {"specification": {**choice, "covariates": "own"}, "main": number == 0, "answers": told}
        path.write_text(json.dumps(content))
        paths.append(path)
    return paths


def run(folder, **options):
    """Call both scripts; the three outputs."""
    table, curve, figure = (folder / name for name in ("specifications.tsv", "curve.tsv", "specifications.svg"))
    script("specification_curve").main(
        SimpleNamespace(
            input=SimpleNamespace(answers=answers(folder, **options)),
            output=SimpleNamespace(table=table, curve=curve),
            params=SimpleNamespace(permutations=200, seed=3),
        )
    )
    script("specification_figure").main(
        SimpleNamespace(
            input=SimpleNamespace(table=table, curve=curve),
            output=SimpleNamespace(figure=figure),
            params=SimpleNamespace(labels=settings.plain(labels.NAMES)),
        )
    )
    return table, curve, figure


def text_of(sentences):
    return " ".join(sentences).replace("\u00a0", " ").replace("\u2212", "-")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory.mktemp("sensitivity"))


def test_each_answer_is_told_in_words_from_the_tables(made):
    table, curve, _ = made
    rows = [row for row in tables.read_table(table) if row["answer"] == "dlpfc_rest"]
    told = text_of(sensitivity_section.section(*made).answers[0].sentences)
    estimates = [float(row["estimate"]) for row in rows]
    (main,) = (row for row in rows if row["main"] == "true")
    same = sum(value * float(main["estimate"]) > 0 for value in estimates)
    direction = np.sign(np.median(estimates))
    significant = sum(float(row["p"]) < 0.05 and float(row["t"]) * direction > 0 for row in rows)
    assert 0 < significant < 8
    assert f"The main specification's estimate is {float(main['estimate']):+.2f} mL/100 g/min" in told
    assert (
        f"In {same} of 8 specifications the effect has the same sign as in the main one, and in {significant} it is"
        in told
    )
    assert f"{min(estimates):+.2f} to {max(estimates):+.2f}, median {np.median(estimates):+.2f} mL/100 g/min." in told
    total = tables.read_table(curve)[0]
    assert f"joint p = {float(total['p_median']):.2g} by the median estimate" in told
    # Planted: the scaling takes 1.5 away.
    pairs = [
        float(a["estimate"]) - float(b["estimate"])
        for a in rows
        for b in rows
        if (a["scaling"], b["scaling"]) == ("global", "absolute")
        and all(a[name] == b[name] for name in ("smoothing_fwhm", "quality"))
    ]
    assert len(pairs) == 4
    assert np.median(pairs) == pytest.approx(-1.5, abs=0.2)
    assert (
        "The estimate depends most on scaling: to the global mean instead of absolute shifts it by "
        f"{np.median(pairs):+.2f} mL/100 g/min (median of 4 pairs of specifications that differ in nothing else" in told
    )


def test_a_region_that_the_same_data_chose_has_estimates_and_no_p(made):
    table, curve, figure = made
    rows = [row for row in tables.read_table(table) if row["answer"] == "insula_craving"]
    assert all(row["estimate"] is not None and row["ci_low"] is not None for row in rows)
    assert {row[name] for row in rows for name in ("p", "p_permutation")} == {None}
    totals = [row for row in tables.read_table(curve) if row["answer"] == "insula_craving"]
    tested = ("significant", "share_significant", "p_median", "p_significant", "p_mean_z")
    assert {row[name] for row in totals for name in tested} == {None}
    found = sensitivity_section.section(*made)
    told = text_of(found.answers[1].sentences)
    assert "They are not tested, one by one or together: the same data chose the region." in told
    assert re.search(r"\bp [=<]", told) is None
    assert re.fullmatch(
        r"For insula craving \u2020, \d of 8 specifications agree in sign with the main specification; not tested, as the same data "
        r"chose the region\.",
        found.verdicts[1],
    )
    drawn = figure.read_text(encoding="utf-8")
    assert "8 specifications, not tested" in drawn
    # At two widths, of two answers: eight specifications, each with its mark and one in each of three choices that vary.
    assert drawn.count("<use ") >= 2 * 2 * 8 * (1 + 3)
    assert "save where the same data chose the region" in found.method


def test_the_tables_show_the_main_the_extremes_and_every_specification(made):
    found = sensitivity_section.section(*made)
    extremes = found.extremes
    assert [row[:2] for row in extremes.rows] == [
        [name, which] for name in ("dlpfc rest", "insula craving \u2020") for which in ("main", "lowest", "highest")
    ]
    assert extremes.marked == {0, 3}
    assert all(len(row) == len(extremes.heads) for row in extremes.rows)
    rows = tables.read_table(made[0])
    assert extremes.rows[1][3] == f"{min(float(r['estimate']) for r in rows[:8]):.2f}".replace("-", "\u2212")
    for each in found.every:
        assert len(each.rows) == 8
        assert all(len(row) == len(each.heads) for row in each.rows)
        assert [row[0] for row in each.rows] == list("12345678")
    (k,) = found.every[0].marked
    assert found.every[0].rows[k][1:4] == ["absolute", "6 mm", "not corrected"]
    assert all(len(row) == len(found.choices.heads) for row in found.choices.rows)
    assert len(found.choices.rows) == 12
    assert found.chosen
    assert not found.unit_free


def page_of(made):
    """The section by its own template."""
    found = sensitivity_section.section(*made)
    sections = {
        name: (k, name) for k, name in enumerate(("participants", "quality", "sensitivity", "methods", "provenance"), 1)
    }
    part = templates.environment().get_template("parts/sensitivity.html.j2")
    return part.render(sensitivity=found, sections=sections, blinded=None)


def test_the_section_escapes_what_it_is_given_and_warns_of_what_it_cannot_say(made):
    html = page_of(made)
    assert "<b>" not in html
    assert "More on &lt;b&gt;drug&lt;/b&gt; &amp; than on placebo" in html
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert "they are not independent" in text
    assert "the same 200 relabellings of the participants" in text
    assert "\u2020 The region is a cluster of this trial's own analysis" in text
    assert "differ in unit" not in text
    assert len(re.findall('<svg [^>]*class="(?:wide|narrow)"[^>]*aria-hidden="true">', html)) == 2
    assert html.count("<table") == html.count("</table>") == 4


def test_whole_brain_results_and_those_who_stay_in_place_are_told(made, tmp_path):
    table, curve, figure = made
    rows, summaries = tables.read_table(table), tables.read_table(curve)
    brain = [0.01, 0.2, None, 0.04, 0.3, 0.3, 0.3, 0.3]
    for row, p in zip(rows[:8], brain):
        row |= {"p_fwe_cluster_in_region": p, "p_fwe_voxel_smallest": 0.5}
    summaries[0] |= {"exchanged": "18"}
    for path, changed in ((tmp_path / "s.tsv", rows), (tmp_path / "c.tsv", summaries)):
        tables.write_table(path, changed, tables.read_json((table if changed is rows else curve).with_suffix(".json")))
    found = sensitivity_section.section(tmp_path / "s.tsv", tmp_path / "c.tsv", figure)
    told = text_of(found.answers[0].sentences)
    assert "reaches into the region has a family-wise p below 0.05 in 2 of 8." in told
    assert "The relabellings exchange 18 of 20 participants" in told
    assert "whole brain" not in text_of(found.answers[1].sentences)
    assert len(found.every[0].heads) == len(found.every[1].heads) + 4
    method = found.method
    assert "2 questions answered in 8 specifications each (scaling, smoothing and scan quality)" in method
    assert "200 relabellings of the participants (the observed one counted; seed 3)" in method


def test_the_page_has_the_section_only_where_it_is_asked_for(made):
    nothing = {field.name: [] for field in dataclasses.fields(ReportFiles)}
    absent = {"scans": "s", "participants": "p", "exclusions": "e", "quality": "q", "quality_exclusions": "x"}
    inputs = {**nothing, **absent, "quality_figure": "f"}
    assert page._sensitivity(rule_files(ReportFiles, SimpleNamespace(**inputs))) is None
    paths = dict(zip(("sensitivity_table", "sensitivity_curve", "sensitivity_figure"), ([path] for path in made)))
    found = page._sensitivity(rule_files(ReportFiles, SimpleNamespace(**{**inputs, **paths})))
    assert re.match(
        r"For dlpfc rest, \d of 8 specifications agree in sign with the main specification and \d (is|are) significant; tested "
        r"together by the median, p\s[=<]\s",
        found.verdicts[0],
    )


def test_different_units_are_said_to_be_compared_by_partial_correlations(tmp_path):
    made = run(tmp_path, mixed=True)
    found = sensitivity_section.section(*made)
    assert found.unit_free
    told = text_of(found.answers[0].sentences)
    assert "The main specification's partial correlation (the estimates differ in unit) is +0." in told
    assert "mL/100 g/min" not in told
    assert "its curve, its median and its shifts are those of partial correlations" in page_of(made)


def test_what_was_not_run_is_told_with_its_reason(tmp_path):
    lost = {("dlpfc_rest", 0), *(("insula_craving", k) for k in range(8))}
    made = run(tmp_path, lost=lost)
    found = sensitivity_section.section(*made)
    first, second = (text_of(each.sentences) for each in found.answers)
    estimates = [float(r["estimate"]) for r in tables.read_table(made[0]) if r["answer"] == "dlpfc_rest" and r["rank"]]
    same = sum(value * np.median(estimates) > 0 for value in estimates)
    assert f"gave no estimate. In {same} of 7 specifications the estimate has the same sign as their median" in first
    assert "1 further specification gave no estimate." in first
    assert second == "None of 8 specifications gave an estimate: only <two> participants."
    assert found.every[1].rows[0][-1] == "only <two> participants"
    assert [row[1] for row in found.extremes.rows] == ["lowest", "highest"]
    assert "no specification gave an estimate" in found.verdicts[1]


def test_of_a_blinded_run_tables_and_figure_say_so(tmp_path, made):
    with blinding.marking(True):
        table, _, figure = run(tmp_path)
    assert blinding.MARK in table.read_text().splitlines()[0]
    blinded, open_ = figure.read_text(), made[2].read_text()
    assert f">{blinding.MARK}</text>" in blinded
    assert blinding.MARK not in open_
