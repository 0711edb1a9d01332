"""The manifest of a results folder: what each file holds and how it was made, kept with the files wherever they go.

``manifest.json`` lies in the results' folder. Paths in it are relative to that folder; raw files are named by their BIDS URI.
Long values of the jobs' parameters stand there as digests, so that the manifest reveals no more of the allocation than the
tables of the same folder do.
"""

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pharmasl.errors import FilePath, InputError

NAME = "manifest.json"
# Grows, and is written outside of jobs too: its own entries say how it was made.
ALLOCATION_LOG = "study/allocation_log.json"
# What a run leaves next to its results.
_BESIDE = ("logs", "benchmarks")
_FORMAT = 1

_DESCRIPTION = (
    "How each file of this folder was made. jobs: the rule, its parameters and the digest of its code, its inputs (paths below "
    "this folder; raw files as BIDS URIs), the files that it made with size in bytes, date in ns and SHA-256 (none for files that "
    "are removed when they have served), and the tables' sidecars. versions: of the software, by the name that a job gives."
)


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes
    ----------
    size : int
        Bytes.
    date : int
        Of the last change, in ns since 1970.
    sha256 : str or None
        64 hexadecimal digits; None of a file that was removed before it could be read.
    """

    size: int
    date: int
    sha256: str | None


@dataclass(frozen=True)
class Making:
    """How a job made its files.

    Attributes
    ----------
    rule : str
    params : tuple of str
        Each ``name: value``, or a digest in the value's place; ``code`` among them.
    inputs, log : tuple of str
        Paths below the results' folder, BIDS URIs, or other names with ``::``.
    environment : str or None
        Snakemake's digest of the rule's software environment.
    checksums : tuple of (str, str)
        Inputs that are newer than the files made from them, with the checksum that they had.
    """

    rule: str
    params: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    environment: str | None = None
    checksums: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> str | None:
        """The digest of the code; None where there is none."""
        return next((text.partition(": ")[2].strip('"') for text in self.params if text.startswith("code: ")), None)


@dataclass(frozen=True)
class Entry:
    """A file of the manifest.

    Attributes
    ----------
    making : Making
        How it was made.
    content : Content or None
        What it holds; None for a temporary file that has been removed.
    versions : str
        Name of the versions of the software that made it, see :class:`Manifest`.
    """

    making: Making
    content: Content | None
    versions: str = ""


@dataclass
class Manifest:
    """All files of a results folder.

    Attributes
    ----------
    files : dict of str to Entry
        By path below the folder.
    sidecars : dict of str to Content
        JSON files that were written beside a table of the same name.
    versions : dict of str to dict
        Versions of the software, by the name that entries give.
    """

    files: dict[str, Entry] = field(default_factory=dict)
    sidecars: dict[str, Content] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)


def sidecar(path: str) -> str | None:
    """The name of the JSON file that may lie beside a table or an image; None for another kind of file."""
    for ending in (".tsv", ".nii.gz", ".nii"):
        if path.endswith(ending):
            return f"{path.removesuffix(ending)}.json"
    return None


class FileState(NamedTuple):
    """Size in bytes and date of the last change, in ns since 1970, of a file as it lies in the folder."""

    size: int
    date: int


def listing(root: FilePath) -> dict[str, FileState]:
    """The results below a folder by path, without logs, benchmarks, records and hidden files."""
    return dict(_listed(os.fspath(root), ""))


def _listed(folder: str, above: str) -> Iterator[tuple[str, FileState]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda item: item.name):
            path = f"{above}{entry.name}"
            if entry.name.startswith(".") or path in (*_BESIDE, NAME, ALLOCATION_LOG):
                continue
            if entry.is_dir():
                yield from _listed(entry.path, f"{path}/")
            elif entry.is_file():
                state = entry.stat()
                yield path, FileState(state.st_size, state.st_mtime_ns)


def read(root: FilePath) -> Manifest | None:
    """Read the manifest of a results folder.

    Returns
    -------
    Manifest or None
        None where there is none.

    Raises
    ------
    InputError
        If it is damaged, or of another version.
    """
    path = Path(root, NAME)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        written = json.loads(text)
        if written["Format"] != _FORMAT:
            raise ValueError(f"Format {written['Format']}")
        return _parsed(written)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            file=path,
            field="Format",
            found=f"{type(error).__name__}: {error}"[:200],
            expected=f"a complete manifest of format {_FORMAT}",
            fix="Restore it from a copy, or remove it: results whose origin nothing else records are then made again.",
        ) from None


def _parsed(written: dict[str, Any]) -> Manifest:
    manifest = Manifest(versions=written["Versions"])
    for job in written["Jobs"]:
        checksums = tuple(sorted(job.get("checksums", {}).items()))
        making = Making(
            rule=job["rule"],
            params=tuple(job["params"]),
            inputs=tuple(job["inputs"]),
            log=tuple(job["log"]),
            environment=job["environment"],
            checksums=checksums,
        )
        for path, content in job["files"].items():
            manifest.files[path] = Entry(making, Content(*content) if content else None, job["versions"])
        manifest.sidecars |= {path: Content(*content) for path, content in job.get("sidecars", {}).items()}
    return manifest


def write(root: FilePath, manifest: Manifest) -> None:
    """Write the manifest of a results folder; it is replaced at once, and only if it says something else."""
    jobs: dict[tuple[Making, str], dict[str, Content | None]] = {}
    for name, entry in sorted(manifest.files.items()):
        jobs.setdefault((entry.making, entry.versions), {})[name] = entry.content
    lines = []
    for (making, software), files in sorted(jobs.items(), key=lambda job: min(job[1])):
        beside = {path: manifest.sidecars[path] for path in map(sidecar, files) if path in manifest.sidecars}
        job: dict[str, Any] = {"rule": making.rule, "params": making.params, "inputs": making.inputs, "log": making.log}
        job |= {"environment": making.environment, "versions": software, "files": _contents(files)}
        job |= {"sidecars": _contents(beside)} if beside else {}
        job |= {"checksums": dict(making.checksums)} if making.checksums else {}
        lines.append(json.dumps(job, ensure_ascii=False))
    used = {software for _, software in jobs}
    versions = {name: known for name, known in sorted(manifest.versions.items()) if name in used}
    head = {"Description": _DESCRIPTION, "Format": _FORMAT, "Versions": versions}
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "Jobs": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    path = Path(root, NAME)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    descriptor, new = tempfile.mkstemp(dir=root, prefix=f".{NAME}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(new, 0o666 & ~umask)
        os.replace(new, path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def _contents(files: Mapping[str, Content | None]) -> dict[str, list[int | str | None] | None]:
    return {path: [held.size, held.date, held.sha256] if held else None for path, held in files.items()}


def is_readable(path: FilePath) -> bool:
    """Whether a compressed file can be read to its end, its checksum included; True for other files."""
    if not os.fspath(path).endswith(".gz"):
        return True
    try:
        with gzip.open(path) as file:
            while file.read(2**20):
                pass
    except (OSError, EOFError, ValueError, zlib.error):
        return False
    return True
