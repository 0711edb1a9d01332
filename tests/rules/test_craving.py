"""The scripts craving_scores, craving_model and roi_craving, one after the other on a small trial with known truth."""

import subprocess
import sys
from types import SimpleNamespace

import complete_settings
import numpy as np
import pytest
from loading import ROOT, script
from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.regions import region_values
from pharmasl.study import settings

SESSIONS = settings.plain(complete_settings.sessions())
ARMS = settings.plain(complete_settings.arms())
CRAVING = {
    "table": "phenotype/craving.tsv",
    "before": "craving_pre",
    "after": "craving_post",
    "range": [0, 100],
    "rois": ["insula"],
    "contrast": "cue",
    "resamples": 499,
}


SECTIONS = {
    "craving_scores": settings.Ratings,
    "roi_craving": settings.RegionCorrelations,
    "craving_mediation": settings.MediationAnalysis,
}


def run(name, given, output, **params):
    if name in SECTIONS:
        # A rule passes the settings that its job uses, and no others.
        params["craving"] = settings.plain(complete_settings.craving(SECTIONS[name], **params["craving"]))
    script(name).main(
        SimpleNamespace(
            input=Inputs(**given),
            output=SimpleNamespace(table=str(output), influence=str(output).replace("_model", "_influence")),
            params=SimpleNamespace(**params),
        )
    )


class Inputs(dict):
    """Named inputs by attribute and by key, as Snakemake gives them; ``values`` is by attribute a method there too."""

    def __getattr__(self, name):
        return self[name]


def inputs(folder):
    return {
        "scores": str(folder / "craving_scores.tsv"),
        "values": [str(folder / "insula_values.tsv")],
        "sidecars": [str(folder / "insula_mask.json")],
        "left_out": [],
    }


@pytest.fixture
def chain(tmp_path):
    """Twelve and thirteen participants; baclofen lowers CBF by 10 and craving by 1.5 points for each of them."""
    rng = np.random.default_rng(3)
    participants, craving, values = ["participant_id\tarm"], ["participant_id\tsession\tcraving_pre\tcraving_post"], []
    for k in range(25):
        arm = "baclofen" if k < 12 else "placebo"
        participants.append(f"sub-{k:02d}\t{arm}")
        cbf, drop = rng.normal(8, 1), rng.normal(0, 2) + 10 * (k < 12)
        for session in ("T1", "T2"):
            now = cbf - (session == "T2") * drop
            values.append(
                {
                    "participant_id": f"sub-{k:02d}",
                    "session_id": session,
                    "arm": arm,
                    "contrast": "cue",
                    "roi": "insula",
                }
                | {"cbf": now, "coverage": 1.0, "n_voxels": 100}
            )
            before = rng.integers(20, 30)
            after = "n/a" if (k, session) == (20, "T2") else f"{before + 20 + 1.5 * now + rng.normal(0, 0.3):.4f}"
            craving.append(f"{k:02d}\tses-{session}\t{before}\t{after}")
    (tmp_path / "participants.tsv").write_text("\n".join(participants) + "\n")
    (tmp_path / "craving.tsv").write_text("\n".join(craving) + "\n")
    tables.write_json(tmp_path / "insula_mask.json", {"AnalysisDefined": False})
    tables.write_table(tmp_path / "insula_values.tsv", values, region_values.VALUE_COLUMNS)
    given = {"craving": CRAVING, "arms": ARMS, "sessions": SESSIONS}
    raw = {"table": str(tmp_path / "craving.tsv"), "participants": str(tmp_path / "participants.tsv")}
    run("craving_scores", raw, tmp_path / "craving_scores.tsv", **given)
    scores = {"scores": str(tmp_path / "craving_scores.tsv")}
    run("craving_model", scores, tmp_path / "craving_model.tsv", **given)
    run("roi_craving", inputs(tmp_path), tmp_path / "roi_craving.tsv", **given)
    return tmp_path


def test_the_trials_truth_is_found(chain):
    model = {
        (row["analysis"], row["term"], row["arm"], row["session_id"]): row
        for row in tables.read_table(chain / "craving_model.tsv")
    }
    interaction = model["mixed_model", "arm:session", None, None]
    assert float(interaction["ci_low"]) < -15 < float(interaction["ci_high"])
    assert float(interaction["p"]) < 1e-6
    assert interaction["n"] == "49"
    decides = model["difference_of_changes", "arm:session", None, None]
    assert float(decides["ci_low"]) < -15 < float(decides["ci_high"])
    assert float(decides["p"]) < 1e-6
    assert decides["n"] == "24"
    assert float(model["paired_t", "change", "baclofen", None]["p"]) < 1e-6
    assert model["paired_t", "change", "placebo", None]["n"] == "12"
    assert model["descriptive", "mean", "placebo", "T2"]["n"] == "12"
    rows = tables.read_table(chain / "roi_craving.tsv")
    (row,) = [r for r in rows if (r["timing"], r["group"], r["method"]) == ("change", "all", "pearson")]
    assert float(row["estimate"]) > 0.95
    assert (row["n"], row["p"], row["roi_defined_by_same_data"]) == ("24", "0.002", "false")


def test_every_column_is_described(chain):
    for name in ("craving_scores", "craving_model", "craving_influence", "roi_craving"):
        header = (chain / f"{name}.tsv").read_text().splitlines()[0].split("\t")
        sidecar = tables.read_json(chain / f"{name}.json")
        assert list(sidecar) == header
        assert all(sidecar[column]["Description"] for column in header)
    rows = tables.read_table(chain / "craving_model.tsv")
    levels = tables.read_json(chain / "craving_model.json")
    # Without a second cue type there is no model of cue types.
    assert {row["term"] for row in rows} == {each for each in levels["term"]["Levels"] if "cue" not in each}
    assert {row["analysis"] for row in rows} == set(levels["analysis"]["Levels"]) - {"contrasts_cues"}


def test_the_same_bytes_again(chain):
    before = (chain / "roi_craving.tsv").read_bytes()
    run("roi_craving", inputs(chain), chain / "roi_craving.tsv", craving=CRAVING, arms=ARMS, sessions=SESSIONS)
    assert (chain / "roi_craving.tsv").read_bytes() == before


def test_a_region_or_contrast_without_values_is_refused(chain):
    for change in ({"rois": ["vmpfc"]}, {"contrast": "rest"}, {"covariates": ["age"]}):
        with pytest.raises(InputError):
            run(
                "roi_craving",
                inputs(chain),
                chain / "x.tsv",
                craving={**CRAVING, **change},
                arms=ARMS,
                sessions=SESSIONS,
            )
    assert not (chain / "x.tsv").exists()


def test_what_planning_and_pages_read_of_craving_imports_no_heavy_library():
    code = (
        "import sys; sys.path.insert(0, 'scripts');"
        "from pharmasl.endpoints import families, scores;"
        "print(sorted({'pandas', 'statsmodels', 'scipy', 'nibabel', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_mediation_follows_the_planted_chain(chain):
    craving = CRAVING | {"mediation": {"mediators": [{"roi": "insula", "contrast": "cue"}]}}
    run("craving_mediation", inputs(chain), chain / "mediation.tsv", craving=craving, arms=ARMS, sessions=SESSIONS)
    rows = {row["effect"]: row for row in tables.read_table(chain / "mediation.tsv")}
    # Baclofen lowers CBF by 10, and craving by 1.5 points for each of them; nothing acts directly.
    assert float(rows["indirect"]["bca_low"]) < -15 < float(rows["indirect"]["bca_high"])
    assert float(rows["indirect"]["bca_high"]) < 0
    assert float(rows["direct"]["percentile_low"]) < 0 < float(rows["direct"]["percentile_high"])
    assert float(rows["m1 -> craving"]["estimate"]) == pytest.approx(1.5, abs=0.1)


def test_left_out_values_enter_the_correlations(chain):
    left_out = chain / "insula_leftout_values.tsv"
    left_out.write_bytes((chain / "insula_values.tsv").read_bytes())
    tables.write_json(chain / "insula_mask.json", {"AnalysisDefined": True})
    given = inputs(chain) | {"left_out": [str(left_out)]}
    run("roi_craving", given, chain / "both.tsv", craving=CRAVING, arms=ARMS, sessions=SESSIONS)
    rows = tables.read_table(chain / "both.tsv")
    counts = {name: sum(row["region_of"] == name for row in rows) for name in ("all", "others")}
    assert counts["all"] == counts["others"] > 0
    assert {row["roi_defined_by_same_data"] for row in rows} == {"true"}


def test_the_left_out_script_hands_its_files_on(monkeypatch, tmp_path):
    module, seen = script("roi_left_out"), {}
    monkeypatch.setattr(
        module.left_out_regions, "write", lambda files, outputs, **more: seen.update(vars(files), **more)
    )
    names = ("baseline", "followup", "design", "inference", "search", "mask", "maps")
    params = {
        "roi": {"statistic": "mean", "space": "template"},
        "name": "a",
        "rows": [],
        "members": ("sub-01",),
        "inference": {"cluster_forming_p": 0.001, "neighbours": 18},
        "minimum_coverage": 0.5,
    }
    outputs = {name: name for name in ("values", "regions", "test")}
    module.main(
        SimpleNamespace(
            input=Inputs({name: [name] for name in names} | {"gm": []}),
            output=outputs,
            params=SimpleNamespace(**params, permutations=99, seed=1),
        )
    )
    assert seen["gm"] is None
    assert (seen["baseline"], seen["members"], seen["permutations"]) == (["baseline"], ["sub-01"], 99)
