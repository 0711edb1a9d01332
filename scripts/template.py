"""Write the template and its tissue maps, at its own resolution and at that of the group analyses."""

from pharmasl.space import template
from pharmasl.workflow.job import job


def main(snakemake):
    out = snakemake.output
    fine = template.TemplateFiles(
        t1w=out.fine_t1w, mask=out.fine_mask, gm=out.fine_gm, wm=out.fine_wm, csf=out.fine_csf
    )
    coarse = template.TemplateFiles(t1w=out.t1w, mask=out.mask, gm=out.gm, wm=out.wm, csf=out.csf)
    template.write_template(fine, coarse, snakemake.params.resolution, own=dict(snakemake.input.items()))


if __name__ == "__main__":
    job(main, snakemake)
