"""The volumes of a perfusion series by type, as its aslcontext.tsv lists them."""

from pharmasl.errors import FilePath, InputError, similar
from pharmasl.files import bids, tables
from pharmasl.study import schemas, sidecar


def missing(asl: bids.File) -> InputError:
    """The error of a series (bids.File) without a table."""
    path = asl.path.removesuffix(f"_asl{asl.extension}") + "_aslcontext.tsv"
    return InputError(
        path,
        "(whole file)",
        "no such file",
        "a table with the column volume_type and one row per volume",
        "Write it; without it label and control are unknown.",
    )


def read(path: FilePath, image: FilePath, volumes: int | None, encoded: bool = False) -> list[str]:
    """The type of each volume of a series.

    Parameters
    ----------
    path : path-like
        An aslcontext.tsv.
    image : path-like
        The series, named in errors.
    volumes : int or None
        Of the image; None where it cannot be read.
    encoded : bool
        Of a time-encoded series, whose volumes may all be called label.

    Returns
    -------
    list of str
        ``control``, ``label``, ``m0scan``, ``deltam``, ``cbf``, ``noRF`` or ``n/a``.

    Raises
    ------
    InputError
        If the table has no such column, other types, another number of rows, or no volumes that hold perfusion.
    """
    sheet = tables.read_sheet(path)
    known = schemas.properties("aslcontext")["volume_type"]["enum"]
    if "volume_type" not in sheet.columns:
        lost = any(name in known for name in sheet.columns)
        raise InputError(
            path,
            "header",
            ", ".join(sheet.columns),
            "volume_type",
            "The first line is a volume: add the line volume_type above it." if lost else "Name the column so.",
        )
    written = [row["volume_type"] for row in sheet.rows]
    _check_types(path, sheet.lines, written, known)
    types = [kind or "n/a" for kind in written]
    raw = {"control", "label"} & set(types)
    if not (len(raw) > 1 or (raw and encoded) or {"deltam", "cbf"} & set(types)):
        raise InputError(
            path,
            "volume_type",
            sorted(set(types)),
            "control and label, deltam, or cbf volumes",
            "Correct the table; a run without them holds no perfusion signal that this workflow can quantify.",
        )
    if volumes is not None and len(types) != volumes:
        raise InputError(
            path,
            "volume_type",
            f"{len(types)} rows",
            f"{volumes}, one per volume of {image}",
            "Correct whichever is wrong: the image may be cut short, or the table not be this run's.",
        )
    return types


def _check_types(path, lines, types, known):
    strange = {}
    for line, kind in zip(lines, types):
        if kind not in known:
            strange.setdefault(kind, []).append(line)
    if not strange:
        return
    misspelt = all(similar(kind, filter(None, known), alike=sidecar.FIELDS_ALIKE) for kind in strange)
    raise InputError(
        path,
        "volume_type",
        ", ".join(f"{kind} (line {places[0]}{', ...' * (len(places) > 1)})" for kind, places in strange.items()),
        f"one of {', '.join(name or 'n/a' for name in known)}",
        "Mind the spelling and lower case." if misspelt else "Correct the table.",
    )
