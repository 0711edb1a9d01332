"""A configuration as it is shown: of paths only the last part."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

# Values that are paths: folders name users, projects and machines, so only the last part is shown.
_PATH_KEYS = {
    "bids_dir",
    "output_dir",
    "participants_table",
    "table",
    "ratings",
    "image",
    "labels",
    "truth_dir",
    "dir",
    "transform",
}
_ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]")


def shown(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as the page prints it: without paths, and without which files stay, for the page is the same then.

    Parameters
    ----------
    configuration : mapping
        Plain values.
    """
    return {name: without_paths(value, name) for name, value in configuration.items() if name != "outputs"}


def without_paths(value: Any, key: str | None = None) -> Any:
    """A configuration, or a part of it, with every path cut to its last part.

    Parameters
    ----------
    value : Any
        Plain values: a dict, list, str, number or None.
    key : str, optional
        Under which ``value`` stands.

    Returns
    -------
    Any
        Plain values, lists for tuples.
    """
    if isinstance(value, dict):
        return {name: without_paths(entry, name) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(entry, key) for entry in value]
    if isinstance(value, str) and (key in _PATH_KEYS or _ABSOLUTE.match(value)):
        return PurePath(value.replace("\\", "/")).name
    return value
