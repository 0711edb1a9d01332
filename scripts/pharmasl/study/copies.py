"""Raw images that are copies of one another: one scan under two names is no second measurement."""

import os
from collections.abc import Iterable, Iterator

from pharmasl.errors import InputError
from pharmasl.files import contents

# Checksum and length at the end of a gzip file (RFC 1952).
_TRAILER = 8


def find(paths: Iterable[str]) -> Iterator[InputError]:
    """Which images have the same content.

    Files are compared by size, then by their last bytes (of a compressed file the checksum of its content), and only
    where both agree by all they hold.

    Parameters
    ----------
    paths : iterable of str
        Files that are not there are passed over: they are reported elsewhere.

    Yields
    ------
    InputError
        One for each group of copies.
    """
    suspects = _grouped((path for path in paths if os.path.isfile(path)), _short)
    for group in suspects:
        for same in _grouped(group, contents.shared().digest):
            yield InputError(
                same[0],
                "(whole file)",
                f"the same content as {', '.join(same[1:])}",
                "a scan of its own under each name",
                "Restore the right image from its source; until then take one of them out of the dataset.",
            )


def _grouped(paths, key):
    """Groups of two or more paths with one key."""
    groups = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    return [group for group in groups.values() if len(group) > 1]


def _short(path):
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _TRAILER))
        return size, file.read()
