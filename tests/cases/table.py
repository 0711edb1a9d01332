"""Print the table of the cases: ``python tests/cases/table.py > docs/input_checks.md``."""

import os
import sys
import tempfile
from pathlib import Path

HEAD = """# How faulty input is handled

Each case spoils one thing in a good small trial (six participants, two sessions, one state), which is then planned. *Refused*:
the run stops before the first job, with one message that names file and field and says how to fix it. *Left out, listed*: a row in
`study/exclusions.tsv` has the reason. *Accepted*: the value resolved from the input is the right one.
The table is printed by `python tests/cases/table.py`; `tests/cases/test_cases.py` tries every case.

{total} cases: {right} answered rightly, {wrong} not.
"""


def cell(text, longest=None):
    """Text for a cell of a Markdown table."""
    text = " ".join(str(text).split())
    if longest and len(text) > longest:
        text = text[: longest - 1] + "…"
    return text.replace("|", "\\|").replace("<", "&lt;").replace("{", "&#123;")


def rows(cases, wrong_input):
    """Each case with what came of it."""
    with tempfile.TemporaryDirectory() as base:
        good = wrong_input.good_trial(Path(base))
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                # The place that differs from call to call is no part of the answer.
                answer = wrong_input.tried(case, good, folder)
                yield case, answer.right, answer.words.replace(os.path.realpath(folder), ".").replace(folder, ".")


def main():
    top = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(top / "scripts"), str(top / "tests")]
    import wrong_input

    from cases import catalogue

    answers = list(rows(catalogue.CASES, wrong_input))
    right = sum(good for _, good, _ in answers)
    print(HEAD.format(total=len(answers), right=right, wrong=len(answers) - right))
    print("| | what is wrong | expected | got | right |\n|---|---|---|---|---|")
    for number, (case, good, words) in enumerate(answers, start=1):
        print(f"| {number} | {cell(case.name)} | {case.expected} | {cell(words, 260)} | {'yes' if good else 'no'} |")


if __name__ == "__main__":
    main()
