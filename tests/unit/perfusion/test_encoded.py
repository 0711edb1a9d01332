"""Time-encoded series: decoded exactly, fitted as a sequential series of the same differences, wrong orders refused."""

import coded
import head
import numpy as np
import pytest
import quantified
import solved
from kinetic_models import continuous_difference
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import encoding_check, estimation, subtraction, timing, tissue_maps, volumes
from pharmasl.space import images, transforms
from pharmasl.study import scan_acquisition

CODES = {"Hadamard 4": coded.hadamard(4), "Walsh 8": coded.walsh(8), "Paley 12": coded.paley()}
DURATIONS, DELAY = [0.9, 0.8, 0.6], 0.3
CONSTANTS = timing.Constants(False, 0.85, 1.65, 0.9)


def sorted_volumes(rows, cycles, before=("m0scan",)):
    types = [*before, *["encoded"] * (rows * cycles), "n/a"]
    return volumes.sort(types, "x", cycle=rows), types


@pytest.mark.parametrize("matrix", CODES.values(), ids=CODES)
def test_each_block_is_decoded_to_rounding(matrix):
    rows, blocks = matrix.shape
    rng = np.random.default_rng(1)
    deltam = rng.normal(5, 3, (3, blocks))
    of, types = sorted_volumes(rows, 3)
    series = np.zeros(len(types))
    for members, own in zip(of.acquired, deltam):
        series[members] = coded.volumes(matrix, own)
    repeats = subtraction.differences(of, "pairwise", [0] * len(types), "x", matrix.tolist())
    assert (repeats.weights @ series).reshape(3, blocks) == pytest.approx(deltam, abs=1e-12 * 1000)
    # The last block has the shortest delay, which is the first of the series' delays.
    assert repeats.group.tolist() == [*range(blocks)[::-1]] * 3
    assert repeats.cycle.tolist() == np.repeat([0, 1, 2], blocks).tolist()


def test_the_noise_of_a_block_is_that_of_as_many_volumes():
    matrix = coded.hadamard(8)
    of, types = sorted_volumes(8, 2)
    weights = subtraction.differences(of, "pairwise", [0] * len(types), "x", matrix.tolist()).weights
    assert (weights @ weights.T) == pytest.approx(4 / 8 * np.eye(14), abs=1e-14)


def test_a_cycle_that_lost_a_volume_is_lost_whole():
    types = ["encoded"] * 12
    of = volumes.sort(types, "x", cycle=4)
    of = volumes.Volumes(**{**of.__dict__, "lost": {5: "holds nothing"}})
    repeats = subtraction.differences(of, "pairwise", [0] * 12, "x", coded.hadamard(4).tolist())
    assert repeats.alive.tolist() == [True] * 3 + [False] * 3 + [True] * 3
    assert "volume 5 holds nothing" in repeats.lost[3]


def test_a_series_that_is_not_of_whole_cycles_is_refused():
    with pytest.raises(InputError, match="whole cycles of 4"):
        volumes.sort(["encoded"] * 6, "x", cycle=4)


def acquisition(types, matrix=None, **changes):
    """A scan's values: of a time-encoded series with a matrix, else of differences, one delay a volume."""
    delays = coded.delays(DURATIONS, DELAY)
    if matrix is None:
        own = {"post_labeling_delay": [0.0, *delays.tolist()], "labeling_duration": [0.0, *DURATIONS]}
    else:
        own = {"post_labeling_delay": delays.tolist(), "labeling_duration": DURATIONS, "encoding": matrix.tolist()}
        own["encoding_checked"] = True
    return {**quantified.ACQUISITION, "volume_types": types, **own, **changes}


def truth(points):
    """CBF and transit time: smooth, and different everywhere."""
    cbf = 60 + points @ np.array([0.2, -0.1, 0.15])
    return cbf, np.clip(1.0 + points @ np.array([0.002, 0.003, -0.002]), 0.3, 2)


def blocks(points, noise=0.0, seed=0):
    cbf, att = truth(points)
    delays = coded.delays(DURATIONS, DELAY)
    return np.stack([1000 * continuous_difference(cbf, att, d, t, 0.85, 1.65, 0.9) for d, t in zip(delays, DURATIONS)])


def scan(folder, matrix, cycles=1, noise=0.0, played=None, **changes):
    """A time-encoded scan on disk: stated as ``matrix``, played out as ``played``."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    points = transforms.points(quantified.ASL)
    cycle = coded.volumes(matrix if played is None else played, blocks(points))
    series = [1000 + 0 * points[..., 0], *(volume for _ in range(cycles) for volume in cycle)]
    series = [volume + rng.normal(0, noise, volume.shape) if noise else volume for volume in series]
    types = ["m0scan", *["encoded"] * (len(matrix) * cycles)]
    return quantified.Files(folder, acquisition=acquisition(types, matrix, **changes), volumes=series)


def test_cbf_and_att_are_those_of_a_sequential_series_of_the_same_differences(tmp_path):
    points = transforms.points(quantified.ASL)
    (tmp_path / "sequential").mkdir()
    sequential = quantified.Files(
        tmp_path / "sequential",
        acquisition=acquisition(["m0scan", *["deltam"] * 3]),
        volumes=[1000 + 0 * points[..., 0], *blocks(points)],
    )
    encoded = scan(tmp_path / "encoded", coded.hadamard(4))
    one, other = (files.quantify(fitted=True) for files in (sequential, encoded))
    for name, unit in (("cbf", 0.02), ("att", 1e-3), ("template_cbf", 0.02), ("template_att", 1e-3)):
        values = [np.nan_to_num(images.load(made[name]).data) for made in (one, other)]
        # The raw volumes are float32: a thousandth of deltaM's own size.
        assert values[1] == pytest.approx(values[0], abs=unit)
        assert (values[0] != 0).sum() > 1000
    inside = images.load(other["brain_mask"]).data > 0
    cbf, att = truth(points)
    assert images.load(other["cbf"]).data[inside] == pytest.approx(cbf[inside], abs=0.05)
    assert images.load(other["att"]).data[inside] == pytest.approx(att[inside], abs=2e-3)


def test_the_sidecar_says_how_it_was_decoded(tmp_path):
    files = scan(tmp_path / "x", coded.hadamard(4), cycles=3, noise=4)
    record = tables.read_json(files.quantify(fitted=True)["sidecar"])
    assert record["Subtraction"].startswith("time-encoded: of each block of labelling, the mean of a cycle's 4 volumes")
    assert record["TimeEncoding"]["Matrix"] == coded.hadamard(4).tolist()
    assert record["TimeEncoding"]["Order"]["State"] != encoding_check.TOO_WEAK
    assert record["Constants"]["post_labeling_delay"]["Value"] == pytest.approx([0.3, 0.9, 1.7])
    assert record["Constants"]["labeling_duration"]["Value"] == pytest.approx([0.6, 0.8, 0.9])
    assert record["NumberOfRepeats"] == 9


@pytest.mark.parametrize(
    ("wrong", "words"),
    {
        "sign": (lambda e: -e, "Label has probably the other sign"),
        "volumes reversed": (lambda e: e[::-1], "the other sign, or it is volumes in reverse order"),
        "blocks and volumes reversed": (
            lambda e: e[::-1, ::-1],
            "speaks for blocks in reverse order with label as the other number or volumes and blocks in reverse order",
        ),
        "Walsh for Hadamard": (lambda e: coded.walsh(4), "speaks for Hadamard's order in place of Walsh's"),
    }.values(),
    ids=("sign", "volumes", "both", "Walsh"),
)
def test_a_wrong_order_is_refused_with_words(tmp_path, wrong, words):
    played = coded.hadamard(4)
    files = scan(tmp_path / "x", wrong(played), cycles=3, noise=4, played=played)
    with pytest.raises(InputError, match=words):
        files.quantify(fitted=True)
    unchecked = scan(tmp_path / "y", wrong(played), cycles=3, noise=4, played=played, encoding_checked=False)
    record = tables.read_json(unchecked.quantify(fitted=True)["sidecar"])
    assert not record["TimeEncoding"]["Order"]["RefusedIfWrong"]


def test_whole_cycles_are_left_out_for_motion_within_them(tmp_path):
    matrix = coded.hadamard(4)
    files = scan(tmp_path / "x", matrix, cycles=3, noise=4)
    still = np.eye(4)
    moved = transforms.rigid_matrix((0, 0, 6), (0, 0, 0), (0, 0, 0))
    # The head lies 6 mm off in one volume of the second cycle, which counts half, and in two of the third, in step with a block.
    elsewhere = {6: moved, 10: moved, 11: moved}
    transforms.write_affines(files.path("motion", ".txt"), [elsewhere.get(k, still) for k in range(13)])
    made = files.quantify(fitted=True, outliers={"rules": ["motion"], "motion_limit": 3.5})
    rows = tables.read_table(made["repeats"])
    assert [float(row["displacement"]) for row in rows] == pytest.approx([0] * 3 + [3] * 3 + [6] * 3, abs=1e-3)
    assert [row["passed"] for row in rows] == ["true"] * 6 + ["false"] * 3


def test_what_is_wrong_with_a_block_is_wrong_with_its_cycle(tmp_path):
    files = scan(tmp_path / "x", coded.hadamard(4), cycles=8, noise=4)
    series, affine = images.load(files.path("asl"))
    series = series.copy()
    series[..., 9:11] += 60
    images.save(files.path("asl"), series, affine)
    rows = tables.read_table(files.quantify(fitted=True, outliers={"rules": ["score"]})["repeats"])
    third = [row for row in rows if int(row["control"]) == 9]
    assert {row["passed"] for row in third} == {"false"}
    assert any("of the same cycle: " in row["reason"] for row in third) or all(row["reason"] for row in third)
    assert sum(row["passed"] == "true" for row in rows) % 3 == 0


def planted(matrix, durations, delay, seed, cycles=4, noise=0.004, voxels=80, slices=8):
    """Mean curves of grey matter whose CBF and transit time vary from voxel to voxel, noise that of a voxel's volume over M0."""
    rng = np.random.default_rng(seed)
    delays, durations = coded.delays(durations, delay), np.asarray(durations, dtype=float)
    offset, signal = 0.03 * np.arange(slices), []
    for late in offset:
        cbf, att = rng.normal(50, 15, (voxels, 1)), np.clip(rng.normal(1.2, 0.3, (voxels, 1)), 0.3, 2.6)
        deltam = continuous_difference(cbf, att, delays + late, durations, 0.85, 1.65, 0.9).mean(axis=0)
        signal.append(coded.volumes(matrix, deltam, 1.0) + rng.normal(0, noise / voxels**0.5, (cycles, len(matrix))))
    return np.array(signal), offset


def of_blocks(durations, delay):
    delays = coded.delays(durations, delay)
    return timing.Timing(np.zeros(1, dtype=int), delays[::-1], np.array(durations[::-1], dtype=float), np.zeros(1))


PROTOCOLS = {
    "Hadamard 8": (coded.hadamard(8), [0.5] * 7, 0.2),
    "Walsh 8": (coded.walsh(8), [0.5] * 7, 0.2),
    "Paley 12": (coded.paley(), [0.35] * 11, 0.1),
}


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_right_orders_pass_and_wrong_ones_do_not(protocol):
    matrix, durations, delay = protocol
    wrong = {"sign": -matrix, "rows": matrix[::-1], "blocks": matrix[:, ::-1], "both": matrix[::-1, ::-1]}
    named = {"rows": "volumes in reverse order", "blocks": "blocks in reverse order"}
    own = of_blocks(durations, delay)
    longest = estimation.longest_transit(own, pulsed=False)
    for seed in range(5):
        signal, offset = planted(matrix, durations, delay, seed)
        right = encoding_check.check(signal, offset, matrix, own, CONSTANTS, longest)
        assert right.state in (encoding_check.AGREES, encoding_check.INDISTINCT)
        assert all(encoding_check.SLIP in name for name in right.alike)
        for name, other in wrong.items():
            read = encoding_check.check(signal, offset, other, own, CONSTANTS, longest)
            assert read.state == encoding_check.CONTRADICTS
            assert name not in named or named[name] in read.better


def test_a_scan_without_perfusion_tells_nothing_of_the_order():
    matrix, durations, delay = PROTOCOLS["Hadamard 8"]
    own = of_blocks(durations, delay)
    longest = estimation.longest_transit(own, pulsed=False)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        signal = 1 + rng.normal(0, 0.004, (8, 4, 8))
        read = encoding_check.check(signal, np.zeros(8), matrix, own, CONSTANTS, longest)
        assert read.state == encoding_check.TOO_WEAK
        # Every order that was tried is open, unless the user confirms the stated one.
        assert [read.open(confirmed) for confirmed in (False, True)] == [len(encoding_check.orders(matrix)) - 1, 0]


def test_nothing_to_average_is_not_judged():
    own = of_blocks([0.5] * 7, 0.2)
    read = encoding_check.check(np.empty((0, 2, 8)), np.empty(0), coded.hadamard(8), own, CONSTANTS, 2.0)
    assert read.state == encoding_check.TOO_WEAK
    assert read.open(False) > 0
    assert read.record()["Alike"] == {}


def test_an_acquisition_keeps_its_matrix_through_plain_values():
    own = scan_acquisition.build(acquisition(["m0scan", *["encoded"] * 4], coded.hadamard(4)))
    assert scan_acquisition.build(own.plain()) == own
    assert own.plain()["encoding"] == coded.hadamard(4).tolist()
    assert own.several_delays


def test_a_moving_head_is_realigned_and_registered_by_its_coded_volumes():
    grid, anatomy = (
        head.centred((32, 38, 15), (4.6, 4.6, 6.5), shift=(-2, 4, 6)),
        head.centred((52, 62, 46), (3.2,) * 3),
    )
    rng, matrix = np.random.default_rng(3), coded.hadamard(4)
    # Grey matter, white matter, fluid and scalp after two suppression pulses; of three blocks, what label takes away.
    static, deltam = np.array([230.0, 260.0, 500.0, 180.0]), np.outer([9.0, 7.0, 3.0], [1, 0.3, 0, 0])
    true = [transforms.rigid_matrix(rng.normal(0, 0.4, 3), rng.normal(0, 0.005, 3), (0, 0, 0)) for _ in range(12)]
    cycle = coded.volumes(matrix, deltam, static)
    data = np.stack([head.scan(grid, pose) @ cycle[k % 4] for k, pose in enumerate(true)], axis=3)
    data += rng.normal(0, 2, data.shape)
    of = volumes.sort(["encoded"] * 12, "x", cycle=4)
    tissues = tissue_maps.reduce(list(np.moveaxis(head.render(anatomy)[..., :3], 3, 0)), anatomy.affine)
    found = solved.solve(
        data, grid.affine, of, data[..., :0], grid.affine, tissues, correct=True, separate=False, delay=[0] * 12
    )
    first = [
        head.distance(m @ np.linalg.inv(found.motion[0]), np.linalg.inv(p) @ true[0])
        for m, p in zip(found.motion, true)
    ]
    assert max(first) < 0.2
    assert head.distance(found.to_t1w @ np.linalg.inv(found.motion[0]), true[0]) < 0.6
    assert found.registration["Accepted"]
    assert found.registration["Image"] == "mean coded volume"


SLIPS = {
    "cycles a volume late": lambda e: np.roll(e, 1, axis=0),
    "cycles a volume early": lambda e: np.roll(e, -1, axis=0),
    "Walsh for Hadamard": lambda e: coded.walsh(8),
    "the vendor's sign and order": lambda e: -coded.walsh(8),
    "the last blocks swapped": lambda e: e[:, [0, 1, 2, 3, 4, 6, 5]],
    "the first volumes swapped": lambda e: e[[1, 0, *range(2, 8)]],
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_no_mistake_passes_in_silence(slip):
    """Whatever the scan does not refuse it calls open, or it changes no more than is said of slips."""
    matrix, durations, delay = PROTOCOLS["Hadamard 8"]
    own = of_blocks(durations, delay)
    longest = estimation.longest_transit(own, pulsed=False)
    for seed in range(4):
        signal, offset = planted(matrix, durations, delay, seed)
        right, read = (
            encoding_check.check(signal, offset, one, own, CONSTANTS, longest) for one in (matrix, slip(matrix))
        )
        assert right.open(confirmed=True) == 0
        if read.state == encoding_check.CONTRADICTS:
            assert read.open(confirmed=True) > 0
        elif read.state == encoding_check.AGREES:
            assert abs(read.stated.cbf / right.stated.cbf - 1) <= encoding_check.SLIP_CBF
            assert abs(read.stated.att - right.stated.att) <= encoding_check.SLIP_ATT


def test_orders_that_the_data_cannot_tell_are_named_and_a_confirmed_one_is_not_open():
    """Three blocks so timed that another order explains them as well, by another CBF."""
    matrix, durations, delay = coded.hadamard(4), [1.4, 1.0, 0.6], 0.3
    own = of_blocks(durations, delay)
    longest = estimation.longest_transit(own, pulsed=False)
    signal, offset = planted(matrix, durations, delay, 0)
    read = encoding_check.check(signal, offset, matrix, own, CONSTANTS, longest)
    assert read.state == encoding_check.INDISTINCT
    assert [read.open(confirmed) for confirmed in (False, True)] == [len(read.alike), 0]
    record = read.record()
    assert record["State"] == "indistinct"
    assert list(record["Alike"]) == [read.words(name) for name in read.alike]
    # What is said of another order is what one finds who states it.
    name = next(name for name in read.alike if not read.readings[name].other_sign)
    other = encoding_check.check(signal, offset, encoding_check.orders(matrix)[name], own, CONSTANTS, longest)
    assert other.stated.cbf / read.stated.cbf == pytest.approx(record["Alike"][name]["CBF"], abs=1e-3)
    assert abs(other.stated.cbf / read.stated.cbf - 1) > encoding_check.SAME_CBF


def test_each_order_is_tried_once_whatever_its_sign():
    tried = encoding_check.orders(coded.hadamard(8))
    keys = {(matrix * matrix[0, 0]).tobytes() for matrix in tried.values()}
    assert len(keys) == len(tried)
    # Reversed blocks, volumes and both, two other orders, seven shifts, and all pairs of seven blocks and of eight volumes.
    assert len(tried) <= 1 + 3 + 2 + 7 + 21 + 28
    assert {"Walsh's order in place of Hadamard's", "blocks 1 and 2 in each other's place"} < set(tried)
    assert "Hadamard's order in place of Walsh's" in encoding_check.orders(-coded.walsh(8))
