"""A slab of a few slices: its volumes cannot be realigned, but without realignment it is registered."""

import head
import numpy as np
import pytest
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import alignment
from pharmasl.space import images, transforms
from pharmasl.study.scan_acquisition import Acquisition

SLAB = head.centred((44, 52, 3), (4.0, 4.0, 6.0), shift=(0, 0, 6))
TRUE = transforms.rigid_matrix((5, -7, 6), (0.05, -0.03, 0.08), (0, 0, 0))
MADE = ("motion", "m0_motion", "coregistration", "registration", "aslref", "confounds")
ACQUISITION = Acquisition(volume_types=("m0scan", "control", "label"), m0_type="Included")


def made(folder):
    fine = head.centred((84, 100, 76), (2.0, 2.0, 2.0))
    tissue, seen = head.render(fine), head.scan(SLAB, TRUE)
    for k, name in enumerate(("gm", "wm", "csf")):
        images.save(folder / f"{name}.nii.gz", tissue[..., k], fine.affine)
    m0 = seen @ np.array([900.0, 740.0, 1250.0, 400.0])
    series = np.stack([m0, m0, m0 - seen @ np.array([10.0, 3.0, 0.0, 0.0])], axis=-1)
    images.save(folder / "asl.nii.gz", series, SLAB.affine)
    return [folder / f"{name}.nii.gz" for name in ("gm", "wm", "csf")]


def align(folder, correct):
    outputs = {name: folder / (f"{name}.nii.gz" if name == "aslref" else f"{name}.out") for name in MADE}
    inputs = alignment.Inputs(asl=folder / "asl.nii.gz", m0=[], **dict(zip(("gm", "wm", "csf"), made(folder))))
    written = alignment.Outputs(**outputs)
    alignment.align(inputs, written, acquisition=ACQUISITION, stretch=False, correct=correct)
    return outputs


def test_it_is_refused_by_name_where_volumes_are_to_be_realigned(tmp_path):
    with pytest.raises(InputError, match=r"asl\.nii\.gz: dim: found '44 x 52 x 3'.*perfusion\.motion\.correct"):
        align(tmp_path, correct=True)


def test_it_is_registered_where_they_are_not(tmp_path):
    outputs = align(tmp_path, correct=False)
    assert tables.read_json(outputs["registration"])["Accepted"]
    to_t1w = np.linalg.inv(transforms.read_affines(outputs["coregistration"])[0])
    points = transforms.points(SLAB)[10:-10, 10:-10].reshape(-1, 3)
    error = transforms.apply(to_t1w, points) - transforms.apply(TRUE, points)
    assert np.sqrt((error**2).sum(axis=1).mean()) < 1.0
