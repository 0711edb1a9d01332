"""Compare the results of the workflow with the planted effects."""

from dataclasses import fields

from pharmasl.simulate import comparison
from pharmasl.simulate.accuracy import PersonFiles, RunFiles
from pharmasl.simulate.brain_comparison import AnalysisFiles
from pharmasl.simulate.simulation_settings import ComparedNames
from pharmasl.study import settings
from pharmasl.workflow.job import job

PERSON = ("truth_mask", "truth_field", "mask", "field")
RUN = ("truth_motion", "truth_coregistration", "motion", "coregistration")
FILES = ("plan", "effects", "scans", "truth_cbf", "cbf", "model", "correlations", "gm")


def _records(source, names):
    """Files of the same participant or run, by name."""
    return [dict(zip(names, paths)) for paths in zip(*(getattr(source, name) for name in names))]


def main(snakemake):
    source, params = snakemake.input, snakemake.params
    analyses = {
        question: AnalysisFiles(
            **{field.name: getattr(source, f"{question}_{field.name}") for field in fields(AnalysisFiles)}
        )
        for question in ("rest", "association")
    }
    runs_per_person = len(source.motion) // len(source.mask)
    files = comparison.ComparisonFiles(
        **{name: getattr(source, name) for name in FILES},
        **analyses,
        cigarettes=next(iter(source.cigarettes), None),
        people=[PersonFiles(**paths) for paths in _records(source, PERSON)],
        runs=[
            RunFiles(**paths, person=number // runs_per_person) for number, paths in enumerate(_records(source, RUN))
        ],
    )
    comparison.write_comparison(
        files,
        table=snakemake.output.table,
        text=snakemake.output.text,
        arms=settings.build(settings.Arms, params.arms),
        sessions=settings.build(settings.Sessions, params.sessions),
        compare=settings.build(ComparedNames, params.compare),
        fwhm=params.smoothing_fwhm,
        alpha=params.alpha,
    )


if __name__ == "__main__":
    job(main, snakemake)
