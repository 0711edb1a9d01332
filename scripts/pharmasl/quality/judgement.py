"""Whether a scan is usable: by the rule that the configuration declares, and by nothing else.

A scan is excluded if a person has excluded it by name, if too few of its repeats are usable, if its registration was not
accepted, if it shows what no brain and no scanner makes, or if a measure lies outside its band that the configuration
lists as excluding. Whatever else is odd is a flag, which asks for a look. A person may accept a scan in spite of all rules,
by name and with a reason. No rule knows the arm or the outcome.
"""

from dataclasses import dataclass

from pharmasl.errors import InputError
from pharmasl.quality import flags, verdicts
from pharmasl.quality.measure_columns import METRICS


def rule(quality):
    """The rule, checked.

    Parameters
    ----------
    quality : dict
        Of the configuration: ``bands``, ``exclude`` (measures), ``least_pairs``, ``exclude_failed_registration``,
        ``exclude_implausible``.

    Returns
    -------
    dict
        Without ``bands``.

    Raises
    ------
    InputError
        If a measure that should exclude is no measure, or has no band and so would never exclude.
    """
    bands = flags.resolve(quality["bands"])
    for name in quality["exclude"]:
        if name not in METRICS:
            raise InputError("config", "quality.exclude", name, f"one of {', '.join(METRICS)}", "Correct the name.")
        if name not in bands:
            raise InputError(
                "config",
                "quality.exclude",
                name,
                f"a measure with a band: {', '.join(bands)}",
                f"Give limits in quality.bands.{name}; without them no scan could be excluded by it.",
            )
    names = ("exclude", "least_pairs", "exclude_failed_registration", "exclude_implausible")
    return {name: quality[name] for name in names}


def reasons(rule, flagged, pairs_used, pairs, registration, own=None, implausible=(), left_out_by=None):
    """Why a scan is excluded.

    Parameters
    ----------
    rule : dict
        As :func:`rule` returns.
    flagged : list of str
        As :func:`pharmasl.quality.flags.flags` returns.
    pairs_used, pairs : int
        Repeats that pass and repeats acquired. The scanner's own single difference or CBF image is itself a mean, so a scan
        acquired as one repeat needs no more than that one.
    registration : dict
        ``Accepted`` and ``Reason``.
    own : str, optional
        The user's reason for excluding this scan by name.
    implausible : sequence of str
        As :func:`pharmasl.quality.verdicts.causes` returns.
    left_out_by : str, optional
        For what the others do not pass, as the quality table has it: ``"motion 9, score 1"``.

    Returns
    -------
    list of str
        Empty for a usable scan.
    """
    found = [own] if own else []
    if rule["exclude_implausible"]:
        found += implausible
    least = 1 if pairs == 1 else rule["least_pairs"]
    if pairs_used < least:
        causes = ", ".join(cause.rpartition(" ")[0] for cause in left_out_by.split(", ")) if left_out_by else ""
        found.append(f"{pairs_used} of {pairs} repeats usable, fewer than {least}" + (f": {causes}" if causes else ""))
    if rule["exclude_failed_registration"] and not registration["Accepted"]:
        told = registration.get("Reason")
        found.append("registration not accepted" + (f": {told}" if told else ""))
    return found + [flags.describe(flag) for flag in flagged if flag.split(":")[0] in rule["exclude"]]


@dataclass(frozen=True)
class Verdict:
    """Whether a scan is used.

    Attributes
    ----------
    reasons : list of str
        Why it is not; empty for a usable scan.
    accepted : str or None
        The user's reason for accepting it by name, where that holds.
    overruled : list of str
        For what it would be excluded, had it not been accepted.
    """

    reasons: list
    accepted: str | None
    overruled: list

    def row(self):
        """Its columns of the quality table."""
        return {
            "usable": "no" if self.reasons else "yes",
            "exclusion_reason": "; ".join(self.reasons),
            "accepted_by_hand": self.accepted,
            "overruled": "; ".join(self.overruled),
        }


def decide(reasons, *, own, accepted, without_result):
    """The verdict on a scan: a person's exclusion goes before a person's acceptance, and that before all rules.

    Parameters
    ----------
    reasons : list of str
        Of :func:`reasons`.
    own, accepted : str or None
        The user's reasons for excluding and for accepting this scan by name.
    without_result : bool
        Whether it has no CBF at all, which nobody can accept.

    Returns
    -------
    Verdict
    """
    if own or without_result or not accepted:
        return Verdict(reasons, None, [])
    return Verdict([], accepted, reasons)


def in_words(rule):
    """The rule as a sentence, for the methods and the report."""
    parts = [f"fewer than {rule['least_pairs']} repeats were usable (or its only one was not)"]
    if rule["exclude_failed_registration"]:
        parts.append("its registration was not accepted")
    if rule["exclude_implausible"]:
        parts.append(verdicts.in_words())
    parts += [f"{flags.plain(name)} lay outside its band" for name in rule["exclude"]]
    return (
        f"A scan was excluded if named in the configuration, or if {', or if '.join(parts)}, unless accepted by name in the "
        "configuration, with a reason."
    )
