"""CBF maps of other programs with values known in closed form, on a small template, through the rules' scripts."""

from types import SimpleNamespace

import numpy as np
import other_programs
from loading import script
from pharmasl.files import tables
from pharmasl.space import images, transforms
from pharmasl.study import settings
from pharmasl.study.labels import NAMES

SPACE = "MNI152NLin2009aSym"
SOURCE = {
    "name": "ASLPrep",
    "version": "26.0.3",
    "space": SPACE,
    "units": "mL/100 g/min",
    "units_source": "Units of x_cbf.json",
    "factor": 1.0,
    "place": "../aslprep/x_cbf.nii.gz",
}
RULES = {
    "bands": {},
    "exclude": [],
    "least_pairs": 2,
    "exclude_failed_registration": True,
    "exclude_implausible": True,
}
LABEL = {"participant_id": "sub-01", "session_id": "T1", "condition": "rest", "scan": "sub-01_ses-T1_acq-rest"}


def points(grid):
    return transforms.points(images.Grid(*grid))


def brain(grid, scale=1.0):
    return ((points(grid) - [0, -18, 10]) ** 2 / np.square(np.array([66, 84, 64]) * scale)).sum(axis=-1) < 1


def ramp(grid):
    """A CBF that grows linearly from left to right: trilinear samples of it are exact."""
    return 50 + 0.2 * points(grid)[..., 0]


def template(folder):
    """A template of 6 mm whose grey matter is a shell around white matter; its files are written."""
    grid = other_programs.grid(SPACE, 6.0)
    mask = brain(grid)
    core = brain(grid, 0.7)
    tissues = {"gm": mask & ~core, "wm": core, "csf": np.zeros_like(mask)}
    t1w = 40.0 * mask + 60.0 * core
    for name, data in {"t1w": t1w, "mask": mask, **tissues}.items():
        images.save(folder / f"{name}.nii.gz", data.astype(np.float32), grid[1])
    return SimpleNamespace(grid=grid, mask=mask, **tissues)


def bring(folder, cbf, affine, mask=None, fwhm=0.0, through=(), **source):
    images.save(folder / "source.nii.gz", cbf, affine)
    masks = []
    if mask is not None:
        masks = [folder / "source_mask.nii.gz"]
        images.save(masks[0], mask, affine, dtype=np.uint8)
    names = ("template_cbf", "smooth", "coverage", "error")
    output = SimpleNamespace(sidecar=folder / "cbf.json", **{name: folder / f"{name}.nii.gz" for name in names})
    inputs = SimpleNamespace(
        cbf=folder / "source.nii.gz",
        mask=masks,
        transforms=list(through),
        template_mask=folder / "mask.nii.gz",
        template_gm=folder / "gm.nii.gz",
    )
    params = SimpleNamespace(source={**SOURCE, **source}, fwhm=fwhm)
    script("import_cbf").main(SimpleNamespace(input=inputs, output=output, params=params))
    loaded = {name: images.load(getattr(output, name))[0] for name in names}
    return SimpleNamespace(**loaded, sidecar=tables.read_json(output.sidecar), files=output)


def judged(folder, out, measures=(), rated=None, **rules):
    output = SimpleNamespace(table=folder / "quality.tsv")
    inputs = SimpleNamespace(
        cbf=out.files.template_cbf,
        coverage=out.files.coverage,
        sidecar=out.files.sidecar,
        **{name: folder / f"{name}.nii.gz" for name in ("mask", "gm", "wm", "csf")},
    )
    params = SimpleNamespace(
        scan=LABEL,
        measures=dict(measures),
        rules={**RULES, **rules},
        own_exclusion=None,
        own_rating=rated,
        own_acceptance=None,
    )
    script("imported_quality").main(SimpleNamespace(input=inputs, output=output, params=params))
    (row,) = tables.read_table(output.table)
    return row


def tissue_map(template, grey=60.0, white=20.0):
    return np.where(template.gm, grey, white).astype(np.float32)


def page(folder, out, mask=None, through=(), measures=(), bands=None, labels=NAMES):
    """Write the page of a map that :func:`bring` and :func:`judged` have been through, and return its path."""
    inputs = SimpleNamespace(
        quality=folder / "quality.tsv",
        sidecar=out.files.sidecar,
        cbf=folder / "source.nii.gz",
        mask=[] if mask is None else [folder / "source_mask.nii.gz"],
        transforms=list(through),
        template_cbf=out.files.template_cbf,
        coverage=out.files.coverage,
        reference=folder / "t1w.nii.gz",
        reference_mask=folder / "mask.nii.gz",
        **{f"reference_{name}": folder / f"{name}.nii.gz" for name in ("gm", "wm", "csf")},
    )
    params = SimpleNamespace(
        file="sub-01/perf/x_cbf.nii.gz", measures=dict(measures), bands=bands or {}, labels=settings.plain(labels)
    )
    output = SimpleNamespace(page=folder / "page.html")
    script("imported_page").main(SimpleNamespace(input=inputs, output=output, params=params))
    return output.page
