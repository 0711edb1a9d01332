"""What others write to a terminal while bars are drawn on it: caught, and passed on line by line."""

import os
import select
import threading
import time
from collections.abc import Callable

# Seconds that a text waits, so that what processes say that a user stops is known as such, and dropped.
_WAIT = 1.0
_LOOK = 0.2
_STDERR = 2


class Strays:
    """Standard error of this process and of those it starts, from now until closed.

    Parameters
    ----------
    say : callable
        Takes each text, of whole lines.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._hushed = False
        self._kept = os.dup(_STDERR)
        self._read, write = os.pipe()
        os.dup2(write, _STDERR)
        os.close(write)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def hush(self) -> None:
        """Drop what waits and what comes."""
        self._hushed = True

    def close(self) -> None:
        """Let the process write where it did before; what waits is passed on."""
        os.dup2(self._kept, _STDERR)
        os.close(self._kept)
        self._closing.set()
        self._thread.join()
        os.close(self._read)

    def _pass_on(self) -> None:
        waiting, since = b"", time.monotonic()
        while True:
            readable = select.select([self._read], [], [], _LOOK)[0]
            if readable:
                # Empty once nobody can write any more.
                chunk = os.read(self._read, 65536)
                since = since if waiting else time.monotonic()
                waiting += chunk
            ended = self._closing.is_set() and (not readable or not chunk)
            if waiting and (ended or time.monotonic() - since > _WAIT):
                if not self._hushed:
                    self._say(waiting.decode(errors="replace").rstrip("\n"))
                waiting = b""
            if ended:
                return
