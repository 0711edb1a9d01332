"""What the workflow finds of the repeatability that a simulated trial was given: of grey matter's CBF at rest, from raw images.

    python benchmarks/simulated_repeatability.py TRUTH RESULTS

TRUTH and RESULTS are ``simulate.truth_dir`` and ``output_dir`` of a trial of ``exact: false`` without effects on CBF, analysed as far as
``quality``. The SD over people, the within-person coefficient of variation (wsCV) and the ICC (statistics/repeatability.py) are those of the planted
levels of these people, of the mean of the true CBF maps in the template's grey matter, and of ``gm_cbf`` of the scans that were analysed. What
was asked for holds at equal age, sex and site and over many people; what can be found back in a dozen is what was planted in them.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

import numpy as np
from pharmasl.files import bids, tables
from pharmasl.space import images, resample, transforms
from pharmasl.statistics.repeatability import repeatability


def paired(values):
    """Values by (participant, session) as an array of people by the sessions that both have."""
    sessions = sorted({session for _, session in values})
    people = sorted({person for person, _ in values})
    whole = [person for person in people if all((person, session) in values for session in sessions)]
    return np.array([[values[person, session] for session in sessions] for person in whole])


def map_means(truth, grey_path, scans):
    """Mean of the true CBF in the template's grey matter, by participant and session."""
    means, grey = {}, None
    for scan in scans:
        names = scan["participant_id"], scan["session_id"]
        own = truth / names[0] / f"ses-{names[1]}" / "perf"
        (path,) = own.glob("*_acq-rest_*_cbf.nii.gz")
        loaded = images.load(path)
        if grey is None:
            grey = resample.resample(*images.load(grey_path), transforms.points(loaded.grid), fill=0.0) > 0.7
        means[names] = float(np.nanmean(loaded.data[grey]))
    return means


def row(name, values):
    found = repeatability(values)
    sd = np.sqrt(values.var(axis=0, ddof=1).mean())
    cells = [
        f"{values.mean():.1f}",
        f"{sd:.2f}",
        f"{100 * found.within_cv.estimate:.1f} %",
        f"{found.consistency.estimate:.2f}",
    ]
    print(f"| {name} | {len(values)} | {' | '.join(cells)} |")
    return np.array([sd / values.mean(), float(found.within_cv.estimate), float(found.consistency.estimate)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("results", type=Path)
    options = parser.parse_args()
    drawn = [row for row in tables.read_table(options.truth / "scans.tsv") if row["condition"] == "rest"]
    measured = {
        (f"sub-{bids.bare_label(row['participant_id'], 'sub')}", row["session_id"]): float(row["gm_cbf"])
        for row in tables.read_table(options.results / "quality/scans.tsv")
        if row["condition"] == "rest" and row["usable"] == "yes"
    }
    scans = [row for row in drawn if (row["participant_id"], row["session_id"]) in measured]
    (grey,) = (options.results / "template").glob("*res-1_label-GM_probseg.nii.gz")
    planted = {(row["participant_id"], row["session_id"]): float(row["gm_cbf"]) for row in scans}
    print(
        "| grey matter's CBF at rest | people | mean, mL/100 g/min | SD over people | wsCV | ICC |\n|---|---:|---:|---:|---:|---:|"
    )
    first = row("planted level", paired(planted))
    row("true map, as the scanner resolves it", paired(map_means(options.truth, grey, scans)))
    last = row("the workflow's", paired(measured))
    print(
        f"\nthe workflow's over planted: SD over mean {last[0] / first[0]:.3f}, wsCV {last[1] / first[1]:.3f}, ICC {last[2] / first[2]:.3f}"
    )


if __name__ == "__main__":
    main()
