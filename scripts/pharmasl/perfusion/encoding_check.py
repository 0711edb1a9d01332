"""Whether a time-encoded series fits the order and the sign by which it is decoded.

Decoded by the true matrix, the differences of the blocks of grey matter rise as label arrives and fall as it decays: the
kinetic model of several delays leaves next to nothing of them over, and CBF is positive. Decoded with volumes or blocks in another
order, or by a matrix of another ordering, they are mixtures that the model cannot explain; with the other sign, CBF is
negative. Each slice's mean curve is judged, which has hardly any noise, by the fit that CBF is made with.

Some orders cannot be told apart so, since a mixture can look like another curve of label that arrives. The stated order is therefore
compared with what it may be mistaken for, one by one, and those that explain the scan about as well, by another CBF or another
transit time, are named.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
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
# Without the noise of several cycles, gains below this may be noise.
LEAST_GAIN_OF_ONE_CYCLE = 0.1
# An order by which mean CBF and transit time are this near those by the stated one does no harm: share of CBF, seconds.
SAME_CBF, SAME_ATT = 0.05, 0.1
# Two volumes or two blocks in each other's place are a slip that hardly any scan excludes: those are named that would change more.
SLIP_CBF, SLIP_ATT = 0.15, 0.3
# Share of grey matter in the voxels that are averaged, and their least number in a slice.
GREY = 0.5
LEAST_VOXELS = 20
# The orders that a whole protocol is read in by mistake.
READ_OTHERWISE = ("volumes in reverse order", "blocks in reverse order", "volumes and blocks in reverse order")
FAMILIES, IN_PLACE = ("Hadamard", "Walsh", "Paley"), "'s order in place of "
SLIP = "in each other's place"
OTHER_SIGN = "with label as the other number"
# So many orders are named in a message.
NAMED = 3
# What a scan says of the order by which it is decoded.
AGREES, INDISTINCT, TOO_WEAK, CONTRADICTS = "agrees", "indistinct", "too weak", "contradicts"
RECORD = {
    "State": f"{AGREES}: no other order explains the scan as well, but for Slips; {INDISTINCT}: those of Alike do; {TOO_WEAK}: there is too "
    f"little signal to judge the order by; {CONTRADICTS}: CBF is negative, the model leaves too much over, or those of Better explain "
    "the scan clearly better",
    "Unexplained": "Share of the blocks' mean grey-matter signal, noise taken off, that the kinetic model leaves over, by the "
    "order in which the matrix is read",
    "Signal": "That signal's sum of squares over what noise alone would give; null where noise is not known",
    "CBF": "Sign of the fitted CBF",
    "Tried": "How many other orders were tried",
    "Alike": "Orders that explain the scan about as well, so that it does not tell them from the stated one: the factor by which mean CBF "
    "would differ, and the seconds by which mean arterial transit time would",
    "Better": "The same of orders that explain it clearly better",
    "Slips": "Two volumes or two blocks in each other's place that would go unnoticed: how many such orders explain the scan about as well, "
    f"each with a CBF or transit time that is not the same ({SAME_CBF:.0%}, {SAME_ATT:g} s) but less than {SLIP_CBF:.0%} and {SLIP_ATT:g} s off; the largest share "
    "by which CBF, and the most seconds by which transit time, would differ; null without any",
}


@dataclass(frozen=True)
class Reading:
    """What the kinetic model makes of a scan by one order of the matrix.

    Attributes
    ----------
    unexplained : float
        Share of the blocks' signal that it leaves over.
    cbf : float
        Sum over the slices, in units that the readings of a scan share; with the sign of label by which it is positive.
    att : float
        Mean over the slices, seconds.
    other_sign : bool
        Whether that is not the sign that is stated.
    """

    unexplained: float
    cbf: float
    att: float
    other_sign: bool


@dataclass(frozen=True)
class Check:
    """The readings of a scan by the stated order of the matrix and by others.

    Attributes
    ----------
    readings : dict of str to Reading
        :data:`STATED` first; the others by their words.
    signal : float
        The decoded sum of squares over that of noise; infinite where noise is not known.
    """

    readings: dict[str, Reading]
    signal: float

    @property
    def stated(self) -> Reading:
        """The reading by the order that is stated."""
        return self.readings[STATED]

    @property
    def positive(self) -> bool:
        """Whether CBF by the stated order is."""
        return not self.stated.other_sign

    @property
    def judged(self) -> bool:
        """Whether there is signal enough."""
        return bool(self.signal >= LEAST_SIGNAL)

    @property
    def most(self) -> float:
        """The share that the stated order may leave unexplained."""
        return MOST_UNEXPLAINED if np.isfinite(self.signal) else MOST_OF_ONE_CYCLE

    def _clearly_less(self, one: Reading, other: Reading) -> bool:
        least, much = one.unexplained, other.unexplained
        gain = max(LEAST_GAIN, 2 / self.signal) if np.isfinite(self.signal) else LEAST_GAIN_OF_ONE_CYCLE
        return least < CLEARLY_LESS * much and much - least > gain

    def change(self, name: str) -> tuple[float, float]:
        """The factor and the seconds by which CBF and transit time of a reading differ from those of the stated one."""
        own = self.readings[name]
        return own.cbf / self.stated.cbf, own.att - self.stated.att

    def _possible(self, name: str) -> bool:
        """Whether an order can be the true one by its sign.

        Of the orders that a whole protocol is read in by mistake, label may be the other number too: vendors differ in both. A slip
        with the other sign would be two mistakes at once.
        """
        return not self.readings[name].other_sign or name in self.conventions

    def _matters(self, name: str, cbf: float = SAME_CBF, att: float = SAME_ATT) -> bool:
        """Whether an order gives another CBF or transit time than the stated one."""
        factor, seconds = self.change(name)
        sign = not self.positive and not self.readings[name].other_sign
        return sign or abs(factor - 1) > cbf or abs(seconds) > att

    @property
    def conventions(self) -> list[str]:
        """The orders that a whole protocol is read in by mistake."""
        return [name for name in self.readings if name in READ_OTHERWISE or IN_PLACE in name]

    def words(self, name: str) -> str:
        """An order in words, with the sign that it needs."""
        return name + (f" {OTHER_SIGN}" if name != STATED and self.readings[name].other_sign else "")

    def _ordered(self, names: Iterator[str]) -> list[str]:
        """By what they leave unexplained, the least first."""
        return sorted(names, key=lambda name: self.readings[name].unexplained)

    @property
    def better(self) -> list[str]:
        """The orders that clearly explain the scan better than the stated one, as well as the best of them does."""
        if not np.isfinite(self.signal):
            return []
        others = [
            name
            for name, own in self.readings.items()
            if name != STATED
            and self._clearly_less(own, self.stated)
            and self._possible(name)
            and (self.stated.unexplained > self.most or self._matters(name))
        ]
        if not others:
            return []
        best = min((self.readings[name] for name in others), key=lambda own: own.unexplained)
        return self._ordered(name for name in others if not self._clearly_less(best, self.readings[name]))

    @property
    def _open(self) -> list[str]:
        """The other orders that do not explain the scan clearly less well than the stated one, and by another CBF or transit time."""
        limit = self.most
        return self._ordered(
            name
            for name, own in self.readings.items()
            if name != STATED
            and own.unexplained <= limit
            and not self._clearly_less(self.stated, own)
            and self._possible(name)
            and self._matters(name)
        )

    @property
    def alike(self) -> list[str]:
        """Those from which the scan does not tell the stated one, though it should: all of them but slips that change little."""
        return [name for name in self._open if SLIP not in name or self._matters(name, SLIP_CBF, SLIP_ATT)]

    @property
    def slips(self) -> list[str]:
        """The other slips that the scan leaves open."""
        return [name for name in self._open if name not in self.alike]

    @property
    def state(self) -> str:
        """What the scan says of the stated order: one of the four words."""
        if not self.judged:
            return TOO_WEAK
        if not self.positive or self.stated.unexplained > self.most or self.better:
            return CONTRADICTS
        return INDISTINCT if self.alike else AGREES

    def open(self, confirmed: bool) -> int:
        """How many other orders neither the scan rules out nor the user, who may have ``confirmed`` the stated one.

        All that were tried, where there is too little signal; at least one where the scan contradicts the stated order.
        """
        if self.state == CONTRADICTS:
            return max(len(self.better or self.alike), 1)
        if confirmed:
            return 0
        return len(self.readings) - 1 if self.state == TOO_WEAK else len(self.alike)

    def listed(self, names: Sequence[str]) -> str:
        """Orders as part of a sentence: the first few, and how many more there are."""
        more = len(names) - NAMED
        return " or ".join(map(self.words, names[:NAMED])) + (f" (or {more} more)" if more > 0 else "")

    def _shown(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        changes = {self.words(name): self.change(name) for name in names}
        return {words: {"CBF": round(cbf, 3), "ATT": round(att, 3)} for words, (cbf, att) in changes.items()}

    def _range(self, names: Sequence[str]) -> dict[str, float] | None:
        """How many orders, and the most that one of them would change; None without any."""
        if not names:
            return None
        factors, seconds = zip(*(self.change(name) for name in names))
        most = max(abs(factor - 1) for factor in factors), max(abs(own) for own in seconds)
        return {"Number": len(names), "CBF": round(most[0], 3), "ATT": round(most[1], 3)}

    def record(self) -> dict[str, Any]:
        """For the sidecar of CBF."""
        alike, better = (self.alike, self.better) if self.judged else ([], [])
        named = {name: self.words(name) for name in (*self.conventions, *alike, *better)}
        shares = {words: self.readings[name].unexplained for name, words in {STATED: STATED, **named}.items()}
        return {
            "State": self.state,
            "Unexplained": {words: round(share, 4) for words, share in shares.items()},
            "Signal": round(self.signal, 2) if np.isfinite(self.signal) else None,
            "CBF": "positive" if self.positive else "negative",
            "Tried": len(self.readings) - 1,
            "Alike": self._shown(alike),
            "Better": self._shown(better),
            "Slips": self._range(self.slips if self.judged else []),
            "Descriptions": RECORD,
        }


def orders(encoding: np.ndarray) -> dict[str, np.ndarray]:
    """The stated matrix (R, B), and what it is mistaken for, each once whatever its sign.

    Volumes reversed, blocks reversed, both; the matrix of a power of two in Hadamard's, Walsh's (by the number of changes of
    sign) or Paley's order (the bits of a number reversed) in place of each other; cycles that begin at another volume, as they do
    after one more or one fewer volume than stated; and two volumes or two blocks that have changed places.
    """
    matrices: dict[str, np.ndarray] = {}
    known: set[bytes] = set()
    for name, matrix in _candidates(encoding):
        key = np.ascontiguousarray(matrix * matrix[0, 0], dtype=np.int8).tobytes()
        if key not in known:
            known.add(key)
            matrices[name] = matrix
    return matrices


def _candidates(encoding: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The stated matrix and the others by their words, some of them more than once."""
    rows, blocks = encoding.shape
    yield STATED, encoding
    yield from zip(READ_OTHERWISE, (encoding[::-1], encoding[:, ::-1], encoding[::-1, ::-1]))
    # A square matrix with the constant column, whose rows and columns are of one family.
    if rows == blocks + 1 and rows & (rows - 1) == 0:
        families = dict(zip(FAMILIES, _families(rows)))
        for name, one in families.items():
            if np.array_equal(encoding, one) or np.array_equal(encoding, -one):
                yield from ((f"{other}{IN_PLACE}{name}'s", own) for other, own in families.items() if other != name)
    for number in range(1, rows):
        late = number if number <= rows // 2 else number - rows
        way = "later" if late > 0 else "earlier"
        yield (
            f"cycles that begin {abs(late)} volume{'s' if abs(late) > 1 else ''} {way}",
            np.roll(encoding, late, axis=0),
        )
    for words, axis in (("blocks", 1), ("volumes", 0)):
        for left, right in combinations(range(encoding.shape[axis]), 2):
            places = np.arange(encoding.shape[axis])
            places[[left, right]] = right, left
            yield f"{words} {left + 1} and {right + 1} {SLIP}", np.take(encoding, places, axis=axis)


def _families(size: int) -> Iterator[np.ndarray]:
    """The matrix of a power of two in the orders of :data:`FAMILIES`, without the constant column."""
    natural, bits = _hadamard(size), size.bit_length() - 1
    changes = np.argsort((np.diff(natural, axis=1) != 0).sum(axis=1), kind="stable")
    turned = [int(f"{number:0{bits}b}"[::-1], 2) for number in range(size)]
    for places in (np.arange(size), changes, turned):
        yield natural[places][:, 1:]


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
    blocks, matrices = encoding.shape[1], orders(encoding)
    if not slices or not cycles:
        return Check(dict.fromkeys(matrices, Reading(float("nan"), float("nan"), float("nan"), False)), 0.0)
    # Signal over noise does not change by scaling; the fit's rounding does.
    signal = signal / max(float(np.abs(signal).mean()), np.finfo(float).tiny)
    decoded = 2 / rows * signal @ encoding
    variance = decoded.var(axis=1, ddof=1).mean() / cycles if cycles > 1 else 0.0
    # The last block has the shortest delay: (orders, slices, blocks).
    curves = (2 / rows * signal.mean(axis=1) @ np.stack(list(matrices.values())).astype(float))[:, :, ::-1]
    delays = timing.delay + offset[:, np.newaxis]
    cbf, att, residual = _fitted(curves, delays, timing, constants, longest, t1_tissue)
    # With the other sign all is the same but for that of CBF, without which there is no transit time.
    other_sign = np.nansum(cbf, axis=1) <= 0
    flipped = -curves[other_sign]
    cbf[other_sign], att[other_sign], _ = _fitted(flipped, delays, timing, constants, longest, t1_tissue)
    left = np.nansum(residual**2, axis=1) * blocks - variance * (blocks - 2) * slices
    whole = (curves**2).sum(axis=(1, 2))
    noise = variance * blocks * slices
    unexplained = np.clip(left / np.maximum(whole - noise, np.finfo(float).tiny), 0, 1)
    timed = np.isfinite(att)
    mean_att = np.where(timed, att, 0).sum(axis=1) / np.maximum(timed.sum(axis=1), 1)
    values = zip(unexplained, np.nansum(cbf, axis=1), mean_att, other_sign)
    readings = {
        name: Reading(float(share), float(flow), float(time), bool(sign))
        for name, (share, flow, time, sign) in zip(matrices, values)
    }
    return Check(readings, float(whole[0]) / noise if noise > 0 else np.inf)


def _fitted(
    curves: np.ndarray,
    delays: np.ndarray,
    timing: Timing,
    constants: Constants,
    longest: float,
    t1_tissue: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CBF, transit time and residual (M, S) of curves (M, S, B) of S slices, with delays (S, B) and known T1 (S,) of tissue."""
    number, slices, blocks = curves.shape
    fit = multidelay.fit(
        curves.reshape(-1, blocks),
        np.tile(delays, (number, 1)),
        bolus=timing.duration,
        constants=constants,
        options=multidelay.Options(arterial=False, att_bounds=(0.0, longest)),
        t1_tissue=None if t1_tissue is None else np.tile(t1_tissue, number),
    )
    cbf, att, residual = (own.reshape(number, slices) for own in (fit.cbf, fit.att, fit.residual))
    return cbf, att, residual


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
    state, readings = checked.state, checked.readings
    if state == TOO_WEAK:
        log.warning(
            "too little perfusion signal to tell whether the matrix of perfusion.encodings is in the right order"
        )
        return
    named = dict.fromkeys([STATED, *checked.better[:NAMED], *checked.alike[:NAMED]])
    shown = ", ".join(f"{readings[name].unexplained:.3f} {checked.words(name)}" for name in named)
    log.info(
        "share of the blocks' signal that the kinetic model leaves unexplained, by the order of the matrix: %s", shown
    )
    if state == INDISTINCT:
        log.warning("the scan does not tell the order of perfusion.encodings from %s", checked.listed(checked.alike))
    if state != CONTRADICTS:
        return
    sign = "" if checked.positive else "; CBF is negative"
    if checked.better:
        guess = f"The scan speaks for {checked.listed(checked.better)}"
    elif checked.stated.unexplained <= checked.most:
        guess = (
            f"Label has probably the other sign{', or it is ' + checked.listed(checked.alike) if checked.alike else ''}"
        )
    else:
        guess = "None of the usual mistakes explains it: the code is another, or its durations are"
    raise InputError(
        path,
        "perfusion.encodings",
        f"unexplained shares of the blocks' signal {shown}{sign}",
        f"at most {checked.most:g} as stated, not much more than any other, and a positive CBF",
        f"{guess}. Correct matrix, label, durations or delay by the scanner's protocol; check: false takes "
        "them as they are.",
    )
