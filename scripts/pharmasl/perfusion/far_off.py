"""Repeats so far from all others that no rule is needed to leave them out."""

from dataclasses import replace

import numpy as np

from pharmasl.perfusion.artefacts import Choice

# Robust standard deviations (MAD / 0.675) of grey-matter CBF from the median over repeats. Of eight repeats of normal
# noise, whose MAD is itself uncertain, one lies beyond in 3 of 10,000 series, of ten in 9 of 100,000, of twenty in none of
# 200,000; in the real scans at hand the largest deviation is 5.0. A pair of which one volume is another's is tens away.
LIMIT = 20.0
LEAST = 8


def without_far_off(choice: Choice) -> Choice:
    """The choice among repeats without those beyond :data:`LIMIT`.

    Parameters
    ----------
    choice : pharmasl.perfusion.artefacts.Choice
        Its figures hold ``gm_deviation``.

    Returns
    -------
    pharmasl.perfusion.artefacts.Choice
        The same one for fewer than :data:`LEAST` repeats.
    """
    if len(choice.figures) < LEAST:
        return choice
    passed, reasons = choice.passed.copy(), list(choice.reasons)
    for number, row in enumerate(choice.figures):
        away = abs(row["gm_deviation"])
        if np.isfinite(away) and away > LIMIT and passed[number]:
            passed[number] = False
            reasons[number] = (
                f"far off: grey-matter CBF {row['gm_cbf']:.1f} mL/100 g/min is {away:.0f} robust standard deviations "
                f"from the median, more than {LIMIT:g}"
            )
    return replace(choice, passed=passed, reasons=reasons)
