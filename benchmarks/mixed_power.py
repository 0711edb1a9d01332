"""Power of the model of scans beside that of changes, where each may be used: two arms, two sessions, group by time.

    python benchmarks/mixed_power.py [studies]

Smooth noise and an effect in a cube of 27 of about 1,000 voxels; the shares of the cube's voxels with family-wise p <= .05 by the largest
height. Changes: those with both sessions, arms permuted. Scans: all, cbf ~ arm * session + (1 | participant), arms dealt anew to
whole participants; with a common baseline, without the arm's term there.
"""

import argparse
import sys
from pathlib import Path

import mixed_null_studies as nulls
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import clusters, differences, exchange, glm, permutation, reallocation, relabelling
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings

DRAWN, STATISTICS = 200, MaximumStatistics(threshold=3.1)
# Arms, effect in residual standard deviations, between-participant standard deviation, share of follow-ups missing.
ROWS = (
    ((7, 8), 3.5, 1.0, 0.0),
    ((7, 8), 3.5, 2.0, 0.0),
    ((7, 8), 3.5, 1.0, 0.25),
    ((21, 22), 2.0, 0.5, 0.0),
    ((21, 22), 2.0, 1.0, 0.0),
    ((21, 22), 2.0, 2.0, 0.0),
    ((21, 22), 2.0, 1.0, 0.25),
)


def share(heights, largest):
    """Share of the voxels whose height has a family-wise p of at most .05."""
    p = (largest[:, None] >= np.abs(heights) * (1 - 1e-6)).mean(axis=0)
    return (p <= 0.05).mean()


def study(rng, mask, row):
    """Shares called by changes, by scans, and by scans with a common baseline."""
    arms, size, between, missing = row
    people = sum(arms)
    labels = (np.arange(people) < arms[0]).astype(int)
    cube = np.zeros(mask.shape, dtype=bool)
    cube[5:8, 5:8, 5:8] = True
    cube = cube[mask]
    kept = rng.random(people) >= missing
    participant = np.concatenate([np.arange(people), np.flatnonzero(kept)])
    session = np.repeat([0.0, 1.0], [people, kept.sum()])
    maps = between * nulls.smooth(rng, mask, people)[participant] + nulls.smooth(rng, mask, len(session))
    maps[(session == 1) & (labels[participant] == 1)] += size * cube
    lattice, seed = clusters.Lattice(mask, 18), int(rng.integers(2**31))

    change = maps[session == 1] - maps[:people][kept]
    arm = labels[kept].astype(float)
    form = glm.partial_form(arm, np.ones((len(arm), 1)))
    fitted = differences.fit(change.astype(np.float32), form)
    orders, _ = relabelling.relabellings(arm[:, None], DRAWN, seed)
    null = permutation.null_distribution(fitted, form, Relabellings(permutations=orders), lattice, STATISTICS)
    called = [share(fitted.t[cube], null.largest_t(True))]

    orders, _ = relabelling.relabellings(labels[:, None].astype(float), DRAWN, seed)
    one = np.ones(len(session))
    for with_arm in (True, False):
        designs = np.stack(
            [np.column_stack([one, session, *([k * one] if with_arm else []), k * session]) for k in (0.0, 1.0)]
        )
        weights = np.eye(designs.shape[2])[-1:]
        scheme = exchange.allocation(
            designs, weights, participant, labels[orders], exhaustive=False, log10_distinct=0.0
        )
        made = reallocation.Reallocation(
            reallocation.prepare(lambda start, stop: maps[:, start:stop], maps.shape[1], scheme)
        )
        called.append(share(made.observed()[cube], made.null(lattice, STATISTICS).largest_t(True)))
    return called


def main(studies):
    """Print the table."""
    mask = nulls.ball()
    print(f"{studies} studies a row, {int(mask.sum())} voxels, {DRAWN} relabellings\n")
    print("| arms | effect | between-participant SD | follow-ups missing | changes | scans | scans, common baseline |")
    print("|---|---|---|---|---|---|---|")
    for number, row in enumerate(ROWS):
        rng = np.random.default_rng([nulls.SEED, number])
        rates = np.mean([study(rng, mask, row) for _ in range(studies)], axis=0)
        (treated, control), size, between, missing = row
        print(
            f"| {treated} v {control} | {size:g} | {between:g} | {missing:.0%} | "
            f"{' | '.join(f'{rate:.2f}' for rate in rates)} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=100)
    main(**vars(parser.parse_args()))
