"""Finished results without computing: every output of a plan as a file that holds its name, with Snakemake's records.

A plan looks no further: it does not read what lies in a file.
"""

import copy
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import plans
import skeleton
import yaml
from loading import ROOT
from pharmasl.workflow import recorded

CHECKOUT = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")


def checkout(folder, root=ROOT):
    """Copy what a run needs of the project into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CHECKOUT:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder


@dataclass
class Study:
    """A folder with the dataset ``bids``, a configuration and results, and the checkout that makes them."""

    folder: Path
    config: dict[str, Any]
    checkout: Path
    # Of a planned trial's power, which has no data.
    assumptions: dict[str, Any] | None = None

    def run(self, *arguments, **changes):
        """Call Snakemake; returns its status and what it wrote.

        ``changes`` are of the configuration.
        """
        (self.folder / "config.yaml").write_text(yaml.safe_dump({**self.config, **changes}, sort_keys=False))
        caches = {"XDG_CACHE_HOME": str(self.folder.parent / "caches")}
        command = ["-s", self.checkout / "Snakefile", "--configfile", "config.yaml"]
        if self.assumptions is not None:
            (self.folder / "power.yaml").write_text(yaml.safe_dump(self.assumptions, sort_keys=False))
            command[1:] = [self.checkout / "rules/power.smk", "--config", "assumptions=power.yaml"]
        process = plans.process(own_package=self.checkout == ROOT)
        return process.run(self.folder, *command, *arguments, environment=caches)

    def plan(self, **changes):
        """Jobs by rule of a dry run, and what it wrote."""
        status, text = self.run("-n", "--quiet", "host", **changes)
        assert status == 0, text[-3000:]
        return plans.jobs(text), text

    def copy(self, folder):
        """The same in another folder, with all dates."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Study(folder, copy.deepcopy(self.config), self.checkout, copy.deepcopy(self.assumptions))

    def write(self, path, content):
        """Write a text, keeping the file's date."""
        path = self.folder / path
        before = path.stat()
        path.write_text(content, encoding="utf-8")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def edit(self, path, old, new):
        """Replace a text in a file once, keeping its date."""
        text = (self.folder / path).read_text(encoding="utf-8")
        assert old in text
        self.write(path, text.replace(old, new, 1))

    def replace_image(self, path, value):
        """Put an image of another content, and an older date, in the place of one."""
        path = self.folder / path
        image = nibabel.load(path)
        data = np.full(image.shape, value, np.float32)
        nibabel.save(nibabel.Nifti1Image(data, image.affine, image.header), path)
        os.utime(path, (1e9, 1e9))


def make(
    folder: Path,
    config: dict[str, Any],
    participants: int = 6,
    *,
    prepare: Callable[[Path], None] = lambda dataset: None,
    removed: Callable[[str], bool] = lambda path: False,
    root: Path = ROOT,
) -> Study:
    """Finished results of a skeleton dataset, with their manifest.

    Parameters
    ----------
    folder : pathlib.Path
        For the study.
    config : dict
        With ``bids_dir: bids`` and ``output_dir: results``.
    participants : int
    prepare : callable
        Takes the dataset's folder and changes the dataset before the first plan.
    removed : callable
        Says of a path below the results' folder whether the run removes the file once it has used it.
    root : pathlib.Path
        The state of the project that makes the results.

    Returns
    -------
    Study
    """
    study = Study(folder / "study", config, root)
    skeleton.dataset(study.folder / "bids", participants=participants)
    prepare(study.folder / "bids")
    _touch(study)
    for path in recorded.names(study.folder / ".snakemake/metadata"):
        # Temporary files are gone when all is done.
        if path.startswith("results/sensitivity/maps/") or removed(path.removeprefix("results/")):
            (study.folder / path).unlink(missing_ok=True)
        else:
            skeleton.write(study.folder / path, path)
    for path in (study.folder / "results").rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            os.utime(path, (1.7e9, 1.7e9))
    # What is written down now is whole.
    _touch(study)
    return study


def planned(folder: Path, config: dict[str, Any], assumptions: dict[str, Any]) -> Study:
    """A finished maps depth of a planned trial's power.

    Parameters
    ----------
    folder : pathlib.Path
        For the study.
    config, assumptions : dict
    """
    study = Study(folder / "study", config, ROOT, assumptions)
    study.folder.mkdir()
    _touch(study)
    for path in recorded.names(study.folder / ".snakemake/metadata"):
        skeleton.write(study.folder / path, path)
    _touch(study)
    return study


def _touch(study):
    status, text = study.run("--touch", "--cores", "1", "--quiet", "host")
    assert status == 0, text[-3000:]
