"""Units of cerebral blood flow, as sidecars write them."""

import re

# The unit of CBF here.
CBF_UNIT = "mL/100 g/min"
# Of brain, g/mL: what CBF by volume of tissue is divided by.
DENSITY = 1.05

_VOLUME = {"ml": 1.0, "milliliter": 1.0, "millilitre": 1.0, "cc": 1.0, "ul": 1e-3, "l": 1e3, "dl": 1e2}
_MASS = {"g": 1.0, "gm": 1.0, "gr": 1.0, "gram": 1.0, "mg": 1e-3, "kg": 1e3}
_TIME = {"min": 1.0, "minute": 1.0, "s": 1 / 60, "sec": 1 / 60, "second": 1 / 60, "h": 60.0}
_NUMBER = r"10\^[-+]?\d+|\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_NAME = "|".join(sorted({*_VOLUME, *_MASS, *_TIME}, key=lambda name: (-len(name), name)))
# A unit with the number before it, the slash before them and the exponent behind. "g min" without its blank is no gm.
_ITEM = re.compile(rf"\s*(/)?\s*({_NUMBER})?\s*(gm(?=in)|(?:{_NAME}))s?(?![a-z])(\^?-1(?![\d.]))?\s*")


def conversion(units: str) -> float:
    """The factor that takes CBF of a unit to mL/100 g/min.

    Parameters
    ----------
    units : str
        A volume of blood by a mass of tissue and a time, in any order and notation: ``mL/100 g/min``,
        ``ml/min/100g``, ``mL/(100 g min)``, ``mL·100g⁻¹·min⁻¹``, ``mL/g/min``, ``10^-2 mL/g/min``. A volume of tissue
        (``mL/100 mL/min``) is one of brain, of :data:`DENSITY`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it is no such unit.
    """
    text = str(units).strip().lower().translate(str.maketrans("µμ−–·×*⁻¹⁰²³", "uu--   -1023", "()[]{}"))
    text = re.sub(r"\b(?:of|tissue|brain|blood)\b", " ", re.sub(r"\bper\b", "/", text))
    # A dot is a product, but for that of a decimal number.
    text = re.sub(r"(?<!\d)\.|\.(?!\d)|(?<=-1)\.", " ", text)
    factor, below, place = 100.0, False, 0
    parts: list[tuple[str, bool]] = []
    while place < len(text.rstrip()):
        item = _ITEM.match(text, place)
        if item is None:
            raise ValueError(f"{units!r} is no unit of CBF")
        place = item.end()
        slash, number, name, exponent = item.groups()
        below = below or bool(slash)
        inverse = below or bool(exponent)
        kind, value = next(
            (k, u[name]) for k, u in (("volume", _VOLUME), ("mass", _MASS), ("time", _TIME)) if name in u
        )
        if kind == "volume" and inverse:
            kind, value = "mass", value * DENSITY
        parts.append((kind, inverse))
        value *= _value(number)
        factor = factor / value if inverse else factor * value
    if sorted(parts) != [("mass", True), ("time", True), ("volume", False)]:
        raise ValueError(f"{units!r} is no unit of CBF")
    return factor


def _value(number: str | None) -> float:
    if not number:
        return 1.0
    return 10.0 ** int(number[3:]) if number.startswith("10^") else float(number)
