"""The methods text of the perfusion scans, from the sidecars of the CBF maps."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pharmasl.files.tables import Row
from pharmasl.report.participants_section import distinct
from pharmasl.report.words import count, fixed, listed, short
from pharmasl.study.settings import Perfusion
from pharmasl.study.sheets import TEMPLATE_ANATOMY

# A sidecar, or a part of one.
Sidecar = Mapping[str, Any]

CONSTANTS = {
    "post_labeling_delay": "post-labelling delay",
    "labeling_duration": "labelling duration",
    "bolus_duration": "bolus duration",
    "labeling_efficiency": "labelling efficiency",
    "t1_blood": "T1 of arterial blood",
    "partition_coefficient": "blood-brain partition coefficient",
}
# Repeats that each rule leaves out.
RULES = {
    "motion": "those whose framewise displacement between control and label (Power et al. 2012) exceeded {MotionLimit}",
    "score": "those that SCORE rejected (Dolui et al. 2017)",
    "enable": "those that motion set apart by ENABLE's criterion (Shirzadi et al. 2018)",
    "global": "those whose mean CBF of the brain was outside {GlobalLimits}",
}


def agreed(values: Iterable[str]) -> str:
    """Values and how often each occurs: one value alone, or each with its count of scans."""
    tally = Counter(values)
    if len(tally) == 1:
        return next(iter(tally))
    return " or ".join(f"{value} ({count(n, 'scan')})" for value, n in tally.items())


def with_unit(constant: Sidecar) -> str:
    """A constant of a sidecar, or one of each delay, with its unit."""
    unit, value = constant.get("Unit"), constant["Value"]
    values = value if isinstance(value, list) else [value]
    words = listed(dict.fromkeys("until the readout" if number is None else short(number) for number in values))
    return words + (f" {unit}" if unit and unit != "1" else "")


def registered_to(scans: Sequence[Row]) -> str:
    """What the perfusion scans were registered to, in a sentence.

    Parameters
    ----------
    scans : sequence of Row
        Of ``scans.tsv``.
    """
    without = sum(row["anatomy"] == TEMPLATE_ANATOMY for row in scans)
    own = "registered rigidly to the tissue maps of the participant's T1-weighted image"
    fitted = "fitted by an affine transform to the template's tissue maps, because there was no T1-weighted image"
    if not without:
        return f"Each scan was {own}."
    if without == len(scans):
        return f"Each scan was {fitted}."
    return f"{count(len(scans) - without, 'scan was', 'scans were')} {own}, {without} {fitted}; this is less exact."


def perfusion(settings: Perfusion, sidecars: Sequence[Sidecar], scans: Sequence[Row]) -> str:
    """The perfusion scans up to CBF.

    Parameters
    ----------
    settings : Perfusion
    sidecars : sequence of Mapping
        ``_cbf.json`` of every scan.
    scans : sequence of Row
        Of ``scans.tsv``.

    Returns
    -------
    str
    """
    text = ["Volumes were not realigned."]
    if settings.motion.correct:
        text = [
            "Control and label volumes of a scan were realigned rigidly, first to the control most like their median, then "
            "to the mean control."
        ]
    text += [
        registered_to(scans),
        f"Resampling: {agreed(sidecar['Resampling'] for sidecar in sidecars)}.",
        f"Subtraction: {agreed(sidecar['Subtraction'] for sidecar in sidecars)}.",
        repeats(sidecars),
        *quantification(sidecars),
        *magnetisation([sidecar["M0"] for sidecar in sidecars]),
        partial_volume([sidecar["PartialVolumeCorrection"] for sidecar in sidecars]),
    ]
    if any(sidecar["DistortionCorrection"]["FieldMaps"] for sidecar in sidecars):
        text.append("Field maps were available, but geometric distortion was not corrected.")
    fwhm = agreed(with_unit(sidecar["TemplateSmoothingFWHM"]) for sidecar in sidecars)
    text.append(f"Maps on the template were smoothed within the brain by {fwhm} (FWHM).")
    return " ".join(text)


def quantification(sidecars: Sequence[Sidecar]) -> Iterator[str]:
    """The equation of CBF and its constants, for each equation."""
    for equation in distinct(sidecar["Equation"] for sidecar in sidecars):
        own = [sidecar for sidecar in sidecars if sidecar["Equation"] == equation]
        yield f"{count(len(own), 'scan')} were quantified by {equation} ({agreed(s['Reference'] for s in own)})."
        parts = []
        for name, words in CONSTANTS.items():
            constants = [sidecar["Constants"][name] for sidecar in own if name in sidecar["Constants"]]
            if constants:
                parts.append(f"{words} {agreed(map(with_unit, constants))}")
        if parts:
            yield f"Constants (calibration {agreed(s['Calibration'] for s in own)}): {'; '.join(parts)}."
        if any(sidecar["SliceTiming"] for sidecar in own):
            yield "The delay of each slice includes the time of its readout."


def partial_volume(corrections: Sequence[Sidecar]) -> str:
    """How CBF of grey and white matter was separated, and whether the contrasts are corrected."""
    used = any(correction["UsedInContrasts"] for correction in corrections)
    return (
        f"CBF of grey and white matter was separated by {agreed(correction['Method'] for correction in corrections)} over "
        f"{agreed(' by '.join(map(str, correction['Kernel'])) for correction in corrections)} voxels"
        + ("; the contrasts are of grey matter so corrected." if used else ", but not taken into the contrasts.")
    )


def repeats(sidecars: Sequence[Sidecar]) -> str:
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
        f"Of the differences of a scan, {listed(RULES[rule].format(**words) for rule in rules)} were left out: "
        f"{sum(dropped)} of {sum(sidecar['NumberOfRepeats'] for sidecar in sidecars)} in all, at most {max(dropped)} of one "
        f"scan. {average}"
    )


def magnetisation(m0: Sequence[Sidecar]) -> Iterator[str]:
    """Where M0 came from and how it was corrected, as sentences."""
    yield (
        f"M0: {agreed(part['Source'] for part in m0)}; smoothed within the brain by "
        f"{agreed(with_unit(part['SmoothingFWHM']) for part in m0)} (FWHM)."
    )
    for key, words, constant, name in (
        ("T1RecoveryFactor", "Its incomplete recovery was corrected by a factor of", "T1Tissue", "T1 of tissue"),
        ("EchoTimeFactor", "Its other echo time was corrected by a factor of", "T2Star", "T2* of tissue"),
        ("Scale", "It was multiplied by the configured gain of", "", ""),
    ):
        own = [part for part in m0 if part[key] != 1]
        if own:
            known = [with_unit(part[constant]) for part in own if constant in part]
            assumed = f" ({name} {agreed(known)})" if known else ""
            yield f"{words} {agreed(fixed(part[key], 3) for part in own)}{assumed}."
