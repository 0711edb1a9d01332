"""The reporting checklist, filled in: what guidelines for trials and for perfusion imaging ask a report for, and the study's answers.

The guidelines are CONSORT 2025 (Hopewell et al. 2025, BMJ 389:e081123; numbers of table 1), the ASL lexicon and reporting
recommendations (Suzuki et al. 2024, Magn Reson Med 91:1743-1760), the ASL consensus (Alsop et al. 2015, Magn Reson Med 73:102-116)
and COBIDAS (Nichols et al. 2017, Nat Neurosci 20:299-303), whose items are named by topic, and for studies of craving the ENIGMA-ACRI
checklist (Ekhtiari et al. 2022, Nat Protoc 17:567-595).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pharmasl.conduct.flow import FlowRow, in_words, read_flow
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report import checklist_cues, checklist_imaging, imported_section, methods_endpoints, trial_section
from pharmasl.report.analysis_definitions import Block
from pharmasl.report.checklist_imaging import Imaging
from pharmasl.report.checklist_item import UNKNOWN, Item, cobidas, consort
from pharmasl.report.report_files import ReportFiles
from pharmasl.report.words import Table, count, listed, plain, upper
from pharmasl.study.settings import Settings

COLUMNS: tables.Columns = {
    "item": "What a report should state",
    "source": "The guideline that asks for it, with the number or the topic of its item",
    "study": f"The study's answer, from its settings and results; or: {UNKNOWN}",
}
NAME = "checklist.tsv"


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """What the trial's items are answered from.

    Attributes
    ----------
    flow : sequence of FlowRow
        Empty in a study without arms.
    exclusions, unusable : sequence of Row
        What was left out before and after quantification.
    allocation : sequence of str
        When the trial's own allocation was first used; empty where that is not on record, and in a blinded run.
    """

    flow: Sequence[FlowRow]
    exclusions: Sequence[Row]
    unusable: Sequence[Row]
    allocation: Sequence[str]


def items(settings: Settings, conduct: Conduct, imaging: Imaging) -> list[Item]:
    """All items that apply to a study, in the order of a report.

    Parameters
    ----------
    settings : Settings
    conduct : Conduct
    imaging : Imaging

    Returns
    -------
    list of Item
    """
    return [
        *_governance(settings),
        *(_design(settings) if settings.arms else ()),
        *(
            checklist_imaging.of_contrast_maps(imaging)
            if imaging.contrast_maps
            else checklist_imaging.of_scans(settings, imaging)
        ),
        *checklist_cues.cues(settings, imaging.blocks),
        *_questions(settings, imaging.blocks),
        *checklist_imaging.statistics(settings, imaging),
        *(_blinding(settings, conduct) if settings.arms else ()),
        *_participants(conduct, imaging),
        *(_results(settings) if settings.arms else ()),
    ]


def gather(
    files: ReportFiles,
    settings: Settings,
    blocks: Mapping[str, Block],
    *,
    versions: Mapping[str, str],
    allocation: Sequence[str],
) -> list[Item]:
    """All items of a study, from its files.

    Parameters
    ----------
    files : ReportFiles
    settings : Settings
    blocks : Mapping
        Analysis to its inference block.
    versions : Mapping
        Of the packages that compute.
    allocation : sequence of str
        As :class:`Conduct` has it.

    Returns
    -------
    list of Item
    """
    conduct = Conduct(
        flow=in_words(read_flow(files.participant_flow), settings.labels) if files.participant_flow else [],
        exclusions=tables.read_table(files.exclusions),
        unusable=tables.read_table(files.quality_exclusions) if files.quality_exclusions else [],
        allocation=allocation,
    )
    sidecars = [tables.read_json(path) for path in files.cbf_sidecars]
    imaging = Imaging(
        scans=tables.read_table(files.scans),
        sidecars=[sidecar for sidecar in sidecars if "Imported" not in sidecar],
        imported=[sidecar for sidecar in sidecars if "Imported" in sidecar],
        blocks=blocks,
        versions=versions,
        contrast_maps=imported_section.method(files.imported_sidecars),
    )
    return items(settings, conduct, imaging)


def _governance(settings: Settings) -> Iterator[Item]:
    """What is settled before the first scan, of which no file of the study speaks."""
    trial = settings.arms is not None
    design, sharing = cobidas("experimental design"), cobidas("data sharing")
    if trial:
        yield Item("Identification as a randomised trial in the title", consort("1a"))
        yield Item("Structured summary of design, methods, results and conclusions", consort("1b"))
    yield Item("Registration: registry, number, date", consort("2") if trial else design)
    yield Item("Where protocol and statistical analysis plan can be accessed", consort("3") if trial else design)
    yield Item("Ethics approval and consent", design)
    yield Item("Where data and code can be accessed", f"{consort('4')}; {sharing}" if trial else sharing)
    if trial:
        yield Item("Funding, and the role of funders", consort("5a"))
        yield Item("Conflicts of interest", consort("5b"))
        yield Item("Background and rationale", consort("6"))
        yield Item("Specific objectives, of benefits and of harms", consort("7"))
        yield Item("Involvement of patients or the public", consort("8"))
    yield Item("Setting and locations", consort("11") if trial else design)
    yield Item("Eligibility criteria", consort("12a") if trial else design)
    if trial:
        yield Item("Eligibility criteria for sites and for those who deliver the interventions", consort("12b"))
    yield Item("Determination of the sample size", consort("16a") if trial else design)


def _design(settings: Settings) -> Iterator[Item]:
    """The trial's design, and how people came into its arms."""
    arms, sessions, labels = settings.arms, settings.sessions, settings.labels
    if arms is None:
        return
    others = f"; other arms: {listed(map(labels.arm, arms.others))}" if arms.others else ""
    visits = ""
    if sessions:
        baseline, *later = map(labels.session, sessions.labels)
        visits = f" Sessions: {baseline} (baseline)" + (f", then {listed(later)}" if later else "") + "."
    yield Item(
        "Trial design",
        consort("9"),
        f"Arms: {labels.arm(arms.treatment)} (treatment) and {labels.arm(arms.control)} (control){others}.{visits}",
        "type of trial, planned allocation ratio, framework",
    )
    yield Item("Intervention and comparator: dose, timing", consort("13"))
    yield Item("Definition and assessment of harms", consort("15"))
    yield Item("Interim analyses and stopping guidelines", consort("16b"))
    yield Item("Random sequence: who generated it, and how", consort("17a"))
    yield Item("Type of randomisation and restrictions", consort("17b"))
    yield Item("Concealment of the allocation", consort("18"))
    yield Item("Access of those who enrolled and assigned to the sequence", consort("19"))


def _questions(settings: Settings, blocks: Mapping[str, Block]) -> Iterator[Item]:
    """What was asked, what of it was declared, and how missing values are handled."""
    trial, area = settings.arms is not None, cobidas("statistical modelling and inference")
    asked = settings.analyses or settings.endpoints or settings.craving
    if asked:
        yield Item(
            "Primary and secondary outcomes, and multiplicity",
            f"{consort('14')}; {area}" if trial else area,
            trial_section.method(settings.primary, settings.labels),
            "where and when they were specified",
        )
    if trial and settings.endpoints:
        yield Item(
            "Statistical methods of clinical outcomes", consort("21a"), methods_endpoints.endpoints(settings) or ""
        )
    lost = [
        f"{settings.labels.analysis(name)}: {count(len(block['excluded']), 'participant')} left out, {block['model']['n']} analysed"
        for name, block in blocks.items()
        if block["status"] == "run"
    ]
    parts = [f"No image was imputed; {'; '.join(lost)}."] if lost else []
    if trial and settings.craving:
        parts.append(
            "Craving: the mixed model takes participants with one session; the test of changes those with both sessions."
        )
    parts += [
        f"{upper(plain(own.name))}: missing scores were imputed {own.missing.imputations} times in a sensitivity analysis."
        for own in settings.endpoints.values()
        if own.kind != methods_endpoints.BINARY
    ]
    if asked:
        yield Item("Missing data", consort("21c") if trial else area, " ".join(parts))
    if settings.sensitivity:
        declared = (
            f"Declared sensitivity analysis of {listed(map(settings.labels.answer, settings.sensitivity.answers))}."
        )
        yield Item("Additional analyses", consort("21d") if trial else area, declared)


def _blinding(settings: Settings, conduct: Conduct) -> Iterator[Item]:
    """Who knew the arms: of the analysis alone the workflow has a record."""
    record = " ".join(sentence.partition("; what changed")[0].rstrip(".") + "." for sentence in conduct.allocation)
    if settings.blinded:
        record = "This run is blinded: its arms are a sham allocation, and no number by arm is a result of the trial."
    who = "who else was blinded: participants, care providers, assessors"
    yield Item("Who was blinded: data analysis", consort("20a"), record, who)
    yield Item("How blinding was achieved", consort("20b"))
    yield Item(
        "Changes after the trial began",
        consort("10"),
        "" if settings.blinded else record,
        "changes outside this workflow, with reasons",
    )


def _participants(conduct: Conduct, imaging: Imaging) -> Iterator[Item]:
    """How many there were, and how many were lost."""
    people = len({row["participant_id"] for row in imaging.scans})
    what, done = ("contrast map", "taken over") if imaging.contrast_maps else ("scan", "quantified")
    scans = f"{count(len(imaging.scans), what)} of {count(people, 'participant')} {done}"
    unusable = f"{count(len(conduct.unusable), 'scan')} excluded for quality"
    before = [row for row in conduct.exclusions if not row.get("analysis")]
    left = f"{count(len(before), 'exclusion')} before quantification"
    parts = [scans, left.removesuffix(" before quantification")] if imaging.contrast_maps else [scans, unusable, left]
    yield Item("Scans and exclusions", cobidas("results"), f"{'; '.join(parts)}.")
    if conduct.flow:
        yield Item("Numbers randomised, scanned and analysed, by arm", consort("22a"), " ".join(_kept(conduct.flow)))
        yield Item(
            "Who is included in each analysis, and in which arm",
            consort("21b"),
            "Each in the arm of the participants' table; who is left out, and why, stands in the section on participants.",
            "whether that is the arm allocated",
        )
        yield Item("Losses and exclusions after randomisation, by arm", consort("22b"), _losses(conduct.flow))
        yield Item("Dates of recruitment and follow-up", consort("23a"))
        yield Item("Why the trial ended or was stopped", consort("23b"))


def _arm(row: FlowRow) -> str:
    return "without a recorded arm" if row["arm"] is None else f"on {row['arm']}"


def _kept(rows: Sequence[FlowRow]) -> Iterator[str]:
    """A sentence for each stage: how many were randomised, scanned at any session, and in each analysis, by arm."""
    stages: dict[str, list[str]] = {}
    for row in rows:
        if row["stage"] in ("randomised", "scanned", "analysed") and row["session_id"] is None:
            stage = upper(row["stage"]) + (f" ({plain(row['of'])})" if row["of"] else "")
            stages.setdefault(stage, []).append(f"{row['n']} {_arm(row)}")
    for stage, numbers in stages.items():
        yield f"{stage}: {listed(numbers)}."


def _losses(rows: Sequence[FlowRow]) -> str:
    """How many were lost to scanning and to each analysis, by arm and cause; whose they are is in the flow's table."""
    lost: Counter[tuple[str, str]] = Counter()
    for row in rows:
        whole = row["stage"] in ("left out", "not selected") or (row["stage"], row["session_id"]) == (
            "not scanned",
            None,
        )
        if whole:
            stage = row["stage"] + (f" of {plain(row['of'])}" if row["of"] else "")
            lost[stage, f"{_arm(row)} ({row['cause'] or 'no cause recorded'})"] += row["n"]
    stages: dict[str, list[str]] = {}
    for (stage, words), number in lost.items():
        stages.setdefault(stage, []).append(f"{number} {words}")
    text = "; ".join(f"{stage}: {listed(numbers)}" for stage, numbers in stages.items())
    return f"{upper(text)}." if text else "None."


def _results(settings: Settings) -> Iterator[Item]:
    """What the page shows, and what it cannot."""
    yield Item("Adherence and delivery of the intervention", consort("24a"))
    yield Item("Concomitant care", consort("24b"))
    yield Item(
        "Baseline characteristics by arm",
        consort("25"),
        "In the section on participants.",
        "what the dataset's tables do not hold",
    )
    yield Item(
        "Outcomes by arm with effect sizes and intervals",
        consort("26"),
        "In the sections on the analyses and endpoints.",
    )
    yield Item("Harms in each arm", consort("27"))
    yield Item(
        "Other analyses: subgroups, sensitivity; which were specified beforehand",
        consort("28"),
        "In the section on sensitivity." if settings.sensitivity else "",
        "analyses made outside this workflow",
    )
    yield Item("Interpretation: benefits against harms, and other evidence", consort("29"))
    yield Item("Limitations and generalisability", consort("30"))


def table(rows: Sequence[Item], file: FilePath | None = None) -> Table:
    """The checklist as a table of the page; items that the authors must state stand out."""
    open_items = {place for place, item in enumerate(rows) if not item.is_known}
    cells = [[item.topic, item.source, item.words] for item in rows]
    caption = f"Reporting checklist (bold: for the authors to state, {len(open_items)} of {count(len(rows), 'item')})"
    return Table(caption, ["Item", "Asked for by", "This study"], cells, {0, 1, 2}, open_items, file=file)


def write(path: FilePath, rows: Sequence[Item]) -> None:
    """Write the checklist as a table, with a JSON sidecar that describes its columns."""
    content = [{"item": item.topic, "source": item.source, "study": item.words} for item in rows]
    tables.write_table(path, content, COLUMNS)
