"""Images, tables, jobs, template and code digests."""

import json
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from loading import ROOT
from pharmasl import __version__
from pharmasl.errors import InputError, InputErrors
from pharmasl.files import tables
from pharmasl.records import provenance
from pharmasl.space import images, packaged, template
from pharmasl.workflow import failures
from pharmasl.workflow.job import job


def test_many_problems_of_one_cause_are_named_once():
    alike = [InputError("craving.tsv", f"line {line}, pre", 999, "0 to 100", "Correct it.") for line in range(2, 90)]
    other = InputError("craving.tsv", "columns", "pre", "post", "Name it.")
    message = str(InputErrors([*alike, other]))
    assert message.count("line ") == 3
    assert "and 85 more like these" in message
    assert str(other) in message
    assert message.startswith("89 problem(s)")


def test_saved_images_say_where_they_are(tmp_path):
    affine = nibabel.affines.from_matvec(np.diag([3.0, 3, 5]), [-90, -126, -72])
    images.save(tmp_path / "a.nii.gz", np.zeros((4, 5, 6, 2)), affine, time_step=4.5)
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (2, 2)
    np.testing.assert_allclose(image.header.get_qform(), affine, atol=1e-5)
    assert image.header.get_zooms()[3] == 4.5
    data, read = images.load(tmp_path / "a.nii.gz")
    assert data.shape == (4, 5, 6, 2)
    np.testing.assert_allclose(read, affine)


def test_an_image_on_the_template_has_its_code_and_what_it_holds(tmp_path):
    code = images.template_code("MNI152NLin2009aSym")
    images.save(tmp_path / "t.nii", np.ones((2, 3, 4)), np.eye(4), intent="f test", parameters=(2, 41.5), code=code)
    header = nibabel.load(tmp_path / "t.nii").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (4, 4)
    assert header.get_intent() == ("f test", (2.0, 41.5), "")
    assert images.form_code(tmp_path / "t.nii") == 4
    # MNI's code would not be true of another template.
    assert images.template_code("ours") == 5


def test_the_same_image_gives_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        images.save(tmp_path / name, np.arange(24.0).reshape(2, 3, 4), np.eye(4))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_tables_keep_numbers_whole_and_missing_visible(tmp_path):
    rows = [{"a": 0.1 + 0.2, "b": math.nan, "c": True}, {"a": np.float32(0.5), "c": "x"}]
    tables.write_table(
        tmp_path / "t.tsv", rows, {"a": "first", "b": {"Description": "second", "Units": "s"}, "c": "third"}
    )
    assert (tmp_path / "t.tsv").read_text() == "a\tb\tc\n0.30000000000000004\tn/a\ttrue\n0.5\tn/a\tx\n"
    assert tables.read_table(tmp_path / "t.tsv")[0] == {"a": "0.30000000000000004", "b": None, "c": "true"}
    assert tables.read_json(tmp_path / "t.json")["b"]["Units"] == "s"


def test_a_column_that_nothing_describes_is_refused(tmp_path):
    with pytest.raises(KeyError, match="d"):
        tables.write_table(tmp_path / "t.tsv", [{"d": 1}], {"a": "first"})


def called(folder, main, **changes):
    """Call a script's function as Snakemake would; the log's path."""
    log = folder / "rule" / "scan.log"
    log.parent.mkdir(exist_ok=True)
    job(main, SimpleNamespace(log=[str(log)], rule="rule", input=[], params={"code": 1, **changes}, threads=1))
    return log


def test_a_job_whose_input_is_at_fault_says_so_plainly_and_is_not_tried_twice(tmp_path):
    calls = []

    def main(snakemake):
        calls.append(1)
        print("started")
        os.write(2, b"from a compiled library\n")
        raise InputError("f.json", "TR", 0, "more than 0", "Correct it. " + "word " * 100)

    for _ in range(2):
        with pytest.raises(SystemExit, match=r"f\.json: TR") as stopped:
            called(tmp_path, main)
        assert max(map(len, str(stopped.value).splitlines())) <= 120
    text = (tmp_path / "rule/scan.log").read_text()
    first, rest = text.split("\n", 1)
    assert first.endswith(f"rule, pharmasl {__version__}")
    assert rest.startswith("started\nfrom a compiled library\nf.json: TR: found 0, expected more than 0.")
    assert max(map(len, text.splitlines())) <= 120
    assert "Traceback" not in text
    assert len(calls) == 1
    # With other input it is tried.
    with pytest.raises(SystemExit):
        called(tmp_path, main, more=1)
    assert len(calls) == 2


def test_a_log_says_what_the_job_read_and_wrote(tmp_path):
    maps = [tmp_path / f"{number}.nii" for number in range(2)]
    for path in maps:
        path.write_bytes(bytes(1_500_000))
    table = tmp_path / "table.tsv"

    log = tmp_path / "rule.log"
    snakemake = SimpleNamespace(
        log=[str(log)], params={}, input={"maps": list(map(str, maps)), "seed": []}, output={"table": str(table)}
    )
    job(lambda _: table.write_text("a\n"), snakemake)
    text = log.read_text()
    assert f"reads maps: 2 files, first {maps[0]} (3 MB)" in text
    assert f"wrote table: {table} (2e-06 MB)" in text
    assert "reads seed" not in text
    assert "of processor time" in text


def test_an_unexpected_error_leaves_its_traceback_in_the_log_and_is_tried_again(tmp_path):
    calls = []

    def main(snakemake):
        calls.append(1)
        if len(calls) < 3:
            raise KeyError("lost")

    for _ in range(2):
        with pytest.raises(SystemExit, match="KeyError: 'lost'"):
            called(tmp_path, main)
        assert "Traceback" in (tmp_path / "rule/scan.log").read_text()
    assert "rule scan\n  KeyError: 'lost'\n" in failures.summary(tmp_path)
    called(tmp_path, main)
    assert len(calls) == 3
    assert failures.summary(tmp_path) == ""


def test_failures_are_told_once_a_reason(tmp_path):
    for number, reason in enumerate(["p.tsv: age: missing", "p.tsv: age: missing", failures.KILLED]):
        failures.record(tmp_path / f"{number}.log", failures.Failure(f"rule {number}", reason, True, ""))
    assert failures.summary(tmp_path) == (
        "3 jobs failed; what does not depend on them was done:\n"
        f"\nrule 0, rule 1\n  p.tsv: age: missing\n  log: {tmp_path}/0.log\n"
        f"\nrule 2\n  {failures.KILLED}\n  log: {tmp_path}/2.log\n"
    )
    failures.forget(tmp_path)
    assert failures.summary(tmp_path) == ""


def test_the_template_is_complete_and_symmetric():
    t1w, mask, maps, affine = template.tissue_maps()
    total = sum(maps.values())
    np.testing.assert_allclose(total[mask], 1, atol=1e-6)
    assert not total[~mask].any()
    assert mask.sum() == 1886539  # nilearn's own mask of the same image
    assert affine[0, 0] == 1
    assert 0.999 < np.corrcoef(t1w.ravel(), t1w[::-1].ravel())[0, 1] <= 1
    grid = images.coarser(images.Grid(t1w.shape, affine), 2)
    assert grid.shape == (99, 117, 95)
    np.testing.assert_array_equal(grid.affine[:3, 3], affine[:3, 3])


def test_a_missing_package_is_named():
    with pytest.raises(InputError, match="no_such_package"):
        packaged.package_file("no_such_package", "x")


SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))


def test_digests_follow_content_not_time(tmp_path, monkeypatch):
    (tmp_path / "pharmasl").mkdir()
    for name, text in (
        ("one.py", "from pharmasl import a\n"),
        ("pharmasl/__init__.py", ""),
        ("pharmasl/a.py", "from pharmasl.b import x\n"),
        ("pharmasl/b.py", "x = 1\n"),
        ("pharmasl/c.py", ""),
    ):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(provenance, "SCRIPTS", tmp_path)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "pharmasl")

    def now():
        for function in (provenance._imports, provenance._file_digest, provenance.digest):
            function.cache_clear()
        return provenance.digest("one")

    first = now()
    (tmp_path / "pharmasl/b.py").touch()
    (tmp_path / "pharmasl/c.py").write_text("y = 2\n")
    assert now() == first
    (tmp_path / "pharmasl/b.py").write_text("x = 2\n")
    assert now() != first
    provenance._imports.cache_clear()
    provenance._file_digest.cache_clear()
    provenance.digest.cache_clear()


# Each script in a fork of a process that has the packages of others already, which take most of the time.
IMPORTS = """
import importlib.util as util, json, os, sys
import matplotlib.figure, nibabel, nilearn.datasets, numba, numpy, pandas, PIL, scipy.ndimage, scipy.stats, SimpleITK, yaml
import statsmodels.api
sys.path.insert(0, "scripts")
assert "pharmasl" not in sys.modules
for script in sys.argv[1:]:
    if os.fork() == 0:
        spec = util.spec_from_file_location("script", f"scripts/{script}.py")
        spec.loader.exec_module(util.module_from_spec(spec))
        modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "pharmasl"]
        print(json.dumps([script, [module.__file__ for module in modules if module.__file__]]), flush=True)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f"{script} cannot be imported")
"""


@pytest.fixture(scope="module")
def imported():
    """The modules of the package that each script imports, as Python has them afterwards."""
    command = [sys.executable, "-c", IMPORTS, *SCRIPTS]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return dict(map(json.loads, out.splitlines()))


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_digest_covers_what_a_script_really_imports(script, imported):
    covered = {str(path) for path in provenance.closure(script)}
    modules = {str((ROOT / path).resolve()) for path in imported[script]}
    assert modules
    assert modules <= covered
