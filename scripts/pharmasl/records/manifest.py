"""The manifest of a results folder: what each file holds and how it was made, kept with the files wherever they go.

``manifest.json`` lies in the results' folder. Paths in it are relative to that folder; raw files are named by their BIDS URI. It
holds digests of what the jobs were given, not the values where these are long, so nothing of the allocation beyond what the
tables of the same folder show.
"""

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pharmasl.errors import InputError

NAME = "manifest.json"
# Adds to itself, and is written outside of jobs too: its own entries say how it came about.
ALLOCATION_LOG = "study/allocation_log.json"
# What a run leaves beside its results.
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
    sha256 : str
        64 hexadecimal digits.
    """

    size: int
    date: int
    sha256: str


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
    environment : str
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
    def code(self):
        """The digest of the code; None where there is none."""
        return next((text.partition(": ")[2].strip('"') for text in self.params if text.startswith("code: ")), None)


@dataclass(frozen=True)
class Entry:
    """A file of the manifest: how it was made, and what it holds (None where it has served its turn and is gone)."""

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


def listing(root: str | os.PathLike) -> dict[str, tuple[int, int]]:
    """The results below a folder: path to size (bytes) and date (ns), without logs, benchmarks, records and hidden files."""
    return dict(_listed(os.fspath(root), ""))


def _listed(folder: str, above: str) -> Iterator[tuple[str, tuple[int, int]]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = f"{above}{entry.name}"
            if entry.name.startswith(".") or path in (*_BESIDE, NAME, ALLOCATION_LOG):
                continue
            if entry.is_dir():
                yield from _listed(entry.path, f"{path}/")
            elif entry.is_file():
                state = entry.stat()
                yield path, (state.st_size, state.st_mtime_ns)


def read(root: str | os.PathLike) -> Manifest | None:
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
            path,
            "Format",
            f"{type(error).__name__}: {error}"[:200],
            f"a manifest of format {_FORMAT}, whole",
            "Put a copy back, or remove it: results of which nothing else tells how they were made are then made again.",
        ) from None


def _parsed(written: dict) -> Manifest:
    found = Manifest(versions=written["Versions"])
    for job in written["Jobs"]:
        checksums = tuple(sorted(job.get("checksums", {}).items()))
        making = Making(
            job["rule"], tuple(job["params"]), tuple(job["inputs"]), tuple(job["log"]), job["environment"], checksums
        )
        for path, content in job["files"].items():
            found.files[path] = Entry(making, Content(*content) if content else None, job["versions"])
        found.sidecars |= {path: Content(*content) for path, content in job.get("sidecars", {}).items()}
    return found


def write(root: str | os.PathLike, manifest: Manifest) -> None:
    """Write the manifest of a results folder; it is replaced at once, and only if it says something else."""
    jobs: dict[tuple[Making, str], dict[str, Content | None]] = {}
    for path, entry in sorted(manifest.files.items()):
        jobs.setdefault((entry.making, entry.versions), {})[path] = entry.content
    lines = []
    for (making, versions), files in sorted(jobs.items(), key=lambda job: min(job[1])):
        beside = {
            sidecar(path): manifest.sidecars[sidecar(path)] for path in files if sidecar(path) in manifest.sidecars
        }
        job = {"rule": making.rule, "params": making.params, "inputs": making.inputs, "log": making.log}
        job |= {"environment": making.environment, "versions": versions, "files": _contents(files)}
        job |= {"sidecars": _contents(beside)} if beside else {}
        job |= {"checksums": dict(making.checksums)} if making.checksums else {}
        lines.append(json.dumps(job, ensure_ascii=False))
    used = {versions for _, versions in jobs}
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


def _contents(files: dict[str, Content | None]) -> dict[str, list | None]:
    return {path: [held.size, held.date, held.sha256] if held else None for path, held in files.items()}


def is_readable(path: str | os.PathLike) -> bool:
    """Whether a compressed file can be read to its end, its checksum included; True for other files."""
    if not os.fspath(path).endswith(".gz"):
        return True
    try:
        with gzip.open(path) as file:
            while file.read(2**20):
                pass
    except (OSError, EOFError, ValueError, gzip.zlib.error):
        return False
    return True
