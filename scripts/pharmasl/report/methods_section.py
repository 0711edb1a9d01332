"""The methods text, written from what was run: the configuration, the sidecars of the CBF maps, the inference blocks.

A sentence stands here only if its values come from those, or if the step has no setting. Every sentence is plain text.
"""

from collections import Counter

from pharmasl.endpoints import families
from pharmasl.group import verdict
from pharmasl.quality import judgement
from pharmasl.report import trial_section
from pharmasl.report.participants_section import distinct
from pharmasl.report.words import count, fixed, listed, plain, short, upper
from pharmasl.study.settings import QualityRules, build
from pharmasl.study.sheets import TEMPLATE_ANATOMY

CONSTANTS = {
    "post_labeling_delay": "post-labelling delay",
    "labeling_duration": "labelling duration",
    "bolus_duration": "bolus duration",
    "labeling_efficiency": "labelling efficiency",
    "t1_blood": "T1 of arterial blood",
    "partition_coefficient": "blood-brain partition coefficient",
}


def agreed(values):
    """Values met and how often: one value alone, or each with its count."""
    tally = Counter(values)
    if len(tally) == 1:
        return next(iter(tally))
    return " or ".join(f"{value} ({count(n, 'scan')})" for value, n in tally.items())


def with_unit(constant):
    """A constant of a sidecar, or one of each delay, with its unit."""
    unit, value = constant.get("Unit"), constant["Value"]
    values = value if isinstance(value, list) else [value]
    words = listed(dict.fromkeys("until the readout" if each is None else short(each) for each in values))
    return words + (f" {unit}" if unit and unit != "1" else "")


def anatomy(config):
    """T1-weighted images."""
    settings, template = config["anatomy"], config["template"]
    bias, registration = settings["bias"], settings["registration"]
    origin = "" if template.get("t1w") else " that nilearn distributes"
    several = (
        "Several T1-weighted images of one anatomy were aligned rigidly and averaged midway between them. "
        if settings["t1w"] == "average"
        else "Of several T1-weighted images of one anatomy the first was taken. "
    )
    shared = (
        "All scans of a participant share one anatomy."
        if settings["per"] == "participant"
        else "Each session has an anatomy of its own, where it has a T1-weighted image."
    )
    return (
        "The bias field of each T1-weighted image was estimated within the brain with N4 (Tustison et al. 2010; shrink "
        f"factor {bias['shrink']}, at most {listed(bias['iterations'])} iterations), the brain being found by a neural "
        f"network. {several}The brain was registered to the {template['space']} template{origin} with "
        f"{registered_by(registration)}; template of {short(registration['resolution'])} mm). Shares of grey matter, "
        "white matter and cerebrospinal fluid in each voxel were estimated with a mixture of normal distributions, the "
        f"template's tissue maps as priors and a Markov random field. {shared}"
    )


def registered_by(registration):
    """The program that fitted the anatomy to the template, and how; the parenthesis is left open."""
    if registration.get("backend") == "ants":
        return f"ANTs (Avants et al. 2008; {registration['ants_transform']}"
    return (
        f"greedy (Yushkevich et al. 2016; local correlation; affine with {iterations(registration['affine_iterations'])} "
        f"iterations, then diffeomorphic with {iterations(registration['warp_iterations'])}"
    )


def iterations(text):
    """Iterations from the coarsest level on: "100x50x0" gives "100, 50 and 0"."""
    return listed(str(text).split("x"))


def registered_to(scans):
    """What the perfusion scans were registered to, in a sentence.

    Parameters
    ----------
    scans : list of dict
        Rows of ``scans.tsv``.
    """
    without = sum(row["anatomy"] == TEMPLATE_ANATOMY for row in scans)
    own = "registered rigidly to the tissue maps of the participant's T1-weighted image"
    fitted = "fitted by an affine transform to the template's tissue maps, for want of a T1-weighted image"
    if not without:
        return f"Each scan was {own}."
    if without == len(scans):
        return f"Each scan was {fitted}."
    return f"{count(len(scans) - without, 'scan was', 'scans were')} {own}, {without} {fitted}, which is less exact."


def perfusion(config, sidecars, scans):
    """The perfusion scans up to CBF."""
    told = ["Volumes were not realigned."]
    if config["perfusion"]["motion"]["correct"]:
        told = [
            "Control and label volumes of a scan were realigned rigidly, first to the control most like their median, then "
            "to the mean control."
        ]
    told.append(registered_to(scans))
    told.append(f"Resampling: {agreed(sidecar['Resampling'] for sidecar in sidecars)}.")
    told.append(f"Subtraction: {agreed(sidecar['Subtraction'] for sidecar in sidecars)}.")
    told.append(repeats(sidecars))
    for equation in distinct(sidecar["Equation"] for sidecar in sidecars):
        own = [sidecar for sidecar in sidecars if sidecar["Equation"] == equation]
        told.append(f"{count(len(own), 'scan')} were quantified by {equation} ({agreed(s['Reference'] for s in own)}).")
        parts = []
        for name, words in CONSTANTS.items():
            found = [sidecar["Constants"][name] for sidecar in own if name in sidecar["Constants"]]
            if found:
                parts.append(f"{words} {agreed(map(with_unit, found))}")
        if parts:
            told.append(f"Constants (calibration {agreed(s['Calibration'] for s in own)}): {'; '.join(parts)}.")
        if any(sidecar["SliceTiming"] for sidecar in own):
            told.append("The delay of each slice includes the time of its readout.")
    told += magnetisation([sidecar["M0"] for sidecar in sidecars])
    volume = [sidecar["PartialVolumeCorrection"] for sidecar in sidecars]
    used = any(each["UsedInContrasts"] for each in volume)
    told.append(
        f"CBF of grey and white matter was told apart by {agreed(each['Method'] for each in volume)} over "
        f"{agreed(' by '.join(map(str, each['Kernel'])) for each in volume)} voxels"
        + ("; the contrasts are of grey matter so corrected." if used else ", but not taken into the contrasts.")
    )
    if any(sidecar["DistortionCorrection"]["FieldMaps"] for sidecar in sidecars):
        told.append("Field maps were there, but geometric distortion was not corrected.")
    fwhm = agreed(with_unit(sidecar["TemplateSmoothingFWHM"]) for sidecar in sidecars)
    told.append(f"Maps on the template were smoothed within the brain by {fwhm} (FWHM).")
    return " ".join(told)


RULES = {
    "motion": "those whose framewise displacement between control and label (Power et al. 2012) exceeded {MotionLimit}",
    "score": "those that SCORE rejected (Dolui et al. 2017)",
    "enable": "those that motion set apart by ENABLE's criterion (Shirzadi et al. 2018)",
    "global": "those whose mean CBF of the brain was outside {GlobalLimits}",
}


def repeats(sidecars):
    """Which label-control pairs made the means."""
    rules = distinct(rule for sidecar in sidecars for rule in sidecar["Outliers"]["Rules"])
    average = f"Their average is the {agreed(sidecar['Average'] for sidecar in sidecars)}."
    regressed = sum(sidecar["MotionRegression"]["Applied"] for sidecar in sidecars)
    if regressed:
        average += f" What motion leaves in the differences was regressed out of them in {count(regressed, 'scan')}."
    if not rules:
        return f"All differences of a scan were used. {average}"
    limits = sidecars[0]["Outliers"]
    words = {
        "MotionLimit": with_unit(limits["MotionLimit"]),
        "GlobalLimits": " to ".join(map(short, limits["GlobalLimits"]["Value"])) + f" {limits['GlobalLimits']['Unit']}",
    }
    dropped = [sidecar["NumberOfRepeats"] - sidecar["NumberOfRepeatsUsed"] for sidecar in sidecars]
    return (
        f"Of the differences of a scan were left out {listed(RULES[rule].format(**words) for rule in rules)}: "
        f"{sum(dropped)} of {sum(sidecar['NumberOfRepeats'] for sidecar in sidecars)} in all, at most {max(dropped)} of one "
        f"scan. {average}"
    )


def magnetisation(m0):
    """Where M0 came from and how it was corrected, as sentences."""
    yield (
        f"M0: {agreed(each['Source'] for each in m0)}; smoothed within the brain by "
        f"{agreed(with_unit(each['SmoothingFWHM']) for each in m0)} (FWHM)."
    )
    for key, words, tissue in (
        ("T1RecoveryFactor", "Its incomplete recovery was corrected by a factor of", ("T1Tissue", "T1 of tissue")),
        ("EchoTimeFactor", "Its other echo time was corrected by a factor of", ("T2Star", "T2* of tissue")),
        ("Scale", "It was multiplied by the configured gain of", None),
    ):
        own = [each for each in m0 if each[key] != 1]
        if own:
            constant = ""
            if tissue and any(tissue[0] in each for each in own):
                constant = f" ({tissue[1]} {agreed(with_unit(each[tissue[0]]) for each in own if tissue[0] in each)})"
            yield f"{words} {agreed(fixed(each[key], 3) for each in own)}{constant}."


def quality(config):
    """How quality was judged."""
    return (
        "Each scan was rated by the quality evaluation index (Dolui et al. 2024), the spatial coefficient of variation "
        "(Mutsaerts et al. 2017), CBF in grey and white matter, the share of negative and of high values, temporal "
        "signal-to-noise ratio and perfusion signal over its standard error, framewise displacement and DVARS (Power et al. "
        "2012), overlap with the anatomy, coverage of the template's brain and correlation with its grey matter. Scans "
        f"outside a band were flagged. {judgement.in_words(build(QualityRules, config['quality']))}"
    )


def contrasts(config):
    """The contrasts of conditions."""
    parts = [f"{plain(name)} = {weighted(weights)}" for name, weights in config["contrasts"].items()]
    return f"Contrasts of the conditions' CBF maps, at each visit: {'; '.join(parts)}." if parts else None


def weighted(weights):
    """A weighted sum in words: "smoking \u2212 neutral"."""
    text = ""
    for condition, weight in weights.items():
        size = "" if abs(weight) == 1 else f"{short(abs(weight))} \u00d7 "
        sign = " \u2212 " if weight < 0 else " + "
        text += (sign if text else sign.strip().replace("+", "")) + size + plain(condition)
    return text


def group(name, block):
    """What one whole-brain analysis asked, and its model."""
    text = f"{plain(name).capitalize()} (contrast {block['contrast']}): {lower(block['effect']['meaning'])}."
    if block["status"] != "run":
        return f"{text} It was {block['status']}."
    model = block["model"]
    covariates = f" Covariates: {listed(block['covariates'])}." if block["covariates"] else ""
    people = f"{model['n']} participants" + (f" on {block['arm']}" if block.get("arm") else "")
    if "n_treatment" in model:
        people = (
            f"{model['n_treatment']} participants on {block['arms']['treatment']} and {model['n_control']} on "
            f"{block['arms']['control']}"
        )
    within = f" The search was restricted to {plain(block['within'])}." if block.get("within") else ""
    return f"{text}{covariates} Model: {model['formula']}; {people}, {short(model['df'])} degrees of freedom.{within}"


def inference(block):
    """How a whole-brain analysis was tested."""
    draws, tests, fields = block["permutation"], block["tests"], block["random_fields"]
    cluster = tests["cluster"]
    decided = (
        f" {upper(verdict.WORDS[block['verdict']['statistic']])} decides, at {block['alpha']:g} of "
        f"{block['verdict']['error_rate']}; the other statistics are secondary."
    )
    formed = (
        f"clusters were formed at p < {cluster['forming_p']:g} ({cluster['forming_p_meaning']}) with "
        f"{cluster['neighbours']} neighbours. {'Two-sided' if tests['two_sided'] else 'One-sided'}, error rate "
        f"{block['alpha']:g} {tests['correction']}.{decided}"
    )
    if draws is None and fields is None:
        return f"voxels were declared by their false discovery rate; {formed}"
    smooth = ""
    if fields and fields["status"] == "known":
        sizes = " by ".join(fixed(each, 1) for each in fields["fwhm_voxels"])
        where = ", estimated over the whole brain" if block.get("within") else ""
        smooth = f" Random-field p, as SPM has them, rest on a smoothness of {sizes} voxels (FWHM){where}."
    if draws is None:
        return f"p values are family-wise, by random fields; {formed}{smooth}"
    every = "all " if draws["exhaustive"] else ""
    seed = "" if draws["seed"] is None else f", seed {draws['seed']}"
    others = ""
    if "mass" in tests:
        others += f", their {tests['mass']['statistic']}"
    if "tfce" in tests:
        enhanced = tests["tfce"]
        others += (
            f", and voxels besides by the {enhanced['statistic']} (E {short(enhanced['extent_power'])}, H "
            f"{short(enhanced['height_power'])}, {enhanced['neighbours']} neighbours)"
        )
    return (
        f"p values are family-wise, by permutation ({every}{draws['number']:,} relabellings{seed}): {draws['method']}. "
        f"Voxels were tested by the {tests['voxel']['statistic']}, clusters by their {cluster['statistic']}{others}; "
        f"{formed}{smooth}"
    )


def groups(blocks):
    """All whole-brain analyses; how they were tested stands once where it is the same for all."""
    told = [group(name, block) for name, block in blocks.items()]
    how = {name: inference(block) for name, block in blocks.items() if block["status"] == "run"}
    if len(set(how.values())) == 1:
        return [*told, f"In {'this analysis' if len(how) == 1 else 'these analyses'}, {next(iter(how.values()))}"]
    return told + [f"{plain(name).capitalize()}: {text}" for name, text in how.items()]


def lower(text):
    """Text with a small first letter."""
    return text[0].lower() + text[1:]


READINGS = {"mean": "mean CBF", "median": "median CBF", "gm_weighted": "mean CBF weighted by grey matter"}


def regional(config, names, contrast):
    """What was read in regions and, where one is read in native space, in which space each: the start of a sentence."""
    read = {}
    for name in names:
        roi = config["rois"].get(name, {})
        read.setdefault((roi.get("statistic", "mean"), roi.get("space", "template")), []).append(plain(name))
    where = {"native": " (unsmoothed, in each scan's own space)", "template": " (smoothed, on the template)"}
    if all(space == "template" for _, space in read):
        where["template"] = ""
    parts = [
        f"{READINGS[statistic] if number else upper(READINGS[statistic])} ({contrast}) of {listed(among)}{where[space]}"
        for number, ((statistic, space), among) in enumerate(read.items())
    ]
    return listed(parts)


def _tested(config):
    """Which of the correlations with craving is a test."""
    if config["craving"]["family"] == "all":
        return "All of them, and the comparisons of the arms, are one family of tests."
    words = families.declared(config["craving"]).words(config["arms"])
    return f"One of them was declared as the test ({words}), in all regions together; the others describe."


def craving(config, related):
    """Craving and its relation to perfusion."""
    settings = config["craving"]
    columns = {
        which: settings[which] if isinstance(settings[which], str) else "sum of " + listed(settings[which])
        for which in ("before", "after")
    }
    text = (
        f"Cue-elicited craving is the rating after the cues ({columns['after']}) minus the one before "
        f"({columns['before']}). Its change was tested within arms by paired t tests and between arms by Welch's test, in "
        "participants with both sessions. Beside it stand a mixed model with "
        "a random intercept for each participant (REML, Kenward-Roger standard errors and degrees of freedom), to which "
        "participants with one session contribute, and an analysis of covariance adjusted for the score at baseline, with "
        "a residual variance for each arm. Ratings and cue types were compared by one contrast a participant for each term. "
        "Whether scores scatter alike in both arms was asked by Breusch and Pagan's test in Koenker's form, and at both "
        "sessions by Pitman and Morgan's."
    )
    if related:
        text += (
            f" {regional(config, settings['rois'], settings['contrast'])} was correlated with cue-elicited "
            "craving: Pearson, Spearman and percentage bend, over both arms adjusted for arm and within arms, p by "
            f"permutation within arms; Pearson intervals by Fisher's z (over both arms with variances of each arm's own), the "
            f"others' by the BCa bootstrap. {_tested(config)} The "
            "p of the family are corrected by Holm's and by Benjamini and Hochberg's method and by the permutation "
            "distribution of its largest |r|. The arms' slopes were compared by their interaction, with a "
            "residual variance for each arm."
        )
        clusters = [config["rois"][roi] for roi in settings["rois"] if "analysis" in config["rois"].get(roi, {})]
        if any(roi.get("space") != "native" for roi in clusters):
            text += (
                " A region that is a cluster of these data was read a second time, in each participant from the cluster "
                "found again without them."
            )
    if settings.get("mediation"):
        text += (
            " An exploratory mediation (least squares, bootstrap within arms) followed the regions named in its table."
        )
    return text


def software(versions):
    """Programs and versions."""
    return (
        "Software: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "." if versions else None
    )


def paragraphs(config, scans, sidecars, blocks, has_craving, related, versions):
    """The whole text.

    Parameters
    ----------
    config : dict
    scans : list of dict
        Rows of ``scans.tsv``.
    sidecars : list of dict
        ``_cbf.json`` of every scan.
    blocks : dict
        Analysis to its inference block, in the configuration's order.
    has_craving, related : bool
    versions : dict

    Returns
    -------
    list of str
    """
    imaged = any(row["anatomy"] != TEMPLATE_ANATOMY for row in scans)
    found = [
        anatomy(config) if imaged else None,
        perfusion(config, sidecars, scans),
        quality(config),
        contrasts(config) if blocks else None,
    ]
    found += groups(blocks)
    found += [craving(config, related) if has_craving else None]
    found += [trial_section.method(config) if blocks or has_craving else None, software(versions)]
    return [text for text in found if text]
