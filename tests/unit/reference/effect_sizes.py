"""Makes effect_sizes.json: limits of the noncentral t by mpmath (30 digits), Cohen's d and Hedges' g by pingouin.

    python tests/unit/reference/effect_sizes.py

mpmath 1.3 or later and pingouin 0.7.0 (whose g uses the approximate factor 1 - 3 / (4 df - 1)); the project needs neither.
"""

import json
from pathlib import Path

import mpmath as mp
import numpy as np
import pingouin

mp.mp.dps = 30


def below(t, df, noncentrality):
    """P(T < t), by integrating the normal distribution over the law of the standard deviation."""
    half = mp.mpf(df) / 2
    constant = half**half * 2 / mp.gamma(half)
    width = 8 / mp.sqrt(2 * df)

    def integrand(s):
        return mp.ncdf(t * s - noncentrality) * constant * s ** (df - 1) * mp.exp(-half * s * s)

    edges = sorted({mp.mpf(0), max(mp.mpf("0.01"), 1 - width), mp.mpf("0.7"), mp.mpf(1), 1 + width, 1 + 2 * width})
    return mp.quad(integrand, [*edges, edges[-1] + 8])


def limits():
    """95 % limits of the noncentrality."""
    rows = []
    for df in (5, 13, 40, 120):
        for t in ("-9", "-2.5", "0", "0.4", "1.7", "3.836114411", "6.02", "12"):
            found = [
                mp.findroot(
                    lambda nc, q=q, t=t, df=df: below(mp.mpf(t), df, nc) - q, (mp.mpf(t) + s, mp.mpf(t) + s / 2)
                )
                for q, s in ((mp.mpf("0.975"), -2), (mp.mpf("0.025"), 2))
            ]
            rows.append([float(t), df, *(float(mp.nstr(x, 17)) for x in found)])
    return rows


def factors():
    """Hedges' J."""
    return [
        [df, float(mp.gamma(mp.mpf(df) / 2) / (mp.sqrt(mp.mpf(df) / 2) * mp.gamma(mp.mpf(df - 1) / 2)))]
        for df in (2, 5, 13, 40, 300)
    ]


def groups():
    """Two groups' changes and their sizes."""
    rng = np.random.default_rng(20200218)
    first, second = np.round(rng.normal(-4, 6, 9), 3), np.round(rng.normal(1, 5, 12), 3)
    return {
        "first": first.tolist(),
        "second": second.tolist(),
        "d": float(pingouin.compute_effsize(first, second, eftype="cohen")),
        "g_approximate": float(pingouin.compute_effsize(first, second, eftype="hedges")),
    }


if __name__ == "__main__":
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps({"limits": limits(), "factors": factors(), "groups": groups()}, indent=1) + "\n")
