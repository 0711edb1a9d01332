"""Variability that is asked for as SD, within-person coefficient of variation or ICC, as the variances that it stands for.

Over people and visits a quantity is ``mean + person + visit``. Its SD over people at one visit is ``sqrt(b^2 + w^2)``, its
within-person coefficient of variation ``w / mean``, and its intraclass correlation (one visit, absolute agreement)
``b^2 / (b^2 + w^2)``, with b and w the SDs of the person's and the visit's parts. SD and one of the other two give both parts.
"""

from typing import NamedTuple

import numpy as np

from pharmasl.simulate.simulation_settings import Reliability, Variability


class Parts(NamedTuple):
    """Standard deviations of the parts of a quantity that stay with a person and that change between visits."""

    between: float
    within: float


def of_icc(sd: float, icc: float) -> Parts:
    """The parts of an SD at one visit and an ICC."""
    return Parts(sd * np.sqrt(icc), sd * np.sqrt(1 - icc))


def parts_of(asked: Reliability, mean: float) -> Parts:
    """The parts of what was asked for of a quantity with this mean.

    Raises
    ------
    ValueError
        If the within-person SD exceeds the SD over people, or not exactly one of wsCV and ICC is there.
    """
    if asked.icc is not None and asked.wscv is None:
        return of_icc(asked.sd, asked.icc)
    if asked.wscv is None or asked.icc is not None:
        raise ValueError("needs wscv or icc, and not both")
    within = asked.wscv * mean
    if within > asked.sd:
        raise ValueError(
            f"wscv {asked.wscv:g} of {mean:g} is a within-person SD of {within:g}, more than sd {asked.sd:g}"
        )
    return Parts(np.sqrt(asked.sd**2 - within**2), within)


class GreyParts(NamedTuple):
    """How the CBF of grey matter varies: SD over people (mL/100 g/min), and coefficients of variation of sessions and runs."""

    people: float
    sessions: float
    runs: float


def grey(asked: Variability, mean: float) -> GreyParts:
    """The parts of grey matter's CBF, of which a run's own is part of what differs between visits.

    Raises
    ------
    ValueError
        As :func:`parts_of`, or if runs alone vary more than visits may.
    """
    parts = parts_of(asked.grey, mean)
    within = parts.within / mean
    if asked.runs > within:
        raise ValueError(f"runs {asked.runs:g} is more than the within-person variation, {within:.3g}, allows")
    return GreyParts(parts.between, float(np.sqrt(within**2 - asked.runs**2)), asked.runs)


def cue(asked: Variability, mean: float) -> Parts:
    """The parts of the cue response's own pattern: what both runs' levels add to their difference comes off the visit's part.

    Raises
    ------
    ValueError
        If the levels of the runs alone vary more than the response may within a person.
    """
    parts = of_icc(asked.cue.sd, asked.cue.icc)
    runs = np.sqrt(2) * asked.runs * mean
    if runs > parts.within:
        raise ValueError(
            f"runs {asked.runs:g} of {mean:g} makes two runs differ by an SD of {runs:.3g}, more than the within-person SD "
            f"of the response, {parts.within:.3g}"
        )
    return Parts(parts.between, float(np.sqrt(parts.within**2 - runs**2)))
