"""The mark that every table, figure, map and page carries where the arms are a sham allocation.

The writers set it, not their callers, so that no analysis can forget it.
"""

import contextlib
from collections.abc import Iterator

MARK = "BLINDED"
TEXT = "the arms are a sham allocation, drawn at random, not the trial's"

_marking = False


@contextlib.contextmanager
def marking(blinded: bool) -> Iterator[None]:
    """A context in which everything that is written carries the mark, if ``blinded``."""
    global _marking
    before, _marking = _marking, bool(blinded)
    try:
        yield
    finally:
        _marking = before


def active() -> bool:
    """Whether what is written now must carry the mark."""
    return _marking
