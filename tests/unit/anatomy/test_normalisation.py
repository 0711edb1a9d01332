"""Registration against a planted warp of the template, against greedy's own resampling, and against nonsense."""

import sys
from types import SimpleNamespace

import complete_settings
import numpy as np
import pytest
import yaml
from loading import ROOT
from pharmasl.anatomy import ants_fit, normalisation
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.space import fields, images, inverse_fields, resample, template, transforms
from pharmasl.space.images import Grid, coarser

# At 4 mm the levels lie at 8 and 4 mm, so that a fit takes a second.
QUICK = {"resolution": 2, "affine_iterations": "60x0x0", "warp_iterations": "60x30x0"}
FIT = complete_settings.registration(**QUICK)
ANTS = complete_settings.registration(resolution=2, backend="ants")


def normalise(given, made, registration):
    forward, sidecar = made
    normalisation.normalise(*given, forward=forward, sidecar=sidecar, registration=registration)


def planted_map(points):
    """T1w to template, mm: an affine, and waves of up to 5 mm."""
    matrix = transforms.rigid_matrix([4, 22, -9], [0.12, -0.06, 0.1], [0, -20, 10]) @ np.diag([1.07, 0.96, 1.03, 1])
    straight = transforms.apply(matrix, points)
    return straight + 3.5 * np.sin(np.roll(straight, -1, axis=-1) / 18)


@pytest.fixture(scope="module")
def small_template():
    t1w, _, _, affine = template.tissue_maps()
    grid = coarser(Grid(t1w.shape, affine), 4.0)
    blurred = resample.smooth(t1w, affine, 4.0)
    data = np.nan_to_num(resample.resample(blurred, affine, transforms.points(grid), fill=0))
    return images.Volume(data, grid.affine)


@pytest.fixture(scope="module")
def subject():
    """The template's brain in another shape, another contrast, on an oblique grid of 4 mm with its axes reversed."""
    t1w, _, _, affine = template.tissue_maps()
    turn = transforms.rigid_matrix([0, 0, 0], [0.05, 0.03, -0.04], [0, 0, 0])
    grid = Grid((52, 60, 52), turn @ np.diag([-4.0, 4.0, 4.0, 1.0]))
    grid.affine[:3, 3] = [100, -160, -75]
    blurred = resample.smooth(t1w, affine, 4.0)
    brain = np.nan_to_num(resample.resample(blurred, affine, planted_map(transforms.points(grid)), fill=0))
    noise = np.random.default_rng(0).normal(0, 10, brain.shape)
    data = np.where(brain > 0.15, 700 * brain**1.3 + noise, 0).clip(0).astype(np.float32)
    return images.Volume(data, grid.affine)


@pytest.fixture(scope="module")
def fit(subject, small_template):
    return normalisation.register(subject, small_template, FIT)


def test_a_planted_warp_is_recovered(fit, small_template):
    field, affine = fit
    t1w, template_affine = small_template
    points = transforms.points(Grid(field.shape[:3], affine))
    brain = resample.resample(t1w, template_affine, points, fill=0) > 0.3
    before = np.linalg.norm(planted_map(points[brain]) - points[brain], axis=-1)
    error = np.linalg.norm(planted_map(field[brain]) - points[brain], axis=-1)
    assert before.mean() > 20
    # A third of a voxel; the affine part alone leaves more than half of one.
    affine_only = transforms.apply(fields.affine_part(field, affine), points[brain])
    assert np.linalg.norm(planted_map(affine_only) - points[brain], axis=-1).mean() > 2
    assert error.mean() < 1.4
    assert np.percentile(error, 95) < 3.2


def test_our_reading_of_greedys_transforms_is_greedys_own(subject, small_template, monkeypatch):
    """What greedy resamples through its own affine and warp is what we sample through the composed field."""
    picsl_greedy = pytest.importorskip("picsl_greedy")
    import SimpleITK as sitk

    made = []

    class Kept(picsl_greedy.Greedy3D):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(picsl_greedy, "Greedy3D", Kept)
    monkeypatch.setattr(normalisation, "FIELD_SPACING", 4.0)
    settings = complete_settings.registration(**{**QUICK, "affine_iterations": "20x0x0", "warp_iterations": "20x0x0"})
    field, affine = normalisation.register(subject, small_template, settings)
    moving = normalisation._itk(subject)
    fixed = normalisation._itk(small_template)
    made[0].execute("-V 0 -threads 1 -rf whole -rm raw resliced -r warp matrix", whole=fixed, raw=moving, resliced=None)
    theirs = sitk.GetArrayFromImage(made[0]["resliced"]).T
    ours = resample.resample(*subject, field, fill=0)
    # Beyond the part of the template that it saw, greedy's displacement is 0 and ours goes on.
    inside = small_template[0] > 0.3
    assert affine[0, 0] == 4
    assert ours[inside].std() > 50
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=0, atol=0.02)


def test_the_same_input_gives_the_same_field(fit, subject, small_template):
    again, _ = normalisation.register(subject, small_template, FIT)
    assert again.tobytes() == fit[0].tobytes()


def test_files_hold_the_field_and_its_checks(tmp_path, subject, small_template):
    brain, affine = subject
    images.save(tmp_path / "t1w.nii.gz", brain, affine)
    images.save(tmp_path / "mask.nii.gz", brain > 0, affine, dtype=np.uint8)
    images.save(tmp_path / "template.nii.gz", *small_template)
    made = [tmp_path / name for name in ("forward.nii.gz", "forward.json")]
    given = [tmp_path / name for name in ("t1w.nii.gz", "mask.nii.gz", "template.nii.gz")]
    normalise(given, made, FIT)

    forward, forward_grid = transforms.read_field(made[0])
    inverse_fields.write(tmp_path / "inverse.nii.gz", made[0], given[1])
    inverse, inverse_grid = transforms.read_field(tmp_path / "inverse.nii.gz")
    checks = tables.read_json(made[1])["Checks"]
    points = transforms.apply(affine, np.argwhere(brain > 0)[::7].astype(np.float64))
    returned = fields.sample(forward, forward_grid.affine, fields.sample(inverse, inverse_grid.affine, points))
    distance = np.linalg.norm(returned - points, axis=-1)
    assert np.median(distance) < 0.1
    assert checks["inverse_error_mm"][0] == pytest.approx(np.median(distance), abs=0.01)
    assert checks["folded_share"] == 0
    assert checks["template_correlation"] > 0.9
    # The written inverse takes T1w points to the template points that were planted.
    error = np.linalg.norm(fields.sample(inverse, inverse_grid.affine, points) - planted_map(points), axis=-1)
    assert np.median(error) < 1.4


def test_noise_is_no_brain(tmp_path, small_template):
    rng = np.random.default_rng(0)
    t1w, affine = small_template
    noise = np.abs(rng.normal(size=t1w.shape)) * (t1w > 0)
    for name, data in (("t1w", noise), ("mask", t1w > 0), ("template", t1w)):
        images.save(tmp_path / f"{name}.nii.gz", data, affine)
    made = [tmp_path / name for name in ("forward.nii.gz", "forward.json")]
    given = [tmp_path / f"{name}.nii.gz" for name in ("t1w", "mask", "template")]
    quick = complete_settings.registration(**{**QUICK, "warp_iterations": "5x0x0"})
    with pytest.raises(InputError, match="correlation with the template"):
        normalise(given, made, quick)
    assert not any(path.exists() for path in made)


def test_ants_recovers_the_planted_warp_too(subject, small_template):
    """Where antspyx is installed: the same map, and twice the same bytes."""
    pytest.importorskip("ants")
    fits = [normalisation.register(subject, small_template, ANTS) for _ in range(2)]
    field, affine = fits[0]
    assert fits[1][0].tobytes() == field.tobytes()
    points = transforms.points(Grid(field.shape[:3], affine))
    brain = resample.resample(*small_template, points, fill=0) > 0.3
    error = np.linalg.norm(planted_map(field[brain]) - points[brain], axis=-1)
    # The quick fit leaves out the finest level, here 4 mm: it is less exact, but well beyond an affine map.
    affine_only = transforms.apply(fields.affine_part(field, affine), points[brain])
    assert error.mean() < 0.75 * np.linalg.norm(planted_map(affine_only) - points[brain], axis=-1).mean()
    assert error.mean() < 3


def test_an_absent_backend_is_named_with_the_way_to_get_it(tmp_path, subject, small_template, monkeypatch):
    monkeypatch.setitem(sys.modules, "ants", None)
    brain, affine = subject
    images.save(tmp_path / "t1w.nii.gz", brain, affine)
    images.save(tmp_path / "mask.nii.gz", brain > 0, affine, dtype=np.uint8)
    images.save(tmp_path / "template.nii.gz", *small_template)
    made = [tmp_path / name for name in ("forward.nii.gz", "forward.json")]
    given = [tmp_path / name for name in ("t1w.nii.gz", "mask.nii.gz", "template.nii.gz")]
    with pytest.raises(InputError, match=r"backend: found 'ants'.*antspyx.*envs/ants\.yaml"):
        normalise(given, made, ANTS)
    assert not any(path.exists() for path in made)


def test_our_reading_of_itks_affine_transforms_is_itks_own():
    sitk = pytest.importorskip("SimpleITK")
    rng = np.random.default_rng(0)
    theirs = sitk.AffineTransform(3)
    theirs.SetMatrix((np.eye(3) + 0.2 * rng.normal(size=(3, 3))).ravel().tolist())
    theirs.SetTranslation([3.0, -7.0, 11.0])
    theirs.SetCenter([20.0, -35.0, 8.0])
    read = SimpleNamespace(parameters=theirs.GetParameters(), fixed_parameters=theirs.GetFixedParameters())
    flip = np.array([-1, -1, 1])
    for point in 50 * rng.normal(size=(5, 3)):
        expected = np.array(theirs.TransformPoint((flip * point).tolist())) * flip
        np.testing.assert_allclose(transforms.apply(ants_fit._matrix(read), point), expected, rtol=0, atol=1e-10)


def test_each_setting_of_the_registration_is_used_by_a_backend():
    schema = yaml.safe_load((ROOT / "config" / "schemas" / "config.schema.yaml").read_text())
    keys = schema["properties"]["anatomy"]["properties"]["registration"]["properties"]
    assert set(keys["backend"]["enum"]) == set(normalisation.SETTINGS) == set(normalisation.SOFTWARE)
    assert set(keys) - {"backend"} == set().union(*normalisation.SETTINGS.values())


def test_a_coarse_fit_leaves_out_the_finest_level():
    assert normalisation._levels("100x50x10", 1) == "100x50x10"
    assert normalisation._levels("100x50x10", 2) == "100x50"
    assert normalisation._levels("100x50", 2) == "100x50"
