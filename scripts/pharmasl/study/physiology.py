"""Closed forms of what a scan's constants depend on: T1 of blood on haematocrit, the label on suppression pulses."""

import math

# What Hales' model, fitted to blood in vitro, is lengthened by for blood in vivo, s.
IN_VIVO_OFFSET = 0.108
# Mean corpuscular haemoglobin, mmol of tetramers a litre of plasma, and the water of red cells and of plasma, mL/mL.
HAEMOGLOBIN, CELL_WATER, PLASMA_WATER = 5.15, 0.70, 0.95
# Least share of the bolus that must have arrived where CBF is to be known: CBF of less is noise enlarged more than threefold,
# and changes by its own half and more with a tenth of a second.
LEAST_ARRIVED = 1 / 3
# The error of a transit time or a T1 of tissue whose effect is stated, seconds.
ERROR_STEP = 0.1


def haematocrit(value: str) -> float:
    """A haematocrit as a fraction.

    Parameters
    ----------
    value : float or str
        A fraction of 0.2 to 0.7 or a percentage of 20 to 70. Severe anaemia and polycythaemia lie within; a
        haemoglobin in g/dL (7 to 19) lies in neither range and is not taken for a haematocrit.

    Returns
    -------
    float
        0.2 to 0.7.

    Raises
    ------
    ValueError
        If it is no number or lies in neither range.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if 0.2 <= number <= 0.7:
        return number
    if 20 <= number <= 70:
        return number / 100
    raise ValueError(f"a haematocrit is a fraction of 0.2 to 0.7 or a percentage of 20 to 70, not {value!r}")


# T1 of blood that anyone may have at 1.5 to 7 T, seconds: a haematocrit of 0.7 at 1.5 T, one of 0.2 in vivo at 7 T.
_BLOOD_T1 = (0.9, 3.0)


def measured_t1(value: str, unit: str) -> float:
    """A measured T1 of blood, seconds.

    Parameters
    ----------
    value : str
    unit : {"s", "ms"}

    Raises
    ------
    ValueError
        If it is no number or none that blood has.
    """
    try:
        seconds = float(value) / {"s": 1, "ms": 1000}[unit]
    except ValueError:
        seconds = math.nan
    if not _BLOOD_T1[0] <= seconds <= _BLOOD_T1[1]:
        raise ValueError(f"a T1 of blood is {_BLOOD_T1[0]:g} to {_BLOOD_T1[1]:g} s, not {value!r} {unit}")
    return seconds


# Means of healthy people from an age in years until the next one's: women, men (Dallman PR, in Rudolph A (ed), Pediatrics, 16th ed.
# 1977, p. 1111, reprinted in Nathan and Oski's Hematology of Infancy and Childhood, 5th ed. 1998, appendix 11). Of ages from 50 on it
# has none: women's rises and men's falls then.
NORMS = {6: (0.40, 0.40), 12: (0.41, 0.43), 18: (0.41, 0.47)}
NORMS_END = 50
NORMS_SOURCE = "norms of Dallman 1977"
_SEXES = {"f": 0, "female": 0, "woman": 0, "m": 1, "male": 1, "man": 1}
_NO_SEX = frozenset({"o", "other"})


def normal_haematocrit(age: str | None, sex: str | None) -> float | None:
    """The mean haematocrit of people of an age and sex.

    Parameters
    ----------
    age, sex : str or None
        Years; ``M``, ``F`` or in words. None where it is not known.

    Returns
    -------
    float or None
        A fraction; None where age or sex is not known or :data:`NORMS` has none.

    Raises
    ------
    ValueError
        If the age is no number of years or the sex a code that says nothing by itself.
    """
    if age is None or sex is None:
        return None
    try:
        years = float(age)
    except ValueError:
        years = math.nan
    if not 0 <= years <= 130:
        raise ValueError(f"an age is a number of years, not {age!r}")
    code = sex.strip().lower()
    if code not in _SEXES and code not in _NO_SEX:
        raise ValueError(f"a sex is M, F, male, female or other, not {sex!r}: of a number nobody knows which it is")
    begins = [start for start in NORMS if start <= years < NORMS_END]
    if code in _NO_SEX or not begins:
        return None
    return NORMS[max(begins)][_SEXES[code]]


def blood_t1(haematocrit: float, field_strength: float, saturation: float = 0.97, offset: float = 0.0) -> float:
    """T1 of blood by haematocrit, oxygen saturation and field strength (Hales 2016).

    The relaxation rates of the water of red cells and of plasma, each falling with field strength and that of the cells
    rising with deoxyhaemoglobin, are averaged by the share of water. The coefficients were fitted to measurements of
    blood in vitro, as is the consensus' 1.65 s at 3 T (of bovine blood, Lu 2004), which the model meets at a
    haematocrit of 0.425 without any offset: so that is the default, and taking haematocrits into account does not by
    itself shift a study's mean CBF. Blood in vivo has been found to relax more slowly (1.91 s in women of haematocrit
    0.39 and 1.79 s in men of 0.45, Li 2017; the model gives 1.70 and 1.62 s); public implementations add
    :data:`IN_VIVO_OFFSET` for it, which brings 1.81 and 1.73 s.

    Parameters
    ----------
    haematocrit : float
        Fraction; see :func:`haematocrit`.
    field_strength : float
        Tesla, 1.5 to 7: the range of the measurements. (Scanners of these nominal field strengths write 1.494 or 6.98.)
    saturation : float
        Share of oxygenated haemoglobin, 0 to 1. Arterial unless given.
    offset : float
        Seconds added to T1.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If a value lies outside its range.

    References
    ----------
    Hales, Kirkham & Clark 2016, doi 10.1177/0271678X15605856; Lu et al. 2004, doi 10.1002/mrm.20178; Li et al. 2017,
    PMC5250597.
    """
    for name, value, least, most in (
        ("haematocrit", haematocrit, 0, 1),
        ("field strength", field_strength, 1.4, 7.1),
        ("saturation", saturation, 0, 1),
    ):
        if not least <= value <= most:
            raise ValueError(f"{name} is {value!r}, outside {least:g} to {most:g}")
    cells, plasma = CELL_WATER * haematocrit, PLASMA_WATER * (1 - haematocrit)
    share = cells / (cells + plasma)
    of_cells = 1.099 - 0.057 * field_strength + 0.033 * HAEMOGLOBIN * (1 - saturation)
    of_plasma = 0.496 - 0.023 * field_strength
    return 1 / (share * of_cells + (1 - share) * of_plasma) + offset


def suppression_efficiency(pulses: int, per_pulse: float) -> float:
    """The share of the label that outlives the background-suppression pulses.

    Each inversion after the labelling is imperfect in the labelled blood too (0.95 a pulse: Garcia et al.
    2005). The labelling efficiency is multiplied by it.

    Parameters
    ----------
    pulses : int
        Number of pulses between labelling and readout; 0 without suppression.
    per_pulse : float
        Share that outlives one pulse, above 0 and at most 1.

    Returns
    -------
    float
        ``per_pulse ** pulses``.

    Raises
    ------
    ValueError
        If ``pulses`` is no whole number from 0 on, or ``per_pulse`` lies outside its range.
    """
    if isinstance(pulses, bool) or not math.isfinite(pulses) or pulses < 0 or pulses != int(pulses):
        raise ValueError(f"the number of suppression pulses is a whole number from 0 on, not {pulses!r}")
    if not 0 < per_pulse <= 1:
        raise ValueError(f"the share that outlives a suppression pulse is above 0 and at most 1, not {per_pulse!r}")
    return float(per_pulse ** int(pulses))
