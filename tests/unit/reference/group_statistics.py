"""Makes group_statistics.json: regressions by statsmodels, tails of Student's t by mpmath (50 digits).

    python tests/unit/reference/group_statistics.py

statsmodels 0.14 or later; mpmath 1.3 or later, which the project itself does not need.
"""

import json
from pathlib import Path

import mpmath
import numpy as np
import statsmodels.api as sm

mpmath.mp.dps = 50


def regressions():
    """Changes of 12 participants at 5 voxels, and what ordinary least squares says about them."""
    rng = np.random.default_rng(20200218)
    arm = ["baclofen"] * 5 + ["placebo"] * 7
    age = rng.integers(21, 60, 12).tolist()
    sex = [str(s) for s in rng.choice(["F", "M"], 12)]
    site = [str(s) for s in rng.choice(["a", "b", "c"], 12)]
    seed = np.round(rng.normal(-2, 5, 12), 3)
    data = np.round(
        rng.normal(3, 6, (12, 5)) - 8 * np.array([a == "baclofen" for a in arm])[:, None] * [1, 0, 0, 1, 0], 3
    )
    treated = np.array([a == "baclofen" for a in arm], dtype=float)
    columns = {
        "arm": treated,
        "seed_change": seed,
        "age": np.array(age, dtype=float),
        "sex[M]": np.array([s == "M" for s in sex], dtype=float),
        "site[b]": np.array([s == "b" for s in site], dtype=float),
        "site[c]": np.array([s == "c" for s in site], dtype=float),
    }
    models = {
        "plain": ["arm"],
        "covariates": ["arm", "age", "sex[M]"],
        "levels": ["arm", "site[b]", "site[c]"],
        "association": ["seed_change", "arm", "age"],
    }
    results = {}
    for name, terms in models.items():
        design = sm.add_constant(np.column_stack([columns[term] for term in terms]))
        fits = [sm.OLS(column, design).fit() for column in data.T]
        results[name] = {
            "effect": [float(fit.params[1]) for fit in fits],
            "t": [float(fit.tvalues[1]) for fit in fits],
            "df": int(fits[0].df_resid),
        }
    return {
        "arm": arm,
        "age": age,
        "sex": sex,
        "site": site,
        "seed_change": seed.tolist(),
        "change": data.tolist(),
        "results": results,
    }


def z_of_t(t, df):
    """The standard normal quantile with t's tail probability."""
    t, df = mpmath.mpf(t), mpmath.mpf(df)
    tail = mpmath.betainc(df / 2, 0.5, 0, df / (df + t * t), regularized=True) / 2
    guess = -mpmath.sqrt(-2 * mpmath.log(tail)) if tail < 0.1 else mpmath.mpf(-0.5)
    return -float(mpmath.findroot(lambda z: mpmath.log(mpmath.erfc(-z / mpmath.sqrt(2)) / 2) - mpmath.log(tail), guess))


if __name__ == "__main__":
    cases = [(t, df) for df in (5, 13, 40, 200) for t in (0.01, 0.5, 1.7, 3.3, 6.0, 12.0, 25.0)]
    content = {**regressions(), "z_of_t": [[t, df, z_of_t(t, df)] for t, df in cases]}
    Path(__file__).with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
