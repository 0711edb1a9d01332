"""What a change makes the workflow do again: the table of docs/records.md.

    python benchmarks/reruns.py [--before PATH]

Each change of ``tests/workflow/test_reruns.py`` is made to finished results of six people (two sessions, three states, three
analyses, craving, a sensitivity analysis of four specifications), and a dry run tells the jobs that it plans. ``--before``
names another state of the project, which is asked the same.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import plans


def matrix():
    """The module with the changes."""
    spec = importlib.util.spec_from_file_location("test_reruns", ROOT / "tests/workflow/test_reruns.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path)
    options = parser.parse_args()
    reruns = matrix()
    states = [("planned", ROOT), *([("before", options.before.resolve())] if options.before else [])]
    print("| change | wanted |", *(f"{name} |" for name, _ in states), "rules |")
    print("|---|---|" + "---|" * len(states) + "---|")
    with plans.Plans() as process, tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        finished = [reruns.finish(folder / name, process, root) for name, root in states]
        for number, (name, (change, wanted)) in enumerate(reruns.CHANGES.items()):
            planned = []
            for (state, _), results in zip(states, finished):
                case = results.copy(folder / f"{state}{number}/study")
                change(case)
                planned.append(case.plan(process)[0])
            counts = " | ".join(str(sum(jobs.values())) for jobs in [wanted, *planned])
            rules = ", ".join(rule if count == 1 else f"{rule} {count}" for rule, count in sorted(planned[0].items()))
            print(f"| {name} | {counts} | {rules or 'none'} |", flush=True)


if __name__ == "__main__":
    main()
