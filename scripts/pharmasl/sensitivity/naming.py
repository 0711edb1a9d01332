"""The choices of a specification in a reader's words."""

from pharmasl.study.labels import spaced

_DIMENSIONS = {"smoothing_fwhm": "Smoothing", "partial_volume": "Partial volumes", "quality": "Scan quality"}
_VALUES = {
    ("partial_volume", "true"): "corrected",
    ("partial_volume", "false"): "not corrected",
    ("scaling", "global"): "to the global mean",
    ("quality", "own"): "study's own",
    ("covariates", "own"): "study's own",
}


def dimension(name: str) -> str:
    """A choice as a heading.

    Parameters
    ----------
    name : str
        As in the configuration.

    Returns
    -------
    str
    """
    return _DIMENSIONS.get(name, spaced(name).capitalize())


def value(name: str, chosen: str) -> str:
    """A choice's value.

    Parameters
    ----------
    name, chosen : str
        The choice and its value, as in the configuration.

    Returns
    -------
    str
    """
    if name == "smoothing_fwhm" and chosen.replace(".", "", 1).isdigit():
        return f"{chosen} mm"
    return _VALUES.get((name, chosen), spaced(chosen))
