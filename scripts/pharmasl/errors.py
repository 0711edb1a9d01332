"""The one error that bad input raises: it names the file, the field, what was found, what was expected and how to mend it."""


class InputError(ValueError):
    """Input that the workflow cannot use.

    Parameters
    ----------
    file : path-like or str
        The file (or the part of the configuration) at fault.
    field : str
        The field, column or property at fault.
    found : object
        What stands there.
    expected : str
        What should stand there.
    mend : str
        What the user can do about it.
    """

    def __init__(self, file, field, found, expected, mend):
        self.file, self.field, self.found, self.expected, self.mend = str(file), field, found, expected, mend
        super().__init__(f"{file}: {field}: found {found!r}, expected {expected}. {mend}")


class InputErrors(ValueError):
    """Several :class:`InputError` found in one pass, so that a user can mend them together."""

    def __init__(self, errors):
        self.errors = list(errors)
        lines = "\n".join(f"  - {error}" for error in self.errors)
        super().__init__(f"{len(self.errors)} problem(s) in the input:\n{lines}")
