"""Study: what the dataset holds.

Needs the raw dataset's listing, sheets and sidecars (read and checked before the first rule runs).
Gives the study's tables in the results' folder.
"""


rule study_tables:
    input:
        # Scans alone (cbf, quality, contrasts) need neither arms nor ratings; all that does needs these tables.
        trial=checked_trial,
    output:
        description=f"{OUTPUT}/dataset_description.json",
        readme=f"{OUTPUT}/README.md",
        scans=f"{OUTPUT}/study/scans.tsv",
        participants=f"{OUTPUT}/study/participants.tsv",
        randomised=f"{OUTPUT}/study/randomised.tsv",
        exclusions=f"{OUTPUT}/study/exclusions.tsv",
    log:
        log_of("study_tables", "study"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(250) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        content=lambda wildcards: TARGETS.sheets(),
        blinded=SETTINGS.blinded,
        code=code("study_tables"),
    message:
        "Writing the study's tables"
    script:
        "../scripts/study_tables.py"


rule participant_rows:
    input:
        trial=checked_trial,
    output:
        # For each model a table of its own: what another looks at is no reason to fit this one anew.
        table=PATHS.participants("{model}"),
    log:
        log_of("participant_rows", "{model}"),
    wildcard_constraints:
        model=patterns.any_of(TARGETS.models),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(240) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        rows=lambda wildcards: TARGETS.models[wildcards.model],
        blinded=SETTINGS.blinded,
        code=code("participant_rows"),
    message:
        "Writing the participants of a model and its columns: {wildcards.model}"
    script:
        "../scripts/participant_rows.py"
