"""The figure of the specification curves: what it shows, and that the same input gives the same bytes."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pharmasl.figures import specification_plot, style
from pharmasl.files import tables
from pharmasl.sensitivity import curve_columns, naming

VALUES = {
    "scaling": ["absolute", "global"],
    "smoothing_fwhm": ["6", "0", "8", "10"],
    "partial_volume": ["false", "true"],
    "quality": ["own", "strict", "lenient", "a_rule_with_a_very_long_name"],
    "covariates": ["own", "none", "age"],
}


def curves(folder, sizes, answers=("dlpfc_rest",), scale="estimate", lost=(), seed=0):
    """Tables of curves as large as the product of ``sizes``; all specifications of the answers ``lost`` were not run."""
    rng, rows, summaries = np.random.default_rng(seed), [], []
    chosen = [dict(zip(VALUES, each)) for each in itertools.product(*(VALUES[n][:k] for n, k in zip(VALUES, sizes)))]
    for answer in answers:
        estimates = np.sort(rng.normal(1, 1, len(chosen)))
        told = {"answer": answer, "unit": "mL/100 g/min", "kind": "effect", "meaning": "More on drug", "roi": "r"}
        for k, row in enumerate(rng.permutation(len(chosen))):
            each = {**told, **chosen[row], "main": bool(row == 0), "status": "run", "rank": k + 1}
            if answer in lost:
                rows.append({**each, "rank": None, "status": "not run: <too> few $participants$"})
                continue
            for name, by in (("estimate", 1.0), ("partial_r", 0.1)):
                low, high = ("ci_low", "ci_high") if name == "estimate" else ("partial_r_low", "partial_r_high")
                value = estimates[k] * by
                each |= {name: value, low: value - 1.5 * by, high: value + 1.5 * by}
            rows.append({**each, "p": 0.01 if estimates[k] > 1.5 else 0.3})
        run = 0 if answer in lost else len(chosen)
        total = {"answer": answer, "dimension": "all", "value": "all", "scale": scale, "unit": "mL/100 g/min"}
        joint = {"median": float(np.median(estimates)), "p_median": 0.012, "p_significant": 0.00001, "p_mean_z": 1.0}
        summaries.append({**total, "specifications": run, "not_run": len(chosen) - run, "significant": 1, **joint})
        for name, k in zip(VALUES, sizes):
            summaries += [{"answer": answer, "dimension": name, "value": v} for v in VALUES[name][:k] if k > 1]
    tables.write_table(folder / "s.tsv", rows, curve_columns.specifications(VALUES, 1000, 1))
    tables.write_table(folder / "c.tsv", summaries, curve_columns.curve(1000, 1))
    return folder / "s.tsv", folder / "c.tsv"


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, as objects: the wide one, then the narrow one."""
    kept, save = [], style.save

    def keep(figure, path, *, narrow=None):
        kept.extend(each for each in (figure, narrow) if each is not None)
        save(figure, path, narrow=narrow)

    monkeypatch.setattr(style, "save", keep)
    return kept


def marks(axes, marker="o"):
    """x, y and whether filled, of every point of a panel."""
    points = []
    for line in axes.lines:
        if line.get_marker() == marker:
            filled = matplotlib.colors.to_hex(line.get_markerfacecolor()) != "#ffffff"
            points += [(x, y, filled) for x, y in zip(line.get_xdata(), line.get_ydata())]
    return points


def test_every_specification_is_a_point_filled_if_significant_and_a_dot_for_each_choice(tmp_path, drawn):
    table, curve = curves(tmp_path, (2, 2, 1, 2, 1))
    specification_plot.draw(tmp_path / "f.svg", table, curve)
    upper, lower = drawn[0].axes
    rows = {int(row["rank"]): row for row in tables.read_table(table)}
    assert len(rows) == 8
    points = {x: (y, filled) for x, y, filled in marks(upper)}
    for rank, row in rows.items():
        assert points[rank] == (float(row["estimate"]), float(row["p"]) < 0.05)
    (main,) = marks(upper, "D")
    assert rows[main[0]]["main"] == "true"
    dots = marks(lower)
    assert len(dots) == 3 * 8
    named = {round(y, 6): text.get_text() for y, text in zip(lower.get_yticks(), lower.get_yticklabels())}
    for x, y, filled in dots:
        row = rows[x]
        assert named[round(y, 6)] in [
            naming.value(name, row[name]) for name in ("scaling", "smoothing_fwhm", "quality")
        ]
        assert filled == (float(row["p"]) < 0.05)
    # Choices that do not vary have no row.
    assert [text.get_text() for text in lower.get_yticklabels()] == [
        "absolute",
        "to the global mean",
        "6 mm",
        "0 mm",
        "study's own",
        "strict",
    ]
    assert upper.get_xlim() == lower.get_xlim()


def test_the_joint_p_stands_above_the_curve(tmp_path, drawn):
    specification_plot.draw(tmp_path / "f.svg", *curves(tmp_path, (2, 1, 1, 1, 1)))
    text = " ".join(each.get_text() for each in drawn[0].texts)
    assert "2 specifications, 1 significant in the median's direction." in text
    assert "Joint p: 0.012 (median), < 0.0001 (number significant), 1 (mean z)" in text
    assert "dlpfc rest" in text


def texts(figure):
    """All text of a figure with its box in pixels, empty ones left out."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found = list(figure.texts)
    for axes in figure.axes:
        # Ticks beyond the axis exist and are not drawn.
        low, high = axes.get_ylim()
        shown = [label for at, label in zip(axes.get_yticks(), axes.get_yticklabels()) if low <= at <= high]
        found += [*axes.texts, axes.yaxis.label, *shown]
    found += [text for legend in figure.legends for text in legend.get_texts()]
    return [(each.get_text(), each.get_window_extent(canvas.get_renderer())) for each in found if each.get_text()]


@pytest.mark.parametrize(
    ("sizes", "answers"), [((1, 1, 1, 1, 1), 1), ((2, 2, 2, 2, 2), 3), ((2, 4, 2, 4, 3), 1), ((2, 1, 1, 1, 1), 6)]
)
@pytest.mark.parametrize("form", [0, 1])
def test_nothing_overlaps_or_leaves_the_figure(tmp_path, drawn, sizes, answers, form):
    lost = {"answer_1"}
    table, curve = curves(tmp_path, sizes, [f"answer_{k}" for k in range(answers)], lost=lost)
    specification_plot.draw(tmp_path / "f.svg", table, curve)
    figure = drawn[form]
    boxes = texts(figure)
    width, height = figure.bbox.size
    for name, box in boxes:
        assert box.x0 >= 0 <= box.y0, name
        assert box.x1 <= width, name
        assert box.y1 <= height, name
    visible = [(name, box.shrunk(0.9, 0.7)) for name, box in boxes]
    for (one, first), (two, second) in itertools.combinations(visible, 2):
        assert not first.overlaps(second), (one, two)
    for one, two in itertools.combinations(figure.axes, 2):
        assert not one.bbox.shrunk(0.99, 0.99).overlaps(two.bbox.shrunk(0.99, 0.99))


def test_choices_of_many_specifications_are_bars_taller_where_significant(tmp_path, drawn):
    table, curve = curves(tmp_path, (2, 4, 2, 4, 3))
    specification_plot.draw(tmp_path / "f.svg", table, curve)
    _, lower = drawn[0].axes
    rows = {int(row["rank"]): row for row in tables.read_table(table)}
    bars = [bar for container in lower.containers for bar in container]
    assert len(bars) == 5 * 192
    heights = {True: set(), False: set()}
    for bar in bars:
        rank = round(bar.get_x() + bar.get_width() / 2)
        heights[float(rows[rank]["p"]) < 0.05].add(round(bar.get_height(), 6))
    assert max(heights[False]) < min(heights[True])


def test_the_same_input_gives_the_same_bytes(tmp_path):
    table, curve = curves(tmp_path, (2, 2, 1, 1, 1))
    specification_plot.draw(tmp_path / "a.svg", table, curve)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red"}):
        specification_plot.draw(tmp_path / "b.svg", table, curve)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_units_that_differ_show_partial_correlations(tmp_path, drawn):
    table, curve = curves(tmp_path, (2, 2, 1, 1, 1), scale="partial_r")
    specification_plot.draw(tmp_path / "f.svg", table, curve)
    rows = tables.read_table(table)
    assert sorted(y for _, y, _ in marks(drawn[0].axes[0])) == pytest.approx(
        sorted(float(r["partial_r"]) for r in rows)
    )
    assert "Partial correlation" in drawn[0].axes[0].get_ylabel()


def test_without_any_estimate_the_picture_says_why(tmp_path, drawn):
    specification_plot.draw(tmp_path / "f.svg", *curves(tmp_path, (2, 1, 1, 1, 1), lost={"dlpfc_rest"}))
    words = " ".join(text.get_text() for text in drawn[0].texts)
    assert "not run: <too> few $participants$" in words
    assert 'viewBox="0 0 720 ' in (tmp_path / "f.svg").read_text()
    assert isinstance(drawn[0], Figure)


def test_the_axis_holds_all_estimates_and_zero_and_cuts_a_wild_interval():
    value, half = np.array([2.0, 2.5, 3.0, 3.1]), np.array([1.0, 1.0, 1.0, 400.0])
    bottom, top = specification_plot.limits(value, value - half, value + half)
    assert bottom < 0
    assert 4.0 < top < 10
    bottom, top = specification_plot.limits(np.array([-2.0]), np.array([np.nan]), np.array([np.nan]))
    assert bottom < -2 < 0 < top
