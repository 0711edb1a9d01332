"""What a measure outside its band may come from, and what to do about it."""

from typing import NamedTuple


class Advice(NamedTuple):
    """The usual causes of a flag, and what to do, each a sentence."""

    cause: str
    action: str


_NOISE = "Too few repeats, motion or failed labelling leave little signal."
_LATE = "The label had not reached the tissue: slow flow or a short delay."
_REGISTER = "The scan is not where its anatomy says it is."
_LOOK_REGISTER = "Let the registration flicker. If edges do not meet, exclude the scan."
_UNITS = "M0, its repetition time or the labelling efficiency may be wrong."

ADVICE = {
    "qei:low": Advice(
        "The map is noisy, uneven or unlike grey and white matter.",
        "Look at the CBF map and the carpet plot; if no anatomy shows, exclude the scan.",
    ),
    "negative_gm_share:high": Advice(
        _NOISE, "Look for dark patches in deltaM; an outlier rule (perfusion.outliers) may leave the bad repeats out."
    ),
    "high_cbf_share:high": Advice(
        "Label in arteries, or an artefact at the rim.",
        "Look for bright vessels in the CBF map; a longer delay avoids them.",
    ),
    "spatial_cov:high": Advice(
        _LATE, "Look for bright vessels beside dark cortex; such a map shows arrival, not flow."
    ),
    "gm_cbf:low": Advice(
        "Failed or weak labelling, low flow, or a wrong M0 or efficiency.",
        "Compare M0 over control and the acquired values with other scans.",
    ),
    "gm_cbf:high": Advice(_UNITS, "Compare M0 over control and the acquired values with other scans."),
    "gm_cbf_z:low": Advice(_NOISE, "Look at deltaM: without cortex in it there is no perfusion signal to use."),
    "gm_wm_ratio:low": Advice(
        "Noise, motion or a poor registration blurs grey and white matter together.",
        "Let the registration flicker and look at the tissues' outlines on the CBF map.",
    ),
    "gm_wm_ratio:high": Advice(
        _LATE, "White matter is reached late: take its CBF with care; grey matter's may be sound."
    ),
    "fd_mean:high": Advice(
        "The head moved throughout.",
        "Look at the carpet plot; outlier rules leave single repeats out, not restlessness.",
    ),
    "fd_max:high": Advice(
        "The head moved at once.",
        "See whether the repeat with the peak is among those left out; if not, tighten perfusion.outliers.",
    ),
    "coverage:low": Advice(
        "The field of view does not hold the whole brain.",
        "Look at which part is cut off: regions there have no value for this scan.",
    ),
    "registration_overlap:low": Advice(_REGISTER, _LOOK_REGISTER),
    "template_correlation:low": Advice(
        f"{_REGISTER} Or the map is mostly noise.",
        "Look at the CBF map on the template and let the registrations flicker.",
    ),
    "pairs_without_signal:high": Advice(
        "Volumes are empty, damaged or copies: a broken conversion or an aborted scan.",
        "Convert the scan again from its source.",
    ),
    "orders_open:high": Advice(
        "The scan does not tell the order of its time-encoded volumes or blocks, has too little signal to, or contradicts it.",
        "Compare matrix, label, durations and delay with the scanner's protocol; then say in perfusion.encodings, as confirmed, by what "
        "they are known.",
    ),
    "slices_out_of_line:high": Advice(
        "The head moved while slices were read, or the scanner failed in single slices.",
        "Look at the picture of the slices; perfusion.outliers.rules: [motion, slices] leaves such repeats out.",
    ),
}

_MISSING = Advice(
    "The measure could not be formed: no CBF is known in the tissue, or there are too few repeats.",
    "Look at mask and coverage of the scan.",
)
_OTHER = {
    "low": Advice("Lower than the band that the configuration sets.", "Compare the scan with the others of the study."),
    "high": Advice(
        "Higher than the band that the configuration sets.", "Compare the scan with the others of the study."
    ),
}


def advice(flag: str) -> Advice:
    """The usual cause of a flag such as ``fd_mean:high``, and what to do about it."""
    side = flag.partition(":")[2]
    return _MISSING if side == "missing" else ADVICE.get(flag, _OTHER[side])
