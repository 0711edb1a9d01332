"""Makes craving.json: percentage bend correlations, mediation, Hedges' g and models of simulated scores by other programs.

    python tests/unit/reference/craving.py

pingouin 0.7.0 (percentage bend correlation, mediation) and statsmodels (Mediation, OLS with participants as columns);
the project needs neither to run.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
import statsmodels
import statsmodels.api as sm
from statsmodels.stats.mediation import Mediation


def correlations(rng):
    """Pairs with and without wild values and ties."""
    rows = []
    for n, wild, digits in ((20, 0, 6), (43, 3, 6), (31, 1, 0), (8, 0, 6)):
        x = rng.normal(size=n)
        y = 0.5 * x + rng.normal(size=n)
        y[:wild] += 15
        x, y = np.round(x, max(digits, 1)), np.round(y, digits)
        found = pingouin.corr(x, y, method="percbend")
        rows.append({"x": x.tolist(), "y": y.tolist(), "r": float(found["r"].iloc[0])})
    return rows


def mediation(rng):
    """One mediator and a covariate: estimates and percentile interval."""
    n = 80
    arm = np.repeat([0.0, 1.0], n // 2)
    age = np.round(rng.normal(40, 9, n), 1)
    m = np.round(-6 * arm + 0.1 * age + rng.normal(0, 4, n), 3)
    y = np.round(-3 * arm + 0.8 * m + 0.05 * age + rng.normal(0, 5, n), 3)
    table = pd.DataFrame({"arm": arm, "age": age, "m": m, "y": y})
    ping = pingouin.mediation_analysis(table, x="arm", m="m", y="y", covar="age", n_boot=5000, seed=1).set_index("path")
    one = np.ones(n)
    outcome = sm.OLS(y, np.column_stack([one, arm, m, age]))
    mediator = sm.OLS(m, np.column_stack([one, arm, age]))
    np.random.seed(3)  # noqa: NPY002  statsmodels draws from the global generator
    done = Mediation(outcome, mediator, (1, 1), mediator=2).fit(n_rep=5000, method="parametric").summary()
    ends = [name for name in ping.columns if "CI" in name]
    return {
        "arm": arm.tolist(),
        "age": age.tolist(),
        "m": m.tolist(),
        "y": y.tolist(),
        "pingouin": {name: [float(ping.loc[name, each]) for each in ("coef", *ends)] for name in ping.index},
        "statsmodels": {
            "indirect": [float(v) for v in done.loc["ACME (average)"][:3]],
            "direct": [float(v) for v in done.loc["ADE (average)"][:3]],
            "total": [float(v) for v in done.loc["Total effect"][:3]],
        },
    }


def three_way(rng):
    """Ratings of 24 participants, two sessions, before and after: OLS with a column a participant."""
    n = 24
    arm = (np.arange(n) < 11).astype(float)
    ratings = np.round(rng.normal(30, 12, (n, 1, 1)) + rng.normal(0, 6, (n, 2, 2)), 1)
    ratings[:, :, 1] += 15
    ratings[arm > 0, 1, 1] -= 8
    rows = [(k, arm[k], s, o, ratings[k, s, o]) for k in range(n) for s in range(2) for o in range(2)]
    k, a, s, o, y = np.array(rows).T
    people = (k[:, None] == np.arange(n)).astype(float)
    design = np.column_stack([people, s, o, s * o, a * s, a * o, a * s * o])
    fit = sm.OLS(y, design).fit()
    names = ["session", "occasion", "session:occasion", "arm:session", "arm:occasion", "arm:session:occasion"]
    found = {name: [float(v[n + j]) for v in (fit.params, fit.bse, fit.pvalues)] for j, name in enumerate(names)}
    return {"arm": arm.tolist(), "ratings": ratings.tolist(), "df": float(fit.df_resid), "terms": found}


def influence(rng):
    """Without-one estimates of an OLS slope."""
    x, z = rng.normal(size=(2, 18))
    y = 2 * x + z + rng.normal(size=18)
    design = np.column_stack([np.ones(18), x, z])
    dfbeta = sm.OLS(y, design).fit().get_influence().params_not_obsi
    return {"design": design.tolist(), "y": y.tolist(), "without": dfbeta[:, 1].tolist()}


def main():
    """Write the file."""
    rng = np.random.default_rng(20200218)
    content = {
        "made_by": f"pingouin {pingouin.__version__}, statsmodels {statsmodels.__version__}, numpy {np.__version__}",
        "percentage_bend": correlations(rng),
        "mediation": mediation(rng),
        "three_way": three_way(rng),
        "influence": influence(rng),
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
