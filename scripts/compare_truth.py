"""Compare the results of the workflow with the planted effects."""

from dataclasses import fields

from pharmasl.simulate import comparison
from pharmasl.simulate.accuracy import PersonFiles, RunFiles
from pharmasl.simulate.brain_comparison import AnalysisFiles
from pharmasl.simulate.distortion_comparison import FieldFiles
from pharmasl.simulate.simulation_settings import ComparedNames
from pharmasl.study import settings
from pharmasl.workflow.job import job

PERSON = ("truth_mask", "truth_field", "mask")
RUN = ("truth_motion", "truth_coregistration", "motion", "coregistration")
FILES = (
    "plan",
    "effects",
    "scans",
    "truth_cbf",
    "cbf",
    "conditions",
    "regions",
    "model",
    "correlations",
    "gm",
    "truth_att",
    "att",
)


def _records(source, names):
    """Files of the same participant or run, by name."""
    return [dict(zip(names, paths)) for paths in zip(*(getattr(source, name) for name in names), strict=True)]


def main(snakemake):
    source, params = snakemake.input, snakemake.params
    asked = ("rest", "association", *(["cue"] if source.cue_regions else []))
    analyses = {
        question: AnalysisFiles(
            **{field.name: getattr(source, f"{question}_{field.name}") for field in fields(AnalysisFiles)}
        )
        for question in asked
    }
    states = [(f"sub-{subject}", number, condition) for subject, number, condition in params.states]
    compared = list(dict.fromkeys((who, number) for who, number, _ in states))
    people = list(dict.fromkeys(name for name, _ in compared))
    files = comparison.ComparisonFiles(
        **{name: getattr(source, name) for name in FILES},
        **{"cue": None, **analyses},
        cue_regions=next(iter(source.cue_regions), None),
        masks=dict(zip(params.rois, source.masks, strict=True)),
        cigarettes=next(iter(source.cigarettes), None),
        people=[
            PersonFiles(**paths, field=field)
            for paths, field in zip(_records(source, PERSON), source.field or [None] * len(people), strict=True)
        ],
        runs=[
            RunFiles(**paths, person=people.index(name))
            for (name, _), paths in zip(compared, _records(source, RUN), strict=True)
        ],
        field=(
            FieldFiles(list(source.truth_hertz), list(source.hertz), params.millimetres) if source.truth_hertz else None
        ),
    )
    comparison.write_comparison(
        files,
        states,
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
