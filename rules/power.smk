"""Power: the maps depth of a planned trial. Studies are drawn on the template, and tested as the trial will be.

An entry of its own, since a planned trial has no data yet:

    ./run power my_power.yaml --maps

Needs the file of assumptions (setting assumptions), which names the planned study's configuration. Gives a table of power by
test, size of the effect, place, scaling and model in its output_dir.
"""

import os
from functools import partial

from snakemake.exceptions import WorkflowError


include: "package.smk"


try:
    from pharmasl.commands import planned_study
    from pharmasl.errors import InputError, InputErrors, wrapped
    from pharmasl.records import provenance
    from pharmasl.study import own_template
    from pharmasl.study.settings import plain
    from pharmasl.workflow import closing, failures, requests
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"Planning needs the package {error.name} beside Snakemake: install it there, or use ./run."
    ) from None

try:
    ASSUMPTIONS, SETTINGS = planned_study.read(config.get("assumptions", planned_study.ASSUMPTIONS))
    PLANNED = dict(enumerate(planned_study.maps(ASSUMPTIONS, SETTINGS), 1))
except (InputError, InputErrors) as error:
    raise WorkflowError(wrapped(error)) from None

OUTPUT = ASSUMPTIONS.output_dir.rstrip("/")
MAPS = f"{OUTPUT}/maps"
SHARES = ASSUMPTIONS.maps.shares

code = provenance.digest
memory, minutes = requests.Requests(0).memory, requests.Requests(0).minutes
log_of = partial("{}/logs/{}/{}.log".format, OUTPUT)
planned_of = lambda wildcards: plain(PLANNED[int(wildcards.outcome)])

# With the logger of ./run, which says at the end how it went.
OWN_LOGGERS = [each for each in workflow.logger_manager.get_log_handlers() if hasattr(each, "closes_with")]
for each in OWN_LOGGERS:
    each.closes_with(partial(closing.closing_power, f"{OUTPUT}/logs"))


wildcard_constraints:
    outcome=r"\d+",
    job=r"\d+",


onstart:
    failures.forget(f"{OUTPUT}/logs")
    if OWN_LOGGERS and workflow.local_exec:
        os.environ[failures.REPORTED] = "1"


rule power_tables:
    default_target: True
    input:
        f"{OUTPUT}/maps.tsv",
    message:
        "Power of the planned trial's maps is counted"


rule power_brain:
    input:
        **own_template.files(SETTINGS.template),
    output:
        mask=f"{MAPS}/brain.nii.gz",
    log:
        log_of("power_brain", "brain"),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(900) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        voxel_size=ASSUMPTIONS.maps.voxel_size,
        code=code("power_brain"),
    message:
        "Preparing the brain of the drawn maps"
    script:
        "../scripts/power_brain.py"


rule power_ground:
    input:
        brain=rules.power_brain.output.mask,
    output:
        ground=f"{MAPS}/outcome-{{outcome}}/ground.npz",
    log:
        log_of("power_ground", "outcome-{outcome}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        places=lambda wildcards: plain(PLANNED[int(wildcards.outcome)].ground),
        atlas=plain(SETTINGS.atlas),
        minimum_coverage=SETTINGS.minimum_roi_coverage,
        code=code("power_ground"),
    message:
        "Laying the places of outcome {wildcards.outcome} on the brain"
    script:
        "../scripts/power_ground.py"


rule power_studies:
    input:
        ground=rules.power_ground.output.ground,
    output:
        table=f"{MAPS}/outcome-{{outcome}}/studies-{{job}}.tsv",
    log:
        log_of("power_studies", "outcome-{outcome}_studies-{job}"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(1000) * attempt,
        runtime=lambda wildcards, attempt: minutes(45) * attempt,
    params:
        planned=planned_of,
        first=lambda wildcards: SHARES.first(int(wildcards.job)),
        studies=lambda wildcards: SHARES.of_job(int(wildcards.job)),
        code=code("power_studies"),
    message:
        "Drawing and testing studies {wildcards.job} of outcome {wildcards.outcome}"
    script:
        "../scripts/power_studies.py"


rule power_maps:
    input:
        grounds=[rules.power_ground.output.ground.format(outcome=outcome) for outcome in PLANNED],
        tables=[
            rules.power_studies.output.table.format(outcome=outcome, job=job)
            for outcome in PLANNED
            for job in range(1, SHARES.jobs + 1)
        ],
    output:
        table=f"{OUTPUT}/maps.tsv",
        sidecar=f"{OUTPUT}/maps.json",
        assumptions=f"{OUTPUT}/maps_assumptions.json",
    log:
        log_of("power_maps", "maps"),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(500) * attempt,
        runtime=lambda wildcards, attempt: minutes(10) * attempt,
    params:
        planned=[plain(planned) for planned in PLANNED.values()],
        shares=plain(SHARES),
        code=code("power_maps"),
    message:
        "Counting how often the tests are significant"
    script:
        "../scripts/power_maps.py"
