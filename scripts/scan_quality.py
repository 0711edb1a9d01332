"""Measure the quality of one scan and judge it."""

from dataclasses import fields

from pharmasl.quality import assessment
from pharmasl.quality.scan_maps import QualityFiles
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    params = snakemake.params
    assessment.assess(
        snakemake.output.table,
        scan=settings.build(assessment.ScanLabel, params.scan),
        files=QualityFiles(**{field.name: getattr(snakemake.input, field.name) for field in fields(QualityFiles)}),
        rules=settings.build(settings.ScanRules, params.rules),
        by_hand=assessment.ByHand(params.own_exclusion, params.own_rating, params.own_acceptance),
    )


if __name__ == "__main__":
    job(main, snakemake)
