"""A clone of the project on a Debian with python3 and python3-venv alone, by a user without rights: no git, uv or compiler.

As root:

    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm debian
    PHARMASL_DEBIAN=debian PHARMASL_WHEELS=wheels ./run test tests/workflow/test_bare_debian.py

The wheels are those of docs/cluster.md, fetched with that Debian's Python too; there is no network.
"""

import os
import shutil
import subprocess
from pathlib import Path

import coarse_scans
import pytest
from loading import ROOT

pytestmark = pytest.mark.slow

DEBIAN, WHEELS = os.environ.get("PHARMASL_DEBIAN"), os.environ.get("PHARMASL_WHEELS")
USER = 12345
# Mounted for one command; gone with it.
ENTER = """
set -e
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/wheels"
root=$1; shift 2
exec chroot --userspec=12345:12345 "$root" /usr/bin/env -i "$@"
"""


class Debian:
    """A copy of a root, in which a user calls ./run of a clone in the home."""

    def __init__(self, folder):
        self.root = folder / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", DEBIAN, self.root], check=True)
        self.home = self.root / "home/newcomer"
        self.home.mkdir()
        (self.root / "wheels").mkdir()
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", ROOT, self.home / "pharmasl"], check=True)

    def own(self):
        subprocess.run(["chown", "-R", f"{USER}:{USER}", self.home], check=True)

    def call(self, *arguments, where="."):
        variables = {
            # Which of its kernels OpenBLAS takes changes last digits, as another processor does.
            **{name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/home/newcomer",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/wheels",
        }
        done = subprocess.run(
            ["unshare", "--mount", "--net", "sh", "-c", ENTER, "enter", self.root, Path(WHEELS).resolve()]
            + [f"{name}={value}" for name, value in variables.items()]
            + ["sh", "-c", f'cd "/home/newcomer/{where}" && exec "$@"', "sh", *arguments],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    if DEBIAN is None or WHEELS is None:
        pytest.skip("needs PHARMASL_DEBIAN, a root made by debootstrap, and PHARMASL_WHEELS (docs/running.md)")
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare of util-linux")
    made = Debian(tmp_path_factory.mktemp("debian"))
    made.own()
    return made


def test_nothing_is_there_but_python(debian):
    there = {path.name for folder in ("usr/bin", "usr/local/bin") for path in (debian.root / folder).iterdir()}
    assert "python3" in there
    assert there & {"git", "uv", "gcc", "cc", "conda", "snakemake", "pip", "pip3"} == set()


def test_a_fresh_clone_answers(debian):
    assert "pharmasl 0." in debian.call("./run", "--version", where="pharmasl")
    assert (debian.home / "pharmasl/.venv/.installed").is_file()
    assert "./run init BIDS_DIR" in debian.call("./run", where="pharmasl")
    assert "the plan of an example of twelve people" in " ".join(debian.call("./run", "-n", where="pharmasl").split())


def test_the_demo_is_planned(debian):
    told = debian.call("./run", "demo", "-n", where="pharmasl")
    assert "Simulation" in told
    assert "once the trial has been simulated" in told
    assert not (debian.home / "pharmasl/demo").exists()


def test_scans_are_checked_and_computed_to_the_same_bytes(debian, tmp_path):
    here = coarse_scans.posed(tmp_path)
    here.snakemake("--cores", "2", "--", "quality")
    shutil.copytree(tmp_path / "bids", debian.home / "study/bids")
    shutil.copy(tmp_path / "config.yaml", debian.home / "study")
    debian.own()
    run = "/home/newcomer/pharmasl/run"
    assert "3 scans" in debian.call(run, "check", "config.yaml", where="study")
    debian.call(run, "--configfile", "config.yaml", "--cores", "2", "--", "quality", where="study")
    made = coarse_scans.images(debian.home / "study")
    assert len(made) > 20
    assert made == coarse_scans.images(tmp_path)
