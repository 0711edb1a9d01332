"""The tools that keep the house in order."""

import subprocess
import sys
from pathlib import Path

import pytest
from loading import ROOT

BIN = Path(sys.executable).parent


def run(*command, cwd=ROOT):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff():
    run(BIN / "ruff", "check", ".")


def test_ruff_format():
    run(BIN / "ruff", "format", "--check", ".")


def test_snakefmt():
    run(BIN / "snakefmt", "--check", "Snakefile", "rules")


def test_import_layers(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "scripts"))
    run(BIN / "lint-imports", "--no-cache")


def test_types():
    run(BIN / "mypy")


def test_snakemake_lint(small):
    done = small.snakemake("--lint", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_of_the_simulator(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", "rules/simulate.smk", "--configfile", "config/demo.yaml", "--lint"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_of_the_planned_trial():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            "rules/power.smk",
            "--config",
            "assumptions=config/power.yaml",
            "--lint",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "rules").glob("*.smk")), ids=lambda path: path.name)
def test_rule_files_open_with_a_contract_and_define_nothing(path):
    text = path.read_text()
    assert text.startswith('"""')
    assert "\ndef " not in text


def test_every_rule_says_what_it_needs():
    wanted = ("output:", "log:", "conda:", "message:", "threads:", "resources:", "params:", "code=code(", "script:")
    for path in (ROOT / "rules").glob("*.smk"):
        for part in path.read_text().split("\nrule ")[1:]:
            name = part.split(":")[0]
            if "script:" not in part:
                continue  # a target
            assert [word for word in wanted if word not in part] == [], name
            assert f'"../scripts/{name}.py"' in part
            assert f'code=code("{name}")' in part
            assert "attempt" in part, name


def test_the_snakefile_is_short():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60
