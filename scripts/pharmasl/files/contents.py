"""Digests of whole files, cached until the file changes.

Of a raw image of hundreds of megabytes, planning needs to know only whether it is the one that was used. Its digest is
kept with its size, its inode and the times of the last change of its content and of its status. The system sets the
latter, so that an older file put in its place, or one edited and given its old date again, is noticed. The cache may be
deleted or damaged: the files are then read again.
"""

import functools
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from pharmasl.errors import FilePath

# A file changed less than this before (ns) may change again at the same recorded time: file systems count in steps (FAT, 2 s).
_SETTLED = 3e9

# Size, inode, and times of the last change of content and of status (ns); in the cache the digest follows.
_State = list[int]
_Entry = list[Any]


def default_folder() -> Path:
    """The folder of the cache: ``pharmasl/contents`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "pharmasl", "contents")


def read(path: FilePath) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits, as ``sha256sum`` prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Contents:
    """Cached digests of files.

    Parameters
    ----------
    folder : path-like
        Of the cache, which has one small file per folder of files. If it cannot be made or written, nothing is cached.
    """

    def __init__(self, folder: FilePath) -> None:
        self._folder = Path(folder)
        self._known: dict[str, dict[str, _Entry]] = {}
        self._changed: set[str] = set()

    def digest(self, path: FilePath) -> str | None:
        """The SHA-256 of a file.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        str or None
            64 hexadecimal digits; None if there is no such file.
        """
        place, name = os.path.split(os.path.realpath(path))
        file = os.path.join(place, name)
        try:
            before = _state(file)
        except OSError:
            return None
        known = self._entries(place)
        if known.get(name, [None])[:-1] == before:
            return known[name][-1]
        digest = read(file)
        if _state(file) == before and time.time_ns() - max(before[2:]) > _SETTLED:
            known[name] = [*before, digest]
            self._changed.add(place)
        return digest

    def is_remembered(self, path: FilePath) -> bool:
        """Whether the digest of a file is in the cache, whatever state the file was in then."""
        place, name = os.path.split(os.path.realpath(path))
        return name in self._entries(place)

    def _shard(self, place: str) -> Path:
        return self._folder / f"{hashlib.blake2b(os.fsencode(place), digest_size=16).hexdigest()}.json"

    def _entries(self, place: str) -> dict[str, _Entry]:
        """The cached state and digest of a folder's files, by name."""
        if place not in self._known:
            try:
                content = json.loads(self._shard(place).read_text(encoding="utf-8"))
                good = content["folder"] == place and all(_is_entry(entry) for entry in content["files"].values())
                self._known[place] = content["files"] if good else {}
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                self._known[place] = {}
        return self._known[place]

    def save(self) -> None:
        """Write new digests to the cache; its files are replaced atomically, so that two plans at a time do no harm."""
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


def _state(path: str) -> _State:
    """Size, inode, and times of the last change of content and of status, ns."""
    state = os.stat(path)
    return [state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns]


def _is_entry(entry: _Entry) -> bool:
    return len(entry) == 5 and isinstance(entry[-1], str) and len(entry[-1]) == 64


@functools.cache
def shared() -> Contents:
    """The one cache of a process, in :func:`default_folder`."""
    return Contents(default_folder())
