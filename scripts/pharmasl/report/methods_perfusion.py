"""The methods text of the perfusion scans, from the sidecars of the CBF maps."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from pharmasl.files.tables import Row
from pharmasl.perfusion import encoding_check, kinetics
from pharmasl.report import cbf_equations, known_tissue_words, own_blood_words
from pharmasl.report.cbf_equations import Formula
from pharmasl.report.participants_section import distinct, source_words
from pharmasl.report.words import count, fixed, listed, short
from pharmasl.study.distortion import KINDS, OPPOSED
from pharmasl.study.settings import Perfusion
from pharmasl.study.sheets import NO_ANATOMY, TEMPLATE_ANATOMY

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
# Where M0 came from, as the sidecars have it, in words that follow "from".
NO_M0 = "not needed"
SOURCES = {
    "separate M0 image": "a separate M0 image",
    "m0scan volumes of the series": "the m0scan volumes of the series",
    "M0Estimate": "the estimate that the sidecar gives (M0Estimate)",
    "mean control of a series without background suppression": "the mean control image, acquired without background suppression",
    "control of each pair, of a series without background suppression": (
        "the control image of each pair, acquired without background suppression"
    ),
}
# What showed the field, as the sidecars have it, in words that follow "by".
# So many orders of a code are named.
_NAMED = 4
_FIELDS = {words: f"the field map of the session ({words})" for words in KINDS.values()}
_FIELDS[KINDS[OPPOSED]] = "the field that two images of opposed phase encoding show (Andersson et al. 2003)"
# Conditions under which each rule excludes a repeat.
RULES = {
    "motion": "framewise displacement {Between} (Power et al. 2012) exceeded {MotionLimit}",
    "score": "rejected by SCORE (Dolui et al. 2017)",
    "enable": "rejected by the criterion of ENABLE (Shirzadi et al. 2018)",
    "global": "their mean whole-brain CBF was outside {GlobalLimits}",
    "slices": "the signal of a slice of theirs was out of line with the same slice of other volumes",
}


class Constant(NamedTuple):
    """A constant of an equation of CBF, as a row of a table."""

    symbol: Markup
    name: str
    value: str
    source: str


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

    Returns
    -------
    str
        Empty where another program registered them.
    """
    scans = [row for row in scans if row["anatomy"] != NO_ANATOMY]
    if not scans:
        return ""
    without = sum(row["anatomy"] == TEMPLATE_ANATOMY for row in scans)
    own = "registered rigidly to the tissue maps of the participant's T1-weighted image"
    fitted = "registered affinely to the template's tissue maps because the participant had no T1-weighted image"
    if not without:
        return f"Each scan was {own}."
    if without == len(scans):
        return f"Each scan was {fitted}."
    return (
        f"{count(len(scans) - without, 'scan was', 'scans were')} {own}; {count(without, 'scan was', 'scans were')} {fitted}, "
        "which is less accurate."
    )


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
    text = ["Volumes were not corrected for motion."]
    if settings.motion.correct:
        text = [
            "Coded volumes were rigidly realigned, first to the one closest to their median and then to their mean."
            if _all_encoded(sidecars)
            else "Control and label volumes were rigidly realigned, first to the control volume closest to the median control and "
            "then to the mean control."
        ]
    text += [
        registered_to(scans),
        _resampling(sidecars),
        f"Perfusion-weighted differences were formed as follows: {agreed(sidecar['Subtraction'] for sidecar in sidecars)}.",
        *_echoes(sidecars),
        *encoded(sidecars),
        repeats(sidecars),
        *quantification(sidecars),
        *known_tissue_words.methods(sidecars),
        *own_blood_words.methods(sidecars),
        *magnetisation([sidecar["M0"] for sidecar in sidecars]),
        partial_volume([sidecar["PartialVolumeCorrection"] for sidecar in sidecars]),
    ]
    text.append(distortion(sidecars))
    fwhm = agreed(with_unit(sidecar["TemplateSmoothingFWHM"]) for sidecar in sidecars)
    text.append(f"CBF maps in template space were smoothed within the brain with a Gaussian kernel of {fwhm} FWHM.")
    return " ".join(text)


def _all_encoded(sidecars: Sequence[Sidecar]) -> bool:
    """Whether all series are time-encoded, so that none has a control or a label."""
    return bool(sidecars) and all(sidecar.get("TimeEncoding") for sidecar in sidecars)


def _echoes(sidecars: Sequence[Sidecar]) -> Iterator[str]:
    """Which echo was used of series of several, in a sentence."""
    own = [str(sidecar["Echo"]).partition(" (")[0] for sidecar in sidecars if sidecar.get("Echo")]
    if own:
        yield f"Of series of several echoes, {agreed(own)} was used, of series and M0 alike."
    summed = [sidecar["SummedEchoes"] for sidecar in sidecars if sidecar.get("SummedEchoes")]
    if summed:
        times = agreed(", ".join(short(1e3 * time) for time in own["EchoTimes"]["Value"]) for own in summed)
        t2_star = agreed(f"{short(1e3 * own['T2Star']['Value'])} ms" for own in summed)
        gains = [fixed(own["Gain"] or own["ExpectedGain"]) for own in summed]
        gained = gains[0] if len(set(gains)) == 1 else f"{min(gains)} to {max(gains)}"
        yield (
            f"Echoes (at {times} ms) were weighted by exp(-TE / T2*) with a T2* of {t2_star} throughout, in proportion to the signal "
            "expected in each (as Posse et al. 1999 weight by the contrast expected of BOLD). Control, label and M0 have the same "
            "weights, so that the decay cancels in their quotient whatever T2* is; by the scans' own decay, noise that is independent "
            f"between echoes is {gained} times less against the signal than in the first echo."
        )


def encoded(sidecars: Sequence[Sidecar]) -> Iterator[str]:
    """How time-encoded series were decoded, and whether their scans confirm it, as sentences."""
    own = [sidecar for sidecar in sidecars if sidecar.get("TimeEncoding")]
    if not own:
        return
    records = [sidecar["TimeEncoding"] for sidecar in own]
    orders = [record["Order"] for record in records]
    judged = [order for order in orders if order["State"] != encoding_check.TOO_WEAK]
    yield (
        f"Time-encoded series ({count(len(own), 'scan')}) were decoded cycle by cycle by the matrix that the scanner's protocol "
        "states, and enter the fit as one delay and labelling duration a block; a cycle was kept or excluded as a whole."
    )
    if judged:
        left = max(order["Unexplained"][encoding_check.STATED] for order in judged)
        refused = all(order["RefusedIfWrong"] for order in orders)
        yield (
            f"Its order and sign were confronted with the kinetic model, which left at most {fixed(100 * left, 1)} % of the "
            f"blocks' mean grey-matter signal unexplained{'' if refused else ' (without refusing an order that it contradicts)'}."
        )
    yield from _undecided(orders)
    confirmed = distinct(record["Confirmed"] for record in records if record["Confirmed"] is not None)
    if confirmed:
        yield f"The order was confirmed by: {listed(confirmed)}."
    elif unsettled := sum(record["OrdersOpen"] > 0 for record in records):
        yield f"In {count(unsettled, 'scan')} neither the data nor the configuration settles the order."


def _undecided(orders: Sequence[Sidecar]) -> Iterator[str]:
    """What time-encoded scans leave open of their order, as sentences."""
    states = [order["State"] for order in orders]
    contradicted = states.count(encoding_check.CONTRADICTS)
    if contradicted:
        yield f"{count(contradicted, 'scan contradicts', 'scans contradict')} the order or the sign."
    alike = [order["Alike"] for order in orders if order["State"] == encoding_check.INDISTINCT]
    if alike:
        names = distinct(name for own in alike for name in own)
        most = max(abs(change["CBF"] - 1) for own in alike for change in own.values())
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield (
            f"{count(len(alike), 'scan does', 'scans do')} not tell it from other orders ({'; '.join(names[:_NAMED])}{more}), by which mean "
            f"CBF would differ by up to {fixed(100 * most, 0)} %."
        )
    slips = [order["Slips"] for order in orders if order["Slips"] is not None]
    if slips:
        yield (
            f"Two volumes or two blocks in each other's place would go unnoticed in {count(len(slips), 'scan')}, and change mean CBF by up to "
            f"{fixed(100 * max(slip['CBF'] for slip in slips), 0)} %."
        )
    if weak := states.count(encoding_check.TOO_WEAK):
        yield f"In {count(weak, 'scan')} there was too little signal to confirm the order by."


def distortion(sidecars: Sequence[Sidecar]) -> str:
    """Whether susceptibility distortion was corrected, in a sentence."""
    records = [sidecar["DistortionCorrection"] for sidecar in sidecars]
    corrected = sum(bool(record["Applied"]) for record in records)
    if not corrected:
        mapped = any(record["FieldMaps"] for record in records)
        return f"Susceptibility distortion was not corrected{', although field maps were available' * mapped}."
    which = "" if corrected == len(records) else f" of {corrected} of {len(records)} scans"
    modulated = sum("M0" in record and record["M0"] != record["Series"] for record in records if record["Applied"])
    intensity = (
        f" In {modulated} of them M0 was encoded otherwise than the series, and signal was multiplied with the local stretch "
        "of each."
        if modulated
        else ""
    )
    by = " or by ".join(sorted({_FIELDS[record["By"]] for record in records if record["Applied"]}))
    return (
        f"Susceptibility distortion{which} was corrected along the phase encoding by {by}, as a shift "
        "within that resampling; the field was placed by a rigid registration of the image acquired with it and of the scan "
        "to the tissues of the T1-weighted image, where both showed these, else by the images' headers; the sign and the size of "
        f"the shift were checked against the same tissues.{intensity}"
    )


def _resampling(sidecars: Sequence[Sidecar]) -> str:
    """How raw volumes came onto the grid of the scan."""
    return f"Resampling: {agreed(sidecar['Resampling'] for sidecar in sidecars)}."


def _cited(sidecar: Sidecar) -> str:
    """The reference of an equation, without the DOI, which stands in the list."""
    return str(sidecar["Reference"]).partition(", doi ")[0]


def _quantified(equation: str, own: Sequence[Sidecar]) -> str:
    """By which model CBF was computed, in a sentence."""
    scans = count(len(own), "scan")
    if equation == kinetics.COMPUTED:
        return f"CBF was taken as computed by the scanner ({scans})."
    if equation.startswith("deltaM"):
        # "deltaM / M0 of all delays fitted by the general kinetic model with ... (CBF and arterial transit time, least squares)"
        model, _, fitted = equation.partition(" (")
        how = model.removeprefix("deltaM / M0 of all delays fitted by ")
        return f"The differences of all delays, over M0, were fitted by {how} ({scans}; {fitted.rstrip(')')}; {agreed(map(_cited, own))})."
    return f"CBF was quantified by {cbf_equations.of_equation(equation).name} ({scans}; {agreed(map(_cited, own))})."


def _method(correction: Sidecar) -> str:
    return re.sub(r", doi [^)]*", "", str(correction["Method"]))


def quantification(sidecars: Sequence[Sidecar]) -> Iterator[str]:
    """The equation of CBF and its constants, for each equation."""
    for equation in distinct(sidecar["Equation"] for sidecar in sidecars):
        own = [sidecar for sidecar in sidecars if sidecar["Equation"] == equation]
        yield _quantified(equation, own)
        parts = []
        for name, words in CONSTANTS.items():
            constants = [sidecar["Constants"][name] for sidecar in own if name in sidecar["Constants"]]
            if constants:
                parts.append(f"{words} {agreed(map(with_unit, constants))}")
        if parts:
            yield f"Constants (calibration {agreed(s['Calibration'] for s in own)}): {'; '.join(parts)}."
        if any(sidecar["SliceTiming"] for sidecar in own):
            yield "The post-labelling delay of each slice includes its readout time."


def equations(sidecars: Sequence[Sidecar]) -> list[Formula]:
    """The equations of CBF that can be typeset, each once."""
    models = [cbf_equations.of_equation(equation) for equation in distinct(s["Equation"] for s in sidecars)]
    return [model for model in models if model.mathml]


def constants(sidecars: Sequence[Sidecar]) -> list[Constant]:
    """The constants of the equations: symbol, name, values and where they were found, as a small table."""
    rows = []
    for name, words in CONSTANTS.items():
        own = [sidecar["Constants"][name] for sidecar in sidecars if name in sidecar["Constants"]]
        if own:
            sources = distinct(source_words(str(constant["Source"])) for constant in own)
            more = f"; and {len(sources) - 2} more" if len(sources) > 2 else ""
            rows.append(
                Constant(
                    Markup(f"<math>{cbf_equations.SYMBOLS[name]}</math>"),
                    words,
                    agreed(map(with_unit, own)),
                    "; ".join(sources[:2]) + more,
                )
            )
    return rows


def partial_volume(corrections: Sequence[Sidecar]) -> str:
    """How CBF of grey and white matter was separated, and whether the contrasts are corrected."""
    used = any(correction["UsedInContrasts"] for correction in corrections)
    return (
        f"Partial-volume-corrected CBF of grey and white matter was estimated by {agreed(map(_method, corrections))} over a kernel "
        f"of {agreed(' x '.join(map(str, correction['Kernel'])) for correction in corrections)} voxels; the contrasts are of "
        + ("this corrected grey-matter CBF." if used else "uncorrected CBF.")
    )


def repeats(sidecars: Sequence[Sidecar]) -> str:
    """Which label-control pairs made the means."""
    rules = distinct(rule for sidecar in sidecars for rule in sidecar["Outliers"]["Rules"])
    average = f"The differences of a scan were averaged by their {agreed(sidecar['Average'] for sidecar in sidecars)}."
    regressed = sum(sidecar["MotionRegression"]["Applied"] for sidecar in sidecars)
    if regressed:
        average = f"Residual motion was regressed out of the difference series ({count(regressed, 'scan')}). {average}"
    one, several, counted = "label\u2013control pair", "Label\u2013control pairs", "pairs"
    between = "between control and label"
    if _all_encoded(sidecars):
        one, several, counted = "cycle of time-encoded volumes", "Cycles of time-encoded volumes", "blocks"
        between = "of a cycle, decoded as the signal is, in its worst block"
    if not rules:
        return f"No {one} was excluded. {average}"
    limits = sidecars[0]["Outliers"]
    words = {
        "Between": between,
        "MotionLimit": with_unit(limits["MotionLimit"]),
        "GlobalLimits": " to ".join(map(short, limits["GlobalLimits"]["Value"])) + f" {limits['GlobalLimits']['Unit']}",
    }
    dropped = [sidecar["NumberOfRepeats"] - sidecar["NumberOfRepeatsUsed"] for sidecar in sidecars]
    return (
        f"{several} were excluded if {listed([RULES[rule].format(**words) for rule in rules], 'or')}: "
        f"{sum(dropped)} of {sum(sidecar['NumberOfRepeats'] for sidecar in sidecars):,} {counted}, at most {max(dropped)} in any one "
        f"scan. {average}"
    )


def _source(part: Sidecar) -> str:
    """Where M0 came from, in words."""
    source = str(part["Source"])
    return SOURCES.get(source, source)


def magnetisation(m0: Sequence[Sidecar]) -> Iterator[str]:
    """Where M0 came from and how it was corrected, as sentences."""
    m0 = [part for part in m0 if part["Source"] != NO_M0]
    if not m0:
        return
    yield (
        f"M0 was taken from {agreed(map(_source, m0))} and smoothed within the brain with a Gaussian kernel of "
        f"{agreed(with_unit(part['SmoothingFWHM']) for part in m0)} FWHM."
    )
    for key, words, constant, name in (
        ("T1RecoveryFactor", "Incomplete T1 recovery was corrected by a factor of", "T1Tissue", "T1 of tissue"),
        (
            "EchoTimeFactor",
            "The difference in echo time between M0 and the ASL series was corrected by a factor of",
            "T2Star",
            "T2* of tissue",
        ),
        ("Scale", "M0 was multiplied by the configured gain of", "", ""),
    ):
        own = [part for part in m0 if part[key] != 1]
        if own:
            known = [with_unit(part[constant]) for part in own if constant in part]
            assumed = f" ({name} {agreed(known)})" if known else ""
            yield f"{words} {agreed(fixed(part[key], 3) for part in own)}{assumed}."
