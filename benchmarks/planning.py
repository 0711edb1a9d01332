"""What a plan costs: a dry run, the start of a job on a cluster, and what a change of the study makes again.

    python benchmarks/planning.py [--participants 50 200] [--changes] [--checkout PATH]

Skeletons of the model study (two sessions, three states, a few voxels an image) are planned with the configuration that the
project ships. CPU seconds are user and system of the whole process tree, less those of ``snakemake --version``, measured just
before; memory is the largest resident set. A job's start is the command line that Snakemake hands to Slurm with
``profiles/slurm``, taken down by stand-ins of Slurm's programs, as a dry run: once of a job on a scan, once of a job on the study.
``--changes`` plans a study whose files are all there (empty ones, recorded as made) after one score of the craving table has
changed, and after a participant has come, and prints the jobs that are made again. ``--checkout`` names another state of the
project to be measured beside this one.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import skeleton
from plans import jobs

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
SCAN = "align_perfusion:scan=sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"
KEPT = ".snakemake/pharmasl"
TEMPLATE = "results/template/tpl-MNI152NLin2009aSym_res-2_T1w.nii.gz"


@dataclass(frozen=True)
class Cost:
    """CPU seconds and megabytes of a command, and what it wrote."""

    seconds: float
    megabytes: float
    text: str


def cost(command, folder, fails=False, **environment):
    """What a command takes, with all processes that it starts."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Modules are compiled once, into a folder that goes with the skeleton, as on a user's machine.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own |= {"PATH": path, "PYTHONPYCACHEPREFIX": str(folder / "compiled"), **environment}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=own)
        _, status, used = os.wait4(process.pid, 0)
        output.seek(0)
        text = output.read()
    if status and not fails:
        raise SystemExit(text[-4000:])
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text)


def submitted(plan, folder, checkout):
    """The command line (list of str) that Snakemake would have Slurm run for its first job, that of the template."""
    stand_in, record = folder / "slurm/sbatch", folder / "slurm/wrapped"
    stand_in.parent.mkdir(exist_ok=True)
    # What Snakemake asks for accounts and partitions before.
    for name, answer in (("sacctmgr", "account"), ("sinfo", "PARTITION\npartition*")):
        (stand_in.parent / name).write_text(f"#!{sys.executable}\nprint({answer!r})\n")
        (stand_in.parent / name).chmod(0o755)
    stand_in.write_text(
        f"#!{sys.executable}\nimport os, sys\nfor argument in sys.argv[1:]:\n    if argument.startswith('--wrap='):\n"
        f"        open({str(record)!r}, 'w').write(argument.removeprefix('--wrap='))\n"
        # What a run keeps for its jobs while it lasts.
        f"import shutil\nif os.path.isdir({KEPT!r}):\n"
        f"    shutil.copytree({KEPT!r}, {str(stand_in.parent / 'kept')!r}, dirs_exist_ok=True)\nsys.exit(1)\n"
    )
    stand_in.chmod(0o755)
    record.unlink(missing_ok=True)
    profile = ["--workflow-profile", str(checkout / "profiles/slurm"), "--retries", "0"]
    resources = [
        "--default-resources",
        "slurm_account=account",
        "slurm_partition=partition",
        "mem_mb=1000",
        "runtime=30",
    ]
    path = f"{stand_in.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = cost([*plan, *profile, *resources, "--", TEMPLATE], folder, fails=True, PATH=path)
    if not record.exists():
        raise SystemExit(done.text[-4000:])
    return shlex.split(record.read_text())


def starts(plan, folder, checkout):
    """What a job on a scan and a job on the study take to start (two of :class:`Cost`)."""
    study = submitted(plan, folder, checkout)
    # The files of the jobs before are not there; Snakemake need not wait for them.
    study[study.index("--latency-wait") + 1] = "0"
    # The same command for a scan: another job, and the rule that makes it.
    scan = list(study)
    scan[scan.index("--target-jobs") + 1] = SCAN
    scan[scan.index("--allowed-rules") + 1] = SCAN.partition(":")[0]
    if (kept := folder / "slurm/kept").is_dir():
        shutil.copytree(kept, folder / KEPT, dirs_exist_ok=True)
    taken = []
    for command in (scan, study):
        dry = [*command, "-n", "--quiet", "all"]
        cost(dry, folder)  # compiles what is imported
        taken.append(min((cost(dry, folder) for _ in range(2)), key=lambda one: one.seconds))
    return taken


def finish(plan, folder):
    """Make every output of a plan, empty, and let Snakemake record it as made."""
    answer = folder / "jobs.json"
    planned = [sys.executable, str(ROOT / "tests/planned_jobs.py"), str(answer), *plan[3:], "-n", "--quiet", "all"]
    cost(planned, folder)
    for job in json.loads(answer.read_text()):
        for output in job["output"]:
            path = folder / output
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    cost([*plan, "--touch", "--cores", "1", "--quiet", "all"], folder)


def changes(plan, folder, count, floor):
    """Print what is made again after a score has changed, and after a participant has come."""
    finish(plan, folder)
    dry = [*plan, "-n", "--quiet", "rules"]
    scores = folder / "data/bids/phenotype/craving.tsv"
    lines = scores.read_text().splitlines()
    cells = lines[1].split("\t")
    lines[1] = "\t".join([*cells[:-1], str(float(cells[-1]) + 1)])
    before = cost(dry, folder)
    scores.write_text("\n".join(lines) + "\n")
    scored = cost(dry, folder)
    skeleton.dataset(folder / "data/bids", participants=count + 1)
    lines = scores.read_text().splitlines()
    scores.write_text("\n".join(lines) + "\n")
    added = cost(dry, folder)
    for name, taken in (("nothing", before), ("a score", scored), ("a participant", added)):
        counts = jobs(taken.text)
        listed = ", ".join(f"{rule} {number}" for rule, number in counts.items())
        print(f"| {count} | {name} | {taken.seconds - floor:.1f} | {sum(counts.values())} | {listed} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--participants", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--changes", action="store_true", help="what is made again, in place of the costs")
    parser.add_argument("--starts", action="store_true", help="the starts of jobs alone, without the dry run")
    parser.add_argument("--checkout", type=Path, action="append", default=[])
    options = parser.parse_args()
    if options.changes:
        print("| participants | changed | plan, CPU s above --version | jobs | which |\n|---|---|---|---|---|")
    else:
        print(
            "| checkout | participants | snakemake --version | dry run | MB | job on a scan | MB | job on the study | MB |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
    for count in options.participants:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            skeleton.dataset(folder / "data/bids", participants=count)
            for checkout in [ROOT, *map(Path.resolve, options.checkout)]:
                floor = min(cost([*SNAKEMAKE, "--version"], folder).seconds for _ in range(3))
                # Each state of the project with the configuration that it ships.
                files = [str(checkout / part) for part in ("Snakefile", "config/config.yaml")]
                plan = [*SNAKEMAKE, "-s", files[0], "--configfile", files[1]]
                if options.changes:
                    changes(plan, folder, count, floor)
                    continue
                costs = [] if options.starts else [cost([*plan, "-n", "--quiet", "all"], folder)]
                costs += starts(plan, folder, checkout)
                cells = [f"{one.seconds - floor:.2f} | {one.megabytes:.0f}" for one in costs]
                if options.starts:
                    cells.insert(0, " | ")
                print(f"| {checkout.name} | {count} | {floor:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
