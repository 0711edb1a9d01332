"""What a displacement costs a pair's CBF after realignment: whole pairs that moved, and labels against their controls.

    python benchmarks/displacement.py [--pairs 12] [--seeds 3]

Heads are rendered in known poses in a static receive field of +-30 %, grey 60 and white 20 mL/100 g/min, with noise of
0.4 % of M0. Half of the pairs are displaced, every other one, so that every pair lies elsewhere than the one before: in
turn by a shift of so many mm along a random direction, and by a turn of so many degrees about a random axis, through the
middle of the head. Either the whole pair moves, or the label alone. Volumes are realigned as the workflow does it; the
poses that it finds are then put to the same volumes without noise, so that what is off is motion's doing alone: of the
displaced pairs, the mean over grey matter of CBF (root mean square over pairs) and single voxels of the brain (root mean
square). The displacement is that which the workflow measures, Power's over 50 mm. Volumes are still while they are
acquired: what motion within a volume does is not in these figures.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests"))

import head
from pharmasl.perfusion import kinetics, motion
from pharmasl.space import spline, transforms

GRID = head.centred((32, 38, 20), (5.0, 5.0, 6.0), shift=(1, -3, 2))
# Grey matter, white matter, fluid, scalp; M0's of the plain series.
SIGNALS = {"plain": np.array([900.0, 720, 1250, 450]), "suppressed": np.array([170.0, 60, 400, 120])}
CBF = np.array([60.0, 20, 0, 0])
FACTOR = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9)
NOISE = 4.0
KINDS = ("pair", "label")
SIZES = (0, 1, 2, 5, 10)


def receive_field():
    x, y, z = np.moveaxis(transforms.points(GRID), -1, 0) / 80
    return 1 + 0.3 * (0.5 * x - 0.6 * y + 0.4 * z + 0.5 * (x * x + y * y) - 0.4 * x * z)


def poses(rng, pairs, kind, size):
    """Poses of the volumes, controls and labels in turn, ndarray of shape (2 * pairs, 4, 4), and the displaced pairs."""
    found, displaced = np.tile(np.eye(4), (2 * pairs, 1, 1)), np.arange(1, pairs, 2)
    for number, pair in enumerate(displaced):
        direction = rng.normal(0, 1, 3)
        direction *= size / np.linalg.norm(direction)
        shift, turn = (direction, np.zeros(3)) if number % 2 else (np.zeros(3), np.radians(direction))
        moved = [2 * pair, 2 * pair + 1] if kind == "pair" else [2 * pair + 1]
        found[moved] = transforms.rigid_matrix(shift, turn, (0, 0, 0))
    return found, displaced


def realigned(volumes, brain, maps):
    """Matrices of the volumes, by the workflow's two passes."""
    affine = GRID.affine
    found = motion.realign(volumes, affine, volumes[0], affine, motion.head(volumes[0]))
    mean = motion.mean(volumes[::2], affine, found[::2], GRID)
    return motion.realign(volumes, affine, mean, affine, np.clip(brain, 0, 1), maps=maps, starts=found)


def measure(rng, pairs, kind, size):
    """For every signal: displacement measured (mm), error of grey matter's mean, and of voxels, mL/100 g/min."""
    wanted, displaced = poses(rng, pairs, kind, size)
    still = head.scan(GRID)
    shares = [still if np.array_equal(pose, np.eye(4)) else head.scan(GRID, pose) for pose in wanted]
    field, plain = receive_field(), SIGNALS["plain"]
    brain = still[..., :3].sum(axis=3)
    inside = brain > 0.9
    points, grey = transforms.points(GRID)[inside], still[inside][:, 0] > 0.75
    truth, m0 = ((still @ (CBF * plain)) / (still @ plain))[inside], (still @ plain * field)[inside]
    for name, signal in SIGNALS.items():
        clean = [
            (share @ (signal - (CBF / FACTOR * plain if t % 2 else 0)) * field).astype(np.float32)
            for t, share in enumerate(shares)
        ]
        noisy = [(volume + rng.normal(0, NOISE, GRID.shape)).astype(np.float32) for volume in clean]
        matrices = realigned(noisy, brain, [still[..., 0], still[..., 1]])
        position = motion.parameters(matrices, points.mean(axis=0))
        sampled = np.array(
            [
                spline.sample(spline.coefficients(volume), GRID.affine, points, matrix)
                for volume, matrix in zip(clean, matrices)
            ],
            dtype=float,
        )
        error = FACTOR * (sampled[::2] - sampled[1::2])[displaced] / m0 - truth
        pair = np.stack([2 * displaced - 1, 2 * displaced, 2 * displaced + 1], axis=1)
        moved = [np.nanmax(motion.framewise_displacement(position[three])) for three in pair]
        yield name, np.mean(moved), np.nanmean(error[:, grey], axis=1), np.nanmean(error**2, axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print(
        "| displaced | by, mm or degrees | series | displacement measured, mm | grey matter off by | in percent | voxels off by |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        for size in SIZES:
            rows = [
                row
                for seed in range(arguments.seeds)
                for row in measure(np.random.default_rng(seed), arguments.pairs, kind, size)
            ]
            for name in SIGNALS:
                moved, level, voxels = (np.array([row[k] for row in rows if row[0] == name]) for k in (1, 2, 3))
                off = np.sqrt(np.mean(level**2))
                print(
                    f"| {'whole pair' if kind == 'pair' else 'label alone'} | {size} | {name} | {moved.mean():.2f} | "
                    f"{off:.2f} | {100 * off / CBF[0]:.1f} | {np.sqrt(voxels.mean()):.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
