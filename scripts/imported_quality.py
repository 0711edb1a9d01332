"""Measure the quality of a CBF map that another program made, and judge it."""

from pharmasl.quality import assessment, imported_quality
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    read, params = snakemake.input, snakemake.params
    imported_quality.assess(
        snakemake.output.table,
        scan=settings.build(assessment.ScanLabel, params.scan),
        files=imported_quality.ImportedFiles(
            cbf=read.cbf,
            coverage=read.coverage,
            sidecar=read.sidecar,
            mask=read.mask,
            gm=read.gm,
            wm=read.wm,
            csf=read.csf,
        ),
        measures=params.measures,
        rules=settings.build(settings.ScanRules, params.rules),
        by_hand=assessment.ByHand(params.own_exclusion, params.own_rating, params.own_acceptance),
    )


if __name__ == "__main__":
    job(main, snakemake)
