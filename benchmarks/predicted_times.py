"""The processor time that ``./run check`` expects of a study's jobs before any has run, beside what they took.

    python benchmarks/predicted_times.py CONFIG [CONFIG ...]

Run it where the configuration's paths lead (``python benchmarks/predicted_times.py config/demo.yaml`` after ``./run demo``). What jobs
took is the last line of their logs, of those that the results' manifest has. Rules that take less than a second in all, both expected
and taken, are one row. Jobs of a fresh checkout compile kernels, some 30 seconds in all, which are not expected. Prints Markdown.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from pharmasl.commands import check, finished_jobs, job_sizes
from pharmasl.workflow import plan

LEAST = 1.0  # seconds


def rows(study):
    """Rule, jobs, seconds expected and taken of all jobs, those with the most time first."""
    sizes = job_sizes.of_study(study)
    known = [
        (f"`{rule}`", done.jobs, done.jobs * job_sizes.seconds(rule, sizes), done.jobs * done.seconds)
        for rule, done in finished_jobs.read(study.settings.output_dir).items()
        if done.seconds is not None
    ]
    large = sorted((row for row in known if max(row[2:]) >= LEAST), key=lambda row: -row[3])
    small = [row for row in known if max(row[2:]) < LEAST]
    for label, chosen in ((f"{len(small)} others", small), ("all", known)):
        large.append((label, *(sum(row[k] for row in chosen) for k in (1, 2, 3))))
    return large


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="CONFIG")
    config, files = check.configuration(["--configfile", *parser.parse_args().files])
    study = plan.read(config, files).study
    print(f"{job_sizes.of_study(study)}\n\n| rule | jobs | expected | taken |\n|---|---:|---:|---:|")
    for label, jobs, expected, taken in rows(study):
        print(f"| {label} | {jobs} | {expected:.1f} | {taken:.1f} |")
