"""The container's recipes, and the image itself where one is named."""

import os
import re
import shutil
import subprocess
import tomllib

import pytest
import skeleton
import yaml
from distributions import needs
from loading import ROOT
from packaging.requirements import Requirement

DOCKERFILE = (ROOT / "Dockerfile").read_text()
APPTAINER = (ROOT / "apptainer.def").read_text()


def removed(recipe):
    """The packages that a recipe takes out of the image."""
    return set(re.search(r"pip uninstall -q -y ([\w \\\n-]+?)(?:\\?\n +&&|\n +chmod)", recipe)[1].split())


def test_both_recipes_leave_out_the_same_packages():
    assert len(removed(DOCKERFILE)) > 5
    assert removed(DOCKERFILE) == removed(APPTAINER)


def test_no_package_that_a_run_needs_is_left_out():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = [Requirement(text).name for text in project["project"]["dependencies"]]
    needed = {dist.name.lower() for dist in needs(*names)}
    assert {"sqlalchemy", "snakemake"} <= needed
    assert removed(DOCKERFILE) & needed == set()


def test_what_git_ignores_stays_out_of_the_image():
    kept_out = set((ROOT / ".dockerignore").read_text().split())
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split() if line.startswith("/")}
    assert ignored - kept_out <= {"logs"}


@pytest.mark.slow
def test_any_user_runs_the_image_without_a_home(tmp_path):
    """Of an image that buildah has built, named in PHARMASL_IMAGE, with buildah's own options in BUILDAH_OPTIONS."""
    image = os.environ.get("PHARMASL_IMAGE")
    if not image or not shutil.which("buildah"):
        pytest.skip(
            "needs buildah and PHARMASL_IMAGE, the name of an image built from the Dockerfile (docs/cluster.md)"
        )
    buildah = ["buildah", *os.environ.get("BUILDAH_OPTIONS", "").split()]
    skeleton.dataset(tmp_path / "bids")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(skeleton.config("bids")))
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o644)
    name = f"pharmasl-test-{os.getpid()}"
    subprocess.run([*buildah, "from", "--name", name, image], check=True, capture_output=True)
    try:
        options = ["--isolation", "chroot", "--user", "12345:12345", "-v", f"{tmp_path}:/data", "--workingdir", "/data"]
        run = ["/opt/pharmasl/run", "--configfile", "config.yaml", "--cores", "1", "--", "results/study/scans.tsv"]
        done = subprocess.run([*buildah, "run", *options, name, "--", *run], capture_output=True, text=True)
    finally:
        subprocess.run([*buildah, "rm", name], check=True, capture_output=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "results/study/scans.tsv").is_file()
