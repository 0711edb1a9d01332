"""Parts of figures that a page lays out by its width: names that fit or have a letter, panels of one size, drawings of two widths."""

import itertools
import re

import pytest
from pharmasl.figures import measured, panel, parts, style
from pharmasl.figures.panel import Panel
from pharmasl.figures.parts import Note
from pharmasl.files import blinding

LONG = "Resting with eyes closed, and without any instruction whatever"


@pytest.mark.parametrize("text", ["one two three four five six", "a_word_that_is_much_wider_than_its_room", LONG, ""])
@pytest.mark.parametrize("room", [0.3, 0.8, 2.0])
def test_lines_fit_and_lose_no_letter(text, room):
    lines = measured.wrapped(text, room, 9, hanging=0.1)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for k, line in enumerate(lines):
        assert measured.width(line, 9) <= room - 0.1 * (k > 0)


def test_a_text_is_cut_where_it_leaves_its_room():
    assert measured.shortened("short", 2, 9) == "short"
    cut = measured.shortened(LONG, 1, 9)
    assert cut.endswith("\u2026")
    assert measured.width(cut, 9) <= 1


@style.styled
def _panels(*names, **more):
    own = []
    for title, labels in zip(
        itertools.cycle(("A", "Another title that takes two lines at least, since it is long")), names
    ):
        drawn = Panel(title=title, names=labels, **more)
        drawn.axes.plot(range(len(labels)), range(len(labels)))
        drawn.axes.set_xlim(-0.5, len(labels) - 0.5)
        own.append(drawn)
    return own, panel.laid_out(own)


def test_panels_have_one_size_and_their_axes_one_place():
    own, notes = _panels(["x", "y"], ["one", "two", "three"])
    assert notes == []
    first, second = ([*drawn.figure.get_size_inches(), *drawn.axes.get_position().bounds] for drawn in own)
    assert first == pytest.approx(second)
    assert first[0] == panel.WIDTH


def test_long_names_get_letters_and_one_name_the_same_letter_everywhere():
    own, notes = _panels([LONG, "b", "c", "d"], ["b", LONG, "c", "d"])
    assert [(note.mark, note.text) for note in notes] == [("A", LONG), ("B", "b"), ("C", "c"), ("D", "d")]
    assert [[text.get_text() for text in drawn.axes.get_xticklabels()] for drawn in own] == [list("ABCD"), list("BACD")]


def test_a_word_is_never_broken_below_an_axis():
    _, notes = _panels(["amphetamine", "b", "c", "d", "e", "f"])
    assert [note.text for note in notes] == ["amphetamine", "b", "c", "d", "e", "f"]


def test_what_places_have_in_common_stands_below_all_of_them():
    own, notes = _panels(["T1", "T2", "T1", "T2"], spans=[("neutral cue", 2), ("rest", 2)])
    assert notes == []
    low, high = own[0].axes.get_position().x0, own[0].axes.get_position().x1
    places = {text.get_text(): text.get_position()[0] for text in own[0].figure.texts}
    assert places["neutral cue"] == pytest.approx(low + (high - low) / 4)
    assert places["rest"] == pytest.approx(low + 3 * (high - low) / 4)


def test_a_file_of_panels_is_taken_apart_into_them_and_its_notes(tmp_path):
    own, _ = _panels(["x", "y"], ["x", "y"], ["x", "y"], ["x", "y"])
    notes = [Note(text="a <b> & c"), Note(mark="\u25cf", text="the arm", colour="var(--treatment, #0072b2)")]
    style.save_panels([drawn.figure for drawn in own], tmp_path / "a.svg", notes)
    text = (tmp_path / "a.svg").read_text()
    # A file by itself: three panels beside each other, one below.
    places = re.findall(r'<svg class="panel" x="([\d.]+)" y="([\d.]+)"', text)
    assert len({x for x, _ in places}) == 3
    assert len({y for _, y in places}) == 2
    split = parts.split(text)
    assert len(split.panels) == 4
    assert all(one.count("<svg") == 1 and one.endswith("</svg>") for one in split.panels)
    assert split.notes == [
        "a &lt;b&gt; &amp; c",
        '<span style="color:var(--treatment, #0072b2)">\u25cf</span> the arm',
    ]


def test_a_file_of_two_widths_shows_the_wide_one_and_holds_the_narrow_one(tmp_path):
    style.placeholder(tmp_path / "a.svg", "Title", LONG)
    text = (tmp_path / "a.svg").read_text()
    assert re.search(r'<svg class="narrow" display="none" ', text)
    split = parts.split(text)
    assert "display" not in split.narrow
    widths = [float(re.search(r'viewBox="0 0 ([\d.]+) ', one)[1]) for one in (split.wide, split.narrow)]
    assert widths == [720, 72 * style.NARROW]
    # No name of one is that of the other: what is not shown is pointed at by nothing.
    names = [set(re.findall(r'\bid="([^"]+)"', one)) for one in (split.wide, split.narrow)]
    assert not names[0] & names[1]
    for one, own in zip((split.wide, split.narrow), names):
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', one)) <= own


def test_a_sham_allocation_is_marked_in_every_part(tmp_path):
    with blinding.marking(True):
        style.placeholder(tmp_path / "a.svg", "Title", "reason")
        own, _ = _panels(["x", "y"], ["x", "y"])
        style.save_panels([drawn.figure for drawn in own], tmp_path / "b.svg")
    split = parts.split((tmp_path / "a.svg").read_text())
    assert all(blinding.MARK in one for one in (split.wide, split.narrow))
    assert all(blinding.MARK in one for one in parts.split((tmp_path / "b.svg").read_text()).panels)
