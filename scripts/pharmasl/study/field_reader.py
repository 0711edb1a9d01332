"""The fields of one sidecar as they are taken: each with its source, each problem with its place and once."""

from pharmasl.errors import InputError
from pharmasl.study import schemas, sidecar

# Fields without which a series is still quantified, and otherwise: misspelt, they would be passed over without a word.
_TELLING = (
    "LabelingEfficiency",
    "BackgroundSuppressionNumberPulses",
    "BackgroundSuppressionPulseTime",
    "SliceEncodingDirection",
    "LookLocker",
)


class FieldReader:
    """Takes fields of a sidecar and notes what is wrong with them.

    Parameters
    ----------
    metadata : pharmasl.study.sidecar.Sidecar

    Attributes
    ----------
    fields : dict of str to JSON value
        Those whose values are possible.
    refused : set of str
        Fields that an error stands for already: they are not asked for again.
    errors : list of InputError
    sources : dict of str to str
        Where each value that was taken comes from.
    """

    def __init__(self, metadata: sidecar.Sidecar) -> None:
        self.sidecar_path, self.origin = metadata.path, metadata.origin
        self.errors: list[InputError] = list(metadata.errors)
        self.sources: dict[str, str] = {}
        # What cannot be read lacks no field.
        self.unreadable = bool(metadata.errors)
        self.fields, self.refused = self._possible(metadata)

    def _possible(self, metadata):
        """The fields whose values are possible, and the names of the others, for each of which an error is noted."""
        wrong = {error.field: error for error in sidecar.impossible(metadata.fields)}
        for name, error in wrong.items():
            self._error(metadata.origin[name], name, error.found, error.expected, self._hint(error, metadata))
        return {name: value for name, value in metadata.fields.items() if name not in wrong}, set(wrong)

    @staticmethod
    def _hint(error, metadata):
        beside = metadata.fields.get("RepetitionTime")
        if (
            error.field == "RepetitionTimePreparation"
            and error.found == 0
            and isinstance(beside, int | float)
            and beside
        ):
            return f"RepetitionTime is {beside:g} s in the same sidecar: if that is the time from volume to volume, write it."
        return error.fix

    def _error(self, *arguments):
        self.errors.append(InputError(*arguments))

    def _contradiction(self, field, expected, fix="Correct the value."):
        """A field whose value is possible by itself and does not fit the rest; each field once."""
        if field not in self.refused:
            self.refused.add(field)
            self._error(*self._place(field), self.fields.get(field, "nothing"), expected, fix)

    def _place(self, field):
        """File and field to name in an error: where the value stands, the configuration too."""
        origin = self.origin.get(field, self.sidecar_path)
        if origin.startswith("config "):
            return "config", f"{origin.removeprefix('config ')}.{field}"
        return origin, field

    def _missing(self, field, expected):
        """A field that is needed and not there."""
        if field in self.refused or self.unreadable:
            return
        self.refused.add(field)
        if field in self.origin:
            self._error(
                *self._place(field),
                "null",
                expected,
                "Give its value, or limit the override to the scans that can do without.",
            )
            return
        typo = sidecar.misspelt(field, self.fields)
        hint = (
            f"Is {typo} meant to be {field}? Rename it."
            if typo
            else (f"Add {field} to the sidecar, or to perfusion.override in the configuration.")
        )
        self._error(self.sidecar_path, field, "nothing", expected, hint)

    def _take(self, key, field):
        """Record a value's source and return the value."""
        self.sources[key] = f"{field} of {self.origin[field]}"
        return self.fields[field]

    def _misspelt(self):
        """Fields that would change the result and are there under a name that is not theirs."""
        for field in _TELLING:
            typo = None if field in self.origin else sidecar.misspelt(field, self.fields, surely=True)
            if typo:
                self._error(self.origin[typo], typo, self.fields[typo], f"the field {field}", "Rename it.")

    def _responsible(self, *fields):
        """Of several fields that contradict each other, the first that the configuration set; else the first."""
        return next((name for name in fields if self.origin.get(name, "").startswith("config ")), fields[0])

    def _need(self, key, field):
        """A required value, None where it is missing or refused."""
        if field not in self.fields:
            self._missing(field, schemas.described(schemas.properties("asl")[field]))
            return None
        return self._take(key, field)
