"""One person without a T1w and three coarse scans: the smallest study that is computed from raw images."""

import shutil

import nibabel as nib
import numpy as np
import skeleton
from calling import Workflow

CONDITIONS = ("rest", "neutral", "smoking")


def scan(path, seed, *, empty=False, pairs=3):
    """A coarse series of some pairs, made from the template's own tissues."""
    from nilearn import datasets

    t1w, grey = (
        load(resolution=8).get_fdata() for load in (datasets.load_mni152_template, datasets.load_mni152_gm_template)
    )
    control = 500 + 3000 * t1w
    noise = np.random.default_rng(seed)
    volumes = [control * 1.2] + [control - label * 25 * grey for label in (0, 1) * pairs]
    series = np.stack([volume + noise.normal(0, 2, volume.shape) for volume in volumes], axis=-1)
    affine = datasets.load_mni152_template(resolution=8).affine
    nib.save(nib.Nifti1Image(np.zeros_like(series) if empty else series.astype(np.float32), affine), path)


def posed(folder, empty=None):
    """The study in a folder, configured; the scan of the condition ``empty`` holds nothing."""
    workflow = Workflow(folder)
    skeleton.dataset(workflow.folder / "bids", participants=1, sessions=("T1",), conditions=CONDITIONS)
    shutil.rmtree(workflow.folder / "bids/sub-01/ses-T1/anat")
    for seed, path in enumerate(sorted((workflow.folder / "bids").rglob("*_asl.nii.gz"))):
        scan(path, seed, empty=empty is not None and empty in path.name)
    workflow.configure(
        {
            "bids_dir": "bids",
            "output_dir": "results",
            "conditions": {name: {"acquisition": name} for name in CONDITIONS},
            "anatomy": {"missing_t1w": "template"},
        }
    )
    return workflow


def images(folder):
    """Every image and table of the scans, by name."""
    scans = folder / "results/sub-01/ses-T1/perf"
    return {path.name: path.read_bytes() for path in sorted(scans.rglob("*.*")) if path.suffix in (".gz", ".tsv")}
