"""Quality: what each scan is worth.

Needs each run's CBF, repeats, motion, registration and coverage. Gives one row and one picture per scan, and a table and
figure of the study. Scans outside a measure's band are flagged; the configuration's rule says which scans are excluded.
"""


rule scan_quality:
    input:
        cbf=rules.quantify_perfusion.output.cbf,
        timeseries=rules.quantify_perfusion.output.timeseries,
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
        figure=scan("cbf", ".png", desc="qualitycontrol"),
    log:
        log_of("scan_quality", "{scan}"),
    benchmark:
        benchmark_of("scan_quality", "{scan}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        scan=per("scan", TARGETS.label),
        rules=plain(SETTINGS.quality.scan_rules),
        own_exclusion=per("scan", TARGETS.exclusion_reason),
        own_acceptance=per("scan", TARGETS.acceptance_reason),
        code=code("scan_quality"),
    message:
        "Judging the scan: {wildcards.scan}"
    script:
        "../scripts/scan_quality.py"


rule study_quality:
    input:
        tables=TARGETS.scan_files(rules.scan_quality.output.table),
    output:
        table=f"{OUTPUT}/quality/scans.tsv",
        exclusions=f"{OUTPUT}/quality/exclusions.tsv",
        figure=f"{OUTPUT}/quality/scans.png",
    log:
        log_of("study_quality", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        bands=plain(SETTINGS.quality)["bands"],
        code=code("study_quality"),
    message:
        "Gathering the quality of all scans"
    script:
        "../scripts/study_quality.py"
