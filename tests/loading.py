"""How tests find the scripts of the rules and the optional shared data."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def script(name):
    """Import ``scripts/<name>.py`` without running its guard."""
    return _module("scripts", name)


def benchmark(name):
    """Import ``benchmarks/<name>.py``."""
    return _module("benchmarks", name)


def _module(folder, name):
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks for its annotations
    spec.loader.exec_module(module)
    return module


def shared_data(*parts):
    """A path below the data folder that lies beside the checkout; the test is skipped where it is absent."""
    path = ROOT.parent.joinpath("shared", *parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)}, which lies beside the checkout only where the project is developed")
    return path
