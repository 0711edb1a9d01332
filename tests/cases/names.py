"""Cases of names, folders and separate M0 images."""

import json

import nibabel
import numpy as np
from wrong_input import RUN, T1W, Case, dangling

PERF = "sub-01/ses-T1/perf"
M0 = f"{PERF}/sub-01_ses-T1_acq-rest_m0scan"


def _and(*changes):
    def change(trial):
        for part in changes:
            part(trial)

    return change


def _copy(source, target):
    return lambda trial: trial.copy(source, target)


def _move(source, target):
    def change(trial):
        path = trial.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        trial.path(source).rename(path)

    return change


def _copy_run(name):
    return lambda trial: trial.copy_run(f"{PERF}/{name}")


def _two(entity, first, second, selector=None, label=None):
    """The run given twice, told apart by an entity."""

    def change(trial):
        for value in (first, second):
            trial.copy_run(f"{PERF}/sub-01_ses-T1_acq-rest_{entity}-{value}")
        for end in ("_asl.nii.gz", "_asl.json", "_aslcontext.tsv"):
            trial.path(RUN + end).unlink()
        if selector:
            trial.config["conditions"]["rest"][selector] = label
            # The others' runs are not told apart so; nothing is asked of the trial.
            for key in ("analyses", "craving", "rois"):
                del trial.config[key]

    return change


def _names():
    def case(name, change, outcome="refused", words="", **more):
        return Case(f"names: {name}", "name", change, outcome, words, **more)

    yield case(
        "another person's run in this one's folder",
        _copy(f"{RUN}_asl.nii.gz", "sub-02/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.nii.gz"),
        words="sub-0[12]",
    )
    yield case(
        "another session's run in this one's folder",
        _copy(f"{RUN}_asl.nii.gz", f"{PERF}/sub-01_ses-T2_acq-rest_asl.nii.gz"),
        words="ses-T2|T2",
    )
    yield case(".nii beside .nii.gz", lambda t: t.copy_image(f"{RUN}_asl.nii.gz", f"{RUN}_asl.nii"), words="nii")
    yield case(
        "another person's T1w", _copy(T1W, "sub-02/ses-T1/anat/sub-01_ses-T1_run-2_T1w.nii.gz"), words="sub-0[12]"
    )
    yield case("a processed copy (desc-)", _copy_run("sub-01_ses-T1_acq-rest_desc-mc"), "listed", "desc")
    yield case("a map in a space (space-)", _copy_run("sub-01_ses-T1_space-MNI_acq-rest"), "listed", "space")
    yield case(
        "phase images",
        _and(_two("part", "mag", "phase")),
        "listed",
        "phase",
        holds=lambda study: len(study.scans) == 12,
    )
    yield case("two echoes", _two("echo", "1", "2"), words="echo")
    yield case(
        "two echoes, one chosen",
        _two("echo", "1", "2", "echo", "1"),
        "listed",
        "echo-2",
        holds=lambda study: len(study.scans) == 1,
    )
    yield case("two reconstructions", _two("rec", "orig", "moco"), words="rec")
    yield case(
        "two reconstructions, one chosen", _two("rec", "orig", "moco", "reconstruction", "moco"), "listed", "rec-orig"
    )
    yield case("two runs", _two("run", "1", "2"), "accepted", holds=lambda study: len(study.scans) == 13)
    yield case(
        "run 1 asked for, run-01 in the name",
        _two("run", "01", "02", "run", "1"),
        "listed",
        "run-02",
        holds=lambda study: len(study.scans) == 1,
    )
    yield case("run 1 and run 01", _two("run", "1", "01"), words="run")
    yield case(
        "extension in capitals",
        _move(f"{RUN}_asl.nii.gz", f"{RUN}_asl.NII.GZ"),
        "accepted",
        holds=lambda study: any(scan.asl.endswith("NII.GZ") for scan in study.scans.values()),
    )
    yield case("suffix in capitals", _move(f"{RUN}_asl.nii.gz", f"{RUN}_ASL.nii.gz"), words="suffix")
    yield case("a folder Sub-06", _move("sub-06", "Sub-06"), words="Sub-06")
    yield case("a folder sub_06", _move("sub-06", "sub_06"), words="sub_06")
    yield case("a session Ses-T2", _move("sub-01/ses-T2", "sub-01/Ses-T2"), words="Ses-T2")
    yield case("a session the study has not", _move("sub-01/ses-T2", "sub-01/ses-T9"), words="T9")
    yield case(
        "T1w above the sessions",
        _move(T1W, "sub-01/anat/sub-01_T1w.nii.gz"),
        "accepted",
        holds=lambda study: any("sub-01/anat/sub-01_T1w" in path for paths in study.t1w.values() for path in paths),
    )
    yield case(
        "perf above the sessions",
        _copy(f"{RUN}_asl.nii.gz", "sub-01/perf/sub-01_acq-rest_asl.nii.gz"),
        "listed",
        "session",
    )
    yield case("no T1w", lambda t: t.path(T1W).unlink(), words="T1w")
    yield case("UNIT1 alone", _move(T1W, T1W.replace("T1w", "UNIT1")), words="UNIT1")
    yield case(
        "T1w without content beside a good one",
        _and(_copy(T1W, T1W.replace("_T1w", "_run-2_T1w")), lambda t: dangling(t.path(T1W))),
        words="T1w.*(link|datalad)",
    )


def _separate(**fields):
    """A separate M0 image, with its sidecar."""

    def change(trial):
        image = nibabel.Nifti1Image(np.ones((3, 3, 3), np.float32), np.diag([4.0, 4, 4, 1]))
        nibabel.save(image, trial.path(f"{M0}.nii.gz"))
        content = {
            "RepetitionTimePreparation": 6.0,
            "IntendedFor": f"bids::{RUN}_asl.nii.gz",
            "EchoTime": 0.012,
            **fields,
        }
        trial.path(f"{M0}.json").write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))
        trial.sidecar(M0Type="Separate", RepetitionTimePreparation=4.0)
        trial.sub(f"{RUN}_aslcontext.tsv", "m0scan", "n/a")

    return change


def _m0():
    def case(name, change, outcome="refused", words="", **more):
        return Case(f"M0: {name}", "M0", change, outcome, words, **more)

    inside = "ses-T1/perf/sub-01_ses-T1_acq-rest_asl.nii.gz"
    used = {"holds": lambda study: study.scans[RUN].m0 and study.scans[RUN].m0.endswith(f"{M0}.nii.gz")}
    yield case("separate, a BIDS URI", _separate(), "accepted", **used)
    yield case("separate, a path below the person", _separate(IntendedFor=inside), "accepted", **used)
    yield case("separate, a list", _separate(IntendedFor=[inside]), "accepted", **used)
    yield case("separate, Windows separators", _separate(IntendedFor=inside.replace("/", "\\")), "accepted", **used)
    yield case("separate, IntendedFor missing", _separate(IntendedFor=...), "accepted", **used)
    yield case("separate, IntendedFor null", _separate(IntendedFor=None), "accepted", **used)
    yield case("separate, for another run", _separate(IntendedFor=inside.replace("rest", "other")), words="IntendedFor")
    yield case(
        "separate, without its time", _separate(RepetitionTimePreparation=...), words="RepetitionTimePreparation"
    )
    yield case(
        "separate, without its time, no recovery wanted",
        _and(
            _separate(RepetitionTimePreparation=...),
            lambda t: t.config.update(perfusion={"m0": {"t1_recovery": False}}),
        ),
        "accepted",
    )
    yield case("separate, three times", _separate(RepetitionTimePreparation=[0.5, 2.0, 6.0]), words="RepetitionTime")
    yield case("separate, time in milliseconds", _separate(RepetitionTimePreparation=6000), words="millisecond")
    yield case("separate, image missing", _and(_separate(), lambda t: t.path(f"{M0}.nii.gz").unlink()), words="m0scan")
    yield case(
        "separate, a dangling link", _and(_separate(), lambda t: dangling(t.path(f"{M0}.nii.gz"))), words="link|datalad"
    )
    yield case(
        "separate, zero bytes", _and(_separate(), lambda t: t.path(f"{M0}.nii.gz").write_bytes(b"")), words="m0scan"
    )
    yield case(
        "separate, a list as sidecar",
        _and(_separate(), lambda t: t.path(f"{M0}.json").write_text("[]")),
        words="m0scan.json.*object",
    )
    yield case("Absent beside an m0scan volume", lambda t: t.sidecar(M0Type="Absent"), words="Absent")
    yield case("Absent beside an m0scan image", _and(_separate(), lambda t: t.sidecar(M0Type="Absent")), words="Absent")
    yield case("Separate without an image", lambda t: t.sidecar(M0Type="Separate"), words="M0Type|m0scan")
    yield case("Estimate without a value", lambda t: t.sidecar(M0Type="Estimate"), words="M0Estimate|M0Type")


CASES = [*_names(), *_m0()]
