"""Time-encoded labelling: the matrix by which a series of coded boluses is decoded, as the configuration states it.

Each volume of a cycle is prepared by several blocks of labelling one after another, each of which is label or control by that
volume's row of the matrix. Nothing in a BIDS dataset says which code a scanner played out, in which order and with which sign,
and a wrong one gives maps that look like perfusion: so none is ever guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pharmasl.errors import InputError
from pharmasl.study import block_codes
from pharmasl.study.scan_acquisition import ENCODED
from pharmasl.study.settings import Encoding
from pharmasl.study.sidecar import WHERE, Override

FIELD = "perfusion.encodings"
# Fields of a sidecar, in lower case, that begin so belong to a series in which each volume is labelled by a code.
_OF_SIDECAR = ("timeencoded", "hadamard")
# Types of volumes that are not of a cycle.
_APART = frozenset({"m0scan", "noRF", "n/a"})
_RAW = frozenset({"control", "label"})
# What is wrong with one series: field of its sidecar, what is expected, and the fix.
Contradiction = tuple[str, str, str]


def check(encodings: Sequence[Encoding]) -> Iterator[InputError]:
    """What is wrong with the matrices of a configuration: each must tell its blocks apart and cancel static tissue.

    Parameters
    ----------
    encodings : sequence of pharmasl.study.settings.Encoding

    Yields
    ------
    InputError
    """
    for number, encoding in enumerate(encodings):
        yield from block_codes.check(encoding, f"{FIELD}[{number}]")


def check_where(encodings: Sequence[Encoding], names: Sequence[Mapping[str, str]]) -> Iterator[InputError]:
    """Encodings that no scan matches, and scans that two match.

    Parameters
    ----------
    encodings : sequence of pharmasl.study.settings.Encoding
    names : sequence of dict
        Entities of the name of every scan.

    Yields
    ------
    InputError
    """
    for number, encoding in enumerate(encodings):
        if names and not any(_applies(encoding, entities) for entities in names):
            yield InputError(
                "config",
                f"{FIELD}[{number}].where",
                dict(encoding.where),
                "entities that a scan of the study has",
                "Correct the labels, or remove the encoding.",
            )
    for entities in names:
        own = [number for number, encoding in enumerate(encodings) if _applies(encoding, entities)]
        if len(own) > 1:
            yield InputError(
                "config",
                FIELD,
                f"entries {' and '.join(map(str, own))} both apply to a scan of sub-{entities.get('sub')}",
                "one encoding for each scan",
                "Make their where distinct.",
            )
            return


def _applies(encoding: Encoding, entities: Mapping[str, str]) -> bool:
    return Override("", {WHERE[key]: label for key, label in encoding.where.items()}).applies(entities)


def chosen(encodings: Sequence[Encoding], entities: Mapping[str, str]) -> Encoding | None:
    """The encoding of a scan with these entities in its name; None of one that is not encoded."""
    return next((encoding for encoding in encodings if _applies(encoding, entities)), None)


def fields(sidecar: Mapping[str, Any]) -> list[str]:
    """The fields of a sidecar by which its series is a time-encoded one."""
    return [name for name, value in sidecar.items() if name.lower().startswith(_OF_SIDECAR) and value]


def volume_types(encoding: Encoding, types: Sequence[str]) -> list[str]:
    """The types of a series' volumes, those of its cycles being coded ones, neither control nor label."""
    return [kind if kind in _APART else ENCODED for kind in types]


def contradictions(encoding: Encoding, types: Sequence[str], sidecar: Mapping[str, Any]) -> Iterator[Contradiction]:
    """What a series says of itself and its encoding does not.

    Parameters
    ----------
    encoding : pharmasl.study.settings.Encoding
    types : sequence of str
        Of its aslcontext.tsv; empty where that cannot be used.
    sidecar : dict
        Fields with possible values.

    Yields
    ------
    field, expected, fix : str
        ``volume_type`` for the aslcontext.tsv.
    """
    rows, cycle = len(encoding.matrix), [kind for kind in types if kind not in _APART]
    if not set(cycle) <= _RAW:
        yield (
            "volume_type",
            "control and label volumes: differences and CBF are no coded series",
            f"Correct the table, or limit {FIELD} by where.",
        )
    elif len(cycle) % rows:
        yield (
            "volume_type",
            f"whole cycles of {rows} volumes each; found {len(cycle)} controls and labels",
            "Write n/a for the volumes of a cycle that is not whole, or correct the matrix: it has a row for each volume of a cycle.",
        )
    elif odd := next((number for number, kind in enumerate(cycle) if kind != cycle[number % rows]), None):
        yield (
            "volume_type",
            f"the same in every cycle; volume {odd % rows + 1} of cycle {odd // rows + 1} is called {cycle[odd]}, that of "
            f"the first {cycle[odd % rows]}",
            "Correct the table: a series of which a volume is missing is decoded wrongly from there on.",
        )
    if sidecar.get("ArterialSpinLabelingType", "PCASL") not in ("PCASL", "CASL"):
        yield "ArterialSpinLabelingType", "PCASL or CASL: a pulse is one block", f"Limit {FIELD} by where."
    yield from _of_fields(encoding, sidecar)


def _of_fields(encoding: Encoding, sidecar: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Times, size and matrix, where the sidecar states them."""
    durations, delays = encoding.durations, block_codes.block_delays(encoding)
    known = {
        "LabelingDuration": (*durations, sum(durations)),
        "PostLabelingDelay": tuple(delays),
    }
    for name, possible in known.items():
        value = sidecar.get(name)
        stated = [float(v) for v in (value if isinstance(value, list) else [value]) if isinstance(v, int | float) and v]
        if any(min(abs(v - own) for own in possible) > 0.01 for v in stated):
            shown = ", ".join(f"{own:g}" for own in sorted(set(possible)))
            yield (
                name,
                f"one of {shown} s, which the durations and the delay of {FIELD} imply for the blocks",
                f"Correct whichever is wrong, or take the field away by perfusion.override ({name}: null).",
            )
    for name in fields(sidecar):
        value = sidecar[name]
        if name.lower().endswith("size") and value not in (len(encoding.matrix), str(len(encoding.matrix))):
            yield name, f"{len(encoding.matrix)}, the rows of the matrix in {FIELD}", "Correct whichever is wrong."
        if name.lower().endswith("matrix") and isinstance(value, list) and not _same(encoding.matrix, value):
            yield (
                name,
                f"the matrix of {FIELD}, up to its sign and a column that is the same in all rows",
                "Correct whichever is wrong.",
            )


def _same(matrix: Sequence[Sequence[int]], stated: Sequence[Any]) -> bool:
    """Whether a sidecar's matrix is the configuration's, whatever its sign; constant columns are no blocks."""
    if not all(isinstance(row, list) and len(row) == len(stated[0]) for row in stated):
        return False
    columns = [list(column) for column in zip(*stated) if len(set(column)) > 1]
    own = [list(column) for column in zip(*matrix)]
    flipped = [[-value for value in column] for column in own]
    return columns in (own, flipped)
