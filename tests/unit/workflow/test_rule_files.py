"""The files of a rule as a typed object."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from pharmasl.errors import FilePath
from pharmasl.workflow.rule_files import rule_files


@dataclass(frozen=True)
class Files:
    table: FilePath
    figure: FilePath | None
    scans: Sequence[FilePath]


def test_a_field_holds_one_file_or_none_or_any_number_by_its_type():
    named = SimpleNamespace(table="t.tsv", figure=[], scans=["a", "b"], not_a_field="x")
    assert rule_files(Files, named) == Files("t.tsv", None, ["a", "b"])
    named = SimpleNamespace(table=["t.tsv"], figure=["f.png"], scans=[])
    assert rule_files(Files, named) == Files("t.tsv", "f.png", [])


@pytest.mark.parametrize("changes", [{"table": []}, {"table": ["a", "b"]}, {"figure": ["a", "b"]}])
def test_several_files_for_one_are_refused(changes):
    named = {"table": "t.tsv", "figure": "f.png", "scans": []}
    with pytest.raises(ValueError, match=f"{next(iter(changes))} is . files, not one"):
        rule_files(Files, SimpleNamespace(**{**named, **changes}))
