"""CBF over deltaM / M0 of each voxel, where its arterial transit time and the T1 of its tissue may be known beforehand.

Without them, label counts as arrived, and as decaying with the T1 of blood (Alsop et al. 2015). Where they are known, the general
kinetic model (Buxton et al. 1998) is solved for CBF at the one delay that there is. What an error of theirs changes follows from
the same model: the deltaM that was measured stays, and CBF is its quotient by another signal.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.perfusion.scan import Place, Scan, delays_at
from pharmasl.study.physiology import LEAST_ARRIVED

# The error of a transit time or a T1 whose effect is stated, seconds.
STEP = 0.1


def factor(raw: Scan, place: Place, *, later: float = 0.0, longer: float = 0.0) -> np.ndarray:
    """CBF over deltaM / M0 at a place for each delay of a scan.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
        Not one that the scanner quantified.
    place : pharmasl.perfusion.scan.Place
    later, longer : float
        What is added to the known transit time, and to the known T1, seconds.

    Returns
    -------
    ndarray of shape (V, P) or (1, P)
        mL/100 g/min; NaN where the known transit time lets less than :data:`LEAST_ARRIVED` of the bolus arrive.
    """
    timing, constants = raw.timing, raw.constants
    assert timing is not None
    assert constants is not None
    delay = timing.delay + np.reshape(delays_at(raw, place), (-1, 1))
    if raw.tissue is None or timing.several:
        decay = delay if timing.fixed is None else np.full((1, len(timing.delay)), timing.fixed)
        # A bolus that nothing cuts off lasts until the readout.
        return constants.factor(decay, np.where(np.isfinite(timing.duration), timing.duration, timing.delay))
    time = raw.tissue.transit_time_at(place.points, place.matrix)[:, np.newaxis] + later
    t1 = raw.tissue.t1_at(place.points, place.matrix)
    if t1 is not None:
        t1 = t1[:, np.newaxis] + longer
    enough = constants.arrived(delay, timing.duration, time) >= LEAST_ARRIVED
    with np.errstate(invalid="ignore"):
        return np.where(enough, constants.known_factor(delay, timing.duration, time, t1), np.nan)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What known transit times and T1 do to a scan's mean CBF of grey and of white matter: ratios, None where there is none.

    Attributes
    ----------
    late : float
        Share of the brain's voxels that less than :data:`LEAST_ARRIVED` of the bolus has reached.
    arriving : float
        Share of those where CBF is known whose label has not all arrived.
    consensus : Mapping of str to float or None
        For ``gm`` and ``wm``, CBF over that of the consensus' formula.
    changed : Mapping of str to Mapping
        For each error, such as ``transit_time +0.1 s``, CBF of ``gm`` and ``wm`` with it over CBF without.
    """

    late: float
    arriving: float
    consensus: dict[str, float | None]
    changed: dict[str, dict[str, float | None]]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "LateShare": self.late,
            "LateMeaning": "share of brain voxels that less than a third of the label has reached; their CBF is not known",
            "ArrivingShare": self.arriving,
            "ArrivingMeaning": "share of the other voxels whose label has not all arrived at the readout",
            "OverConsensus": self.consensus,
            "OverConsensusMeaning": "mean CBF of each tissue over that by the consensus' formula (Alsop et al. 2015)",
            "WithError": self.changed,
            "WithErrorMeaning": "mean CBF of each tissue if the known value were that much larger or smaller, over CBF as it is",
        }


def effect(raw: Scan, place: Place, cbf: np.ndarray, shares: dict[str, np.ndarray]) -> Effect | None:
    """What known transit times and T1, and errors of theirs, do to a scan of a single delay; None where none are known.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
    place : pharmasl.perfusion.scan.Place
    cbf : ndarray of shape (V,)
        mL/100 g/min, NaN where it is not known.
    shares : dict of str to ndarray of shape (V,)
        Shares of ``gm`` and ``wm``, by which means are weighted.
    """
    if raw.tissue is None or raw.timing is None or raw.constants is None or raw.timing.several:
        return None
    own = factor(raw, place)[:, 0]
    delay = raw.timing.delay[0] + np.reshape(delays_at(raw, place), -1)
    time = raw.tissue.transit_time_at(place.points, place.matrix)
    known = np.isfinite(cbf) & np.isfinite(own)
    partly = raw.constants.arrived(delay, raw.timing.duration[0], time) < 1

    def ratios(other: np.ndarray) -> dict[str, float | None]:
        """The means with another factor over those with the scan's own, where both are known."""
        here = known & np.isfinite(other)
        out: dict[str, float | None] = {}
        for name, share in shares.items():
            before = float((share * cbf)[here].sum())
            after = float((share[here] * cbf[here] * other[here] / own[here]).sum())
            out[name] = after / before if before > 0 else None
        return out

    plain = np.broadcast_to(factor(dataclasses.replace(raw, tissue=None), place)[:, 0], own.shape)
    changes = {"transit_time": "later", **({"t1": "longer"} if raw.tissue.t1 is not None else {})}
    return Effect(
        late=float(np.mean(~np.isfinite(own))) if len(own) else 0.0,
        arriving=float(np.mean(partly[known])) if known.any() else 0.0,
        consensus={name: None if not ratio else 1 / ratio for name, ratio in ratios(plain).items()},
        changed={
            f"{name} {sign}{STEP:g} s": ratios(factor(raw, place, **{keyword: float(f"{sign}{STEP}")})[:, 0])
            for name, keyword in changes.items()
            for sign in "+-"
        },
    )
