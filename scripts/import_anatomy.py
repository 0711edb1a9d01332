"""Write another program's T1-weighted image and brain mask as the files of an anatomy."""

from pharmasl.anatomy import imported
from pharmasl.workflow.job import job


def main(snakemake):
    source, out = snakemake.input, snakemake.output
    imported.import_image(
        source.t1w,
        source.mask,
        preproc=out.preproc,
        brain=out.mask,
        sidecar=out.sidecar,
        program=snakemake.params.program,
    )


if __name__ == "__main__":
    job(main, snakemake)
