"""Report: one self-contained page that answers the study's questions in order.

Needs everything that the configuration asks for. Gives figures and results/report/index.html.
"""


report: "captions/workflow.rst"


rule group_figure:
    input:
        reference=rules.template.output.t1w,
        called=rules.group_statistics.output.called,
        t=per("analysis", TARGETS.analyses.statistic_map),
        verdict=rules.group_statistics.output.verdict,
        clusters=rules.group_statistics.output.clusters,
        table=rules.cluster_table.output.table,
        design=rules.group_statistics.output.design,
        inference=rules.group_statistics.output.inference,
        cluster_values=rules.cluster_values.output.table,
        regions=rules.region_models.output.regions,
        region_values=patterns.filled(rules.roi_values.output.table, "roi", SETTINGS.rois),
    output:
        figure=REPORTED.analysis(group("figure", ".html"), "Map in slices"),
        design=REPORTED.analysis(group("design", ".svg"), "Design"),
        changes=REPORTED.analysis(group("figure", ".html", desc="changes"), "Values and changes by participant"),
        viewer=group("figure", ".html", desc="viewer"),
        called=group("figure", ".html", desc="called"),
    log:
        log_of("group_figure", "{analysis}_contrast-{label}"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(350) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        analysis=lambda wildcards: wildcards.analysis,
        labels=plain(SETTINGS.labels),
        blinded=SETTINGS.blinded,
        code=code("group_figure"),
    message:
        "Drawing the analysis: {wildcards.analysis}"
    script:
        "../scripts/group_figure.py"


rule region_figure:
    input:
        regions=rules.region_models.output.regions,
        parcels=rules.region_models.output.parcels,
        inference=rules.group_statistics.output.inference,
    output:
        figure=REPORTED.analysis(group("figure", ".svg", desc="regions"), "Effects in regions and parcels"),
    log:
        log_of("region_figure", "{analysis}_contrast-{label}"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(250) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        analysis=lambda wildcards: wildcards.analysis,
        labels=plain(SETTINGS.labels),
        blinded=SETTINGS.blinded,
        code=code("region_figure"),
    message:
        "Drawing the regions: {wildcards.analysis}"
    script:
        "../scripts/region_figure.py"


rule repeatability_figure:
    input:
        reference=rules.template.output.t1w,
        within_sd=rules.repeatability_maps.output.within_sd,
        icc=rules.repeatability_maps.output.icc,
        table=rules.repeatability_maps.output.table,
    output:
        figure=PATHS.repeatability("{contrast}", "figure", ".html"),
    log:
        log_of("repeatability_figure", "{contrast}"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(350) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        blinded=SETTINGS.blinded,
        code=code("repeatability_figure"),
    message:
        "Drawing the repeatability of contrast {wildcards.contrast}"
    script:
        "../scripts/repeatability_figure.py"


rule craving_figure:
    input:
        scores=rules.craving_scores.output.table,
        influence=rules.craving_model.output.influence,
        roi_craving=[rules.roi_craving.output.table] if TARGETS.craving.rois() else [],
        values=expand(PATHS.region_values("{roi}"), roi=TARGETS.craving.rois()),
    output:
        craving=REPORTED.craving(PATHS.craving("craving.svg"), "Craving by arm and session"),
        diagnostics=REPORTED.craving(PATHS.craving("craving_diagnostics.svg"), "Diagnostics of the models"),
        roi=(
            [REPORTED.craving(PATHS.craving("roi_craving.svg"), "Craving and regional CBF")]
            if TARGETS.craving.rois()
            else []
        ),
    log:
        log_of("craving_figure", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(290) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        craving=TARGETS.craving.some_settings("test", "rois", "contrast"),
        sessions=SESSIONS,
        arms=ARMS,
        labels=plain(SETTINGS.labels),
        blinded=SETTINGS.blinded,
        code=code("craving_figure"),
    message:
        "Drawing craving and its relation to perfusion"
    script:
        "../scripts/craving_figure.py"


rule endpoint_figure:
    input:
        scores=rules.endpoint_scores.output.table,
        model=rules.endpoint_model.output.table,
        sensitivity=rules.endpoint_sensitivity.output.table,
    output:
        figure=REPORTED.endpoint(PATHS.endpoint("{endpoint}", "figure.svg"), "Scores by arm and session"),
    log:
        log_of("endpoint_figure", "{endpoint}"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(250) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        label=per("endpoint", TARGETS.endpoints.label),
        arms=ARMS,
        labels=plain(SETTINGS.labels),
        blinded=SETTINGS.blinded,
        code=code("endpoint_figure"),
    message:
        "Drawing the endpoint: {wildcards.endpoint}"
    script:
        "../scripts/endpoint_figure.py"


rule report:
    input:
        scans=rules.study_tables.output.scans,
        participants=rules.study_tables.output.participants,
        exclusions=rules.study_tables.output.exclusions,
        participant_flow=[rules.participant_flow.output.table] if SETTINGS.arms else [],
        flow_figure=[rules.flow_figure.output.figure] if SETTINGS.arms else [],
        # Ready-made contrast maps have no scans that were judged.
        quality=[] if IMPORTED else [rules.study_quality.output.table],
        quality_exclusions=[] if IMPORTED else [rules.study_quality.output.exclusions],
        quality_figure=[] if IMPORTED else [rules.study_quality.output.figure],
        # The page links to them.
        scan_pages=for_all(TARGETS.pages.every),
        review_page=[] if IMPORTED else [rules.review_page.output.page],
        imported_sidecars=for_all(TARGETS.ready_made.sidecars),
        cbf_sidecars=for_all(TARGETS.scans.files, rules.quantify_perfusion.output.sidecar),
        contrasts=for_all(TARGETS.contrasts.maps),
        analyses_tables=TARGETS.analyses.files(rules.cluster_table.output.table),
        analyses_inference=TARGETS.analyses.files(rules.group_statistics.output.inference),
        analyses_figures=TARGETS.analyses.files(rules.group_figure.output.figure),
        analyses_called=TARGETS.analyses.files(rules.called_summary.output.table),
        analyses_called_figures=TARGETS.analyses.files(rules.group_figure.output.called),
        analyses_designs=TARGETS.analyses.files(rules.group_figure.output.design),
        analyses_values=TARGETS.analyses.files(rules.cluster_values.output.table),
        # The page links to them.
        analyses_maps=[
            *map(TARGETS.analyses.statistic_map, SETTINGS.analyses),
            *(path for file in OF_ANALYSIS.values() for path in TARGETS.analyses.files(file)),
        ],
        analyses_changes=TARGETS.analyses.files(rules.group_figure.output.changes),
        analyses_viewers=TARGETS.analyses.files(rules.group_figure.output.viewer),
        # Where voxels lie, for the viewers.
        reference=[rules.template.output.t1w] if SETTINGS.analyses else [],
        atlas=[rules.atlas.output.image, rules.atlas.output.labels] if SETTINGS.analyses else [],
        analyses_regions=TARGETS.analyses.files(rules.region_models.output.regions),
        analyses_parcels=TARGETS.analyses.files(rules.region_models.output.parcels),
        analyses_region_figures=TARGETS.analyses.files(rules.region_figure.output.figure),
        analyses_global=[] if IMPORTED else TARGETS.analyses.files(rules.global_effect.output.table),
        conjunctions=patterns.labelled(rules.conjunction.output.inference, "conjunction", SETTINGS.conjunctions),
        seed_slopes=[rules.seed_slopes.output.table] if TARGETS.slopes.analyses() else [],
        left_out_tests=TARGETS.clusters.left_out_files("test.json"),
        craving_scores=[rules.craving_scores.output.table] if SETTINGS.craving else [],
        craving_model=[rules.craving_model.output.table] if SETTINGS.craving else [],
        craving_figure=[rules.craving_figure.output.craving] if SETTINGS.craving else [],
        craving_diagnostics=[rules.craving_figure.output.diagnostics] if SETTINGS.craving else [],
        craving_mediation=[rules.craving_mediation.output.table] if TARGETS.craving.mediators() else [],
        roi_craving=[rules.roi_craving.output.table] if TARGETS.craving.rois() else [],
        roi_figure=[PATHS.craving("roi_craving.svg")] if TARGETS.craving.rois() else [],
        endpoint_models=TARGETS.endpoints.files("model.tsv"),
        endpoint_sensitivity=TARGETS.endpoints.files("sensitivity.tsv"),
        endpoint_figures=TARGETS.endpoints.files("figure.svg"),
        endpoint_relations=[PATHS.endpoint(name, "relations.tsv") for name in TARGETS.endpoints.related()],
        trial_verdict=[rules.trial_verdict.output.table] if SETTINGS.primary else [],
        # The page links to them.
        scan_parcels=[] if IMPORTED else [rules.all_scan_parcels.output.table],
        tidy_tables=[rules.tidy_table.output.long, rules.tidy_table.output.wide, rules.tidy_table.output.codebook],
        repeatability=[rules.repeatability.output.table] if TARGETS.repeated.is_repeated() else [],
        repeatability_maps=TARGETS.repeated.files(rules.repeatability_maps.output.table),
        repeatability_figures=TARGETS.repeated.files(rules.repeatability_figure.output.figure),
        sensitivity_table=[PATHS.sensitivity("specifications.tsv")] if SETTINGS.sensitivity else [],
        sensitivity_curve=[PATHS.sensitivity("curve.tsv")] if SETTINGS.sensitivity else [],
        sensitivity_figure=[PATHS.sensitivity("specifications.svg")] if SETTINGS.sensitivity else [],
    output:
        page=REPORTED.plain(PATHS.page, report_entries.ANSWERS, "page", "Page of the study"),
        citation=PATHS.citation("md"),
        citation_html=REPORTED.plain(
            PATHS.citation("html"), report_entries.METHODS, "methods", "Methods text with references"
        ),
        citation_latex=PATHS.citation("tex"),
        bibliography=PATHS.citation("bib"),
        checklist=REPORTED.plain(PATHS.checklist, report_entries.METHODS, "methods", "Reporting checklist"),
    log:
        log_of("report", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        # The order of the page's sections, which a comparison of mappings does not see.
        order=[list(SETTINGS.analyses), list(SETTINGS.conjunctions), list(SETTINGS.endpoints)],
        # The page names folders, not where they lie.
        # Which files stay does not change the page.
        config=STUDY.config
        | {name: os.path.basename(os.path.abspath(getattr(SETTINGS, name))) for name in PLACES}
        | {"outputs": output_levels.LEVELS[-1]},
        versions=VERSIONS,
        state=lambda wildcards: allocation_log.digests(STUDY.declared),
        # Not an input: in an unblinded run it is written before the first job. From the page's folder.
        allocation_log="../study/allocation_log.json",
        blinded=SETTINGS.blinded,
        code=code("report"),
    message:
        "Writing the report"
    script:
        "../scripts/report.py"


# The last rules with params stand above.
fingerprints.bind(own_rules())
if not workflow.is_main_process:
    job_process.detach(own_rules())
rule_functions.describe(own_rules(), overwrite_function_params)
LEVELS.mark(own_rules(), strip_wildcard_constraints, AnnotatedString)
