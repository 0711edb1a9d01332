"""Which correlations with craving are tests, and which of them share a family.

A table has each region's correlation at three timings, in three groups, by three methods. They are not as many
questions: one of them is declared (``craving.test``), and it alone is tested, in all regions together. All others are
descriptions, with their intervals and uncorrected p. So the error of "some corrected p is at most alpha" is
that of one family. With ``craving.family: all`` everything is one family.

A region that is a cluster of these data and was read again in each participant from the others' cluster is tested as
read from the others; its reading in the cluster of all participants is a description.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pharmasl.study import settings
from pharmasl.study.labels import NAMES, Labels, spaced

TESTED, DESCRIBED = "tested", "described"
# Methods that compare the arms' changes, whatever timing and group say.
COMPARISONS = ("pearson_difference", "slope_interaction")
ALL = "every correlation and comparison"
# The correlation that is called "r within arms" where there is little space.
WITHIN_ARMS = settings.DeclaredCorrelation(timing="change", group="all", method="pearson")


def _group(test: settings.DeclaredCorrelation, arms: settings.Arms) -> str:
    """The name of the group in the table: ``all``, or an arm."""
    return {"treatment": arms.treatment, "control": arms.control}.get(test.group, test.group)


def is_declared(test: settings.DeclaredCorrelation, row: Mapping[str, Any], arms: settings.Arms) -> bool:
    """Whether a row of the table is the declared test, in whatever region and reading.

    Parameters
    ----------
    test : DeclaredCorrelation
    row : mapping
        ``timing``, ``group`` (``all``, the name of an arm, or a comparison) and ``method``.
    arms : Arms

    Returns
    -------
    bool
    """
    if row["method"] != test.method:
        return False
    return test.method in COMPARISONS or (row["timing"], row["group"]) == (test.timing, _group(test, arms))


def words(test: settings.DeclaredCorrelation, arms: settings.Arms, labels: Labels = NAMES) -> str:
    """The declared test in words."""
    method = spaced(test.method)
    if test.method in COMPARISONS:
        return f"arms compared, {method}"
    group = "all participants" if test.group == "all" else labels.arm(_group(test, arms))
    return f"{test.timing}, {group}, {method}"


def family(
    row: Mapping[str, Any],
    asked: settings.RegionCorrelations,
    arms: settings.Arms,
    reread: Collection[tuple[str, str]],
) -> str | None:
    """The family of a row, or None for a description.

    Parameters
    ----------
    row : mapping
        ``roi``, ``contrast``, ``timing``, ``group``, ``method``, ``region_of``.
    asked : RegionCorrelations
    arms : Arms
    reread : collection of (str, str)
        Regions, each with its contrast, that were read again in each participant from the others' cluster.

    Returns
    -------
    str or None
    """
    if row["region_of"] == "all" and (row["roi"], row["contrast"]) in reread:
        return None
    if asked.family == "all":
        return ALL
    return words(asked.test, arms) if is_declared(asked.test, row, arms) else None
