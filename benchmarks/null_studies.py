"""How often an analysis is called significant where there is nothing: each choice of the statistic that decides.

    python benchmarks/null_studies.py [studies]

Smooth noise in a ball of about 2,900 voxels. Every relabelling of a study is taken once for the observed one, so that an
error is counted, not sampled, wherever all relabellings are few (6 v 6, 9 v 6); of 21 v 22 and 10 v 30, 5,000 are drawn.
The last column is the rule that counts a cluster as significant if any of the four p is at most .05.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage, special

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group import combination, verdict
from pharmasl.group.engine import clusters, glm, permutation, relabelling, tfce
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings

SHAPE, RADIUS, SMOOTH, SEED = (19, 19, 19), 9.0, 1.3, 20261128
SIZES = ((6, 6), (9, 6), (21, 22), (10, 30))
FORMING_P, ALPHA, DRAWN = 0.001, 0.05, 5000
ENHANCEMENT = tfce.Enhancement(extent_power=0.5, height_power=2.0, neighbours=6, scale="t")


def ball():
    """The search volume: ndarray of bool."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return np.linalg.norm(index - (np.array(SHAPE) - 1) / 2, axis=-1) < RADIUS


def noise(rng, mask, people):
    """Smooth noise: ndarray of shape (voxels, people)."""
    return np.stack([ndimage.gaussian_filter(rng.normal(size=SHAPE), SMOOTH)[mask] for _ in range(people)], axis=1)


def rates(rng, mask, treated, control):
    """Shares of a study's relabellings that each choice, and the old rule, call significant."""
    people = treated + control
    x = (np.arange(people) < treated).astype(float)
    design = np.column_stack([x, np.ones(people)])
    model = glm.partial_form(x, np.ones((people, 1)))
    orders, exhaustive = relabelling.relabellings(design, DRAWN if treated + control > 16 else 6000, SEED)
    fit = glm.fit(noise(rng, mask, people), model)
    threshold = float(special.stdtrit(model.df, 1 - FORMING_P))
    null = permutation.null_distribution(
        fit.residuals,
        model,
        Relabellings(permutations=orders),
        clusters.Lattice(mask, 18),
        MaximumStatistics(threshold=threshold, mass="excess", enhancement=ENHANCEMENT),
        threads=2,
    )
    p = {name: combination.relabelling_p(null, name, True) for name in verdict.PRIMARY}
    called = {name: verdict.passes(values, ALPHA) for name, values in p.items()}
    old = np.any([called[name] for name in verdict.PRIMARY if name != "any"], axis=0)
    return {**{name: values.mean() for name, values in called.items()}, "old": old.mean()}, len(orders), exhaustive


def main(studies):
    """Print the table."""
    mask = ball()
    print(
        f"{studies} noise studies a row, {int(mask.sum())} voxels, clusters formed at p < {FORMING_P:g}, level {ALPHA:g}\n"
    )
    names = [*verdict.PRIMARY, "old"]
    print(f"| arms | relabellings | {' | '.join(names[:-1])} | any of four, uncorrected |")
    print("|---|---" * 1 + "|---" * len(names) + "|")
    for treated, control in SIZES:
        rng = np.random.default_rng(SEED)
        found = [rates(rng, mask, treated, control) for _ in range(studies)]
        _, number, exhaustive = found[0]
        cells = [f"{np.mean([each[name] for each, _, _ in found]):.4f}" for name in names]
        which = "all " if exhaustive else ""
        print(f"| {treated} v {control} | {which}{number:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=20)
    main(**vars(parser.parse_args()))
