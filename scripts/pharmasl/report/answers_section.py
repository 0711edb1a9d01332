"""The study's answers, a sentence each: what each arm did, the difference, its interval, and the one p that decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.conduct import answers
from pharmasl.endpoints import families, measure_rows
from pharmasl.errors import FilePath
from pharmasl.figures import findings
from pharmasl.figures.findings import Findings
from pharmasl.figures.numerals import Number, number
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.perfusion import kinetics
from pharmasl.report import analyses_section, craving_section, endpoints_section, global_section, trial_section
from pharmasl.report.analyses_section import ChosenSeed
from pharmasl.report.relations_section import RelationTest
from pharmasl.report.report_files import ReportFiles
from pharmasl.report.words import CI, HARD, between, count, fixed, listed, p_words, plain, signed, upper
from pharmasl.study import effect_kinds, effect_words, primary
from pharmasl.study.labels import Labels
from pharmasl.study.settings import Arms, Endpoint, Settings

_ORDER = (primary.PRIMARY, primary.SECONDARY, primary.EXPLORATORY)
_CHOSEN = "Effects in clusters, and their intervals, are overestimates, as the same data chose the clusters."
_SHORT = {"holm": "Holm", "sequence": "in a fixed sequence", "joint": "jointly"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of the study.

    Attributes
    ----------
    anchor : str
        Of the section where it stands in full.
    heading, sentence : str
    role : str
        Primary, secondary or exploratory.
    shown : bool or None
        Whether a primary answer is shown; None of all others.
    chosen : bool
        Whether it gives an effect in a cluster, which the same data chose.
    """

    anchor: str
    heading: str
    sentence: str
    role: str
    shown: bool | None = None
    chosen: bool = False


@dataclass(frozen=True)
class AnswersSection:
    """The answers in their order, and what is to be said before and after them."""

    lead: str
    answers: Sequence[Answer]
    note: str


class Declared:
    """What the trial's verdict says of each answer.

    Parameters
    ----------
    rows : sequence of Row
        Of ``verdict.tsv``; empty where nothing was declared.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {row["answer"]: row for row in rows}
        self._primary = [row for row in rows if row["role"] == primary.PRIMARY]

    def shown(self, name: str) -> bool | None:
        """Whether a primary answer is shown; None of all others."""
        row = self._rows.get(name)
        return row["significant"] == "yes" if row and row["role"] == primary.PRIMARY else None

    def p(self, name: str, own: str) -> str:
        """The p that decides: ``own``, or of several primary answers the one corrected over them."""
        row = self._rows.get(name)
        if len(self._primary) < 2 or row not in self._primary or row["p_corrected"] is None:
            return own
        how = _SHORT[str(row["correction"])]
        return f"{p_words(row['p_corrected'])} ({how}, over {len(self._primary)} primary answers)"


def in_order(every: Sequence[Answer]) -> list[Answer]:
    """The primary answers first, then the secondary ones, each in the order of the page."""
    return sorted(every, key=lambda answer: _ORDER.index(answer.role))


def analysis(name: str, results: Findings, values: Sequence[Row], declared: Declared) -> str:
    """The answer of a whole-brain analysis.

    Parameters
    ----------
    name : str
    results : Findings
    values : sequence of Row
        Each participant's values in its clusters, the arms in words; empty without any.
    declared : Declared

    Returns
    -------
    str
    """
    if not results.ran:
        return f"This analysis was {results.status}."
    if reason := analyses_section.out_of_reach(results):
        return reason
    significant = results.significant()
    outside = analyses_section.outside_clusters(results)
    if not significant:
        return outside[0] if outside else analyses_section.sentences(results, None)[0]
    first, row = next(iter(significant.items()))
    effect = analyses_section.direction(results, row) + _by_arm(results, values, first)
    interval = ""
    if row.get("effect_low") is not None:
        coverage = f"{100 * (1 - results.alpha):g}{HARD}%{HARD}CI"
        interval = f", {coverage} {between(row['effect_low'], row['effect_high'], 1)}"
    own = f"{analyses_section.deciding_p(results, row)} by {results.decides}"
    more = len(significant) - 1
    others = f" {upper(count(more, 'more cluster is', 'more clusters are'))} significant." if more else ""
    place = findings.cluster_regions(row) or f"around {findings.place(row)}"
    volume = f"{float(row['volume_mm3']) / 1000:.1f}{HARD}mL"
    return f"In a cluster of {volume} ({place}), {effect}{interval}; {declared.p(name, own)}.{others}"


def _by_arm(results: Findings, values: Sequence[Row], cluster: int) -> str:
    """What each arm did in a cluster, in brackets; empty where the effect is no difference of arms."""
    kind = effect_words.of_block(results.block)
    own = [row for row in values if int(row["cluster"]) == cluster and row["value"] is not None and row["arm"]]
    if kind.is_slope or kind.is_joint or not own or kind.outcome == effect_kinds.CBF:
        return ""
    sessions = list(dict.fromkeys(row["session_id"] for row in own))
    is_change = kind.outcome == effect_kinds.CHANGE
    if is_change and len(sessions) != 2:
        return ""
    say = _change if is_change else _level
    by_arm: dict[str, list[float]] = {}
    cells = {(row["participant_id"], row["session_id"]): number(row["value"]) for row in own}
    for row in {row["participant_id"]: row for row in own}.values():
        who = row["participant_id"]
        ends = [cells.get((who, session)) for session in sessions]
        last = ends[-1]
        if last is None or (is_change and ends[0] is None):
            continue
        by_arm.setdefault(row["arm"], []).append(last - ends[0] if is_change and ends[0] is not None else last)
    words = [f"{arm} {say(sum(numbers) / len(numbers))}" for arm, numbers in by_arm.items()]
    return f" ({listed(words)})" if len(words) > 1 else ""


def _change(value: Number) -> str:
    """A change with its sign; one that rounds to nothing has none."""
    return signed(value, 1).replace("+0.0", "0.0")


def _level(value: Number) -> str:
    return fixed(value, 1)


def craving(rows: Sequence[Row], arms: Arms, labels: Labels, declared: Declared) -> str:
    """The answer of cue-elicited craving: each arm's change, their difference, its interval and p."""
    row = craving_section.first_row(rows, **answers.CRAVING_TEST)
    if row is None or row["estimate"] is None or row["p"] is None:
        return "The arms' changes could not be compared."
    changes = []
    for arm in (arms.treatment, arms.control):
        own = craving_section.first_row(rows, analysis="paired_t", term="change", arm=arm)
        if own is not None and own["estimate"] is not None:
            changes.append(f"{_change(own['estimate'])} points on {labels.arm(arm)}")
    start = f"It changed by {listed(changes)}: a difference of" if changes else "The difference of changes was"
    return (
        f"{start} {signed(row['estimate'], 1)} points ({CI} {between(row['ci_low'], row['ci_high'], 1)}; "
        f"n = {row['n']}); {declared.p(primary.CRAVING, p_words(row['p']))}."
    )


def endpoint(model: Sequence[Row], asked: Endpoint, labels: Labels, declared: Declared) -> str:
    """The answer of an endpoint in the population that answers: each arm's adjusted mean, the effect, its interval and p."""
    rows = [row for row in labels.rows(model) if row["population"] == asked.populations[0]]
    test = next(row for row in rows if row["analysis"] == measure_rows.TEST)
    if test["p"] is None:
        return f"{upper(test['term'])} could not be tested ({test['method']})."
    unit = endpoints_section.unit_of(asked)
    if test["estimate"] is None:
        return f"{upper(test['term'])}: {declared.p(asked.name, p_words(test['p']))} ({count(int(test['n']), 'participant')})."
    means = [row for row in rows if row["analysis"] == measure_rows.MEAN and row["estimate"] is not None]
    parts = [
        f"{fixed(row['estimate'], 1)} on {row['arm']}" + (f" at {row['session_id']}" if row["session_id"] else "")
        for row in means
        if row["arm"]
    ]
    start = f"Adjusted means were {listed(parts)}: " if parts and unit == asked.unit else ""
    what = "a difference of" if len(parts) == 2 and start and " - " in test["term"] else test["term"]
    return (
        f"{start}{what} {signed(test['estimate'], 1)} {unit} ({endpoints_section.interval(test, 1)}; "
        f"n = {test['n']}); {declared.p(asked.name, p_words(test['p']))}."
    )


def relations(rows: Sequence[Row], relation: RelationTest, labels: Labels, declared: Declared) -> Iterator[Answer]:
    """The declared correlation of craving with CBF in each region, an answer each."""
    for row in rows:
        if not relation.fits(row) or row["role"] != families.TESTED or row["estimate"] is None:
            continue
        name = primary.correlation(row["roi"])
        symbol = "r" if relation.declared.method == "pearson" else plain(relation.declared.method)
        own = p_words(row["p"])
        if row["family_size"] != "1":
            own = f"{p_words(row['p_holm'])}, corrected for {row['family_size']} tests"
        yield Answer(
            anchor="relations",
            heading=f"Craving with CBF of the {labels.region(row['roi'])} ({labels.contrast(row['contrast'])})",
            role=relation.role(row),
            shown=declared.shown(name),
            sentence=(
                f"{upper(symbol)} = {fixed(row['estimate'])} ({CI} {between(row['ci_low'], row['ci_high'])}; n = {row['n']}); "
                f"{declared.p(name, own)}."
            ).replace("R = ", "r = ", 1),
        )


def lead(rows: Sequence[Row]) -> str:
    """How many of the primary answers are shown, or that none was declared, in a sentence."""
    first = [row for row in rows if row["role"] == primary.PRIMARY]
    if not first:
        return trial_section.UNDECLARED
    shown = sum(row["significant"] == "yes" for row in first)
    if len(first) == 1:
        return f"The primary answer was {'significant' if shown else 'not significant'}."
    return f"Of {len(first)} primary answers, {shown or 'none'} {'was' if shown < 2 else 'were'} significant after correction."


def section(
    files: ReportFiles,
    settings: Settings,
    headings: Sequence[str],
    analyses: Mapping[str, Findings],
    sidecars: Sequence[Mapping[str, Any]],
) -> AnswersSection:
    """The answers of a study.

    Parameters
    ----------
    files : ReportFiles
    settings : Settings
    headings : sequence of str
        Of the analyses, in the configured order.
    analyses : Mapping
        Their findings by name, in that order.
    sidecars : sequence of Mapping
        Of the CBF maps that this workflow computed.

    Returns
    -------
    AnswersSection
    """
    verdict = tables.read_table(files.trial_verdict) if files.trial_verdict else []
    declared = Declared(verdict)
    every = [*_analyses(files, settings, headings, declared, analyses), *_scores(files, settings, declared)]
    notes = [_CHOSEN, *transit_cautions(sidecars)] if any(answer.chosen for answer in every) else []
    return AnswersSection(lead(verdict), in_order(every), " ".join(notes))


def transit_cautions(sidecars: Sequence[Mapping[str, Any]]) -> list[str]:
    """That a single delay cannot tell a later arrival of blood from less flow, for a study with significant places.

    Parameters
    ----------
    sidecars : sequence of Mapping
        Of the CBF maps that this workflow computed.

    Returns
    -------
    list of str
        One sentence; none where all scans have several delays, or the scanner computed CBF by what no file says.
    """
    fitted = ("deltaM", kinetics.COMPUTED)
    single = sum(not str(sidecar["Equation"]).startswith(fitted) for sidecar in sidecars)
    if not single:
        return []
    which = "" if single == len(sidecars) else f" in {single} of {count(len(sidecars), 'scan')}"
    return [
        f"CBF was measured at a single delay{which}: blood that arrives later looks like less flow there, and only several delays tell the "
        "one from the other."
    ]


def _analyses(
    files: ReportFiles, settings: Settings, headings: Sequence[str], declared: Declared, every: Mapping[str, Findings]
) -> Iterator[Answer]:
    # Of ready-made contrast maps no scan's mean is known.
    global_effects: Sequence[FilePath | None] = files.analyses_global or [None] * len(every)
    own = zip(every.items(), headings, global_effects, strict=True)
    for place, ((name, results), heading, of_global) in enumerate(own):
        values = tables.read_table(files.analyses_values[place]) if files.analyses_values else []
        values = settings.labels.rows(values)
        yield Answer(
            anchor=f"analysis-{place + 1}",
            heading=heading,
            role=primary.role(settings.primary, name),
            shown=declared.shown(name),
            sentence=" ".join(
                (
                    analysis(name, results, values, declared),
                    *_cautions(
                        results, of_global, analyses_section.chosen_seed(results, settings.rois, every, settings.labels)
                    ),
                )
            ),
            chosen=results.ran and bool(results.significant()),
        )


def _cautions(results: Findings, of_global: FilePath | None, seed: ChosenSeed | None) -> Iterator[str]:
    """What is to be said with an answer: that the whole brain differs too, and that its seed was not significant."""
    if of_global is not None and results.ran and results.significant():
        caution = global_section.caution(of_global, results.block)
        if caution:
            yield caution
    if seed is not None and seed.weakness:
        yield seed.sentence


def _scores(files: ReportFiles, settings: Settings, declared: Declared) -> Iterator[Answer]:
    """The answers of craving, of the endpoints and of craving's correlations with regional CBF."""
    arms, labels = settings.arms, settings.labels
    if files.craving_model is not None and arms is not None:
        yield Answer(
            anchor="craving",
            heading="Cue-elicited craving",
            role=primary.role(settings.primary, primary.CRAVING),
            shown=declared.shown(primary.CRAVING),
            sentence=craving(tables.read_table(files.craving_model), arms, labels, declared),
        )
    for place, (asked, model) in enumerate(zip(settings.endpoints.values(), files.endpoint_models, strict=True)):
        yield Answer(
            anchor=f"endpoint-{place + 1}",
            heading=upper(plain(asked.name)),
            role=primary.role(settings.primary, asked.name),
            shown=declared.shown(asked.name),
            sentence=endpoint(tables.read_table(model), asked, labels, declared),
        )
    if files.roi_craving is not None and settings.craving is not None and arms is not None:
        relation = RelationTest(
            declared=settings.craving.test, family=settings.craving.family, arms=arms, primary=settings.primary
        )
        yield from relations(tables.read_table(files.roi_craving), relation, labels, declared)
