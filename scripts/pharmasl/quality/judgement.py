"""Whether a scan is usable, by the configuration's rule alone.

A scan is excluded if a person has excluded it by name or rated it poor, if too few of its repeats are usable, if its registration was not
accepted, if it shows what no brain and no scanner can produce, or if a measure lies outside its band that the configuration
lists as excluding. Everything else that is unusual is a flag: the scan should be looked at. A person may accept a scan in spite of
all rules, by name and with a reason. No rule knows the arm or the outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError
from pharmasl.quality import flags, implausible
from pharmasl.quality.measure_columns import METRICS
from pharmasl.study.settings import ScanRules


def check(rules: ScanRules) -> None:
    """Refuse rules that name a measure which could never exclude a scan.

    Raises
    ------
    InputError
        If a measure that should exclude is no measure, or has no band and so would never exclude; as
        :func:`pharmasl.quality.flags.resolve` for the bands.
    """
    bands = flags.resolve(rules.bands)
    for name in rules.exclude:
        if name not in METRICS:
            raise InputError(
                file="config",
                field="quality.exclude",
                found=name,
                expected=f"one of {', '.join(METRICS)}",
                fix="Correct the name.",
            )
        if name not in bands:
            raise InputError(
                file="config",
                field="quality.exclude",
                found=name,
                expected=f"a measure with a band: {', '.join(bands)}",
                fix=f"Give limits in quality.bands.{name}; without them no scan could be excluded by it.",
            )


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the rules judge a scan by.

    Attributes
    ----------
    flags : sequence of str
        As :func:`pharmasl.quality.flags.flags` returns.
    implausible : sequence of str
        As :func:`pharmasl.quality.implausible.causes` returns.
    pairs_used, pairs : int
        Repeats that pass and repeats acquired.
    left_out_by : str or None
        Why the others do not pass, as the quality table has it: ``"motion 9, score 1"``.
    registration_accepted : bool or None
        None where another program registered the scan.
    registration_reason : str or None
        Why it was not accepted.
    """

    flags: Sequence[str]
    pairs_used: int
    pairs: int
    registration_accepted: bool | None
    registration_reason: str | None = None
    implausible: Sequence[str] = ()
    left_out_by: str | None = None


def reasons(rules: ScanRules, findings: Findings, own: str | None = None, rating: str | None = None) -> list[str]:
    """Why a scan is excluded.

    Parameters
    ----------
    rules : ScanRules
    findings : Findings
    own : str, optional
        The user's reason for excluding this scan by name.
    rating : str, optional
        Why a person rated it poor.

    Returns
    -------
    list of str
        Empty for a usable scan.
    """
    causes = [reason for reason in (own, rating) if reason]
    if rules.exclude_implausible:
        causes += findings.implausible
    # The scanner's own single difference or CBF image is itself a mean: a scan acquired as one repeat needs only that one.
    least = 1 if findings.pairs == 1 else rules.least_pairs
    if findings.pairs_used < least:
        left_out = findings.left_out_by.split(", ") if findings.left_out_by else []
        why = ", ".join(part.rpartition(" ")[0] for part in left_out)
        causes.append(
            f"{findings.pairs_used} of {findings.pairs} repeats usable, fewer than {least}"
            + (f": {why}" if why else "")
        )
    if rules.exclude_failed_registration and findings.registration_accepted is False:
        reason = findings.registration_reason
        causes.append("registration not accepted" + (f": {reason}" if reason else ""))
    return causes + [flags.describe(flag) for flag in findings.flags if flag.split(":")[0] in rules.exclude]


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
        Why it would be excluded if it had not been accepted.
    """

    reasons: list[str]
    accepted: str | None
    overruled: list[str]

    @property
    def is_usable(self) -> bool:
        """Whether the scan enters contrasts and analyses."""
        return not self.reasons

    def row(self) -> dict[str, str | None]:
        """Its columns of the quality table."""
        return {
            "usable": "yes" if self.is_usable else "no",
            "exclusion_reason": "; ".join(self.reasons),
            "accepted_by_hand": self.accepted,
            "overruled": "; ".join(self.overruled),
        }


def decide(reasons: list[str], *, own: str | None, accepted: str | None, without_result: bool) -> Verdict:
    """The verdict on a scan: a person's exclusion goes before a person's acceptance, and that before ratings and all rules.

    Parameters
    ----------
    reasons : list of str
        As :func:`reasons` returns.
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


def in_words(rules: ScanRules, *, rated: bool = False, imported: bool = False) -> str:
    """The rule of exclusion as a sentence, for the methods and the report.

    Parameters
    ----------
    rules : ScanRules
    rated : bool
        Whether people rated the scans.
    imported : bool
        Whether another program made the CBF maps, so that neither repeats nor registrations can be judged.

    Returns
    -------
    str
    """
    by_rating = " or rated poor" if rated else ""
    parts = []
    if not imported:
        parts.append(f"fewer than {rules.least_pairs} of its repeats were usable (if acquired as one repeat: none)")
    if rules.exclude_failed_registration and not imported:
        parts.append("its registration was not accepted")
    if rules.exclude_implausible:
        parts.append(implausible.in_words(imported=imported))
    parts += [f"{flags.plain(name)} was outside its acceptance range" for name in rules.exclude]
    return (
        f"A scan was excluded if it was named in the configuration{by_rating}{''.join(f', or if {part}' for part in parts)}. The "
        "configuration may still accept a scan by name, with a reason."
    )
