"""Write the rows and columns of the participants' table that one model looks at."""

from pharmasl.job import job
from pharmasl.study import sheets


def main(snakemake):
    sheets.write_rows(snakemake.params.rows, snakemake.output.table)


if __name__ == "__main__":
    job(main, snakemake)
