"""Whose allocation of the arms the page rests on, and what was frozen before it was used."""

from pharmasl.conduct import allocation_log
from pharmasl.report.words import count, listed

_SHOWN = 8


def sentences(path):
    """Say when the trial's own allocation was first used, and whether code and configuration were as frozen.

    Parameters
    ----------
    path : path-like
        The allocation's record.

    Returns
    -------
    list of str
    """
    found = allocation_log.history(path)
    frozen, unblinded, now = found["frozen"], found["unblinded"], found["now"]
    told = [f"The trial's own allocation of the arms was first used on {_time(unblinded)}."]
    if frozen is None:
        return [*told, "The workflow had not been run in this folder with a sham allocation before."]
    told.append(
        f"Before, on {_time(frozen)}, the workflow was frozen with a sham allocation (seed "
        f"{frozen['settings']['sham']['seed']}; code {frozen['code'][:16]}, configuration {frozen['configuration'][:16]}, "
        f"blinded report {frozen['report_sha256'][:16]})."
    )
    changed = [
        f"{count(len(names), noun)} of the {of} ({listed([*names[:_SHOWN], *(['others'] if len(names) > _SHOWN else [])])})"
        for names, noun, of in ((found["files"], "file", "code"), (found["settings"], "key", "configuration"))
        if names
    ]
    if changed:
        told.append(f"This page does not rest on what was frozen: changed are {listed(changed)}.")
    else:
        told.append("This page rests on what was frozen: neither code nor configuration has changed since.")
    if found["changes"]:
        told.append(
            f"Code or configuration changed {count(found['changes'], 'time')} since the unblinding, last on {_time(now)}."
        )
    return told


def _time(entry):
    return entry["time"].replace("T", " ").replace("+00:00", " UTC")
