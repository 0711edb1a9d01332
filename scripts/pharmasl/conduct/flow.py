"""The flow of participants through a trial, as the CONSORT statement asks for it: randomised, scanned, analysed, lost.

Every participant randomised is accounted for at every stage, once: as kept, or as lost with one reason. Where several
things stood in a participant's way, the reason is the earliest of :data:`CAUSES` (Schulz, Altman and Moher 2010, BMJ
340:c332; items 13a and 13b).
"""

import re
from typing import NamedTuple

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.study import arms as study_arms

# What participants are lost by, in the order in which it happens to them.
CAUSES = {
    "not selected": "Not among the participants that the configuration names",
    "not scanned": "No perfusion run of any condition at any session",
    "no session": "Scanned, and not at a session that is needed",
    "no state": "Scanned at the session, and not in a state that is needed",
    "scan excluded": "All runs of a state excluded for their quality",
    "not rated": "No cue-elicited craving score",
    "no covariate": "A value missing in the participants' table: the arm or a covariate",
    "other": "Left out by the analysis itself, for the reason that it gives",
}
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
# The stage of those kept to the stage of those lost.
LOST = {
    "selected": "not selected",
    "scanned": "not scanned",
    "usable": "not usable",
    "rated": "not rated",
    "analysed": "left out",
}
CRAVING_MODEL, CRAVING_CHANGE = "craving, mixed model", "craving, change"
COLUMNS = {
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
_RANK = {cause: rank for rank, cause in enumerate(CAUSES)}


class Loss(NamedTuple):
    """Why a participant is not kept: ``cause`` of :data:`CAUSES`, ``reason`` in words."""

    cause: str
    reason: str


class Files(NamedTuple):
    """Paths of the tables that the flow is read from.

    Attributes
    ----------
    randomised, participants, scans, exclusions : path-like
        Tables of the study.
    quality_exclusions : path-like
        Scans excluded for their quality.
    designs, inferences : list of path-like
        ``_design.tsv`` and ``_inference.json`` of each analysis.
    craving_scores, craving_model : list of path-like
        One each, or none.
    """

    randomised: str
    participants: str
    scans: str
    exclusions: str
    quality_exclusions: str
    designs: list
    inferences: list
    craving_scores: list
    craving_model: list


def _bare(label):
    return None if label is None else str(label).removeprefix("ses-")


def _and(words):
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def kind(reason):
    """The kind of a scan's exclusion: the quality stage's reason without the numbers that are the scan's own."""
    reason = re.sub(r"\b\d+ of \d+ repeats usable, fewer than (\d+)", r"fewer than \1 repeats usable", reason or "")
    reason = re.sub(r" \([^()]*\d[^()]*\)", "", reason)
    return re.sub(r"registration not accepted: .*?(?=; |$)", "registration not accepted", reason) or "no reason given"


class _Trial:
    """Who was randomised, and which scans there are of them."""

    def __init__(self, files):
        self.file = files.randomised
        rows = tables.read_table(files.randomised, of_arms=True)
        self.arm = {row["participant_id"]: row.get("arm") for row in rows}
        if len(self.arm) < len(rows):
            raise InputError(self.file, "participant_id", "a participant twice", "one row each", "Remove the copy.")
        self.row = {row["participant_id"]: row for row in tables.read_table(files.participants, of_arms=True)}
        self.runs = {}
        for row in tables.read_table(files.scans):
            states = self.runs.setdefault((row["participant_id"], _bare(row["session_id"])), {})
            states.setdefault(row["condition"], []).append(row["scan"].rsplit("/", 1)[-1])
        self.excluded = {
            row["scan"].rsplit("/", 1)[-1]: kind(row["reason"]) for row in tables.read_table(files.quality_exclusions)
        }
        self.never = {
            row["participant_id"]: row["reason"]
            for row in reversed(tables.read_table(files.exclusions))
            if not any(row.get(name) for name in ("session_id", "condition", "analysis"))
        }
        seen = {who for who, _ in self.runs}
        self.known(seen, files.scans)
        self.unselected = {row["participant_id"] for row in rows if row["selected"] == "false"}
        told = {row["participant_id"] for row in rows if row["scanned"] == "true"}
        if told != seen:
            odd = ", ".join(sorted(told ^ seen))
            raise InputError(self.file, "scanned", f"not as in the table of scans: {odd}", "one study", "Run it again.")
        self.scanned = seen

    def known(self, names, file):
        """Raise an InputError if someone was never randomised."""
        strangers = sorted(set(names) - set(self.arm))
        if strangers:
            raise InputError(
                file, "participant_id", ", ".join(strangers), f"participants of {self.file}", "Run the study again."
            )

    def unselected_loss(self, who):
        """The loss of someone whom the configuration does not name; None for the others."""
        reason = "not among the participants that the configuration names"
        return Loss("not selected", reason) if who in self.unselected else None

    def unscanned(self, who):
        """The loss of someone not selected or never scanned; None for the others."""
        if loss := self.unselected_loss(who):
            return loss
        if who in self.scanned:
            return None
        return Loss("not scanned", self.never.get(who) or "no perfusion run of any condition")

    def absent(self, who, session, sessions):
        """The loss of someone with no scan at a session; the reason says at which of the others there is one."""
        if (who, session) in self.runs:
            return None
        elsewhere = [label for label in sessions if (who, label) in self.runs]
        return self.unscanned(who) or Loss("no session", f"scanned at {_and(elsewhere)} only")

    def loss(self, who, sessions, states, *, one_is_enough=False):
        """Why there are no usable scans of these states at these sessions.

        Parameters
        ----------
        who : str
        sessions : list of str
        states : list of str
        one_is_enough : bool
            Whether a single one of the sessions will do.

        Returns
        -------
        Loss or None
        """
        if loss := self.unscanned(who):
            return loss
        obstacles = {session: self._obstacles(who, session, states) for session in sessions}
        if one_is_enough and not all(obstacles.values()):
            return None
        ranks = [_RANK[cause] for found in obstacles.values() for cause, _, _ in found]
        if not ranks:
            return None
        first, where = min(ranks), {}
        for session, found in obstacles.items():
            for cause, what, detail in found:
                if _RANK[cause] == first:
                    where.setdefault((what, detail), []).append(session)
        told = [
            what + ("" if labels == [None] else f" at {_and(labels)}") + detail
            for (what, detail), labels in where.items()
        ]
        return Loss(list(CAUSES)[first], "; ".join(told))

    def _obstacles(self, who, session, states):
        """(cause, what, detail) of what stands in the way at one visit."""
        runs = self.runs.get((who, session))
        if runs is None:
            return [("no session", "no scan", "")]
        missing = [state for state in states if state not in runs]
        if missing:
            return [("no state", f"no {' and no '.join(missing)} scan", "")]
        found = []
        for state in states:
            if all(scan in self.excluded for scan in runs[state]):
                why = "; ".join(dict.fromkeys(self.excluded[scan] for scan in runs[state]))
                found.append(("scan excluded", f"{state} scan", f" excluded: {why}"))
        return found

    def incomplete(self, who, columns):
        """The loss of someone without arm, or without a value of a column; None for the others."""
        row = self.row.get(who, {})
        missing = (["arm"] if self.arm[who] is None else []) + [name for name in columns if row.get(name) is None]
        return Loss("no covariate", f"no {_and(list(dict.fromkeys(missing)))}") if missing else None


class _Block(NamedTuple):
    """One stage: who is kept (None) or lost (a :class:`Loss`), for each participant whom it concerns."""

    stage: str
    of: str
    session: str
    fate: dict


def _states(contrasts, analysis):
    return list(dict.fromkeys(state for name in study_arms.contrasts(analysis) for state in contrasts[name]))


def _session_labels(analysis, sessions):
    if sessions is None and "sessions" not in analysis:
        return [None]
    return [_bare(label) for label in study_arms.sessions(analysis, sessions).values()]


def _scans(trial, sessions, contrasts, analyses):
    """Scanned at all, at each session; then usable for each contrast that an analysis takes, at its sessions."""
    if trial.unselected:
        yield _Block("selected", None, None, {who: trial.unselected_loss(who) for who in trial.arm})
    yield _Block("scanned", None, None, {who: trial.unscanned(who) for who in trial.arm})
    labels = [_bare(label) for label in study_arms.labels(sessions)] if sessions else []
    for label in labels:
        yield _Block("scanned", None, label, {who: trial.absent(who, label, labels) for who in trial.arm})
    taken = {}
    for analysis in analyses.values():
        for name in study_arms.contrasts(analysis):
            taken.setdefault(name, set()).update(_session_labels(analysis, sessions))
    for name in contrasts:
        for label in labels or [None]:
            if label in taken.get(name, ()):
                fate = {who: trial.loss(who, [label], list(contrasts[name])) for who in trial.arm}
                yield _Block("usable", name, label, fate)


def _analysis(trial, name, analysis, arms, sessions, contrasts, design, inference):
    """Who is in an analysis."""
    concerned = {*study_arms.concerned(analysis, arms), None}
    analysed = {row["participant_id"] for row in tables.read_table(design)}
    trial.known(analysed, design)
    told = tables.read_json(inference)
    own = {}
    for row in told["excluded"]:
        own.setdefault(row["participant_id"], {})[row["reason"]] = True
    trial.known(own, inference)
    labels, states = _session_labels(analysis, sessions), _states(contrasts, analysis)
    fate = {}
    for who, arm in trial.arm.items():
        if arm not in concerned:
            if who in analysed:
                expected = "participants of the arms concerned"
                raise InputError(design, "participant_id", f"{who} of arm {arm}", expected, f"Run {name} again.")
            continue
        loss = trial.loss(who, labels, states, one_is_enough=analysis.get("method") == "mixed_model")
        loss = loss or trial.incomplete(who, study_arms.all_columns(analysis))
        if who in analysed:
            if loss:
                found, expected = f"{who}, of whom the tables say: {loss.reason}", "tables of one study"
                raise InputError(design, "participant_id", found, expected, f"Run {name} again.")
            fate[who] = None
            continue
        if loss is None and who in own:
            loss = Loss("other", "; ".join(own[who]))
        if loss is None and told["status"] != "run":
            loss = Loss("other", f"analysis {told['status']}")
        if loss is None:
            expected = "a reason why they are left out, or they among those analysed"
            raise InputError(design, "participant_id", f"no {who}", expected, f"Run {name} again.")
        fate[who] = loss
    return _Block("analysed", name, None, fate)


def _craving(trial, arms, sessions, scores, model):
    """Who is rated, and who enters the models of craving."""
    labels = [_bare(sessions[which]) for which in ("baseline", "followup")]
    rated = {}
    for row in tables.read_table(scores):
        known = rated.setdefault(row["participant_id"], set())
        if row["cue_elicited"] is not None and _bare(row["session_id"]) in labels:
            known.add(_bare(row["session_id"]))
    trial.known(rated, scores)

    def loss(who, wanted, enough):
        have = rated.get(who, set())
        if sum(label in have for label in wanted) >= enough:
            return None
        if who not in rated:
            return trial.unscanned(who) or Loss("not rated", "not in the craving scores")
        if have and len(wanted) > 1:
            return Loss("not rated", f"rated at {_and([label for label in labels if label in have])} only")
        return Loss("not rated", f"not rated at {_and(wanted)}")

    for label in labels:
        yield _Block("rated", "craving", label, {who: loss(who, [label], 1) for who in trial.arm})
    yield _Block("rated", "craving", _and(labels), {who: loss(who, labels, 2) for who in trial.arm})

    pair = (arms["treatment"], arms["control"])
    rows = {(row["analysis"], row["term"], row["arm"]): row for row in tables.read_table(model)}
    for name, enough in ((CRAVING_MODEL, 1), (CRAVING_CHANGE, 2)):
        fate = {}
        for who, arm in trial.arm.items():
            if arm in (*pair, None):
                fate[who] = loss(who, labels, enough) or trial.incomplete(who, [])
        kept = [who for who, lost in fate.items() if lost is None]
        parts = {None: kept} if enough == 1 else {arm: [who for who in kept if trial.arm[who] == arm] for arm in pair}
        for arm, members in parts.items():
            row = rows["mixed_model", "arm:session", None] if enough == 1 else rows["paired_t", "change", arm]
            number = sum(len(rated[who]) for who in members) if enough == 1 else len(members)
            if int(row["n"]) != number:
                expected = f"{number}, as in the craving scores"
                raise InputError(model, f"n of {name}", row["n"], expected, "Run the craving models again.")
            if row["estimate"] is None:
                fate.update(dict.fromkeys(members, Loss("other", row["method"])))
        # The test that decides the endpoint rests on the same participants, both arms together.
        compared = rows["difference_of_changes", "arm:session", None]
        number = sum(trial.arm[who] in pair for who in kept)
        if enough == 2 and int(compared["n"]) != number:
            expected = f"{number}, as in the craving scores"
            raise InputError(
                model, "n of difference_of_changes", compared["n"], expected, "Run the craving models again."
            )
        yield _Block("analysed", name, None, fate)


def _rows(block, trial, order):
    """A stage's rows, arm by arm: those kept, then those lost by cause and reason."""
    for arm in order:
        members = {who: loss for who, loss in block.fate.items() if trial.arm[who] == arm}
        if not any(trial.arm[who] == arm for who in block.fate):
            continue
        at = {"of": block.of, "session_id": block.session, "arm": arm}
        kept = [who for who, loss in members.items() if loss is None]
        yield {"stage": block.stage, **at, "n": len(kept), "participants": " ".join(kept)}
        lost = {}
        for who, loss in members.items():
            if loss is not None:
                lost.setdefault(loss, []).append(who)
        for loss, names in sorted(lost.items(), key=lambda item: (_RANK[item[0].cause], -len(item[1]))):
            told = {"cause": loss.cause, "reason": loss.reason}
            yield {"stage": LOST[block.stage], **at, "n": len(names), **told, "participants": " ".join(names)}


def configured(arms):
    """The arms of a configuration: treatment, control, others."""
    return [arms["treatment"], arms["control"], *(arms.get("others") or [])]


def flow(files, *, arms, sessions, contrasts, analyses):
    """Count a trial's participants at every stage.

    Parameters
    ----------
    files : Files
    arms : dict
        ``treatment``, ``control``, ``others``.
    sessions : dict or None
        ``baseline``, ``followup``, ``others``.
    contrasts : dict
        Name to the weights of its states.
    analyses : dict
        Name to the analysis, in the order of the files.

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`.

    Raises
    ------
    InputError
        If the tables contradict one another: someone analysed who was never randomised, is of an arm that the analysis
        does not concern or has no usable scan; someone not analysed of whom no table says why; another number of scores
        in the craving model than there are.
    """
    trial = _Trial(files)
    order = configured(arms)
    # The table may name further arms for participants of whom there is nothing else.
    order += [*sorted({arm for arm in trial.arm.values() if arm not in (*order, None)}), None]
    rows = []
    for arm in order:
        members = [who for who, own in trial.arm.items() if own == arm]
        # An arm of the configuration is told of even if nobody is in it.
        if members or arm in configured(arms):
            rows.append({"stage": "randomised", "arm": arm, "n": len(members), "participants": " ".join(members)})
    blocks = list(_scans(trial, sessions, contrasts, analyses))
    for (name, analysis), design, inference in zip(analyses.items(), files.designs, files.inferences, strict=True):
        blocks.append(_analysis(trial, name, analysis, arms, sessions, contrasts, design, inference))
    for scores, model in zip(files.craving_scores, files.craving_model, strict=True):
        blocks += _craving(trial, arms, sessions, scores, model)
    for block in blocks:
        rows += _rows(block, trial, order)
    verify(rows)
    return rows


def verify(rows):
    """Raise a ValueError unless at every stage those kept and those lost are, arm by arm, those randomised, each once.

    Parameters
    ----------
    rows : list of dict
        Of :func:`flow`.
    """
    randomised, blocks = {}, {}
    lost = {name: kept for kept, name in LOST.items()}
    for row in rows:
        names = (row["participants"] or "").split()
        if len(names) != row["n"]:
            raise ValueError(f"{row['stage']} of {row['arm']}: {row['n']} participants, {len(names)} named")
        if row["stage"] == "randomised":
            randomised[row["arm"]] = sorted(names)
        else:
            stage = lost.get(row["stage"], row["stage"])
            blocks.setdefault((stage, row["of"], row["session_id"], row["arm"]), []).extend(names)
    for (stage, of, session, arm), names in blocks.items():
        if sorted(names) != randomised[arm]:
            odd = sorted(set(names) ^ set(randomised[arm])) or sorted({who for who in names if names.count(who) > 1})
            where = " ".join(str(part) for part in (stage, of, session, arm) if part is not None)
            raise ValueError(f"{where}: not everyone randomised is accounted for once: {', '.join(odd)}")


def write_flow(output, files, **settings):
    """Write the flow of participants; parameters as :func:`flow`, ``output`` the table."""
    tables.write_table(output, flow(files, **settings), COLUMNS)


def read_flow(path):
    """Read a table that :func:`write_flow` wrote, ``n`` as a whole number."""
    return [{**row, "n": int(row["n"])} for row in tables.read_table(path)]
