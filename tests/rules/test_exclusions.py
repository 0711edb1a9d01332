"""An excluded scan on its way through contrasts, regions, group statistics and craving."""

import dataclasses
from types import SimpleNamespace

import complete_settings
import numpy as np
import pytest
from loading import script
from pharmasl.endpoints import correlations, scores
from pharmasl.files import tables
from pharmasl.group import analysis as analysis_module
from pharmasl.quality.measure_columns import COLUMNS
from pharmasl.space import images
from pharmasl.study.effect_words import PERFUSION
from pharmasl.study.settings import RegionCorrelations

AFFINE = np.diag([4.0, 4, 4, 1])
SHAPE = (8, 8, 8)
NAMES = [f"sub-{k:02d}" for k in range(1, 13)]
ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": []}
SESSIONS = {"baseline": "T1", "followup": "T2"}
LOST = ("sub-05", "T2")
REASON = "registration not accepted: starts disagree"


def arm(name):
    return ("baclofen", "placebo")[int(name[4:]) % 2]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Twelve participants scanned at rest twice; the follow-up of one is not usable."""
    folder = tmp_path_factory.mktemp("trial")
    rng = np.random.default_rng(0)
    images.save(folder / "mask.nii.gz", np.ones(SHAPE), AFFINE, dtype=np.uint8)
    region = np.zeros(SHAPE)
    region[2:5, 2:5, 2:5] = 1
    images.save(folder / "roi.nii.gz", region, AFFINE, dtype=np.uint8)
    tables.write_json(folder / "roi.json", {"Empty": False, "AnalysisDefined": False})
    for name in NAMES:
        for session in SESSIONS.values():
            stem = f"{name}_{session}"
            images.save(folder / f"{stem}_map.nii.gz", rng.normal(55, 5, SHAPE), AFFINE)
            images.save(folder / f"{stem}_error.nii.gz", np.ones(SHAPE), AFFINE)
            images.save(folder / f"{stem}_covered.nii.gz", np.ones(SHAPE), AFFINE, dtype=np.uint8)
            reason = REASON if (name, session) == LOST else None
            row = {"participant_id": name, "session_id": session, "condition": "rest", "scan": stem}
            row |= {"usable": "no" if reason else "yes", "exclusion_reason": reason}
            tables.write_table(folder / f"{stem}_quality.tsv", [row], COLUMNS)
            contrast(folder, stem)
    people = [{"participant_id": name, "arm": arm(name)} for name in NAMES]
    tables.write_table(folder / "participants.tsv", people, {"participant_id": "p", "arm": "a"})
    regions(folder)
    return folder


def contrast(folder, stem):
    given = {
        name: [folder / f"{stem}_{end}"]
        for name, end in (
            ("maps", "map.nii.gz"),
            ("errors", "error.nii.gz"),
            ("coverages", "covered.nii.gz"),
            ("quality", "quality.tsv"),
        )
    }
    out = {"effect": f"{stem}.nii.gz", "error": f"{stem}_se.nii.gz", "sidecar": f"{stem}.json"}
    output = SimpleNamespace(**{name: folder / path for name, path in out.items()})
    script("session_contrast").main(
        SimpleNamespace(
            input=SimpleNamespace(**given, covariances=[], template=[]),
            output=output,
            params=SimpleNamespace(
                weights=[1],
                states=[{"scan": stem, "condition": "rest"}],
                joint=[],
                scaling=None,
                minimum_coverage=None,
            ),
        )
    )


def regions(folder):
    visits = [(name, session) for name in NAMES for session in SESSIONS.values()]
    rows = [{"participant_id": n, "session_id": s, "arm": arm(n), "contrast": "rest"} for n, s in visits]
    script("roi_values").main(
        SimpleNamespace(
            input=SimpleNamespace(
                mask=folder / "roi.nii.gz", maps=[folder / f"{n}_{s}.nii.gz" for n, s in visits], gm=[]
            ),
            output=SimpleNamespace(table=folder / "values.tsv"),
            params=SimpleNamespace(rows=rows, roi="insula", minimum_coverage=0.5, statistic="mean"),
        )
    )


def group(trial, folder, names, analysis):
    folder.mkdir()
    maps = (*analysis_module.MAPS, "mask", "clusters")
    out = {name: folder / f"{name}.nii.gz" for name in maps} | {n: folder / f"{n}.tsv" for n in ("design", "null")}
    output = SimpleNamespace(**out, inference=folder / "inference.json")
    inference = complete_settings.plain_inference(permutations=60, seed=1, cluster_forming_p=0.01)
    script("group_statistics").main(
        SimpleNamespace(
            input=SimpleNamespace(
                baseline=[trial / f"{name}_T1.nii.gz" for name in names],
                followup=[trial / f"{name}_T2.nii.gz" for name in names],
                participants=trial / "participants.tsv",
                template_mask=trial / "mask.nii.gz",
                seeds=[str(trial / "values.tsv")] if "seed" in analysis else [],
                further=[],
                within=[],
                terms=[],
                global_values=[],
            ),
            output=output,
            params=SimpleNamespace(
                analysis=complete_settings.plain_analysis(inference=inference, **analysis),
                arms=ARMS,
                participants={"baseline": names, "followup": names},
                sessions=SESSIONS,
                is_cbf=True,
                shared=[],
                statistic="t",
                scaling={"scaling": "absolute", "reference": "brain"},
                terms=[],
                cautions=[],
                quantity=dataclasses.asdict(PERFUSION),
            ),
            threads=1,
        )
    )
    return {name: path.read_bytes() for name, path in out.items()}, tables.read_json(output.inference)


def test_the_contrast_is_empty_and_says_why(trial):
    assert np.isnan(images.load(trial / "sub-05_T2.nii.gz")[0]).all()
    assert tables.read_json(trial / "sub-05_T2.json")["Missing"] == f"a state has no usable scan: sub-05_T2: {REASON}"
    assert np.isfinite(images.load(trial / "sub-05_T1.nii.gz")[0]).all()


def test_the_region_has_no_value(trial):
    rows = {(row["participant_id"], row["session_id"]): row for row in tables.read_table(trial / "values.tsv")}
    assert rows[LOST]["cbf"] is None
    assert (rows[LOST]["coverage"], rows[LOST]["n_voxels"]) == ("0.0", "0")
    assert sum(row["cbf"] is None for row in rows.values()) == 1


@pytest.mark.parametrize(
    "analysis",
    [
        {"effect": "group_by_time", "contrast": "rest"},
        {"effect": "association", "contrast": "rest", "seed": {"roi": "insula", "contrast": "rest"}},
    ],
)
def test_the_group_is_the_group_without_the_participant(trial, tmp_path, analysis):
    files, summary = group(trial, tmp_path / "all", NAMES, analysis)
    others, expected = group(trial, tmp_path / "others", [name for name in NAMES if name != LOST[0]], analysis)
    assert files == others
    (left_out,) = summary.pop("excluded")
    assert left_out["participant_id"] == LOST[0]
    assert "scan" in left_out["reason"]
    assert expected.pop("excluded") == []
    assert summary == expected
    assert (summary["model"]["n_treatment"], summary["model"]["n_control"]) == (6, 5)


def test_correlations_with_craving_count_the_participant_as_missing(trial, tmp_path):
    rng = np.random.default_rng(3)
    rows = []
    for name in NAMES:
        for session in SESSIONS.values():
            before, after = rng.normal(40, 5), rng.normal(50, 5)
            row = {"participant_id": name, "arm": arm(name), "session_id": session, "before": before, "after": after}
            rows.append({**row, "cue_elicited": after - before})
    tables.write_table(tmp_path / "scores.tsv", rows, scores.COLUMNS)
    craving = {
        "rois": ["insula"],
        "contrast": "rest",
        "seed": 1,
        "resamples": 100,
        "covariates": [],
        "family": "test",
    }
    correlations.write_correlations(
        tmp_path / "scores.tsv",
        [trial / "values.tsv"],
        [trial / "roi.json"],
        tmp_path / "out.tsv",
        complete_settings.craving(RegionCorrelations, **craving),
        complete_settings.arms(),
        complete_settings.sessions(),
    )
    n = {
        row["timing"]: row["n"]
        for row in tables.read_table(tmp_path / "out.tsv")
        if (row["group"], row["method"]) == ("all", "pearson")
    }
    assert n == {"change": "11", "followup": "11", "baseline": "12"}
