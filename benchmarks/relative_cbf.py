"""What relative CBF and a global covariate change of the effect that a trial can detect, on maps with the noise of the literature.

    python benchmarks/relative_cbf.py [studies]

A trial of 21 + 22 people, scanned at rest twice, in a ball of 5 mm voxels about as large as a brain. CBF of 50 mL/100 g/min varies
between people and sessions as published (SD 12.3, intraclass correlation .69, within-person coefficient of variation 13.6 %; Mezue
2014, Chen 2011, Jain 2012, Steketee 2015); half of the variance within a person is global, a factor of the whole scan, the rest is
local with a smoothness of 10 mm. Treatment raises CBF at follow-up in a sphere of 12 mm radius. The same noise serves all effects
and all treatments of the maps. A study finds the effect if a significant voxel (or a voxel of a significant cluster) lies in
the sphere. With 40 studies a power of .8 has a standard error of .06.

Printed: power by effect, the effect with a power of .8 by linear interpolation, the critical values, and the size of the
effect itself (its mean in the sphere), which relative CBF makes smaller by the share of the brain that responds.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage, special

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.contrasts.scaling import Reference, RelativeCbf
from pharmasl.group.engine import clusters, glm, maxima, permutation, relabelling, tfce
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings
from pharmasl.study.settings import Scaling

ARMS, SEED = (21, 22), 20261128
VOXEL, RADIUS, SPHERE = 5.0, 57.0, 12.0
MEAN, SD, ICC, GLOBAL_SHARE, FWHM = 50.0, 12.3, 0.69, 0.5, 10.0
EFFECTS = (5, 7, 9, 11, 13, 15)
RELABELLINGS, FORMING_P, ALPHA = 200, 0.001, 0.05
STATISTICS = ("voxel", "extent", "tfce")
METHODS = ("absolute", "proportional", "additive", "global covariate")
ENHANCEMENT = tfce.Enhancement(extent_power=0.5, height_power=2.0, neighbours=6, scale="t")


def ball():
    """The brain and the sphere that responds, off its centre: ndarray of bool each."""
    side = int(2 * RADIUS / VOXEL) + 3
    index = np.stack(np.meshgrid(*[np.arange(side) * VOXEL] * 3, indexing="ij"), axis=-1)
    centre = (side - 1) / 2 * VOXEL
    brain = np.linalg.norm(index - centre, axis=-1) <= RADIUS
    return brain, np.linalg.norm(index - (centre + np.array([25.0, 10.0, 15.0])), axis=-1) <= SPHERE


def field(rng, shape):
    """Smooth noise of standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), FWHM / 2.3548 / VOXEL, mode="wrap")
    return noise / noise.std()


def scans(rng, brain):
    """CBF of all people at both sessions without an effect: ndarray of shape (people, 2, X, Y, Z)."""
    within = SD * np.sqrt(1 - ICC)
    common, local = within * np.sqrt(GLOBAL_SHARE), within * np.sqrt(1 - GLOBAL_SHARE)
    between = SD * np.sqrt(ICC)
    maps = np.empty((sum(ARMS), 2, *brain.shape))
    for person in maps:
        own = MEAN + between * np.sqrt(0.5) * (rng.normal() + field(rng, brain.shape))
        for session in person:
            session[...] = own * (1 + common / MEAN * rng.normal()) + local * field(rng, brain.shape)
    return maps


def changes(maps, method, brain):
    """Changes in the brain, shape (voxels, people), and the change of global CBF where it is a covariate."""
    if method in ("proportional", "additive"):
        relative = RelativeCbf(
            wanted=Scaling(scaling=method, reference="brain"),
            reference=Reference(name="brain", voxels=brain),
            minimum_coverage=0.5,
        )
        nothing = np.zeros(brain.shape)
        maps = np.array([[relative.scale(scan, nothing, brain).cbf for scan in person] for person in maps])
    values = (maps[:, 1] - maps[:, 0])[:, brain].T
    return np.ascontiguousarray(values), values.mean(axis=0) if method == "global covariate" else None


def found(maps, method, brain, sphere):
    """Whether each statistic is significant in the sphere, the critical values, and the effect's mean there."""
    people = sum(ARMS)
    arm = (np.arange(people) < ARMS[0]).astype(float)
    values, covariate = changes(maps, method, brain)
    nuisance = np.ones((people, 1))
    if covariate is not None:
        nuisance = np.column_stack([nuisance, covariate - covariate.mean()])
    model = glm.partial_form(arm, nuisance)
    fit = glm.fit(values, model)
    orders, _ = relabelling.relabellings(np.column_stack([arm, nuisance]), RELABELLINGS, SEED)
    threshold = float(special.stdtrit(model.df, 1 - FORMING_P))
    lattice = clusters.Lattice(brain, 18)
    statistics = MaximumStatistics(threshold=threshold, enhancement=ENHANCEMENT)
    null = permutation.null_distribution(
        fit.residuals, model, Relabellings(permutations=orders), lattice, statistics, threads=1
    )
    inside = sphere[brain]
    labels, sizes = clusters.label(fit.t, threshold, lattice)
    reached = np.unique(labels[inside & (labels > 0)])
    observed = {
        "voxel": np.abs(fit.t[inside]).max(),
        "extent": max((sizes[label - 1] for label in reached), default=0),
        "tfce": np.abs(tfce.enhance(fit.t, brain, ENHANCEMENT)[inside]).max(),
    }
    largest = {"voxel": null.largest_t(True), "extent": null.largest_extent(True), "tfce": null.largest_tfce(True)}
    is_found = {name: bool(maxima.family_wise_p(observed[name], largest[name]) <= ALPHA) for name in STATISTICS}
    critical = {name: float(np.quantile(largest[name], 1 - ALPHA)) for name in STATISTICS}
    return is_found, critical, float(fit.effect[inside].mean())


def detectable(power):
    """The effect with a power of .8, by linear interpolation; NaN beyond the effects."""
    power = np.maximum.accumulate(power)
    if power[-1] < 0.8:
        return np.nan
    return float(np.interp(0.8, power, EFFECTS))


def main(studies):
    """Print the tables."""
    brain, sphere = ball()
    rng = np.random.default_rng(SEED)
    power = {method: {name: np.zeros(len(EFFECTS)) for name in STATISTICS} for method in METHODS}
    critical = {method: {name: [] for name in STATISTICS} for method in METHODS}
    sizes = {method: [] for method in METHODS}
    for _ in range(studies):
        maps = scans(rng, brain)
        for place, effect in enumerate(EFFECTS):
            treated = maps.copy()
            treated[: ARMS[0], 1] += effect * sphere
            for method in METHODS:
                is_found, limits, size = found(treated, method, brain, sphere)
                sizes[method].append(size / effect)
                for name in STATISTICS:
                    power[method][name][place] += is_found[name] / studies
                    critical[method][name].append(limits[name])
    print(
        f"{studies} studies of {ARMS[0]} + {ARMS[1]} people, {brain.sum():,} voxels, {sphere.sum()} of them respond\n"
    )
    print(f"| CBF | statistic | {' | '.join(f'{effect:g}' for effect in EFFECTS)} | 80 % | critical value |")
    print("|---" * (len(EFFECTS) + 4) + "|")
    for method in METHODS:
        for name in STATISTICS:
            cells = " | ".join(f"{value:.2f}" for value in power[method][name])
            limit = np.mean(critical[method][name])
            print(f"| {method} | {name} | {cells} | {detectable(power[method][name]):.1f} | {limit:.3g} |")
    words = ", ".join(f"{method} {np.mean(sizes[method]):.2f}" for method in METHODS)
    print(f"\nThe effect in the sphere, per mL/100 g/min planted: {words}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=40)
    main(**vars(parser.parse_args()))
