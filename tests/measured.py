"""Endpoints that a test makes up: their settings, and their scores as the endpoint stage holds them."""

import complete_settings
from pharmasl.endpoints.measure_scores import Measured
from pharmasl.study import settings


def endpoint(*, name="measure", chosen=("all",), populations=None, rois=None, **changes):
    """An endpoint of a complete configuration, with changes, in ``chosen`` of the study's populations."""
    stated = {"table": "phenotype/measure.tsv", "populations": list(chosen), **changes}
    if "items" not in stated:
        stated = {"score": "score", **stated}
    sections = {"populations": populations or {}, "rois": rois or {}, "contrasts": {"rest": {"rest": 1}}}
    whole = complete_settings.study(
        sessions={**complete_settings.SESSIONS, "others": ["T3"]},
        arms=complete_settings.ARMS,
        endpoints={name: stated},
        **sections,
    )
    return whole.endpoints[name]


def sessions(*others):
    """Baseline, follow-up and others."""
    return complete_settings.sessions(others=list(others))


def measured(arms, scores, others=(), **columns):
    """A measure of participants.

    Parameters
    ----------
    arms : sequence of str
    scores : sequence of sequence of float or None
        By session, a row per participant.
    others : sequence of str
        Sessions beside T1 and T2.
    **columns
        Of the participants' table.
    """
    labels = ["T1", "T2", *others]
    names = [f"sub-{number:02d}" for number in range(1, len(arms) + 1)]
    people = {
        name: {"participant_id": name, "arm": str(arm), **{key: str(values[k]) for key, values in columns.items()}}
        for k, (name, arm) in enumerate(zip(names, arms))
    }
    known = {
        (name, session): float(value)
        for name, row in zip(names, scores)
        for session, value in zip(labels, row)
        if value is not None
    }
    return Measured(
        people=people,
        scores=known,
        sessions=sessions(*others),
        arms=settings.build(settings.Arms, {**complete_settings.ARMS, "others": []}),
        populations={"all": frozenset(names)},
    )
