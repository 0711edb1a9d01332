"""A small study's results as the page reads them: tables of a made-up trial, one of whose participants has a hostile name."""

import dataclasses
from types import SimpleNamespace

import complete_settings
import numpy as np
import permuting
from loading import script
from pharmasl.conduct import flow
from pharmasl.endpoints import (
    correlations,
    models,
)
from pharmasl.endpoints import scores as scoring
from pharmasl.files import tables
from pharmasl.group import called_summary, definitions, verdict
from pharmasl.group.definitions import Exclusion, Question
from pharmasl.group.table import COLUMNS as CLUSTERS
from pharmasl.perfusion import kinetics
from pharmasl.quality.measure_columns import COLUMNS as QUALITY
from pharmasl.quality.measure_columns import EXCLUSIONS, METRICS
from pharmasl.regions import region_columns
from pharmasl.report.report_files import ReportFiles
from pharmasl.study import configuration, settings

HOSTILE = "sub-<script>alert(1)</script>"
ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo"}


class Inputs(dict):
    """A rule's named inputs: by attribute, and by key where a name is also a method."""

    __getattr__ = dict.__getitem__


def describe(rows):
    return {name: name for row in rows for name in row}


def constant(value, unit):
    return {"Value": value, "Unit": unit, "Field": "f", "Source": "sidecar"}


def sidecar():
    return {
        "Grid": {"Shape": [64, 64, 20], "VoxelSize": [3.0, 3.0, 5.0], "Unit": "mm"},
        "Equation": kinetics.CONTINUOUS,
        "Reference": "Alsop et al. 2015, doi 10.1002/mrm.25197",
        "Constants": {
            "post_labeling_delay": constant(1.7, "s"),
            "labeling_duration": constant(1.45, "s"),
            "labeling_efficiency": constant(0.81, "1"),
            "t1_blood": constant(1.65, "s"),
            "partition_coefficient": constant(0.9, "mL/g"),
        },
        "M0": {
            "Source": "separate M0 image",
            "SmoothingFWHM": {"Value": 5.0, "Unit": "mm"},
            "T1RecoveryFactor": 1.0245,
            "T1Tissue": constant(1.607, "s"),
            "EchoTimeFactor": 1.0,
            "Scale": 1.0,
        },
        "Calibration": "consensus",
        "SliceTiming": [0.0, 0.04],
        "Outliers": {
            "Rules": ["score", "motion"],
            "MotionLimit": {"Value": 0.7, "Unit": "mm"},
            "GlobalLimits": {"Value": [-40, 150], "Unit": "mL/100 g/min"},
            "Excluded": {"3": "score: mean grey-matter CBF 3.1 MAD/0.675 from the median"},
        },
        "NumberOfRepeats": 12,
        "NumberOfRepeatsUsed": 11,
        "Average": "mean",
        "MotionRegression": {"Applied": False, "Why": "not asked for"},
        "PartialVolumeCorrection": {"Method": "linear regression", "Kernel": [5, 5, 1], "UsedInContrasts": False},
        "DistortionCorrection": {"Applied": False, "FieldMaps": [], "Why": "no library"},
        "Subtraction": "control minus label, pair by pair",
        "Resampling": "each raw volume once",
        "TemplateSmoothingFWHM": {"Value": 6.0, "Unit": "mm"},
    }


def inference(analysis, status="run"):
    asked = settings.build(
        settings.Inference,
        complete_settings.plain_inference(alpha=0.05, cluster_forming_p=0.001, neighbours=18, seed=7),
    )
    whole = complete_settings.plain_analysis(**{**analysis, "inference": settings.plain(asked)})
    question = Question(
        analysis=settings.build(settings.Analysis, whole),
        arms=settings.build(settings.Arms, {**ARMS, "others": []}),
        sessions={},
    )
    lost = Exclusion("sub-03", "no CBF of rest at T2: the scan is excluded or covers nothing")
    block = definitions.block(question, status, ["sub-02"], [lost])
    if status != "run":
        return block
    block["model"] = {"formula": "change ~ arm", "tested_term": "arm", "statistic": "Student's t", "df": 6, "n": 8}
    block["model"] |= {"design": "Two-arm comparison of change scores: group by time", "tested_columns": ["arm"]}
    block["model"] |= {"n_treatment": 4, "n_control": 4, "design_sha256": "0", "notes": ["site one: a single person"]}
    volume = {"definition": "template brain mask", "voxels": 900, "template_voxels": 1000, "voxel_size_mm": [4.0] * 3}
    decided = verdict.Verdict(
        statistic="extent",
        error_rate=verdict.FAMILY_WISE,
        alpha=0.05,
        p=2 / 70,
        smallest_attainable_p=2 / 70,
        can_reach_alpha=True,
        significant=True,
        significant_voxels=90,
        significant_clusters=1,
        voxels_outside_clusters=0,
    )
    block["verdict"] = decided.block()
    block["smallest_called"] = {
        "status": "known",
        "statistic": "extent",
        "height": 5.21,
        "scale": "t",
        "extent_voxels": 40.0,
        "criterion": "from t = 5.21 on, a voxel is called <b>so</b>",
        "notes": ["one more thing"],
    }
    block["search_volume"] = {**volume, "voxels_without_variance": 0, "uncovered_voxels": {HOSTILE: 50, "sub-02": 0}}
    block["permutation"] = definitions.permutation(
        SimpleNamespace(
            exchange="permute",
            outcome="change",
            maps=[],
            blocks=None,
            matrix=[[1.0, 1.0], [0.0, 1.0]],
            weights=[[1.0, 0.0]],
        ),
        number=70,
        exhaustive=True,
        log10_distinct=1.85,
        seed=7,
        smallest=2 / 70,
    )
    block["tests"] = definitions.statistics(asked, 5.2, mass=True, enhancement=permuting.enhancement())
    block["tests"]["voxel"]["critical_t"] = 9.1
    block["tests"]["cluster"]["critical_extent_voxels"] = None
    fields = {"status": "known", "fwhm_voxels": [4.1, 4.2, 4.3], "resels": [1.0, 2.0, 3.0, 44.0], "doubts": ["rough"]}
    block["random_fields"] = fields
    return block


CONFIG = {
    "bids_dir": "/home/jane doe/trial/bids",
    "output_dir": "/home/jane doe/results",
    "title": "A <b>bold</b> & brave trial",
    # As in the configuration of a simulated trial: the simulator's alone.
    "simulate": {"seed": 1},
    "sessions": {"baseline": "T1", "followup": "T2"},
    "arms": ARMS,
    "conditions": {"rest": {"acquisition": "rest"}},
    "contrasts": {"rest": {"rest": 1}},
    "analyses": {
        "rest_interaction": {"contrast": "rest", "effect": "group_by_time", "covariates": ["age", "sex"]},
        "seed_link": {"contrast": "rest", "effect": "association", "seed": {"roi": "cluster_one", "contrast": "rest"}},
    },
    "conjunctions": {"both": ["rest_interaction", "seed_link"]},
    "rois": {"cluster_one": {"analysis": "rest_interaction", "cluster": 1}, "insula": {"atlas": ["Insula_L"]}},
    "craving": {
        "table": "phenotype/craving.tsv",
        "before": "pre",
        "after": "post",
        "rois": ["insula"],
        "contrast": "rest",
        "resamples": 100,
    },
}


def make(here, people=8):
    """All inputs of the report of a study, in a folder; the first participant has a hostile name."""
    config = configuration.resolve(CONFIG)
    rng = np.random.default_rng(0)
    names = [HOSTILE, *(f"sub-{k:02d}" for k in range(2, people + 1))]
    arm = {name: ("baclofen", "placebo")[k % 2] for k, name in enumerate(names)}
    people = [{"participant_id": n, "arm": arm[n], "age": 20 + k, "sex": "FM"[k % 2]} for k, n in enumerate(names)]
    scans, quality, scores, values = [], [], [], []
    for name in names:
        for session in ("T1", "T2"):
            label = {
                "participant_id": name,
                "session_id": session,
                "condition": "rest",
                "scan": f"{name}_ses-{session}",
            }
            source = (
                f"LabelingDuration of /home/jane doe/bids/{label['scan'].replace('<', '').replace('/', '')}_asl.json"
            )
            asl = "/home/jane doe/bids/x_asl.nii.gz"
            anatomy = "the participant's"
            scans.append(
                {**label, "anatomy": anatomy, "asl": asl, "labeling_duration": 1.45, "labeling_duration_source": source}
            )
            measures = {measure: float(rng.uniform(0.4, 0.6)) for measure in METRICS} | {"gm_cbf": 55.0, "pairs": 30}
            flag = "fd_mean:high" if (name, session) == (HOSTILE, "T2") else ""
            lost = "registration not accepted: <u>14 mm</u>" if (name, session) == ("sub-03", "T2") else None
            judgement = {"registration": "accepted", "usable": "no" if lost else "yes", "exclusion_reason": lost}
            judgement |= {"implausible": None, "accepted_by_hand": None, "overruled": None}
            quality.append({**label, **measures, "flags": flag, **judgement})
            before, change = float(rng.normal(40, 5)), float(rng.normal(10, 5))
            score = {"participant_id": name, "arm": arm[name], "session_id": session, "before": before}
            scores.append({**score, "after": before + change, "cue_elicited": change})
            value = {
                "participant_id": name,
                "session_id": session,
                "arm": arm[name],
                "contrast": "rest",
                "roi": "insula",
            }
            values.append({**value, "cbf": float(rng.normal(50, 5)), "analysis_defined": False})
    excluded = [{"participant_id": "sub-99", "session_id": None, "condition": None, "analysis": None}]
    excluded[0]["reason"] = "<img src=http://evil.example/x onerror=alert(1)>"
    tables.write_table(here / "scans.tsv", scans, describe(scans))
    tables.write_table(here / "participants.tsv", people, describe(people))
    tables.write_table(here / "exclusions.tsv", excluded, describe(excluded))
    tables.write_table(here / "quality.tsv", quality, QUALITY)
    unusable = [{**row, "reason": row["exclusion_reason"]} for row in quality if row["usable"] == "no"]
    tables.write_table(here / "unusable.tsv", [{k: row[k] for k in EXCLUSIONS} for row in unusable], EXCLUSIONS)
    tables.write_table(here / "craving_scores.tsv", scores, scoring.COLUMNS)
    tables.write_table(here / "insula_values.tsv", values, describe(values))
    tables.write_json(here / "insula_mask.json", {"Empty": False, "AnalysisDefined": False})
    models.write_models(
        here / "craving_scores.tsv",
        here / "craving_model.tsv",
        here / "influence.tsv",
        complete_settings.arms(),
        complete_settings.sessions(),
    )
    correlations.write_correlations(
        here / "craving_scores.tsv",
        [here / "insula_values.tsv"],
        [here / "insula_mask.json"],
        here / "roi_craving.tsv",
        complete_settings.craving(settings.RegionCorrelations, **config["craving"]),
        complete_settings.arms(),
        complete_settings.sessions(),
    )
    row = {"cluster": 1, "peak": 1, "x": -4.0, "y": 8.0, "z": 4.0, "sign": "-", "size_voxels": 27}
    row |= {
        "volume_mm3": 1728.0,
        "p_verdict": 2 / 70,
        "significant": "yes",
        "p_fwe_cluster": 2 / 70,
        "p_fwe_voxel": 0.2,
        "p_fwe_tfce": 0.031,
        "hedges_g": -0.9,
        "hedges_g_low": -1.6,
        "hedges_g_high": -0.2,
        "t": -6.1,
        "z_score": -4.0,
        "effect": -9.4,
    }
    row |= {"effect_mean": -7.25, "region": "Frontal_Mid_2_R", "regions": "Frontal_Mid_2_R 80 %; <i>x</i> 20 %"}
    tables.write_table(here / "clusters.tsv", [row], CLUSTERS)
    tables.write_table(here / "no_clusters.tsv", [], CLUSTERS)
    tables.write_json(here / "inference.json", inference(config["analyses"]["rest_interaction"]))
    reason = "not run: seed cluster_one has no values"
    tables.write_json(here / "not_run.json", inference(config["analyses"]["seed_link"], reason))
    both = {"status": "run", "analyses": ["rest_interaction", "seed_link"], "alpha": 0.05}
    tables.write_json(here / "conjunction.json", {**both, "significant_voxels": 12, "peak_mm": [40.0, 36.0, -8.0]})
    tables.write_json(here / "cbf.json", sidecar())
    tables.write_table(here / "flow.tsv", flow_rows(names, arm), flow.COLUMNS)
    write_regions(here)
    write_global(here)
    write_called(here)
    (here / "picture.svg").write_text('<svg viewBox="0 0 60 40"><text>words</text></svg>')
    (here / "changes.html").write_text('<div class="changes">Each participant</div>')
    return SimpleNamespace(here=here, config=config, names=names)


def write_regions(here):
    """Tables of two declared regions, one of them a cluster of these data, and of two parcels, one significant."""
    told = {"unit": "mL/100 g/min", "alpha": 0.05, "size": 2, "complete": 2, "relabelling": {}}
    row = {"contrast": "rest", "effect": "arm", "estimate": -5.0, "se": 2.0, "ci_low": -9.2, "ci_high": -0.8}
    row |= {"statistic": "t", "value": -2.5, "df_effect": 1, "df": 6.0, "n": 8, "hedges_g": -1.5}
    row |= {"hedges_g_low": -2.9, "hedges_g_high": -0.1, "percent": -9.1}
    p = {"p": 0.0123, "p_fwe": 0.0234, "p_holm": 0.0246, "corrected_by": "max-T", "significant": "yes"}
    row |= {"detectable": 6.4, "detectable_low": 4.1, "detectable_high": 14.1, "critical": 2.6}
    insula = {**row, **p, "roi": "insula", "defined_by_same_data": False, "note": "<u>hostile</u>"}
    withheld = dict.fromkeys(("detectable", "detectable_low", "detectable_high", "critical"))
    cluster = {**row, **withheld, "roi": "cluster_one", "defined_by_same_data": True, "note": "p withheld"}
    columns = region_columns.columns(region_columns.REGION, **told)
    tables.write_table(here / "in_regions.tsv", [insula, cluster], columns)
    tables.write_table(here / "in_no_regions.tsv", [], columns)
    columns = region_columns.columns(region_columns.PARCEL, **told)
    none = {"p": 0.4, "p_fwe": 0.6, "p_holm": 0.8, "corrected_by": "max-T", "significant": "no"}
    parcels = [
        {**row, **p, "index": 1, "parcel": "Frontal_Mid_2_R"},
        {**row, **none, "index": 2, "parcel": "Insula_L"},
    ]
    tables.write_table(here / "in_parcels.tsv", parcels, columns)
    tables.write_table(here / "in_no_parcels.tsv", [], columns)


def write_called(here):
    """The smallest estimates that would have been called, over grey matter and over all voxels."""
    rows = [
        {"place": place, "measure": measure, "at": at, "value": value, "unit": "mL/100 g/min", "voxels": 500}
        for place in (called_summary.SEARCHED, called_summary.GREY_MATTER)
        for measure, at, value in (
            ("percentile", 10, 7.5),
            ("percentile", 50, 12.25),
            ("percentile", 90, 20.5),
            ("share", 10.0, 0.004),
            ("share", 20.0, 0.88),
            ("share", 50.0, 1.0),
        )
    ]
    tables.write_table(here / "called.tsv", rows, called_summary.COLUMNS)
    tables.write_table(here / "no_called.tsv", [], called_summary.COLUMNS)


def write_global(here):
    """The effect on global CBF, over the brain and over grey matter."""
    row = {"contrast": "rest", "effect": "arm", "se": 2.0, "ci_low": -5.0, "ci_high": 3.0, "statistic": "t", "df": 6.0}
    rows = [
        {**row, "reference": "brain", "estimate": -1.0, "value": -0.5, "p": 0.63, "note": None},
        {**row, "reference": "grey_matter", "estimate": -1.5, "value": -0.7, "p": 0.51, "note": None},
    ]
    columns = dict.fromkeys([*rows[0], "df_effect"], "x")
    tables.write_table(here / "global.tsv", rows, columns)
    tables.write_table(here / "no_global.tsv", [], columns)


def flow_rows(names, arm):
    """All scanned; the first left out of the analysis; one more randomised and never scanned."""
    for each in ("baclofen", "placebo"):
        own = [name for name in names if arm[name] == each]
        lost = own[:1] if each == "baclofen" else []
        never = ["sub-99"] if each == "placebo" else []
        members = [
            ("randomised", None, [*own, *never], None),
            ("scanned", None, own, None),
            ("not scanned", None, never, "<img src=http://evil.example/y>"),
            ("analysed", "rest_interaction", [name for name in own if name not in lost], None),
            ("left out", "rest_interaction", lost, "no scan at T2"),
            ("left out", "rest_interaction", never, "<img src=http://evil.example/y>"),
        ]
        for stage, of, who, reason in members:
            if who or not reason:
                yield {
                    "stage": stage,
                    "of": of,
                    "arm": each,
                    "n": len(who),
                    "reason": reason,
                    "participants": " ".join(who),
                }


def inputs(study, **changes):
    here = study.here
    given = {
        "scans": here / "scans.tsv",
        "participants": here / "participants.tsv",
        "exclusions": here / "exclusions.tsv",
        "participant_flow": [here / "flow.tsv"],
        "flow_figure": [here / "picture.svg"],
        "quality": here / "quality.tsv",
        "quality_exclusions": here / "unusable.tsv",
        "quality_figure": here / "picture.svg",
        "cbf_sidecars": [here / "cbf.json"] * (2 * len(study.names)),
        "analyses_tables": [here / "clusters.tsv", here / "no_clusters.tsv"],
        "analyses_inference": [here / "inference.json", here / "not_run.json"],
        "analyses_figures": [here / "changes.html"] * 2,
        "analyses_called": [here / "called.tsv", here / "no_called.tsv"],
        "analyses_called_figures": [here / "changes.html"] * 2,
        "analyses_designs": [here / "picture.svg"] * 2,
        "analyses_changes": [here / "changes.html"] * 2,
        "analyses_viewers": [here / "changes.html"] * 2,
        "reference": [],
        "analyses_regions": [here / "in_regions.tsv", here / "in_no_regions.tsv"],
        "analyses_parcels": [here / "in_parcels.tsv", here / "in_no_parcels.tsv"],
        "analyses_region_figures": [here / "picture.svg"] * 2,
        "analyses_global": [here / "global.tsv", here / "no_global.tsv"],
        "conjunctions": [here / "conjunction.json"],
        "craving_scores": [here / "craving_scores.tsv"],
        "craving_model": [here / "craving_model.tsv"],
        "craving_figure": [here / "picture.svg"],
        "craving_diagnostics": [here / "picture.svg"],
        "roi_craving": [here / "roi_craving.tsv"],
        "roi_figure": [here / "picture.svg"],
    }
    nothing = {field.name: [] for field in dataclasses.fields(ReportFiles)}
    return Inputs({**nothing, **given, **changes})


def write(study, name="index.html", config=None, **changes):
    config = config or study.config
    params = SimpleNamespace(
        config=config,
        versions={"pharmasl": "0.1.0", "numpy": "2.4.0"},
        state={"code": "c0de", "configuration": "c0f"},
        blinded=config.get("blinded", False),
        allocation_log=study.here / "allocation_log.json",
    )
    output = study.here / name
    snakemake = SimpleNamespace(input=inputs(study, **changes), output=SimpleNamespace(page=output), params=params)
    script("report").main(snakemake)
    return output.read_text(encoding="utf-8")
