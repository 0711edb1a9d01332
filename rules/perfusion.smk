"""Perfusion: each run from raw label and control volumes to CBF, in its own space and the template's.

Needs the raw series (and M0), the participant's anatomy and the template.
Gives motion and registration transforms, CBF maps with every constant in the sidecar, and what covers what; on request the
realigned series and the CBF of each repeat.
"""


rule scan_field:
    input:
        images=raw(per("scan", TARGETS.field_maps.images)),
        asl=raw(per("scan", TARGETS.scans.asl)),
        later_echoes=raw(per("scan", TARGETS.scans.later_echoes)),
        gm=per("scan", TARGETS.anatomies.own_file, rules.segment_anatomy.output.gm),
        wm=per("scan", TARGETS.anatomies.own_file, rules.segment_anatomy.output.wm),
        csf=per("scan", TARGETS.anatomies.own_file, rules.segment_anatomy.output.csf),
    output:
        field=scan("fieldmap"),
        sidecar=scan("fieldmap", ".json"),
        displacement=scan("xfm", from_="orig", to="aslref", mode="image", desc="distortion"),
    log:
        log_of("scan_field", "{scan}"),
    benchmark:
        benchmark_of("scan_field", "{scan}")
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.field_maps.scans()),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        acquisition=per("scan", TARGETS.scans.acquisition_of_alignment),
        field_map=per("scan", TARGETS.field_maps.params),
        distorted=per("scan", TARGETS.field_maps.distortion),
        images=content_of(per("scan", TARGETS.field_maps.images)),
        asl=content_of(per("scan", TARGETS.scans.series)),
        code=code("scan_field"),
    message:
        "Bringing the field map to the scan: {wildcards.scan}"
    script:
        "../scripts/scan_field.py"


rule align_perfusion:
    input:
        asl=raw(per("scan", TARGETS.scans.asl)),
        later_echoes=raw(per("scan", TARGETS.scans.later_echoes)),
        m0=raw(per("scan", TARGETS.scans.m0)),
        field=per("scan", TARGETS.field_maps.files, rules.scan_field.output.field),
        gm=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.gm),
        wm=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.wm),
        csf=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.csf),
    output:
        motion=scan("xfm", ".txt", from_="orig", to="aslref", mode="image"),
        m0_motion=scan("xfm", ".txt", from_="m0scan", to="aslref", mode="image"),
        coregistration=scan("xfm", ".txt", from_="aslref", to="T1w", mode="image"),
        registration=scan("xfm", ".json", from_="aslref", to="T1w", mode="image"),
        aslref=scan("aslref"),
        confounds=scan("timeseries", desc="confounds"),
    log:
        log_of("align_perfusion", "{scan}"),
    benchmark:
        benchmark_of("align_perfusion", "{scan}")
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(900) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        acquisition=per("scan", TARGETS.scans.acquisition_of_alignment),
        asl=content_of(per("scan", TARGETS.scans.series)),
        m0=content_of(per("scan", TARGETS.scans.m0)),
        # Without a T1w of their own, the template is fitted to the scan in size and shape too.
        affine=per("scan", TARGETS.anatomies.is_assumed),
        correct=SETTINGS.perfusion.motion.correct,
        distorted=per("scan", TARGETS.field_maps.distortion),
        code=code("align_perfusion"),
    message:
        "Realigning and registering to the T1w: {wildcards.scan}"
    script:
        "../scripts/align_perfusion.py"


rule known_tissue:
    input:
        aslref=rules.align_perfusion.output.aslref,
        coregistration=rules.align_perfusion.output.coregistration,
        gm=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.gm),
        wm=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.wm),
        mask=per("scan", TARGETS.anatomies.file, rules.prepare_anatomy.output.mask),
        forward=per("scan", TARGETS.tissue.forward, rules.normalise_anatomy.output.forward),
        transit_time=raw(per("scan", TARGETS.tissue.image, "transit_time")),
        t1=raw(per("scan", TARGETS.tissue.image, "t1")),
    output:
        **TARGETS.tissue.outputs(scan),
    log:
        log_of("known_tissue", "{scan}"),
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.tissue.scans()),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1200) * attempt,
        runtime=lambda wildcards, attempt: minutes(1) * attempt,
    params:
        tissue=TARGETS.tissue.params(),
        limits=TARGETS.tissue.limits(),
        images=content_of(per("scan", TARGETS.tissue.images)),
        code=code("known_tissue"),
    message:
        "Bringing what is known of its tissue to the scan: {wildcards.scan}"
    script:
        "../scripts/known_tissue.py"


rule quantify_perfusion:
    input:
        asl=raw(per("scan", TARGETS.scans.asl)),
        later_echoes=raw(per("scan", TARGETS.scans.later_echoes)),
        m0=raw(per("scan", TARGETS.scans.m0)),
        motion=rules.align_perfusion.output.motion,
        m0_motion=rules.align_perfusion.output.m0_motion,
        field=per("scan", TARGETS.field_maps.files, rules.scan_field.output.field),
        transit_time=per("scan", TARGETS.tissue.file, dict(rules.known_tissue.output.items()), "transit_time"),
        t1=per("scan", TARGETS.tissue.file, dict(rules.known_tissue.output.items()), "t1"),
        transit_time_sidecar=per(
            "scan", TARGETS.tissue.file, dict(rules.known_tissue.output.items()), "transit_time_sidecar"
        ),
        t1_sidecar=per("scan", TARGETS.tissue.file, dict(rules.known_tissue.output.items()), "t1_sidecar"),
        coregistration=rules.align_perfusion.output.coregistration,
        confounds=rules.align_perfusion.output.confounds,
        forward=per("scan", TARGETS.anatomies.file, rules.normalise_anatomy.output.forward),
        gm=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.gm),
        wm=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.wm),
        csf=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.csf),
        mask=per("scan", TARGETS.anatomies.file, rules.prepare_anatomy.output.mask),
        reference=rules.template.output.t1w,
        template_mask=rules.template.output.mask,
    output:
        cbf=scan("cbf"),
        sidecar=scan("cbf", ".json"),
        repeats=scan("timeseries", desc="repeats"),
        gm_cbf=scan("cbf", desc="pvcGM"),
        wm_cbf=scan("cbf", desc="pvcWM"),
        brain_mask=scan("mask", desc="brain"),
        gm=scan("probseg", label="GM"),
        wm=scan("probseg", label="WM"),
        csf=scan("probseg", label="CSF"),
        template_cbf=scan("cbf", space=SPACE),
        template_gm_cbf=scan("cbf", space=SPACE, desc="pvcGM"),
        smooth=scan("cbf", space=SPACE, desc="smooth"),
        coverage=scan("mask", space=SPACE, desc="coverage"),
        error=scan("cbf", space=SPACE, desc="standarderror"),
    log:
        log_of("quantify_perfusion", "{scan}"),
    benchmark:
        benchmark_of("quantify_perfusion", "{scan}")
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.scans.with_delays(several_delays=False)),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        acquisition=per("scan", TARGETS.scans.acquisition),
        asl=content_of(per("scan", TARGETS.scans.series)),
        m0=content_of(per("scan", TARGETS.scans.m0)),
        settings=TARGETS.scans.quantification(),
        distorted=per("scan", TARGETS.field_maps.distortion),
        code=code("quantify_perfusion"),
    message:
        "Quantifying CBF: {wildcards.scan}"
    script:
        "../scripts/quantify_perfusion.py"


rule realigned_series:
    input:
        asl=raw(per("scan", TARGETS.scans.asl)),
        later_echoes=raw(per("scan", TARGETS.scans.later_echoes)),
        motion=rules.align_perfusion.output.motion,
        field=per("scan", TARGETS.field_maps.files, rules.scan_field.output.field),
    output:
        # No other rule reads it: it is as large as the raw series, and made of that in seconds.
        series=scan("asl", desc="preproc"),
    log:
        log_of("realigned_series", "{scan}"),
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.scans.own()),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        acquisition=per("scan", TARGETS.scans.acquisition),
        asl=content_of(per("scan", TARGETS.scans.series)),
        interpolation=SETTINGS.perfusion.interpolation,
        distorted=per("scan", TARGETS.field_maps.distortion),
        code=code("realigned_series"),
    message:
        "Writing the realigned series: {wildcards.scan}"
    script:
        "../scripts/realigned_series.py"


rule cbf_series:
    input:
        asl=raw(per("scan", TARGETS.scans.asl)),
        later_echoes=raw(per("scan", TARGETS.scans.later_echoes)),
        m0=raw(per("scan", TARGETS.scans.m0)),
        motion=rules.align_perfusion.output.motion,
        m0_motion=rules.align_perfusion.output.m0_motion,
        field=per("scan", TARGETS.field_maps.files, rules.scan_field.output.field),
        transit_time=per("scan", TARGETS.tissue.repeats_file, dict(rules.known_tissue.output.items()), "transit_time"),
        t1=per("scan", TARGETS.tissue.repeats_file, dict(rules.known_tissue.output.items()), "t1"),
        brain_mask=rules.quantify_perfusion.output.brain_mask,
    output:
        # No other rule reads it: what is measured across the repeats is measured where they are averaged.
        series=scan("cbf", desc="timeseries"),
    log:
        log_of("cbf_series", "{scan}"),
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.scans.own()),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        acquisition=per("scan", TARGETS.scans.acquisition),
        asl=content_of(per("scan", TARGETS.scans.series)),
        m0=content_of(per("scan", TARGETS.scans.m0)),
        settings=TARGETS.scans.quantification(),
        distorted=per("scan", TARGETS.field_maps.distortion),
        code=code("cbf_series"),
    message:
        "Writing the CBF of each repeat: {wildcards.scan}"
    script:
        "../scripts/cbf_series.py"


rule fit_perfusion:
    input:
        **dict(rules.quantify_perfusion.input.items()),
    output:
        **dict(rules.quantify_perfusion.output.items()),
        att=scan("att"),
        template_att=scan("att", space=SPACE),
    log:
        log_of("fit_perfusion", "{scan}"),
    benchmark:
        benchmark_of("fit_perfusion", "{scan}")
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.scans.with_delays(several_delays=True)),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1300) * attempt,
        runtime=lambda wildcards, attempt: minutes(8) * attempt,
    params:
        acquisition=per("scan", TARGETS.scans.acquisition),
        asl=content_of(per("scan", TARGETS.scans.series)),
        m0=content_of(per("scan", TARGETS.scans.m0)),
        settings=TARGETS.scans.quantification(),
        distorted=per("scan", TARGETS.field_maps.distortion),
        code=code("fit_perfusion"),
    message:
        "Fitting CBF and arterial transit time: {wildcards.scan}"
    script:
        "../scripts/fit_perfusion.py"


rule block_responses:
    input:
        asl=raw(per("scan", TARGETS.scans.asl)),
        later_echoes=raw(per("scan", TARGETS.scans.later_echoes)),
        m0=raw(per("scan", TARGETS.scans.m0)),
        motion=rules.align_perfusion.output.motion,
        m0_motion=rules.align_perfusion.output.m0_motion,
        field=per("scan", TARGETS.field_maps.files, rules.scan_field.output.field),
        transit_time=per("scan", TARGETS.tissue.file, dict(rules.known_tissue.output.items()), "transit_time"),
        t1=per("scan", TARGETS.tissue.file, dict(rules.known_tissue.output.items()), "t1"),
        coregistration=rules.align_perfusion.output.coregistration,
        forward=per("scan", TARGETS.anatomies.file, rules.normalise_anatomy.output.forward),
        brain_mask=rules.quantify_perfusion.output.brain_mask,
        gm=rules.quantify_perfusion.output.gm,
        wm=rules.quantify_perfusion.output.wm,
        repeats=rules.quantify_perfusion.output.repeats,
        reference=rules.template.output.t1w,
        template_mask=rules.template.output.mask,
    output:
        cbf=TARGETS.blocks.state_patterns(partial(bids.derivative, OUTPUT, suffix="cbf")),
        gm_cbf=TARGETS.blocks.state_patterns(partial(bids.derivative, OUTPUT, suffix="cbf", desc="pvcGM")),
        template_cbf=TARGETS.blocks.state_patterns(partial(bids.derivative, OUTPUT, suffix="cbf", space=SPACE)),
        template_gm_cbf=TARGETS.blocks.state_patterns(
            partial(bids.derivative, OUTPUT, suffix="cbf", space=SPACE, desc="pvcGM")
        ),
        smooth=TARGETS.blocks.state_patterns(partial(bids.derivative, OUTPUT, suffix="cbf", space=SPACE, desc="smooth")),
        coverage=TARGETS.blocks.state_patterns(
            partial(bids.derivative, OUTPUT, suffix="mask", space=SPACE, desc="coverage")
        ),
        error=TARGETS.blocks.state_patterns(
            partial(bids.derivative, OUTPUT, suffix="cbf", space=SPACE, desc="standarderror")
        ),
        covariance=scan("cbf", space=SPACE, desc="covariance"),
        design=scan("timeseries", desc="blocks"),
        sidecar=scan("cbf", ".json", desc="blocks"),
    log:
        log_of("block_responses", "{scan}"),
    benchmark:
        benchmark_of("block_responses", "{scan}")
    wildcard_constraints:
        scan=TARGETS.stems.pattern("perf", TARGETS.blocks.scans()),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1800) * attempt,
        runtime=lambda wildcards, attempt: minutes(2) * attempt,
    params:
        acquisition=per("scan", TARGETS.scans.acquisition),
        asl=content_of(per("scan", TARGETS.scans.series)),
        m0=content_of(per("scan", TARGETS.scans.m0)),
        settings=TARGETS.scans.quantification(),
        distorted=per("scan", TARGETS.field_maps.distortion),
        blocks=per("scan", TARGETS.blocks.of_scan),
        code=code("block_responses"),
    message:
        "Modelling the scan's blocks: {wildcards.scan}"
    script:
        "../scripts/block_responses.py"
