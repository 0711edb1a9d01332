"""The sidecar of a scan's CBF: every constant, choice and correction by which it was computed, with its source."""

import numpy as np

import pharmasl
from pharmasl.perfusion import calibration, estimation, kinetics, subtraction
from pharmasl.perfusion import timing as parameters

_M0 = {
    "separate": "separate M0 image",
    "included": "m0scan volumes of the series",
    "estimate": "M0Estimate",
    "control": "mean control of a series without background suppression",
    "none": "not needed",
}
FITTED = (
    "deltaM / M0 of all delays fitted by the general kinetic model with T1 of blood throughout (CBF and arterial transit "
    "time{arteries}, {how})"
)
COMPUTED = "CBF as the scanner computed it"
_INTERPOLATION = {"cubic": "cubic B-spline", "linear": "trilinear"}
_DISTORTION = "this version does not correct it"


def sidecar(found, acquisition, settings, choice, regression):
    """Everything by which a scan's CBF was computed.

    Parameters
    ----------
    found : pharmasl.perfusion.scan.Scan
    acquisition : dict
        As the study stage resolves it.
    settings : dict
        ``perfusion`` of the configuration.
    choice : pharmasl.perfusion.artefacts.Choice
    regression : dict or None
        What :func:`pharmasl.perfusion.nuisance.regress` tells.

    Returns
    -------
    dict
        JSON-able.
    """
    told = acquisition.get("sources") or {}

    def constant(name, value):
        field, unit = parameters.FIELDS[name]
        known_as = "bolus_cutoff_delay" if name == "bolus_duration" else name
        source = told.get(known_as) or told.get("bolus_cutoff_technique" if name == "bolus_duration" else name)
        return {"Value": value, "Unit": unit, "Field": field, "Source": source or "not recorded"}

    equation, values = _model(found, settings["delays"])
    return {
        "Units": "mL/100 g/min",
        "Calibration": settings["calibration"],
        "Equation": equation,
        "Reference": _reference(found),
        "Constants": {name: constant(name, value) for name, value in values.items()},
        "SliceTiming": None if found.timing is None or not found.timing.offset.any() else found.timing.offset.tolist(),
        "M0": _m0(found, acquisition, settings["m0"], constant),
        "Subtraction": subtraction.METHODS[settings["subtraction"]]
        if found.of.kind == "pairs"
        else {"deltam": "done by the scanner", "cbf": "none"}[found.of.kind],
        "NumberOfRepeats": found.repeats.number,
        "NumberOfRepeatsPassed": int(choice.passed.sum()),
        "NumberOfRepeatsUsed": int(choice.kept.sum()),
        "MeanOf": choice.mean_of,
        "TotalAcquiredPairs": acquisition.get("total_acquired_pairs"),
        "VolumesWithoutMeasurement": {str(number): reason for number, reason in found.of.lost.items()},
        "UnpairedVolumes": [int(n) for n in found.of.unpaired],
        "Outliers": {
            "Rules": settings["outliers"]["rules"],
            "MotionLimit": {"Value": settings["outliers"]["motion_limit"], "Unit": "mm"},
            "GlobalLimits": {"Value": settings["outliers"]["global_limits"], "Unit": "mL/100 g/min"},
            "Notes": choice.notes,
            "Excluded": {
                str(number): reason for number, reason in enumerate(choice.reasons) if not choice.kept[number]
            },
        },
        "Average": estimation.AVERAGES[settings["outliers"]["average"]],
        "MotionRegression": _regression(regression),
        "Resampling": f"each raw volume once, {_INTERPOLATION[found.interpolation]}, through all transforms composed; "
        "subtraction after it",
        "LeastShareOfRepeats": estimation.LEAST_REPEATS,
        "PartialVolumeCorrection": {
            "Method": "linear regression (Asllani et al. 2008, doi 10.1002/mrm.21670)",
            "Kernel": list(settings["partial_volume"]["kernel"]),
            "UsedInContrasts": settings["partial_volume"]["use"],
        },
        "DistortionCorrection": {"Applied": False, "FieldMaps": acquisition.get("fieldmaps") or [], "Why": _DISTORTION},
        "TemplateSmoothingFWHM": {"Value": float(settings["smoothing_fwhm"]), "Unit": "mm"},
        "CodeVersion": pharmasl.__version__,
    }


def _model(found, delays):
    """The equation in words and the values it takes."""
    if found.timing is None:
        return COMPUTED, {}
    constants, timing = found.constants, found.timing

    def one_or_all(values):
        # JSON knows no infinity.
        values = [float(value) if np.isfinite(value) else None for value in values]
        return values[0] if len(values) == 1 else values

    duration = "bolus_duration" if constants.pulsed else "labeling_duration"
    values = {
        "post_labeling_delay": one_or_all(timing.delay),
        duration: one_or_all(timing.duration),
        "labeling_efficiency": constants.labeling_efficiency,
        "t1_blood": constants.t1_blood,
        "partition_coefficient": constants.partition_coefficient,
    }
    if timing.several:
        sd = delays["transit_sd"]
        how = "least squares" if sd is None else f"least squares with a normal prior of the transit time, SD {sd:g} s"
        return FITTED.format(arteries=", arterial blood volume" if delays["arterial"] else "", how=how), values
    if timing.fixed is not None:
        values["post_labeling_delay"] = timing.fixed
    return kinetics.PULSED if constants.pulsed else kinetics.CONTINUOUS, values


def _reference(found):
    if found.timing is None:
        return "the scanner's manufacturer"
    if found.timing.several:
        return "Woods et al. 2024, doi 10.1002/mrm.30091"
    if found.timing.fixed is not None:
        return "Noguchi et al. 2015, after Alsop et al. 2015, doi 10.1002/mrm.25197"
    return "Alsop et al. 2015, doi 10.1002/mrm.25197"


def _m0(found, acquisition, settings, constant):
    m0, factors = found.m0, found.m0.factors
    told = {
        "Source": "control of each pair, of a series without background suppression" if m0.of_pair else _M0[m0.origin],
        "Volumes": int(m0.data.shape[3]),
        "T1RecoveryFactor": factors.t1_recovery,
        "EchoTimeFactor": factors.echo_time,
        "EchoTime": factors.echo_reason,
        "Scale": factors.scale,
        "SmoothingFWHM": {"Value": float(settings["smoothing_fwhm"]), "Unit": "mm"},
        "Edge": {"Value": settings["edge"], "Unit": "mm"},
        "LeastShareOfBrainMedian": calibration.LEAST_SHARE,
    }
    if factors.repetition_time is not None:
        name = "repetition_time" if m0.origin == "control" else "m0_repetition_time"
        told["RepetitionTime"] = constant(name, factors.repetition_time)
        told["T1Tissue"] = constant("t1_tissue", float(acquisition["t1_tissue"]))
    if factors.t2_star is not None:
        told["T2Star"] = constant("t2_star", factors.t2_star)
    if m0.estimate is not None:
        told["Estimate"] = constant("m0_estimate", m0.estimate)
    return told


def _regression(regression):
    if regression is None:
        return {"Applied": False, "Why": "not asked for"}
    if not regression["applied"]:
        return {"Applied": False, "Why": regression["reason"]}
    return {
        "Applied": True,
        "Components": regression["components"],
        "VarianceFactor": float(regression["variance_factor"]),
    }
