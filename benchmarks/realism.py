"""How real simulated scans are: their measures of quality beside those of real scans.

    python benchmarks/realism.py --real TABLE [TABLE ...] --simulated NAME=TABLE [NAME=TABLE ...]

Each TABLE is ``quality/scans.tsv`` of a results folder: of the real scans at hand (``benchmarks/real_scans.py`` leaves one a dataset), and
of simulated studies (``config/twin.yaml`` and its variants, analysed as far as ``quality``).

Prints Markdown, a row a measure: the 5th, 50th and 95th percentile of real scans, and the median of each simulated study with the smallest
and largest value. Where many adults' scans have been published the percentiles are theirs; otherwise the row has the smallest, median
and largest of the real scans at hand. A star marks a simulated median outside of what real scans have, and nothing is said by fewer than
20 of them.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

# 5th, 50th and 95th percentile of 1,505 scans of adults of 18 to 65 years in five studies, the standard CBF: rows with CBFTYPE "SCBF" of
# Figure2/Figure2Data.csv in github.com/PennLINC/aslprep_paper (commit 59684bf), the data of Adebimpe et al. 2022, Nature Methods
# (doi 10.1038/s41592-022-01458-7). Shares there in percent.
ADULTS = {
    "qei": (0.158, 0.572, 0.844),
    "gm_cbf": (31.5, 51.6, 76.6),
    "wm_cbf": (20.8, 33.6, 50.6),
    "gm_wm_ratio": (1.151, 1.508, 2.157),
    "negative_gm_share": (0.0, 0.041, 0.125),
    "fd_mean": (0.0, 0.131, 0.383),
}
FEWEST = 20
MEASURES = (
    *ADULTS,
    "spatial_cov",
    "temporal_snr",
    "dvars_mean",
    "fd_max",
    "structural_similarity",
    "dispersion_index",
    "template_correlation",
    "registration_overlap",
    "high_cbf_share",
    "gain_step",
    "slices_out_of_line",
)


def values(tables, measure):
    """A measure in all rows of some tables, missing ones left out."""
    rows = [row for path in tables for row in read(path)]
    return np.array([float(row[measure]) for row in rows if row.get(measure) not in (None, "", "n/a")])


def read(path):
    """The rows of a table."""
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def limits(measure, real):
    """Low, middle and high of real scans, and how many there are; None where there is none."""
    if measure in ADULTS:
        return (*ADULTS[measure], 1505)
    own = values(real, measure)
    return (own.min(), np.median(own), own.max(), len(own)) if len(own) else None


def cell(own, known):
    """A simulated study's values as the table prints them, starred where the median is unlike real scans."""
    if not len(own):
        return "-"
    middle = np.median(own)
    star = " *" if known and known[3] >= FEWEST and not known[0] <= middle <= known[2] else ""
    return f"{middle:.3g} ({own.min():.3g} to {own.max():.3g}){star}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    parser.add_argument("--simulated", nargs="+", required=True, metavar="NAME=TABLE")
    options = parser.parse_args()
    studies = dict(item.split("=", 1) for item in options.simulated)
    print(f"| measure | real scans | low | median | high | {' | '.join(studies)} |")
    print("|---" * (5 + len(studies)) + "|")
    inside = dict.fromkeys(studies, 0)
    compared = 0
    for measure in MEASURES:
        known = limits(measure, options.real)
        cells = {name: cell(values([path], measure), known) for name, path in studies.items()}
        real = [str(known[3]), *(f"{value:.3g}" for value in known[:3])] if known else ["0", "-", "-", "-"]
        print(f"| `{measure}` | {' | '.join(real)} | {' | '.join(cells.values())} |")
        if known and known[3] >= FEWEST:
            compared += 1
            for name, text in cells.items():
                inside[name] += text != "-" and "*" not in text
    print("\n" + "; ".join(f"{name}: {count} of {compared} medians inside" for name, count in inside.items()))


if __name__ == "__main__":
    main()
