"""Tiles of a scan's page: colours, outlines, orientation, planes, samples."""

import numpy as np
import pytest
from pharmasl.report.scans import charts, overlays, sampling, tiles, voxel_pictures
from pharmasl.space.images import Volume


def test_colour_map_is_inferno():
    matplotlib = pytest.importorskip("matplotlib")
    reference = 255 * matplotlib.colormaps["inferno"](np.arange(256))[:, :3]
    assert np.abs(voxel_pictures.INFERNO - reference).max() <= 2


def test_colours_are_clipped_and_missing_is_black():
    found = voxel_pictures.CBF.pixels(np.array([[-20.0, 0, 100, 300, np.nan]]))[0]
    assert (found[0] == voxel_pictures.INFERNO[0]).all()
    assert (found[2] == voxel_pictures.INFERNO[255]).all()
    assert (found[3] == voxel_pictures.INFERNO[255]).all()
    assert (found[4] == 0).all()


def test_zero_is_the_middle_of_the_scale_of_differences():
    scale = voxel_pictures.around_zero(np.array([-4.0, 1, 2, 100]), np.array([True, True, True, False]))
    low, middle, high = scale.pixels(np.array([[-10.0, 0, 10]]))[0]
    assert (low, high) == (0, 255)
    assert abs(int(middle) - 127) <= 1


def test_the_outline_goes_round_a_mask():
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:3, 2:5] = True
    assert tiles.outline(mask) == "M2 1h3M2 3h3M2 1v2M5 1v2"
    assert tiles.outline(np.zeros((3, 3), dtype=bool)) == ""


def test_left_stays_left_whatever_the_storage_order():
    # A voxel at the participant's left and front, in RAS and in a grid stored as posterior, superior, left.
    volume = np.zeros((4, 5, 6), dtype=np.float32)
    volume[0, 4, 3] = 1
    affine = np.diag([2.0, 3, 4, 1])
    stored = np.transpose(volume, (1, 2, 0))[::-1, :, ::-1]
    other = np.zeros((4, 4))
    other[1, 0], other[2, 1], other[0, 2], other[3, 3] = -3, 4, -2, 1
    found, zooms = tiles.to_ras(stored, other)
    assert (found == tiles.to_ras(volume, affine)[0]).all()
    assert zooms == pytest.approx([2, 3, 4])
    row, column = np.argwhere(tiles.display(found[:, :, 3]))[0]
    assert (row, column) == (0, 0)


def test_bounds_and_levels_of_an_empty_mask_are_the_whole_grid():
    empty = np.zeros((3, 4, 5), dtype=bool)
    assert tiles.bounds(empty) == (slice(0, 3), slice(0, 4), slice(0, 5))
    assert tiles.levels(empty, 9) == [0, 1, 2, 3, 4]


def test_samples_are_linear_between_voxels_and_zero_outside():
    x, y, z = np.meshgrid(np.arange(4.0), np.arange(5.0), np.arange(6.0), indexing="ij")
    affine = np.array([[2.0, 0, 0, -3], [0, 2, 0, 1], [0, 0, 2, 5], [0, 0, 0, 1]])
    volume = (1 + 2 * x + 3 * y - z).astype(np.float32)
    points = np.array([[1.5, 2.25, 3.75], [0, 0, 0], [3, 4, 5], [9, 0, 0]]) @ affine[:3, :3].T + affine[:3, 3]
    assert sampling.sample(volume, affine, points) == pytest.approx([1 + 3 + 6.75 - 3.75, 1, 1 + 6 + 12 - 5, 0])
    flat = np.ones((4, 5, 1), dtype=np.float32)
    assert sampling.sample(flat, affine, points[:1] - [0, 0, 7.5]) == pytest.approx([1])


def test_planes_show_left_at_left_and_up_at_the_top():
    # A bright voxel at the left, front and top of a head that is stored from right to left.
    data = np.zeros((40, 40, 40), dtype=np.float32)
    data[5:35, 5:35, 5:35] = 1
    affine = np.array([[-4.0, 0, 0, 80], [0, 4, 0, -80], [0, 0, 4, -80], [0, 0, 0, 1]])
    mask = Volume(data, affine)
    low, high = overlays.extent(mask)
    assert low == pytest.approx([-56, -60, -60])
    assert high == pytest.approx([60, 56, 56])
    for plane in overlays.planes(mask):
        picture = np.stack([tiles.display(plane.points[..., axis]) for axis in range(3)], axis=-1)
        assert picture[0, 0, 2] >= picture[-1, 0, 2]
        assert (
            picture[0, 0, 1 if plane.ends == ("P", "A") else 0] < picture[0, -1, 1 if plane.ends == ("P", "A") else 0]
        )


@pytest.mark.parametrize(("span", "step"), [(1.0, 0.25), (0.9, 0.25), (30, 10), (7, 2), (0.003, 0.001)])
def test_axis_steps_are_round(span, step):
    assert charts.nice_step(span, 4) == pytest.approx(step)


def test_a_line_has_gaps_where_nothing_is_known():
    axis = charts.Axis(low=0, high=4, ticks=[])
    values = np.array([0, 1, np.nan, 3, np.nan])
    chart = charts.Chart(
        title="t", summary="a & b", x=axis, y=axis, lines=[charts.Line(x=np.arange(5.0), y=values, name="used")]
    )
    assert 'd="M0.0 1000.0L250.0 750.0M750.0 250.0h0"' in chart.plot
    assert 'aria-label="a &amp; b"' in chart.plot
