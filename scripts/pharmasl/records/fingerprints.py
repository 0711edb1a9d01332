"""What a value is, in a few letters: the same for two spellings of one setting, another for every other value.

Snakemake compares a job's parameters with those of its last run as a set of texts, ``repr`` of each, and prints what differs.
Neither their names nor the order of a mapping's keys is right there: two parameters that exchange their values seem the
same, keys in another order seem a change, and a list of participants fills a screen. :func:`text` is what it is shown instead.
"""

import functools
import hashlib
import inspect
import json

# Longer values are shown as their digest.
_LONGEST = 60


def _plain(value):
    """The value as JSON has it; 6 and 6.0 are one number, a tuple is a list."""
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _canonical(value):
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(value):
    """A digest of a value of plain data.

    Parameters
    ----------
    value : object
        Of dicts, lists, tuples, texts, numbers, booleans and None. The order of a dict's keys does not count, nor whether
        a whole number is written 6 or 6.0.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    TypeError
        For a value of another kind: what its text form leaves out would be left out here too.
    """
    return hashlib.blake2b(_canonical(value).encode(), digest_size=8).hexdigest()


def text(name, value):
    """A named value for Snakemake to compare and to print: the value itself where it is short, else its digest.

    Examples
    --------
    >>> text("smoothing_fwhm", 6.0)
    'smoothing_fwhm: 6'
    """
    short = _canonical(value)
    return f"{name}: {short if len(short) <= _LONGEST else digest(value)}"


def bind(rules):
    """Have Snakemake compare and print each param of its rules by name, as :func:`text` shows it.

    A function that takes a job's input is not compared. So each param becomes one, and beside it stands a function that gives
    its text, without a name.

    Parameters
    ----------
    rules : iterable of snakemake.rules.Rule
        Changed in place.
    """
    for rule in rules:
        texts = []
        for number, (name, value) in enumerate(rule.params.items()):
            function = value if callable(value) else functools.partial(_constant, value)
            rule.params[number] = _signed(functools.partial(_untracked, function), _untracked)
            rule.params._set_name(name, number)
            texts.append(_signed(functools.partial(_text_of, name, function), _text_of))
        rule.set_params(*texts)


def _signed(made, function):
    """A partial function with its signature at hand: Snakemake asks for it several times a job."""
    given = len(made.args)
    made.__signature__ = inspect.Signature(list(inspect.signature(function).parameters.values())[given:])
    return made


def _constant(value, wildcards):
    return value


def _untracked(function, wildcards, input):
    return function(wildcards)


def _text_of(name, function, wildcards):
    return text(name, function(wildcards))
