"""What adjusting for the baseline gives a randomised trial: change scores, ANCOVA and the follow-up alone.

    python benchmarks/baseline_power.py values [trials]
    python benchmarks/baseline_power.py maps [studies] [relabellings]

Simulated trials of 21 + 22 people in two sessions, with standard deviation 1 in each and a correlation between them of 0 to .9.
``values`` takes one number per person and session: the variance of the estimated difference between the arms, error, and power for the effect
that ANCOVA finds in 80 % of trials, each beside its closed form. ``maps`` takes smooth maps with the volume of a brain at 4 mm,
the same correlation at each voxel, and an effect in a sphere of 12 mm: power is the share of studies in which the sphere has a
voxel with a family-wise p of at most .05 by the largest |t|.

Closed forms (Frison and Pocock 1992, Statistics in Medicine 11:1685): the residual standard deviation of a change is sqrt(2 (1 - r)),
with N - 2 degrees of freedom; with the baseline as covariate sqrt(1 - r^2), with N - 3, and a standard error that is sqrt(1 + 1 / (N - 4)) times
as large, since the arms differ at baseline by chance; of the follow-up alone 1, with N - 2. Power is by the noncentral t.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage, optimize, stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import clusters, maxima, relabelling, voxel_design, voxel_fit, voxel_permutation
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings

SIZES, CORRELATIONS, ALPHA, SEED = (21, 22), (0.0, 0.1, 0.3, 0.5, 0.7, 0.9), 0.05, 20261128
NAMES = ("change", "ancova", "followup")
LABELS = {"change": "change", "ancova": "ANCOVA", "followup": "follow-up alone"}
BATCH = 10_000
# Maps: a ball with a brain's volume in voxels of 4 mm, smooth by 10 mm; where the effect is, and its size in ANCOVA's standard errors.
SHAPE, RADIUS, SMOOTH, PLACE, NONCENTRALITY = 41, 19.0, 10 / 4 / 2.355, (6, 8, 4), 3.8


def closed_forms(r):
    """Standard error of the arms' difference and degrees of freedom of each analysis."""
    people = sum(SIZES)
    arms = np.sqrt(1 / SIZES[0] + 1 / SIZES[1])
    return {
        "change": (arms * np.sqrt(2 * (1 - r)), people - 2),
        "ancova": (arms * np.sqrt((1 - r**2) * (1 + 1 / (people - 4))), people - 3),
        "followup": (arms, people - 2),
    }


def power(effect, error, df):
    """Two-sided power of a t test; the other tail of scipy's noncentral t is NaN where it is next to nothing."""
    critical = stats.t.ppf(1 - ALPHA / 2, df)
    return stats.nct.sf(critical, df, effect / error) + np.nan_to_num(stats.nct.cdf(-critical, df, effect / error))


def effect_of(r, wanted=0.8):
    """The effect that ANCOVA finds with this power."""
    error, df = closed_forms(r)["ancova"]
    return optimize.brentq(lambda effect: power(effect, error, df) - wanted, error, 5 * error)


def t_tests(before, after, arm):
    """Estimates and t of the three analyses: by name, ndarray of shape (2, trials); data are (people, trials)."""
    x = arm - arm.mean()
    first, second = (session - session.mean(axis=0) for session in (before, after))
    found = {}
    for name, outcome in (("change", second - first), ("followup", second)):
        estimate = x @ outcome / (x @ x)
        square = (outcome**2).sum(axis=0) - estimate**2 * (x @ x)
        found[name] = estimate, estimate / np.sqrt(square / (len(arm) - 2) / (x @ x))
    # Both regressors at once: the arm's column with the baseline taken out.
    slope = x @ first / (first**2).sum(axis=0)
    own = x[:, None] - slope * first
    size = (own**2).sum(axis=0)
    estimate = (own * second).sum(axis=0) / size
    rest = second - first * ((first * second).sum(axis=0) / (first**2).sum(axis=0)) - own * estimate
    found["ancova"] = estimate, estimate / np.sqrt((rest**2).sum(axis=0) / (len(arm) - 3) / size)
    return found


def simulated(rng, r, trials):
    """Variance of each estimate, error and power, over simulated trials."""
    arm = np.repeat([1.0, 0.0], SIZES)
    effect, forms = effect_of(r), closed_forms(r)
    critical = {name: stats.t.ppf(1 - ALPHA / 2, df) for name, (_, df) in forms.items()}
    estimates, wrong, right = ({name: [] for name in NAMES} for _ in range(3))
    for start in range(0, trials, BATCH):
        first, other = rng.normal(size=(2, len(arm), min(BATCH, trials - start)))
        after = r * first + np.sqrt(1 - r**2) * other
        null, shifted = t_tests(first, after, arm), t_tests(first, after + effect * arm[:, None], arm)
        for name in NAMES:
            estimates[name].append(null[name][0])
            wrong[name].append(np.abs(null[name][1]) > critical[name])
            right[name].append(np.abs(shifted[name][1]) > critical[name])
    return (
        {name: np.concatenate(values).var() for name, values in estimates.items()},
        *({name: np.concatenate(values).mean() for name, values in counts.items()} for counts in (wrong, right)),
    )


def values(trials):
    """Print the table of one number per person and session."""
    print(f"{trials:,} trials a row; standard error of a power of .8: {np.sqrt(0.16 / trials):.4f}\n")
    heads = ["r", "change / ANCOVA", "2 / (1 + r)", "with the slope's cost", "follow-up / ANCOVA", "closed"]
    heads += [f"power, {LABELS[name]}" for name in NAMES] + ["error, ANCOVA"]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for r in CORRELATIONS:
        variance, error, shown = simulated(np.random.default_rng([SEED, round(10 * r)]), r, trials)
        forms, effect = closed_forms(r), effect_of(r)
        closed = {name: form[0] ** 2 for name, form in forms.items()}
        cells = [f"{r:.1f}", f"{variance['change'] / variance['ancova']:.2f}", f"{2 / (1 + r):.2f}"]
        cells += [f"{closed['change'] / closed['ancova']:.2f}", f"{variance['followup'] / variance['ancova']:.2f}"]
        cells += [f"{closed['followup'] / closed['ancova']:.2f}"]
        cells += [f"{shown[name]:.3f} ({power(effect, *forms[name]):.3f})" for name in NAMES]
        cells += [f"{error['ancova']:.4f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def ball(radius, centre=(0, 0, 0)):
    """The voxels of a ball: ndarray of bool."""
    index = np.stack(np.meshgrid(*[np.arange(SHAPE) - SHAPE // 2] * 3, indexing="ij"), axis=-1)
    return np.linalg.norm(index - np.array(centre), axis=-1) < radius


def noise(rng, mask, people):
    """Smooth maps of standard deviation 1: ndarray of shape (people, voxels), float32."""
    maps = [ndimage.gaussian_filter(rng.normal(size=mask.shape), SMOOTH)[mask] for _ in range(people)]
    return (np.array(maps) / np.std(maps)).astype(np.float32)


def significant(outcome, matrix, maps, orders, lattice):
    """Where the family-wise p of the largest |t| is at most .05: ndarray of bool, shape (voxels,)."""
    weights = np.eye(matrix.shape[1])[:1]
    columns = [()] * 2 + [("baseline",)] * (matrix.shape[1] - 2)
    fit = voxel_fit.fit(voxel_design.design(matrix, weights, columns), outcome, maps)
    null = voxel_permutation.null_distribution(fit, Relabellings(permutations=orders), lattice, MaximumStatistics())
    return maxima.family_wise_p(np.abs(fit.height), null.largest_t(two_sided=True)) <= ALPHA


def maps(studies, relabellings):
    """Print the table of whole maps."""
    rng, mask, arm = np.random.default_rng(SEED), ball(RADIUS), np.repeat([1.0, 0.0], SIZES)
    sphere, lattice = ball(3.0, PLACE)[mask], clusters.Lattice(mask, 18)
    pair = np.column_stack([arm, np.ones_like(arm)])
    three = np.column_stack([pair, np.ones_like(arm)])
    orders, _ = relabelling.relabellings(pair, relabellings, SEED)
    found = {(r, name): np.zeros(2) for r in CORRELATIONS for name in NAMES}
    for _ in range(studies):
        before, other = noise(rng, mask, len(arm)), noise(rng, mask, len(arm))
        for r in CORRELATIONS:
            effect = NONCENTRALITY * closed_forms(r)["ancova"][0]
            after = np.float32(r) * before + np.float32(np.sqrt(1 - r**2)) * other
            after += (effect * np.outer(arm, sphere)).astype(np.float32)
            asked = {"change": (after - before, pair, {}), "ancova": (after, three, {"baseline": before})}
            asked["followup"] = (after, pair, {})
            for name, (outcome, matrix, terms) in asked.items():
                called = significant(outcome, matrix, terms, orders, lattice)
                found[r, name] += [called[sphere].any(), called[~sphere].any()]
    print(f"{studies} studies, {int(mask.sum()):,} voxels, {relabellings} relabellings\n")
    print(
        "| r | effect | "
        + " | ".join(f"{LABELS[name]}: found / elsewhere" for name in NAMES)
        + " |\n|---|---|---|---|---|"
    )
    for r in CORRELATIONS:
        effect = NONCENTRALITY * closed_forms(r)["ancova"][0]
        cells = [" / ".join(f"{share:.2f}" for share in found[r, name] / studies) for name in NAMES]
        print(f"| {r:.1f} | {effect:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = parser.add_subparsers(required=True)
    table = tables.add_parser("values", help=values.__doc__)
    table.add_argument("trials", type=int, nargs="?", default=200_000)
    table.set_defaults(table=values)
    table = tables.add_parser("maps", help=maps.__doc__)
    table.add_argument("studies", type=int, nargs="?", default=200)
    table.add_argument("relabellings", type=int, nargs="?", default=200)
    table.set_defaults(table=maps)
    arguments = vars(parser.parse_args())
    arguments.pop("table")(**arguments)
