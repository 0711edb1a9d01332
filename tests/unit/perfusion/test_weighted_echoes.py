"""Sums of echoes against what must come out: the CBF of one echo without noise, and the closed form of what is gained with it."""

import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import series, signal, weighted_echoes
from pharmasl.space import images
from pharmasl.study import echo_sum, scan_acquisition
from quantified import ASL, Files

TIMES = (0.012, 0.028, 0.044)
ASSUMED = 0.0473
WEIGHTS = echo_sum.weights(TIMES, ASSUMED)
SUM = {"times": list(TIMES), "weights": list(WEIGHTS), "volumes": None}


def t2_star():
    """T2* of the head, seconds: from 20 to 70 ms, and nowhere what is assumed but by chance."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in ASL.shape), indexing="ij")
    return (0.045 + 0.015 * x - 0.01 * z + 0.0 * y)[..., None]


def echoes(files, name="asl", own=None):
    """Later echoes of an image on disk, of a signal that decays by T2*, and their paths."""
    data, affine = images.load(files.path(name))
    data = data.reshape((*data.shape[:3], -1))
    own = t2_star() if own is None else own
    later = []
    for number, time in enumerate(TIMES[1:], start=2):
        later.append(files.path(f"{name}_echo{number}"))
        images.save(later[-1], data * np.exp(-(time - TIMES[0]) / own), affine)
    return later


def cbf(made, name="cbf"):
    return images.load(made[name]).data


def test_weights_are_in_proportion_to_the_signals():
    assert sum(WEIGHTS) == pytest.approx(1, abs=1e-15)
    assert [weight / WEIGHTS[0] for weight in WEIGHTS] == pytest.approx([1, np.exp(-16 / 47.3), np.exp(-32 / 47.3)])
    assert echo_sum.decay(TIMES, ASSUMED) == pytest.approx([1, 0.713005, 0.508377], abs=1e-6)


@pytest.mark.parametrize(
    ("times", "own", "expected"),
    [
        # sqrt(sum of exp(-2 (TE - TE1) / T2*)); of a T2* without end, the square root of the number of echoes.
        ((0.011, 0.031, 0.051), 0.05, np.sqrt(1 + np.exp(-0.8) + np.exp(-1.6))),
        ((0.014, 0.028, 0.042), 0.05, np.sqrt(1 + np.exp(-0.56) + np.exp(-1.12))),
        ((0.01, 0.02, 0.03), 1e9, np.sqrt(3)),
        ((0.01, 0.02, 0.03), 0.01, np.sqrt(1 + np.exp(-2) + np.exp(-4))),
    ],
)
def test_gain_is_the_closed_form_and_no_other_weights_give_more(times, own, expected):
    signals = echo_sum.decay(times, own)
    best = echo_sum.weights(times, own)
    assert echo_sum.gain(best, signals) == pytest.approx(expected, rel=1e-7)
    rng = np.random.default_rng(3)
    for _ in range(50):
        assert echo_sum.gain(np.abs(best + 0.1 * rng.normal(size=3)), signals) <= expected * (1 + 1e-12)
    # Those by which BOLD is weighted.
    bold = [time * signal for time, signal in zip(times, signals)]
    assert echo_sum.gain(bold, signals) < expected


def test_cbf_of_the_sum_is_that_of_the_first_echo_whatever_t2_star_is(tmp_path):
    files = Files(tmp_path)
    expected = cbf(files.quantify())
    later = echoes(files)
    files.acquisition |= {"echoes": SUM, "t2_star": ASSUMED}
    made = files.quantify(known={"later_echoes": later})
    assert expected.max() > 50
    # Eight roundings of 2**-24 of the signal in each of two volumes, which differ by a 170th of it at least.
    assert cbf(made) == pytest.approx(expected, rel=2 * 8 * 2**-24 * 170, abs=1e-4)
    record = tables.read_json(made["sidecar"])["SummedEchoes"]
    assert record["EchoTimes"]["Value"] == list(TIMES)
    assert record["Weights"] == pytest.approx(WEIGHTS)
    assert record["ExpectedGain"] == pytest.approx(np.sqrt(1 + np.exp(-32 / 47.3) + np.exp(-64 / 47.3)))


def test_on_the_template_too_and_with_a_separate_m0(tmp_path):
    files = Files(tmp_path, acquisition={"volume_types": ["control", "label"] * 2, "m0_type": "Separate"})
    images.save(files.path("m0scan"), np.full(ASL.shape, 800.0) + np.arange(ASL.shape[0])[:, None, None], ASL.affine)
    files.m0 = [files.path("m0scan")]
    expected = {name: cbf(files.quantify(), name) for name in ("cbf", "template_cbf", "smooth")}
    later = echoes(files, own=0.03)
    files.m0 += echoes(files, "m0scan", own=0.03)
    files.acquisition |= {"echoes": SUM, "t2_star": ASSUMED}
    made = files.quantify(known={"later_echoes": later})
    for name, first in expected.items():
        assert cbf(made, name) == pytest.approx(first, rel=2 * 8 * 2**-24 * 170, abs=1e-4)
    assert "summed as those of the series" in tables.read_json(made["sidecar"])["M0"]["EchoTime"]
    # An M0 of the first echo alone would be in proportion to another signal.
    files.m0 = files.m0[:1]
    with pytest.raises(InputError, match="3 M0 images, one for each echo"):
        files.quantify(known={"later_echoes": later})


def test_what_is_gained_over_noise(tmp_path):
    shape, pairs, deviation = (24, 24, 16), 20, 5.0
    types = ["control", "label"] * pairs
    rng = np.random.default_rng(7)
    signals = echo_sum.decay(TIMES, ASSUMED)
    for number, own in enumerate(signals, start=1):
        volume = own * (1000.0 - 10.0 * (np.arange(len(types)) % 2))
        images.save(tmp_path / f"{number}.nii.gz", volume + rng.normal(0, deviation, (*shape, len(types))), np.eye(4))
    acquired = scan_acquisition.build({"volume_types": types, "echoes": SUM})
    paths = [tmp_path / f"{number}.nii.gz" for number in (1, 2, 3)]
    loaded = series.load_acquired(paths[0], acquired, paths[1:])
    ratio = []
    for data in (images.load(paths[0]).data, loaded.data):
        difference = (data[..., 0::2] - data[..., 1::2]).reshape(-1, pairs)
        ratio.append(difference.mean() / difference.std(axis=1, ddof=1).mean())
    # The standard errors of both are below half a percent: 9,216 voxels, each with 20 differences.
    assert ratio[1] / ratio[0] == pytest.approx(np.sqrt(np.sum(np.square(signals))), rel=0.015)
    assert loaded.echo_levels == pytest.approx(signals, rel=1e-3)


def test_echoes_as_volumes_of_one_file_are_summed_as_files_are(tmp_path):
    files = Files(tmp_path)
    later, types = echoes(files), files.acquisition["volume_types"]
    all_of_them = [images.load(path) for path in (files.path("asl"), *later)]
    by_files = scan_acquisition.build({**files.acquisition, "echoes": SUM})
    expected = series.load_acquired(files.path("asl"), by_files, later)
    # The echoes of each excitation beside one another.
    data = np.stack([own.data for own in all_of_them], axis=4).reshape((*ASL.shape, -1))
    images.save(tmp_path / "one.nii.gz", data, ASL.affine)
    places = [[len(TIMES) * volume + echo for volume in range(len(types))] for echo in range(len(TIMES))]
    acquired = {**files.acquisition, "echoes": {**SUM, "volumes": places}}
    acquired["volume_types"] = [kind if not echo else "n/a" for kind in types for echo in range(len(TIMES))]
    loaded = series.load_acquired(tmp_path / "one.nii.gz", scan_acquisition.build(acquired))
    assert np.array_equal(loaded.data[..., places[0]], expected.data)
    assert list(loaded.volumes.control) == [3 * number for number in expected.volumes.control]
    assert loaded.echo_levels == expected.echo_levels


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_slice_that_one_echo_lacks_takes_the_volume_out(tmp_path, value):
    files = Files(tmp_path)
    later = echoes(files)
    data, affine = images.load(later[0])
    data[:, :, 11, 3] = value
    images.save(later[0], data, affine)
    acquired = scan_acquisition.build({**files.acquisition, "echoes": SUM})
    loaded = series.load_acquired(files.path("asl"), acquired, later)
    assert list(loaded.volumes.lost) == [3]
    assert "(echo 2)" in loaded.volumes.lost[3]
    assert not loaded.data[..., 3].any()


def test_echoes_that_do_not_decay_are_refused(tmp_path):
    files = Files(tmp_path)
    later = echoes(files)
    acquired = scan_acquisition.build({**files.acquisition, "echoes": SUM})
    with pytest.raises(
        InputError, match=r"echo2\.nii\.gz: EchoTime: found 'echo 2 is 1\.\d+ times as bright as echo 1'"
    ):
        series.load_acquired(later[1], acquired, [later[0], files.path("asl")])
    with pytest.raises(InputError, match=r"echo 3 is 1\.\d+ times as bright as echo 2"):
        series.load_acquired(files.path("asl"), acquired, later[::-1])


def test_differences_alone_tell_nothing_of_the_decay(tmp_path):
    types = ["deltam"] * 3
    rng = np.random.default_rng(2)
    data = rng.normal(10, 5, (6, 6, 6, 3)).astype(np.float32)
    paths = [tmp_path / f"{number}.nii.gz" for number in (1, 2)]
    for path, factor in zip(paths, (1, 0.7)):
        images.save(path, factor * data, np.eye(4))
    made = weighted_echoes.of_files(paths, (0.6, 0.4), types, None)
    assert made.levels == ()
    assert made.data == pytest.approx(0.88 * data, rel=1e-6)
    assert made.lost == signal.examine(data, types).lost
