"""What the coarse grid of the error bank changes: the same trials tested on it, and on one of twice the resolution.

    python benchmarks/bank_grid.py ERRORS [--configuration FILE ...] [--trials N] [--permutations N]

ERRORS is ``errors.npz`` of a finished replicate of ``./run validate``. Its errors are interpolated (cubic splines) to half the voxel size; trials are drawn
there, and tested as they are and by every second voxel, which is the bank's own grid. So both have the same people, flow and errors. Prints, for each
whole-brain analysis of changes and statistic, how far p differ, and in how many trials the conclusion at 0.05 does; then the largest difference between
estimates of planned regions, in standard errors.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

import numpy as np
from pharmasl.commands import validate
from pharmasl.space import resample
from pharmasl.space.images import Grid
from pharmasl.validation import bank_trial, error_maps
from pharmasl.validation.bank_tests import BankTests
from pharmasl.validation.bank_trial import BankTrial, ErrorBank
from pharmasl.validation.error_maps import ErrorMaps
from scipy import ndimage


def halved(maps: ErrorMaps) -> ErrorMaps:
    """Errors on a grid of half the voxel size whose every second voxel is one of theirs."""
    shape = tuple(2 * n - 1 for n in maps.grid.shape)
    step = np.diag([0.5, 0.5, 0.5, 1.0])
    grid = Grid(shape, maps.grid.affine @ step)
    # Within the old mask, so that every second voxel is in both.
    mask = np.zeros(shape, dtype=bool)
    mask[::2, ::2, ::2] = maps.mask
    mask |= ndimage.zoom(maps.mask.astype(np.float32), [n / o for n, o in zip(shape, maps.mask.shape)], order=1) > 0.5
    mask[::2, ::2, ::2] = maps.mask
    nearest = ndimage.distance_transform_edt(~maps.mask, return_distances=False, return_indices=True)
    where = np.argwhere(mask).T / 2
    errors = np.empty((len(maps.errors), int(mask.sum())), dtype=np.float32)
    for row, values in zip(errors, maps.errors):
        volume = np.zeros(maps.mask.shape, dtype=np.float32)
        volume[maps.mask] = np.nan_to_num(values)
        row[:] = ndimage.map_coordinates(volume[tuple(nearest)], where, order=3, mode="nearest")
    grey = np.zeros(maps.mask.shape, dtype=np.float32)
    grey[maps.mask] = maps.grey
    return ErrorMaps(maps.scans, errors, mask, grid, ndimage.map_coordinates(grey, where, order=1) > 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("errors", type=Path)
    parser.add_argument("--configuration", nargs="+", type=Path, default=[ROOT / "config/twin.yaml"])
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--permutations", type=int, default=500)
    options = parser.parse_args()
    variant = validate.variant_of(validate.PLAIN, options.configuration, ROOT / "config/twin")
    # Analyses of changes: those that take a map as a term are slow at this resolution, and tell the same.
    kept = {name: one for name, one in variant.study.analyses.items() if not one.kind.takes_baseline and not one.seeds}
    study = replace(variant.study, analyses=kept, primary=None)
    coarse_maps = error_maps.read(options.errors)
    fine_maps = halved(coarse_maps)
    fine, coarse = (
        ErrorBank(maps, study, variant.trial, variant.person, options.permutations) for maps in (fine_maps, coarse_maps)
    )
    truth = fine.truth()
    tests = BankTests(fine, truth), BankTests(coarse, coarse.truth())
    every = np.zeros(fine_maps.mask.shape, dtype=bool)
    every[::2, ::2, ::2] = True
    chosen = every[fine_maps.mask]
    differences: dict[tuple[str, str], list[tuple[float, float]]] = {}
    shifts: dict[tuple[str, str], list[float]] = {}
    for seed in range(variant.trial.seed, variant.trial.seed + options.trials):
        trial = bank_trial.draw(fine, truth, seed)
        people = {who: {scan: values[chosen] for scan, values in own.items()} for who, own in trial.maps.items()}
        thinned = BankTrial(participants=trial.participants, craving=trial.craving, maps=people)
        first, second = tests[0].test(trial, scaled=False), tests[1].test(thinned, scaled=False)
        for one, other in zip(first.answers, second.answers):
            for name, p in one.least_p.items():
                if len(one.least_p) > 1:
                    differences.setdefault((one.analysis, name), []).append((p, other.least_p[name]))
        for one, other in zip(first.regions, second.regions):
            error = (one.high - one.low) / 4
            shifts.setdefault((one.analysis, one.region), []).append(abs(one.estimate - other.estimate) / error)
    print(
        f"{options.trials} trials; voxels {resample.voxel_sizes(fine_maps.grid.affine)[0]:g} and "
        f"{resample.voxel_sizes(coarse_maps.grid.affine)[0]:g} mm, {fine_maps.mask.sum():,} and {coarse_maps.mask.sum():,}\n"
    )
    print(
        "| analysis | statistic | fine | coarse | largest difference | conclusions that differ |\n|---|---|---|---|---|---|"
    )
    for (analysis, name), pairs in differences.items():
        p = np.array(pairs)
        words = [" ".join(f"{value:.3f}" for value in column) for column in p.T]
        turned = int(((p[:, 0] <= 0.05) != (p[:, 1] <= 0.05)).sum())
        print(f"| {analysis} | {name} | {words[0]} | {words[1]} | {np.abs(p[:, 0] - p[:, 1]).max():.3f} | {turned} |")
    print("\n| analysis | region | largest difference of estimates, standard errors |\n|---|---|---|")
    for (analysis, region), own in shifts.items():
        print(f"| {analysis} | {region} | {max(own):.2f} |")


if __name__ == "__main__":
    main()
