"""Field maps as manufacturers store them, brought to Hz."""

import head
import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.perfusion import field_map, unwrap
from pharmasl.space import images, transforms

GRID = head.centred((44, 52, 36), (4.0, 4.0, 4.0))
POINTS = transforms.points(GRID)
SHARES = head.render(GRID)
MAGNITUDE = (SHARES @ np.array([900.0, 800, 700, 600])).astype(np.float32)
BRAIN = SHARES[..., :3].sum(axis=-1) > 0.9
# Smooth, with a steep part, about the scanner's frequency.
TRUE = 25 * POINTS[..., 1] / 80 + 240 * np.exp(-((POINTS - [0, 60, -20]) ** 2).sum(-1) / (2 * 20.0**2)) - 12
DIFFERENCE = 0.00246


def wrapped(hertz=TRUE, difference=DIFFERENCE, seed=0, noise=0.02):
    """The phase in radians: true in the head, chance outside."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * hertz * difference + rng.normal(0, noise, GRID.shape)
    air = MAGNITUDE < 20
    phase[air] = rng.uniform(-np.pi, np.pi, air.sum())
    return np.angle(np.exp(1j * phase))


def files(folder, *stored, magnitude=MAGNITUDE):
    paths = [folder / f"{number}.nii.gz" for number in range(len(stored) + (magnitude is not None))]
    for path, data in zip(paths, [*stored, *([magnitude] if magnitude is not None else [])]):
        images.save(path, np.asarray(data, dtype=np.float32), GRID.affine)
    return paths


SCALES = {
    "radians": lambda phase: phase,
    "Siemens, two-sided": lambda phase: np.round(phase / np.pi * 2048) * 2,
    "Siemens, one-sided": lambda phase: np.clip(np.round((phase / np.pi + 1) * 2048), 0, 4095),
    "milliradians (GE, Philips)": lambda phase: np.round(phase * 1000),
    "0 to 2 pi": lambda phase: phase % (2 * np.pi),
}


@pytest.mark.parametrize("scale", SCALES)
def test_each_manufacturers_phase_is_the_true_field(scale, tmp_path):
    field = field_map.read(files(tmp_path, SCALES[scale](wrapped())), "phasediff", DIFFERENCE, None, 3.0)
    error = (field.hertz - TRUE)[BRAIN]
    assert np.sqrt((error**2).mean()) < 1.5
    assert abs(np.median(error)) < 0.3


def test_two_phases_are_subtracted_as_complex_numbers(tmp_path):
    first, second = (wrapped(TRUE, time, seed) for seed, time in enumerate((0.004, 0.004 + DIFFERENCE)))
    field = field_map.read(files(tmp_path, first, second), "phases", DIFFERENCE, "rad", 3.0)
    assert np.sqrt(((field.hertz - TRUE)[BRAIN] ** 2).mean()) < 1.5


@pytest.mark.parametrize(("units", "factor"), [("Hz", 1), ("rad/s", 2 * np.pi), ("T", 1 / 42.57638507e6)])
@pytest.mark.parametrize("with_magnitude", [True, False])
def test_a_direct_map_in_each_unit(units, factor, with_magnitude, tmp_path):
    stored = np.where(MAGNITUDE > 20, TRUE, 0) * factor
    paths = files(tmp_path, stored, magnitude=MAGNITUDE if with_magnitude else None)
    field = field_map.read(paths, "fieldmap", None, units, 3.0)
    assert np.sqrt(((field.hertz - TRUE)[BRAIN] ** 2).mean()) < 1.5


@pytest.mark.parametrize(
    ("stored", "units"),
    [
        (wrapped() * 250, None),
        (SCALES["Siemens, two-sided"](wrapped()), "rad"),
        (np.where(BRAIN, SCALES["Siemens, two-sided"](wrapped()) / 2.7, 0), None),
        (wrapped() / np.pi, None),
        ((wrapped() / np.pi + 1) / 2, None),
        (wrapped() * 180 / np.pi, None),
    ],
)
def test_phases_in_no_known_scale_are_refused(stored, units, tmp_path):
    with pytest.raises(InputError, match="Units rad into its sidecar"):
        field_map.read(files(tmp_path, stored), "phasediff", DIFFERENCE, units, 3.0)


def test_a_field_that_no_head_has_is_refused(tmp_path):
    with pytest.raises(InputError, match="middle half spans"):
        field_map.read(files(tmp_path, np.where(MAGNITUDE > 20, 100 * TRUE, 0)), "fieldmap", None, "Hz", 3.0)


@pytest.mark.parametrize("value", [0, 2, 4095])
def test_a_phase_of_one_value_is_refused(value, tmp_path):
    with pytest.raises(InputError, match="voxels: found 'a field that spans 0 Hz over the head'"):
        field_map.read(files(tmp_path, np.full(GRID.shape, value)), "phasediff", DIFFERENCE, None, 3.0)


def test_a_field_in_parts_per_million_is_refused(tmp_path):
    stored = np.where(MAGNITUDE > 20, TRUE, 0) / 127.7
    with pytest.raises(
        InputError, match=r"Units: found 'a field that spans .* Hz over the head', expected at least 6 Hz"
    ):
        field_map.read(files(tmp_path, stored), "fieldmap", None, "Hz", 3.0)


def test_infinite_voxels_are_none_of_the_scale(tmp_path):
    stored = wrapped()
    stored[0, 0, :2] = np.inf, np.nan
    field = field_map.read(files(tmp_path, stored), "phasediff", DIFFERENCE, None, 3.0)
    assert np.sqrt(((field.hertz - TRUE)[BRAIN] ** 2).mean()) < 1.5


@pytest.mark.parametrize("magnitude", [-MAGNITUDE, np.full(GRID.shape, np.nan)])
def test_a_magnitude_without_signal_is_refused(magnitude, tmp_path):
    with pytest.raises(InputError, match="a head"):
        field_map.read(files(tmp_path, wrapped(), magnitude=magnitude), "phasediff", DIFFERENCE, None, 3.0)


def test_the_field_is_known_everywhere_and_smoothly(tmp_path):
    field = field_map.read(files(tmp_path, wrapped()), "phasediff", DIFFERENCE, None, 3.0)
    assert np.isfinite(field.hertz).all()
    far = field.at(np.array([[0.0, 500, 0]]))
    assert far[0] == pytest.approx(field.hertz[21:23, -1, 17:19].mean(), abs=15)


@pytest.mark.parametrize("turns", [0.5, 2, 4])
def test_steep_phases_are_unwrapped_without_a_jump(turns):
    rng = np.random.default_rng(1)
    bump = np.exp(-((POINTS - [5, 20, -5]) ** 2).sum(-1) / (2 * 30.0**2))
    true = turns * 2 * np.pi * bump + rng.normal(0, 0.15, GRID.shape)
    found = unwrap.unwrapped(np.angle(np.exp(1j * true)), BRAIN)
    # All but a common number of turns.
    off = np.round((found - true)[BRAIN] / (2 * np.pi))
    assert np.ptp(off) == 0
    assert np.isnan(found[~BRAIN]).all()


def test_a_phase_without_jumps_stays_as_it_is():
    true = np.clip(TRUE / 100, -1, 1)
    assert np.array_equal(unwrap.unwrapped(true, BRAIN)[BRAIN], true[BRAIN])


def test_an_image_without_a_head_is_refused(tmp_path):
    with pytest.raises(InputError, match="a head"):
        field_map.read(files(tmp_path, wrapped(), magnitude=0 * MAGNITUDE), "phasediff", DIFFERENCE, None, 3.0)
