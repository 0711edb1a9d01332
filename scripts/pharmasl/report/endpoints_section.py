"""Clinical endpoints: what was tested, in which populations, and how the answer holds under other assumptions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pharmasl.endpoints import families, measure_rows
from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING, number, p_value
from pharmasl.files import tables
from pharmasl.files.tables import Row
from pharmasl.report import pictures
from pharmasl.report.words import (
    DAGGER,
    HARD,
    NONE,
    Table,
    between,
    columns_named,
    count,
    fixed,
    listed,
    p_words,
    plain,
    short,
    signed,
)
from pharmasl.statistics.detectable_effects import GOAL
from pharmasl.study.endpoint_checks import EVERYONE
from pharmasl.study.endpoint_formulas import BINARY
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Endpoint

_ANALYSES = {
    measure_rows.COMPLETE: "declared model",
    measure_rows.ROBUST: "alternative variance estimator",
    measure_rows.MIXED: "mixed model of both sessions",
    measure_rows.IMPUTATION: "multiple imputation",
    measure_rows.DELTA: "delta-adjusted imputation",
    measure_rows.TIPPING: "tipping point",
    measure_rows.COUNTED: "missing scores counted",
}

# Analyses each with a model of its own.
_FITTED = (measure_rows.COMPLETE, measure_rows.ROBUST, measure_rows.MIXED, measure_rows.COUNTED)


@dataclass(frozen=True, kw_only=True)
class EndpointFiles:
    """The tables of an endpoint's models, sensitivity and relations to regions (None without), and its figure."""

    model: FilePath
    sensitivity: FilePath
    figure: FilePath
    relations: FilePath | None


@dataclass(frozen=True, kw_only=True)
class EndpointSection:
    """The part of an endpoint; ``alt`` stands for the figure where it cannot be seen."""

    name: str
    heading: str
    role: str
    formula: str
    sentences: Sequence[str]
    by_arm: Table
    table: Table
    sensitivity: Table
    relations: Table | None
    figure: str
    alt: str


def section(files: EndpointFiles, endpoint: Endpoint, *, role: str, labels: Labels = NAMES) -> EndpointSection:
    """The part of an endpoint.

    Parameters
    ----------
    files : EndpointFiles
    endpoint : Endpoint
    role : str
        Of its tested effect for the trial.
    labels : Labels

    Returns
    -------
    EndpointSection
    """
    model, sensitivity = labels.rows(tables.read_table(files.model)), tables.read_table(files.sensitivity)
    unit = unit_of(endpoint)
    text = [*_answers(model, endpoint, unit), *_missing(sensitivity, endpoint, unit)]
    heading = plain(endpoint.name)
    return EndpointSection(
        name=endpoint.name,
        heading=heading[0].upper() + heading[1:],
        role=role,
        formula=f"{endpoint.formula}; tested: {model[0]['term']}",
        sentences=text,
        by_arm=_by_arm(model, endpoint, unit, files.model),
        table=_model_table(model, heading, unit),
        sensitivity=_sensitivity_table(sensitivity, heading, unit),
        relations=_relations_table(tables.read_table(files.relations), heading, labels) if files.relations else None,
        figure=pictures.fragment(files.figure),
        alt=f"{heading} by arm and session, every participant, with adjusted means. {' '.join(text)}",
    )


def unit_of(endpoint: Endpoint) -> str:
    """The unit of the tested effect."""
    if endpoint.kind == BINARY:
        return "log odds"
    return f"log {endpoint.unit}" if endpoint.transform == "log" else endpoint.unit


def interval(row: Row, digits: int = 2) -> str:
    """An interval with its coverage: "95 % CI 1.2 to 3.4"."""
    return f"{short(100 * number(row['level']))}{HARD}%{HARD}CI {between(row['ci_low'], row['ci_high'], digits)}"


def _answers(model: Sequence[Row], endpoint: Endpoint, unit: str) -> Iterator[str]:
    """The tested effect in each population, and equivalence."""
    for place, population in enumerate(endpoint.populations):
        rows = [row for row in model if row["population"] == population]
        test = next(row for row in rows if row["analysis"] == measure_rows.TEST)
        where = (
            "Among all randomised participants with the scores that the model takes"
            if population == EVERYONE
            else f"In the population {plain(population)}"
        )
        yield f"{where}{' (the primary population)' * (place == 0 and len(endpoint.populations) > 1)}: {_tested(test, unit)}."
        if test["detectable"] is not None:
            yield (
                f"Detectable effect: with this residual variance and these people, a true effect of {fixed(test['detectable'])} {unit} "
                f"({between(test['detectable_low'], test['detectable_high'])}, as well as the variance is known) is found with a probability of "
                f"{100 * GOAL:g}{HARD}% at {short(endpoint.alpha)}, as its p not corrected for other answers. This is how fine the design was; it says nothing about the estimate."
            )
        if ratio := next((row for row in rows if row["analysis"] == measure_rows.RATIO), None):
            name = "an odds ratio" if endpoint.kind == BINARY else "a ratio of geometric means"
            yield f"As {name}: {fixed(ratio['estimate'])} ({interval(ratio)})."
        for risk in (row for row in rows if row["analysis"] == measure_rows.RISK):
            yield f"Standardised risk difference: {risk['term']} {signed(risk['estimate'])} ({interval(risk)})."
        if own := next((row for row in rows if row["analysis"] == measure_rows.EQUIVALENCE), None):
            margin = endpoint.equivalence.margin if endpoint.equivalence else 0.0
            shown = own["p"] is not None and number(own["p"]) <= endpoint.alpha
            yield (
                f"Equivalence within {short(margin)} {unit} was {'' if shown else 'not '}shown (two one-sided tests, {interval(own)}, "
                f"{p_words(own['p'])})."
            )
        means = [row for row in rows if row["analysis"] == measure_rows.MEAN]
        if place == 0 and means:
            parts = [f"{_cell(row)} {fixed(row['estimate'])} ({interval(row)})" for row in means]
            name = "Standardised risks" if endpoint.kind == BINARY else f"Adjusted means, {unit}"
            yield f"{name}: {'; '.join(parts)}."
        if test["left_out"]:
            yield f"Not in the model, for lack of a score or of a covariate: {test['left_out']}."


def _cell(row: Row) -> str:
    """Arm and session of a mean."""
    return " at ".join(part for part in (row["arm"], row["session_id"]) if part)


def _tested(row: Row, unit: str) -> str:
    """The tested effect in words."""
    people = count(int(row["n"]), "participant")
    if row["p"] is None:
        return f"{row['term']} could not be tested ({row['method']})"
    if row["f"] is not None:
        degrees = f"{row['df_numerator']}, {short(row['df'])}"
        return f"{row['term']}: F({degrees}) = {fixed(row['f'])}, {p_words(row['p'])}, {people}"
    return (
        f"{row['term']} {signed(row['estimate'])} {unit} ({interval(row)}; {_statistic(row)}, "
        f"{p_words(row['p'])}; {people})"
    )


def _statistic(row: Row) -> str:
    """The t with its degrees of freedom, or the z of infinitely many."""
    return f"z = {fixed(row['t'])}" if row["df"] is None else f"t = {fixed(row['t'])}, df = {short(row['df'])}"


def _missing(sensitivity: Sequence[Row], endpoint: Endpoint, unit: str) -> Iterator[str]:
    """What the missing scores of the first population may do to the answer."""
    rows = [row for row in sensitivity if row["population"] == endpoint.populations[0]]
    at_random = next((row for row in rows if row["analysis"] == measure_rows.IMPUTATION), None)
    if at_random is None:
        return
    if at_random["estimate"] is None:
        yield f"Missing scores: {at_random['method']}."
        return
    imputed = count(int(at_random["imputed"]), "missing score")
    yield (
        f"With {imputed} imputed as missing at random, the estimate is {signed(at_random['estimate'])} {unit} ({interval(at_random)}, "
        f"{p_words(at_random['p'])})."
    )
    tipping = [row for row in rows if row["analysis"] == measure_rows.TIPPING]
    points = [row for row in tipping if row["delta"] is not None]
    if points:
        where = listed([f"{signed(row['delta'])} {unit}" for row in points])
        yield f"The conclusion changes when the treatment arm's imputed scores are shifted by {where}."
    for row in tipping:
        if row["delta"] is None:
            sentence = str(row["method"]).split(";")[0]
            yield f"{sentence[0].upper()}{sentence[1:]}."


def _cells(row: Row) -> list[str]:
    """Estimate, standard error, degrees of freedom, t or F, p and interval."""
    numerator = row.get("df_numerator")
    df = short(row["df"]) if numerator is None else f"{numerator}, {short(row['df'])}"
    statistic = f"F = {fixed(row['f'])}" if row.get("f") is not None else fixed(row["t"])
    level = "" if row["level"] is None else f" ({short(100 * number(row['level']))} %)"
    ends = between(row["ci_low"], row["ci_high"])
    cells = [
        fixed(row["estimate"]),
        fixed(row["se"]),
        df,
        statistic,
        p_value(row["p"]),
        ends + level * (ends != MISSING),
    ]
    return [NONE if cell == MISSING else cell for cell in cells]


_HEADS = ["Estimate", "SE", "df", "t or F", "p", "Interval", "n"]


def _by_arm(model: Sequence[Row], endpoint: Endpoint, unit: str, file: FilePath) -> Table:
    """What was observed in each arm at each session, and the model's adjusted mean, in the population that answers."""
    rows = [row for row in model if row["population"] == endpoint.populations[0]]
    observed = [row for row in rows if row["analysis"] == measure_rows.OBSERVED]
    adjusted = {(row["arm"], row["session_id"]): row for row in rows if row["analysis"] == measure_rows.MEAN}
    cells = []
    for row in observed:
        own = adjusted.get((row["arm"], row["session_id"]))
        spread = "" if row["sd"] is None else f" ({fixed(row['sd'], 1)})"
        cells.append(
            [
                " ".join(part for part in (row["arm"], row["session_id"]) if part) or "All",
                f"{fixed(row['estimate'], 1)}{spread}",
                row["n"] or NONE,
                row["missing"] or NONE,
                NONE if own is None else f"{fixed(own['estimate'], 1)} ({between(own['ci_low'], own['ci_high'], 1)})",
            ]
        )
    heads = ["Arm, session", "Observed mean (SD)", "n", "Missing", "Adjusted mean (CI)"]
    return Table(f"{plain(endpoint.name)} by arm and session ({unit})", heads, cells, {0}, file=file)


def _model_table(model: Sequence[Row], name: str, unit: str) -> Table:
    rows = [
        [
            plain(row["analysis"]),
            plain(row["population"]),
            row["term"],
            " ".join(part for part in (row["arm"], row["session_id"]) if part) or NONE,
            *_cells(row),
            row["n"],
        ]
        for row in model
    ]
    marked = {k for k, row in enumerate(model) if row["analysis"] == measure_rows.TEST}
    heads = ["Row", "Population", "Term", "Arm, session", *_HEADS]
    return Table(f"{name}: model and observed means ({unit})", heads, rows, {0, 1, 2, 3}, marked)


def _sensitivity_table(sensitivity: Sequence[Row], name: str, unit: str) -> Table:
    rows = [
        [
            _ANALYSES[row["analysis"]],
            plain(row["population"]),
            NONE if row["delta"] is None else signed(row["delta"]),
            *_cells(row),
            row["n"] or NONE,
            NONE if row["missing_information"] is None else fixed(row["missing_information"]),
            row["method"] if row["estimate"] is None or row["analysis"] in _FITTED else NONE,
        ]
        for row in sensitivity
    ]
    heads = ["Alternative", "Population", "Delta", *_HEADS, "Missing information", "Method"]
    main = columns_named(heads, ["Alternative", "Delta", "Estimate", "p", "Interval", "n"])
    if len({row["population"] for row in sensitivity}) > 1:
        main |= {1}
    return Table(f"{name}: the tested effect under other assumptions ({unit})", heads, rows, {0, 1, 11}, main=main)


def _relations_table(relations: Sequence[Row], name: str, labels: Labels) -> Table:
    """The tested correlations, then those that describe the changes of everyone."""
    shown = [row for row in relations if row["role"] == families.TESTED]
    shown += [row for row in relations if row not in shown and (row["timing"], row["group"]) == ("change", "all")]
    rows = [
        [
            labels.region(str(row["roi"])) + DAGGER * (row["roi_defined_by_same_data"] == "true"),
            labels.contrast(str(row["contrast"])),
            row["timing"],
            plain(row["method"]),
            row["role"],
            *(NONE if cell == MISSING else cell for cell in _correlation(row)),
            row["n"],
        ]
        for row in shown
    ]
    heads = ["Region", "Contrast", "Values", "Statistic", "Role", "Estimate", "95 % CI", "p", "p corrected", "n"]
    caption = (
        f"{name} with regional CBF, adjusted for arm; p by permutation, corrected over the regions by the largest |r|"
    )
    marked = {k for k, row in enumerate(shown) if row["role"] == families.TESTED}
    return Table(caption, heads, rows, {0, 1, 2, 3, 4}, marked)


def _correlation(row: Row) -> list[str]:
    ends = ("ci_low", "ci_high") if row["ci_low"] is not None else ("bca_low", "bca_high")
    interval_text = between(row[ends[0]], row[ends[1]])
    corrected = row["p_max"] if row["p_max"] is not None else row["p_holm"]
    return [fixed(row["estimate"]), interval_text, p_value(row["p"]), p_value(corrected)]
