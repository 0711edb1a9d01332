"""TFCE against the integral done plainly, closed forms, and stored maps of an independent implementation."""

import numpy as np
import permuting
import pytest
from loading import shared_data
from pharmasl.group.engine import glm, tfce, z_table
from scipy import ndimage


def plainly(volume, mask, enhancement):
    """The integral over the sorted distinct heights, clusters by scipy at each."""
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[enhancement.neighbours])
    power = enhancement.height_power + 1
    out = np.zeros(volume.shape)
    for sign in (1, -1):
        heights = np.where(mask, sign * volume, 0).astype(np.float32).astype(float)
        below = 0.0
        for h in np.unique(heights[heights > 0]):
            labels, _ = ndimage.label(heights >= h, structure)
            extent = np.bincount(labels.ravel()).astype(float) ** enhancement.extent_power
            out += sign * np.where(labels > 0, extent[labels], 0) * (h**power - below**power) / power
            below = h
    return out[mask]


def field(seed, shape, smooth, levels):
    """Noise within a ragged mask; with ``levels`` full of ties, plateaus and zeros."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) > 0.1
    mask.flat[0] = True
    values = ndimage.gaussian_filter(rng.normal(size=shape), smooth)
    values *= 5 / np.abs(values).max()
    return (np.round(values * levels) / levels if levels else values), mask


@pytest.mark.parametrize("neighbours", [6, 18, 26])
@pytest.mark.parametrize(("extent_power", "height_power"), [(0.5, 2.0), (1.0, 1.0), (0.6, 1.5)])
@pytest.mark.parametrize(
    ("shape", "smooth", "levels"),
    [
        ((9, 8, 7), 0, None),
        ((9, 8, 7), 1, None),
        ((8, 8, 8), 0.7, 4),
        ((5, 1, 6), 0.5, None),
        ((1, 1, 1), 0, None),
        ((10, 9, 10), 0.5, 1),
    ],
)
def test_map_and_maximum_are_the_integral(shape, smooth, levels, extent_power, height_power, neighbours):
    values, mask = field(3, shape, smooth, levels)
    settings = permuting.enhancement(extent_power, height_power, neighbours)
    expected = plainly(values, mask, settings)
    enhancer = tfce.Enhancer(mask, settings)
    np.testing.assert_allclose(enhancer.enhance(values[mask]), expected, rtol=1e-12)
    # Twice: the work space of one map must not show in the next.
    for _ in range(2):
        np.testing.assert_allclose(
            enhancer.maximum(values[mask]), (max(expected.max(), 0), max(-expected.min(), 0)), rtol=1e-12
        )


@pytest.mark.parametrize("neighbours", [6, 18, 26])
@pytest.mark.parametrize(("smooth", "levels"), [(0, None), (0, 3), (1.5, None), (1.5, 20)])
def test_maximum_is_the_maps(neighbours, smooth, levels):
    # White noise with 26 neighbours has more links between basins than there is room for at first.
    enhancer = None
    for seed in range(3):
        values, mask = field(seed, (31, 30, 29), smooth, levels)
        if enhancer is None:
            common, enhancer = mask, tfce.Enhancer(mask, permuting.enhancement(neighbours=neighbours))
        whole = enhancer.enhance(values[common])
        room = len(enhancer.work[-1]) if enhancer.work else 0
        np.testing.assert_allclose(enhancer.maximum(values[common]), (whole.max(), -whole.min()), rtol=1e-12)
        if seed == 0 and neighbours == 26 and smooth == 0:
            assert len(enhancer.work[-1]) > len(enhancer.cells.place) > room


def maxima_by_brute_force(volume, mask, enhancement):
    """Each voxel's integral from its own height down, a term whenever its cluster has grown: largest of either sign."""
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[enhancement.neighbours])
    power = enhancement.height_power
    found = []
    for sign in (1, -1):
        heights = np.where(mask, sign * volume, 0).astype(np.float32).astype(float)
        total, last, size = np.zeros(volume.shape), np.zeros(volume.shape), np.zeros(volume.shape)
        for h in np.unique(heights[heights > 0])[::-1].tolist():
            level = h * h * h / 3 if power == 2 else h ** (power + 1) / (power + 1)
            labels, _ = ndimage.label(heights >= h, structure)
            now = np.where(labels > 0, np.bincount(labels.ravel())[labels], 0)
            grown = now > size
            total[grown] += size[grown] ** enhancement.extent_power * (last[grown] - level)
            last[grown], size[grown] = level, now[grown]
        found.append((total + size**enhancement.extent_power * last).max())
    return tuple(found)


def maps_to_search():
    """Name, map and mask: what could lead a search for the maximum astray."""
    for smooth, levels in ((0.8, None), (1.5, None), (0, 2), (1.2, 3), (2, 6)):
        values, mask = field(7, (13, 12, 21), smooth, levels)
        yield f"smooth {smooth}, levels {levels}", values, mask
        yield f"smooth {smooth}, levels {levels}, all negative", -np.abs(values), mask
    values, mask = field(8, (9, 9, 9), 0, None)
    odd = np.indices(values.shape) % 2 == 1
    yield "voxels alone", np.where(odd.all(axis=0), values, 0), mask
    yield "zeros of both signs", np.where(odd.any(axis=0), values, -0.0), mask
    along = np.arange(2 * 3 * 70.0).reshape(2, 3, 70)
    ramp = np.minimum(along, along[:, :, ::-1]) + 1
    yield "two slopes", ramp, np.ones(ramp.shape, bool)
    yield "slopes of either sign", np.where(np.arange(70) < 35, ramp, -ramp[::-1]), np.ones(ramp.shape, bool)
    yield "one plateau", np.full((4, 5, 40), 1.7), np.ones((4, 5, 40), bool)
    wall = np.full((3, 3, 41), 2.0)
    wall[:, :, ::8] = 3
    wall[1, 1, ::16] = 5
    yield "peaks on a plateau", wall, np.ones(wall.shape, bool)
    yield "faint", 1e-30 * ramp, np.ones(ramp.shape, bool)


@pytest.mark.parametrize("neighbours", [6, 18, 26])
@pytest.mark.parametrize(("extent_power", "height_power"), [(0.5, 2.0), (0.6, 1.5)])
def test_maximum_is_that_of_brute_force_to_the_last_bit(extent_power, height_power, neighbours):
    settings = permuting.enhancement(extent_power, height_power, neighbours)
    for name, values, mask in maps_to_search():
        expected = maxima_by_brute_force(values, mask, settings)
        assert tfce.Enhancer(mask, settings).maximum(values[mask]) == expected, name


def test_values_by_hand():
    mask = np.ones((9, 3, 3), bool)
    values = np.zeros(mask.shape)
    values[0, 0, 0] = -3  # alone: 3^3 / 3
    values[2:6, 1, 1] = 2  # a plateau of 4: sqrt(4) 2^3 / 3
    values[4, 1, 1] = 5  # upon it, alone: + (5^3 - 2^3) / 3
    values[8, 2, 2] = 1
    out = permuting.enhance(values[mask], mask).reshape(mask.shape)
    assert out[0, 0, 0] == pytest.approx(-9)
    assert out[2, 1, 1] == pytest.approx(16 / 3)
    assert out[4, 1, 1] == pytest.approx(16 / 3 + 39)
    assert out[8, 2, 2] == pytest.approx(1 / 3)
    assert np.count_nonzero(out) == 6
    assert tfce.Enhancer(mask, permuting.enhancement()).maximum(values[mask]) == pytest.approx((16 / 3 + 39, 9))


def test_opposite_signs_that_touch_are_enhanced_apart():
    mask = np.ones((4, 4, 4), bool)
    values = np.where(np.arange(4)[:, None, None] < 2, 3.0, -3.0) * mask
    out = permuting.enhance(values[mask], mask, permuting.enhancement(neighbours=26))
    np.testing.assert_allclose(np.abs(out), np.sqrt(32) * 9)
    np.testing.assert_array_equal(np.sign(out), np.sign(values[mask]))


def test_values_scale_with_the_height_and_need_no_step():
    """An integral of t h is t^(H+1) times that of h; a sum over a hundred steps of a map's own maximum is not."""
    values, mask = field(5, (14, 12, 13), 1.2, None)
    for settings in (permuting.enhancement(), permuting.enhancement(0.6, 1.5)):
        one = permuting.enhance(values[mask], mask, settings)
        np.testing.assert_allclose(
            permuting.enhance(4 * values[mask], mask, settings), one * 4 ** (settings.height_power + 1), rtol=1e-12
        )

    def stepped(steps):
        width = values[mask].max() / steps
        total = np.zeros(mask.shape)
        for k in range(1, steps + 1):
            labels, _ = ndimage.label((values >= (k - 0.5) * width) & mask)
            total += np.where(labels > 0, np.bincount(labels.ravel())[labels] ** 0.5, 0) * ((k - 0.5) * width) ** 2
        return (total * width)[mask]

    exact = np.maximum(permuting.enhance(values[mask], mask), 0)
    errors = [np.abs(stepped(steps) - exact).max() / exact.max() for steps in (50, 400)]
    assert errors[1] < 0.003
    assert errors[1] < errors[0] / 4


@pytest.mark.parametrize("neighbours", [6, 18, 26])
def test_maps_are_those_of_package_tfce(neighbours):
    folder = shared_data("reference", "group-stats")
    mask = np.load(folder / "small" / "data.npz")["mask"]
    stored = np.load(folder / "small_reference" / "enumeration.npz")
    ours = permuting.enhance(stored["t"], mask, permuting.enhancement(neighbours=neighbours))
    theirs = stored[f"tfce_{neighbours}"].astype(float)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7 * np.abs(theirs).max())
    if neighbours == 6:
        on_z = permuting.enhance(stored["t"], mask, permuting.enhancement(scale="z"), df=float(stored["df"]))
        theirs = stored["tfce_z_6"].astype(float)
        np.testing.assert_allclose(on_z, theirs, rtol=1e-6, atol=1e-7 * np.abs(theirs).max())


@pytest.mark.parametrize("df", [3, 12, 40, 500])
def test_table_of_z(df):
    rng = np.random.default_rng(df)
    t = np.concatenate([np.logspace(-6, 1.5, 20000), -np.linspace(0, 12, 3000), rng.normal(size=1000)])
    t = t[np.abs(glm.t_to_z(t, df)) < 30].astype(np.float32)
    np.testing.assert_allclose(z_table.ZTable(df)(t), glm.t_to_z(t.astype(float), df), rtol=2e-7)
    far = z_table.ZTable(df)(np.array([1e12, -1e30, 3e38], np.float32))
    assert np.isfinite(far).all()
    assert far[0] == pytest.approx(glm.t_to_z(np.array([1e12]), df)[0], rel=1e-3)


def test_nothing_to_enhance():
    mask = np.ones((3, 4, 5), bool)
    assert not permuting.enhance(np.zeros(60), mask).any()
    enhancer = tfce.Enhancer(mask, permuting.enhancement())
    assert enhancer.maximum(np.zeros(60)) == (0, 0)
    assert enhancer.maximum(np.full(60, -2.0)) == pytest.approx((0, np.sqrt(60) * 8 / 3))
    empty = tfce.Enhancer(np.zeros((3, 3, 3), bool), permuting.enhancement())
    assert empty.maximum(np.zeros(0)) == (0, 0)
    assert empty.enhance(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    "settings",
    [{"extent_power": 0}, {"height_power": -1}, {"neighbours": 8}, {"scale": "p"}, {"height_power": float("inf")}],
)
def test_settings_without_a_meaning_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        permuting.enhancement(**settings)
