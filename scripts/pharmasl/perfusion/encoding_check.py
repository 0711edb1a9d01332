"""Whether a time-encoded series fits the order and the sign by which it is decoded.

Decoded by the true matrix, the differences of the blocks of grey matter rise as label arrives and fall as it decays: the
kinetic model of several delays leaves next to nothing of them over, and CBF is positive. Decoded with volumes or blocks in another
order, or by a matrix of another ordering, they are mixtures that the model cannot explain; with the other sign, CBF is
negative. Each slice's mean curve is judged, which has hardly any noise, by the fit that CBF is made with.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import estimation, multidelay
from pharmasl.perfusion.scan import Place, Scan, delays_at
from pharmasl.perfusion.timing import Constants, Timing

log = logging.getLogger(__name__)

STATED = "as stated"
# Share of the blocks' sum of squares, less that of noise, that the model may leave over. In simulated scans the right order
# leaves at most 0.08 of it (benchmarks/time_encoding.py). Of a single cycle noise is not known, and counts.
MOST_UNEXPLAINED = 0.1
MOST_OF_ONE_CYCLE = 0.25
# Another order explains a scan better if it leaves less than this share of what the stated one leaves, and less by so much or by
# twice the inverse of the signal.
CLEARLY_LESS, LEAST_GAIN = 1 / 3, 0.02
# Times the sum of squares that noise alone would give, below which a scan shows nothing to judge by.
LEAST_SIGNAL = 20.0
# Share of grey matter in the voxels that are averaged, and their least number in a slice.
GREY = 0.5
LEAST_VOXELS = 20
RECORD = {
    "Unexplained": "Share of the blocks' mean grey-matter signal, noise taken off, that the kinetic model leaves over, by the "
    "order in which the matrix is read",
    "Signal": "That signal's sum of squares over what noise alone would give; null where noise is not known",
    "CBF": "Sign of the fitted CBF",
    "Judged": "Whether the signal is strong enough to judge the order by",
    "Alike": "Orders that explain the scan about as well, so that it does not tell them from the stated one",
}


@dataclass(frozen=True)
class Check:
    """What the kinetic model leaves unexplained, by the order of the matrix.

    Attributes
    ----------
    unexplained : dict of str to float
        :data:`STATED` first; the others by their words.
    positive : bool
        Whether CBF by the stated order is.
    signal : float
        The decoded sum of squares over that of noise; infinite where noise is not known.
    """

    unexplained: dict[str, float]
    positive: bool
    signal: float

    @property
    def judged(self) -> bool:
        """Whether there is signal enough."""
        return bool(self.signal >= LEAST_SIGNAL)

    @property
    def most(self) -> float:
        """The share that the stated order may leave unexplained."""
        return MOST_UNEXPLAINED if np.isfinite(self.signal) else MOST_OF_ONE_CYCLE

    def _clearly_less(self, one: str, other: str) -> bool:
        least, much = self.unexplained[one], self.unexplained[other]
        return least < CLEARLY_LESS * much and much - least > max(LEAST_GAIN, 2 / self.signal)

    @property
    def better(self) -> list[str]:
        """The orders that clearly explain the scan better than the stated one, as well as the best of them does."""
        best = min(self.unexplained, key=lambda name: self.unexplained[name])
        if not np.isfinite(self.signal) or not self._clearly_less(best, STATED):
            return []
        return [name for name in self.unexplained if not self._clearly_less(best, name)]

    @property
    def alike(self) -> list[str]:
        """The other orders that do not explain the scan clearly less well than the stated one."""
        limit = self.most
        return [
            name
            for name, share in self.unexplained.items()
            if name != STATED and share <= limit and not self._clearly_less(STATED, name)
        ]

    @property
    def right(self) -> bool:
        """Whether nothing speaks against the stated order."""
        return not self.judged or (self.positive and self.unexplained[STATED] <= self.most and not self.better)

    def record(self) -> dict[str, Any]:
        """For the sidecar of CBF."""
        return {
            "Unexplained": {name: round(share, 4) for name, share in self.unexplained.items()},
            "Signal": round(self.signal, 2) if np.isfinite(self.signal) else None,
            "CBF": "positive" if self.positive else "negative",
            "Judged": self.judged,
            "Alike": self.alike if self.judged else [],
            "Descriptions": RECORD,
        }


def orders(encoding: np.ndarray) -> dict[str, np.ndarray]:
    """The stated matrix (R, B), and what it is mistaken for: read in other orders.

    Rows reversed, blocks reversed, both; and the volumes or the blocks of a Hadamard matrix in the order of Walsh's (by the
    number of changes of sign), or the other way round.
    """
    matrices = {
        STATED: encoding,
        "volumes in reverse order": encoding[::-1],
        "blocks in reverse order": encoding[:, ::-1],
        "volumes and blocks in reverse order": encoding[::-1, ::-1],
    }
    rows, blocks = encoding.shape
    # A square matrix with the constant column, whose rows and columns are of one family.
    if rows == blocks + 1 and rows & (rows - 1) == 0:
        natural = _hadamard(rows)
        walsh = natural[np.argsort((np.diff(natural, axis=1) != 0).sum(axis=1), kind="stable")]
        for name, one, other in (
            ("Walsh in place of Hadamard", natural, walsh),
            ("Hadamard in place of Walsh", walsh, natural),
        ):
            if np.array_equal(encoding, one[:, 1:]) or np.array_equal(encoding, -one[:, 1:]):
                matrices[name] = other[:, 1:] * (encoding[0, 0] * one[0, 1])
    return matrices


def _hadamard(size: int) -> np.ndarray:
    """Sylvester's matrix of a power of two."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def curves(
    raw: Scan, place: Place, grey: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Mean grey-matter signal of the volumes of each cycle in each slice, when the slices are read, and the T1 of their tissue.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
        Of a time-encoded series.
    place : pharmasl.perfusion.scan.Place
        On the scan's own grid, with the realigned series.
    grey : ndarray of shape (V,)
        Shares of grey matter.
    kept : ndarray of bool, shape (N,)
        The repeats in the mean.

    Returns
    -------
    signal : ndarray of shape (S, C, R)
        Of the slices with enough grey matter and the cycles that are kept.
    offset : ndarray of shape (S,)
        Seconds.
    t1_tissue : ndarray of shape (S,) or None
        Mean of what is known, seconds; None where nothing is.
    """
    assert place.series is not None
    assert raw.timing is not None
    cycles = raw.volumes.acquired[np.unique(raw.repeats.cycle[kept])]
    offset = np.broadcast_to(delays_at(raw, place), grey.shape)
    slices = np.nonzero(place.mask)[raw.timing.axis]
    used = (grey >= GREY) & np.isfinite(place.series[cycles.ravel()]).all(axis=0)
    t1 = None if raw.tissue is None else raw.tissue.t1_at(place.points, place.matrix)
    if t1 is not None:
        used &= np.isfinite(t1)
    signal, read, known = [], [], []
    for number in np.unique(slices[used]):
        inside = used & (slices == number)
        if inside.sum() >= LEAST_VOXELS:
            signal.append(place.series[:, inside].mean(axis=1, dtype=np.float64)[cycles])
            read.append(offset[inside].mean())
            known.append(np.nan if t1 is None else t1[inside].mean())
    return np.array(signal).reshape(-1, *cycles.shape), np.array(read), None if t1 is None else np.array(known)


def check(
    signal: np.ndarray,
    offset: np.ndarray,
    encoding: np.ndarray,
    timing: Timing,
    constants: Constants,
    longest: float,
    t1_tissue: np.ndarray | None = None,
) -> Check:
    """Fit the decoded mean curves by the stated order of a matrix and by others.

    Parameters
    ----------
    signal : ndarray of shape (S, C, R)
        Mean signal of the volumes of C cycles, in S parts of the brain.
    offset : ndarray of shape (S,)
        Readout after the first slice's, seconds.
    encoding : ndarray of shape (R, B)
    timing : pharmasl.perfusion.timing.Timing
    constants : pharmasl.perfusion.timing.Constants
    longest : float
        Largest arterial transit time, seconds.
    t1_tissue : ndarray of shape (S,), optional
        Known T1 of tissue, seconds.

    Returns
    -------
    Check
        Without a part or a cycle, of no signal.
    """
    slices, cycles, rows = signal.shape
    if not slices or not cycles:
        return Check({STATED: float("nan")}, True, 0.0)
    blocks = encoding.shape[1]
    # Signal over noise does not change by scaling; the fit's rounding does.
    signal = signal / max(float(np.abs(signal).mean()), np.finfo(float).tiny)
    decoded = 2 / rows * signal @ encoding
    variance = decoded.var(axis=1, ddof=1).mean() / cycles if cycles > 1 else 0.0
    unexplained, positive, total = {}, True, 0.0
    for name, matrix in orders(encoding).items():
        # The last block has the shortest delay.
        curve = (2 / rows * signal.mean(axis=1) @ matrix)[:, ::-1]
        fit = multidelay.fit(
            curve,
            timing.delay + offset[:, np.newaxis],
            bolus=timing.duration,
            constants=constants,
            options=multidelay.Options(arterial=False, att_bounds=(0.0, longest)),
            t1_tissue=t1_tissue,
        )
        left = np.nansum(fit.residual**2) * blocks - variance * (blocks - 2) * slices
        whole = (curve**2).sum()
        unexplained[name] = float(np.clip(left / max(whole - variance * blocks * slices, np.finfo(float).tiny), 0, 1))
        if name == STATED:
            positive, total = bool(np.nansum(fit.cbf) > 0), float(whole)
    noise = variance * blocks * slices
    return Check(unexplained, positive, total / noise if noise > 0 else np.inf)


def confront(raw: Scan, place: Place, grey: np.ndarray, kept: np.ndarray, encoding: Sequence[Sequence[int]]) -> Check:
    """The check of a scan on its own grid; parameters as of :func:`curves`, and the matrix."""
    assert raw.timing is not None
    assert raw.constants is not None
    longest = estimation.longest_transit(raw.timing, pulsed=False)
    signal, offset, t1 = curves(raw, place, grey, kept)
    return check(signal, offset, np.asarray(encoding), raw.timing, raw.constants, longest, t1)


def judge(checked: Check, path: FilePath) -> None:
    """Refuse a matrix whose order or sign the scan contradicts.

    Parameters
    ----------
    checked : Check
    path : path-like
        The series, named in the error.

    Raises
    ------
    InputError
    """
    shown = ", ".join(f"{share:.3f} {name}" for name, share in checked.unexplained.items())
    if not checked.judged:
        log.warning(
            "too little perfusion signal to tell whether the matrix of perfusion.encodings is in the right order"
        )
        return
    log.info(
        "share of the blocks' signal that the kinetic model leaves unexplained, by the order of the matrix: %s", shown
    )
    if checked.right:
        if checked.alike:
            log.warning("the scan does not tell the order of perfusion.encodings from %s", " and ".join(checked.alike))
        return
    sign = "" if checked.positive else "; CBF is negative"
    if checked.better:
        guess = f"The scan speaks for {' or '.join(checked.better)}"
    elif checked.unexplained[STATED] <= checked.most:
        guess = " or ".join(["Label has probably the other sign", *(f"it is {name}" for name in checked.alike)])
    else:
        guess = "No reversed volumes or blocks explain it: the code is another, or its durations are"
    raise InputError(
        path,
        "perfusion.encodings",
        f"unexplained shares of the blocks' signal {shown}{sign}",
        f"at most {checked.most:g} as stated, not much more than any other, and a positive CBF",
        f"{guess}. Correct matrix, label, durations or delay by the scanner's protocol; check: false takes "
        "them as they are.",
    )
