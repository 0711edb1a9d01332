"""Raw files as a rule's input and params: known by their place in the dataset and by what they hold, not by path and date."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.files import bids, contents
from pharmasl.records import fingerprints

# One path or several, or a function of the wildcards that gives them.
Named = str | Sequence[str] | Callable[[Any], str | Sequence[str]]


def inputs(paths: Named, root: FilePath, mark: Callable[[str, str], Any]) -> Callable[[Any], Any]:
    """An input function for raw files.

    Parameters
    ----------
    paths : str, list of str, or a function of the wildcards that gives either
    root : path-like
        The dataset's folder.
    mark : callable
        Takes a path and the name that Snakemake is to compare and print in its place: the file's BIDS URI wherever the
        dataset lies, or the name of a file outside of it.
    """

    prefix = os.path.join(root, "")

    def marked(named):
        if not isinstance(named, str):
            return [marked(path) for path in named]
        # Most lie below the folder as it is written.
        is_below = named.startswith(prefix) and ".." not in named
        below = named.removeprefix(prefix) if is_below else bids.place(named, root)
        return mark(named, f"file::{os.path.basename(named)}" if below.startswith("../") else f"bids::{below}")

    return lambda wildcards: marked(_paths(paths, wildcards))


def content(paths: Named, compared: Callable[[], bool]) -> fingerprints.Compared:
    """A param that is compared alone: digests of raw files.

    Parameters
    ----------
    paths
        As for :func:`inputs`.
    compared : callable
        Whether the digests will be compared with others: files are not read for nothing.

    Returns
    -------
    Compared
        A function of the wildcards that gives a list of str in the order of the paths; None where nothing is compared.
    """

    def digests(wildcards):
        named = _paths(paths, wildcards)
        named = [named] if isinstance(named, str) else named
        return [contents.shared().digest(path) for path in named] if compared() else None

    return fingerprints.Compared(digests)


def _paths(paths, wildcards):
    return paths(wildcards) if callable(paths) else paths
