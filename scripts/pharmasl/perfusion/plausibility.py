"""Whether CBF is in the unit it should be in: gains and units that are wrong by a factor are wrong everywhere."""

import logging

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.study import cbf_units
from pharmasl.study.cbf_units import CBF_UNIT as UNIT

log = logging.getLogger(__name__)

# Voxels of at least this share of grey matter are judged by.
GREY = 0.5
# No grey matter has a median CBF above this, mL/100 g/min: resting adults have 40 to 100, children and anaemic patients
# up to twice that. A mistaken gain or unit (factors of 10, 32, 100, 6000) takes what is above 30 beyond it.
MOST = 300.0
# No living grey matter has a median CBF below this, mL/100 g/min: at some 10 its cells lose their ion gradients (Astrup, Siesjö and
# Symon 1981, doi 10.1161/01.STR.12.6.723).
LEAST = 10.0
# What makes it so, and what to set.
SCALE = (
    "M0 and the series are not on one scale, or the unit is another. Set perfusion.m0.scale to the gain of the series over the "
    "M0 image (GE's 3D sequence: 32 times the number of averages; Philips: the ratio of the rescale slopes), give the "
    "M0Estimate that belongs to the series, or, for CBF as the scanner computed it, the Units of its sidecar (such as mL/g/min)"
)
# CBF of undeclared unit is taken to be in mL/100 g/min between these. In mL/g/min, grey matter has 0.2 to 2.
LIKELY = (5.0, 200.0)


def grey_median(cbf: np.ndarray, gm: np.ndarray) -> float | None:
    """The median of a map over grey matter.

    Parameters
    ----------
    cbf : ndarray of shape (X, Y, Z) or (X, Y, Z, N)
        NaN where missing.
    gm : ndarray of shape (X, Y, Z)
        Shares of grey matter.

    Returns
    -------
    float or None
        Over the voxels of at least :data:`GREY`; None if none of them holds a value.
    """
    values = np.asarray(cbf)[np.asarray(gm) >= GREY]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else None


def plausible(cbf: np.ndarray, gm: np.ndarray, path: FilePath) -> float | None:
    """The median of CBF over grey matter, with a warning where no brain has such.

    A wrong gain, unit or M0 makes it too large or small, label and control exchanged negative.

    What is above :data:`MOST` or below :data:`LEAST` is not usable (:mod:`pharmasl.quality.implausible`), but is computed and drawn.

    Parameters
    ----------
    cbf : ndarray of shape (X, Y, Z) or (X, Y, Z, N)
        mL/100 g/min; NaN where missing.
    gm : ndarray of shape (X, Y, Z)
        Shares of grey matter.
    path : path-like
        The series, named in the warning.

    Returns
    -------
    float or None
        The median over grey matter; None if there is none to judge by.
    """
    middle = grey_median(cbf, gm)
    if middle is None:
        log.warning("%s: no grey matter to judge the scale of CBF by", path)
    elif middle > MOST:
        log.warning(
            "%s: median CBF of grey matter is %.4g, at most %g %s expected: %s", path, middle, MOST, UNIT, SCALE
        )
    elif middle < 0:
        log.warning(
            "%s: median CBF of grey matter is %.4g, below zero: are controls and labels exchanged in the aslcontext.tsv?",
            path,
            middle,
        )
    elif middle < LEAST:
        log.warning(
            "%s: median CBF of grey matter is but %.4g %s: did the labelling fail, or is M0 not on the series' scale (perfusion.m0.scale)?",
            path,
            middle,
            UNIT,
        )
    return middle


def unit_factor(units: str | None, path: FilePath) -> float:
    """The factor that takes CBF as the scanner computed it to mL/100 g/min.

    Parameters
    ----------
    units : str or None
        The sidecar's ``Units``. Where they are missing or empty the factor is 1, and :func:`undeclared` decides.
    path : path-like
        Named in errors.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the unit is unknown.
    """
    if units is None or units == "":
        return 1.0
    try:
        return cbf_units.conversion(units)
    except ValueError:
        raise InputError(
            path,
            "Units",
            units,
            f"a unit of CBF, such as {UNIT} or mL/g/min",
            "Correct the Units in the sidecar.",
        ) from None


def undeclared(values: np.ndarray, gm: np.ndarray, path: FilePath) -> None:
    """Refuse CBF of undeclared unit that is not clearly in mL/100 g/min.

    Parameters
    ----------
    values : ndarray of shape (X, Y, Z) or (X, Y, Z, N)
        NaN where missing.
    gm : ndarray of shape (X, Y, Z)
        Shares of grey matter: CBF is judged by it.
    path : path-like
        Named in errors.

    Raises
    ------
    InputError
        If the median over grey matter is not between the numbers of :data:`LIKELY`, or there is no grey matter.
    """
    middle = grey_median(values, gm)
    if middle is None or not LIKELY[0] <= middle <= LIKELY[1]:
        raise InputError(
            path,
            "Units",
            None,
            f"the unit of the CBF volumes, whose median over grey matter is {_in_words(middle)}: without it only CBF of "
            f"{LIKELY[0]:g} to {LIKELY[1]:g} is taken to be in {UNIT}",
            "Give the Units in the sidecar.",
        )


def _in_words(middle: float | None) -> str:
    return "unknown" if middle is None else f"{middle:.4g}"
