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
        quality_exclusions=rules.study_quality.output.exclusions,
        designs=TARGETS.of_analyses(rules.group_statistics.output.design),
        inferences=TARGETS.of_analyses(rules.group_statistics.output.inference),
        craving_scores=TARGETS.if_craving([rules.craving_scores.output.table]),
        craving_model=TARGETS.if_craving([rules.craving_model.output.table]),
    output:
        table=f"{OUTPUT}/study/flow.tsv",
    log:
        log_of("participant_flow", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        arms=SETTINGS.get("arms"),
        sessions=SETTINGS.get("sessions"),
        contrasts=SETTINGS["contrasts"],
        analyses=SETTINGS["analyses"],
        blinded=SETTINGS["blinded"],
        code=code("participant_flow"),
    message:
        "Counting the participants at every stage"
    script:
        "../scripts/participant_flow.py"


rule flow_figure:
    input:
        flow=rules.participant_flow.output.table,
    output:
        figure=f"{OUTPUT}/study/flow.png",
    log:
        log_of("flow_figure", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("flow_figure"),
    message:
        "Drawing the flow of participants"
    script:
        "../scripts/flow_figure.py"


rule trial_verdict:
    input:
        inferences=TARGETS.of_declared(rules.group_statistics.output.inference),
        nulls=TARGETS.of_declared(rules.group_statistics.output.null),
        craving_model=TARGETS.if_declared("endpoint", [rules.craving_model.output.table]),
        roi_craving=TARGETS.if_declared("correlation", [rules.roi_craving.output.table]),
    output:
        table=f"{OUTPUT}/trial/verdict.tsv",
    log:
        log_of("trial_verdict", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        primary=SETTINGS.get("primary"),
        analyses=TARGETS.declared_analyses(),
        craving={key: SETTINGS.get("craving", {}).get(key) for key in ("test", "resamples")},
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("trial_verdict"),
    message:
        "Correcting the answers on which the trial rests"
    script:
        "../scripts/trial_verdict.py"


rule allocation_log:
    input:
        report=PAGE,
    output:
        log=update(ALLOCATION_LOG),
    log:
        log_of("allocation_log", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        state=lambda wildcards: allocation_log.state(SETTINGS, VERSIONS),
        code=code("allocation_log"),
    message:
        "Recording the code, the configuration and the blinded report that are frozen"
    script:
        "../scripts/allocation_log.py"
