"""What a fluctuation of the whole brain between sessions does to critical values: drawn studies of config/power.yaml.

    python benchmarks/global_fluctuation.py [studies]

Without an argument 10 studies of each of three standard deviations of the brain's level between sessions (mL/100 g/min), each tested by change with
and without scaling by the brain's mean, an effect of 10 mL/100 g/min in the first place. Prints Markdown: by statistic the critical value (mean over
studies of the value that 5 % of 200 relabellings reach), and the largest value in the place over it: above 1 it is significant.
"""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from pharmasl.commands import planned_study
from pharmasl.group.engine import maxima
from pharmasl.power import draws, ground, study_tests
from pharmasl.power.spread import Spread
from pharmasl.space import template
from pharmasl.study.map_assumptions import ABSOLUTE, PROPORTIONAL
from pharmasl.study.planned_maps import PlannedMaps

EFFECT = 10.0
LEVELS = (0.0, 2.4, 4.8)
STATISTICS = ("voxel", "extent", "mass", "tfce")


def lay(planned: PlannedMaps, study) -> ground.Ground:
    with tempfile.TemporaryDirectory() as folder:
        brain, file = Path(folder, "brain.nii.gz"), Path(folder, "ground.npz")
        template.write_brain(brain, planned.drawing.voxel_size, {})
        ground.write(file, planned, brain, study.atlas, minimum_coverage=study.minimum_roi_coverage)
        return ground.read(file)


def ratios(planned, own, drawn, scaling):
    """By statistic the critical value, and the largest value in the place over it."""
    treated = np.arange(sum(planned.sizes)) < planned.sizes[0]
    followup = drawn.followup.copy()
    followup[treated] += np.float32(EFFECT) * own.weights[0]
    baseline, followup = (study_tests.scaled(values, scaling) for values in (drawn.baseline, followup))
    search = study_tests.ModelOfStudy.prepare(planned, "change", drawn).search(baseline, followup, own)
    null, tested, heights = search.null, search.tested, search.fitted.observed.heights
    mass = dict(enumerate((cluster["mass"] for cluster in tested.rows), 1))
    sizes = np.bincount(tested.labels)
    inside = own.inside[0]
    values = {
        "voxel": (null.largest_t(True), heights[inside]),
        "extent": (null.largest_extent(True), np.where(tested.labels > 0, sizes[tested.labels], 0)[inside]),
        "mass": (null.largest_mass(True), np.array([mass.get(label, 0.0) for label in tested.labels[inside]])),
        "tfce": (null.largest_tfce(True), tested.enhanced[inside]),
    }
    critical = {name: maxima.critical_value(largest, 0.05) for name, (largest, _) in values.items()}
    return {name: (critical[name], max(float(place.max()), 0) / critical[name]) for name, (_, place) in values.items()}


def main(studies):
    assumptions, study = planned_study.read(str(ROOT / "config/power.yaml"))
    planned = planned_study.maps(assumptions, study)[0]
    planned = dataclasses.replace(planned, drawing=dataclasses.replace(planned.drawing, statistics=STATISTICS[1:]))
    own = lay(planned, study)
    spread = Spread.assumed(planned, own)
    print(
        "| global SD between sessions | CBF | "
        + " | ".join(f"critical {name} | place over it" for name in STATISTICS)
        + " |"
    )
    print("|---" * (2 + 2 * len(STATISTICS)) + "|")
    for level in LEVELS:
        other = dataclasses.replace(spread, within=dataclasses.replace(spread.within, common=level))
        every = [draws.draw(planned, own, other, number) for number in range(studies)]
        for scaling in (ABSOLUTE, PROPORTIONAL):
            results = [ratios(planned, own, drawn, scaling) for drawn in every]
            cells = [np.mean([result[name] for result in results], axis=0) for name in STATISTICS]
            words = " | ".join(f"{critical:.3g} | {ratio:.2f}" for critical, ratio in cells)
            print(f"| {level:g} | {'absolute' if scaling == ABSOLUTE else 'scaled'} | {words} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=10)
    arguments = parser.parse_args()
    with threadpool_limits(1, user_api="blas"):
        main(arguments.studies)
