"""What a dry run says: how many jobs each stage has, and why."""

from collections.abc import Iterable, Mapping

from pharmasl.workflow.progress import Progress

# Why a job is done: how Snakemake's reason begins, and in plain words; the first is the most telling.
_WHY = {
    "Forced execution": "asked for anew",
    "Incomplete output files": "cut off before",
    "Params have changed": "settings or code changed",
    "Code has changed": "settings or code changed",
    "Software environment definition has changed": "environment changed",
    "Set of input files has changed": "other files go in",
    "Updated input files": "input changed",
    "Missing output files": "not there yet",
}
_FOLLOWS = "after other jobs"


def table(progress: Progress, reasons: Mapping[str, Iterable[str]]) -> str:
    """The jobs of each stage as lines.

    Parameters
    ----------
    progress : Progress
        Of a run of which nothing is done.
    reasons : mapping
        Rules to Snakemake's reasons for their jobs; empty where it gives none.

    Returns
    -------
    str
    """
    rows = progress.rows(0)
    width = max([len(row.stage.name) for row in rows] + [len("in all")])
    lines = [f"{'stage':{width}}  {'jobs':>6}   {'units':18}{'why' if reasons else ''}".rstrip()]
    for row in rows:
        number = sum(progress.counts.get(rule, 0) for rule in row.stage.seconds)
        units = f"{row.total} {row.unit}" if row.stage.counted else ""
        why = ", ".join(in_words(reason for rule in row.stage.seconds for reason in reasons.get(rule, ())))
        lines.append(f"{row.stage.name:{width}}  {number:6}   {units:18}{why}".rstrip())
    lines.append(f"{'in all':{width}}  {progress.total:6}")
    return "\n".join([*lines, "", "This was a dry run: nothing was done. -n --verbose names every job and its files."])


def in_words(reasons: Iterable[str]) -> list[str]:
    """Why jobs are done, in plain words; that they follow others only where there is nothing else to say.

    Parameters
    ----------
    reasons : iterable of str
        As Snakemake gives them, several of a job separated by semicolons.

    Returns
    -------
    list of str
    """
    every = list(reasons)
    parts = {part.strip() for reason in every for part in reason.split("; ")}
    words = [words for start, words in _WHY.items() if any(part.startswith(start) for part in parts)]
    return list(dict.fromkeys(words)) or ([_FOLLOWS] if every else [])
