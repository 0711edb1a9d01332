"""Export: what is made for other programs and other people.

Needs the tables of the stages. Gives one table of the study for statistics programs, long and wide, and its codebook; and the
CBF of every parcel of the atlas in every scan.
"""


rule all_scan_parcels:
    input:
        visits=for_all(TARGETS.visits.parcels, rules.scan_parcels.output.table),
    output:
        table=PATHS.tidy("parcels_by_scan"),
    log:
        log_of("all_scan_parcels", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(150) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        code=code("all_scan_parcels"),
    message:
        "Gathering the parcels of all scans"
    script:
        "../scripts/all_scan_parcels.py"


rule tidy_table:
    input:
        participants=rules.study_tables.output.participants,
        randomised=rules.study_tables.output.randomised,
        flow=[rules.participant_flow.output.table] if SETTINGS.arms else [],
        quality=[] if IMPORTED else [rules.study_quality.output.table],
        global_values=[] if IMPORTED else [rules.global_values.output.contrasts],
        parcels=rules.parcel_values.output.table,
        regions=[PATHS.region_values(roi) for roi in SETTINGS.rois],
        designs=TARGETS.analyses.files(rules.group_statistics.output.design),
        inferences=TARGETS.analyses.files(rules.group_statistics.output.inference),
        craving_scores=[rules.craving_scores.output.table] if SETTINGS.craving else [],
        endpoint_scores=TARGETS.endpoints.files("scores.tsv"),
    output:
        long=PATHS.tidy("study_long"),
        wide=PATHS.tidy("study_wide"),
        codebook=PATHS.tidy("codebook"),
        long_csv=PATHS.tidy("study_long", "csv"),
        wide_csv=PATHS.tidy("study_wide", "csv"),
        codebook_csv=PATHS.tidy("codebook", "csv"),
        long_syntax=PATHS.tidy("study_long", "sps"),
        wide_syntax=PATHS.tidy("study_wide", "sps"),
    log:
        log_of("tidy_table", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(300) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        sessions=SESSIONS,
        arms=ARMS,
        # In this order: the columns', and that of the files.
        conditions=list(SETTINGS.conditions),
        analyses=list(SETTINGS.analyses),
        regions=list(SETTINGS.rois),
        endpoints=list(SETTINGS.endpoints),
        measure=SETTINGS.quantity.measure,
        labels=plain(SETTINGS.labels),
        blinded=SETTINGS.blinded,
        code=code("tidy_table"),
    message:
        "Writing the study's table for statistics programs"
    script:
        "../scripts/tidy_table.py"
