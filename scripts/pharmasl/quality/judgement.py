"""Whether a scan is usable: by the rule that the configuration declares, and by nothing else.

A scan is excluded if a person has excluded it by name, if too few of its repeats are usable, if its registration was not
accepted, or if a measure lies outside its band that the configuration lists as excluding. Whatever else is odd is a
flag, which asks for a look. No rule knows the arm or the outcome.
"""

from pharmasl.errors import InputError
from pharmasl.quality import flags
from pharmasl.quality.columns import METRICS


def rule(quality):
    """The rule, checked.

    Parameters
    ----------
    quality : dict
        Of the configuration: ``bands``, ``exclude`` (measures), ``least_pairs``, ``exclude_failed_registration``.

    Returns
    -------
    dict
        ``exclude``, ``least_pairs``, ``exclude_failed_registration``.

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
    return {name: quality[name] for name in ("exclude", "least_pairs", "exclude_failed_registration")}


def reasons(rule, flagged, pairs_used, pairs, registration, own=None):
    """Why a scan is excluded.

    Parameters
    ----------
    rule : dict
        As :func:`rule` returns.
    flagged : list of str
        As :func:`pharmasl.quality.flags.flags` returns.
    pairs_used, pairs : int
        Repeats kept and acquired. The scanner's own single difference or CBF image is itself a mean, so a scan
        acquired as one repeat needs no more than that one.
    registration : dict
        ``Accepted`` and ``Reason``.
    own : str, optional
        The user's reason for excluding this scan by name.

    Returns
    -------
    list of str
        Empty for a usable scan.
    """
    found = [own] if own else []
    least = 1 if pairs == 1 else rule["least_pairs"]
    if pairs_used < least:
        found.append(f"{pairs_used} of {pairs} repeats usable, fewer than {least}")
    if rule["exclude_failed_registration"] and not registration["Accepted"]:
        told = registration.get("Reason")
        found.append("registration not accepted" + (f": {told}" if told else ""))
    return found + [flags.describe(flag) for flag in flagged if flag.split(":")[0] in rule["exclude"]]


def in_words(rule):
    """The rule as a sentence, for the methods and the report."""
    parts = [f"fewer than {rule['least_pairs']} repeats were usable (or its only one was not)"]
    if rule["exclude_failed_registration"]:
        parts.append("its registration was not accepted")
    parts += [f"{flags.plain(name)} lay outside its band" for name in rule["exclude"]]
    return f"A scan was excluded if named in the configuration, or if {', or if '.join(parts)}."
