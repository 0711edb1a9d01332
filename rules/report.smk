"""Report: one self-contained page that answers the study's questions in order.

Needs everything that the configuration asks for. Gives figures and results/report/index.html.
"""


rule group_figure:
    input:
        reference=rules.template.output.t1w,
        t=rules.group_statistics.output.t,
        verdict=rules.group_statistics.output.verdict,
        table=rules.cluster_table.output.table,
        design=rules.group_statistics.output.design,
        inference=rules.group_statistics.output.inference,
    output:
        figure=group("figure", ".png"),
        design=group("design", ".png"),
    log:
        log_of("group_figure", "{analysis}"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        analysis=lambda wildcards: wildcards.analysis,
        blinded=SETTINGS["blinded"],
        code=code("group_figure"),
    message:
        "Drawing the analysis: {wildcards.analysis}"
    script:
        "../scripts/group_figure.py"


rule craving_figure:
    input:
        scores=rules.craving_scores.output.table,
        influence=rules.craving_model.output.influence,
        roi_craving=TARGETS.if_craving_rois([rules.roi_craving.output.table]),
        values=TARGETS.if_craving_rois([TARGETS.roi_values(roi) for roi in SETTINGS.get("craving", {}).get("rois", [])]),
    output:
        craving=f"{OUTPUT}/craving/craving.png",
        diagnostics=f"{OUTPUT}/craving/craving_diagnostics.png",
        roi=TARGETS.if_craving_rois([f"{OUTPUT}/craving/roi_craving.png"]),
    log:
        log_of("craving_figure", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        craving=TARGETS.craving_without("mediation", "left_out_permutations", "seed", "resamples"),
        sessions=SETTINGS.get("sessions"),
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("craving_figure"),
    message:
        "Drawing craving and its relation to perfusion"
    script:
        "../scripts/craving_figure.py"


rule report:
    input:
        scans=rules.study_tables.output.scans,
        participants=rules.study_tables.output.participants,
        exclusions=rules.study_tables.output.exclusions,
        participant_flow=TARGETS.if_arms([rules.participant_flow.output.table]),
        flow_figure=TARGETS.if_arms([rules.flow_figure.output.figure]),
        quality=rules.study_quality.output.table,
        quality_exclusions=rules.study_quality.output.exclusions,
        quality_figure=rules.study_quality.output.figure,
        scan_figures=TARGETS.of_scans(rules.scan_quality.output.figure),
        cbf_sidecars=TARGETS.of_scans(rules.quantify_perfusion.output.sidecar),
        contrasts=TARGETS.contrasts(),
        analyses_tables=TARGETS.of_analyses(rules.cluster_table.output.table),
        analyses_inference=TARGETS.of_analyses(rules.group_statistics.output.inference),
        analyses_figures=TARGETS.of_analyses(rules.group_figure.output.figure),
        analyses_designs=TARGETS.of_analyses(rules.group_figure.output.design),
        conjunctions=TARGETS.of_conjunctions(rules.conjunction.output.inference),
        seed_slopes=TARGETS.if_seed_slopes([rules.seed_slopes.output.table]),
        left_out_tests=TARGETS.left_out_tests(),
        craving_scores=TARGETS.if_craving([rules.craving_scores.output.table]),
        craving_model=TARGETS.if_craving([rules.craving_model.output.table]),
        craving_figure=TARGETS.if_craving([rules.craving_figure.output.craving]),
        craving_diagnostics=TARGETS.if_craving([rules.craving_figure.output.diagnostics]),
        craving_mediation=TARGETS.if_mediation([rules.craving_mediation.output.table]),
        roi_craving=TARGETS.if_craving_rois([rules.roi_craving.output.table]),
        roi_figure=TARGETS.if_craving_rois([f"{OUTPUT}/craving/roi_craving.png"]),
        trial_verdict=TARGETS.if_declared("any", [rules.trial_verdict.output.table]),
        sensitivity_table=TARGETS.if_sensitivity([f"{OUTPUT}/sensitivity/specifications.tsv"]),
        sensitivity_curve=TARGETS.if_sensitivity([f"{OUTPUT}/sensitivity/curve.tsv"]),
        sensitivity_figure=TARGETS.if_sensitivity([f"{OUTPUT}/sensitivity/specifications.png"]),
    output:
        page=PAGE,
    log:
        log_of("report", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        title=SETTINGS["title"],
        analyses=list(SETTINGS["analyses"]),
        conjunctions=list(SETTINGS["conjunctions"]),
        # The page names folders, not where they lie.
        config={**SETTINGS, **{name: os.path.basename(os.path.abspath(SETTINGS[name])) for name in PLACES}},
        versions=VERSIONS,
        state=lambda wildcards: allocation_log.digests(SETTINGS),
        # Not an input: in an unblinded run it is written before the first job. From the page's folder.
        allocation_log="../study/allocation_log.json",
        blinded=SETTINGS["blinded"],
        code=code("report"),
    message:
        "Writing the report"
    script:
        "../scripts/report.py"


# The last rules with params stand above.
fingerprints.bind(own_rules())
