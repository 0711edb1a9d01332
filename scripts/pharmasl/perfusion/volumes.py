"""What each volume of a perfusion series is, and which label belongs to which control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.perfusion import signal
from pharmasl.study.scan_acquisition import ENCODED

# The volume types of a BIDS aslcontext.tsv, and coded ones; "noRF" and "n/a" (dummy) volumes take no part in anything.
TYPES = ("control", "label", "m0scan", "deltam", "cbf", ENCODED, "noRF", "n/a")
RESTORE = (
    "Restore the image from its source (volumes count from 0), correct its aslcontext.tsv, or take the run out of the "
    "dataset."
)


@dataclass(frozen=True)
class Volumes:
    """The volumes of a series by type, as indices along its fourth axis.

    Attributes
    ----------
    control, label, m0scan, deltam, cbf, encoded : ndarray of int
        Without the lost ones.
    pairs : ndarray of int, shape (N, 2)
        Control and label of each pair without a lost volume, in order of acquisition.
    unpaired : ndarray of int
        Controls and labels without a partner.
    kind : str
        What perfusion is computed from: ``"encoded"`` before ``"pairs"`` before ``"deltam"`` before ``"cbf"``.
    acquired : ndarray of int, shape (M, 2)
        Volumes of each repeat as acquired, the lost ones among them: control and label, or the volume and -1; of a
        time-encoded series (cycles, R), the volumes of each cycle.
    lost : Mapping of int to str
        Volumes that hold no measurement, with the reason: :class:`pharmasl.perfusion.signal.Signal`.
    level : ndarray of shape (T,) or None
        Of each volume in the head, of the same class; None where the volumes were not looked at.
    """

    control: np.ndarray
    label: np.ndarray
    m0scan: np.ndarray
    deltam: np.ndarray
    cbf: np.ndarray
    pairs: np.ndarray
    unpaired: np.ndarray
    kind: str
    acquired: np.ndarray
    encoded: np.ndarray
    lost: Mapping[int, str] = field(default_factory=dict)
    level: np.ndarray | None = None

    @property
    def show_the_head(self) -> bool:
        """Whether volumes show the head as it is, so that they can be realigned: a deltaM image shows too little of it."""
        return self.kind in ("pairs", "encoded")

    @property
    def static(self) -> np.ndarray:
        """Volumes whose mean shows static tissue: controls, or all that are coded."""
        return self.encoded if self.kind == "encoded" else self.control

    @property
    def moving(self) -> np.ndarray:
        """Volumes that realignment can use, sorted: controls and labels, or all that are coded."""
        if not self.show_the_head:
            return np.array([], dtype=int)
        return np.sort(np.concatenate([self.control, self.label, self.encoded]))


def sort(
    volume_types: Sequence[str],
    series: FilePath,
    group: Sequence[int] | np.ndarray | None = None,
    examined: signal.Signal | None = None,
    cycle: int | None = None,
) -> Volumes:
    """The volumes of a series by type, its controls and labels paired.

    Parameters
    ----------
    volume_types : sequence of str
        One of :data:`TYPES` for each volume.
    series : path-like
        The image, named in errors.
    group : sequence of int, optional
        Number of each volume's delay: only a control and a label of the same one are partners.
    examined : pharmasl.perfusion.signal.Signal, optional
        Volumes that hold no measurement keep their partner, so that no volume is paired anew, and both are left out.
    cycle : int, optional
        Volumes of a cycle of a time-encoded series.

    Returns
    -------
    Volumes

    Raises
    ------
    InputError
        If a type is unknown, or no volume holds perfusion, by its type or because it is lost.
    """
    unknown = sorted(set(volume_types) - set(TYPES))
    if unknown:
        raise InputError(
            series, "volume_type", unknown, f"one of {', '.join(TYPES)}", "Correct the series' aslcontext.tsv."
        )
    by_type = {kind: np.array([i for i, t in enumerate(volume_types) if t == kind], dtype=int) for kind in TYPES}
    group = np.zeros(len(volume_types)) if group is None else np.asarray(group)
    within = [
        pair(*(by_type[kind][group[by_type[kind]] == number] for kind in ("control", "label")))
        for number in np.unique(group)
    ]
    pairs = np.concatenate([np.empty((0, 2), dtype=int), *within])
    pairs = pairs[np.argsort(pairs[:, 0])]
    kind = _kind(pairs, by_type, volume_types, series)
    unpaired = np.setdiff1d(np.concatenate([by_type["control"], by_type["label"]]), pairs)
    acquired = pairs
    if kind == "encoded":
        acquired = _cycles(by_type[kind], cycle, series)
    elif kind != "pairs":
        acquired = np.stack([by_type[kind], np.full(len(by_type[kind]), -1)], axis=1)
    lost: dict[int, str] = {} if examined is None else examined.lost
    alive = ~np.isin(acquired, list(lost)).any(axis=1)
    if not alive.any():
        raise InputError(
            series, "volumes", signal.in_words(lost), "at least one repeat that holds a measurement", RESTORE
        )
    left = {name: np.setdiff1d(members, list(lost)).astype(int) for name, members in by_type.items()}
    return Volumes(
        control=left["control"],
        label=left["label"],
        m0scan=left["m0scan"],
        deltam=left["deltam"],
        cbf=left["cbf"],
        pairs=acquired[alive] if kind == "pairs" else pairs,
        unpaired=unpaired,
        kind=kind,
        acquired=acquired,
        encoded=left["encoded"],
        lost=lost,
        level=None if examined is None else examined.level,
    )


def _cycles(encoded: np.ndarray, cycle: int | None, series: FilePath) -> np.ndarray:
    """The volumes of each cycle of a time-encoded series."""
    if not cycle or len(encoded) % cycle:
        raise InputError(
            series, "volume_type", f"{len(encoded)} coded volumes", f"whole cycles of {cycle}", "Correct the encoding."
        )
    return encoded.reshape(-1, cycle)


def _kind(pairs: np.ndarray, by_type: Mapping[str, np.ndarray], types: Sequence[str], series: FilePath) -> str:
    """What perfusion is computed from: cycles before pairs before deltaM before CBF."""
    if len(by_type["encoded"]):
        return "encoded"
    if len(pairs):
        return "pairs"
    for kind in ("deltam", "cbf"):
        if len(by_type[kind]):
            return kind
    raise InputError(
        series,
        "volume_type",
        sorted(set(types)),
        "control and label, deltam, or cbf volumes",
        "Correct the series' aslcontext.tsv, or leave the scan out.",
    )


def require_m0(left: Sequence[int] | np.ndarray, lost: Mapping[int, str], path: FilePath) -> None:
    """Refuse a scan whose M0 volumes are all lost.

    Parameters
    ----------
    left : sequence of int
        M0 volumes that hold a measurement.
    lost : dict of int to str
        Those that do not, with the reason.
    path : path-like
        The image, named in the error.

    Raises
    ------
    InputError
    """
    if not len(left):
        raise InputError(path, "m0scan", signal.in_words(lost), "at least one M0 volume that holds signal", RESTORE)


def pair(control: Sequence[int] | np.ndarray, label: Sequence[int] | np.ndarray) -> np.ndarray:
    """Pair controls and labels in their order, whichever comes first, with the least total distance.

    With as many controls as labels, the k-th control belongs to the k-th label. With unequal numbers, the volumes that
    are left out are those whose loss keeps partners closest in time.

    Parameters
    ----------
    control, label : array_like of int
        Indices of volumes, ascending.

    Returns
    -------
    ndarray of int, shape (N, 2)
        Control and label of each pair; N is the smaller of the two numbers.
    """
    few, many = (control, label) if len(control) <= len(label) else (label, control)
    n, m = len(few), len(many)
    # least[i, j]: least sum of distances that pairs the first i of the few within the first j of the many.
    least = np.full((n + 1, m + 1), np.inf)
    least[0] = 0
    for i in range(1, n + 1):
        for j in range(i, m + 1):
            least[i, j] = min(least[i, j - 1], least[i - 1, j - 1] + abs(few[i - 1] - many[j - 1]))
    chosen, j = [], m
    for i in range(n, 0, -1):
        while least[i, j - 1] == least[i, j]:
            j -= 1
        chosen.append((few[i - 1], many[j - 1]))
        j -= 1
    pairs = np.array(chosen[::-1], dtype=int).reshape(-1, 2)
    return pairs if len(control) <= len(label) else pairs[:, ::-1]
