"""Cases of contrast maps of other programs in place of scans."""

import shutil

import numpy as np
import other_programs
import skeleton
from wrong_input import Case

OURS, ANTS = "MNI152NLin2009aSym", "MNI152NLin2009cAsym"
FOLDER = "derivatives/fitlins"
END = "contrast-cue_stat-effect_statmap.nii.gz"
PATTERN = f"sub-{{participant}}/ses-{{session}}/sub-{{participant}}_ses-{{session}}_task-cues_space-{OURS}_{END}"
ONE = f"{FOLDER}/{PATTERN}".format(participant="02", session="T1")
SCANS = ("conditions", "contrasts", "craving")
MAPS = [(f"{number:02d}", session) for number in range(1, 7) for session in ("T1", "T2")]


def _save(path, seed, shape=None, affine=None):
    usual, where = other_programs.grid()
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).normal(1, 1, shape or usual)
    other_programs.save(path, values, where if affine is None else affine)


def maps(change=None, settings=(), **source):
    """Maps of FitLins, of which something is changed."""

    def prepared(trial):
        for seed, (who, session) in enumerate(MAPS):
            _save(trial.path(f"{FOLDER}/{PATTERN.format(participant=who, session=session)}"), seed)
        program = [{"Name": "FitLins", "Version": "0.11.0"}]
        described = {"Name": "FitLins", "BIDSVersion": "1.9.0", "DatasetType": "derivative", "GeneratedBy": program}
        skeleton.write(trial.path(f"{FOLDER}/dataset_description.json"), described)
        stated = {"dir": f"bids/{FOLDER}", "space": OURS, "unit": "percent signal change", "measure": "BOLD response"}
        for name in SCANS:
            trial.config.pop(name)
        analyses = {"cue_change": {"contrast": "cue", "effect": "group_by_time", "covariates": ["age"]}}
        stated = {**stated, "files": {"cue": PATTERN}, **source}
        stated = {name: value for name, value in stated.items() if value is not None}
        trial.config.update({"analyses": analyses, **dict(settings)}, derivatives={"contrasts": stated})
        if change:
            change(trial)

    return prepared


def _one(shape=None, affine=None):
    return maps(lambda t: _save(t.path(ONE), 99, shape, affine))


def _every(shape, affine):
    def change(trial):
        for seed, path in enumerate(sorted(trial.path(FOLDER).rglob("*.nii.gz"))):
            _save(path, seed, shape, affine)

    return maps(change)


def _table(*rows):
    """A table in place of the pattern."""
    text = "\n".join("\t".join(row) for row in [("participant_id", "session_id", "contrast", "file"), *rows]) + "\n"
    return maps(lambda t: skeleton.write(t.path(f"{FOLDER}/maps.tsv"), text), files=None, table="maps.tsv")


def _cases():
    def case(name, change, words="", outcome="refused", errors=1, holds=None):
        return Case(f"contrast maps of FitLins: {name}", "derivatives", change, outcome, words, errors, holds)

    shape, affine = other_programs.grid()
    name = ONE.removeprefix(f"{FOLDER}/")
    yield case("all there", maps(), outcome="accepted", holds=lambda s: len(s.contrast_maps) == len(MAPS))
    yield case(
        "of CBF, in another notation of its unit",
        maps(unit="ml/g/min", measure=None),
        outcome="accepted",
        holds=lambda s: s.settings.quantity.is_cbf,
    )
    yield case("no unit", maps(unit=None), "unit")
    yield case("of another template", maps(space=ANTS), f"{ANTS}.*{OURS}, the study's template")
    yield case(
        "named for another space",
        maps(
            lambda t: [p.rename(p.with_name(p.name.replace(OURS, ANTS))) for p in t.path(FOLDER).rglob("*.nii.gz")],
            files={"cue": PATTERN.replace(OURS, ANTS)},
        ),
        f"space: found '{ANTS}'",
        errors=len(MAPS),
    )
    yield case(
        "on the grid of another template than the name says",
        _every(*other_programs.grid("MNI152NLin6Asym", 4.0)),
        "the grid of MNI152NLin6Asym",
    )
    yield case("one on another grid", _one((shape[0] + 1, *shape[1:])), "grid.*found 'shape")
    yield case("one of another affine", _one(None, affine @ np.diag([-1, 1, 1, 1])), "grid.*another affine")
    yield case("one of several volumes", _one((*shape, 3)), "one volume: a contrast map")
    yield case(
        "one twice",
        _table(("sub-02", "T1", "cue", name), ("02", "ses-T1", "cue", name.replace("sub-02", "sub-04"))),
        "cue of sub-02 at ses-T1 again",
    )
    yield case(
        "one a copy of another person's",
        maps(lambda t: shutil.copy(t.path(ONE), t.path(ONE.replace("sub-02", "sub-03")))),
        "the same content as",
    )
    yield case("one of a person not in the study", maps(settings={"participants": ["01", "77"]}), "77")
    yield case("called CBF, of a unit that is none of CBF", maps(measure="CBF"), "measure: found 'CBF, in percent")
    yield case("called BOLD, of a unit of CBF", maps(unit="mL/100 g/min"), "measure: found 'BOLD response, in mL")
    yield case(
        "one of another person than its row says",
        _table(
            ("sub-03", "T1", "cue", name), ("sub-04", "T2", "cue", name.replace("sub-02", "sub-04").replace("T1", "T2"))
        ),
        "sub-02 in the name",
    )
    yield case(
        "one of another session than its row says",
        _table(("sub-02", "T2", "cue", name), ("sub-04", "T1", "cue", name.replace("sub-02", "sub-04"))),
        "ses-T1 in the name",
    )
    yield case("one not fetched", maps(lambda t: t.path(ONE).write_bytes(b"")), "an empty file")
    yield case(
        "a pattern that no file fits",
        maps(files={"cue": PATTERN.replace("cues", "rest")}),
        "no file has such a path",
    )
    yield case(
        "a session that they do not have",
        maps(settings={"sessions": {"baseline": "T1", "followup": "T3"}}),
        "a session of the maps: T1, T2",
    )
    yield case(
        "with states of scans",
        maps(settings={"conditions": {"rest": {"acquisition": "rest"}}}),
        "a study is of scans or of ready-made contrast maps",
    )
    yield case(
        "with a term that needs a scan",
        maps(settings={"analyses": {"own": {"contrast": "cue", "model": "change ~ arm + gm", "test": "arm"}}}),
        "gm, with derivatives.contrasts",
    )


CASES = list(_cases())
