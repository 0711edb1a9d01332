"""Test an effect on change at every voxel: maps, permutation p, clusters and the definitions behind them."""

from pharmasl.group import analysis, covariate_maps
from pharmasl.group.analysis_rows import InputFiles
from pharmasl.group.definitions import Question
from pharmasl.study import effect_words, settings
from pharmasl.workflow.job import job


def main(snakemake):
    inputs, params = snakemake.input, snakemake.params

    def several(paths):
        return [paths] if isinstance(paths, str) else list(paths)

    def one(paths):
        return next(iter(several(paths)), None)

    question = Question(
        analysis=settings.build(settings.Analysis, params.analysis),
        arms=params.arms and settings.build(settings.Arms, params.arms),
        sessions=params.sessions,
        is_cbf=params.is_cbf,
        shared_data=tuple(params.shared),
        scaling=settings.build(settings.Scaling, params.scaling),
        cautions=tuple(params.cautions),
        quantity=effect_words.Quantity(**params.quantity),
    )
    terms = [settings.build(covariate_maps.TermFiles, term) for term in params.terms]
    files = InputFiles(
        baseline=several(inputs.baseline),
        followup=several(inputs.followup),
        members=params.participants,
        participants=inputs.participants,
        template_mask=inputs.template_mask,
        seeds=several(inputs.seeds),
        within=one(inputs.within),
        further=several(inputs.further),
        terms=covariate_maps.term_maps(several(inputs.terms), terms, params.participants),
        global_values=one(inputs.global_values),
    )
    analysis.run(question, files, snakemake.output, statistic=params.statistic, threads=snakemake.threads)


if __name__ == "__main__":
    job(main, snakemake)
