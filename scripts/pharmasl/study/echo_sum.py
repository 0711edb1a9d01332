"""How the echoes of a series are summed: the weight of each, and what is gained by it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SOURCE = (
    "each echo weighted by the signal that it is expected to hold, as Posse et al. 1999 weight by "
    "expected contrast: exp(-TE / T2*) of perfusion, TE exp(-TE / T2*) of BOLD"
)


@dataclass(frozen=True, kw_only=True)
class EchoSum:
    """The weights by which the echoes of a series and of its M0 are summed.

    Attributes
    ----------
    times : tuple of float
        Echo times, seconds, rising.
    weights : tuple of float
        Of each echo; their sum is 1.
    volumes : tuple of tuple of int, or None
        Where the echoes are volumes of one file: numbers of each echo's volumes, those of one excitation at one place. None
        where each echo is a file.
    """

    times: tuple[float, ...]
    weights: tuple[float, ...]
    volumes: tuple[tuple[int, ...], ...] | None = None

    def plain(self) -> dict[str, Any]:
        """All fields as plain values, as a rule's params hold them."""
        volumes = None if self.volumes is None else [list(own) for own in self.volumes]
        return {"times": list(self.times), "weights": list(self.weights), "volumes": volumes}


def build(values: Mapping[str, Any]) -> EchoSum:
    """The echoes from plain values, as :meth:`EchoSum.plain` gives them."""
    volumes = values["volumes"]
    return EchoSum(
        times=tuple(values["times"]),
        weights=tuple(values["weights"]),
        volumes=None if volumes is None else tuple(tuple(own) for own in volumes),
    )


def decay(times: Sequence[float], t2_star: float) -> tuple[float, ...]:
    """The signal of each echo over that of the first: ``exp(-(TE - TE1) / T2*)``, times in seconds."""
    return tuple(math.exp((times[0] - time) / t2_star) for time in times)


def weights(times: Sequence[float], t2_star: float) -> tuple[float, ...]:
    """The weights of echoes of one signal that decays, by which the sum's noise is least.

    Of echoes that hold ``s exp(-TE / T2*)`` and noise of one size each, independent of each other, the weighted sum whose
    signal is largest over its noise has weights in proportion to the signals (a matched filter; by the inequality of
    Cauchy and Schwarz). Posse et al. 1999 (Magn Reson Med 42:87) weight echoes by their expected contrast likewise, which of
    BOLD has a factor TE more. Where T2* is another than assumed, less is gained, and CBF stays what it is: series and M0 are
    summed alike.

    Parameters
    ----------
    times : sequence of float
        Echo times, seconds.
    t2_star : float
        Seconds.

    Returns
    -------
    tuple of float
        Their sum is 1.
    """
    signals = decay(times, t2_star)
    total = math.fsum(signals)
    return tuple(signal / total for signal in signals)


def gain(own: Sequence[float], signals: Sequence[float]) -> float:
    """Signal over noise of a weighted sum of echoes, over that of the first echo, where all have the same noise.

    Parameters
    ----------
    own : sequence of float
        Weights.
    signals : sequence of float
        Of each echo over that of the first.

    Returns
    -------
    float
    """
    total = math.fsum(weight * signal for weight, signal in zip(own, signals, strict=True))
    return total / math.sqrt(math.fsum(weight**2 for weight in own))
