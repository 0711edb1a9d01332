"""What no brain and no scanner can produce: causes for which a scan is not used, unless a person accepts it.

Each is a measure and a limit. The limits lie where physics or the sign of perfusion puts them, far outside what scans of
any quality show; docs/perfusion.md has a table of both. What is merely unusual is a flag (:mod:`pharmasl.quality.flags`).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pharmasl.perfusion import plausibility

# Measures by name, as numbers or as text of the quality table, and ``Consistency`` of the scan's sidecar.
Measures = Mapping[str, Any]
Record = Mapping[str, Any]

# Grey-matter CBF this many standard errors below zero (normal quantile): perfusion is negative, not weak.
NEGATIVE_Z = -3.0
# Share of grey matter below zero, where the repeats are too few to judge by their spread; noise alone leaves one half.
NEGATIVE_SHARE = 0.75
# M0 volumes of one scan differ by noise and a little motion, 1 % in the scan at hand that has ten.
M0_SPREAD = 1.5
# A step by a tenth at half time is an error of five percent; levels of neighbouring pairs differ by 1 % (3D GRASE: 2 %).
GAIN_STEP = 1.1
# No brain has a CBF of exactly zero; a scanner's map may be cut at zero in some of the white matter.
ZERO_SHARE = 0.5


def causes(measures: Measures, consistency: Record) -> list[str]:
    """Why a scan's numbers are no measurement of perfusion.

    Parameters
    ----------
    measures : mapping
        As :func:`pharmasl.quality.metrics.scan_metrics` returns.
    consistency : mapping
        ``Consistency`` of the scan's sidecar: :meth:`pharmasl.perfusion.consistency.Consistency.record`.

    Returns
    -------
    list of str
        Empty for a good scan; causes that explain others come first.
    """
    return [
        cause
        for judge in (_delay, _m0, _m0_volumes, _gain, _sign, _scale, _zeros, _missing)
        for cause in judge(measures, consistency)
    ]


def is_without_result(measures: Measures) -> bool:
    """Whether there is no CBF at all, so that nobody can accept the scan.

    Parameters
    ----------
    measures : mapping
        As for :func:`causes`, or a row of the quality table.

    Returns
    -------
    bool
    """
    return _unknown(measures["gm_cbf"]) or _unknown(measures["template_correlation"])


def _unknown(value: float | str | None) -> bool:
    return value is None or not math.isfinite(float(value))


def _delay(measures: Measures, consistency: Record) -> Iterator[str]:
    value, least = consistency["EffectiveDelay"], consistency["EffectiveDelayLeast"]
    if value is not None and value < least:
        yield (
            f"the delay is shorter than blood's way to grey matter ({value:.2g} s, at least {least:.2g} s expected): the map "
            "shows arteries, not perfusion"
        )


def _m0(measures: Measures, consistency: Record) -> Iterator[str]:
    value, least = consistency["M0OverControl"], consistency["M0OverControlLeast"]
    if value is None or value >= least:
        return
    if consistency["BackgroundSuppression"]:
        yield (
            f"M0 is no brighter than the suppressed controls ({value:.2f} times, at least {least:g} expected): the m0scan is "
            "a control, or BackgroundSuppression is wrong"
        )
    else:
        yield (
            f"M0 is darker than the controls ({value:.2f} times as bright, at least {least:.2f} expected): the m0scan is no "
            "M0 image, or not on the series' scale (perfusion.m0.scale)"
        )


def _m0_volumes(measures: Measures, consistency: Record) -> Iterator[str]:
    value = consistency["M0Spread"]
    if value is not None and value > M0_SPREAD:
        yield (
            f"the M0 volumes disagree (the brightest is {value:.1f} times the dimmest, at most {M0_SPREAD:g} expected): one of "
            "them is no M0, or the gain changed"
        )


def _gain(measures: Measures, consistency: Record) -> Iterator[str]:
    value = consistency["GainStep"]
    if value is not None and value > GAIN_STEP:
        yield (
            f"the level of controls and labels steps midway (by a factor of {value:.2f} at volume "
            f"{consistency['GainStepVolume']}, at most {GAIN_STEP:g} expected): the gain changed, or volumes of another kind "
            "(M0) are called control and label"
        )


def _sign(measures: Measures, consistency: Record) -> Iterator[str]:
    middle, z, share = measures["gm_cbf"], measures["gm_cbf_z"], measures["negative_gm_share"]
    if _unknown(middle) or middle >= 0:
        return
    if not _unknown(z) and z < NEGATIVE_Z:
        how = f"z {z:.1f}, below {NEGATIVE_Z:g}"
    elif not _unknown(share) and share > NEGATIVE_SHARE:
        how = f"{share:.0%} of its voxels below zero, more than {NEGATIVE_SHARE:.0%}"
    else:
        return
    yield (
        f"grey-matter CBF is clearly below zero ({middle:.1f} mL/100 g/min, {how}): label and control are exchanged in the "
        "aslcontext.tsv, or its rows are off by one"
    )


def _scale(measures: Measures, consistency: Record) -> Iterator[str]:
    value = consistency["GreyMatterMedian"]
    if value is None:
        return
    if value < plausibility.LEAST and not any(_sign(measures, consistency)):
        yield (
            f"grey-matter CBF is lower than any living brain's (median {value:.3g} mL/100 g/min, at least {plausibility.LEAST:g} expected): "
            "the labelling failed, M0 is not on the series' scale (perfusion.m0.scale, M0Estimate), or the unit is another (Units)"
        )
    if value > plausibility.MOST:
        yield (
            f"grey-matter CBF is higher than any brain's (median {value:.4g} mL/100 g/min, at most {plausibility.MOST:g} "
            "expected): M0 and the series are not on one scale (perfusion.m0.scale, M0Estimate), or the unit is another (Units)"
        )


def _zeros(measures: Measures, consistency: Record) -> Iterator[str]:
    value = consistency["ZeroShare"]
    if value is not None and value > ZERO_SHARE:
        yield f"CBF is exactly 0 in much of the brain ({value:.0%}, at most {ZERO_SHARE:.0%} expected)"


def _missing(measures: Measures, consistency: Record) -> Iterator[str]:
    if is_without_result(measures):
        where = "grey matter" if _unknown(measures["gm_cbf"]) else "the template's brain"
        yield f"no CBF is known in {where}"


def in_words(*, imported: bool = False) -> str:
    """The causes as part of a sentence, for the methods and the report; of maps that another program made, those of maps."""
    if imported:
        return (
            "its map was physically implausible (grey-matter CBF clearly negative, outside the physiological range, exactly zero or "
            "unknown)"
        )
    return (
        "its data were physically implausible (a post-labelling delay too short for labelled blood to reach grey matter; "
        "grey-matter CBF clearly negative, outside the physiological range, exactly zero or unknown; M0 too dark or differing between "
        "volumes; a step in receiver gain)"
    )
