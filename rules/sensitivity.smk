"""Sensitivity: the same answers under declared alternatives of processing, exclusion and model.

Needs the unsmoothed CBF in template space, every scan's quality, the regions and, where an answer asks for it, craving.
Gives one file of answers a specification. Alignment and quantification are shared: the maps of all image alternatives
are made from their outputs, and are removed once every specification has read them. Included only where the
configuration has `sensitivity`.
"""

IMAGES = Paramspace(DataFrame(specifications.image_alternatives(SETTINGS)))
SPECIFICATIONS = Paramspace(DataFrame(specifications.all_choices(SETTINGS)))
REGIONS = specifications.regions(SETTINGS)
CORRECTED = specifications.corrects_partial_volume(SETTINGS)

# The maps of a visit under an image alternative.
alternative = partial("{0}/sensitivity/maps/{2}/{{visit}}_space-{1}_cbf.nii.gz".format, OUTPUT, SPACE)


wildcard_constraints:
    **{name: patterns.any_of(values) for name, values in specifications.dimensions(SETTINGS).items()},


rule alternative_maps:
    input:
        cbf=per("visit", TARGETS.visits.states, rules.quantify_perfusion.output.template_cbf),
        coverage=per("visit", TARGETS.visits.states, rules.quantify_perfusion.output.coverage),
        grey=per("visit", TARGETS.visits.states, rules.quantify_perfusion.output.template_gm_cbf) if CORRECTED else [],
        gm_cbf=per("visit", TARGETS.visits.states, rules.quantify_perfusion.output.gm_cbf) if CORRECTED else [],
        gm=per("visit", TARGETS.visits.runs, rules.quantify_perfusion.output.gm) if CORRECTED else [],
        coregistration=(
            per("visit", TARGETS.visits.runs, rules.align_perfusion.output.coregistration) if CORRECTED else []
        ),
        forward=per("visit", TARGETS.visits.anatomy_files, rules.normalise_anatomy.output.forward) if CORRECTED else [],
        template_mask=rules.template.output.mask,
    output:
        maps=temp([alternative(instance) for instance in IMAGES.instance_patterns]),
    log:
        log_of("alternative_maps", "{visit}"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: (
            memory(600 + 100 * len(input.cbf)) * attempt if CORRECTED else memory(250 + 40 * len(input.cbf)) * attempt
        ),
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        alternatives=[plain(image) for image in specifications.image_alternatives(SETTINGS)],
        code=code("alternative_maps"),
    message:
        "Making the alternative CBF maps: {wildcards.visit}"
    script:
        "../scripts/alternative_maps.py"


rule specification:
    input:
        maps=expand(alternative(IMAGES.wildcard_pattern), visit=TARGETS.visits.stems(), allow_missing=True),
        quality=for_all(TARGETS.scans.files, rules.scan_quality.output.table),
        participants=PATHS.participants("sensitivity/{covariates}"),
        template_mask=rules.template.output.mask,
        masks=expand(rules.roi_mask.output.mask, roi=REGIONS),
        sidecars=expand(rules.roi_mask.output.sidecar, roi=REGIONS),
        gm=[rules.template.output.gm] if specifications.takes_grey_matter(SETTINGS) else [],
        scores=[rules.craving_scores.output.table] if specifications.relates_craving(SETTINGS) else [],
    output:
        answers=f"{OUTPUT}/sensitivity/specifications/{SPECIFICATIONS.wildcard_pattern}/answers.json",
    log:
        log_of("specification", SPECIFICATIONS.wildcard_pattern),
    benchmark:
        benchmark_of("specification", SPECIFICATIONS.wildcard_pattern)
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: memory(1000 + 5 * len(input.maps)) * attempt,
        runtime=lambda wildcards, attempt: minutes(45) * attempt,
    params:
        specification=lambda wildcards: plain(
            specifications.specification(STUDY, specification.Choices(**SPECIFICATIONS.instance(wildcards)))
        ),
        blinded=SETTINGS.blinded,
        code=code("specification"),
    message:
        "Analysing a specification: {wildcards.scaling} CBF, {wildcards.smoothing_fwhm} mm, partial volumes {wildcards.partial_volume}, quality {wildcards.quality}, covariates {wildcards.covariates}"
    script:
        "../scripts/specification.py"


rule specification_curve:
    input:
        answers=expand(
            f"{OUTPUT}/sensitivity/specifications/{{instance}}/answers.json", instance=SPECIFICATIONS.instance_patterns
        ),
    output:
        table=PATHS.sensitivity("specifications.tsv"),
        curve=REPORTED.sensitivity(PATHS.sensitivity("curve.tsv"), "Table of joint tests"),
    log:
        log_of("specification_curve", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(250) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        permutations=SETTINGS.sensitivity.permutations,
        seed=SETTINGS.inference.seed,
        blinded=SETTINGS.blinded,
        code=code("specification_curve"),
    message:
        "Testing all specifications together"
    script:
        "../scripts/specification_curve.py"


rule specification_figure:
    input:
        table=rules.specification_curve.output.table,
        curve=rules.specification_curve.output.curve,
    output:
        figure=REPORTED.sensitivity(PATHS.sensitivity("specifications.svg"), "Specification curves"),
    log:
        log_of("specification_figure", "study"),
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(270) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        labels=plain(SETTINGS.labels),
        blinded=SETTINGS.blinded,
        code=code("specification_figure"),
    message:
        "Drawing the specification curves"
    script:
        "../scripts/specification_figure.py"


rule sensitivity:
    input:
        rules.specification_curve.output,
        rules.specification_figure.output,
