"""``./run`` installs the lock's packages from a folder of wheels where there is no network, on every Python, and computes there.

python3 -m pip download --require-hashes --no-deps -r requirements.lock -d wheels    # with each Python
python3 -m pip download --no-deps setuptools wheel -d wheels
PHARMASL_WHEELS=wheels ./run test tests/workflow/test_offline.py
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import coarse_scans
import pytest
from loading import ROOT

pytestmark = pytest.mark.slow

WHEELS = os.environ.get("PHARMASL_WHEELS")
INSTALLERS = ("python3.11", "python3.12", "python3.13", "uv")
# Formulas of perfusion, images, group statistics and their compiled kernels.
PART = ("tests/unit/statistics", "tests/unit/group", "tests/unit/perfusion")
# In a network of its own that has no interface.
APART = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The study as this Python computes it."""
    if WHEELS is None:
        pytest.skip("needs PHARMASL_WHEELS, a folder with the wheels of the lock (docs/cluster.md)")
    if shutil.which("unshare") is None or subprocess.run([*APART, "true"], capture_output=True).returncode:
        pytest.skip("needs unshare of util-linux, and the right to use it")
    workflow = coarse_scans.posed(tmp_path_factory.mktemp("here"))
    workflow.snakemake("--cores", "2", "--", "quality")
    return workflow


def programs(folder, installer):
    """A folder with the system's programs, no Python and no uv but the one asked for."""
    program = shutil.which(installer)
    if program is None or subprocess.run([program, "--version"], capture_output=True).returncode:
        pytest.skip(f"no {installer} on the PATH")
    folder.mkdir()
    for path in Path("/usr/bin").iterdir():
        if not path.name.startswith(("python", "uv")):
            (folder / path.name).symlink_to(path)
    (folder / installer).symlink_to(Path(program).resolve())
    if installer == "uv":  # without network it brings no Python
        (folder / "python3").symlink_to(Path(sys.executable).resolve())
    return folder


@pytest.mark.parametrize("installer", INSTALLERS)
def test_an_installation_without_network_computes_the_same_bytes(here, tmp_path, installer):
    venv = tmp_path / "venv"
    variables = {
        # Which of its kernels OpenBLAS takes changes last digits, as another processor does.
        **{name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
        "PATH": str(programs(tmp_path / "bin", installer)),
        "HOME": str(tmp_path),
        "PHARMASL_VENV": str(venv),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(Path(WHEELS).resolve()),
        "UV_OFFLINE": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(Path(WHEELS).resolve()),
    }

    def run(*arguments):
        done = subprocess.run(
            [*APART, ROOT / "run", *arguments], cwd=tmp_path / "study", env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    shutil.copytree(here.folder / "bids", tmp_path / "study/bids")
    shutil.copy(here.folder / "config.yaml", tmp_path / "study")
    assert "pharmasl" in run("version")
    python = subprocess.run([venv / "bin/python", "--version"], capture_output=True, text=True, check=True)
    assert installer == "uv" or installer.removeprefix("python") in python.stdout
    assert "This was a dry run" in run("-n", "--configfile", "config.yaml", "--", "quality")
    run("--configfile", "config.yaml", "--cores", "2", "--", "quality")
    made = coarse_scans.images(tmp_path / "study")
    assert len(made) > 20
    assert made == coarse_scans.images(here.folder)
    assert " passed" in run("test", "-q", "-n", "0", "-p", "no:cacheprovider", *PART)
