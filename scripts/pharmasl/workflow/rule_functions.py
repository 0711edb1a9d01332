"""The functions in the rules: what they take is worked out once, and not several times for each job."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def describe(rules: Iterable[Any], describe_one: Callable[[Any, Mapping[str, inspect.Parameter]], None]) -> None:
    """Have Snakemake know what the input functions and the functions for params and resources of its rules take.

    Without that, it inspects a function anew each time that it calls it, which takes longer than the function.

    Parameters
    ----------
    rules : iterable of snakemake.rules.Rule
    describe_one : callable
        Snakemake's ``overwrite_function_params``: takes a function and its parameters by name.
    """
    for rule in rules:
        for item in [*rule.input, *rule.params, *rule.resources.values()]:
            # An input function that bears flags is inside of an annotated text, that of a resource inside of it.
            function = getattr(item, "callable", None) or getattr(item, "_evaluator", None) or item
            if callable(function):
                describe_one(function, inspect.signature(function).parameters)
