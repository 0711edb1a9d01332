"""Are the bytes the same: each step of the anatomy and of perfusion, run twice with one thread and twice with two.

    python benchmarks/determinism.py --work FOLDER [--bids FOLDER] [--resolution 1] [--backend greedy]

The whole workflow runs from raw images to CBF on one real scan (OpenNeuro ds000240, participant 01) for each column of the
table. Snakemake sets the matrix libraries' and OpenMP's threads from each rule's, which are set to the column's number;
numba's and ITK's are set beside them. Printed in Markdown: a digest of all files of a step, names and bytes.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "openneuro-ds000240-sub01"
# Step, rule, and its files below a participant's folder.
STEPS = (
    ("brain mask", "prepare_anatomy", ("anat/*_desc-brain_mask.nii.gz",)),
    ("bias field", "prepare_anatomy", ("anat/*_desc-preproc_T1w.nii.gz", "anat/*_desc-preproc_T1w.json")),
    ("T1w to template, both fields", "normalise_anatomy", ("anat/*_xfm.nii.gz", "anat/*_xfm.json")),
    ("segmentation", "segment_anatomy", ("anat/*_probseg.nii.gz",)),
    ("motion, ASL to T1w", "align_perfusion", ("perf/*_xfm.txt", "perf/*_xfm.json", "perf/*_aslref.nii.gz")),
    ("CBF, all maps", "quantify_perfusion", ("perf/*_cbf.nii.gz", "perf/*_cbf.json", "perf/*_asl.nii.gz")),
)
RUNS = (("1 thread", 1), ("1 thread, again", 1), ("2 threads", 2), ("2 threads, again", 2))
VARIABLES = (
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)


def run(folder, bids, threads, arguments):
    """Run the workflow with its results in ``folder/results``, unless they are there."""
    if (folder / "finished").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = folder / "registration.json"
    config.write_text(
        f'{{"anatomy": {{"registration": {{"resolution": {arguments.resolution}, "backend": "{arguments.backend}"}}}}}}'
    )
    rules = dict.fromkeys(rule for _, rule, _ in STEPS)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(ROOT / "Snakefile"),
        "--cores",
        str(threads),
        "--quiet",
        "rules",
        "--configfile",
        str(ROOT / "config" / "single_scan.yaml"),
        str(config),
        "--config",
        f"bids_dir={bids}",
        "output_dir=results",
        "title=determinism",
        "--set-threads",
        *(f"{rule}={threads}" for rule in rules),
        "--",
        "quality",
    ]
    environment = {**os.environ, **dict.fromkeys(VARIABLES, str(threads))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with open(folder / "run.log", "w") as log:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"the run failed; see {folder / 'run.log'}")
    (folder / "finished").write_text("")


def digest(results, patterns):
    """A digest of the files of a step, and how many they are."""
    files = sorted({path for pattern in patterns for path in results.glob(f"sub-*/{pattern}")})
    total = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        total.update(f"{path.relative_to(results)}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:10], len(files)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--bids", default=DATA, type=Path)
    parser.add_argument("--resolution", default=1, type=int, choices=(1, 2), help="of the registration, mm")
    parser.add_argument("--backend", default="greedy", choices=("greedy", "ants"))
    arguments = parser.parse_args()
    folders = []
    for number, (_, threads) in enumerate(RUNS):
        folders.append(arguments.work.resolve() / f"{number + 1}")
        run(folders[-1], arguments.bids.resolve(), threads, arguments)
    print(f"| step | files | {' | '.join(name for name, _ in RUNS)} | same bytes |")
    print("|---" * (len(RUNS) + 3) + "|")
    differ = False
    for step, _, patterns in STEPS:
        found = [digest(folder / "results", patterns) for folder in folders]
        same = len(set(found)) == 1 and found[0][1] > 0
        differ |= not same
        print(f"| {step} | {found[0][1]} | {' | '.join(one for one, _ in found)} | {'yes' if same else 'NO'} |")
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
