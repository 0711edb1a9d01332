"""The scripts import_cbf, imported_quality and imported_page on maps whose values are known in closed form."""

import fmriprep
import imported_maps
import numpy as np
import other_programs
import pytest
from imported_maps import SOURCE, SPACE, brain, bring, judged, points, ramp, tissue_map
from parsed_page import Parsed
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import imported_map
from pharmasl.quality.measure_columns import COLUMNS
from pharmasl.space import images, transforms
from pharmasl.study import cbf_units


@pytest.fixture
def template(tmp_path):
    return imported_maps.template(tmp_path)


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


def shown(tmp_path, out, row_changes=(), **known):
    """The page of a map whose quality has been measured."""
    for name, value in dict(row_changes).items():
        (row,) = tables.read_table(tmp_path / "quality.tsv")
        tables.write_table(tmp_path / "quality.tsv", [{**row, name: value}], COLUMNS)
    return Parsed(imported_maps.page(tmp_path, out, **known))


def test_the_page_shows_all_that_is_known_of_a_map_and_asks_for_nothing(tmp_path, template):
    measures = {"qei": 0.61, "fd_mean": 0.2}
    out = bring(tmp_path, tissue_map(template) * 0.01, template.grid[1], template.mask, units="mL/g/min", factor=100.0)
    judged(tmp_path, out, measures)
    own = shown(tmp_path, out, mask=template.mask, measures=measures)
    for words in (
        "sub-01, session T1, rest",
        "The map as it came, on its own grid In mL/100 g/min; no CBF is known outside its brain mask.",
        "CBF on the template",
        "CBF by tissue (% of its voxels)",
        "Map on the template brought there by ASLPrep 26.0.3",
        "Map sub-01/perf/x_cbf.nii.gz ASLPrep 26.0.3",
        "Brain mask source_mask.nii.gz ASLPrep 26.0.3",
        "Unit mL/g/min; multiplied by 100 for mL/100 g/min Units of x_cbf.json",
        f"Space of its template {SPACE}",
        imported_map.KEPT,
        "Mean framewise displacement 0.20 mm at most 0.5 mm",
        "exclude_scans: sub-01_ses-T1_acq-rest:",
    ):
        assert words in own.text, words
    # In the pictures, grey matter of 60 and white matter of 20 mL/100 g/min.
    medians = next(words for _, one in own.elements if "Medians of CBF" in (words := one.get("aria-label", "")))
    assert medians == "Medians of CBF, mL/100 g/min: grey matter 60, white matter 20"
    # What nobody has measured is not among the numbers.
    assert "n/a" not in own.text
    links = [one["href"] for tag, one in own.elements if tag == "a"]
    assert links == ["../index.html", "index.html#sub-01_ses-T1_acq-rest"]
    assert "://" not in own.source
    names = {one.get("id") for _, one in own.elements}
    used = {one["href"][1:] for tag, one in own.elements if tag == "use"}
    assert used
    assert used <= names


def test_a_flagged_map_and_one_without_a_mask_say_so_on_their_page(tmp_path, template):
    out = bring(tmp_path, tissue_map(template), template.grid[1])
    judged(tmp_path, out, {"fd_mean": 0.9}, exclude=["fd_mean"])
    own = shown(tmp_path, out, measures={"fd_mean": 0.9})
    assert "Excluded mean framewise displacement high" in own.text
    assert "accept_scans: sub-01_ses-T1_acq-rest:" in own.text
    assert "0.90 mm (high) at most 0.5 mm" in own.text
    # The carpet plot, of which other scans' advice speaks, is not there.
    assert "The head moved throughout. Look at the map, and at the scan in the reports of ASLPrep 26.0.3." in own.text
    assert "Brain mask none: a voxel of exactly 0 is missing" in own.text
    judged(tmp_path, out, rated="rated poor: vessels")
    assert "Excluded rated poor: vessels" in shown(tmp_path, out).text
