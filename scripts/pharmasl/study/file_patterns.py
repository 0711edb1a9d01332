"""Files of other programs by a pattern of their paths, with names such as ``{participant}`` where their labels stand."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError, did_you_mean, similar

# One of these may end a pattern; the other is looked for too.
_IMAGES = (".nii.gz", ".nii")
_NAME = re.compile(r"\{([^{}]*)\}")
_LABEL = "[a-zA-Z0-9+]+"


@dataclass(frozen=True)
class LabelledFile:
    """A file, and what stands in its path in place of each name of the pattern.

    Attributes
    ----------
    path : str
    labels : dict of str to str
        Name to label.
    """

    path: str
    labels: dict[str, str]


def check(pattern: str, field: str, names: Sequence[str], needed: Sequence[str] = ("participant",)) -> None:
    """Refuse a pattern with names that mean nothing, or without those that it needs.

    Parameters
    ----------
    pattern : str
    field : str
        The setting that holds it.
    names, needed : sequence of str
        Names that a pattern may have, and those that it must have.

    Raises
    ------
    InputError
    """
    own = _NAME.findall(pattern)
    for name in own:
        if name not in names:
            raise InputError(
                "config",
                field,
                f"{{{name}}}",
                f"names in braces among {', '.join(names)}",
                did_you_mean(similar(name, names), "Correct or remove it."),
            )
    for name in needed:
        if name not in own:
            raise InputError(
                "config",
                field,
                pattern,
                f"{{{name}}} where the path has the {name}",
                f"Put {{{name}}} in its place: each file is known by its labels alone.",
            )
    if "{" in _NAME.sub("", pattern) or "}" in _NAME.sub("", pattern):
        raise InputError("config", field, pattern, "names between { and }", "Close each brace.")


def find(root: str, pattern: str) -> Iterator[LabelledFile]:
    """The files below a folder whose paths fit a pattern, in the order of their paths.

    Parameters
    ----------
    root : str
    pattern : str
        Below ``root``, with ``/``. A name in braces stands for letters and digits, the same wherever it occurs; ``.nii`` and
        ``.nii.gz`` each stand for both.

    Yields
    ------
    LabelledFile
    """
    wanted = re.compile(_expression(pattern))
    fixed = pattern.partition("{")[0].rpartition("/")[0]
    for folder, folders, files in os.walk(os.path.join(root, fixed), followlinks=True):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            match = wanted.fullmatch(os.path.relpath(path, root).replace(os.sep, "/"))
            if match:
                yield LabelledFile(path, match.groupdict())


def filled(pattern: str, labels: dict[str, str]) -> list[str]:
    """The paths that a pattern stands for with some labels: both of an image, compressed or not."""
    path = _NAME.sub(lambda name: labels.get(name[1], name[0]), pattern)
    end = next((own for own in _IMAGES if path.endswith(own)), None)
    return [path] if end is None else [path.removesuffix(end) + own for own in _IMAGES]


def _expression(pattern: str) -> str:
    end = next((own for own in _IMAGES if pattern.endswith(own)), None)
    pieces = _NAME.split(pattern if end is None else pattern.removesuffix(end))
    text, seen = "", set()
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            text += re.escape(piece)
        elif piece in seen:
            text += f"(?P={piece})"
        else:
            seen.add(piece)
            # The configuration's own names have underscores.
            text += f"(?P<{piece}>{'[a-zA-Z0-9_]+' if piece == 'condition' else _LABEL})"
    return text if end is None else text + r"\.nii(?:\.gz)?"
