"""Cerebral blood flow of one scan, on its own grid and on the template's.

On either grid every raw volume is sampled once, through all transforms composed into one, and controls and labels are
subtracted after that. Which repeats (pairs, or differences of the scanner) make the mean is decided on the scan's own grid
and holds for both. A voxel is quantified where it lies in the brain, where M0 is not next to nothing, and where at least
half of the repeats used reach it (a head that moved leaves gaps at the edge of the field of view); elsewhere maps are
zero, and the brain and coverage masks show which zeros are missing values.
"""

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.perfusion import (
    across_repeats,
    artefacts,
    consistency,
    encoding_check,
    estimation,
    known_effect,
    known_maps,
    motion,
    nuisance,
    partial_volume,
    plausibility,
    record,
    repeat_choice,
    scan,
    slice_signal,
    template_maps,
)
from pharmasl.perfusion.tissue_maps import carry
from pharmasl.space import images, resample, transforms
from pharmasl.study import settings
from pharmasl.study.distortion import Distortion
from pharmasl.study.scan_acquisition import Acquisition

log = logging.getLogger(__name__)

TISSUES = ("gm", "wm", "csf")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Paths that the quantification reads.

    Attributes
    ----------
    asl : path-like
        The raw series.
    m0 : sequence of path-like
        The separate M0 image, of echoes that are summed one of each; or empty.
    motion, m0_motion, coregistration : path-like
        ITK affines, of :func:`pharmasl.perfusion.alignment.align`.
    confounds : path-like
        Table of the volumes' motion and slices, of the same.
    forward : path-like
        ITK field, from T1w to template.
    gm, wm, csf, mask : path-like
        Shares of the tissues and the brain, on the T1w grid.
    reference : path-like
        An image on the template grid wanted.
    template_mask : path-like
        The brain on that grid.
    field : sequence of path-like
        The field on the series' grid, Hz; or empty.
    transit_time, t1 : sequence of path-like
        Known arterial transit time and T1 of tissue on that grid, seconds; or empty.
    transit_time_sidecar, t1_sidecar : sequence of path-like
        Where they come from; or empty.
    later_echoes : sequence of path-like
        Of a series whose echoes are summed, those after the first; or empty.
    """

    asl: FilePath
    m0: Sequence[FilePath]
    motion: FilePath
    m0_motion: FilePath
    coregistration: FilePath
    confounds: FilePath
    forward: FilePath
    gm: FilePath
    wm: FilePath
    csf: FilePath
    mask: FilePath
    reference: FilePath
    template_mask: FilePath
    field: Sequence[FilePath] = ()
    transit_time: Sequence[FilePath] = ()
    t1: Sequence[FilePath] = ()
    transit_time_sidecar: Sequence[FilePath] = ()
    t1_sidecar: Sequence[FilePath] = ()
    later_echoes: Sequence[FilePath] = ()


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Paths that the quantification writes: a sidecar, a table, and images on the scan's and on the template's grid.

    Attributes
    ----------
    sidecar, repeats : path-like
        JSON, and the table of :data:`pharmasl.perfusion.repeat_choice.REPEATS`.
    cbf, gm_cbf, wm_cbf, brain_mask, gm, wm, csf : path-like
        On the scan's grid.
    template_cbf, template_gm_cbf, smooth, coverage, error : path-like
        On the template's.
    att, template_att : path-like or None
        Arterial transit time, of a series of several delays.
    """

    cbf: FilePath
    sidecar: FilePath
    repeats: FilePath
    gm_cbf: FilePath
    wm_cbf: FilePath
    brain_mask: FilePath
    gm: FilePath
    wm: FilePath
    csf: FilePath
    template_cbf: FilePath
    template_gm_cbf: FilePath
    smooth: FilePath
    coverage: FilePath
    error: FilePath
    att: FilePath | None = None
    template_att: FilePath | None = None


def quantify(
    inputs: Inputs,
    outputs: Outputs,
    *,
    acquisition: Acquisition,
    quantification: settings.Quantification,
    distorted: Distortion | None = None,
) -> None:
    """Quantify one scan and write its maps, the table of its repeats and its sidecar.

    Parameters
    ----------
    inputs : Inputs
    outputs : Outputs
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    quantification : pharmasl.study.settings.Quantification
    distorted : pharmasl.study.distortion.Distortion, optional
        How the images were encoded, where there is a field.

    Raises
    ------
    InputError
        If a parameter or M0 is missing or senseless, or CBF is what no brain has; nothing is written then.
    """
    files = scan.RawFiles(
        inputs.asl,
        inputs.m0,
        inputs.motion,
        inputs.m0_motion,
        inputs.field,
        inputs.transit_time,
        inputs.t1,
        inputs.later_echoes,
    )
    raw = scan.read(files, acquisition, quantification, distorted)
    log.info("%s: %d repeats, M0: %s", raw.path, raw.repeats.number, raw.m0.origin)
    coregistered = transforms.read_affines(inputs.coregistration)[0]
    native = _native(raw, inputs, np.linalg.inv(coregistered), acquisition, quantification)
    log.info("CBF is the mean of %s", native.choice.mean_of)
    order = _order(raw, native, acquisition)
    if raw.volumes.kind == "cbf" and not acquisition.units:
        plausibility.undeclared(native.cbf_map, native.shares["gm"], raw.path)
    grey_median = plausibility.plausible(native.cbf_map, native.shares["gm"], raw.path)
    kernel = quantification.partial_volume.kernel
    gm_cbf, wm_cbf = partial_volume.correct(
        native.cbf_map, native.shares["gm"], native.shares["wm"], native.place.mask, kernel=kernel
    )
    template = _template(raw, inputs, coregistered, native, gm_cbf, quantification)

    _save_native(outputs, raw, native, gm_cbf, wm_cbf)
    _save_template(outputs, template, images.form_code(inputs.template_mask))
    rows = list(repeat_choice.rows(raw, native.choice, native.estimate.weight, native.positions))
    tables.write_table(outputs.repeats, rows, repeat_choice.REPEATS)
    sidecar = record.sidecar(
        raw, acquisition, quantification, native.choice, native.regression, native.estimate.prior_sd
    )
    sidecar["TimeEncoding"] = record.encoding(acquisition, order)
    measures = consistency.measure(raw, native.place, native.estimate.cbf, acquisition, grey_median)
    sidecar["Consistency"] = measures.record()
    sidecar["AcrossRepeats"] = _across(raw, native).record()
    sidecar["KnownTissue"] = _known_tissue(inputs, native.effect)
    sidecar["OwnBlood"] = record.own_blood(acquisition, native.blood)
    known = native.estimate.covered.any()
    sidecar["MeanBrainCBF"] = float(np.nanmean(native.estimate.cbf)) if known else None
    covered = np.isfinite(template.smooth).sum()
    sidecar["TemplateCoverage"] = float(covered / max(template.place.mask.sum(), 1))
    tables.write_json(outputs.sidecar, sidecar)


def _order(raw: scan.Scan, native: "_Native", acquisition: Acquisition) -> encoding_check.Check | None:
    """Whether a time-encoded series fits its matrix; refused where it does not and is to be checked."""
    if acquisition.encoding is None:
        return None
    grey = native.shares["gm"][native.place.mask]
    order = encoding_check.confront(raw, native.place, grey, native.choice.kept, acquisition.encoding)
    if acquisition.encoding_checked:
        encoding_check.judge(order, raw.path)
    return order


@dataclass(frozen=True)
class _Native:
    """A scan on its own grid: where it was sampled, shares of tissue, repeats, what they are averaged to, and by what is known."""

    place: scan.Place
    shares: dict[str, np.ndarray]
    positions: np.ndarray
    repeats: np.ndarray
    choice: artefacts.Choice
    estimate: estimation.Estimate
    regression: nuisance.Regression | None
    effect: known_effect.Effect | None
    blood: dict[str, Any] | None
    cbf_map: np.ndarray


@dataclass(frozen=True)
class _Template:
    """A scan on the template's grid: maps of corrected grey-matter CBF (V,) and the smoothed one of the contrasts."""

    place: scan.Place
    estimate: estimation.Estimate
    grey: np.ndarray
    smooth: np.ndarray


def _native(
    raw: scan.Scan,
    inputs: Inputs,
    to_t1w: np.ndarray,
    acquisition: Acquisition,
    quantification: settings.Quantification,
) -> _Native:
    """The scan's maps on its own grid."""
    shares = _carry(inputs, raw.grid, to_t1w)
    brain = shares.pop("mask") >= 0.5
    place = scan.own_place(raw, brain)
    tissue = (shares["gm"][brain], shares["wm"][brain], shares["csf"][brain])
    positions = motion.parameters(raw.motion, place.points.mean(axis=0) if brain.any() else np.zeros(3))
    measured = estimation.repeats(raw, place)
    slices = slice_signal.counts(tables.read_table(inputs.confounds))
    choice = repeat_choice.choose(raw, measured.cbf, tissue, positions, slices, quantification.outliers)
    sample = estimation.Sample(choice.kept, tissue, positions)
    estimate, regression = estimation.estimate(raw, place, measured, sample, quantification)
    own = dict(zip(known_effect.TISSUES, tissue))
    parts = (raw, place, measured, estimate, own, choice.kept, quantification)
    return _Native(
        place=place,
        shares=shares,
        positions=positions,
        repeats=measured.cbf,
        choice=choice,
        estimate=estimate,
        regression=regression,
        effect=known_effect.effect(*parts),
        blood=known_effect.blood(*parts) if acquisition.t1_blood_by else None,
        cbf_map=place.on_grid(estimate.cbf),
    )


def _carry(inputs: Inputs, grid: images.Grid, to_t1w: np.ndarray) -> dict[str, np.ndarray]:
    """Brain and tissue shares on the scan's grid."""
    shares: dict[str, np.ndarray] = {}
    head = None
    for name in ("mask", *TISSUES):
        image, affine = images.load(getattr(inputs, name))
        shares[name] = carry(image, affine, grid, to_t1w, where=head)
        # No tissue lies outside the brain.
        head = shares["mask"] > 0
    return shares


def _template(
    raw: scan.Scan,
    inputs: Inputs,
    coregistered: np.ndarray,
    native: _Native,
    gm_cbf: np.ndarray,
    quantification: settings.Quantification,
) -> _Template:
    """The scan's maps on the template's grid."""
    place = template_maps.place(inputs.template_mask, inputs.reference, inputs.forward, coregistered)

    def share(name: str) -> np.ndarray:
        return np.nan_to_num(resample.resample(native.shares[name], raw.affine, place.points, coregistered))

    sample = estimation.Sample(native.choice.kept, (share("gm"), share("wm"), share("csf")), native.positions)
    estimate, _ = estimation.estimate(raw, place, estimation.repeats(raw, place), sample, quantification)
    grey, grey_share = template_maps.corrected(gm_cbf, native.shares["gm"], raw.affine, place)
    smooth = template_maps.smooth(estimate.cbf, estimate.covered, place, grey, grey_share, quantification)
    return _Template(place, estimate, grey, smooth)


def _across(raw: scan.Scan, native: _Native) -> across_repeats.AcrossRepeats:
    """How the repeats agree."""
    delays = np.zeros(raw.repeats.number) if raw.timing is None else raw.timing.delay[raw.repeats.group]
    grey = native.shares["gm"][native.place.mask]
    return across_repeats.measure(native.estimate.cbf, native.repeats, grey, native.choice.kept, delays)


def _known_tissue(inputs: Inputs, effect: known_effect.Effect | None) -> dict[str, Any] | None:
    """The known transit times and T1 that CBF was computed with, and what they and errors of theirs do; None without."""
    if effect is None:
        return None
    records = {"TransitTime": inputs.transit_time_sidecar, "T1": inputs.t1_sidecar}
    return {
        **{name: tables.read_json(paths[0])[known_maps.VALUES] if paths else None for name, paths in records.items()},
        **effect.record(),
    }


def _save_native(outputs: Outputs, raw: scan.Scan, native: _Native, gm_cbf: np.ndarray, wm_cbf: np.ndarray) -> None:
    """Write the images on the scan's grid."""
    place, save = native.place, functools.partial(images.save, affine=raw.affine)
    save(outputs.cbf, np.nan_to_num(native.cbf_map))
    # Where there is too little of a tissue its CBF is not known, which must not look like zero.
    save(outputs.gm_cbf, gm_cbf)
    save(outputs.wm_cbf, wm_cbf)
    save(outputs.brain_mask, place.mask, dtype=np.uint8)
    for name in TISSUES:
        save(getattr(outputs, name), native.shares[name])
    if native.estimate.att is not None and outputs.att is not None:
        save(outputs.att, place.on_grid(native.estimate.att))


def _save_template(outputs: Outputs, template: _Template, code: int) -> None:
    """Write the images on the template's grid; ``code`` is that of its space."""
    place, save = template.place, functools.partial(images.save, affine=template.place.affine, code=code)
    save(outputs.template_cbf, np.nan_to_num(place.on_grid(template.estimate.cbf)))
    save(outputs.template_gm_cbf, place.on_grid(template.grey))
    save(outputs.smooth, np.nan_to_num(template.smooth))
    covered = np.isfinite(template.smooth)
    save(outputs.coverage, covered, dtype=np.uint8)
    # An error that is not known (a single pair) must not look like one of zero.
    save(outputs.error, np.where(covered, place.on_grid(template.estimate.error), 0))
    if template.estimate.att is not None and outputs.template_att is not None:
        save(outputs.template_att, place.on_grid(template.estimate.att))
