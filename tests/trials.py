"""A made-up messy trial: who is lost where is drawn at random, and the tables that the stages would have written of it."""

import random
from types import SimpleNamespace

import complete_settings
from pharmasl.conduct.flow_stages import FlowSettings
from pharmasl.conduct.losses import FlowFiles
from pharmasl.endpoints import models
from pharmasl.endpoints import scores as scoring
from pharmasl.files import tables
from pharmasl.quality.measure_columns import EXCLUSIONS
from pharmasl.study import settings

SESSIONS = {"baseline": "T1", "followup": "T2", "others": ["T3"]}
CONTRASTS = {"rest": {"rest": 1}, "cue": {"smoking": 1, "neutral": -1}}
ANALYSES = {
    "rest_interaction": {"contrast": "rest", "effect": "group_by_time", "covariates": ["age"]},
    "cue_interaction": {"contrast": "cue", "effect": "group_by_time", "covariates": ["age"]},
    "rest_to_cue": {
        "contrast": "cue",
        "effect": "association",
        "covariates": [],
        "seed": {"roi": "dlpfc", "contrast": "rest"},
    },
    "rest_mixed": {"contrast": "rest", "effect": "group_by_time", "method": "mixed_model", "covariates": []},
    "rest_on_drug": {"contrast": "rest", "effect": "within_arm", "arm": "drug", "covariates": []},
    "all_arms": {
        "contrast": "rest",
        "effect": "between_arms",
        "pair": ["drug", "placebo"],
        "covariates": [],
        "method": "differences",
        "sessions": {"baseline": "T1", "followup": "T3"},
    },
    "at_baseline": {"contrast": "cue", "effect": "baseline_difference", "covariates": []},
    "too_few": {"contrast": "rest", "effect": "regression", "arm": "drug", "predictor": "age", "covariates": []},
}
REASONS = ("3 of 30 repeats usable, fewer than 10", "registration not accepted: 14 mm, off", "spatial CoV high")


def study(arms, analyses=None, **sections):
    """All settings of such a trial, with changes."""
    common = {
        "conditions": {state: {} for state in ("rest", "smoking", "neutral")},
        "sessions": SESSIONS,
        "contrasts": CONTRASTS,
        "rois": {"dlpfc": {"sphere": [0, 0, 0], "radius": 6}},
        "analyses": ANALYSES if analyses is None else analyses,
    }
    return complete_settings.study(**{**common, "arms": arms, **sections})


def design(arms, analyses=None, **sections):
    """What the flow takes of these settings."""
    settings = study(arms, analyses, **sections)
    return FlowSettings(
        arms=settings.arms, sessions=settings.sessions, contrasts=settings.contrasts, analyses=settings.analyses
    )


def draw(seed, number, others=(), lost=0.12, no_arm=True):
    """What happened to each participant of a trial.

    Returns
    -------
    SimpleNamespace
        ``arms``; ``people``: of each, by participant: ``arm``, ``folder``, ``runs`` ((session, state) to whether each
        run is usable), ``age``, ``scores`` (by session), ``seed`` and ``covered`` (whether its maps hold values).
    """
    rng = random.Random(seed)
    arms = {"column": "arm", "treatment": "drug", "control": "placebo", "others": list(others)}
    people = {}
    for k in range(1, number + 1):
        arm = rng.choice(["drug", "placebo", *others])
        runs = {}
        if rng.random() > lost / 2:
            for session in ("T1", "T2", "T3"):
                if rng.random() > lost:
                    for state in ("rest", "smoking", "neutral"):
                        if rng.random() > lost / 3:
                            runs[session, state] = [rng.random() > lost for _ in range(rng.choice((1, 1, 2)))]
        people[f"sub-{k:02d}"] = SimpleNamespace(
            arm=None if no_arm and rng.random() < lost / 4 else arm,
            folder=bool(runs) or rng.random() < 0.5,
            runs=runs,
            age=None if rng.random() < lost / 2 else rng.randint(20, 60),
            scores={session: rng.randint(-10, 60) for session in ("T1", "T2") if rng.random() > lost},
            covered=rng.random() > lost / 4,
        )
    return SimpleNamespace(arms=arms, people=people)


def usable(person, session, states):
    return all(any(person.runs.get((session, state), ())) for state in states)


def enters(name, person, arms):
    """Whether a participant is in an analysis, by its definition."""
    analysis = ANALYSES[name]
    if name == "too_few":
        return False
    wanted = [analysis["arm"]] if "arm" in analysis else [arms["treatment"], arms["control"]]
    wanted = [*wanted, *arms["others"]] if name == "all_arms" else wanted
    if person.arm not in wanted or (analysis["covariates"] and person.age is None) or not person.covered:
        return False
    states = set(CONTRASTS[analysis["contrast"]]) | set(CONTRASTS["rest"] if "seed" in analysis else ())
    own = analysis.get("sessions", SESSIONS)
    sessions = [own["baseline"]] if name == "at_baseline" else [own["baseline"], own["followup"]]
    return (any if name == "rest_mixed" else all)(usable(person, session, states) for session in sessions)


def _table(path, rows, columns=()):
    tables.write_table(path, rows, dict.fromkeys([*columns, *(name for row in rows for name in row)], "c"))
    return path


def write(trial, here):
    """Write the tables; returns their paths as :class:`pharmasl.conduct.losses.FlowFiles`."""
    people, arms = trial.people, trial.arms
    rows = [
        {"participant_id": who, "arm": p.arm, "selected": True, "scanned": bool(p.runs)} for who, p in people.items()
    ]
    randomised = _table(here / "randomised.tsv", rows)
    own = [{"participant_id": who, "arm": p.arm, "age": p.age} for who, p in people.items() if p.folder]
    participants = _table(here / "participants.tsv", own, ("participant_id", "arm", "age"))
    scans, unusable, exclusions = [], [], []
    for k, (who, person) in enumerate(people.items()):
        at = {"participant_id": who, "session_id": None, "condition": None, "analysis": None}
        if not person.folder:
            exclusions.append({**at, "reason": "no folder in the dataset"})
        elif not person.runs:
            exclusions.append({**at, "session_id": "T9", "reason": "the session is none of T1, T2, T3"})
            exclusions.append({**at, "reason": "no perfusion run of any condition"})
        for (session, state), runs in person.runs.items():
            for run, good in enumerate(runs, start=1):
                name = f"{who}_ses-{session}_acq-{state}_run-{run}"
                row = {"participant_id": who, "session_id": session, "condition": state}
                scans.append({**row, "scan": f"{who}/ses-{session}/perf/{name}"})
                if not good:
                    unusable.append({**row, "scan": name, "reason": REASONS[k % len(REASONS)]})
    columns = ("participant_id", "session_id", "condition", "analysis", "reason")
    designs, inferences = [], []
    for name in ANALYSES:
        inside = [who for who, person in people.items() if enters(name, person, arms)]
        times = (0, 1) if name == "rest_mixed" else (0,)
        design = [{"participant_id": who, "session_id": k} for who in inside for k in times]
        designs.append(_table(here / f"{name}_design.tsv", design, ("participant_id", "session_id")))
        status = "not run: too few participants" if name == "too_few" else "run"
        lost = [
            {"participant_id": who, "reason": "no CBF of rest at T1: the scan is excluded or covers nothing"}
            for who, person in people.items()
            if not person.covered and person.runs and person.arm is not None
        ]
        inferences.append(here / f"{name}_inference.json")
        tables.write_json(inferences[-1], {"status": status, "excluded": lost})
    scores = [
        {"participant_id": who, "arm": p.arm, "session_id": session, "cue_elicited": p.scores.get(session)}
        for who, p in people.items()
        if p.folder
        for session in ("T1", "T2")
    ]
    _table(here / "scores.tsv", scores, scoring.COLUMNS)
    models.write_models(
        here / "scores.tsv",
        here / "model.tsv",
        here / "influence.tsv",
        settings.build(settings.Arms, arms),
        settings.build(settings.Sessions, SESSIONS),
    )
    return FlowFiles(
        randomised=randomised,
        participants=participants,
        scans=_table(here / "scans.tsv", scans, ("participant_id", "session_id", "condition", "scan")),
        exclusions=_table(here / "exclusions.tsv", exclusions, columns),
        quality_exclusions=_table(here / "unusable.tsv", unusable, EXCLUSIONS),
        designs=designs,
        inferences=inferences,
        craving_scores=here / "scores.tsv",
        craving_model=here / "model.tsv",
    )
