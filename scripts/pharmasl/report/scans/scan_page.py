"""The page of one scan: what was acquired, what was made of it, how good it is, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.quality import flags
from pharmasl.report import known_tissue_words, own_blood_words, templates
from pharmasl.report.scans import (
    acquired,
    block_design_chart,
    charts,
    native,
    numbers,
    order_words,
    over_time,
    overlays,
    panels,
    scan_heading,
    scan_series,
    unwarped,
    verdict_box,
)
from pharmasl.report.scans.scan_files import ScanFiles
from pharmasl.space import images, transforms
from pharmasl.study.distortion import Distortion
from pharmasl.study.labels import NAMES, Labels

_ASSUMED = (
    "There is no T1-weighted image: the template, stretched to the scan, stands in for the participant's anatomy."
)


@dataclass(frozen=True, kw_only=True)
class ScanPage:
    """All that the page of a scan shows; the template reads these names."""

    scan: str
    heading: str
    verdict: verdict_box.VerdictBox
    measures: list[numbers.Measure]
    summary: str
    m0: str
    echoes: str
    resolved: list[acquired.Row]
    acquired: list[panels.Panel]
    delays: list[panels.Panel]
    maps: list[panels.Panel]
    template: panels.Panel
    known_tissue: known_tissue_words.KnownTissue | None
    own_blood: str
    order: order_words.Order | None
    definitions: Sequence[Markup]
    registrations: list[overlays.Registration]
    registration_note: str
    carpet: over_time.CarpetPlot | None
    carpet_limit: float
    slices: over_time.CarpetPlot | None
    slices_out: list[tuple[str, str]]
    blocks: block_design_chart.Blocks | None
    motion: list[charts.Chart]
    repeats: charts.Chart | None
    left_out: list[tuple[str, str]]
    histograms: list[charts.Chart]


def _registrations(files: ScanFiles, assumed: bool) -> list[overlays.Registration]:
    """The registrations, with what is known of the first."""
    record = tables.read_json(files.registration)
    to_scan = transforms.read_affines(files.coregistration)[0]
    t1w, mask = images.load(files.t1w), images.load(files.t1w_mask)
    anatomy = "template" if assumed else "T1w"
    facts = [
        (name, value)
        for name, value in (
            ("accepted", "yes" if record.get("Accepted") else f"no: {record.get('Reason') or 'no reason on record'}"),
            ("registered by", record.get("Image")),
            ("overlap of the brains", None if record.get("Overlap") is None else f"{record['Overlap']:.2f}"),
            ("left and right", record.get("LeftRight")),
        )
        if value
    ]
    first = overlays.Registration(
        title=f"Scan on the {anatomy}",
        alt=f"Axial, coronal and sagittal slices of the {anatomy}, and the scan in the same planes",
        names=(anatomy, "scan"),
        outlined=anatomy,
        tiles=overlays.flicker(
            overlays.Image(volume=t1w),
            overlays.Image(volume=images.load(files.aslref), matrix=to_scan),
            brain=overlays.Image(volume=mask),
            shown=overlays.planes(mask),
        ),
        facts=facts,
    )
    if assumed:
        return [first]
    template, mask = images.load(files.reference), images.load(files.reference_mask)
    second = overlays.Registration(
        title="T1w on the template",
        alt="Axial, coronal and sagittal slices of the template, and the participant's T1w in the same planes",
        names=("template", "T1w"),
        outlined="template",
        tiles=overlays.flicker(
            overlays.Image(volume=template),
            overlays.Image(volume=images.load(files.template_t1w)),
            brain=overlays.Image(volume=mask),
            shown=overlays.planes(mask),
        ),
        facts=[],
    )
    return [first, second]


def content(
    files: ScanFiles,
    *,
    acquisition: Mapping[str, Any],
    interpolation: str,
    bands: Mapping[str, Sequence[float | None] | None],
    assumed: bool,
    labels: Labels = NAMES,
    distorted: Distortion | None = None,
) -> ScanPage:
    """Gather all that the page of a scan shows.

    Parameters
    ----------
    files : ScanFiles
    acquisition : mapping
        As :meth:`pharmasl.study.scan_acquisition.Acquisition.plain` gives it.
    interpolation : {"cubic", "linear"}
        Between the voxels of raw volumes.
    bands : mapping
        The configuration's own bands.
    assumed : bool
        Whether the template is the scan's anatomy, for want of a T1-weighted image.
    labels : Labels, optional
        Words for sessions and conditions.
    distorted : pharmasl.study.distortion.Distortion, optional
        How the images were encoded, of a scan that is corrected for distortion.
    """
    (row,) = tables.read_table(files.quality)
    sidecar = tables.read_json(files.sidecar)
    own = native.read(files, acquisition, interpolation, distorted)
    repeats = scan_series.repeats(tables.read_table(files.repeats), acquisition)
    displacement, dvars = native.confounds(files)
    slices_out, change = native.slices(files)
    resolved_bands = flags.resolve(bands)
    carpet = scan_series.carpet(own.series, own.tissues, own.brain, scan_series.kinds(acquisition))
    histograms = (
        over_time.histogram(own.cbf, own.brain, own.tissues, row),
        over_time.delay_curve(own.series, own.brain & (own.tissues["GM"] > panels.TISSUE_EDGE), repeats),
    )
    template, outlines = panels.on_template(
        images.load(files.template_cbf), files.reference_mask, {"gm": files.reference_gm}
    )
    grid = images.grid(files.cbf)
    return ScanPage(
        scan=row["scan"],
        heading=scan_heading.heading(row, labels),
        verdict=verdict_box.box(row),
        measures=numbers.measures(row, resolved_bands, bands),
        summary=acquired.summary(acquisition, grid.shape, grid.affine),
        m0=acquired.m0_words(sidecar),
        echoes=acquired.echo_words(sidecar),
        resolved=list(acquired.rows(acquisition)),
        acquired=native.acquired(own, acquisition, repeats),
        delays=native.per_delay(own, repeats),
        maps=native.maps(own),
        template=template,
        known_tissue=known_tissue_words.of_scan(sidecar.get("KnownTissue")),
        own_blood=own_blood_words.of_scan(sidecar.get("OwnBlood")),
        order=order_words.of_scan(sidecar.get("TimeEncoding")),
        definitions=[own.definitions, outlines],
        registrations=[*_registrations(files, assumed), *unwarped.registrations(files, acquisition)],
        registration_note=_ASSUMED if assumed else "",
        carpet=over_time.carpet(carpet, repeats.volumes_out) if carpet else None,
        carpet_limit=scan_series.CARPET_LIMIT,
        slices=over_time.slices(change, repeats.volumes_out),
        slices_out=slices_out,
        blocks=block_design_chart.read(files.blocks, labels),
        motion=over_time.motion(displacement, dvars, repeats.volumes_out, resolved_bands),
        repeats=over_time.repeats(repeats),
        left_out=over_time.left_out(repeats),
        histograms=[chart for chart in histograms if chart],
    )


def write(
    output: FilePath,
    files: ScanFiles,
    *,
    acquisition: Mapping[str, Any],
    interpolation: str,
    bands: Mapping[str, Sequence[float | None] | None],
    assumed: bool,
    labels: Labels = NAMES,
    distorted: Distortion | None = None,
) -> None:
    """Write the page of a scan as HTML; parameters as of :func:`content`."""
    page = content(
        files,
        acquisition=acquisition,
        interpolation=interpolation,
        bands=bands,
        assumed=assumed,
        labels=labels,
        distorted=distorted,
    )
    text = templates.environment().get_template("scans/scan.html.j2").render(vars(page))
    Path(output).write_text(text, encoding="utf-8")
