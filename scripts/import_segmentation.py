"""Write another program's fractions of tissue as those of an anatomy; carry it to the template."""

from dataclasses import fields

from pharmasl.anatomy import imported, segmentation
from pharmasl.workflow.job import job


def main(snakemake):
    source, outputs = snakemake.input, segmentation.SegmentationOutput
    imported.import_segmentation(
        imported.Tissues(gm=source.gm, wm=source.wm, csf=source.csf),
        imported.Anatomy(preproc=source.preproc, mask=source.mask, forward=source.forward, reference=source.reference),
        outputs(**{field.name: getattr(snakemake.output, field.name) for field in fields(outputs)}),
    )


if __name__ == "__main__":
    job(main, snakemake)
