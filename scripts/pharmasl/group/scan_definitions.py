"""What a mixed model of scans was fitted to and how it was tested: what the result is made of, and its words for ``_inference.json``."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from pharmasl.group import definitions, results, scan_models
from pharmasl.group.allocation import SEQUENCE
from pharmasl.group.engine import clusters, maxima
from pharmasl.group.engine.exchange import ALLOCATION, SIGNS, Exchange
from pharmasl.group.engine.maxima import MaximumStatistics, Null
from pharmasl.group.engine.reallocation import Prepared
from pharmasl.group.engine.tfce import Enhancement
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.group.scan_models import Estimates, Patterns
from pharmasl.study.settings import Inference


@dataclass(frozen=True, kw_only=True)
class FittedScans:
    """A model of scans at the voxels that vary.

    Attributes
    ----------
    model : pharmasl.group.model.Model
    maps : pharmasl.group.maps.Maps
    inference : pharmasl.study.settings.Inference
    prepared : pharmasl.group.engine.reallocation.Prepared
    estimates : pharmasl.group.scan_models.Estimates
    heights : ndarray of shape (V,)
        z of the observed labelling, of which maxima are taken.
    lattice : pharmasl.group.engine.clusters.Lattice
    patterns : pharmasl.group.scan_models.Patterns
    """

    model: Model
    maps: Maps
    inference: Inference
    prepared: Prepared
    estimates: Estimates
    heights: np.ndarray
    lattice: clusters.Lattice
    patterns: Patterns

    @property
    def exchange(self) -> Exchange:
        """What is relabelled."""
        return self.prepared.exchange

    @property
    def two_sided(self) -> bool:
        """Whether both signs are searched; an F has none."""
        return self.inference.two_sided and not self.model.is_joint

    @property
    def threshold(self) -> float:
        """Cluster-forming z."""
        return float(-special.ndtri(self.inference.cluster_forming_p))

    @property
    def statistics(self) -> MaximumStatistics:
        """What is maximised over the mask."""
        wanted = self.inference.statistics
        enhancement = None
        if "tfce" in wanted:
            tfce_settings = self.inference.tfce
            enhancement = Enhancement(
                extent_power=tfce_settings.extent_power,
                height_power=tfce_settings.height_power,
                neighbours=tfce_settings.neighbours,
                scale="t",
            )
        mass = self.inference.mass if "mass" in wanted else None
        return MaximumStatistics(threshold=self.threshold, mass=mass, enhancement=enhancement)

    @property
    def searched(self) -> np.ndarray:
        """Heights of the sign or signs that are searched."""
        return self.heights if self.two_sided else np.maximum(self.heights, 0)

    def as_statistic(self, z: float) -> float:
        """The t, or F, that has a z, at the median degrees of freedom."""
        df = float(np.nanmedian(self.estimates.df))
        if not math.isfinite(z):
            return math.nan
        if self.model.is_joint:
            return float(special.fdtri(len(self.model.weights), df, special.ndtr(z)))
        return float(special.stdtrit(df, special.ndtr(z)))


def people(model: Model) -> tuple[list[str], np.ndarray]:
    """The participants, each once, and the number of each row's."""
    names = list(dict.fromkeys(model.participants))
    places = {name: place for place, name in enumerate(names)}
    return names, np.array([places[name] for name in model.participants])


def tests(fitted: FittedScans, null: Null) -> dict[str, Any]:
    """The block ``tests``, with the critical value of each statistic."""
    letter, two_sided = "F" if fitted.model.is_joint else "t", fitted.two_sided
    statistics = fitted.statistics
    tests = definitions.statistics(
        fitted.inference,
        fitted.as_statistic(fitted.threshold),
        mass=statistics.mass is not None,
        enhancement=statistics.enhancement,
        heights=f"z of {letter}",
    )
    tests["two_sided"] = two_sided
    if fitted.model.is_joint:
        for name in {"cluster", "mass"} & set(tests):
            tests[name]["signs"] = "an F has no sign"
        tests["voxel"]["statistic"] = "largest z of F in the mask over relabellings"
    alpha = fitted.inference.alpha
    height = maxima.critical_value(null.largest_t(two_sided), alpha)
    tests["voxel"] |= {
        "critical_t": results.finite(fitted.as_statistic(height)),
        "critical_z": results.finite(height),
        "scale": f"z of the {letter} at the null model's variance ratio; as {letter} at the median degrees of freedom",
    }
    limits = {
        "cluster": ("critical_extent_voxels", null.largest_extent),
        "mass": ("critical_mass", null.largest_mass),
        "tfce": ("critical_tfce", null.largest_tfce),
    }
    for name, (key, largest) in limits.items():
        if name in tests:
            tests[name][key] = results.finite(maxima.critical_value(largest(two_sided), alpha))
        if name in ("cluster", "mass") and name in tests:
            tests[name]["forming_z"] = fitted.threshold
    return tests


def model(fitted: FittedScans) -> dict[str, Any]:
    """The block ``model``: the linear model, its random effects and degrees of freedom."""
    model, estimates = fitted.model, fitted.estimates
    names, participant = people(model)
    scans = Counter(np.bincount(participant).tolist())
    method = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward and Roger"}
    letter = "F" if model.is_joint else "t"
    boundary = int(estimates.boundary.sum())
    notes = [
        f"At {boundary} of {len(estimates.boundary)} voxels the variance between participants is estimated as zero: ordinary least "
        "squares over scans."
    ]
    return definitions.linear_model(model) | {
        "statistic": f"{letter} of a random-intercept model of all scans, restricted maximum likelihood at every voxel, degrees of "
        f"freedom of {method[fitted.inference.degrees_of_freedom]}",
        "df": float(np.nanmedian(estimates.df)),
        "df_range": [float(np.nanmin(estimates.df)), float(np.nanmax(estimates.df))],
        "degrees_of_freedom": fitted.inference.degrees_of_freedom,
        "n": len(names),
        "scans": len(model.participants),
        "participants_by_scans": {str(number): scans[number] for number in sorted(scans)},
        "incomplete": _incomplete(model),
        "boundary_voxels": boundary,
        "notes": [*model.notes, *notes, *_design_notes(fitted)],
    }


def _design_notes(fitted: FittedScans) -> list[str]:
    """What a reader should know of the design: carry-over in a crossover, covariates of other sessions, flips of few participants."""
    model, scheme = fitted.model, fitted.exchange
    notes = []
    if model.allocation is not None and model.allocation.what == SEQUENCE:
        has_sequence = any(name.split("[")[0] == SEQUENCE for name in model.names)
        number = 1 if model.sessions is None else len(set(model.sessions.tolist()))
        if number == 2:
            notes.append(
                "Crossover of two periods: carry-over from the first treatment into the second period cannot be distinguished from a "
                "difference between the sequences"
                + (
                    ", which is a term of this model: test sequence to examine it."
                    if has_sequence
                    else ". Add the term sequence to examine that difference; only a wash-out justifies assuming it is zero."
                )
            )
        else:
            notes.append("Crossover: carry-over between periods is assumed to be zero; the model has no term for it.")
    if scheme.kind == ALLOCATION and not scheme.is_exact:
        notes.append(
            "Treatment effects that are not tested are removed from the data before the allocation is permuted; p is approximate "
            "(false-positive rates of up to .09 at a nominal .05 in null studies of 15 to 24 people with small groups)."
        )
    if scheme.kind == SIGNS:
        notes.append(
            "The tested effect was not allocated at random, so the signs of participants' residuals are flipped; p is approximate "
            "(false-positive rates of .00 to .07 at a nominal .05 in null studies of 15 people)."
        )
    return notes


def _incomplete(model: Model) -> list[str]:
    """Participants with fewer scans than there are sessions."""
    counts = Counter(model.participants)
    number = 1 if model.sessions is None else len(set(model.sessions.tolist()))
    return [name for name in dict.fromkeys(model.participants) if counts[name] < number]


def search_volume(fitted: FittedScans, before: Maps) -> dict[str, Any]:
    """The block ``search_volume``; ``before`` are the maps with the voxels that too few scans have."""
    content = definitions.search_volume(fitted.maps, fitted.model.participants)
    if not fitted.patterns.complete:
        shares = fitted.patterns.kinds.mean(axis=1)[fitted.patterns.number]
        content["definition"] = content["definition"].replace(
            "every map of every participant",
            f"at least {scan_models.LEAST_SHARE:.0%} of the scans, which suffice to estimate the model",
        )
        content["voxels_that_scans_lack"] = int((shares < 1).sum())
        content["patterns_of_scans"] = len(fitted.patterns.kinds)
        content["voxels_with_too_few_scans"] = before.voxels - fitted.maps.voxels - fitted.maps.constant
    return content


def permutation(fitted: FittedScans, smallest: float) -> dict[str, Any]:
    """The block ``permutation``: what is exchanged, and the smallest p that this allows."""
    scheme, inference = fitted.exchange, fitted.inference
    within = ", within sites" if fitted.model.blocks is not None else ""
    if scheme.kind == ALLOCATION:
        allocated = fitted.model.allocation
        what = "sequences of treatments" if allocated is not None and allocated.what == SEQUENCE else "arms"
        words = (
            f"{what} reallocated among whole participants{within}; scans, sessions, covariates and missing data stay with their "
            "participant"
        )
        words += (
            " (exact in a randomised trial whose missing scans do not depend on the allocation)"
            if scheme.is_exact
            else ", after removal of the fitted treatment effects that are not tested (Freedman and Lane 1983); approximate"
        )
    else:
        words = (
            "signs of whole participants' residuals under the null model flipped, after whitening by each voxel's variance ratio "
            "(approximate, because the tested effect was not allocated at random or its allocation is not known)"
        )
    shares = fitted.prepared.ratio / (1 + fitted.prepared.ratio)
    return {
        "method": words,
        "exchanged": scheme.kind,
        "exact": scheme.is_exact,
        "number": scheme.number,
        "identity_counted": True,
        "exhaustive": scheme.exhaustive,
        "log10_distinct": round(float(scheme.log10_distinct), 2),
        "seed": None if scheme.exhaustive else inference.seed,
        "smallest_attainable_p": smallest,
        "between_participant_share": [round(float(value), 4) for value in np.quantile(shares, (0.25, 0.5, 0.75))],
    }
