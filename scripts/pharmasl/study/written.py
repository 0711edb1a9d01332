"""The configuration as it was written: keys twice, values as text, paths, names; what no schema can say."""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from pharmasl.errors import FilePath, InputError
from pharmasl.files import bids

_LIMITED = ("analyses", "contrasts", "rois", "conditions", "endpoints")
# Settings that are paths, by the keys that lead to them.
_PATHS = (
    ("bids_dir",),
    ("output_dir",),
    ("participants_table",),
    ("craving", "table"),
    ("blocks", "table"),
    ("template", "t1w"),
    ("template", "mask"),
    ("template", "gm"),
    ("template", "wm"),
    ("template", "csf"),
    ("quality", "ratings"),
    ("derivatives", "cbf", "dir"),
    ("derivatives", "cbf", "transform"),
    ("derivatives", "anatomy", "dir"),
    ("derivatives", "anatomy", "transform"),
    ("derivatives", "contrasts", "dir"),
)
_OF_DATASET = ("participants_table", "table")
_DERIVATIVES = "derivatives"
# A name that ends so stops Snakemake, which takes it for a rule that feeds itself.
_REPETITION = re.compile(r"(.+)\1{19,}$")


def repeated_keys(paths: Iterable[FilePath]) -> Iterator[InputError]:
    """Keys that a configuration file has twice: YAML keeps the last without a word.

    Parameters
    ----------
    paths : iterable of path-like

    Yields
    ------
    InputError
    """
    for path in paths:
        with open(path, encoding="utf-8-sig") as file:
            root = yaml.compose(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        pending: list[tuple[tuple[str, ...], yaml.Node | None]] = [((), root)]
        while pending:
            keys, node = pending.pop()
            if isinstance(node, yaml.SequenceNode):
                pending += [((*keys, str(number)), child) for number, child in enumerate(node.value)]
            if not isinstance(node, yaml.MappingNode):
                continue
            first: dict[str, int] = {}
            for key, child in node.value:
                here = (*keys, str(key.value))
                line = key.start_mark.line + 1
                if key.value in first and key.tag != "tag:yaml.org,2002:merge":
                    yield InputError(
                        path,
                        ".".join(here),
                        f"twice, in lines {first[key.value]} and {line}",
                        "each key once",
                        "Remove or rename one: only the last would be read.",
                    )
                first.setdefault(key.value, line)
                pending.append((here, child))


def as_wanted(value: Any, schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A value as its schema wants it, where the command line gave text for a number, or YAML a number for a text.

    Parameters
    ----------
    value : object
        Of the configuration.
    schema : dict
        Its JSON schema.
    definitions : dict
        ``$defs`` of the whole schema.

    Returns
    -------
    object
        A copy where anything differs; values that fit no type stay as they are, for the schema's own message.
    """
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rsplit("/", 1)[-1]], **schema}
    if "if" in schema and isinstance(value, dict):
        # Of the schema's two forms, the one whose parts there are.
        is_first = all(isinstance(value.get(name), dict) for name in schema["if"]["required"])
        return as_wanted(value, schema["then" if is_first else "else"], definitions)
    options = [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]
    options = [definitions[part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part for part in options]
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        return {key: as_wanted(child, known.get(key, others), definitions) for key, child in value.items()}
    if isinstance(value, list):
        items: Any = next((part["items"] for part in options if "items" in part), {})
        return [as_wanted(child, items, definitions) for child in value]
    types = {name for part in options for name in _types(part)}
    if isinstance(value, str) and types and "string" not in types:
        read = _read(value, types, schema, definitions)
        # On the command line, names separated by commas are a list without its brackets.
        return _names_of(read) if read == value and _is_list_of_names(types, options, definitions) else read
    # A label is refused: YAML reads 01 as 1, and nobody knows which was written.
    if types == {"string"} and isinstance(value, int) and not isinstance(value, bool) and "pattern" not in schema:
        return str(value)
    return value


def _names_of(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def _is_list_of_names(types, options, definitions):
    """Whether nothing but a list of texts is wanted."""
    items = next((part["items"] for part in options if "items" in part), {})
    items = definitions[items["$ref"].rsplit("/", 1)[-1]] if "$ref" in items else items
    return types == {"array"} and set(_types(items)) == {"string"}


def _types(schema):
    if "type" in schema:
        return [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return ["string" if isinstance(value, str) else "number" for value in schema.get("enum", [])]


def _read(text, types, schema, definitions):
    """A text as a value of other types, if YAML reads it as one."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    kinds = {
        "boolean": isinstance(value, bool),
        "null": value is None,
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    if not any(kinds.get(name) for name in types):
        return text
    return as_wanted(value, schema, definitions) if isinstance(value, list | dict) else value


def expand_paths(config: dict[str, Any]) -> None:
    """Write ``~`` out and the paths in their shortest form, in place: ``./results/`` and ``results`` are one folder."""
    for *above, last in _PATHS:
        part: Any = config
        for key in above:
            part = part.get(key) if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(part.get(last), str) and part[last]:
            # Tables lie below the dataset.
            part[last] = _path(part[last]) if last not in _OF_DATASET else os.path.normpath(part[last])
    endpoints = config.get("endpoints")
    for part in endpoints.values() if isinstance(endpoints, dict) else ():
        if isinstance(part, dict) and isinstance(part.get("table"), str) and part["table"]:
            part["table"] = os.path.normpath(part["table"])
    perfusion = config.get("perfusion")
    tissue = perfusion.get("tissue") if isinstance(perfusion, dict) else None
    for part in tissue.values() if isinstance(tissue, dict) else ():
        if isinstance(part, dict) and isinstance(part.get("image"), str) and part["image"]:
            part["image"] = _path(part["image"])
    atlas, rois = config.get("atlas"), config.get("rois")
    regions = list(rois.values()) if isinstance(rois, dict) else []
    for part in [*regions, *([atlas] if isinstance(atlas, dict) and "package" not in atlas else [])]:
        for key in ("image", "labels"):
            if isinstance(part, dict) and isinstance(part.get(key), str) and part[key]:
                part[key] = _path(part[key])


def bare_labels(config: dict[str, Any]) -> None:
    """Take ``sub-`` off the participants and ``ses-`` off the sessions, in place; participants may be one text with commas."""
    people, sessions = config.get("participants"), config.get("sessions")
    if isinstance(people, str):
        people = [label.strip() for label in people.split(",") if label.strip()]
    if isinstance(people, list):
        config["participants"] = [bids.bare_label(who, "sub") if isinstance(who, str) else who for who in people]
    if isinstance(sessions, dict):
        for role, label in sessions.items():
            if isinstance(label, str):
                sessions[role] = bids.bare_label(label, "ses")
            elif isinstance(label, list):
                sessions[role] = [bids.bare_label(own, "ses") if isinstance(own, str) else own for own in label]


def _path(text):
    """A path in its shortest form: one below the folder of the run as it is from there, however it was written."""
    path = os.path.normpath(os.path.expanduser(text))
    if not path.startswith((os.sep, os.pardir)):
        return path
    # By the folders themselves, not by their names: a link may lead here too.
    above, below = os.path.abspath(path), []
    while above != os.path.dirname(above):
        if os.path.isdir(above) and os.path.samefile(above, os.curdir):
            return os.path.join(*below) if below else os.curdir
        above, name = os.path.split(above)
        below.insert(0, name)
    return path


def check(config: Mapping[str, Any], file: str) -> Iterator[InputError]:
    """What a complete configuration says that cannot be meant.

    Parameters
    ----------
    config : dict
        Complete, with its paths expanded.
    file : str
        Named in the messages.

    Yields
    ------
    InputError
    """
    yield from not_finite(config, file)
    yield from _braces(config, file)
    yield from _names(config, file)
    yield from _output(config, file)
    yield from _sessions(config, file)
    yield from _pairs(config, file)
    for name, contrast in config["contrasts"].items():
        weights = contrast["weights"]
        if any(weight == 0 for weight in weights.values()):
            yield InputError(
                file, f"contrasts.{name}", weights, "weights other than 0", "Take out the conditions that do not count."
            )
    craving = config.get("craving")
    if craving:
        before, after = ([part] if isinstance(part, str) else part for part in (craving["before"], craving["after"]))
        if both := sorted(set(before) & set(after)):
            yield InputError(
                file,
                "craving.after",
                ", ".join(both),
                "other columns than craving.before",
                "Name the ratings after the cues: the change would be 0.",
            )
    for name, parts in config["conjunctions"].items():
        for part in parts:
            own = config["analyses"].get(part, {})
            if own.get("method") == "mixed_model" and not own.get("model"):
                yield InputError(
                    file,
                    f"conjunctions.{name}",
                    f"{part}, of method mixed_model",
                    "analyses with a family-wise p",
                    "Name others, take the method differences, or write it as a formula: the named mixed model has a false "
                    "discovery rate alone.",
                )


def repetition(name: str) -> str | None:
    """The piece that a name ends with twenty times or more, at which Snakemake stops; None where there is none."""
    match = _REPETITION.search(name)
    return match[1] if match else None


def not_finite(content: Mapping[str, Any], file: FilePath) -> Iterator[InputError]:
    """Numbers that are none, or infinite: no limit of a schema holds them back."""
    for keys, value in _leaves((), content):
        if isinstance(value, float) and not math.isfinite(value):
            yield InputError(file, ".".join(keys), value, "a finite number", "Correct the value.")


def _braces(config: Mapping[str, Any], file: FilePath) -> Iterator[InputError]:
    for keys, value in _leaves((), config):
        if isinstance(value, str) and ("{" in value or "}" in value) and _is_path_or_title(keys):
            expected, fix = "a text without braces", "Rename it: Snakemake takes { and } for wildcards."
            yield InputError(file, ".".join(keys), value, expected, fix)


def _leaves(keys: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All values below a key that are neither a mapping nor a list, each with its keys."""
    if not isinstance(value, Mapping | list):
        yield keys, value
        return
    children = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, child in children:
        yield from _leaves((*keys, str(key)), child)


def _is_path_or_title(keys):
    endpoint_table = keys[0] == "endpoints" and keys[-1] == "table"
    return (
        keys == ("title",)
        or keys in _PATHS
        or endpoint_table
        or (keys[0] in ("rois", "atlas") and keys[-1] in ("image", "labels"))
    )


def _names(config, file):
    """Names that are one folder where case does not count, that take another's file, or that end in a repetition."""
    for kind in _LIMITED:
        first = {}
        names = [*config[kind], *(config["conjunctions"] if kind == "analyses" else [])]
        for name in names:
            if piece := repetition(name):
                yield InputError(
                    file,
                    f"{kind}.{name}",
                    f"{piece} twenty times or more",
                    "a name without such a repetition",
                    "Shorten it: Snakemake stops at it.",
                )
            # A contrast's label in its files' names has no underscores; an analysis has a folder of its own name.
            label = bids.entity_label(name) if kind == "contrasts" else name
            other = first.setdefault(label.casefold(), name)
            if other != name:
                yield InputError(
                    file,
                    f"{kind}.{name}",
                    f"{other} and {name}",
                    "names that differ in more than case" + " and underscores" * (kind == "contrasts"),
                    "Rename one: both are one file where case does not count (macOS, Windows)."
                    + " File names have no underscores within a label." * (kind == "contrasts"),
                )
    for name in config["rois"]:
        if name.endswith("_leftout") and name.removesuffix("_leftout") in config["rois"]:
            yield InputError(
                file,
                f"rois.{name}",
                name,
                "a name that does not end in _leftout",
                f"Rename it: {name}_values.tsv holds {name.removesuffix('_leftout')} without each participant.",
            )


def _output(config, file):
    """The results' folder is no file, and neither the dataset, above it, nor among its raw folders."""
    bids, output = (os.path.realpath(config[key]) for key in ("bids_dir", "output_dir"))
    advice = f"Give a folder of its own, such as {config['bids_dir']}/{_DERIVATIVES}/pharmasl."
    if os.path.exists(output) and not os.path.isdir(output):
        yield InputError(file, "output_dir", config["output_dir"], "a folder; it is a file", advice)
    inside = os.path.relpath(output, bids).split(os.sep)
    if output == bids:
        yield InputError(file, "output_dir", config["output_dir"], "another folder than bids_dir", advice)
    elif os.path.commonpath([bids, output]) == output:
        yield InputError(file, "output_dir", config["output_dir"], "a folder that does not hold the dataset", advice)
    elif inside[0] not in (os.pardir, _DERIVATIVES):
        yield InputError(file, "output_dir", config["output_dir"], "no folder within the raw dataset", advice)


def _sessions(config, file):
    study = config.get("sessions")
    places = [("sessions", study)] if study else []
    places += [(f"analyses.{name}.sessions", part.get("sessions")) for name, part in config["analyses"].items()]
    for field, sessions in places:
        if sessions and sessions["baseline"] == sessions.get("followup"):
            yield InputError(
                file,
                f"{field}.followup",
                sessions["followup"],
                "another session than baseline",
                "Name the later session: all changes would be 0.",
            )
    for label in study["others"] if study else []:
        if label in (study["baseline"], study.get("followup")):
            yield InputError(
                file, "sessions.others", label, "sessions beside baseline and followup", "Take it out of others."
            )


def _pairs(config, file):
    """Limits whose lower end is not below the upper one, and kernels without a middle."""
    limits = {
        "perfusion.outliers.global_limits": config["perfusion"]["outliers"]["global_limits"],
        "craving.range": (config.get("craving") or {}).get("range"),
        **{f"quality.bands.{name}": band for name, band in config["quality"]["bands"].items()},
    }
    for field, pair in limits.items():
        if pair and None not in pair and not pair[0] < pair[1]:
            yield InputError(file, field, pair, "the lower limit before the higher", "Exchange or correct the two.")
    for name, roi in config["rois"].items():
        for axis in "xyz":
            low, high = roi.get(f"{axis}_above"), roi.get(f"{axis}_below")
            if low is not None and high is not None and not low < high:
                yield InputError(
                    file,
                    f"rois.{name}",
                    f"{axis}_above {low:g} and {axis}_below {high:g}",
                    "a part between the planes",
                    "Exchange or correct the two: nothing is left of the region.",
                )
    kernel = config["perfusion"]["partial_volume"]["kernel"]
    if any(size % 2 == 0 for size in kernel):
        yield InputError(file, "perfusion.partial_volume.kernel", kernel, "odd numbers", "Correct the even ones.")
