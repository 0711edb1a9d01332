"""Clinical endpoints: craving ratings around the cues, and any other measure.

Needs the dataset's tables and the regions' values. Gives scores, models, correlations with perfusion and, where
asked for, a mediation.
"""


rule craving_scores:
    input:
        table=raw(lambda wildcards: TARGETS.craving.table()),
        participants=PATHS.participants("craving"),
    output:
        table=PATHS.craving("craving_scores.tsv"),
    log:
        log_of("craving_scores", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(240) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        craving=TARGETS.craving.some_settings("before", "after", "range", "condition", "unknown", "covariates"),
        scores=lambda wildcards: plan.scores(READING.study),
        sessions=SESSIONS,
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("craving_scores"),
    message:
        "Reading the craving scores"
    script:
        "../scripts/craving_scores.py"


rule craving_model:
    input:
        scores=rules.craving_scores.output.table,
    output:
        table=REPORTED.craving(PATHS.craving("craving_model.tsv"), "Table of models"),
        influence=PATHS.craving("craving_influence.tsv"),
    log:
        log_of("craving_model", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(400) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        sessions=SESSIONS,
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("craving_model"),
    message:
        "Modelling cue-elicited craving"
    script:
        "../scripts/craving_model.py"


rule roi_craving:
    input:
        scores=rules.craving_scores.output.table,
        values=expand(PATHS.region_values("{roi}"), roi=TARGETS.craving.rois()),
        sidecars=expand(rules.roi_mask.output.sidecar, roi=TARGETS.craving.rois()),
        left_out=TARGETS.clusters.left_out_files("values.tsv"),
    output:
        table=REPORTED.craving(PATHS.craving("roi_craving.tsv"), "Table of correlations with regional CBF"),
    log:
        log_of("roi_craving", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(400) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        craving=TARGETS.craving.some_settings("covariates", "test", "family", "rois", "contrast", "seed", "resamples"),
        sessions=SESSIONS,
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("roi_craving"),
    message:
        "Relating the regions' perfusion to craving"
    script:
        "../scripts/roi_craving.py"


rule craving_mediation:
    input:
        scores=rules.craving_scores.output.table,
        values=TARGETS.craving.mediator_files(rules.roi_values.output.table),
        sidecars=TARGETS.craving.mediator_files(rules.roi_mask.output.sidecar),
    output:
        table=PATHS.craving("craving_mediation.tsv"),
    log:
        log_of("craving_mediation", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1200) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        craving=TARGETS.craving.some_settings("covariates", "seed", "resamples", "mediation"),
        sessions=SESSIONS,
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("craving_mediation"),
    message:
        "Testing whether regional CBF mediates the effect of treatment on craving"
    script:
        "../scripts/craving_mediation.py"


rule endpoint_scores:
    input:
        table=raw(per("endpoint", TARGETS.endpoints.table)),
        participants=PATHS.participants("endpoints/{endpoint}"),
    output:
        table=PATHS.endpoint("{endpoint}", "scores.tsv"),
    log:
        log_of("endpoint_scores", "{endpoint}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(240) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        endpoint=lambda wildcards: wildcards.endpoint,
        scoring=per("endpoint", TARGETS.endpoints.measure),
        scores=per("endpoint", TARGETS.endpoints.scores),
        sessions=per("endpoint", TARGETS.endpoints.sessions),
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("endpoint_scores"),
    message:
        "Reading the scores: {wildcards.endpoint}"
    script:
        "../scripts/endpoint_scores.py"


rule endpoint_model:
    input:
        scores=rules.endpoint_scores.output.table,
    output:
        table=REPORTED.endpoint(PATHS.endpoint("{endpoint}", "model.tsv"), "Table of the model"),
    log:
        log_of("endpoint_model", "{endpoint}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(400) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        question=per("endpoint", TARGETS.endpoints.question),
        sessions=per("endpoint", TARGETS.endpoints.sessions),
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("endpoint_model"),
    message:
        "Modelling the endpoint: {wildcards.endpoint}"
    script:
        "../scripts/endpoint_model.py"


rule endpoint_sensitivity:
    input:
        scores=rules.endpoint_scores.output.table,
    output:
        table=REPORTED.endpoint(PATHS.endpoint("{endpoint}", "sensitivity.tsv"), "Table under other assumptions"),
    log:
        log_of("endpoint_sensitivity", "{endpoint}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(400) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        question=per("endpoint", TARGETS.endpoints.question),
        sessions=per("endpoint", TARGETS.endpoints.sessions),
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("endpoint_sensitivity"),
    message:
        "Testing the endpoint under other assumptions: {wildcards.endpoint}"
    script:
        "../scripts/endpoint_sensitivity.py"


rule endpoint_relations:
    input:
        scores=rules.endpoint_scores.output.table,
        values=per("endpoint", TARGETS.endpoints.related_files, PATHS.region_values("{roi}")),
        sidecars=per("endpoint", TARGETS.endpoints.related_files, rules.roi_mask.output.sidecar),
    output:
        table=REPORTED.endpoint(
            PATHS.endpoint("{endpoint}", "relations.tsv"), "Table of correlations with regional CBF"
        ),
    log:
        log_of("endpoint_relations", "{endpoint}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(800) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        endpoint=lambda wildcards: wildcards.endpoint,
        relations=per("endpoint", TARGETS.endpoints.relations),
        unit=per("endpoint", TARGETS.endpoints.unit),
        sessions=per("endpoint", TARGETS.endpoints.sessions),
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("endpoint_relations"),
    message:
        "Relating the regions' perfusion to the endpoint: {wildcards.endpoint}"
    script:
        "../scripts/endpoint_relations.py"
