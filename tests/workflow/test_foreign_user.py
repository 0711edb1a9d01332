"""./run as a user who has no name, no home and no right to write into the checkout, as in a container."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import skeleton
import yaml
from loading import ROOT

NOBODY = "12345"


@pytest.fixture
def open_folder(tmp_path_factory):
    """A folder below which the other user may write; pytest's own folders are closed to others."""
    base = Path(os.environ.get("TMPDIR", "/tmp")) / f"pharmasl-foreign-{os.getpid()}"
    base.mkdir()
    skeleton.dataset(base / "bids")
    (base / "config.yaml").write_text(yaml.safe_dump(skeleton.config("bids")))
    for path in [base, *base.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o644)
    yield base
    shutil.rmtree(base)


@pytest.mark.skipif(not shutil.which("setpriv") or os.geteuid() != 0, reason="only root can become another user")
def test_a_user_without_name_and_home_plans_and_runs(open_folder):
    venv = Path(sys.prefix)
    if not (venv / ".installed").is_file():
        pytest.skip("the environment was not installed by ./run")
    command = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "env",
        "-i",
        f"PATH={os.environ['PATH']}",
        "HOME=/",
        f"PHARMASL_VENV={venv}",
        str(ROOT / "run"),
        "--configfile",
        "config.yaml",
        "--cores",
        "1",
        "--",
        "results/study/scans.tsv",
    ]
    readable = subprocess.run(
        [*command[:4], "test", "-r", str(ROOT / "run"), "-a", "-x", str(Path(sys.executable).resolve())]
    )
    if readable.returncode:
        pytest.skip("the checkout or the Python lies in a folder that is closed to others")
    done = subprocess.run(command, cwd=open_folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stdout + done.stderr
    assert (open_folder / "results/study/scans.tsv").is_file()
