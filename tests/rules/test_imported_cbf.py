"""The scripts import_cbf and imported_quality on maps whose values are known in closed form."""

from types import SimpleNamespace

import fmriprep
import numpy as np
import other_programs
import pytest
from loading import script
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import imported_map
from pharmasl.quality.measure_columns import COLUMNS
from pharmasl.space import images, transforms
from pharmasl.study import cbf_units

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


@pytest.fixture
def template(tmp_path):
    grid = other_programs.grid(SPACE, 6.0)
    mask = brain(grid)
    core = brain(grid, 0.7)
    tissues = {"gm": mask & ~core, "wm": core, "csf": np.zeros_like(mask)}
    for name, data in {"mask": mask, **tissues}.items():
        images.save(tmp_path / f"{name}.nii.gz", data.astype(np.float32), grid[1])
    return SimpleNamespace(grid=grid, mask=mask, **tissues)


def bring(tmp_path, cbf, affine, mask=None, fwhm=0.0, through=(), **source):
    images.save(tmp_path / "source.nii.gz", cbf, affine)
    masks = []
    if mask is not None:
        masks = [tmp_path / "source_mask.nii.gz"]
        images.save(masks[0], mask, affine, dtype=np.uint8)
    names = ("template_cbf", "smooth", "coverage", "error")
    output = SimpleNamespace(sidecar=tmp_path / "cbf.json", **{name: tmp_path / f"{name}.nii.gz" for name in names})
    inputs = SimpleNamespace(
        cbf=tmp_path / "source.nii.gz",
        mask=masks,
        transforms=list(through),
        template_mask=tmp_path / "mask.nii.gz",
        template_gm=tmp_path / "gm.nii.gz",
    )
    params = SimpleNamespace(source={**SOURCE, **source}, fwhm=fwhm)
    script("import_cbf").main(SimpleNamespace(input=inputs, output=output, params=params))
    loaded = {name: images.load(getattr(output, name))[0] for name in names}
    return SimpleNamespace(**loaded, sidecar=tables.read_json(output.sidecar), files=output)


def test_a_map_on_the_templates_grid_is_taken_as_it_is(tmp_path, template):
    cbf = ramp(template.grid).astype(np.float32)
    out = bring(tmp_path, cbf, template.grid[1], template.mask)
    np.testing.assert_array_equal(out.template_cbf, np.where(template.mask, cbf, 0))
    np.testing.assert_array_equal(out.smooth, out.template_cbf)
    np.testing.assert_array_equal(out.coverage > 0, template.mask)
    assert out.sidecar["Imported"]["Resampling"] == imported_map.KEPT
    assert out.sidecar["TemplateCoverage"] == 1


def test_a_map_on_another_grid_of_the_space_is_sampled_once(tmp_path, template):
    fine = other_programs.grid(SPACE, 4.0)
    out = bring(tmp_path, ramp(fine), fine[1], brain(fine))
    covered = out.coverage > 0
    # Half of the voxels at the rim are outside.
    assert covered.sum() > 0.95 * template.mask.sum()
    inner = brain(template.grid, 0.9)
    assert np.abs(out.template_cbf - ramp(template.grid))[inner].max() < 1e-4
    # At the rim, what is missing pulls nothing to zero: the ramp changes by less than 1 within a voxel.
    assert np.abs(out.template_cbf - ramp(template.grid))[covered].max() < 1


def test_what_the_map_does_not_cover_is_missing(tmp_path, template):
    upper = points(template.grid)[..., 2] > 0
    out = bring(tmp_path, ramp(template.grid), template.grid[1], template.mask & upper, fwhm=8.0)
    covered = template.mask & upper
    np.testing.assert_array_equal(out.coverage > 0, covered)
    assert not out.smooth[~covered].any()
    assert out.sidecar["TemplateCoverage"] == pytest.approx(covered.sum() / template.mask.sum())
    # Smoothing stays within what is covered: constant maps stay constant up to the edge.
    flat = bring(tmp_path, np.full(template.grid[0], 40.0), template.grid[1], template.mask & upper, fwhm=8.0)
    assert flat.smooth[covered] == pytest.approx(40, rel=1e-5)


def test_without_a_mask_zeros_and_missing_values_are_not_known(tmp_path, template):
    cbf = ramp(template.grid)
    cbf[points(template.grid)[..., 0] < -40] = 0
    cbf[points(template.grid)[..., 0] > 40] = np.nan
    out = bring(tmp_path, cbf, template.grid[1])
    np.testing.assert_array_equal(out.coverage > 0, template.mask & np.isfinite(cbf) & (np.nan_to_num(cbf) != 0))
    assert out.sidecar["Imported"]["Missing"] == imported_map.ZERO


def test_the_standard_error_is_not_known_and_not_zero(tmp_path, template):
    out = bring(tmp_path, ramp(template.grid), template.grid[1], template.mask)
    assert np.isnan(out.error[template.mask]).all()
    assert not out.error[~template.mask].any()
    assert "not known" in out.sidecar["Imported"]["StandardError"]


@pytest.mark.parametrize(("units", "scale"), [("mL/g/min", 0.01), ("mL/100 mL/min", 1.05), ("mL/100 g/s", 1 / 60)])
def test_units_are_converted_and_on_record(tmp_path, template, units, scale):
    factor = cbf_units.conversion(units)
    out = bring(tmp_path, ramp(template.grid) * scale, template.grid[1], template.mask, units=units, factor=factor)
    assert out.template_cbf[template.mask] == pytest.approx(ramp(template.grid)[template.mask], rel=1e-6)
    assert out.sidecar["Units"] == "mL/100 g/min"
    assert out.sidecar["Imported"]["Units"] == {"Value": units, "Source": SOURCE["units_source"], "Factor": factor}


def test_a_map_on_the_scans_own_grid_goes_through_both_transforms_at_once(tmp_path, template):
    # Points of the template go to the T1w, and from there to the scan, as antsApplyTransforms -t first -t second has it.
    to_t1w = transforms.rigid_matrix([3, -2, 4], [0.02, -0.05, 0.04], [0, 0, 0])
    to_scan = transforms.rigid_matrix([-6, 5, 1], [-0.1, 0.06, 0.02], [0, -20, 10])
    coarse = images.Grid(*other_programs.grid(SPACE, 8.0))
    paths = (
        tmp_path / "sub-01_from-T1w_to-X_mode-image_xfm.h5",
        tmp_path / "sub-01_from-aslref_to-T1w_mode-image_xfm.txt",
    )
    fmriprep.composite(paths[0], transforms.apply(to_t1w, transforms.points(coarse)), coarse, np.eye(4))
    transforms.write_affines(paths[1], to_scan)

    affine = to_scan @ other_programs.grid(SPACE, 4.0)[1]
    native = images.Grid((60, 70, 60), affine)
    slope = np.array([0.2, -0.1, 0.15])
    cbf = 50 + transforms.points(native) @ slope
    out = bring(tmp_path, cbf, affine, np.ones(native.shape), through=paths)
    inner = brain(template.grid, 0.8)
    expected = 50 + transforms.apply(to_scan @ to_t1w, points(template.grid)) @ slope
    assert (out.coverage > 0)[inner].all()
    assert np.abs(out.template_cbf - expected)[inner].max() < 1e-3
    # The other order would be off by more than that.
    wrong = 50 + transforms.apply(to_t1w @ to_scan, points(template.grid)) @ slope
    assert np.abs(wrong - expected)[inner].max() > 0.1
    assert out.sidecar["Imported"]["Transforms"] == [path.name for path in paths]


def test_an_empty_map_is_refused_and_nothing_is_written(tmp_path, template):
    with pytest.raises(InputError, match="no value in the template's brain"):
        bring(tmp_path, np.zeros(template.grid[0]), template.grid[1])
    assert not (tmp_path / "cbf.json").exists()


def judged(tmp_path, out, measures=(), **rules):
    output = SimpleNamespace(table=tmp_path / "quality.tsv")
    inputs = SimpleNamespace(
        cbf=out.files.template_cbf,
        coverage=out.files.coverage,
        sidecar=out.files.sidecar,
        **{name: tmp_path / f"{name}.nii.gz" for name in ("mask", "gm", "wm", "csf")},
    )
    params = SimpleNamespace(
        scan=LABEL,
        measures=dict(measures),
        rules={**RULES, **rules},
        own_exclusion=None,
        own_rating=None,
        own_acceptance=None,
    )
    script("imported_quality").main(SimpleNamespace(input=inputs, output=output, params=params))
    (row,) = tables.read_table(output.table)
    return row


def tissue_map(template, grey=60.0, white=20.0):
    return np.where(template.gm, grey, white).astype(np.float32)


def test_quality_is_of_the_map_and_of_what_the_program_measured(tmp_path, template):
    out = bring(tmp_path, tissue_map(template), template.grid[1], template.mask)
    row = judged(tmp_path, out, {"qei": 0.61, "fd_mean": 0.2})
    assert list(row) == list(COLUMNS)
    assert (float(row["gm_cbf"]), float(row["wm_cbf"]), float(row["gm_wm_ratio"])) == pytest.approx((60, 20, 3))
    assert float(row["template_correlation"]) == pytest.approx(1)
    assert (row["qei"], row["fd_mean"], row["coverage"]) == ("0.61", "0.2", "1.0")
    # What nobody measured is missing, and neither flagged nor a reason to exclude.
    assert row["pairs"] is row["temporal_snr"] is row["registration_overlap"] is row["registration"] is None
    assert (row["flags"], row["usable"]) == (None, "yes")


def test_bands_and_rules_hold_for_imported_measures(tmp_path, template):
    out = bring(tmp_path, tissue_map(template), template.grid[1], template.mask)
    row = judged(tmp_path, out, {"fd_mean": 0.9}, exclude=["fd_mean"])
    assert row["flags"] == "fd_mean:high"
    assert (row["usable"], row["exclusion_reason"]) == ("no", "mean framewise displacement high")


@pytest.mark.parametrize(
    ("grey", "cause"), [(-30.0, "grey-matter CBF is clearly below zero"), (900.0, "higher than any brain's")]
)
def test_what_no_brain_has_is_not_used(tmp_path, template, grey, cause):
    out = bring(tmp_path, tissue_map(template, grey=grey), template.grid[1], template.mask)
    row = judged(tmp_path, out)
    assert row["usable"] == "no"
    assert cause in row["implausible"]
