"""The tables of the maps depth of a planned trial's power: of each drawn study, and of all."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.power.named_tests import ANYWHERE, BRAIN, PARCEL, PLACE, REGION, SHIFTED, VOXEL
from pharmasl.statistics.trial_assumptions import ANCOVA, CHANGE, FOLLOWUP
from pharmasl.study import settings
from pharmasl.study.map_assumptions import ABSOLUTE, PROPORTIONAL
from pharmasl.study.planned_maps import ANY, PlannedMaps

TESTS = {
    REGION: "t test of the mean over the place, as a region that was declared",
    SHIFTED: "the same of a region of that form that was placed wrongly, in a random direction",
    PARCEL: "t of the atlas' parcels, corrected by the largest over all of them",
    VOXEL: "t of every voxel, corrected by the largest in the brain",
    "extent": "clusters by their extent",
    "mass": "clusters by their mass",
    "tfce": "threshold-free cluster enhancement",
    ANY: "any of the statistics of voxels and clusters, corrected for their number",
}
MODELS = {
    CHANGE: "follow-up minus baseline",
    ANCOVA: "follow-up, adjusted for the baseline of every voxel (of the region)",
    FOLLOWUP: "follow-up alone",
}
SCALINGS = {
    ABSOLUTE: "as it was measured",
    PROPORTIONAL: "each scan divided by its mean over the brain, times 50 mL/100 g/min",
}
_CELL: dict[str, Any] = {
    "place": "Where the effect is",
    "effect": {"Description": "True difference of the arms in the place, in the unit of the analysis"},
    "scaling": {"Description": "CBF", "Levels": SCALINGS},
    "model": {"Description": "How the arms are compared", "Levels": MODELS},
}
COLUMNS: dict[str, Any] = {
    "outcome": "Planned result",
    "analysis": "Analysis of the configuration whose test is taken",
    "unit": "Unit of effect, estimate and sd",
    **_CELL,
    "planned_place": "Whether the place is the planned region: yes or no",
    "planned_model": "Whether that is the model of the configuration: yes or no",
    "test": {"Description": "What is tested", "Levels": TESTS},
    "primary": "Whether that is the primary statistic of the configuration: yes or no",
    "where": {
        "Description": "Where a test counts as significant",
        "Levels": {
            PLACE: "in the place, in the direction of the effect: a cluster that reaches into it, a parcel that shares a voxel with it",
            BRAIN: "anywhere in the brain; without an effect, this is the error rate",
        },
    },
    "studies": "Number of drawn studies",
    "hits": "Number of them in which the test is significant",
    "power": "Their share",
    "power_low": "Lower end of its exact 95 % interval (Clopper and Pearson)",
    "power_high": "Upper end",
    "closed_form": "The same probability by the noncentral t distribution, of a declared region of absolute CBF",
    "estimate": {
        "Description": "Mean over the studies of the estimated effect in the place; of scaled CBF in its own scale"
    },
    "sd": {"Description": "Standard deviation of the place's values between people at one session, before scaling"},
    "correlation": "Correlation of the place's values between the sessions, before scaling",
    "voxel_sd": {"Description": "Standard deviation of a voxel's values between people at one session, before scaling"},
    "voxel_correlation": "Correlation of a voxel's values between the sessions, before scaling",
    "voxels": "Voxels of the place",
    "complete_treatment": "People of the treatment arm with both sessions",
    "complete_control": "People of the control arm with both sessions",
}


def write(path: FilePath, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the table of all studies together, of :func:`pharmasl.power.counts.rows`."""
    tables.write_table(path, rows, COLUMNS)


def is_of(drawn: FilePath, planned: Sequence[PlannedMaps], studies: int) -> bool:
    """Whether a table was drawn under these assumptions, by the file of :func:`write_assumptions` beside it."""
    return bool(tables.read_json(drawn) == _assumptions(planned, studies))


def write_assumptions(path: FilePath, planned: Sequence[PlannedMaps], studies: int) -> None:
    """Write what the table was drawn under."""
    tables.write_json(path, _assumptions(planned, studies))


def _assumptions(planned: Sequence[PlannedMaps], studies: int) -> dict[str, Any]:
    return {"studies": studies, "maps": [settings.plain(one) for one in planned]}


def write_studies(path: FilePath, rows: Iterable[Mapping[str, Any]], tests: Sequence[str]) -> None:
    """Write the table of a job's studies.

    Parameters
    ----------
    path : path-like
    rows : iterable of mapping
        Of :func:`pharmasl.power.study_tests.rows`, each with ``study``, its number.
    tests : sequence of str
        The columns of the tests.
    """
    words = {
        name: f"1 where significant {'anywhere' if name.endswith(ANYWHERE) else 'in the place'}, else 0: "
        f"{TESTS[name.removesuffix(ANYWHERE)]}"
        for name in tests
    }
    columns = {"study": "Number of the drawn study", **_CELL, "estimate": "Estimated effect in the place", **words}
    tables.write_table(path, rows, columns)
