"""The settings of a study as typed, frozen objects, a class for each section of the configuration.

The configuration's schema (``config/schemas/config.schema.yaml``) alone has the defaults, limits, units and meanings: no class
here has a default. What the schema leaves open is None where the user did not set it. :func:`build` makes the objects from a
complete configuration or from the plain values of a rule's params, :func:`plain` the plain values from an object.
"""

import dataclasses
import functools
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pharmasl.files import bids
from pharmasl.statistics import formulas
from pharmasl.statistics.formulas import Formula
from pharmasl.study import effect_kinds
from pharmasl.study.derivatives import Derivatives
from pharmasl.study.effect_words import PERFUSION, Quantity
from pharmasl.study.labels import Labels
from pharmasl.study.results_dataset import ResultsDataset

# Names in a formula that are no column of the participants' table.
RESERVED = frozenset({"arm", "session", "global"})

Plain = Mapping[str, Any]
Section = TypeVar("Section")


@dataclass(frozen=True, kw_only=True)
class SessionPair:
    """Labels of the two sessions that an analysis compares; no follow-up in a study of one session."""

    baseline: str
    followup: str | None

    @property
    def later(self) -> str:
        """The follow-up, of a study that has one; whatever needs it is refused otherwise."""
        if self.followup is None:
            raise ValueError("the study has one session")
        return self.followup


@dataclass(frozen=True, kw_only=True)
class Sessions(SessionPair):
    """Labels of the trial's sessions, without ``ses-``."""

    others: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, baseline and follow-up first; the baseline alone in a study of one session."""
        return (self.baseline, *([] if self.followup is None else [self.followup]), *self.others)


@dataclass(frozen=True, kw_only=True)
class Arms:
    """The arms of the trial: values of a column of the participants' table."""

    column: str
    treatment: str
    control: str
    others: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All arms, treatment and control first."""
        return (self.treatment, self.control, *self.others)


@dataclass(frozen=True, kw_only=True)
class Sham:
    """The sham allocation of a blinded run."""

    seed: int
    sizes: Mapping[str, int] | None


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The entities that a run of this state has in its name."""

    name: str
    acquisition: str | None
    run: str | int | None
    task: str | None
    reconstruction: str | None
    direction: str | None
    echo: str | int | None
    part: str | None
    block: str | None


@dataclass(frozen=True, kw_only=True)
class BlockSettings:
    """How conditions that alternate within a run are modelled."""

    table: str | None
    start: float | None
    delay: float
    cutoff: float | None
    ignore: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How each scan's CBF is scaled by its own mean over a reference before states are combined."""

    scaling: str
    reference: str

    @property
    def is_absolute(self) -> bool:
        """Whether CBF stays as it was measured."""
        return self.scaling == "absolute"


@dataclass(frozen=True, kw_only=True)
class Contrast(Scaling):
    """A weighted sum of the states' CBF, each scaled by its own scan's mean unless CBF is absolute."""

    name: str
    weights: Mapping[str, float]

    @property
    def is_cbf(self) -> bool:
        """Whether it is a CBF, of which a percentage has a meaning: a sum of states of which nothing is taken off."""
        return self.scaling != "additive" and all(weight > 0 for weight in self.weights.values())


@dataclass(frozen=True, kw_only=True)
class Template:
    """The space of the group analyses; the files are those of a template of the user's own."""

    space: str
    resolution: int
    t1w: str | None
    mask: str | None
    gm: str | None
    wm: str | None
    csf: str | None


@dataclass(frozen=True, kw_only=True)
class Bias:
    """The correction of the T1w's bias field."""

    shrink: int
    iterations: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The fit of the T1w to the template."""

    backend: str
    ants_transform: str
    resolution: float
    affine_iterations: str
    warp_iterations: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The processing of the T1-weighted images."""

    missing_t1w: str
    t1w: str
    per: str
    bias: Bias
    registration: Registration


@dataclass(frozen=True, kw_only=True)
class M0:
    """Where M0 comes from and what is done to it."""

    source: str
    t1_recovery: bool
    echo_time_correction: bool
    scale: float
    smoothing_fwhm: float
    edge: float


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Realignment of a run's volumes, and what it leaves in the differences."""

    correct: bool
    regress: bool


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """Which pairs are left out, and how the others are averaged."""

    rules: tuple[str, ...]
    motion_limit: float
    global_limits: tuple[float, ...]
    average: str


@dataclass(frozen=True, kw_only=True)
class Delays:
    """The fit of series of several post-labelling delays."""

    arterial: bool
    transit_sd: float | None
    longest_transit: float


@dataclass(frozen=True, kw_only=True)
class PartialVolume:
    """The correction for partial volumes of tissue."""

    use: bool
    kernel: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Quantification:
    """How raw volumes become CBF: what of the perfusion settings each scan's job reads."""

    calibration: str
    q2tips: str
    m0: M0
    motion: Motion
    interpolation: str
    subtraction: str
    outliers: Outliers
    delays: Delays
    partial_volume: PartialVolume
    smoothing_fwhm: float


@dataclass(frozen=True, kw_only=True)
class BlockCode:
    """A code of time-encoded labelling: a row for each volume of a cycle, a column for each block of labelling in order of time.

    ``label`` is the number that stands for a block that labels; durations and the delay after the last block are seconds.
    """

    matrix: tuple[tuple[int, ...], ...]
    label: int
    durations: tuple[float, ...]
    delay: float


@dataclass(frozen=True, kw_only=True)
class Encoding(BlockCode):
    """How the time-encoded series that ``where`` names were labelled, and by what its order is known beside them."""

    where: Mapping[str, Any]
    check: bool
    confirmed: str | None


@dataclass(frozen=True, kw_only=True)
class MeasuredT1:
    """The column with each participant's measured T1 of blood, and its unit."""

    column: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class HaematocritNorms:
    """Columns of the participants' table by which norms of the haematocrit are looked up."""

    age: str
    sex: str


@dataclass(frozen=True, kw_only=True)
class TissueValue:
    """A value of grey and one of white matter, seconds; or a map, where it lies and in which unit."""

    gm: float | None
    wm: float | None
    image: str | None
    space: str | None
    unit: str | None


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """What is known beforehand of label in tissue: its arterial transit time, and the T1 with which it decays there."""

    transit_time: TissueValue | None
    t1: TissueValue | None


@dataclass(frozen=True, kw_only=True)
class Perfusion(Quantification):
    """The quantification, with the constants of the named calibration that the study's reading resolves."""

    override: Any  # BIDS fields of any type, or a list of them by group of scans
    echo: str | None
    encodings: tuple[Encoding, ...]
    distortion: str
    labeling_efficiency: Mapping[str, float]
    suppression_efficiency: float
    suppression_pulses: int
    partition_coefficient: float
    t1_blood: Mapping[str, float]
    t1_blood_measured: MeasuredT1 | None
    haematocrit: str | None
    haematocrit_norms: HaematocritNorms | None
    t1_tissue: Mapping[str, float]
    t2_star: Mapping[str, float]
    tissue: Tissue

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the participants' table that the quantification takes."""
        norms = self.haematocrit_norms
        return tuple(dict.fromkeys([*self.blood_columns, *((norms.age, norms.sex) if norms else ())]))

    @property
    def blood_columns(self) -> tuple[str, ...]:
        """Those of them with what was measured of blood, which sessions may have of their own."""
        measured = self.t1_blood_measured
        return tuple(dict.fromkeys(name for name in (measured and measured.column, self.haematocrit) if name))


@dataclass(frozen=True, kw_only=True)
class ScanRules:
    """By which measures a scan is flagged, and what excludes it."""

    bands: Mapping[str, tuple[float | None, ...] | None]
    exclude: tuple[str, ...]
    least_pairs: int
    exclude_failed_registration: bool
    exclude_implausible: bool


@dataclass(frozen=True, kw_only=True)
class QualityRules(ScanRules):
    """Which scans are flagged and which are excluded, by rule, by rating and by name."""

    ratings: str | None
    exclude_scans: Mapping[str, str]
    accept_scans: Mapping[str, str]

    @property
    def scan_rules(self) -> ScanRules:
        """The rules by which every scan is judged, without the scans that the user names."""
        return narrowed(ScanRules, self)


@dataclass(frozen=True, kw_only=True)
class Enhancement:
    """Threshold-free cluster enhancement."""

    extent_power: float
    height_power: float
    neighbours: int


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How the maps of an analysis are tested."""

    permutations: int
    seed: int
    primary: str
    variance: str
    statistics: tuple[str, ...]
    cluster_forming_p: float
    neighbours: int
    two_sided: bool
    mass: str
    scale: str
    tfce: Enhancement
    fdr: str
    degrees_of_freedom: str
    alpha: float


@dataclass(frozen=True, kw_only=True)
class Seed:
    """The region whose change of a contrast is a term of an association."""

    roi: str
    contrast: str


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """An effect on a contrast: by its name with the terms of its model, or by a formula and a test."""

    contrast: str
    effect: str | None
    model: str | None
    test: Any  # a term, weights of levels, or a list of them
    constrained_baseline: bool
    method: str
    arm: str | None
    pair: tuple[str, ...] | None
    predictor: str | None
    covariates: tuple[str, ...]
    site: str | None
    sessions: SessionPair | None
    within: str | None
    seed: Seed | None

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Contrasts whose maps or values the analysis takes: its own and its seed's, each once."""
        named = [self.seed.contrast] if self.seed else []
        if self.formula:
            named += self.formula.contrasts
        return tuple(dict.fromkeys([self.contrast, *named]))

    @functools.cached_property
    def formula(self) -> Formula | None:
        """The formula that has been read, the site among its terms; None for a named effect."""
        if self.model is None:
            return None
        formula = formulas.parse(self.model, "config", f"analyses.{getattr(self, 'name', self.contrast)}.model")
        return formula if self.site is None else formula.with_factor(self.site)

    @property
    def kind(self) -> effect_kinds.EffectKind:
        """What is true of its effect in any study."""
        if not self.formula:
            return effect_kinds.KINDS[str(self.effect)]
        return effect_kinds.of_formula(
            self.formula.text,
            outcome=self.formula.outcome,
            test=str(self.test),
            exchange=effect_kinds.FLIP if self.test == "1" else effect_kinds.PERMUTE,
            takes_baseline="baseline" in self.formula.maps,
        )

    @property
    def seeds(self) -> tuple[Seed, ...]:
        """The regions whose values are terms, of a named effect one at most."""
        if self.formula:
            return tuple(Seed(roi=region, contrast=contrast) for region, contrast in self.formula.regions)
        return (self.seed,) if self.seed else ()

    @property
    def terms(self) -> tuple[str, ...]:
        """The columns of the participants' table that are terms: covariates, site and predictor, or those of the formula."""
        named = [*self.covariates, *(term for term in (self.site, self.predictor) if term is not None)]
        if self.formula:
            named += [name for name in self.formula.variables if name not in RESERVED]
        return tuple(dict.fromkeys(named))

    @property
    def visit_terms(self) -> tuple[str, ...]:
        """The columns of which each session has its own, ``{column}_{session}``."""
        return self.formula.visits if self.formula else ()


@dataclass(frozen=True, kw_only=True)
class Analysis(ModelSettings):
    """A whole-brain question: an effect on a contrast, and how it is tested."""

    name: str
    inference: Inference


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """The labelled image that names clusters and defines regions by label."""

    package: str | None
    image: str
    labels: str

    @property
    def label(self) -> str:
        """The atlas in the names of files: as its image's name has it (``atlas-<label>``), or that name without signs, ``AAL3``."""
        name = os.path.basename(self.image)
        parsed = bids.parse(name)
        if parsed and "atlas" in parsed.entities:
            return parsed.entities["atlas"]
        return re.sub("[^a-zA-Z0-9]", "", re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)) or "own"


@dataclass(frozen=True, kw_only=True)
class RegionDefinition:
    """What a region of interest is: one kind of definition, and planes that cut it."""

    analysis: str | None
    cluster: int | None
    atlas: tuple[str, ...] | None
    sphere: tuple[float, ...] | None
    radius: float | None
    image: str | None
    label: int | None
    threshold: float | None
    x_above: float | None
    x_below: float | None
    y_above: float | None
    y_below: float | None
    z_above: float | None
    z_below: float | None


@dataclass(frozen=True, kw_only=True)
class Region(RegionDefinition):
    """A region of interest: how it is defined, and how it is read."""

    name: str
    statistic: str
    space: str

    @property
    def definition(self) -> RegionDefinition:
        """What the region is, without how it is read."""
        return narrowed(RegionDefinition, self)


@dataclass(frozen=True, kw_only=True)
class Primary:
    """The answers on which the trial rests, and how they are corrected together."""

    answers: tuple[str, ...]
    correction: str
    alpha: float
    secondary: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DeclaredCorrelation:
    """The correlation of regional CBF with craving that is tested in all regions together."""

    timing: str
    group: str
    method: str


@dataclass(frozen=True, kw_only=True)
class Mediator:
    """A region's change of a contrast by way of which the arm may change craving."""

    roi: str
    contrast: str


@dataclass(frozen=True, kw_only=True)
class Mediation:
    """The mediators, in the order of the chain."""

    mediators: tuple[Mediator, ...]


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """The columns and rows of the craving table that become scores."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    condition: tuple[str, ...] | None
    range: tuple[float, ...] | None
    unknown: str
    covariates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RegionCorrelations:
    """The correlations of regional CBF with craving, and which of them are tests."""

    rois: tuple[str, ...]
    contrast: str
    covariates: tuple[str, ...]
    test: DeclaredCorrelation
    family: str
    seed: int
    resamples: int


@dataclass(frozen=True, kw_only=True)
class MediationAnalysis:
    """The mediation of the arm's effect on craving by regional CBF."""

    mediation: Mediation
    covariates: tuple[str, ...]
    seed: int
    resamples: int


@dataclass(frozen=True, kw_only=True)
class Craving(Ratings):
    """The ratings of craving, and the questions that are asked of them."""

    table: str
    test: DeclaredCorrelation
    family: str
    rois: tuple[str, ...]
    contrast: str | None
    seed: int
    resamples: int
    left_out_permutations: int
    mediation: Mediation | None


@dataclass(frozen=True, kw_only=True)
class Population:
    """Participants of whom an endpoint is analysed: everyone, those that a column says, or those named."""

    name: str
    column: str | None
    value: str | None
    participants: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Prorating:
    """From how many answered items a sum is prorated."""

    least: int


@dataclass(frozen=True, kw_only=True)
class MeasureTable:
    """The columns and rows of a table that become the scores of an endpoint."""

    table: str
    score: Any  # a column, or a column by session
    items: tuple[str, ...] | None
    reverse: tuple[str, ...]
    range: tuple[float, ...] | None
    prorate: Prorating | None
    transform: str
    kind: str
    unknown: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """How far the arms may differ and still count as equivalent."""

    margin: float


@dataclass(frozen=True, kw_only=True)
class MissingScores:
    """The multiple imputation of missing scores, and what is added to those imputed in the treatment arm."""

    imputations: int
    seed: int
    deltas: tuple[float, ...]
    counted_as: int | None


@dataclass(frozen=True, kw_only=True)
class MeasureModel:
    """The model of an endpoint, what of it is tested, and how sure the answer is."""

    name: str
    model: str | None
    test: Any  # a term, weights of levels, or a list of such
    covariates: tuple[str, ...]
    strata: tuple[str, ...]
    site: str | None
    variance: str
    equivalence: Equivalence | None
    missing: MissingScores
    alpha: float
    transform: str
    kind: str
    unit: str

    @property
    def formula(self) -> str:
        """The model as a formula; without one of its own, the follow-up adjusted for the baseline."""
        if self.model is not None:
            return self.model
        return " + ".join(["followup ~ arm" if self.kind == "binary" else "followup ~ arm + baseline", *self.terms])

    @property
    def terms(self) -> tuple[str, ...]:
        """The strata, the site and the covariates as terms of a formula."""
        return tuple(map(_as_term, (*self.strata, *((self.site,) if self.site else ()), *self.covariates)))


@dataclass(frozen=True, kw_only=True)
class Endpoint(MeasureTable, MeasureModel):
    """A clinical measure, and the questions that are asked of it."""

    sessions: Sessions | None
    populations: tuple[str, ...]
    relations: RegionCorrelations | None

    @property
    def measure(self) -> MeasureTable:
        """How the table becomes scores."""
        return narrowed(MeasureTable, self)

    @property
    def question(self) -> MeasureModel:
        """What is asked of the scores."""
        return narrowed(MeasureModel, self)


def _as_term(column: str) -> str:
    """A column, or the change of one (``b - a``), as a term of a formula."""
    if " - " in column:
        return f"I({column})"
    return column if column.isidentifier() else f"`{column}`"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is asked under each specification: an analysis' effect in a region, or a correlation with craving."""

    name: str
    roi: str
    analysis: str | None
    contrast: str | None


@dataclass(frozen=True, kw_only=True)
class QualityAlternative:
    """Rules of exclusion laid over the study's own; None is the study's."""

    name: str
    exclude: tuple[str, ...] | None
    least_pairs: int | None
    exclude_failed_registration: bool | None
    exclude_implausible: bool | None
    exclude_scans: Mapping[str, str] | None
    accept_scans: Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The declared alternatives under which the answers are asked again."""

    answers: Mapping[str, Answer]
    scaling: tuple[str, ...]
    smoothing_fwhm: tuple[float, ...]
    partial_volume: tuple[bool, ...]
    quality: Mapping[str, QualityAlternative]
    covariates: Mapping[str, tuple[str, ...]]
    permutations: int
    whole_brain: bool


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a study."""

    bids_dir: str
    output_dir: str
    outputs: str
    title: str
    dataset: ResultsDataset
    labels: Labels
    derivatives: Derivatives
    participants_table: str
    participants: tuple[str, ...] | None
    sessions: Sessions | None
    arms: Arms | None
    blinded: bool
    sham: Sham
    conditions: Mapping[str, Condition]
    blocks: BlockSettings
    contrasts: Mapping[str, Contrast]
    template: Template
    anatomy: Anatomy
    perfusion: Perfusion
    quality: QualityRules
    inference: Inference
    analyses: Mapping[str, Analysis]
    conjunctions: Mapping[str, tuple[str, ...]]
    atlas: Atlas
    rois: Mapping[str, Region]
    primary: Primary | None
    minimum_roi_coverage: float
    craving: Craving | None
    populations: Mapping[str, Population]
    endpoints: Mapping[str, Endpoint]
    sensitivity: Sensitivity | None

    @property
    def source_folders(self) -> dict[str, str]:
        """The datasets that the results are made from: ``raw``, and those of other programs by their stage.

        Where maps of another program are all there is, their folder is no raw dataset too.
        """
        stages = {name: getattr(self.derivatives, name) for name in ("anatomy", "cbf", "contrasts")}
        derivatives = {name: source.dir for name, source in stages.items() if source}
        raw = {} if self.bids_dir in derivatives.values() else {"raw": self.bids_dir}
        return raw | derivatives

    @property
    def quantity(self) -> Quantity:
        """What the contrast maps are of."""
        imported = self.derivatives.contrasts
        return PERFUSION if imported is None else imported.quantity

    @property
    def block_conditions(self) -> tuple[str, ...]:
        """The conditions that alternate within runs."""
        return tuple(name for name, condition in self.conditions.items() if condition.block is not None)

    @property
    def has_answers(self) -> bool:
        """Whether anything is asked of the trial, so that the page begins with answers; a pilot asks nothing."""
        return bool(self.analyses or self.craving or self.endpoints)


def build(section: type[Section], values: Plain) -> Section:
    """A section of the settings from plain values.

    Parameters
    ----------
    section : type
        One of the classes of this module.
    values : Mapping
        Each setting that the class names, complete as :func:`pharmasl.study.configuration.resolve` gives it or as a rule's
        params hold it. Settings that may be None may be absent; those that the class does not have are refused.

    Returns
    -------
    section

    Raises
    ------
    TypeError
        If a setting is missing or unknown. Values are not checked: the schema has done that.
    """
    hints = typing.get_type_hints(section)
    if strange := [name for name in values if name not in hints]:
        raise TypeError(f"{section.__name__} has no setting {', '.join(strange)}")
    if missing := [name for name, kind in hints.items() if name not in values and not _optional(kind)]:
        raise TypeError(f"{section.__name__} needs {', '.join(missing)}")
    return section(**{name: _typed(kind, values.get(name)) for name, kind in hints.items()})


def read(complete: Plain) -> Settings:
    """The settings of a complete configuration, without those of the simulator."""
    return build(Settings, {name: value for name, value in complete.items() if name != "simulate"})


def plain(section: Any) -> dict[str, Any]:
    """The plain values of a section, as a rule's params hold them: lists for tuples, and nothing for None."""
    return {
        field.name: _plain(value)
        for field in dataclasses.fields(section)
        if (value := getattr(section, field.name)) is not None
    }


def narrowed(section: type[Section], wider: Section) -> Section:
    """The settings of a class alone, from an object of a class that adds others to them."""
    return section(**{name: getattr(wider, name) for name in typing.get_type_hints(section)})


def _optional(kind: Any) -> bool:
    return kind is Any or type(None) in typing.get_args(kind)


def _typed(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        # The settings' unions are a kind and None, or plain values alone.
        kinds = [part for part in typing.get_args(kind) if part is not type(None)]
        return _typed(kinds[0], value) if len(kinds) == 1 else value
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return build(kind, value)
    origin = typing.get_origin(kind)
    if origin is tuple:
        # One name may stand without the brackets of a list.
        items = [value] if isinstance(value, str) else value
        return tuple(_typed(typing.get_args(kind)[0], item) for item in items)
    if origin is Mapping:
        inner = typing.get_args(kind)[1]
        named = dataclasses.is_dataclass(inner) and "name" in typing.get_type_hints(inner)
        return {str(key): _typed(inner, {"name": key, **item} if named else item) for key, item in value.items()}
    return value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return plain(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
