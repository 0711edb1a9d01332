"""Coverage of the craving analyses' intervals and false positives of their tests, in trials without or with an effect.

    python benchmarks/craving.py [trials]

21 and 22 participants, normal scores. Each line: what, share found, nominal share, Monte Carlo standard error.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.endpoints import mediation, mixed_models
from pharmasl.statistics import correlation_tests, effect_sizes, mixed_model
from pharmasl.statistics.partial_correlation import METHODS, Observations

N, RHO, RESAMPLES = (21, 22), 0.5, 999


def tell(what, hits, nominal):
    """Print one share."""
    hits = np.asarray(hits, dtype=float)
    error = math.sqrt(nominal * (1 - nominal) / len(hits))
    print(f"{what:58} {hits.mean():.3f} (nominal {nominal}, standard error {error:.3f})", flush=True)


def mixed(trials, rng):
    """The interaction of the mixed model, three scores missing."""
    keep = np.ones((sum(N), 2), dtype=bool)
    keep[[2, 30, 12], [1, 0, 1]] = False
    subject, session = np.nonzero(keep)
    treated = (np.arange(sum(N)) < N[0]).astype(float)[subject]
    design = np.column_stack([np.ones(len(subject)), treated, session, treated * session])
    for between in (10, 0):
        response = rng.normal(0, between, (sum(N), 10 * trials))[subject] + rng.normal(
            0, 5, (len(subject), 10 * trials)
        )
        fit = mixed_model.fit(design, response, subject)
        for name, test in (
            ("Kenward-Roger", mixed_model.kenward_roger(fit, design, subject, mixed_models.TERMS["arm:session"])),
            ("Satterthwaite", mixed_model.contrast(fit, mixed_models.TERMS["arm:session"])),
        ):
            tell(f"mixed model, between-participant sd {between}, {name}, p", test.p <= 0.05, 0.05)


def main(trials):
    """Print all lines."""
    rng = np.random.default_rng(1)
    mixed(trials, rng)
    arm = np.repeat([1.0, 0.0], N)
    none = np.empty((0, sum(N)))
    truth = {"pearson": RHO, "spearman": 6 / math.pi * math.asin(RHO / 2)}
    found = {}
    for _ in range(trials):
        x, noise = rng.normal(size=(2, sum(N)))
        y = RHO * x + math.sqrt(1 - RHO**2) * noise
        for method, value in truth.items():
            result = correlation_tests.correlate(Observations(x, y, arm[None], arm), method, rng, RESAMPLES)
            found.setdefault(f"{method}, interval", []).append(result.ci_low <= value <= result.ci_high)
            found.setdefault(f"{method}, BCa interval", []).append(result.bca_low <= value <= result.bca_high)
        for method in METHODS:
            result = correlation_tests.correlate(
                Observations(x, noise + 2 * arm, arm[None], arm), method, rng, RESAMPLES
            )
            found.setdefault(f"{method}, permutation p without relation", []).append(result.p <= 0.05)
        result = correlation_tests.slope_interaction(x, x + noise, arm > 0, none, rng, RESAMPLES)
        found.setdefault("slope interaction, permutation p", []).append(result.p <= 0.05)
        found.setdefault("slope interaction, interval", []).append(result.ci_low <= 0 <= result.ci_high)
        first, second = rng.normal(0.8, 1, N[0]), rng.normal(0, 1, N[1])
        size = effect_sizes.two_groups(first, second)
        found.setdefault("Hedges' g, interval", []).append(size.low <= 0.8 <= size.high)
        m1 = 2 * arm + rng.normal(size=sum(N))
        m2 = 0.7 * m1 + rng.normal(size=sum(N))
        y = -1.5 * m2 + rng.normal(size=sum(N))
        _, *ends = vars(
            mediation.mediate(arm, [m1, m2], y, none, rng, RESAMPLES)["arm -> m1 -> m2 -> craving"]
        ).values()
        found.setdefault("mediation, percentile interval of the chain", []).append(ends[0] <= -2.1 <= ends[1])
        found.setdefault("mediation, BCa interval of the chain", []).append(ends[2] <= -2.1 <= ends[3])
        _, *ends = vars(
            mediation.mediate(arm, [m1], rng.normal(size=sum(N)), none, rng, RESAMPLES)["indirect"]
        ).values()
        for name, low, high in (("percentile", *ends[:2]), ("BCa", *ends[2:])):
            found.setdefault(f"mediation, {name} excludes 0 where a is 2 and b 0", []).append(not low <= 0 <= high)
    for what, hits in found.items():
        tell(what, hits, 0.95 if "interval" in what else 0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=300)
    main(**vars(parser.parse_args()))
