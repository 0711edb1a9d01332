"""Results in Snakemake's own report: the columns by which it lists them, from the results themselves.

``snakemake --report`` calls these functions when all files are there; captions (``rules/captions``) quote the columns. Text of the
study's own files is escaped by Snakemake in the lists, and by the captions.
"""

from collections.abc import Sequence

from pharmasl.errors import FilePath
from pharmasl.files import blinding, tables
from pharmasl.group import verdict
from pharmasl.quality import judgement
from pharmasl.report.words import count, short
from pharmasl.study import primary
from pharmasl.study.endpoint_checks import EVERYONE
from pharmasl.study.settings import Endpoint, Settings

# Categories of the report, in the order in which Snakemake lists them: by name.
ANSWERS = "1 Answers"
PARTICIPANTS = "2 Participants"
QUALITY = "3 Image quality"
ANALYSES = "4 Whole-brain analyses"
CRAVING = "5 Craving"
ENDPOINTS = "6 Clinical endpoints"
SENSITIVITY = "7 Sensitivity analysis"
METHODS = "8 Methods and reporting"

NOT_RUN = "not run"
# The columns of an entry by name.
Entry = dict[str, str]


def entry(result: str, *, model: str = "", n: str = "", threshold: str = "", blinded: bool) -> Entry:
    """The columns of one result.

    Parameters
    ----------
    result : str
        What the file shows.
    model, n, threshold : str
        How it was tested, in how many, and what decides.
    blinded : bool
        Whether the arms are a sham allocation.

    Returns
    -------
    dict
    """
    mark = f"{blinding.MARK}: " if blinded else ""
    return {"Result": mark + result, "Model": model, "N": n, "Threshold": threshold}


def of_analysis(inference: FilePath, result: str, *, blinded: bool) -> Entry:
    """The columns of a file of a whole-brain analysis.

    Parameters
    ----------
    inference : path-like
        The analysis' ``_inference.json``.
    result : str
    blinded : bool

    Returns
    -------
    dict
    """
    block = tables.read_json(inference)
    if block["status"] != "run":
        return entry(result, model=NOT_RUN, blinded=blinded)
    decided, cluster = block["verdict"], block["tests"]["cluster"]
    number = f"; {block['permutation']['number']:,} relabellings" if block["permutation"] else ""
    threshold = (
        f"{verdict.WORDS[decided['statistic']]} decides at a {decided['error_rate']} of {short(block['alpha'])}; clusters formed "
        f"at p < {short(cluster['forming_p'])} with {cluster['neighbours']} neighbours{number}"
    )
    n = count(block["model"]["n"], "participant")
    return entry(result, model=block["model"]["formula"], n=n, threshold=threshold, blinded=blinded)


def of_endpoint(model: FilePath, result: str, endpoint: Endpoint, *, blinded: bool) -> Entry:
    """The columns of a file of a clinical endpoint.

    Parameters
    ----------
    model : path-like
        ``<endpoint>_model.tsv``.
    result : str
    endpoint : pharmasl.study.settings.Endpoint
    blinded : bool

    Returns
    -------
    dict
    """
    sizes: dict[str, str] = {}
    for row in tables.read_table(model):
        if row["n"]:
            words = "everyone randomised" if row["population"] == EVERYONE else str(row["population"])
            sizes.setdefault(words, count(int(row["n"]), "participant"))
    n = "; ".join(f"{size} ({population})" for population, size in sizes.items())
    level = f"level {short(endpoint.alpha)}, two-sided"
    return entry(result, model=endpoint.formula, n=n, threshold=level, blinded=blinded)


def of_craving(scores: FilePath, result: str, settings: Settings) -> Entry:
    """The columns of a file of cue-elicited craving.

    Parameters
    ----------
    scores : path-like
        ``craving_scores.tsv``.
    result : str
    settings : pharmasl.study.settings.Settings

    Returns
    -------
    dict
    """
    people = {row["participant_id"] for row in tables.read_table(scores)}
    return entry(
        result,
        model="Welch's t test of the arms' changes; beside it a mixed model and an analysis of covariance",
        n=count(len(people), "participant"),
        threshold=f"{primary.role(settings.primary, primary.CRAVING)} answer; p values and 95 % intervals",
        blinded=settings.blinded,
    )


def of_flow(flow: FilePath, settings: Settings) -> Entry:
    """The columns of the flow of participants (``flow.tsv``)."""
    randomised = sum(int(row["n"] or 0) for row in tables.read_table(flow) if row["stage"] == "randomised")
    n = f"{count(randomised, 'participant')} randomised"
    return entry("Flow of participants", n=n, blinded=settings.blinded)


def of_quality(table: FilePath, result: str, settings: Settings) -> Entry:
    """The columns of a file of image quality (``quality/scans.tsv``), which knows no arm."""
    scans = count(len(tables.read_table(table)), "scan")
    rules = settings.quality
    threshold = judgement.in_words(rules, rated=rules.ratings is not None)
    return entry(result, n=scans, threshold=threshold, blinded=False)


def of_sensitivity(curve: FilePath, result: str, settings: Settings) -> Entry:
    """The columns of a file of the sensitivity analysis (``curve.tsv``)."""
    rows = [row for row in tables.read_table(curve) if row["dimension"] == "all"]
    return entry(
        result,
        model=f"{_span([row['specifications'] for row in rows])} specifications of each of {count(len(rows), 'answer')}",
        n=f"{_span([row['participants'] for row in rows])} participants",
        threshold="all specifications tested jointly, by exchange of the arms",
        blinded=settings.blinded,
    )


def _span(numbers: Sequence[str | None]) -> str:
    """One number, or the least and the largest."""
    values = sorted(int(float(number)) for number in numbers if number is not None)
    if not values:
        return "0"
    return str(values[0]) if values[0] == values[-1] else f"{values[0]} to {values[-1]}"
