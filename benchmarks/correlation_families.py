"""How often a table of correlations has a corrected p of .05 or less somewhere, in studies where nothing is related.

    python benchmarks/correlation_families.py [studies] [family ...]

21 and 22 participants; two regions whose CBF correlates by .5, each of two sessions; craving of two sessions, unrelated.
One line a family: share of studies whose table has any p_holm, any p_fdr and any p_max of .05 or less, with the Monte
Carlo standard error of a rate of .05; beside them any uncorrected p. 999 permutations; study k is drawn from seed k.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.endpoints import correlations, endpoint, regional_values
from pharmasl.study import settings as sections

ARMS = sections.Arms(column="arm", treatment="baclofen", control="placebo", others=())
SESSIONS = sections.SessionPair(baseline="T1", followup="T2")
TEST = sections.DeclaredCorrelation(timing="change", group="all", method="pearson")
N, RESAMPLES, ALPHA = (21, 22), 999, 0.05


def study(seed, regions=2):
    """Scores and regional CBF of one study without any relation."""
    rng = np.random.default_rng(seed)
    arm = np.repeat(["baclofen", "placebo"], N)
    names = [f"{k:02d}" for k in range(len(arm))]
    shared = rng.normal(size=(len(arm), 2))
    cbf = {
        (f"region{r}", "cue"): pd.DataFrame(
            50 + 5 * (shared + rng.normal(size=shared.shape)) / math.sqrt(2), index=names, columns=["T1", "T2"]
        )
        for r in range(regions)
    }
    scores = [
        {"participant_id": f"sub-{name}", "arm": a, "session_id": session, "cue_elicited": 20 + 8 * float(rng.normal())}
        for name, a in zip(names, arm)
        for session in ("T1", "T2")
    ]
    return scores, cbf


def share(studies, family):
    """Shares of studies with any corrected p of .05 or less, by Holm, false discovery rate, largest |r|; any p."""
    hits = np.zeros(4)
    for seed in range(studies):
        scores, cbf = study(seed)
        asked = sections.RegionCorrelations(
            rois=tuple(roi for roi, _ in cbf),
            contrast="cue",
            covariates=(),
            test=TEST,
            family=family,
            seed=seed,
            resamples=RESAMPLES,
        )
        values = regional_values.RegionalValues(cbf, dict.fromkeys(asked.rois, False))
        table = correlations.analyse(endpoint.frame(scores), values, asked, ARMS, SESSIONS)
        for k, name in enumerate(("p_holm", "p_fdr", "p_max", "p")):
            hits[k] += bool((table[name].astype(float) <= ALPHA).any())
    return hits / studies


def main(studies, families):
    """Print all lines."""
    error = math.sqrt(ALPHA * (1 - ALPHA) / studies)
    print(f"{studies} studies; a rate of {ALPHA} has a standard error of {error:.3f}")
    for family in families or ("test", "all"):
        found = share(studies, family)
        names = ("p_holm", "p_fdr", "p_max", "uncorrected p")
        print(f"family: {family:10}" + ", ".join(f"any {n} {v:.3f}" for n, v in zip(names, found)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=400)
    parser.add_argument("families", nargs="*", metavar="family")
    main(**vars(parser.parse_args()))
