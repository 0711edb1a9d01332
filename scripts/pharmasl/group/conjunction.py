"""Where several analyses all find an effect of one sign (Nichols et al. 2005, NeuroImage 25:653)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.group import map_sidecars, verdict
from pharmasl.group.map_sidecars import Sources
from pharmasl.space import images
from pharmasl.statistics import conjunctions


@dataclass(frozen=True, kw_only=True)
class ConjunctionFiles:
    """What is read, one path per analysis, in one order.

    Attributes
    ----------
    z : sequence of path-like
        z maps.
    pfwe : sequence of path-like
        Corrected p of voxels by what decides each analysis, as -log10.
    inference : sequence of path-like
        Blocks of definitions.
    template_mask : path-like
        Of the template on whose grid the maps lie.
    """

    z: Sequence[FilePath]
    pfwe: Sequence[FilePath]
    inference: Sequence[FilePath]
    template_mask: FilePath


class Outputs(Protocol):
    """Paths of a conjunction's files."""

    z: str
    pfwe: str
    inference: str


def write(files: ConjunctionFiles, outputs: Outputs, *, name: str, analyses: Sequence[str]) -> None:
    """Write the minimum statistic, its family-wise p, and what they mean.

    Parameters
    ----------
    files : ConjunctionFiles
    outputs : object
        Attributes ``z``, ``pfwe``, ``inference``: paths.
    name : str
    analyses : list of str

    Raises
    ------
    InputError
        If an analysis has no family-wise p.
    """
    blocks = [tables.read_json(path) for path in files.inference]
    loaded = [images.load(path) for path in files.z]
    stack, affine = np.stack([data for data, _ in loaded]), loaded[0][1]
    p = np.stack([10.0 ** -images.load(path)[0].astype(np.float64) for path in files.pfwe])
    ran = [block["status"] == "run" for block in blocks]
    for label, here, block in zip(analyses, ran, blocks):
        if here and block["verdict"]["error_rate"] != verdict.FAMILY_WISE:
            raise InputError(
                "configuration",
                f"conjunctions.{name}",
                label,
                "analyses with a family-wise p",
                "Take analyses of the method differences or full_factorial.",
            )
    shared = np.isfinite(stack).all(axis=0) & np.isfinite(p).all(axis=0)
    z = np.full(shared.shape, np.nan)
    joint = np.full(shared.shape, np.nan)
    z[shared] = conjunctions.minimum_statistic(stack[:, shared].astype(np.float64))
    joint[shared] = conjunctions.largest_p(p[:, shared], stack[:, shared])
    code = images.form_code(files.z[0])
    images.save(outputs.z, z, affine, intent="z score", code=code)
    images.save(outputs.pfwe, -np.log10(joint) + 0.0, affine, intent="log10 p value", code=code)
    alpha = max(block["alpha"] for block in blocks)
    # The maps are in single precision.
    significant = joint <= alpha * (1 + 1e-5)
    peak = None
    if significant.any():
        where = np.unravel_index(np.nanargmax(np.where(significant, np.abs(z), np.nan)), z.shape)
        peak = [float(value) for value in affine[:3, :3] @ where + affine[:3, 3]]
    tables.write_json(
        outputs.inference,
        {
            "status": "run"
            if all(ran)
            else "not run: "
            + "; ".join(
                f"{label} was {block['status']}" for label, block in zip(analyses, blocks) if block["status"] != "run"
            ),
            "analyses": list(analyses),
            "statistic": "the z nearest to 0 where all have one sign, 0 elsewhere",
            "p": "the largest of the analyses' deciding p: of an effect in every one of them (conjunction null)",
            "decided_by": [block["verdict"]["statistic"] if here else None for here, block in zip(ran, blocks)],
            "alpha": alpha,
            "voxels": int(shared.sum()),
            "significant_voxels": int(significant.sum()),
            "peak_mm": peak,
        },
    )
    sources = Sources(maps=[*files.z, *files.pfwe], template_mask=files.template_mask)
    map_sidecars.write_conjunction(outputs, analyses, alpha, sources)
