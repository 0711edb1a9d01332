"""Write another program's transform to the template as the deformation."""

from pharmasl.anatomy import imported
from pharmasl.workflow.job import job


def main(snakemake):
    source, out, params = snakemake.input, snakemake.output, snakemake.params
    imported.import_registration(
        imported.RegistrationFiles(
            transforms=list(source.transforms),
            preproc=source.preproc,
            mask=source.mask,
            template=source.template,
            forward=out.forward,
            sidecar=out.sidecar,
        ),
        params.program,
        space=params.space,
    )


if __name__ == "__main__":
    job(main, snakemake)
