"""Smooth a participant's grey matter on the template as CBF is smoothed, for models that take it as a term."""

from pharmasl.contrasts import term_maps
from pharmasl.workflow.job import job


def main(snakemake):
    files, outputs = snakemake.input, snakemake.output
    term_maps.write_grey_matter(
        outputs.image,
        outputs.sidecar,
        grey_matter=files.grey_matter,
        template_mask=files.template_mask,
        fwhm=snakemake.params.fwhm,
    )


if __name__ == "__main__":
    job(main, snakemake)
