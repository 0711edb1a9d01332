"""What a change makes the workflow do again, by rule.

    python benchmarks/reruns.py [--before PATH]
    python benchmarks/reruns.py --docs

Each change of ``tests/workflow/test_reruns.py`` is made to finished results of six people (two sessions, three states, three
analyses, craving, a sensitivity analysis of four specifications), and a dry run tells the jobs that it plans. ``--before``
names another state of the project, which is asked the same. ``--docs`` writes the table of docs/records.md anew from what those
tests expect, without a plan; a second table is that of ``tests/workflow/test_block_plan.py``.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts"), str(ROOT)]


def matrix(name="test_reruns"):
    """A module with changes."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tests/workflow/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


START, BLOCKS_START, END = "<!-- reruns -->\n", "<!-- reruns of blocks -->\n", "<!-- end -->"


def rules_in_words(jobs):
    """Rules with the number of their jobs where there are several."""
    return ", ".join(rule if count == 1 else f"{rule} {count}" for rule, count in sorted(jobs.items())) or "none"


def table(changes):
    """The table of docs/records.md: each change with the jobs that it needs."""
    rows = [f"| {name} | {sum(jobs.values())} | {rules_in_words(jobs)} |" for name, (_, jobs) in changes.items()]
    return "\n".join(["| change | jobs | rules |", "|---|---:|---|", *rows, ""])


def write_docs(changes, page=ROOT / "docs/records.md", start=START):
    """Put a table into the page."""
    text = page.read_text(encoding="utf-8")
    before, after = text.split(start)[0], text.split(start)[1].partition(END)[2]
    page.write_text(f"{before}{start}{table(changes)}{END}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path)
    parser.add_argument("--docs", action="store_true")
    options = parser.parse_args()
    reruns = matrix()
    if options.docs:
        write_docs(reruns.CHANGES | reruns.OF_POWER)
        write_docs(matrix("test_block_plan").CHANGES, start=BLOCKS_START)
        return
    states = [("planned", ROOT), *([("before", options.before.resolve())] if options.before else [])]
    print("| change | wanted |", *(f"{name} |" for name, _ in states), "rules |")
    print("|---|---|" + "---|" * len(states) + "---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        finished = [reruns.finish(folder / name, root) for name, root in states]
        for number, (name, (change, wanted)) in enumerate(reruns.CHANGES.items()):
            planned = []
            for (state, _), results in zip(states, finished):
                case = results.copy(folder / f"{state}{number}/study")
                change(case)
                planned.append(case.plan()[0])
            counts = " | ".join(str(sum(jobs.values())) for jobs in [wanted, *planned])
            print(f"| {name} | {counts} | {rules_in_words(planned[0])} |", flush=True)


if __name__ == "__main__":
    main()
