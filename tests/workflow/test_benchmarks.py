"""The programs under benchmarks/ keep up with the package: what they import of it, and call in it, is there."""

import ast
import importlib
import inspect
import types
from pathlib import Path

import pytest
from loading import ROOT

PROGRAMS = sorted((ROOT / "benchmarks").glob("*.py"))


def imported(tree):
    """Modules of the package and of the tests' helpers by the name that a program has for them."""
    helpers = {path.stem for path in (ROOT / "tests").glob("*.py")}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pharmasl":
            for alias in node.names:
                try:
                    yield alias.asname or alias.name, importlib.import_module(f"{node.module}.{alias.name}")
                except ModuleNotFoundError:
                    yield alias.asname or alias.name, getattr(importlib.import_module(node.module), alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in helpers:
                    yield alias.asname or alias.name, importlib.import_module(alias.name)


def calls(tree, modules):
    """Calls of a module's functions: the node, and the function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module = modules[node.value.id]
            if isinstance(module, types.ModuleType):
                assert hasattr(module, node.attr), f"line {node.lineno}: {module.__name__}.{node.attr}"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            module = modules.get(node.func.value.id)
            if isinstance(module, types.ModuleType):
                yield node, getattr(module, node.func.attr)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_what_a_program_calls_is_there(path):
    tree = ast.parse(path.read_text())
    modules = dict(imported(tree))
    for folder in ("tests", "scripts"):
        if any(
            (ROOT / folder) in Path(module.__file__).parents
            for module in modules.values()
            if hasattr(module, "__file__")
        ):
            assert f'"{folder}"' in path.read_text(), f"needs {folder}/ on its path"
    wrong = []
    for node, function in calls(tree, modules):
        if not inspect.isfunction(function) and not inspect.isclass(function):
            continue  # compiled
        if any(isinstance(part, ast.Starred) for part in node.args) or any(word.arg is None for word in node.keywords):
            continue
        try:
            inspect.signature(function).bind(*node.args, **{word.arg: word.value for word in node.keywords})
        except TypeError as error:
            wrong.append(f"line {node.lineno}: {ast.unparse(node.func)}: {error}")
    assert wrong == []


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_says_what_it_takes(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    parsers = [
        node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "argparse.ArgumentParser"
    ]
    assert len(parsers) == 1
    described = [ast.unparse(word.value) for word in parsers[0].keywords if word.arg == "description"]
    assert described
    assert described[0].startswith("__doc__")
    assert [node.lineno for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.argv"] == []
