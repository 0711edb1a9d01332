"""pharmasl: from raw BIDS arterial spin labelling of a drug trial to its answers. The configuration is the manual."""

from snakemake.utils import min_version

min_version("9.27")

if not (CONFIGURED := bool(config)):

    configfile: workflow.source_path("config/config.yaml")


include: "rules/common.smk"
include: "rules/study.smk"
include: "rules/template.smk"
include: "rules/anat.smk"
include: "rules/perfusion.smk"
include: "rules/quality.smk"
include: "rules/derivatives.smk"
include: "rules/contrasts.smk"
include: "rules/group.smk"
include: "rules/regions.smk"
include: "rules/endpoints.smk"
include: "rules/conduct.smk"


if SETTINGS.sensitivity:

    include: "rules/sensitivity.smk"


include: "rules/export.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
        rules.allocation_log.output if SETTINGS.blinded and SETTINGS.arms else [],
        further_results,


rule cbf:
    input:
        expand(rules.quantify_perfusion.output.smooth, scan=STUDY.scans),


rule quality:
    input:
        rules.study_quality.output,


rule contrasts:
    input:
        TARGETS.contrasts.maps(),


rule group:
    input:
        TARGETS.analyses.files(rules.cluster_table.output.table),
