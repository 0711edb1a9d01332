"""PHARMASL_VENV names a folder: what is in it is never emptied unasked."""

import os
import subprocess

from loading import ROOT


def called(venv):
    """``./run help`` with an environment of that name."""
    return subprocess.run(
        [ROOT / "run", "help"], env={**os.environ, "PHARMASL_VENV": str(venv)}, capture_output=True, text=True
    )


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    done = called(tmp_path)
    assert done.returncode == 1
    assert "which holds other files" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_environment_of_another_version_is_refused(tmp_path):
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / ".installed").write_text("1 1\n")
    done = called(tmp_path)
    assert done.returncode == 1
    assert "packages of another version" in done.stderr
    assert "requirements.lock" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [".installed", "pyvenv.cfg"]
