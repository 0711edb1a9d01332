"""How tests find the scripts of the rules and the optional shared data."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def script(name):
    """Import ``scripts/<name>.py`` without running its guard."""
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shared_data(*parts):
    """A path below the data folder that lies beside the checkout; the test is skipped where it is absent."""
    path = ROOT.parent.joinpath("shared", *parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)}, which lies beside the checkout only where the project is developed")
    return path
