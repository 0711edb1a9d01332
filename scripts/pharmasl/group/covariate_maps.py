"""Maps and numbers that are terms of a model beside the outcome's own: grey matter, transit time, another contrast, global CBF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.contrasts.global_values import GlobalValues
from pharmasl.errors import FilePath
from pharmasl.files.bids import bare_label
from pharmasl.study.effect_kinds import CHANGE

GLOBAL = "global"


@dataclass(frozen=True, kw_only=True)
class TermMaps:
    """The files of a map that is a term of a model.

    Attributes
    ----------
    participants : tuple of str
        Whose maps they are.
    lists : tuple of sequence of path-like
        One list of a map per participant, or two, of which the second minus the first is the term.
    is_cbf : bool
        Of CBF an exact 0 stands for "not covered", as in the outcome; of grey matter and transit times it is a value.
    """

    participants: tuple[str, ...]
    lists: tuple[Sequence[FilePath], ...]
    is_cbf: bool

    def chosen(self, names: Sequence[str]) -> "TermMaps":
        """The files of some participants, in their order."""
        place = {name: number for number, name in enumerate(self.participants)}
        lists = tuple([paths[place[name]] for name in names] for paths in self.lists)
        return TermMaps(participants=tuple(names), lists=lists, is_cbf=self.is_cbf)

    def value(self, maps: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The term of one participant.

        Parameters
        ----------
        maps : sequence of ndarray of shape (V,)
            One per list.

        Returns
        -------
        values : ndarray of shape (V,), float64
            0 where the term has no value.
        inside : ndarray of bool, shape (V,)
            Where it has one.
        """
        inside = np.logical_and.reduce([np.isfinite(image) for image in maps])
        if self.is_cbf:
            inside &= np.logical_and.reduce([image != 0 for image in maps])
        filled = [np.where(inside, image, 0).astype(np.float64) for image in maps]
        return (filled[0] if len(filled) == 1 else filled[1] - filled[0]), inside


@dataclass(frozen=True, kw_only=True)
class TermFiles:
    """What the files of a term are among those of a rule's input.

    Attributes
    ----------
    text : str
        The term, as it stands in the formula.
    lists : int
        One list of a map per member, or two.
    members : str
        The session whose members they are.
    is_cbf : bool
        See :class:`TermMaps`.
    """

    text: str
    lists: int
    members: str
    is_cbf: bool


def term_maps(
    files: Sequence[FilePath], terms: Sequence[TermFiles], members: Mapping[str, Sequence[str]]
) -> dict[str, TermMaps]:
    """The maps that are terms, from the flat list of a rule's input.

    Parameters
    ----------
    files : sequence of path-like
        Term by term, for each list by list.
    terms : sequence of TermFiles
    members : mapping
        Session to its members.

    Returns
    -------
    dict
        By the term's text.
    """
    left, made = list(files), dict[str, TermMaps]()
    for term in terms:
        people = tuple(members[term.members])
        lists = []
        for _ in range(term.lists):
            own, left = left[: len(people)], left[len(people) :]
            lists.append(own)
        made[term.text] = TermMaps(participants=people, lists=tuple(lists), is_cbf=term.is_cbf)
    if left:
        raise ValueError(f"{len(left)} maps belong to no term")
    return made


def global_term(
    values: GlobalValues,
    participants: Sequence[str],
    contrast: str,
    sessions: Mapping[str, str],
    outcome: str,
    reference: str,
) -> np.ndarray:
    """Each participant's global CBF of a contrast, as the outcome is taken: a change of a change, else of the outcome's session.

    Parameters
    ----------
    values : pharmasl.contrasts.global_values.GlobalValues
    participants : sequence of str
    contrast : str
    sessions : mapping
        ``baseline`` and ``followup`` to labels.
    outcome : {"change", "followup", "baseline"}
    reference : {"brain", "grey_matter"}

    Returns
    -------
    ndarray of shape (n,)
        mL/100 g/min, absolute; NaN where it is not known.
    """
    names = [f"sub-{bare_label(name, 'sub')}" for name in participants]

    def at(which: str) -> np.ndarray:
        label = bare_label(sessions[which], "ses")
        return np.array(values.at(names, [label] * len(names), contrast, reference), dtype=np.float64)

    return at("followup") - at("baseline") if outcome == CHANGE else at(outcome)
