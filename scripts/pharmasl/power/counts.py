"""How often the tests of drawn studies are significant, with intervals, beside the closed form where there is one."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.power import study_tests
from pharmasl.power.ground import Ground
from pharmasl.power.named_tests import ANYWHERE, BRAIN, PLACE, REGION
from pharmasl.power.spread import Spread
from pharmasl.statistics import proportions, trial_power
from pharmasl.statistics.trial_assumptions import ANCOVA, PlannedTest
from pharmasl.study import planned_endpoints
from pharmasl.study.map_assumptions import ABSOLUTE
from pharmasl.study.planned_maps import PlannedMaps

_CELL = ("place", "effect", "scaling", "model")


def rows(planned: PlannedMaps, ground: Ground, files: Sequence[FilePath]) -> Iterator[dict[str, Any]]:
    """The power of an outcome's tests.

    Parameters
    ----------
    planned : PlannedMaps
    ground : Ground
    files : sequence of path-like
        Tables of the jobs that drew its studies.

    Yields
    ------
    dict
        A row of :mod:`pharmasl.export.map_power_table`, for each place, effect, scaling, model, test and where it is significant.
    """
    studies = [row for file in files for row in tables.read_table(file)]
    cells: dict[tuple[str | None, ...], list[dict[str, Any]]] = {}
    for row in studies:
        cells.setdefault(tuple(row[name] for name in _CELL), []).append(row)
    spread = Spread.assumed(planned, ground)
    voxel_sd, voxel_correlation = spread.values()
    for (place, effect, scaling, model), own in cells.items():
        inside = ground.inside[list(planned.places).index(str(place))]
        sd, correlation = spread.values(inside)
        shared = {
            "outcome": planned.outcome,
            "analysis": planned.analysis.name,
            "unit": planned.unit,
            "place": place,
            "planned_place": _word(place == next(iter(planned.places))),
            "voxels": int(inside.sum()),
            "effect": effect,
            "scaling": scaling,
            "model": model,
            "planned_model": _word(model == planned.method),
            "complete_treatment": planned.sizes[0],
            "complete_control": planned.sizes[1],
            "studies": len(own),
            "estimate": float(np.mean([float(row["estimate"]) for row in own])),
            "sd": sd,
            "correlation": correlation,
            "voxel_sd": voxel_sd,
            "voxel_correlation": voxel_correlation,
        }
        for column in study_tests.columns(planned):
            test = column.removesuffix(ANYWHERE)
            hits = sum(row[column] == "1" for row in own)
            share = proportions.share(hits, len(own))
            is_closed = column == REGION and scaling == ABSOLUTE
            yield {
                **shared,
                "test": test,
                "where": PLACE if test == column else BRAIN,
                "primary": _word(test == planned.analysis.inference.primary),
                "hits": hits,
                "power": hits / len(own),
                "power_low": share.low,
                "power_high": share.high,
                "closed_form": _closed(planned, str(model), float(str(effect)), sd, correlation) if is_closed else None,
            }


def _word(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _closed(planned: PlannedMaps, model: str, effect: float, sd: float, correlation: float) -> float:
    """The probability that a region's t test is significant in the direction of the effect."""
    inference = planned.analysis.inference
    # Of both sides, one is that of the effect.
    alpha = planned.region_alpha / (2 if inference.two_sided else 1)
    # A model with each voxel's baseline has one variance for all.
    by_arm = inference.variance == planned_endpoints.BY_ARM and model != ANCOVA
    test = PlannedTest(method=model, covariates=planned.covariates, alpha=alpha, two_sided=False, by_arm=by_arm)
    first, second = planned.sizes
    return float(trial_power.power(test, (first, second), effect, sd, correlation))
