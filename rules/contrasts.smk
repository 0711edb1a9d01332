"""Contrasts: weighted sums of the states' CBF at one visit.

Needs the smoothed template-space CBF of each state of the contrast, and whether its scan is usable.
Gives the contrast in mL/100 g/min (missing where any state is not covered, and everywhere if a state has no usable scan)
and its within-session standard error.
"""


rule session_contrast:
    input:
        maps=per("visit contrast", TARGETS.state_files, rules.quantify_perfusion.output.smooth),
        errors=per("visit contrast", TARGETS.state_files, rules.quantify_perfusion.output.error),
        coverages=per("visit contrast", TARGETS.state_files, rules.quantify_perfusion.output.coverage),
        quality=per("visit contrast", TARGETS.state_files, rules.scan_quality.output.table),
    output:
        effect=visit("cbf", space=SPACE, contrast="{contrast}"),
        sidecar=visit("cbf", ".json", space=SPACE, contrast="{contrast}"),
        error=visit("cbf", space=SPACE, contrast="{contrast}", desc="standarderror"),
    log:
        log_of("session_contrast", "{visit}_contrast-{contrast}"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 600 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        weights=per("visit contrast", TARGETS.weights),
        code=code("session_contrast"),
    message:
        "Contrast {wildcards.contrast}: {wildcards.visit}"
    script:
        "../scripts/session_contrast.py"
