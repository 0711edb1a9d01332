"""A sham allocation of participants to the arms: the trial's sizes, dealt by chance.

Who gets which arm follows from the labels, the sizes and the seed alone, never from the trial's own allocation: nobody
can work back from the one to the other.
"""

import hashlib
from collections.abc import Iterable, Mapping

# The chance to draw the trial's own allocation is next to nothing in a trial, not in a trial run of a few people.
_DRAWS = 20


def sham(
    participants: Iterable[str], sizes: Mapping[str, int], seed: int, real: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Deal the arms.

    Parameters
    ----------
    participants : iterable of str
        In any order.
    sizes : dict
        Arm to the number of its participants; they add up to all.
    seed : int
    real : dict, optional
        Participant to the trial's own arm: an allocation that is the same, or the same with the arms' names exchanged,
        is drawn again.

    Returns
    -------
    dict
        Participant to arm, in the order of ``participants``.

    Raises
    ------
    ValueError
        If the sizes do not add up.
    """
    participants = list(participants)
    arms = [arm for arm, size in sizes.items() for _ in range(size)]
    if len(arms) != len(participants):
        raise ValueError(f"{len(arms)} places for {len(participants)} participants")
    for draw in range(_DRAWS):
        # In the order of a keyed digest: the same on every machine and with every version of Python.
        order = sorted(participants, key=lambda name: hashlib.sha256(f"{seed}/{draw}/{name}".encode()).digest())
        dealt = dict(zip(order, arms))
        if real is None or not _the_same(dealt, real):
            break
    return {name: dealt[name] for name in participants}


def _the_same(dealt, real):
    """Whether two allocations split the participants alike, whatever the arms are called."""
    pairs = {(dealt[name], real[name]) for name in dealt}
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


def sizes(labels: Iterable[str | None], arms: Iterable[str]) -> dict[str, int]:
    """How many have each arm.

    Parameters
    ----------
    labels : iterable of str or None
        Arm of each participant.
    arms : iterable of str
        In the order of the result.

    Returns
    -------
    dict
    """
    labels = list(labels)
    return {arm: labels.count(arm) for arm in arms}
