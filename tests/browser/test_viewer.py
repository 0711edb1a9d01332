"""The slice viewer in a browser: it starts, follows sliders, clicks and clusters, and asks for nothing."""

import re

import numpy as np
import pytest
from inferred import TWO_ARMS
from pharmasl.figures import statmap, viewer
from pharmasl.files import tables
from pharmasl.report.templates import POLICY, inlined
from pharmasl.space import images

AFFINE = np.array([[4.0, 0, 0, -48], [0, 4, 0, -60], [0, 0, 4, -40], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page with one analysis: its map, its viewer and its table of clusters; and the map."""
    here = tmp_path_factory.mktemp("viewer")
    index = np.stack(np.meshgrid(*map(np.arange, (25, 31, 21)), indexing="ij"), -1)
    inside = np.linalg.norm((index - [12, 15, 10]) / [11, 14, 9], axis=-1) < 1
    t = np.where(inside, np.random.default_rng(1).normal(size=inside.shape), np.nan)
    t[16:19, 16:19, 9:12], t[5:7, 10:12, 10:12] = -6, 5
    images.save(here / "t1w.nii.gz", 100.0 * inside, AFFINE)
    images.save(here / "t.nii.gz", t, AFFINE)
    images.save(here / "p.nii.gz", np.where(t == -6, 2.0, np.where(inside, 0.0, np.nan)), AFFINE)
    images.save(here / "clusters.nii.gz", np.where(t == -6, 1, np.where(t == 5, 2, 0)), AFFINE, dtype=np.int16)
    rows = [
        {
            "cluster": 1,
            "peak": 1,
            "x": 20,
            "y": 8,
            "z": 0,
            "volume_mm3": 1728,
            "p_verdict": 0.01,
            "significant": "yes",
            "t": -6,
        }
        | {"region": "Insula_R", "regions": "Insula_R 90 %"},
        {
            "cluster": 2,
            "peak": 1,
            "x": -28,
            "y": -20,
            "z": 4,
            "volume_mm3": 512,
            "p_verdict": 0.4,
            "significant": "no",
            "t": 5,
        }
        | {"region": "Insula_L", "regions": "Insula_L 90 %"},
    ]
    tables.write_table(here / "c.tsv", rows, dict.fromkeys(rows[0], ""))
    tables.write_json(here / "i.json", TWO_ARMS)
    labels = np.where(inside, 29, 0)
    images.save(here / "atlas.nii.gz", labels, AFFINE, dtype=np.int16)
    (here / "atlas.txt").write_text("29 Insula_R\n")
    files = statmap.StatmapFiles(
        reference=here / "t1w.nii.gz",
        t=here / "t.nii.gz",
        verdict=here / "p.nii.gz",
        clusters=here / "clusters.nii.gz",
        table=here / "c.tsv",
        inference=here / "i.json",
    )
    table = "<table><caption>Clusters</caption><thead><tr><th scope=col>Cluster</th><th scope=col>t</th></tr></thead><tbody>"
    table += "<tr><th scope=row>1</th><td>-6</td></tr><tr><th scope=row>2</th><td>5</td></tr></tbody></table>"
    (here / "page.html").write_text(
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Viewer</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{inlined("base.css", "figures.css")}</style>'
        f"<script>{inlined('viewer.js')}</script></head><body><main><h1>Viewer</h1>"
        f"{viewer.template_html(files.reference, [here / 'atlas.nii.gz', here / 'atlas.txt'])}"
        f'<section aria-label="Analysis">{statmap.html(files)}{viewer.html(files)}{table}</section></main></body></html>',
        encoding="utf-8",
    )
    return here / "page.html", t


def readout(opened):
    return opened.page.locator(".viewer .readout").text_content()


def started(opened):
    opened.page.locator(".viewer").scroll_into_view_if_needed()
    opened.page.locator(".viewer canvas").first.wait_for()
    return opened.page


def test_it_begins_at_the_first_cluster_and_says_what_is_there(made, page_of):
    opened = page_of(made[0])
    started(opened)
    assert readout(opened) == "(20, 8, 0) mm; t \u2248 \u22126.0; cluster 1; right insula"
    assert (opened.requests, opened.messages) == ([], [])


def test_sliders_move_it_by_the_keyboard_to_the_maps_own_values(made, page_of):
    opened = page_of(made[0])
    page = started(opened)
    slider = page.get_by_label("Axial, z")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    t = made[1][17, 17, 13]
    assert readout(opened).startswith("(20, 8, 12) mm; t \u2248 ")
    value = float(re.search("\u2248 ([\u2212\\d.]+)", readout(opened))[1].replace("\u2212", "-"))
    assert value == pytest.approx(t, abs=0.05 + 0.5 * 6 / 127)
    assert slider.get_attribute("aria-valuetext") == "z = 12 mm"


def test_a_click_in_a_slice_moves_the_others(made, page_of):
    opened = page_of(made[0])
    page = started(opened)
    canvas = page.locator(".viewer canvas").nth(2)
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.25, "y": box["height"] * 0.5})
    place = [int(text.replace("\u2212", "-")) for text in re.search(r"\((.*?)\)", readout(opened))[1].split(", ")]
    assert place[0] < -15
    assert place[2] == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_a_cluster_of_the_table_or_of_a_row_of_slices_is_shown(made, page_of, width):
    opened = page_of(made[0], width=width)
    page = opened.page
    page.get_by_role("button", name="Show cluster 2 in the viewer").click()
    page.locator(".viewer canvas").first.wait_for()
    opened.wait_until("document.querySelector('.viewer .readout').textContent.includes('cluster 2')")
    assert readout(opened).startswith("(\u221228, \u221220, 4) mm; t \u2248 5.0; cluster 2 (not significant)")
    page.locator("figure.cuts").get_by_role("button").click()
    opened.wait_until("document.querySelector('.viewer .readout').textContent.includes('cluster 1')")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert opened.messages == []


def test_the_slices_are_drawn_and_hide_what_is_below_a_height(made, page_of):
    opened = page_of(made[0])
    page = started(opened)
    counted = """() => { const canvas = document.querySelectorAll('.viewer canvas')[2];
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; let blue = 0;
        for (let k = 0; k < data.length; k += 4) if (data[k + 2] > data[k] + 60 && data[k + 3] > 200) blue += 1; return blue; }"""
    before = page.evaluate(counted)
    least = page.get_by_label("Show |t| from")
    least.fill("6")
    assert before > 50
    opened.wait_until(f"({counted})() < {before}")


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_bars_anyone_from_it(made, page_of, axe, dark):
    opened = page_of(made[0], dark=dark)
    started(opened)
    assert axe(opened) == []
