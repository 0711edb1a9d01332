"""What a simulated magnetic field does to scans, and what the workflow leaves of it: displacement and CBF in the brain and the vmPFC.

    python benchmarks/simulated_distortion.py NAME=CONFIG[+CONFIG ...] [NAME=CONFIG ...]

Each CONFIG is a configuration with a section ``simulate``, or several files of which the later ones change the earlier, as after ``--configfile``. Its
trial is there, and analysed at least as far as CBF in template space. Printed is a row by configuration and region, means over all scans of which there
is a CBF map: mm displaced along the phase encoding and mm left (root mean squares), by how much registration and motion
correction err beside it (root mean square over grey matter of the brain), and CBF: the mean error, and the root mean square error over voxels of 4 mm in
the template, unsmoothed. A trial of the same seed without a field shows what noise and the fit to the template do by themselves.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

import numpy as np
import yaml
from pharmasl.files import bids
from pharmasl.simulate import accuracy, distortion_comparison, planned_trial, susceptibility
from pharmasl.simulate.accuracy import PersonFiles, RunFiles
from pharmasl.simulate.distortion_comparison import BRAIN, VMPFC, ScanFiles
from pharmasl.simulate.susceptibility import Susceptibility
from pharmasl.space import images, transforms
from pharmasl.study import configuration, settings


def merged(files):
    """The configuration of several files."""
    whole = {}
    for path in files:
        merge(whole, yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    return whole


def merge(into, changes):
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


class Trial:
    """A simulated trial and what was made of it."""

    def __init__(self, config, folder):
        section = planned_trial.complete(config["simulate"])
        study = settings.read(configuration.resolve(config))
        self.truth, self.results, self.space = section["truth_dir"], study.output_dir, study.template.space
        asked = settings.build(Susceptibility, section["distortion"])
        self.millimetres = susceptibility.millimetres(asked, section["perfusion"]["voxel_size"])
        self.still = Path(folder, "still.nii.gz")
        self.grey = Path(bids.derivative(self.results, f"template/tpl-{self.space}", "probseg", res="1", label="GM"))

    def scans(self):
        """Each scan that has a CBF map of a whole run."""
        for cbf in sorted(Path(self.results).glob(f"sub-*/ses-*/perf/*_space-{self.space}_cbf.nii.gz")):
            stem = str(cbf.relative_to(self.results)).partition("_space-")[0]
            if Path(truth := bids.derivative(self.truth, stem, "cbf", space=self.space)).is_file():
                yield self._files(stem, truth, cbf)

    def _files(self, stem, truth_cbf, cbf):
        subject = stem.partition("/")[0]
        head = f"{subject}/anat/{subject}"
        own = {
            f"{prefix}{name}": bids.derivative(root, stem, "xfm", ".txt", from_=start, to=end, mode="image")
            for prefix, root in (("truth_", self.truth), ("", self.results))
            for name, start, end in (("motion", "orig", "aslref"), ("coregistration", "aslref", "T1w"))
        }
        person = PersonFiles(
            bids.derivative(self.truth, head, "mask", desc="brain"),
            bids.derivative(self.truth, head, "xfm", from_="T1w", to=self.space, mode="image"),
            bids.derivative(self.results, head, "mask", desc="brain"),
            None,
        )
        field, corrected = (
            Path(bids.derivative(root, own_stem, "fieldmap"))
            for root, own_stem in ((self.truth, head), (self.results, stem))
        )
        if not field.is_file():
            field = self.still
            mask = images.load(person.truth_mask)
            images.save(field, 0 * mask.data, mask.affine)
        return ScanFiles(
            person, RunFiles(**own, person=0), truth_cbf, cbf, field, corrected if corrected.is_file() else None
        )


def rows(name, trial):
    """Print the rows of a trial."""
    scans = list(trial.scans())
    grey = distortion_comparison.template_grey(trial.grey, scans[0].truth_cbf)
    errors = [distortion_comparison.scan_errors(scan, grey, trial.millimetres) for scan in scans]
    placed = [
        accuracy.placement_error(scan.run, transforms.read_field(scan.person.truth_field)[0][grey][::23])
        for scan in scans
    ]
    for region in (BRAIN, VMPFC):
        own = [error[region] for error in errors]
        displaced, left, rms = (
            np.mean([getattr(error, part) for error in own]) for part in ("displaced", "left", "error")
        )
        bias = np.mean([error.measured / error.planted - 1 for error in own])
        print(
            f"| {name} | {len(scans)} | {region} | {displaced:.2f} | {left:.2f} | {np.mean(placed):.2f} | {100 * bias:+.1f} % "
            f"| {100 * rms:.1f} % |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="+", metavar="NAME=CONFIG")
    asked = parser.parse_args()
    print("| scans | number | region | displaced, mm | left, mm | registration, mm | CBF: mean error | rms error |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for trial in asked.trials:
            name, _, files = trial.partition("=")
            rows(name, Trial(merged(files.split("+")), folder))


if __name__ == "__main__":
    main()
