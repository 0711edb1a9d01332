"""Maps and global CBF as terms of a model: of which session they are, and what treatment may have done to them.

A term follows the outcome: of a change it is a change, of one session it is of that session, of all scans it is each scan's own.
The exceptions are those that describe a participant before treatment: ``baseline``, and ``gm``, whose map is of the earliest
session that has an anatomy of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError
from pharmasl.statistics.formulas import MAP, Formula
from pharmasl.study.settings import Analysis, ModelSettings
from pharmasl.study.trial import Study

BASELINE, GREY_MATTER, TRANSIT_TIME, GLOBAL = "baseline", "gm", "att", "global"
_NAMES = {GREY_MATTER: "grey matter", TRANSIT_TIME: "arterial transit time", GLOBAL: "global CBF"}


@dataclass(frozen=True)
class MapTerm:
    """A map, or the global CBF, that is a term of a model.

    Attributes
    ----------
    text : str
        As it stands in the formula: ``gm``, ``att``, ``cbf(cue)``.
    kind : {"baseline", "gm", "att", "cbf", "global"}
    contrast : str
        The contrast of which it is.
    sessions : tuple of str
        ``baseline``, ``followup``; of two the second minus the first. Empty where each scan has its own.
    """

    text: str
    kind: str
    contrast: str
    sessions: tuple[str, ...]

    @property
    def is_difference(self) -> bool:
        """Whether it is the change between two sessions."""
        return len(self.sessions) == 2

    @property
    def words(self) -> str:
        """What it is, in words."""
        name = _NAMES.get(self.kind, f"CBF ({self.contrast})")
        if self.kind == GREY_MATTER:
            return f"{name} of the participant"
        if not self.sessions:
            return f"{name} of the scan"
        which = ["baseline" if session == BASELINE else "follow-up" for session in self.sessions]
        return f"change of {name}" if self.is_difference else f"{name} at {which[0]}"


_SESSIONS = {"change": ("baseline", "followup"), "followup": ("followup",), "baseline": ("baseline",), "cbf": ()}


def terms(formula: Formula, contrast: str) -> tuple[MapTerm, ...]:
    """The maps and the global CBF that are terms of a formula.

    Parameters
    ----------
    formula : pharmasl.statistics.formulas.Formula
    contrast : str
        Of the analysis.

    Returns
    -------
    tuple of MapTerm
        In the formula's order, ``global`` last.
    """
    own = _SESSIONS[formula.outcome]
    wanted = []
    for factor in formula.factors:
        text = factor.text
        if factor.kind != MAP:
            continue
        if text in (BASELINE, GREY_MATTER):
            wanted.append(MapTerm(text, text, contrast, (BASELINE,)))
        elif factor.function == "cbf":
            wanted.append(MapTerm(text, "cbf", factor.variables[0], own))
        else:
            wanted.append(MapTerm(text, text, contrast, own))
    if GLOBAL in formula.variables:
        wanted.append(MapTerm(GLOBAL, GLOBAL, contrast, own))
    return tuple(wanted)


def caution(term: MapTerm) -> str | None:
    """What a reader has to know of a term that was measured after treatment began; None for one measured before.

    Parameters
    ----------
    term : MapTerm
    """
    if term.kind in (BASELINE, GREY_MATTER) or term.sessions == (BASELINE,):
        return None
    return _after_treatment(f"{term.text} ({term.words})")


def _after_treatment(name: str) -> str:
    return (
        f"{name} was measured after treatment began: what treatment changed of it is taken out of the effect, and people alike in "
        "it need no longer be alike otherwise; the effect is not that of treatment as a whole. Read the model without it beside "
        "this one"
    )


def column_caution(column: str, followup: str) -> str | None:
    """The same of a column of the participants' table, or a change of one, that names the follow-up session.

    Parameters
    ----------
    column : str
        Such as ``weight_T2`` or ``weight_T2 - weight_T1``.
    followup : str
        Label of the session after treatment began.
    """
    parts = [part.strip() for part in column.split(" - ")]
    if not any(part.endswith(f"_{followup}") for part in parts):
        return None
    return (
        f"{column} was measured after treatment began: what treatment changed of it is taken out of the effect. Read the model "
        "without it beside this one"
    )


def cautions(analysis: ModelSettings, sessions: Mapping[str, str]) -> list[str]:
    """The cautions of all terms of an analysis but the tested one, of which the question is asked.

    Parameters
    ----------
    analysis : pharmasl.study.settings.ModelSettings
    sessions : mapping
        Those of which it takes maps, the first before treatment began, to their labels.
    """
    words: list[str | None] = []
    tested = analysis.test.split(":") if isinstance(analysis.test, str) else []
    if analysis.formula is not None:
        words += [caution(term) for term in terms(analysis.formula, analysis.contrast) if term.text not in tested]
        words += [visit_caution(column) for column in analysis.visit_terms]
        if analysis.formula.outcome != BASELINE:
            regions = [f"roi({region}, {contrast})" for region, contrast in analysis.formula.regions]
            words += [_after_treatment(region) for region in regions if region not in tested]
    later = [label for name, label in sessions.items() if name != BASELINE]
    words += [column_caution(column, label) for column in analysis.terms for label in later]
    return [text for text in words if text is not None]


def visit_caution(column: str) -> str:
    """The same of a column of which each session has its own."""
    return (
        f"visit({column}) was measured at each session: what treatment changed of it is taken out of the effect. Read the model "
        "without it beside this one"
    )


def problems(study: Study, analysis: Analysis, subjects: Sequence[str]) -> Iterator[InputError]:
    """Terms whose maps the study cannot make.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    analysis : pharmasl.study.settings.Analysis
        With a formula.
    subjects : sequence of str
        Labels of the participants analysed, without ``sub-``.

    Yields
    ------
    InputError
        For transit times of scans with a single delay, and grey matter of people without a T1w.
    """
    if analysis.formula is None:
        return
    for term in terms(analysis.formula, analysis.contrast):
        if term.kind == TRANSIT_TIME:
            yield from _single_delays(study, analysis.formula, term, subjects)
        if term.kind == GREY_MATTER:
            yield from _without_t1w(study, analysis.formula, subjects)


def _single_delays(study: Study, formula: Formula, term: MapTerm, subjects: Sequence[str]) -> Iterator[InputError]:
    people, states = set(subjects), study.settings.contrasts[term.contrast].weights
    single = [
        scan.name
        for scan in study.scans.values()
        if scan.subject in people
        and any(own.condition in states for own in scan.states)
        and not scan.acquisition.several_delays
    ]
    if single:
        more = f" and {len(single) - 1} more" if len(single) > 1 else ""
        yield formula.refusal(
            f"att, and {single[0]}{more} with a single post-labelling delay",
            "scans with several delays, whose arterial transit time is fitted",
            "Take att out of the model.",
        )


def _without_t1w(study: Study, formula: Formula, subjects: Sequence[str]) -> Iterator[InputError]:
    without = [f"sub-{subject}" for subject in subjects if not study.t1w[anatomy(study, subject)]]
    if without:
        yield formula.refusal(
            f"gm, and no T1w of {', '.join(without[:5])}",
            "a T1-weighted image of every participant, in which grey matter is found",
            "Take gm out of the model, or leave them out by participants.",
        )


def anatomy(study: Study, subject: str) -> str:
    """The stem of a participant's anatomy: of the earliest session, in the study's order, in which the participant was scanned.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    subject : str
        Label without ``sub-``.
    """
    labels = [None] if study.settings.sessions is None else list(study.sessions.labels)
    visits = [(subject, label) for label in labels if (subject, label) in study.anatomies]
    return study.anatomy(visits[0])
