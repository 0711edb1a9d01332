"""What known transit times and T1 of tissue, and errors of theirs, do to a scan's mean CBF of grey and of white matter.

At a single delay it follows from the model: the deltaM that was measured stays, and CBF is its quotient by another signal. A scan of
several delays is fitted anew, without what is known and with each error.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.perfusion import estimation, known_factor
from pharmasl.perfusion.estimation import Estimate, Repeats
from pharmasl.perfusion.scan import Place, Scan, delays_at
from pharmasl.study import settings
from pharmasl.study.physiology import ERROR_STEP

TISSUES = ("gm", "wm")
CONSENSUS = "the consensus' formula (Alsop et al. 2015)"
T1_OF_BLOOD, COMMON_PRIOR = "the T1 of blood throughout", "the common prior of the transit time"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What becomes of a tissue's means; None where there is none.

    Attributes
    ----------
    ratio : float or None
        Of CBF, the one over the other.
    later : float or None
        The one transit time less the other, seconds; None at a single delay.
    """

    ratio: float | None
    later: float | None = None


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What known values do.

    Attributes
    ----------
    several : bool
        Whether the scan has several delays.
    unknown : str
        How CBF is computed without what is known.
    late : float or None
        At a single delay, the share of the brain's voxels that less than a third of the bolus has reached.
    arriving : float or None
        At a single delay, the share of those where CBF is known whose label has not all arrived.
    prior_sd : float or None
        Of several delays, the standard deviation of the prior whose mean is the known transit time, seconds; None without a prior.
    known : dict of str to Change
        For ``gm`` and ``wm``, with what is known against without.
    changed : dict of str to dict
        For each error, such as ``transit_time +0.1 s``, with it against without.
    """

    several: bool
    unknown: str
    late: float | None
    arriving: float | None
    prior_sd: float | None
    known: dict[str, Change]
    changed: dict[str, dict[str, Change]]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "SeveralDelays": self.several,
            "LateShare": self.late,
            "LateMeaning": "of a single delay, the share of brain voxels that less than a third of the label has reached; their CBF is not "
            "known",
            "ArrivingShare": self.arriving,
            "ArrivingMeaning": "of a single delay, the share of the other voxels whose label has not all arrived at the readout",
            "TransitTimePriorSD": self.prior_sd,
            "TransitTimePriorSDMeaning": "s, of several delays: of the prior whose mean is the known transit time; null where there is none",
            "Unknown": self.unknown,
            "OverUnknown": _record(self.known),
            "OverUnknownMeaning": "mean CBF of each tissue over that by Unknown; Later: mean transit time less that by it, s",
            "WithError": {name: _record(change) for name, change in self.changed.items()},
            "WithErrorMeaning": "mean CBF of each tissue if the known value were that much larger or smaller, over CBF as it is; Later: "
            "mean transit time less that as it is, s",
        }


def blood(
    raw: Scan,
    place: Place,
    measured: Repeats,
    estimate: Estimate,
    shares: Mapping[str, np.ndarray],
    kept: np.ndarray,
    quantification: settings.Quantification,
) -> dict[str, Any]:
    """What an error of the T1 of blood does to a scan's CBF, for JSON; parameters as of :func:`effect`."""
    assert raw.timing is not None
    assert raw.constants is not None
    changed = {}
    for sign in "+-":
        t1 = raw.constants.t1_blood + float(f"{sign}{ERROR_STEP}")
        other = dataclasses.replace(raw, constants=dataclasses.replace(raw.constants, t1_blood=t1))
        if raw.timing.several:
            change = _changes(estimation.fitted(other, place, measured, kept, quantification), estimate, shares)
        else:
            own, factor = (known_factor.factor(scan, place)[:, 0] for scan in (raw, other))
            change = _ratios(estimate.cbf, np.broadcast_to(factor / own, estimate.cbf.shape), shares)
        changed[f"t1_blood {sign}{ERROR_STEP:g} s"] = _record(change)
    return changed


def _ratios(cbf: np.ndarray, factor: np.ndarray, shares: Mapping[str, np.ndarray]) -> dict[str, Change]:
    """Each tissue's mean of CBF (V,) times a factor (V,) over that of CBF, where both are known."""
    here = np.isfinite(cbf) & np.isfinite(factor)
    out = {}
    for name in TISSUES:
        before = float((shares[name] * cbf)[here].sum())
        after = float((shares[name] * cbf * factor)[here].sum())
        out[name] = Change(ratio=after / before if before > 0 else None)
    return out


def _record(changes: Mapping[str, Change]) -> dict[str, Any]:
    """Ratios of CBF by tissue, and differences of the transit time where it was fitted."""
    later = {name: change.later for name, change in changes.items() if change.later is not None}
    return {**{name: change.ratio for name, change in changes.items()}, **({"Later": later} if later else {})}


def effect(
    raw: Scan,
    place: Place,
    measured: Repeats,
    estimate: Estimate,
    shares: Mapping[str, np.ndarray],
    kept: np.ndarray,
    quantification: settings.Quantification,
) -> Effect | None:
    """What known transit times and T1, and errors of theirs, do to a scan; None where none are known.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
    place : pharmasl.perfusion.scan.Place
    measured : pharmasl.perfusion.estimation.Repeats
    estimate : pharmasl.perfusion.estimation.Estimate
        As the scan was quantified.
    shares : Mapping of str to ndarray of shape (V,)
        Shares of ``gm`` and ``wm``, by which means are weighted.
    kept : ndarray of bool, shape (N,)
        The repeats in the mean.
    quantification : pharmasl.study.settings.Quantification
    """
    if raw.tissue is None or raw.timing is None or raw.constants is None:
        return None
    if raw.timing.several:
        return _of_several(raw, place, measured, estimate, shares, kept, quantification)
    return _of_one(raw, place, estimate.cbf, shares)


def _errors(raw: Scan, *, transit_time: bool = True) -> dict[str, dict[str, float]]:
    """The errors whose effect is stated, each with what is added."""
    assert raw.tissue is not None
    names = {"later": "transit_time"} if transit_time and raw.tissue.transit_time is not None else {}
    names |= {"longer": "t1"} if raw.tissue.t1 is not None else {}
    return {
        f"{name} {sign}{ERROR_STEP:g} s": {keyword: float(f"{sign}{ERROR_STEP}")}
        for keyword, name in names.items()
        for sign in "+-"
    }


def _of_one(raw: Scan, place: Place, cbf: np.ndarray, shares: Mapping[str, np.ndarray]) -> Effect:
    """Of a single delay."""
    assert raw.tissue is not None
    assert raw.timing is not None
    assert raw.constants is not None
    own = known_factor.factor(raw, place)[:, 0]
    delay = raw.timing.delay[0] + np.reshape(delays_at(raw, place), -1)
    time = raw.tissue.transit_time_at(place.points, place.matrix)
    assert time is not None
    known = np.isfinite(cbf) & np.isfinite(own)
    partly = raw.constants.arrived(delay, raw.timing.duration[0], time) < 1

    def ratios(other: np.ndarray) -> dict[str, Change]:
        """The means with another factor over those with the scan's own, where both are known."""
        return _ratios(cbf, other / own, shares)

    plain = np.broadcast_to(known_factor.factor(dataclasses.replace(raw, tissue=None), place)[:, 0], own.shape)
    return Effect(
        several=False,
        unknown=CONSENSUS,
        late=float(np.mean(~np.isfinite(own))) if len(own) else 0.0,
        arriving=float(np.mean(partly[known])) if known.any() else 0.0,
        prior_sd=None,
        known={name: Change(ratio=1 / own.ratio if own.ratio else None) for name, own in ratios(plain).items()},
        changed={name: ratios(known_factor.factor(raw, place, **added)[:, 0]) for name, added in _errors(raw).items()},
    )


def _of_several(
    raw: Scan,
    place: Place,
    measured: Repeats,
    estimate: Estimate,
    shares: Mapping[str, np.ndarray],
    kept: np.ndarray,
    quantification: settings.Quantification,
) -> Effect:
    """Of several delays."""
    plain = estimation.fitted(dataclasses.replace(raw, tissue=None), place, measured, kept, quantification)
    # A transit time that is no prior's mean changes nothing.
    errors = _errors(raw, transit_time=estimate.prior_sd is not None)
    known = (raw.tissue.t1, raw.tissue.transit_time) if raw.tissue is not None else ()
    without = [words for words, values in zip((T1_OF_BLOOD, COMMON_PRIOR), known) if values is not None]
    return Effect(
        several=True,
        unknown=f"the fit with {' and '.join(without)}",
        late=None,
        arriving=None,
        prior_sd=estimate.prior_sd,
        known=_changes(estimate, plain, shares),
        changed={
            name: _changes(estimation.fitted(raw, place, measured, kept, quantification, **added), estimate, shares)
            for name, added in errors.items()
        },
    )


def _changes(one: Estimate, other: Estimate, shares: Mapping[str, np.ndarray]) -> dict[str, Change]:
    """One fit's means against another's, over the voxels where both have a value."""
    assert one.att is not None
    assert other.att is not None
    both = np.isfinite(one.cbf) & np.isfinite(other.cbf)
    timed = np.isfinite(one.att) & np.isfinite(other.att)
    out = {}
    for name in TISSUES:
        share = shares[name]
        after, before = (float((share * fit.cbf)[both].sum()) for fit in (one, other))
        weight = float(share[timed].sum())
        later = float((share * (one.att - other.att))[timed].sum()) / weight if weight > 0 else None
        out[name] = Change(ratio=after / before if before > 0 else None, later=later)
    return out
