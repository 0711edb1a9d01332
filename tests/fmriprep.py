"""Anatomies as fMRIPrep, sMRIPrep and ASLPrep write them: their names (fMRIPrep 25 docs/outputs.rst, sMRIPrep's io_spec.json)."""

import json
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from pharmasl.space import itk_transforms, transforms
from pharmasl.study import example

VERSION = "25.2.7"
TISSUES = ("GM", "WM", "CSF")
# What stands in a skeleton in place of a transform: its first bytes.
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(64)


def description(root, version=VERSION, name="fMRIPrep"):
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    content = {
        "Name": f"{name} - fMRI PREProcessing workflow",
        "BIDSVersion": "1.4.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": name, "Version": version, "CodeURL": f"https://github.com/nipreps/{name.lower()}"}],
        "HowToAcknowledge": "Please cite our paper.",
    }
    (root / "dataset_description.json").write_text(json.dumps(content, indent=2))
    return root


def stem(root, subject, session=None):
    """Path and beginning of the names of an anatomy."""
    parts = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    return Path(root, *parts, "anat", "_".join(parts))


def native(space=None):
    """The ends of the images' names in the space of the T1w, or in that of a template."""
    where = f"_space-{space}" if space else ""
    return {
        "t1w": f"{where}_desc-preproc_T1w.nii.gz",
        "mask": f"{where}_desc-brain_mask.nii.gz",
        "dseg": f"{where}_dseg.nii.gz",
        **{tissue.lower(): f"{where}_label-{tissue}_probseg.nii.gz" for tissue in TISSUES},
    }


def skeleton(root, subjects, *, session=None, spaces=("MNI152NLin2009cAsym",)):
    """Names without content: images of a few voxels, transforms of their first bytes."""
    description(root)
    for subject in subjects:
        start = stem(root, subject, session)
        for space in (None, *spaces):
            for end in native(space).values():
                example.image(Path(f"{start}{end}"), (3, 3, 3) if space is None else (4, 4, 4))
        for space in spaces:
            for way in (f"from-T1w_to-{space}", f"from-{space}_to-T1w"):
                Path(f"{start}_{way}_mode-image_xfm.h5").write_bytes(HDF5)
        for way in ("from-T1w_to-fsnative", "from-orig_to-T1w"):
            Path(f"{start}_{way}_mode-image_xfm.txt").write_text("#Insight Transform File V1.0\n")
    return Path(root)


def composite(path, coordinates, grid, matrix):
    """A map of points as antsRegistration writes it: a displacement field that acts first, then a matrix (both RAS+)."""
    displacement = (transforms.apply(np.linalg.inv(matrix), coordinates) - transforms.points(grid)) * [-1, -1, 1]
    image = sitk.GetImageFromArray(displacement.transpose(2, 1, 0, 3), isVector=True)
    spacing, origin, direction = itk_transforms.geometry(grid.affine)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    lps = transforms.FLIP @ matrix @ transforms.FLIP
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(lps[:3, :3].ravel().tolist())
    affine.SetTranslation(lps[:3, 3].tolist())
    sitk.WriteTransform(sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(image)]), str(path))


def save(path, data, affine, dtype=np.float32):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(np.asarray(data, dtype), affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    nibabel.save(image, path)
    return path


def of_head(root, subject, head, shape, t1w, grid, space):
    """What the programs write of a simulated head, were they never wrong.

    ``head`` and ``shape`` are :mod:`pharmasl.simulate`'s, ``t1w`` its image, ``grid`` one over the template.
    """
    start, affine = stem(description(root), subject), head.grid.affine
    # Their intensities have a scale of their own.
    save(f"{start}_desc-preproc_T1w.nii.gz", 7.3 * t1w, affine)
    save(f"{start}_desc-brain_mask.nii.gz", head.mask, affine, np.uint8)
    for tissue in TISSUES:
        save(f"{start}_label-{tissue}_probseg.nii.gz", np.where(head.mask, head.fractions[tissue.lower()], 0), affine)
    to_head = shape.from_template(transforms.points(grid))
    composite(f"{start}_from-T1w_to-{space}_mode-image_xfm.h5", to_head, grid, np.linalg.inv(shape.matrix))
    composite(f"{start}_from-{space}_to-T1w_mode-image_xfm.h5", head.template_points, head.grid, shape.matrix)
    return start
