"""CBF over deltaM / M0 of each voxel, where its arterial transit time and the T1 of its tissue may be known beforehand.

Without them, label counts as arrived, and as decaying with the T1 of blood (Alsop et al. 2015). Where they are known, the general
kinetic model (Buxton et al. 1998) is solved for CBF at the one delay that there is.
"""

import numpy as np

from pharmasl.perfusion.scan import Place, Scan, delays_at
from pharmasl.study.physiology import LEAST_ARRIVED


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
    known = raw.tissue.transit_time_at(place.points, place.matrix)
    # The plan refuses a T1 without it for a single delay.
    assert known is not None
    time = known[:, np.newaxis] + later
    t1 = raw.tissue.t1_at(place.points, place.matrix)
    if t1 is not None:
        t1 = t1[:, np.newaxis] + longer
    enough = constants.arrived(delay, timing.duration, time) >= LEAST_ARRIVED
    with np.errstate(invalid="ignore"):
        return np.where(enough, constants.known_factor(delay, timing.duration, time, t1), np.nan)
