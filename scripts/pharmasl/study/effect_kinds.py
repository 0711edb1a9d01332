"""The effects that an analysis of the brain may ask for, a record each: all that is true of an effect in any study.

Planning, the designs (:mod:`pharmasl.group.effects`), the tests, the figures, the report and the sensitivity analysis read these
records. What depends on a study's arms and participants is the ``Model`` of an analysis.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pharmasl.study.cbf_units import CBF_UNIT
from pharmasl.study.labels import spaced

CHANGE, BASELINE, FOLLOWUP, CBF = "change", "baseline", "followup", "cbf"
PERMUTE, FLIP = "permute", "flip"
DIFFERENCES, FULL_FACTORIAL, MIXED_MODEL = "differences", "full_factorial", "mixed_model"

# The name of an effect that a formula defines.
FORMULA = "formula"


@dataclass(frozen=True, kw_only=True)
class EffectKind:
    """An effect by its name in the configuration.

    Attributes
    ----------
    name : str
    outcome : {"change", "followup", "baseline", "cbf"}
        What of a participant the model explains: follow-up minus baseline, or one session alone; ``cbf`` of every session, where a
        row is a scan.
    formula : str
        The model before covariates and site, as in R.
    test : str
        The tested term or, of two, their difference.
    exchange : {"permute", "flip"}
        Whether a relabelling exchanges participants or flips the signs of their changes.
    unit : str
    meaning : str
        What the effect says; ``meaning_within_arm`` where it is asked of one arm and the words differ.
    heading, sentence : str
        Templates of :meth:`headline` and :meth:`finding`.
    needs : tuple of str
        Settings that the analysis must have: ``arm``, ``pair``, ``predictor``, ``seed``.
    takes : tuple of str
        Settings that it may have.
    methods : tuple of str
    all_arms : bool
        All arms of the trial enter, not the treatment and the control arm alone.
    is_slope : bool
        The effect is a slope or a difference of slopes: neither a percentage nor a standardised difference of means.
    one_column : bool
        The tested term is one column of a design of changes.
    takes_baseline : bool
        The baseline session's maps are terms of a model of the follow-up.
    is_joint : bool
        Several effects are tested together, by F.
    """

    name: str
    formula: str
    test: str
    meaning: str
    heading: str
    sentence: str
    meaning_within_arm: str | None = None
    outcome: str = CHANGE
    exchange: str = PERMUTE
    unit: str = CBF_UNIT
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    methods: tuple[str, ...] = (DIFFERENCES,)
    all_arms: bool = False
    is_slope: bool = False
    one_column: bool = False
    takes_baseline: bool = False
    is_joint: bool = False

    @property
    def sessions(self) -> tuple[str, ...]:
        """The sessions whose maps the effect takes, ``baseline`` and ``followup`` or one of them; the outcome's last."""
        if self.outcome in (BASELINE, FOLLOWUP) and not self.takes_baseline:
            return (self.outcome,)
        return ("baseline", "followup")

    @property
    def is_seeded(self) -> bool:
        """Whether a seed region's change is a term of the model."""
        return "seed" in self.needs

    def arms(self, labels: Sequence[str], arm: str | None) -> list[str]:
        """The arms whose participants enter an analysis.

        Parameters
        ----------
        labels : sequence of str
            All arms of the trial, treatment and control first.
        arm : str or None
            The one arm within which the analysis is made.
        """
        if arm:
            return [arm]
        return list(labels) if self.all_arms else list(labels[:2])

    def in_unit(self, unit: str) -> "EffectKind":
        """The kind for a contrast of relative CBF, whose unit its words then name; a seed's unit is another's."""
        return dataclasses.replace(
            self, unit=self.unit.replace(CBF_UNIT, unit, 1), sentence=self.sentence.replace(CBF_UNIT, unit, 1)
        )

    def meaning_of(self, arm: str | None) -> str:
        """The meaning of the effect, within one arm if that is named."""
        return self.meaning if arm is None or self.meaning_within_arm is None else self.meaning_within_arm

    def headline(self, inference: Mapping[str, Any]) -> str:
        """The heading of an analysis.

        Parameters
        ----------
        inference : mapping
            Content of the analysis' ``_inference.json``: ``contrast``, ``arm``, ``pair``, ``predictor``, ``seed``.
        """
        seed, arm = inference.get("seed"), inference.get("arm")
        return self.heading.format(
            contrast=inference["contrast"],
            arm=arm,
            on_arm=f" on {arm}" if arm else "",
            pair=" versus ".join(inference.get("pair") or []),
            predictor=inference.get("predictor"),
            seed=spaced(seed["roi"]) if seed else None,
            seed_contrast=seed["contrast"] if seed else None,
        )

    def finding(self, inference: Mapping[str, Any], *, size: float, positive: bool) -> str:
        """How large an effect was and in which direction, as a clause.

        Parameters
        ----------
        inference : mapping
            Content of the analysis' ``_inference.json``: ``arms`` (None without any), ``arm``, ``pair``, ``predictor``.
        size : float
            Of the effect, in its unit.
        positive : bool
            Its sign.
        """
        arms, arm = inference["arms"], inference.get("arm")
        # Only a comparison of arms names them, and a study that has none makes none.
        first, second = inference.get("pair") or ((arms["treatment"], arms["control"]) if arms else (None, None))
        return self.sentence.format(
            size=f"{abs(size):.{2 if self.is_slope else 1}f}",
            higher="higher" if positive else "lower",
            rose="rose" if positive else "fell",
            first=first,
            second=second,
            arm=arm,
            held=f"on {arm}" if arm else "adjusted for arm",
            predictor=inference.get("predictor"),
        )


_SLOPE_ON_SEED = f"{CBF_UNIT} per {CBF_UNIT} of the seed"

_EVERY = (
    EffectKind(
        name="group_by_time",
        formula="change ~ arm",
        test="arm",
        meaning=(
            "Group-by-time interaction: the change (follow-up minus baseline) in the treatment arm minus the change in the "
            "control arm, estimated from within-person changes"
        ),
        heading="Group-by-time interaction in CBF ({contrast})",
        sentence=f"the mean change in CBF was {{size}} {CBF_UNIT} {{higher}} on {{first}} than on {{second}}",
        methods=(DIFFERENCES, FULL_FACTORIAL, MIXED_MODEL),
        one_column=True,
    ),
    EffectKind(
        name="between_arms",
        formula="change ~ 0 + arm",
        test="first arm - second arm",
        meaning="Difference between two arms in the change (follow-up minus baseline), estimated with all arms in the model",
        heading="Change in CBF ({contrast}): {pair}",
        sentence=f"the mean change in CBF was {{size}} {CBF_UNIT} {{higher}} on {{first}} than on {{second}}",
        needs=("pair",),
        all_arms=True,
    ),
    EffectKind(
        name="within_arm",
        formula="change ~ 1",
        test="1",
        exchange=FLIP,
        meaning="Mean change (follow-up minus baseline) within one arm, not compared with another arm",
        heading="Change in CBF ({contrast}) on {arm}",
        sentence=f"mean CBF on {{arm}} was {{size}} {CBF_UNIT} {{higher}} at follow-up than at baseline",
        needs=("arm",),
    ),
    EffectKind(
        name="baseline_difference",
        outcome=BASELINE,
        formula="baseline ~ arm",
        test="arm",
        meaning="Difference between the arms at baseline; after proper randomisation any difference is due to chance",
        heading="CBF at baseline ({contrast}), by arm",
        sentence=f"mean CBF at baseline was {{size}} {CBF_UNIT} {{higher}} in the {{first}} arm than in the {{second}} arm",
    ),
    EffectKind(
        name="regression",
        formula="change ~ predictor + arm",
        test="predictor",
        unit=f"{CBF_UNIT} per unit of the predictor",
        meaning="Slope of the change (follow-up minus baseline) on a predictor, across participants",
        heading="Change in CBF ({contrast}) with {predictor}{on_arm}",
        sentence=f"the change in CBF was {{size}} {CBF_UNIT} {{higher}} per unit of {{predictor}}",
        needs=("predictor",),
        takes=("arm",),
        all_arms=True,
        is_slope=True,
        one_column=True,
    ),
    EffectKind(
        name="association",
        formula="change ~ seed_change + arm",
        test="seed_change",
        unit=_SLOPE_ON_SEED,
        meaning="Slope of the change in CBF on the same participant's change in the seed region, adjusted for arm",
        meaning_within_arm=(
            "Slope of the change in CBF on the same participant's change in the seed region within one arm, not compared "
            "with another arm"
        ),
        heading="Change in CBF ({contrast}) with change in {seed} ({seed_contrast}){on_arm}",
        sentence=f"CBF {{rose}} by {{size}} {CBF_UNIT} for each rise of 1 {CBF_UNIT} in the seed region, {{held}}",
        needs=("seed",),
        takes=("arm",),
        is_slope=True,
        one_column=True,
    ),
    EffectKind(
        name="association_by_arm",
        formula="change ~ seed_change * arm",
        test="seed_change:arm",
        unit=_SLOPE_ON_SEED,
        meaning=(
            "Difference between the arms in the slope of the change in CBF on the same participant's change in the seed region"
        ),
        heading="Change in CBF ({contrast}) with change in {seed} ({seed_contrast}), by arm",
        sentence="the slope on the change in the seed region was {size} {higher} on {first} than on {second}",
        needs=("seed",),
        is_slope=True,
        one_column=True,
    ),
)

KINDS: Mapping[str, EffectKind] = MappingProxyType({kind.name: kind for kind in _EVERY})

OUTCOMES = {
    CHANGE: "the change in CBF",
    FOLLOWUP: "CBF at follow-up",
    BASELINE: "CBF at baseline",
    CBF: "CBF over all sessions",
}


def of_formula(
    formula: str,
    *,
    outcome: str,
    test: str,
    exchange: str = PERMUTE,
    takes_baseline: bool = False,
    is_slope: bool = False,
    is_joint: bool = False,
    words: str | None = None,
) -> EffectKind:
    """The kind of an effect that a formula and a test define.

    Parameters
    ----------
    formula : str
    outcome : {"change", "followup", "baseline", "cbf"}
    test : str
        What is tested, in words.
    exchange : {"permute", "flip"}
    takes_baseline : bool
        The baseline session's maps are terms of the model.
    is_slope : bool
        A slope is tested, not a difference of means.
    is_joint : bool
        Several effects are tested together.
    words : str, optional
        The outcome in words; by default that of CBF.
    """
    words, shown, written = words or OUTCOMES[outcome], literal(test), literal(formula)
    held = ", adjusted for each voxel's own baseline" if takes_baseline else ""
    return EffectKind(
        name=FORMULA,
        outcome=outcome,
        formula=formula,
        test=test,
        exchange=exchange,
        unit=f"{CBF_UNIT} per unit of the term" if is_slope else CBF_UNIT,
        meaning=f"Effect of {test} on {words}" + (" (follow-up minus baseline)" if outcome == CHANGE else ""),
        # Several models may test one effect: the heading tells them apart.
        heading=f"{_upper(words.removeprefix('the '))} ({{contrast}}): {shown}; {written}",
        sentence=_sentence(words, shown, is_joint=is_joint) + held,
        takes=("arm",),
        methods=(MIXED_MODEL,) if outcome == CBF else (DIFFERENCES,),
        all_arms=True,
        is_slope=is_slope,
        is_joint=is_joint,
        takes_baseline=takes_baseline,
    )


def literal(text: str) -> str:
    """A text that stands for itself in a template."""
    return text.replace("{", "{{").replace("}", "}}")


def _upper(words: str) -> str:
    return words[0].upper() + words[1:]


# A difference of two levels, without weights, and over what it is averaged.
_DIFFERENCE = re.compile(r"([^-+(),;]+) - ([^-+(),;]+)(, (?:averaged|at) [^;]*)?")
_SLOPE = re.compile(r"slope on ([^();]+?)(, at [^;]*)?")


def _mean(outcome: str) -> str:
    """The mean of an outcome, in words: "the mean change in CBF"."""
    return f"the mean {outcome.removeprefix('the ')}" if outcome.startswith("the ") else f"mean {outcome}"


def _sentence(outcome: str, test: str, *, is_joint: bool) -> str:
    """What was found of a test, as a template of :meth:`EffectKind.finding`."""
    if is_joint:
        effects = test.replace(", together", "")
        return f"the effects on {outcome} ({effects}) were not all zero; their root mean square over participants was {{size}} {CBF_UNIT}"
    if match := _DIFFERENCE.fullmatch(test):
        first, second, over = match.groups(default="")
        return f"{_mean(outcome)} was {{size}} {CBF_UNIT} {{higher}} for {first} than for {second}{over}"
    if match := _SLOPE.fullmatch(test):
        term, at = match.groups(default="")
        return f"{outcome} was {{size}} {CBF_UNIT} {{higher}} per unit of {term}{at}"
    if test == "mean":
        return f"{_mean(outcome)} was {{size}} {CBF_UNIT} {{higher}} than zero"
    return f"the effect {test} on {outcome} was {{size}} {CBF_UNIT} {{higher}} than zero"
