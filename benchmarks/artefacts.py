"""What the rules against artefacts cost on clean series, what they gain on contaminated ones, and their time.

    python benchmarks/artefacts.py [--seeds 20] [--peer aslprep/interfaces/cbf_computation.py] [--rendered]

Simulated repeats on 4000 voxels: grey 60, white 20, fluid 0 mL/100 g/min, noise of 30, perfusion that varies by 5 %
from repeat to repeat. A bad repeat holds an offset, or a smooth pattern of either sign, and its displacement is 0.3 to
3 mm, a good one's 0.05 to 0.4. "Losing" is good repeats dropped a scan, "catching" the share of bad ones dropped. With
--peer, the SCORE and SCRUB of a file of ASLPrep are read from it and run on the same series. With --rendered, heads are
rendered in known poses in a static receive field, realigned by this package, and the motion regression is put to them.
"""

import argparse
import ast
import contextlib
import io
import sys
import time
import types
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests"))

import head
from perfusion_settings import quantification
from pharmasl.perfusion import artefacts, kinetics, motion, nuisance, robust_average
from pharmasl.space import spline, transforms


def ruled(rule):
    """The settings of outliers with one rule in force, or none."""
    return quantification(outliers={"rules": [] if rule == "none" else [rule]}).outliers


# Name: repeats, share of bad ones, offset, amplitude of the pattern (mL/100 g/min).
SCENARIOS = {
    "clean": (30, 0.0, 0, 0),
    "clean, 100 repeats": (100, 0.0, 0, 0),
    "one spike of 12": (12, 1 / 12, 60, 150),
    "10 % offset": (30, 0.1, 60, 50),
    "10 % pattern": (30, 0.1, 0, 150),
    "10 % strong pattern": (30, 0.1, 0, 500),
    "25 % mixed": (40, 0.25, 40, 250),
}
RESULTS = (
    "{:22} {:16} good lost {:5.2f}  bad caught {:>5}  grey mean off by {:6.2f} %  voxel error {:6.2f} mL/100 g/min"
)


def tissue_shares(voxels):
    found = np.zeros((3, voxels))
    parts = np.array_split(np.arange(voxels), 20)
    for k, where in ((0, parts[:7]), (1, parts[7:12]), (2, parts[12:14])):
        found[k, np.concatenate(where)] = 1.0
    mixed = np.concatenate(parts[14:])
    found[0, mixed] = np.linspace(0.1, 0.9, len(mixed))
    found[1, mixed] = 1 - found[0, mixed]
    return found


def simulate(rng, scenario, shares):
    repeats, share, offset, amplitude = scenario
    truth = 60 * shares[0] + 20 * shares[1]
    voxels = len(truth)
    series = truth[:, None] * (1 + 0.05 * rng.standard_normal(repeats)) + rng.normal(0, 30, (voxels, repeats))
    bad = np.zeros(repeats, dtype=bool)
    bad[rng.choice(repeats, round(share * repeats), replace=False)] = True
    course = np.linspace(0, 1, voxels)
    for i in np.flatnonzero(bad):
        pattern = np.sin(2 * np.pi * (rng.uniform(3, 12) * course + rng.random()))
        series[:, i] += offset + amplitude * rng.choice([-1, 1]) * pattern
    displacement = np.where(bad, rng.uniform(0.3, 3, repeats), rng.uniform(0.05, 0.4, repeats))
    return series, truth, bad, displacement


def peers(path):
    """SCORE and SCRUB of ASLPrep as functions of (series, gm, wm, csf); a name that has left scipy is put back."""
    wanted = ("_weightfun", "_tune", "_getchisquare", "_getcbfscore", "_roubustfit", "_robust_fit", "_scrubcbf")
    tree = ast.parse(Path(path).read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    if not hasattr(stats, "median_absolute_deviation"):
        stats.median_absolute_deviation = lambda x: stats.median_abs_deviation(x) * 1.4826
    loggers = types.SimpleNamespace(utils=types.SimpleNamespace(warning=lambda text: None))
    names = {
        "np": np,
        "median_abs_deviation": stats.median_abs_deviation,
        "config": types.SimpleNamespace(loggers=loggers),
    }
    exec(compile(tree, str(path), "exec"), names)

    def volume(values):
        return np.array(values, dtype=float).reshape(len(values), 1, 1, *np.shape(values)[1:])

    def score(series, gm, wm, csf):
        mask = np.ones((len(gm), 1, 1))
        index = names["_getcbfscore"](volume(series), volume(wm), volume(gm), volume(csf), mask, 0.7)[1]
        return index == 0

    def scrub(series, gm, wm, csf):
        mask = np.ones((len(gm), 1, 1))
        with contextlib.redirect_stdout(io.StringIO()):
            return names["_scrubcbf"](volume(series), volume(gm), volume(wm), volume(csf), mask).ravel()

    return score, scrub


def contaminations(seeds, peer):
    shares = tissue_shares(4000)
    grey = shares[0] > 0.9
    for name, scenario in SCENARIOS.items():
        found = {}
        for seed in range(seeds):
            series, truth, bad, displacement = simulate(np.random.default_rng(seed), scenario, shares)
            everything = np.ones(len(bad), dtype=bool)

            def note(method, kept, mean, bad=bad, truth=truth, found=found):
                caught = (bad & ~kept).sum() / bad.sum() if bad.any() else np.nan
                level = 100 * abs(mean[grey].mean() / truth[grey].mean() - 1)
                error = np.sqrt(np.mean((mean - truth) ** 2))
                found.setdefault(method, []).append(((~bad & ~kept).sum(), caught, level, error))

            for rule in ("none", "motion", "score", "enable"):
                kept = artefacts.choose(series, tuple(shares), displacement=displacement, outliers=ruled(rule)).kept
                note(rule, kept, series[:, kept].mean(axis=1))
                if rule == "score":
                    prior = robust_average.tissue_prior(series, kept, *shares)
                    note("score + robust", kept, robust_average.mean(series, kept)[0])
                    note("score + prior", kept, robust_average.mean(series, kept, prior=prior)[0])
            note("robust", everything, robust_average.mean(series)[0])
            if peer:
                kept = peer[0](series, *shares)
                note("ASLPrep SCORE", kept, series[:, kept].mean(axis=1))
                if kept.sum() <= 100:
                    note("ASLPrep SCRUB", kept, peer[1](series[:, kept], *shares))
        for method, rows in found.items():
            good, caught, level, error = np.mean(rows, axis=0)
            print(RESULTS.format(name, method, good, "" if np.isnan(caught) else f"{caught:.2f}", level, error))


def seconds(function, repeats=3):
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def cost(peer, voxels=25000, repeats=50):
    shares = tissue_shares(voxels)
    series, _, _, displacement = simulate(np.random.default_rng(0), (repeats, 0.1, 0, 500), shares)
    kept = np.ones(repeats, dtype=bool)
    pairs = np.arange(2 * repeats).reshape(-1, 2)
    position = np.cumsum(np.random.default_rng(1).normal(0, 0.1, (2 * repeats, 6)) / [1, 1, 1, 50, 50, 50], axis=0)
    timed = {
        "choose (every detector)": lambda: artefacts.choose(
            series, tuple(shares), displacement=displacement, outliers=ruled("score")
        ),
        "robust mean": lambda: robust_average.mean(series, kept),
        "robust mean with prior": lambda: robust_average.mean(
            series, kept, prior=robust_average.tissue_prior(series, kept, *shares)
        ),
        "motion regression": lambda: nuisance.regress(series, position, pairs),
    }
    if peer:
        timed["ASLPrep SCORE"] = lambda: peer[0](series, *shares)
        timed["ASLPrep SCRUB"] = lambda: peer[1](series, *shares)
    measured = {name: seconds(function) for name, function in timed.items()}
    for name, value in measured.items():
        print(f"{voxels} voxels x {repeats} repeats: {name:24} {value:.3f} s of CPU")
    if peer:
        ratio = measured["ASLPrep SCORE"] / measured["choose (every detector)"]
        print(f"ASLPrep's SCORE takes {ratio:.1f} times as long as every detector here")
        ratio = measured["ASLPrep SCRUB"] / measured["robust mean with prior"]
        print(f"ASLPrep's SCRUB takes {ratio:.1f} times as long as the robust mean with prior here")


def rendered():
    """The motion regression on heads that wander, and on heads that jump, in a receive field of +-30 %."""
    grid = head.centred((32, 38, 20), (5.0, 5.0, 6.0), shift=(1, -3, 2))
    points = transforms.points(grid)
    x, y, z = np.moveaxis(points, -1, 0) / 80
    field = 1 + 0.3 * (0.5 * x - 0.6 * y + 0.4 * z + 0.5 * (x * x + y * y) - 0.4 * x * z)
    signals = {"plain": np.array([900.0, 720, 1250, 450]), "suppressed": np.array([170.0, 60, 400, 120])}
    factor, cbf = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9), np.array([60.0, 20, 0, 0])
    for step, jumps, count in ((0.0, 0, 12), (0.1, 0, 12), (0.1, 0, 30), (0.25, 0, 30), (0.1, 3, 12), (0.1, 3, 30)):
        rng = np.random.default_rng(5)
        steps = rng.normal(0, 1, (2 * count, 6)) * ([step] * 3 + [step / 50] * 3)
        steps[rng.choice(2 * count, jumps, replace=False)] += rng.normal(0, [1.0] * 3 + [0.02] * 3, (jumps, 6))
        walk = np.cumsum(steps, axis=0)
        walk -= walk[0]
        poses = [transforms.rigid_matrix(p[:3], p[3:], (0, 0, 0)) for p in walk]
        shares = [head.scan(grid, pose) for pose in poses]
        brain = shares[0][..., :3].sum(axis=3)
        inside = brain > 0.9
        truth = ((shares[0] @ (cbf * signals["plain"])) / (shares[0] @ signals["plain"]))[inside]
        m0 = (shares[0] @ signals["plain"] * field)[inside]
        for name, signal in signals.items():
            for noise in (4.0, 1.0):
                volumes = []
                for t, share in enumerate(shares):
                    value = share @ (signal - (cbf / factor * signals["plain"] if t % 2 else 0)) * field
                    volumes.append((value + rng.normal(0, noise, grid.shape)).astype(np.float32))
                weight = motion.head(volumes[0])
                found = motion.realign(volumes, grid.affine, volumes[0], grid.affine, weight)
                mean = motion.mean(volumes[::2], grid.affine, found[::2], grid)
                weight, maps = np.clip(brain, 0, 1), [shares[0][..., 0], shares[0][..., 1]]
                found = motion.realign(volumes, grid.affine, mean, grid.affine, weight, maps=maps, starts=found)
                sampled = [
                    spline.sample(spline.coefficients(v), grid.affine, points[inside], m)
                    for v, m in zip(volumes, found)
                ]
                difference = np.array(sampled[0::2], dtype=float).T - np.array(sampled[1::2]).T
                series = factor * difference / m0[:, None]
                position = motion.parameters(found, np.zeros(3))
                pairs = np.arange(2 * count).reshape(-1, 2)
                errors = []
                for shrink in (None, True, False):
                    cleaned, regression = series, None
                    if shrink is not None:
                        cleaned, regression = nuisance.regress(series, position, pairs, shrink=shrink)
                    value = np.nanmean(cleaned, axis=1)
                    here = np.isfinite(value)
                    errors.append(np.sqrt(np.mean((value - truth)[here] ** 2)))
                    if shrink:
                        stated = regression.variance_factor
                print(
                    f"{count} pairs, steps of {step:4.2f} mm, {jumps} jumps, {name:10} noise {noise:g}: error of mean "
                    f"{errors[0]:6.2f}, regressed {errors[1]:6.2f} (variance x {stated:.2f}), unshrunk {errors[2]:6.2f}"
                )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--peer")
    parser.add_argument("--rendered", action="store_true")
    arguments = parser.parse_args()
    peer = peers(arguments.peer) if arguments.peer else None
    contaminations(arguments.seeds, peer)
    cost(peer)
    if arguments.rendered:
        rendered()


if __name__ == "__main__":
    main()
