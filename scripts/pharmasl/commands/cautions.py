"""What a study may be planned with, and what its user should know before it runs."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from pharmasl.commands import scan_words
from pharmasl.study import arms as study_arms
from pharmasl.study.settings import Analysis
from pharmasl.study.trial import Scan, Study

# Values that change CBF in proportion, which a sidecar can have; where none has, the calibration's is taken.
_ASSUMED = {
    "labeling_efficiency": "labelling efficiency",
    "suppression_pulses": "number of background-suppression pulses",
}
_CALIBRATION = "calibration "


def cautions(study: Study) -> list[str]:
    """A sentence for each thing that is worth a second look.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Returns
    -------
    list of str
    """
    return [*_assumed(study), *_acquisitions(study), *_tests(study), *_declarations(study)]


def _assumed(study: Study) -> Iterator[str]:
    scans = list(study.scans.values())
    for key, words in _ASSUMED.items():
        own = [scan for scan in scans if scan.acquisition.sources.get(key, "").startswith(_CALIBRATION)]
        if own:
            value = getattr(own[0].acquisition, key)
            which = (
                "no sidecar" if len(own) == len(scans) else f"the sidecars of {len(own)} of {len(scans)} scans do not"
            )
            say = "says so" if len(own) == len(scans) else "say so"
            yield f"the {words} is assumed to be {value:g}: {which} {say}"


def _acquisitions(study: Study) -> Iterator[str]:
    """Protocols that go with the session or the arm: their difference looks like an effect."""
    arms = study.settings.arms
    groups: dict[str, dict[str, list[Scan]]] = {"sessions": {}, "arms": {}}
    for scan in study.scans.values():
        groups["sessions"].setdefault(scan.session or "", []).append(scan)
        arm = study.participants[scan.subject].get(arms.column) if arms and not study.settings.blinded else None
        groups["arms"].setdefault(arm or "", []).append(scan)
    for kind, parts in groups.items():
        usual = {name: Counter(map(scan_words.signature, scans)).most_common(1)[0][0] for name, scans in parts.items()}
        if len(set(usual.values())) > 1:
            words = "; ".join(f"{name or 'none'}: {_apart(usual[name], usual)}" for name in usual)
            yield f"most scans of the {kind} were acquired differently, which can look like an effect ({words})"


def _apart(own: scan_words.Signature, every: Mapping[str, scan_words.Signature]) -> str:
    shared = set.intersection(*(set(signature) for signature in every.values()))
    return ", ".join(text for key, text in own if (key, text) not in shared)


def _tests(study: Study) -> Iterator[str]:
    for name, analysis in study.settings.analyses.items():
        counts = people_by_arm(study, analysis)
        smallest = smallest_p(analysis, counts)
        if smallest is not None and smallest > analysis.inference.alpha:
            yield f"{name} can show nothing: with so few people no p can be below {smallest:.2g}"


def _declarations(study: Study) -> Iterator[str]:
    settings = study.settings
    if not settings.analyses:
        return
    if settings.primary is None:
        yield "no answer is declared as primary, so that all are exploratory"
    if settings.arms and not settings.blinded:
        yield "blinded is false: a run uses the trial's own allocation, and puts its first use on record"


def people_by_arm(study: Study, analysis: Analysis) -> dict[str, int]:
    """How many of each arm that an analysis asks about enter it, if every scan is usable; all together without arms."""
    arms = study.settings.arms
    if arms is None:
        return {"participants": len(study.members(analysis.name))}
    members = Counter(study.participants[who].get(arms.column) for who in study.members(analysis.name))
    return {label: members[label] for label in study_arms.concerned(analysis, arms)}


def relabellings(analysis: Analysis, counts: Mapping[str, int]) -> int | None:
    """How many relabellings the people of an analysis allow.

    Parameters
    ----------
    analysis : Analysis
    counts : mapping of str to int
        People by arm.

    Returns
    -------
    int or None
        None where something else than the arm is exchanged, or where there are more than the permutations asked for.
    """
    numbers = [count for count in counts.values() if count]
    if analysis.method != "differences" or not numbers or analysis.kind.is_slope:
        return None
    if analysis.kind.exchange == "flip":
        number = 2 ** sum(numbers)
    elif len(numbers) == 1:
        return None
    else:
        number = math.factorial(sum(numbers)) // math.prod(math.factorial(count) for count in numbers)
    return number if number < analysis.inference.permutations else None


def smallest_p(analysis: Analysis, counts: Mapping[str, int]) -> float | None:
    """The smallest p of the largest statistic that an analysis can give; None where the permutations limit it."""
    number = relabellings(analysis, counts)
    if number is None:
        return None
    # Two arms of one size can be exchanged as a whole, and all signs be turned: the same size of an effect comes twice.
    twice = analysis.kind.exchange == "flip" or len({count for count in counts.values() if count}) == 1
    return (2 if twice and analysis.inference.two_sided else 1) / number
