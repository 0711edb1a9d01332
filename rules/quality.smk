"""Quality: whether each scan is usable.

Needs each run's CBF, repeats, motion, registration and coverage. Gives one row and one page per scan, a page
on which all are rated, and a table and figure of the study. Scans outside a measure's band are flagged; the configuration's rule says which scans are excluded.
"""


rule scan_quality:
    input:
        cbf=rules.quantify_perfusion.output.cbf,
        brain_mask=rules.quantify_perfusion.output.brain_mask,
        gm=rules.quantify_perfusion.output.gm,
        wm=rules.quantify_perfusion.output.wm,
        csf=rules.quantify_perfusion.output.csf,
        confounds=rules.align_perfusion.output.confounds,
        repeats=rules.quantify_perfusion.output.repeats,
        registration=rules.align_perfusion.output.registration,
        sidecar=rules.quantify_perfusion.output.sidecar,
        coverage=rules.quantify_perfusion.output.coverage,
        template_cbf=rules.quantify_perfusion.output.template_cbf,
        template_mask=rules.template.output.mask,
        template_gm=rules.template.output.gm,
    output:
        table=scan("cbf", ".tsv", desc="qualitycontrol"),
        sidecar=scan("cbf", ".json", desc="qualitycontrol"),
    log:
        log_of("scan_quality", "{scan}"),
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.scans.own()),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(350) * attempt,
        runtime=lambda wildcards, attempt: minutes(2) * attempt,
    params:
        scan=per("scan", TARGETS.scans.label),
        rules=plain(SETTINGS.quality.scan_rules),
        own_exclusion=per("scan", TARGETS.scans.exclusion_reason),
        own_rating=per("scan", TARGETS.scans.rating_reason),
        own_acceptance=per("scan", TARGETS.scans.acceptance_reason),
        code=code("scan_quality"),
    message:
        "Assessing the scan: {wildcards.scan}"
    script:
        "../scripts/scan_quality.py"


rule study_quality:
    input:
        tables=for_all(TARGETS.scans.files, rules.scan_quality.output.table),
    output:
        table=REPORTED.quality(f"{OUTPUT}/quality/scans.tsv", "Table of all scans"),
        exclusions=REPORTED.quality(f"{OUTPUT}/quality/exclusions.tsv", "Table of excluded scans"),
        figure=REPORTED.quality(f"{OUTPUT}/quality/scans.svg", "Measures of all scans"),
    log:
        log_of("study_quality", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(300) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        bands=plain(SETTINGS.quality)["bands"],
        labels=plain(SETTINGS.labels.of_scans()),
        code=code("study_quality"),
    message:
        "Collecting the quality of all scans"
    script:
        "../scripts/study_quality.py"


rule scan_page:
    input:
        quality=per("scan_name", TARGETS.pages.file, rules.scan_quality.output.table),
        sidecar=per("scan_name", TARGETS.pages.file, rules.quantify_perfusion.output.sidecar),
        asl=raw(per("scan_name", TARGETS.pages.of_page, TARGETS.scans.asl)),
        later_echoes=raw(per("scan_name", TARGETS.pages.of_page, TARGETS.scans.later_echoes)),
        motion=per("scan_name", TARGETS.pages.file, rules.align_perfusion.output.motion),
        m0=raw(per("scan_name", TARGETS.pages.of_page, TARGETS.scans.m0)),
        m0_motion=per("scan_name", TARGETS.pages.file, rules.align_perfusion.output.m0_motion),
        field=per("scan_name", TARGETS.pages.of_page, partial(TARGETS.field_maps.files, rules.scan_field.output.field)),
        field_sidecar=per(
            "scan_name", TARGETS.pages.of_page, partial(TARGETS.field_maps.files, rules.scan_field.output.sidecar)
        ),
        cbf=per("scan_name", TARGETS.pages.file, rules.quantify_perfusion.output.cbf),
        brain_mask=per("scan_name", TARGETS.pages.file, rules.quantify_perfusion.output.brain_mask),
        gm=per("scan_name", TARGETS.pages.file, rules.quantify_perfusion.output.gm),
        wm=per("scan_name", TARGETS.pages.file, rules.quantify_perfusion.output.wm),
        csf=per("scan_name", TARGETS.pages.file, rules.quantify_perfusion.output.csf),
        att=per("scan_name", TARGETS.pages.transit_files, [rules.fit_perfusion.output.att]),
        transit_time=per(
            "scan_name",
            TARGETS.pages.of_page,
            partial(TARGETS.tissue.file, dict(rules.known_tissue.output.items()), "transit_time"),
        ),
        t1=per(
            "scan_name",
            TARGETS.pages.of_page,
            partial(TARGETS.tissue.file, dict(rules.known_tissue.output.items()), "t1"),
        ),
        blocks=per(
            "scan_name",
            TARGETS.pages.block_files,
            [rules.block_responses.output.design, rules.block_responses.output.sidecar],
        ),
        repeats=per("scan_name", TARGETS.pages.file, rules.quantify_perfusion.output.repeats),
        confounds=per("scan_name", TARGETS.pages.file, rules.align_perfusion.output.confounds),
        aslref=per("scan_name", TARGETS.pages.file, rules.align_perfusion.output.aslref),
        registration=per("scan_name", TARGETS.pages.file, rules.align_perfusion.output.registration),
        coregistration=per("scan_name", TARGETS.pages.file, rules.align_perfusion.output.coregistration),
        t1w=per("scan_name", TARGETS.pages.file, rules.prepare_anatomy.output.preproc),
        t1w_mask=per("scan_name", TARGETS.pages.file, rules.prepare_anatomy.output.mask),
        template_t1w=per("scan_name", TARGETS.pages.file, rules.segment_anatomy.output.template_t1w),
        template_cbf=per("scan_name", TARGETS.pages.file, rules.quantify_perfusion.output.template_cbf),
        reference=rules.template.output.t1w,
        reference_mask=rules.template.output.mask,
        reference_gm=rules.template.output.gm,
    output:
        page=PATHS.scan_page("{scan_name}"),
    log:
        log_of("scan_page", "{scan_name}"),
    wildcard_constraints:
        scan_name=TARGETS.stems.name_pattern(TARGETS.scans.own()),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(2) * attempt,
    params:
        acquisition=per("scan_name", TARGETS.pages.of_page, TARGETS.scans.acquisition),
        asl=content_of(per("scan_name", TARGETS.pages.of_page, TARGETS.scans.series)),
        m0=content_of(per("scan_name", TARGETS.pages.of_page, TARGETS.scans.m0)),
        distorted=per("scan_name", TARGETS.pages.of_page, TARGETS.field_maps.distortion),
        interpolation=SETTINGS.perfusion.interpolation,
        assumed=per("scan_name", TARGETS.pages.of_page, TARGETS.anatomies.is_assumed),
        bands=plain(SETTINGS.quality)["bands"],
        labels=plain(SETTINGS.labels.of_scans()),
        code=code("scan_page"),
    message:
        "Writing the page of the scan: {wildcards.scan_name}"
    script:
        "../scripts/scan_page.py"


rule review_page:
    input:
        quality=rules.study_quality.output.table,
    output:
        page=PATHS.review_page,
    log:
        log_of("review_page", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(240) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        labels=plain(SETTINGS.labels.of_scans()),
        code=code("review_page"),
    message:
        "Writing the page on which the scans are rated"
    script:
        "../scripts/review_page.py"
