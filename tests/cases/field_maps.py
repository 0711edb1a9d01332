"""Cases of field maps and of the fields that say how images were phase encoded."""

import json
import os
import zlib

import nibabel
import numpy as np
from wrong_input import RUN, Case

FMAP = "sub-01/ses-T1/fmap/sub-01_ses-T1"
_SERIES = {"PhaseEncodingDirection": "j-", "TotalReadoutTime": 0.025}
_TIMES = {"EchoTime1": 0.00492, "EchoTime2": 0.00738}


def image(trial, name, fields=None, shape=(3, 3, 3), x=0.0):
    """An image and its sidecar, its content that of no other name, its first voxel at x (mm)."""
    path = trial.path(f"{name}.nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([4.0, 4, 4, 1])
    affine[0, 3] = x
    values = np.full(shape, 1 + zlib.crc32(name.encode()) % 4096, np.float32)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
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


_AGAINST = {**_SERIES, "PhaseEncodingDirection": "j"}


def _epi(direction="AP", run="", shape=(3, 3, 3), **fields):
    """An EPI field map; without other fields it is encoded as the series is."""

    def change(trial):
        content = {**_SERIES, **fields}
        image(
            trial,
            f"{FMAP}_dir-{direction}{run}_epi",
            {name: value for name, value in content.items() if value is not ...},
            shape,
        )

    return change


def _two(run="", **fields):
    """Two of opposed direction, and the series' own fields."""
    return _both(
        _epi("AP", run, **fields),
        _epi("PA", run, **{**_AGAINST, **fields}),
        lambda t: t.sidecar(**_SERIES),
    )


def _m0(folder="perf", direction="", **fields):
    """An M0 image of its own."""

    def change(trial):
        name = f"sub-01/ses-T1/{folder}/sub-01_ses-T1_acq-rest{direction}_m0scan"
        image(trial, name, {"RepetitionTimePreparation": 5.0, "EchoTime": 0.013, **_SERIES, **fields})
        trial.sub(f"{RUN}_aslcontext.tsv", "m0scan", "n/a") if not direction else None
        trial.sidecar(M0Type="Separate", **_SERIES)

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
        own = correction.field_map
        known = {
            **vars(own),
            "readout_time": correction.distortion.series.readout_time,
            "names": [os.path.basename(path) for path in own.images],
            "m0": os.path.basename(study.scans[RUN].m0 or ""),
        }
        return all(
            abs(known[name] - value) < 1e-9 if isinstance(value, float) else known[name] == value
            for name, value in expected.items()
        ) and bool(expected)

    return {"holds": holds}


def _copied(source, target):
    return lambda trial: trial.copy(f"{FMAP}_{source}.nii.gz", f"{FMAP}_{target}.nii.gz")


def _elsewhere(folder, name, **fields):
    """A phase difference in another folder than the session's."""

    def change(trial):
        for suffix, content in (("phasediff", {**_TIMES, **fields}), ("magnitude1", {})):
            image(trial, f"sub-01/{folder}/{name}_{suffix}", content)
        trial.sidecar(**_SERIES)

    return change


def _intended(case, run):
    """Ways to write the run into IntendedFor, right and wrong."""
    name = os.path.basename(run)
    meant = {"outcome": "accepted", **_holds(reason="IntendedFor of the field map")}
    for kind, target in {
        "a BIDS URI": f"bids::sub-01/{run}",
        "a BIDS URI of a named dataset": f"bids:raw:sub-01/{run}",
        "a path without the session": f"sub-01/perf/{name}",
        "a path on another machine": f"/data/bids/sub-01/{run}",
        "without .gz": run.removesuffix(".gz"),
        "without an extension": run.removesuffix(".nii.gz"),
        "the sidecar": run.replace(".nii.gz", ".json"),
    }.items():
        yield case(f"for the run, {kind}", _mapped(IntendedFor=target), **meant)
    images = "expected perfusion or M0 images of sub-01"
    for kind, target in {
        "a run that is not there": run.replace("_asl", "_run-1_asl"),
        "another person's run": f"bids::sub-02/{run.replace('sub-01', 'sub-02')}",
        "a folder": "ses-T1/perf",
        "another session's folder": run.replace("ses-T1/", "ses-T2/"),
        "a session in lower case": run.replace("ses-T1/", "ses-t1/"),
    }.items():
        yield case(f"for {kind}", _mapped(IntendedFor=target), words=f"IntendedFor.*{images}")
    yield case("for a number", _mapped(IntendedFor=3), words="IntendedFor: found 3, expected a path")
    yield case("of another session, for the run", _elsewhere("ses-T2/fmap", "sub-01_ses-T2", IntendedFor=run), **meant)
    yield case("of another session, for none", _elsewhere("ses-T2/fmap", "sub-01_ses-T2"), "accepted", **_holds())
    yield case("above the sessions, for the run", _elsewhere("fmap", "sub-01", IntendedFor=run), **meant)
    yield case(
        "with another person's name",
        _elsewhere("ses-T1/fmap", "sub-02_ses-T1"),
        words="sub-02 in the name.*sub-01, as the folders have it",
        errors=2,
    )
    yield case("in func", _elsewhere("ses-T1/func", "sub-01_ses-T1"), "listed", "phasediff.* lies in func, not in fmap")
    yield case(
        "a name outside BIDS",
        lambda trial: image(trial, "sub-01/ses-T1/fmap/gre_field_mapping"),
        "listed",
        "gre_field_mapping.nii.gz has no name of BIDS",
    )
    yield case(
        "suffix in capitals", lambda trial: image(trial, f"{FMAP}_phaseDiff", _TIMES), words="phaseDiff.*phasediff"
    )
    yield case(
        "with another person's name, switched off",
        _both(_elsewhere("ses-T1/fmap", "sub-02_ses-T1"), lambda t: t.config.update(perfusion={"distortion": "off"})),
        "accepted",
        **_holds(),
    )


def _encoded(case):
    """What a sidecar says of the phase encoding."""
    slices = {"MRAcquisitionType": "2D", "SliceTiming": [0.0, 0.1, 0.2]}
    yield case(
        "the converter's estimate of the readout time",
        _mapped(series={"TotalReadoutTime": ..., "EstimatedTotalReadoutTime": 0.025}),
        words="EstimatedTotalReadoutTime is 0.025.*if the protocol agrees",
    )
    yield case(
        "an axis without a sign",
        _mapped(series={"PhaseEncodingDirection": ..., "PhaseEncodingAxis": "j"}),
        words="PhaseEncodingAxis is j.*minus sign",
    )
    yield case(
        "readout time and echo spacing exchanged",
        _mapped(series={"TotalReadoutTime": 0.0005, "EffectiveEchoSpacing": 0.025}),
        words="probably exchanged",
    )
    yield case(
        "readout time and echo spacing that contradict each other",
        _mapped(series={"EffectiveEchoSpacing": 0.0004}),
        words="TotalReadoutTime: found '0.025 s, beside an EffectiveEchoSpacing of 0.0004 s', expected about 0.0008 s",
    )
    yield case(
        "readout time of less than its lines take",
        _mapped(series={"TotalReadoutTime": 3e-5}),
        words="TotalReadoutTime: found '3e-05 s'.*3 lines",
    )
    yield case(
        "readout time 0, 2D", _mapped(series={**slices, "TotalReadoutTime": 0}), words="TotalReadoutTime: found 0"
    )
    yield case("readout time 0, 3D", _mapped(series={"TotalReadoutTime": 0}), "accepted", **_holds())
    yield case(
        "phase encoding across the slices",
        _mapped(series={**slices, "PhaseEncodingDirection": "k"}),
        words="PhaseEncodingDirection: found 'k'.*plane of the slices",
    )
    yield case(
        "a sidecar that cannot be read",
        _mapped(series={"TotalReadoutTime": float("nan")}),
        words="found 'NaN', expected finite numbers",
    )


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
        _mapped(series={"TotalReadoutTime": ..., "EffectiveEchoSpacing": 0.0004}),
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
    yield from _intended(case, run)
    yield from _encoded(case)
    yield case(
        "echo times that contradict their difference",
        _mapped(EchoTimeDifference=0.00102),
        words="EchoTimeDifference: found 0.00102, expected 0.00246",
    )
    yield case("a phase in Hz", _mapped(Units="Hz"), words="Units: found 'Hz'.*suffix fieldmap")
    yield case("a phase in the scanner's own unit", _mapped(Units="arbitrary"), "accepted", **_holds(kind="phasediff"))
    yield case(
        "a magnitude of two echoes",
        _both(_mapped(), lambda trial: image(trial, f"{FMAP}_magnitude1", shape=(3, 3, 3, 2))),
        words="magnitude1.*2 volumes",
    )
    yield case(
        "far from the run",
        _both(_mapped(), lambda trial: image(trial, f"{FMAP}_phasediff", _TIMES, x=900)),
        words="middle lies 900 mm from that of the run",
    )
    yield case(
        "two phases, one a copy", _both(_phases(EchoTime=0.00738), _copied("phase1", "phase2")), words="same content"
    )
    yield case(
        "two phases, two grids",
        _both(
            _phases(EchoTime=0.00738), lambda trial: image(trial, f"{FMAP}_phase2", {"EchoTime": 0.00738}, (4, 4, 4))
        ),
        words="phase2.*grid: found '4 x 4 x 4'",
    )
    yield case("direct, in hz", _direct(Units="hz"), words="Units: found 'hz'.*Did you mean Hz")
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
    first, second = (f"sub-01_ses-T1_dir-{direction}_epi.nii.gz" for direction in ("AP", "PA"))
    opposed = {"kind": "opposed", "names": [first, second]}
    pair = "the only ones of the session"
    yield case("opposed: two images, nothing said", _two(), "accepted", **_holds(reason=pair, **opposed))
    yield case(
        "opposed: two images for the run, beside two for none",
        _both(_two(run="_run-1", IntendedFor=run), _two(run="_run-2")),
        "accepted",
        **_holds(kind="opposed", reason="IntendedFor of the images"),
    )
    yield case("opposed: for another run", _two(IntendedFor=other), "accepted", **_holds())
    yield case(
        "opposed: named by B0FieldSource, beside a phase difference",
        _both(_mapped(), _two(B0FieldIdentifier="pair"), lambda t: t.sidecar(B0FieldSource="pair")),
        "accepted",
        **_holds(reason="B0FieldSource of the run", **opposed),
    )
    yield case(
        "opposed: beside a phase difference, nothing said", _both(_mapped(), _two()), words="one field map for the run"
    )
    yield case(
        "opposed: four images, nothing said", _both(_two(), _two(run="_run-2")), words="one field map for the run"
    )
    yield case(
        "opposed: of one direction", _both(_two(), _epi("PA")), words="PhaseEncodingDirection.*opposed to the j-"
    )
    yield case(
        "opposed: along two axes", _both(_two(), _epi("PA", PhaseEncodingDirection="i")), words="opposed to the j-"
    )
    yield case(
        "opposed: direction missing",
        _both(_two(), _epi("PA", PhaseEncodingDirection=...)),
        words="PhaseEncodingDirection",
    )
    yield case(
        "opposed: readout time missing",
        _both(_two(), _epi("PA", **{**_AGAINST, "TotalReadoutTime": ..., "EffectiveEchoSpacing": ...})),
        words="TotalReadoutTime",
    )
    yield case(
        "opposed: two readout times",
        _both(_two(), _epi("PA", **{**_AGAINST, "TotalReadoutTime": 0.05})),
        "accepted",
        **_holds(**opposed),
    )
    yield case("opposed: one a copy", _both(_two(), _copied("dir-AP_epi", "dir-PA_epi")), words="same content")
    yield case(
        "opposed: one for the run, the other for none",
        _both(_epi("AP", IntendedFor=run), _epi("PA", **_AGAINST), lambda t: t.sidecar(**_SERIES)),
        words="a single image, encoded along j- as the run is.*IntendedFor of both",
    )
    yield case(
        "opposed: two grids", _both(_two(), _epi("PA", shape=(3, 4, 3), **_AGAINST)), words="grid: found '3 x 4 x 3'"
    )
    yield case(
        "opposed: one image, M0 in the series",
        _both(_epi("PA", **_AGAINST), lambda t: t.sidecar(**_SERIES)),
        "accepted",
        **_holds(kind="opposed", names=["sub-01_ses-T1_acq-rest_asl.nii.gz", second], volumes=((0,), None)),
    )
    against = "sub-01_ses-T1_acq-rest_dir-PA_m0scan.nii.gz"
    own = "sub-01_ses-T1_acq-rest_m0scan.nii.gz"
    with_own = {"kind": "opposed", "names": [own, against], "m0": own}
    yield case(
        "opposed: an M0 image in fmap for the run's M0",
        _both(_m0(), _m0("fmap", "_dir-PA", **_AGAINST, IntendedFor=f"ses-T1/perf/{own}")),
        "accepted",
        **_holds(**with_own, reason="IntendedFor of the images"),
    )
    yield case(
        "opposed: an M0 image in fmap for the run",
        _both(_m0(), _m0("fmap", "_dir-PA", **_AGAINST, IntendedFor=run)),
        "accepted",
        **_holds(**with_own),
    )
    yield case(
        "opposed: two M0 images in perf",
        _both(_m0(), _m0("perf", "_dir-PA", **_AGAINST)),
        "accepted",
        **_holds(**with_own, reason=pair),
    )
    yield case(
        "opposed: an M0 image on another grid",
        _both(_m0(), _epi("PA", shape=(4, 4, 4), **_AGAINST)),
        words="grid: found '4 x 4 x 4'",
    )
    yield case(
        "opposed: one image without an M0",
        _both(
            _epi("PA", **_AGAINST),
            lambda t: t.sidecar(M0Type="Estimate", M0Estimate=1000.0, **_SERIES),
            lambda t: t.sub(f"{RUN}_aslcontext.tsv", "m0scan", "n/a"),
        ),
        words="a second one of the opposite direction",
    )
    yield case(
        "opposed: switched off, readout time missing",
        _both(
            _two(TotalReadoutTime=..., EffectiveEchoSpacing=...),
            lambda t: t.config.update(perfusion={"distortion": "off"}),
        ),
        "accepted",
        **_holds(),
    )


CASES = list(_cases())
