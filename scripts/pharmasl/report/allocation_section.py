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
    text = [f"The trial was unblinded (its own allocation first used) on {_time(history.unblinded)}."]
    if frozen is None:
        return [*text, "No blinded run preceded this analysis in this folder."]
    text.append(
        f"The last blinded run, on {_time(frozen)}, froze the workflow with a sham allocation (seed "
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
        text.append(f"This page does not use the frozen workflow; what changed: {listed(changed)}.")
    else:
        text.append("This page uses the frozen workflow: neither code nor configuration has changed since.")
    if history.changes:
        text.append(
            f"Since unblinding, code or configuration has changed {count(history.changes, 'time')}, most recently on "
            f"{_time(history.latest)}."
        )
    return text


def _time(entry: Entry) -> str:
    """When an entry was made, as a reader wants it."""
    return entry["time"].replace("T", " ").replace("+00:00", " UTC")
