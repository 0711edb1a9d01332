"""Craving: the trial's clinical answers.

Needs the dataset's craving table and the regions' values. Gives scores, models, correlations with perfusion and, where
asked for, a mediation. A region that is a cluster of an analysis is read a second time, in each participant from the
cluster found without them.
"""


rule craving_scores:
    input:
        table=raw(TARGETS.craving_table),
        participants=TARGETS.participants_of("craving"),
    output:
        table=f"{OUTPUT}/craving/craving_scores.tsv",
    log:
        log_of("craving_scores", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        craving=TARGETS.craving_ratings(),
        scores=lambda wildcards: plan.scores(READING.study),
        sessions=SETTINGS.get("sessions"),
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("craving_scores"),
    message:
        "Reading the craving scores"
    script:
        "../scripts/craving_scores.py"


rule craving_model:
    input:
        scores=rules.craving_scores.output.table,
    output:
        table=f"{OUTPUT}/craving/craving_model.tsv",
        influence=f"{OUTPUT}/craving/craving_influence.tsv",
    log:
        log_of("craving_model", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        sessions=SETTINGS.get("sessions"),
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("craving_model"),
    message:
        "Modelling cue-elicited craving"
    script:
        "../scripts/craving_model.py"


rule roi_left_out:
    input:
        baseline=TARGETS.defining_maps("baseline"),
        followup=TARGETS.defining_maps("followup"),
        design=TARGETS.of_defining(rules.group_statistics.output.design),
        inference=TARGETS.of_defining(rules.group_statistics.output.inference),
        search=TARGETS.of_defining(rules.group_statistics.output.mask),
        mask=rules.roi_mask.output.mask,
        maps=TARGETS.roi_maps,
        gm=TARGETS.if_weighted([rules.template.output.gm]),
    output:
        values=f"{OUTPUT}/rois/{{roi}}_leftout_values.tsv",
        regions=f"{OUTPUT}/rois/{{roi}}_leftout_regions.tsv",
        test=f"{OUTPUT}/rois/{{roi}}_leftout_test.json",
    log:
        log_of("roi_left_out", "{roi}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: (1000 + 15 * len(input.baseline)) * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        roi=lambda wildcards: SETTINGS["rois"][wildcards.roi],
        name=lambda wildcards: wildcards.roi,
        rows=TARGETS.roi_rows,
        members=TARGETS.defining_members,
        inference=TARGETS.defining_inference,
        minimum_coverage=SETTINGS["minimum_roi_coverage"],
        permutations=SETTINGS.get("craving", {}).get("left_out_permutations"),
        seed=SETTINGS.get("craving", {}).get("seed"),
        blinded=SETTINGS["blinded"],
        code=code("roi_left_out"),
    message:
        "Reading the region without each participant's own part in it: {wildcards.roi}"
    script:
        "../scripts/roi_left_out.py"


rule roi_craving:
    input:
        scores=rules.craving_scores.output.table,
        values=TARGETS.craving_values,
        sidecars=TARGETS.craving_masks,
        left_out=TARGETS.left_out_values,
    output:
        table=f"{OUTPUT}/craving/roi_craving.tsv",
    log:
        log_of("roi_craving", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        craving=TARGETS.craving_without("mediation", "left_out_permutations"),
        sessions=SETTINGS.get("sessions"),
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("roi_craving"),
    message:
        "Relating the regions' perfusion to craving"
    script:
        "../scripts/roi_craving.py"


rule craving_mediation:
    input:
        scores=rules.craving_scores.output.table,
        values=TARGETS.mediators(rules.roi_values.output.table),
        sidecars=TARGETS.mediators(rules.roi_mask.output.sidecar),
    output:
        table=f"{OUTPUT}/craving/craving_mediation.tsv",
    log:
        log_of("craving_mediation", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1200 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        craving=TARGETS.craving_without("rois", "contrast", "test", "family", "left_out_permutations"),
        sessions=SETTINGS.get("sessions"),
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("craving_mediation"),
    message:
        "Following the effect of treatment on craving by way of regional perfusion"
    script:
        "../scripts/craving_mediation.py"
