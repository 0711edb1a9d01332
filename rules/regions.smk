"""Regions of interest: their masks and values, on the template and in each scan's own space.

Needs the contrast maps and, for a region that is a cluster, the analysis that found it. A cluster of one analysis may be
the seed of another. Also each analysis' model in the regions and in all parcels of the atlas, the slopes of the regions'
changes on the seeds', and a cluster related to craving measured a second time, in each participant in the cluster that the
others define.
"""


rule roi_mask:
    input:
        reference=rules.template.output.t1w,
        template_mask=rules.template.output.mask,
        clusters=per("roi", TARGETS.regions.clusters),
        atlas=per("roi", TARGETS.regions.atlas, [rules.atlas.output.image, rules.atlas.output.labels]),
        image=raw(per("roi", TARGETS.regions.image)),
    output:
        mask=PATHS.region_mask("{roi}"),
        sidecar=PATHS.region_definition("{roi}"),
    log:
        log_of("roi_mask", "{roi}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(450) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        roi=per("roi", TARGETS.regions.definition),
        image=content_of(per("roi", TARGETS.regions.image)),
        minimum_coverage=SETTINGS.minimum_roi_coverage,
        # Only a cluster of an analysis depends on the arms.
        blinded=lambda wildcards: SETTINGS.blinded and SETTINGS.rois[wildcards.roi].analysis is not None,
        code=code("roi_mask"),
    message:
        "Defining the region: {wildcards.roi}"
    script:
        "../scripts/roi_mask.py"


rule roi_values:
    input:
        mask=rules.roi_mask.output.mask,
        maps=lambda wildcards: TARGETS.contrasts.maps(),
        gm=per("roi", TARGETS.regions.weighting, rules.template.output.gm),
    output:
        table=PATHS.region_values("{roi}"),
    log:
        log_of("roi_values", "{roi}"),
    wildcard_constraints:
        roi=patterns.any_of(TARGETS.regions.in_space("template")),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(250) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        roi=lambda wildcards: wildcards.roi,
        rows=lambda wildcards: TARGETS.regions.rows(),
        minimum_coverage=SETTINGS.minimum_roi_coverage,
        statistic=lambda wildcards: SETTINGS.rois[wildcards.roi].statistic,
        blinded=SETTINGS.blinded,
        code=code("roi_values"),
    message:
        "Reading the region's values: {wildcards.roi}"
    script:
        "../scripts/roi_values.py"


rule native_regions:
    input:
        cbf=(
            rules.quantify_perfusion.output.gm_cbf
            if SETTINGS.perfusion.partial_volume.use
            else rules.quantify_perfusion.output.cbf
        ),
        brain_mask=per("scan", TARGETS.scans.run_file, rules.quantify_perfusion.output.brain_mask),
        gm=per("scan", TARGETS.scans.run_file, rules.quantify_perfusion.output.gm),
        coregistration=per("scan", TARGETS.scans.run_file, rules.align_perfusion.output.coregistration),
        forward=per("scan", TARGETS.anatomies.file, rules.normalise_anatomy.output.forward),
        t1w_mask=per("scan", TARGETS.anatomies.file, rules.prepare_anatomy.output.mask),
        coverage=rules.quantify_perfusion.output.coverage,
        template_gm=per("scan", TARGETS.anatomies.file, rules.segment_anatomy.output.template_gm),
        masks=per("source", TARGETS.native.masks, rules.roi_mask.output.mask),
    output:
        table=f"{OUTPUT}/rois/native/{{source}}/{{scan}}_regions.tsv",
    log:
        log_of("native_regions", "{source}/{scan}"),
    wildcard_constraints:
        scan=bids.map_stem_pattern(),
        source=patterns.any_of({TARGETS.regions.source(roi) for roi in TARGETS.regions.in_space("native")}),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(3) * attempt,
    params:
        regions=per("source", TARGETS.native.regions),
        # Only a cluster of an analysis depends on the arms; those of one analysis are read together, and apart from the
        # others', whose values may be a seed of that analysis.
        blinded=lambda wildcards: SETTINGS.blinded and wildcards.source in SETTINGS.analyses,
        code=code("native_regions"),
    message:
        "Reading regions in the scan's own space ({wildcards.source}): {wildcards.scan}"
    script:
        "../scripts/native_regions.py"


rule native_roi_values:
    input:
        scans=per("roi", TARGETS.native.files, rules.native_regions.output.table),
        quality=for_all(TARGETS.contrasts.runs, rules.scan_quality.output.table),
        means=TARGETS.contrasts.scan_means(rules.global_values.output.scans),
    output:
        table=rules.roi_values.output.table,
    log:
        log_of("native_roi_values", "{roi}"),
    wildcard_constraints:
        roi=patterns.any_of(TARGETS.regions.in_space("native")),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(800) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        roi=lambda wildcards: wildcards.roi,
        rows=lambda wildcards: TARGETS.native.rows(),
        states=lambda wildcards: TARGETS.contrasts.all_states(),
        minimum_coverage=SETTINGS.minimum_roi_coverage,
        statistic=lambda wildcards: SETTINGS.rois[wildcards.roi].statistic,
        blinded=SETTINGS.blinded,
        code=code("native_roi_values"),
    message:
        "Combining the region's values over scans: {wildcards.roi}"
    script:
        "../scripts/native_roi_values.py"


rule parcel_values:
    input:
        atlas=rules.atlas.output.image,
        labels=rules.atlas.output.labels,
        reference=rules.template.output.t1w,
        maps=lambda wildcards: TARGETS.contrasts.maps(),
    output:
        table=f"{OUTPUT}/rois/parcels.tsv",
    log:
        log_of("parcel_values", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(450) * attempt,
        runtime=lambda wildcards, attempt: minutes(15) * attempt,
    params:
        rows=lambda wildcards: TARGETS.regions.parcel_rows(),
        minimum_coverage=SETTINGS.minimum_roi_coverage,
        code=code("parcel_values"),
    message:
        "Reading the parcels of the atlas"
    script:
        "../scripts/parcel_values.py"


rule repeatability:
    input:
        global_values=[] if IMPORTED else [rules.global_values.output.contrasts],
        region_values=patterns.filled(rules.roi_values.output.table, "roi", sorted(SETTINGS.rois)),
        sidecars=patterns.filled(rules.roi_mask.output.sidecar, "roi", sorted(SETTINGS.rois)),
        parcels=rules.parcel_values.output.table,
    output:
        table=PATHS.tidy("repeatability"),
    log:
        log_of("repeatability", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(300) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        people=lambda wildcards: TARGETS.repeated.people(),
        contrasts=lambda wildcards: TARGETS.repeated.contrasts(),
        blinded=SETTINGS.blinded,
        code=code("repeatability"),
    message:
        "Tabulating the repeatability of CBF"
    script:
        "../scripts/repeatability.py"


rule repeatability_maps:
    input:
        baseline=per("contrast", TARGETS.repeated.maps, 0),
        followup=per("contrast", TARGETS.repeated.maps, 1),
        template_mask=rules.template.output.mask,
        gm=rules.template.output.gm,
    output:
        within_sd=PATHS.repeatability("{contrast}", "statmap", stat="withinsd"),
        within_cv=PATHS.repeatability("{contrast}", "statmap", stat="withincv"),
        icc=PATHS.repeatability("{contrast}", "statmap", stat="icc"),
        people=PATHS.repeatability("{contrast}", "statmap", stat="people"),
        table=PATHS.repeatability("{contrast}", "summary", ".tsv"),
    log:
        log_of("repeatability_maps", "{contrast}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(490) * attempt,
        runtime=lambda wildcards, input, attempt: minutes(5 + len(input.baseline) // 50) * attempt,
    params:
        people=lambda wildcards: TARGETS.repeated.people(),
        contrast=per("contrast", TARGETS.repeated.contrast),
        blinded=SETTINGS.blinded,
        code=code("repeatability_maps"),
    message:
        "Mapping the repeatability of contrast {wildcards.contrast}"
    script:
        "../scripts/repeatability_maps.py"


rule scan_parcels:
    input:
        atlas=rules.atlas.output.image,
        labels=rules.atlas.output.labels,
        reference=rules.template.output.t1w,
        cbf=per("visit", TARGETS.visits.files, rules.quantify_perfusion.output.template_cbf),
        coverage=per("visit", TARGETS.visits.files, rules.quantify_perfusion.output.coverage),
    output:
        table=visit("cbf", ".tsv", space=SPACE, atlas=SETTINGS.atlas.label),
    log:
        log_of("scan_parcels", "{visit}"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(400) * attempt,
        runtime=lambda wildcards, attempt: minutes(1) * attempt,
    params:
        rows=per("visit", TARGETS.visits.scan_rows),
        minimum_coverage=SETTINGS.minimum_roi_coverage,
        code=code("scan_parcels"),
    message:
        "Reading the parcels of the atlas in each scan: {wildcards.visit}"
    script:
        "../scripts/scan_parcels.py"


rule region_models:
    input:
        design=rules.group_statistics.output.design,
        inference=rules.group_statistics.output.inference,
        region_values=patterns.filled(rules.roi_values.output.table, "roi", SETTINGS.rois),
        sidecars=patterns.filled(rules.roi_mask.output.sidecar, "roi", SETTINGS.rois),
        parcels=rules.parcel_values.output.table,
        terms=per(
            "analysis",
            TARGETS.terms.maps,
            rules.smooth_grey_matter.output.image,
            rules.session_transit_time.output.image,
        ),
        masks=per("analysis", TARGETS.terms.masks, rules.roi_mask.output.mask),
        atlas=per("analysis", TARGETS.terms.atlas, [rules.atlas.output.image, rules.atlas.output.labels]),
    output:
        regions=REPORTED.analysis(group("regions", ".tsv"), "Table of regions"),
        parcels=REPORTED.analysis(group("parcels", ".tsv"), "Table of parcels"),
    log:
        log_of("region_models", "{analysis}_contrast-{label}"),
    benchmark:
        benchmark_of("region_models", "{analysis}_contrast-{label}")
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(400 + len(TARGETS.contrasts.maps()) // 5) * attempt,
        runtime=lambda wildcards, attempt: minutes(15) * attempt,
    params:
        analysis=lambda wildcards: plain(SETTINGS.analyses[wildcards.analysis]),
        sessions=per("analysis", TARGETS.analyses.sessions),
        is_cbf=per("analysis", TARGETS.analyses.is_cbf),
        participants=per("analysis", TARGETS.analyses.members),
        terms=per("analysis", TARGETS.terms.described),
        blinded=SETTINGS.blinded,
        code=code("region_models"),
    message:
        "Testing in regions and parcels: {wildcards.analysis}"
    script:
        "../scripts/region_models.py"


rule global_effect:
    input:
        design=rules.group_statistics.output.design,
        inference=rules.group_statistics.output.inference,
        global_values=rules.global_values.output.contrasts,
    output:
        table=group("global", ".tsv"),
    log:
        log_of("global_effect", "{analysis}_contrast-{label}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(400) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        analysis=lambda wildcards: plain(SETTINGS.analyses[wildcards.analysis]),
        sessions=per("analysis", TARGETS.analyses.sessions),
        is_cbf=per("analysis", TARGETS.analyses.is_cbf_absolute),
        blinded=SETTINGS.blinded,
        code=code("global_effect"),
    message:
        "Testing on global CBF: {wildcards.analysis}"
    script:
        "../scripts/global_effect.py"


rule seed_slopes:
    input:
        participants=PATHS.participants("seed_slopes"),
        values=TARGETS.slopes.files(rules.roi_values.output.table),
        sidecars=TARGETS.slopes.files(rules.roi_mask.output.sidecar),
    output:
        table=f"{OUTPUT}/rois/seed_slopes.tsv",
    log:
        log_of("seed_slopes", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(300) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        analyses=lambda wildcards: TARGETS.slopes.described(),
        rois=TARGETS.slopes.regions(),
        arms=ARMS,
        blinded=SETTINGS.blinded,
        code=code("seed_slopes"),
    message:
        "Estimating the regions' slopes on the seeds"
    script:
        "../scripts/seed_slopes.py"


rule roi_left_out:
    input:
        baseline=per("roi", TARGETS.clusters.maps, "baseline"),
        followup=per("roi", TARGETS.clusters.maps, "followup"),
        design=per("roi", TARGETS.clusters.file, rules.group_statistics.output.design),
        inference=per("roi", TARGETS.clusters.file, rules.group_statistics.output.inference),
        search=per("roi", TARGETS.clusters.file, rules.group_statistics.output.mask),
        mask=rules.roi_mask.output.mask,
        maps=lambda wildcards: TARGETS.contrasts.maps(),
        gm=per("roi", TARGETS.regions.weighting, rules.template.output.gm),
    output:
        values=PATHS.left_out("{roi}", "values.tsv"),
        regions=PATHS.left_out("{roi}", "regions.tsv"),
        test=PATHS.left_out("{roi}", "test.json"),
    log:
        log_of("roi_left_out", "{roi}"),
    benchmark:
        benchmark_of("roi_left_out", "{roi}")
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: memory(1000 + 15 * len(input.baseline)) * attempt,
        runtime=lambda wildcards, attempt: minutes(20) * attempt,
    params:
        roi=lambda wildcards: plain(SETTINGS.rois[wildcards.roi]),
        name=lambda wildcards: wildcards.roi,
        rows=lambda wildcards: TARGETS.regions.rows(),
        members=per("roi", TARGETS.clusters.members),
        inference=per("roi", TARGETS.clusters.inference),
        minimum_coverage=SETTINGS.minimum_roi_coverage,
        permutations=SETTINGS.craving and SETTINGS.craving.left_out_permutations,
        seed=SETTINGS.craving and SETTINGS.craving.seed,
        blinded=SETTINGS.blinded,
        code=code("roi_left_out"),
    message:
        "Measuring the region as defined without each participant: {wildcards.roi}"
    script:
        "../scripts/roi_left_out.py"
