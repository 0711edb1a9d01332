"""One run at a time in a results folder, wherever the runs are started.

Snakemake's own lock lies in the folder that it was started in, so that runs from two folders would write into the same results.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
import sys
from io import TextIOWrapper
from pathlib import Path

from pharmasl.errors import FilePath, InputError, wrapped

NAME = ".lock"
# File systems that cannot lock: some network shares.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


class FolderLock:
    """The lock of a results folder, held from :meth:`acquire` to :meth:`release` or the end of the process, however it ends.

    Parameters
    ----------
    folder : path-like
    """

    def __init__(self, folder: FilePath) -> None:
        self._path = Path(folder).absolute() / NAME
        self._file: TextIOWrapper | None = None

    def acquire(self) -> None:
        """Lock the folder, which exists; nothing happens where this process holds it already.

        Raises
        ------
        InputError
            If another process holds it.
        """
        while self._file is None:
            file = open(self._path, "a+", encoding="utf-8")  # noqa: SIM115 - held
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _holder(file)
                file.close()
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    raise InputError(
                        file=self._path,
                        field="run",
                        found=holder,
                        expected="no other run that writes into this folder",
                        fix="Wait until it has ended or stop it. The lock ends with its process; the file need not be removed.",
                    ) from None
                if error.errno not in _NO_LOCKS:
                    raise
                print(
                    wrapped(f"{self._path}: this file system has no locks. Make sure that no other run writes here."),
                    file=sys.stderr,
                )
                return
            if _is_at(file, self._path):
                self._file = file
            else:
                file.close()  # its last holder removed it in between
        self._file.truncate(0)
        start = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        json.dump({"host": socket.gethostname(), "process": os.getpid(), "since": start}, self._file)
        self._file.flush()

    def is_held_by_another(self) -> bool:
        """Whether another process holds the lock now."""
        if self._file is not None or not self._path.is_file():
            return False
        with open(self._path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError as error:
                return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
        return False

    def release(self) -> None:
        """Free the folder; nothing happens where it is not held."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None


def _is_at(file: TextIOWrapper, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(file: TextIOWrapper) -> str:
    """Who holds a lock, in words."""
    try:
        file.seek(0)
        known = json.loads(file.read())
        return f"process {known['process']} on {known['host']}, since {known['since']}"
    except (ValueError, KeyError, TypeError):
        return "another run"
