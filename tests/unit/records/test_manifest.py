"""The manifest of a results folder, and what is put back from it."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from pharmasl.errors import InputError
from pharmasl.files import contents
from pharmasl.records import manifest, results_record, verify
from pharmasl.records.manifest import Content, Entry, Making, Manifest

MAKING = Making(
    "group_statistics",
    ('code: "0123"', 'inference: {"alpha":0.05}'),
    ("bids::sub-01/a.nii.gz", "contrasts/b.nii.gz"),
    ("logs/group/c.log",),
    "e",
    (("contrasts/b.nii.gz", "sha256:1"),),
)


@dataclass
class Record:
    """As Snakemake's, in the fields that are used."""

    rule: str = ""
    params: list = field(default_factory=list)
    input: list = field(default_factory=list)
    log: list = field(default_factory=list)
    software_stack_hash: str = ""
    input_checksums: dict = field(default_factory=dict)
    starttime: float = 0
    endtime: float = 0
    incomplete: bool = False
    record_format_version: int = 0


def memory(root="results"):
    known = {}
    persistence = SimpleNamespace(
        _read_record=known.get, _write_record=known.__setitem__, _clear_cache=lambda: None, known=known
    )
    return results_record.Memory(persistence, Record, 6, root)


@pytest.fixture
def settled(monkeypatch):
    """Files made by a test are as good as old ones."""
    monkeypatch.setattr(contents, "_SETTLED", -1e18)


@pytest.fixture
def folder(tmp_path):
    """A map and a table with its sidecar, as made by two jobs; also the memory of Snakemake's and that of contents."""
    results = tmp_path / "results"
    for name, content in (
        ("group/t.nii.gz", gzip.compress(b"t" * 99)),
        ("group/t.json", b"{}"),
        ("rois/v.tsv", b"a\n1\n"),
        ("rois/v.json", b"{}"),
    ):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_bytes(content)
        os.utime(results / name, (1.6e9, 1.6e9))
    (results / "logs").mkdir()
    (results / "logs/a.log").touch()
    made, hold = memory(), contents.Contents(tmp_path / "contents")
    made.write("group/t.nii.gz", MAKING, 1.6e9)
    made.write("rois/v.tsv", Making("roi_values", ('code: "4"',)), 1.6e9)
    made.write("maps/gone.nii.gz", Making("alternative_maps"), 1.5e9)
    results_record.update(
        str(results),
        made,
        hold,
        versions={"numpy": "2"},
        outputs=["maps/gone.nii.gz", "group/t.nii.gz", "rois/v.tsv"],
        is_complete=True,
    )
    return SimpleNamespace(root=results, memory=made, contents=hold)


def restored(folder, known=None):
    known = known or memory()
    return results_record.restore(
        str(folder.root), known, folder.contents, lambda path: [] if path.endswith(".json") else [path]
    ), known


def test_it_is_read_as_it_was_written(tmp_path):
    content = Content(3, 1_700_000_000_123_456_789, "a" * 64)
    written = Manifest(
        {
            "b.tsv": Entry(MAKING, content, "v"),
            "a.nii.gz": Entry(MAKING, None, "v"),
            "c": Entry(Making("r"), content, "v"),
        },
        {"b.json": content},
        {"v": {"numpy": "2"}},
    )
    manifest.write(tmp_path, written)
    assert manifest.read(tmp_path) == written
    first = (tmp_path / manifest.NAME).read_bytes()
    manifest.write(tmp_path, Manifest(dict(reversed(written.files.items())), written.sidecars, written.versions))
    assert (tmp_path / manifest.NAME).read_bytes() == first
    assert os.listdir(tmp_path) == [manifest.NAME]


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-40], lambda text: text.replace('"Format": 1', '"Format": 9'), lambda _: "[]"]
)
def test_a_damaged_one_is_refused(folder, damage):
    path = folder.root / manifest.NAME
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=r"manifest\.json: Format: found"):
        manifest.read(folder.root)


def test_what_snakemake_forgot_is_put_back(folder):
    unknown, known = restored(folder)
    assert unknown == []
    assert known.persistence.known.keys() == folder.memory.persistence.known.keys()
    assert known.read("maps/gone.nii.gz")[0].rule == "alternative_maps"
    record = known.persistence.known["results/group/t.nii.gz"]
    assert record.params == sorted(map(repr, MAKING.params))
    assert record.input == ["bids::sub-01/a.nii.gz", "results/contrasts/b.nii.gz"]
    assert (record.endtime, record.record_format_version) == (1.6e9, 6)


def test_another_spelling_of_the_folder_is_the_present_one(folder):
    _, known = restored(folder, memory("/data/results"))
    assert known.persistence.known["/data/results/group/t.nii.gz"].input == [
        "/data/results/contrasts/b.nii.gz",
        "bids::sub-01/a.nii.gz",
    ]


def test_a_date_that_a_copy_lost_is_set_again(folder):
    os.utime(folder.root / "group/t.nii.gz", (1.9e9, 1.9e9))
    unknown, known = restored(folder)
    assert unknown == []
    assert (folder.root / "group/t.nii.gz").stat().st_mtime == known.read("group/t.nii.gz")[1] == 1.6e9


def test_a_file_that_holds_something_else_is_made_again(folder):
    (folder.root / "group/t.nii.gz").write_bytes(b"other")
    unknown, known = restored(folder)
    assert unknown == ["group/t.nii.gz"]
    assert known.read("group/t.nii.gz")[0] == results_record.UNKNOWN
    # Also where Snakemake remembers the one that was there; and again, until it is made.
    for _ in range(2):
        assert restored(folder, folder.memory)[0] == ["group/t.nii.gz"]


def test_a_change_with_date_and_size_kept_is_seen_where_the_content_is_remembered(settled, folder):
    path = folder.root / "rois/v.tsv"
    time.sleep(0.05)  # the system's own dates count in steps
    path.write_bytes(b"a\n2\n")
    os.utime(path, (1.6e9, 1.6e9))
    # In this plan and the next.
    for known in (folder.memory, folder.memory, memory()):
        assert restored(folder, known)[0] == ["rois/v.tsv"]


@pytest.mark.parametrize(("sidecar", "owner"), [("rois/v.json", "rois/v.tsv"), ("group/t.json", "group/t.nii.gz")])
def test_the_sidecar_of_a_table_or_an_image_belongs_to_it(folder, sidecar, owner):
    assert sidecar in manifest.read(folder.root).sidecars
    (folder.root / sidecar).unlink()
    assert restored(folder)[0] == [owner]


def test_what_is_made_after_the_manifest_is_known_by_snakemake_alone(folder):
    path = folder.root / "group/t.nii.gz"
    path.write_bytes(b"newer")
    os.utime(path, (1.7e9, 1.7e9))
    newer = Making("group_statistics", ("alpha: 0.01",))
    folder.memory.write("group/t.nii.gz", newer, 1.7e9)
    assert restored(folder, folder.memory)[0] == []
    assert folder.memory.read("group/t.nii.gz")[0] == newer
    # Killed before the manifest was written, and its memory gone.
    assert restored(folder)[0] == ["group/t.nii.gz"]


def test_without_a_manifest_snakemake_is_believed_and_nobody_else(folder):
    (folder.root / manifest.NAME).unlink()
    os.utime(folder.root / "group/t.nii.gz", (1.9e9, 1.9e9))
    assert restored(folder, folder.memory)[0] == []
    assert restored(folder)[0] == ["group/t.nii.gz", "rois/v.tsv"]


def test_a_job_one_of_whose_outputs_is_unknown_is_compared_whole(folder):
    """Killed between two outputs: Snakemake compares nothing where an output has no record."""
    (folder.root / "new.tsv").touch()
    known = memory()
    results_record.restore(str(folder.root), known, folder.contents, lambda path: ["new.tsv", "never.tsv"])
    assert known.read("new.tsv")[0] == known.read("never.tsv")[0] == results_record.UNKNOWN


def test_what_is_missing_stays_on_record_until_nothing_asks_for_it(folder):
    (folder.root / "group/t.nii.gz").unlink()
    for complete in (False, True):
        results_record.update(
            str(folder.root),
            folder.memory,
            folder.contents,
            versions={"numpy": "2"},
            outputs=[],
            is_complete=complete,
        )
        assert ("group/t.nii.gz" in manifest.read(folder.root).files) is not complete


def test_versions_are_those_that_made_each_file(folder):
    path = folder.root / "group/t.nii.gz"
    path.write_bytes(b"newer")
    os.utime(path, (1.7e9, 1.7e9))
    folder.memory.write("group/t.nii.gz", MAKING, 1.7e9)
    results_record.update(
        str(folder.root), folder.memory, folder.contents, versions={"numpy": "3"}, outputs=[], is_complete=True
    )
    known = manifest.read(folder.root)
    assert known.versions[known.files["group/t.nii.gz"].versions] == {"numpy": "3"}
    assert known.versions[known.files["rois/v.tsv"].versions] == {"numpy": "2"}


def test_verify_names_what_is_not_whole(folder, capsys):
    assert verify.main([str(folder.root)]) == 0
    assert "4 files hold what they held" in capsys.readouterr().out
    path = folder.root / "group/t.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes(8))
    (folder.root / "rois/v.tsv").write_text("a\n2\n")
    (folder.root / "rois/v.json").unlink()
    (folder.root / "rois/own.txt").touch()
    assert verify.main([str(folder.root)]) == 1
    said = capsys.readouterr().out
    for part in ("1 damaged", "1 changed", "1 missing", "1 unknown", "1 files hold", "not whole"):
        assert part in said
    assert verify.main([str(folder.root), "group/t.nii.gz"]) == 1
    said = capsys.readouterr().out
    for part in (
        "rule: group_statistics",
        "code: 0123",
        'inference: {"alpha":0.05}',
        "bids::sub-01/a.nii.gz",
        "numpy 2",
    ):
        assert part in said


def test_verify_explains_what_it_cannot_tell(folder, tmp_path, capsys):
    assert verify.main([str(tmp_path / "nowhere")]) == 2
    assert verify.main([str(folder.root), "rois/v.json"]) == 2
    (tmp_path / "study.yaml").write_text("title: a\n")
    assert verify.main(["--configfile", str(tmp_path / "study.yaml")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    for part in ("a run writes the manifest", "the sidecar of rois/v.tsv", "output_dir"):
        assert part in said
    (tmp_path / "study.yaml").write_text(json.dumps({"output_dir": str(folder.root)}))
    assert verify.main(["--configfile", str(tmp_path / "study.yaml")]) == 0
    assert verify.main(["--configfile", str(tmp_path / "study.yaml"), "rois/v.tsv"]) == 0


def test_verify_ends_quietly_where_its_reader_has_ended(folder):
    command = [sys.executable, "-m", "pharmasl.records.verify", str(folder.root), "group/t.nii.gz"]
    environment = {**os.environ, "PYTHONPATH": str(Path(verify.__file__).parents[2])}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == -signal.SIGPIPE
