"""Effects in the words of what the maps are of: CBF of several sessions, unless the study says otherwise."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pharmasl.study.cbf_units import CBF_UNIT
from pharmasl.study.effect_kinds import FORMULA, KINDS, OUTCOMES, EffectKind, literal, of_formula
from pharmasl.study.labels import worded_levels

# The first of Unicode's characters for private use.
_PRIVATE = 0xE000


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What the maps of a study are of: CBF, or what another program measured.

    Attributes
    ----------
    measure : str
        As it stands in a sentence: ``CBF``, ``BOLD response``.
    unit : str
    """

    measure: str
    unit: str

    @property
    def is_cbf(self) -> bool:
        """Whether it is CBF in its own unit."""
        return self == PERFUSION


PERFUSION = Quantity(measure="CBF", unit=CBF_UNIT)


def worded(kind: EffectKind, quantity: Quantity, *, single_visit: bool = False) -> EffectKind:
    """An effect in the words of a quantity.

    Parameters
    ----------
    kind : EffectKind
        In those of CBF.
    quantity : Quantity
    single_visit : bool
        Everyone was seen once, so that nothing is at baseline.

    Returns
    -------
    EffectKind
    """
    if quantity.is_cbf and not single_visit:
        return kind
    if kind.name == FORMULA:
        # Only the outcome's words change: the formula may name anything.
        changed = of_formula(
            kind.formula,
            outcome=kind.outcome,
            test=kind.test,
            exchange=kind.exchange,
            takes_baseline=kind.takes_baseline,
            is_slope=kind.is_slope,
            is_joint=kind.is_joint,
            words=_of_quantity(OUTCOMES[kind.outcome], quantity, single_visit),
        )
    else:
        within = kind.meaning_within_arm
        changed = dataclasses.replace(
            kind,
            meaning=_of_quantity(kind.meaning, quantity, single_visit),
            meaning_within_arm=within and _of_quantity(within, quantity, single_visit),
            heading=_of_quantity(kind.heading, quantity, single_visit),
            sentence=_of_quantity(kind.sentence, quantity, single_visit),
        )
    unit = literal(quantity.unit)
    return dataclasses.replace(
        changed, unit=changed.unit.replace(CBF_UNIT, quantity.unit), sentence=changed.sentence.replace(CBF_UNIT, unit)
    )


def _of_quantity(text: str, quantity: Quantity, single_visit: bool) -> str:
    """A text about CBF as one about another quantity."""
    text = text.replace("CBF at baseline", "CBF") if single_visit else text
    return text.replace("CBF", literal(quantity.measure))


def quantity_of(inference: Mapping[str, Any]) -> Quantity:
    """What the maps of an analysis are of, from the content of its ``_inference.json``."""
    return Quantity(**inference["quantity"]) if inference.get("quantity") else PERFUSION


def unit_of(inference: Mapping[str, Any]) -> str:
    """The unit of an analysis' maps, from the content of its ``_inference.json``."""
    return str(inference.get("cbf_unit") or quantity_of(inference).unit)


def _marks(levels: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """A character of no language for each word of ``levels``: whatever a word holds, sentences are made as of a plain name."""
    numbers = itertools.count(_PRIVATE)
    return {part: {name: chr(next(numbers)) for name in own} for part, own in levels.items()}


def _unmarked(
    kind: EffectKind, levels: Mapping[str, Mapping[str, str]], marks: Mapping[str, Mapping[str, str]]
) -> EffectKind:
    """The effect with the words of ``levels`` in place of their marks; its test keeps its names."""
    words = {marks[part][name]: text for part, own in levels.items() for name, text in own.items()}

    def put(text: str, shown: Callable[[str], str] = str) -> str:
        return "".join(shown(words[letter]) if letter in words else letter for letter in text)

    return dataclasses.replace(
        kind,
        meaning=put(kind.meaning),
        heading=put(kind.heading, literal),
        sentence=put(kind.sentence, literal),
    )


def of_block(inference: Mapping[str, Any]) -> EffectKind:
    """The kind of an analysis' effect, from the content of its ``_inference.json``."""
    effect = inference["effect"]
    levels = effect.get("levels") or {}
    marks = _marks(levels)
    if effect["name"] != FORMULA:
        kind = KINDS[effect["name"]]
    else:
        kind = of_formula(
            effect["formula"],
            outcome=effect["outcome"],
            test=worded_levels(effect["test"], marks) if levels else effect["test"],
            takes_baseline=re.search(r"\bbaseline\b", effect["formula"].partition("~")[2]) is not None,
            is_slope=effect["is_slope"],
            is_joint=effect["is_joint"],
        )
    kind = worded(kind, quantity_of(inference), single_visit=bool(inference.get("single_visit")))
    if levels:
        kind = dataclasses.replace(_unmarked(kind, levels, marks), test=effect["test"])
    return kind.in_unit(inference["cbf_unit"]) if "cbf_unit" in inference else kind
