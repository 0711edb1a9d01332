"""JSON objects as people and converters write them, read strictly: no field twice, no number that is none."""

import json
import math
from collections.abc import Callable
from typing import Any

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables


class _Faults:
    """What a parser meets and JSON does not have."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.fields: list[str] = []

    def number(self, kind: Callable[[str], float]) -> Callable[[str], float]:
        """A parser of numbers: 1e999 and an integer of 400 digits are JSON, and more than a number can hold."""

        def parse(text: str) -> float:
            if not math.isfinite(float(text)):
                self.numbers.append(text if len(text) < 20 else f"{text[:10]}...")
                return math.nan
            return kind(text)

        return parse

    def fields_of(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object, noting the fields that it has twice."""
        names = [name for name, _ in pairs]
        self.fields.extend(sorted({name for name in names if names.count(name) > 1}))
        return dict(pairs)


def read(path: FilePath) -> dict[str, Any]:
    """The fields of a JSON object, without those that are null.

    Raises
    ------
    InputError
        If the file cannot be read or is no JSON, holds another value than an object, a field twice, or a number that
        JSON does not have (NaN, Infinity).
    """
    faults = _Faults()
    content = _parsed(path, faults)
    if faults.numbers:
        raise InputError(
            path,
            "(whole file)",
            ", ".join(dict.fromkeys(faults.numbers)),
            "finite numbers",
            "Write the number, or null where it is not known.",
        )
    if not isinstance(content, dict):
        raise InputError(
            path,
            "(whole file)",
            f"a {type(content).__name__}",
            "a JSON object: fields and values between braces",
            "Correct the file.",
        )
    if faults.fields:
        raise InputError(
            path, ", ".join(faults.fields), "the field twice", "each field once", "Remove the one that is not meant."
        )
    return {name: value for name, value in content.items() if value is not None}


def _parsed(path: FilePath, faults: _Faults) -> Any:
    text = tables.read_text(path)
    try:
        return json.loads(
            text,
            object_pairs_hook=faults.fields_of,
            parse_constant=faults.numbers.append,
            parse_float=faults.number(float),
            parse_int=faults.number(int),
        )
    except RecursionError:
        raise InputError(
            path, "(whole file)", "thousands of nested brackets", "a sidecar", "Correct the file."
        ) from None
    except ValueError as error:
        content = "an empty file" if not text.strip() else str(error)
        raise InputError(path, "(whole file)", content, "valid JSON", "Correct the file.") from None
