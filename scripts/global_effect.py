"""Test an analysis' model on global CBF, over the brain and over grey matter."""

from pharmasl.regions import global_effect, region_models
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
    files = rule_files(global_effect.GlobalEffectFiles, snakemake.input)
    global_effect.write(files, snakemake.output.table, question)


if __name__ == "__main__":
    job(main, snakemake)
