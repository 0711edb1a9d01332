"""Figures of the source code of a checkout, or of two side by side: how it is divided, typed and named.

    python benchmarks/house.py [FOLDER [FOLDER]] [--list]
    python benchmarks/house.py --layers

Prints a markdown table; a second folder gives a column before and a column after. ``--list`` prints where each counted thing
stands in the last folder. Code is read, never imported, so any state of the project can be counted. ``--layers`` prints the
picture and the table of rooms that stand in docs/architecture.md.

How the figures are counted:

rooms
    Folders of the package ``scripts/pharmasl`` that hold Python files, and each module that lies loose at its root, as a
    drawing of the imports shows them. Arrows are pairs of rooms of which one imports the other.
lines of a function
    From ``def`` to its last line, without the docstring.
complexity
    McCabe's, counted as ruff's C901: one per function and one per ``if``, ``elif``, ``for``, ``while``, ``except``, ``case``
    that is not the last catch-all, and per ``else`` of a ``try``; functions defined inside count with theirs.
parameters
    All that a call may name, without ``self`` and ``cls``.
public functions
    Functions and methods whose name and whose class's name begin with a letter. Fully annotated: each parameter but ``self``
    and ``cls``, and the returned value.
vague annotations
    ``object``, or a ``dict``, ``list``, ``tuple``, ``set``, ``Mapping`` or ``Sequence`` that does not say of what, in a field
    of a dataclass or in the signature of a public function.
restated defaults
    Outside ``study/``: ``.get(name, literal)`` of a setting that has a default in the configuration's schema, and parameters
    and fields of the name of a setting whose default equals the setting's and is not empty.
configuration as a dict
    Outside ``study/``: ``x["name"]`` and ``x.get("name")`` of a setting, where ``x`` is called as a section of the
    configuration is (``inference``, ``arms`` ...).
files with an effect's name
    Files of the package with the name of an effect of the group analysis as a string; one of them is its definition.
private words
    ``found``, ``told``, ``given``, ``of``, ``each`` and ``mend`` as names of functions, parameters, variables and fields.
label readers
    Calls that take ``sub-`` or ``ses-`` off a string, outside ``files/bids.py``.
"""

import argparse
import ast
import io
import itertools
import re
import subprocess
import tokenize
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path("scripts/pharmasl")
PRIVATE_WORDS = frozenset({"found", "told", "given", "of", "each", "mend"})
BARE = frozenset(
    {"dict", "list", "tuple", "set", "Mapping", "Sequence", "Iterable", "Callable", "Dict", "List", "Tuple"}
)
STRIPS = frozenset({"removeprefix", "lstrip", "replace", "split", "partition"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Place:
    """Where something was counted: a file below the checkout, a line, and what stands there."""

    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line} {self.text}"


@dataclass(frozen=True)
class Setting:
    """The defaults that the schema has for the settings of one name."""

    name: str
    defaults: tuple


class Checkout:
    """The source code of one state of the project.

    Parameters
    ----------
    root : pathlib.Path
        The folder of the checkout.
    """

    def __init__(self, root):
        self.root = Path(root)

    @cached_property
    def files(self):
        """Paths of all files of the project below its root, sorted; what git ignores is not the project's."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=self.root,
            capture_output=True,
            text=True,
        )
        if listed.returncode == 0 and listed.stdout:
            paths = [Path(line) for line in listed.stdout.splitlines()]
        else:
            paths = [path.relative_to(self.root) for path in self.root.rglob("*")]
        kept = [path for path in paths if (self.root / path).is_file() and "__pycache__" not in path.parts]
        return sorted(path for path in kept if not {".git", ".venv", ".snakemake", "demo"} & set(path.parts[:1]))

    def python(self, *folders):
        """Python files below the folders."""
        return [
            path for path in self.files if path.suffix == ".py" and any(path.is_relative_to(top) for top in folders)
        ]

    def text(self, path):
        """The text of a file."""
        return (self.root / path).read_text(encoding="utf-8")

    @cached_property
    def trees(self):
        """The syntax tree of each module of the package, by its path below the package."""
        return {path.relative_to(PACKAGE): ast.parse(self.text(path)) for path in self.python(PACKAGE)}

    def places(self, finder):
        """What a finder yields of each module of the package: pairs of a node and a text."""
        return [
            Place(str(PACKAGE / path), node.lineno, text)
            for path, tree in self.trees.items()
            for node, text in finder(path, tree)
        ]

    @cached_property
    def settings(self):
        """The settings of the configuration's schema by name, with the defaults of all settings of that name."""
        defaults = defaultdict(list)
        schema = yaml.safe_load(self.text("config/schemas/config.schema.yaml"))

        def walk(part):
            if isinstance(part, dict):
                for name, setting in (part.get("properties") or {}).items():
                    if isinstance(setting, dict):
                        defaults[name] += [setting["default"]] if "default" in setting else []
                for inner in part.values():
                    walk(inner)
            elif isinstance(part, list):
                for inner in part:
                    walk(inner)

        walk(schema)
        return {name: Setting(name, tuple(values)) for name, values in defaults.items()}

    @cached_property
    def sections(self):
        """Names of the sections of the configuration: settings that have settings."""
        schema = yaml.safe_load(self.text("config/schemas/config.schema.yaml"))
        tops = [name for name, part in schema["properties"].items() if "properties" in part]
        return frozenset(tops) | {"config", "configuration", "settings", "analysis", "outliers", "m0", "tfce"}

    @cached_property
    def effects(self):
        """Names of the effects of the group analysis."""
        schema = yaml.safe_load(self.text("config/schemas/config.schema.yaml"))
        return frozenset(schema["properties"]["analyses"]["additionalProperties"]["properties"]["effect"]["enum"])

    # How the package is divided.

    def rooms(self):
        """Folders of the package, and its loose modules."""
        folders = {path.parent.as_posix() for path in self.trees if path.parent != Path()}
        return sorted(folders | {path.as_posix() for path in self.loose()})

    def loose(self):
        """Modules at the package's root."""
        return [path for path in self.trees if path.parent == Path() and path.name != "__init__.py"]

    def folders(self):
        """All folders of the project that hold files."""
        return sorted({path.parent.as_posix() for path in self.files})

    def arrows(self):
        """Pairs of rooms: one that imports, and one that is imported."""
        modules = {path.with_suffix("").parts for path in self.trees}
        arrows = set()
        for path, tree in self.trees.items():
            for target in _imported(tree, modules):
                ends = _room(path.with_suffix("").parts), _room(target)
                if ends[0] and ends[1] and ends[0] != ends[1]:
                    arrows.add(ends)
        return sorted(arrows)

    def names_that_recur(self):
        """File names that several modules of the package have."""
        homes = defaultdict(list)
        for path in self.trees:
            if path.name != "__init__.py":
                homes[path.name].append(path.as_posix())
        return {name: paths for name, paths in homes.items() if len(paths) > 1}

    def long_files(self, limit=400):
        """Modules of more lines."""
        counts = {path: len(self.text(PACKAGE / path).splitlines()) for path in self.trees}
        return [Place(str(PACKAGE / path), 1, f"{count} lines") for path, count in counts.items() if count > limit]

    # Functions.

    def functions_by(self, measure, above):
        """Functions of which a measure is above a limit."""

        def finder(_, tree):
            for name, function, _owner in _functions(tree):
                if (value := measure(function)) > above:
                    yield function, f"{name}: {value}"

        return self.places(finder)

    def public(self):
        """Public functions and methods, each with whether it is fully annotated."""
        return [
            (Place(str(PACKAGE / path), function.lineno, name), not missing_annotations(function, owner))
            for path, tree in self.trees.items()
            for name, function, owner in _functions(tree)
            if is_public(name)
        ]

    def vague_annotations(self):
        """Annotations of dataclasses' fields and of public functions that do not say what they hold."""
        return self.places(_vague)

    # Settings.

    def restated_defaults(self):
        """Defaults of settings that are stated again outside ``study/``."""
        return self.places(lambda path, tree: [] if path.parts[0] == "study" else self._restated(tree))

    def _restated(self, tree):
        for node in ast.walk(tree):
            if (name := _got(node)) and len(node.args) == 2 and self._has_default(name) and _literal(node.args[1]):
                yield node, ast.unparse(node)
            for argument, default in _defaults(node):
                if default is not None and self._restates(argument, default):
                    yield default, f"{argument}={ast.unparse(default)}"

    def _has_default(self, name):
        return name in self.settings and bool(self.settings[name].defaults)

    def _restates(self, name, node):
        if not self._has_default(name) or not _literal(node):
            return False
        value = _plain(ast.literal_eval(node))
        return value not in ([], {}, "") and any(
            value == default and type(value) is type(default) for default in self.settings[name].defaults
        )

    def config_dicts(self):
        """Settings that are read by key outside ``study/``."""
        return self.places(lambda path, tree: [] if path.parts[0] == "study" else self._by_key(tree))

    def _by_key(self, tree):
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                owner, key = node.value, _text(node.slice)
            elif key := _got(node):
                owner = node.func.value
            else:
                continue
            called = (
                owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else None
            )
            if called in self.sections and key in self.settings:
                yield node, ast.unparse(node)

    # Names, effects, labels.

    def private_words(self):
        """Names that do not say what they hold."""
        return self.places(_private)

    def effect_homes(self):
        """Files of the package that have an effect's name as a string."""
        homes = [path for path, tree in self.trees.items() if any(_strings(tree, self.effects))]
        return [Place(str(PACKAGE / path), 1, "") for path in homes]

    def label_readers(self):
        """Calls that take a label's prefix off a string."""
        return self.places(lambda path, tree: [] if path.as_posix() in ("files/bids.py", "bids.py") else _strips(tree))

    def skips(self):
        """Comments that keep the formatter away."""
        pattern = re.compile(r"#\s*fmt:\s*(?:skip|off)")
        return [
            Place(str(path), token.start[0], token.line.strip())
            for path in self.python("scripts", "tests", "benchmarks")
            if "fmt:" in (text := self.text(path))
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.COMMENT and pattern.match(token.string)
        ]

    def layers(self):
        """The layers of the package, top down, each a list of its rooms, as the contract in ``pyproject.toml`` has them."""
        contracts = tomllib.loads(self.text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
        contract = next(contract for contract in contracts if contract["type"] == "layers")
        return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]

    def purpose(self, room):
        """The first line of a room's docstring."""
        path = Path(room, "__init__.py") if Path(room, "__init__.py") in self.trees else Path(f"{room}.py")
        return ast.get_docstring(self.trees[path]).splitlines()[0]

    def lines_by_area(self):
        """Lines of text files by area of the project."""
        areas = Counter()
        for path in self.files:
            if path.suffix not in {
                ".py",
                ".smk",
                ".md",
                ".yaml",
                ".yml",
                ".toml",
                ".j2",
                ".css",
                ".R",
            } and path.name not in (
                "Snakefile",
                "run",
            ):
                continue
            areas[_area(path)] += len(self.text(path).splitlines())
        return areas


def _area(path):
    parts = path.parts
    if path.is_relative_to(PACKAGE):
        return "package"
    if path.is_relative_to("tests/benchmarks"):
        return "benchmarks"
    if parts[0] in ("scripts", "rules", "tests", "benchmarks", "docs", "config"):
        return parts[0]
    return "the rest"


def _room(parts):
    """Room of a module: its folder, or itself where it lies at the package's root."""
    parts = tuple(part for part in parts if part != "__init__")
    return "/".join(parts[:-1]) if len(parts) > 1 else "".join(parts)


def _imported(tree, modules):
    """Modules of the package that a tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pharmasl":
            base = tuple(node.module.split(".")[1:])
            for alias in node.names:
                yield next((part for part in ((*base, alias.name), base) if part in modules), (*base, "__init__"))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("pharmasl."):
                    yield tuple(alias.name.split(".")[1:])


def _functions(tree, prefix="", owner=None) -> Iterator[tuple[str, Function, ast.ClassDef | None]]:
    """Each function and method outside functions: its name with its class, its node and its class."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield f"{prefix}{node.name}", node, owner
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.", node)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _functions(node, prefix, owner)


def is_public(name):
    """Whether a dotted name is public in each of its parts; ``__init__`` and the like are not."""
    return not any(part.startswith("_") for part in name.split("."))


def length(function):
    """Lines of a function without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def complexity(function):
    """McCabe's complexity of a function, as ruff counts it."""
    return 1 + _branches(function.body)


def _branches(body):
    total = 0
    for node in body:
        if isinstance(node, ast.If):
            total += 1 + _branches(node.body)
            # An elif is an if alone in the else, and counts itself.
            total += _branches(node.orelse)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            total += 1 + _branches(node.body) + _branches(node.orelse)
        elif isinstance(node, ast.Try | ast.TryStar):
            total += _branches(node.body) + _branches(node.orelse) + _branches(node.finalbody)
            total += bool(node.orelse) + sum(1 + _branches(handler.body) for handler in node.handlers)
        elif isinstance(node, ast.With | ast.AsyncWith):
            total += _branches(node.body)
        elif isinstance(node, ast.Match):
            total += sum(1 + _branches(case.body) for case in node.cases)
            total -= _catches_all(node.cases[-1])
        elif isinstance(node, Function):
            total += 1 + _branches(node.body)
        elif isinstance(node, ast.ClassDef):
            total += _branches(node.body)
    return total


def _catches_all(case):
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def parameters(function):
    """Number of parameters that a call may name."""
    return sum(argument.arg not in ("self", "cls") for argument in _arguments(function))


def _arguments(function):
    signature = function.args
    return [*signature.posonlyargs, *signature.args, *signature.kwonlyargs]


def missing_annotations(function, owner=None):
    """Names of a function's parameters without an annotation, and ``return`` where that has none."""
    signature = function.args
    arguments = [*_arguments(function), *filter(None, [signature.vararg, signature.kwarg])]
    if owner is not None and not any(_name(item) == "staticmethod" for item in function.decorator_list):
        arguments = arguments[1:]
    missing = [argument.arg for argument in arguments if argument.annotation is None]
    return missing + (["return"] if function.returns is None else [])


def _name(node):
    """The last part of a dotted name or of what is called."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_dataclass(node):
    return any(_name(item) in ("dataclass", "_settings") for item in node.decorator_list)


def _vague(_, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and _is_dataclass(node):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and _says_nothing(field.annotation):
                    yield field, f"{node.name}.{ast.unparse(field.target)}: {ast.unparse(field.annotation)}"
    for name, function, _owner in _functions(tree):
        if not is_public(name):
            continue
        annotations = [argument.annotation for argument in _arguments(function)] + [function.returns]
        for annotation in annotations:
            if annotation is not None and _says_nothing(annotation):
                yield function, f"{name}: {ast.unparse(annotation)}"


def _says_nothing(annotation):
    """Whether an annotation has ``object``, or a container that does not say of what."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    subscripted = {id(node.value) for node in ast.walk(annotation) if isinstance(node, ast.Subscript)}
    return any(
        _name(node) == "object" or (_name(node) in BARE and id(node) not in subscripted)
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name | ast.Attribute)
    )


def _text(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _got(node):
    """The key of ``x.get("key", ...)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        return _text(node.args[0])
    return None


def _literal(node):
    """Whether a node is written out: a value other than None."""
    try:
        return ast.literal_eval(node) is not None
    except ValueError:
        return False


def _plain(value):
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _defaults(node):
    """Pairs of a name and its default, of a function's parameters or a class's fields."""
    if isinstance(node, Function):
        signature = node.args
        positional = [*signature.posonlyargs, *signature.args]
        with_default = positional[len(positional) - len(signature.defaults) :]
        yield from zip([argument.arg for argument in with_default], signature.defaults, strict=True)
        yield from zip([argument.arg for argument in signature.kwonlyargs], signature.kw_defaults, strict=True)
    elif isinstance(node, ast.ClassDef):
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                yield field.target.id, field.value


def _private(_, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, Function | ast.ClassDef):
            name = node.name
        else:
            continue
        if name.strip("_") in PRIVATE_WORDS:
            yield node, name


def _strings(tree, words):
    """Texts of a module that are one of the words."""
    return (node for node in ast.walk(tree) if _text(node) in words)


def _strips(tree):
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in STRIPS
            and node.args
            and _text(node.args[0]) in ("sub-", "ses-")
        ):
            yield node, ast.unparse(node)


def measures(checkout):
    """The figures of a checkout: name to a figure, or to the list of what was counted."""
    public = checkout.public()
    return {
        "rooms of the package": checkout.rooms(),
        "loose files at the package's root": [str(path) for path in checkout.loose()],
        "arrows between rooms": [" -> ".join(arrow) for arrow in checkout.arrows()],
        "folders in all": checkout.folders(),
        "modules": [str(path) for path in checkout.trees],
        "file names that occur twice": [
            f"{name}: {', '.join(paths)}" for name, paths in checkout.names_that_recur().items()
        ],
        "files over 400 lines": checkout.long_files(),
        "functions over 50 lines": checkout.functions_by(length, 50),
        "functions over 80 lines": checkout.functions_by(length, 80),
        "functions of complexity over 15": checkout.functions_by(complexity, 15),
        "functions of more than nine parameters": checkout.functions_by(parameters, 9),
        "public functions": [str(place) for place, _ in public],
        "public functions not fully annotated": [str(place) for place, complete in public if not complete],
        "vague annotations (object, bare containers)": checkout.vague_annotations(),
        "restated defaults": checkout.restated_defaults(),
        "settings read by key below study/": checkout.config_dicts(),
        "`# fmt: skip`": checkout.skips(),
        "files with an effect's name": checkout.effect_homes(),
        "private words as names": checkout.private_words(),
        "label readers outside files/bids.py": checkout.label_readers(),
        **{f"lines: {area}": count for area, count in sorted(checkout.lines_by_area().items())},
    }


def layers(checkout):
    """The layers of a checkout as a mermaid drawing, and a markdown table of their rooms."""
    levels = checkout.layers()
    lines = ["```mermaid", "flowchart TB"]
    lines += [f"  {' & '.join(above)} --> {' & '.join(below)}" for above, below in itertools.pairwise(levels)]
    lines += ["```", "", "| room | what is in it |", "|---|---|"]
    lines += [f"| `{room}` | {checkout.purpose(room)} |" for level in levels for room in level]
    return "\n".join(lines)


def table(columns):
    """A markdown table.

    Parameters
    ----------
    columns : dict
        Heading to the figures of a checkout.
    """
    names = dict.fromkeys(name for figures in columns.values() for name in figures)
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name in names:
        values = (figures.get(name, 0) for figures in columns.values())
        shown = (f"{value if isinstance(value, int) else len(value):,}" for value in values)
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT], help="one or two checkouts")
    parser.add_argument("--list", action="store_true", help="where each counted thing stands, in the last folder")
    parser.add_argument(
        "--layers", action="store_true", help="the picture and the table of rooms in docs/architecture.md"
    )
    options = parser.parse_args()
    if options.layers:
        print(layers(Checkout(ROOT)))
        return
    if len(options.folders) > 2:
        parser.error("one folder, or two")
    figures = [measures(Checkout(folder)) for folder in options.folders]
    print(table(dict(zip(["figures"] if len(figures) == 1 else ["before", "after"], figures, strict=True))))
    if options.list:
        for name, counted in figures[-1].items():
            if not isinstance(counted, int) and name not in ("modules", "public functions", "folders in all"):
                print(f"\n## {name}\n", *(f"- {item}" for item in counted), sep="\n")


if __name__ == "__main__":
    main()
