"""Cases of several echoes, where the first is asked for."""

import json

import nibabel
import numpy as np
from wrong_input import RUN, Case, resolved

_FIRST = {"echo": "first"}


def _files(trial, echoes=("1", "2", "3"), m0=()):
    """The series of one session as files of several echoes, with M0 images of these echoes."""
    for number in echoes:
        name = f"{RUN}_echo-{number}"
        trial.copy_run(name)
        trial.sidecar(name, EchoTime=0.012 * int(number), **({"M0Type": "Separate"} if m0 else {}))
        if m0:
            trial.sub(f"{name}_aslcontext.tsv", "m0scan", "n/a")
            trial.sidecar(name, RepetitionTimePreparation=4.0)
    for number in m0:
        path = trial.path(f"{RUN.replace('_acq-rest', '')}_echo-{number}_m0scan.nii.gz")
        volume = np.full((3, 3, 3), 1 + int(number), np.float32)
        nibabel.save(nibabel.Nifti1Image(volume, np.diag([4.0, 4, 4, 1])), path)
        content = {"RepetitionTimePreparation": 6.0, "EchoTime": 0.012 * int(number)}
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(content))
    for suffix in ("_asl.nii.gz", "_asl.json", "_aslcontext.tsv"):
        trial.path(RUN + suffix).unlink()


def _chosen(trial, **more):
    _files(trial, **more)
    trial.config["perfusion"] = dict(_FIRST)


def _volumes(trial, times, setting=_FIRST):
    trial.sidecar(EchoTime=times)
    trial.config["perfusion"] = dict(setting)


def _is_first(study):
    own = resolved(study, f"{RUN}_echo-1")
    return own["echo_time"] == 0.012 and "the first of 3 echoes" in own["sources"]["echo"] and len(study.scans) == 12


def _cases():
    def case(name, change, outcome="refused", words="", **more):
        return Case(f"several echoes: {name}", "echoes", change, outcome, words, **more)

    yield case("files, nothing said", _files, words="perfusion.echo: first")
    yield case("files, the first asked for", _chosen, "listed", "echo-2_asl.*later echo", holds=_is_first)
    yield case(
        "files with an M0 of each echo",
        lambda trial: _chosen(trial, m0=("1", "2", "3")),
        "listed",
        "later echo",
        holds=lambda study: study.scans[f"{RUN}_echo-1"].m0.endswith("_echo-1_m0scan.nii.gz"),
    )
    yield case(
        "no file of the first two, the third counted as first",
        lambda trial: _chosen(trial, echoes=("3", "12")),
        "listed",
        "echo-12_asl",
        holds=lambda study: f"{RUN}_echo-3" in study.scans,
    )
    yield case(
        "volumes, nothing said",
        lambda trial: _volumes(trial, [0.012, 0.012, 0.012, 0.03, 0.03, 0.03, 0.03], {}),
        words="EchoTime.*perfusion.echo",
    )
    yield case(
        "volumes, the first asked for",
        lambda trial: _volumes(trial, [0.012, 0.012, 0.012, 0.03, 0.03, 0.03, 0.03]),
        "accepted",
        holds=lambda study: (
            resolved(study)["volume_types"] == ["m0scan", "control", "label", *["n/a"] * 4]
            and resolved(study)["echo_time"] == 0.012
        ),
    )
    yield case(
        "volumes, no M0 of the first echo",
        lambda trial: _volumes(trial, [0.03, 0.012, 0.012, 0.03, 0.03, 0.03, 0.03]),
        words="M0Type.*m0scan volume",
    )


CASES = [*_cases()]
