"""Short texts that identify a value: equal for two spellings of one setting, different for different values.

Snakemake compares a job's parameters with those of its last run as a set of texts, ``repr`` of each, and prints what differs.
That ignores the parameters' names and heeds the order of a mapping's keys: two parameters that exchange their values seem
the same, keys in another order seem a change, and a list of participants fills a screen. It is given :func:`text` instead.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

# Longer values are shown as their digest.
_LONGEST = 60


def _plain(value: Any) -> Any:
    """The value as JSON has it; 6 and 6.0 are one number, a tuple is a list."""
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(value: Any) -> str:
    """A digest of a value of plain data.

    Parameters
    ----------
    value
        Made of dicts, lists, tuples, texts, numbers, booleans and None. The order of a dict's keys does not count, nor
        whether a whole number is written 6 or 6.0.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    TypeError
        For a value of another kind, whose text form might leave something out.
    """
    return hashlib.blake2b(_canonical(value).encode(), digest_size=8).hexdigest()


def text(name: str, value: Any) -> str:
    """A named value for Snakemake to compare and to print: the value itself where it is short, else its digest.

    Examples
    --------
    >>> text("smoothing_fwhm", 6.0)
    'smoothing_fwhm: 6'
    """
    short = _canonical(value)
    return f"{name}: {short if len(short) <= _LONGEST else digest(value)}"


@dataclass(frozen=True)
class Compared:
    """A param that no script reads: Snakemake is shown its text, and a job gets no value.

    Attributes
    ----------
    value
        Plain data, or a function of the wildcards that gives it.
    """

    value: Any


def bind(rules: Iterable[Any]) -> None:
    """Have Snakemake compare and print each param of its rules by name, as :func:`text` shows it.

    Snakemake does not compare a param that is a function of a job's input. So each param that a script reads becomes such a
    function, beside an unnamed one that returns its text; one that is only :class:`Compared` becomes its text. The text of
    what is the same for all jobs is made once.

    Parameters
    ----------
    rules : iterable of snakemake.rules.Rule
        Changed in place.
    """
    for rule in rules:
        texts = []
        for number, (name, value) in enumerate(list(rule.params.items())):
            if isinstance(value, Compared):
                rule.params[number] = _shown(name, value.value)
            else:
                function = value if callable(value) else functools.partial(_constant, value)
                rule.params[number] = functools.partial(_untracked, function)
                texts.append(_shown(name, value))
            rule.params._set_name(name, number)
        rule.set_params(*texts)


def _shown(name: str, value: Any) -> str | Callable[[Any], str]:
    """A param's text, or the function that gives a job's."""
    if callable(value):
        return functools.partial(_text_of, name, value)
    constant = text(name, value)
    # Snakemake puts the values of wildcards in the place of braces.
    return functools.partial(_constant, constant) if "{" in constant else constant


def _constant(value: Any, wildcards: Any) -> Any:
    return value


def _untracked(function: Callable[[Any], Any], wildcards: Any, input: Any) -> Any:
    return function(wildcards)


def _text_of(name: str, function: Callable[[Any], Any], wildcards: Any) -> str:
    return text(name, function(wildcards))
