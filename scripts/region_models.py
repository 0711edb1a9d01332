"""Test an analysis' model in the declared regions and in the parcels of the atlas."""

from pharmasl.group import covariate_maps
from pharmasl.regions import region_models
from pharmasl.study import settings
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def main(snakemake):
    params = snakemake.params
    question = region_models.Question(
        analysis=settings.build(settings.Analysis, params.analysis),
        sessions=params.sessions,
        is_cbf=params.is_cbf,
    )
    region_models.write(
        rule_files(region_models.RegionFiles, snakemake.input),
        rule_files(region_models.RegionTables, snakemake.output),
        question,
        terms=[settings.build(covariate_maps.TermFiles, term) for term in params.terms],
        members=params.participants,
    )


if __name__ == "__main__":
    job(main, snakemake)
