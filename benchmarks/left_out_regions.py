"""What it costs to read a region without each participant, beside the plain way.

    python benchmarks/left_out_regions.py [permutations]

43 participants, 235,000 voxels, a cluster planted in one arm. Of each permuted map the region is chosen in all participants and
again without each of them. The plain way computes all 44 maps of t at every voxel, by the same updates of one fit;
the product's way fits the voxels alone that could exceed the threshold in one of the 44. Both give the same correlations, which is
checked. Printed are CPU seconds a permutation, and what 999 take.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import stdtrit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import clusters
from pharmasl.regions import leave_one_out

N, SHAPE, PLAIN = 43, (72, 87, 72), 5


class Everywhere(leave_one_out.Cluster):
    """The same choice from maps of every voxel."""

    def __init__(self, *args):
        super().__init__(*args)
        self.least = 0.0


def main(permutations):
    """Print one line a model."""
    rng = np.random.default_rng(0)
    axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in SHAPE], indexing="ij"))
    mask = (axes**2).sum(axis=0) < 1.16
    maps = np.stack([gaussian_filter(rng.standard_normal(SHAPE), 2)[mask] for _ in range(N)]).astype(np.float32)
    maps /= maps.std()
    arm = (np.arange(N) < 21).astype(float)
    near = ((np.argwhere(mask) - np.array(SHAPE) // 3) ** 2).sum(axis=1) < 36
    maps[np.ix_(arm == 1, near)] += 1.2
    lattice = clusters.Lattice(mask, 18)
    print(f"{N} participants, {mask.sum()} voxels")
    for name, nuisance in (
        ("arm", np.ones((N, 1))),
        ("arm, given age", np.column_stack([np.ones(N), rng.normal(size=N)])),
    ):
        thresholds = [float(stdtrit(N - 1 - nuisance.shape[1] - out, 0.999)) for out in (0, 1)]
        cost, nulls = {}, {}
        for kind, count in ((leave_one_out.Cluster, permutations), (Everywhere, PLAIN)):
            chooser = kind(lattice, *thresholds)
            leave_one_out.permutation_test(maps, arm, nuisance, chooser, 1, 0)
            start = time.process_time()
            nulls[kind] = leave_one_out.permutation_test(maps, arm, nuisance, chooser, count, 0).null
            cost[kind] = (time.process_time() - start) / (count + 1)
        apart = np.abs(nulls[Everywhere] - nulls[leave_one_out.Cluster][:PLAIN]).max()
        product, plain = cost.values()
        print(
            f"{name}: {1e3 * product:.1f} ms a permutation, plain {1e3 * plain:.0f} ms, {plain / product:.0f} times; "
            f"999 permutations {999 * product:.1f} s; largest difference of a correlation {apart:.0e}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("permutations", type=int, nargs="?", default=99)
    main(**vars(parser.parse_args()))
