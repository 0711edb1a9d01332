"""Whether what is written now rests on a sham allocation, so that every table, figure, map and page says so itself.

A mark in the writers, not in their callers: no analysis can forget it.
"""

import contextlib

MARK = "BLINDED"
TEXT = "the arms are a sham allocation, drawn at random, not the trial's"

_marking = False


@contextlib.contextmanager
def marking(blinded):
    """Within it, all that is written carries the mark, if ``blinded``."""
    global _marking
    before, _marking = _marking, bool(blinded)
    try:
        yield
    finally:
        _marking = before


def active():
    """Whether the mark is due."""
    return _marking
