"""Correct the answers on which the trial rests together."""

from pharmasl.conduct import trial_verdict
from pharmasl.conduct.answers import CorrelationTest
from pharmasl.study import settings
from pharmasl.workflow.job import job
from pharmasl.workflow.rule_files import rule_files


def _test(asked, arms):
    """The declared correlation of a section of the configuration."""
    return CorrelationTest(
        declared=settings.build(settings.DeclaredCorrelation, asked["test"]), resamples=asked["resamples"], arms=arms
    )


def main(snakemake):
    """Map the rule's files and settings onto :func:`pharmasl.conduct.trial_verdict.write`."""
    params = snakemake.params
    arms = params.arms and settings.build(settings.Arms, params.arms)
    trial_verdict.write(
        rule_files(trial_verdict.VerdictFiles, snakemake.input),
        snakemake.output.table,
        analyses=params.analyses,
        endpoints=params.endpoints,
        declared=settings.build(settings.Primary, params.primary),
        correlation=_test(params.craving, arms) if params.craving else None,
        relations={name: _test(own, arms) for name, own in params.relations.items()},
    )


if __name__ == "__main__":
    job(main, snakemake)
