"""The script assume_anatomy: the template's files in place of a participant's."""

from types import SimpleNamespace

import numpy as np
import pytest
from loading import script
from pharmasl.files import tables
from pharmasl.space import images, inverse_fields, transforms

FINE = images.Grid((21, 25, 19), np.diag([1.0, 1, 1, 1]))
COARSE = images.Grid((11, 13, 10), np.diag([2.0, 2, 2, 1]))
GIVEN = ("t1w", "mask", "gm", "wm", "csf")


@pytest.fixture
def made(tmp_path):
    rng = np.random.default_rng(0)
    given = {}
    for name, grid in [*((n, FINE) for n in GIVEN), ("reference_t1w", COARSE), ("reference_gm", COARSE)]:
        data = np.zeros(grid.shape, dtype=np.float32)
        data[3:-3, 3:-3, 3:-3] = rng.uniform(0.1, 1, data[3:-3, 3:-3, 3:-3].shape)
        given[name] = tmp_path / f"given_{name}.nii.gz"
        if name == "mask":
            images.save(given[name], data > 0, grid.affine, dtype=np.uint8)
        else:
            images.save(given[name], data, grid.affine)
    names = ("preproc", "mask", "forward", "gm", "wm", "csf", "template_t1w", "template_gm")
    out = {name: tmp_path / f"{name}.nii.gz" for name in names}
    out |= {name: tmp_path / f"{name}.json" for name in ("sidecar", "field_sidecar")}
    script("assume_anatomy").main(SimpleNamespace(input=given, output=out, params=SimpleNamespace(space="template")))
    return SimpleNamespace(given=given, **out)


def test_the_tissues_are_the_templates(made):
    for name, source in {"mask": "mask", "gm": "gm", "wm": "wm", "csf": "csf", "template_gm": "reference_gm"}.items():
        found, affine = images.load(getattr(made, name))
        expected, expected_affine = images.load(made.given[source])
        assert np.array_equal(found, expected)
        assert np.array_equal(affine, expected_affine)


def test_the_t1w_has_the_scale_of_every_other(made):
    found, _ = images.load(made.preproc)
    assert np.median(found[found > 0]) == pytest.approx(100, rel=1e-5)
    coarse, _ = images.load(made.template_t1w)
    given, _ = images.load(made.given["reference_t1w"])
    fine, _ = images.load(made.given["t1w"])
    assert np.median(coarse[given > 0] / given[given > 0]) == pytest.approx(100 / np.median(fine[fine > 0]), rel=1e-4)


def test_both_deformations_are_the_identity_over_the_whole_template(made, tmp_path):
    inverse = tmp_path / "inverse.nii.gz"
    inverse_fields.write(inverse, made.forward, made.mask)
    for path in (made.forward, inverse):
        field, grid = transforms.read_field(path)
        assert field == pytest.approx(transforms.points(grid), abs=1e-6)
        last = transforms.apply(grid.affine, np.array(grid.shape) - 1.0)
        assert np.all(last >= np.array(FINE.shape) - 1)


def test_the_sidecars_say_that_the_anatomy_is_assumed(made):
    for path in (made.sidecar, made.field_sidecar):
        record = tables.read_json(path)
        assert record["Assumed"] is True
        assert "No T1w" in record["Description"]
        assert record["Template"] == "template"
