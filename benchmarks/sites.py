"""What sites cost: as fixed blocks, ignored, or harmonised by ComBat before the test.

    python benchmarks/sites.py [trials]

Changes of 21 + 22 people at several sites, in 200 independent voxels per trial. Sites differ in their mean by no or by one residual
SD, and in their SD by up to a half; people are allocated within sites (stratified), or without regard to them (simple). The arms'
difference is tested with site as a term (`fixed`, as `site:` has it), without (`ignored`) and, where neuroCombat can be imported
(pip install neuroCombat), after ComBat that preserves the arm, or does not know it, without a term for site (`ComBat, arm kept`,
`ComBat, arm unknown`).

Printed: the rate of p <= .05 without an effect, and the power for an effect that a trial of one site finds with .8.
"""

import argparse
import contextlib
import io
import warnings

import numpy as np
from scipy import stats

try:
    import pandas as pd
    from neuroCombat import neuroCombat
except ImportError:
    neuroCombat = None

ARMS, VOXELS, SEED = (21, 22), 200, 20261128
SITES, SHIFTS, ALPHA, POWER = (2, 4, 8), (0.0, 1.0), 0.05, 0.8


def detectable():
    """The effect, in residual SD, that a trial of one site finds with power .8."""
    n, df = sum(ARMS), sum(ARMS) - 2
    scale = np.sqrt(1 / ARMS[0] + 1 / ARMS[1])
    critical = stats.t.ppf(1 - ALPHA / 2, df)
    sizes = np.linspace(0.5, 1.5, 10001)
    power = stats.nct.sf(critical, df, sizes / scale) + stats.nct.cdf(-critical, df, sizes / scale)
    return float(sizes[np.argmax(power >= POWER)]), n


def layout(rng, sites, stratified):
    """Site and arm of each person."""
    site = np.sort(np.arange(sum(ARMS)) % sites)
    if not stratified:
        return site, rng.permutation(np.arange(sum(ARMS)) < ARMS[0]).astype(float)
    # In each site half of the people, the odd ones in turn: the arms' sizes come out as they should.
    arm, odd = np.zeros(sum(ARMS)), 0
    for place in range(sites):
        own = rng.permutation(np.flatnonzero(site == place))
        half = len(own) // 2 + (len(own) % 2) * (odd % 2)
        odd += len(own) % 2
        arm[own[:half]] = 1
    return site, arm


def p_values(values, arm, others):
    """Two-sided p of the arms' difference in every voxel; ``values`` has shape (n, voxels)."""
    design = np.column_stack([arm, others])
    inverse = np.linalg.pinv(design.T @ design)
    fitted = inverse @ design.T @ values
    residual = values - design @ fitted
    df = len(arm) - np.linalg.matrix_rank(design)
    error = np.sqrt((residual**2).sum(axis=0) / df * inverse[0, 0])
    return 2 * stats.t.sf(np.abs(fitted[0] / error), df)


def harmonised(values, site, arm):
    """The values after ComBat, which preserves the arm where it is given."""
    covariates = {"site": site} | ({} if arm is None else {"arm": arm})
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pd.DataFrame(covariates)
        kept = [] if arm is None else ["arm"]
        return neuroCombat(dat=values.T, covars=frame, batch_col="site", categorical_cols=kept)["data"].T


def rates(rng, sites, shift, stratified, effect, trials):
    """The share of p <= .05 by each way."""
    totals = {}
    for _ in range(trials):
        site, arm = layout(rng, sites, stratified)
        spread = 1 + 0.5 * np.linspace(0, 1, sites)
        spread /= np.sqrt(np.mean(spread[site] ** 2))
        values = rng.normal(size=(len(site), VOXELS)) * spread[site][:, None]
        values += shift * rng.normal(size=(sites, VOXELS))[site] + effect * arm[:, None]
        ones, blocks = np.ones((len(site), 1)), np.eye(sites)[site]
        tested = {"fixed": (values, blocks), "ignored": (values, ones)}
        if neuroCombat is not None:
            tested["ComBat, arm kept"] = (harmonised(values, site, arm), ones)
            tested["ComBat, arm unknown"] = (harmonised(values, site, None), ones)
        for name, (data, others) in tested.items():
            totals[name] = totals.get(name, 0) + np.mean(p_values(data, arm, others) <= ALPHA) / trials
    return totals


def main(trials):
    """Print the table."""
    effect, n = detectable()
    print(f"{n} people, {trials} trials of {VOXELS} voxels a row; effect {effect:.3f} residual SD\n")
    print("| sites | differ by (SD) | allocation | way | p <= .05 without an effect | power |")
    print("|---|---|---|---|---|---|")
    for sites in SITES:
        for shift in SHIFTS:
            for stratified in (True, False):
                rng = np.random.default_rng(SEED)
                null = rates(rng, sites, shift, stratified, 0.0, trials)
                power = rates(rng, sites, shift, stratified, effect, trials)
                words = "within sites" if stratified else "simple"
                for name in null:
                    cells = f"{null[name]:.3f} | {power[name]:.2f}"
                    print(f"| {sites} | {shift:g} | {words} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=200)
    main(**vars(parser.parse_args()))
