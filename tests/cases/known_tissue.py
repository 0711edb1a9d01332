"""Cases of transit times and T1 that the configuration says are known."""

from wrong_input import Case

from cases import imported_cbf, imported_contrasts

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


def _several_delays(trial):
    context = (trial.root / "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_aslcontext.tsv").read_text().split()[1:]
    delays = [0 if kind == "m0scan" else 1.0 + 0.2 * (number // 4) for number, kind in enumerate(context)]
    _every_sidecar(PostLabelingDelay=delays)(trial)


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
    yield case("a T1 without a transit time", _tissue(t1=T1), "tissue.t1.*Add perfusion.tissue.transit_time")
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
    yield case("series of several delays alone", _tissue(_several_delays, transit_time=TIME), "no scan that takes it")
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
