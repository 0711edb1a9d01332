"""A scan on disk whose CBF is known at every point, through transforms that differ from one another."""

import dataclasses
from pathlib import Path

import head
import numpy as np
from perfusion_settings import quantification as quantification_settings
from pharmasl.files import tables
from pharmasl.perfusion import cbf_series, known_maps, quantification, realigned_series, scan, slice_signal
from pharmasl.space import images, transforms
from pharmasl.study import known_tissue, scan_acquisition
from pharmasl.study import settings as settings_of

ASL = head.centred((30, 34, 24), (4.0, 4.0, 5.0), shift=(2, -3, 4))
T1W = head.centred((44, 48, 40), (3.0, 3.0, 3.0), shift=(-4, 1, 0))
TEMPLATE = head.centred((22, 24, 20), (4.0, 4.0, 4.0), shift=(1, 1, 1))
TO_ASL = transforms.rigid_matrix((3, -2, 4), (0.05, -0.03, 0.06), (0, 0, 0))  # T1w points to points of the series
ACQUISITION = {
    "volume_types": ["m0scan", "control", "label", "control", "label", "n/a"],
    "labeling_type": "PCASL",
    "labeling_duration": 1.8,
    "post_labeling_delay": 1.8,
    "bolus_cutoff_delay": None,
    "bolus_cutoff_technique": None,
    "slice_timing": None,
    "labeling_efficiency": 0.85,
    "background_suppression": False,
    "m0_type": "Included",
    "m0_estimate": None,
    "m0_repetition_time": 6.0,
    "repetition_time": 4.0,
    "t1_blood": 1.65,
    "t1_tissue": 1.607,
    "partition_coefficient": 0.9,
    "sources": {"labeling_efficiency": "default for PCASL (Alsop 2015)"},
}
M0 = {"t1_recovery": False, "smoothing_fwhm": 0.0}
SUFFIXES = {"sidecar": ".json", "repeats": ".tsv"}


def difference(points):
    """deltaM at points of the series' reference: linear, so that any one exact interpolation returns it."""
    return 10 + points @ np.array([0.03, -0.02, 0.04])


def warp(points):
    """Template points to T1w points: no affine, and different in each direction."""
    return points + np.stack([0.02 * points[..., 1] + 3, -0.0005 * points[..., 2] ** 2, 0.01 * points[..., 0] - 2], -1)


def distinct(volumes):
    """Volumes as a series in which no two are alike and none is constant, as in a measured one: by a corner's voxel."""
    series = np.stack([np.array(volume, dtype=np.float32) for volume in volumes], axis=3)
    series[0, 0, 0] *= 1 + 1e-3 * np.arange(1, series.shape[3] + 1, dtype=np.float32)
    series[0, 0, 0] += 1e-3 * np.arange(1, series.shape[3] + 1, dtype=np.float32)
    return series


class Files:
    """A scan on disk, and what becomes of it."""

    def __init__(self, folder, motion=None, acquisition=None, volumes=None, m0=()):
        self.folder, self.acquisition = Path(folder), {**ACQUISITION, **(acquisition or {})}
        types = self.acquisition["volume_types"]
        self.motion = [np.eye(4)] * len(types) if motion is None else motion
        points = transforms.points(ASL)
        if volumes is None:
            volumes = []
            for kind, matrix in zip(types, self.motion):
                here = transforms.apply(np.linalg.inv(matrix), points)
                signal = {"label": -difference(here), "deltam": difference(here)}.get(kind, 0.0)
                volumes.append((0 if kind == "deltam" else 1000) + signal + 0 * here[..., 0])
        images.save(self.path("asl"), distinct(volumes), ASL.affine)
        transforms.write_affines(self.path("motion", ".txt"), self.motion)
        transforms.write_affines(self.path("m0_motion", ".txt"), np.eye(4))
        transforms.write_affines(self.path("coregistration", ".txt"), TO_ASL)
        tables.write_table(self.path("confounds", ".tsv"), [{}] * len(types), slice_signal.columns(0))
        transforms.write_field(self.path("forward"), warp(transforms.points(TEMPLATE)), TEMPLATE.affine)
        inside = np.linalg.norm(transforms.points(T1W) / [40, 45, 36], axis=-1) < 1
        for name, share in (("gm", 0.6), ("wm", 0.3), ("csf", 0.1), ("mask", 1.0)):
            images.save(self.path(name), inside * share, T1W.affine)
        self.mask = np.linalg.norm(transforms.points(TEMPLATE) / [28, 30, 26], axis=-1) < 1
        images.save(self.path("template_mask"), self.mask, TEMPLATE.affine, dtype=np.uint8)
        images.save(self.path("reference"), self.mask, TEMPLATE.affine)
        self.m0 = list(m0)

    def path(self, name, suffix=".nii.gz"):
        return str(self.folder / f"in_{name}{suffix}")

    def known_tissue(self, own=None, **values):
        """Write the maps of known values, ``own`` the study's by name, and return the paths by which a quantification takes them."""
        images.save(self.path("aslref"), np.zeros(ASL.shape, dtype=np.float32), ASL.affine)
        files = {name: self.path(name) for name in ("aslref", "gm", "wm", "mask")}
        made = {name: str(self.folder / f"known_{name}.nii.gz") for name in values}
        made |= {f"{name}_sidecar": str(self.folder / f"known_{name}.json") for name in values}
        files |= {name: [path] for name, path in (own or {}).items()} | {"forward": [self.path("forward")]}
        tissue = {"transit_time": None, "t1": None, **values}
        known_maps.write(
            known_maps.Inputs(**files, coregistration=self.path("coregistration", ".txt")),
            made,
            settings_of.build(settings_of.Tissue, tissue),
            {name: known_tissue.limits(name) for name in values},
        )
        return {name: [path] for name, path in made.items()}

    def quantify(self, m0=M0, fitted=False, known=None, **settings):
        given = {n: self.path(n) for n in ("asl", "forward", "gm", "wm", "csf", "mask", "reference", "template_mask")}
        given |= {n: self.path(n, ".txt") for n in ("motion", "m0_motion", "coregistration")}
        given |= {"confounds": self.path("confounds", ".tsv"), "m0": self.m0, **(known or {})}
        names = [
            field.name for field in dataclasses.fields(quantification.Outputs) if fitted or "att" not in field.name
        ]
        made = {name: str(self.folder / f"out_{name}{SUFFIXES.get(name, '.nii.gz')}") for name in names}
        quantification.quantify(
            quantification.Inputs(**given),
            quantification.Outputs(**made),
            acquisition=scan_acquisition.build(self.acquisition),
            quantification=quantification_settings(m0=m0, **settings),
        )
        return made

    def realigned(self):
        """The realigned series, from its file."""
        path = self.folder / "realigned.nii.gz"
        realigned_series.write(
            path,
            self.path("asl"),
            self.path("motion", ".txt"),
            acquisition=scan_acquisition.build(self.acquisition),
            interpolation="cubic",
        )
        return images.load(path).data

    def of_repeats(self, m0=M0, known=None, **settings):
        """The CBF of each repeat, from its file; after :meth:`quantify`, which makes the brain mask."""
        path = self.folder / "of_repeats.nii.gz"
        cbf_series.write(
            path,
            scan.RawFiles(
                self.path("asl"), self.m0, self.path("motion", ".txt"), self.path("m0_motion", ".txt"), **(known or {})
            ),
            self.folder / "out_brain_mask.nii.gz",
            acquisition=scan_acquisition.build(self.acquisition),
            quantification=quantification_settings(m0=m0, **settings),
        )
        return images.load(path).data

    def expected(self):
        """deltaM on the template grid, through all transforms."""
        return difference(transforms.apply(TO_ASL, warp(transforms.points(TEMPLATE))))
