"""The study: who was scanned in which state, with which files, and who enters which analysis."""

import difflib
import os
from dataclasses import dataclass

from pharmasl import bids, tables
from pharmasl.errors import InputError, InputErrors
from pharmasl.study import acquisition, schemas, settings

_SELECTORS = {"acquisition": "acq", "run": "run", "task": "task", "reconstruction": "rec", "direction": "dir"}


@dataclass(frozen=True)
class Scan:
    """One perfusion run of one state.

    Attributes
    ----------
    subject : str
        Label, without ``sub-``.
    session : str or None
        Label, without ``ses-``; None in a dataset without sessions.
    condition : str
        The configuration's name of the state.
    stem : str
        Of every output, below the results.
    asl : str
        The raw image.
    m0 : str or None
        The separate M0 image.
    acquisition : dict
        See :func:`pharmasl.study.acquisition.resolve`.
    """

    subject: str
    session: str | None
    condition: str
    stem: str
    asl: str
    m0: str | None
    acquisition: dict

    @property
    def visit(self):
        """Subject and session, the unit of a contrast."""
        return self.subject, self.session

    @property
    def name(self):
        """The last part of the stem."""
        return self.stem.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Study:
    """All that the rules need to know, from the dataset's listing, sheets and sidecars alone.

    Attributes
    ----------
    config : dict
        Complete, see :func:`pharmasl.study.settings.resolve`.
    participants : dict
        Subject label to its row of the participants' table (text; None where missing).
    scans : dict
        Stem to :class:`Scan`, in the order of the paths.
    t1w : dict
        Subject label to its raw T1-weighted image; None where the template is assumed for want of one.
    exclusions : list of dict
        ``participant_id``, ``session``, ``condition``, ``analysis``, ``reason`` of all that is left out.
    """

    config: dict
    participants: dict
    scans: dict
    t1w: dict
    exclusions: list

    def anatomy(self, subject):
        """The stem of a participant's anatomy: one for all sessions."""
        return bids.stem({"sub": subject}, "anat")

    @property
    def visits(self):
        """(subject, session) to the scans of it, in order."""
        found = {}
        for scan in self.scans.values():
            found.setdefault(scan.visit, []).append(scan)
        return found

    def visit_stem(self, visit):
        """The stem of a visit's contrasts."""
        return bids.stem({"sub": visit[0], "ses": visit[1]}, "contrasts")

    def contrast_scans(self, visit, contrast):
        """The scans that a contrast takes at a visit.

        Returns
        -------
        list of (Scan, float)
            Each with its weight; several runs of one state share the state's weight. Empty if a state is missing.
        """
        pairs = []
        for condition, weight in self.config["contrasts"][contrast].items():
            runs = [scan for scan in self.visits.get(visit, ()) if scan.condition == condition]
            if not runs:
                return []
            pairs += [(scan, weight / len(runs)) for scan in runs]
        return pairs

    def available_contrasts(self):
        """All (visit, contrast) that the scans allow, in order."""
        return [
            (visit, name)
            for visit in self.visits
            for name in self.config["contrasts"]
            if self.contrast_scans(visit, name)
        ]

    def members(self, analysis):
        """Who enters an analysis.

        Returns
        -------
        list of str
            Subject labels: arm known, every covariate known, each contrast of the analysis available at both sessions.
        """
        return [subject for subject in self.participants if not self._missing(subject, analysis)]

    def _missing(self, subject, analysis):
        """Why a participant does not enter an analysis; empty if it does."""
        part = self.config["analyses"][analysis]
        contrasts = {part["contrast"], *([part["seed"]["contrast"]] if "seed" in part else [])}
        row = self.participants[subject]
        reasons = [
            f"no {contrast} at {label}"
            for label in self.config["sessions"].values()
            for contrast in sorted(contrasts)
            if not self.contrast_scans((subject, label), contrast)
        ]
        columns = [self.config["arms"]["column"], *part["covariates"]]
        return reasons + [f"no {column}" for column in columns if row.get(column) is None]

    def incomplete(self):
        """Exclusions from analyses, as rows like :attr:`exclusions`."""
        return [
            {"participant_id": f"sub-{subject}", "analysis": name, "reason": "; ".join(reasons)}
            for name in self.config["analyses"]
            for subject in self.participants
            if (reasons := self._missing(subject, name))
        ]


def read_study(config):
    """Read a study.

    Parameters
    ----------
    config : dict
        The user's configuration.

    Returns
    -------
    Study

    Raises
    ------
    InputErrors
        With every problem of configuration, sheets and sidecars that was found, before any image is touched.
    """
    config = settings.resolve(config)
    dataset = bids.read_dataset(config["bids_dir"])
    errors, exclusions = [], []
    subjects = _subjects(dataset, config, errors)
    participants = _participants(dataset, config, subjects, errors, exclusions)
    scans = _scans(dataset, config, participants, errors, exclusions)
    t1w = _anatomies(dataset, {scan.subject for scan in scans.values()}, config["anatomy"]["missing_t1w"], errors)
    for subject in participants:
        if not any(scan.subject == subject for scan in scans.values()):
            exclusions.append({"participant_id": f"sub-{subject}", "reason": "no perfusion run of any condition"})
    study = Study(config, participants, scans, t1w, exclusions)
    if not errors:
        errors += [*_unknown_exclusions(dataset, study), *_unusable(dataset, study)]
    if errors:
        raise InputErrors(errors)
    return study


def _subjects(dataset, config, errors):
    wanted = config.get("participants")
    if wanted is None:
        return list(dataset.subjects)
    for label in wanted:
        if label not in dataset.subjects:
            errors.append(
                InputError(
                    "config", "participants", label, f"a sub- folder of {dataset.root}", "Correct or remove the label."
                )
            )
    return [label for label in dataset.subjects if label in wanted]


def _participants(dataset, config, subjects, errors, exclusions):
    """The table's rows of the scanned participants, by subject label."""
    path = os.path.join(dataset.root, config["participants_table"])
    arms = config.get("arms")
    if not os.path.isfile(path):
        if arms:
            errors.append(
                InputError(path, "(whole file)", "no such file", "the participants' table, for the arms", "Add it.")
            )
        return {subject: {"participant_id": f"sub-{subject}"} for subject in subjects}
    rows = tables.read_table(path)
    found = {}
    for number, row in enumerate(rows, start=2):
        problems = schemas.check(
            {k: v for k, v in row.items() if v is not None}, "participants", path, prefix=f"line {number}, "
        )
        errors += problems
        if problems:
            continue
        subject = row["participant_id"].removeprefix("sub-")
        if subject in found:
            errors.append(
                InputError(
                    path,
                    f"line {number}, participant_id",
                    row["participant_id"],
                    "each participant once",
                    "Remove the copy.",
                )
            )
        found[subject] = row
        if subject not in dataset.subjects and config.get("participants") is None:
            exclusions.append({"participant_id": row["participant_id"], "reason": "no folder in the dataset"})
    covariates = {column for analysis in config["analyses"].values() for column in analysis["covariates"]}
    haematocrit = config["perfusion"]["haematocrit"]
    wanted = [*([arms["column"]] if arms else []), *sorted(covariates | ({haematocrit} if haematocrit else set()))]
    columns = set(rows[0]) if rows else set()
    for column in wanted:
        if column not in columns:
            errors.append(
                InputError(
                    path, column, "no such column", "a column the configuration names", "Add it, or correct the name."
                )
            )
    result = {}
    for subject in subjects:
        if subject not in found:
            if wanted:
                errors.append(
                    InputError(
                        path,
                        "participant_id",
                        f"no row for sub-{subject}",
                        "a row for every scanned participant",
                        "Add the row.",
                    )
                )
            result[subject] = {"participant_id": f"sub-{subject}"}
            continue
        row = result[subject] = found[subject]
        arm = row.get(arms["column"]) if arms else None
        if arm is not None and arm not in (arms["treatment"], arms["control"]):
            errors.append(
                InputError(
                    path,
                    f"{arms['column']} of sub-{subject}",
                    arm,
                    f"{arms['treatment']} or {arms['control']}",
                    "Correct the table, or arms in the configuration.",
                )
            )
    return result


def _condition(config, entities, path, errors):
    names = [
        name
        for name, selector in config["conditions"].items()
        if all(entities.get(_SELECTORS[key]) == label for key, label in selector.items())
    ]
    if len(names) > 1:
        errors.append(
            InputError(
                "config",
                "conditions",
                f"{' and '.join(names)} both match {path}",
                "one condition a run",
                "Make the selectors distinct.",
            )
        )
    return names[0] if names else None


def _scans(dataset, config, participants, errors, exclusions):
    sessions = set(config["sessions"].values()) if "sessions" in config else None
    scans = {}
    for asl in dataset.images("asl"):
        subject, session = asl.entities.get("sub"), asl.entities.get("ses")
        if subject not in participants:
            continue
        row = {"participant_id": f"sub-{subject}", "session": session}
        if sessions and session not in sessions:
            exclusions.append({**row, "reason": f"the session is none of {', '.join(sorted(sessions))}"})
            continue
        condition = _condition(config, asl.entities, asl.path, errors)
        if condition is None:
            exclusions.append({**row, "reason": f"{os.path.basename(asl.path)} matches no condition"})
            continue
        try:
            resolved, m0scan = acquisition.resolve(dataset, asl, config["perfusion"], participants[subject])
        except InputErrors as several:
            errors += several.errors
            continue
        stem = bids.stem(asl.entities, "perf")
        scans[stem] = Scan(subject, session, condition, stem, asl.path, m0scan.path if m0scan else None, resolved)
    return scans


def _anatomies(dataset, subjects, missing, errors):
    """Each participant's raw T1w; where there is none, an error, or None if the template may stand in for it."""
    found = {}
    for file in dataset.images("T1w"):
        # Defaced or repeated T1w of later sessions are left: the first is the participant's anatomy.
        found.setdefault(file.entities.get("sub"), file.path)
    for subject in sorted(subjects - set(found)):
        if missing == "template":
            found[subject] = None
            continue
        errors.append(
            InputError(
                f"{dataset.root}/sub-{subject}",
                "anat/*_T1w.nii.gz",
                "no such file",
                "a T1-weighted image of each participant",
                "Add it, leave the participant out by participants in the configuration, or set anatomy.missing_t1w "
                "to template there: the perfusion scans are then fitted to the template itself, which is less exact.",
            )
        )
    return {subject: found[subject] for subject in sorted(subjects) if subject in found}


def _unknown_exclusions(dataset, study):
    """Scans that the user excludes by name and that are not there: a misspelt name would exclude nothing, silently."""
    names = [scan.name for scan in study.scans.values()]
    # A configuration cut down to some participants may still name the scans of the others.
    chosen = study.config.get("participants")
    left_out = set() if chosen is None else set(dataset.subjects) - set(chosen)
    for name in study.config["quality"]["exclude_scans"]:
        subject = name.split("_")[0].removeprefix("sub-")
        if name in names or subject in left_out:
            continue
        close = difflib.get_close_matches(name, names, n=5, cutoff=0.6)
        yield InputError(
            "config", f"quality.exclude_scans.{name}", name, "the name of a scan of the study",
            f"Close names: {', '.join(close) or 'none is similar'}.",
        )  # fmt: skip


def _unusable(dataset, study):
    """What leaves nothing to do, or an analysis too small to be one."""
    if not study.scans:
        reasons = "; ".join(sorted({row["reason"] for row in study.exclusions}))[:500]
        yield InputError(
            dataset.root,
            "perf/*_asl.nii.gz",
            "no run that a condition matches",
            "at least one",
            f"Check conditions and sessions. {reasons}",
        )
        return
    arms = study.config.get("arms")
    for name in study.config["analyses"]:
        members = study.members(name)
        per_arm = [
            sum(study.participants[m][arms["column"]] == arms[arm] for m in members) for arm in ("treatment", "control")
        ]
        if min(per_arm) < 2:
            yield InputError(
                "config", f"analyses.{name}", f"{per_arm[0]} and {per_arm[1]} complete participants in the two arms",
                "2 or more in each", "Check the sessions' labels and the arms, or remove the analysis.",
            )  # fmt: skip
