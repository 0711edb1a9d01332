"""What a whole-brain analysis found, read from its cluster table and its inference block."""

import math

from pharmasl.files import tables
from pharmasl.group import verdict
from pharmasl.study.effect_kinds import KINDS


def number(text):
    """A cell of a table as a float, NaN where missing."""
    return math.nan if text is None else float(text)


def p_text(p):
    """A p value in words: two significant digits, never zero."""
    if math.isnan(p):
        return "p n/a"
    if p < 0.0001:
        return "p < 0.0001"
    return f"p = {p:.2g}" if p >= 0.001 else f"p = {p:.1g}"


class Findings:
    """An analysis as its files tell it.

    Parameters
    ----------
    table, inference : path-like
        ``{analysis}_clusters.tsv`` and ``{analysis}_inference.json``.

    Attributes
    ----------
    inference : dict
    rows : list of dict
        Peaks, text as in the table.
    clusters : dict
        Cluster number to its first row, which alone has the cluster's own columns; the largest cluster first.
    """

    def __init__(self, table, inference):
        self.inference = tables.read_json(inference)
        self.rows = tables.read_table(table)
        self.clusters = {}
        for row in self.rows:
            self.clusters.setdefault(int(row["cluster"]), row)

    @property
    def status(self):
        """``run``, or ``not run:`` and the reason."""
        return self.inference["status"]

    @property
    def ran(self):
        """Whether there is a result."""
        return self.status == "run"

    @property
    def alpha(self):
        """Family-wise error rate."""
        return float(self.inference["alpha"])

    @property
    def threshold(self):
        """Cluster-forming t."""
        return float(self.inference["tests"]["cluster"]["forming_t"])

    @property
    def people(self):
        """Who was analysed, in words."""
        model, arms = self.inference["model"], self.inference["arms"]
        if "n_treatment" not in model:
            return f"{model['n']} participants" + (f" of {self.inference['arm']}" if self.inference.get("arm") else "")
        return f"{model['n_treatment']} on {arms['treatment']}, {model['n_control']} on {arms['control']}"

    @property
    def question(self):
        """What was asked, as a heading."""
        return KINDS[self.inference["effect"]["name"]].headline(self.inference)

    @property
    def verdict(self):
        """What decides the analysis, and what it says: the block ``verdict``."""
        return self.inference["verdict"]

    @property
    def decides(self):
        """What decides, in words that follow "by"."""
        return verdict.WORDS[self.verdict["statistic"]]

    @property
    def level(self):
        """The error rate that the analysis holds, in words: "family-wise p ≤ 0.05"."""
        q = self.verdict["error_rate"] == verdict.FALSE_DISCOVERY
        return f"{'false discovery rate q' if q else 'family-wise p'} ≤ {self.alpha:g}"

    def peaks(self, cluster):
        """All rows of a cluster."""
        return [row for row in self.rows if int(row["cluster"]) == cluster]

    def significant(self):
        """Clusters significant by the statistic that decides the analysis, in the table's order.

        Returns
        -------
        dict
            Cluster number to its first row.
        """
        return {cluster: row for cluster, row in self.clusters.items() if row["significant"] == "yes"}


def point(row):
    """A peak's coordinates, mm."""
    return [float(row[axis]) for axis in ("x", "y", "z")]


def region(row):
    """A peak's region in words; empty where there was no atlas."""
    return (row.get("region") or "").replace("_", " ")


def place(row):
    """A peak's region and coordinates in words, the coordinates in one piece."""
    where = "(" + ",\u00a0".join(f"{value:.0f}".replace("-", "\u2212") for value in point(row)) + ")"
    return f"{region(row)} {where}".strip()
