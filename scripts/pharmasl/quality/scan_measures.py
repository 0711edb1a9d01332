"""The quality of one scan: a table of one row and a picture."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.quality import judgement, measure_columns, picture, verdicts
from pharmasl.quality.flags import flags, resolve
from pharmasl.quality.metrics import scan_metrics
from pharmasl.space import images

# Measures of the quality table that the quantification took, as they stand in its sidecar.
CONSISTENCY = {
    "m0_over_control": "M0OverControl",
    "m0_spread": "M0Spread",
    "gain_step": "GainStep",
    "zero_cbf_share": "ZeroShare",
    "effective_delay": "EffectiveDelay",
}


def _number(value):
    return float("nan") if value is None else float(value)


def numbers(rows, name):
    """A column of a table as floats, missing as NaN."""
    return np.array([float("nan") if row[name] is None else float(row[name]) for row in rows])


def load_series(path):
    """A CBF series as (X, Y, Z, pairs); a scan of one pair is stored without the last axis."""
    series, _ = images.load(path)
    return series if series.ndim == 4 else series[..., np.newaxis]


@dataclass(frozen=True)
class Repeats:
    """The repeats of a scan.

    Attributes
    ----------
    kept : ndarray of bool, shape (N,)
        Those in its mean CBF.
    passed : ndarray of bool, shape (N,)
        Those that no rule marks.
    delays : ndarray of shape (N,)
        Seconds, 0 where the table has none.
    without_signal : int
        How many hold no measurement.
    left_out_by : str
        For what the others do not pass, each with their number; empty where all pass.
    """

    kept: np.ndarray
    passed: np.ndarray
    delays: np.ndarray
    without_signal: int
    left_out_by: str


def read_repeats(path, count):
    """Read the table of a scan's repeats.

    Parameters
    ----------
    path : path-like
        Table of one row a repeat, with the columns ``excluded`` and ``passed`` (1 or 0), ``reason`` and, where the delays
        differ, ``post_labeling_delay``.
    count : int
        Repeats in the series.

    Returns
    -------
    Repeats

    Raises
    ------
    InputError
        If the table has no such column, another value in it, or not one row a repeat.
    """
    rows = tables.read_table(path)
    fix = "Quantify the scan again."
    if len(rows) != count:
        raise InputError(path, "rows", len(rows), f"{count}, one a repeat of the series", fix)
    meanings = {"1": True, "true": True, "0": False, "false": False}
    told = {}
    for name in ("excluded", "passed"):
        strange = [row.get(name) for row in rows if row.get(name) not in meanings]
        if strange:
            raise InputError(path, name, strange[0], "1 or 0", fix)
        told[name] = np.array([meanings[row[name]] for row in rows], dtype=bool)
    silent = [row.get("no_signal") == "true" for row in rows]
    causes = Counter(
        "no signal" if empty else (row["reason"] or "unknown").split(":")[0]
        for row, empty, passed in zip(rows, silent, told["passed"])
        if not passed
    )
    left_out_by = ", ".join(f"{cause} {number}" for cause, number in causes.items())
    delays = np.array([float(row.get("post_labeling_delay") or 0) for row in rows])
    return Repeats(~told["excluded"], told["passed"], delays, sum(silent), left_out_by)


def assess(
    *,
    cbf,
    timeseries,
    brain_mask,
    gm,
    wm,
    csf,
    confounds,
    repeats,
    registration,
    sidecar,
    coverage,
    template_cbf,
    template_mask,
    template_gm,
    table,
    figure,
    scan,
    bands,
    rule,
    own_exclusion=None,
    own_acceptance=None,
):
    """Measure one scan, flag what lies outside the bands, judge whether it is usable and draw its picture.

    Parameters
    ----------
    cbf, timeseries, brain_mask, gm, wm, csf : path-like
        Images on the perfusion scan's own grid; ``timeseries`` has one CBF map a label-control pair.
    confounds : path-like
        Table with ``framewise_displacement`` (mm) and ``dvars``, a row a volume.
    repeats : path-like
        Table of the scan's repeats: which pass, and which are in its mean CBF.
    registration : path-like
        JSON of the registration to the anatomy: ``Overlap``, ``Accepted`` and ``Reason``.
    sidecar : path-like
        JSON of the scan's CBF: ``Consistency``.
    coverage, template_cbf, template_mask, template_gm : path-like
        Images on the template grid.
    table, figure : path-like
        Written: TSV of one row with its JSON sidecar, and PNG.
    scan : dict
        ``participant_id``, ``session_id``, ``condition`` and ``scan``: the first columns of the row.
    bands : dict
        Measure to ``[low, high]``, laid over :data:`pharmasl.quality.flags.BANDS`; None for no band.
    rule : dict
        As :func:`pharmasl.quality.judgement.rule` returns.
    own_exclusion, own_acceptance : str, optional
        The user's reasons for excluding and for accepting this scan by name.
    """
    cbf, affine = images.load(cbf)
    series = load_series(timeseries)
    repeats = read_repeats(repeats, series.shape[3])
    registration = tables.read_json(registration)
    overlap = registration["Overlap"]
    consistency = tables.read_json(sidecar)["Consistency"]
    brain, gm, wm, csf = (images.load(path)[0] for path in (brain_mask, gm, wm, csf))
    rows = tables.read_table(confounds)
    displacement, dvars = numbers(rows, "framewise_displacement"), numbers(rows, "dvars")
    template_cbf, template_affine = images.load(template_cbf)
    coverage, template_mask, template_gm = (images.load(path)[0] for path in (coverage, template_mask, template_gm))

    measures = scan_metrics(
        cbf,
        affine,
        series,
        repeats.kept,
        brain,
        gm,
        wm,
        csf,
        displacement,
        dvars,
        template_cbf,
        coverage,
        template_mask,
        template_gm,
        float("nan") if overlap is None else overlap,
        repeats.delays,
        repeats.without_signal,
    )
    measures["pairs_used"] = int(repeats.passed.sum())
    measures |= {name: _number(consistency[key]) for name, key in CONSISTENCY.items()}
    found = flags(measures, resolve(bands))
    implausible = verdicts.causes(measures, consistency)
    counted = measures["pairs_used"], measures["pairs"]
    reasons = judgement.reasons(rule, found, *counted, registration, own_exclusion, implausible, repeats.left_out_by)
    without = verdicts.is_without_result(measures)
    verdict = judgement.decide(reasons, own=own_exclusion, accepted=own_acceptance, without_result=without)
    picture.draw(
        figure,
        scan,
        measures,
        found,
        verdict,
        native=(cbf, brain, gm, affine),
        template=(template_cbf, template_mask, template_gm, template_affine),
        displacement=displacement,
        pair_cbf=picture.pair_means(series, gm, brain, repeats.kept),
    )
    row = {
        **scan,
        **measures,
        "flags": ",".join(found),
        "registration": "accepted" if registration["Accepted"] else "not accepted",
        "left_out_by": repeats.left_out_by,
        "implausible": "; ".join(implausible),
        **verdict.row(),
    }
    tables.write_table(table, [row], measure_columns.COLUMNS)
