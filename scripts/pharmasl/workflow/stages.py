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
        The stage's rules to the seconds that one of their jobs takes, in the demo on a laptop: they weigh the rules against
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
        {"simulate_trial": 4, "simulate_participant": 12},
        counted=("simulate_participant",),
    ),
    Stage(
        "Study, template",
        "step",
        "steps",
        {"study_tables": 1, "participant_rows": 1, "template": 8, "atlas": 3},
    ),
    Stage(
        "Anatomy",
        "person",
        "people",
        {"prepare_anatomy": 22, "normalise_anatomy": 18, "segment_anatomy": 10, "assume_anatomy": 2},
        counted=("segment_anatomy", "assume_anatomy"),
    ),
    Stage(
        "Perfusion",
        "scan",
        "scans",
        {"align_perfusion": 9, "quantify_perfusion": 7, "fit_perfusion": 20},
        counted=("quantify_perfusion", "fit_perfusion"),
    ),
    Stage(
        "Quality",
        "scan",
        "scans",
        {"scan_quality": 2, "scan_page": 1, "study_quality": 1, "review_page": 1},
        counted=("scan_quality",),
    ),
    Stage(
        "Contrasts",
        "step",
        "steps",
        {
            "session_contrast": 1,
            "session_transit_time": 1,
            "smooth_grey_matter": 1,
            "global_values": 3,
        },
    ),
    Stage(
        "Group analyses",
        "analysis",
        "analyses",
        {"group_statistics": 22, "cluster_table": 2, "cluster_values": 2, "conjunction": 2, "global_effect": 2},
        counted=("cluster_table",),
    ),
    Stage(
        "Regions",
        "step",
        "steps",
        {
            "roi_mask": 1,
            "roi_values": 1,
            "native_regions": 3,
            "native_roi_values": 1,
            "parcel_values": 2,
            "region_models": 4,
            "seed_slopes": 2,
            "roi_left_out": 60,
        },
    ),
    Stage(
        "Endpoints",
        "step",
        "steps",
        {
            "craving_scores": 1,
            "craving_model": 3,
            "roi_craving": 5,
            "craving_mediation": 5,
            "endpoint_scores": 1,
            "endpoint_model": 3,
            "endpoint_sensitivity": 3,
            "endpoint_relations": 3,
        },
    ),
    Stage(
        "Sensitivity",
        "step",
        "steps",
        {"alternative_maps": 3, "specification": 18, "specification_curve": 1},
    ),
    Stage(
        "Report",
        "step",
        "steps",
        {
            "participant_flow": 1,
            "flow_figure": 2,
            "trial_verdict": 2,
            "allocation_log": 1,
            "group_figure": 3,
            "region_figure": 3,
            "craving_figure": 4,
            "endpoint_figure": 2,
            "specification_figure": 2,
            "report": 8,
        },
    ),
    Stage("Comparison", "step", "steps", {"compare_truth": 12}),
)

# Rules without work of their own, which a user names as targets.
GATHERING = frozenset({"all", "cbf", "quality", "contrasts", "group", "sensitivity", "trial", "comparison"})

# A rule of somebody's own, around this workflow as a module.
OTHER = "Other"
OTHER_SECONDS = 10.0

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
    Part("Simulating the trial", 2200.0),
    Part("Analysing it", 12.0),
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
