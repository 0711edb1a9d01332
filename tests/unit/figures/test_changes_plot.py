"""The participants' figure: the numbers drawn are those of the tables."""

import dataclasses
import html
import re

import numpy as np
import pytest
from pharmasl.figures import changes_data, changes_plot, svg
from pharmasl.figures.changes_data import ChangesFiles
from pharmasl.figures.changes_places import People, Place
from pharmasl.files import tables
from pharmasl.study.labels import Labels
from scipy import stats

WORDS = {"sessions": {"T1": "before"}, "arms": {"drug": "the <drug>"}, "regions": {"vmpfc": "ventromedial"}}
LABELS = Labels(
    **{
        **{key: {} for key in ("sessions", "arms", "conditions", "contrasts", "analyses", "regions", "answers")},
        **WORDS,
    },
)
PEOPLE = [f"sub-{k}" for k in range(1, 9)]
SESSIONS = ("T1", "T2")


def value(who, session, cluster):
    k = PEOPLE.index(who)
    return 40 + 3 * k * cluster + (5 + k) * (session == "T2") * (1 if k < 4 else -1)


def arm(who):
    return "drug" if who in PEOPLE[:4] else "placebo"


@pytest.fixture
def files(tmp_path):
    rows = [
        {"participant_id": who, "session_id": session, "arm": arm(who), "cluster": cluster}
        | {"value": value(who, session, cluster), "coverage": 1}
        for who in PEOPLE
        for session in SESSIONS
        for cluster in (1, 2)
        if (who, session) != ("sub-8", "T2")
    ]
    tables.write_table(tmp_path / "values.tsv", rows, dict.fromkeys(rows[0], ""))
    roi = [
        {"participant_id": who, "session_id": session, "arm": arm(who), "contrast": contrast, "roi": "vmpfc"}
        | {"cbf": 10 * value(who, session, 1) + 500 * (contrast == "cue")}
        for who in [*PEOPLE, "sub-99"]
        for session in SESSIONS
        for contrast in ("rest", "cue")
        if who in PEOPLE
    ]
    tables.write_table(tmp_path / "vmpfc_values.tsv", roi, dict.fromkeys(roi[0], ""))
    regions = [{"roi": "vmpfc", "p_fwe": 0.03, "defined_by_same_data": False}]
    tables.write_table(tmp_path / "regions.tsv", regions, dict.fromkeys(regions[0], ""))
    clusters = [
        {"cluster": 1, "peak": 1, "x": 1, "y": -2, "z": 3, "sign": "+", "size_voxels": 9, "volume_mm3": 1500}
        | {"p_verdict": 0.02, "significant": "yes", "region": "Insula_R", "regions": "Insula_R 80 %"},
        {"cluster": 2, "peak": 1, "x": 1, "y": 2, "z": 3, "sign": "+", "size_voxels": 4, "volume_mm3": 500}
        | {"p_verdict": 0.4, "significant": "no", "region": "Insula_L", "regions": "Insula_L 80 %"},
    ]
    tables.write_table(tmp_path / "clusters.tsv", clusters, dict.fromkeys(clusters[0], ""))
    design = [{"participant_id": who, "arm": float(k < 4), "age": 20.0 + k} for k, who in enumerate(PEOPLE)]
    tables.write_table(tmp_path / "design.tsv", design, dict.fromkeys(design[0], ""))
    block(tmp_path)
    return ChangesFiles(
        table=tmp_path / "clusters.tsv",
        inference=tmp_path / "inference.json",
        design=tmp_path / "design.tsv",
        cluster_values=tmp_path / "values.tsv",
        regions=tmp_path / "regions.tsv",
        region_values=[tmp_path / "vmpfc_values.tsv"],
    )


def block(folder, **changes):
    content = {
        "status": "run",
        "contrast": "rest",
        "effect": {"name": "group_by_time", "meaning": "M", "unit": "mL/100 g/min"},
        "seed": None,
        "predictor": None,
        "covariates": ["age"],
        "arms": {"treatment": "drug", "control": "placebo"},
        "participants": PEOPLE,
        "alpha": 0.05,
        "verdict": {"statistic": "extent", "error_rate": "family-wise error"},
        "model": {"tested_columns": ["arm"], "formula": "change ~ arm"},
    }
    tables.write_json(folder / "inference.json", {**content, **changes})


def test_what_is_drawn_are_the_tables_numbers(files):
    page = changes_plot.html(files, LABELS)
    assert page.count("<figure") == 2
    first = page.split("<figure")[1]
    for who in PEOPLE[:7]:
        before, after = (value(who, session, 1) for session in SESSIONS)
        assert f"<title>{who}: before {before:.1f}, T2 {after:.1f}</title>" in first
        assert (
            f"<title>{who}: {after - before:.1f}</title>".replace("-", "\u2212").replace("sub\u2212", "sub-") in first
        )
    # The one without a follow-up has a point, and no change.
    assert "<title>sub-8: before 61.0</title>" in first
    assert not re.search("<title>sub-8: \u2212?[0-9.]+</title>", first)


def test_means_and_intervals_are_students(files):
    page = changes_plot.html(files, LABELS).split("<figure")[1]
    for members in (PEOPLE[:4], PEOPLE[4:7]):
        changes = np.array([value(who, "T2", 1) - value(who, "T1", 1) for who in members], dtype=float)
        low, high = stats.t.interval(0.95, len(changes) - 1, changes.mean(), stats.sem(changes))
        text = f"mean {changes.mean():.1f} ({low:.1f} to {high:.1f})".replace("-", "\u2212")
        assert f"<title>{text}</title>" in page


def test_names_are_words_and_escaped(files):
    page = changes_plot.html(files, LABELS)
    assert "<strong>Cluster 1: right insula</strong>" in page
    assert "<strong>ventromedial</strong>" in page
    assert "the &lt;dr" in page
    assert "<drug>" not in page
    assert "before" in page
    assert "not adjusted for age" in page
    assert "The same data chose the clusters" in page


def test_places_lie_where_the_scale_puts_them(files):
    changes = changes_data.read(files, LABELS)
    drawing = changes_plot.by_arm(changes.clusters[0], changes.people, "u")[1]
    heights = {}
    for circle in re.findall(r'cy="([\d.]+)" r="3"[^>]*><title>(sub-\d): (\S+)</title>', "".join(drawing.parts)):
        heights[float(circle[2].replace("\u2212", "-"))] = float(circle[0])
    own = sorted(heights)
    assert len(own) == 4
    steps = np.diff([heights[value] for value in own]) / np.diff(own)
    assert (steps < 0).all()
    assert np.ptp(steps) < 0.02


def test_a_slope_is_a_scatter_with_a_line_per_arm(files):
    block(
        files.inference.parent,
        effect={"name": "regression", "meaning": "M", "unit": "mL/100 g/min per unit"},
        predictor="age",
        model={"tested_columns": ["age"], "formula": "change ~ age + arm"},
    )
    page = changes_plot.html(files, LABELS).split("<figure")[1]
    assert "<title>sub-3: 22.0, 7.0</title>" in page
    assert page.count('stroke-width="2"') == 2


def test_nothing_significant_shows_the_nearest_cluster(files):
    text = files.table.read_text().replace("yes", "no")
    files.table.write_text(text)
    assert "Cluster 1: right insula" in changes_plot.html(files, LABELS)


def test_an_analysis_not_run_has_no_figure(files):
    block(files.inference.parent, status="not run: too few")
    assert changes_plot.html(files, LABELS) == ""


def test_one_session_has_values_alone(files):
    changes = changes_data.read(files, LABELS)
    people = People(arms=changes.people.arms, order=["drug", "placebo"], sessions=["T1"], labels=LABELS)
    words = changes_plot.described(changes.clusters[0], people)
    assert words.startswith("Cluster 1: right insula: mean the <drug> ")
    (drawing,) = changes_plot.by_arm(changes.clusters[0], people, "u")
    assert "Change" not in "".join(drawing.parts)


def test_wide_intervals_of_few_stay_in_the_panel():
    values = {("sub-1", "T1"): 40.0, ("sub-2", "T1"): 44.0, ("sub-3", "T1"): 40.0, ("sub-4", "T1"): 41.0}
    place = Place(key="cluster-1", name="x", note="", chosen=True, values=values)
    arms = {"sub-1": "drug", "sub-2": "drug", "sub-3": "placebo", "sub-4": "placebo"}
    people = People(arms=arms, order=["drug", "placebo"], sessions=["T1"], labels=LABELS)
    (drawing,) = changes_plot.by_arm(place, people, "u")
    bars = [path for path in drawing.parts if 'stroke-width="1.6"' in path]
    heights = [float(y) for path in bars for y in re.findall(r"[ML][\d.]+ (-?[\d.]+)", path)]
    assert len(bars) >= 2
    assert min(heights) >= changes_plot._TOP
    assert max(heights) <= changes_plot._BOTTOM


def test_hundreds_of_participants_stay_small():
    names = [f"sub-{k:04d}" for k in range(600)]
    values = {(who, session): k + 0.1 for k, who in enumerate(names) for session in SESSIONS}
    place = Place(key="cluster-1", name="x", note="", chosen=True, values=values)
    arms = {who: ("drug", "placebo")[k % 2] for k, who in enumerate(names)}
    people = People(arms=arms, order=["drug", "placebo"], sessions=SESSIONS, labels=LABELS)
    drawn = "".join(drawing.render() for drawing in changes_plot.by_arm(place, people, "u"))
    assert len(drawn) < 60_000
    assert "sub-0001" not in drawn


@pytest.mark.parametrize("letters", [4, 60])
@pytest.mark.parametrize(("arms", "sessions"), [(1, 1), (2, 2), (2, 3), (5, 1), (5, 3)])
def test_a_phone_has_room_for_a_drawing_whatever_the_names(arms, sessions, letters):
    order, visits = [f"a{k}" for k in range(arms)], [f"T{k}" for k in range(sessions)]
    long = {name: (f"{name} " + "seven " * 20)[:letters].strip() for name in (*order, *visits)}
    labels = dataclasses.replace(LABELS, arms=long, sessions=long)
    members = {f"sub-{k}": order[k % arms] for k in range(4 * arms)}
    place = Place(
        key="cluster-1",
        name="x",
        note="",
        chosen=True,
        values={(who, visit): float(k + len(visit)) for k, who in enumerate(members) for visit in visits},
    )
    people = People(arms=members, order=order, sessions=visits, labels=labels)
    drawn = changes_plot.by_arm(place, people, "mL/100 g/min")
    assert len(drawn) == 1 + (sessions > 1)
    # The least width within a panel of a phone's page, pixels: text of 11 units is then not under 11 pixels.
    assert max(drawing.width for drawing in drawn) <= 334
    assert min(drawing.size for drawing in drawn) >= 11
    # Who a mark stands for is said, and no name is cut.
    names = changes_plot.Names.fitting(people)
    text = " ".join(part for drawing in drawn for part in drawing.parts)
    for name in (*order, *visits):
        lines = names.arms[name] if name in order else names.sessions[name]
        assert all(f">{line}<" in text for line in lines)
        assert " ".join(names.notes.get(line, line) for line in lines) == long[name]


def test_same_input_same_bytes(files):
    assert changes_plot.html(files, LABELS) == changes_plot.html(files, LABELS)


@pytest.mark.parametrize(
    ("low", "high", "wanted"), [(0, 10, [0, 2.5, 5, 7.5, 10]), (-0.3, 0.31, [-0.2, 0, 0.2]), (3, 3, [3])]
)
def test_ticks_are_round(low, high, wanted):
    assert svg.ticks(low, high, 5) == pytest.approx(wanted)


def test_a_region_that_is_the_cluster_drawn_is_left_out(files):
    changes = changes_data.read(files, LABELS)
    own = changes.clusters[0]
    same = Place(key="region-x", name="x", note="", chosen=True, values=dict(own.values))
    assert changes_data._alike(same, own)
    assert not changes_data._alike(changes.regions[0], own)


def adjusted_model(files, weights, **changes):
    """The analysis as a model of the change by arm and age."""
    text = files.design.read_text().splitlines()
    rows = [f"{line}\t{'intercept' if not k else '1.0'}" for k, line in enumerate(text)]
    files.design.write_text("\n".join([*rows, ""]))
    tested = {"columns": ["arm", "age", "intercept"], "weights": [weights], "outcome": "change", "voxelwise": []}
    names = [name for name, weight in zip(tested["columns"], weights) if weight]
    model = {"tested_columns": names, "formula": "change ~ arm + age", "tested_model": tested}
    block(files.inference.parent, model=model, **changes)


def test_the_axis_says_that_values_are_adjusted_and_the_note_for_what(files):
    adjusted_model(files, [1.0, 0.0, 0.0])
    page = changes_plot.html(files, LABELS)
    words = " ".join(re.findall(">([^<>]*)</text>", page))
    assert words.count("Adjusted change, T2 \u2212 before") == 2
    assert "adjusted mean change the &lt;drug&gt;" in page
    assert "Adjusted values are partial residuals of the model: what age would explain is held at its mean." in page
    assert "not adjusted" not in page
    own = changes_data.read(files, LABELS)
    values = own.adjustment.values(own.clusters[0], SESSIONS)
    title = f"<title>sub-1: {values['sub-1']:.1f}</title>".replace("-0", "\u22120").replace(": -", ": \u2212")
    assert title in page
    # Sessions are shown as measured.
    assert "<title>sub-1: before 40.0, T2 45.0</title>" in page


def test_a_slope_adjusted_for_the_arm_is_one_line(files):
    effect = {"name": "regression", "meaning": "M", "unit": "mL/100 g/min per unit"}
    adjusted_model(files, [0.0, 1.0, 0.0], effect=effect, predictor="age")
    page = changes_plot.html(files, LABELS)
    first = page.split("<figure")[1]
    assert ">Adjusted change (mL" in first
    assert first.count('stroke-width="2"') == 1
    assert "the line is the model's slope" in html.unescape(page)
    assert "what arm would explain" in page


@pytest.mark.parametrize(
    ("formula", "words"),
    [("baseline ~ 1", ""), ("change ~ arm", ""), ("change ~ arm + age", "the other terms of change ~ arm + age")],
)
def test_a_formula_of_one_term_leaves_nothing_unadjusted(formula, words):
    model = {"effect": {"name": "formula"}, "model": {"formula": formula}}
    assert changes_plot._others(model) == words
