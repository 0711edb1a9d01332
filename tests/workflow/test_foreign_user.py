"""./run as a user who has no name, no home and no right to write into the checkout, as in a container."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import coarse_scans
import pytest
import skeleton
import yaml
from loading import ROOT

NOBODY = "12345"


def opened(folder):
    """Let anybody write below a folder."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o644)


@pytest.fixture
def open_folder(tmp_path_factory):
    """A folder below which the other user may write; pytest's own folders are closed to others."""
    base = Path(os.environ.get("TMPDIR", "/tmp")) / f"pharmasl-foreign-{os.getpid()}"
    base.mkdir()
    skeleton.dataset(base / "bids")
    (base / "config.yaml").write_text(yaml.safe_dump(skeleton.config("bids")))
    opened(base)
    yield base
    shutil.rmtree(base)


def as_nobody(folder, target, **environment):
    """``./run`` of a target as a user without a name, whose environment holds nothing but these."""
    venv = Path(sys.prefix)
    if not (venv / ".installed").is_file():
        pytest.skip("the environment was not installed by ./run")
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    readable = subprocess.run([*user, "test", "-r", str(ROOT / "run"), "-a", "-x", str(Path(sys.executable).resolve())])
    if readable.returncode:
        pytest.skip("the checkout or the Python lies in a folder that is closed to others")
    variables = {"PATH": os.environ["PATH"], "PHARMASL_VENV": str(venv), **environment}
    return subprocess.run(
        [
            *[*user, "env", "-i", *(f"{name}={value}" for name, value in variables.items())],
            *[str(ROOT / "run"), "--configfile", "config.yaml", "--cores", "1", "--", target],
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )


MAY_CHANGE_USER = shutil.which("setpriv") is not None and os.geteuid() == 0


@pytest.mark.skipif(not MAY_CHANGE_USER, reason="only root can become another user")
@pytest.mark.parametrize("home", ["/", None, "/nonexistent"], ids=["home is the root", "no home", "home is gone"])
def test_a_user_without_name_and_home_plans_and_runs(open_folder, home):
    done = as_nobody(open_folder, "results/study/scans.tsv", **({"HOME": home} if home else {}))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stdout + done.stderr
    assert (open_folder / "results/study/scans.tsv").is_file()


@pytest.mark.skipif(not MAY_CHANGE_USER, reason="only root can become another user")
def test_temporary_files_and_caches_lie_in_the_scratch_folder_that_tmpdir_names(open_folder):
    """A rule that compiles kernels writes them there, not into the checkout."""
    scratch = open_folder / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    done = as_nobody(open_folder, "results/template/tpl-MNI152NLin2009aSym_res-2_T1w.nii.gz", TMPDIR=str(scratch))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    homes = list(scratch.glob("pharmasl.*"))
    assert len(homes) == 1
    assert list((homes[0] / ".cache").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not MAY_CHANGE_USER, reason="only root can become another user")
def test_scans_are_computed_from_a_checkout_that_only_others_may_write_and_the_nodes_scratch_is_left_empty(open_folder):
    """Work, home and scratch lie elsewhere; nobody can write where the workflow and its packages are."""
    study, home, scratch = (open_folder / name for name in ("study", "home", "scratch"))
    for folder in (study, home, scratch):
        folder.mkdir()
    coarse_scans.posed(study)
    opened(open_folder)
    os.utime(scratch, ns=(0, 0))
    done = as_nobody(study, "quality", HOME=str(home), TMPDIR=str(scratch))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert len(coarse_scans.images(study)) > 20
    assert scratch.stat().st_mtime_ns > 0  # files came and went
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in study.iterdir()) == [".snakemake", "bids", "config.yaml", "results"]
