"""Relative CBF: what is left of a map once its scan's own mean is divided out or taken off, and what is refused."""

from types import SimpleNamespace

import complete_settings
import numpy as np
import pytest
from loading import script
from pharmasl.contrasts import scaling
from pharmasl.contrasts.scaling import Reference, RelativeCbf, ScanMean
from pharmasl.errors import InputErrors
from pharmasl.files import tables
from pharmasl.regions.region_values import VisitContrast, with_units
from pharmasl.space import images
from pharmasl.study import relative_cbf
from pharmasl.study.settings import Scaling
from visits import Visit

SHAPE = (6, 5, 4)
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[1:5] = True
GREY = np.zeros(SHAPE)
GREY[1:3] = 0.5
GREY[3] = 0.49
RNG = np.random.default_rng(3)


def relative(method="proportional", reference="brain", minimum_coverage=0.5):
    voxels = BRAIN if reference == "brain" else BRAIN & (GREY >= 0.5)
    return RelativeCbf(
        wanted=Scaling(scaling=method, reference=reference),
        reference=Reference(name=reference, voxels=voxels),
        minimum_coverage=minimum_coverage,
    )


def scale(cbf, covered=BRAIN, **options):
    return relative(**options).scale(cbf, np.full(SHAPE, 3.0), covered)


@pytest.mark.parametrize("reference", ["brain", "grey_matter"])
def test_the_reference_mean_becomes_fifty_or_zero(reference):
    cbf, voxels = RNG.normal(60, 10, SHAPE), relative(reference=reference).reference.voxels
    proportional = scale(cbf, reference=reference)
    assert proportional.cbf[voxels].mean(dtype=np.float64) == pytest.approx(50, rel=1e-6)
    np.testing.assert_allclose(proportional.cbf, 50 * cbf / cbf[voxels].mean(), rtol=1e-6)
    # The error follows the map: their ratio, a signal-to-noise, stays.
    np.testing.assert_allclose(proportional.error / proportional.cbf, 3 / cbf, rtol=1e-6)
    additive = scale(cbf, method="additive", reference=reference)
    assert additive.cbf[voxels].mean(dtype=np.float64) == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(additive.cbf, cbf - cbf[voxels].mean(), atol=1e-5)
    np.testing.assert_array_equal(additive.error, 3.0)


def test_proportional_scaling_takes_a_factor_away_and_additive_a_constant():
    cbf = RNG.normal(60, 10, SHAPE)
    np.testing.assert_allclose(scale(1.3 * cbf).cbf, scale(cbf).cbf, rtol=1e-6)
    np.testing.assert_allclose(
        scale(cbf + 7, method="additive").cbf, scale(cbf, method="additive").cbf, rtol=0, atol=1e-5
    )
    # And neither takes the other's.
    assert np.abs(scale(cbf + 7).cbf - scale(cbf).cbf).max() > 0.5
    assert np.abs(scale(1.3 * cbf, method="additive").cbf - scale(cbf, method="additive").cbf).max() > 0.5


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_what_rises_in_a_share_of_the_reference_falls_elsewhere_by_closed_forms(share):
    """A rise of 10 in a share f of a brain of 50: a mean of 50 + 10 f, which every voxel is scaled by."""
    rise, before = 10.0, np.full(SHAPE, 50.0)
    after = before.copy()
    responds = np.zeros(SHAPE, dtype=bool)
    responds[1 : 1 + int(4 * share)] = True
    after[responds] += rise
    change = scale(after).cbf - scale(before).cbf
    mean = 50 + rise * share
    np.testing.assert_allclose(change[responds], 50 * 60 / mean - 50, atol=1e-4)
    np.testing.assert_allclose(change[~responds & BRAIN], 50 * 50 / mean - 50, atol=1e-4)
    change = scale(after, method="additive").cbf - scale(before, method="additive").cbf
    np.testing.assert_allclose(change[responds], rise * (1 - share), atol=1e-4)
    np.testing.assert_allclose(change[~responds & BRAIN], -rise * share, atol=1e-4)


def test_only_covered_voxels_of_the_reference_count():
    cbf, covered = np.full(SHAPE, 80.0), BRAIN.copy()
    cbf[0] = 1000
    covered[1, 0], cbf[1, 0] = False, 999
    cbf[2, 0, 0] = np.nan
    mean = relative().reference.mean(cbf, covered)
    assert mean.mean == 80
    assert mean.voxels == BRAIN.sum() - 4 - 1
    assert mean.coverage == pytest.approx(mean.voxels / BRAIN.sum())


@pytest.mark.parametrize(
    ("level", "method", "reason"),
    [
        (0.0, "proportional", "its mean over the brain is 0 mL/100 g/min, less than 10"),
        (-40.0, "proportional", "its mean over the brain is -40 mL/100 g/min, less than 10"),
        (9.9, "proportional", "less than 10"),
        (-40.0, "additive", None),
        (10.0, "proportional", None),
    ],
)
def test_a_mean_that_is_no_perfusion_scales_nothing(level, method, reason):
    found = scale(np.full(SHAPE, level), method=method)
    assert (found.fault is None) if reason is None else (reason in found.fault)
    if reason is not None:
        np.testing.assert_array_equal(found.cbf, level)


@pytest.mark.parametrize("method", ["proportional", "additive"])
def test_a_scan_that_covers_too_little_is_not_scaled(method):
    covered = np.zeros(SHAPE, dtype=bool)
    assert "covers 0 % of the brain, less than 50 %" in scale(np.full(SHAPE, 50.0), covered, method=method).fault
    covered[1, :, :] = True
    assert "covers 25 % of the brain" in scale(np.full(SHAPE, 50.0), covered, method=method).fault
    covered[2, :, :] = True
    assert scale(np.full(SHAPE, 50.0), covered, method=method).fault is None
    # Of the grey matter it covers all.
    assert scale(np.full(SHAPE, 50.0), covered, method=method, reference="grey_matter").mean.coverage == 1


def test_references_of_the_templates_files(tmp_path):
    affine = np.diag([2.0, 2, 2, 1])
    images.save(tmp_path / "mask.nii.gz", BRAIN, affine, dtype=np.uint8)
    images.save(tmp_path / "gm.nii.gz", GREY, affine)
    template = [tmp_path / "mask.nii.gz", tmp_path / "gm.nii.gz"]
    np.testing.assert_array_equal(Reference.read("brain", template[:1]).voxels, BRAIN)
    grey = Reference.read("grey_matter", template).voxels
    np.testing.assert_array_equal(np.flatnonzero(grey.any(axis=(1, 2))), [1, 2])


def whole(name="brain"):
    return Reference(name=name, voxels=np.ones((3, 3, 3), dtype=bool))


def proportional(method="proportional"):
    return RelativeCbf(wanted=Scaling(scaling=method, reference="brain"), reference=whole(), minimum_coverage=0.5)


def write_map(visit, name, pattern):
    images.save(visit.folder / f"{name}.nii.gz", pattern, visit.affine)


def test_each_state_of_a_difference_is_scaled_by_its_own_mean(tmp_path):
    visit = Visit(tmp_path, smoking=("smoking", 0), neutral=("neutral", 0))
    smoking, neutral = RNG.normal(70, 10, (2, 3, 3, 3)).astype(np.float32)
    neutral *= 0.7
    write_map(visit, "smoking", smoking)
    write_map(visit, "neutral", neutral)
    effect, error, sidecar = visit.contrast(1, -1, relative=proportional())
    means = smoking.mean(dtype=np.float64), neutral.mean(dtype=np.float64)
    np.testing.assert_allclose(effect, 50 * smoking / means[0] - 50 * neutral / means[1], atol=1e-4)
    np.testing.assert_allclose(error, np.hypot(50 / means[0], 50 / means[1]), rtol=1e-6)
    assert [scan["ReferenceMean"] for scan in sidecar["Scans"]] == pytest.approx(means, rel=1e-9)
    assert [scan["ReferenceCoverage"] for scan in sidecar["Scans"]] == [1, 1]
    assert sidecar["Units"] == "mL/100 g/min of relative CBF (brain mean of each scan scaled to 50)"
    assert sidecar["Scaling"]["Method"] == "proportional"
    assert sidecar["Scaling"]["ReferenceVoxels"] == 27
    effect, error, sidecar = visit.contrast(1, -1, relative=proportional("additive"))
    np.testing.assert_allclose(effect, smoking - neutral - (means[0] - means[1]), atol=1e-4)
    assert sidecar["Units"] == "mL/100 g/min above the brain mean of each scan"


def test_absolute_contrasts_have_no_word_of_scaling(tmp_path):
    visit = Visit(tmp_path, a=("rest", 10))
    _, _, sidecar = visit.contrast(1)
    assert sidecar["Units"] == "mL/100 g/min"
    assert "Scaling" not in sidecar
    assert list(sidecar["Scans"][0]) == ["Scan", "Condition", "Weight", "Excluded"]


def test_a_scan_that_cannot_be_scaled_leaves_its_weight_to_the_other_runs(tmp_path):
    visit = Visit(tmp_path, a=("smoking", 60), b=("smoking", 4), c=("neutral", 40))
    pattern = RNG.normal(60, 5, (3, 3, 3))
    write_map(visit, "a", pattern)
    effect, _, sidecar = visit.contrast(0.5, 0.5, -1, relative=proportional())
    np.testing.assert_allclose(effect, 50 * pattern / pattern.mean() - 50, atol=1e-4)
    assert [scan["Weight"] for scan in sidecar["Scans"]] == [1, 0, -1]
    assert "its mean over the brain is 4 mL/100 g/min" in sidecar["Scans"][1]["Excluded"]
    assert sidecar["Scans"][1]["ReferenceMean"] == 4
    visit.judge("a", "smoking", "motion")
    effect, _, sidecar = visit.contrast(0.5, 0.5, -1, relative=proportional())
    assert np.isnan(effect).all()
    assert "a: motion; b: CBF cannot be scaled" in sidecar["Missing"]


def test_both_forms_of_a_contrast_are_one_record():
    conditions = {"smoking": {}, "neutral": {}}
    weights = {"smoking": 1, "neutral": -1}
    study = complete_settings.study(
        conditions=conditions,
        contrasts={
            "short": weights,
            "long": {"weights": weights},
            "relative": {"weights": weights, "scaling": "additive", "reference": "grey_matter"},
            "odd": {"weights": {"neutral": 1}},
        },
    )
    short, long, scaled, odd = study.contrasts.values()
    assert short.weights == long.weights == scaled.weights == weights
    assert (short.scaling, short.reference) == (long.scaling, long.reference) == ("absolute", "brain")
    assert (scaled.scaling, scaled.reference) == ("additive", "grey_matter")
    assert [each.is_cbf for each in study.contrasts.values()] == [False, False, False, True]
    assert odd.is_absolute
    assert not scaled.is_absolute


def test_a_state_may_be_called_weights():
    study = complete_settings.study(conditions={"weights": {}}, contrasts={"own": {"weights": 2}})
    assert study.contrasts["own"].weights == {"weights": 2}


@pytest.mark.parametrize(
    ("contrast", "field"),
    [
        ({"weights": {"rest": 1}, "scaling": "proportionl"}, "contrasts.own.scaling"),
        ({"weights": {"rest": 1}, "reference": "white_matter"}, "contrasts.own.reference"),
        ({"weights": {"rest": 1}, "scale": "additive"}, "contrasts.own"),
        ({"weights": {"sleep": 1}}, "contrasts.own"),
        ({"weights": {"rest": 0}}, "contrasts.own"),
        ({"weights": {}}, "contrasts.own.weights"),
        ({"rest": "one"}, "contrasts.own.rest"),
    ],
)
def test_what_is_no_contrast_is_refused_by_its_field(contrast, field):
    with pytest.raises(InputErrors) as caught:
        complete_settings.study(contrasts={"own": contrast})
    assert [error.field for error in caught.value.errors] == [field]


def test_the_words_of_a_unit_say_what_the_number_is():
    assert relative_cbf.unit(Scaling(scaling="absolute", reference="brain")) == "mL/100 g/min"
    grey = Scaling(scaling="proportional", reference="grey_matter")
    assert relative_cbf.unit(grey) == "mL/100 g/min of relative CBF (grey matter mean of each scan scaled to 50)"
    assert "multiplied by 50 mL/100 g/min" in relative_cbf.sentence(grey)
    assert relative_cbf.sentence(Scaling(scaling="absolute", reference="brain")) is None


def test_a_scan_without_a_mean_is_a_fault_whatever_is_asked_of_its_coverage():
    wanted = Scaling(scaling="additive", reference="brain")
    assert "covers 0 %" in scaling.fault(ScanMean(None, 0, 0.0), wanted, 0)


def test_answers_on_relative_cbf_are_not_scaled_a_second_time():
    sections = {
        "sessions": complete_settings.SESSIONS,
        "arms": complete_settings.ARMS,
        "contrasts": {"own": {"weights": {"rest": 1}, "scaling": "proportional"}},
        "analyses": {"change": {"contrast": "own", "effect": "group_by_time"}},
        "rois": {"ball": {"sphere": [0, 0, 0], "radius": 6}},
    }
    answers = {"one": {"analysis": "change", "roi": "ball"}}
    with pytest.raises(InputErrors) as caught:
        complete_settings.study(**sections, sensitivity={"answers": answers, "scaling": ["global"]})
    assert caught.value.errors[0].field == "sensitivity.answers.one"
    assert "take global out" in caught.value.errors[0].fix
    study = complete_settings.study(**sections, sensitivity={"answers": answers, "smoothing_fwhm": [4]})
    assert study.sensitivity.answers["one"].analysis == "change"


def test_the_sidecar_of_a_contrast_is_plain(tmp_path):
    visit = Visit(tmp_path, a=("rest", 20))
    visit.contrast(1, relative=proportional())
    assert tables.read_json(visit.sidecar)["Scans"][0]["ReferenceMean"] == 20


def test_the_script_scales_by_the_templates_grey_matter(tmp_path):
    visit = Visit(tmp_path, a=("rest", 0))
    pattern = RNG.normal(60, 5, (3, 3, 3)).astype(np.float32)
    write_map(visit, "a", pattern)
    grey = np.zeros((3, 3, 3))
    grey[0] = 0.8
    images.save(tmp_path / "mask.nii.gz", np.ones((3, 3, 3)), visit.affine, dtype=np.uint8)
    images.save(tmp_path / "gm.nii.gz", grey, visit.affine)
    ends = {"maps": ".nii.gz", "errors": "_error.nii.gz", "coverages": "_covered.nii.gz", "quality": ".tsv"}
    files = {kind: [tmp_path / f"a{end}"] for kind, end in ends.items()}
    output = SimpleNamespace(effect=visit.effect, error=visit.error, sidecar=visit.sidecar)
    params = SimpleNamespace(
        weights=[1],
        states=[{"scan": "a", "condition": "rest"}],
        joint=[],
        scaling={"scaling": "proportional", "reference": "grey_matter"},
        minimum_coverage=0.5,
    )
    template = [tmp_path / "mask.nii.gz", tmp_path / "gm.nii.gz"]
    script("session_contrast").main(
        SimpleNamespace(input=SimpleNamespace(**files, covariances=[], template=template), output=output, params=params)
    )
    np.testing.assert_allclose(images.load(visit.effect)[0], 50 * pattern / pattern[0].mean(), rtol=1e-5)
    sidecar = tables.read_json(visit.sidecar)
    assert sidecar["Units"] == "mL/100 g/min of relative CBF (grey matter mean of each scan scaled to 50)"
    assert sidecar["Scaling"]["ReferenceVoxels"] == 9


def test_regional_values_of_relative_cbf_name_their_unit():
    known = {"participant_id": "sub-01", "session_id": "T1", "arm": None}
    contrasts = [VisitContrast(**known, contrast="rest"), VisitContrast(**known, contrast="relative", unit="u")]
    assert with_units({"Units": "mL/100 g/min"}, contrasts[:1]) == {"Units": "mL/100 g/min"}
    assert with_units({"Units": "mL/100 g/min"}, contrasts)["UnitsByContrast"] == {"relative": "u"}
    assert "unit" not in contrasts[1].row()
