"""Checks against the JSON schemas of ``config/schemas``, with messages a user can act on."""

import copy
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators

from pharmasl.errors import FilePath, InputError, did_you_mean, similar
from pharmasl.study import written

FOLDER = Path(__file__).resolve().parents[3] / "config" / "schemas"


def _with_defaults(validator_class):
    validate_properties = validator_class.VALIDATORS["properties"]

    def fill(validator, properties, instance, schema):
        if isinstance(instance, dict):
            for name, part in properties.items():
                if isinstance(part, dict) and "default" in part:
                    # A copy, so that filling nested defaults never writes into the schema.
                    instance.setdefault(name, copy.deepcopy(part["default"]))
        yield from validate_properties(validator, properties, instance, schema)

    return validators.extend(validator_class, {"properties": fill})


_Filling = _with_defaults(Draft202012Validator)


@functools.cache
def _schema(name):
    # By libyaml where PyYAML has it, which reads the same in a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((FOLDER / f"{name}.schema.yaml").read_text(encoding="utf-8"), Loader=loader)


def as_wanted(content: Any, name: str) -> Any:
    """The content with texts read as the numbers, booleans and lists that a schema wants; see :mod:`.written`."""
    return written.as_wanted(content, _schema(name), _schema(name).get("$defs", {}))


@functools.cache
def _validator(name, fill):
    return (_Filling if fill else Draft202012Validator)(_schema(name))


def properties(name: str) -> dict[str, Any]:
    """The properties that a schema describes: name to its part of the schema."""
    return _validator(name, False).schema["properties"]


def choices(name: str, definition: str) -> list[str]:
    """The values of a schema's definition that lists them."""
    return list(_schema(name)["$defs"][definition]["enum"])


def check(
    content: Mapping[str, Any], name: str, file: FilePath, prefix: str = "", fill: bool = False
) -> list[InputError]:
    """Check content against a schema.

    Parameters
    ----------
    content : dict
        With ``fill`` the schema's defaults are written into it.
    name : str
        Schema: ``config``, ``asl``, ``participants``, ``aslcontext``.
    file : path-like
        Named in the messages.
    prefix : str
        Put before each field's name, such as ``row 3,`` and a space.
    fill : bool

    Returns
    -------
    list of InputError
        Empty if the content is as it should be.
    """
    errors = sorted(_validator(name, fill).iter_errors(content), key=lambda error: [str(part) for part in error.path])
    return [_explain(error, file, prefix) for error in errors]


def _explain(error, file, prefix):
    path = ".".join(str(part) for part in error.absolute_path)
    kind, schema, value = error.validator, error.schema, error.validator_value
    where = prefix + (path or "(top level)")
    if kind == "required":
        # One error per name; the message says which.
        missing = next(name for name in value if error.message.startswith(f"{name!r} "))
        part = schema.get("properties", {}).get(missing, {})
        field = prefix + ".".join(filter(None, [path, missing]))
        return InputError(file, field, "nothing", _expected(part), f"Add {missing}.")
    if kind == "additionalProperties" and isinstance(error.instance, dict):
        known = sorted(schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known), key=str)
        hint = did_you_mean([close for name in unknown for close in similar(name, known)])
        fix = f"Correct or remove it. {hint}".rstrip()
        return InputError(file, where, ", ".join(map(str, unknown)), f"only {', '.join(known)}", fix)
    if kind in ("oneOf", "not") and isinstance(error.instance, dict):
        return InputError(file, where, sorted(error.instance), _expected(schema), "Choose one of the forms.")
    advice = "Correct the value."
    if kind == "type" and value == "string" and isinstance(error.instance, int | float):
        # Nobody wrote what stands in the message: YAML reads 01 as 1, 010 as 8, off as false.
        last = path.rsplit(".", 1)[-1]
        advice = (
            f'Write it in quotes, such as {last}: "01"; without them YAML reads 01 as 1, 010 as 8 and off as false.'
        )
    if kind == "enum":
        advice = f"{advice} {did_you_mean(similar(error.instance, value))}".rstrip()
    return InputError(file, where, error.instance, _expected(schema, error.message), advice)


def described(schema: Mapping[str, Any]) -> str:
    """A schema's description as part of a sentence."""
    text = schema.get("description", "").rstrip(".")
    first = text.partition(" ")[0]
    is_word = (first == "A" or first[1:].islower()) and first.rstrip(",") not in schema.get("enum", ())
    return text[:1].lower() + text[1:] if is_word else text


def _expected(schema, otherwise="a value"):
    """The schema in words: its limits, then its description."""
    description = described(schema)
    if "enum" in schema:
        values = ["n/a" if value is None else str(value) for value in schema["enum"]]
        if all(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", description) for value in values):
            return description
        limits = f"one of {', '.join(values)}"
    elif schema.get("type") == "boolean":
        limits = "true or false"
        description = description.removeprefix(limits)
    else:
        words = {
            "type": "{}",
            "minimum": "at least {}",
            "exclusiveMinimum": "above {}",
            "maximum": "at most {}",
            "pattern": "matching {}",
            "minItems": "{} or more items",
            "maxItems": "{} or fewer items",
            "maxLength": "at most {} characters",
        }
        limits = ", ".join(text.format(schema[key]) for key, text in words.items() if key in schema)
    return "; ".join(part for part in (limits, description) if part) or otherwise
