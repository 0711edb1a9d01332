"""Group: the whole-brain answers.

Needs the contrast maps of both sessions, the participants' table and, for an association, the seed region's values.
Participants without a usable scan are left out and named; their empty maps say so, and the plan stays the same.
Gives effect, t and z maps, family-wise corrected p by permutation, and a table of named clusters.
Also the regions of interest: masks and values, since a cluster of one analysis may be the seed of another, and the
slopes of the regions' changes on the seeds'. A region is read in the contrast maps, or in each scan's own space.
"""


rule group_statistics:
    input:
        baseline=TARGETS.session_maps("baseline"),
        followup=TARGETS.session_maps("followup"),
        participants=TARGETS.participants_of("analyses/{analysis}"),
        template_mask=rules.template.output.mask,
        seed=TARGETS.seed,
        within=TARGETS.within,
    output:
        effect=group("statmap", stat="effect"),
        percent=group("statmap", stat="percent"),
        hedges_g=group("statmap", stat="hedgesg"),
        t=group("statmap", stat="t"),
        z=group("statmap", stat="z"),
        voxel_pfwe=group("statmap", desc="voxel", stat="logpfwe"),
        cluster_pfwe=group("statmap", desc="cluster", stat="logpfwe"),
        mass_pfwe=group("statmap", desc="mass", stat="logpfwe"),
        tfce=group("statmap", stat="tfce"),
        tfce_pfwe=group("statmap", desc="tfce", stat="logpfwe"),
        qfdr=group("statmap", desc="voxel", stat="logqfdr"),
        verdict=group("statmap", desc="verdict", stat="logp"),
        mask=group("mask", desc="brain"),
        clusters=group("dseg", desc="clusters"),
        design=group("design", ".tsv"),
        null=group("null", ".tsv", desc="permutations"),
        inference=group("inference", ".json"),
    log:
        log_of("group_statistics", "{analysis}"),
    benchmark:
        benchmark_of("group_statistics", "{analysis}")
    conda:
        "../envs/statistics.yaml"
    threads: 2
    resources:
        mem_mb=lambda wildcards, input, attempt: (1000 + 5 * len(input.baseline)) * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        analysis=lambda wildcards: SETTINGS["analyses"][wildcards.analysis],
        inference=lambda wildcards: SETTINGS["analyses"][wildcards.analysis]["inference"],
        arms=SETTINGS.get("arms"),
        sessions=TARGETS.analysis_sessions,
        participants=TARGETS.members,
        is_cbf=TARGETS.is_cbf,
        shared=TARGETS.shared_data,
        blinded=SETTINGS["blinded"],
        code=code("group_statistics"),
    message:
        "Testing over the whole brain: {wildcards.analysis}"
    script:
        "../scripts/group_statistics.py"


rule cluster_table:
    input:
        effect=rules.group_statistics.output.effect,
        t=rules.group_statistics.output.t,
        z=rules.group_statistics.output.z,
        voxel_pfwe=rules.group_statistics.output.voxel_pfwe,
        clusters=rules.group_statistics.output.clusters,
        tfce_pfwe=rules.group_statistics.output.tfce_pfwe,
        qfdr=rules.group_statistics.output.qfdr,
        inference=rules.group_statistics.output.inference,
        atlas=[rules.atlas.output.image, rules.atlas.output.labels],
    output:
        table=group("clusters", ".tsv"),
    log:
        log_of("cluster_table", "{analysis}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        blinded=SETTINGS["blinded"],
        code=code("cluster_table"),
    message:
        "Naming the clusters: {wildcards.analysis}"
    script:
        "../scripts/cluster_table.py"


rule conjunction:
    input:
        z=TARGETS.of_conjunction(rules.group_statistics.output.z),
        pfwe=TARGETS.of_conjunction(rules.group_statistics.output.verdict),
        inference=TARGETS.of_conjunction(rules.group_statistics.output.inference),
    output:
        z=conjunction("statmap", stat="z"),
        pfwe=conjunction("statmap", desc="verdict", stat="logp"),
        inference=conjunction("inference", ".json"),
    log:
        log_of("conjunction", "{conjunction}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        name=lambda wildcards: wildcards.conjunction,
        analyses=lambda wildcards: SETTINGS["conjunctions"][wildcards.conjunction],
        blinded=SETTINGS["blinded"],
        code=code("conjunction"),
    message:
        "Where analyses agree: {wildcards.conjunction}"
    script:
        "../scripts/conjunction.py"


rule roi_mask:
    input:
        reference=rules.template.output.t1w,
        template_mask=rules.template.output.mask,
        clusters=TARGETS.roi_sources("clusters"),
        atlas=TARGETS.roi_sources("atlas", [rules.atlas.output.image, rules.atlas.output.labels]),
        image=raw(TARGETS.roi_sources("image")),
    output:
        mask=f"{OUTPUT}/rois/{{roi}}_mask.nii.gz",
        sidecar=f"{OUTPUT}/rois/{{roi}}_mask.json",
    log:
        log_of("roi_mask", "{roi}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        roi=TARGETS.roi_definition,
        image=content_of(TARGETS.roi_sources("image")),
        minimum_coverage=SETTINGS["minimum_roi_coverage"],
        # Only a cluster of an analysis depends on the arms.
        blinded=lambda wildcards: SETTINGS["blinded"] and "analysis" in SETTINGS["rois"][wildcards.roi],
        code=code("roi_mask"),
    message:
        "Defining the region: {wildcards.roi}"
    script:
        "../scripts/roi_mask.py"


rule roi_values:
    input:
        mask=rules.roi_mask.output.mask,
        maps=TARGETS.roi_maps,
        gm=TARGETS.if_weighted([rules.template.output.gm]),
    output:
        table=f"{OUTPUT}/rois/{{roi}}_values.tsv",
    log:
        log_of("roi_values", "{roi}"),
    wildcard_constraints:
        roi=TARGETS.pattern(TARGETS.regions("template")),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        roi=lambda wildcards: wildcards.roi,
        rows=TARGETS.roi_rows,
        minimum_coverage=SETTINGS["minimum_roi_coverage"],
        statistic=lambda wildcards: SETTINGS["rois"][wildcards.roi]["statistic"],
        blinded=SETTINGS["blinded"],
        code=code("roi_values"),
    message:
        "Reading the region's values: {wildcards.roi}"
    script:
        "../scripts/roi_values.py"


rule native_regions:
    input:
        cbf=(
            rules.quantify_perfusion.output.gm_cbf
            if SETTINGS["perfusion"]["partial_volume"]["use"]
            else rules.quantify_perfusion.output.cbf
        ),
        brain_mask=rules.quantify_perfusion.output.brain_mask,
        gm=rules.quantify_perfusion.output.gm,
        coregistration=rules.align_perfusion.output.coregistration,
        forward=TARGETS.anatomy_of(rules.normalise_anatomy.output.forward),
        inverse=TARGETS.anatomy_of(rules.normalise_anatomy.output.inverse),
        coverage=rules.quantify_perfusion.output.coverage,
        template_gm=TARGETS.anatomy_of(rules.segment_anatomy.output.template_gm),
        masks=TARGETS.native_masks(rules.roi_mask.output.mask),
    output:
        table=f"{OUTPUT}/rois/native/{{source}}/{{scan}}_regions.tsv",
    log:
        log_of("native_regions", "{source}/{scan}"),
    wildcard_constraints:
        source=TARGETS.pattern({TARGETS.defined_by(roi) for roi in TARGETS.regions("native")}),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        regions=TARGETS.native_regions,
        # Only a cluster of an analysis depends on the arms; those of one analysis are read together, and apart from the
        # others', whose values may be a seed of that analysis.
        blinded=lambda wildcards: SETTINGS["blinded"] and wildcards.source in SETTINGS["analyses"],
        code=code("native_regions"),
    message:
        "Reading regions in the scan's own space ({wildcards.source}): {wildcards.scan}"
    script:
        "../scripts/native_regions.py"


rule native_roi_values:
    input:
        scans=TARGETS.of_contrasts(rules.native_regions.output.table),
        quality=TARGETS.of_contrasts(rules.scan_quality.output.table),
    output:
        table=rules.roi_values.output.table,
    log:
        log_of("native_roi_values", "{roi}"),
    wildcard_constraints:
        roi=TARGETS.pattern(TARGETS.regions("native")),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        roi=lambda wildcards: wildcards.roi,
        rows=TARGETS.native_rows,
        minimum_coverage=SETTINGS["minimum_roi_coverage"],
        statistic=lambda wildcards: SETTINGS["rois"][wildcards.roi]["statistic"],
        blinded=SETTINGS["blinded"],
        code=code("native_roi_values"),
    message:
        "Combining the region's values of the scans: {wildcards.roi}"
    script:
        "../scripts/native_roi_values.py"


rule seed_slopes:
    input:
        participants=TARGETS.participants_of("seed_slopes"),
        values=TARGETS.seed_slope_regions(rules.roi_values.output.table),
        sidecars=TARGETS.seed_slope_regions(rules.roi_mask.output.sidecar),
    output:
        table=f"{OUTPUT}/rois/seed_slopes.tsv",
    log:
        log_of("seed_slopes", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        analyses=TARGETS.seed_slopes,
        rois=TARGETS.seed_slope_rois(),
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("seed_slopes"),
    message:
        "Telling the regions' slopes on the seeds"
    script:
        "../scripts/seed_slopes.py"
