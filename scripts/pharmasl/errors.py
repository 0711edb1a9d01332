"""The one error that bad input raises: it names the file, the field, what was found, what was expected and how to fix it."""

import difflib
import os
import textwrap
from collections.abc import Iterable

# A file, as functions take it.
FilePath = str | os.PathLike[str]

MOST_ALIKE = 3


class InputError(ValueError):
    """Input that the workflow cannot use.

    Parameters
    ----------
    file : path-like or str
        The file (or the part of the configuration) at fault.
    field : str
        The field, column or property at fault.
    found : object
        What stands there.
    expected : str
        What should stand there.
    fix : str
        What the user can do about it.
    """

    def __init__(self, file, field, found, expected, fix):
        self.file, self.field, self.found, self.expected, self.fix = str(file), field, found, expected, fix
        super().__init__(f"{file}: {field}: found {_short(repr(found))}, expected {expected}. {fix}")


# Characters of what was found that a message shows: a whole array or a name of hundreds helps nobody.
MOST_SHOWN = 160


def _short(text):
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 50]} ... {text[-45:]}"


class InputErrors(ValueError):
    """Several :class:`InputError` found in one pass, so that a user can fix them together.

    The message names the first :data:`MOST_ALIKE` of those that expect one thing of one file, and counts the others: a column
    in another unit is one cause, however many rows it has.
    """

    def __init__(self, errors):
        self.errors = list(errors)
        alike = {}
        for error in self.errors:
            alike.setdefault((error.file, error.expected, error.fix), []).append(error)
        lines = []
        for group in alike.values():
            lines += [f"  - {error}" for error in group[:MOST_ALIKE]]
            if len(group) > MOST_ALIKE:
                lines.append(f"  - {group[0].file}: and {len(group) - MOST_ALIKE} more like these")
        super().__init__("\n".join([f"{len(self.errors)} problem(s) in the input:", *lines]))


# How alike two names are, 0 to 1, of which one may be meant for the other (difflib's own limit).
ALIKE = 0.6


def similar(name: str, names: Iterable[str], most: int = 1, alike: float = ALIKE) -> list[str]:
    """The names that another one was probably meant to be, the nearest first, whatever their case.

    Parameters
    ----------
    name : str
    names : iterable of str
        Those that there are.
    most : int
        At most so many.
    alike : float
        Least likeness, 0 to 1.

    Returns
    -------
    list of str
        Empty where none is alike.
    """
    by_case = {str(known).casefold(): str(known) for known in names}
    close = difflib.get_close_matches(str(name).casefold(), by_case, n=most, cutoff=alike)
    return [by_case[key] for key in close]


def did_you_mean(close: Iterable[str], otherwise: str = "") -> str:
    """Ask for the names that were probably meant, as a sentence; ``otherwise`` where there are none."""
    names = list(close)
    if not names:
        return otherwise
    *others, last = names
    return f"Did you mean {', '.join(others)} or {last}?" if others else f"Did you mean {last}?"


def nearest_path(path: FilePath, otherwise: str = "") -> str:
    """Ask for the entry of the same folder that was probably meant by a path that is not there, as a sentence.

    Parameters
    ----------
    path : path-like
    otherwise : str
        What is said where no name is alike.

    Returns
    -------
    str
    """
    folder, name = os.path.split(os.path.normpath(path))
    entries = sorted(os.listdir(folder or os.curdir)) if os.path.isdir(folder or os.curdir) else []
    return did_you_mean((os.path.join(folder, entry) for entry in similar(name, entries)), otherwise)


def wrapped(message: str | Exception, width: int = 120) -> str:
    """A message in lines that a screen holds; names without blanks, such as paths, stay whole.

    Parameters
    ----------
    message : str or Exception
    width : int
        Characters in a line.

    Returns
    -------
    str
    """
    lines: list[str] = []
    for line in str(message).splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        lines += textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, tabsize=4
        ) or [""]
    return "\n".join(lines)
