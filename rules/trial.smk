"""Trial: what the declared answers say together.

Needs the inference of the analyses that ``primary`` names and, where it names them, the craving models and the regions'
correlations with craving. Gives one table: each answer's p, corrected with the others on which the trial rests.
"""


rule trial_verdict:
    input:
        inferences=TARGETS.of_declared(rules.group_statistics.output.inference),
        nulls=TARGETS.of_declared(rules.group_statistics.output.null),
        craving_model=TARGETS.if_declared("endpoint", [rules.craving_model.output.table]),
        roi_craving=TARGETS.if_declared("correlation", [rules.roi_craving.output.table]),
    output:
        table=f"{OUTPUT}/trial/verdict.tsv",
    log:
        log_of("trial_verdict", "study"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        primary=SETTINGS.get("primary"),
        analyses=TARGETS.declared_analyses(),
        craving={key: SETTINGS.get("craving", {}).get(key) for key in ("test", "resamples")},
        arms=SETTINGS.get("arms"),
        blinded=SETTINGS["blinded"],
        code=code("trial_verdict"),
    message:
        "Correcting the answers on which the trial rests"
    script:
        "../scripts/trial_verdict.py"
