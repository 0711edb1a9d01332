"""Anatomy: each participant's T1-weighted image, segmented and fitted to the template.

Needs one raw T1w a participant and the template.
Gives the bias-corrected T1w, brain mask, GM/WM/CSF shares and both directions of the deformation.
"""


rule prepare_anatomy:
    input:
        t1w=TARGETS.t1w,
    output:
        preproc=anat("T1w", desc="preproc"),
        mask=anat("mask", desc="brain"),
        sidecar=anat("T1w", ".json", desc="preproc"),
    log:
        log_of("prepare_anatomy", "{anat}"),
    benchmark:
        benchmark_of("prepare_anatomy", "{anat}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        bias=SETTINGS["anatomy"]["bias"],
        code=code("prepare_anatomy"),
    message:
        "Correcting bias and masking the brain: {wildcards.anat}"
    script:
        "../scripts/prepare_anatomy.py"


rule normalise_anatomy:
    input:
        preproc=rules.prepare_anatomy.output.preproc,
        mask=rules.prepare_anatomy.output.mask,
        template=rules.template.output.fine_t1w,
    output:
        forward=anat("xfm", from_="T1w", to=SPACE, mode="image"),
        inverse=anat("xfm", from_=SPACE, to="T1w", mode="image"),
        sidecar=anat("xfm", ".json", from_="T1w", to=SPACE, mode="image"),
    log:
        log_of("normalise_anatomy", "{anat}"),
    benchmark:
        benchmark_of("normalise_anatomy", "{anat}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        registration=SETTINGS["anatomy"]["registration"],
        code=code("normalise_anatomy"),
    message:
        "Fitting the anatomy to the template: {wildcards.anat}"
    script:
        "../scripts/normalise_anatomy.py"


rule segment_anatomy:
    input:
        preproc=rules.prepare_anatomy.output.preproc,
        mask=rules.prepare_anatomy.output.mask,
        forward=rules.normalise_anatomy.output.forward,
        inverse=rules.normalise_anatomy.output.inverse,
        priors_gm=rules.template.output.fine_gm,
        priors_wm=rules.template.output.fine_wm,
        priors_csf=rules.template.output.fine_csf,
        reference=rules.template.output.t1w,
    output:
        gm=anat("probseg", label="GM"),
        wm=anat("probseg", label="WM"),
        csf=anat("probseg", label="CSF"),
        template_t1w=anat("T1w", space=SPACE, desc="preproc"),
        template_gm=anat("probseg", space=SPACE, label="GM"),
    log:
        log_of("segment_anatomy", "{anat}"),
    benchmark:
        benchmark_of("segment_anatomy", "{anat}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2500 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        segmentation={},
        code=code("segment_anatomy"),
    message:
        "Segmenting grey matter, white matter and CSF: {wildcards.anat}"
    script:
        "../scripts/segment_anatomy.py"
