"""CPU time of one permutation: this package against nilearn and the package tfce, on data of a trial's size.

    python benchmarks/group.py [--repeats 3] [--no-peers] [--calibrate 1000]

43 participants (21 and 22), the ICBM 2009a brain at 2 mm, smoothed noise with a person's global shift. CPU seconds
(user + system), one thread, slope between two numbers of permutations, so that loading and compilation drop out; the
median of interleaved repeats. All tests are of both signs. The package tfce is used where it is installed.

``--calibrate`` counts instead how often every test rejects in studies without an effect.
"""

import argparse
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy import ndimage, special
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import clusters, differences, glm, maxima, permutation, relabelling, tfce
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings

N, TREATED, FORMING_P = 43, 21, 0.001


def enhancement(neighbours=6, scale="t"):
    """As Smith and Nichols (2009) and FSL have it, with changes."""
    return tfce.Enhancement(extent_power=0.5, height_power=2.0, neighbours=neighbours, scale=scale)


def data():
    """A brain-like mask at 2 mm and differences of all participants: (X, Y, Z) bool and (V, n) float32."""
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (99, 117, 95)), indexing="ij"))
    centre, radii = np.array([49, 58, 47]), np.array([35.5, 44.5, 35.5])
    mask = (((grid - centre[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(axis=0) < 1
    rng = np.random.default_rng(0)
    maps = np.empty((int(mask.sum()), N), dtype=np.float32)
    for i in range(N):
        noise = ndimage.gaussian_filter(rng.standard_normal(mask.shape, dtype=np.float32), 8 / 2.3548 / 2)
        maps[:, i] = 6 * noise[mask] / noise[mask].std() + rng.normal(0, 2)
    return mask, maps


def slope(run, few, many, repeats):
    """Median milliseconds of CPU a permutation, and the range, from runs of ``few`` and ``many`` permutations."""
    found = []
    for _ in range(repeats):
        seconds = []
        for number in (few, many):
            start = time.process_time()
            run(number)
            seconds.append(time.process_time() - start)
        found.append(1000 * (seconds[1] - seconds[0]) / (many - few))
    return np.median(found), min(found), max(found)


def ours(mask, maps, repeats, covariates):
    """Milliseconds of each set of statistics, by name."""
    arm = (np.arange(N) < TREATED).astype(float)
    nuisance = np.column_stack([np.ones(N), *covariates])
    model = glm.partial_form(arm, nuisance)
    start = time.process_time()
    fitted = differences.fit(maps.T, model)
    print(f"pharmasl, fit with {len(covariates)} covariates: {time.process_time() - start:.2f} s")
    threshold = float(special.stdtrit(model.df, 1 - FORMING_P))
    every, _ = relabelling.relabellings(np.column_stack([arm, nuisance]), 1200, 1)
    lattice = clusters.Lattice(mask, 18)
    clustered = {"threshold": threshold, "mass": "excess"}
    found = {}
    for name, few, many, settings in (
        ("max-T", 128, 512, {}),
        ("max-T, cluster extent and mass", 128, 512, clustered),
        ("all, TFCE of 6 neighbours", 2, 34, {**clustered, "enhancement": enhancement()}),
        ("all, TFCE of 26 neighbours", 2, 18, {**clustered, "enhancement": enhancement(neighbours=26)}),
    ):

        def run(number, settings=settings):
            drawn = Relabellings(permutations=every[:number])
            permutation.null_distribution(fitted, model, drawn, lattice, MaximumStatistics(**settings))

        run(2)
        found[name] = slope(run, few, many, repeats)
        middle, low, high = found[name]
        print(f"pharmasl, {name:31}: {middle:8.2f} ms [{low:.2f} {high:.2f}]")
    print(f"peak memory so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return found


def against_nilearn(mask, maps, age, repeats, found):
    """Time nilearn's permuted_ols; its TFCE is a sum of 100 steps."""
    import nibabel
    from nilearn.maskers import NiftiMasker
    from nilearn.mass_univariate import permuted_ols

    masker = NiftiMasker(nibabel.Nifti1Image(mask.astype(np.uint8), np.diag([2, 2, 2, 1]))).fit()
    target = np.ascontiguousarray(maps.T, dtype=np.float32)
    arm = (np.arange(N) < TREATED).astype(float)
    names = list(found)
    for name, few, many, settings in (
        (names[0], 5, 45, {}),
        (names[1], 5, 25, {"threshold": FORMING_P, "masker": masker}),
        (names[2], 1, 3, {"tfce": True, "masker": masker}),
    ):

        def run(number, settings=settings):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                permuted_ols(
                    arm[:, None],
                    target,
                    age[:, None],
                    n_perm=number,
                    n_jobs=1,
                    random_state=0,
                    two_sided_test=True,
                    **settings,
                )

        with threadpool_limits(1):
            middle, low, high = slope(run, few, many, 1 if "tfce" in settings else repeats)
        ratio = middle / found[name][0]
        print(f"nilearn,  {name:31}: {middle:8.2f} ms [{low:.2f} {high:.2f}]; {ratio:.0f} times ours")


def against_tfce(mask, maps, age, repeats, found):
    """Time the package tfce: refits of its PermutedGLM, and its exact maps."""
    try:
        import tfce as package
        from tfce.glm import PermutedGLM
    except ImportError:
        print("the package tfce is not installed")
        return
    arm = (np.arange(N) < TREATED).astype(float)
    fitted = PermutedGLM(maps.astype(np.float64), np.column_stack([arm, np.ones(N), age]), np.array([1.0, 0.0, 0.0]))
    volume = np.zeros(mask.shape, dtype=np.float32)
    orders = np.random.default_rng(2).permuted(np.tile(np.arange(N), (40, 1)), axis=1)
    names = list(found)
    for name, neighbours, few, many in ((names[0], None, 2, 22), (names[2], 6, 1, 7), (names[3], 26, 1, 7)):

        def run(number, neighbours=neighbours):
            for order in orders[:number]:
                t = np.asarray(fitted.fit(order)).ravel()
                if neighbours:
                    volume[mask] = t
                    np.abs(package.tfce(volume, connectivity=neighbours, n_jobs=1)).max()

        with threadpool_limits(1):
            run(1)
            middle, low, high = slope(run, few, many, repeats)
        ratio = middle / found[name][0]
        print(f"tfce,     {name:31}: {middle:8.2f} ms [{low:.2f} {high:.2f}]; {ratio:.1f} times ours")


def calibrate(studies):
    """Share of studies without an effect in which each test rejects at 5 %."""
    n, number, shape = 13, 200, (14, 14, 12)
    mask = np.ones(shape, bool)
    mask[:2, :3] = False
    lattice = clusters.Lattice(mask, 18)
    rng = np.random.default_rng(1)
    arm, names = (np.arange(n) < 7).astype(float), ("max-T", "extent", "mass", "TFCE t", "TFCE z")
    site = np.arange(n) % 3
    # A trial's noise: normal, unequal arms, a covariate that goes with the arm.
    many, theirs = 20, (np.arange(20) < 9).astype(float)
    hits = {
        name: np.zeros(5) for name in ("normal, 9 against 11", "permuted", "permuted within sites", "signs flipped")
    }
    for study in range(studies):
        normal = ndimage.gaussian_filter(rng.normal(size=(many, *shape)), (0, 1.2, 1.2, 1.2))[:, mask]
        their_age = 40 + 6 * theirs + rng.normal(0, 8, many)
        both = np.column_stack([np.ones(many), their_age])
        age = rng.normal(40, 10, n)
        # Exchangeable and nothing else: skewed, of unequal size from person to person. Flips need symmetry.
        skewed = ndimage.gaussian_filter(rng.exponential(size=(n, *shape)), (0, 1.2, 1.2, 1.2))[:, mask]
        even = ndimage.gaussian_filter(rng.laplace(size=(n, *shape)), (0, 1.2, 1.2, 1.2))[:, mask]
        size = rng.uniform(0.5, 2, (n, 1))
        nuisance = np.column_stack([np.ones(n), age])
        with_sites = np.column_stack([nuisance, site == 1, site == 2])
        rows = np.column_stack([arm, nuisance])
        for name, values, model in (
            ("normal, 9 against 11", normal, glm.partial_form(theirs, both)),
            ("permuted", skewed, glm.partial_form(arm, nuisance)),
            ("permuted within sites", skewed + site[:, None], glm.partial_form(arm, with_sites)),
            ("signs flipped", even, glm.mean_form(np.ones(n), (age - age.mean())[:, None])),
        ):
            fitted = differences.fit(values * size if name in ("permuted", "signs flipped") else values, model)
            orders, signs = None, None
            if name == "signs flipped":
                signs = relabelling.flips(np.ones((n, 1)), number, study)[0]
            elif len(model.x) == many:
                orders = relabelling.relabellings(np.column_stack([theirs, both]), number, study)[0]
            else:
                orders = relabelling.relabellings(rows, number, study, site if "sites" in name else None)[0]
            largest = []
            for scale in ("t", "z"):
                null = permutation.null_distribution(
                    fitted,
                    model,
                    Relabellings(permutations=orders, signs=signs),
                    lattice,
                    MaximumStatistics(
                        threshold=float(special.stdtrit(model.df, 0.98)),
                        mass="excess",
                        enhancement=enhancement(scale=scale),
                    ),
                )
                largest += (
                    [
                        null.largest_t(two_sided=True),
                        null.largest_extent(two_sided=True),
                        null.largest_mass(two_sided=True),
                    ]
                    if scale == "t"
                    else []
                )
                largest.append(null.largest_tfce(two_sided=True))
            for k, values_of_one in enumerate(largest):
                hits[name][k] += maxima.family_wise_p(values_of_one[:1], values_of_one)[0] <= 0.05
    error = np.sqrt(0.05 * 0.95 / studies)
    print(f"{studies} studies, standard error {error:.4f}")
    for name, counts in hits.items():
        print(f"{name:22}", "  ".join(f"{n} {c / studies:.4f}" for n, c in zip(names, counts)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--calibrate", type=int, metavar="STUDIES")
    arguments = parser.parse_args()
    if arguments.calibrate:
        calibrate(arguments.calibrate)
        return
    mask, maps = data()
    rng = np.random.default_rng(1)
    age = rng.normal(size=N)
    print(f"{N} participants, {len(maps)} voxels, age as covariate, clusters at p < {FORMING_P}, one thread")
    found = ours(mask, maps, arguments.repeats, [age])
    if not arguments.no_peers:
        against_tfce(mask, maps, age, arguments.repeats, found)
        against_nilearn(mask, maps, age, arguments.repeats, found)


if __name__ == "__main__":
    main()
