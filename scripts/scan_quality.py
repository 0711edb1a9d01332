"""Measure the quality of one scan and draw its picture."""

from pharmasl.quality import scan_measures
from pharmasl.workflow.job import job


def main(snakemake):
    """Map the rule's files onto :func:`pharmasl.quality.scan_measures.assess`."""
    source = snakemake.input
    scan_measures.assess(
        cbf=source.cbf,
        timeseries=source.timeseries,
        brain_mask=source.brain_mask,
        gm=source.gm,
        wm=source.wm,
        csf=source.csf,
        confounds=source.confounds,
        repeats=source.repeats,
        registration=source.registration,
        sidecar=source.sidecar,
        coverage=source.coverage,
        template_cbf=source.template_cbf,
        template_mask=source.template_mask,
        template_gm=source.template_gm,
        table=snakemake.output.table,
        figure=snakemake.output.figure,
        scan=snakemake.params.scan,
        bands=snakemake.params.bands,
        rule=snakemake.params.rule,
        own_exclusion=snakemake.params.own_exclusion,
        own_acceptance=snakemake.params.own_acceptance,
    )


if __name__ == "__main__":
    job(main, snakemake)
