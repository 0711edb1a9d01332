"""The picture of a scan: colours, outlines, orientation, determinism."""

import numpy as np
import pytest
from pharmasl.quality import scan_picture as picture
from pharmasl.quality import scan_slices
from pharmasl.quality.judgement import Verdict
from pharmasl.quality.measure_columns import METRICS
from PIL import Image


def test_colour_map_is_inferno():
    matplotlib = pytest.importorskip("matplotlib")
    reference = 255 * matplotlib.colormaps["inferno"](np.arange(256))[:, :3]
    assert np.abs(scan_slices.INFERNO - reference).max() <= 2


def test_colours_are_clipped_and_missing_is_black():
    found = scan_slices.colours(np.array([[-20.0, 0, 100, 300, np.nan]]))[0]
    assert (found[0] == scan_slices.INFERNO[0]).all()
    assert (found[2] == scan_slices.INFERNO[255]).all()
    assert (found[3] == scan_slices.INFERNO[255]).all()
    assert (found[4] == 0).all()


def test_edge_is_the_rim_of_a_square():
    mask = np.zeros((7, 7), dtype=bool)
    mask[1:6, 1:6] = True
    expected = mask.copy()
    expected[2:5, 2:5] = False
    assert (scan_slices.edge(mask) == expected).all()


def test_left_stays_left_whatever_the_storage_order():
    # A voxel at the participant's left and front, in RAS and in a grid stored as posterior, superior, left.
    volume = np.zeros((4, 5, 6), dtype=np.float32)
    volume[0, 4, 3] = 1
    affine = np.diag([2.0, 3, 4, 1])
    stored = np.transpose(volume, (1, 2, 0))[::-1, :, ::-1]
    other = np.zeros((4, 4))
    other[1, 0], other[2, 1], other[0, 2], other[3, 3] = -3, 4, -2, 1
    found, zooms = scan_slices.to_ras(stored, other)
    assert (found == scan_slices.to_ras(volume, affine)[0]).all()
    assert zooms == pytest.approx([2, 3, 4])
    row, column = np.argwhere(scan_slices.display(found[:, :, 3]))[0]
    assert (row, column) == (0, 0)


@pytest.mark.parametrize(("span", "step"), [(1.0, 0.25), (0.9, 0.25), (30, 10), (7, 2), (0.003, 0.001)])
def test_axis_steps_are_round(span, step):
    assert picture.nice_step(span, 4) == pytest.approx(step)


def test_bounds_of_an_empty_mask_are_the_whole_grid():
    assert scan_slices.bounds(np.zeros((3, 4), dtype=bool)) == (slice(0, 3), slice(0, 4))


GOOD = Verdict([], None, [])


def draw(path, flags=(), verdict=GOOD):
    rng = np.random.default_rng(0)
    brain = np.zeros((20, 24, 9), dtype=np.float32)
    brain[3:17, 3:21, 1:8] = 1
    gm = brain * rng.random(brain.shape).astype(np.float32)
    affine = np.diag([4.0, 4, 6, 1])
    cbf = (60 * gm).astype(np.float32)
    big = np.kron(brain, np.ones((2, 2, 3), dtype=np.float32))
    template_affine = np.diag([4.0, 4, 4, 1])
    template_affine[:3, 3] = [-80, -100, -50]
    measures = dict.fromkeys(METRICS, 0.5) | {"pairs": 3, "qei": float("nan"), "coverage": float("nan")}
    picture.draw(
        path,
        heading=picture.heading("sub-01", None, "rest"),
        measures=measures,
        flags=list(flags),
        verdict=verdict,
        native=scan_slices.Slices(cbf, brain, gm, affine),
        template=scan_slices.Slices(60 * big, big, big, template_affine),
        displacement=np.array([np.nan, 0.1, 0.2, 0.1]),
        pair_cbf=np.full(3, np.nan),
    )


def test_the_verdict_stands_in_words_above_the_flags(tmp_path):
    assert picture.verdict_lines(GOOD, []) == ["no flags"]
    assert picture.verdict_lines(Verdict(["M0 dark", "few"], None, []), ["fd_mean:high"]) == [
        "excluded: M0 dark; few",
        "flagged: mean framewise displacement high",
    ]
    assert picture.verdict_lines(Verdict([], "seen", ["M0 dark"]), []) == [
        "accepted by hand: seen (in spite of: M0 dark)",
        "no flags",
    ]
    assert picture.verdict_lines(Verdict([], "seen", []), [])[0] == "accepted by hand: seen"
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png", verdict=Verdict(["M0 dark"], None, []))
    assert Image.open(tmp_path / "b.png").height == Image.open(tmp_path / "a.png").height + 20


def test_same_input_same_bytes_and_flags_are_seen(tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    draw(tmp_path / "c.png", ["fd_mean:high"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert pixels.shape[1] == picture.WIDTH
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
