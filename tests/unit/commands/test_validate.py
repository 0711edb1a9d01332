"""``./run validate``: what it refuses before any replicate begins."""

import pytest
from loading import ROOT
from pharmasl.commands import validate
from pharmasl.errors import InputError


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--bank", "-1"),
        ("--bank", "some"),
        ("--permutations", "98"),
        ("--output", "file"),
        ("--output", "file/below"),
        ("--replicates", "0"),
        ("--first", "2"),
    ],
)
def test_options_that_count_nothing_or_have_no_place_are_refused(tmp_path, monkeypatch, option, value):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=option) as refused:
        validate.main(["--checkout", str(ROOT), option, value])
    assert value in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"
