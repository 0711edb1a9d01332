"""Whether a results folder is whole, and how each of its files was made; Snakemake and its memory are not needed.

./run verify results
./run verify results group/rest_interaction/rest_interaction_stat-t_statmap.nii.gz
./run verify --configfile my_study.yaml
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pharmasl.errors import InputError, wrapped
from pharmasl.files import contents
from pharmasl.records import manifest
from pharmasl.records.manifest import Content, Entry, Manifest

# Names of a list that are printed.
_MOST = 10
_FIX = {
    "missing": "Run the workflow again: it makes what it asks for and is gone.",
    "changed": "Put a copy back, or run the workflow again: it makes them anew.",
    "damaged": "They cannot be read to their end. Put a copy back, or run the workflow again: it makes them anew.",
    "unknown": "No record tells how they were made. Take them out of the folder if they are no results.",
}


@dataclass(frozen=True)
class Finding:
    """What a results folder holds, against its manifest; lists of paths below it.

    Attributes
    ----------
    whole : list of str
        Files that hold what they held.
    missing, changed, damaged, unknown : list of str
        Files that are gone, hold something else, cannot be read to their end, or stand in no manifest.
    """

    whole: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing but whole files was found."""
        return not (self.missing or self.changed or self.damaged or self.unknown)


def check(root: str | os.PathLike, known: Manifest) -> Finding:
    """Hold every file of a results folder against its manifest; each is read whole."""
    held: dict[str, Content] = {path: entry.content for path, entry in known.files.items() if entry.content}
    held = {path: content for path, content in {**held, **known.sidecars}.items() if path != manifest.ALLOCATION_LOG}
    found, there = Finding(), manifest.listing(root)
    for path, content in sorted(held.items()):
        if path not in there:
            found.missing.append(path)
        elif contents.read(Path(root, path)) == content.sha256:
            found.whole.append(path)
        elif manifest.is_readable(Path(root, path)):
            found.changed.append(path)
        else:
            found.damaged.append(path)
    found.unknown.extend(path for path in there if path not in held)
    return found


def described(path: str, entry: Entry, versions: dict[str, dict[str, str]]) -> str:
    """How a file was made, as lines of text."""
    making = entry.making
    lines = [path, f"  rule: {making.rule}", f"  code: {making.code}"]
    lines += ["  settings (a digest where they are long):"]
    lines += [f"    {text}" for text in sorted(making.params) if not text.startswith("code: ")]
    lines += [f"  inputs ({len(making.inputs)}):", *(f"    {name}" for name in making.inputs)]
    known = versions.get(entry.versions, {})
    lines += [f"  versions: {', '.join(f'{name} {number}' for name, number in sorted(known.items()))}"]
    if entry.content:
        lines += [f"  content: {entry.content.size} bytes, SHA-256 {entry.content.sha256}"]
    return "\n".join(lines)


def _report(root: str, known: Manifest) -> bool:
    found = check(root, known)
    for kind, fix in _FIX.items():
        paths = getattr(found, kind)
        if paths:
            more = [f"  and {len(paths) - _MOST} more"] if len(paths) > _MOST else []
            print(
                "\n".join([wrapped(f"{root}: {len(paths)} {kind}. {fix}"), *(f"  {p}" for p in paths[:_MOST]), *more])
            )
    rest = "nothing else is there, and nothing is missing" if found.is_whole else "the folder is not whole"
    print(f"{root}: {len(found.whole)} files hold what they held when they were made; {rest}.")
    return found.is_whole


def _file(root: str, name: str, known: Manifest) -> bool:
    """Tell of one file, given by its path below the results' folder or from here."""
    below = os.path.relpath(os.path.realpath(name), os.path.realpath(root)).replace(os.sep, "/")
    path = next((each for each in (name, below) if each in known.files), None)
    if path is None:
        beside = next((p for p in known.files if manifest.sidecar(p) in (name, below)), None)
        fix = f"It is the sidecar of {beside}: ask for that." if beside else "Give its path below the results' folder."
        raise InputError(manifest.NAME, name, "no such file", "a file of this results folder", fix)
    entry = known.files[path]
    print(described(path, entry, known.versions))
    file = Path(root, path)
    whole = entry.content is not None and file.is_file() and contents.read(file) == entry.content.sha256
    print("  It holds what it held when it was made." if whole else "  It is gone or holds something else now.")
    return whole


def _folder(arguments: argparse.Namespace) -> str:
    if arguments.results:
        return arguments.results
    if arguments.configfile is None:
        return "results"
    path = Path(arguments.configfile)
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        return os.path.expanduser(config["output_dir"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(
            path, "output_dir", str(error), "a configuration that names its results' folder", "Give the folder instead."
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0 where all that was asked for is whole, 1 where it is not, 2 where it cannot be told."""
    parser = argparse.ArgumentParser(prog="./run verify", description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="?", help="the results' folder (results, if no configuration is given)")
    parser.add_argument("files", nargs="*", help="files of it: how they were made")
    parser.add_argument("--configfile", help="a configuration: its output_dir is the results' folder")
    given = parser.parse_args(arguments)
    if given.configfile and given.results:
        given.results, given.files = None, [given.results, *given.files]
    try:
        root = _folder(given)
        known = manifest.read(root) if os.path.isdir(root) else None
        if known is None:
            raise InputError(
                root,
                manifest.NAME,
                "none",
                "a results folder with its manifest",
                "Run the workflow on it: a run writes the manifest, also where nothing is to be done.",
            )
        if given.files:
            whole = [_file(root, name, known) for name in given.files]
            return 0 if all(whole) else 1
        return 0 if _report(root, known) else 1
    except InputError as error:
        print(wrapped(error), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
