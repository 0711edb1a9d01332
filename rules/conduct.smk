"""Conduct of the trial: the flow of its participants, what its declared answers say together, and the allocation log.

Needs the study's tables, the inference of the analyses and the craving models. The allocation log records the code, the
configuration and the blinded report before the arms are known.
"""


rule participant_flow:
    input:
        randomised=rules.study_tables.output.randomised,
        participants=rules.study_tables.output.participants,
        scans=rules.study_tables.output.scans,
        exclusions=rules.study_tables.output.exclusions,
        quality_exclusions=[] if IMPORTED else [rules.study_quality.output.exclusions],
        designs=TARGETS.analyses.files(rules.group_statistics.output.design),
        inferences=TARGETS.analyses.files(rules.group_statistics.output.inference),
        craving_scores=[rules.craving_scores.output.table] if SETTINGS.craving else [],
        craving_model=[rules.craving_model.output.table] if SETTINGS.craving else [],
    output:
        table=f"{OUTPUT}/study/flow.tsv",
    log:
        log_of("participant_flow", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(300) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        arms=ARMS,
        sessions=SESSIONS,
        contrasts=plain(SETTINGS)["contrasts"],
        analyses=plain(SETTINGS)["analyses"],
        blinded=SETTINGS.blinded,
        code=code("participant_flow"),
    message:
        "Counting the participants at every stage"
    script:
        "../scripts/participant_flow.py"


rule flow_figure:
    input:
        flow=rules.participant_flow.output.table,
    output:
        figure=REPORTED.flow(f"{OUTPUT}/study/flow.svg"),
    log:
        log_of("flow_figure", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(250) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        arms=ARMS,
        labels=plain(SETTINGS.labels),
        blinded=SETTINGS.blinded,
        code=code("flow_figure"),
    message:
        "Drawing the flow of participants"
    script:
        "../scripts/flow_figure.py"


rule trial_verdict:
    input:
        inferences=TARGETS.answers.files(rules.group_statistics.output.inference),
        nulls=TARGETS.answers.files(rules.group_statistics.output.null),
        endpoint_models=TARGETS.answers.endpoint_files(),
        endpoint_relations=[PATHS.endpoint(name, "relations.tsv") for name in TARGETS.answers.relations()],
        craving_model=[rules.craving_model.output.table] if TARGETS.answers.has_craving() else [],
        roi_craving=[rules.roi_craving.output.table] if TARGETS.answers.has_correlation() else [],
    output:
        table=REPORTED.plain(f"{OUTPUT}/trial/verdict.tsv", report_entries.ANSWERS, "verdict", "Verdict of the trial"),
    log:
        log_of("trial_verdict", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(300) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        primary=SETTINGS.primary and plain(SETTINGS.primary),
        analyses=TARGETS.answers.analyses(),
        endpoints=TARGETS.answers.endpoints(),
        relations=TARGETS.answers.relations(),
        craving=TARGETS.craving.some_settings("test", "resamples"),
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("trial_verdict"),
    message:
        "Correcting the primary answers for multiplicity"
    script:
        "../scripts/trial_verdict.py"


rule allocation_log:
    input:
        report=PATHS.page,
    output:
        log=update(PATHS.allocation_log),
    log:
        log_of("allocation_log", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        state=lambda wildcards: allocation_log.state(STUDY.declared, VERSIONS),
        code=code("allocation_log"),
    message:
        "Recording the code, the configuration and the blinded report that are frozen"
    script:
        "../scripts/allocation_log.py"
