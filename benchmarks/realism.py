"""How real simulated scans are: their measures of quality, and how people differ, beside real ones.

    python benchmarks/realism.py FOLDER [--real DATASET ...] [--also NAME=TABLE ...]
    python benchmarks/realism.py --published Figure2Data.csv > benchmarks/realism.tsv

Simulates two people of each preset in FOLDER (what is there already is kept), has the workflow analyse their resting scans as far as
``quality``, and prints Markdown, a row a measure: low, median and high of real scans, and the median of each preset with its smallest and
largest value. A star marks a median outside of what real scans have; nothing is said by fewer than 20 of them. T1w of 1.5 mm, registration at 2 mm
and template at 3 mm, for speed. ``--real`` names BIDS datasets, a person each, that are analysed in the same way; ``--also`` tables
``quality/scans.tsv`` of other simulated studies.

Low and high are

- of scans, the 5th and 95th percentile in ``benchmarks/realism.tsv``, which the second command prints from
  Figure2/Figure2Data.csv of github.com/PennLINC/aslprep_paper (commit 59684bf), the data of Adebimpe et al. 2022, Nature Methods (doi
  10.1038/s41592-022-01458-7): rows of the standard CBF ("SCBF") of adults of 18 to 65 years, of five studies. One of these has no series to
  measure motion in, and is left out of it. Beside them are the percentiles of the study whose scans are like the preset: AGE (3D, suppressed)
  and PNC (2D, not suppressed);
- of how people differ, the 5th and 95th percentile over samples of 43 of the 817 adults of NKI, the study of these whose ages range as widely;
- of repeatability, the smallest and largest value of the studies in ``STUDIES``;
- otherwise the smallest and largest of the real scans at hand.

Of presets, how people differ is that of the planted levels at rest of 200 trials of 43.
"""

import argparse
import csv
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

import numpy as np
import yaml
from pharmasl.files import tables
from pharmasl.simulate import planned_trial, virtual_trial
from pharmasl.simulate.simulation_settings import TrialSettings
from pharmasl.space import images, resample, transforms
from pharmasl.statistics.repeatability import repeatability
from pharmasl.study import settings

PERCENTILES = Path(__file__).with_suffix(".tsv")
PRESETS = {"3D": ["config/twin.yaml"], "2D": ["config/twin.yaml", "config/twin/2d.yaml"]}
LIKE = {"3D": "AGE", "2D": "PNC"}
FEWEST = 20
PEOPLE = 43
SAMPLES = 2000
TRIALS = 200

# Column of Figure2Data.csv by measure, and by what it is divided.
COLUMNS = {
    "qei": ("QEI", 1),
    "gm_cbf": ("GMmeanCBF", 1),
    "wm_cbf": ("WMmeanCBF", 1),
    "gm_wm_ratio": ("Gm_Wm_CBF_ratio", 1),
    "negative_gm_share": ("NEG", 100),
    "fd_mean": ("FD", 1),
    "rotation_mean": ("relRMS", 1),
    "registration_overlap": ("coregDC", 1),
    "template_dice": ("normDC", 1),
    "template_coverage": ("normCOV", 1),
}
MOTION = ("fd_mean", "rotation_mean")
# Of gm_cbf over people; slope and difference in one regression, mL/100 g/min a year and women minus men.
BETWEEN = ("people_cv", "age_slope", "sex_difference", "gm_wm_correlation")
# Between days, grey matter at rest. wsCV: Mezue et al. 2014 (doi 10.1038/jcbfm.2014.163), Jain et al. 2012 (PMC3329270), Steketee et al. 2015 (doi
# 10.1371/journal.pone.0132929), two sequences; ICC: the last two.
STUDIES = {"within_cv": (0.064, 0.14, 0.141, 0.157), "icc": (0.65, 0.69, 0.77)}
SCANS = (
    "spatial_cov",
    "temporal_snr",
    "dvars_mean",
    "fd_max",
    "structural_similarity",
    "dispersion_index",
    "template_correlation",
    "high_cbf_share",
    "gain_step",
    "slices_out_of_line",
)


def read(path, delimiter="\t"):
    """The rows of a table."""
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def number(text):
    return np.nan if text in (None, "", "n/a", "NA") else float(text)


def adults(path):
    rows = [row for row in read(path, ",") if row["CBFTYPE"] == "SCBF"]
    return [row for row in rows if 18 <= number(row["AGE"]) <= 65]


def published(path):
    """Print the percentiles of the published scans: ``benchmarks/realism.tsv``."""
    print("measure\tof\tnumber\tlow\tmedian\thigh")
    known = adults(path)
    for study in ("all", *sorted({row["Datasets"] for row in known})):
        for measure, (column, unit) in COLUMNS.items():
            rows = [row for row in known if study in ("all", row["Datasets"])]
            # Scans without a series have a motion of zero there.
            rows = [row for row in rows if measure not in MOTION or number(row["FD"]) > 0]
            if rows:
                own = np.percentile([number(row[column]) / unit for row in rows], (5, 50, 95))
                print(f"{measure}\t{study}\t{len(rows)}", *(f"{value:.4g}" for value in own), sep="\t")
    # The authors' own limits of what can be CBF.
    nki = [row for row in known if row["Datasets"] == "NKI" and 5 < number(row["GMmeanCBF"]) < 120]
    columns = [np.array([number(row[name]) for row in nki]) for name in ("GMmeanCBF", "WMmeanCBF", "AGE")]
    columns.append(np.array([row["sex"] == "F" for row in nki], dtype=float))
    rng = np.random.default_rng(1)
    drawn = [rng.choice(len(nki), PEOPLE, replace=False) for _ in range(SAMPLES)]
    values = np.array([between(*(column[chosen] for column in columns)) for chosen in drawn])
    for name, own in zip(BETWEEN, np.percentile(values, (5, 50, 95), axis=0).T):
        print(f"{name}\tNKI\t{len(nki)}", *(f"{value:.4g}" for value in own), sep="\t")


def between(grey, white, age, female):
    """How people differ: the values of BETWEEN."""
    design = np.column_stack([np.ones(len(grey)), age, female])
    fitted = np.linalg.lstsq(design, grey, rcond=None)[0]
    return grey.std(ddof=1) / grey.mean(), fitted[1], fitted[2], np.corrcoef(grey, white)[0, 1]


def merged(first, second):
    """A configuration with another's keys in place of its own."""
    both = dict(first)
    for key, value in second.items():
        both[key] = merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


def preset(files):
    """A preset's whole configuration."""
    configuration = {}
    for name in files:
        configuration = merged(configuration, yaml.safe_load((ROOT / name).read_text()))
    return configuration


QUICK = {
    "anatomy": {
        "bias": {"iterations": [50, 50]},
        "registration": {"resolution": 2, "affine_iterations": "30x0x0", "warp_iterations": "40x5x0"},
    },
    "template": {"resolution": 3},
}


def two_people(configuration, folder):
    """The configuration of two people's resting scans."""
    simulate = {
        "truth_dir": f"{folder}/truth",
        "people": {"treatment": 1, "control": 1},
        "missing": {"dropout": {"treatment": 0, "control": 0}, "session": 0, "scan": 0, "failed": 0},
        "anatomy": {"voxel_size": 1.5},
    }
    kept = {key: deepcopy(configuration[key]) for key in ("sessions", "arms")}
    folders = {"bids_dir": f"{folder}/bids", "output_dir": f"{folder}/results"}
    rest = {"conditions": {"rest": {"acquisition": "rest"}}}
    return {**kept, **QUICK, **folders, **rest, "simulate": merged(configuration["simulate"], simulate)}


def real(dataset, folder):
    """The configuration of a real dataset without a trial; the template stands in where there is no T1w."""
    anatomical = any(dataset.glob("sub-*/**/anat/*_T1w.nii.gz"))
    anatomy = {**QUICK["anatomy"], "missing_t1w": "refuse" if anatomical else "template"}
    return {
        "bids_dir": str(dataset),
        "output_dir": f"{folder}/results",
        "conditions": {"rest": {}},
        "perfusion": {"m0": {"t1_recovery": False}},
        **QUICK,
        "anatomy": anatomy,
    }


def run(folder, configuration, *targets):
    """The results folder of a configuration, run where it is not there yet."""
    results = Path(configuration["output_dir"])
    if (results / "quality/scans.tsv").exists():
        return results
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration))
    for snakefile, target in targets:
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / snakefile), "--configfile"]
        command += [str(folder / "config.yaml"), "--cores", "2", "--", target]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit((done.stdout + done.stderr)[-3000:])
    return results


def measured(results):
    """The scans of a results folder: their rows of the quality table, with the overlaps on the template and the rotation."""
    return [{**row, **overlaps(results, row), **rotation(results, row)} for row in read(results / "quality/scans.tsv")]


def stem(results, row):
    return next(results.glob(f"**/{row['scan']}_aslref.nii.gz")).with_name(row["scan"])


def rotation(results, row):
    """Mean over volumes of the root mean square of the three angles (radians) to the reference."""
    table = read(f"{stem(results, row)}_desc-confounds_timeseries.tsv")
    angles = np.array([[number(line[f"rot_{axis}"]) for axis in "xyz"] for line in table])
    return {"rotation_mean": np.nanmean(np.sqrt((angles**2).mean(axis=1)))}


def overlaps(results, row):
    """The brain of a scan, on the template: its overlap with the template's brain, and the share of the smaller that both have."""
    name = stem(results, row)
    brain = images.load(f"{name}_desc-brain_mask.nii.gz")
    # Maps points of the anatomy to those of the scan.
    to_scan = transforms.read_affines(f"{name}_from-aslref_to-T1w_mode-image_xfm.txt")[0]
    template = images.load(next((results / "template").glob("*_res-3_desc-brain_mask.nii.gz")))
    (path,) = results.glob(f"{row['participant_id']}/**/anat/*_from-T1w_to-*_mode-image_xfm.nii.gz")
    field, grid = transforms.read_field(path)
    points = transforms.points(template.grid)
    places = np.stack([resample.resample(field[..., k], grid.affine, points) for k in range(3)], axis=-1)
    there = resample.resample(brain.data, brain.affine, places, to_scan, fill=0.0) > 0.5
    whole = template.data > 0.5
    both = (there & whole).sum()
    return {
        "template_dice": 2 * both / (there.sum() + whole.sum()),
        "template_coverage": both / min(there.sum(), whole.sum()),
    }


def planted(configuration):
    """How people of a preset differ: the values of BETWEEN and STUDIES, over the trials that seeds draw."""
    section = planned_trial.complete(configuration["simulate"])
    asked = settings.build(TrialSettings, {name: section[name] for name in planned_trial.TRIAL})
    arms = settings.build(settings.Arms, {**configuration["arms"], "others": []})
    sessions = settings.build(settings.SessionPair, configuration["sessions"])
    names = (*BETWEEN, *STUDIES)
    drawn = [
        of_people(virtual_trial.draw(replace(asked, seed=seed), arms, sessions), sessions) for seed in range(TRIALS)
    ]
    return {name: np.array(own) for name, own in zip(names, zip(*drawn))}


def of_people(trial, sessions):
    """The values of BETWEEN and STUDIES of a trial's planted levels at rest."""
    rest = {(row["participant_id"], row["session_id"]): row for row in trial.scans if row["condition"] == "rest"}
    visits = [
        [rest[row["participant_id"], name] for name in (sessions.baseline, sessions.later)]
        for row in trial.participants
    ]
    grey = np.array([[float(visit["gm_cbf"]) for visit in own] for own in visits])
    white = np.array([float(own[0]["wm_cbf"]) for own in visits])
    age = np.array([float(row["age"]) for row in trial.participants])
    female = np.array([row["sex"] == "F" for row in trial.participants], dtype=float)
    again = repeatability(grey)
    return *between(grey[:, 0], white, age, female), float(again.within_cv.estimate), float(again.consistency.estimate)


def known(of):
    """Number, low, median and high by measure, of all published scans or of one study."""
    rows = [row for row in tables.read_table(PERCENTILES) if row["of"] == of]
    return {row["measure"]: tuple(float(row[key]) for key in ("number", "low", "median", "high")) for row in rows}


def values(rows, measure):
    """A measure of some scans, missing ones left out."""
    own = np.array([number(row.get(measure)) for row in rows], dtype=float)
    return own[np.isfinite(own)]


def cell(own, limits):
    """A preset's values as the table prints them, starred where the median is unlike real ones."""
    if not len(own):
        return "-"
    middle = np.median(own)
    reach = f" ({own.min():.3g} to {own.max():.3g})" if len(own) > 1 else ""
    return f"{middle:.3g}{reach}{' *' if limits and not limits[0] <= middle <= limits[1] else ''}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--published", type=Path)
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    parser.add_argument("--also", nargs="*", default=[], metavar="NAME=TABLE")
    options = parser.parse_args()
    if options.published:
        published(options.published)
        return
    folder = options.folder.resolve()
    simulation, workflow = ("rules/simulate.smk", "trial"), ("Snakefile", "quality")
    studies, people = {}, {}
    for name, files in PRESETS.items():
        whole = preset(files)
        results = run(folder / name, two_people(whole, folder / name), simulation, workflow)
        studies[name], people[name] = measured(results), planted(whole)
    for item in options.also:
        name, table = item.split("=", 1)
        studies[name], people[name] = read(table), {}
    datasets = [path.resolve() for path in options.real]
    at_hand = [
        row
        for path in datasets
        for row in read(run(folder / path.name, real(path, folder / path.name), workflow) / "quality/scans.tsv")
    ]

    everyone, like = known("all"), {name: known(study) for name, study in LIKE.items()}
    print(
        "| measure | real | low | median | high |",
        *(f" {study} |" for study in LIKE.values()),
        *(f" {name} |" for name in studies),
    )
    print("|---" * (5 + len(LIKE) + len(studies)) + "|")
    inside = {name: [0, 0] for name in studies}

    def line(measure, what, real_values, alike, own, compared):
        limits = (real_values[0], real_values[2]) if compared else None
        cells = {name: cell(found, limits) for name, found in own.items()}
        shown = [f"{value:.3g}" for value in real_values] if real_values else ["-"] * 3
        print(f"| `{measure}` | {what} | {' | '.join([*shown, *alike, *cells.values()])} |")
        for name, text in cells.items():
            if compared and text != "-":
                inside[name][0] += "*" not in text
                inside[name][1] += 1

    for measure in COLUMNS:
        count, *limits = everyone[measure]
        alike = [f"{like[name][measure][1]:.3g} to {like[name][measure][3]:.3g}" for name in LIKE]
        line(
            measure,
            f"{count:.0f} scans",
            limits,
            alike,
            {name: values(rows, measure) for name, rows in studies.items()},
            True,
        )
    samples = known("NKI")
    for measure in (*BETWEEN, *STUDIES):
        own = {name: np.asarray(people[name].get(measure, [])) for name in studies}
        spread = STUDIES.get(measure)
        limits = samples[measure][1:] if spread is None else (min(spread), np.median(spread), max(spread))
        line(
            measure,
            f"samples of {PEOPLE}" if spread is None else f"{len(spread)} studies",
            limits,
            ["-", "-"],
            own,
            True,
        )
    for measure in SCANS:
        found = values(at_hand, measure)
        limits = (found.min(), np.median(found), found.max()) if len(found) else None
        own = {name: values(rows, measure) for name, rows in studies.items()}
        line(measure, f"{len(found)} scans", limits, ["-", "-"], own, len(found) >= FEWEST)
    print("\n" + "; ".join(f"{name}: {count} of {total} medians inside" for name, (count, total) in inside.items()))


if __name__ == "__main__":
    main()
