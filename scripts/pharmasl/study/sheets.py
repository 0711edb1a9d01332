"""The study's tables: one row per scan, participant or exclusion."""

from collections.abc import Mapping, Sequence
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import blinding, tables
from pharmasl.study import results_dataset

# Of an acquisition, the columns of the scans and what each is.
ACQUISITION = {
    "labeling_type": "Labelling: PCASL, CASL or PASL",
    "labeling_duration": {
        "Description": "Labelling duration, of a time-encoded series of each block; all that occur, separated by blanks",
        "Units": "s",
    },
    "post_labeling_delay": {
        "Description": "Post-labelling delay, for PASL the inversion time; all that occur, separated by blanks",
        "Units": "s",
    },
    "bolus_cutoff_technique": "Bolus cut-off of PASL",
    "bolus_cutoff_delay": {"Description": "Delay of the bolus cut-off (TI1)", "Units": "s"},
    "slice_timing": {"Description": "Readout of the slices, first to last", "Units": "s"},
    "labeling_efficiency": "Labelling efficiency, suppression loss included where the sidecar includes it",
    "background_suppression": "Whether the background was suppressed",
    "suppression_pulses": "Number of background-suppression pulses",
    "m0_type": "Where M0 comes from",
    "m0_estimate": "M0 given as a number, in the units of the images",
    "m0_repetition_time": {"Description": "Repetition time of the M0 image", "Units": "s"},
    "m0_echo_time": {"Description": "Echo time of a separate M0 image", "Units": "s"},
    "repetition_time": {"Description": "Repetition time of label and control", "Units": "s"},
    "echo_time": {"Description": "Echo time of label and control; n/a where several echoes are summed", "Units": "s"},
    "echo_times": {"Description": "Echo times of the echoes that are summed, separated by blanks", "Units": "s"},
    "echo_weights": "Weights by which they are summed, of series and M0 alike",
    "field_strength": {"Description": "Field strength", "Units": "T"},
    "t1_blood": {"Description": "T1 of arterial blood", "Units": "s"},
    "haematocrit": "Haematocrit from which T1 of blood was computed: measured, or of norms by age and sex",
    "t1_tissue": {"Description": "T1 of tissue for M0's recovery", "Units": "s"},
    "t2_star": {
        "Description": "T2* of tissue, for an M0 of another echo time or for the weights of echoes",
        "Units": "s",
    },
    "partition_coefficient": {"Description": "Partition coefficient", "Units": "mL/g"},
}
# In the column anatomy.
TEMPLATE_ANATOMY = "no T1w: the template"
NO_ANATOMY = "none: the map is on the template"
_SCANS = {
    "participant_id": "Participant",
    "session_id": "Session",
    "condition": "State, as the configuration names it",
    "scan": "Stem of the outputs",
    "asl": "Raw ASL image, of several echoes the first, below the dataset; n/a where another program made the CBF map",
    "imported_cbf": "CBF map of another program in its place, from the dataset",
    "m0": "Raw separate M0 image, below the dataset",
    "later_echoes": "Raw images of the later echoes of series and M0 that are summed with the first, separated by blanks",
    "t1w": "Raw T1-weighted images that the scan's anatomy is made of, below the dataset, separated by blanks; of an "
    "anatomy that another program made, its T1-weighted image below its folder",
    "anatomy": "Whose anatomy the scan uses",
    "anatomy_program": "Program that made the anatomy, with its version; n/a for the workflow's own",
    "volumes": "Number of volumes",
    "pairs": "Number of label and control pairs, of deltaM or CBF volumes, or of blocks of time-encoded cycles",
    **ACQUISITION,
    **{f"{key}_source": f"Where {key} comes from" for key in ACQUISITION},
}
# In a study of ready-made contrast maps, a row per map.
_IMPORTED = {
    "participant_id": "Participant",
    "session_id": "Session",
    "condition": "Contrast, as the configuration names it",
    "scan": "Stem of the contrast's files",
    "map": "The ready-made map, below the folder of the program that made it",
}
_RANDOMISED = {
    "participant_id": "Participant",
    "arm": "Arm; n/a where the dataset's table has none",
    "selected": "Whether the configuration's participants name them; true where it names nobody",
    "scanned": "Whether there is a perfusion run of any condition",
}
_EXCLUSIONS = {
    "participant_id": "Participant",
    "session_id": "Session; n/a for all",
    "condition": "State; n/a for all",
    "analysis": "Analysis that the participant does not enter; n/a for the whole study",
    "reason": "Why",
}


def write_sheets(
    content: Mapping[str, Any],
    *,
    description: FilePath,
    readme: FilePath,
    scans: FilePath,
    participants: FilePath,
    randomised: FilePath,
    exclusions: FilePath,
) -> None:
    """Write the study's tables.

    Parameters
    ----------
    content : dict
        ``scans``, ``participants``, ``randomised``, ``exclusions`` (lists of rows), ``imported`` and ``dataset``, as :func:`pharmasl.study.sheet_content.content`
        gives them.
    description, scans, participants, randomised, exclusions : path-like
        ``dataset_description.json`` and the four TSV files.
    readme : path-like
    """
    # Of the tables, the scans' alone knows nothing of the arms.
    with blinding.marking(False):
        results_dataset.write(description, content["dataset"], readme=readme)
        tables.write_table(scans, content["scans"], _IMPORTED if content.get("imported") else _SCANS)
    columns = dict.fromkeys(name for row in content["participants"] for name in row)
    tables.write_table(participants, content["participants"], {name: f"As in the dataset: {name}" for name in columns})
    tables.write_table(randomised, content["randomised"], _RANDOMISED)
    tables.write_table(exclusions, content["exclusions"], _EXCLUSIONS)


def write_rows(rows: Sequence[Mapping[str, Any]], table: FilePath) -> None:
    """Write rows of the participants' table.

    Parameters
    ----------
    rows : list of dict
        Those of one model, of :attr:`pharmasl.workflow.targets.study_targets.Targets.models`.
    table : path-like
    """
    columns = dict.fromkeys(["participant_id", "arm", *(name for row in rows for name in row)])
    tables.write_table(table, rows, {name: f"As in the dataset: {name}" for name in columns})
