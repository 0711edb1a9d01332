"""The results of a whole-brain analysis, read from its cluster table and its inference block."""

from collections.abc import Mapping, Sequence
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.group import verdict
from pharmasl.space import region_words
from pharmasl.study import effect_words
from pharmasl.study.labels import Labels
from pharmasl.study.settings import Settings


class Findings:
    """An analysis: what was tested, and the clusters with their peaks.

    Parameters
    ----------
    table, inference : path-like
        ``_clusters.tsv`` and ``_inference.json``.
    labels : Labels, optional
        Words for the names in the inference block; without any they stay as they are.

    Attributes
    ----------
    block : dict
        Content of ``_inference.json``.
    rows : list of Row
        Peaks, text as in the table.
    clusters : dict
        Cluster number to its first row, which alone has the cluster's own columns; the largest cluster first.
    """

    def __init__(self, table: FilePath, inference: FilePath, labels: Labels | None = None) -> None:
        stored = tables.read_json(inference)
        self.block = labels.block(stored) if labels else stored
        # The region of the seed by its name.
        self.seed: str | None = (stored.get("seed") or {}).get("roi")
        self.rows = tables.read_table(table)
        self.clusters: dict[int, Row] = {}
        for row in self.rows:
            self.clusters.setdefault(int(row["cluster"]), row)

    @property
    def status(self) -> str:
        """``run``, or ``not run:`` and the reason."""
        return self.block["status"]

    @property
    def ran(self) -> bool:
        """Whether the analysis was run."""
        return self.status == "run"

    @property
    def alpha(self) -> float:
        """Level of the error rate that decides."""
        return float(self.block["alpha"])

    @property
    def threshold(self) -> float:
        """Cluster-forming t."""
        return float(self.block["tests"]["cluster"]["forming_t"])

    @property
    def is_joint(self) -> bool:
        """Whether several effects were tested together, by F: there is no sign then."""
        return bool(self.block["effect"].get("is_joint", False))

    @property
    def letter(self) -> str:
        """The letter of the test statistic, t or F."""
        return "F" if self.is_joint else "t"

    @property
    def height(self) -> str:
        """What clusters are formed of: |t| or F."""
        return "F" if self.is_joint else "|t|"

    @property
    def degrees(self) -> str:
        """The degrees of freedom of the statistic in words: "t with 40 degrees of freedom", "F with 2 and 40 degrees of freedom"."""
        model = self.block["model"]
        joint = f"{len(model['tested_effects'])} and " if self.is_joint else ""
        return f"{self.letter} with {joint}{model['df']:g} degrees of freedom"

    @property
    def people(self) -> str:
        """How many participants were analysed, in words."""
        model, block = self.block["model"], self.block
        if model.get("n_by_arm") and not block.get("arm"):
            return ", ".join(f"{number} on {arm}" for arm, number in model["n_by_arm"].items())
        if "n_treatment" not in model:
            return f"{model['n']} participants" + (f" of {block['arm']}" if block.get("arm") else "")
        treatment, control = (block["arms"][name] for name in ("treatment", "control"))
        return f"{model['n_treatment']} on {treatment}, {model['n_control']} on {control}"

    @property
    def question(self) -> str:
        """The question of the analysis, as a heading."""
        return effect_words.of_block(self.block).headline(self.block)

    @property
    def verdict(self) -> Mapping[str, Any]:
        """The statistic that decides the analysis and its p: the block ``verdict``."""
        return self.block["verdict"]

    @property
    def decides(self) -> str:
        """The statistic that decides, in words that follow "by"."""
        return verdict.WORDS[self.verdict["statistic"]]

    @property
    def level(self) -> str:
        """The error rate that the analysis holds, in words: "family-wise p ≤ 0.05"."""
        q = self.verdict["error_rate"] == verdict.FALSE_DISCOVERY
        return f"{'false discovery rate q' if q else 'family-wise p'} ≤ {self.alpha:g}"

    def peaks(self, cluster: int) -> list[Row]:
        """All rows of a cluster."""
        return [row for row in self.rows if int(row["cluster"]) == cluster]

    def significant(self) -> dict[int, Row]:
        """Clusters significant by the statistic that decides, in the table's order: number to first row."""
        return {cluster: row for cluster, row in self.clusters.items() if row["significant"] == "yes"}


def of_study(paths: Sequence[FilePath], inferences: Sequence[FilePath], settings: Settings) -> dict[str, Findings]:
    """All analyses of a study by name.

    Parameters
    ----------
    paths, inferences : sequence of path-like
        ``_clusters.tsv`` and ``_inference.json`` in the configured order of the analyses.
    settings : Settings

    Returns
    -------
    dict of str to Findings
    """
    files = zip(settings.analyses, paths, inferences, strict=True)
    return {name: Findings(path, inference, settings.labels) for name, path, inference in files}


def point(row: Row) -> list[float]:
    """A peak's coordinates, mm."""
    return [float(row[axis]) for axis in ("x", "y", "z")]


def region(row: Row) -> str:
    """A peak's region in words; empty where there was no atlas."""
    return region_words.in_words(row.get("region") or "")


def cluster_regions(row: Row) -> str:
    """The regions that a cluster mostly covers, in words, from its first row; empty where there was no atlas."""
    return region_words.cluster_in_words(row.get("regions"), row.get("region"))


def all_regions(row: Row) -> str:
    """Every region of a cluster with its share, in words, from its first row."""
    return "; ".join(
        f"{region_words.in_words(name)} {share}\u00a0%" for name, share in region_words.shares(row.get("regions"))
    )


def place(row: Row) -> str:
    """A cluster's regions in words and the coordinates of its peak, these without a break."""
    where = "(" + ",\u00a0".join(f"{value:.0f}".replace("-", "\u2212") for value in point(row)) + ")"
    return f"{cluster_regions(row)} {where}".strip()
