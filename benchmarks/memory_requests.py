"""What jobs ask of a cluster beside what they used in finished runs, by rule.

    python benchmarks/memory_requests.py FOLDER [FOLDER ...]

Each folder holds logs of rules anywhere below it, whose last line has a job's largest memory (``getrusage``). Asked is what the rule's
script gets at its first attempt, without the Snakemakes that start it; of a rule that asks by the number of its inputs, the text of
that. A rule that asks for less than 1.15 times or more than twice what it used is marked. Prints Markdown.
"""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

from rule_times import read

LEAST, MOST = 1.15, 2.0
_ASKED = re.compile(
    r"^rule (\w+):(?:(?!^rule ).)*?\bmemory\(((?:[^()]|\([^()]*(?:\([^()]*\))?[^()]*\))*)\)", re.MULTILINE | re.DOTALL
)


def asked():
    """By rule, the text of what its script asks for, MB."""
    texts = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))
    return {rule: text for whole in texts for rule, text in _ASKED.findall(whole)}


def table(folders):
    """The lines of a Markdown table of the rules that ran."""
    runs = [read(folder) for folder in folders]
    yield "| rule | used | asked | ratio | |"
    yield "|---|---:|---:|---:|---|"
    for rule, text in asked().items():
        used = max((run[rule][2] for run in runs if rule in run), default=0)
        if not used:
            continue
        ratio = int(text) / used if text.isdigit() else None
        mark = "" if ratio is None or LEAST <= ratio <= MOST else "too little" if ratio < LEAST else "more than twice"
        yield f"| `{rule}` | {used} | {text} | {'' if ratio is None else f'{ratio:.2f}'} | {mark} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    print("\n".join(table(parser.parse_args().folders)))
