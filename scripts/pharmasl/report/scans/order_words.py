"""Whether a time-encoded scan tells the order by which it was decoded, in words and as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.perfusion import encoding_check
from pharmasl.report.known_tissue_words import percent
from pharmasl.report.words import count, fixed, signed

# So many orders are shown of each kind.
MOST = 8
_STATES = {
    encoding_check.AGREES: "The scan agrees with the order of its matrix.",
    encoding_check.INDISTINCT: "The scan does not tell the order of its matrix: others explain it about as well.",
    encoding_check.TOO_WEAK: "The scan has too little perfusion signal to tell the order of its matrix.",
    encoding_check.CONTRADICTS: "The scan contradicts the order or the sign of its matrix, which was used all the same (check: false).",
}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the page of a time-encoded scan says of its order.

    Attributes
    ----------
    words : str
        Sentences.
    clear : bool
        Whether nothing is left to do.
    rows : sequence of tuple of str
        Of each order: its words, the share left unexplained, and how CBF and transit time would differ.
    """

    words: str
    clear: bool
    rows: Sequence[tuple[str, str, str, str]]


def of_scan(record: Mapping[str, Any] | None) -> Order | None:
    """What a scan's page says; None of a scan that is not time-encoded.

    Parameters
    ----------
    record : Mapping or None
        ``TimeEncoding`` of its sidecar.
    """
    if not record:
        return None
    return Order(words=" ".join(_sentences(record)), clear=record["OrdersOpen"] == 0, rows=list(_rows(record["Order"])))


def _sentences(record: Mapping[str, Any]) -> Iterator[str]:
    order = record["Order"]
    yield _STATES[order["State"]]
    left = order["Unexplained"][encoding_check.STATED]
    if order["State"] != encoding_check.TOO_WEAK:
        yield (
            f"By it, the kinetic model leaves {fixed(100 * left, 1)} % of the blocks' mean grey-matter signal unexplained, and CBF is "
            f"{order['CBF']}; {count(order['Tried'], 'other order was', 'other orders were')} tried."
        )
    if (slips := order["Slips"]) is not None:
        yield f"{slip_words(slips)} would go unnoticed."
    if record["Confirmed"] is not None:
        yield f"The order is confirmed in the configuration: {record['Confirmed']}."
    elif record["OrdersOpen"]:
        yield (
            "Compare matrix, label, durations and delay with the scanner's protocol, and state in perfusion.encodings, as "
            "confirmed, by what they are known."
        )


def slip_words(slips: Mapping[str, float]) -> str:
    """How many slips a scan leaves open, and what the worst of them would change: a part of a sentence."""
    slip = "two volumes or two blocks in each other's place"
    return (
        f"{slips['Number']} ways to have {slip} (CBF up to {fixed(100 * slips['CBF'], 0)} % and transit time up to "
        f"{fixed(slips['ATT'])} s off)"
    )


def _rows(order: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """The stated order, those that explain the scan as well or better, and those that a protocol is read in by mistake."""
    shares = order["Unexplained"]
    open_ones = {**order["Better"], **order["Alike"]}
    others = [name for name in shares if name not in open_ones and name != encoding_check.STATED]
    for name in [encoding_check.STATED, *list(open_ones)[:MOST], *others[:MOST]]:
        change = open_ones.get(name)
        yield (
            name,
            f"{fixed(100 * shares[name], 1)} %" if shares[name] == shares[name] else "",
            percent(change["CBF"]) if change else "",
            f"{signed(change['ATT'])} s" if change else "",
        )
