"""The quality of one scan: a table of one row."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.quality import flags, implausible, judgement, measure_columns, scan_maps
from pharmasl.quality.metrics import scan_metrics
from pharmasl.study.settings import ScanRules

log = logging.getLogger(__name__)

# Measures of the quality table that come from the quantification, by their keys in its sidecar.
CONSISTENCY = {
    "m0_over_control": "M0OverControl",
    "m0_spread": "M0Spread",
    "gain_step": "GainStep",
    "zero_cbf_share": "ZeroShare",
    "effective_delay": "EffectiveDelay",
}
_REGISTRATION = {True: "accepted", False: "not accepted", None: None}


@dataclass(frozen=True, kw_only=True)
class ScanLabel:
    """Whose scan it is, and of what: the first columns of the quality table."""

    participant_id: str
    session_id: str | None
    condition: str
    scan: str


@dataclass(frozen=True)
class ByHand:
    """What people say of a scan by its name.

    Attributes
    ----------
    exclusion, rating, acceptance : str or None
        Why it is excluded, why it was rated poor, and why it is accepted in spite of all rules.
    """

    exclusion: str | None = None
    rating: str | None = None
    acceptance: str | None = None


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def assess(
    table_path: FilePath,
    *,
    scan: ScanLabel,
    files: scan_maps.QualityFiles,
    rules: ScanRules,
    by_hand: ByHand,
) -> None:
    """Measure one scan, flag what lies outside the bands, and judge whether it is usable.

    Parameters
    ----------
    table_path : path-like
        Written: TSV of one row with its JSON sidecar.
    scan : ScanLabel
    files : QualityFiles
    rules : ScanRules
        Which measures are flagged, and what excludes a scan.
    by_hand : ByHand
    """
    native, template = scan_maps.load_native(files), scan_maps.load_template(files)
    record = tables.read_json(files.sidecar)
    repeats, consistency = scan_maps.read_repeats(files.repeats, record), record["Consistency"]
    motion = scan_maps.read_motion(files.confounds)
    registration = tables.read_json(files.registration)

    measures = scan_metrics(
        native=native,
        repeats=repeats,
        motion=motion,
        template=template,
        overlap=_number(registration["Overlap"]),
        orders_open=_number((record.get("TimeEncoding") or {}).get("OrdersOpen")),
    )
    measures |= {name: _number(consistency[key]) for name, key in CONSISTENCY.items()}
    findings = judgement.Findings(
        flags=flags.flags(measures, flags.resolve(rules.bands)),
        implausible=implausible.causes(measures, consistency),
        pairs_used=int(measures["pairs_used"]),
        pairs=int(measures["pairs"]),
        left_out_by=repeats.left_out_by,
        registration_accepted=registration["Accepted"],
        registration_reason=registration.get("Reason"),
    )
    conclude(table_path, scan, measures, findings, rules, by_hand)


def conclude(
    table_path: FilePath,
    scan: ScanLabel,
    measures: Mapping[str, float],
    findings: judgement.Findings,
    rules: ScanRules,
    by_hand: ByHand,
) -> None:
    """Judge a scan by what was found, and write its row of the quality table.

    Parameters
    ----------
    table_path : path-like
    scan : ScanLabel
    measures : mapping
        Every measure of the table; NaN where it is not known.
    findings : pharmasl.quality.judgement.Findings
    rules : ScanRules
    by_hand : ByHand
    """
    verdict = judgement.decide(
        judgement.reasons(rules, findings, by_hand.exclusion, by_hand.rating),
        own=by_hand.exclusion,
        accepted=by_hand.acceptance,
        without_result=implausible.is_without_result(measures),
    )
    log.info("%s: %s", scan.scan, "; ".join(_words(verdict, findings.flags)))
    _write_row(table_path, scan, measures, findings, verdict)


def _words(verdict: judgement.Verdict, raised: Sequence[str]) -> list[str]:
    """The verdict and the flags, for the log."""
    words = [f"excluded: {'; '.join(verdict.reasons)}"] if verdict.reasons else []
    if verdict.accepted:
        overruled = f" (in spite of: {'; '.join(verdict.overruled)})" if verdict.overruled else ""
        words.append(f"accepted by hand: {verdict.accepted}{overruled}")
    return [*words, f"flagged: {', '.join(map(flags.describe, raised))}" if raised else "no flags"]


def _write_row(
    path: FilePath,
    scan: ScanLabel,
    measures: Mapping[str, float],
    findings: judgement.Findings,
    verdict: judgement.Verdict,
) -> None:
    """Write a scan's row of the quality table."""
    row = {
        **dataclasses.asdict(scan),
        **measures,
        "flags": ",".join(findings.flags),
        "registration": _REGISTRATION[findings.registration_accepted],
        "left_out_by": findings.left_out_by,
        "implausible": "; ".join(findings.implausible),
        **verdict.row(),
    }
    tables.write_table(path, [row], measure_columns.COLUMNS)
