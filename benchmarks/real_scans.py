"""Every real and reference scan at hand, from its raw files to its quality table: one row a scan.

    python benchmarks/real_scans.py FOLDER [--checkout PATH] [--work PATH] [--against TABLE]

FOLDER holds one BIDS dataset a folder. ``--checkout`` names another state of the project, to be run in its place;
``--against`` a table that this program printed before: differing values are then printed as "before -> now".
"""

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {
    "usable": str,
    "registration": str,
    "gm_cbf": "{:.2f}",
    "wm_cbf": "{:.2f}",
    "spatial_cov": "{:.3f}",
    "qei": "{:.3f}",
    "pairs_used": str,
    "pairs": str,
    "registration_overlap": "{:.3f}",
}


def configuration(dataset, results):
    """A study of one dataset without a trial; the template stands in where there is no T1w."""
    anatomical = any(dataset.glob("sub-*/**/anat/*_T1w.nii.gz"))
    return {
        "bids_dir": str(dataset),
        "output_dir": str(results),
        "conditions": {"rest": {}},
        "anatomy": {"missing_t1w": "refuse" if anatomical else "template"},
        "perfusion": {"m0": {"t1_recovery": False}},
    }


def analyse(dataset, checkout, work):
    """Run a dataset as far as its quality; returns the rows of its table."""
    folder = work / dataset.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(dataset, folder / "results")))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(checkout / "Snakefile"),
        "--configfile",
        "config.yaml",
        "--cores",
        "2",
        "--quiet",
        "all",
        "--",
        "quality",
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode:
        print(f"{dataset.name}: {(done.stdout + done.stderr)[-1500:]}", file=sys.stderr)
        return [{"scan": dataset.name, "usable": "failed"}]
    with open(folder / "results/quality/scans.tsv", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def shown(row):
    """The row's values as the table prints them."""
    cells = {"scan": f"{row['dataset']} {row['scan']}"}
    for name, style in COLUMNS.items():
        value = row.get(name) or ""
        cells[name] = value if style is str or value in ("", "n/a") else style.format(float(value))
    return cells


def earlier(path):
    """The rows of a table that was printed before, by scan."""
    lines = [line.strip().strip("|").split("|") for line in Path(path).read_text().splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line] for line in lines]
    return {row[0]: dict(zip(header, row)) for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkout", type=Path, default=ROOT)
    parser.add_argument("--work", type=Path, default=Path("real_scans"))
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    before = earlier(options.against) if options.against else {}
    print("| scan | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for dataset in sorted(path.parent for path in options.folder.resolve().glob("*/dataset_description.json")):
        for row in analyse(dataset, options.checkout.resolve(), options.work.resolve()):
            cells = shown({**row, "dataset": dataset.name})
            old = before.get(cells["scan"], cells)
            text = [cells["scan"]]
            text += [
                value if old.get(name, value) == value else f"{old[name]} -> {value}"
                for name, value in cells.items()
                if name != "scan"
            ]
            print("| " + " | ".join(text) + " |", flush=True)


if __name__ == "__main__":
    main()
