"""Error and power of the craving models where arms differ in size and variance, and of the models of three factors.

    python benchmarks/craving_arms.py [endpoint|factors|relations] [studies] [correlation]

Prints the tables of docs/statistics.md. Normal scores; seed 1.

endpoint: the arms' difference of the change. The treatment arm's variance is a third, once or three times the control
arm's; the two scores of a participant correlate by .5, unless another correlation is named; 0 or 15 % of the participants came once (three of four of them to
the first session). Power: an effect that Welch's test shows in about .8 of studies with equal variances and complete data.

factors: the ratings before and after the cues at two sessions, without any effect; the interaction of all three.

relations: the correlation over both arms, adjusted for arm, and the difference of the arms' slopes. The standard deviations
of CBF and craving in the treatment arm are once or three times those in the control arm. Errors without relation (slopes: a
common slope of .5), coverage with a correlation of .5 within each arm; 199 permutations.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from scipy import stats
from statsmodels.regression.linear_model import OLS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.statistics import (
    arm_variances,
    correlation_intervals,
    correlation_tests,
    mixed_model,
    partial_correlation,
)
from pharmasl.statistics.partial_correlation import METHODS, Observations

SIZES = ((10, 10), (10, 33), (33, 10), (21, 22))
BATCH = 100


def by_arm(response, treated, session, who):
    """P of the interaction with a random-intercept model in each arm; ``response`` of shape (scores, studies)."""
    tests = []
    for value in (1, 0):
        own = treated == value
        design = np.column_stack([np.ones(own.sum()), session[own]])
        model = mixed_model.fit(design, response[own], who[own])
        tests.append(mixed_model.kenward_roger(model, design, who[own], (0, 1)))
    first, second = tests[0].se ** 2, tests[1].se ** 2
    df = (first + second) ** 2 / (first**2 / tests[0].df + second**2 / tests[1].df)
    return 2 * stats.t.sf(np.abs(tests[0].estimate - tests[1].estimate) / np.sqrt(first + second), df)


def ancova(before, after, treated):
    """P of the arms' difference at follow-up, adjusted for baseline; equal variances, by arm, HC3. One study."""
    design = np.column_stack([np.ones(len(before)), treated, before - before.mean()])
    fit = OLS(after, design).fit()
    third = OLS(after, design).fit(cov_type="HC3", use_t=True)
    ours = arm_variances.ArmVariances(design, (0, 1, 0), treated).test(after).p
    return fit.pvalues[1], ours, third.pvalues[1]


def attendance(n, share, rng):
    """Who came when, (people, 2); at least three with both sessions in each arm."""
    total = sum(n)
    while True:
        keep = np.ones((total, 2), dtype=bool)
        lost = np.flatnonzero(rng.random(total) < share)
        keep[lost, (rng.random(len(lost)) < 0.75).astype(int)] = False
        both = keep.all(axis=1)
        if min(both[: n[0]].sum(), both[n[0] :].sum()) >= 3:
            return keep


def endpoint_p(n, ratio, share, effect, rng, correlation):
    """P of every test for a batch of studies: dict of name to ndarray of shape (BATCH,)."""
    total = sum(n)
    treated = (np.arange(total) < n[0]).astype(float)
    shared, own = rng.normal(size=(total, 1, BATCH)), rng.normal(size=(total, 2, BATCH))
    y = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
    y *= np.where(treated > 0, math.sqrt(ratio), 1)[:, None, None]
    y[: n[0], 1] += effect
    keep = attendance(n, share, rng)
    who, session = np.nonzero(keep)
    response, arm = y[who, session], treated[who]
    design = np.column_stack([np.ones(len(who)), arm, session, arm * session])
    model = mixed_model.fit(design, response, who)
    both = keep.all(axis=1)
    change, first = (y[:, 1] - y[:, 0])[both], treated[both] > 0
    adjusted = np.array([ancova(y[both, 0, k], y[both, 1, k], treated[both]) for k in range(BATCH)]).T
    return {
        "mixed, equal": mixed_model.kenward_roger(model, design, who, (0, 0, 0, 1)).p,
        "mixed, by arm": by_arm(response, arm, session.astype(float), who),
        "Welch": stats.ttest_ind(change[first], change[~first], equal_var=False).pvalue,
        "ANCOVA, equal": adjusted[0],
        "ANCOVA, by arm": adjusted[1],
        "ANCOVA, HC3": adjusted[2],
    }


def endpoint(studies, correlation):
    """Error / power of the tests of the arms' difference."""
    rng = np.random.default_rng(1)
    names = ("mixed, equal", "mixed, by arm", "Welch", "ANCOVA, equal", "ANCOVA, by arm", "ANCOVA, HC3")
    print("| sizes | variance ratio | came once | " + " | ".join(names) + " |")
    print("|---|---|---|" + "---|" * len(names))
    for n in SIZES:
        spread = math.sqrt(2 * (1 - correlation))
        effect = 2.8 * spread * math.sqrt(1 / n[0] + 1 / n[1])
        for ratio in (1 / 3, 1, 3):
            for share in (0, 0.15):
                shares = []
                for size in (0, effect):
                    batches = [endpoint_p(n, ratio, share, size, rng, correlation) for _ in range(studies // BATCH)]
                    shares.append({name: np.mean([batch[name] <= 0.05 for batch in batches]) for name in names})
                cells = [f"{shares[0][name]:.3f} / {shares[1][name]:.2f}" for name in names]
                label = {1: "1", 3: "3"}.get(ratio, "1/3")
                print(f"| {n[0]} v {n[1]} | {label} | {share:.0%} | " + " | ".join(cells) + " |", flush=True)


def factors(studies):
    """Error of the interaction of arm, session and occasion under three covariances within participants."""
    rng = np.random.default_rng(1)
    print(
        "| sizes | variance within participants beside the residual | random intercept alone (before) | contrasts (now) |"
    )
    print("|---|---|---|---|")
    shapes = {
        "participant": (2, 0, 0),
        "participant, participant by session": (2, 2, 0),
        "participant, participant by occasion": (2, 0, 2),
    }
    for n in ((10, 10), (21, 22)):
        total = sum(n)
        who, session, occasion = (each.ravel() for each in np.indices((total, 2, 2)))
        arm = (who < n[0]).astype(float)
        design = np.column_stack(
            [
                np.ones(len(who)),
                arm,
                session,
                occasion,
                arm * session,
                arm * occasion,
                session * occasion,
                arm * session * occasion,
            ]
        )
        for name, spread in shapes.items():
            y = rng.normal(size=(total, 2, 2, studies)) + spread[0] * rng.normal(size=(total, 1, 1, studies))
            y += spread[1] * rng.normal(size=(total, 2, 1, studies)) + spread[2] * rng.normal(
                size=(total, 1, 2, studies)
            )
            response = y.reshape(len(who), studies)
            model = mixed_model.fit(design, response, who)
            before = mixed_model.kenward_roger(model, design, who, np.eye(8)[7]).p
            double = y[:, 1, 1] - y[:, 1, 0] - y[:, 0, 1] + y[:, 0, 0]
            now = stats.ttest_ind(double[: n[0]], double[n[0] :], equal_var=False).pvalue
            print(
                f"| {n[0]} v {n[1]} | {name} | {(before <= 0.05).mean():.4f} | {(now <= 0.05).mean():.4f} |", flush=True
            )


def slope_before(x, y, arm, order):
    """P of the difference of slopes with one residual variance: by t, and by permutation of the partial correlation."""
    nuisance = np.stack([arm, x])
    r = float(partial_correlation.partial_correlation(arm * x, y, nuisance))
    null = partial_correlation.permuted(Observations(arm * x, y, nuisance, arm), order, "pearson")
    reached = 1 + partial_correlation.reaches(null, r).sum()
    return correlation_intervals.t_p_value(r, len(x) - 4), reached / (1 + len(order))


def relation(n, spread, rng):
    """One study: what came out of each procedure, as 0 and 1."""
    arm = np.repeat([1.0, 0.0], n)
    total, (sx, sy) = sum(n), (np.where(arm > 0, each, 1.0) for each in spread)
    x, noise = rng.normal(size=(2, total))
    adjust = arm[None]
    # The correlation in the population, arm regressed out.
    share = np.array(n) / total
    rho = 0.5 * (share[0] * spread[0] * spread[1] + share[1])
    rho /= math.sqrt((share[0] * spread[0] ** 2 + share[1]) * (share[0] * spread[1] ** 2 + share[1]))
    y = (0.5 * x + math.sqrt(0.75) * noise) * sy
    x, noise = x * sx, noise * sy
    r = float(partial_correlation.partial_correlation(x, y, adjust))
    left = [partial_correlation.residuals(each, adjust) for each in (x, y)]
    scale = correlation_intervals.by_arm_scale(*left, r, arm, 1)
    intervals = [correlation_intervals.fisher_interval(r, total, 1, scale=each) for each in (1.0, scale)]
    order = partial_correlation.orders_within(rng.random((199, total)), arm)
    null_r = float(partial_correlation.partial_correlation(x, noise, adjust))
    found = [low <= rho <= high for low, high in intervals]
    found.append(correlation_intervals.t_p_value(null_r, total - 3) <= 0.05)
    design = np.column_stack([x, np.ones(total), arm])
    found.append(arm_variances.ArmVariances(design, (1, 0, 0), arm).test(noise).p <= 0.05)
    for method in METHODS:
        observed = float(partial_correlation.statistic(x, noise, adjust, method))
        null = partial_correlation.permuted(Observations(x, noise, adjust, arm), order, method)
        found.append((1 + partial_correlation.reaches(null, observed).sum()) / 200 <= 0.05)
    sloped = 0.5 * x + noise
    found += [p <= 0.05 for p in slope_before(x, sloped, arm, order)]
    now = correlation_tests.slope_interaction(x, sloped, arm > 0, np.empty((0, total)), rng, 199)
    return [*found, now.p_t <= 0.05, now.p <= 0.05]


def relations(studies):
    """Coverage and error of correlations and of the difference of slopes."""
    rng = np.random.default_rng(1)
    heads = [
        "sizes",
        "SD ratio CBF, craving",
        "interval covers, Fisher (before) / by arm (now)",
        "p by t, one variance / by arm",
        "p by permutation, Pearson / Spearman / percentage bend",
        "slopes, p by t, before / now",
        "slopes, p by permutation, before / now",
    ]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for n in SIZES:
        for spread in ((1, 1), (1, 3), (3, 3)):
            s = np.mean([relation(n, spread, rng) for _ in range(studies)], axis=0)
            parts = [s[0:2], s[2:4], s[4:7], s[[7, 9]], s[[8, 10]]]
            cells = [" / ".join(f"{each:.3f}" for each in part) for part in parts]
            print(f"| {n[0]} v {n[1]} | {spread[0]}, {spread[1]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = parser.add_subparsers(required=True)
    for function in (endpoint, factors, relations):
        table = tables.add_parser(function.__name__, help=function.__doc__)
        table.add_argument("studies", type=int, nargs="?", default=4000)
        table.set_defaults(table=function)
        if function is endpoint:
            table.add_argument("correlation", type=float, nargs="?", default=0.5)
    arguments = vars(parser.parse_args())
    arguments.pop("table")(**arguments)
