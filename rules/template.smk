"""Template: the space of the group analyses and the atlas that names what lies in it.

Needs the packages that carry them, or the user's own files. Gives both in the results' folder, on the grid of the analyses.
"""


rule template:
    input:
        **{kind: raw(path) for kind, path in TARGETS.regions.own_template().items()},
    output:
        fine_t1w=template("T1w", res="1"),
        fine_mask=template("mask", res="1", desc="brain"),
        fine_gm=template("probseg", res="1", label="GM"),
        fine_wm=template("probseg", res="1", label="WM"),
        fine_csf=template("probseg", res="1", label="CSF"),
        t1w=template("T1w", res=RESOLUTION),
        mask=template("mask", res=RESOLUTION, desc="brain"),
        gm=template("probseg", res=RESOLUTION, label="GM"),
        wm=template("probseg", res=RESOLUTION, label="WM"),
        csf=template("probseg", res=RESOLUTION, label="CSF"),
    log:
        log_of("template", SPACE),
    conda:
        "../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(900) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        resolution=SETTINGS.template.resolution,
        own=content_of(list(TARGETS.regions.own_template().values())),
        code=code("template"),
    message:
        f"Preparing the template {SPACE}"
    script:
        "../scripts/template.py"


# For the sidecars of images. It goes with the configuration, which Snakemake does not compare: where the datasets lie is no
# reason to run a job again.
config = {
    **config,
    image_sidecars.KEY: {
        "root": OUTPUT,
        "space": SPACE,
        "reference": rules.template.output.mask.removeprefix(f"{OUTPUT}/"),
        "datasets": SETTINGS.source_folders,
    },
}


rule atlas:
    input:
        own=raw(TARGETS.regions.own_atlas()),
    output:
        image=template("dseg", atlas=SETTINGS.atlas.label),
        labels=template("dseg", ".tsv", atlas=SETTINGS.atlas.label),
    log:
        log_of("atlas", SPACE),
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory(430) * attempt,
        runtime=lambda wildcards, attempt: minutes(5) * attempt,
    params:
        atlas=plain(SETTINGS.atlas),
        own=content_of(TARGETS.regions.own_atlas()),
        code=code("atlas"),
    message:
        "Preparing the atlas that names clusters"
    script:
        "../scripts/atlas.py"
