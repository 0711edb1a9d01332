"""Anatomy: each participant's T1-weighted image, segmented and fitted to the template.

Needs one or more raw T1w a participant (or session, if the configuration asks for it) and the template.
Gives the bias-corrected T1w (of several, their mean), where each raw image lies in it, brain mask, GM/WM/CSF shares and
the deformation; its inverse on request. For a participant without a T1w (only if the
configuration allows it) the same files, with the template in place of the participant. Where the configuration names another
program's anatomies, the same files from those.
"""

BY_ANTS = SETTINGS.anatomy.registration.backend == "ants"


rule prepare_anatomy:
    input:
        t1w=raw(per("anat", TARGETS.anatomies.t1w)),
    output:
        preproc=anat("T1w", desc="preproc"),
        mask=anat("mask", desc="brain"),
        sidecar=anat("T1w", ".json", desc="preproc"),
        poses=anat("xfm", ".txt", from_="orig", to="T1w", mode="image"),
    log:
        log_of("prepare_anatomy", "{anat}"),
    benchmark:
        benchmark_of("prepare_anatomy", "{anat}")
    wildcard_constraints:
        anat=TARGETS.stems.pattern("anat", TARGETS.anatomies.made_by("image", "own")),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(2000) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        bias=plain(SETTINGS.anatomy.bias),
        t1w=content_of(per("anat", TARGETS.anatomies.t1w)),
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
        sidecar=anat("xfm", ".json", from_="T1w", to=SPACE, mode="image"),
    log:
        log_of("normalise_anatomy", "{anat}"),
    benchmark:
        benchmark_of("normalise_anatomy", "{anat}")
    wildcard_constraints:
        anat=TARGETS.stems.pattern("anat", TARGETS.anatomies.made_by("registration", "own")),
    conda:
        "../envs/ants.yaml" if BY_ANTS else "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1600) * attempt if not BY_ANTS else memory(2200) * attempt,
        runtime=lambda wildcards, attempt: minutes(8) * attempt,
    params:
        registration=plain(SETTINGS.anatomy.registration),
        code=code("normalise_anatomy"),
    message:
        "Fitting the anatomy to the template: {wildcards.anat}"
    script:
        "../scripts/normalise_anatomy.py"


rule invert_registration:
    input:
        forward=rules.normalise_anatomy.output.forward,
        mask=rules.prepare_anatomy.output.mask,
    output:
        # No other rule reads it: each computes what it needs of it.
        inverse=anat("xfm", from_=SPACE, to="T1w", mode="image"),
    log:
        log_of("invert_registration", "{anat}"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        code=code("invert_registration"),
    message:
        "Inverting the deformation: {wildcards.anat}"
    script:
        "../scripts/invert_registration.py"


rule segment_anatomy:
    input:
        preproc=rules.prepare_anatomy.output.preproc,
        mask=rules.prepare_anatomy.output.mask,
        forward=rules.normalise_anatomy.output.forward,
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
    wildcard_constraints:
        anat=TARGETS.stems.pattern("anat", TARGETS.anatomies.made_by("segmentation", "own")),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1300) * attempt,
        runtime=lambda wildcards, attempt: minutes(4) * attempt,
    params:
        code=code("segment_anatomy"),
    message:
        "Segmenting grey matter, white matter and CSF: {wildcards.anat}"
    script:
        "../scripts/segment_anatomy.py"


rule assume_anatomy:
    input:
        t1w=rules.template.output.fine_t1w,
        mask=rules.template.output.fine_mask,
        gm=rules.template.output.fine_gm,
        wm=rules.template.output.fine_wm,
        csf=rules.template.output.fine_csf,
        reference_t1w=rules.template.output.t1w,
        reference_gm=rules.template.output.gm,
    output:
        preproc=rules.prepare_anatomy.output.preproc,
        mask=rules.prepare_anatomy.output.mask,
        sidecar=rules.prepare_anatomy.output.sidecar,
        forward=rules.normalise_anatomy.output.forward,
        field_sidecar=rules.normalise_anatomy.output.sidecar,
        gm=rules.segment_anatomy.output.gm,
        wm=rules.segment_anatomy.output.wm,
        csf=rules.segment_anatomy.output.csf,
        template_t1w=rules.segment_anatomy.output.template_t1w,
        template_gm=rules.segment_anatomy.output.template_gm,
    log:
        log_of("assume_anatomy", "{anat}"),
    wildcard_constraints:
        anat=TARGETS.stems.pattern("anat", TARGETS.anatomies.made_by("image", "template")),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        space=SPACE,
        code=code("assume_anatomy"),
    message:
        "No T1w: using the template instead: {wildcards.anat}"
    script:
        "../scripts/assume_anatomy.py"


rule import_anatomy:
    input:
        t1w=raw(per("anat", TARGETS.anatomies.imported_file, "t1w")),
        mask=raw(per("anat", TARGETS.anatomies.imported_file, "mask")),
    output:
        preproc=rules.prepare_anatomy.output.preproc,
        mask=rules.prepare_anatomy.output.mask,
        sidecar=rules.prepare_anatomy.output.sidecar,
    log:
        log_of("import_anatomy", "{anat}"),
    wildcard_constraints:
        anat=TARGETS.stems.pattern("anat", TARGETS.anatomies.made_by("image", "imported")),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1500) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        program=TARGETS.anatomies.program(),
        content=content_of(per("anat", TARGETS.anatomies.imported_files, ("t1w", "mask"))),
        code=code("import_anatomy"),
    message:
        "Importing the T1w and brain mask: {wildcards.anat}"
    script:
        "../scripts/import_anatomy.py"


rule import_registration:
    input:
        transforms=raw(per("anat", TARGETS.anatomies.transforms)),
        preproc=rules.prepare_anatomy.output.preproc,
        mask=rules.prepare_anatomy.output.mask,
        template=rules.template.output.fine_t1w,
    output:
        forward=rules.normalise_anatomy.output.forward,
        sidecar=rules.normalise_anatomy.output.sidecar,
    log:
        log_of("import_registration", "{anat}"),
    wildcard_constraints:
        anat=TARGETS.stems.pattern("anat", TARGETS.anatomies.made_by("registration", "imported")),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(2500) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        program=TARGETS.anatomies.program(),
        space=SPACE,
        content=content_of(per("anat", TARGETS.anatomies.transforms)),
        code=code("import_registration"),
    message:
        "Importing the transform to the template: {wildcards.anat}"
    script:
        "../scripts/import_registration.py"


rule import_segmentation:
    input:
        gm=raw(per("anat", TARGETS.anatomies.imported_file, "gm")),
        wm=raw(per("anat", TARGETS.anatomies.imported_file, "wm")),
        csf=raw(per("anat", TARGETS.anatomies.imported_file, "csf")),
        preproc=rules.prepare_anatomy.output.preproc,
        mask=rules.prepare_anatomy.output.mask,
        forward=rules.normalise_anatomy.output.forward,
        reference=rules.template.output.t1w,
    output:
        gm=rules.segment_anatomy.output.gm,
        wm=rules.segment_anatomy.output.wm,
        csf=rules.segment_anatomy.output.csf,
        template_t1w=rules.segment_anatomy.output.template_t1w,
        template_gm=rules.segment_anatomy.output.template_gm,
    log:
        log_of("import_segmentation", "{anat}"),
    wildcard_constraints:
        anat=TARGETS.stems.pattern("anat", TARGETS.anatomies.made_by("segmentation", "imported")),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(2000) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        content=content_of(per("anat", TARGETS.anatomies.imported_files, ("gm", "wm", "csf"))),
        code=code("import_segmentation"),
    message:
        "Importing the fractions of tissue: {wildcards.anat}"
    script:
        "../scripts/import_segmentation.py"
