"""How often the joint test of a specification curve finds something where nothing is, and what is planted.

    python benchmarks/specification_curve.py [studies] [relabellings] [share without a good scan]

A study has 24 participants of two arms (or one arm, whose mean change is asked: signs are flipped), two sites, an age,
and 12 specifications: three noisy measures that share most of their variance (correlation about 0.8), with and without
age as covariate, all participants or those with good scans (all but 15 %). Printed are the shares of
studies with p <= 0.05 (and 0.01, 0.20) of the three joint tests, and of what one might do instead: permute everybody and
follow the permutation, in a specification, until it lands on one of its own participants (first return); count on any
one specification being significant; Stouffer's sum of z as if the specifications were independent.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.special import ndtr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.sensitivity import curve, specification_fit

PEOPLE = 24
NAMES = [f"sub-{i:02d}" for i in range(1, PEOPLE + 1)]


def study(rng, effect, exchange, heavy, missing):
    """Fits of one study's specifications; the effect is in standard deviations of the shared part."""
    arm = rng.permutation(np.repeat([0.0, 1.0], PEOPLE // 2))
    if exchange == "flip":
        arm = np.ones(PEOPLE)
    age = rng.normal(size=PEOPLE)
    draw = (lambda size: rng.standard_t(3, size=size)) if heavy else (lambda size: rng.normal(size=size))
    shared = draw(PEOPLE) + effect * arm + 0.5 * age * (exchange == "permute")
    # Of a mean the errors are symmetric, which is what flipping needs; the measures differ in scale and have noise of their own.
    measures = [scale * (shared + 0.5 * draw(PEOPLE)) for scale in (1.0, 1.3, 0.8)]
    good = rng.random(PEOPLE) > missing
    fits = []
    for response in measures:
        for adjusted in (False, True):
            for keep in (np.ones(PEOPLE, dtype=bool), good):
                columns = [age - age[keep].mean()] * adjusted + [np.ones(PEOPLE)] * (exchange == "permute")
                nuisance = np.column_stack(columns)[keep] if columns else np.empty((keep.sum(), 0))
                names = [name for name, kept in zip(NAMES, keep) if kept]
                fits.append(specification_fit.fit(names, response=response[keep], tested=arm[keep], nuisance=nuisance))
    return fits


def first_return(orders, members):
    """What permutations do to some of the permuted: each is followed until it lands on one of them."""
    place = np.full(orders.shape[1], -1)
    place[members] = np.arange(len(members))
    reached = orders[:, members]
    while (place[reached] < 0).any():
        reached = np.where(place[reached] < 0, np.take_along_axis(orders, reached, axis=1), reached)
    return place[reached]


def first_return_p(fits, blocks, number, seed):
    """P of the mean z by first-return maps."""
    everyone = sorted({name for each in fits for name in each.participants})
    members = [np.array([everyone.index(name) for name in each.participants]) for each in fits]
    df = np.array([each.df for each in fits])
    observed = specification_fit.z_of_t(np.array([each.t for each in fits]), df).mean()
    reached = 0
    for draw in curve.permutations(number, [blocks[name] for name in everyone], seed):
        t = [curve.relabelled(each, first_return(draw, who))[0] for each, who in zip(fits, members)]
        reached += (
            np.abs(specification_fit.z_of_t(np.array(t).T, df).mean(axis=1)) >= abs(observed) * (1 - 1e-9)
        ).sum()
    return reached / number


def p_values(rng, effect, exchange="permute", number=500, seed=0, heavy=False, missing=0.15, compare=True):
    """The three joint p values; if compared, also by first return, the smallest p, and Stouffer's as if independent."""
    fits = study(rng, effect, exchange, heavy, missing)
    blocks = {name: "ab"[i % 2] for i, name in enumerate(NAMES)}
    found = curve.joint(fits, curve.Relabelling(exchange=exchange, blocks=blocks, number=number, seed=seed))
    p = [found.p_median, found.p_significant, found.p_mean_z]
    if not compare:
        return p
    followed = first_return_p(fits, blocks, number, seed) if exchange == "permute" else np.nan
    z = found.mean_z * np.sqrt(len(fits))
    return [*p, followed, min(each.p for each in fits), 2 * ndtr(-abs(z))]


def main(studies, number, missing):
    """Print one line a case and test."""
    heads = ("median", "number significant", "mean z", "mean z, first return", "any one", "Stouffer as if independent")
    for effect in (0.0, 0.8):
        for exchange in ("permute", "flip"):
            for heavy in (False, True):
                start = time.process_time()
                rngs = [np.random.default_rng(k) for k in range(studies)]
                p = [p_values(rng, effect, exchange, number, k, heavy, missing) for k, rng in enumerate(rngs)]
                noise = "t(3) noise" if heavy else "normal noise"
                print(f"effect {effect}, {exchange}, {noise}; {time.process_time() - start:.0f} s")
                for head, each in zip(heads, np.array(p).T):
                    shares = ", ".join(f"p <= {a:.2f} in {100 * (each <= a).mean():.1f} %" for a in (0.01, 0.05, 0.2))
                    if not np.isnan(each).all():
                        print(f"    {head}: {shares}", flush=True)
    print(f"Monte Carlo standard error of 5 %: {100 * np.sqrt(0.05 * 0.95 / studies):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=1000)
    parser.add_argument("number", metavar="relabellings", type=int, nargs="?", default=500)
    parser.add_argument("missing", type=float, nargs="?", default=0.15)
    main(**vars(parser.parse_args()))
