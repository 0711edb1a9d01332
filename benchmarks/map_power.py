"""The tables of docs/power.md: power of the maps depth by test, as ``./run power ... --maps`` has counted it.

    python benchmarks/map_power.py power/maps.tsv

Prints Markdown, of the planned place: power in percent with its interval, by effect, CBF and model; and what is
significant anywhere without an effect.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from pharmasl.files import tables
from pharmasl.report import map_power_section


def markdown(table):
    """A table of the page in Markdown."""
    lines = [f"{table.caption}:", "", "| " + " | ".join(table.heads) + " |", "|" + "---|" * len(table.heads)]
    rows = [row for number, row in enumerate(table.rows) if number not in table.minor]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def main(path):
    for part in map_power_section.sections(path):
        print("\n\n".join([*part.sentences, markdown(part.power), markdown(part.errors)]))
    region = [row for row in tables.read_table(path) if row["closed_form"] is not None]
    apart = [
        (float(row["power"]) - float(row["closed_form"]))
        / (max(float(row["closed_form"]) * (1 - float(row["closed_form"])), 1e-4) / float(row["studies"])) ** 0.5
        for row in region
    ]
    print(
        f"\nA region's power is at most {max(map(abs, apart)):.1f} standard errors from the closed form, in {len(apart)} cells."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", metavar="power/maps.tsv")
    main(**vars(parser.parse_args()))
