"""Write the rows and columns of the participants' table that one model looks at."""

from pharmasl.study import sheets
from pharmasl.workflow.job import job


def main(snakemake):
    sheets.write_rows(snakemake.params.rows, snakemake.output.table)


if __name__ == "__main__":
    job(main, snakemake)
