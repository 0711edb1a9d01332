"""Simulation: a small trial with known truth, as a plain BIDS dataset. No other rule knows that it is simulated.

An entry of its own, since the dataset must exist before the workflow can read it:

    snakemake -s rules/simulate.smk --configfile config/demo.yaml -- trial
    snakemake --configfile config/demo.yaml
    snakemake -s rules/simulate.smk --configfile config/demo.yaml -- comparison

Needs the configuration's section simulate. Gives the dataset at bids_dir, what was planted at simulate.truth_dir, and,
once the workflow has run, a table of planted beside found.
"""

import os
import sys
from functools import partial
from itertools import product
from pathlib import Path

from snakemake.exceptions import WorkflowError


include: "package.smk"


try:
    from pharmasl.errors import InputError, InputErrors
    from pharmasl.files import bids
    from pharmasl.records import provenance
    from pharmasl.simulate import planned_trial, susceptibility
    from pharmasl.simulate.alternating_cues import run_entities, state_stems
    from pharmasl.simulate.planted_regions import REGIONS
    from pharmasl.simulate.susceptibility import Susceptibility
    from pharmasl.simulate.trial_draws import CONDITIONS
    from pharmasl.study import configuration
    from pharmasl.study.settings import build, plain, read
    from pharmasl.workflow import closing, failures
    from pharmasl.workflow.output_levels import OutputLevels
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"Planning needs the package {error.name} beside Snakemake: install it there, or use ./run."
    ) from None

# Without the section there is no truth_dir, and nothing is simulated: a real study's dataset is never written into.
try:
    SIMULATE = planned_trial.complete(config.get("simulate", {}))
    SETTINGS = read(configuration.resolve(config))
    planned_trial.only_simulated(SETTINGS.bids_dir)
except (InputError, InputErrors) as error:
    raise WorkflowError(str(error)) from None

BIDS = Path(SETTINGS.bids_dir).as_posix()
OUTPUT = Path(SETTINGS.output_dir).as_posix()
TRUTH = Path(SIMULATE["truth_dir"]).as_posix()
SPACE = SETTINGS.template.space
SESSIONS = [SETTINGS.sessions.baseline, SETTINGS.sessions.followup]
# Who has which runs; a rule for each set of runs, since a rule's outputs are the same for all whom it makes.
GROUPS = planned_trial.groups(SIMULATE, SETTINGS.arms, SETTINGS.sessions)
SUBJECTS = sorted(subject for group in GROUPS for subject in group.subjects)
COMPARE = SIMULATE["compare"]

code = provenance.digest

# Stems below the dataset, the truth and the results, of the participant that {subject} stands for.
HEAD = "sub-{subject}/anat/sub-{subject}"
T1W = bids.stem({"sub": "{subject}", "ses": SESSIONS[0]}, "anat")
RUNS = [
    bids.stem({"sub": "{subject}", "ses": session, **run_entities(SIMULATE["blocks"], condition)}, "perf")
    for session, condition in product(SESSIONS, CONDITIONS)
]
# The images of each session's field map.
PLANTED = build(Susceptibility, SIMULATE["distortion"])
FIELD_MAPS = {
    session: [
        f"{BIDS}/{bids.stem({'sub': '{subject}', 'ses': session}, 'fmap')}_{name}"
        for name in susceptibility.field_names(PLANTED)
    ]
    for session in SESSIONS
}
CORRECTED = bool(susceptibility.field_names(PLANTED)) and SETTINGS.perfusion.distortion != "off"
# Time-encoded runs have transit times that can be compared.
TIMED = bool(SIMULATE["perfusion"]["encoding"]) and SIMULATE["transit"]["simulated"]
# By run, its conditions and the stems of their maps.
STATES = [
    state_stems(SIMULATE["blocks"], condition, run)
    for run, condition in zip(RUNS, [condition for _, condition in product(SESSIONS, CONDITIONS)])
]
truth_head = partial(bids.derivative, TRUTH, HEAD)
result_of = partial(bids.derivative, OUTPUT)

REST = f"group/{COMPARE['rest']}/contrast-{bids.entity_label(COMPARE['rest'])}"

# The cue response at baseline is compared where the study asks for it.
HAS_CUE = COMPARE["cue"] in SETTINGS.analyses
QUESTIONS = ["rest", "association"] + ["cue"] * HAS_CUE
# The maps and the table of the analyses that answer the planted questions.
ANSWERS = {
    question: dict(
        effect=result_of(stem, "statmap", stat="effect"),
        t=result_of(stem, "statmap", stat="t"),
        verdict=result_of(stem, "statmap", desc="verdict", stat="logp"),
        clusters=result_of(stem, "dseg", desc="clusters"),
        table=result_of(stem, "clusters", ".tsv"),
        inference=result_of(stem, "inference", ".json"),
        design=result_of(stem, "design", ".tsv"),
    )
    for question, stem in (
        (question, f"group/{COMPARE[question]}/contrast-{bids.entity_label(COMPARE[question])}")
        for question in QUESTIONS
    )
}

# The study may have fewer people and scans than were simulated.
COMPARED = planned_trial.analysed(
    GROUPS, lambda subject, run: result_of(RUNS[run], "cbf", space=SPACE).format(subject=subject)
)
STUDIED = list(dict.fromkeys(subject for subject, _ in COMPARED))
studied = partial(expand, subject=STUDIED)
# At the level that removes a person's deformation there is none to compare.
FIELD = bids.derivative("", HEAD, "xfm", from_="T1w", to=SPACE, mode="image").lstrip("/")
COMPARED_FIELDS = [] if OutputLevels(SETTINGS, OUTPUT).is_removed(FIELD) else studied(f"{OUTPUT}/{FIELD}")

COMPARISON = (Path(TRUTH).parent / "comparison").as_posix()
# With the logger of ./run, which says at the end how it went.
OWN_LOGGERS = [each for each in workflow.logger_manager.get_log_handlers() if hasattr(each, "closes_with")]
for each in OWN_LOGGERS:
    demo_files = closing.Demo(f"{TRUTH}/logs", f"{COMPARISON}.tsv", f"{COMPARISON}.txt", SETTINGS.arms)
    each.closes_with(partial(closing.closing_demo, OUTPUT, f"{OUTPUT}/report/index.html", demo_files))


wildcard_constraints:
    subject=r"\d+",


onstart:
    failures.forget(f"{TRUTH}/logs")
    if OWN_LOGGERS and workflow.local_exec:
        os.environ[failures.REPORTED] = "1"


rule trial:
    input:
        expand(f"{BIDS}/{T1W}_T1w.nii.gz", subject=SUBJECTS),
        [
            f"{BIDS}/{RUNS[run]}_asl.nii.gz".format(subject=subject)
            for group in GROUPS
            for subject, run in product(group.subjects, group.runs)
        ],
        f"{BIDS}/participants.tsv",
        f"{BIDS}/phenotype/craving.tsv",
        f"{BIDS}/phenotype/smoking.tsv",
    message:
        "The simulated trial is complete"


rule simulate_trial:
    output:
        **{name: f"{TRUTH}/regions/{name}_weight.nii.gz" for name in REGIONS},
        description=f"{BIDS}/dataset_description.json",
        readme=f"{BIDS}/README",
        ignore=f"{BIDS}/.bidsignore",
        participants=f"{BIDS}/participants.tsv",
        participants_sidecar=f"{BIDS}/participants.json",
        craving=f"{BIDS}/phenotype/craving.tsv",
        craving_sidecar=f"{BIDS}/phenotype/craving.json",
        smoking=f"{BIDS}/phenotype/smoking.tsv",
        smoking_sidecar=f"{BIDS}/phenotype/smoking.json",
        plan=f"{TRUTH}/participants.tsv",
        scans=f"{TRUTH}/scans.tsv",
        effects=f"{TRUTH}/effects.tsv",
        planted=[f"{TRUTH}/regions/{name}_weight.nii.gz" for name in SIMULATE["planted"]],
    log:
        f"{TRUTH}/logs/simulate_trial.log",
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        settings={name: SIMULATE[name] for name in planned_trial.TRIAL},
        atlas=plain(SETTINGS.atlas),
        arms=plain(SETTINGS.arms),
        sessions=plain(SETTINGS.sessions),
        code=code("simulate_trial"),
    message:
        "Drawing the trial"
    script:
        "../scripts/simulate_trial.py"


for GROUP in GROUPS:
    OWN = [RUNS[run] for run in GROUP.runs]
    VISITED = [session for session in SESSIONS if any(f"/ses-{session}/" in run for run in OWN)]

    rule simulate_participant:
        name:
            GROUP.rule
        input:
            plan=rules.simulate_trial.output.plan,
            scans=rules.simulate_trial.output.scans,
        output:
            t1w=f"{BIDS}/{T1W}_T1w.nii.gz",
            t1w_sidecar=f"{BIDS}/{T1W}_T1w.json",
            asl=[f"{BIDS}/{run}_asl.nii.gz" for run in OWN],
            asl_sidecar=[f"{BIDS}/{run}_asl.json" for run in OWN],
            aslcontext=[f"{BIDS}/{run}_aslcontext.tsv" for run in OWN],
            events=[f"{BIDS}/{run}_events.tsv" for run in OWN if "_acq-cues_" in run],
            mask=truth_head("mask", desc="brain"),
            gm=truth_head("probseg", label="GM"),
            wm=truth_head("probseg", label="WM"),
            field=truth_head("xfm", from_="T1w", to=SPACE, mode="image"),
            motion=[bids.derivative(TRUTH, run, "xfm", ".txt", from_="orig", to="aslref", mode="image") for run in OWN],
            coregistration=[
                bids.derivative(TRUTH, run, "xfm", ".txt", from_="aslref", to="T1w", mode="image") for run in OWN
            ],
            cbf=[bids.derivative(TRUTH, run, "cbf", space=SPACE) for run in OWN],
            field_map=[f"{path}.nii.gz" for session in VISITED for path in FIELD_MAPS[session]],
            field_map_sidecar=[f"{path}.json" for session in VISITED for path in FIELD_MAPS[session]],
            hertz=[truth_head("fieldmap")] if PLANTED.planted else [],
            states=[
                bids.derivative(TRUTH, stem, "cbf", space=SPACE)
                for run in GROUP.runs
                if len(STATES[run]) > 1
                for _, stem in STATES[run]
            ],
            att=[bids.derivative(TRUTH, run, "att", space=SPACE) for run in OWN if TIMED],
        log:
            f"{TRUTH}/logs/simulate_participant/sub-{{subject}}.log",
        wildcard_constraints:
            subject="|".join(GROUP.subjects),
        conda:
            "../envs/imaging.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 2500 * attempt,
            runtime=lambda wildcards, attempt: 15 * attempt,
        params:
            subject="{subject}",
            settings={name: SIMULATE[name] for name in planned_trial.PARTICIPANT},
            atlas=plain(SETTINGS.atlas),
            code=code("simulate_participant"),
        message:
            "Simulating participant {wildcards.subject}"
        script:
            "../scripts/simulate_participant.py"


rule comparison:
    input:
        table=f"{COMPARISON}.tsv",
        text=f"{COMPARISON}.txt",
    message:
        "Compared: planted and found"


rule compare_truth:
    input:
        **{f"{question}_{name}": path for question, paths in ANSWERS.items() for name, path in paths.items()},
        plan=rules.simulate_trial.output.plan,
        scans=rules.simulate_trial.output.scans,
        effects=rules.simulate_trial.output.effects,
        truth_mask=studied(truth_head("mask", desc="brain")),
        truth_field=studied(truth_head("xfm", from_="T1w", to=SPACE, mode="image")),
        truth_motion=[
            bids.derivative(TRUTH, RUNS[run], "xfm", ".txt", from_="orig", to="aslref", mode="image").format(subject=s)
            for s, run in COMPARED
        ],
        truth_coregistration=[
            bids.derivative(TRUTH, RUNS[run], "xfm", ".txt", from_="aslref", to="T1w", mode="image").format(subject=s)
            for s, run in COMPARED
        ],
        truth_cbf=[bids.derivative(TRUTH, RUNS[run], "cbf", space=SPACE).format(subject=s) for s, run in COMPARED],
        conditions=[
            bids.derivative(TRUTH, stem, "cbf", space=SPACE).format(subject=s)
            for s, run in COMPARED
            for _, stem in STATES[run]
        ],
        mask=studied(result_of(HEAD, "mask", desc="brain")),
        field=COMPARED_FIELDS,
        motion=[
            result_of(RUNS[run], "xfm", ".txt", from_="orig", to="aslref", mode="image").format(subject=s)
            for s, run in COMPARED
        ],
        coregistration=[
            result_of(RUNS[run], "xfm", ".txt", from_="aslref", to="T1w", mode="image").format(subject=s)
            for s, run in COMPARED
        ],
        cbf=[result_of(RUNS[run], "cbf", space=SPACE).format(subject=s) for s, run in COMPARED],
        truth_att=[
            bids.derivative(TRUTH, RUNS[run], "att", space=SPACE).format(subject=s) for s, run in COMPARED if TIMED
        ],
        att=[result_of(RUNS[run], "att", space=SPACE).format(subject=s) for s, run in COMPARED if TIMED],
        truth_hertz=[truth_head("fieldmap").format(subject=s) for s in STUDIED] if PLANTED.planted else [],
        hertz=[result_of(RUNS[run], "fieldmap").format(subject=s) for s, run in COMPARED] if CORRECTED else [],
        regions=result_of(REST, "regions", ".tsv"),
        cue_regions=(
            [result_of(f"group/{COMPARE['cue']}/contrast-{bids.entity_label(COMPARE['cue'])}", "regions", ".tsv")]
            if HAS_CUE
            else []
        ),
        masks=[f"{OUTPUT}/rois/{roi}_mask.nii.gz" for roi in SETTINGS.rois],
        gm=result_of(f"template/tpl-{SPACE}", "probseg", res="1", label="GM"),
        model=f"{OUTPUT}/craving/craving_model.tsv",
        correlations=f"{OUTPUT}/craving/roi_craving.tsv",
        cigarettes=(
            [f"{OUTPUT}/endpoints/{COMPARE['cigarettes']}_model.tsv"]
            if COMPARE["cigarettes"] in SETTINGS.endpoints
            else []
        ),
    output:
        table=f"{COMPARISON}.tsv",
        sidecar=f"{COMPARISON}.json",
        text=f"{COMPARISON}.txt",
    log:
        f"{TRUTH}/logs/compare_truth.log",
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2500 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        arms=plain(SETTINGS.arms),
        sessions=plain(SETTINGS.sessions),
        compare=COMPARE,
        states=[[s, run, condition] for s, run in COMPARED for condition, _ in STATES[run]],
        rois=list(SETTINGS.rois),
        smoothing_fwhm=SETTINGS.perfusion.smoothing_fwhm,
        alpha=SETTINGS.inference.alpha,
        millimetres=susceptibility.millimetres(PLANTED, SIMULATE["perfusion"]["voxel_size"]),
        code=code("compare_truth"),
    message:
        "Comparing what was found with what was planted"
    script:
        "../scripts/compare_truth.py"
