"""Where the processor time of finished runs went, by rule.

    python benchmarks/rule_times.py demo [another/demo ...]

Each folder holds logs of rules anywhere below it (``demo`` those of results and truth). A job's last line in its log is its own
``getrusage``: user and system time of the process and of the programs that it called, from its start to the outputs written, which is
exact, unlike the benchmark files, for which Snakemake asks at intervals where a job is no fork. Snakemake's own process is not in it. Rules that take less than a second in every
folder are one row. Prints Markdown: of each rule the jobs, seconds in all and megabytes at most, one group of columns a folder.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from pharmasl.workflow import job_log

LEAST = 1.0  # seconds


def read(folder):
    """Jobs, seconds and megabytes of each rule whose logs lie below a folder."""
    rules = defaultdict(lambda: [0, 0.0, 0])
    for path in Path(folder).rglob("*.log"):
        below = path.parts[path.parts.index("logs") + 1 :] if "logs" in path.parts else ()
        took = job_log.took(path.read_text(encoding="utf-8", errors="replace"))
        if not below or not took:
            continue
        rule = rules[below[0].removesuffix(".log")]
        rule[0] += 1
        rule[1] += took.seconds
        rule[2] = max(rule[2], round(took.megabytes))
    return rules


def table(folders):
    """The lines of a Markdown table of all rules, those with the most time first."""
    runs = [read(folder) for folder in folders]
    names = sorted(set().union(*runs), key=lambda name: (-max(run[name][1] for run in runs), name))
    large = [name for name in names if max(run[name][1] for run in runs) >= LEAST]
    yield "| rule | " + " | ".join("jobs | CPU s | MB" for _ in folders) + " |"
    yield "|---|" + "---:|---:|---:|" * len(folders)
    for name in large:
        yield row(f"`{name}`", [run[name] for run in runs])
    for label, chosen in ((f"{len(names) - len(large)} others", set(names) - set(large)), ("all", names)):
        yield row(label, [summed([run[name] for name in chosen]) for run in runs])


def summed(rules):
    """Jobs, seconds and megabytes of several rules together."""
    return [sum(rule[0] for rule in rules), sum(rule[1] for rule in rules), max((rule[2] for rule in rules), default=0)]


def row(label, rules):
    """A line of the table."""
    return f"| {label} | " + " | ".join(f"{jobs} | {seconds:.1f} | {most}" for jobs, seconds, most in rules) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    print("\n".join(table(parser.parse_args().folders)))
