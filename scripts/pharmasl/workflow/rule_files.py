"""The files of a rule as a typed object: the script's side of the names that a rule gives to its inputs or outputs."""

import typing
from collections.abc import Sequence
from typing import Any, TypeVar

Files = TypeVar("Files")


def rule_files(kind: type[Files], named: Any) -> Files:
    """An object that holds the files of a rule.

    Parameters
    ----------
    kind : type
        A dataclass with a field for each file: ``Sequence[FilePath]`` where the rule names any number, ``FilePath | None``
        where it names one or none, else ``FilePath``.
    named : object
        ``snakemake.input`` or ``snakemake.output``: each field's files by attribute, a list for a rule's list.

    Returns
    -------
    kind

    Raises
    ------
    ValueError
        If the rule names several files for a field that holds one.
    """
    hints = typing.get_type_hints(kind)
    return kind(**{name: _files(name, hint, getattr(named, name)) for name, hint in hints.items()})


def _files(name: str, hint: Any, value: Any) -> Any:
    several = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if typing.get_origin(hint) is Sequence:
        return several
    if len(several) > 1 or (not several and type(None) not in typing.get_args(hint)):
        raise ValueError(f"{name} is {len(several)} files, not one")
    return several[0] if several else None
