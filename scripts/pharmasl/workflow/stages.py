"""The stages of a run as a user sees them: which rules belong to each, in which order, and how long their jobs take.

Their one home: the lines of the terminal, the table of a dry run and the time left are made of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """What a user waits for as one thing.

    Attributes
    ----------
    name : str
    unit : str
        What is counted: ``scan``.
    units : str
        The same in the plural.
    seconds : dict
        The stage's rules to the seconds that one of their jobs takes in the demo, its start included (``benchmarks/rule_times.py``
        prints them): they weigh the rules against
        one another until jobs of this run have ended, and are no promise.
    counted : tuple of str
        The rules whose jobs are the units; the last one of each unit's jobs. Empty where all jobs of the stage are.
    """

    name: str
    unit: str
    units: str
    seconds: Mapping[str, float]
    counted: tuple[str, ...] = ()


STAGES = (
    Stage(
        "Simulation",
        "person",
        "people",
        {"simulate_trial": 1, "simulate_participant": 6.5},
        counted=("simulate_participant",),
    ),
    Stage(
        "Study, template",
        "step",
        "steps",
        {"study_tables": 0.5, "participant_rows": 0.5, "template": 4, "atlas": 0.7},
    ),
    Stage(
        "Anatomy",
        "person",
        "people",
        {
            "prepare_anatomy": 11,
            "normalise_anatomy": 9,
            "segment_anatomy": 4,
            "assume_anatomy": 1,
            "import_anatomy": 1,
            "import_registration": 3,
            "import_segmentation": 1,
        },
        counted=("segment_anatomy", "assume_anatomy", "import_segmentation"),
    ),
    Stage(
        "Perfusion",
        "scan",
        "scans",
        {"align_perfusion": 3.5, "quantify_perfusion": 1.8, "fit_perfusion": 6, "import_cbf": 1.2},
        counted=("quantify_perfusion", "fit_perfusion", "import_cbf"),
    ),
    Stage(
        "Quality",
        "scan",
        "scans",
        {"scan_quality": 1.1, "imported_quality": 1, "scan_page": 2, "study_quality": 2, "review_page": 1},
        counted=("scan_quality", "imported_quality"),
    ),
    Stage(
        "Contrasts",
        "step",
        "steps",
        {
            "session_contrast": 0.6,
            "import_contrast": 0.6,
            "session_transit_time": 0.6,
            "smooth_grey_matter": 0.6,
            "global_values": 0.9,
        },
    ),
    Stage(
        "Group analyses",
        "analysis",
        "analyses",
        {
            "group_statistics": 6.5,
            "cluster_table": 1,
            "cluster_values": 1,
            "conjunction": 1,
            "neurovault": 0.7,
            "global_effect": 1.8,
        },
        counted=("cluster_table",),
    ),
    Stage(
        "Regions",
        "step",
        "steps",
        {
            "roi_mask": 0.7,
            "roi_values": 0.8,
            "native_regions": 1.5,
            "native_roi_values": 0.8,
            "parcel_values": 1,
            "region_models": 2,
            "seed_slopes": 1.3,
            "roi_left_out": 20,
        },
    ),
    Stage(
        "Endpoints",
        "step",
        "steps",
        {
            "craving_scores": 0.6,
            "craving_model": 1.7,
            "roi_craving": 2.5,
            "craving_mediation": 2.5,
            "endpoint_scores": 0.6,
            "endpoint_model": 1.6,
            "endpoint_sensitivity": 1.7,
            "endpoint_relations": 2,
        },
    ),
    Stage(
        "Sensitivity",
        "step",
        "steps",
        {"alternative_maps": 1.1, "specification": 5.7, "specification_curve": 0.7},
    ),
    Stage(
        "Report",
        "step",
        "steps",
        {
            "participant_flow": 1,
            "flow_figure": 1.1,
            "trial_verdict": 1.5,
            "allocation_log": 0.5,
            "group_figure": 1.8,
            "region_figure": 1,
            "craving_figure": 2,
            "endpoint_figure": 1.1,
            "specification_figure": 1.1,
            "tidy_table": 0.8,
            "report": 6,
        },
    ),
    Stage("Comparison", "step", "steps", {"compare_truth": 3.6}),
)

# Rules without work of their own, which a user names as targets.
GATHERING = frozenset({"all", "cbf", "quality", "contrasts", "group", "sensitivity", "trial", "comparison"})

# A rule of somebody's own, around this workflow as a module.
OTHER = "Other"
OTHER_SECONDS = 5.0

SECONDS = {rule: seconds for stage in STAGES for rule, seconds in stage.seconds.items()}
_STAGE = {rule: stage for stage in STAGES for rule in stage.seconds}


@dataclass(frozen=True)
class Part:
    """One of several runs of Snakemake that a user waits for as one.

    Attributes
    ----------
    words : str
        What it does.
    later : float
        Core seconds that the parts after it take, in the measure of :data:`SECONDS`.
    """

    words: str
    later: float


DEMO = (
    Part("Simulating the trial", 1100.0),
    Part("Analysing it", 4.0),
    Part("Comparing what was found with what was planted", 0.0),
)


def works(rule: str) -> bool:
    """Whether a rule has work of its own."""
    return rule not in GATHERING


def stages_of(rules: Iterable[str]) -> list[Stage]:
    """The stages that hold any of some rules, in order; rules of no stage make one more, :data:`OTHER`."""
    wanted = [rule for rule in rules if works(rule)]
    other = {rule: OTHER_SECONDS for rule in wanted if rule not in _STAGE}
    known = [stage for stage in STAGES if any(rule in stage.seconds for rule in wanted)]
    return [*known, Stage(OTHER, "job", "jobs", other)] if other else known
