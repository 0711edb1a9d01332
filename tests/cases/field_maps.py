"""Cases of field maps and of the fields that say how images were phase encoded."""

import json

import nibabel
import numpy as np
from wrong_input import RUN, Case

FMAP = "sub-01/ses-T1/fmap/sub-01_ses-T1"
_SERIES = {"PhaseEncodingDirection": "j-", "TotalReadoutTime": 0.025, "EffectiveEchoSpacing": 0.0004}
_TIMES = {"EchoTime1": 0.00492, "EchoTime2": 0.00738}


def image(trial, name, fields=None):
    """An image and its sidecar."""
    path = trial.path(f"{name}.nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3), np.float32), np.diag([4.0, 4, 4, 1])), path)
    trial.path(f"{name}.json").write_text(json.dumps(fields or {}))


def _mapped(series=None, magnitude=True, run="", **fields):
    """A phase difference for the run, with the series' own fields; ``...`` takes one away."""

    def change(trial):
        content = {**_TIMES, **fields}
        image(trial, f"{FMAP}{run}_phasediff", {name: value for name, value in content.items() if value is not ...})
        if magnitude:
            image(trial, f"{FMAP}{run}_magnitude1")
        trial.sidecar(**{**_SERIES, **(series or {})})

    return change


def _phases(**second):
    def change(trial):
        image(trial, f"{FMAP}_phase1", {"EchoTime": 0.00492})
        image(trial, f"{FMAP}_phase2", second)
        image(trial, f"{FMAP}_magnitude1")
        trial.sidecar(**_SERIES)

    return change


def _direct(**fields):
    def change(trial):
        image(trial, f"{FMAP}_fieldmap", fields)
        trial.sidecar(**_SERIES)

    return change


def _both(*changes):
    def change(trial):
        for part in changes:
            part(trial)

    return change


def _holds(**expected):
    def holds(study):
        correction = study.scans[RUN].correction
        if correction is None:
            return not expected
        known = {**vars(correction.field_map), "readout_time": correction.distortion.series.readout_time}
        return all(
            abs(known[name] - value) < 1e-9 if isinstance(value, float) else known[name] == value
            for name, value in expected.items()
        ) and bool(expected)

    return {"holds": holds}


def _cases():
    def case(name, change, outcome="refused", words="", **more):
        return Case(f"field map: {name}", "field map", change, outcome, words, **more)

    other = "ses-T1/func/sub-01_ses-T1_task-rest_bold.nii.gz"
    run = f"{RUN.partition('/')[2]}_asl.nii.gz"
    only = "the only field map of the session"
    yield case(
        "a phase difference, nothing said",
        _mapped(),
        "accepted",
        **_holds(kind="phasediff", echo_difference=0.00246, reason=only),
    )
    yield case("none", lambda t: t.sidecar(**_SERIES), "accepted", **_holds())
    yield case("for another run", _mapped(IntendedFor=other), "accepted", **_holds())
    yield case(
        "for the run, beside another for none",
        _both(_mapped(run="_run-1", IntendedFor=run), _mapped(run="_run-2")),
        "accepted",
        **_holds(reason="IntendedFor of the field map"),
    )
    yield case(
        "named by B0FieldSource, beside one that names the run",
        _both(
            _mapped(run="_run-1", IntendedFor=run),
            _mapped(run="_run-2", B0FieldIdentifier="b0", series={"B0FieldSource": "b0"}),
        ),
        "accepted",
        **_holds(reason="B0FieldSource of the run"),
    )
    yield case("B0FieldSource that no map has", _mapped(series={"B0FieldSource": "b1"}), words="B0FieldSource.*b1")
    yield case("two, nothing said", _both(_mapped(), _mapped(run="_run-2")), words="one field map for the run")
    yield case(
        "two, both for the run",
        _both(_mapped(IntendedFor=run), _mapped(run="_run-2", IntendedFor=run)),
        words="one field map for the run",
    )
    yield case(
        "switched off, readout time missing",
        _both(
            _mapped(series={"TotalReadoutTime": ..., "EffectiveEchoSpacing": ...}),
            lambda t: t.config.update(perfusion={"distortion": "off"}),
        ),
        "accepted",
        **_holds(),
    )
    yield case(
        "readout time missing",
        _mapped(series={"TotalReadoutTime": ..., "EffectiveEchoSpacing": ...}),
        words="TotalReadoutTime: found 'nothing'",
    )
    yield case(
        "readout time by the echo spacing",
        _mapped(series={"TotalReadoutTime": ...}),
        "accepted",
        **_holds(readout_time=0.0008),
    )
    yield case("readout time in milliseconds", _mapped(series={"TotalReadoutTime": 25.2}), words="milliseconds.*0.0252")
    yield case(
        "phase-encoding direction missing",
        _mapped(series={"PhaseEncodingDirection": ...}),
        words="PhaseEncodingDirection",
    )
    yield case(
        "phase-encoding direction of the head",
        _mapped(series={"PhaseEncodingDirection": "AP"}),
        words="PhaseEncodingDirection",
    )
    yield case("echo time missing", _mapped(EchoTime1=...), words="EchoTime1: found 'nothing'")
    yield case(
        "the difference alone",
        _mapped(EchoTime1=..., EchoTime2=..., EchoTimeDifference=0.00246),
        "accepted",
        **_holds(echo_difference=0.00246),
    )
    yield case("echo times exchanged", _mapped(EchoTime1=0.00738, EchoTime2=0.00492), words="the later echo")
    yield case("echo times in milliseconds", _mapped(EchoTime1=4.92, EchoTime2=7.38), words="seconds", errors=2)
    yield case("no magnitude", _mapped(magnitude=False), words="magnitude1")
    yield case("two phases", _phases(EchoTime=0.00738), "accepted", **_holds(kind="phases", echo_difference=0.00246))
    yield case("two phases, an echo time missing", _phases(), words="EchoTime")
    yield case(
        "two phases, one image missing",
        _both(_phases(EchoTime=0.00738), lambda t: t.path(f"{FMAP}_phase2.nii.gz").unlink()),
        words="phase2",
    )
    yield case("direct, in Hz", _direct(Units="Hz"), "accepted", **_holds(kind="fieldmap", units="Hz"))
    yield case("direct, in rad/s", _direct(Units="rad/s"), "accepted", **_holds(units="rad/s"))
    yield case("direct, unit missing", _direct(), words="Units.*Hz, rad/s, T")
    yield case("direct, in ppm", _direct(Units="ppm"), words="Units.*ppm")
    yield case(
        "a 3D readout without phase encoding",
        _mapped(
            series={
                "MRAcquisitionType": "3D",
                "SliceTiming": ...,
                **dict.fromkeys(_SERIES, ...),
            }
        ),
        "accepted",
        **_holds(),
    )


CASES = list(_cases())
