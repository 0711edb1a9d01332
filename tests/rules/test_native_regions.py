"""The scripts native_regions and native_roi_values on small files: the chain's direction, missing voxels, determinism."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from head import centred
from loading import ROOT, script
from pharmasl.anatomy import assumed
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.regions import region_values
from pharmasl.space import images, transforms

TEMPLATE = centred((30, 34, 28), (2, 2, 2))
SCAN = centred((20, 22, 14), (3.5, 3.5, 5), shift=(3, -4, 5))
# T1w to scan, 9 mm and 12 degrees: taken the wrong way round, no region is where it was planted.
POSE = transforms.rigid_matrix([6, -5, 4], [0.1, -0.05, 0.2], [0, 0, 0])
STATISTICS = {"ball": "mean", "other": "median", "grey": "gm_weighted", "none": "mean"}
CENTRES = {"ball": (12, 12, -6), "other": (-12, -8, 6), "grey": (-14, 14, -8)}


def ball(grid, centre, radius, matrix=None):
    """Where points of a grid, mapped by a matrix, lie in a ball."""
    points = transforms.apply(np.eye(4) if matrix is None else matrix, transforms.points(grid))
    return ((points - centre) ** 2).sum(axis=-1) <= radius**2


@pytest.fixture
def files(tmp_path):
    """A participant without a T1w, whose anatomy is the template's: the chain is the pose alone."""
    for name in ("t1w", "mask", "gm", "wm", "csf", "reference_t1w", "reference_gm"):
        images.save(tmp_path / f"{name}.nii.gz", np.full(TEMPLATE.shape, 0.6), TEMPLATE.affine)
    made = ("preproc", "sidecar", "forward", "field_sidecar", "template_t1w", "template_gm")
    paths = {name: tmp_path / f"made_{name}.{'json' if 'sidecar' in name else 'nii.gz'}" for name in made}
    paths |= {name: tmp_path / f"made_{name}.nii.gz" for name in ("mask", "gm", "wm", "csf")}
    given = {name: tmp_path / f"{name}.nii.gz" for name in ("t1w", "mask", "gm", "wm", "csf")}
    given |= {name: tmp_path / f"{name}.nii.gz" for name in ("reference_t1w", "reference_gm")}
    assumed.assume(assumed.TemplateImages(**given), assumed.AnatomyFiles(**paths), "template")

    masks = [ball(TEMPLATE, CENTRES[name], 6) for name in CENTRES] + [np.zeros(TEMPLATE.shape)]
    for name, mask in zip(STATISTICS, masks):
        images.save(tmp_path / f"{name}_mask.nii.gz", mask, TEMPLATE.affine, dtype=np.uint8)
    transforms.write_affines(tmp_path / "pose.txt", POSE)
    # Each region has a CBF of its own, to well beyond its edge.
    cbf = np.full(SCAN.shape, 20.0)
    for name, level in zip(CENTRES, (80, 60, 45)):
        cbf[ball(SCAN, CENTRES[name], 12, np.linalg.inv(POSE))] = level
    images.save(tmp_path / "cbf.nii.gz", cbf, SCAN.affine)
    images.save(tmp_path / "brain.nii.gz", np.ones(SCAN.shape), SCAN.affine, dtype=np.uint8)
    images.save(tmp_path / "own_gm.nii.gz", np.full(SCAN.shape, 0.5), SCAN.affine)
    images.save(tmp_path / "coverage.nii.gz", np.zeros(TEMPLATE.shape), TEMPLATE.affine, dtype=np.uint8)
    return tmp_path


def read(folder, regions=STATISTICS, name="regions.tsv"):
    given = {"cbf": "cbf", "brain_mask": "brain", "gm": "own_gm", "coverage": "coverage"}
    given |= {"forward": "made_forward", "t1w_mask": "made_mask", "template_gm": "made_template_gm"}
    paths = {key: str(folder / f"{value}.nii.gz") for key, value in given.items()}
    masks = [str(folder / f"{roi}_mask.nii.gz") for roi in regions]
    script("native_regions").main(
        SimpleNamespace(
            input=SimpleNamespace(**paths, coregistration=str(folder / "pose.txt"), masks=masks),
            output=SimpleNamespace(table=str(folder / name)),
            params=SimpleNamespace(regions=dict(regions)),
        )
    )
    return {row["roi"]: row for row in tables.read_table(folder / name)}


def test_planted_values_are_found_where_the_chain_puts_them(files):
    found = read(files)
    assert [row["statistic"] for row in found.values()] == list(STATISTICS.values())
    for name, level in zip(CENTRES, (80, 60, 45)):
        assert float(found[name]["cbf"]) == pytest.approx(level, rel=1e-12)
        assert float(found[name]["coverage"]) == 1
    # A ball of 6 mm holds 14.8 of these voxels.
    assert 14.8 <= float(found["ball"]["n_voxels"]) < 30
    assert found["other"]["n_voxels"] == repr(float(int(float(found["other"]["n_voxels"]))))
    assert (found["none"]["cbf"], found["none"]["coverage"], found["none"]["n_voxels"]) == (None, None, "0.0")
    told = tables.read_json(files / "regions.json")
    assert "participant's grey matter" in told["coverage"]["Description"]


def test_missing_voxels_are_no_zeros(files):
    cbf, affine = images.load(files / "cbf.nii.gz")
    inside = ball(SCAN, CENTRES["ball"], 12, np.linalg.inv(POSE))
    upper = inside & (transforms.points(SCAN)[..., 2] > transforms.apply(POSE, np.array(CENTRES["ball"]))[2])
    images.save(files / "cbf.nii.gz", np.where(upper, 0, cbf), affine)
    row = read(files)["ball"]
    assert float(row["cbf"]) == pytest.approx(80, rel=1e-12)
    assert 0.3 < float(row["coverage"]) < 0.7
    # Missing by NaN, as corrected grey-matter CBF has it, or by the brain's mask: the same.
    images.save(files / "cbf.nii.gz", np.where(upper, np.nan, cbf), affine)
    assert read(files)["ball"] == row
    images.save(files / "cbf.nii.gz", cbf, affine)
    images.save(files / "brain.nii.gz", ~upper, affine, dtype=np.uint8)
    assert read(files)["ball"] == row
    # A zero that was found (label that only passes by, in a fit of several delays) is a value: the template is covered.
    images.save(files / "brain.nii.gz", np.ones(SCAN.shape), affine, dtype=np.uint8)
    images.save(files / "cbf.nii.gz", np.where(upper, 0, cbf), affine)
    images.save(files / "coverage.nii.gz", np.ones(TEMPLATE.shape), TEMPLATE.affine, dtype=np.uint8)
    found = read(files)["ball"]
    assert float(found["coverage"]) == 1
    assert 20 < float(found["cbf"]) < 60


def test_images_that_do_not_belong_together_are_refused(files):
    images.save(files / "own_gm.nii.gz", np.ones((3, 3, 3)), SCAN.affine)
    with pytest.raises(InputError, match="own_gm"):
        read(files)


def test_the_bytes_do_not_depend_on_the_threads(files):
    rng = np.random.default_rng(0)
    images.save(files / "cbf.nii.gz", rng.normal(50, 20, SCAN.shape), SCAN.affine)
    images.save(files / "own_gm.nii.gz", rng.uniform(size=SCAN.shape), SCAN.affine)
    read(files)
    code = f"import pathlib, test_native_regions as t; t.read(pathlib.Path({str(files)!r}), name='again.tsv')"
    path = os.pathsep.join(str(ROOT / part) for part in ("tests", "tests/rules", "scripts"))
    threads = {"NUMBA_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "3"}
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **threads, "PYTHONPATH": path})
    assert (files / "again.tsv").read_bytes() == (files / "regions.tsv").read_bytes()


def quality(folder, name, condition, usable):
    row = {
        "scan": name,
        "condition": condition,
        "usable": usable,
        "exclusion_reason": "" if usable == "yes" else "asked",
    }
    tables.write_table(folder / f"{name}_quality.tsv", [row], dict.fromkeys(row, "x"))
    return str(folder / f"{name}_quality.tsv")


def scan_means(folder, **means):
    """The table of the scans' global CBF."""
    numbers = {"brain_voxels": 100, "brain_coverage": 1, "grey_matter": 1, "grey_matter_voxels": 9}
    rows = [{"scan": name, "brain": mean, **numbers, "grey_matter_coverage": 1} for name, mean in means.items()]
    tables.write_table(folder / "means.tsv", rows, dict.fromkeys(rows[0], "x"))
    return folder / "means.tsv"


def test_contrasts_of_the_scans_tables(files):
    scans = []
    for number, scale in enumerate((1, 0.5)):
        cbf, affine = images.load(files / "cbf.nii.gz")
        images.save(files / "cbf.nii.gz", cbf * scale, affine)
        read(files, name=f"scan{number}.tsv")
        scans.append(str(files / f"scan{number}.tsv"))
    who = {"participant_id": "sub-01", "session_id": "T1", "arm": "baclofen"}
    rows = [
        {**who, "contrast": "rest", "scans": [0], "weights": [1]},
        {**who, "contrast": "cue", "scans": [0, 1], "weights": [1, -1]},
    ]

    def run(usable, means=(), **params):
        states = [{"scan": "a", "condition": "rest"}, {"scan": "b", "condition": "neutral"}]
        params = {"rows": rows, "roi": "ball", "statistic": "mean", "minimum_coverage": 0.5, "states": states} | params
        script("native_roi_values").main(
            SimpleNamespace(
                input=SimpleNamespace(
                    scans=scans,
                    quality=[quality(files, "a", "rest", "yes"), quality(files, "b", "neutral", usable)],
                    means=means,
                ),
                output=SimpleNamespace(table=str(files / "values.tsv")),
                params=SimpleNamespace(**params),
            )
        )
        return tables.read_table(files / "values.tsv")

    found = run("yes")
    assert [float(row["cbf"]) for row in found] == pytest.approx([80, 40], rel=1e-6)
    # Whatever reads values of the template reads these.
    assert list(found[0]) == list(region_values.VALUE_COLUMNS)
    assert {row["coverage"] for row in found} == {"1.0"}
    told = tables.read_json(files / "values.json")
    assert (told["cbf"]["Space"], told["cbf"]["Statistic"]) == ("native", "mean")
    lost = run("no")
    assert float(lost[0]["cbf"]) == pytest.approx(80, rel=1e-6)
    assert (lost[1]["cbf"], lost[1]["coverage"]) == (None, "0.0")
    assert [row["coverage"] for row in run("yes", roi="none")] == [None, None]
    with pytest.raises(InputError, match="median"):
        run("yes", statistic="median")
    relative = [{**row, "scaling": {"scaling": "proportional", "reference": "brain"}} for row in rows]
    means = [str(scan_means(files, a=64.0, b=25.0))]
    scaled = run("yes", means, rows=relative)
    # 80 and 40 in the two scans: each by its own scan's mean.
    assert [float(row["cbf"]) for row in scaled] == pytest.approx([50 * 80 / 64, 50 * 80 / 64 - 50 * 40 / 25], rel=1e-6)
    additive = [{**row, "scaling": {"scaling": "additive", "reference": "brain"}} for row in rows]
    assert [float(row["cbf"]) for row in run("yes", means, rows=additive)] == pytest.approx(
        [80 - 64, 16 - 15], rel=1e-6
    )
    means = [str(scan_means(files, a=64.0, b=-25.0))]
    scaled = run("yes", means, rows=relative)
    assert [row["cbf"] is None for row in scaled] == [False, True]
