"""Tables that people wrote: read as they were meant, or refused with the one thing that is wrong."""

import codecs
import os

import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables

PLAIN = "participant_id\tage\tsex\nsub-01\t31\tM\nsub-02\tn/a\tF\n"
ROWS = (
    {"participant_id": "sub-01", "age": "31", "sex": "M"},
    {"participant_id": "sub-02", "age": None, "sex": "F"},
)


def put(folder, content):
    path = folder / "table.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(folder, content):
    with pytest.raises(InputError) as caught:
        tables.read_sheet(put(folder, content))
    assert caught.value.file == str(folder / "table.tsv")
    return caught.value


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        codecs.BOM_UTF8 + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
        codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-32"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.rstrip("\n").encode(),
        PLAIN.replace("\n", "\t\n").encode(),
        PLAIN.replace("\n", "\t\t\n").encode(),
        PLAIN.replace("31", '"31"').encode(),
        PLAIN.replace("31", " 31\u00a0").encode(),
        (PLAIN + "\n\t\t\n").encode(),
        PLAIN.replace("\tF\n", "\tF\t\t\n").encode(),
        PLAIN.replace("n/a", "").encode(),
    ],
)
def test_what_is_meant_is_read(tmp_path, content):
    sheet = tables.read_sheet(put(tmp_path, content))
    assert sheet.columns == ("participant_id", "age", "sex")
    assert sheet.rows == ROWS
    assert sheet.lines == (2, 3)


def test_a_row_keeps_its_line_behind_empty_ones(tmp_path):
    sheet = tables.read_sheet(put(tmp_path, "a\tb\n\n1\t2\n\t\n3\t4\n"))
    assert sheet.lines == (3, 5)


def test_an_umlaut_in_utf_8_is_kept(tmp_path):
    assert tables.read_sheet(put(tmp_path, "a\tb\nMüller\t1\n")).rows[0]["a"] == "Müller"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_another_encoding_names_line_byte_and_the_fix(tmp_path, encoding):
    error = refusal(tmp_path, "a\tb\nx\t1\nMüller\t2\n".encode(encoding))
    assert error.field == "line 3"
    assert "0xFC" in error.found
    assert "Müller" in error.found
    assert "UTF-8" in error.fix


@pytest.mark.parametrize(
    ("content", "field", "found"),
    [
        ("", "(whole file)", "nothing"),
        ("\n\t\n", "(whole file)", "nothing"),
        ("a\tb\ta\n1\t2\t3\n", "header", "a (2 times)"),
        ("a\tb\t a\n1\t2\t3\n", "header", "a (2 times)"),
        ("a\tb\n1\t2\t3\n", "rows", "3 cells in line 2"),
        ("a\tb\tc\n1\t2\t3\n1\t\t2\t3\n", "rows", "4 cells in line 3"),
        ("a\tb\n1\t2\n1 2\n", "rows", "1 cells in line 3"),
        ("a\t\tc\n1\t2\t3\n", "header, column 2", "no name above a column with values"),
        ("a\tb\t\n1\t2\t3\n", "header, column 3", "no name above a column with values"),
        ("a,b\n1,2\n", "header", "one column 'a,b'"),
        ("a;b\n1,5;2\n", "header", "one column 'a;b'"),
        ("a  b\n1  2\n", "header", "one column 'a  b'"),
        ('a\tb\n"1\t2\n3\t4\n', "line 2", "a quoted cell that holds a tab or runs over the line's end"),
        (PLAIN.encode("utf-16-le"), "line 1", "a byte of 0"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "(whole file)", "a Git LFS pointer"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(tmp_path, content, field, found):
    error = refusal(tmp_path, content)
    assert (error.field, error.found) == (field, found)


def test_a_header_alone_has_no_rows(tmp_path):
    assert tables.read_sheet(put(tmp_path, "a\tb\n")).rows == ()


def test_many_bad_rows_are_one_problem(tmp_path):
    error = refusal(tmp_path, "a\tb\n" + "1\t2\t3\n" * 8)
    assert error.found.endswith("3 cells in line 6 and 3 more lines")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        tables.read_sheet(tmp_path / "none.tsv")
    os.symlink("../.git/annex/objects/x", tmp_path / "link.tsv")
    with pytest.raises(InputError, match="datalad get"):
        tables.read_sheet(tmp_path / "link.tsv")
    with pytest.raises(InputError, match="directory"):
        tables.read_sheet(tmp_path)


def test_what_the_workflow_writes_it_reads(tmp_path):
    rows = [{"name": 'a\tb\n"c"', "x": 1.5, "y": None}, {"name": "d", "x": float("nan"), "y": True}]
    tables.write_table(tmp_path / "own.tsv", rows, {"name": "Name", "x": "x", "y": "y"})
    assert tables.read_table(tmp_path / "own.tsv") == [
        {"name": 'a\tb\n"c"', "x": "1.5", "y": None},
        {"name": "d", "x": None, "y": "true"},
    ]
    tables.write_table(tmp_path / "none.tsv", [], {})
    assert tables.read_table(tmp_path / "none.tsv") == []
