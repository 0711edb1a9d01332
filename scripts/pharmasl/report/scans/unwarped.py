"""The distortion of a scan on its page: the image before and after, and what is known of the field that corrects it."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pharmasl.files import tables
from pharmasl.perfusion import motion, realigned_scan, scan, series
from pharmasl.report.scans import overlays
from pharmasl.report.scans.scan_files import ScanFiles
from pharmasl.space import images
from pharmasl.study import scan_acquisition


def registrations(files: ScanFiles, acquisition: Mapping[str, Any]) -> list[overlays.Registration]:
    """The image by which the scan was registered, as it was acquired and without its distortion; none of other scans.

    Parameters
    ----------
    files : ScanFiles
    acquisition : mapping
        As :meth:`pharmasl.study.scan_acquisition.Acquisition.plain` gives it.
    """
    if not files.field:
        return []
    aslref, mask = images.load(files.aslref), images.load(files.brain_mask)
    record = tables.read_json(files.registration)
    before = as_acquired(files, acquisition, record["Image"])
    return [
        overlays.Registration(
            title="Distortion",
            alt="Axial, coronal and sagittal slices of the scan as it was acquired, and corrected in the same planes",
            names=("scan as acquired", "scan corrected"),
            outlined="scan corrected",
            tiles=overlays.flicker(
                overlays.Image(volume=before),
                overlays.Image(volume=aslref),
                brain=overlays.Image(volume=mask),
                shown=overlays.planes(mask),
            ),
            facts=[
                *_chosen(tables.read_json(files.sidecar)["DistortionCorrection"]),
                *_field(tables.read_json(files.field_sidecar[0])),
                *_checked(record["FieldMap"]),
            ],
        )
    ]


def as_acquired(files: ScanFiles, acquisition: Mapping[str, Any], image: str) -> images.Volume:
    """The image by which a scan was registered, realigned, with its distortion, on the series' grid.

    Parameters
    ----------
    files : ScanFiles
    acquisition : mapping
        As :meth:`pharmasl.study.scan_acquisition.Acquisition.plain` gives it.
    image : str
        ``Image`` of the registration's sidecar.
    """
    known = scan_acquisition.build(acquisition)
    loaded = series.load_acquired(files.asl, known, files.later_echoes)
    data, affine = loaded.data, loaded.affine
    if image == "M0" and files.m0:
        data, affine = series.load_m0(files.m0, known.echo_weights)
        matrices = scan.affines(files.m0_motion, data.shape[3])
        chosen = np.arange(data.shape[3])
    else:
        matrices = scan.affines(files.motion, data.shape[3])
        chosen = loaded.volumes.m0scan if image == "M0" else realigned_scan.averaged(loaded)
    volumes = [data[..., number] for number in chosen]
    return images.Volume(motion.mean(volumes, affine, matrices[chosen], loaded.grid), loaded.affine)


def _chosen(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "the field is shown by", f"{record['By']} ({record['ChosenBy']})"


def _field(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the sidecar of the field says."""
    shares, moved = record["Displacement"]["Percentiles"], record["Displacement"]["Value"]
    percent = ", ".join(f"{100 - share} %" for share in shares)
    yield f"displaced by more than, in {percent} of the image", ", ".join(f"{value:.1f}" for value in moved) + " mm"
    place = record["Place"]
    if "Why" in place:
        yield "the field is placed", f"by the headers: {place['Why']}"
    else:
        shares = " and ".join(f"{share:.3f} by the {by}" for by, share in place["Unexplained"].items())
        yield (
            "the field is placed",
            f"by the {place['By']}; headers and registration are {place['Movement']:.1f} mm apart, unexplained {shares}",
        )
    pair = record.get("OpposedImages")
    if not pair:
        return
    before, after = pair["Difference"]
    yield "the two images", " and ".join(pair["Images"])
    yield "movement between them", f"{pair['Movement']:.1f} mm, but for that along the phase encoding"
    yield (
        "signal of the second over the first",
        f"{pair['Gain']:.2f}, by {100 * pair['GainDifference']:.0f} % unlike over the head",
    )
    yield "difference between them", f"{100 * before:.0f} % of their signal as acquired, {100 * after:.0f} % corrected"


def _checked(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Whether the tissues confirm the field."""
    shares = ", ".join(f"{share:.3f} at {multiple}" for multiple, share in record["Unexplained"].items())
    yield "unexplained by the tissues, at multiples of the field", shares
    if record["Minimum"] is not None:
        yield "least at", f"{record['Minimum']:.2f}"
    if not record["Confirmed"]:
        yield "not confirmed", "the readout time, the echo times or the unit of the field may be off"
