"""Derivatives: what other programs made, in place of the workflow's own stages.

Needs the files that the configuration names (derivatives) and the template.
Gives, of CBF maps, what the contrasts read: the map on the template, smoothed and unsmoothed, what it covers, and its quality.
"""


rule import_cbf:
    input:
        cbf=raw(per("scan", TARGETS.scans.asl)),
        mask=raw(per("scan", TARGETS.imported.mask)),
        transforms=raw(per("scan", TARGETS.imported.transforms)),
        template_mask=rules.template.output.mask,
        template_gm=rules.template.output.gm,
    output:
        sidecar=rules.quantify_perfusion.output.sidecar,
        template_cbf=rules.quantify_perfusion.output.template_cbf,
        smooth=rules.quantify_perfusion.output.smooth,
        coverage=rules.quantify_perfusion.output.coverage,
        error=rules.quantify_perfusion.output.error,
    log:
        log_of("import_cbf", "{scan}"),
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.scans.imported()),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(4) * attempt,
    params:
        source=per("scan", TARGETS.imported.source),
        cbf=content_of(per("scan", TARGETS.scans.asl)),
        mask=content_of(per("scan", TARGETS.imported.mask)),
        transforms=content_of(per("scan", TARGETS.imported.transforms)),
        fwhm=SETTINGS.perfusion.smoothing_fwhm,
        code=code("import_cbf"),
    message:
        "Bringing another program's CBF map onto the template: {wildcards.scan}"
    script:
        "../scripts/import_cbf.py"


rule imported_quality:
    input:
        cbf=rules.import_cbf.output.template_cbf,
        coverage=rules.import_cbf.output.coverage,
        sidecar=rules.import_cbf.output.sidecar,
        mask=rules.template.output.mask,
        gm=rules.template.output.gm,
        wm=rules.template.output.wm,
        csf=rules.template.output.csf,
    output:
        table=rules.scan_quality.output.table,
        sidecar=rules.scan_quality.output.sidecar,
    log:
        log_of("imported_quality", "{scan}"),
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.scans.imported()),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(2) * attempt,
    params:
        scan=per("scan", TARGETS.scans.label),
        measures=per("scan", TARGETS.imported.measures),
        rules=plain(SETTINGS.quality.scan_rules),
        own_exclusion=per("scan", TARGETS.scans.exclusion_reason),
        own_rating=per("scan", TARGETS.scans.rating_reason),
        own_acceptance=per("scan", TARGETS.scans.acceptance_reason),
        code=code("imported_quality"),
    message:
        "Assessing another program's CBF map: {wildcards.scan}"
    script:
        "../scripts/imported_quality.py"


rule imported_page:
    input:
        quality=per("scan_name", TARGETS.pages.file, rules.imported_quality.output.table),
        sidecar=per("scan_name", TARGETS.pages.file, rules.import_cbf.output.sidecar),
        cbf=raw(per("scan_name", TARGETS.pages.of_page, TARGETS.scans.asl)),
        mask=raw(per("scan_name", TARGETS.pages.of_page, TARGETS.imported.mask)),
        transforms=raw(per("scan_name", TARGETS.pages.of_page, TARGETS.imported.transforms)),
        template_cbf=per("scan_name", TARGETS.pages.file, rules.import_cbf.output.template_cbf),
        coverage=per("scan_name", TARGETS.pages.file, rules.import_cbf.output.coverage),
        reference=rules.template.output.t1w,
        reference_mask=rules.template.output.mask,
        reference_gm=rules.template.output.gm,
        reference_wm=rules.template.output.wm,
        reference_csf=rules.template.output.csf,
    output:
        page=rules.scan_page.output.page,
    log:
        log_of("imported_page", "{scan_name}"),
    wildcard_constraints:
        scan_name=TARGETS.stems.name_pattern(TARGETS.scans.imported()),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(2) * attempt,
    params:
        cbf=content_of(per("scan_name", TARGETS.pages.of_page, TARGETS.scans.asl)),
        mask=content_of(per("scan_name", TARGETS.pages.of_page, TARGETS.imported.mask)),
        transforms=content_of(per("scan_name", TARGETS.pages.of_page, TARGETS.imported.transforms)),
        file=per("scan_name", TARGETS.pages.of_page, TARGETS.imported.place),
        measures=per("scan_name", TARGETS.pages.of_page, TARGETS.imported.measures),
        bands=plain(SETTINGS.quality)["bands"],
        labels=plain(SETTINGS.labels.of_scans()),
        code=code("imported_page"),
    message:
        "Writing the page of another program's CBF map: {wildcards.scan_name}"
    script:
        "../scripts/imported_page.py"
