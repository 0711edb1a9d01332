"""Group: the whole-brain answers.

Needs the contrast maps of both sessions, the participants' table and, for an association, the seed region's values.
Participants without a usable scan are left out and named; their maps are empty, so the same jobs run.
Gives effect, t and z maps, family-wise corrected p by permutation, and a table of named clusters.
"""

# What a rule of the whole brain writes, but for the map of the statistic itself.
OF_ANALYSIS = dict(
    effect=group("statmap", stat="effect"),
    percent=group("statmap", stat="percent"),
    hedges_g=group("statmap", stat="hedgesg"),
    called=group("statmap", desc="called", stat="effect"),
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
)


rule group_statistics:
    input:
        baseline=per("analysis", TARGETS.analyses.session_maps, "baseline"),
        followup=per("analysis", TARGETS.analyses.session_maps, "followup"),
        participants=PATHS.participants("analyses/{analysis}"),
        template_mask=rules.template.output.mask,
        further=per("analysis", TARGETS.analyses.further_maps),
        seeds=per("analysis", TARGETS.analyses.seed_values),
        within=per("analysis", TARGETS.analyses.search_region),
        terms=per(
            "analysis",
            TARGETS.terms.maps,
            rules.smooth_grey_matter.output.image,
            rules.session_transit_time.output.image,
        ),
        global_values=per("analysis", TARGETS.terms.global_values, rules.global_values.output.contrasts),
    output:
        **OF_ANALYSIS,
        t=PATHS.statistic("{analysis}", "{label}", "t"),
    log:
        log_of("group_statistics", "{analysis}_contrast-{label}"),
    benchmark:
        benchmark_of("group_statistics", "{analysis}_contrast-{label}")
    wildcard_constraints:
        analysis=patterns.folders(TARGETS.analyses.with_statistic("t")),
    conda:
        "../envs/statistics.yaml"
    threads: 2
    resources:
        mem_mb=lambda wildcards, input, attempt: memory(1000 + 5 * len(input.baseline)) * attempt,
        runtime=lambda wildcards, attempt: minutes(45) * attempt,
    params:
        analysis=lambda wildcards: plain(SETTINGS.analyses[wildcards.analysis]),
        arms=ARMS,
        sessions=per("analysis", TARGETS.analyses.sessions),
        participants=per("analysis", TARGETS.analyses.members),
        is_cbf=per("analysis", TARGETS.analyses.is_cbf),
        scaling=per("analysis", TARGETS.analyses.scaling),
        terms=per("analysis", TARGETS.terms.described),
        cautions=per("analysis", TARGETS.terms.cautions),
        quantity=TARGETS.contrasts.quantity(),
        shared=per("analysis", TARGETS.analyses.shared_data),
        statistic=per("analysis", TARGETS.analyses.statistic),
        blinded=SETTINGS.blinded,
        code=code("group_statistics"),
    message:
        "Testing over the whole brain: {wildcards.analysis}"
    script:
        "../scripts/group_statistics.py"


use rule group_statistics as group_f_statistics with:
    output:
        **OF_ANALYSIS,
        t=PATHS.statistic("{analysis}", "{label}", "F"),
    log:
        log_of("group_f_statistics", "{analysis}_contrast-{label}"),
    benchmark:
        benchmark_of("group_f_statistics", "{analysis}_contrast-{label}")
    wildcard_constraints:
        analysis=patterns.folders(TARGETS.analyses.with_statistic("F")),


rule cluster_table:
    input:
        effect=rules.group_statistics.output.effect,
        t=per("analysis", TARGETS.analyses.statistic_map),
        z=rules.group_statistics.output.z,
        voxel_pfwe=rules.group_statistics.output.voxel_pfwe,
        clusters=rules.group_statistics.output.clusters,
        tfce_pfwe=rules.group_statistics.output.tfce_pfwe,
        qfdr=rules.group_statistics.output.qfdr,
        inference=rules.group_statistics.output.inference,
        atlas=[rules.atlas.output.image, rules.atlas.output.labels],
    output:
        table=REPORTED.analysis(group("clusters", ".tsv"), "Table of clusters"),
    log:
        log_of("cluster_table", "{analysis}_contrast-{label}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        blinded=SETTINGS.blinded,
        code=code("cluster_table"),
    message:
        "Naming the clusters: {wildcards.analysis}"
    script:
        "../scripts/cluster_table.py"


rule called_summary:
    input:
        called=rules.group_statistics.output.called,
        mask=rules.group_statistics.output.mask,
        inference=rules.group_statistics.output.inference,
        gm=rules.template.output.gm,
    output:
        table=group("summary", ".tsv", desc="called"),
    log:
        log_of("called_summary", "{analysis}_contrast-{label}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(280) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        blinded=SETTINGS.blinded,
        code=code("called_summary"),
    message:
        "Summing up which estimates would have been called: {wildcards.analysis}"
    script:
        "../scripts/called_summary.py"


rule cluster_values:
    input:
        baseline=per("analysis", TARGETS.analyses.session_maps, "baseline"),
        followup=per("analysis", TARGETS.analyses.session_maps, "followup"),
        further=per("analysis", TARGETS.analyses.further_maps),
        participants=PATHS.participants("analyses/{analysis}"),
        clusters=rules.group_statistics.output.clusters,
        inference=rules.group_statistics.output.inference,
    output:
        table=group("values", ".tsv", desc="clusters"),
    log:
        log_of("cluster_values", "{analysis}_contrast-{label}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(280) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        sessions=per("analysis", TARGETS.analyses.sessions),
        participants=per("analysis", TARGETS.analyses.members),
        blinded=SETTINGS.blinded,
        code=code("cluster_values"),
    message:
        "Reading the clusters' values: {wildcards.analysis}"
    script:
        "../scripts/cluster_values.py"


rule conjunction:
    input:
        z=per("conjunction", TARGETS.analyses.conjunction_files, rules.group_statistics.output.z),
        pfwe=per("conjunction", TARGETS.analyses.conjunction_files, rules.group_statistics.output.verdict),
        inference=per("conjunction", TARGETS.analyses.conjunction_files, rules.group_statistics.output.inference),
        template_mask=rules.template.output.mask,
    output:
        z=conjunction("statmap", stat="z"),
        pfwe=conjunction("statmap", desc="verdict", stat="logp"),
        inference=conjunction("inference", ".json"),
    log:
        log_of("conjunction", "{conjunction}_contrast-{label}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(800) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        name=lambda wildcards: wildcards.conjunction,
        analyses=lambda wildcards: list(SETTINGS.conjunctions[wildcards.conjunction]),
        blinded=SETTINGS.blinded,
        code=code("conjunction"),
    message:
        "Testing where analyses agree: {wildcards.conjunction}"
    script:
        "../scripts/conjunction.py"


rule neurovault:
    input:
        effect=TARGETS.analyses.files(rules.group_statistics.output.effect),
        t=list(map(TARGETS.analyses.statistic_map, SETTINGS.analyses)),
        z=TARGETS.analyses.files(rules.group_statistics.output.z),
        inference=TARGETS.analyses.files(rules.group_statistics.output.inference),
    output:
        # On request alone: the target of this name.
        statistics=[f"{OUTPUT}/neurovault/{name}_statistic.nii.gz" for name in SETTINGS.analyses],
        effects=[f"{OUTPUT}/neurovault/{name}_effect.nii.gz" for name in SETTINGS.analyses],
        table=f"{OUTPUT}/neurovault/metadata.tsv",
    log:
        log_of("neurovault", "study"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        analyses={name: SETTINGS.labels.analysis(name) for name in SETTINGS.analyses},
        space=SPACE,
        blinded=SETTINGS.blinded,
        code=code("neurovault"),
    message:
        "Copying the unthresholded maps for NeuroVault"
    script:
        "../scripts/neurovault.py"
