"""Twenty-one real contrast maps of pain, made elsewhere: taken over as they are, one sample by flips of signs, beside nilearn."""

import types

import complete_settings
import numpy as np
import pandas as pd
import pytest
from loading import script, shared_data
from pharmasl.contrasts import imported_contrast
from pharmasl.contrasts.imported_contrast import ImportRecord
from pharmasl.files import tables
from pharmasl.group import analysis
from pharmasl.space import images
from pharmasl.study.derivatives import Program
from pharmasl.workflow import plan
from scipy import stats

pytestmark = pytest.mark.slow

NAMES = [f"sub-{number:02d}" for number in range(1, 22)]
# A cube of the insula and its surroundings: nilearn permutes it in seconds.
CUBE = np.s_[15:35, 55:75, 30:50]
NUMBER = 1000


@pytest.fixture(scope="module")
def maps():
    return shared_data("data", "pain21-contrast-maps")


def config(maps):
    return {
        "output_dir": "results",
        "derivatives": {
            "contrasts": {
                "dir": str(maps),
                "generated_by": {"name": "NeuroVault", "version": "collection 1425"},
                "space": "MNI152NLin6Asym",
                "unit": "percent signal change",
                "measure": "BOLD response",
                "files": {"pain": "contrast_pain_{participant}.nii.gz"},
            }
        },
        "template": {"space": "MNI152NLin6Asym", "mask": str(maps / "mask.nii.gz")},
        "analyses": {"pain": {"contrast": "pain", "model": "baseline ~ 1", "test": "1"}},
    }


def test_maps_pass_the_plan(maps):
    reading = plan.read(config(maps))
    assert plan.trial_problems(reading) == []
    assert reading.study.members("pain") == [name.removeprefix("sub-") for name in NAMES]


@pytest.fixture(scope="module")
def tested(maps, tmp_path_factory):
    """The analysis of the cube, each map taken over first."""
    folder = tmp_path_factory.mktemp("pain")
    mask, affine = images.load(maps / "mask.nii.gz")
    cube = np.zeros_like(mask)
    cube[CUBE] = mask[CUBE]
    images.save(folder / "cube.nii.gz", cube, affine, dtype=np.uint8)
    record = ImportRecord(
        place="", program=Program(name="n", version="1"), dataset=None, space="s", measure="m", unit="u", factor=1.0
    )
    taken = []
    for name in NAMES:
        taken.append(str(folder / f"{name}.nii.gz"))
        raw = maps / f"contrast_pain_{name[4:]}.nii.gz"
        imported_contrast.write(taken[-1], folder / f"{name}.json", raw, folder / "cube.nii.gz", record)
    rows = [{"participant_id": name, "arm": None} for name in NAMES]
    tables.write_table(folder / "participants.tsv", rows, dict.fromkeys(rows[0], ""))
    files = {name: str(folder / f"{name}.nii.gz") for name in (*analysis.MAPS, "mask", "clusters")}
    files |= {name: str(folder / f"{name}.tsv") for name in ("design", "null")}
    inference = complete_settings.plain_inference(permutations=NUMBER, statistics=["extent"])
    script("group_statistics").main(
        types.SimpleNamespace(
            input=types.SimpleNamespace(
                baseline=taken,
                followup=[],
                participants=str(folder / "participants.tsv"),
                template_mask=str(folder / "cube.nii.gz"),
                seeds=[],
                within=[],
                further=[],
                terms=[],
                global_values=[],
            ),
            params=types.SimpleNamespace(
                analysis=complete_settings.plain_analysis(
                    inference=inference, contrast="pain", model="baseline ~ 1", test="1"
                ),
                arms=None,
                participants={"baseline": NAMES, "followup": []},
                sessions={"baseline": ""},
                is_cbf=False,
                shared=[],
                statistic="t",
                scaling={"scaling": "absolute", "reference": "brain"},
                terms=[],
                cautions=[],
                quantity={"measure": "BOLD response", "unit": "percent signal change"},
            ),
            output=types.SimpleNamespace(**files, inference=str(folder / "inference.json")),
            threads=1,
        )
    )
    return folder


def test_second_level_agrees_with_nilearn(maps, tested):
    second_level = pytest.importorskip("nilearn.glm.second_level")
    raw = [str(maps / f"contrast_pain_{name[4:]}.nii.gz") for name in NAMES]
    design = pd.DataFrame({"intercept": np.ones(len(raw))})
    model = second_level.SecondLevelModel(mask_img=str(tested / "mask.nii.gz")).fit(raw, design_matrix=design)
    theirs = model.compute_contrast("intercept", output_type="all")
    inside = images.load(tested / "mask.nii.gz")[0] > 0
    for ours, key, tolerance in (("t", "stat", 1e-6), ("z", "z_score", 1e-6), ("effect", "effect_size", 1e-5)):
        own = images.load(tested / f"{ours}.nii.gz")[0][inside]
        np.testing.assert_allclose(own, theirs[key].get_fdata()[inside], rtol=tolerance, atol=tolerance)


def test_flips_of_signs_agree_with_nilearn(maps, tested):
    """The same test by other random flips: each p within what two draws of its size leave open."""
    mass_univariate = pytest.importorskip("nilearn.mass_univariate")
    inside = images.load(tested / "mask.nii.gz")[0] > 0
    data = np.stack([images.load(maps / f"contrast_pain_{name[4:]}.nii.gz")[0][inside] for name in NAMES])
    theirs = mass_univariate.permuted_ols(
        np.ones((len(NAMES), 1)),
        data.astype(float),
        model_intercept=False,
        n_perm=NUMBER,
        two_sided_test=True,
        random_state=1,
        n_jobs=1,
        output_type="dict",
    )
    t = images.load(tested / "t.nii.gz")[0][inside]
    np.testing.assert_allclose(t, theirs["t"][0], rtol=1e-5)
    ours = 10.0 ** -images.load(tested / "voxel_pfwe.nii.gz")[0][inside].astype(float)
    other = 10.0 ** -theirs["logp_max_t"][0]
    error = np.sqrt(2 * ours * (1 - ours) / NUMBER) + 1 / NUMBER
    assert (np.abs(ours - other) <= 4 * error).all()
    # Of few values in millions of flips some p are small: the comparison is about more than large ones.
    assert (ours <= 0.05).mean() > 0.05
    critical = tables.read_json(tested / "inference.json")["tests"]["voxel"]["critical_t"]
    assert critical == pytest.approx(np.quantile(theirs["h0_max_t"], 0.95), rel=0.05)


def test_map_is_taken_over_to_the_last_bit(maps, tested):
    raw, _ = images.load(maps / "contrast_pain_07.nii.gz")
    taken, _ = images.load(tested / "sub-07.nii.gz")
    known = np.isfinite(taken)
    assert np.array_equal(taken[known], raw[known])
    assert not raw[~known].any()
    stack = np.stack([images.load(tested / f"{name}.nii.gz")[0] for name in NAMES]).astype(float)
    inside = images.load(tested / "mask.nii.gz")[0] > 0
    expected = stats.ttest_1samp(stack[:, inside], 0).statistic
    np.testing.assert_allclose(images.load(tested / "t.nii.gz")[0][inside], expected, rtol=1e-5)
