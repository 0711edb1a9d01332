"""How often an endpoint's methods find an effect where there is none, with a quarter of the follow-ups missing.

    python benchmarks/endpoint_nulls.py [--trials 1000]

Trials have a baseline and a follow-up (correlation .6) and two arms without any effect. A quarter of the follow-ups is missing, the
more likely the worse the baseline (missing at random). Each is answered by the declared ANCOVA over complete rows, with a variance for each arm, with HC3, by the mixed
model of all scores, and by multiple imputation; a third session has the mixed model as its declared one. Printed: the share of p at
most .05 and the coverage of the 95 % interval, whose Monte Carlo error is .007 with 1000 trials.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "scripts"), str(TOP / "tests")]

import measured
from pharmasl.endpoints import measure_sensitivity

METHODS = ("model", "a variance for each arm", "HC3", "mixed model", "multiple imputation")
# Participants of each arm, standard deviation of the treatment arm's scores, sessions.
SCENARIOS = {
    "10 + 10": (10, 10, 1.0, 2),
    "20 + 20": (20, 20, 1.0, 2),
    "30 + 12": (30, 12, 1.0, 2),
    "30 + 12, twice the SD in 12": (30, 12, 2.0, 2),
    "20 + 20, three sessions": (20, 20, 1.0, 3),
}
REPEATED = {
    "model": "score ~ arm * session + (1 | participant)",
    "test": {"arm": {"baclofen": 1, "placebo": -1}, "session": {"T3": 1, "T1": -1}},
}


def trial(rng, control, treated, spread, sessions):
    """The scores of one trial without an effect, a quarter of the last ones missing."""
    n = control + treated
    arms = ["placebo"] * control + ["baclofen"] * treated
    person = rng.normal(size=n)
    scores = np.sqrt(0.6) * person[:, None] + np.sqrt(0.4) * rng.normal(size=(n, sessions))
    scores[control:] *= spread
    # The quarter with the worst of baseline and chance in equal parts.
    risk = scores[:, 0] + rng.normal(size=n) * scores[:, 0].std()
    rows = [[float(value) for value in row] for row in 20 + 5 * scores]
    for k in np.argsort(risk)[-(n // 4) :]:
        rows[k][-1] = None
    return measured.measured(arms, rows, others=("T3",)[: sessions - 2])


def method(row):
    """What a row of the sensitivity table is, in words; None for what is not counted."""
    if row.analysis == "other_variance":
        return METHODS[1] if "for each arm" in row.method else METHODS[2]
    return {name.replace(" ", "_"): name for name in METHODS}.get(row.analysis)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--imputations", type=int, default=20)
    asked = parser.parse_args()
    missing = {"imputations": asked.imputations}
    print("| people, control + treated | method | p at most .05 | coverage |\n|---|---|---|---|")
    for name, (control, treated, spread, sessions) in SCENARIOS.items():
        own = measured.endpoint(missing=missing, **(REPEATED if sessions == 3 else {})).question
        rng = np.random.default_rng([20200218, control, treated, sessions])
        hits, covered = {key: [] for key in METHODS}, {key: [] for key in METHODS}
        for _ in range(asked.trials):
            data = trial(rng, control, treated, spread, sessions)
            for row in measure_sensitivity.alternatives(own, data, "scores.tsv"):
                if (key := method(row)) and row.p is not None:
                    hits[key].append(row.p <= 0.05)
                    covered[key].append(row.ci_low <= 0 <= row.ci_high)
        for key in METHODS:
            if hits[key]:
                print(f"| {name} | {key} | {np.mean(hits[key]):.3f} | {np.mean(covered[key]):.3f} |", flush=True)


if __name__ == "__main__":
    main()
