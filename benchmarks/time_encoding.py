"""What time-encoded scans say of the order and the sign of their matrix: of the right ones, and of wrong ones.

    python benchmarks/time_encoding.py [--seeds 200] [--markdown docs/perfusion.md]

Mean grey-matter curves of simulated scans: CBF 55 (15) mL/100 g/min times a share of grey matter of 0.5 to 1, transit times 1.1 or
1.5 (0.3) s that drift from slice to slice, label in arteries in three voxels of ten, slices 30 ms apart, noise of each voxel's
volume 0.4 % of M0, and noise that the whole brain shares of 0.03 %. The matrix is read as it is, and in other orders. Scans are
refused, or pass and are called open (indistinct, or with too little signal); the others pass in silence, of which those are counted
whose mean CBF or transit time is not that of the right order (by 5 % or 0.1 s).
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import coded
from kinetic_models import continuous_difference
from pharmasl.perfusion import encoding_check, estimation, timing

CONSTANTS = timing.Constants(False, 0.85, 1.65, 0.9)
PROTOCOLS = {
    "Hadamard 4, blocks of 1.4, 1.0, 0.6 s": (coded.hadamard(4), [1.4, 1.0, 0.6], 0.3),
    "Hadamard 4, equal blocks of 0.9 s": (coded.hadamard(4), [0.9] * 3, 0.4),
    "Hadamard 8, equal blocks of 0.5 s": (coded.hadamard(8), [0.5] * 7, 0.2),
    "Walsh 8, equal blocks of 0.5 s": (coded.walsh(8), [0.5] * 7, 0.2),
    "Hadamard 8, blocks of 1.5 to 0.3 s": (coded.hadamard(8), [1.5, 0.8, 0.6, 0.5, 0.4, 0.35, 0.3], 0.1),
    "12 volumes, equal blocks of 0.35 s": (coded.paley(), [0.35] * 11, 0.1),
}
ORDERS = {
    "right": lambda matrix: matrix,
    "sign": lambda matrix: -matrix,
    "volumes reversed": lambda matrix: matrix[::-1],
    "blocks reversed": lambda matrix: matrix[:, ::-1],
    "Walsh for Hadamard": lambda matrix: _other(matrix),
    "that and the sign": lambda matrix: None if _other(matrix) is None else -_other(matrix),
    "a volume late": lambda matrix: np.roll(matrix, 1, axis=0),
    "last blocks swapped": lambda matrix: _swapped(matrix, -2, -1),
    "first and last block swapped": lambda matrix: _swapped(matrix, 0, -1),
}
SCANS = {"6 cycles": 6, "2 cycles": 2, "1 cycle": 1}


def _other(matrix):
    """The matrix in the other family's order; None where there is none."""
    size = len(matrix)
    if size & (size - 1):
        return None
    families = coded.hadamard(size), coded.walsh(size)
    return families[1] if np.array_equal(matrix, families[0]) else families[0]


def _swapped(matrix, one, other):
    """The matrix with two columns in each other's place."""
    matrix = matrix.copy()
    matrix[:, [one, other]] = matrix[:, [other, one]]
    return matrix


def of_blocks(durations, delay):
    """The timing of a protocol."""
    delays, durations = coded.delays(durations, delay), np.asarray(durations, dtype=float)
    return timing.Timing(np.zeros(1, dtype=int), delays[::-1], durations[::-1], np.zeros(1))


def scan(rng, matrix, durations, delay, cycles, transit, slices=12, voxels=150):
    """Mean curves (slices, cycles, volumes), and the readout of each slice."""
    delays, durations = coded.delays(durations, delay), np.asarray(durations, dtype=float)
    offset, signal = 0.03 * np.arange(slices), []
    shared = rng.normal(0, 0.0003, (cycles, len(matrix)))
    for number, late in enumerate(offset):
        att = np.clip(rng.normal(transit + 0.3 * (number / slices - 0.5), 0.3, (voxels, 1)), 0.3, 2.6)
        cbf = np.clip(rng.normal(55, 15, (voxels, 1)), 5, None) * rng.uniform(0.5, 1, (voxels, 1))
        deltam = continuous_difference(cbf, att, delays + late, durations, 0.85, 1.65, 0.9)
        # Label that has come into arteries 0.4 s before the tissue, and leaves them 0.15 s later.
        volume = np.where(rng.uniform(size=(voxels, 1)) < 0.3, rng.uniform(0, 0.012, (voxels, 1)), 0)
        arrival = att - 0.4
        there = (delays + late <= arrival + 0.15) & (delays + late + durations >= arrival)
        deltam = deltam + 2 * 0.85 * volume * np.exp(-arrival / 1.65) * there
        noise = rng.normal(0, 0.004 / voxels**0.5, (cycles, len(matrix)))
        signal.append(coded.volumes(matrix, deltam.mean(axis=0), 0.3) + noise + shared)
    return np.array(signal), offset


def rates(protocol, cycles, seeds):
    """Of each order, how many scans are refused, called open, silent with other values, and how many there are."""
    matrix, durations, delay = protocol
    own = of_blocks(durations, delay)
    longest = estimation.longest_transit(own, pulsed=False)
    counts = {name: [0, 0, 0, 0] for name in ORDERS}
    left = []
    for transit in (1.1, 1.5):
        for seed in range(seeds):
            signal, offset = scan(np.random.default_rng(seed), matrix, durations, delay, cycles, transit)
            for name, order in ORDERS.items():
                stated = order(matrix)
                if stated is None:
                    continue
                found = encoding_check.check(signal, offset, stated, own, CONSTANTS, longest)
                if name == "right":
                    true = found.stated
                    left.append(true.unexplained)
                refused = found.state == encoding_check.CONTRADICTS
                silent = found.state == encoding_check.AGREES
                other = (
                    abs(found.stated.cbf / true.cbf - 1) > encoding_check.SAME_CBF
                    or abs(found.stated.att - true.att) > encoding_check.SAME_ATT
                )
                counts[name][0] += refused
                counts[name][1] += not refused and not silent
                counts[name][2] += silent and other
                counts[name][3] += 1
    return counts, max(left)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="scans of each protocol and transit time")
    parser.add_argument("--markdown", type=Path, help="page whose table between the marker lines is replaced")
    options = parser.parse_args()
    lines = [
        f"**Of {2 * options.seeds} simulated scans, by the order in which the matrix is read: refused / passed and flagged as open / passed in "
        "silence with other values**",
        "",
        f"| protocol | cycles | left unexplained, at most | {' | '.join(ORDERS)} |",
        f"|---|---|---|{'---|' * len(ORDERS)}",
    ]
    for name, protocol in PROTOCOLS.items():
        for words, cycles in SCANS.items():
            counts, left = rates(protocol, cycles, options.seeds)
            cells = [
                f"{refused} / {unclear} / {silent}" if number else "-"
                for refused, unclear, silent, number in counts.values()
            ]
            lines.append(f"| {name} | {words.split()[0]} | {left:.3f} | {' | '.join(cells)} |")
    if options.markdown:
        before, mark, rest = options.markdown.read_text().partition("<!-- figures: encodings -->\n")
        if not mark:
            parser.error(f"{options.markdown} has no <!-- figures: encodings -->")
        options.markdown.write_text(
            before + mark + "\n".join(lines) + "\n\n<!-- end -->" + rest.partition("<!-- end -->")[2]
        )
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
