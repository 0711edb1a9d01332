"""Error and power of the whole-brain test where the arms' variances differ: one residual variance, or one for each arm.

    python benchmarks/unequal_variances.py [studies] [relabellings]

Smooth noise in a ball of some 900 voxels, the treatment arm's standard deviation times the root of the ratio. Error: share of
studies without effect whose least family-wise p (largest |t| or |z|; cluster extent) is at most .05. Power: the same with an
effect in a ball of 33 voxels, of 3.8 standard errors of the difference of the arms' means, whatever sizes and ratio. Note: share of studies without effect in which the analysis says that the variances differ. Then the time of the
permutations by arm over that of the equal-variance engine, on 20,000 voxels, without covariates and with three.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage, special

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import (
    aspin_welch,
    clusters,
    differences,
    glm,
    maxima,
    permutation,
    relabelling,
    statistic,
    tfce,
)
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings

SHAPE, RADIUS, SMOOTH, SEED = (13, 13, 13), 6.2, 1.3, 20261128
SIZES = ((6, 6), (10, 10), (20, 20), (21, 22), (10, 30), (30, 10), (6, 30))
RATIOS = (1 / 3, 1.0, 3.0)
FORMING_P, ALPHA, EFFECT = 0.001, 0.05, 3.8


def ball(shape, radius, centre=None):
    """A ball's voxels."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    centre = (np.array(shape) - 1) / 2 if centre is None else np.array(centre)
    return np.linalg.norm(index - centre, axis=-1) < radius


def noise(rng, mask, people):
    """Smooth noise of variance 1: ndarray of shape (people, voxels)."""
    maps = np.stack([ndimage.gaussian_filter(rng.normal(size=mask.shape), SMOOTH)[mask] for _ in range(people)])
    return maps / maps.std()


def least_p(data, model, groups, orders, lattice):
    """The least family-wise p by peak and by extent, with one variance and with one for each arm; and whether it is noted."""
    fit = differences.fit(data, model)
    by_arm = aspin_welch.ByArm(fit, model, groups, ["treatment", "control"])
    own = by_arm.observed(orders)
    nulls = {
        "equal": permutation.null_distribution(
            fit,
            model,
            Relabellings(permutations=orders),
            lattice,
            MaximumStatistics(threshold=float(special.stdtrit(model.df, 1 - FORMING_P))),
        ),
        "by_arm": by_arm.null(orders, lattice, MaximumStatistics(threshold=float(-special.ndtri(FORMING_P)))),
    }
    told = statistic.note(statistic._variances(by_arm, own, by_arm.names), statistic.EQUAL)
    p = {}
    for kind, null in nulls.items():
        for name, values in (("peak", null.largest_t(two_sided=True)), ("extent", null.largest_extent(two_sided=True))):
            p[kind, name] = maxima.family_wise_p(values[:1], values)[0]
    return p, told is not None


def rates(rng, sizes, ratio, studies, relabellings):
    """Shares of studies with p <= .05: error and power of each kind and statistic, and of the note."""
    n1, n2 = sizes
    groups = np.repeat([0, 1], [n1, n2])
    x, design = (groups == 0).astype(float), np.column_stack([groups == 0, np.ones(n1 + n2)]).astype(float)
    model = glm.partial_form(x, np.ones((n1 + n2, 1)))
    mask = ball(SHAPE, RADIUS)
    lattice, spread = clusters.Lattice(mask, 18), np.where(groups == 0, np.sqrt(ratio), 1.0)[:, None]
    orders, _ = relabelling.relabellings(design, relabellings, SEED)
    planted = ball(SHAPE, 2.1)[mask] * EFFECT * np.sqrt(ratio / n1 + 1 / n2)
    error, power, noted = {}, {}, 0
    for _ in range(studies):
        data = noise(rng, mask, n1 + n2) * spread
        p, told = least_p(data, model, groups, orders, lattice)
        noted += told
        for key, value in p.items():
            error[key] = error.get(key, 0) + (value <= ALPHA + 1e-12)
        p, _ = least_p(data + x[:, None] * planted, model, groups, orders, lattice)
        for key, value in p.items():
            power[key] = power.get(key, 0) + (value <= ALPHA + 1e-12)
    return [{key: value / studies for key, value in counts.items()} for counts in (error, power)], noted / studies


def speed():
    """Seconds of 1,000 relabellings of 21 v 22 on 20,000 voxels, by arm over equal."""
    rng = np.random.default_rng(SEED)
    mask = ball((36, 36, 36), 16.9)
    groups = np.repeat([0, 1], [21, 22])
    x = (groups == 0).astype(float)
    for covariates in (0, 3):
        nuisance = np.column_stack([np.ones(43), rng.normal(size=(43, covariates))])
        model = glm.partial_form(x, nuisance)
        fit = differences.fit(np.ascontiguousarray(noise(rng, mask, 43).astype(np.float32)), model)
        lattice = clusters.Lattice(mask, 18)
        orders = np.array([np.arange(43), *(rng.permutation(43) for _ in range(999))])
        by_arm = aspin_welch.ByArm(fit, model, groups, ["treatment", "control"])
        for enhancement in (None, tfce.Enhancement(extent_power=0.5, height_power=2.0, neighbours=6, scale="t")):
            seconds = {}
            for _ in range(2):  # the first time compiles
                start = time.perf_counter()
                permutation.null_distribution(
                    fit,
                    model,
                    Relabellings(permutations=orders),
                    lattice,
                    MaximumStatistics(threshold=3.3, mass="excess", enhancement=enhancement),
                    threads=2,
                )
                seconds["equal"] = time.perf_counter() - start
                start = time.perf_counter()
                statistics = MaximumStatistics(threshold=3.1, mass="excess", enhancement=enhancement)
                by_arm.null(orders, lattice, statistics, threads=2)
                seconds["by_arm"] = time.perf_counter() - start
            what = "with TFCE" if enhancement else "peak, extent, mass"
            print(
                f"{int(mask.sum()):,} voxels, {covariates} covariates, {what}: by_arm {seconds['by_arm']:.1f} s, equal "
                f"{seconds['equal']:.1f} s, ratio {seconds['by_arm'] / seconds['equal']:.1f}"
            )


def main(studies, relabellings):
    """Print both tables."""
    print(f"{studies} studies a row, at most {relabellings} relabellings, {int(ball(SHAPE, RADIUS).sum())} voxels\n")
    print(
        "| arms | ratio | error: peak, equal | by arm | extent, equal | by arm | power: peak, equal | by arm | extent, equal | by arm | noted |"
    )
    print("|---" * 11 + "|")
    keys = [(kind, name) for name in ("peak", "extent") for kind in ("equal", "by_arm")]
    for sizes in SIZES:
        for ratio in RATIOS:
            (error, power), noted = rates(np.random.default_rng(SEED), sizes, ratio, studies, relabellings)
            cells = [f"{part[key]:.3f}" for part in (error, power) for key in keys]
            print(f"| {sizes[0]} v {sizes[1]} | {ratio:.2g} | {' | '.join(cells)} | {noted:.2f} |", flush=True)
    print()
    speed()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=1000)
    parser.add_argument("relabellings", type=int, nargs="?", default=200)
    main(**vars(parser.parse_args()))
