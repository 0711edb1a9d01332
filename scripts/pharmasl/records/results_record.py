"""Snakemake's records of a results folder, restored from the manifest and saved to it.

Snakemake records how it made a file in the folder that it was started in, by the file's path as it was written. Of results
that were copied, are reached from another folder or by another path, or whose ``.snakemake`` is gone it knows only the dates,
and it finds nothing to do, whatever settings they were made with. So before the plan, missing records are restored from the
results' manifest. A file whose origin is not known, or whose content has changed, gets a record that matches no job: it is
made again.
"""

import ast
import dataclasses
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pharmasl.errors import InputError
from pharmasl.files.contents import Contents
from pharmasl.records import fingerprints, manifest
from pharmasl.records.manifest import Content, Entry, FileState, Making, Manifest

# A rule that does not exist.
UNKNOWN = Making("unknown", params=("origin: unknown, or changed since it was made",))
# Dates are kept as floating-point seconds by Snakemake and cut by some file systems; s.
_SAME_DATE = 1e-3


class Origin(NamedTuple):
    """How a file was made, its date then, in s since 1970, and whether Snakemake has a record of it."""

    making: Making
    date: float
    is_recorded: bool = True


@dataclass(frozen=True)
class Memory:
    """Snakemake's records of the files of one results folder.

    Attributes
    ----------
    persistence : snakemake.persistence.PersistenceBase
    record : type
        Snakemake's class of a record of a file.
    version : int
        Of the format of these records.
    root : str
        The results' folder as the rules' outputs are written.
    """

    persistence: Any
    record: Callable[..., Any]
    version: int
    root: str

    def read(self, path: str) -> Origin | None:
        """The origin of a file; None where Snakemake has no record of it."""
        known = self.persistence._read_record(self._full_name(path))
        if known is None or known.params is None or known.endtime is None:
            return None
        checksums = {self._below(name): checksum for name, checksum in (known.input_checksums or {}).items()}
        making = Making(
            rule=known.rule,
            params=tuple(str(ast.literal_eval(param)) for param in known.params),
            inputs=tuple(self._below(name) for name in known.input or ()),
            log=tuple(self._below(name) for name in known.log or ()),
            environment=known.software_stack_hash,
            checksums=tuple(sorted(checksums.items())),
        )
        return Origin(making, known.endtime)

    def write(self, path: str, making: Making, date: float) -> None:
        """Write Snakemake's record of how a file was made."""
        self.persistence._write_record(
            self._full_name(path),
            self.record(
                rule=making.rule,
                params=sorted(map(repr, making.params)),
                input=sorted(map(self._full_name, making.inputs)),
                log=sorted(map(self._full_name, making.log)),
                software_stack_hash=making.environment,
                input_checksums={self._full_name(name): checksum for name, checksum in making.checksums},
                starttime=date,
                endtime=date,
                incomplete=False,
                record_format_version=self.version,
            ),
        )

    def forget_cache(self) -> None:
        """Have Snakemake read its records again."""
        self.persistence._clear_cache()

    def _below(self, name: str) -> str:
        if name.startswith(f"{self.root}/"):
            return name.removeprefix(f"{self.root}/")
        return name if "::" in name else f"path::{name}"

    def _full_name(self, name: str) -> str:
        if name.startswith("path::"):
            return name.removeprefix("path::")
        return name if "::" in name else f"{self.root}/{name}"


@dataclass(frozen=True)
class _Folder:
    """A results folder as it stands."""

    root: str
    memory: Memory
    contents: Contents
    files: dict[str, FileState]
    known: Manifest | None

    def entry(self, path: str) -> Entry | None:
        return self.known.files.get(path) if self.known else None

    def holds(self, path: str, content: Content) -> bool:
        """Whether a file is unchanged: by its digest, or where it was never read on this machine, by size and date."""
        if path not in self.files or self.files[path].size != content.size:
            return False
        file = os.path.join(self.root, path)
        if self.files[path].date == content.date and not self.contents.is_remembered(file):
            return True
        return self.contents.digest(file) == content.sha256

    def content(self, path: str, before: Content | None) -> Content:
        """What a file holds; it is read only where it is not as ``before``."""
        size, date = self.files[path]
        file = os.path.join(self.root, path)
        if before and (before.size, before.date) == (size, date) and not self.contents.is_remembered(file):
            return before
        return Content(size, date, self.contents.digest(file))

    def origin(self, path: str) -> Origin | None:
        """The origin of a file; None where no record is of its present content."""
        size, date = self.files[path]
        entry, record = self.entry(path), self.memory.read(path)
        if record and record.making.rule == UNKNOWN.rule:
            record = None
        content = entry.content if entry else None
        listed = content if content and (content.size, content.date) == (size, date) else None
        if record and abs(record.date - date / 1e9) < _SAME_DATE and (not listed or self.holds(path, listed)):
            return record if self._sidecar_is_whole(path) or not listed else None
        if entry and content and self.holds(path, content) and self._sidecar_is_whole(path):
            return Origin(entry.making, content.date / 1e9, is_recorded=False)
        # Results from before there were manifests: only Snakemake's records say how they were made.
        return record if record and (self.known is None or (entry and not content)) else None

    def _sidecar_is_whole(self, path: str) -> bool:
        beside = manifest.sidecar(path)
        content = self.known.sidecars.get(beside) if self.known and beside else None
        return beside is None or content is None or self.holds(beside, content)


def _folder(root: str, memory: Memory, contents: Contents) -> _Folder:
    try:
        known = manifest.read(root)
    except InputError:
        known = None
    return _Folder(root, memory, contents, manifest.listing(root), known)


def restore(
    root: str,
    memory: Memory,
    contents: Contents,
    outputs_with: Callable[[str], list[str]],
    *,
    set_dates: bool = True,
) -> list[str]:
    """Restore Snakemake's records of the files of a results folder from their manifest.

    Parameters
    ----------
    root : str
        The results' folder.
    memory : Memory
    contents : pharmasl.files.contents.Contents
    outputs_with : callable
        Returns the outputs of the job that makes a file, itself among them; none for a file that no rule makes.
    set_dates : bool
        Whether to set the dates of files that a copy has changed to what they were; not while another run writes.

    Returns
    -------
    list of str
        Paths of outputs whose origin is not known, or that were changed since: they will be made again.
    """
    folder, unknown = _folder(root, memory, contents), []
    for path, (_, date) in folder.files.items():
        origin = folder.origin(path)
        if origin:
            if not origin.is_recorded:
                memory.write(path, origin.making, origin.date)
            entry = folder.entry(path)
            content = entry.content if entry else None
            if set_dates and content and origin.date == content.date / 1e9 and date != content.date:
                _set_date(os.path.join(root, path), content.date)
        elif together := outputs_with(path):
            unknown.append(path)
            memory.write(path, UNKNOWN, date / 1e9)
            # Snakemake compares nothing where it has no record of one output of a job.
            for other in together:
                if other not in folder.files and not folder.entry(other) and memory.read(other) is None:
                    memory.write(other, UNKNOWN, 0)
    # Files that are gone: Snakemake looks for what was made and is missing.
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
    root: str,
    memory: Memory,
    contents: Contents,
    *,
    versions: dict[str, str],
    outputs: Iterable[str],
    is_temporary: Callable[[str], bool] = lambda path: False,
    is_complete: bool,
) -> None:
    """Update the manifest of a results folder: how its files were made.

    Parameters
    ----------
    root, memory, contents
        As for :func:`restore`.
    versions : dict of str to str
        Of the software that computes.
    outputs : iterable of str
        Paths below the folder of the outputs of the plan.
    is_temporary : callable
        Says of a path below the folder whether its file is removed once it has been used.
    is_complete : bool
        Whether all that the configuration asks for is there: files that are gone then leave the manifest.
    """
    # Of the last jobs, Snakemake still holds the records that it read before it wrote them.
    memory.forget_cache()
    folder = _folder(root, memory, contents)
    now = fingerprints.digest(versions)
    new = Manifest(versions={**(folder.known.versions if folder.known else {}), now: versions})
    listed = folder.known.files if folder.known else {}
    for path in sorted({*folder.files, *listed, *outputs, manifest.ALLOCATION_LOG}):
        before = listed.get(path)
        if path in folder.files:
            if origin := folder.origin(path):
                content = folder.content(path, before.content if before else None)
                made_with = before.versions if before and before.content == content else now
                new.files[path] = Entry(_narrow(folder, origin.making, content), content, made_with)
                beside = manifest.sidecar(path)
                if beside and beside in folder.files and beside not in outputs:
                    known = folder.known.sidecars.get(beside) if folder.known else None
                    new.sidecars[beside] = folder.content(beside, known)
        elif before and before.content and not is_complete and not is_temporary(path):
            new.files[path] = before
        elif (not before or not before.content or is_temporary(path)) and (record := memory.read(path)):
            new.files[path] = Entry(_narrow(folder, record.making, None), None, before.versions if before else now)
    # A sidecar that is an output of its own has its own entry.
    new.sidecars = {path: content for path, content in new.sidecars.items() if path not in new.files}
    manifest.write(root, new)


def _narrow(folder: _Folder, making: Making, content: Content | None) -> Making:
    """How a file was made, without the checksums of inputs that are older than it: for those the dates suffice."""
    kept = tuple(
        (name, checksum)
        for name, checksum in making.checksums
        if content and name in folder.files and folder.files[name].date > content.date
    )
    return dataclasses.replace(making, checksums=kept)
