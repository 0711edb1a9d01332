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
        The stage's rules to the processor time that one of their jobs takes in the demo, kernels compiled, in seconds
        (``benchmarks/rule_times.py`` prints them): they weigh the rules against one another until jobs of this run have ended.
        Jobs of other sizes are expected by :mod:`pharmasl.commands.job_sizes`.
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
        {"simulate_trial": 0.4, "simulate_participant": 4.2},
        counted=("simulate_participant",),
    ),
    Stage(
        "Study, template",
        "step",
        "steps",
        {"study_tables": 0.05, "participant_rows": 0.05, "template": 1.6, "atlas": 0.1},
    ),
    Stage(
        "Anatomy",
        "person",
        "people",
        {
            "prepare_anatomy": 5.1,
            "normalise_anatomy": 4.8,
            "invert_registration": 2,
            "segment_anatomy": 2.4,
            "assume_anatomy": 0.5,
            "import_anatomy": 0.5,
            "import_registration": 2,
            "import_segmentation": 0.5,
        },
        counted=("segment_anatomy", "assume_anatomy", "import_segmentation"),
    ),
    Stage(
        "Perfusion",
        "scan",
        "scans",
        {
            "scan_field": 1.2,
            "align_perfusion": 1.4,
            "known_tissue": 0.3,
            "quantify_perfusion": 0.4,
            "fit_perfusion": 2,
            "block_responses": 1.5,
            "realigned_series": 0.3,
            "cbf_series": 0.3,
            "import_cbf": 0.4,
        },
        counted=("quantify_perfusion", "fit_perfusion", "import_cbf"),
    ),
    Stage(
        "Quality",
        "scan",
        "scans",
        {
            "scan_quality": 0.05,
            "imported_quality": 0.1,
            "scan_page": 0.3,
            "imported_page": 0.5,
            "study_quality": 1.3,
            "review_page": 0.05,
        },
        counted=("scan_quality", "imported_quality"),
    ),
    Stage(
        "Contrasts",
        "step",
        "steps",
        {
            "session_contrast": 0.05,
            "import_contrast": 0.1,
            "session_transit_time": 0.05,
            "smooth_grey_matter": 0.1,
            "global_values": 0.3,
        },
    ),
    Stage(
        "Group analyses",
        "analysis",
        "analyses",
        {
            "group_statistics": 3.9,
            "group_f_statistics": 3.9,
            "cluster_table": 0.2,
            "cluster_values": 0.1,
            "called_summary": 0.1,
            "conjunction": 0.2,
            "neurovault": 0.2,
            "global_effect": 0.8,
        },
        counted=("cluster_table",),
    ),
    Stage(
        "Regions",
        "step",
        "steps",
        {
            "roi_mask": 0.1,
            "roi_values": 0.2,
            "native_regions": 0.4,
            "native_roi_values": 0.2,
            "parcel_values": 0.4,
            "scan_parcels": 0.2,
            "repeatability": 0.7,
            "repeatability_maps": 0.6,
            "region_models": 1,
            "seed_slopes": 0.5,
            "roi_left_out": 1.2,
        },
    ),
    Stage(
        "Endpoints",
        "step",
        "steps",
        {
            "craving_scores": 0.05,
            "craving_model": 0.8,
            "roi_craving": 1.8,
            "craving_mediation": 1.8,
            "endpoint_scores": 0.05,
            "endpoint_model": 0.7,
            "endpoint_sensitivity": 0.9,
            "endpoint_relations": 1.2,
        },
    ),
    Stage(
        "Sensitivity",
        "step",
        "steps",
        {"alternative_maps": 0.15, "specification": 2.4, "specification_curve": 0.1},
    ),
    Stage(
        "Report",
        "step",
        "steps",
        {
            "participant_flow": 0.4,
            "flow_figure": 0.5,
            "trial_verdict": 0.6,
            "allocation_log": 0.05,
            "group_figure": 0.8,
            "region_figure": 0.5,
            "repeatability_figure": 0.4,
            "craving_figure": 1.1,
            "endpoint_figure": 0.5,
            "specification_figure": 0.5,
            "all_scan_parcels": 0.3,
            "tidy_table": 0.3,
            "report": 0.8,
        },
    ),
    Stage("Comparison", "step", "steps", {"compare_truth": 2.4}),
    Stage(
        "Power of maps",
        "set of studies",
        "sets of studies",
        {"power_brain": 2.5, "power_ground": 0.5, "power_studies": 150, "power_maps": 2},
        counted=("power_studies",),
    ),
)

# Rules without work of their own, which a user names as targets.
GATHERING = frozenset(
    {"all", "cbf", "quality", "contrasts", "group", "sensitivity", "trial", "comparison", "power_tables"}
)

# A rule of somebody's own, around this workflow as a module.
OTHER = "Other"
OTHER_SECONDS = 1.0

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
    Part("Simulating the trial", 365.0),
    Part("Analysing it", 2.5),
    Part("Comparing what was found with what was planted", 0.0),
)


def family(rule: str) -> str:
    """The rule as which one counts that is made for some of its people: ``simulate_participant__2`` as the one without number."""
    return rule.partition("__")[0]


def works(rule: str) -> bool:
    """Whether a rule has work of its own."""
    return rule not in GATHERING


def stages_of(rules: Iterable[str]) -> list[Stage]:
    """The stages that hold any of some rules, in order; rules of no stage make one more, :data:`OTHER`."""
    wanted = [rule for rule in rules if works(rule)]
    other = {rule: OTHER_SECONDS for rule in wanted if rule not in _STAGE}
    known = [stage for stage in STAGES if any(rule in stage.seconds for rule in wanted)]
    return [*known, Stage(OTHER, "job", "jobs", other)] if other else known
