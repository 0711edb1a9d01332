"""CPU time of one permutation: this package against nilearn's permuted_ols, on data of a trial's size.

    python tests/benchmarks/group.py [--no-nilearn]

43 participants (21 and 22), the ICBM 2009a brain at 2 mm, smoothed noise with a person's global shift. CPU seconds
(user + system), one thread, slope between two numbers of permutations, so that loading and compilation drop out; the
median of interleaved repeats.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from pharmasl.group import clusters, glm, permutation

N, TREATED, FORMING_P = 43, 21, 0.001


def data():
    """A brain-like mask at 2 mm and differences of all participants: (X, Y, Z) bool and (V, n) float64."""
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (99, 117, 95)), indexing="ij"))
    centre, radii = np.array([49, 58, 47]), np.array([35.5, 44.5, 35.5])
    mask = (((grid - centre[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(axis=0) < 1
    rng = np.random.default_rng(0)
    maps = np.empty((int(mask.sum()), N))
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-nilearn", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    mask, maps = data()
    rng = np.random.default_rng(1)
    arm = (np.arange(N) < TREATED).astype(float)
    age, sex = rng.normal(size=N), (rng.random(N) < 0.5).astype(float)
    one = np.ones(N)
    lattice = clusters.Lattice(mask, 18)
    print(f"{N} participants, {len(maps)} voxels, clusters at p < {FORMING_P}, one thread")
    ours = {}
    for name, covariates in (("no covariate", []), ("age", [age]), ("age, sex", [age, sex])):
        nuisance = np.column_stack([one, *covariates])
        model = glm.model(arm, nuisance)
        start = time.process_time()
        fitted = glm.fit(maps.copy(), model)
        fit_time = time.process_time() - start
        threshold = float(special.stdtrit(model.df, 1 - FORMING_P))
        many, _ = permutation.relabellings(np.column_stack([arm, nuisance]), 1200, 1)

        def run(number, fitted=fitted, model=model, many=many, threshold=threshold):
            permutation.null_distribution(fitted.residuals, model, many[:number], lattice, threshold)

        run(3)
        ours[name] = slope(run, 128, 1152, arguments.repeats)
        middle, low, high = ours[name]
        print(f"pharmasl, max-T and clusters, {name:13}: {middle:7.2f} ms [{low:.2f} {high:.2f}]; fit {fit_time:.2f} s")
    print(f"peak memory so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if arguments.no_nilearn:
        return
    import nibabel
    from nilearn.maskers import NiftiMasker
    from nilearn.mass_univariate import permuted_ols

    masker = NiftiMasker(nibabel.Nifti1Image(mask.astype(np.uint8), np.diag([2, 2, 2, 1]))).fit()
    target = np.ascontiguousarray(maps.T, dtype=np.float32)
    both = {"threshold": FORMING_P, "masker": masker}
    for name, many, settings in (("max-T", 85, {}), ("max-T and clusters", 25, both)):

        def run(number, settings=settings):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                permuted_ols(arm[:, None], target, age[:, None], n_perm=number, n_jobs=1, random_state=0, **settings)

        with threadpool_limits(1):
            middle, low, high = slope(run, 5, many, arguments.repeats)
        ratio = middle / ours["age"][0]
        print(
            f"nilearn,  {name:19} age: {middle:7.2f} ms [{low:.2f} {high:.2f}]; {ratio:.0f} times ours (with clusters)"
        )


if __name__ == "__main__":
    main()
