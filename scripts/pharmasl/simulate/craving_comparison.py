"""The effects on craving and on cigarettes a day of the simulated trial: planted and found."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pharmasl.files.tables import Row
from pharmasl.simulate.brain_comparison import ordinary_least_squares
from pharmasl.simulate.comparison_table import CIGARETTES, Comparison, rounded, with_interval
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.simulate.simulation_settings import ComparedNames
from pharmasl.study.settings import Arms


def craving_rows(
    participants: Sequence[Row],
    *,
    model: Sequence[Row],
    correlations: Sequence[Row],
    arms: Arms,
    compare: ComparedNames,
    alpha: float,
) -> list[Comparison]:
    """Rows of the effects on craving.

    Parameters
    ----------
    participants : sequence of dict
        Of the truth.
    model, correlations : sequence of dict
        Rows of ``craving_model.tsv`` and ``roi_craving.tsv``.
    arms : settings.Arms
    compare : simulation_settings.ComparedNames
    alpha : float
        Level of the tests.

    Returns
    -------
    list of Comparison
    """
    treated = np.array([row["arm"] == arms.treatment for row in participants])
    change = _numbers(participants, "craving_followup") - _numbers(participants, "craving_baseline")
    means = {"treatment": change[treated].mean(), "control": change[~treated].mean()}
    rows = []
    for name, arm in (("treatment", arms.treatment), ("control", arms.control)):
        row = _first(model, analysis="paired_t", term="change", arm=arm)
        estimate, _ = _estimate_of(row)
        described = _model_row(f"change in the {name} arm", means[name], estimate, verdict="described")
        rows.append(with_interval(described, *_interval_of(row)))
    row = _first(model, analysis="difference_of_changes", term="arm:session")
    estimate, p = _estimate_of(row)
    amount = means["treatment"] - means["control"]
    tested = _model_row("group by time", amount, estimate, verdict=_verdict(_clean(amount), estimate, p, alpha))
    rows.append(with_interval(replace(tested, p=p, p_kind="single test"), *_interval_of(row)))
    for name, roi in (("insula", compare.insula), ("vmpfc", compare.vmpfc)):
        planted = _partial_correlation(_numbers(participants, f"{name}_cue_change"), change, treated)
        row = _first(correlations, roi=roi, timing="change", group="all", method="pearson")
        estimate, p = _estimate_of(row)
        correlation = Comparison(
            effect="craving with the cue response: correlation of the changes, adjusted for arm",
            region=REGIONS[name].label,
            unit="Pearson's r",
            planted=rounded(planted),
            found=estimate,
            p=p,
            p_kind="single test, permutation",
            verdict=_verdict(planted, estimate, p, alpha),
        )
        rows.append(with_interval(correlation, *_interval_of(row)))
    return rows


def cigarette_rows(participants: Sequence[Row], model: Sequence[Row], *, arms: Arms, alpha: float) -> list[Comparison]:
    """The row of the effect on cigarettes a day.

    Parameters
    ----------
    participants : sequence of dict
        Of the truth.
    model : sequence of dict
        Rows of the endpoint's ``_model.tsv``.
    arms : settings.Arms
    alpha : float
        Level of the test.

    Returns
    -------
    list of Comparison
    """
    treated = np.array([row["arm"] == arms.treatment for row in participants], dtype=float)
    before, after = (_numbers(participants, f"cigarettes_{when}") for when in ("baseline", "followup"))
    design = np.column_stack([np.ones(len(treated)), treated, before])
    planted = _clean(ordinary_least_squares(design, after[:, None])[1, 0])
    test = _first(model, analysis="test")
    estimate, p = _estimate_of(test)
    row = Comparison(
        effect=CIGARETTES,
        region="cigarettes",
        unit="cigarettes a day",
        planted=rounded(planted),
        expected=rounded(planted),
        found=estimate,
        p=p,
        p_kind="single test",
        verdict=_verdict(planted, estimate, p, alpha),
    )
    return [with_interval(row, *_interval_of(test))]


def _numbers(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def _first(table: Sequence[Row], **values: str) -> Row | None:
    """The first row with these values."""
    return next((row for row in table if all(row[name] == value for name, value in values.items())), None)


def _estimate_of(row: Row | None) -> tuple[float | None, float | None]:
    """The estimate and the p of a row, None where missing."""
    if row is None:
        return None, None
    estimate, p = (None if row[name] is None else float(row[name]) for name in ("estimate", "p"))
    return estimate, p


def _interval_of(row: Row | None) -> tuple[float | None, float | None]:
    """The interval of a row, None where missing."""
    if row is None:
        return None, None
    low, high = (None if row.get(name) is None else float(row[name]) for name in ("ci_low", "ci_high"))
    return low, high


def _clean(amount: float) -> float:
    """An amount without rounding errors, and without the sign of a zero."""
    return round(float(amount), 6) + 0.0


def _model_row(name: str, amount: float, estimate: float | None, *, verdict: str) -> Comparison:
    return Comparison(
        effect=f"cue-elicited craving: {name}",
        region="craving",
        unit="points",
        planted=rounded(_clean(amount)),
        expected=rounded(_clean(amount)),
        found=estimate,
        verdict=verdict,
    )


def _partial_correlation(first: np.ndarray, second: np.ndarray, treated: np.ndarray) -> float:
    """Correlation of two changes adjusted for arm."""
    design = np.column_stack([np.ones(len(first)), treated])
    left, right = ((v[:, None] - design @ ordinary_least_squares(design, v[:, None]))[:, 0] for v in (first, second))
    length = np.linalg.norm(left) * np.linalg.norm(right)
    return float(left @ right / length) if length > 0 else np.nan


def _verdict(planted: float, estimate: float | None, p: float | None, alpha: float) -> str:
    if estimate is None or p is None:
        return "not tested"
    if planted == 0:
        return "none" if p >= alpha else "significant, though none was planted"
    if p >= alpha:
        return "not significant"
    return "found" if np.sign(planted) == np.sign(estimate) else "wrong sign"
