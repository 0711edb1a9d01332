"""The quality of a study: the rows of all scans in one table."""

from pharmasl import tables
from pharmasl.quality.columns import COLUMNS


def gather(paths, output):
    """Write the rows of all scans as one table, in the order given.

    Parameters
    ----------
    paths : iterable of path-like
        Tables that :func:`pharmasl.quality.scan.assess` wrote.
    output : path-like

    Returns
    -------
    list of dict
        The rows, text as in the tables.
    """
    rows = [row for path in paths for row in tables.read_table(path)]
    tables.write_table(output, rows, COLUMNS)
    return rows
