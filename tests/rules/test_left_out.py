"""The script roi_left_out on what the group stage really leaves: same model, same cluster, other regions."""

from types import SimpleNamespace

import complete_settings
import numpy as np
import pytest
import statsmodels.api as sm
from loading import script
from pharmasl.files import tables
from pharmasl.group import analysis
from pharmasl.group.analysis_rows import InputFiles
from pharmasl.group.definitions import Question
from pharmasl.regions import region_masks
from pharmasl.space import images
from pharmasl.study import settings
from scipy import ndimage

SHAPE, N = (14, 14, 10), 16
NAMES = [f"sub-{k:02d}" for k in range(1, N + 1)]
TREATED = np.arange(N) < 8
ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": []}
INFERENCE = complete_settings.plain_inference(permutations=100, seed=3, cluster_forming_p=0.005)
SETTINGS = {
    "interaction": {"effect": "group_by_time", "contrast": "rest", "covariates": ["age"]},
    "association": {"effect": "association", "contrast": "rest", "seed": {"roi": "s", "contrast": "rest"}},
    "within": {"effect": "association", "arm": "placebo", "contrast": "rest", "seed": {"roi": "s", "contrast": "rest"}},
}


class Inputs(dict):
    __getattr__ = dict.__getitem__


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Drug lowers CBF by 12 in one place; a seed's change drives another."""
    folder, rng = tmp_path_factory.mktemp("trial"), np.random.default_rng(5)
    affine = np.diag([4.0, 4, 4, 1])
    seed_change, paths, rows, values = rng.normal(0, 6, N), {"baseline": [], "followup": []}, [], []
    images.save(folder / "mask.nii.gz", np.ones(SHAPE), affine, dtype=np.uint8)
    for i, name in enumerate(NAMES):
        arm = "baclofen" if TREATED[i] else "placebo"
        rows.append({"participant_id": name, "arm": arm, "age": int(rng.integers(20, 60))})
        for session, which in (("T1", "baseline"), ("T2", "followup")):
            cbf = 55 + 3 * ndimage.gaussian_filter(rng.normal(size=SHAPE), 1) / 0.15
            if which == "followup":
                cbf[2:6, 2:6, 2:6] -= 12 * TREATED[i]
                cbf[8:12, 8:12, 4:8] += 1.5 * seed_change[i]
            paths[which].append(str(folder / f"{name}_{session}.nii.gz"))
            images.save(paths[which][-1], cbf.astype(np.float32), affine)
            value = 50 + (which == "followup") * seed_change[i]
            values.append({"participant_id": name, "session_id": session, "contrast": "rest", "roi": "s", "cbf": value})
    tables.write_table(folder / "participants.tsv", rows, dict.fromkeys(rows[0], ""))
    tables.write_table(folder / "seed.tsv", values, dict.fromkeys(values[0], ""))
    return SimpleNamespace(folder=folder, affine=affine, **paths)


@pytest.mark.parametrize("question", ["interaction", "association", "within"])
def test_the_analysis_cluster_is_found_again_and_read_without_each(trial, tmp_path, question):
    files = {name: str(tmp_path / f"{name}.nii.gz") for name in (*analysis.MAPS, "mask", "clusters")}
    files |= {name: str(tmp_path / f"{name}.tsv") for name in ("design", "null")}
    files["inference"] = str(tmp_path / "inference.json")
    asked = complete_settings.plain_analysis(inference=INFERENCE, **SETTINGS[question])
    analysis.run(
        Question(
            analysis=settings.build(settings.Analysis, asked),
            arms=settings.build(settings.Arms, ARMS),
            sessions={"baseline": "T1", "followup": "T2"},
        ),
        InputFiles(
            baseline=trial.baseline,
            followup=trial.followup,
            members={"baseline": NAMES, "followup": NAMES},
            participants=trial.folder / "participants.tsv",
            template_mask=trial.folder / "mask.nii.gz",
            seeds=[trial.folder / "seed.tsv"] if question != "interaction" else [],
        ),
        SimpleNamespace(**files),
        statistic="t",
    )
    definition = {"analysis": question, "cluster": 1}
    roi = {**definition, "statistic": "mean", "space": "template"}
    mask = trial.folder / "mask.nii.gz"
    region_masks.write_mask(
        tmp_path / "m.nii.gz",
        tmp_path / "m.json",
        settings.build(settings.RegionDefinition, definition),
        reference=mask,
        brain=mask,
        minimum_coverage=0.5,
        clusters=[files["clusters"]],
    )
    outputs = {name: str(tmp_path / f"{name}.out") for name in ("values", "regions", "test")}
    maps = [path for pair in zip(trial.baseline, trial.followup) for path in pair]
    rows = [
        {
            "participant_id": name,
            "session_id": session,
            "arm": "baclofen" if TREATED[k] else "placebo",
            "contrast": "rest",
        }
        for k, name in enumerate(NAMES)
        for session in ("T1", "T2")
    ]
    # Of an analysis within an arm, the maps of that arm's participants alone, as the workflow gives them.
    kept = [k for k in range(N) if question != "within" or not TREATED[k]]
    members = [NAMES[k] for k in kept]
    given = {which: [getattr(trial, which)[k] for k in kept] for which in ("baseline", "followup")}
    given |= {"design": files["design"], "maps": maps, "gm": []}
    given |= {"inference": files["inference"], "search": files["mask"], "mask": str(tmp_path / "m.nii.gz")}
    params = SimpleNamespace(
        roi=roi,
        name="found",
        rows=rows,
        members=members,
        inference={name: INFERENCE[name] for name in ("cluster_forming_p", "neighbours")},
        minimum_coverage=0.5,
        permutations=99,
        seed=1,
    )
    script("roi_left_out").main(SimpleNamespace(input=Inputs(given), output=outputs, params=params))
    test = tables.read_json(outputs["test"])
    # The model and the threshold are the analysis' own: the cluster of all is the same voxel for voxel.
    assert test["dice_with_the_analysis"] == 1
    assert (test["status"], test["n"], test["p"]) == ("run", len(members), 0.01)
    cbf = {
        (row["participant_id"], row["session_id"]): float(row["cbf"]) for row in tables.read_table(outputs["values"])
    }
    change = np.array([cbf[name, "T2"] - cbf[name, "T1"] for name in NAMES])
    # Beside it, what the region of all participants would have said: as the analysis' own model of its mean has it.
    region = images.load(tmp_path / "m.nii.gz")[0] > 0
    mean = np.array(
        [
            images.load(b)[0][region].mean(dtype=float) - images.load(a)[0][region].mean(dtype=float)
            for a, b in zip(given["baseline"], given["followup"])
        ]
    )
    rows = tables.read_table(files["design"])
    matrix = np.array([[float(row[name]) for name in rows[0] if name != "participant_id"] for row in rows])
    expected = sm.OLS(mean, matrix).fit()
    t = expected.tvalues[0]
    assert test["r_same_region"] == pytest.approx(t / np.sqrt(t * t + expected.df_resid), rel=1e-5)
    assert test["p_same_region"] == pytest.approx(expected.pvalues[0], rel=1e-3)
    assert (test["participants"], test["tested_term"]) == (
        len(members),
        "arm" if question == "interaction" else "seed_change",
    )
    if question == "interaction":
        assert change[TREATED].mean() - change[~TREATED].mean() == pytest.approx(-12, abs=3)
        assert test["r"] < -0.8
    else:
        assert test["r"] > 0.8
