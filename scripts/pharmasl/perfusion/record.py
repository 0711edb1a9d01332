"""The sidecar of a scan's CBF: every constant, choice and correction by which it was computed, with its source."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

import pharmasl
from pharmasl.perfusion import artefacts, calibration, encoding_check, estimation, kinetics, nuisance, subtraction
from pharmasl.perfusion import timing as scan_timing
from pharmasl.perfusion.scan import M0, Scan
from pharmasl.study import echo_sum, settings
from pharmasl.study.scan_acquisition import Acquisition

_M0 = {
    "separate": "separate M0 image",
    "included": "m0scan volumes of the series",
    "estimate": "M0Estimate",
    "control": "mean control of a series without background suppression",
    "none": "not needed",
}
FITTED = (
    "deltaM / M0 of all delays fitted by the general kinetic model with {decay} (CBF and arterial transit "
    "time{arteries}, {how})"
)
_BLOOD = "T1 of blood throughout"
_TISSUE = "T1 of blood before label arrives and a known T1 of tissue after it"
ECHOES = {
    "Weights": "Of series and M0 alike, so that the decay by T2* cancels in their quotient, whatever it is; their sum is 1",
    "ExpectedSignal": "Of each echo over that of the first, by T2Star",
    "Signal": "The same as this scan's head has it, over the volumes that show it",
    "ExpectedGain": "Signal over noise of the sum over that of the first echo, by ExpectedSignal, noise alike and independent",
    "Gain": "The same by Signal",
}
_INTERPOLATION = {"cubic": "cubic B-spline", "linear": "trilinear"}
_MODULATED = "signal multiplied with the local stretch, which differs between the series and M0"
_CANCELS = "none: the local stretch is that of M0 too, and cancels in deltaM / M0"


def sidecar(
    raw: Scan,
    acquisition: Acquisition,
    quantification: settings.Quantification,
    choice: artefacts.Choice,
    regression: nuisance.Regression | None,
    prior_sd: float | None = None,
) -> dict[str, Any]:
    """Everything by which a scan's CBF was computed.

    Parameters
    ----------
    raw : pharmasl.perfusion.scan.Scan
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    quantification : pharmasl.study.settings.Quantification
    choice : pharmasl.perfusion.artefacts.Choice
    regression : pharmasl.perfusion.nuisance.Regression or None
        None where it was switched off.
    prior_sd : float, optional
        Of several delays, the standard deviation of the transit time's prior, seconds; None where there was none.

    Returns
    -------
    dict
        For JSON.
    """
    equation, values = _model(raw, quantification.delays, prior_sd)
    outliers = quantification.outliers
    return {
        "Units": "mL/100 g/min",
        "Grid": {"Shape": list(raw.grid.shape), "VoxelSize": voxel_sizes(raw.affine).round(4).tolist(), "Unit": "mm"},
        "Calibration": quantification.calibration,
        "Equation": equation,
        "Reference": _reference(raw),
        "Constants": {name: _constant(name, value, acquisition.sources) for name, value in values.items()},
        "SliceTiming": None if raw.timing is None or not raw.timing.offset.any() else raw.timing.offset.tolist(),
        "M0": _m0(raw.m0, acquisition),
        "Subtraction": _subtraction(raw.volumes.kind, acquisition, quantification.subtraction),
        "Echo": acquisition.sources.get("echo"),
        "SummedEchoes": _echoes(raw, acquisition),
        "NumberOfRepeats": raw.repeats.number,
        "NumberOfRepeatsPassed": int(choice.passed.sum()),
        "NumberOfRepeatsUsed": int(choice.kept.sum()),
        "MeanOf": choice.mean_of,
        "TotalAcquiredPairs": acquisition.total_acquired_pairs,
        "VolumesWithoutMeasurement": {str(number): reason for number, reason in raw.volumes.lost.items()},
        "UnpairedVolumes": [int(n) for n in raw.volumes.unpaired],
        "Outliers": {
            "Rules": outliers.rules,
            "MotionLimit": {"Value": outliers.motion_limit, "Unit": "mm"},
            "GlobalLimits": {"Value": outliers.global_limits, "Unit": "mL/100 g/min"},
            "Notes": choice.notes,
            "Excluded": {
                str(number): reason for number, reason in enumerate(choice.reasons) if not choice.kept[number]
            },
        },
        "Average": estimation.AVERAGES[outliers.average],
        "MotionRegression": _regression(regression),
        "Resampling": f"each raw volume once, {_INTERPOLATION[raw.interpolation]}, through all transforms composed; "
        "subtraction after it",
        "LeastShareOfRepeats": estimation.LEAST_REPEATS,
        "PartialVolumeCorrection": {
            "Method": "linear regression (Asllani et al. 2008, doi 10.1002/mrm.21670)",
            "Kernel": list(quantification.partial_volume.kernel),
            "UsedInContrasts": quantification.partial_volume.use,
        },
        "DistortionCorrection": _distortion(raw, acquisition),
        "TemplateSmoothingFWHM": {"Value": float(quantification.smoothing_fwhm), "Unit": "mm"},
        "CodeVersion": pharmasl.__version__,
    }


def _echoes(raw: Scan, acquisition: Acquisition) -> dict[str, Any] | None:
    """How the echoes of a scan were summed; None where one was taken."""
    if acquisition.echoes is None:
        return None
    times, weights = acquisition.echoes.times, acquisition.echoes.weights
    t2_star = scan_timing.positive(acquisition.t2_star, "t2_star", raw.path)
    expected = echo_sum.decay(times, t2_star)
    return {
        "EchoTimes": {"Value": list(times), "Unit": "s"},
        "Weights": list(weights),
        "T2Star": _constant("t2_star", t2_star, acquisition.sources),
        "Source": acquisition.sources.get("echo_weights", "not recorded"),
        "ExpectedSignal": list(expected),
        "Signal": list(raw.echo_levels),
        "ExpectedGain": echo_sum.gain(weights, expected),
        "Gain": echo_sum.gain(weights, raw.echo_levels) if raw.echo_levels else None,
        "Descriptions": ECHOES,
    }


def encoding(acquisition: Acquisition, order: encoding_check.Check | None) -> dict[str, Any] | None:
    """How a time-encoded series was decoded, and what the scan says of it; None of any other.

    Parameters
    ----------
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    order : pharmasl.perfusion.encoding_check.Check or None

    Returns
    -------
    dict or None
        For JSON.
    """
    if acquisition.encoding is None or order is None:
        return None
    return {
        "Matrix": [list(row) for row in acquisition.encoding],
        "MatrixMeaning": "a row for each volume of a cycle, a column for each block in order of time; 1 control, -1 label",
        "Source": acquisition.sources.get("encoding", "not recorded"),
        "Order": {**order.record(), "RefusedIfWrong": bool(acquisition.encoding_checked)},
        "Confirmed": acquisition.encoding_confirmed,
        "OrdersOpen": order.open(acquisition.encoding_confirmed is not None),
    }


def own_blood(acquisition: Acquisition, changed: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The T1 of blood that is the participant's own, and what an error of it changes; None of the calibration's.

    Parameters
    ----------
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    changed : Mapping or None
        Of :func:`pharmasl.perfusion.known_effect.blood`.
    """
    if changed is None:
        return None
    return {
        "T1": _constant("t1_blood", acquisition.t1_blood, acquisition.sources),
        "By": acquisition.t1_blood_by,
        "Haematocrit": acquisition.haematocrit,
        "WithError": dict(changed),
        "WithErrorMeaning": "mean CBF of each tissue if the T1 of blood were that much longer or shorter, over CBF as it is",
    }


def _subtraction(kind: str, acquisition: Acquisition, method: str) -> str:
    """How differences were formed, in words."""
    if acquisition.encoding is not None:
        return subtraction.DECODED.format(rows=len(acquisition.encoding), blocks=len(acquisition.encoding[0]))
    return {"pairs": subtraction.METHODS[method], "deltam": "done by the scanner", "cbf": "none"}[kind]


def _constant(name: str, value: Any, sources: Mapping[str, str]) -> dict[str, Any]:
    """A constant with its unit, its field and where it comes from."""
    field, unit = scan_timing.FIELDS[name]
    if name == "bolus_duration":
        source = sources.get("bolus_cutoff_delay") or sources.get("bolus_cutoff_technique")
    else:
        source = sources.get(name)
    return {"Value": value, "Unit": unit, "Field": field, "Source": source or "not recorded"}


def _model(raw: Scan, delays: settings.Delays, prior_sd: float | None) -> tuple[str, dict[str, Any]]:
    """The equation in words and the values it takes."""
    if raw.timing is None or raw.constants is None:
        return kinetics.COMPUTED, {}
    constants, timing = raw.constants, raw.timing
    duration = "bolus_duration" if constants.pulsed else "labeling_duration"
    values = {
        "post_labeling_delay": _one_or_all(timing.delay),
        duration: _one_or_all(timing.duration),
        "labeling_efficiency": constants.labeling_efficiency,
        "t1_blood": constants.t1_blood,
        "partition_coefficient": constants.partition_coefficient,
    }
    if timing.several:
        about = "" if raw.tissue is None or raw.tissue.transit_time is None else " about a known one"
        prior = "" if prior_sd is None else f" with a normal prior of the transit time{about}, SD {prior_sd:g} s"
        decay = _BLOOD if raw.tissue is None or raw.tissue.t1 is None else _TISSUE
        arteries = ", arterial blood volume" if delays.arterial else ""
        return FITTED.format(decay=decay, arteries=arteries, how=f"least squares{prior}"), values
    if raw.tissue is not None:
        return kinetics.KNOWN_PULSED if constants.pulsed else kinetics.KNOWN_CONTINUOUS, values
    if timing.fixed is not None:
        values["post_labeling_delay"] = timing.fixed
    return kinetics.PULSED if constants.pulsed else kinetics.CONTINUOUS, values


def _one_or_all(values: np.ndarray) -> Any:
    # JSON knows no infinity.
    plain = [float(value) if np.isfinite(value) else None for value in values]
    return plain[0] if len(plain) == 1 else plain


def _reference(raw: Scan) -> str:
    timing = raw.timing
    if timing is None:
        return "the scanner's manufacturer"
    if timing.several and (raw.tissue is None or raw.tissue.t1 is None):
        return "Woods et al. 2024, doi 10.1002/mrm.30091"
    if raw.tissue is not None:
        return "Buxton et al. 1998, doi 10.1002/mrm.1910400308"
    if timing.fixed is not None:
        return "Noguchi et al. 2015, after Alsop et al. 2015, doi 10.1002/mrm.25197"
    return "Alsop et al. 2015, doi 10.1002/mrm.25197"


def _m0(m0: M0, acquisition: Acquisition) -> dict[str, Any]:
    factors, sources = m0.factors, acquisition.sources
    entry = {
        "Source": "control of each pair, of a series without background suppression" if m0.of_pair else _M0[m0.origin],
        "Volumes": int(m0.data.shape[3]),
        "T1RecoveryFactor": factors.t1_recovery,
        "EchoTimeFactor": factors.echo_time,
        "EchoTime": factors.echo_reason,
        "Scale": factors.scale,
        "SmoothingFWHM": {"Value": float(m0.settings.smoothing_fwhm), "Unit": "mm"},
        "Edge": {"Value": m0.settings.edge, "Unit": "mm"},
        "LeastShareOfBrainMedian": calibration.LEAST_SHARE,
    }
    if factors.repetition_time is not None:
        name = "repetition_time" if m0.origin == "control" else "m0_repetition_time"
        entry["RepetitionTime"] = _constant(name, factors.repetition_time, sources)
        t1_tissue = scan_timing.positive(acquisition.t1_tissue, "t1_tissue", "M0")
        entry["T1Tissue"] = _constant("t1_tissue", t1_tissue, sources)
    if factors.t2_star is not None:
        entry["T2Star"] = _constant("t2_star", factors.t2_star, sources)
    if m0.estimate is not None:
        entry["Estimate"] = _constant("m0_estimate", m0.estimate, sources)
    return entry


def _distortion(raw: Scan, acquisition: Acquisition) -> dict[str, Any]:
    """How susceptibility distortion was corrected, or why it was not."""
    known: dict[str, Any] = {"Applied": raw.unwarping is not None, "FieldMaps": acquisition.fieldmaps}
    if raw.unwarping is None:
        return {**known, "Why": acquisition.distortion or "the scanner made the map"}
    encodings = {"Series": raw.unwarping.distortion.series, "M0": raw.unwarping.distortion.m0}
    return {
        **known,
        "By": acquisition.sources.get("field_map"),
        "ChosenBy": acquisition.sources.get("distortion"),
        "Intensity": _MODULATED if raw.unwarping.modulates else _CANCELS,
        **{
            name: {"PhaseEncodingDirection": own.direction, "TotalReadoutTime": own.readout_time}
            for name, own in encodings.items()
            if own is not None
        },
    }


def _regression(regression: nuisance.Regression | None) -> dict[str, Any]:
    if regression is None:
        return {"Applied": False, "Why": "not asked for"}
    if not regression.applied:
        return {"Applied": False, "Why": regression.reason}
    return {
        "Applied": True,
        "Components": [dataclasses.asdict(component) for component in regression.components],
        "VarianceFactor": float(regression.variance_factor),
    }
