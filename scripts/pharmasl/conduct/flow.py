"""The flow of participants through a trial, as the CONSORT statement asks for it: randomised, scanned, analysed, lost.

Every participant randomised is accounted for at every stage, once: as kept, or as lost with one reason, the earliest.
"""

import typing
from collections.abc import Iterator, Mapping, Sequence

from pharmasl.conduct.flow_stages import (
    CravingRatings,
    FlowSettings,
    StageOutcome,
    analysis_stage,
    craving_stages,
    scan_stages,
)
from pharmasl.conduct.losses import CAUSES, RANK, FlowFiles, Loss, TrialRecords
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.study.labels import Labels

STAGES = {
    "randomised": "In the dataset's table of participants",
    "selected": "Named by the configuration's participants; the stage is there where it names some",
    "not selected": "The others",
    "scanned": "With a perfusion run of a condition: at any session (session n/a), or at this one",
    "not scanned": "The others",
    "usable": "With every state of the contrast at the session in a scan that its quality does not exclude",
    "not usable": "The others",
    "rated": "With a cue-elicited craving score at the session, or at both",
    "not rated": "The others",
    "analysed": "In the analysis",
    "left out": "The others of the arms that the analysis concerns",
}
# The stage of those kept to the stage of those lost, and back.
LOST = {
    "selected": "not selected",
    "scanned": "not scanned",
    "usable": "not usable",
    "rated": "not rated",
    "analysed": "left out",
}
KEPT = {lost: kept for kept, lost in LOST.items()}
COLUMNS: tables.Columns = {
    "stage": {
        "Description": "Stage; in every stage but the first, for each arm, those kept and those lost make up those randomised",
        "Levels": STAGES,
    },
    "of": "Contrast (usable), analysis, or craving; n/a where the stage is about none",
    "session_id": "Session; n/a where the stage is about all",
    "arm": "Arm; n/a for participants without one in the dataset's table",
    "n": "Number of participants",
    "cause": {"Description": "Earliest cause of the loss", "Levels": CAUSES},
    "reason": "The reason in words; of several things, the earliest",
    "participants": "Who they are, separated by blanks",
}


# A row of the table: its columns by name, as COLUMNS describes them.
FlowRow = typing.TypedDict(  # noqa: UP013 (columns need not be good names of attributes)
    "FlowRow",
    {
        "stage": str,
        "of": str | None,
        "session_id": str | None,
        "arm": str | None,
        "n": int,
        "cause": str | None,
        "reason": str | None,
        "participants": str | None,
    },
)


def flow(files: FlowFiles, design: FlowSettings) -> list[FlowRow]:
    """Count a trial's participants at every stage.

    Parameters
    ----------
    files : FlowFiles
    design : FlowSettings

    Returns
    -------
    list of FlowRow

    Raises
    ------
    InputError
        If the tables contradict one another: someone analysed who was never randomised, is of an arm that does not take
        part in the analysis or has no usable scan; someone not analysed of whom no table says why; another number of
        scores in the craving model than there are.
    """
    trial = TrialRecords(files)
    configured = design.arms.labels
    # The table may name further arms for participants of whom there is nothing else.
    others = sorted({arm for arm in trial.arms.values() if arm is not None and arm not in configured})
    order = [*configured, *others, None]
    rows = []
    for arm in order:
        members = [who for who, own in trial.arms.items() if own == arm]
        # An arm of the configuration has its row even if nobody is in it.
        if members or arm in configured:
            rows.append(_row("randomised", None, None, arm, members))
    stages = list(scan_stages(trial, design))
    for analysis, design_file, inference_file in zip(
        design.analyses.values(), files.designs, files.inferences, strict=True
    ):
        stages.append(analysis_stage(trial, analysis, design, design_file, inference_file))
    if design.sessions and files.craving_scores is not None and files.craving_model is not None:
        ratings = CravingRatings(trial, design.sessions, files.craving_scores)
        stages += [*ratings.stages(), *craving_stages(trial, design.arms, ratings, files.craving_model)]
    for outcome in stages:
        rows += _stage_rows(outcome, trial.arms, order)
    verify(rows)
    return rows


def _row(
    stage: str,
    about: str | None,
    session: str | None,
    arm: str | None,
    members: Sequence[str],
    loss: Loss | None = None,
) -> FlowRow:
    return {
        "stage": stage,
        "of": about,
        "session_id": session,
        "arm": arm,
        "n": len(members),
        "cause": loss.cause if loss else None,
        "reason": loss.reason if loss else None,
        "participants": " ".join(members),
    }


def _stage_rows(
    outcome: StageOutcome, arms: Mapping[str, str | None], order: Sequence[str | None]
) -> Iterator[FlowRow]:
    """A stage's rows, arm by arm: those kept, then those lost by cause and reason."""
    for arm in order:
        members = {who: loss for who, loss in outcome.losses.items() if arms[who] == arm}
        if not members:
            continue
        kept = [who for who, loss in members.items() if loss is None]
        yield _row(outcome.stage, outcome.about, outcome.session, arm, kept)
        lost: dict[Loss, list[str]] = {}
        for who, loss in members.items():
            if loss is not None:
                lost.setdefault(loss, []).append(who)
        for loss, names in sorted(lost.items(), key=lambda item: (RANK[item[0].cause], -len(item[1]))):
            yield _row(LOST[outcome.stage], outcome.about, outcome.session, arm, names, loss)


def verify(rows: Sequence[FlowRow]) -> None:
    """Raise a ValueError unless at every stage those kept and those lost are, arm by arm, those randomised, each once."""
    randomised: dict[str | None, list[str]] = {}
    stages: dict[tuple[str, str | None, str | None, str | None], list[str]] = {}
    for row in rows:
        names = (row["participants"] or "").split()
        if len(names) != row["n"]:
            raise ValueError(f"{row['stage']} of {row['arm']}: {row['n']} participants, {len(names)} named")
        if row["stage"] == "randomised":
            randomised[row["arm"]] = sorted(names)
        else:
            stage = KEPT.get(row["stage"], row["stage"])
            stages.setdefault((stage, row["of"], row["session_id"], row["arm"]), []).extend(names)
    for key, names in stages.items():
        expected = randomised[key[-1]]
        if sorted(names) != expected:
            odd = sorted(set(names) ^ set(expected)) or sorted({who for who in names if names.count(who) > 1})
            where = " ".join(part for part in key if part is not None)
            raise ValueError(f"{where}: not everyone randomised is accounted for once: {', '.join(odd)}")


def write_flow(output: FilePath, files: FlowFiles, design: FlowSettings) -> None:
    """Write the flow of participants as a table; parameters and errors as of :func:`flow`."""
    tables.write_table(output, flow(files, design), COLUMNS)


def read_flow(path: FilePath) -> list[FlowRow]:
    """Read a table that :func:`write_flow` wrote, ``n`` as a whole number."""
    return [typing.cast(FlowRow, {**row, "n": int(row["n"])}) for row in tables.read_table(path)]


def in_words(rows: Sequence[FlowRow], labels: Labels) -> list[FlowRow]:
    """The rows with words for their arms, their sessions and what is counted; the reasons stay as they are."""
    words = {"analysed": labels.analyses, "usable": labels.contrasts}
    return [
        FlowRow(
            **{
                **row,
                "arm": row["arm"] and labels.arm(row["arm"]),
                "session_id": row["session_id"] and labels.session(row["session_id"]),
                "of": row["of"] and words.get(KEPT.get(row["stage"], row["stage"]), {}).get(row["of"], row["of"]),
            }
        )
        for row in rows
    ]
