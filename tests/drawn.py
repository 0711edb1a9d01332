"""The results of a made-up study (:mod:`reported`) with every figure drawn, an endpoint and specification curves too."""

import itertools
import json
from types import SimpleNamespace

import measured
import numpy as np
import reported
from loading import script
from pharmasl.endpoints import correlations, measure_models, measure_relations, measure_scores, measure_sensitivity
from pharmasl.endpoints.measure_table import Score
from pharmasl.figures import (
    changes_plot,
    craving_plot,
    design_plot,
    endpoint_plot,
    flow_diagram,
    quality_plot,
    region_plot,
    relations_plot,
    specification_plot,
)
from pharmasl.figures.changes_data import ChangesFiles
from pharmasl.files import tables
from pharmasl.study import configuration, settings

CONFIG = {
    **reported.CONFIG,
    "endpoints": {
        "cigarettes": {
            "table": "phenotype/smoking.tsv",
            "score": "cigarettes",
            "unit": "cigarettes a day",
            "missing": {"deltas": [1, 2, 4], "imputations": 5},
            "relations": {"rois": ["insula"], "contrast": "rest", "resamples": 100},
        }
    },
    "sensitivity": {
        "answers": {
            "insula_rest": {"analysis": "rest_interaction", "roi": "insula"},
            "insula_link": {"analysis": "seed_link", "roi": "insula"},
        },
        "scaling": ["global"],
    },
}


def make(folder, *, words=None, people=8):
    """All inputs of the page of a study, in a folder.

    Parameters
    ----------
    folder : Path
    words : mapping, optional
        The configuration's ``labels``.
    people : int

    Returns
    -------
    SimpleNamespace
        ``study``, ``config`` and typed ``settings``, and ``files``: those that differ from :func:`reported.inputs`.
    """
    study = reported.make(folder, people)
    config = configuration.resolve({**CONFIG, "labels": words or {}})
    typed = settings.read(config)
    files = {**_participants(folder, typed), **_analysis(folder, study, typed), **_craving(folder, config, typed)}
    files |= {**_endpoint(folder, typed), **_curves(folder, typed)}
    return SimpleNamespace(study=study, config=config, settings=typed, files=files)


def page(made, name="index.html"):
    """Write the page of a study, and read it."""
    return reported.write(made.study, name, made.config, **made.files)


def _participants(here, typed):
    quality_plot.draw(tables.read_table(here / "quality.tsv"), {}, here / "quality.svg", typed.labels)
    flow_diagram.draw(here / "flow.svg", here / "flow.tsv", typed.arms, typed.labels)
    return {"quality_figure": here / "quality.svg", "flow_figure": [here / "flow.svg"]}


def _analysis(here, study, typed):
    labels = typed.labels
    block = tables.read_json(here / "inference.json")
    tested = {
        "columns": ["intercept", "arm", "age"],
        "weights": [[0.0, 1.0, 0.0]],
        "outcome": "change",
        "voxelwise": [],
    }
    block["model"]["tested_model"] = tested
    tables.write_json(here / "inference.json", block)
    arms = {row["participant_id"]: row["arm"] for row in tables.read_table(here / "participants.tsv")}
    rows = [
        {"participant_id": name, "intercept": 1.0, "arm": 1.0 * (arms[name] == "baclofen"), "age": 20.0 + k % 17}
        for k, name in enumerate(study.names)
    ]
    tables.write_table(here / "design.tsv", rows, dict.fromkeys(rows[0], ""))
    rng = np.random.default_rng(3)
    values = [
        {"participant_id": name, "session_id": session, "arm": arms[name], "cluster": 1, "value": rng.normal(50, 5)}
        for name in study.names
        for session in ("T1", "T2")
    ]
    tables.write_table(here / "cluster_values.tsv", values, dict.fromkeys(values[0], ""))
    design_plot.draw(here / "design.svg", "rest_interaction", here / "design.tsv", here / "inference.json", labels)
    regions = region_plot.RegionFigureFiles(
        regions=here / "in_regions.tsv", parcels=here / "in_parcels.tsv", inference=here / "inference.json"
    )
    region_plot.draw(here / "forest.svg", "rest_interaction", regions, labels)
    region_plot.draw(
        here / "no_forest.svg",
        "seed_link",
        region_plot.RegionFigureFiles(
            regions=here / "in_no_regions.tsv", parcels=here / "in_no_parcels.tsv", inference=here / "not_run.json"
        ),
        labels,
    )
    changes = ChangesFiles(
        table=here / "clusters.tsv",
        inference=here / "inference.json",
        design=here / "design.tsv",
        cluster_values=here / "cluster_values.tsv",
        regions=here / "in_regions.tsv",
        region_values=[here / "insula_values.tsv"],
    )
    changes_plot.write(here / "own_changes.html", changes, labels)
    return {
        "analyses_designs": [here / "design.svg", here / "design.svg"],
        "analyses_region_figures": [here / "forest.svg", here / "no_forest.svg"],
        "analyses_changes": [here / "own_changes.html", here / "changes.html"],
    }


def _craving(here, config, typed):
    arms, sessions, labels = typed.arms, typed.sessions, typed.labels
    craving_plot.scores(here / "craving.svg", here / "craving_scores.tsv", arms, sessions, labels)
    craving_plot.diagnostics(here / "diagnostics.svg", here / "influence.tsv", arms, labels)
    files = relations_plot.RelationFiles(
        scores=here / "craving_scores.tsv",
        values=[here / "insula_values.tsv"],
        correlations=here / "roi_craving.tsv",
    )
    asked = relations_plot.Relations(
        rois=config["craving"]["rois"],
        contrast="rest",
        test=settings.build(settings.DeclaredCorrelation, config["craving"]["test"]),
    )
    relations_plot.draw(here / "relations.svg", files, asked, arms, sessions, labels)
    return {
        "craving_figure": [here / "craving.svg"],
        "craving_diagnostics": [here / "diagnostics.svg"],
        "roi_figure": [here / "relations.svg"],
    }


def _endpoint(here, typed):
    endpoint = typed.endpoints["cigarettes"]
    rows = tables.read_table(here / "participants.tsv")
    rng = np.random.default_rng(1)
    pairs = [[20 + k % 7, 14 + 5 * (row["arm"] == "placebo") + rng.normal(0, 2)] for k, row in enumerate(rows)]
    pairs[-1][1] = pairs[-2][1] = None
    data = measured.measured([row["arm"] for row in rows], pairs)
    scores = {
        (who[4:], when): Score(measured=own, analysed=own, answered=None) for (who, when), own in data.scores.items()
    }
    own = measure_scores.rows(data, scores, [])
    tables.write_table(here / "endpoint_scores.tsv", own, dict.fromkeys(own[0], ""))
    for module, name in ((measure_models, "model"), (measure_sensitivity, "sensitivity")):
        module.write(
            here / "endpoint_scores.tsv",
            here / f"endpoint_{name}.tsv",
            endpoint.question,
            sessions=data.sessions,
            arms=data.arms,
        )
    names = {row["participant_id"]: f"sub-{k:02d}" for k, row in enumerate(rows, 1)}
    values = [
        {**row, "participant_id": names[row["participant_id"]], "coverage": 1.0, "n_voxels": 9}
        for row in tables.read_table(here / "insula_values.tsv")
    ]
    tables.write_table(here / "endpoint_values.tsv", values, dict.fromkeys(values[0], ""))
    measure_relations.write(
        here / "endpoint_scores.tsv",
        correlations.RelationFiles(
            values=[here / "endpoint_values.tsv"],
            sidecars=[here / "insula_mask.json"],
            left_out=[],
            table=here / "endpoint_relations.tsv",
        ),
        endpoint.relations,
        name="cigarettes",
        unit=endpoint.unit,
        sessions=data.sessions,
        arms=data.arms,
    )
    files = endpoint_plot.EndpointFiles(
        scores=here / "endpoint_scores.tsv",
        model=here / "endpoint_model.tsv",
        sensitivity=here / "endpoint_sensitivity.tsv",
    )
    endpoint_plot.draw(
        here / "endpoint.svg", files, arms=data.arms, label="cigarettes (cigarettes a day)", labels=typed.labels
    )
    return {
        "endpoint_models": [here / "endpoint_model.tsv"],
        "endpoint_sensitivity": [here / "endpoint_sensitivity.tsv"],
        "endpoint_figures": [here / "endpoint.svg"],
        "endpoint_relations": [here / "endpoint_relations.tsv"],
    }


def _curves(here, typed):
    """Curves of one answer: eight specifications, one not run."""
    rng, paths = np.random.default_rng(8), []
    arm = np.repeat([1.0, 0.0], 10)
    own, seed = 2 * arm + rng.normal(size=20), rng.normal(size=20)
    chosen = itertools.product(("absolute", "global"), ("6", "8"), ("own", "strict"))
    for number, (scaling, smoothing, quality) in enumerate(chosen):
        response = own + 0.2 * rng.normal(size=20) - 1.5 * arm * (scaling == "global")
        answer = {
            "answer": "insula_rest",
            "kind": "effect",
            "unit": "mL/100 g/min",
            "roi": "insula",
            "contrast": "rest",
        }
        answer |= {"meaning": "change of baclofen minus change of placebo", "analysis": None}
        answer |= {"defined_by_same_data": False, "status": "not run: too few" if number == 7 else "run"}
        answer |= {"participants": [f"sub-{k:02d}" for k in range(20)], "response": response.tolist()}
        answer |= {"tested": arm.tolist(), "nuisance": [[1.0]] * 20, "exchange": "permute", "blocks": None}
        other = answer | {
            "answer": "insula_link",
            "meaning": "slope of the change on the seed's change on baclofen",
            "tested": seed.tolist(),
        }
        choice = {"scaling": scaling, "smoothing_fwhm": smoothing, "partial_volume": "false", "quality": quality}
        content = {"specification": {**choice, "covariates": "own"}, "main": number == 0}
        content["answers"] = [{**told, "whole_brain": None} for told in (answer, other)]
        paths.append(here / f"answers_{number}.json")
        paths[-1].write_text(json.dumps(content))
    table, curve = here / "specifications.tsv", here / "curve.tsv"
    script("specification_curve").main(
        SimpleNamespace(
            input=SimpleNamespace(answers=paths),
            output=SimpleNamespace(table=table, curve=curve),
            params=SimpleNamespace(permutations=200, seed=3),
        )
    )
    specification_plot.draw(here / "specifications.svg", table, curve, typed.labels)
    return {"sensitivity_table": table, "sensitivity_curve": curve, "sensitivity_figure": here / "specifications.svg"}
