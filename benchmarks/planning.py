"""What a plan costs: CPU of a dry run and of the start of one job, by the number of participants.

    python benchmarks/planning.py [--participants 43 200] [--checkout PATH]

Skeletons of the model study (two sessions, three states, a few voxels an image) are planned with the configuration that the
project ships. CPU seconds are user and system of the whole process tree; the ratio is to ``snakemake --version`` in the same
run. ``--checkout`` names another state of the project to be measured beside this one.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import skeleton

TARGET = "results/sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_aslref.nii.gz"


def cpu(command, folder):
    """User and system seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path})
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--participants", type=int, nargs="+", default=[43, 200])
    parser.add_argument("--checkout", type=Path, action="append", default=[])
    options = parser.parse_args()
    snakemake = [sys.executable, "-m", "snakemake"]
    unit = min(cpu([*snakemake, "--version"], ROOT) for _ in range(3))
    print(f"snakemake --version: {unit:.2f} CPU s\n")
    print("| checkout | participants | dry run, CPU s | times --version | one job's plan, CPU s | times --version |")
    print("|---|---|---|---|---|---|")
    for count in options.participants:
        with tempfile.TemporaryDirectory() as folder:
            skeleton.dataset(Path(folder) / "data/bids", participants=count)
            for checkout in [ROOT, *options.checkout]:
                # Each state of the project with the configuration that it ships.
                files = [str(checkout.resolve() / name) for name in ("Snakefile", "config/config.yaml")]
                plan = [*snakemake, "-s", files[0], "--configfile", files[1], "-n"]
                whole = cpu([*plan, "--quiet", "all"], folder)
                single = cpu([*plan, "--quiet", "all", "--", TARGET], folder)
                print(
                    f"| {checkout.resolve().name} | {count} | {whole:.1f} | {whole / unit:.1f} "
                    f"| {single:.1f} | {single / unit:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
