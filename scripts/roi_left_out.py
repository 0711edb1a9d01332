"""Read a cluster's region of interest in each participant from the cluster found without them, and test it."""

from pharmasl.regions import left_out_regions, region_values
from pharmasl.study import settings
from pharmasl.workflow.job import job


def main(snakemake):
    source, params = snakemake.input, snakemake.params
    names = ("baseline", "followup", "design", "inference", "search", "mask", "maps")
    left_out_regions.write(
        left_out_regions.LeftOutFiles(**{name: source[name] for name in names}, gm=next(iter(source.gm), None)),
        left_out_regions.LeftOutTables(**{name: snakemake.output[name] for name in ("values", "regions", "test")}),
        roi=settings.build(settings.Region, {"name": params.name, **params.roi}),
        rows=[settings.build(region_values.VisitContrast, row) for row in params.rows],
        members=list(params.members),
        forming=settings.build(left_out_regions.ClusterForming, params.inference),
        minimum_coverage=params.minimum_coverage,
        permutations=params.permutations,
        seed=params.seed,
    )


if __name__ == "__main__":
    job(main, snakemake)
