"""How often a trial's verdict shows something where nothing is, and shows an effect that is there, by each correction.

    python benchmarks/trial_verdict.py [studies]

Three primary answers: whole-brain analyses of the same people (largest |t| of 200 voxels, permutation of the arms). Their
noise is independent, half shared, or one and the same. Each study gives the p of all its relabellings, and any of them may
be the observed one: so a study's error without effect is counted over all its relabellings (924 of 6 v 6, 999 drawn of
21 v 22), not over one draw. Power: the same studies with 1 or 3 answers that have an effect in 20 voxels, observed
labelling alone. One line a size, dependence and correction, with the closed forms where there are any.
"""

import argparse
import itertools
import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.statistics import multiplicity

ALPHA, VOXELS, ANSWERS, DRAWN = 0.05, 200, 3, 1000
CORRECTIONS = ("none", "holm", "sequence", "joint")


def labellings(n1, n2, rng):
    """Indicators of the treatment arm, (B, n), the observed one first: all of them, or some drawn."""
    n = n1 + n2
    if math.comb(n, n1) <= DRAWN:
        deals = np.array(list(itertools.combinations(range(n), n1)))
    else:
        deals = np.array([np.arange(n1), *(rng.permutation(n)[:n1] for _ in range(DRAWN - 1))])
    out = np.zeros((len(deals), n))
    np.put_along_axis(out, deals, 1.0, axis=1)
    return out


def relabelling_p(data, labels):
    """P of each labelling among all, by the largest |t| over voxels; ``data`` of shape (n, V)."""
    n1, n = labels[0].sum(), labels.shape[1]
    centred = data - data.mean(axis=0)
    difference = labels @ centred * n / (n1 * (n - n1))
    explained = difference**2 * n1 * (n - n1) / n
    t2 = explained / ((centred**2).sum(axis=0) - explained) * (n - 2)
    largest = t2.max(axis=1)
    below = np.searchsorted(np.sort(largest), largest * (1 - 1e-9), side="left")
    return (len(largest) - below) / len(largest)


def study(n1, n2, shared, effects, rng):
    """P of each relabelling and answer, (B, K); ``effects`` in standard deviations, an answer each."""
    labels = labellings(n1, n2, rng)
    common = rng.normal(size=(n1 + n2, VOXELS))
    p = []
    for effect in effects:
        data = math.sqrt(shared) * common + math.sqrt(1 - shared) * rng.normal(size=common.shape)
        data[:, :20] += effect * labels[0][:, None]
        p.append(relabelling_p(data, labels))
    return np.stack(p, axis=1)


def corrected(p, correction):
    """Corrected p of the labelling in row 0."""
    if correction == "joint":
        return multiplicity.joint(p)
    method = {"none": lambda own: own, "holm": multiplicity.holm, "sequence": multiplicity.fixed_sequence}[correction]
    return method(p[0])


def shown(p, correction):
    """Whether each answer is shown, the observed labelling in row 0."""
    return corrected(p, correction) <= ALPHA + 1e-12


def error(p, correction):
    """Share of the labellings that, observed, would have had some corrected p of at most alpha."""
    if correction == "joint":
        # The first step alone decides whether any is shown.
        least = p.min(axis=1)
        return float(((least[None, :] <= least[:, None] * (1 + 1e-12)).mean(axis=1) <= ALPHA + 1e-12).mean())
    method = {"none": lambda own: own, "holm": multiplicity.holm, "sequence": multiplicity.fixed_sequence}[correction]
    return float(np.mean([(method(row) <= ALPHA + 1e-12).any() for row in p]))


def main(studies):
    """Print the table."""
    print(f"{studies} studies a line, seed 1; {ANSWERS} answers, alpha {ALPHA}")
    print(
        f"closed forms for independent answers: none {1 - (1 - ALPHA) ** ANSWERS:.4f}, holm "
        f"{1 - (1 - ALPHA / ANSWERS) ** ANSWERS:.4f}, sequence {ALPHA}, joint {ALPHA}; for one and the same: none {ALPHA}, "
        f"holm {ALPHA / ANSWERS:.4f}, sequence {ALPHA}, joint {ALPHA}"
    )
    heads = "size      noise  correction  some shown, no effect  one shown, first / last  three shown, all / any"
    print(heads)
    for (n1, n2), size in (((6, 6), 1.9), ((21, 22), 0.7)):
        for shared in (0.0, 0.5, 1.0):
            rng = np.random.default_rng(1)
            wanted = ([0, 0, 0], [size, 0, 0], [0, 0, size], [size] * 3)
            null, first, last, every = ([study(n1, n2, shared, each, rng) for _ in range(studies)] for each in wanted)
            for correction in CORRECTIONS:
                wrong = np.mean([error(p, correction) for p in null])
                right = [np.mean([shown(p, correction)[k] for p in part]) for part, k in ((first, 0), (last, 2))]
                three = np.array([shown(p, correction) for p in every])
                told = f"{right[0]:.2f} / {right[1]:.2f}              {three.all(axis=1).mean():.2f} / "
                told += f"{three.any(axis=1).mean():.2f}"
                print(
                    f"{n1:2} v {n2:2}   {shared:3.1f}    {correction:10}  {wrong:.4f}                 {told}",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=100)
    main(**vars(parser.parse_args()))
