"""What the quality of a scan is measured on: its maps and repeats, its motion, and its maps on the template."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.perfusion import slice_signal
from pharmasl.space import images


@dataclass(frozen=True, kw_only=True)
class QualityFiles:
    """The files of a scan whose quality is measured; paths.

    Attributes
    ----------
    cbf, brain_mask, gm, wm, csf : path-like
        Images on the perfusion scan's own grid.
    confounds : path-like
        Table with ``framewise_displacement`` (mm) and ``dvars`` (percent), one row per volume.
    repeats : path-like
        Table of the scan's repeats: see :func:`read_repeats`.
    registration : path-like
        JSON of the registration to the anatomy: ``Overlap``, ``Accepted`` and ``Reason``.
    sidecar : path-like
        JSON of the scan's CBF: ``Consistency``, ``AcrossRepeats`` and ``NumberOfRepeats``.
    coverage, template_cbf, template_mask, template_gm : path-like
        Images on the template grid.
    """

    cbf: FilePath
    brain_mask: FilePath
    gm: FilePath
    wm: FilePath
    csf: FilePath
    confounds: FilePath
    repeats: FilePath
    registration: FilePath
    sidecar: FilePath
    coverage: FilePath
    template_cbf: FilePath
    template_mask: FilePath
    template_gm: FilePath


@dataclass(frozen=True, kw_only=True)
class NativeMaps:
    """A scan's maps on its own grid.

    Attributes
    ----------
    cbf : ndarray of shape (X, Y, Z)
        Mean CBF, mL/100 g/min; 0 where it is not known.
    brain : ndarray of shape (X, Y, Z)
        Brain mask.
    gm, wm, csf : ndarray of shape (X, Y, Z)
        Tissue probabilities, 0 to 1.
    affine : ndarray of shape (4, 4)
        Voxel to mm.
    """

    cbf: np.ndarray
    brain: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """The repeats of a scan: label-control pairs, or deltaM or CBF volumes.

    Attributes
    ----------
    passed : ndarray of bool, shape (N,)
        Those that no rule marks.
    delays : ndarray of shape (N,)
        Post-labelling delays in seconds, 0 where the table has none.
    without_signal : int
        How many hold no measurement.
    left_out_by : str
        Why the others do not pass, each reason with its number of repeats; empty where all pass.
    gm_cbf_z, temporal_snr : float
        See :class:`pharmasl.perfusion.across_repeats.AcrossRepeats`.
    """

    passed: np.ndarray
    delays: np.ndarray
    without_signal: int = 0
    left_out_by: str = ""
    gm_cbf_z: float = float("nan")
    temporal_snr: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Motion over a scan's volumes; NaN where a volume has no value.

    Attributes
    ----------
    displacement : ndarray of shape (V,)
        Framewise displacement, mm.
    dvars : ndarray of shape (V,)
        DVARS, percent of the mean over the brain.
    slices_out_of_line : float
        Share of the slices whose signal is out of line; NaN where it was not measured.
    """

    displacement: np.ndarray
    dvars: np.ndarray
    slices_out_of_line: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class TemplateMaps:
    """A scan's maps on the template grid, with the template's own.

    Attributes
    ----------
    cbf : ndarray of shape (I, J, K)
        mL/100 g/min.
    coverage : ndarray of shape (I, J, K)
        Above 0 inside the scan's field of view.
    brain : ndarray of shape (I, J, K)
        The template's brain mask.
    gm : ndarray of shape (I, J, K)
        The template's probability of grey matter.
    affine : ndarray of shape (4, 4)
        Voxel to mm.
    """

    cbf: np.ndarray
    coverage: np.ndarray
    brain: np.ndarray
    gm: np.ndarray
    affine: np.ndarray


def load_native(files: QualityFiles) -> NativeMaps:
    """Read a scan's maps on its own grid."""
    cbf, affine = images.load(files.cbf)
    brain, gm, wm, csf = (images.load(path)[0] for path in (files.brain_mask, files.gm, files.wm, files.csf))
    return NativeMaps(cbf=cbf, brain=brain, gm=gm, wm=wm, csf=csf, affine=affine)


def load_template(files: QualityFiles) -> TemplateMaps:
    """Read a scan's maps on the template grid."""
    cbf, affine = images.load(files.template_cbf)
    coverage, brain, gm = (images.load(path)[0] for path in (files.coverage, files.template_mask, files.template_gm))
    return TemplateMaps(cbf=cbf, coverage=coverage, brain=brain, gm=gm, affine=affine)


def read_motion(path: FilePath) -> Motion:
    """Read a scan's motion from its table of confounds."""
    rows = tables.read_table(path)
    return Motion(
        displacement=_numbers(rows, "framewise_displacement"),
        dvars=_numbers(rows, "dvars"),
        slices_out_of_line=slice_signal.share(rows),
    )


def _numbers(rows: Sequence[Mapping[str, str | None]], name: str) -> np.ndarray:
    """A column of a table as floats, missing as NaN."""
    return np.array([float("nan") if (text := row[name]) is None else float(text) for row in rows])


def read_repeats(path: FilePath, record: Mapping[str, Any]) -> Repeats:
    """Read the table of a scan's repeats.

    Parameters
    ----------
    path : path-like
        Table of one row per repeat, with the columns ``passed`` (1 or 0), ``reason`` and, where the delays differ,
        ``post_labeling_delay``.
    record : mapping
        The sidecar of the scan's CBF.

    Returns
    -------
    Repeats

    Raises
    ------
    InputError
        If the table has no such column, another value in it, or not one row per repeat.
    """
    rows = tables.read_table(path)
    if len(rows) != record["NumberOfRepeats"]:
        raise InputError(
            file=path,
            field="rows",
            found=len(rows),
            expected=f"{record['NumberOfRepeats']}, one per repeat of the series",
            fix="Quantify the scan again.",
        )
    passed = _booleans(path, rows, "passed")
    silent = [row.get("no_signal") == "true" for row in rows]
    causes = Counter(
        "no signal" if is_silent else (row["reason"] or "unknown").split(":")[0]
        for row, is_silent, has_passed in zip(rows, silent, passed)
        if not has_passed
    )
    across = {name: float("nan") if value is None else value for name, value in record["AcrossRepeats"].items()}
    return Repeats(
        passed=passed,
        delays=np.array([float(row.get("post_labeling_delay") or 0) for row in rows]),
        without_signal=sum(silent),
        left_out_by=", ".join(f"{cause} {number}" for cause, number in causes.items()),
        gm_cbf_z=across["GreyMatterZ"],
        temporal_snr=across["TemporalSNR"],
    )


def _booleans(path: FilePath, rows: Sequence[Mapping[str, str | None]], name: str) -> np.ndarray:
    """A column of 1 and 0 (or true and false)."""
    meanings: dict[str | None, bool] = {"1": True, "true": True, "0": False, "false": False}
    wrong = [row.get(name) for row in rows if row.get(name) not in meanings]
    if wrong:
        raise InputError(file=path, field=name, found=wrong[0], expected="1 or 0", fix="Quantify the scan again.")
    return np.array([meanings[row[name]] for row in rows], dtype=bool)
