"""From a job's wildcards to the names of the study: where the rules meet :class:`pharmasl.workflow.targets.Targets`."""

from collections.abc import Callable
from typing import Any


def per(names: str, function: Callable[..., Any], *arguments: Any) -> Callable[[Any], Any]:
    """An input function, or a function for params, of the values that some wildcards have in a job.

    Parameters
    ----------
    names : str
        Of the wildcards, separated by blanks.
    function : callable
        Called with ``arguments`` and then those values: ``per("scan", TARGETS.anatomy_file, pattern)`` calls
        ``TARGETS.anatomy_file(pattern, scan)``.
    """
    return lambda wildcards: function(*arguments, *(getattr(wildcards, name) for name in names.split()))
