"""The problems of one image's header, collected so that a user can fix them together."""

from typing import Any

from pharmasl.errors import InputError, InputErrors

COPY_AGAIN = "Copy or convert the image again."
CONVERT = "Convert the image again from the scanner's DICOM files"


class Problems:
    """The problems found so far in the header of one file.

    Attributes
    ----------
    path : str
    errors : list of InputError
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.errors: list[InputError] = []

    def add(self, *, field: str, found: Any, expected: str, fix: str) -> None:
        """Add a problem of a field of the header."""
        self.errors.append(InputError(file=self.path, field=field, found=found, expected=expected, fix=fix))


def refusal(path: str, *, field: str, found: Any, expected: str, fix: str) -> InputErrors:
    """The error of a file with one problem."""
    return InputErrors([InputError(file=path, field=field, found=found, expected=expected, fix=fix)])
