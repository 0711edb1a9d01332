"""Whether a results folder is complete and unchanged, and how each of its files was made, without Snakemake's own records.

./run verify results
./run verify results group/rest_interaction/contrast-restInteraction_stat-t_statmap.nii.gz
./run verify --configfile my_study.yaml
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pharmasl.errors import FilePath, InputError, wrapped
from pharmasl.files import contents
from pharmasl.records import manifest
from pharmasl.records.manifest import Content, Entry, Manifest

# Names printed of each list.
_MOST = 10
_FIX = {
    "missing": "Run the workflow again: it makes those that it still needs.",
    "changed": "Restore them from a copy, or run the workflow again: it makes them again.",
    "damaged": "They cannot be read to their end. Restore them from a copy, or run the workflow again: it makes them again.",
    "unknown": "No record says how they were made. Move them out of the folder if they are no results.",
}


@dataclass(frozen=True)
class Finding:
    """The files of a results folder compared with its manifest; lists of paths below the folder.

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
        """Whether every file is as the manifest has it."""
        return not (self.missing or self.changed or self.damaged or self.unknown)


def check(root: FilePath, known: Manifest) -> Finding:
    """Compare every file of a results folder with its manifest; each is read to its end."""
    held: dict[str, Content] = {path: entry.content for path, entry in known.files.items() if entry.content}
    held = {path: content for path, content in {**held, **known.sidecars}.items() if path != manifest.ALLOCATION_LOG}
    finding, there = Finding(), manifest.listing(root)
    for path, content in sorted(held.items()):
        if path not in there:
            finding.missing.append(path)
        elif contents.read(Path(root, path)) == content.sha256:
            finding.whole.append(path)
        elif manifest.is_readable(Path(root, path)):
            finding.changed.append(path)
        else:
            finding.damaged.append(path)
    finding.unknown.extend(path for path in there if path not in held)
    return finding


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
    finding = check(root, known)
    for kind, fix in _FIX.items():
        paths = getattr(finding, kind)
        if paths:
            more = [f"  and {len(paths) - _MOST} more"] if len(paths) > _MOST else []
            print(
                "\n".join([wrapped(f"{root}: {len(paths)} {kind}. {fix}"), *(f"  {p}" for p in paths[:_MOST]), *more])
            )
    rest = "nothing else is there, and nothing is missing" if finding.is_whole else "the folder is not whole"
    print(f"{root}: {len(finding.whole)} files hold what they held when they were made; {rest}.")
    return finding.is_whole


def _file(root: str, name: str, known: Manifest) -> bool:
    """Print how one file was made, named by its path below the results' folder or from the working directory."""
    below = os.path.relpath(os.path.realpath(name), os.path.realpath(root)).replace(os.sep, "/")
    path = next((candidate for candidate in (name, below) if candidate in known.files), None)
    if path is None:
        beside = next((p for p in known.files if manifest.sidecar(p) in (name, below)), None)
        fix = f"It is the sidecar of {beside}: ask for that." if beside else "Give its path below the results' folder."
        raise InputError(
            file=manifest.NAME, field=name, found="no such file", expected="a file of this results folder", fix=fix
        )
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
            file=path,
            field="output_dir",
            found=str(error),
            expected="a configuration that names its results' folder",
            fix="Name the folder instead.",
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 if all that was asked for is whole, 1 if it is not, 2 if that cannot be determined."""
    parser = argparse.ArgumentParser(prog="./run verify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="?", help="the results' folder (results, if no configuration is given)")
    parser.add_argument("files", nargs="*", help="files of it: how they were made")
    parser.add_argument("--configfile", help="a configuration: its output_dir is the results' folder")
    options = parser.parse_args(arguments)
    if options.configfile and options.results:
        options.results, options.files = None, [options.results, *options.files]
    try:
        root = _folder(options)
        known = manifest.read(root) if os.path.isdir(root) else None
        if known is None:
            raise InputError(
                file=root,
                field=manifest.NAME,
                found="none",
                expected="a results folder with its manifest",
                fix="Run the workflow on it: a run writes the manifest, even where nothing is to be done.",
            )
        if options.files:
            whole = [_file(root, name, known) for name in options.files]
            return 0 if all(whole) else 1
        return 0 if _report(root, known) else 1
    except InputError as error:
        print(wrapped(error), file=sys.stderr)
        return 2


if __name__ == "__main__":
    # Ends quietly, as other commands do, where the reader of its output has ended (| head).
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
