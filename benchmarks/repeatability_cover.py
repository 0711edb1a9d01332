"""How often the intervals of repeatability hold the truth, and how wide they are: drawn studies of two sessions.

    python benchmarks/repeatability_cover.py [--draws 10000]

Of each number of people and each intraclass correlation, values are drawn as person + residual, within-person standard deviation 7 about a mean
of 500 (the coefficient of variation: their exponential's, of log values with a standard deviation of .14). A row has the share of studies whose
95 % interval (statistics/repeatability.py) holds the truth, with a standard error of .0022 at .95 of 10,000, and the median ends of two intervals: of
the within-person standard deviation over its truth, and of ICC(3,1).
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
from pharmasl.statistics.repeatability import repeatability

PEOPLE, CORRELATIONS = (6, 11, 22, 43), (0.1, 0.5, 0.7, 0.9)
WITHIN, LOG_WITHIN, MEAN, BIAS = 7.0, 0.14, 500.0, 3.0


def held(interval, truth):
    """Share of studies whose interval holds the truth."""
    return float(np.mean((interval.low <= truth) & (truth <= interval.high)))


def study(people, correlation, draws):
    """The table's row of a number of people and a correlation."""
    rng = np.random.default_rng([people, round(100 * correlation)])
    person = rng.standard_normal((people, 1, draws)) * np.sqrt(correlation / (1 - correlation))
    residual = rng.standard_normal((people, 2, draws))
    shift = np.array([0.0, BIAS])[:, np.newaxis]
    linear = repeatability(MEAN + shift + WITHIN * (person + residual))
    variation = repeatability(np.exp(4 + LOG_WITHIN * (person + residual))).within_cv
    limit = 1.96 * WITHIN * np.sqrt(2)
    # A fixed shift of a session is part of the disagreement that ICC(2,1) counts.
    agreed = WITHIN**2 * correlation / (1 - correlation)
    agreement = agreed / (agreed + WITHIN**2 + BIAS**2 / 2)
    covers = [
        held(linear.within_sd, WITHIN),
        held(variation, np.sqrt(np.expm1(LOG_WITHIN**2))),
        held(linear.consistency, correlation),
        held(linear.agreement_icc, agreement),
        held(linear.agreement.bias, BIAS),
        held(linear.agreement.lower, BIAS - limit),
        held(linear.agreement.upper, BIAS + limit),
    ]
    ends = [np.median(end) / WITHIN for end in (linear.within_sd.low, linear.within_sd.high)]
    ends += [np.median(end) for end in (linear.consistency.low, linear.consistency.high)]
    return covers, ends


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10_000)
    draws = parser.parse_args().draws
    heads = ["people", "ICC", "SD, SDC", "CV", "ICC(3,1)", "ICC(2,1)", "mean change", "lower limit", "upper limit"]
    heads += ["SD over truth", "ICC(3,1) interval"]
    print("|".join(["", *(f" {head} " for head in heads), ""]))
    print("|".join(["", *["---:"] * len(heads), ""]))
    for people in PEOPLE:
        for correlation in CORRELATIONS:
            covers, (low, high, first, last) = study(people, correlation, draws)
            cells = [str(people), f"{correlation:.1f}", *(f"{cover:.3f}" for cover in covers)]
            cells += [f"{low:.2f} to {high:.2f}", f"{first:.2f} to {last:.2f}"]
            print("|".join(["", *(f" {cell} " for cell in cells), ""]))


if __name__ == "__main__":
    main()
