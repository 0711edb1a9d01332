"""Copy the analyses' unthresholded maps for NeuroVault, with the table that it asks for."""

from pharmasl.group import neurovault
from pharmasl.workflow.job import job


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    analyses = [
        neurovault.AnalysisMaps(name=name, words=words, effect=effect, t=t, z=z, inference=inference)
        for (name, words), effect, t, z, inference in zip(
            params.analyses.items(), files.effect, files.t, files.z, files.inference, strict=True
        )
    ]
    outputs = neurovault.SharedFiles(
        statistics=snakemake.output.statistics, effects=snakemake.output.effects, table=snakemake.output.table
    )
    neurovault.write(analyses, outputs, space=params.space, blinded=params.blinded)


if __name__ == "__main__":
    job(main, snakemake)
