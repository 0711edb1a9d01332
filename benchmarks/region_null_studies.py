"""Error rates of the tests in regions and parcels where nothing is true: 166 parcels of correlated noise, unequal arms.

    python benchmarks/region_null_studies.py [studies] [relabellings] [family ...]

A study is drawn, analysed as the workflow does (:mod:`pharmasl.regions.value_models`), and counted if any corrected p is at most .05.
Rows: the people of each arm; columns: families of models, with the standard error of a rate below. ``incomplete``: every tenth parcel
lacks one or two people. ``own baseline`` is correlated .6 with the follow-up; in ``baseline by arm`` it also differs by one standard
deviation between the arms, as if they had not been randomised. The last column is the coverage of 95 % intervals in a single
region, over all studies and parcels of the first family that is asked for.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

import complete_settings
import designs
from pharmasl.regions import value_models
from pharmasl.regions.value_models import Values

PARCELS, SHARED, RETEST, ALPHA = 166, 0.3, 0.6, 0.05
SIZES = ((6, 6), (4, 11), (9, 18), (21, 22), (10, 35))
FAMILIES = ("change", "incomplete", "own baseline", "baseline by arm", "F of 2", "F, own baseline")


def noise(rng, people):
    """Correlated parcels, each with a standard deviation of its own."""
    values = np.sqrt(SHARED) * rng.normal(size=(people, 1)) + np.sqrt(1 - SHARED) * rng.normal(size=(people, PARCELS))
    return values * np.linspace(1, 6, PARCELS)


def model(sizes, rng):
    names = [f"sub-{k:02d}" for k in range(sum(sizes))]
    arms = ["drug"] * sizes[0] + ["placebo"] * sizes[1]
    table = [
        {"participant_id": name, "arm": arm, "age": str(age)}
        for name, arm, age in zip(names, arms, rng.integers(20, 60, sum(sizes)))
    ]
    return designs.group_by_time(names, table, {"treatment": "drug", "control": "placebo"}, "participants.tsv", ["age"])


def several(plain, rng):
    """Two tested effects: the arm, and a marker drawn at random."""
    marker = rng.normal(size=len(plain.matrix))
    weights = np.zeros((2, len(plain.names) + 1))
    weights[0, plain.names.index("arm")] = weights[1, -1] = 1
    return dataclasses.replace(
        plain,
        names=[*plain.names, "marker"],
        matrix=np.column_stack([plain.matrix, marker]),
        weights=weights,
        effects=("arm", "marker"),
    )


def with_baseline(plain):
    return dataclasses.replace(
        plain,
        names=[*plain.names, "baseline"],
        matrix=np.column_stack([plain.matrix, np.ones(len(plain.matrix))]),
        weights=np.column_stack([plain.weights, np.zeros(len(plain.weights))]),
        voxelwise=((),) * len(plain.names) + (("baseline",),),
    )


def study(family, sizes, rng):
    """The model and the values of a study in which no arm differs."""
    plain = model(sizes, rng)
    # Standardised sizes, which no rate depends on, would take most of the time.
    plain = dataclasses.replace(plain, kind=dataclasses.replace(plain.kind, is_slope=True))
    if family.startswith("F"):
        plain = several(plain, rng)
    people = sum(sizes)
    outcome, maps = noise(rng, people), {}
    if "baseline" in family:
        baseline = noise(rng, people)
        outcome = RETEST * baseline + np.sqrt(1 - RETEST**2) * outcome
        if family == "baseline by arm":
            shift = (np.array(plain.arms) == "drug")[:, None] * np.linspace(1, 6, PARCELS)
            baseline, outcome = baseline + shift, outcome + RETEST * shift
        maps, plain = {"baseline": baseline}, with_baseline(plain)
    if family == "incomplete":
        for parcel in range(0, PARCELS, 10):
            outcome[rng.choice(people, rng.integers(1, 3), replace=False), parcel] = np.nan
    return plain, Values(outcome=outcome, maps=maps)


def main(studies, relabellings, families):
    inference = complete_settings.inference(permutations=relabellings, seed=1)
    everywhere = np.ones(PARCELS, dtype=bool)
    print(f"| people | {' | '.join(families)} | coverage |\n|---|{'---|' * (len(families) + 1)}")
    start = time.process_time()
    for sizes in SIZES:
        cells, covered = [], []
        for family in families:
            rng = np.random.default_rng([20261128, *sizes, FAMILIES.index(family)])
            hits = 0
            for _ in range(studies):
                made, values = study(family, sizes, rng)
                tests = value_models.test(made, values, inference, everywhere).tests
                hits += min(one.p_corrected for one in tests) <= ALPHA + 1e-12
                if family == families[0] and not family.startswith("F"):
                    intervals = [one.estimates[0] for one in tests if one.estimates]
                    covered += [own.low <= 0 <= own.high for own in intervals]
            cells.append(f"{hits / studies:.3f}")
        print(
            f"| {sizes[0]} + {sizes[1]} | {' | '.join(cells)} | {f'{np.mean(covered):.4f}' if covered else ''} |",
            flush=True,
        )
    print(
        f"\nstandard error of a rate of .05: {np.sqrt(0.05 * 0.95 / studies):.3f}; CPU {time.process_time() - start:.0f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=350)
    parser.add_argument("relabellings", type=int, nargs="?", default=200)
    parser.add_argument("families", nargs="*", metavar="family")
    arguments = parser.parse_args()
    main(arguments.studies, arguments.relabellings, arguments.families or FAMILIES)
