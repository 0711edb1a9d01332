"""Whose allocation of the arms the page rests on, and what was frozen before it was used."""

from pharmasl.conduct import allocation_log
from pharmasl.conduct.allocation_log import Entry
from pharmasl.errors import FilePath
from pharmasl.report.words import count, listed

_SHOWN = 8  # names of what changed


def sentences(path: FilePath) -> list[str]:
    """When the trial's own allocation was first used, and whether code and configuration are as they were frozen.

    Parameters
    ----------
    path : path-like
        The allocation log.

    Returns
    -------
    list of str
    """
    history = allocation_log.history(path)
    frozen = history.frozen
    text = [f"The trial's own allocation of the arms was first used on {_time(history.unblinded)}."]
    if frozen is None:
        return [*text, "The workflow had not been run in this folder with a sham allocation before."]
    text.append(
        f"Before, on {_time(frozen)}, the workflow was frozen with a sham allocation (seed "
        f"{frozen['settings']['sham']['seed']}; code {frozen['code'][:16]}, configuration {frozen['configuration'][:16]}, "
        f"blinded report {frozen['report_sha256'][:16]})."
    )
    changed = [
        f"{count(len(names), noun)} of the {whole} ({listed([*names[:_SHOWN], *(['others'] if len(names) > _SHOWN else [])])})"
        for names, noun, whole in (
            (history.changed_files, "file", "code"),
            (history.changed_settings, "key", "configuration"),
        )
        if names
    ]
    if changed:
        text.append(f"This page does not rest on what was frozen: changed are {listed(changed)}.")
    else:
        text.append("This page rests on what was frozen: neither code nor configuration has changed since.")
    if history.changes:
        text.append(
            f"Code or configuration changed {count(history.changes, 'time')} since the unblinding, last on "
            f"{_time(history.latest)}."
        )
    return text


def _time(entry: Entry) -> str:
    """When an entry was made, as a reader wants it."""
    return entry["time"].replace("T", " ").replace("+00:00", " UTC")
