"""Files of ITK's transforms, as far as they are known without ITK: before the first job."""

import os

from pharmasl.errors import FilePath, InputError

# How files of each kind begin; MATLAB's fourth format, which ITK writes as .mat, has no mark of its own.
SIGNATURES = {".h5": b"\x89HDF\r\n\x1a\n", ".txt": b"#Insight Transform File", ".mat": b""}
_START = 64  # bytes
FIX = "Take the transform from its source anew; antsApplyTransforms must be able to read it."


def check_kind(path: FilePath, field: str) -> None:
    """Refuse a file that cannot be a transform of ITK, by its name and its first bytes.

    Parameters
    ----------
    path : path-like
    field : str
        Named in the error.

    Raises
    ------
    InputError
    """
    extension = os.path.splitext(path)[1]
    if extension not in SIGNATURES:
        raise InputError(path, field, extension, f"a transform of ITK: {', '.join(SIGNATURES)}", FIX)
    try:
        with open(path, "rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise InputError(path, field, error.strerror, "a file that can be read", "Fetch or restore the file.") from None
    if not start or not start.startswith(SIGNATURES[extension]):
        begins = repr(start[:24].decode("ascii", "replace"))
        content = f"a file that begins with {begins}" if start else "an empty file"
        raise InputError(path, field, content, f"a transform of ITK as {extension}", FIX)
