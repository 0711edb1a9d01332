"""Take over one contrast map of another program."""

from pharmasl.contrasts import imported_contrast
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    """Map the rule's files and params onto :func:`pharmasl.contrasts.imported_contrast.write`."""
    files, outputs = snakemake.input, snakemake.output
    record = settings.build(imported_contrast.ImportRecord, snakemake.params.record)
    imported_contrast.write(outputs.effect, outputs.sidecar, files.image, files.template_mask, record)


if __name__ == "__main__":
    job(main, snakemake)
