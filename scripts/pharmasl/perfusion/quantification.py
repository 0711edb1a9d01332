"""Cerebral blood flow of one scan, on its own grid and on the template's.

On either grid every raw volume is sampled once, through all transforms composed into one, and controls and labels are
subtracted after that. Which repeats (pairs, or differences of the scanner) make the mean is decided on the scan's own grid
and holds for both. A voxel is quantified where it lies in the brain, where M0 is not next to nothing, and where at least
half of the repeats used reach it (a head that moved leaves gaps at the edge of the field of view); elsewhere maps are
zero, and the brain and coverage masks tell which zeros are missing values.
"""

import functools
import logging

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import (
    artefacts,
    consistency,
    coregistration,
    estimation,
    far_off,
    motion,
    partial_volume,
    plausibility,
    record,
    scan,
    smoothing,
)
from pharmasl.space import fields, images, resample, transforms

log = logging.getLogger(__name__)

GIVEN = [
    "asl",
    "m0",
    "motion",
    "m0_motion",
    "coregistration",
    "forward",
    "gm",
    "wm",
    "csf",
    "mask",
    "reference",
    "template_mask",
]
MADE = [
    "cbf",
    "sidecar",
    "preproc",
    "timeseries",
    "repeats",
    "gm_cbf",
    "wm_cbf",
    "brain_mask",
    "gm",
    "wm",
    "csf",
    "template_cbf",
    "template_gm_cbf",
    "smooth",
    "coverage",
    "error",
]
# For a series of several delays besides.
FITTED = ["att", "template_att"]
TISSUES = ("gm", "wm", "csf")

REPEATS = {
    **artefacts.COLUMNS,
    "control": {"Description": "Volume of the series, from 0, that holds the control; or the difference itself"},
    "label": {"Description": "Volume that holds the label; n/a for a difference that the scanner made"},
    "post_labeling_delay": {"Description": "Post-labelling delay or inversion time", "Units": "s"},
    "weight": {"Description": "Mean weight of the repeat in the voxels of the brain, 0 to 1", "Units": "1"},
    "displacement_before": {
        "Description": "Framewise displacement of the repeat's first volume since the volume before it. Realignment "
        "corrects it, and no rule judges it",
        "Units": "mm",
    },
    "no_signal": {"Description": "Whether the repeat holds no measurement, so that nothing was computed from it"},
}


def quantify(given, made, *, acquisition, settings):
    """Quantify one scan and write its maps, the table of its repeats and its sidecar.

    Parameters
    ----------
    given : dict
        Paths: ``asl`` (raw series), ``m0`` (list: one image or none), ``motion``, ``m0_motion``, ``coregistration``
        (ITK affines), ``forward`` (ITK field, T1w to template), ``gm``, ``wm``, ``csf``, ``mask`` (on the T1w grid),
        ``reference`` (an image on the template grid wanted), ``template_mask`` (on that grid).
    made : dict
        Paths of what to write: ``cbf``, ``sidecar``, ``preproc``, ``timeseries``, ``repeats``, ``gm_cbf``, ``wm_cbf``,
        ``brain_mask``, ``gm``, ``wm``, ``csf`` (on the scan's grid), ``template_cbf``, ``template_gm_cbf``, ``smooth``,
        ``coverage``, ``error`` (on the template's); and, for a series of several delays, ``att`` and ``template_att``.
    acquisition : dict
        Of the scan, as the study stage resolves it.
    settings : dict
        ``perfusion`` of the configuration.

    Raises
    ------
    InputError
        If a parameter or M0 is missing or senseless, or CBF is what no brain has; nothing is written then.
    """
    found = scan.read(given, acquisition, settings)
    coregistered = transforms.read_affines(given["coregistration"])[0]
    shares = _carry(given, found.grid, np.linalg.inv(coregistered))
    brain = shares.pop("mask") >= 0.5
    preproc = scan.native_series(found)
    native = scan.Place(brain, found.affine, transforms.points(found.grid)[brain], np.eye(4), preproc)
    tissue = tuple(shares[name][brain] for name in TISSUES)
    positions = motion.parameters(found.motion, native.points.mean(axis=0) if brain.any() else np.zeros(3))

    cbf, factor = estimation.repeats(found, native)
    choice = _choose(found, cbf, tissue, positions, settings["outliers"])
    own, regression = estimation.estimate(found, native, cbf, factor, choice.kept, tissue, positions, settings)
    cbf_map = native.on_grid(own.cbf)
    if found.of.kind == "cbf" and not acquisition.get("units"):
        plausibility.undeclared(cbf_map, shares["gm"], found.path)
    grey_median = plausibility.plausible(cbf_map, shares["gm"], found.path)
    kernel = settings["partial_volume"]["kernel"]
    corrected = partial_volume.correct(cbf_map, shares["gm"], shares["wm"], brain, kernel=kernel)

    template, template_place = _on_template(found, given, coregistered, shares, choice.kept, positions, settings)
    grey, grey_share = _corrected_on_template(corrected[0], shares["gm"], found, template_place)
    smooth = _smooth(template, template_place, grey, grey_share, settings)

    step = acquisition.get("repetition_time")
    save = functools.partial(images.save, affine=found.affine)
    save(made["preproc"], np.nan_to_num(preproc), time_step=step)
    save(made["cbf"], np.nan_to_num(cbf_map))
    # A pair takes two repetitions.
    pair = step and step * (2 if found.of.kind == "pairs" else 1)
    save(made["timeseries"], np.nan_to_num(_series(native, cbf)), time_step=pair)
    # Where there is too little of a tissue its CBF is not known, which must not look like zero.
    save(made["gm_cbf"], corrected[0])
    save(made["wm_cbf"], corrected[1])
    save(made["brain_mask"], brain, dtype=np.uint8)
    for name in TISSUES:
        save(made[name], shares[name])
    if own.att is not None:
        save(made["att"], native.on_grid(own.att))
    save = functools.partial(images.save, affine=template_place.affine)
    save(made["template_cbf"], np.nan_to_num(template_place.on_grid(template.cbf)))
    save(made["template_gm_cbf"], template_place.on_grid(grey))
    save(made["smooth"], np.nan_to_num(smooth))
    covered = np.isfinite(smooth)
    save(made["coverage"], covered, dtype=np.uint8)
    # An error that is not known (a single pair) must not look like one of zero.
    save(made["error"], np.where(covered, template_place.on_grid(template.error), 0))
    if template.att is not None:
        save(made["template_att"], template_place.on_grid(template.att))
    tables.write_table(made["repeats"], list(_rows(found, choice, own.weight, positions)), REPEATS)
    told = record.sidecar(found, acquisition, settings, choice, regression)
    told["Consistency"] = consistency.measure(found, native, own.cbf, acquisition, grey_median).record()
    told["MeanBrainCBF"] = float(np.nanmean(own.cbf)) if own.covered.any() else None
    told["TemplateCoverage"] = float(covered.sum() / max(template_place.mask.sum(), 1))
    tables.write_json(made["sidecar"], told)


def _carry(given, grid, to_t1w):
    """Brain and tissue shares on the scan's grid."""
    shares, head = {}, None
    for name in ("mask", *TISSUES):
        image, affine = images.load(given[name])
        shares[name] = coregistration.carry(image, affine, grid, to_t1w, where=head)
        # No tissue lies outside the brain.
        head = shares["mask"] > 0
    return shares


def _choose(found, cbf, tissue, positions, settings):
    """The repeats that make the mean."""
    several = found.timing is not None and found.timing.several
    alive = found.repeats.alive
    cbf, displacement = np.ascontiguousarray(cbf[:, alive]), _displacement_within(found, positions)[alive]
    if several:
        # Delays differ in their perfusion: each repeat is judged beside those of its own delay.
        for number in np.unique(found.repeats.group[alive]):
            members = found.repeats.of_group(number)[alive]
            cbf[:, members] -= np.nanmedian(cbf[:, members], axis=1, keepdims=True)
        cbf += np.nanmedian(cbf, axis=1, keepdims=True)
    limits = {key: settings[key] for key in artefacts.LIMITS}
    rules = [rule for rule in settings["rules"] if not (several and rule == "enable")]
    choice = artefacts.choose(cbf, *tissue, displacement=displacement, rule=rules or "none", settings=limits)
    return _with_lost(far_off.without_far_off(choice), found.repeats)


def _with_lost(choice, repeats):
    """The choice among the repeats that hold a measurement, and those that hold none between them."""
    numbers = np.flatnonzero(repeats.alive)
    passed, reasons = np.zeros(repeats.number, dtype=bool), list(repeats.lost)
    figures = [{**dict.fromkeys(artefacts.COLUMNS), "repeat": number} for number in range(repeats.number)]
    for number, row, reason, good in zip(numbers, choice.figures, choice.reasons, choice.passed):
        passed[number], reasons[number] = good, reason
        figures[number] = {**row, "repeat": int(number)}
    return artefacts.Choice(passed, reasons, figures, choice.notes, repeats.alive)


def _displacement_within(found, positions):
    """How far apart the head lay in the volumes that each repeat subtracts, mm; NaN for a difference of the scanner.

    For control minus label it is the framewise displacement from the one to the other. Where several labels are
    interpolated to the control's time, the sum of theirs, each by its weight: what they leave is at most of that size.
    Where whole repeats moved, realignment leaves no more than a few percent of perfusion (docs/perfusion.md), but what it
    leaves of static tissue between a control and its label is of perfusion's own size.
    """
    if found.of.kind != "pairs":
        return np.full(found.repeats.number, np.nan)
    # The volumes that hold no measurement have no weight, and a position that means nothing.
    within = np.zeros(found.repeats.number)
    for number, ((control, _), weights) in enumerate(zip(found.repeats.pairs, found.repeats.weights)):
        for volume in np.flatnonzero(weights):
            apart = motion.framewise_displacement(positions[[control, volume]])[1]
            within[number] += abs(weights[volume]) * apart
    return np.where(found.repeats.alive, within, np.nan)


def _displacement_before(found, positions):
    """How far the head moved to each repeat's first volume since the volume before, mm; NaN where there is none."""
    if found.of.kind != "pairs":
        return np.full(found.repeats.number, np.nan)
    since = np.full(len(found.motion), np.nan)
    since[found.of.moving] = motion.framewise_displacement(positions[found.of.moving])
    return since[found.repeats.pairs.min(axis=1)]


def _on_template(found, given, coregistered, shares, kept, positions, settings):
    """The scan's maps on the template's grid."""
    mask, affine = images.load(given["template_mask"])
    mask = mask > 0.5
    reference = images.grid(given["reference"])
    if reference.shape != mask.shape:
        raise InputError(
            given["template_mask"], "shape", mask.shape, f"{reference.shape}, the reference's", "Remake it."
        )
    field, field_grid = transforms.read_field(given["forward"])
    in_t1w = fields.sample(field, field_grid.affine, transforms.points(reference)[mask], beyond="missing")
    place = scan.Place(mask, affine, in_t1w, coregistered)
    tissue = tuple(
        np.nan_to_num(resample.resample(shares[name], found.affine, in_t1w, coregistered)) for name in TISSUES
    )
    cbf, factor = estimation.repeats(found, place)
    return estimation.estimate(found, place, cbf, factor, kept, tissue, positions, settings)[0], place


def _corrected_on_template(gm_cbf, gm, found, place):
    """Corrected grey-matter CBF at a place, and the share of grey matter that bears it; missing voxels bear nothing."""
    share = np.where(np.isfinite(gm_cbf), gm, 0)
    weight = smoothing.grey_share_at(gm_cbf, gm, found.affine, place.points, place.matrix)
    value = resample.resample(np.nan_to_num(gm_cbf) * share, found.affine, place.points, place.matrix)
    least = smoothing.LEAST_GREY
    return np.where(weight >= least, value / np.maximum(weight, least), np.nan), weight


def _smooth(template, place, grey, grey_share, settings):
    """The map that enters the contrasts: smoothed within the brain; of grey matter, each voxel by its share of it."""
    fwhm = settings["smoothing_fwhm"]
    covered = place.on_grid(template.covered) > 0
    if not settings["partial_volume"]["use"]:
        return smoothing.smoothed(place.on_grid(template.cbf), covered, place.affine, fwhm)
    grey, grey_share = place.on_grid(grey), place.on_grid(grey_share)
    return smoothing.smoothed_grey(grey, grey_share, covered, place.affine, fwhm)


def _series(place, cbf):
    """Each repeat's CBF on the scan's grid: ndarray of shape (X, Y, Z, N)."""
    out = np.full((*place.mask.shape, cbf.shape[1]), np.nan, dtype=np.float32)
    out[place.mask] = cbf
    return out


def _rows(found, choice, weight, positions):
    before = _displacement_before(found, positions)
    for number, (row, pair) in enumerate(zip(choice.rows, found.repeats.pairs)):
        delay = None if found.timing is None else float(found.timing.delay[found.repeats.group[number]])
        label = int(pair[1]) if pair[1] >= 0 else None
        yield {
            **row,
            "control": int(pair[0]),
            "label": label,
            "post_labeling_delay": delay,
            "weight": weight[number],
            "displacement_before": before[number],
            "no_signal": bool(found.repeats.lost[number]),
        }
