"""From a job's wildcards to the names of the study: where the rules meet :class:`pharmasl.workflow.targets.study_targets.Targets`."""

from collections.abc import Callable, Mapping
from typing import Any


def per(
    names: str,
    function: Callable[..., Any],
    *arguments: Any,
    named: Mapping[str, Callable[[str], str]] | None = None,
) -> Callable[[Any], Any]:
    """An input function, or a function for params, of the values that some wildcards have in a job.

    Parameters
    ----------
    names : str
        Of the wildcards, separated by blanks.
    function : callable
        Called with ``arguments`` and then those values: ``per("scan", TARGETS.anatomies.file, pattern)`` calls
        ``TARGETS.anatomies.file(pattern, scan)``.
    named : mapping of str to callable, optional
        By wildcard, what gives the study's name of a label that stands for it in the files' names.
    """
    own, labels = named or {}, names.split()
    return lambda wildcards: function(*arguments, *(own.get(name, str)(getattr(wildcards, name)) for name in labels))
