"""The quality of one scan: a table of one row and a picture."""

import numpy as np

from pharmasl import images, tables
from pharmasl.quality import columns, picture
from pharmasl.quality.flags import flags, resolve
from pharmasl.quality.metrics import scan_metrics


def numbers(rows, name):
    """A column of a table as floats, missing as NaN."""
    return np.array([float("nan") if row[name] is None else float(row[name]) for row in rows])


def load_series(path):
    """A CBF series as (X, Y, Z, pairs); a scan of one pair is stored without the last axis."""
    series, _ = images.load(path)
    return series if series.ndim == 4 else series[..., np.newaxis]


def assess(
    *,
    cbf,
    timeseries,
    brain_mask,
    gm,
    wm,
    csf,
    confounds,
    coverage,
    template_cbf,
    template_mask,
    template_gm,
    table,
    figure,
    scan,
    bands,
):
    """Measure one scan, flag what lies outside the bands and draw its picture.

    Parameters
    ----------
    cbf, timeseries, brain_mask, gm, wm, csf : path-like
        Images on the perfusion scan's own grid; ``timeseries`` has one CBF map a label-control pair.
    confounds : path-like
        Table with ``framewise_displacement`` (mm) and ``dvars``, a row a volume.
    coverage, template_cbf, template_mask, template_gm : path-like
        Images on the template grid.
    table, figure : path-like
        Written: TSV of one row with its JSON sidecar, and PNG.
    scan : dict
        ``participant_id``, ``session``, ``condition`` and ``scan``: the first columns of the row.
    bands : dict
        Measure to ``[low, high]``, laid over :data:`pharmasl.quality.flags.BANDS`; None for no band.
    """
    cbf, affine = images.load(cbf)
    series = load_series(timeseries)
    brain, gm, wm, csf = (images.load(path)[0] for path in (brain_mask, gm, wm, csf))
    rows = tables.read_table(confounds)
    displacement, dvars = numbers(rows, "framewise_displacement"), numbers(rows, "dvars")
    template_cbf, template_affine = images.load(template_cbf)
    coverage, template_mask, template_gm = (images.load(path)[0] for path in (coverage, template_mask, template_gm))

    measures = scan_metrics(
        cbf, affine, series, brain, gm, wm, csf, displacement, dvars, template_cbf, coverage, template_mask, template_gm
    )
    found = flags(measures, resolve(bands))
    picture.draw(
        figure,
        scan,
        measures,
        found,
        native=(cbf, brain, gm, affine),
        template=(template_cbf, template_mask, template_gm, template_affine),
        displacement=displacement,
        pair_cbf=picture.pair_means(series, gm, brain),
    )
    tables.write_table(table, [{**scan, **measures, "flags": ",".join(found)}], columns.COLUMNS)
