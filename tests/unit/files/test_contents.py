"""Digests of files: of what they hold, remembered as long as nothing touches them."""

import hashlib
import os
import time

import pytest
from pharmasl.files import contents


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data" / "image.nii.gz"
    path.parent.mkdir()
    path.write_bytes(b"first")
    return path


@pytest.fixture
def reads(monkeypatch):
    """Paths that were read, in order."""
    found, read = [], contents.read
    monkeypatch.setattr(contents, "read", lambda path: (found.append(os.path.basename(path)), read(path))[1])
    # Files made by a test are as good as old ones.
    monkeypatch.setattr(contents, "_SETTLED", -1e18)
    return found


def sha(content):
    return hashlib.sha256(content).hexdigest()


def test_it_is_the_whole_file(file, tmp_path):
    assert contents.Contents(tmp_path / "cache").digest(file) == sha(b"first")
    assert contents.Contents(tmp_path / "cache").digest(tmp_path / "absent") is None


def test_it_is_read_once_in_this_process_and_the_next(file, tmp_path, reads):
    first = contents.Contents(tmp_path / "cache")
    assert first.digest(file) == first.digest(str(file)) == sha(b"first")
    first.save()
    assert contents.Contents(tmp_path / "cache").digest(file) == sha(b"first")
    assert reads == ["image.nii.gz"]


def test_a_link_is_its_file(file, tmp_path, reads):
    (tmp_path / "link.nii.gz").symlink_to(file)
    known = contents.Contents(tmp_path / "cache")
    assert known.digest(tmp_path / "link.nii.gz") == known.digest(file)
    assert len(reads) == 1


def edited(file):
    file.write_bytes(b"other")


def replaced(file):
    other = file.with_name("other")
    other.write_bytes(b"other")
    os.replace(other, file)


@pytest.mark.parametrize("change", [edited, replaced])
def test_another_content_of_one_size_and_date_is_seen(file, tmp_path, reads, change):
    known, state = contents.Contents(tmp_path / "cache"), os.stat(file)
    known.digest(file)
    known.save()
    time.sleep(0.02)  # a step of the file system's clock
    change(file)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert os.stat(file).st_size == state.st_size
    assert known.digest(file) == contents.Contents(tmp_path / "cache").digest(file) == sha(b"other")


def test_a_file_that_has_just_changed_is_not_remembered(file, tmp_path):
    known = contents.Contents(tmp_path / "cache")
    known.digest(file)
    known.save()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"folder": 1}', '{"folder": "x", "files": {"a": [1]}}', "\0"])
def test_a_damaged_memory_costs_time_alone(file, tmp_path, reads, damage):
    known = contents.Contents(tmp_path / "cache")
    known.digest(file)
    known.save()
    (memory,) = (tmp_path / "cache").iterdir()
    memory.write_text(damage)
    again = contents.Contents(tmp_path / "cache")
    assert again.digest(file) == sha(b"first")
    again.save()
    assert contents.Contents(tmp_path / "cache").digest(file) == sha(b"first")
    assert len(reads) == 2


def test_without_a_folder_to_write_nothing_is_remembered(file, tmp_path, reads):
    (tmp_path / "cache").write_text("a file in the way")
    known = contents.Contents(tmp_path / "cache")
    assert known.digest(file) == sha(b"first")
    known.save()
    assert contents.Contents(tmp_path / "cache").digest(file) == sha(b"first")
    assert len(reads) == 2
