"""What is said of a T1 of blood that is the participant's own: on a scan's page and in the methods."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pharmasl.report.known_tissue_words import percent
from pharmasl.report.words import fixed, listed, short
from pharmasl.study.physiology import ERROR_STEP

Sidecar = Mapping[str, Any]
_BY = {"measured": "measured", "haematocrit": "by the haematocrit"}


def _error(sign: str) -> str:
    return f"t1_blood {sign}{ERROR_STEP:g} s"


def of_scan(record: Sidecar | None) -> str:
    """A sentence for a scan's page; empty where T1 of blood is that of the calibration.

    Parameters
    ----------
    record : Mapping or None
        ``OwnBlood`` of its sidecar.
    """
    if not record:
        return ""
    longer, shorter = (percent(record["WithError"][_error(sign)]["gm"]) for sign in "+-")
    return (
        f"The T1 of arterial blood is the participant's own, {fixed(record['T1']['Value'])} s ({record['T1']['Source']}); {short(ERROR_STEP)} s "
        f"longer or shorter would change mean grey-matter CBF by {longer} or {shorter}."
    )


def methods(sidecars: Sequence[Sidecar]) -> Iterator[str]:
    """Whose T1 of blood is their own, and what an error of it would change, as sentences of the methods."""
    records = [sidecar["OwnBlood"] for sidecar in sidecars if sidecar.get("OwnBlood")]
    if not records:
        return
    parts = []
    for by, words in _BY.items():
        values = [record["T1"]["Value"] for record in records if record["By"] == by]
        if values:
            ends = dict.fromkeys([fixed(min(values)), fixed(max(values))])
            parts.append(f"{words} in {len(values)} ({' to '.join(ends)} s)")
    changes = []
    for sign in "+-":
        known = [record["WithError"][_error(sign)]["gm"] for record in records]
        known = [ratio for ratio in known if ratio is not None]
        changes.append(percent(statistics.median(known) if known else None))
    yield (
        f"The T1 of arterial blood was the participant's own in {len(records)} of {len(sidecars)} scans: {listed(parts)}; one {short(ERROR_STEP)} s "
        f"longer or shorter would change mean grey-matter CBF by {changes[0]} or {changes[1]} (medians)."
    )
