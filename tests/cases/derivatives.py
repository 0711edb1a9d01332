"""Cases of results of other programs in place of the workflow's own stages."""

import json
import shutil

import fmriprep
from wrong_input import Case

OURS, ANTS = "MNI152NLin2009aSym", "MNI152NLin2009cAsym"
ANAT = "derivatives/fmriprep/sub-02/anat"


def anatomy(change=None, own=(), spaces=(OURS, ANTS), **settings):
    """The anatomies of fMRIPrep, of which something is changed."""

    def prepared(trial):
        people = [f"{number:02d}" for number in range(1, 7)]
        fmriprep.skeleton(trial.root / "derivatives/fmriprep", people, spaces=spaces)
        stated = {"dir": "bids/derivatives/fmriprep", "own": list(own)}
        trial.config.update(settings, derivatives={"anatomy": stated})
        if change:
            change(trial)

    return prepared


def _remove(name):
    return lambda trial: trial.path(f"{ANAT}/{name}").unlink()


def _describe(**changes):
    def described(trial):
        path = trial.path("derivatives/fmriprep/dataset_description.json")
        content = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return described


def _write(name, content):
    return lambda trial: trial.path(f"{ANAT}/{name}").write_bytes(content)


def _cases():
    def case(name, change, words="", outcome="refused", errors=1, holds=None):
        return Case(f"anatomies of fMRIPrep: {name}", "derivatives", change, outcome, words, errors, holds)

    transform = f"sub-02_from-T1w_to-{OURS}_mode-image_xfm.h5"
    yield case(
        "all there, no raw T1w",
        anatomy(lambda t: [path.unlink() for path in t.root.glob("sub-*/ses-*/anat/*")]),
        outcome="accepted",
        holds=lambda study: len(study.imported_anatomies.files) == 6,
    )
    yield case("one participant without", anatomy(lambda t: shutil.rmtree(t.path(ANAT))), "no such file of sub-02")
    yield case(
        "one participant without, the template allowed for a missing T1w",
        anatomy(lambda t: shutil.rmtree(t.path(ANAT)), anatomy={"missing_t1w": "template"}),
        "not mixed",
    )
    yield case("no brain mask", anatomy(_remove("sub-02_desc-brain_mask.nii.gz")), "desc-brain_mask.*no such file")
    yield case("no CSF", anatomy(_remove("sub-02_label-CSF_probseg.nii.gz")), "label-CSF.*no such file")
    yield case("one without a transform", anatomy(_remove(transform)), f"to-{OURS}.*no such file")
    yield case("of another template", anatomy(spaces=(ANTS,)), f"transforms to {ANTS} alone.*own: .registration")
    yield case(
        "of another template, fitted here",
        anatomy(own=["registration"], spaces=(ANTS,)),
        outcome="accepted",
        holds=lambda study: study.imported_anatomies.own == ("registration",),
    )
    yield case("a transform not fetched", anatomy(_write(transform, b"/annex/objects/SHA256E-s1")), "annex.*h5")
    yield case("an empty transform", anatomy(_write(transform, b"")), "an empty file")
    yield case("an image not fetched", anatomy(_write("sub-02_label-GM_probseg.nii.gz", b"")), "an empty file")
    yield case(
        "a file of another person",
        anatomy(
            lambda t: t.path(f"{ANAT}/sub-02_desc-brain_mask.nii.gz").rename(
                t.path(f"{ANAT}/sub-03_desc-brain_mask.nii.gz")
            )
        ),
        "sub-03 in the name",
        errors=2,
    )
    yield case("not derivatives", anatomy(_describe(DatasetType="raw")), "DatasetType.*raw")
    yield case("by nobody", anatomy(_describe(GeneratedBy=None)), "GeneratedBy.*no program")
    yield case("an unknown step", anatomy(own=["masking"]), "own.*registration")


CASES = list(_cases())
