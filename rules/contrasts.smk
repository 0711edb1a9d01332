"""Contrasts: weighted sums of the states' CBF at one visit.

Needs the smoothed template-space CBF of each state of the contrast, and whether its scan is usable.
Gives the contrast in mL/100 g/min (missing where any state is not covered, and everywhere if a state has no usable scan)
and its within-session standard error. For a contrast of relative CBF, each scan is scaled by its own mean first. Also the
mean CBF of every scan and contrast over the brain and over grey matter, and the maps that models take as terms beside CBF:
grey matter and arterial transit time. Ready-made contrast maps of another program take the place of all that comes before.
"""


rule import_contrast:
    input:
        image=raw(per("visit contrast", TARGETS.ready_made.map)),
        template_mask=rules.template.output.mask,
    output:
        effect=visit("statmap", space=SPACE, contrast="{contrast}", stat="effect"),
        sidecar=visit("statmap", ".json", space=SPACE, contrast="{contrast}", stat="effect"),
    log:
        log_of("import_contrast", "{visit}_contrast-{contrast}"),
    wildcard_constraints:
        visit=TARGETS.ready_made.visits(imported=True),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(600) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        image=content_of(per("visit contrast", TARGETS.ready_made.map)),
        record=per("visit contrast", TARGETS.ready_made.record),
        code=code("import_contrast"),
    message:
        "Taking over contrast {wildcards.contrast}: {wildcards.visit}"
    script:
        "../scripts/import_contrast.py"


rule session_contrast:
    input:
        maps=per("visit contrast", TARGETS.contrasts.state_files, rules.quantify_perfusion.output.smooth),
        errors=per("visit contrast", TARGETS.contrasts.state_files, rules.quantify_perfusion.output.error),
        coverages=per("visit contrast", TARGETS.contrasts.state_files, rules.quantify_perfusion.output.coverage),
        covariances=per("visit contrast", TARGETS.contrasts.covariance_files, rules.block_responses.output.covariance),
        quality=per("visit contrast", TARGETS.contrasts.state_runs, rules.scan_quality.output.table),
        template=per(
            "contrast", TARGETS.contrasts.scaling_reference, rules.template.output.mask, rules.template.output.gm
        ),
    output:
        effect=visit("statmap", space=SPACE, contrast="{contrast}", stat="effect"),
        sidecar=visit("statmap", ".json", space=SPACE, contrast="{contrast}", stat="effect"),
        error=visit("statmap", space=SPACE, contrast="{contrast}", stat="standarderror"),
    log:
        log_of("session_contrast", "{visit}_contrast-{contrast}"),
    wildcard_constraints:
        visit=TARGETS.ready_made.visits(imported=False),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(300) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        weights=per("visit contrast", TARGETS.contrasts.weights),
        states=per("visit contrast", TARGETS.contrasts.states),
        joint=per("visit contrast", TARGETS.contrasts.joint_states),
        scaling=per("contrast", TARGETS.contrasts.scaling),
        minimum_coverage=per("contrast", TARGETS.contrasts.scaling_coverage),
        code=code("session_contrast"),
    message:
        "Contrast {wildcards.contrast}: {wildcards.visit}"
    script:
        "../scripts/session_contrast.py"


rule global_values:
    input:
        maps=for_all(TARGETS.contrasts.files, rules.quantify_perfusion.output.smooth),
        coverages=for_all(TARGETS.contrasts.files, rules.quantify_perfusion.output.coverage),
        quality=for_all(TARGETS.contrasts.runs, rules.scan_quality.output.table),
        template=[rules.template.output.mask, rules.template.output.gm],
    output:
        scans=f"{OUTPUT}/contrasts/scan_means.tsv",
        contrasts=f"{OUTPUT}/contrasts/global_values.tsv",
    log:
        log_of("global_values", "study"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(290) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        rows=lambda wildcards: TARGETS.native.global_rows(),
        states=lambda wildcards: TARGETS.contrasts.all_states(),
        minimum_coverage=SETTINGS.minimum_roi_coverage,
        code=code("global_values"),
    message:
        "Reading global CBF of all scans"
    script:
        "../scripts/global_values.py"


rule smooth_grey_matter:
    input:
        grey_matter=rules.segment_anatomy.output.template_gm,
        template_mask=rules.template.output.mask,
    output:
        image=anat("probseg", space=SPACE, label="GM", desc="smooth"),
        sidecar=anat("probseg", ".json", space=SPACE, label="GM", desc="smooth"),
    log:
        log_of("smooth_grey_matter", "{anat}"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(600) * attempt,
        runtime=lambda wildcards, attempt: minutes(2) * attempt,
    params:
        fwhm=SETTINGS.perfusion.smoothing_fwhm,
        code=code("smooth_grey_matter"),
    message:
        "Smoothing grey matter like CBF: {wildcards.anat}"
    script:
        "../scripts/smooth_grey_matter.py"


rule session_transit_time:
    input:
        att=per("visit contrast", TARGETS.contrasts.state_files, rules.fit_perfusion.output.template_att),
        coverages=per("visit contrast", TARGETS.contrasts.state_files, rules.fit_perfusion.output.coverage),
        quality=per("visit contrast", TARGETS.contrasts.state_files, rules.scan_quality.output.table),
    output:
        image=visit("att", space=SPACE, contrast="{contrast}"),
        sidecar=visit("att", ".json", space=SPACE, contrast="{contrast}"),
    log:
        log_of("session_transit_time", "{visit}_contrast-{contrast}"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(600) * attempt,
        runtime=lambda wildcards, attempt: minutes(1) * attempt,
    params:
        weights=per("visit contrast", TARGETS.contrasts.weights),
        fwhm=SETTINGS.perfusion.smoothing_fwhm,
        code=code("session_transit_time"),
    message:
        "Arterial transit time of contrast {wildcards.contrast}: {wildcards.visit}"
    script:
        "../scripts/session_transit_time.py"
