"""CBF of each condition of a run in which conditions alternate in blocks, from a linear model of its raw volumes.

The model (:mod:`pharmasl.statistics.block_design`) is fitted to the realigned, unsubtracted volumes on the scan's own grid and
on the template's. A condition's CBF is the baseline's perfusion and its own effect together, times the scan's factor over M0.
Volumes of pairs that were left out keep their place in the series, and a column of their own takes them out of the fit.
"""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import pharmasl
from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.perfusion import estimation, motion, partial_volume, scan, template_maps
from pharmasl.space import images, transforms
from pharmasl.statistics import autoregression, block_design
from pharmasl.study import settings
from pharmasl.study.distortion import Distortion
from pharmasl.study.run_blocks import RunBlocks
from pharmasl.study.scan_acquisition import Acquisition

log = logging.getLogger(__name__)

# Slices that are read within this of one another, seconds, share the times at which their model stands.
_SAME_TIME = 0.1
_MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Paths that are read.

    Attributes
    ----------
    asl, m0, motion, m0_motion, field, transit_time, t1, later_echoes
        As for :class:`pharmasl.perfusion.quantification.Inputs`.
    coregistration, forward, reference, template_mask
        Likewise.
    brain_mask, gm, wm : path-like
        Brain and shares of tissue on the scan's grid.
    repeats : path-like
        Table of the scan's repeats.
    """

    asl: FilePath
    m0: Sequence[FilePath]
    motion: FilePath
    m0_motion: FilePath
    coregistration: FilePath
    forward: FilePath
    reference: FilePath
    template_mask: FilePath
    brain_mask: FilePath
    gm: FilePath
    wm: FilePath
    repeats: FilePath
    field: Sequence[FilePath] = ()
    transit_time: Sequence[FilePath] = ()
    t1: Sequence[FilePath] = ()
    later_echoes: Sequence[FilePath] = ()


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Paths that are written; lists have one for each condition, in the order of the run's.

    Attributes
    ----------
    cbf, gm_cbf : sequence of path-like
        On the scan's grid; the second of grey matter, corrected for partial volumes.
    template_cbf, template_gm_cbf, smooth, coverage, error : sequence of path-like
        On the template's.
    covariance : path-like
        Of the conditions' estimates on the template's grid: a volume for each pair of them.
    design, sidecar : path-like
        The model of each volume, and a record of the fit.
    """

    cbf: Sequence[FilePath]
    gm_cbf: Sequence[FilePath]
    template_cbf: Sequence[FilePath]
    template_gm_cbf: Sequence[FilePath]
    smooth: Sequence[FilePath]
    coverage: Sequence[FilePath]
    error: Sequence[FilePath]
    covariance: FilePath
    design: FilePath
    sidecar: FilePath


@dataclass(frozen=True)
class Conditions:
    """The conditions' CBF at a place; NaN where it is not known.

    Attributes
    ----------
    cbf : ndarray of shape (K, V)
        mL/100 g/min.
    covariance : ndarray of shape (K, K, V)
    coefficient : ndarray of shape (V,)
        Of autoregression.
    """

    cbf: np.ndarray
    covariance: np.ndarray
    coefficient: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """Where CBF is known, (V,)."""
        return np.isfinite(self.cbf[0])


def write(
    inputs: Inputs,
    outputs: Outputs,
    run: RunBlocks,
    *,
    acquisition: Acquisition,
    quantification: settings.Quantification,
    distorted: Distortion | None = None,
) -> None:
    """Model the blocks of one run and write the CBF of each of its conditions.

    Parameters
    ----------
    inputs : Inputs
    outputs : Outputs
    run : pharmasl.study.run_blocks.RunBlocks
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    quantification : pharmasl.study.settings.Quantification
    distorted : pharmasl.study.distortion.Distortion, optional
        How the images were encoded, where there is a field.

    Raises
    ------
    InputError
        If the volumes that are left cannot carry the model; nothing is written then.
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
    own, affine = scan.own_place(raw, images.load(inputs.brain_mask)[0] > 0), raw.affine
    moved = motion.parameters(raw.motion, own.points.mean(axis=0))[run.volumes]
    model = Model(run, moved if quantification.motion.regress else None, _left_out(raw, run, inputs.repeats))
    model.check(raw.path)
    coregistered = transforms.read_affines(inputs.coregistration)[0]
    there = template_maps.place(inputs.template_mask, inputs.reference, inputs.forward, coregistered)
    native, template = model.conditions(raw, own), model.conditions(raw, there)
    gm, wm = images.load(inputs.gm)[0], images.load(inputs.wm)[0]
    code = images.form_code(inputs.template_mask)
    for number in range(len(run.conditions)):
        cbf = own.on_grid(native.cbf[number])
        kernel = quantification.partial_volume.kernel
        gm_cbf, _ = partial_volume.correct(cbf, gm, wm, own.mask, kernel=kernel)
        grey, share = template_maps.corrected(gm_cbf, gm, affine, there)
        values, covered = template.cbf[number], template.covered
        smooth = template_maps.smooth(values, covered, there, grey, share, quantification)
        images.save(outputs.cbf[number], np.nan_to_num(cbf), affine)
        images.save(outputs.gm_cbf[number], gm_cbf, affine)
        known = np.isfinite(smooth)
        error = np.sqrt(template.covariance[number, number])
        for path, volume in (
            (outputs.template_cbf[number], np.nan_to_num(there.on_grid(values))),
            (outputs.template_gm_cbf[number], there.on_grid(grey)),
            (outputs.smooth[number], np.nan_to_num(smooth)),
            (outputs.error[number], np.where(known, there.on_grid(error), 0)),
        ):
            images.save(path, volume, there.affine, code=code)
        images.save(outputs.coverage[number], known, there.affine, dtype=np.uint8, code=code)
    first, second = np.triu_indices(len(run.conditions), 1)
    pairs = [np.nan_to_num(there.on_grid(template.covariance[i, j])) for i, j in zip(first, second)]
    # A run of one condition has no pair, and an image needs a volume.
    images.save(outputs.covariance, np.stack(pairs or [np.zeros(there.mask.shape)], axis=-1), there.affine, code=code)
    rows, columns = model.rows()
    tables.write_table(outputs.design, rows, columns)
    tables.write_json(outputs.sidecar, model.record(native, template, acquisition.repetition_time))


def _left_out(raw: scan.Scan, run: RunBlocks, repeats: FilePath) -> dict[int, str]:
    """The volumes without a measurement, and those of the pairs that do not make the scan's mean, with the reason."""
    wrong = {int(number): reason for number, reason in raw.volumes.lost.items()}
    for row in tables.read_table(repeats):
        if row["excluded"] == "true" or row["no_signal"] == "true":
            for name in ("control", "label"):
                if row[name] is not None:
                    wrong.setdefault(int(row[name]), row["reason"] or "its pair was left out")
    chosen = set(run.volumes.tolist())
    return {number: reason for number, reason in sorted(wrong.items()) if number in chosen}


class Model:
    """The model of a run: its blocks, motion, and the volumes that are left out.

    Parameters
    ----------
    run : pharmasl.study.run_blocks.RunBlocks
    moved : ndarray of shape (T, 6) or None
        Where the head is in each control and label; None leaves motion out.
    left_out : dict of int to str
        Volumes that count for nothing, with the reason.
    """

    def __init__(self, run: RunBlocks, moved: np.ndarray | None, left_out: dict[int, str]) -> None:
        self._run, self._left_out = run, left_out
        place = {number: row for row, number in enumerate(run.volumes.tolist())}
        self._spikes = [place[number] for number in left_out]
        self._moved = None
        if moved is not None:
            centred = moved - moved.mean(axis=0)
            size = np.linalg.norm(centred, axis=0)
            # A head that lay still leaves nothing to take out.
            self._moved = centred[:, size > 1e-9] / size[size > 1e-9]

    def design(self, offset: float, missing: Sequence[int] = ()) -> block_design.Design:
        """The columns for a slice read ``offset`` seconds after the first, without some rows of volumes."""
        design = self._run.design(offset)
        if self._moved is not None:
            names = tuple(f"motion {number}" for number in range(1, self._moved.shape[1] + 1))
            design = design.with_columns(names, self._moved)
        rows = sorted({*self._spikes, *missing})
        return design.with_columns(tuple(f"volume {row}" for row in rows), np.eye(len(design.matrix))[:, rows])

    def weights(self, design: block_design.Design) -> np.ndarray:
        """The sums of columns (K, P) that are the conditions' perfusion."""
        return np.array([design.of_conditions({name: 1.0}) for name in self._run.conditions])

    def check(self, path: FilePath) -> None:
        """Refuse a run whose volumes left in do not determine every condition."""
        design = self.design(0.0)
        for name, weights in zip(self._run.conditions, self.weights(design)):
            if not np.isfinite(design.variance(weights)) or len(design.matrix) <= len(design.names):
                raise InputError(
                    path,
                    f"volumes of {name}",
                    f"{len(design.matrix) - len(self._spikes)} of {len(design.matrix)} volumes that are not left out",
                    "enough to determine its perfusion",
                    "Exclude the scan by quality.exclude_scans, or loosen perfusion.outliers.",
                )

    def conditions(self, raw: scan.Scan, place: scan.Place) -> Conditions:
        """The conditions' CBF at a place.

        A voxel that some volumes do not reach is fitted without them, as long as half of the volumes that are not left
        out reach it.
        """
        series = scan.series_at(raw, place, self._run.volumes)
        series[self._spikes] = 0
        reached = np.isfinite(series)
        offsets = np.broadcast_to(np.asarray(scan.delays_at(raw, place), dtype=float), series.shape[1:])
        steps = np.where(np.isfinite(offsets), np.rint(np.nan_to_num(offsets) / _SAME_TIME), 0).astype(int)
        count, voxels = len(self._run.conditions), series.shape[1]
        perfusion, covariance = np.full((count, voxels), np.nan), np.full((count, count, voxels), np.nan)
        coefficient = np.full(voxels, np.nan)
        left = len(series) - len(self._spikes)
        enough = reached.sum(axis=0) - len(self._spikes) >= max(1, estimation.LEAST_REPEATS * left)
        for step in np.unique(steps[enough]):
            for missing, members in _patterns(reached, np.flatnonzero(enough & (steps == step))):
                design = self.design(step * _SAME_TIME, missing)
                weights = self.weights(design)
                if len(missing) and not all(np.isfinite(design.variance(own)) for own in weights):
                    continue
                if len(design.matrix) <= len(design.names):
                    continue
                fit = autoregression.fit(np.nan_to_num(series[:, members]), design.matrix, weights)
                perfusion[:, members], covariance[:, :, members] = fit.effect, fit.covariance
                coefficient[members] = fit.coefficient
        ratio = estimation.ratio(raw, place)
        return Conditions(
            perfusion * ratio, covariance * np.square(ratio), np.where(np.isfinite(ratio), coefficient, np.nan)
        )

    def rows(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The table of the model's volumes, and what its columns are."""
        design, run = self._run.design(), self._run
        columns: dict[str, Any] = {
            "volume": "Volume of the series, from 0",
            "readout": {"Description": "Readout of its first slice since the first stored volume began", "Units": "s"},
            "sign": "+0.5 for a control, -0.5 for a label",
            **{
                name: f"Response to the blocks of {name}, 1 where it has wholly come, after a mean delay of {run.delay:g} s"
                for name in run.conditions
            },
            "left_out": "Why a column of its own takes the volume out of the fit",
        }
        rows = []
        for row, number in enumerate(run.volumes.tolist()):
            shown = {name: design.matrix[row, design.names.index(f"bold_{name}")] for name in run.conditions}
            known = {"volume": number, "readout": run.readouts[number], "sign": run.signs[number]}
            rows.append({**known, **shown, "left_out": self._left_out.get(number)})
        return rows, columns

    def record(self, native: Conditions, template: Conditions, repetition_time: float | None) -> dict[str, Any]:
        """The fit, for JSON."""
        run, design = self._run, self.design(0.0)
        known = np.isfinite(native.coefficient)
        return {
            "Description": "CBF of the conditions that alternate within the run, by a linear model of its raw volumes",
            "Conditions": list(run.conditions),
            "Blocks": [
                {"Condition": block.condition, "Onset": block.onset, "Duration": block.duration} for block in run.blocks
            ],
            "BlocksFrom": run.source,
            "OnsetReference": "the beginning of the first stored volume",
            "Response": {"Shape": "gamma distribution without undershoot", "MeanDelay": run.delay, "Unit": "s"},
            "DriftCutoff": {"Value": run.cutoff, "Unit": "s"},
            "Columns": [name for name in design.names if not name.startswith("volume ")],
            "Noise": f"autoregressive of first order in each voxel, in steps of 1/{autoregression.STEPS}",
            "MedianAutoregression": float(np.median(native.coefficient[known])) if known.any() else None,
            "SliceTimesWithin": {"Value": _SAME_TIME, "Unit": "s"},
            "Volumes": len(run.volumes),
            "VolumesLeftOut": {str(number): reason for number, reason in self._left_out.items()},
            "DegreesOfFreedom": len(design.matrix) - int(np.linalg.matrix_rank(design.matrix)),
            "VarianceInflationByDrift": {
                name: design.inflation(weights) for name, weights in zip(run.conditions, self.weights(design))
            },
            "MeanBrainCBF": {
                name: float(np.nanmean(cbf)) if np.isfinite(cbf).any() else None
                for name, cbf in zip(run.conditions, native.cbf)
            },
            "TemplateCoverage": float(template.covered.mean()),
            "CodeVersion": pharmasl.__version__,
        }


def _patterns(reached: np.ndarray, members: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
    """Voxels in groups that the same volumes do not reach: the volumes' rows, and the voxels."""
    packed = np.packbits(~reached[:, members], axis=0).T
    kinds, group = np.unique(packed, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    bounds = np.searchsorted(group.ravel()[order], np.arange(len(kinds) + 1))
    groups = []
    for start, end in itertools.pairwise(bounds):
        own = members[order[start:end]]
        groups.append((np.flatnonzero(~reached[:, own[0]]).tolist(), own))
    return groups
