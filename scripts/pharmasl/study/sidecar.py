"""JSON sidecars: read strictly, merged by BIDS' inheritance, and overridden by the configuration."""

import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.files import bids, json_object
from pharmasl.study import conditions, schemas

OVERRIDE = "perfusion.override"
# What an override can be limited to: the configuration's word, and the entity of the file's name.
WHERE = {"participant": "sub", "session": "ses", **conditions.SELECTORS}
# Fields whose numbers are seconds.
_SECONDS = frozenset(
    {
        "PostLabelingDelay",
        "LabelingDuration",
        "RepetitionTimePreparation",
        "RepetitionTime",
        "EchoTime",
        "BolusCutOffDelayTime",
        "SliceTiming",
        "BackgroundSuppressionPulseTime",
    }
)
# How alike two fields must be for one to be taken for a misspelling of the other (difflib's ratio).
FIELDS_ALIKE = 0.85
# And to be refused for it: PhaseEncodingDirection, of 0.86, is no misspelling of SliceEncodingDirection.
SURELY_ALIKE = 0.93


@dataclass(frozen=True)
class Sidecar:
    """The metadata of one image.

    Attributes
    ----------
    path : str
        The nearest file, or where it would be: named where a field is missing.
    fields : dict of str to JSON value
        Nearer files win over farther ones. A field that is null is one that is not known: it is left out.
    origin : dict of str to str
        The file, or the part of the configuration, that each field was taken from, or by which it was taken away.
    errors : tuple of InputError
        Of files that cannot be read. Then nothing is known of the fields that are missing.
    """

    path: str
    fields: dict[str, Any]
    origin: dict[str, str]
    errors: tuple[InputError, ...] = ()


@dataclass(frozen=True)
class Override:
    """Fields of the configuration that replace those of sidecars.

    Attributes
    ----------
    name : str
        Its place in the configuration.
    where : dict of str to str
        Entity to label of the scans that it is for; empty for all.
    fields : dict of str to JSON value
        None takes the field away.
    """

    name: str
    where: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)

    def applies(self, entities: Mapping[str, str]) -> bool:
        """Whether it is for a scan with these entities (key to label) in its name."""
        return all(
            conditions.same_label(key, entities.get(key), str(label).removeprefix(f"{key}-"))
            for key, label in self.where.items()
        )


def read(dataset: bids.Dataset, image: bids.File, suffix: str) -> Sidecar:
    """The sidecar of an image, merged from all files that apply to it.

    Parameters
    ----------
    dataset : bids.Dataset
    image : bids.File
    suffix : str
        ``asl`` or ``m0scan``.

    Returns
    -------
    Sidecar
    """
    files = dataset.metadata(image, suffix, ".json")
    path = files[-1].path if files else image.path.removesuffix(image.extension) + ".json"
    fields: dict[str, Any] = {}
    origin: dict[str, str] = {}
    errors: list[InputError] = []
    for file in files:
        try:
            content = json_object.read(file.path)
        except InputError as error:
            errors.append(error)
            continue
        fields.update(content)
        origin.update(dict.fromkeys(content, file.path))
    return Sidecar(path, fields, origin, tuple(errors))


def overridden(sidecar: Sidecar, overrides: Iterable[Override], entities: Mapping[str, str]) -> Sidecar:
    """A sidecar with the configuration's fields in place of its own.

    Parameters
    ----------
    sidecar : Sidecar
    overrides : sequence of Override
        Later ones win.
    entities : dict
        Of the image's name.

    Returns
    -------
    Sidecar
    """
    fields, origin = dict(sidecar.fields), dict(sidecar.origin)
    for override in overrides:
        if not override.applies(entities):
            continue
        for name, value in override.fields.items():
            if value is not None:
                fields[name] = value
            elif fields.pop(name, None) is None:
                # What is not there is not taken away: the sidecar lacks it.
                continue
            origin[name] = f"config {override.name}"
    return replace(sidecar, fields=fields, origin=origin)


def overrides(settings: Any) -> list[Override]:
    """The overrides that a configuration asks for.

    Parameters
    ----------
    settings : dict or list
        ``perfusion.override`` of the configuration: fields for all scans, or a list of groups of scans with their fields.

    Returns
    -------
    list of Override
    """
    if isinstance(settings, dict):
        return [Override(OVERRIDE, {}, settings)] if settings else []
    return [
        Override(f"{OVERRIDE}[{number}]", {WHERE[key]: label for key, label in part["where"].items()}, part["fields"])
        for number, part in enumerate(settings)
    ]


def _of_series():
    """The schema's fields that a series has; an M0 image says by itself which series it is for."""
    return {name: part for name, part in schemas.properties("asl").items() if name != "IntendedFor"}


def check_overrides(asked: Sequence[Override], names: Sequence[Mapping[str, str]]) -> Iterator[InputError]:
    """What is wrong with the overrides of a study.

    Parameters
    ----------
    asked : sequence of Override
    names : sequence of dict
        Entities of the name of every scan.

    Yields
    ------
    InputError
        For unknown fields, impossible values and overrides that no scan matches; each once, at the configuration.
    """
    known = _of_series()
    for override in asked:
        for name in override.fields:
            if name not in known:
                close = similar(name, known, alike=FIELDS_ALIKE)
                yield InputError(
                    "config",
                    f"{override.name}.{name}",
                    name,
                    "a field of BIDS that quantification reads",
                    did_you_mean(close, f"Known are {', '.join(sorted(known))}."),
                )
        values = {name: value for name, value in override.fields.items() if name in known and value is not None}
        for error in impossible(values):
            yield InputError("config", f"{override.name}.{error.field}", error.found, error.expected, error.fix)
        if names and not any(override.applies(entities) for entities in names):
            yield InputError(
                "config",
                f"{override.name}.where",
                override.where,
                "entities that a scan of the study has",
                "Correct the labels, or remove the override.",
            )


def usable(asked: Iterable[Override]) -> list[Override]:
    """The overrides without the fields that :func:`check_overrides` refuses: those are not blamed on any scan."""
    known = _of_series()
    kept = []
    for override in asked:
        fields = {name: value for name, value in override.fields.items() if name in known}
        wrong = {error.field for error in impossible({k: v for k, v in fields.items() if v is not None})}
        kept.append(replace(override, fields={name: value for name, value in fields.items() if name not in wrong}))
    return kept


def impossible(fields: Mapping[str, Any]) -> list[InputError]:
    """The errors of fields whose values the schema refuses, with a guess at what was meant; missing ones are no errors.

    Parameters
    ----------
    fields : dict
        Of a sidecar.

    Returns
    -------
    list of InputError
        Their file is empty; their field is a name of BIDS.
    """
    known = schemas.properties("asl")
    # The scans of a study have few combinations of these values; times of acquisition and the like do not count.
    try:
        text = json.dumps({name: value for name, value in fields.items() if name in known})
    except TypeError:
        return _impossible(fields)  # a date of the configuration, which JSON has not
    return [] if _is_possible(text) else _impossible(fields)


@functools.lru_cache(maxsize=1024)
def _is_possible(text):
    """Whether the schema has nothing against fields that it knows, as JSON, but that some are missing."""
    return not _impossible(json.loads(text))


def _impossible(fields):
    errors = {}
    for error in schemas.check(fields, "asl", ""):
        name = error.field.split(".")[0]
        # A list has one unit: its first impossible value stands for all.
        if error.found != "nothing" and name not in errors:
            guess = _meant(name, fields[name])
            errors[name] = InputError("", name, error.found, error.expected, guess or "Correct the value.")
    return list(errors.values())


def _meant(name, value):
    """What a value of a wrong unit or type was probably meant to be, as a sentence; empty where it cannot be guessed."""
    several = isinstance(value, list) and bool(value)
    if several:
        numbers = [item for item in value if isinstance(item, int | float) and not isinstance(item, bool)]
        value = max(numbers) if len(numbers) == len(value) else value[0]
    if isinstance(value, str):
        return _meant_text(name, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""

    def possible(number):
        return all(
            error.found == "nothing" for error in schemas.check({name: [number] if several else number}, "asl", "")
        )

    # In a list of one 0 or negative number the others say nothing of the unit.
    if possible(value):
        return ""
    units = {"MagneticFieldStrength": ((1e4, "gauss", "tesla"), (1e3, "millitesla", "tesla"))}
    units |= {"LabelingEfficiency": ((100, "percent", "a share"),)}
    units |= dict.fromkeys(_SECONDS, ((1e3, "milliseconds", "seconds"),))
    for factor, wrong, right in units.get(name, ()):
        scaled = value / factor
        plausible = scaled < 15 if name != "MagneticFieldStrength" else 0.5 <= scaled <= 15
        if plausible and possible(scaled):
            return f"It looks like {wrong}: in {right} it is {scaled:g}."
    return ""


def _meant_text(name, value):
    part = schemas.properties("asl").get(name, {})
    if "enum" in part:
        close = [str(item) for item in part["enum"] if str(item).lower() == value.strip().lower()]
        return f"Write {close[0]}." if close else ""
    if part.get("type") == "boolean" and value.strip().lower() in ("true", "false", "yes", "no", "0", "1"):
        return "Write true or false, without quotation marks."
    try:
        float(value.strip().replace(",", "."))
    except ValueError:
        return ""
    return "Write the number without quotation marks, with a decimal point."


def misspelt(name: str, fields: Mapping[str, Any], surely: bool = False) -> str | None:
    """A field of a sidecar that is probably (or surely) a misspelling of a missing one; None if there is none."""
    known = schemas.properties("asl")
    unknown = [field for field in fields if field not in known]
    if not unknown:
        return None
    return next(iter(similar(name, unknown, alike=SURELY_ALIKE if surely else FIELDS_ALIKE)), None)
