"""The script of a conjunction: maps worked out by hand, and what stands beside them."""

from types import SimpleNamespace

import numpy as np
import pytest
from loading import script
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.group import verdict
from pharmasl.space import images

AFFINE = np.diag([2.0, 2, 2, 1])
# Of two analyses in six voxels: agreeing, of opposite signs, one missing.
Z = {"one": [3.0, -2.0, 2.5, 4.0, np.nan, 0.5], "other": [2.0, -4.0, -3.0, 5.0, 3.0, 0.25]}
P = {"one": [0.01, 0.04, 0.01, 0.0005, np.nan, 0.9], "other": [0.04, 0.2, 0.01, 0.001, 0.01, 1.0]}


def run(folder, error_rate=verdict.FAMILY_WISE, status="run"):
    def image(path, values):
        path.parent.mkdir(parents=True, exist_ok=True)
        images.save(path, np.reshape(values, (6, 1, 1)), AFFINE, code=4)
        return path

    results = folder / "results"
    inputs = {"z": [], "pfwe": [], "inference": []}
    for name in Z:
        start = results / f"group/{name}/contrast-{name}"
        inputs["z"].append(image(start.with_name(f"{start.name}_stat-z_statmap.nii.gz"), Z[name]))
        logs = -np.log10(np.array(P[name]))
        inputs["pfwe"].append(image(start.with_name(f"{start.name}_desc-verdict_stat-logp_statmap.nii.gz"), logs))
        inputs["inference"].append(start.with_name(f"{start.name}_inference.json"))
        block = {"status": status, "alpha": 0.05, "verdict": {"error_rate": error_rate, "statistic": "extent"}}
        tables.write_json(inputs["inference"][-1], block)
    mask = image(results / "template/tpl-MNI152NLin2009aSym_desc-brain_mask.nii.gz", np.ones(6))
    start = results / "group/both"
    start.mkdir()
    output = SimpleNamespace(
        z=start / "contrast-both_stat-z_statmap.nii.gz",
        pfwe=start / "contrast-both_desc-verdict_stat-logp_statmap.nii.gz",
        inference=start / "contrast-both_inference.json",
    )
    rule = SimpleNamespace(
        input=SimpleNamespace(**inputs, template_mask=mask),
        output=output,
        params=SimpleNamespace(name="both", analyses=list(Z)),
    )
    script("conjunction").main(rule)
    return output


def test_the_smallest_z_of_one_sign_and_the_largest_p(tmp_path):
    output = run(tmp_path)
    z, affine = images.load(output.z)
    np.testing.assert_allclose(z.ravel(), [2, -2, 0, 4, np.nan, 0.25], rtol=1e-6)
    np.testing.assert_array_equal(affine, AFFINE)
    p = 10 ** -images.load(output.pfwe)[0].ravel()
    np.testing.assert_allclose(p, [0.04, 0.2, 1, 0.001, np.nan, 1], rtol=1e-5)
    assert images.form_code(output.z) == 4
    block = tables.read_json(output.inference)
    assert (block["status"], block["voxels"], block["significant_voxels"]) == ("run", 5, 2)
    assert block["peak_mm"] == [6, 0, 0]


def test_the_sidecars_name_the_maps_that_it_is_made_from(tmp_path):
    output = run(tmp_path)
    content = tables.read_json(str(output.z).replace(".nii.gz", ".json"))
    assert content["Space"] == "MNI152NLin2009aSym"
    assert content["Sources"] == [
        "bids::group/one/contrast-one_stat-z_statmap.nii.gz",
        "bids::group/other/contrast-other_stat-z_statmap.nii.gz",
        "bids::group/one/contrast-one_desc-verdict_stat-logp_statmap.nii.gz",
        "bids::group/other/contrast-other_desc-verdict_stat-logp_statmap.nii.gz",
    ]


def test_an_analysis_without_family_wise_p_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"conjunctions\.both"):
        run(tmp_path, error_rate="false discovery rate")
