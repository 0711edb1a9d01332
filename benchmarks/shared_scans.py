"""How often noise gives a result where seed and outcome share scans, and where a region was chosen by what it is tested against.

    python benchmarks/shared_scans.py [studies]

Smooth noise of 21 v 22 people in a ball of some 900 voxels, three states, two sessions, nothing planted. The seed is a ball of
33 voxels of the change at rest. Outcome: the change of `smoking - rest`, which takes the same rest scans, or of
`smoking - neutral`, which does not; the slope on the seed with the arm held fixed, by cluster extent over 300 relabellings.
Then a region that is the best cluster of the map's regression on craving, related to craving by permutation within arms.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage, special

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import clusters, differences, glm, maxima, permutation, relabelling
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings

SHAPE, SMOOTH, SEED, ARMS, RELABELLINGS = (13, 13, 13), 1.3, 20261128, (21, 22), 300


def ball(radius):
    """Voxels within a distance of the middle."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return np.linalg.norm(index - (np.array(SHAPE) - 1) / 2, axis=-1) < radius


def changes(rng, mask, people):
    """Changes of a state between sessions: smooth noise, (people, voxels)."""
    return np.stack([ndimage.gaussian_filter(rng.normal(size=SHAPE), SMOOTH)[mask] for _ in range(people)])


def slope(outcome, x, treated, lattice):
    """Least family-wise p by extent of the slope on x, arm held fixed; the map's t and labels of clusters."""
    nuisance = np.column_stack([treated, np.ones(len(x))])
    model = glm.partial_form(x, nuisance)
    threshold = float(special.stdtrit(model.df, 0.999))
    orders, _ = relabelling.relabellings(np.column_stack([x, nuisance]), RELABELLINGS, SEED)
    fit = differences.fit(outcome, model)
    drawn, statistics = Relabellings(permutations=orders), MaximumStatistics(threshold=threshold)
    null = permutation.null_distribution(fit, model, drawn, lattice, statistics).largest_extent(two_sided=True)
    labels, _ = clusters.label(fit.t, threshold, lattice)
    return maxima.family_wise_p(null[:1], null)[0], fit.t, labels


def related(region, craving, treated, rng):
    """P of a correlation within arms, by 300 permutations within arms."""
    design = np.column_stack([treated, np.ones(len(treated))])
    left, right = (v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (region, craving))
    observed, hits = abs(left @ right), 1
    for _ in range(RELABELLINGS - 1):
        order = np.arange(len(right))
        for arm in (0, 1):
            own = np.flatnonzero(treated == arm)
            order[own] = rng.permutation(own)
        hits += abs(left @ right[order]) >= observed
    return hits / RELABELLINGS


def main(studies):
    """Print the shares of studies with p <= .05."""
    mask, seed = ball(6.2), ball(2.1)
    lattice, people = clusters.Lattice(mask, 18), sum(ARMS)
    treated = (np.arange(people) < ARMS[0]).astype(float)
    rng, hits = np.random.default_rng(SEED), np.zeros(3)
    for _ in range(studies):
        rest, smoking, neutral = (changes(rng, mask, people) for _ in range(3))
        x = rest[:, seed[mask]].mean(axis=1)
        hits[0] += slope(smoking - rest, x - x.mean(), treated, lattice)[0] <= 0.05
        hits[1] += slope(smoking - neutral, x - x.mean(), treated, lattice)[0] <= 0.05
        craving = rng.normal(size=people)
        _, t, labels = slope(rest, craving - craving.mean(), treated, lattice)
        chosen = labels == 1 if (labels == 1).any() else np.abs(t) >= np.sort(np.abs(t))[-20]
        hits[2] += related(rest[:, chosen].mean(axis=1), craving, treated, rng) <= 0.05
    shared, apart, circular = hits / studies
    print(f"{studies} studies of noise, 21 v 22 people, {int(mask.sum())} voxels; share with p <= .05")
    print(f"seed rest, outcome smoking - rest:    {shared:.2f}")
    print(f"seed rest, outcome smoking - neutral: {apart:.2f}")
    print(f"a region chosen by its relation to craving, related to craving: {circular:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=100)
    main(**vars(parser.parse_args()))
