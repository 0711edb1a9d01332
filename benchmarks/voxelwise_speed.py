"""CPU time of one relabelling: maps as covariates and F against the plain model, and nilearn's plain one, in one run.

    python benchmarks/voxelwise_speed.py [--repeats 5] [--no-peers] [--tfce] [--memory 2000 [--voxels 235375]]

The data of benchmarks/group.py (43 participants, the ICBM 2009a brain at 2 mm) with a baseline map beside it. Milliseconds of CPU (user
+ system), one thread, slope between two numbers of relabellings, models interleaved; the median of the repeats and its range.
nilearn's permuted_ols takes no voxelwise covariate: its plain model is timed. PALM does (``-evperdat``), in Octave 7.3 on another
machine: 454 ms for a plain relabelling of these sizes, stored figure.

``--memory`` tests a baseline-adjusted model of so many participants instead, and prints the peak of memory.
"""

import argparse
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy import special
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import group
from pharmasl.group import maps as group_maps
from pharmasl.group.engine import (
    clusters,
    differences,
    glm,
    permutation,
    relabelling,
    voxel_design,
    voxel_fit,
    voxel_permutation,
)
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings

N, FORMING_P, PALM_PLAIN = group.N, group.FORMING_P, 454.0
PLAIN = "plain, age"


def models(age):
    """Name to matrix, tested columns, and the maps of the columns."""
    one, arm = np.ones(N), (np.arange(N) < group.TREATED).astype(float)
    arms = [(np.arange(N) % 4 == k).astype(float) for k in (1, 2, 3)]
    base = ("baseline",)
    return {
        "baseline": (np.column_stack([one, arm, one]), [1], [(), (), base]),
        "baseline, age": (np.column_stack([one, arm, one, age]), [1], [(), (), base, ()]),
        "baseline, a second map": (np.column_stack([one, arm, one, one]), [1], [(), (), base, ("second",)]),
        "F of 2, age": (np.column_stack([one, *arms[:2], age]), [1, 2], []),
        "F of 3, age": (np.column_stack([one, *arms, age]), [1, 2, 3], []),
        "F of 2, baseline": (np.column_stack([one, *arms[:2], one]), [1, 2], [(), (), (), base]),
        "slope on the baseline": (np.column_stack([one, arm, one]), [2], [(), (), base]),
    }


def tests(mask, maps, age, settings):
    """Name to a function that draws some relabellings of a model."""
    lattice = clusters.Lattice(mask, 18)
    one, arm = np.ones(N), (np.arange(N) < group.TREATED).astype(float)
    every, _ = relabelling.relabellings(np.column_stack([np.arange(N), one]), 2000, 1)
    rng = np.random.default_rng(2)
    terms = {
        name: np.asfortranarray((0.7 * maps + 4 * rng.normal(size=maps.shape)).astype(np.float32).T)
        for name in ("baseline", "second")
    }

    def plain(*nuisance):
        model = glm.partial_form(arm, np.column_stack(nuisance))
        fit = differences.fit(maps.T, model)
        statistics = MaximumStatistics(**settings(float(special.stdtrit(model.df, 1 - FORMING_P))))
        return lambda number: permutation.null_distribution(
            fit, model, Relabellings(permutations=every[:number]), lattice, statistics
        )

    def own(matrix, tested, voxelwise):
        design = voxel_design.design(matrix, np.eye(matrix.shape[1])[tested], voxelwise)
        fit = voxel_fit.fit(design, maps.T, terms)
        statistics = MaximumStatistics(**settings(voxel_fit.forming_height(design, FORMING_P)))
        return lambda number: voxel_permutation.null_distribution(
            fit, Relabellings(permutations=every[:number]), lattice, statistics
        )

    return {
        "plain": plain(one),
        PLAIN: plain(one, age),
        **{name: own(*model) for name, model in models(age).items()},
    }


def slopes(runs, few, many, repeats):
    """Name to milliseconds of CPU a relabelling, an array of repeats; models take turns."""
    seconds = {name: np.empty(repeats) for name in runs}
    for run in runs.values():
        run(few)
    for repeat in range(repeats):
        for name, run in runs.items():
            times = []
            for number in (few, many):
                start = time.process_time()
                run(number)
                times.append(time.process_time() - start)
            seconds[name][repeat] = 1000 * (times[1] - times[0]) / (many - few)
    return seconds


def nilearn(maps, age):
    """A function that draws some relabellings by nilearn's permuted_ols of the plain model."""
    from nilearn.mass_univariate import permuted_ols

    arm, target = (np.arange(N) < group.TREATED).astype(float), np.ascontiguousarray(maps.T, dtype=np.float32)

    def run(number):
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            permuted_ols(arm[:, None], target, age[:, None], n_perm=number, n_jobs=1, random_state=0)

    return run


def show(title, seconds):
    reference = np.median(seconds[PLAIN])
    print(f"\n| {title} | ms | range | over {PLAIN} |\n|---|---|---|---|")
    for name, values in seconds.items():
        middle = np.median(values)
        print(f"| {name} | {middle:.2f} | {values.min():.2f} to {values.max():.2f} | {middle / reference:.2f} |")


def memory(people, voxels, relabellings=128):
    """Test a baseline-adjusted model of many people from files, as an analysis reads them; print time and the peak of memory."""
    rng = np.random.default_rng(0)
    edge = round(voxels ** (1 / 3))
    mask = np.ones((edge, edge, edge), dtype=bool)
    outcome, baseline = (group_maps.room(people, edge**3) for _ in range(2))
    for i in range(people):
        baseline[i] = rng.normal(60, 10, edge**3)
        outcome[i] = 0.6 * baseline[i] + rng.normal(0, 8, edge**3)
    one, arm = np.ones(people), (np.arange(people) % 2).astype(float)
    start = time.perf_counter()
    design = voxel_design.design(np.column_stack([one, arm, one]), np.eye(3)[[1]], [(), (), ("baseline",)])
    assert voxel_fit.testable(design, outcome, {"baseline": baseline}).keep.all()
    fit = voxel_fit.fit(design, outcome, {"baseline": baseline})
    print(f"{people} participants, {edge**3} voxels: fitted in {time.perf_counter() - start:.0f} s")
    start = time.perf_counter()
    orders, _ = relabelling.relabellings(np.arange(people)[:, None], relabellings, 1)
    voxel_permutation.null_distribution(
        fit,
        Relabellings(permutations=orders),
        clusters.Lattice(mask, 18),
        MaximumStatistics(threshold=3.3, mass="excess"),
        threads=2,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = time.perf_counter() - start
    print(f"{1000 * seconds / relabellings:.0f} ms a relabelling on two threads; peak memory {peak:.1f} GB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--tfce", action="store_true", help="time TFCE too")
    parser.add_argument("--memory", type=int, metavar="PARTICIPANTS")
    parser.add_argument("--voxels", type=int, default=235_375, help="of the test of memory")
    options = parser.parse_args()
    if options.memory:
        memory(options.memory, options.voxels)
        return
    mask, maps = group.data()
    age = np.random.default_rng(1).normal(size=N)
    print(f"{N} participants, {len(maps)} voxels, one thread")
    seconds = slopes(tests(mask, maps, age, lambda threshold: {}), 128, 640, options.repeats)
    if not options.no_peers:
        seconds |= slopes({"nilearn, plain": nilearn(maps, age)}, 5, 25, 1)
        seconds["PALM, plain (stored)"] = np.array([PALM_PLAIN])
    show("max-T (max-F)", seconds)
    clustered = tests(mask, maps, age, lambda threshold: {"threshold": threshold, "mass": "excess"})
    show("with extent and mass", slopes(clustered, 128, 640, options.repeats))
    if options.tfce:
        enhanced = tests(
            mask,
            maps,
            age,
            lambda threshold: {"threshold": threshold, "mass": "excess", "enhancement": group.enhancement()},
        )
        show("with TFCE", slopes(enhanced, 2, 34, 1))


if __name__ == "__main__":
    main()
