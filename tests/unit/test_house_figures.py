"""The counter of the source code's figures, and what the code holds to."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from loading import ROOT, benchmark

house = benchmark("house")
HERE = house.Checkout(ROOT)

SCHEMA = """
properties:
  title: {default: Study}
  analyses:
    additionalProperties:
      properties:
        effect: {enum: [group_by_time, within_arm]}
        method: {default: differences}
  inference:
    properties:
      alpha: {default: 0.05}
      statistics: {default: [extent, mass]}
"""
MODULE = '''
from dataclasses import dataclass
from pharmasl.files import tables
import pharmasl.other


@dataclass
class Map:
    """A map."""

    data: object
    limits: tuple
    sizes: tuple[int, ...]

    def mean(self, mask: "dict") -> float:
        return 0.0


def test(inference, statistics=("extent", "mass"), *, alpha=0.05, level=0.05):
    """Test.

    Some lines.
    """
    found = inference.get("method", "differences") == inference["alpha"]
    if found and "within_arm":
        for row in []:
            pass
        else:
            return 1
    elif alpha:
        try:
            return inference.get("level", 2)
        except ValueError:
            return 3
        else:
            return 4

    def inner(): return 5
    return [each.removeprefix("sub-") for each in "ab"]  # fmt: skip
'''


@pytest.fixture
def small(tmp_path):
    """A checkout with one module of many faults."""
    for path, text in {
        "config/schemas/config.schema.yaml": SCHEMA,
        "scripts/pharmasl/__init__.py": "",
        "scripts/pharmasl/other.py": "X = 1\n",
        "scripts/pharmasl/files/__init__.py": "",
        "scripts/pharmasl/files/tables.py": "\n" * 401,
        "scripts/pharmasl/group/maps.py": MODULE,
        "scripts/pharmasl/study/maps.py": "def read(config):\n    return config.get('alpha', 0.05)\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return house.Checkout(tmp_path)


def texts(places):
    return sorted(place.text for place in places)


def test_rooms_and_arrows(small):
    assert small.rooms() == ["files", "group", "other.py", "study"]
    assert small.arrows() == [("group", "files"), ("group", "other")]
    assert [path.name for path in small.loose()] == ["other.py"]
    assert small.names_that_recur() == {"maps.py": ["group/maps.py", "study/maps.py"]}
    assert texts(small.long_files()) == ["401 lines"]


def test_functions(small):
    assert texts(small.functions_by(house.complexity, 1)) == ["test: 7"]
    assert texts(small.functions_by(house.parameters, 1)) == ["test: 4"]
    # Without the four lines of its docstring.
    assert texts(small.functions_by(house.length, 2)) == ["test: 17"]


def test_types(small):
    complete = {place.text: whole for place, whole in small.public()}
    assert complete == {"Map.mean": True, "test": False, "read": False}
    assert texts(small.vague_annotations()) == ["Map.data: object", "Map.limits: tuple", "Map.mean: 'dict'"]


def test_settings(small):
    assert texts(small.restated_defaults()) == [
        "alpha=0.05",
        "inference.get('method', 'differences')",
        "statistics=('extent', 'mass')",
    ]
    assert texts(small.config_dicts()) == ["inference.get('method', 'differences')", "inference['alpha']"]


def test_names(small):
    assert texts(small.private_words()) == ["each", "found"]
    assert [place.path for place in small.effect_homes()] == ["scripts/pharmasl/group/maps.py"]
    assert texts(small.label_readers()) == ["each.removeprefix('sub-')"]
    assert len(small.skips()) == 1


@pytest.mark.parametrize(
    ("rule", "setting", "limit", "measure"),
    [
        ("C901", "lint.mccabe.max-complexity", 8, house.complexity),
        ("PLR0913", "lint.pylint.max-args", 6, house.parameters),
    ],
)
def test_complexity_and_parameters_are_those_of_ruff(rule, setting, limit, measure):
    done = subprocess.run(
        [
            Path(sys.executable).parent / "ruff",
            *("check", "--select", rule, "--config", f"{setting}={limit}", "--output-format", "json", house.PACKAGE),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    expected = {
        (str(Path(fault["filename"]).relative_to(ROOT)), fault["location"]["row"]): int(number[1])
        for fault in json.loads(done.stdout)
        if (number := re.search(r"\((\d+) > ", fault["message"]))
    }
    counted = {(place.path, place.line): int(place.text.split()[-1]) for place in HERE.functions_by(measure, limit)}
    # ruff also reports a function inside another by itself; here it counts with the one around it.
    assert counted
    assert {place: expected.get(place) for place in counted} == counted


def test_the_table_has_a_column_per_checkout(small):
    figures = house.measures(small)
    text = house.table({"before": figures, "after": figures})
    assert text.splitlines()[0] == "| | before | after |"
    assert "| restated defaults | 3 | 3 |" in text
