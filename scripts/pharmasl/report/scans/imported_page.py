"""The page of a scan of whose CBF another program made the map: where the map comes from, how it lies, and how good it is."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from pharmasl.errors import FilePath
from pharmasl.figures.numerals import MISSING
from pharmasl.files import tables
from pharmasl.perfusion import imported_voxels
from pharmasl.quality import flags
from pharmasl.quality.measure_columns import METRICS
from pharmasl.report import templates
from pharmasl.report.scans import (
    acquired,
    charts,
    numbers,
    over_time,
    overlays,
    panels,
    sampling,
    scan_heading,
    tiles,
    verdict_box,
    voxel_pictures,
)
from pharmasl.report.scans.scan_files import ImportedScanFiles
from pharmasl.report.words import listed, upper
from pharmasl.space import images, itk_transforms
from pharmasl.space.images import Volume
from pharmasl.study.cbf_units import CBF_UNIT
from pharmasl.study.labels import NAMES, Labels


@dataclass(frozen=True, kw_only=True)
class ImportedPage:
    """All that the page of an imported map shows; the template reads these names."""

    scan: str
    heading: str
    verdict: verdict_box.VerdictBox
    measures: list[numbers.Measure]
    summary: str
    resolved: list[acquired.Row]
    maps: list[panels.Panel]
    template: panels.Panel
    definitions: Sequence[Markup]
    registrations: list[overlays.Registration]
    registration_note: str
    histograms: list[charts.Chart]
    # Another program has quantified CBF.
    known_tissue: None = None
    own_blood: str = ""
    order: None = None


def _own_grid(cbf: Volume, known: np.ndarray, note: str) -> tuple[panels.Panel, Markup]:
    """The map as it came, in mL/100 g/min, and the outlines of its tiles."""
    brain, zooms = tiles.to_ras(known, cbf.affine)
    values, _ = tiles.to_ras(np.where(known, cbf.data, np.nan), cbf.affine)
    shown = tiles.axial(brain, {"brain": brain}, zooms, count=panels.SLICES, prefix="n")
    panel = panels.Panel(
        title="The map as it came, on its own grid",
        alt="Axial slices of the CBF map on its own grid with the outline of what it covers",
        note=note,
        tiles=shown.tiles(values, voxel_pictures.CBF),
        scale=voxel_pictures.CBF,
    )
    return panel, shown.definitions


def _whole(files: ImportedScanFiles, cbf: Volume, reference: Volume) -> overlays.Image:
    """The map in the template's space, beyond the template's brain too: where its edges lie is the question."""
    if not files.transforms:
        return overlays.Image(volume=cbf)
    points = itk_transforms.on_grid(files.transforms, reference.grid)
    return overlays.Image(volume=Volume(sampling.sample(cbf.data, cbf.affine, points), reference.affine))


def _registration(files: ImportedScanFiles, cbf: Volume, made_by: str) -> overlays.Registration:
    template, mask = images.load(files.reference), images.load(files.reference_mask)
    by = [os.path.basename(path) for path in files.transforms]
    return overlays.Registration(
        title="Map on the template",
        alt="Axial, coronal and sagittal slices of the template, and the map in the same planes",
        names=("template", "map"),
        outlined="template",
        tiles=overlays.flicker(
            overlays.Image(volume=template),
            _whole(files, cbf, template),
            brain=overlays.Image(volume=mask),
            shown=overlays.planes(mask),
        ),
        facts=[("brought there by", listed(reversed(by)) if by else made_by)],
    )


def _rows(
    record: Mapping[str, Any], files: ImportedScanFiles, file: str, measures: Iterable[str]
) -> Iterable[acquired.Row]:
    """What is on record of a map: what, value, and where it comes from."""
    program = record["GeneratedBy"]
    made_by = f"{program['Name']} {program['Version']}"
    units = record["Units"]
    factor = "" if units["Factor"] == 1 else f"; multiplied by {units['Factor']:.6g} for {CBF_UNIT}"
    yield "Map", file, made_by
    yield (
        "Brain mask",
        os.path.basename(files.mask[0]) if files.mask else "none: a voxel of exactly 0 is missing",
        made_by if files.mask else "",
    )
    yield "Unit", f"{units['Value']}{factor}", acquired.without_folders(str(units["Source"]))
    yield "Space of its template", record["Space"], "the name of its file, or the configuration (derivatives.cbf)"
    yield "On the template", record["Resampling"], ", ".join(record["Transforms"])
    if own := [METRICS[name]["LongName"] for name in measures if name in METRICS]:
        yield "Measures taken over", listed(own), f"the table of {made_by}, or of the maps"
    yield "Standard error", "not known", ""


def _advised(measure: numbers.Measure, made_by: str) -> numbers.Measure:
    """A measure with its causes, and with the place where more is to be seen than here."""
    if measure.advice is None:
        return measure
    action = f"Look at the map, and at the scan in the reports of {made_by}."
    return dataclasses.replace(measure, advice=measure.advice._replace(action=action))


def content(
    files: ImportedScanFiles,
    *,
    file: str,
    measures: Sequence[str],
    bands: Mapping[str, Sequence[float | None] | None],
    labels: Labels = NAMES,
) -> ImportedPage:
    """Gather all that the page of an imported map shows.

    Parameters
    ----------
    files : ImportedScanFiles
    file : str
        The map's path below its program's folder.
    measures : sequence of str
        Names of the measures of quality that are the program's own.
    bands : mapping
        The configuration's own bands.
    labels : Labels, optional
        Words for sessions and conditions.
    """
    (row,) = tables.read_table(files.quality)
    record = tables.read_json(files.sidecar)["Imported"]
    made_by = f"{record['GeneratedBy']['Name']} {record['GeneratedBy']['Version']}"
    data, affine = images.load(files.cbf)
    known = imported_voxels.known(data, files.mask)
    cbf = Volume(np.nan_to_num(data * np.float32(record["Units"]["Factor"])), affine)
    missing = "outside its brain mask" if files.mask else "in voxels of exactly 0"
    own, own_outlines = _own_grid(cbf, known, f"In {CBF_UNIT}; no CBF is known {missing}.")
    on_template = images.load(files.template_cbf)
    tissue_files = {"gm": files.reference_gm, "wm": files.reference_wm, "csf": files.reference_csf}
    template, outlines = panels.on_template(
        on_template, files.reference_mask, {name: tissue_files[name] for name in ("gm", "wm")}
    )
    histogram = over_time.histogram(
        on_template.data,
        images.load(files.coverage).data > 0.5,
        {name.upper(): images.load(path).data for name, path in tissue_files.items()},
        row,
    )
    every = numbers.measures(row, flags.resolve(bands), bands)
    return ImportedPage(
        scan=row["scan"],
        heading=scan_heading.heading(row, labels),
        verdict=verdict_box.box(row),
        # What nobody measured is left out, unless a band asks for it.
        measures=[_advised(measure, made_by) for measure in every if measure.value != MISSING or measure.state],
        summary=f"{upper(acquired.grid_words(data.shape, affine))}, made by {made_by}.",
        resolved=list(_rows(record, files, file, measures)),
        maps=[own],
        template=template,
        definitions=[own_outlines, outlines],
        registrations=[_registration(files, cbf, made_by)],
        registration_note=f"{made_by} has registered the scan. Neither its raw volumes nor the participant's anatomy are at hand.",
        histograms=[histogram] if histogram else [],
    )


def write(
    output: FilePath,
    files: ImportedScanFiles,
    *,
    file: str,
    measures: Sequence[str],
    bands: Mapping[str, Sequence[float | None] | None],
    labels: Labels = NAMES,
) -> None:
    """Write the page of an imported map as HTML; parameters as of :func:`content`."""
    page = content(files, file=file, measures=measures, bands=bands, labels=labels)
    text = templates.environment().get_template("scans/imported.html.j2").render(vars(page))
    Path(output).write_text(text, encoding="utf-8")
