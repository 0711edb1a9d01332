"""The quality of a study: the rows of all scans in one table, and which of them are excluded."""

import logging
from collections.abc import Iterable

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.quality.measure_columns import COLUMNS, EXCLUSIONS

log = logging.getLogger(__name__)


def gather(paths: Iterable[FilePath], table_path: FilePath, exclusions_path: FilePath) -> list[dict[str, str | None]]:
    """Write the rows of all scans as one table, in the order of the paths.

    Parameters
    ----------
    paths : iterable of path-like
        Tables that :func:`pharmasl.quality.assessment.assess` wrote.
    table_path, exclusions_path : path-like
        Written: the table of all scans, and that of those excluded, with the reason.

    Returns
    -------
    list of dict
        The rows, text as in the tables.
    """
    rows = [row for path in paths for row in tables.read_table(path)]
    tables.write_table(table_path, rows, COLUMNS)
    excluded = [{**row, "reason": row["exclusion_reason"]} for row in rows if row["usable"] == "no"]
    tables.write_table(exclusions_path, ({name: row[name] for name in EXCLUSIONS} for row in excluded), EXCLUSIONS)
    log.info("%d scans, %d excluded", len(rows), len(excluded))
    return rows
