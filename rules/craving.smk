"""Craving: the trial's clinical answers.

Needs the dataset's craving table and the regions' values. Gives scores, models and correlations with perfusion.
"""


rule craving_scores:
    input:
        table=TARGETS.craving_table,
        participants=rules.study_tables.output.participants,
    output:
        table=f"{OUTPUT}/craving/craving_scores.tsv",
    log:
        log_of("craving_scores", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        craving=SETTINGS.get("craving"),
        sessions=SETTINGS.get("sessions"),
        arms=SETTINGS.get("arms"),
        code=code("craving_scores"),
    message:
        "Reading the craving scores"
    script:
        "../scripts/craving_scores.py"


rule craving_model:
    input:
        scores=rules.craving_scores.output.table,
    output:
        table=f"{OUTPUT}/craving/craving_model.tsv",
    log:
        log_of("craving_model", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        craving=SETTINGS.get("craving"),
        sessions=SETTINGS.get("sessions"),
        arms=SETTINGS.get("arms"),
        code=code("craving_model"),
    message:
        "Modelling cue-elicited craving"
    script:
        "../scripts/craving_model.py"


rule roi_craving:
    input:
        scores=rules.craving_scores.output.table,
        values=TARGETS.craving_values,
        sidecars=TARGETS.craving_masks,
    output:
        table=f"{OUTPUT}/craving/roi_craving.tsv",
    log:
        log_of("roi_craving", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        craving=SETTINGS.get("craving"),
        sessions=SETTINGS.get("sessions"),
        arms=SETTINGS.get("arms"),
        code=code("roi_craving"),
    message:
        "Relating the regions' perfusion to craving"
    script:
        "../scripts/roi_craving.py"
