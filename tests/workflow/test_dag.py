import inspect
import json
import re

import pytest
import skeleton
import yaml
from loading import ROOT
from pharmasl.files import bids
from snakemake.scheduling.job_scheduler import JobScheduler

SCANS = 43 * 2 * 3


@pytest.fixture(scope="module")
def plan(trial):
    return trial.snakemake("-n", "--quiet", "rules").stdout


def few():
    """The configuration that the project ships, without covariates: four participants do not allow them."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"bids_dir": "bids"}
    for analysis in config["analyses"].values():
        analysis["covariates"] = []
    return config


def jobs(plan):
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", plan, re.MULTILINE)}


def test_the_model_studys_plan_is_complete(plan):
    counts = jobs(plan)
    assert (
        counts["align_perfusion"]
        == counts["quantify_perfusion"]
        == counts["scan_quality"]
        == counts["scan_page"]
        == SCANS
    )
    assert counts["prepare_anatomy"] == counts["normalise_anatomy"] == counts["segment_anatomy"] == 43
    assert counts["session_contrast"] == 43 * 2 * 2
    assert counts["group_statistics"] == counts["cluster_table"] == counts["cluster_values"] == 3
    assert counts["region_models"] == 3
    assert counts["parcel_values"] == 1
    assert counts["report"] == counts["study_tables"] == counts["template"] == 1


@pytest.fixture(scope="module")
def edges(trial):
    graph = trial.snakemake("--rulegraph", "mermaid-js").stdout
    names = dict(re.findall(r'(id\d+)\["?(\w+)"?\]', graph))
    return {(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", graph)}


def test_the_documentation_shows_the_rule_graph(edges):
    shown = re.findall(r"^  (\w+) --> (\w+)$", (ROOT / "docs/workflow.md").read_text(), re.MULTILINE)
    assert len(shown) == len(set(shown))
    assert set(shown) == edges


def test_the_rule_graph_reads_like_the_design(edges):
    for edge in (
        ("prepare_anatomy", "normalise_anatomy"),
        ("normalise_anatomy", "segment_anatomy"),
        ("segment_anatomy", "align_perfusion"),
        ("align_perfusion", "quantify_perfusion"),
        ("quantify_perfusion", "session_contrast"),
        ("session_contrast", "group_statistics"),
        ("group_statistics", "cluster_table"),
        ("group_statistics", "roi_mask"),
        ("roi_values", "group_statistics"),
        ("roi_values", "roi_craving"),
        ("craving_scores", "craving_model"),
        ("report", "all"),
    ):
        assert edge in edges


def test_the_dag_is_drawn(trial):
    assert trial.snakemake("--dag", "dot", "--", "cbf").stdout.startswith("digraph")


def test_an_association_waits_for_its_seed(trial):
    plan = trial.snakemake(
        "-n", "results/group/dlpfc_to_cue/contrast-dlpfcToCue_stat-t_statmap.nii.gz", "--quiet", "rules"
    ).stdout
    assert jobs(plan)["group_statistics"] == 2
    assert jobs(plan)["roi_values"] == 1


def test_the_map_of_several_effects_is_named_by_f(small):
    config = few()
    formula = {"contrast": "rest", "model": "change ~ arm + age"}
    config["analyses"] |= {"both": {**formula, "test": ["arm", "age"]}, "alone": {**formula, "test": "arm"}}
    small.configure(config)
    plan = small.snakemake("-n", "--quiet", "host").stdout
    counts = jobs(plan)
    assert counts["group_f_statistics"] == 1
    assert counts["group_statistics"] == len(config["analyses"]) - 1
    assert "results/group/both/contrast-both_stat-F_statmap.nii.gz" in plan
    assert "results/group/both/contrast-both_stat-t_statmap.nii.gz" not in plan
    assert "results/group/alone/contrast-alone_stat-t_statmap.nii.gz" in plan


def test_a_cluster_related_to_craving_is_read_left_out_and_a_mediation_is_asked_for(small):
    config = few()
    config["craving"]["rois"].append("dlpfc_cluster")
    config["rois"]["vmpfc"]["statistic"] = "gm_weighted"
    mediators = [{"roi": "dlpfc_cluster", "contrast": "rest"}, {"roi": "vmpfc", "contrast": "cue"}]
    config["craving"]["mediation"] = {"mediators": mediators}
    small.configure(config)
    plan = small.snakemake("-n", "--quiet", "host").stdout
    counts = jobs(plan)
    # Of three regions one is a cluster.
    assert counts["roi_values"] == 3
    assert counts["region_models"] == counts["region_figure"] == len(config["analyses"])
    assert counts["roi_left_out"] == counts["craving_mediation"] == counts["roi_craving"] == 1
    assert "results/rois/dlpfc_cluster_leftout_values.tsv" in plan
    config["craving"]["mediation"]["mediators"][0]["roi"] = "nowhere"
    small.configure(config)
    done = small.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "craving.mediation" in done.stdout + done.stderr


def test_relative_cbf_takes_the_template_and_native_regions_the_means_of_the_scans(small):
    config = few()
    config["contrasts"]["rest_relative"] = {
        "weights": {"rest": 1},
        "scaling": "proportional",
        "reference": "grey_matter",
    }
    config["analyses"]["relative"] = {"contrast": "rest_relative", "effect": "group_by_time"}
    config["rois"]["vmpfc"]["space"] = "native"
    small.configure(config)
    plan = small.snakemake("-n", "--quiet", "host").stdout
    assert jobs(plan)["session_contrast"] == 4 * 2 * 3
    assert jobs(plan)["global_values"] == 1


def test_maps_that_are_terms_are_made_for_the_models_that_take_them(small):
    config = few()
    config["analyses"] = {
        "adjusted": {"contrast": "rest", "model": "change ~ arm + global", "test": "arm"},
        "with_grey_matter": {"contrast": "rest", "model": "change ~ arm + gm", "test": "arm"},
        "with_cue": {"contrast": "rest", "model": "change ~ arm + cbf(cue)", "test": "arm"},
    }
    del config["primary"], config["craving"], config["rois"]["dlpfc_cluster"]
    small.configure(config)

    def planned(analysis):
        target = f"results/group/{analysis}/contrast-{bids.entity_label(analysis)}_inference.json"
        return small.snakemake("-n", target, "--quiet", "rules", check=False)

    counts = jobs(planned("with_grey_matter").stdout)
    assert (counts["smooth_grey_matter"], counts["session_contrast"]) == (4, 4 * 2)
    assert "global_values" not in counts
    counts = jobs(planned("with_cue").stdout)
    assert counts["session_contrast"] == 4 * 2 * 2
    counts = jobs(planned("adjusted").stdout)
    assert counts["global_values"] == 1
    assert "smooth_grey_matter" not in counts
    config["analyses"]["with_cue"]["model"] = "change ~ arm + att"
    small.configure(config)
    done = planned("with_cue")
    assert "Take att out of the model" in " ".join((done.stdout + done.stderr).split())
    # M0 and three pairs of two delays.
    config["perfusion"]["override"] = {"PostLabelingDelay": [0, 1.0, 1.0, 1.8, 1.8, 1.8, 1.8]}
    small.configure(config)
    counts = jobs(planned("with_cue").stdout)
    assert counts["session_transit_time"] == counts["session_contrast"] == counts["fit_perfusion"] == 4 * 2


def test_native_regions_are_read_once_a_scan_and_apart_by_what_defines_them(small):
    config = few()
    for roi in config["rois"].values():
        roi["space"] = "native"
    # A region of the analysis whose seed is a native cluster of another: read all at once, they would wait for themselves.
    config["rois"]["cue_cluster"] = {"analysis": "dlpfc_to_cue", "cluster": 1, "space": "native", "statistic": "median"}
    config["craving"]["rois"] += ["dlpfc_cluster", "cue_cluster"]
    small.configure(config)
    plan = small.snakemake("-n", "--quiet", "host").stdout
    counts = jobs(plan)
    # 24 scans; regions of the atlas, of rest_interaction and of dlpfc_to_cue.
    assert counts["native_regions"] == 24 * 3
    assert counts["native_roi_values"] == 4
    assert "roi_values" not in counts
    # What is sought anew without each participant lies on the template.
    assert "roi_left_out" not in counts
    # The plan's order is not the same from run to run.
    first = "Reading regions in the scan's own space (a-priori): sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest\n"
    job = plan[plan.index(first) :].split("Job ")[0]
    for part in (
        "from-T1w_to-MNI152NLin2009aSym",
        "sub-01_desc-brain_mask",
        "from-aslref_to-T1w",
        "rest_cbf.nii.gz",
        "vmpfc_mask",
        "anterior_ventral_insula_mask",
    ):
        assert part in job
    assert "cluster_mask" not in job
    config["perfusion"]["partial_volume"] = {"use": True}
    del config["rois"]["vmpfc"]["space"]
    small.configure(config)
    plan = small.snakemake("-n", "--quiet", "host").stdout
    assert (jobs(plan)["native_roi_values"], jobs(plan)["roi_values"]) == (3, 1)
    job = plan[plan.index("Reading regions in the scan's own space (a-priori)") :].split("Job ")[0]
    assert "desc-pvcGM_cbf" in job
    assert "vmpfc_mask" not in job


def test_a_sensitivity_analysis_shares_all_that_its_specifications_have_in_common(small):
    config = few()
    config["sensitivity"] = {
        "answers": {
            "dlpfc_rest": {"analysis": "rest_interaction", "roi": "dlpfc_cluster"},
            "insula_cue": {"analysis": "dlpfc_to_cue", "roi": "anterior_ventral_insula"},
            "vmpfc_craving": {"roi": "vmpfc", "contrast": "cue"},
        },
        "scaling": ["absolute", "global"],
        "smoothing_fwhm": [4, 6],
        "partial_volume": [True],
        "quality": {"strict": {"exclude": ["fd_mean"]}},
        "covariates": {"none": []},
    }
    small.configure(config)
    answers = [
        f"results/sensitivity/specifications/scaling~{scaling}/smoothing_fwhm~{fwhm}/partial_volume~{corrected}"
        f"/quality~{quality}/covariates~{covariates}/answers.json"
        for scaling in ("absolute", "global")
        for fwhm in (6, 4)
        for corrected in ("false", "true")
        for quality in ("own", "strict")
        for covariates in ("own", "none")
    ]
    plan = small.snakemake("-n", "--quiet", "host", "--", *answers).stdout
    counts = jobs(plan)
    assert counts["specification"] == 32
    # Two visits of four participants, whatever the number of specifications; 24 scans are quantified once.
    assert counts["alternative_maps"] == 8
    assert counts["align_perfusion"] == counts["quantify_perfusion"] == counts["scan_quality"] == 24
    assert counts["roi_mask"] == 3
    assert counts["group_statistics"] == counts["craving_scores"] == 1
    job = plan[plan.index("Making the alternative CBF maps: sub-01/ses-T1") :].split("\n\n")[0]
    assert len(set(re.findall(r"results/sensitivity/maps/[^ ,]*/sub-01_ses-T1_space-[^ ,]*_cbf.nii.gz", job))) == 8
    beyond = answers[0].replace("quality~own", "quality~other")
    assert small.snakemake("-n", beyond, check=False).returncode != 0
    config["sensitivity"]["answers"]["vmpfc_craving"]["roi"] = "nowhere"
    small.configure(config)
    done = small.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "sensitivity.answers.vmpfc_craving.roi" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_one_scan_needs_no_trial(small):
    config = yaml.safe_load((ROOT / "config/single_scan.yaml").read_text())
    small.configure({**config, "bids_dir": "bids", "conditions": {"rest": {"acquisition": "rest"}}})
    counts = jobs(small.snakemake("-n", "--quiet", "rules").stdout)
    assert counts["quantify_perfusion"] == 8
    assert "group_statistics" not in counts
    assert counts["report"] == 1


def test_no_line_of_a_plan_is_longer_than_a_few_rows_of_a_screen(small):
    done = small.snakemake("-n")
    # Snakemake's own lists of the workflow's rules are as long as there are rules, whatever the number of participants.
    rules = set(jobs(done.stdout))
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not set(line.strip().split(", ")) <= rules]
    assert max(map(len, lines)) < 300


def test_partial_targets(small):
    assert "group_statistics" not in jobs(small.snakemake("-n", "cbf", "--quiet", "rules").stdout)
    assert "group_statistics" not in jobs(small.snakemake("-n", "quality", "--quiet", "rules").stdout)
    assert jobs(small.snakemake("-n", "contrasts", "--quiet", "rules").stdout)["session_contrast"] == 16
    assert jobs(small.snakemake("-n", "group", "--quiet", "rules").stdout)["cluster_table"] == 1


def test_bad_input_stops_before_any_job_with_one_plain_message(small):
    path = small.folder / "bids/sub-02/ses-T1/perf/sub-02_ses-T1_acq-rest_asl.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "PostLabelingDelay": 1800}))
    done = small.snakemake(check=False)
    assert done.returncode != 0
    assert "PostLabelingDelay" in done.stderr
    assert "1800" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (small.folder / "results").exists()


def without_t1w(small, *subjects, **anatomy):
    for subject in subjects:
        for path in (small.folder / "bids" / subject).glob("ses-*/anat/*"):
            path.unlink()
    config = yaml.safe_load((small.folder / "config.yaml").read_text())
    small.configure({**config, "anatomy": anatomy})


def test_a_missing_t1w_is_refused_with_the_key_that_allows_it(small):
    without_t1w(small, "sub-02")
    done = small.snakemake(check=False)
    assert done.returncode != 0
    assert "sub-02" in done.stderr
    assert "anatomy.missing_t1w" in done.stderr
    assert "Traceback" not in done.stderr


def test_each_participant_gets_the_anatomy_that_it_has(small):
    without_t1w(small, "sub-02", missing_t1w="template")
    plan = small.snakemake("-n").stdout
    counts = jobs(plan)
    assert counts["prepare_anatomy"] == counts["normalise_anatomy"] == counts["segment_anatomy"] == 3
    assert counts["assume_anatomy"] == 1
    assert counts["align_perfusion"] == 4 * 2 * 3
    assumed = plan[plan.index("No T1w: using the template instead") :].split("\n\n")[0]
    assert "sub-02" in assumed


def test_nobody_needs_a_t1w(small):
    without_t1w(small, "sub-01", "sub-02", "sub-03", "sub-04", missing_t1w="template")
    counts = jobs(small.snakemake("-n", "--quiet", "rules").stdout)
    assert counts["assume_anatomy"] == 4
    assert not {"prepare_anatomy", "normalise_anatomy", "segment_anatomy"} & set(counts)


def changed(small, **settings):
    small.configure({**yaml.safe_load((small.folder / "config.yaml").read_text()), **settings})


def test_several_t1w_make_one_anatomy_or_one_a_session(small):
    for subject, session, run in (("02", "T2", ""), ("02", "T2", "run-2_"), ("03", "T2", "")):
        name = f"sub-{subject}_ses-{session}_{run}T1w.nii.gz"
        skeleton.image(small.folder / f"bids/sub-{subject}/ses-{session}/anat/{name}", (3, 3, 3))
    assert jobs(small.snakemake("-n", "--quiet", "rules").stdout)["prepare_anatomy"] == 4
    changed(small, anatomy={"per": "session"})
    plan = small.snakemake("-n").stdout
    counts = jobs(plan)
    assert counts["prepare_anatomy"] == counts["normalise_anatomy"] == counts["segment_anatomy"] == 6
    assert counts["quantify_perfusion"] == 4 * 2 * 3
    masked = re.findall(r"masking the brain: (\S+)", plan)
    owners = [("01", "T1"), ("02", "T1"), ("02", "T2"), ("03", "T1"), ("03", "T2"), ("04", "T1")]
    assert sorted(masked) == [f"sub-{sub}/ses-{ses}/anat/sub-{sub}_ses-{ses}" for sub, ses in owners]


def test_a_template_of_ones_own_gives_its_name_to_all_files(small):
    files = {kind: str(small.folder / f"own/{kind}.nii.gz") for kind in ("t1w", "mask", "gm", "wm")}
    for path in files.values():
        skeleton.image(path, (4, 4, 4))
    changed(small, template={"space": "Elderly", **files})
    plan = small.snakemake("-n", "--quiet", "host").stdout
    assert "MNI152" not in plan
    assert "results/template/tpl-Elderly_res-2_T1w.nii.gz" in plan
    assert "_from-T1w_to-Elderly_mode-image_xfm.nii.gz" in plan
    assert "_space-Elderly_desc-smooth_cbf.nii.gz" in plan
    assert "Preparing the template Elderly" in plan
    changed(small, template={"space": "Elderly", **files, "gm": "gone.nii.gz"})
    done = small.snakemake("-n", check=False)
    assert done.returncode != 0
    assert "template.gm" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_slurm_profile_is_read_as_snakemake_reads_profiles():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert profile["executor"] == "slurm"
    # A rule's own retries would be tried inside the too small allocation: they belong here.
    assert profile["retries"] >= 1
    assert profile["default-resources"]["mem_mb"] >= 400
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert "retries:" not in rules
    for entry in profile["groups"]:
        assert f"rule {entry.split('=')[0]}:" in rules


def test_snakemake_still_has_the_limiter_that_local_runs_switch_off():
    """The workflow sets an attribute of Snakemake's scheduler; a new version may call it otherwise."""
    source = inspect.getsource(JobScheduler)
    assert "self.job_rate_limiter = " in source
    assert "if self.job_rate_limiter is None" in source


def blocks():
    """Text of each rule of the workflow."""
    text = "\n".join(
        path.read_text() for path in (ROOT / "rules").glob("*.smk") if path.name not in ("simulate.smk", "power.smk")
    )
    return dict(re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL))


def test_every_rule_that_follows_from_the_arms_marks_a_blinded_run(small):
    config = few()
    config["craving"]["rois"].append("dlpfc_cluster")
    config["craving"]["mediation"] = {"mediators": [{"roi": "dlpfc_cluster", "contrast": "rest"}]}
    config["conjunctions"] = {"both": ["rest_interaction", "cue_interaction"]}
    config["sensitivity"] = {"answers": {"rest": {"analysis": "rest_interaction", "roi": "vmpfc"}}}
    config["primary"] = {"answers": ["rest_interaction", "craving", "craving.vmpfc"], "secondary": ["cue_interaction"]}
    small.configure(config)
    graph = small.snakemake("--rulegraph", "mermaid-js", "--", "all").stdout
    names = dict(re.findall(r'(id\d+)\["?(\w+)"?\]', graph))
    followers = {}
    for before, after in re.findall(r"(id\d+) --> (id\d+)", graph):
        followers.setdefault(names[before], set()).add(names[after])
    reached, pending = set(), ["study_tables", "participant_rows"]
    while pending:
        rule = pending.pop()
        if rule not in reached:
            reached.add(rule)
            pending += followers.get(rule, ())
    assert len(reached) > 15
    rules = blocks()
    assert {"specification", "trial_verdict"} <= reached
    makers = reached & {name for name, text in rules.items() if "output:" in text}
    assert {name for name in makers if "blinded=" not in rules[name]} == set()


def test_scans_alone_of_one_participant_need_no_analysis(small):
    """The configuration of a whole trial serves to look at one participant; its analyses are left out, and said to be."""
    one = ("-n", "--config", 'participants=["01"]', "--")
    assert jobs(small.snakemake(*one[:1], "--quiet", "rules", *one[1:], "cbf").stdout)["quantify_perfusion"] == 6
    page = small.snakemake(*one[:1], "--quiet", "rules", *one[1:], "all")
    assert {"scan_quality", "session_contrast", "report"} <= set(jobs(page.stdout))
    assert not {"group_statistics", "participant_rows"} & set(jobs(page.stdout))
    assert "A pilot of one participant: their scans" in page.stderr
    assert "without rest_interaction" in page.stderr


def test_a_map_that_is_a_term_is_read_in_regions_too(small):
    config = few()
    config["analyses"] = {"rest_gm": {"contrast": "rest", "model": "change ~ arm + gm", "test": "arm"}}
    config.pop("primary", None)
    config["rois"].pop("dlpfc_cluster", None)
    small.configure(config)
    plan = small.snakemake("-n", "results/group/rest_gm/contrast-restGm_regions.tsv", "--quiet", "host").stdout
    job = plan[plan.index("Testing in regions and parcels") :].split("Job ")[0]
    for part in ("label-GM_desc-smooth_probseg", "vmpfc_mask.nii.gz", "atlas-AAL3_dseg.tsv", "vmpfc_values.tsv"):
        assert part in job
