"""How often noise passes for a finding when a region is chosen by the data it is tested on.

    python benchmarks/double_dipping.py [trials] [permutations]

43 participants, maps of pure noise, a score that has nothing to do with them. The region is chosen by the map's relation
with the score: the 50 strongest of 2,000 independent voxels, or the largest cluster of smooth maps. Printed are the mean
and spread of the correlation of region and score, and the share of trials with p <= 0.05: with one region for all
(double dipping), with each participant's value from the region found without them and the textbook's p, and with the
p that permutes the choice of the region too.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import stdtr, stdtrit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import clusters
from pharmasl.regions import leave_one_out

N = 43
SHAPE, FORMING_P, SMOOTHING = (16, 16, 12), 0.005, 1.0


class Strongest:
    """Chooses the ``number`` voxels of largest t in the direction of the map's strongest one, wherever they lie."""

    least = 0.0

    def __init__(self, number):
        self.number = number

    def full(self, t, voxels):
        """Voxels of the region in all participants."""
        sign = np.sign(t[np.abs(t).argmax()]) or 1.0
        return np.argpartition(-sign * t, self.number)[: self.number]

    def again(self, t, voxels, first, sign):
        """Voxels of the region in a map without one participant."""
        return np.argpartition(-sign * t, self.number)[: self.number]


def textbook(r):
    """Two-sided p of a correlation."""
    return 2 * stdtr(N - 2, -abs(r) * np.sqrt((N - 2) / (1 - r * r)))


def strongest():
    """Independent voxels, and the choice of the 50 strongest."""
    return lambda rng: rng.normal(size=(N, 2000)), Strongest(50)


def cluster():
    """Smooth maps, and the choice of their largest cluster."""
    lattice = clusters.Lattice(np.ones(SHAPE, dtype=bool), 18)
    thresholds = (float(stdtrit(df, 1 - FORMING_P)) for df in (N - 2, N - 3))

    def draw(rng):
        return np.stack([gaussian_filter(rng.normal(size=SHAPE), SMOOTHING).ravel() for _ in range(N)])

    return draw, leave_one_out.Cluster(lattice, *thresholds)


def main(trials, permutations):
    """Print one line a choice."""
    one = np.ones((N, 1))
    for name, (draw, chooser) in (("50 strongest voxels", strongest()), ("largest cluster", cluster())):
        start, rows = time.process_time(), []
        for trial in range(trials):
            rng = np.random.default_rng(trial)
            maps, score = draw(rng), rng.normal(size=N)
            t = leave_one_out.Updates(score, one).fit(maps)
            region = chooser.full(t, np.arange(len(t)))
            dipped = np.corrcoef(maps[:, region].mean(axis=1), score)[0, 1] if len(region) else 0.0
            result = leave_one_out.permutation_test(maps, score, one, chooser, permutations, trial)
            rows.append([dipped, textbook(dipped), result.r, result.p_naive, result.p])
        dipped, p_dipped, r, p_naive, p = np.array(rows).T
        error = np.sqrt(0.05 * 0.95 / trials)
        print(
            f"{name}: one region for all, mean |r| {np.abs(dipped).mean():.2f}, p <= .05 in {100 * np.mean(p_dipped <= 0.05):.0f} %; "
            f"left out, mean r {np.nanmean(r):.3f}, sd {np.nanstd(r):.3f}, textbook p {100 * np.mean(p_naive <= 0.05):.1f} %, "
            f"whole procedure permuted {100 * np.mean(p <= 0.05):.1f} % (nominal 5, Monte Carlo standard error {100 * error:.1f}); "
            f"{time.process_time() - start:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=300)
    parser.add_argument("permutations", type=int, nargs="?", default=39)
    main(**vars(parser.parse_args()))
