"""The result of each whole-brain analysis, in words, a table and its figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.figures import findings
from pharmasl.figures.findings import Findings
from pharmasl.figures.numerals import p_value
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.group import verdict
from pharmasl.report import called_section, global_section, pictures, regions_section
from pharmasl.report.analysis_clusters import SHOWN, clusters
from pharmasl.report.analysis_definitions import Block, Definition, tested
from pharmasl.report.called_section import CalledFiles, CalledSection
from pharmasl.report.regions_section import RegionsFiles, RegionsSection
from pharmasl.report.words import Table, count, fixed, listed, p_words, plain, upper
from pharmasl.study import effect_kinds, effect_words
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Region, SessionPair

# Said of every size of an effect in a cluster.
CHOSEN = "an overestimate, as the same data chose the cluster"
# The analysis that an analysis of change scores is compared with, and how far from 1 a ratio of variances is told as 1.
ADJUSTED, ALIKE = "followup ~ arm + baseline", 0.02


def direction(results: Findings, row: Row) -> str:
    """The effect of a cluster as a clause, its sign in words."""
    kind = effect_words.of_block(results.block)
    return kind.finding(results.block, size=float(row["effect_mean"]), positive=row["sign"] == "+")


def out_of_reach(results: Findings) -> str:
    """That an analysis could not have been significant, in sentences; empty where it could."""
    if results.verdict["can_reach_alpha"]:
        return ""
    return (
        f"This analysis could not have been significant: the smallest p that its {results.block['permutation']['number']:,} "
        f"relabellings allow is {p_value(results.verdict['smallest_attainable_p'])}, above {results.alpha:g}. It says nothing for "
        "or against an effect."
    )


def sentences(results: Findings, sessions: SessionPair | None, labels: Labels = NAMES) -> list[str]:
    """The result: sign, place, size and p of each significant cluster, or that there is none."""
    if not results.ran:
        return [f"This analysis was {results.status}."]
    if reason := out_of_reach(results):
        return [reason]
    significant, outside = list(results.significant().values()), outside_clusters(results)
    if not significant and not outside:
        return [_nothing(results)]
    is_change = effect_words.of_block(results.block).outcome == effect_kinds.CHANGE
    when = "In"
    if sessions and sessions.followup and is_change:
        when = f"From {labels.session(sessions.baseline)} to {labels.session(sessions.followup)}, in"
    text = [
        f"{when} a cluster of {count(int(row['size_voxels']), 'voxel')} ({float(row['volume_mm3']) / 1000:.1f} mL) at "
        f"{findings.place(row)}, {direction(results, row)}{size(row)}: {deciding_p(results, row)} by {results.decides} "
        f"({results.letter} = {fixed(row['t'])} at the peak)."
        for row in significant[:SHOWN]
    ]
    if len(significant) > SHOWN:
        text.append(f"{len(significant) - SHOWN} more clusters are significant; the table has them.")
    text += outside
    # With the first sentence, since a result may be made of it.
    text[0] += "".join(f" Mind: {note}." for note in results.block.get("notes", []))
    return text


def _nothing(results: Findings) -> str:
    """That no cluster was significant, and which came nearest."""
    text = f"No cluster was significant at {results.level} by {results.decides}."
    if results.clusters:
        row = min(results.clusters.values(), key=lambda row: float(row["p_verdict"]))
        text += (
            f" The nearest lay at {findings.place(row)}, {count(int(row['size_voxels']), 'voxel')}, "
            f"{deciding_p(results, row)}."
        )
    return f"{text} Absence of evidence is no evidence of absence."


def outside_clusters(results: Findings) -> list[str]:
    """That voxels are significant where no cluster was formed, as a list of no or one sentence."""
    number = results.verdict["voxels_outside_clusters"]
    if not number:
        return []
    return [
        f"{count(number, 'voxel is', 'voxels are')} significant at {results.level} by {results.decides} outside all clusters formed "
        f"at p < {results.block['tests']['cluster']['forming_p']:g}; the map of the deciding p shows where."
    ]


def deciding_p(results: Findings, row: Row) -> str:
    """The p (or q) of a cluster by the statistic that decides, in words."""
    words = p_words(row["p_verdict"])
    if results.verdict["error_rate"] == verdict.FALSE_DISCOVERY:
        return words.replace("p", "q", 1)
    return f"family-wise {words}"


def size(row: Row) -> str:
    """The standardised effect of a cluster, where there is one, and that it is an overestimate; in brackets."""
    if row.get("hedges_g") is None:
        return f" ({CHOSEN})"
    interval = f"95 % interval {fixed(row['hedges_g_low'])} to {fixed(row['hedges_g_high'])}"
    return f" (Hedges' g {fixed(row['hedges_g'])}, {interval}; {CHOSEN})"


def notes(results: Findings, regions: Mapping[str, Region], labels: Labels = NAMES) -> list[str]:
    """What a reader has to keep in mind, in sentences."""
    text = [f"{row['participant_id']} does not enter: {row['reason']}." for row in results.block.get("excluded") or []]
    if not results.ran:
        return text
    own = [note for part in ("notes", "cautions") for note in results.block.get(part, [])] + list(
        results.block["model"].get("notes", [])
    )
    text += [f"{upper(note)}.".replace("..", ".") for note in own]
    lost = {name: n for name, n in results.block["search_volume"]["uncovered_voxels"].items() if n}
    if lost:
        worst = sorted(lost.items(), key=lambda item: -item[1])[:3]
        words = listed(f"{name} ({n:,})" for name, n in worst)
        fate = "lost to all"
        if "voxels_that_scans_lack" in results.block["search_volume"]:
            fate = "tested with the scans that do, where these are enough"
        text.append(f"Voxels that a participant's scans do not cover are {fate}; most by {words}.")
    source = regions.get(results.seed) if results.seed else None
    if source and source.space == "native":
        text.append("The seed was read in each scan's own space, in its unsmoothed CBF.")
    if results.block.get("baseline_adjustment"):
        text.append(adjusting(results.block["baseline_adjustment"]))
    return text


@dataclass(frozen=True)
class ChosenSeed:
    """A seed that is a cluster of another analysis, which these data chose.

    Attributes
    ----------
    analysis : str
        In the study's words.
    cluster : int
    weakness : str
        The cluster's p where it is not significant; else empty.
    """

    analysis: str
    cluster: int
    weakness: str

    @property
    def sentence(self) -> str:
        """Where the seed comes from, and that it is not significant there."""
        text = f"The seed is cluster {self.cluster} of the analysis {self.analysis}, chosen by these data"
        if self.weakness:
            return f"{text} though it is not significant there ({self.weakness}): what is said of it is exploratory."
        return f"{text}."


def chosen_seed(
    results: Findings, regions: Mapping[str, Region], others: Mapping[str, Findings], labels: Labels = NAMES
) -> ChosenSeed | None:
    """The seed of an analysis that was run; None of one that these data did not choose.

    Parameters
    ----------
    results : Findings
    regions : Mapping
        Region to its settings.
    others : Mapping
        All analyses of the study by name.
    labels : Labels

    Returns
    -------
    ChosenSeed or None
    """
    source = regions.get(results.seed) if results.seed else None
    if source is None or source.analysis is None or source.cluster is None or not results.ran:
        return None
    own = others[source.analysis]
    row = own.clusters.get(source.cluster)
    weakness = deciding_p(own, row) if row is not None and row["significant"] != "yes" else ""
    return ChosenSeed(labels.analysis(source.analysis), source.cluster, weakness)


def adjusting(block: Block) -> str:
    """What the baseline-adjusted analysis would give in place of this one of change scores, in two sentences.

    Parameters
    ----------
    block : Mapping
        The block ``baseline_adjustment``.
    """
    correlation, ratio = block["correlation"], float(block["variance_ratio"]["median"])
    text = (
        f"Within the arms, baseline and follow-up correlate by r = {fixed(correlation['median'])} (median over voxels; "
        f"{fixed(correlation['low'])} to {fixed(correlation['high'])} from the 10th to the 90th percentile). "
    )
    if abs(ratio - 1) < ALIKE:
        return f"{text}Adjusting for each voxel's own baseline ({ADJUSTED}) would estimate the same effect as precisely as the change does."
    if ratio < 1:
        return (
            f"{text}Adjusting for each voxel's own baseline ({ADJUSTED}) would not pay in so small a trial: the change-score "
            f"estimate has {fixed(ratio)} times its variance."
        )
    return (
        f"{text}Adjusting for each voxel's own baseline ({ADJUSTED}) would estimate the same effect more precisely: the change-score "
        f"estimate has {fixed(ratio)} times its variance, and needs {100 * (ratio - 1):.0f} % more participants for the same precision."
    )


def conjunction(name: str, inference: FilePath, labels: Labels = NAMES) -> str:
    """What several analyses have in common, in a sentence."""
    block = tables.read_json(inference)
    start = f"{plain(name).capitalize()} (an effect in each of {listed(map(labels.analysis, block['analyses']))}): "
    if block["status"] != "run":
        return f"{start}{block['status']}."
    if not block["significant_voxels"]:
        return f"{start}no voxel significant in every one, each by what decides it."
    where = ", ".join(fixed(value, 0) for value in block["peak_mm"])
    return (
        f"{start}{count(block['significant_voxels'], 'voxel is', 'voxels are')} significant in every one, each by what decides it "
        f"(family-wise p \u2264 {block['alpha']:g}); the highest at ({where})."
    )


@dataclass(frozen=True, kw_only=True)
class AnalysisFiles:
    """The files of an analysis: cluster table, inference block, pictures of the map, of the design and of the participants' values,
    those of its regions, its effect on global CBF, and what it would have called."""

    table: FilePath
    inference: FilePath
    figure: FilePath
    design: FilePath
    changes: FilePath | None = None
    viewer: FilePath | None = None
    regions: RegionsFiles | None = None
    global_effect: FilePath | None = None
    called: CalledFiles | None = None


@dataclass(frozen=True, kw_only=True)
class AnalysisSection:
    """The section of an analysis.

    Attributes
    ----------
    name, heading : str
        As the configuration and as the page calls it.
    role : str
        Primary, secondary or exploratory.
    ran : bool
    model : str
        The name of the design and the model; empty where the analysis was not run.
    sentences : sequence of str
        The result.
    figure, design, alt : str
        Pictures of the map and of the design, and what stands for the first where it cannot be seen.
    changes, viewer : Markup
        Each participant's values in the clusters and regions, and the interactive viewer; empty without any.
    table : Table or None
        Clusters; None without any.
    tested : sequence of Definition
    notes : sequence of str
    block : Mapping
        Content of ``_inference.json``.
    regions : RegionsSection or None
        The same in the declared regions and in parcels.
    global_effect : sequence of str
        The effect on global CBF.
    called : CalledSection or None
        The smallest estimates that would have been called significant.
    """

    name: str
    heading: str
    role: str
    ran: bool
    model: str
    sentences: Sequence[str]
    figure: Markup
    design: str
    changes: Markup
    viewer: Markup
    alt: str
    table: Table | None
    tested: Sequence[Definition]
    notes: Sequence[str]
    block: Block
    regions: RegionsSection | None
    global_effect: Sequence[str]
    called: CalledSection | None


def section(
    name: str,
    files: AnalysisFiles,
    *,
    labels: Labels,
    role: str,
    sessions: SessionPair | None,
    regions: Mapping[str, Region],
    others: Mapping[str, Findings],
) -> AnalysisSection:
    """The section of an analysis.

    Parameters
    ----------
    name : str
    files : AnalysisFiles
    labels : Labels
        What the study calls things; an analysis without a label has its question in words for a heading.
    role : str
        Of its answer for the trial.
    sessions : SessionPair or None
    regions : Mapping
        Region to its settings.
    others : Mapping
        All analyses of the study by name, this one among them.

    Returns
    -------
    AnalysisSection
    """
    results = others[name]
    seed = chosen_seed(results, regions, others, labels)
    unit, text = results.block["effect"]["unit"], sentences(results, sessions, labels)
    return AnalysisSection(
        name=name,
        heading=labels.analyses.get(name, results.question),
        role=role,
        ran=results.ran,
        model=f"{results.block['model']['design']}; {results.block['model']['formula']}" if results.ran else "",
        sentences=text,
        figure=pictures.fragment(files.figure),
        design=pictures.fragment(files.design),
        changes=pictures.fragment(files.changes) if files.changes else Markup(),
        viewer=pictures.fragment(files.viewer) if files.viewer else Markup(),
        alt=f"{results.question}: {results.letter} map on the template. " + " ".join(text[:2]),
        table=clusters(results, unit, files.table) if results.rows else None,
        tested=tested(results),
        notes=[*notes(results, regions, labels), *([seed.sentence] if seed else [])],
        block=results.block,
        regions=None if files.regions is None else regions_section.section(files.regions, results.block, labels),
        global_effect=[]
        if files.global_effect is None
        else [
            *global_section.sentences(files.global_effect, results.block),
            *(
                [caution]
                if results.significant() and (caution := global_section.caution(files.global_effect, results.block))
                else []
            ),
        ],
        called=None if files.called is None else called_section.section(files.called, results.block),
    )
