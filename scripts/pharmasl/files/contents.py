"""What files hold: a digest of the whole of each, remembered for as long as the file is left alone.

A raw image is hundreds of megabytes of which a plan needs to know only whether it is the one that was used. Its digest is
kept with its size, its number on the disk and the times of its last change, of content and of status. The latter is set by
the system: an older file put in its place and one edited with its date put back are seen. What is remembered may be deleted or
damaged: the files are read again.
"""

import functools
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

# A file changed so shortly before may change again without another time: file systems count in steps (FAT in 2 s).
_SETTLED = 3e9


def default_folder():
    """Where digests are remembered: ``pharmasl/contents`` in the user's folder of caches."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "pharmasl", "contents")


def read(path):
    """The SHA-256 of a file, 64 hexadecimal digits: what ``sha256sum`` prints."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Contents:
    """Digests of files, with a memory.

    Parameters
    ----------
    folder : path-like
        One small file for each folder that holds files. Where it cannot be made or written nothing is remembered.
    """

    def __init__(self, folder):
        self._folder, self._known, self._changed = Path(folder), {}, set()

    def digest(self, path):
        """The SHA-256 of a file.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        str or None
            64 hexadecimal digits; None where there is no such file.
        """
        place, name = os.path.split(os.path.realpath(path))
        file = os.path.join(place, name)
        try:
            before = _state(file)
        except OSError:
            return None
        known = self._of(place)
        if known.get(name, [None])[:-1] == before:
            return known[name][-1]
        found = read(file)
        if _state(file) == before and time.time_ns() - max(before[2:]) > _SETTLED:
            known[name] = [*before, found]
            self._changed.add(place)
        return found

    def is_remembered(self, path):
        """Whether a file was read here before, in whatever state it was then."""
        place, name = os.path.split(os.path.realpath(path))
        return name in self._of(place)

    def _shard(self, place):
        return self._folder / f"{hashlib.blake2b(os.fsencode(place), digest_size=16).hexdigest()}.json"

    def _of(self, place):
        """What is remembered of a folder's files: name to the state and the digest."""
        if place not in self._known:
            try:
                content = json.loads(self._shard(place).read_text(encoding="utf-8"))
                good = content["folder"] == place and all(_is_entry(entry) for entry in content["files"].values())
                self._known[place] = content["files"] if good else {}
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                self._known[place] = {}
        return self._known[place]

    def save(self):
        """Write what is new to the folder; each file is replaced at once, so that two plans at a time do no harm."""
        for place in sorted(self._changed):
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                content = json.dumps({"folder": place, "files": self._known[place]}, indent=0)
                descriptor, new = tempfile.mkstemp(dir=self._folder, suffix=".new")
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write(content)
                os.replace(new, self._shard(place))
            except (OSError, UnicodeEncodeError):
                # A read-only home, a full disk, a name that is no text: the files are read again next time.
                return
        self._changed.clear()


def _state(path):
    """Size, number on the disk, and times of the last change of content and of status, ns."""
    state = os.stat(path)
    return [state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns]


def _is_entry(entry):
    return len(entry) == 5 and isinstance(entry[-1], str) and len(entry[-1]) == 64


@functools.cache
def shared():
    """The one memory of a process, in :func:`default_folder`."""
    return Contents(default_folder())
