"""Figures: what they compute, and that the same input gives the same bytes."""

import math
import re

import numpy as np
import pytest
from pharmasl.figures import (
    brain_slices,
    craving_plot,
    design_plot,
    findings,
    numerals,
    quality_plot,
    relations_plot,
    statmap,
    style,
)
from pharmasl.files import blinding, tables
from pharmasl.space import images
from pharmasl.study import settings
from scipy import stats

VERDICT = {
    "statistic": "extent",
    "error_rate": "family-wise error",
    "alpha": 0.05,
    "p": 0.02,
    "smallest_attainable_p": 1 / 462,
    "can_reach_alpha": True,
    "significant": True,
    "significant_voxels": 30,
    "significant_clusters": 1,
    "voxels_outside_clusters": 0,
}
ARMS = {"treatment": "drug", "control": "placebo"}
BOTH_ARMS = settings.Arms(column="arm", **ARMS, others=())
SESSIONS = settings.SessionPair(baseline="ses-T1", followup="T2")
CLUSTER_COLUMNS = "cluster peak x y z sign size_voxels volume_mm3 p_verdict significant p_fwe_cluster p_fwe_voxel t z_score effect effect_mean region regions"


def cluster_table(path, rows):
    tables.write_table(path, rows, {name: name for name in CLUSTER_COLUMNS.split()})
    return path


def inference(path, **changes):
    block = {
        "status": "run",
        "contrast": "rest",
        "effect": {"name": "group_by_time", "meaning": "M", "unit": "mL/100 g/min"},
        "seed": None,
        "arms": ARMS,
        "alpha": 0.05,
        "verdict": VERDICT,
        "model": {"df": 9, "n_treatment": 6, "n_control": 5},
        "permutation": {"number": 462},
        "tests": {"two_sided": True, "cluster": {"forming_p": 0.001, "forming_t": 4.3, "neighbours": 18}},
    }
    tables.write_json(path, {**block, **changes})
    return path


def peak(cluster, number, **values):
    row = {"cluster": cluster, "peak": number, "x": 4, "y": -8, "z": 0, "sign": "+", "p_fwe_voxel": 0.4, "t": 5.0}
    return {**row, "region": "Frontal_Mid_2_R", **values}


@pytest.fixture
def found(tmp_path):
    rows = [
        peak(1, 1, size_voxels=30, p_fwe_cluster=0.02, p_verdict=0.02, significant="yes"),
        peak(1, 2, p_fwe_voxel=0.7),
        peak(2, 1, size_voxels=12, p_fwe_cluster=0.3, p_verdict=0.3, significant="no"),
        peak(2, 2, p_fwe_voxel=0.05),
        peak(3, 1, size_voxels=2, p_fwe_cluster=0.9, p_verdict=0.9, significant="no"),
    ]
    return findings.Findings(cluster_table(tmp_path / "c.tsv", rows), inference(tmp_path / "i.json"))


def test_significant_by_what_decides_alone(found):
    # The second cluster's peak has a family-wise p of .05, which does not decide here.
    assert list(found.significant()) == [1]
    assert (found.decides, found.level) == ("cluster extent", "family-wise p \u2264 0.05")
    assert found.threshold == 4.3
    assert found.people == "6 on drug, 5 on placebo"
    assert [row["p_fwe_voxel"] for row in found.peaks(1)] == ["0.4", "0.7"]


def test_places_are_words(found):
    assert findings.place(found.rows[0]).replace("\u00a0", " ") == "right middle frontal gyrus (4, \u22128, 0)"
    assert numerals.p_text(0.00002) == "p < 0.0001"
    assert numerals.p_text(0.0004) == "p = 0.0004"
    assert numerals.p_text(math.nan) == "p n/a"


def test_overlay_fades_below_the_threshold_and_hides_missing():
    rgba = brain_slices.overlay(np.array([0.0, 2, 4, -4, 6, np.nan]), 4.0, 6.0)
    ends = brain_slices.shades(brain_slices.POSITIVE, np.array([0.0, 1.0]))
    assert rgba[:, 3] == pytest.approx([0, 0.5**brain_slices.FADE, 1, 1, 1, 0])
    assert rgba[2, :3] == pytest.approx(ends[0])
    assert rgba[3, :3] == pytest.approx(brain_slices.shades(brain_slices.NEGATIVE, np.array(0.0)))
    assert rgba[4, :3] == pytest.approx(ends[1])


def luminance(rgb):
    return np.asarray(rgb)[..., :3] @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("colours", [brain_slices.POSITIVE, brain_slices.NEGATIVE])
def test_lightness_alone_orders_the_colours_of_a_sign(colours):
    assert (np.diff(luminance(brain_slices.shades(colours, np.linspace(0, 1, 50)))) > 0).all()


@pytest.fixture
def maps(tmp_path):
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = [-48, -60, -40]
    index = np.stack(np.meshgrid(*map(np.arange, (25, 31, 21)), indexing="ij"), -1)
    inside = np.linalg.norm((index - [12, 15, 10]) / [11, 14, 9], axis=-1) < 1
    rng = np.random.default_rng(0)
    t = np.where(inside, rng.normal(size=inside.shape), np.nan)
    t[16:19, 16:19, 9:12] = 6
    images.save(tmp_path / "t1w.nii.gz", 100.0 * inside, affine)
    images.save(tmp_path / "t.nii.gz", t, affine)
    images.save(tmp_path / "p.nii.gz", np.where(t == 6, 2.0, np.where(inside, 0.0, np.nan)), affine)
    images.save(tmp_path / "clusters.nii.gz", np.where(t == 6, 1, 0), affine, dtype=np.int16)
    images.save(tmp_path / "no_p.nii.gz", np.where(inside, 0.0, np.nan), affine)
    return tmp_path


def draw(maps, name, rows, p="p.nii.gz", **changes):
    files = statmap.StatmapFiles(
        reference=maps / "t1w.nii.gz",
        t=maps / "t.nii.gz",
        verdict=maps / p,
        clusters=maps / "clusters.nii.gz",
        table=cluster_table(maps / "c.tsv", rows),
        inference=inference(maps / "i.json", **changes),
    )
    statmap.write(maps / name, files)
    return (maps / name).read_text()


def test_the_map_is_deterministic_and_outlines_what_is_significant(maps):
    row = peak(1, 1, x=20, y=8, z=0, size_voxels=27, volume_mm3=1728, p_verdict=0.01, significant="yes")
    row |= {"region": "Insula_R", "regions": "Insula_R 90 %"}
    first = draw(maps, "a.html", [row])
    assert draw(maps, "b.html", [row]) == first
    assert first.count('data-cluster="1"') == 1
    assert "<strong>Cluster 1: right insula</strong>" in first
    assert "peak at (20,\u00a08,\u00a00)\u00a0mm, t = 5.0; family-wise p\u00a0=\u00a00.01" in first
    # A full line around what is declared, which is numbered; none where nothing is.
    assert 'stroke="#000"' in first
    assert ">1</text>" in first
    lost = draw(maps, "c.html", [{**row, "p_verdict": 0.5, "significant": "no"}], p="no_p.nii.gz")
    assert 'stroke="#000"' not in lost
    assert "not significant" in lost
    assert "stroke-dasharray" in lost
    assert "data-cluster" not in draw(maps, "d.html", [])


def test_no_slice_is_almost_empty(maps):
    template = brain_slices.Template(maps / "t1w.nii.gz")
    area = template.brain.sum(axis=(0, 1))
    levels = template.levels(8, [])
    assert len(levels) == 8
    assert area[levels].min() > 0.3 * area.max()


def test_an_outline_runs_halfway_between_voxels():
    inside = np.zeros((6, 5), dtype=bool)
    inside[1:3, 1:4] = True
    (line,) = brain_slices.outline(inside)
    assert line[0] == line[-1]
    assert {point for point in line if point[0] == 1.0} == {(1.0, 1.5), (1.0, 2.5), (1.0, 3.5)}
    x, y = np.array(line).T
    # Shoelace formula: six voxels less the eighth that each of four corners is cut by.
    assert abs(((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2) == pytest.approx(6 - 4 / 8)
    inside[4, 4] = True
    assert len(brain_slices.outline(inside)) == 2
    assert brain_slices.outline(np.zeros((3, 3), dtype=bool)) == []


def test_a_blinded_map_says_so_on_every_slice(maps):
    row = peak(1, 1, x=20, y=8, z=0, size_voxels=27, volume_mm3=1728, p_verdict=0.01, significant="yes")
    plain = draw(maps, "a.html", [row])
    cluster_table(maps / "c.tsv", [row])
    with blinding.marking(True):
        text = draw(maps, "b.html", [row])
    assert "BLINDED" not in plain
    assert text.count(">BLINDED</text>") == text.count("<svg")


JOINT = {"effect": {"name": "group_by_time", "meaning": "M", "unit": "mL/100 g/min", "is_joint": True}}
JOINT |= {"model": {"df": 9, "tested_effects": ["low - placebo", "high - placebo"], "n_by_arm": {"low": 4, "drug": 7}}}


def test_f_has_no_sign(maps):
    """One family of colours, a scale from 0, and F's two degrees of freedom in the caption."""
    row = peak(1, 1, x=20, y=8, z=0, size_voxels=27, p_verdict=0.01, significant="yes")
    results = findings.Findings(cluster_table(maps / "c.tsv", [row]), inference(maps / "i.json", **JOINT))
    assert (results.letter, results.height) == ("F", "F")
    assert results.degrees == "F with 2 and 9 degrees of freedom"
    assert results.people == "4 on low, 7 on drug"
    assert "above F = 4.30" in statmap.caption(results)
    assert "either direction" in statmap.caption(results)
    bar = draw(maps, "f.html", [row], **JOINT).split("</svg>")[0]
    assert re.findall(r">([^<>]+)</text>", bar) == ["0", "4.3", "6.0", "F"]


def test_columns_of_maps_are_hatched_in_the_design(maps):
    columns = ["participant_id", "intercept", "arm[drug]", "baseline"]
    rows = [dict(zip(columns, (f"sub-{k}", 1.0, float(k % 2), 1.0))) for k in range(6)]
    tables.write_table(maps / "design.tsv", rows, dict.fromkeys(columns, ""))
    model = {"df": 3, "tested_columns": ["arm[drug]"], "tested_term": "drug - placebo", "maps": ["baseline"]}
    pictures = []
    for name, own in (("plain", []), ("hatched", ["baseline"]), ("again", ["baseline"])):
        block = inference(maps / "i.json", model={**model, "maps": own})
        design_plot.draw(maps / f"{name}.svg", "rest", maps / "design.tsv", block)
        pictures.append((maps / f"{name}.svg").read_bytes())
    assert pictures[0] != pictures[1] == pictures[2]


def test_rows_of_scans_are_named_by_their_session():
    assert design_plot._row_name({"participant_id": "sub-1", "session_id": "1"}, ["T1", "T2"]) == "sub-1 T2"
    assert design_plot._row_name({"participant_id": "sub-1"}, []) == "sub-1"


def test_an_analysis_that_was_not_run_has_no_map(maps):
    assert draw(maps, "a.html", [], status="not run: seed x has no values") == ""


def test_slices_go_through_the_peaks(maps):
    template = brain_slices.Template(maps / "t1w.nii.gz")
    level = template.index([20, 8, 4])[2]
    assert template.millimetres(2, level) == 4
    levels = template.levels(12, [level])
    assert level in levels
    assert len(levels) == 12


def test_interval_and_line_agree_with_scipy():
    rng = np.random.default_rng(4)
    x = rng.normal(size=14)
    y = 2 * x + rng.normal(size=14)
    mean, half = craving_plot.interval(y)
    low, high = stats.t.interval(0.95, 13, loc=y.mean(), scale=stats.sem(y))
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-10)
    reference = stats.linregress(x, y)
    at = np.array([0.0, 1.0])
    fitted, band = relations_plot.fit(x, y, at)
    assert fitted == pytest.approx(reference.intercept + reference.slope * at, rel=1e-10)
    # At x = 0 the fitted value is the intercept, and the band its confidence interval.
    assert band[0] == pytest.approx(stats.t.ppf(0.975, 12) * reference.intercept_stderr, rel=1e-10)
    assert relations_plot.fit(x[:2], y[:2], at) is None
    assert math.isnan(craving_plot.interval(np.array([]))[0])
    assert math.isnan(craving_plot.interval(np.array([1.0]))[1])


def test_changes_are_followup_minus_baseline_of_complete_participants():
    scores = {("a", "T1"): 5.0, ("a", "T2"): 3.0, ("b", "T1"): 1.0, ("c", "T1"): 1.0, ("c", "T2"): 2.0}
    cbf = {("a", "T1"): 10.0, ("a", "T2"): 14.0, ("b", "T1"): 1.0, ("b", "T2"): 2.0}
    names, x, y = relations_plot.changes(scores, cbf, ("T1", "T2"))
    assert names == ["a"]
    assert (x[0], y[0]) == (4, -2)


@pytest.fixture
def craving_tables(tmp_path):
    rng = np.random.default_rng(5)
    scores, values = [], []
    for k in range(8):
        arm = ARMS["treatment"] if k % 2 else ARMS["control"]
        for session in ("T1", "T2"):
            row = {"participant_id": f"sub-{k}", "arm": arm, "session_id": session}
            scores.append({**row, "cue_elicited": None if (k, session) == (3, "T2") else float(rng.normal())})
            values.append({**row, "roi": "insula_$x$", "contrast": "cue", "cbf": float(rng.normal())})
    tables.write_table(tmp_path / "scores.tsv", scores, {key: key for key in scores[0]})
    tables.write_table(tmp_path / "values.tsv", values, {key: key for key in values[0]})
    relation = {"roi": "insula_$x$", "contrast": "cue", "timing": "change", "group": "all", "method": "pearson"}
    relation |= {"estimate": -0.5, "p": 0.1, "p_holm": 0.2, "roi_defined_by_same_data": True, "note": None}
    relation |= {"role": "tested", "region_of": "all"}
    tables.write_table(tmp_path / "roi.tsv", [relation], {key: key for key in relation})
    return tmp_path


def relations(*rois, **declared):
    test = {"timing": "change", "group": "all", "method": "pearson", **declared}
    return relations_plot.Relations(rois=rois, contrast="cue", test=settings.build(settings.DeclaredCorrelation, test))


def test_craving_figures_are_deterministic(craving_tables):
    here = craving_tables
    files = relations_plot.RelationFiles(
        scores=here / "scores.tsv", values=[here / "values.tsv"], correlations=here / "roi.tsv"
    )
    for name in ("a", "b"):
        craving_plot.scores(here / f"{name}1.svg", here / "scores.tsv", BOTH_ARMS, SESSIONS)
        relations_plot.draw(here / f"{name}2.svg", files, relations("insula_$x$", "absent"), BOTH_ARMS, SESSIONS)
    assert (here / "a1.svg").read_bytes() == (here / "b1.svg").read_bytes()
    assert (here / "a2.svg").read_bytes() == (here / "b2.svg").read_bytes()


def test_the_verdict_tells_the_adjusted_correlation(craving_tables):
    rows = tables.read_table(craving_tables / "roi.tsv")
    text, chosen = relations_plot.verdict(rows, "insula_$x$", relations(), BOTH_ARMS)
    assert text == "r = \u22120.50 within arms, p = 0.1 (Holm 0.2)"
    assert chosen
    assert relations_plot.verdict(rows, "absent", relations(), BOTH_ARMS) == ("", False)
    # Another declared test has no row here; a description has no p.
    assert relations_plot.verdict(rows, "insula_$x$", relations(method="spearman"), BOTH_ARMS) == ("", False)
    rows[0]["role"] = "described"
    assert relations_plot.verdict(rows, "insula_$x$", relations(), BOTH_ARMS)[0] == "r = \u22120.50 within arms"


def test_labels_are_moved_apart_and_stay_centred():
    moved = quality_plot.spread([1.0, 1.0, 1.1, 5.0], 0.5)
    assert (np.diff(moved) >= 0.5 - 1e-12).all()
    assert moved.mean() == pytest.approx(np.mean([1, 1, 1.1, 5]))


def test_quality_figure_is_deterministic_and_takes_missing_values(tmp_path):
    rows = []
    for k in range(6):
        row = dict.fromkeys(quality_plot.MEASURES, str(0.1 * k)) | {
            "dvars_mean": None,
            "flags": "qei:low" if not k else None,
        }
        rows.append({**row, "participant_id": f"sub-{k}", "session_id": None, "condition": "rest"})
    rows[2]["gm_cbf"] = None
    for name in ("a.svg", "b.svg"):
        quality_plot.draw(rows, {"qei": (0.05, None)}, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    quality_plot.draw([], {}, tmp_path / "none.svg")
    assert (tmp_path / "none.svg").stat().st_size > 1000


def test_no_time_and_no_version_stands_in_a_figure(tmp_path):
    style.placeholder(tmp_path / "a.svg", "Title", "reason")
    text = (tmp_path / "a.svg").read_text()
    assert "<text" in text
    assert "reason</text>" in text
    # Nothing of the day, of matplotlib or of the machine, and no name that a second drawing of a page would have too.
    assert not re.search("metadata|matplotlib|<g id=|<dc:", text)
    assert f"var(--ink, {style.INK})" in text
    assert not re.search(f"[: ]{style.INK}", text.replace(f"var(--ink, {style.INK})", ""))


@pytest.mark.parametrize(
    ("values", "share"),
    [([0.8601, 0.8612, 0.861], True), ([0.0, 0.0, 0.0], True), ([40.0, 70.0], False), ([-2.0, 3.0], False)],
)
def test_axes_of_quality_make_nothing_of_the_third_digit_nor_show_what_cannot_be(values, share):
    axes = style.figure(3, 2).subplots()
    axes.plot(values)
    quality_plot._honest(axes, np.array(values), is_share=share)
    low, high = axes.get_ylim()
    assert low <= min(values) <= max(values) <= high
    assert high - low >= 0.99 * quality_plot.LEAST_SPAN * abs(np.median(values))
    if min(values) >= 0:
        assert low >= -0.02 * (high - low)
    if share:
        assert high <= 1.03
