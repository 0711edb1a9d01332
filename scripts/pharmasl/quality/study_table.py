"""The quality of a study: the rows of all scans in one table, and which of them are excluded."""

from pharmasl.files import tables
from pharmasl.quality.measure_columns import COLUMNS, EXCLUSIONS


def gather(paths, output, exclusions):
    """Write the rows of all scans as one table, in the order given.

    Parameters
    ----------
    paths : iterable of path-like
        Tables that :func:`pharmasl.quality.scan_measures.assess` wrote.
    output, exclusions : path-like
        Written: the table of all scans, and that of those excluded, with the reason.

    Returns
    -------
    list of dict
        The rows, text as in the tables.
    """
    rows = [row for path in paths for row in tables.read_table(path)]
    tables.write_table(output, rows, COLUMNS)
    lost = [{**row, "reason": row["exclusion_reason"]} for row in rows if row["usable"] == "no"]
    tables.write_table(exclusions, ({name: row[name] for name in EXCLUSIONS} for row in lost), EXCLUSIONS)
    return rows
