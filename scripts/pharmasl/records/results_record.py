"""Snakemake's memory of a results folder, kept with the results.

Snakemake remembers how it made a file in the folder that it was started in, by the file's path as it was written. Results that
were copied, are reached from another folder or by another path, or whose ``.snakemake`` is gone are files of which it knows
the dates alone, and it finds nothing to do, whatever settings they were made with. So before the plan, what it does not know of
these files is put back from their manifest, and it decides as if it had always known. A file of which nobody knows how it was
made, or which does not hold what it held, gets a record that matches no job: it is made again.
"""

import ast
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import InputError
from pharmasl.files.contents import Contents
from pharmasl.records import fingerprints, manifest
from pharmasl.records.manifest import Content, Entry, Making, Manifest

# A rule that does not exist.
UNKNOWN = Making("unknown", params=("origin: unknown, or changed since it was made",))
# Dates are kept as floating-point seconds by Snakemake and cut by some file systems; s.
_SAME_DATE = 1e-3


@dataclass(frozen=True)
class Memory:
    """Snakemake's records of the files of one results folder.

    Attributes
    ----------
    persistence : snakemake.persistence.PersistenceBase
    record : type
        Of a record there.
    version : int
        Of its format.
    root : str
        The results' folder as the rules' outputs are written.
    """

    persistence: Any
    record: type
    version: int
    root: str

    def read(self, path: str) -> tuple[Making, float] | None:
        """How a file was made, and its date then, s; None where Snakemake does not know."""
        known = self.persistence._read_record(self._spelt(path))
        if known is None or known.params is None or known.endtime is None:
            return None
        checksums = {self._below(name): checksum for name, checksum in (known.input_checksums or {}).items()}
        making = Making(
            known.rule,
            tuple(str(ast.literal_eval(param)) for param in known.params),
            tuple(self._below(name) for name in known.input or ()),
            tuple(self._below(name) for name in known.log or ()),
            known.software_stack_hash,
            tuple(sorted(checksums.items())),
        )
        return making, known.endtime

    def write(self, path: str, making: Making, date: float) -> None:
        """Have Snakemake know how a file was made."""
        self.persistence._write_record(
            self._spelt(path),
            self.record(
                rule=making.rule,
                params=sorted(map(repr, making.params)),
                input=sorted(map(self._spelt, making.inputs)),
                log=sorted(map(self._spelt, making.log)),
                software_stack_hash=making.environment,
                input_checksums={self._spelt(name): checksum for name, checksum in making.checksums},
                starttime=date,
                endtime=date,
                incomplete=False,
                record_format_version=self.version,
            ),
        )

    def forget_cache(self) -> None:
        """Have Snakemake read its records anew."""
        self.persistence._clear_cache()

    def _below(self, name: str) -> str:
        if name.startswith(f"{self.root}/"):
            return name.removeprefix(f"{self.root}/")
        return name if "::" in name else f"path::{name}"

    def _spelt(self, name: str) -> str:
        if name.startswith("path::"):
            return name.removeprefix("path::")
        return name if "::" in name else f"{self.root}/{name}"


@dataclass(frozen=True)
class _Folder:
    """A results folder as it stands."""

    root: str
    memory: Memory
    contents: Contents
    files: dict[str, tuple[int, int]]
    known: Manifest | None

    def entry(self, path: str) -> Entry | None:
        return self.known.files.get(path) if self.known else None

    def holds(self, path: str, content: Content) -> bool:
        """Whether a file holds what it held: by its digest, or where it was never read here, by size and date."""
        if path not in self.files or self.files[path][0] != content.size:
            return False
        file = os.path.join(self.root, path)
        if self.files[path][1] == content.date and not self.contents.is_remembered(file):
            return True
        return self.contents.digest(file) == content.sha256

    def content(self, path: str, before: Content | None) -> Content:
        """What a file holds; it is read only where it is not as ``before``."""
        size, date = self.files[path]
        file = os.path.join(self.root, path)
        if before and (before.size, before.date) == (size, date) and not self.contents.is_remembered(file):
            return before
        return Content(size, date, self.contents.digest(file))

    def making(self, path: str) -> tuple[Making, float, bool] | None:
        """How a file was made, its date, s, and whether Snakemake knows so; None where no record is of its content."""
        size, date = self.files[path]
        entry, record = self.entry(path), self.memory.read(path)
        if record and record[0].rule == UNKNOWN.rule:
            record = None
        content = entry.content if entry else None
        of_manifest = content is not None and (content.size, content.date) == (size, date)
        if record and abs(record[1] - date / 1e9) < _SAME_DATE and (not of_manifest or self.holds(path, content)):
            return (*record, True) if self._sidecar_is_whole(path) or not of_manifest else None
        if content and self.holds(path, content) and self._sidecar_is_whole(path):
            return entry.making, content.date / 1e9, False
        # Results of before there were manifests: Snakemake's word is all that there is.
        return (*record, True) if record and (self.known is None or (entry and not content)) else None

    def _sidecar_is_whole(self, path: str) -> bool:
        beside = manifest.sidecar(path)
        content = self.known.sidecars.get(beside) if self.known else None
        return content is None or self.holds(beside, content)


def _folder(root: str, memory: Memory, contents: Contents) -> _Folder:
    try:
        known = manifest.read(root)
    except InputError:
        known = None
    return _Folder(root, memory, contents, manifest.listing(root), known)


def restore(
    root: str, memory: Memory, contents: Contents, outputs_with: Callable[[str], list[str]], set_dates: bool = True
) -> list[str]:
    """Have Snakemake know of the files of a results folder what their manifest tells.

    Dates of files that a copy has changed are set to what they were, unless another run may be writing them.

    Parameters
    ----------
    root : str
        The results' folder.
    memory : Memory
    contents : pharmasl.files.contents.Contents
    outputs_with : callable
        Gives the outputs of the job that makes a file, itself among them; none for a file that no rule makes.
    set_dates : bool

    Returns
    -------
    list of str
        Paths of outputs of which nobody knows how they were made, or that were changed since: they will be made again.
    """
    folder, unknown = _folder(root, memory, contents), []
    for path, (_, date) in folder.files.items():
        making = folder.making(path)
        if making:
            how, then, is_remembered = making
            if not is_remembered:
                memory.write(path, how, then)
            content = folder.entry(path).content if folder.entry(path) else None
            if set_dates and content and then == content.date / 1e9 and date != content.date:
                _set_date(os.path.join(root, path), content.date)
        elif together := outputs_with(path):
            unknown.append(path)
            memory.write(path, UNKNOWN, date / 1e9)
            # Snakemake compares nothing where it has no record of one output of a job.
            for other in together:
                if other not in folder.files and not folder.entry(other) and memory.read(other) is None:
                    memory.write(other, UNKNOWN, 0)
    # What is gone: Snakemake looks for what was made and is missing.
    for path, entry in folder.known.files.items() if folder.known else ():
        if path not in folder.files and memory.read(path) is None:
            memory.write(path, entry.making, entry.content.date / 1e9 if entry.content else 0)
    memory.forget_cache()
    return unknown


def _set_date(path: str, date: int) -> None:
    try:
        os.utime(path, ns=(date, date))
    except PermissionError:
        # Another's file: what depends on it may be made again, for its date.
        return


def update(
    root: str, memory: Memory, contents: Contents, versions: dict[str, str], outputs: Iterable[str], is_complete: bool
) -> None:
    """Write down in the manifest of a results folder how its files were made.

    Parameters
    ----------
    root, memory, contents
        As for :func:`restore`.
    versions : dict of str to str
        Of the software that computes.
    outputs : iterable of str
        Paths below the folder of the outputs of the plan.
    is_complete : bool
        Whether all that the configuration asks for is there: what is missing is not asked for any more, and not missed.
    """
    # Snakemake keeps what it read of a record before it wrote it, of the last jobs.
    memory.forget_cache()
    folder = _folder(root, memory, contents)
    now = fingerprints.digest(versions)
    new = Manifest(versions={**(folder.known.versions if folder.known else {}), now: versions})
    listed = folder.known.files if folder.known else {}
    for path in sorted({*folder.files, *listed, *outputs, manifest.ALLOCATION_LOG}):
        before = listed.get(path)
        if path in folder.files:
            making = folder.making(path)
            if making:
                content = folder.content(path, before.content if before else None)
                kept = before is not None and before.content == content
                new.files[path] = Entry(_narrow(folder, making[0], content), content, before.versions if kept else now)
                beside = manifest.sidecar(path)
                if beside in folder.files and beside not in outputs:
                    known = folder.known.sidecars.get(beside) if folder.known else None
                    new.sidecars[beside] = folder.content(beside, known)
        elif before and before.content and not is_complete:
            new.files[path] = before
        elif (not before or not before.content) and (record := memory.read(path)):
            new.files[path] = Entry(_narrow(folder, record[0], None), None, before.versions if before else now)
    # A sidecar that is an output of its own has its own entry.
    new.sidecars = {path: content for path, content in new.sidecars.items() if path not in new.files}
    manifest.write(root, new)


def _narrow(folder: _Folder, making: Making, content: Content | None) -> Making:
    """Without the checksums of inputs whose dates say enough: those that are older than the file."""
    kept = tuple(
        (name, checksum)
        for name, checksum in making.checksums
        if content and name in folder.files and folder.files[name][1] > content.date
    )
    return Making(making.rule, making.params, making.inputs, making.log, making.environment, kept)
