"""Which code an output comes from: a digest of a script and of all modules of this package that it imports.

Snakemake notices a changed script but not a changed module behind it. The digest goes into each rule's parameters, so
an edit of a module reruns the rules that use it, while touching a file or moving the repository reruns nothing.
"""

import functools
import hashlib
import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pharmasl import __version__

PACKAGE = Path(__file__).resolve().parents[1]
SCRIPTS = PACKAGE.parent

_PACKAGES = (
    "snakemake",
    "antspyx",
    "nibabel",
    "nilearn",
    "numba",
    "numpy",
    "onnxruntime",
    "pandas",
    "picsl-greedy",
    "scipy",
    "SimpleITK",
    "statsmodels",
)
# Folders whose files decide what the workflow does, and kinds of files that running it leaves there.
_WORKFLOW = ("rules", "scripts", "envs", "config/calibrations", "config/schemas")
_MADE = (".pyc", ".nbi", ".nbc")


def _module_file(name: str) -> Path | None:
    path = SCRIPTS.joinpath(*name.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


# An import statement of this package: a regular expression, as parsing all files would take a third of a job's start. It may
# see one in a docstring, which makes a digest cover more than it needs to.
_IMPORT = re.compile(
    rf"^[ \t]*(?:from[ \t]+(?P<module>{PACKAGE.name}[\w.]*)[ \t]+)?import[ \t]+(?P<members>\([^)]*\)|[^\n#]*)",
    re.MULTILINE,
)


@functools.cache
def _imports(path: Path) -> frozenset[Path]:
    """Modules of the package that a file names in its import statements, the packages that hold them included."""
    names: set[str] = set()
    for line in _IMPORT.finditer(path.read_text(encoding="utf-8")):
        module, members = line["module"], re.findall(r"[\w.]+", line["members"])
        # "as" and its name are no modules, and find no file.
        names.update([module, *(f"{module}.{name}" for name in members)] if module else members)
    ours = {name for name in names if name.split(".")[0] == PACKAGE.name}
    ours |= {name.rsplit(".", k)[0] for name in ours for k in range(1, name.count(".") + 1)}
    return frozenset(file for file in map(_module_file, ours) if file)


def closure(script: str | Path) -> list[Path]:
    """All files of this package that a script's result may depend on, itself included.

    Parameters
    ----------
    script : str or Path
        A script's name without ``.py``, or its path.

    Returns
    -------
    list of Path
        Sorted: the script, the modules it imports, directly or not, and the data files (network weights, page
        templates) that lie in the folders of those modules.
    """
    pending = [SCRIPTS / f"{script}.py" if isinstance(script, str) else Path(script)]
    files: set[Path] = set()
    while pending:
        path = pending.pop()
        if path not in files:
            files.add(path)
            pending += _imports(path)
    for folder in {path.parent for path in files if path.parent not in (SCRIPTS, PACKAGE)}:
        files.update(
            path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix not in (".py", ".md", *_MADE) and "__pycache__" not in path.parts
        )
    return sorted(files)


@functools.cache
def _file_digest(path: Path) -> bytes:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()


@functools.cache
def digest(script: str | Path) -> str:
    """A digest (16 hexadecimal digits) of the content of :func:`closure`, independent of where the repository lies."""
    total = hashlib.blake2b(digest_size=8)
    for path in closure(script):
        total.update(path.relative_to(SCRIPTS).as_posix().encode() + b"\0" + _file_digest(path))
    return total.hexdigest()


def files() -> dict[str, str]:
    """The digest of each file that makes the workflow what it is: rules, scripts, environments, calibrations, schemas.

    Returns
    -------
    dict of str to str
        Path below the repository to a digest (32 hexadecimal digits), sorted.
    """
    root = SCRIPTS.parent
    paths = [root / "Snakefile", *(path for folder in _WORKFLOW for path in (root / folder).rglob("*"))]
    return {
        path.relative_to(root).as_posix(): _file_digest(path).hex()
        for path in sorted(paths)
        if path.is_file() and path.suffix not in _MADE
    }


def versions() -> dict[str, str]:
    """Versions of this workflow, of Python and of the packages that compute, as installed where Snakemake runs.

    Returns
    -------
    dict of str to str
        Packages that are not installed are left out: a rule's own environment may have them.
    """
    installed = {"pharmasl": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def pinned(environments: Iterable[str]) -> dict[str, str]:
    """Versions of this workflow, and of the packages that compute, as the conda environments of the rules fix them.

    Parameters
    ----------
    environments : iterable of str
        Names of files in ``envs/``, the most common first.

    Returns
    -------
    dict of str to str
        As :func:`versions` returns them; where the files differ, each version with the names of the environments.
    """
    numbers_of: dict[str, dict[str, list[str]]] = {}
    for name in environments:
        text = (SCRIPTS.parent / "envs" / name).read_text(encoding="utf-8")
        for package, number in re.findall(r"^ *- ([\w.-]+)={1,2}([^\s#]+)", text, re.MULTILINE):
            environments_of = numbers_of.setdefault(package.lower(), {}).setdefault(number, [])
            environments_of.append(name.removesuffix(".yaml"))
    texts = {
        package: next(iter(numbers))
        if len(numbers) == 1
        else ", ".join(f"{number} ({', '.join(where)})" for number, where in numbers.items())
        for package, numbers in numbers_of.items()
    }
    pinned_versions = {name: texts[name.lower()] for name in ("python", *_PACKAGES) if name.lower() in texts}
    own = {name: number for name, number in versions().items() if name in ("pharmasl", "snakemake")}
    return {**own, **pinned_versions}
