"""What an analysis tested and how, as a block of plain values: the words that a p value needs to be understood."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

import pharmasl
from pharmasl.group import design_names
from pharmasl.group.engine import statistic
from pharmasl.group.engine.statistic import Statistic
from pharmasl.group.engine.tfce import Enhancement
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.study import relative_cbf, settings
from pharmasl.study.effect_kinds import (
    BASELINE,
    CHANGE,
    DIFFERENCES,
    FLIP,
    FOLLOWUP,
    FORMULA,
    FULL_FACTORIAL,
    MIXED_MODEL,
    EffectKind,
)
from pharmasl.study.effect_words import PERFUSION, Quantity, worded
from pharmasl.study.settings import Analysis, Arms, Inference

ESTIMATORS = {
    DIFFERENCES: "within-person differences, ordinary least squares",
    FULL_FACTORIAL: "all scans in one model with one covariance for the brain (SPM's full factorial)",
    MIXED_MODEL: "all scans, a random intercept for each participant",
}
_NEIGHBOURS = {6: "nilearn", 18: "SPM", 26: "FSL, PALM"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of the maps.

    Attributes
    ----------
    analysis : pharmasl.study.settings.Analysis
        With its inference.
    arms : pharmasl.study.settings.Arms or None
        None in a study without arms.
    sessions : mapping
        ``baseline`` and, unless the effect is of the baseline alone, ``followup`` to labels; an empty one in a dataset without
        sessions.
    is_cbf : bool
        Whether the contrast is a CBF, not a difference of states: only then has a percentage a meaning.
    shared_data : tuple of str
        What the analysis shares with its seed or its region, as :mod:`pharmasl.study.shared_data` says it.
    scaling : pharmasl.study.settings.Scaling or None
        How each scan's CBF was scaled, and where its mean is taken; None for absolute CBF and the mean over the brain.
    cautions : tuple of str
        What a reader has to know of terms that treatment may have changed.
    quantity : pharmasl.study.effect_words.Quantity
        What the maps are of.
    """

    analysis: Analysis
    arms: Arms | None
    sessions: Mapping[str, str]
    is_cbf: bool = True
    shared_data: tuple[str, ...] = ()
    scaling: settings.Scaling | None = None
    cautions: tuple[str, ...] = ()
    quantity: Quantity = PERFUSION

    @property
    def is_single_visit(self) -> bool:
        """Whether everyone was seen once, in a dataset without sessions."""
        return dict(self.sessions) == {BASELINE: ""}

    def worded(self, kind: EffectKind) -> EffectKind:
        """An effect's kind in the words of what the maps are of."""
        return worded(kind, self.quantity, single_visit=self.is_single_visit)

    @property
    def arms_compared(self) -> Arms:
        """The arms, of a study that has them; whatever compares arms is refused otherwise."""
        if self.arms is None:
            raise ValueError(f"{self.analysis.name}: compares arms in a study without any")
        return self.arms

    @property
    def is_relative(self) -> bool:
        """Whether the maps are of relative CBF."""
        return self.scaling is not None and not self.scaling.is_absolute


@dataclass(frozen=True)
class Exclusion:
    """A participant whom an analysis leaves out, and why."""

    participant_id: str
    reason: str


def software() -> dict[str, str]:
    """Versions of what the numbers come from."""
    names = ("numpy", "scipy", "numba", "nibabel")
    return {"pharmasl": pharmasl.__version__, **{name: metadata.version(name) for name in names}}


def effect(kind: EffectKind, arm: str | None) -> dict[str, Any]:
    """An effect by its name, meaning and unit; of a formula with what makes its words anew."""
    content: dict[str, Any] = {
        "name": kind.name,
        "meaning": kind.meaning_of(arm),
        "unit": kind.unit,
    }
    if kind.name == FORMULA:
        content |= {
            "formula": kind.formula,
            "outcome": kind.outcome,
            "test": kind.test,
            "is_slope": kind.is_slope,
            "is_joint": kind.is_joint,
        }
    return content


def block(
    question: Question,
    status: str,
    participants: Sequence[str],
    excluded: Sequence[Exclusion],
    kind: EffectKind | None = None,
) -> dict[str, Any]:
    """What is known before any number is computed.

    Parameters
    ----------
    question : Question
    status : str
        ``run`` or ``not run: <reason>``.
    participants : sequence of str
        Those analysed.
    excluded : sequence of Exclusion
    kind : pharmasl.study.effect_kinds.EffectKind, optional
        That of the model, which knows a formula's test better than the analysis does.

    Returns
    -------
    dict
    """
    analysis, arms = question.analysis, question.arms
    kind = question.worded(kind or analysis.kind)
    if question.scaling is not None and question.is_relative:
        kind = kind.in_unit(relative_cbf.unit(question.scaling))
    return {
        "status": status,
        "contrast": analysis.contrast,
        **_relative(question),
        **({} if question.quantity.is_cbf else {"quantity": dataclasses.asdict(question.quantity)}),
        **({"single_visit": True} if question.is_single_visit else {}),
        "effect": effect(kind, analysis.arm),
        "method": "ordinary least squares" if question.is_single_visit else ESTIMATORS[analysis.method],
        "seed": None if analysis.seed is None else settings.plain(analysis.seed),
        "within": analysis.within,
        "arm": analysis.arm,
        "pair": None if analysis.pair is None else list(analysis.pair),
        "predictor": analysis.predictor,
        "site": analysis.site,
        "covariates": list(analysis.covariates),
        "arms": arms and {"treatment": arms.treatment, "control": arms.control},
        "participants": list(participants),
        "excluded": [{"participant_id": one.participant_id, "reason": one.reason} for one in excluded],
        "alpha": analysis.inference.alpha,
        # Of an analysis that was run.
        "verdict": None,
        "notes": list(question.shared_data),
        "cautions": list(question.cautions),
        "percent": None if question.is_cbf else _no_percentage(question),
        "software": software(),
    }


def _relative(question: Question) -> dict[str, Any]:
    """What the numbers are where CBF is relative; nothing for absolute CBF."""
    if question.scaling is None or not question.is_relative:
        return {}
    return {
        "cbf_unit": relative_cbf.unit(question.scaling),
        "scaling": {**settings.plain(question.scaling), "meaning": relative_cbf.sentence(question.scaling)},
    }


def _no_percentage(question: Question) -> str:
    if question.scaling is not None and question.scaling.scaling == relative_cbf.ADDITIVE:
        return "none: what is above a scan's mean has no baseline to be a percentage of"
    return "none: a contrast of states has no baseline to be a percentage of"


def linear_model(model: Model, observed: Statistic | None = None) -> dict[str, Any]:
    """The linear model and its degrees of freedom; ``observed`` is its statistic, where it is one of a permutation."""
    kind = statistic.EQUAL if observed is None else observed.kind
    df, df_range = (model.df, None) if observed is None else statistic.median_df(observed)
    variance_note = None if observed is None else statistic.note(observed.variances, kind)
    content: dict[str, Any] = {
        "design": design_names.name_of(model),
        "tested_columns": model.tested,
        "tested_effects": list(model.effects) or [model.meaning],
        "formula": model.formula.split(";")[0],
        "meaning": model.meaning,
        "tested_term": model.meaning if model.kind.name == FORMULA else " - ".join(model.tested),
        "statistic": statistic.WORDS[kind] if not model.is_joint else statistic.WORDS_OF_F,
        **({"df_tested": len(model.weights)} if model.is_joint else {}),
        "df": df,
        **({} if df_range is None else {"df_range": df_range}),
        "n": len(model.participants),
        "blocks": None if model.blocks is None else int(model.blocks.max()) + 1,
        "design_sha256": model.digest(),
        "relabelled_sha256": model.relabelling_digest(),
        "tested_model": model.record(),
        "notes": [*model.notes, *filter(None, [variance_note])],
    }
    if model.kind.name == FORMULA:
        content |= {
            "test": list(model.effects),
            "test_in_coefficients": list(model.symbols),
            "coding": list(model.coding),
            "maps": model.maps,
            "random": list(map(str, model.random)),
            "n_by_arm": {
                str(arm): len({who for who, own in zip(model.participants, model.arms) if own == arm})
                for arm in sorted({str(arm) for arm in model.arms if arm is not None})
            },
        }
    if "arm" in model.names:
        treated = model.matrix[:, model.names.index("arm")] > 0
        content |= {"n_treatment": int(treated.sum()), "n_control": int((~treated).sum())}
    return content


def search_volume(maps: Maps, participants: Sequence[str]) -> dict[str, Any]:
    """Where was tested, and what was lost to missing coverage.

    Parameters
    ----------
    maps : pharmasl.group.maps.Maps
        Of the voxels tested.
    participants : sequence of str
        One per row of the maps.
    """
    sizes = (maps.affine[:3, :3] ** 2).sum(axis=0) ** 0.5
    words = "template brain mask and a finite, non-zero value in every map of every participant"
    if maps.region:
        words += f", within the region {maps.region}"
    lost: dict[str, int] = {}
    for name, number in zip(participants, maps.lost):
        lost[name] = max(number, lost.get(name, 0))
    return {
        "definition": words,
        "voxels": int(maps.mask.sum()),
        "template_voxels": int(maps.template_voxels),
        "voxel_size_mm": [round(float(size), 4) for size in sizes],
        "voxels_without_variance": maps.constant,
        "uncovered_voxels": lost,
        **({"lost_to_terms": dict(maps.lost_to_terms)} if maps.lost_to_terms else {}),
    }


_EXCHANGED = {CHANGE: "changes", FOLLOWUP: "follow-ups", BASELINE: "baselines"}


def _has_nuisance(model: Model) -> bool:
    """Whether the model has terms beside the tested ones and one common mean, so that residuals are permuted, not data."""
    nuisance = np.linalg.matrix_rank(model.matrix) - np.linalg.matrix_rank(model.weights)
    return bool(model.maps) or bool(nuisance > 1)


def permutation(
    model: Model, *, number: int, exhaustive: bool, log10_distinct: float, seed: int, smallest: float
) -> dict[str, Any]:
    """The relabellings.

    Parameters
    ----------
    model : pharmasl.group.model.Model
        What is exchanged, and whether within sites only.
    number : int
        Relabellings, the observed labelling among them.
    exhaustive : bool
        Whether these are all that there are.
    log10_distinct : float
        Decimal logarithm of the number of distinct ones.
    seed : int
    smallest : float
        The smallest p that they allow.
    """
    if model.exchange == FLIP:
        # Under the null a change, or a map, is as likely up as down.
        what = "changes" if model.outcome == CHANGE else "values"
        words = f"the signs of participants' {what} flipped, whole maps at a time"
    else:
        permuted = _EXCHANGED[model.outcome]
        words = f"whole {permuted} permuted among participants"
        if _has_nuisance(model):
            words = (
                f"residuals of the participants' {permuted} under the null model permuted among participants (Freedman and Lane "
                "1983; Winkler et al. 2014)"
            )
        if model.maps:
            words += ", with each voxel's own covariates in that null model"
        if model.blocks is not None:
            words += ", within sites"
    return {
        "method": words,
        "number": number,
        "identity_counted": True,
        "exhaustive": exhaustive,
        "log10_distinct": round(float(log10_distinct), 2),
        "seed": None if exhaustive else seed,
        "smallest_attainable_p": smallest,
    }


def _height(heights: str, scale: str) -> str:
    """What mass and enhancement are summed over."""
    if heights == statistic.F:
        return heights if scale == "t" else f"z of {heights}"
    return scale if heights == "t" else heights


def statistics(
    inference: Inference,
    threshold: float,
    *,
    mass: bool = False,
    enhancement: Enhancement | None = None,
    fields: bool = False,
    scale: str = "t",
    heights: str = "t",
) -> dict[str, Any]:
    """The test statistics and what is taken over the mask, each choice with a program that makes the same one.

    Parameters
    ----------
    inference : pharmasl.study.settings.Inference
    threshold : float
        Cluster-forming height.
    mass : bool
        Whether the clusters' mass is tested.
    enhancement : pharmasl.group.engine.tfce.Enhancement, optional
        That of the threshold-free cluster enhancement which is tested.
    fields : bool
        Whether p are of random fields, not of relabellings.
    scale : {"t", "z"}
        ``z`` where only a false discovery rate is held.
    heights : str
        What the maps' heights are, ``t``, ``F`` or ``z of v``.
    """
    two_sided = inference.two_sided
    over = "by random fields (as SPM)" if fields else "over relabellings"
    largest = f"largest |{heights}| in the mask" if two_sided else f"largest {heights} in the mask"
    forming = {
        "forming_p": inference.cluster_forming_p,
        "forming_p_meaning": f"one-sided, on {heights if scale == 't' else scale}, uncorrected, for either tail"
        if heights != statistic.F
        else "upper tail of F, uncorrected",
        "forming_t": threshold,
        "signs": "both signs, apart" if two_sided else "positive only" if heights != statistic.F else "F has none",
        "neighbours": inference.neighbours,
        "neighbours_as": _NEIGHBOURS[inference.neighbours],
    }
    content: dict[str, Any] = {
        "two_sided": two_sided,
        "heights": heights,
        "correction": f"family-wise over the mask{' and both signs' if heights != statistic.F else ''}, for each statistic on its own"
        if scale == "t"
        else "false discovery rate alone",
        "voxel": {"statistic": f"{largest} {over}" if scale == "t" else "false discovery rate of voxels"},
        "cluster": {"statistic": f"extent: voxels of the largest cluster in the mask {over}", **forming},
    }
    if mass:
        base = "above the cluster-forming threshold (as nilearn)" if inference.mass == "excess" else "in all (as FSL)"
        height = _height(heights, inference.scale)
        content["mass"] = {"statistic": f"mass of the heaviest cluster: sum of |{height}| {base}", **forming}
    if enhancement is not None:
        content["tfce"] = {
            "statistic": "largest threshold-free cluster enhancement, integrated exactly (Smith and Nichols 2009)",
            "extent_power": enhancement.extent_power,
            "height_power": enhancement.height_power,
            "neighbours": enhancement.neighbours,
            "scale": _height(heights, enhancement.scale),
        }
    return content
