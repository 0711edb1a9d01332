"""Who is kept and who is lost at each stage of the trial: scanned, usable, rated, analysed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.conduct.losses import Loss, TrialRecords, joined, session_label
from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids, tables
from pharmasl.study import arms as study_arms
from pharmasl.study import effect_kinds
from pharmasl.study.settings import Analysis, Arms, Contrast, Sessions

CRAVING_MODEL, CRAVING_CHANGE = "craving, mixed model", "craving, change"


@dataclass(frozen=True)
class StageOutcome:
    """Who is kept and who is lost at one stage.

    Attributes
    ----------
    stage : str
        The stage of those kept, one of :data:`pharmasl.conduct.flow.LOST`.
    about : str or None
        The contrast, analysis or endpoint that the stage is about.
    session : str or None
    losses : Mapping
        Each participant who could be kept, to their loss, or to None where they are kept.
    """

    stage: str
    about: str | None
    session: str | None
    losses: Mapping[str, Loss | None]


@dataclass(frozen=True, kw_only=True)
class FlowSettings:
    """The settings that say who is needed where.

    Attributes
    ----------
    arms : Arms
    sessions : Sessions or None
    contrasts : Mapping
        Name to the contrast.
    analyses : Mapping
        Name to the analysis, in the order of the files.
    """

    arms: Arms
    sessions: Sessions | None
    contrasts: Mapping[str, Contrast]
    analyses: Mapping[str, Analysis]

    def states(self, analysis: Analysis) -> list[str]:
        """The states whose scans an analysis takes, each once."""
        return list(dict.fromkeys(state for name in analysis.contrasts for state in self.contrasts[name].weights))

    def labels(self, analysis: Analysis) -> list[str | None]:
        """The sessions whose scans an analysis takes; None alone in a study without sessions."""
        pair = analysis.sessions or self.sessions
        if pair is None:
            return [None]
        return [bids.bare_label(label, "ses") for label in study_arms.sessions(analysis, pair).values()]


def scan_stages(trial: TrialRecords, design: FlowSettings) -> Iterator[StageOutcome]:
    """Selected, scanned at all and at each session, then usable for each contrast at the sessions of its analyses."""
    if trial.unselected:
        yield StageOutcome("selected", None, None, {who: trial.not_selected(who) for who in trial.arms})
    yield StageOutcome("scanned", None, None, {who: trial.not_scanned(who) for who in trial.arms})
    labels = [bids.bare_label(label, "ses") for label in design.sessions.labels] if design.sessions else []
    for label in labels:
        yield StageOutcome("scanned", None, label, {who: trial.absent(who, label, labels) for who in trial.arms})
    sessions: list[str | None] = [*labels] or [None]
    needed: dict[str, set[str | None]] = {}
    for analysis in design.analyses.values():
        for name in analysis.contrasts:
            needed.setdefault(name, set()).update(design.labels(analysis))
    for name, contrast in design.contrasts.items():
        for session in sessions:
            if session in needed.get(name, ()):
                losses = {who: trial.without_usable_scans(who, [session], list(contrast.weights)) for who in trial.arms}
                yield StageOutcome("usable", name, session, losses)


def analysis_stage(
    trial: TrialRecords, analysis: Analysis, design: FlowSettings, design_file: FilePath, inference_file: FilePath
) -> StageOutcome:
    """Who is in an analysis, and why the others of its arms are not.

    Parameters
    ----------
    trial : TrialRecords
    analysis : Analysis
    design : FlowSettings
    design_file, inference_file : path-like
        ``_design.tsv``, whose rows are the participants analysed, and ``_inference.json``, which gives the reasons of the
        analysis itself.

    Returns
    -------
    StageOutcome

    Raises
    ------
    InputError
        If someone is analysed of whom the study's tables say that they cannot be, or is left out without a reason.
    """
    taking_part = {*study_arms.concerned(analysis, design.arms), None}
    analysed = {row["participant_id"] for row in tables.read_table(design_file)}
    trial.require_randomised(analysed, design_file)
    own_losses = _own_losses(trial, inference_file)
    again = f"Run {analysis.name} again."
    losses: dict[str, Loss | None] = {}
    for who, arm in trial.arms.items():
        if arm not in taking_part:
            if who in analysed:
                expected = "participants of the arms that take part"
                raise InputError(
                    file=design_file, field="participant_id", found=f"{who} of arm {arm}", expected=expected, fix=again
                )
            continue
        loss = _prior_loss(trial, who, analysis, design)
        if who not in analysed:
            losses[who] = loss or own_losses.get(who) or own_losses.get(EVERYONE)
            if losses[who] is None:
                expected = "a row, or a reason why the participant is left out"
                raise InputError(
                    file=design_file, field="participant_id", found=f"no {who}", expected=expected, fix=again
                )
        elif loss:
            contradiction = f"{who}, of whom the tables say: {loss.reason}"
            raise InputError(
                file=design_file, field="participant_id", found=contradiction, expected="tables of one study", fix=again
            )
        else:
            losses[who] = None
    return StageOutcome("analysed", analysis.name, None, losses)


# In place of a participant, where an analysis was not run.
EVERYONE = ""


def _own_losses(trial: TrialRecords, inference_file: FilePath) -> dict[str, Loss]:
    """The participants whom an analysis itself leaves out; everyone, where it was not run."""
    block = tables.read_json(inference_file)
    reasons: dict[str, dict[str, None]] = {}
    for row in block["excluded"]:
        reasons.setdefault(row["participant_id"], {})[row["reason"]] = None
    trial.require_randomised(reasons, inference_file)
    losses = {who: Loss("other", "; ".join(own)) for who, own in reasons.items()}
    if block["status"] != "run":
        losses[EVERYONE] = Loss("other", f"analysis {block['status']}")
    return losses


def _prior_loss(trial: TrialRecords, participant: str, analysis: Analysis, design: FlowSettings) -> Loss | None:
    """Why a participant cannot enter an analysis, by the tables of the study; None for the others."""
    one_is_enough = analysis.method == effect_kinds.MIXED_MODEL
    loss = trial.without_usable_scans(
        participant, design.labels(analysis), design.states(analysis), one_is_enough=one_is_enough
    )
    return loss or trial.incomplete(participant, study_arms.all_columns(analysis))


class CravingRatings:
    """Who has a score of cue-elicited craving at which of the two sessions compared.

    Parameters
    ----------
    trial : TrialRecords
    sessions : Sessions
    scores : path-like
        ``craving_scores.tsv``.

    Attributes
    ----------
    labels : list of str
        The two sessions.
    """

    def __init__(self, trial: TrialRecords, sessions: Sessions, scores: FilePath) -> None:
        self.trial = trial
        self.labels = [bids.bare_label(label, "ses") for label in (sessions.baseline, sessions.later)]
        self._rated: dict[str, set[str]] = {}
        for row in tables.read_table(scores):
            own = self._rated.setdefault(row["participant_id"], set())
            label = session_label(row["session_id"])
            if row["cue_elicited"] is not None and label in self.labels:
                own.add(label)
        trial.require_randomised(self._rated, scores)

    def number(self, participant: str) -> int:
        """How many scores a participant has at the two sessions."""
        return len(self._rated[participant])

    def loss(self, participant: str, sessions: Sequence[str], least: int) -> Loss | None:
        """Why a participant has fewer scores than ``least`` at these sessions; None for the others."""
        own = self._rated.get(participant, set())
        if sum(label in own for label in sessions) >= least:
            return None
        if participant not in self._rated:
            return self.trial.not_scanned(participant) or Loss("not rated", "not in the craving scores")
        if own and len(sessions) > 1:
            return Loss("not rated", f"rated at {joined([label for label in self.labels if label in own])} only")
        return Loss("not rated", f"not rated at {joined(sessions)}")

    def stages(self) -> Iterator[StageOutcome]:
        """Who is rated at each session, and at both."""
        people = self.trial.arms
        for label in self.labels:
            yield StageOutcome("rated", "craving", label, {who: self.loss(who, [label], 1) for who in people})
        both = joined(self.labels)
        yield StageOutcome("rated", "craving", both, {who: self.loss(who, self.labels, 2) for who in people})


def craving_stages(trial: TrialRecords, arms: Arms, ratings: CravingRatings, model: FilePath) -> Iterator[StageOutcome]:
    """Who enters the mixed model of craving, which takes one session or two, and who the tests of its change.

    Parameters
    ----------
    trial : TrialRecords
    arms : Arms
    ratings : CravingRatings
    model : path-like
        ``craving_model.tsv``.

    Yields
    ------
    StageOutcome

    Raises
    ------
    InputError
        If the models rest on another number of scores or participants than there are.
    """
    pair = (arms.treatment, arms.control)
    rows = {(row["analysis"], row["term"], row["arm"]): row for row in tables.read_table(model)}

    def losses_and_kept(least: int) -> tuple[dict[str, Loss | None], list[str]]:
        losses = {
            who: ratings.loss(who, ratings.labels, least) or trial.incomplete(who, [])
            for who, arm in trial.arms.items()
            if arm in (*pair, None)
        }
        return losses, [who for who, loss in losses.items() if loss is None]

    losses, kept = losses_and_kept(1)
    mixed = rows["mixed_model", "arm:session", None]
    _check_number(model, f"n of {CRAVING_MODEL}", mixed["n"], sum(map(ratings.number, kept)))
    if mixed["estimate"] is None:
        losses |= dict.fromkeys(kept, Loss("other", mixed["method"]))
    yield StageOutcome("analysed", CRAVING_MODEL, None, losses)

    losses, kept = losses_and_kept(2)
    for arm in pair:
        members = [who for who in kept if trial.arms[who] == arm]
        within = rows["paired_t", "change", arm]
        _check_number(model, f"n of {CRAVING_CHANGE}", within["n"], len(members))
        if within["estimate"] is None:
            losses |= dict.fromkeys(members, Loss("other", within["method"]))
    # The test that decides the endpoint rests on the same participants, both arms together.
    between = rows["difference_of_changes", "arm:session", None]
    _check_number(model, "n of difference_of_changes", between["n"], sum(trial.arms[who] in pair for who in kept))
    yield StageOutcome("analysed", CRAVING_CHANGE, None, losses)


def _check_number(model: FilePath, field: str, cell: str, number: int) -> None:
    if int(cell) != number:
        raise InputError(
            file=model,
            field=field,
            found=cell,
            expected=f"{number}, as in the craving scores",
            fix="Run the craving models again.",
        )
