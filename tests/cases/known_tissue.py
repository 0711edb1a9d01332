"""Cases of transit times and T1 that the configuration says are known."""

import numpy as np
import other_programs
from pharmasl.space import template_boxes
from wrong_input import Case

from cases import imported_cbf, imported_contrasts

OURS, OTHER = "MNI152NLin2009aSym", "MNI152NLin6Asym"
TIME, T1 = {"gm": 1.1, "wm": 1.5}, {"gm": 1.3, "wm": 0.9}


def _tissue(change=None, perfusion=None, **quantities):
    def prepared(trial):
        trial.config["perfusion"] = {"tissue": quantities, **(perfusion or {})}
        if change:
            change(trial)

    return prepared


def _every_sidecar(**fields):
    def change(trial):
        for path in trial.root.glob("**/*_asl.json"):
            trial.sidecar(str(path.relative_to(trial.root)).removesuffix("_asl.json"), **fields)

    return change


def _delays(trial):
    context = (trial.root / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_aslcontext.tsv").read_text().split()[1:]
    return [0 if kind == "m0scan" else 1.0 + 0.2 * (number // 4) for number, kind in enumerate(context)]


def _several_delays(trial):
    _every_sidecar(PostLabelingDelay=_delays(trial))(trial)


def _some_with_several_delays(trial):
    for path in trial.root.glob("sub-02/**/*_asl.json"):
        trial.sidecar(str(path.relative_to(trial.root)).removesuffix("_asl.json"), PostLabelingDelay=_delays(trial))


def _atlas(path="transit.nii.gz", place=OURS, space=None, **changes):
    """One map for all, on the box of a template."""

    def change(trial):
        if path:
            low, high = template_boxes.BOXES[place]
            affine = np.diag([4.0, 4, 4, 1])
            affine[:3, 3] = np.array(low) + 2
            shape = np.ceil((np.array(high) - low) / 4).astype(int)
            other_programs.save(trial.root / path, np.full(shape, 1.1), affine)
        stated = {"image": "bids/transit.nii.gz", "space": space or OURS, "unit": "s", **changes}
        trial.config["perfusion"] = {"tissue": {"transit_time": {k: v for k, v in stated.items() if v is not ...}}}

    return change


def _own(change=None, pattern="sub-{participant}/ses-{session}/transit.nii.gz", volumes=(), **changes):
    """A map of each visit, on its T1w."""

    def changed(trial):
        for folder in sorted(trial.root.glob("sub-*/ses-*")):
            other_programs.save(
                folder / "transit.nii.gz", np.full((8, 8, 8, *volumes), 1.1), np.diag([20.0, 20, 20, 1])
            )
        stated = {"image": f"bids/{pattern}", "space": "T1w", "unit": "s", **changes}
        trial.config["perfusion"] = {"tissue": {"transit_time": stated}}
        if change:
            change(trial)

    return changed


def _without_t1w(trial):
    for path in trial.root.glob("sub-02/ses-*/anat/*"):
        path.unlink()
    trial.config["anatomy"] = {"missing_t1w": "template"}


def _maps(case):
    yield case("a map on the template", _atlas(), outcome="accepted")
    yield case("a map of each visit on the T1w", _own(), outcome="accepted")
    yield case("a map beside constants", _atlas(gm=1.1), "gm, image, space, unit.*Remove one")
    yield case("a map without its unit", _atlas(unit=...), "transit_time.unit: found 'nothing'.*Add unit")
    yield case(
        "a map in an unknown unit", _atlas(unit="minutes"), "transit_time.unit: found 'minutes', expected .*s, ms"
    )
    yield case(
        "a map in another space", _atlas(space="MNI152NLin6Asym"), "space: found 'MNI152NLin6Asym'.*Bring the map"
    )
    yield case("a map on another template than stated", _atlas(place=OTHER), f"lies on the box of {OTHER}", errors=1)
    yield case(
        "a map that is not there", _atlas(path=None), "image: found 'bids/transit.nii.gz, of which 12 of 12 visits"
    )
    yield case(
        "one map on everyone's T1w",
        _own(pattern="transit.nii.gz"),
        "image: found 'bids/transit.nii.gz', expected .*{participant}",
    )
    yield case("a name that means nothing", _own(pattern="sub-{subject}.nii.gz"), "{subject}", errors=1)
    yield case(
        "no map of one visit",
        _own(lambda trial: (trial.root / "sub-03/ses-T2/transit.nii.gz").unlink()),
        "1 of 12 visits have no file, such as sub-03 ses-T2",
    )
    yield case("a map of several volumes", _own(volumes=(2,)), "dim: found '2 volumes', expected one", errors=12)
    yield case("a map on the T1w of someone without", _own(_without_t1w), "T1w, and sub-02 ses-T1 has none")


def _cases():
    def case(name, change, words="", outcome="refused", errors=1):
        return Case(f"known tissue: {name}", "known tissue", change, outcome, words, errors=errors)

    yield case("transit times by tissue", _tissue(transit_time=TIME), outcome="accepted")
    yield case("transit times and T1 by tissue", _tissue(transit_time=TIME, t1=T1), outcome="accepted")
    yield case(
        "a transit time in milliseconds",
        _tissue(transit_time={**TIME, "gm": 1100}),
        "transit_time.gm: found 1100, expected .*at most 5.*in s, not ms",
    )
    yield case("a T1 in milliseconds", _tissue(transit_time=TIME, t1={**T1, "wm": 900}), "t1.wm: found 900.*at most 4")
    yield case("a transit time of 0", _tissue(transit_time={**TIME, "wm": 0}), "transit_time.wm: found 0.*at least 0.1")
    yield case("a negative T1", _tissue(transit_time=TIME, t1={**T1, "gm": -1.3}), "t1.gm: found -1.3.*at least 0.3")
    yield case("white matter left out", _tissue(transit_time={"gm": 1.1}), "transit_time.wm: found 'nothing'.*Add wm")
    yield case("nothing stated", _tissue(transit_time={}), "transit_time.gm: found 'nothing'.*Add gm", errors=2)
    yield from _maps(case)
    yield case(
        "a T1 without a transit time",
        _tissue(t1=T1),
        "tissue.t1.*sub-01.* has a single delay.*Add perfusion.tissue.transit_time",
    )
    yield case(
        "a T1 without a transit time, some scans of several delays",
        _tissue(_some_with_several_delays, t1=T1),
        "tissue.t1.*sub-01.* has a single delay.*Add perfusion.tissue.transit_time",
    )
    yield case(
        "beside the manufacturer's formula",
        _tissue(transit_time=TIME, perfusion={"q2tips": "commercial"}),
        "q2tips: found 'commercial, beside perfusion.tissue'",
    )
    yield case(
        "a transit time at which the label has not come",
        _tissue(transit_time={"gm": 3.4, "wm": 3.4}),
        "transit_time.gm of the configuration: found '3.4 s', expected .*less than 3.00 s",
        errors=2,
    )
    several = {"change": _several_delays}
    yield case("T1 of several delays", _tissue(**several, t1=T1), outcome="accepted")
    yield case(
        "transit times and T1 of several delays", _tissue(**several, transit_time=TIME, t1=T1), outcome="accepted"
    )
    yield case(
        "transit times of several delays, of which no label has come",
        _tissue(**several, transit_time={"gm": 4.6, "wm": 4.6}),
        "transit_time.gm of the configuration: found '4.6 s', expected .*less than",
        errors=2,
    )
    yield case(
        "transit times of several delays without a prior",
        _tissue(**several, transit_time=TIME, t1=T1, perfusion={"delays": {"transit_sd": None}}),
        "transit_time: found 'a transit time, with perfusion.delays.transit_sd: null.*Set perfusion.delays.transit_sd",
    )
    yield case("a T1 of several delays in milliseconds", _tissue(**several, t1={**T1, "gm": 1300}), "t1.gm: found 1300")
    yield case(
        "beside imported CBF",
        imported_cbf.maps(settings={"perfusion": {"tissue": {"transit_time": TIME}}}.items()),
        "beside derivatives.cbf.*another program has quantified CBF",
    )
    yield case(
        "beside imported contrasts",
        imported_contrasts.maps(settings={"perfusion": {"tissue": {"transit_time": TIME}}}.items()),
        "beside derivatives.contrasts.*another program has quantified CBF",
    )


CASES = [*_cases()]
