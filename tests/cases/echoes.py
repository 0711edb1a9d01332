"""Cases of several echoes, where the first is asked for, or their sum."""

import json

import nibabel
import numpy as np
from wrong_input import RUN, Case, resolved

_FIRST, _SUM = {"echo": "first"}, {"echo": "weighted"}
_RUNS = [
    RUN.replace("01", f"{person:02d}").replace("T1", session) for person in range(1, 7) for session in ("T1", "T2")
]


def _files(trial, echoes=("1", "2", "3"), m0=(), run=RUN):
    """The series of one session as files of several echoes, with M0 images of these echoes."""
    for number in echoes:
        name = f"{run}_echo-{number}"
        trial.copy_run(name, run)
        trial.sidecar(name, EchoTime=round(0.012 * int(number), 3), **({"M0Type": "Separate"} if m0 else {}))
        if m0:
            trial.sub(f"{name}_aslcontext.tsv", "m0scan", "n/a")
            trial.sidecar(name, RepetitionTimePreparation=4.0)
    for number in m0:
        path = trial.path(f"{run.replace('_acq-rest', '')}_echo-{number}_m0scan.nii.gz")
        volume = np.full((3, 3, 3), 1 + int(number), np.float32)
        nibabel.save(nibabel.Nifti1Image(volume, np.diag([4.0, 4, 4, 1])), path)
        content = {"RepetitionTimePreparation": 6.0, "EchoTime": round(0.012 * int(number), 3)}
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(content))
    for suffix in ("_asl.nii.gz", "_asl.json", "_aslcontext.tsv"):
        trial.path(run + suffix).unlink()


def _chosen(trial, **more):
    _files(trial, **more)
    trial.config["perfusion"] = dict(_FIRST)


def _summed(trial, change=None, **more):
    """All series of the trial as files of three echoes that are to be summed, and a change of the first session's."""
    for run in _RUNS:
        _files(trial, run=run, **more)
    trial.config["perfusion"] = dict(_SUM)
    if change is not None:
        change(trial)


def _at(number, **fields):
    """A change of the fields of one echo's sidecar."""
    return lambda trial: trial.sidecar(f"{RUN}_echo-{number}", **fields)


def _image(number, volumes=None, shape=(3, 3, 3), moved=0.0, name=RUN, end="asl"):
    """Another image of one echo."""

    def change(trial):
        affine = np.diag([4.0, 4, 4, 1])
        affine[0, 3] = moved
        size = shape if volumes is None else (*shape, volumes)
        data = np.random.default_rng(1).uniform(1, 2, size).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(data, affine), trial.path(f"{name}_echo-{number}_{end}.nii.gz"))

    return change


def _removed(number, name=RUN, ends=("_asl.nii.gz", "_asl.json", "_aslcontext.tsv")):
    def change(trial):
        for end in ends:
            trial.path(f"{name}_echo-{number}{end}").unlink()

    return change


def _of_two_runs(trial):
    for end in ("_asl.nii.gz", "_asl.json", "_aslcontext.tsv"):
        own = trial.path(f"{RUN}_echo-3{end}")
        own.rename(own.with_name(own.name.replace("_echo-3", "_run-2_echo-3")))


def _m0_of(number, **fields):
    """A change of the sidecar of one echo's M0 image."""

    def change(trial):
        path = trial.path(f"{RUN.replace('_acq-rest', '')}_echo-{number}_m0scan.json")
        content = {**json.loads(path.read_text()), **fields}
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))

    return change


def _is_sum(study):
    own = study.scans[RUN]
    acquired = own.acquisition
    return (
        len(study.scans) == 12
        and acquired.echo_times == (0.012, 0.024, 0.036)
        and acquired.echo_time is acquired.m0_echo_time is None
        and abs(acquired.echo_weights[1] / acquired.echo_weights[0] - np.exp(-0.012 / 0.0473)) < 1e-12
        and [path.rsplit("_", 2)[1] for path in own.later_echoes] == ["echo-2", "echo-3"]
    )


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


def _sums():
    def case(name, change, words="", outcome="refused", **more):
        return Case(f"summed echoes: {name}", "echoes", change, outcome, words, **more)

    def spoiled(name, change, words, made=None, **more):
        return case(name, lambda trial: _summed(trial, change, **(made or {})), words, **more)

    m0 = RUN.replace("_acq-rest", "")
    all_m0 = {"m0": ("1", "2", "3")}
    yield case("three of each run", _summed, outcome="accepted", holds=_is_sum)
    yield case(
        "with an M0 of each",
        lambda trial: _summed(trial, **all_m0),
        outcome="accepted",
        holds=lambda study: (
            len(study.scans[RUN].later_m0) == 2 and study.scans[RUN].m0.endswith("_echo-1_m0scan.nii.gz")
        ),
    )
    yield spoiled("the last missing in one run", _removed(3), "echo: found '2 echoes', expected 3")
    yield spoiled("the second missing in one run", _removed(2), "echo: found 'echo-1, echo-3'.*without a gap")
    yield spoiled("the first missing in one run", _removed(1), "echo: found 'echo-2, echo-3'.*without a gap")
    yield spoiled("the last of another run", _of_two_runs, "echo-1_asl.nii.gz and .*run-2_echo-3.*images of one echo")
    yield case(
        "none in any run",
        lambda trial: trial.config.update(perfusion=dict(_SUM)),
        "perfusion.echo: found 'weighted'.*no series of the study has more than one",
    )
    yield spoiled(
        "a condition of the first",
        lambda trial: trial.config.update(conditions={"rest": {"acquisition": "rest", "echo": 1}}),
        "conditions.rest.echo: found 1.*no echo, beside perfusion.echo",
    )
    yield spoiled("an echo time missing", _at(2, EchoTime=...), "echo-2_asl.json: EchoTime: found 'nothing'")
    yield spoiled("two of one echo time", _at(2, EchoTime=0.012), "echo-2_asl.json: EchoTime.*more than the 0.012 s")
    yield spoiled("echo times exchanged", _at(1, EchoTime=0.03), "echo-2_asl.json: EchoTime.*more than the 0.03 s")
    yield spoiled("an echo time in ms", _at(3, EchoTime=36), "echo-3_asl.json: EchoTime: found 36.*0.036")
    yield spoiled(
        "several times in one file",
        _at(2, EchoTime=[0.012, 0.024] + [0.012] * 5),
        "echo-2_asl.json: EchoTime.*one number",
    )
    yield spoiled(
        "another delay", _at(2, PostLabelingDelay=2.0), "echo-2_asl.json: PostLabelingDelay: found '2.0 of.*1.8, as"
    )
    yield spoiled(
        "another shape", _image(2, 7, (3, 3, 4)), "echo-2_asl.nii.gz: dim: found '3 x 3 x 4', expected 3 x 3 x 3, as"
    )
    yield spoiled("another place", _image(2, 7, moved=3.0), "echo-2_asl.nii.gz: affine: found 'up to 3 mm away'")
    yield spoiled(
        "another number of volumes", _image(2, 5), "echo-2_aslcontext.tsv: volume_type: found '7 rows', expected 5"
    )
    yield spoiled(
        "label and control exchanged in one",
        lambda trial: trial.sub(f"{RUN}_echo-2_aslcontext.tsv", "control\nlabel", "label\ncontrol", 1),
        "echo-2_asl.nii.gz: volume_type: found 'label at volume 2.*control, as that of",
    )
    yield spoiled(
        "no aslcontext of one",
        lambda trial: trial.path(f"{RUN}_echo-2_aslcontext.tsv").unlink(),
        "echo-2_aslcontext.tsv.*no such file",
    )
    yield spoiled(
        "one a copy of another",
        lambda trial: trial.copy(f"{RUN}_echo-1_asl.nii.gz", f"{RUN}_echo-2_asl.nii.gz"),
        "the same content as",
    )
    yield spoiled(
        "M0 as a number",
        lambda trial: [
            (
                trial.sub(f"{RUN}_echo-{number}_aslcontext.tsv", "m0scan", "n/a"),
                trial.sidecar(f"{RUN}_echo-{number}", M0Type="Estimate", M0Estimate=1000.0),
            )
            for number in (1, 2, 3)
        ],
        "M0Type: found 'Estimate'.*several echoes are summed",
    )
    yield spoiled(
        "M0 of the first alone",
        lambda trial: [_removed(number, m0, ("_m0scan.nii.gz", "_m0scan.json"))(trial) for number in (2, 3)],
        "m0scan.nii.gz: EchoTime: found 'M0 at 0.012 s'.*each echo time of the series: 0.012, 0.024, 0.036",
        made=all_m0,
    )
    yield spoiled("M0 of another echo time", _m0_of(2, EchoTime=0.02), "M0 at 0.012, 0.02, 0.036 s", made=all_m0)
    yield spoiled("M0 without an echo time", _m0_of(2, EchoTime=...), "echo-2_m0scan.json: EchoTime", made=all_m0)
    yield spoiled(
        "M0 of another repetition time",
        _m0_of(3, RepetitionTimePreparation=4.0),
        "echo-3_m0scan.json: RepetitionTimePreparation: found '4.0 of",
        made=all_m0,
    )
    yield spoiled(
        "M0 of another shape", _image(2, None, (3, 3, 4), name=m0, end="m0scan"), "echo-2_m0scan.*dim", made=all_m0
    )
    times = [0.012, 0.012, 0.012, 0.03, 0.03, 0.03]

    def volumes(trial, at, types):
        for run in _RUNS:
            trial.sidecar(run, EchoTime=at)
            trial.path(f"{run}_aslcontext.tsv").write_text("\n".join(["volume_type", *types, ""]))
        trial.config["perfusion"] = dict(_SUM)

    kinds = ["m0scan", "control", "label", "m0scan", "control", "label", "n/a"]
    yield case(
        "volumes of one file",
        lambda trial: volumes(trial, [*times, 0.05], [*kinds[:6], "n/a"]),
        "EchoTime: found 'n/a at 0.05 s'.*m0scan, control, label",
        errors=12,
    )
    yield case(
        "volumes of one file, with M0 of each",
        lambda trial: volumes(trial, [*times, 0.012], [*kinds[:6], "n/a"]),
        "EchoTime: found 'm0scan, control, label at 0.03 s', expected the volumes that there are at 0.012 s: m0scan, control, label, n/a",
        errors=12,
    )


CASES = [*_cases(), *_sums()]
