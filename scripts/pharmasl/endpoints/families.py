"""Which correlations with craving are tests, and which of them share a family.

A table shows each region's correlation at three timings, in three groups, by three methods. They are not as many
questions: one of them is declared (``craving.test``), and it alone is tested, in all regions together. All others stand
beside it as descriptions, with their intervals and uncorrected p. So the error of "some corrected p is at most alpha" is
that of one family. Whoever asks everything (``craving.family: all``) gets one family of everything.

A region that is a cluster of these data and was read again in each participant from the others' cluster is tested as
read from the others; its reading in the cluster of all is a description.
"""

from dataclasses import dataclass

TESTED, DESCRIBED = "tested", "described"
# Methods that compare the arms' changes, whatever timing and group say.
COMPARISONS = ("pearson_difference", "slope_interaction")
ALL = "every correlation and comparison"


@dataclass(frozen=True)
class Declared:
    """The declared test of a table of correlations.

    Attributes
    ----------
    timing : {"change", "baseline", "followup"}
    group : {"all", "treatment", "control"}
        Both arms, adjusted for arm, or one of them.
    method : str
        Of ``correlations.COLUMNS``; a comparison of the arms is of their changes.
    """

    timing: str = "change"
    group: str = "all"
    method: str = "pearson"

    def fits(self, row, arms):
        """Whether a row of the table is of the declared test, in whatever region and reading.

        Parameters
        ----------
        row : dict
            ``timing``, ``group`` (``all``, the name of an arm, or a comparison) and ``method``.
        arms : dict
            Names of ``treatment`` and ``control``.

        Returns
        -------
        bool
        """
        if row["method"] != self.method:
            return False
        return self.method in COMPARISONS or (row["timing"], row["group"]) == (self.timing, arms.get(self.group, "all"))

    def words(self, arms):
        """The test in words."""
        if self.method in COMPARISONS:
            return f"arms compared, {self.method.replace('_', ' ')}"
        group = "all participants" if self.group == "all" else arms[self.group]
        return f"{self.timing}, {group}, {self.method.replace('_', ' ')}"


def declared(craving):
    """The declared test of ``craving`` of the configuration."""
    return Declared(**craving.get("test", {}))


def family(row, craving, arms, reread):
    """The family of a row, or None for a description.

    Parameters
    ----------
    row : dict
        ``roi``, ``contrast``, ``timing``, ``group``, ``method``, ``region_of``.
    craving, arms : dict
    reread : collection of (str, str)
        Regions, each with its contrast, that were read again in each participant from the others' cluster.

    Returns
    -------
    str or None
    """
    if row["region_of"] == "all" and (row["roi"], row["contrast"]) in reread:
        return None
    if craving.get("family", "test") == "all":
        return ALL
    test = declared(craving)
    return test.words(arms) if test.fits(row, arms) else None
