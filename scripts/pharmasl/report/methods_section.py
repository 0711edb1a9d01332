"""The methods text, written from what was run: the configuration, the sidecars of the CBF maps, the inference blocks.

A sentence stands here only if its values come from those, or if the step has no setting. Every sentence is plain text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pharmasl.endpoints import families
from pharmasl.files.tables import Row
from pharmasl.quality import judgement
from pharmasl.report import (
    methods_anatomy,
    methods_blocks,
    methods_endpoints,
    methods_imported,
    regions_section,
    trial_section,
)
from pharmasl.report.methods_group import groups
from pharmasl.report.methods_perfusion import perfusion
from pharmasl.report.words import listed, short, upper
from pharmasl.study import relative_cbf
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import (
    Arms,
    Contrast,
    Craving,
    QualityRules,
    Region,
    Settings,
)


def quality(rules: QualityRules) -> str:
    """How quality was judged."""
    return (
        "The quality of each scan was assessed by the quality evaluation index (Dolui et al. 2024), the spatial coefficient of "
        "variation (Mutsaerts et al. 2017), CBF in grey and white matter, the proportions of negative and of implausibly high "
        "values in grey matter, temporal signal-to-noise ratio, the perfusion signal relative to its standard error, framewise "
        "displacement and DVARS (Power et al. 2012), overlap with the anatomy, coverage of the template's brain and correlation "
        f"with its grey matter. Scans with a measure outside its acceptance range were flagged. {judgement.in_words(rules, rated=rules.ratings is not None)}"
    )


def _scans(settings: Settings, sidecars: Sequence[Mapping[str, Any]], scans: Sequence[Row]) -> tuple[str, str]:
    """The perfusion scans, or another program's maps of them, up to CBF, and how their quality was judged."""
    if settings.derivatives.cbf is None:
        return perfusion(settings.perfusion, sidecars, scans), quality(settings.quality)
    rule = judgement.in_words(settings.quality, rated=settings.quality.ratings is not None, imported=True)
    return methods_imported.perfusion(sidecars), f"{methods_imported.QUALITY} {rule}"


def contrasts(declared: Mapping[str, Contrast], labels: Labels = NAMES) -> str | None:
    """The contrasts of conditions, by name, and which of them are of relative CBF; None without any."""
    parts = [f"{labels.contrast(name)} = {weighted(contrast.weights, labels)}" for name, contrast in declared.items()]
    if not parts:
        return None
    by_scaling: dict[str, list[str]] = {}
    for name, contrast in declared.items():
        if words := relative_cbf.sentence(contrast):
            by_scaling.setdefault(words, []).append(labels.contrast(name))
    relative = [f" Relative CBF in {listed(names)}: {words}." for words, names in by_scaling.items()]
    return f"Contrasts of CBF maps were computed within each session: {'; '.join(parts)}.{''.join(relative)}"


def weighted(weights: Mapping[str, float], labels: Labels = NAMES) -> str:
    """A weighted sum in words: "smoking \u2212 neutral"."""
    text = ""
    for condition, weight in weights.items():
        size = "" if abs(weight) == 1 else f"{short(abs(weight))} \u00d7 "
        sign = " \u2212 " if weight < 0 else " + "
        text += (sign if text else sign.strip().replace("+", "")) + size + labels.condition(condition)
    return text


READINGS = {"mean": "mean CBF", "median": "median CBF", "gm_weighted": "mean CBF weighted by grey matter"}


def regional(
    regions: Mapping[str, Region], names: Sequence[str], contrast: str, measure: str = "CBF", labels: Labels = NAMES
) -> str:
    """What was read in regions and, where one is read in native space, in which space each: the start of a sentence.

    Parameters
    ----------
    regions : Mapping
        Region to its settings.
    names : sequence of str
        Those that were read.
    contrast : str
    measure : str
        What was read.
    labels : Labels

    Returns
    -------
    str
    """
    words = {statistic: text.replace("CBF", measure) for statistic, text in READINGS.items()}
    readings: dict[tuple[str, str], list[str]] = {}
    for name in names:
        readings.setdefault((regions[name].statistic, regions[name].space), []).append(labels.region(name))
    where = {"native": " (unsmoothed, in the native space of each scan)", "template": " (smoothed, in template space)"}
    if all(space == "template" for _, space in readings):
        where["template"] = ""
    parts = [
        f"{words[statistic] if number else upper(words[statistic])} ({labels.contrast(contrast)}) of {listed(among)}{where[space]}"
        for number, ((statistic, space), among) in enumerate(readings.items())
    ]
    return listed(parts)


def _family(settings: Craving, arms: Arms, labels: Labels) -> str:
    """Which of the correlations with craving is a test."""
    if settings.family == "all":
        return "All of these correlations and the comparisons between the arms form one family of tests."
    words = families.words(settings.test, arms, labels)
    return f"One of them was declared as the test ({words}), over all regions together; the others are descriptive."


def craving(settings: Craving, arms: Arms) -> str:
    """How craving was scored, and how its change was tested."""
    before, after = (
        columns[0] if len(columns) == 1 else f"sum of {listed(columns)}"
        for columns in (settings.before, settings.after)
    )
    return (
        f"Cue-elicited craving was the rating after the cues ({after}) minus the rating before them ({before}). Its change was "
        "tested within arms by paired t tests and between arms by Welch's t test, in participants with both sessions. Two "
        "further models were fitted: a linear mixed model with a random intercept per participant (REML; standard errors and "
        "degrees of freedom of Kenward and Roger 1997), which includes participants with one session, and an analysis of "
        "covariance adjusted for the baseline score with a residual variance for each arm. Ratings and cue types were compared "
        "by one contrast per participant for each term. Equality of the scores' variances was tested between the arms by the "
        "Breusch\u2013Pagan test (Koenker 1981) and between the sessions by the Pitman\u2013Morgan test."
    )


def relations(
    settings: Craving, arms: Arms, regions: Mapping[str, Region], measure: str = "CBF", labels: Labels = NAMES
) -> str:
    """How craving was related to regional perfusion."""
    text = (
        f"{regional(regions, settings.rois, settings.contrast or '', measure, labels)} was correlated with cue-elicited "
        "craving (Pearson, Spearman and percentage-bend correlations), over both arms with adjustment for arm and within each "
        "arm. P values are from permutation within arms; confidence intervals of Pearson correlations are from Fisher's z (over "
        "both arms with a variance for each), those of the others from the BCa bootstrap. "
        f"{_family(settings, arms, labels)} P values of the family were corrected by Holm's method, by the method of Benjamini and "
        "Hochberg (1995) and by the permutation distribution of the largest |r|. The arms' slopes were compared by their "
        "interaction, with a residual variance for each arm."
    )
    if any(regions[name].analysis and regions[name].space != "native" for name in settings.rois):
        text += (
            " Regions defined by a cluster of these data were also evaluated by leave-one-out: for each participant, it was read "
            "from the cluster obtained without that participant."
        )
    return text


MEDIATION = (
    "Mediation of the effect on craving by the regions in the table was explored by least squares, with bootstrap intervals "
    "resampled within arms."
)


_CITED = {
    "nilearn": "Abraham et al. 2014",
    "numba": "Lam et al. 2015",
    "numpy": "Harris et al. 2020",
    "pandas": "McKinney 2010",
    "picsl-greedy": "Yushkevich et al. 2016",
    "scipy": "Virtanen et al. 2020",
    "statsmodels": "Seabold and Perktold 2010",
}


def software(versions: Mapping[str, str], settings: Settings, scans: Sequence[Row]) -> str | None:
    """Programs and versions, without greedy where it fitted no anatomy; None without any."""
    cited = {name: f" ({reference})" for name, reference in _CITED.items()}
    unused = () if methods_anatomy.by_greedy(settings, scans) else ("picsl-greedy",)
    listing = ", ".join(
        f"{name} {version}{cited.get(name, '')}" for name, version in versions.items() if name not in unused
    )
    return f"Software: {listing}; the workflow was run with Snakemake (M\u00f6lder et al. 2021)." if listing else None


def paragraphs(
    settings: Settings,
    scans: Sequence[Row],
    sidecars: Sequence[Mapping[str, Any]],
    blocks: Mapping[str, Mapping[str, Any]],
    *,
    has_craving: bool,
    has_relations: bool,
    further: Sequence[str] = (),
    imported: str = "",
    versions: Mapping[str, str],
) -> list[str]:
    """The whole text.

    Parameters
    ----------
    settings : Settings
    scans : sequence of Row
        Of ``scans.tsv``.
    sidecars : sequence of Mapping
        ``_cbf.json`` of every scan.
    blocks : Mapping
        Analysis to its inference block, in the configuration's order.
    has_craving, has_relations : bool
        Whether craving was analysed, and related to regional perfusion.
    further : sequence of str
        Paragraphs of the sensitivity analysis and of repeatability.
    imported : str
        Where ready-made contrast maps come from, which then stand in the place of scans; empty otherwise.
    versions : Mapping
        Of the packages that compute.

    Returns
    -------
    list of str
    """
    text: list[str | None] = [imported]
    if not imported:
        text = [
            methods_anatomy.anatomy(settings, scans) if methods_anatomy.has_anatomy(scans) else None,
            *_scans(settings, sidecars, scans),
            methods_blocks.blocks(settings, settings.labels),
            contrasts(settings.contrasts, settings.labels) if blocks else None,
        ]
    text += [
        *groups(blocks, settings.labels),
        regions_section.method(settings) if any(block["status"] == "run" for block in blocks.values()) else None,
    ]
    if has_craving and settings.craving and settings.arms:
        parts = [craving(settings.craving, settings.arms)]
        if has_relations:
            parts.append(
                relations(settings.craving, settings.arms, settings.rois, settings.quantity.measure, settings.labels)
            )
        if settings.craving.mediation:
            parts.append(MEDIATION)
        text.append(" ".join(parts))
    text.append(methods_endpoints.endpoints(settings))
    if blocks or has_craving or settings.endpoints:
        text.append(trial_section.method(settings.primary, settings.labels))
    text += [*further, software(versions, settings, scans)]
    return [paragraph for paragraph in text if paragraph]
