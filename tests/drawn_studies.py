"""A planned study of maps in large voxels, and a ground without a template."""

import dataclasses

import numpy as np
import yaml
from loading import ROOT
from pharmasl.commands import planned_study
from pharmasl.power.ground import Ground
from pharmasl.study import maps_depth

GOOD = yaml.safe_load((ROOT / "config/power.yaml").read_text())


def write(folder, **changes):
    """The shipped assumptions with other fields in place of some, beside the shipped configuration; None removes one."""
    (folder / "config.yaml").write_text((ROOT / "config/config.yaml").read_text())
    content = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    (folder / "power.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return str(folder / "power.yaml")


def outcome(**changes):
    own = {**GOOD["outcomes"]["dlPFC at rest"], **changes}
    return {"outcomes": {"one": {key: value for key, value in own.items() if value is not None}}}


def planned(folder, *, maps=None, outcomes=None, **changes):
    """The first outcome; ``changes`` of what its jobs are given."""
    path = write(folder, maps={**GOOD["maps"], **(maps or {})}, **(outcomes or {}))
    one = maps_depth.read(*planned_study.read(path))[0]
    return dataclasses.replace(one, **changes)


def ground(places, shape=(9, 10, 9), voxel=8.0):
    """A box of voxels with places, each a slice per axis."""
    mask = np.ones(shape, dtype=bool)
    inside = np.zeros((len(places), *shape), dtype=bool)
    for number, where in enumerate(places):
        inside[(number, *where)] = True
    octants = np.add.outer(
        np.add.outer(np.arange(shape[0]) // 3 * 16, np.arange(shape[1]) // 3 * 4), np.arange(shape[2]) // 3
    )
    return Ground(
        mask=mask,
        affine=np.diag([voxel, voxel, voxel, 1.0]),
        inside=inside.reshape(len(places), -1),
        weights=inside.reshape(len(places), -1).astype(np.float32),
        parcels=np.unique(octants.ravel(), return_inverse=True)[1] + 1,
        searched=np.ones(mask.sum(), dtype=bool),
    )
