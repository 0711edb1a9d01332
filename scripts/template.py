"""Write the template and its tissue maps, at its own resolution and at that of the group analyses."""

from pharmasl.space import template
from pharmasl.workflow.job import job


def main(snakemake):
    out = snakemake.output
    fine = {"t1w": out.fine_t1w, "mask": out.fine_mask, "GM": out.fine_gm, "WM": out.fine_wm, "CSF": out.fine_csf}
    coarse = {"t1w": out.t1w, "mask": out.mask, "GM": out.gm, "WM": out.wm, "CSF": out.csf}
    template.write_template(fine, coarse, snakemake.params.resolution, own=dict(snakemake.input.items()))


if __name__ == "__main__":
    job(main, snakemake)
