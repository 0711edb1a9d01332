"""The files of a visit's scans, and the contrast made of them."""

import numpy as np
from pharmasl.contrasts import contrast_maps
from pharmasl.files import tables
from pharmasl.quality.measure_columns import COLUMNS
from pharmasl.space import images


class Visit:
    """Files of scans of constant CBF, a name each, and the contrast made of them."""

    def __init__(self, folder, **scans):
        self.folder, self.affine = folder, np.diag([2.0, 2, 2, 1])
        self.effect, self.error, self.sidecar = (folder / name for name in ("c.nii.gz", "e.nii.gz", "c.json"))
        self.names = list(scans)
        for name, (condition, value) in scans.items():
            images.save(folder / f"{name}.nii.gz", np.full((3, 3, 3), value), self.affine)
            images.save(folder / f"{name}_error.nii.gz", np.ones((3, 3, 3)), self.affine)
            self.cover(name, 1)
            self.judge(name, condition, None)

    def cover(self, name, value):
        images.save(self.folder / f"{name}_covered.nii.gz", np.full((3, 3, 3), value), self.affine)

    def judge(self, name, condition, reason):
        row = {"scan": name, "condition": condition, "usable": "no" if reason else "yes", "exclusion_reason": reason}
        tables.write_table(self.folder / f"{name}.tsv", [row], COLUMNS)

    def contrast(self, *weights, relative=None):
        paths = [
            [self.folder / f"{name}{end}" for name in self.names]
            for end in (".nii.gz", "_error.nii.gz", "_covered.nii.gz", ".tsv")
        ]
        contrast_maps.write_contrast(
            contrast_maps.ScanFiles(**dict(zip(("maps", "errors", "coverages", "quality"), paths))),
            weights,
            relative,
            effect_path=self.effect,
            error_path=self.error,
            sidecar_path=self.sidecar,
        )
        return images.load(self.effect)[0], images.load(self.error)[0], tables.read_json(self.sidecar)
