"""What a change makes the workflow do again: nothing without need, and everything that must be.

Each row of :data:`CHANGES` is made to finished results, a copy of its own, and a dry run tells the jobs that it plans. The
results are files without content, with Snakemake's records of how they were made: a plan looks no further.
"""

import json
import os
import re
import shutil

import finished
import nibabel
import numpy as np
import pytest
import skeleton
import yaml
from loading import ROOT, benchmark
from pharmasl.files import tables

reruns = benchmark("reruns")
PARTICIPANTS = 6


def settings(root=ROOT):
    """The configuration that the project ships, with a sensitivity analysis."""
    config = yaml.safe_load((root / "config/config.yaml").read_text()) | {"bids_dir": "bids"}
    for analysis in config["analyses"].values():
        analysis["covariates"] = ["age"]
    answers = {
        "dlpfc_rest": {"analysis": "rest_interaction", "roi": "dlpfc_cluster"},
        "vmpfc_craving": {"roi": "vmpfc", "contrast": "cue"},
    }
    config["sensitivity"] = {"answers": answers, "scaling": ["global"], "covariates": {"none": []}}
    return config


def with_weights(dataset):
    """Add a column to the participants' table that no model uses."""
    table = dataset / "participants.tsv"
    header, *rows = table.read_text().splitlines()
    rows = [f"{row}\t{60 + number}" for number, row in enumerate(rows)]
    table.write_text("\n".join([f"{header}\tweight", *rows, ""]))


def finish(folder, root=ROOT):
    """Finished results of the project in ``root``."""
    return finished.make(folder, settings(root), PARTICIPANTS, prepare=with_weights, root=root)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return finish(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def case(results, tmp_path):
    return results.copy(tmp_path / "study")


def test_nothing_is_planned_when_nothing_changed(case):
    jobs, text = case.plan()
    assert jobs == {}
    assert "Nothing to be done" in text


def test_every_param_of_every_rule_is_compared_by_name(results):
    records = [path for path in (results.folder / ".snakemake/metadata").rglob("*") if path.is_file()]
    compared = {record["rule"]: record["params"] for record in map(tables.read_json, records)}
    assert len(compared) > 25
    assert {rule for rule, params in compared.items() if not any("code: " in text for text in params)} == set()
    assert [text for params in compared.values() for text in params if not re.match(r"['\"]\w+: ", text)] == []


def default_written_out(case):
    case.config["inference"]["two_sided"] = True
    case.config["perfusion"]["interpolation"] = "cubic"


def other_order_of_keys(case):
    for name in ("analyses", "contrasts", "rois", "conditions", "perfusion", "craving"):
        case.config[name] = dict(reversed(case.config[name].items()))
    case.config["contrasts"]["cue"] = {"neutral": -1, "smoking": 1}
    case.config = dict(reversed(case.config.items()))


def bids_dir(path):
    def change(case):
        case.config["bids_dir"] = path.format(folder=case.folder)

    return change


def output_dir(path):
    def change(case):
        case.config["output_dir"] = path.format(folder=case.folder)

    return change


def dataset_renamed(case):
    (case.folder / "bids").rename(case.folder / "data")
    case.config["bids_dir"] = "data"


def dataset_copied(case):
    (case.folder / "bids").rename(case.folder / "old")
    # With new dates.
    shutil.copytree(case.folder / "old", case.folder / "bids", copy_function=shutil.copy)


def column_that_nobody_uses(case):
    case.edit("bids/participants.tsv", "\t60\n", "\t90\n")


def rows_reordered(case):
    for name in ("participants.tsv", "phenotype/craving.tsv"):
        header, *rows = (case.folder / "bids" / name).read_text().splitlines()
        case.write(f"bids/{name}", "\n".join([header, *reversed(rows), ""]))


def participant_without_scans(case):
    with open(case.folder / "bids/participants.tsv", "a") as file:
        file.write("sub-99\tplacebo\t50\tF\t70\n")


def title(case):
    case.config["title"] = "Another title"


def region_more(case):
    case.config["rois"]["acc"] = {"sphere": [0, 36, 4], "radius": 6}
    case.config["craving"]["rois"].append("acc")


def analysis_more(case):
    case.config["analyses"]["baseline"] = {"contrast": "rest", "effect": "baseline_difference"}


def arms_exchanged(case):
    case.config["arms"] |= {"treatment": "placebo", "control": "baclofen"}


def set_to(*keys, value):
    def change(case):
        part = case.config
        for key in keys[:-1]:
            part = part.setdefault(key, {})
        part[keys[-1]] = value

    return change


def rated(case):
    table = case.folder / "ratings.tsv"
    table.write_text(
        "scan\trating\treason\trater\nsub-01_ses-T1_acq-rest\tpoor\tghosts\tAB\nsub-02_ses-T1_acq-rest\tgood\tn/a\tAB\n"
    )
    case.config.setdefault("quality", {})["ratings"] = "ratings.tsv"


def contrast_turned_round(case):
    case.config["contrasts"]["cue"] = {"neutral": 1, "smoking": -1}


def covariates_value(case):
    case.edit("bids/participants.tsv", "\t31\t", "\t41\t")


def craving_rating(case):
    case.edit("bids/phenotype/craving.tsv", "sub-01\tT1\t21\t", "sub-01\tT1\t22\t")


def region_moved(case):
    case.config["rois"]["vmpfc"]["radius"] = 9


def t1w_replaced(case):
    case.replace_image("bids/sub-01/ses-T1/anat/sub-01_ses-T1_T1w.nii.gz", 7)


def asl_replaced(case):
    case.replace_image("bids/sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.nii.gz", 7)


def sidecar_edited(case):
    case.edit(
        "bids/sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.json",
        '"LabelingEfficiency": 0.85',
        '"LabelingEfficiency": 0.8',
    )


def field_map_more(case):
    """A map of the field for the scan at rest of one visit, whose sidecar says how it was encoded."""
    scan = "ses-T1/perf/sub-01_ses-T1_acq-rest_asl"
    folder = case.folder / "bids/sub-01/ses-T1/fmap"
    folder.mkdir()
    image = nibabel.Nifti1Image(np.ones((3, 3, 3), np.float32), np.diag([4.0, 4, 4, 1]))
    nibabel.save(image, folder / "sub-01_ses-T1_fieldmap.nii.gz")
    (folder / "sub-01_ses-T1_fieldmap.json").write_text(json.dumps({"Units": "Hz", "IntendedFor": f"{scan}.nii.gz"}))
    case.edit(f"bids/sub-01/{scan}.json", "{", '{"PhaseEncodingDirection": "j-", "TotalReadoutTime": 0.025, ')


def module_edited(case):
    case.checkout = finished.checkout(case.folder.parent / "checkout", case.checkout)
    module = case.checkout / "scripts/pharmasl/group/engine/tfce.py"
    before = module.stat()
    module.write_text(module.read_text() + "\n# Changed.\n")
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))


def participant_more(case):
    skeleton.dataset(case.folder / "more", participants=PARTICIPANTS + 1)
    (case.folder / "more/sub-07").rename(case.folder / "bids/sub-07")
    with open(case.folder / "bids/participants.tsv", "a") as file:
        file.write("sub-07\tplacebo\t50\tF\t70\n")
    with open(case.folder / "bids/phenotype/craving.tsv", "a") as file:
        file.write("sub-07\tT1\t20\t40\nsub-07\tT2\t20\t30\n")


def removed(path):
    return lambda case: (case.folder / "results" / path).unlink()


def craving_taken_away(case):
    """What the configuration does not ask for any more is not missed. (Slopes are told of all regions then.)"""
    for name in ("craving", "sensitivity", "primary"):
        case.config.pop(name, None)
    shutil.rmtree(case.folder / "results/craving")


def together(*parts):
    """Jobs by rule of several lists, where those of a later one replace those of an earlier one."""
    return {name: count for part in parts for name, count in part.items()}


PAGE = {"report": 1}
FLOW = {"participant_flow": 1, "flow_figure": 1, "tidy_table": 1, **PAGE}
TABLES = {"study_tables": 1, **FLOW}
# Temporary maps are made anew for any specification, and Snakemake repeats all that read them.
SENSITIVITY = {
    "alternative_maps": 2 * PARTICIPANTS,
    "specification": 4,
    "specification_curve": 1,
    "specification_figure": 1,
    **PAGE,
}
VERDICT = {"trial_verdict": 1}
IN_REGIONS = {"region_models": 3, "region_figure": 3, "group_figure": 3}
OF_GLOBAL = {"global_effect": 3}
ANALYSES = {
    "group_statistics": 3,
    "cluster_table": 3,
    "called_summary": 3,
    "cluster_values": 3,
    "group_figure": 3,
    **IN_REGIONS,
    **OF_GLOBAL,
    **VERDICT,
    **FLOW,
}
# dlpfc_cluster is a cluster of rest_interaction and the seed of dlpfc_to_cue.
CLUSTER = {"roi_mask": 1, "roi_values": 1, "seed_slopes": 1, "repeatability": 1, "tidy_table": 1}
GROUP = together(ANALYSES, CLUSTER, SENSITIVITY)
# The parcels of the scans of one visit, of a participant's two, and of all.
PARCELS, OWN_PARCELS, ALL_PARCELS = (
    {"scan_parcels": visits, "all_scan_parcels": 1} for visits in (1, 2, 2 * PARTICIPANTS)
)
CRAVING = {"roi_craving": 1, "craving_figure": 1, **VERDICT}
SCORES = {"craving_scores": 1, "craving_model": 1, **CRAVING}
# Of resting CBF and of the cue response.
REPEATED = {"repeatability_maps": 2, "repeatability_figure": 2}
# From contrast maps on.
MAPS = together(
    GROUP,
    CRAVING,
    REPEATED,
    {"roi_values": 3, "parcel_values": 1, "global_values": 1, "study_quality": 1, "review_page": 1},
)
ANATOMY = {"prepare_anatomy": 1, "normalise_anatomy": 1, "segment_anatomy": 1}
SCANS = {"align_perfusion": 6, "quantify_perfusion": 6, "scan_quality": 6, "scan_page": 6, "session_contrast": 4}
# A scan at rest takes part in rest_interaction and in the seed, not in cue_interaction.
REST = {
    "scan_quality": 1,
    "scan_page": 1,
    "session_contrast": 1,
    "group_statistics": 2,
    "cluster_table": 2,
    "called_summary": 2,
    "cluster_values": 2,
    "group_figure": 3,
    "repeatability_maps": 1,
    "repeatability_figure": 1,
}
ALL = 6 * PARTICIPANTS

CHANGES = {
    "a default written out": (default_written_out, {}),
    "keys in another order": (other_order_of_keys, {"tidy_table": 1, **PAGE}),
    "bids_dir: ./bids/": (bids_dir("./bids/"), {}),
    "bids_dir absolute": (bids_dir("{folder}/bids"), {}),
    "output_dir: ./results": (output_dir("./results"), {}),
    "output_dir absolute": (output_dir("{folder}/results/"), {}),
    "the dataset's folder renamed": (dataset_renamed, TABLES),
    "the dataset copied, with new dates": (dataset_copied, {}),
    "a column that nobody uses": (column_that_nobody_uses, {}),
    "rows of the sheets in another order": (rows_reordered, {}),
    "a row of someone without scans": (participant_without_scans, TABLES),
    "another title": (title, TABLES),
    "one more region related to craving": (
        region_more,
        {**CLUSTER, **IN_REGIONS, **CRAVING, **PAGE},
    ),
    "a mediation": (
        set_to("craving", "mediation", value={"mediators": [{"roi": "vmpfc", "contrast": "rest"}]}),
        {"craving_mediation": 1, **PAGE},
    ),
    "the scale of the ratings": (
        set_to("craving", "range", value=[0, 110]),
        together(SCORES, SENSITIVITY, FLOW),
    ),
    "one more analysis": (
        analysis_more,
        {
            "participant_rows": 1,
            "group_statistics": 1,
            "cluster_table": 1,
            "called_summary": 1,
            "cluster_values": 1,
            "group_figure": 1,
            "region_models": 1,
            "region_figure": 1,
            "global_effect": 1,
            **FLOW,
        },
    ),
    "one more participant": (
        participant_more,
        together({"participant_rows": 7}, TABLES, MAPS, ANATOMY, SCANS, SCORES, OWN_PARCELS, {"alternative_maps": 14}),
    ),
    "the arms exchanged": (arms_exchanged, together(GROUP, REPEATED, SCORES)),
    "smoothing": (
        set_to("perfusion", "smoothing_fwhm", value=4),
        together(
            MAPS,
            ALL_PARCELS,
            {"quantify_perfusion": ALL, "scan_quality": ALL, "scan_page": ALL, "session_contrast": 4 * PARTICIPANTS},
        ),
    ),
    "a transit time and T1 of tissue": (
        set_to("perfusion", "tissue", value={"transit_time": {"gm": 1.1, "wm": 1.5}, "t1": {"gm": 1.3, "wm": 0.9}}),
        together(
            MAPS,
            ALL_PARCELS,
            {"known_tissue": ALL, "quantify_perfusion": ALL, "scan_quality": ALL, "scan_page": ALL},
            {"session_contrast": 4 * PARTICIPANTS},
        ),
    ),
    "permutations": (set_to("inference", "permutations", value=500), GROUP),
    "alpha": (set_to("inference", "alpha", value=0.01), GROUP),
    "blinded": (
        set_to("blinded", value=True),
        together(
            GROUP,
            REPEATED,
            SCORES,
            TABLES,
            {"participant_rows": 7, "roi_values": 3, "allocation_log": 1},
        ),
    ),
    "an override of one participant's scans": (
        set_to(
            "perfusion", "override", value=[{"where": {"participant": "01"}, "fields": {"LabelingEfficiency": 0.7}}]
        ),
        together(
            MAPS,
            TABLES,
            OWN_PARCELS,
            {"quantify_perfusion": 6, "scan_quality": 6, "scan_page": 6, "session_contrast": 4},
        ),
    ),
    "a scan excluded by name": (
        set_to("quality", "exclude_scans", value={"sub-01_ses-T1_acq-rest": "seen"}),
        together(MAPS, REST),
    ),
    "a scan rated poor and one rated good": (rated, together(MAPS, REST)),
    "the template's resolution": (
        set_to("template", "resolution", value=3),
        together(
            MAPS,
            ALL_PARCELS,
            {"template": 1, "roi_mask": 3, "normalise_anatomy": PARTICIPANTS, "segment_anatomy": PARTICIPANTS},
            {"align_perfusion": ALL, "quantify_perfusion": ALL, "scan_quality": ALL, "scan_page": ALL},
            {"session_contrast": 4 * PARTICIPANTS},
        ),
    ),
    "a contrast turned round": (
        contrast_turned_round,
        together(
            {name: count for name, count in MAPS.items() if name not in ("roi_mask", "study_quality", "review_page")},
            {
                "session_contrast": 2 * PARTICIPANTS,
                "group_statistics": 2,
                "cluster_table": 2,
                "called_summary": 2,
                "cluster_values": 2,
                "group_figure": 3,
                "repeatability_maps": 1,
                "repeatability_figure": 1,
            },
        ),
    ),
    "a covariate's value, with its date kept": (covariates_value, together(GROUP, TABLES, {"participant_rows": 5})),
    "a craving rating, with its date kept": (craving_rating, together(SCORES, SENSITIVITY, FLOW)),
    "a region moved": (region_moved, together(CLUSTER, IN_REGIONS, CRAVING, SENSITIVITY)),
    "an older T1w in place of one": (t1w_replaced, together(MAPS, ANATOMY, SCANS, OWN_PARCELS)),
    "an older scan in place of one": (
        asl_replaced,
        together(MAPS, PARCELS, {"align_perfusion": 1, "quantify_perfusion": 1}, REST),
    ),
    "a sidecar's efficiency, with its date kept": (
        sidecar_edited,
        together(MAPS, TABLES, PARCELS, {"quantify_perfusion": 1}, REST),
    ),
    "a field map for one scan": (
        field_map_more,
        # The other scans of the visit name it in their records.
        together(
            MAPS,
            FLOW,
            PARCELS,
            {"scan_field": 1, "align_perfusion": 1, "quantify_perfusion": 3, "scan_quality": 3, "scan_page": 3},
            {"session_contrast": 2},
        ),
    ),
    "a module of the group stage": (module_edited, GROUP),
    "a final map deleted": (
        removed("group/cue_interaction/contrast-cueInteraction_stat-tfce_statmap.nii.gz"),
        {
            "group_statistics": 1,
            "cluster_table": 1,
            "called_summary": 1,
            "cluster_values": 1,
            "group_figure": 1,
            "region_models": 1,
            "region_figure": 1,
            "global_effect": 1,
            "trial_verdict": 1,
            **FLOW,
        },
    ),
    "a map of the analysis that gives the seed deleted": (
        removed("group/rest_interaction/contrast-restInteraction_stat-t_statmap.nii.gz"),
        together(
            GROUP,
            {
                "group_statistics": 2,
                "cluster_table": 2,
                "called_summary": 2,
                "cluster_values": 2,
                "group_figure": 3,
                "global_effect": 2,
            },
        ),
    ),
    "a scan's CBF deleted": (
        removed("sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_cbf.nii.gz"),
        together(MAPS, PARCELS, {"quantify_perfusion": 1}, REST),
    ),
    "a table of a region deleted": (
        removed("rois/vmpfc_values.tsv"),
        {"roi_values": 1, "seed_slopes": 1, "repeatability": 1, "tidy_table": 1, **IN_REGIONS, **CRAVING, **PAGE},
    ),
    "a label of a session": (
        set_to("labels", "sessions", value={"T1": "before"}),
        together(
            {"group_figure": 3, "region_figure": 3, "craving_figure": 1, "specification_figure": 1},
            {"study_quality": 1, "review_page": 1, "scan_page": ALL, **FLOW},
        ),
    ),
    "the page deleted": (removed("report/index.html"), PAGE),
    "a figure deleted": (removed("quality/scans.svg"), {"study_quality": 1, "review_page": 1, **FLOW}),
    "craving and its results taken away": (craving_taken_away, {"seed_slopes": 1, **FLOW}),
}


def assumed(*keys, value):
    def change(case):
        *above, last = keys
        part = case.assumptions
        for key in above:
            part = part[key]
        part[last] = value

    return change


DRAWN = {"power_studies": 3, "power_maps": 1}
# Of the maps depth of a planned trial: three jobs of 20 studies.
OF_POWER = {
    "power: another source of a number": (assumed("maps", "mean", "source", value="a pilot"), {}),
    "power: 100 studies in place of 60": (assumed("maps", "studies", value=100), {"power_studies": 2, "power_maps": 1}),
    "power: one more effect": (assumed("outcomes", "one", "effect", "others", value=[5, 9]), DRAWN),
    "power: another standard deviation": (assumed("outcomes", "one", "sd", "value", value=9), DRAWN),
    "power: one more place": (
        assumed("outcomes", "one", "places", "vmpfc", value={"region": "vmpfc"}),
        {"power_ground": 1, **DRAWN},
    ),
    "power: the study's error rate": (set_to("inference", "alpha", value=0.01), DRAWN),
    "power: the study's smoothing": (set_to("perfusion", "smoothing_fwhm", value=8), {"power_ground": 1, **DRAWN}),
    "power: other cues in the study": (set_to("craving", "before", value="craving_now"), {}),
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    assumptions = yaml.safe_load((ROOT / "config/power.yaml").read_text())
    number = {"value": 10, "source": "pilot"}
    assumptions["outcomes"] = {
        "one": {
            "analysis": "rest_interaction",
            "effect": {**number, "others": [5]},
            "sd": number,
            "correlation": {"value": 0.5, "source": "pilot"},
            "places": {"sphere": {"sphere": [42, 36, 28], "radius": 12}},
        }
    }
    assumptions["maps"] |= {"studies": 60, "studies_per_job": 20}
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    return finished.planned(tmp_path_factory.mktemp("power"), config, assumptions)


@pytest.mark.parametrize("name", OF_POWER)
def test_a_change_of_a_planned_trial_draws_what_needs_it(planned, tmp_path, name):
    case = planned.copy(tmp_path / "study")
    change, wanted = OF_POWER[name]
    change(case)
    jobs, _ = case.plan()
    jobs.pop("power_tables", None)
    assert jobs == wanted


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_plans_the_jobs_that_need_it(case, name):
    change, wanted = CHANGES[name]
    change(case)
    jobs, _ = case.plan()
    assert jobs == wanted


def test_the_table_of_the_docs_is_that_of_the_changes():
    """As ``python benchmarks/reruns.py --docs`` writes it."""
    assert reruns.table(CHANGES | OF_POWER) in (ROOT / "docs/records.md").read_text()


# Of each kind one or two.
WITHOUT_RECORDS = (
    "keys in another order",
    "bids_dir absolute",
    "rows of the sheets in another order",
    "one more region related to craving",
    "the arms exchanged",
    "smoothing",
    "permutations",
    "a contrast turned round",
    "a covariate's value, with its date kept",
    "an older scan in place of one",
    "a module of the group stage",
    "a final map deleted",
)


def without_records(case):
    """Snakemake's own records are gone: what remains is the results' manifest."""
    shutil.rmtree(case.folder / ".snakemake")
    if not (case.folder / "results/manifest.json").exists():
        pytest.skip("these results have no manifest")


def test_nothing_is_planned_without_snakemakes_records_when_nothing_changed(case):
    without_records(case)
    assert case.plan()[0] == {}


@pytest.mark.parametrize("name", WITHOUT_RECORDS)
def test_a_change_plans_the_same_jobs_without_snakemakes_records(case, name):
    without_records(case)
    change, wanted = CHANGES[name]
    change(case)
    assert case.plan()[0] == wanted


@pytest.mark.parametrize(
    ("change", "jobs", "param"),
    [
        (contrast_turned_round, 2 * PARTICIPANTS, r"before: 'weights: \[-1,1\]' now: 'weights: \[1,-1\]'"),
        (CHANGES["smoothing"][0], ALL, r"before: 'settings: [0-9a-f]{16}' now: 'settings: [0-9a-f]{16}'"),
    ],
)
def test_a_reason_names_the_param_in_short(case, change, jobs, param):
    change(case)
    _, text = case.plan()
    # Of the first jobs; those after them have a changed input for reason.
    reasons = re.findall(r"Params have changed since last execution: (.*)", text)
    assert sum(bool(re.search(param, reason)) for reason in reasons) == jobs
    assert max(map(len, reasons)) < 300
