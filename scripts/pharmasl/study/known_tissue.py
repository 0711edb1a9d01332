"""Whether what is said to be known of label in tissue can serve the study's scans: refused where it changes nothing, or everything."""

from collections.abc import Iterator

from pharmasl.errors import InputError
from pharmasl.study import known_images, schemas
from pharmasl.study.physiology import LEAST_ARRIVED
from pharmasl.study.settings import Settings
from pharmasl.study.trial import Scan, Study

FIELD = "perfusion.tissue"
# The quantities, and what the names of their maps end with.
SUFFIXES = {"transit_time": "att", "t1": "T1map"}


def named(study: Settings) -> tuple[str, ...]:
    """The quantities that the configuration says are known."""
    return tuple(name for name in SUFFIXES if getattr(study.perfusion.tissue, name) is not None)


def limits(name: str) -> tuple[float, float]:
    """The least and the largest value of a quantity that the configuration may state, seconds."""
    section = schemas.properties("config")["perfusion"]["properties"]["tissue"]["properties"][name]
    stated = section["properties"]["gm"]
    return stated["minimum"], stated["maximum"]


def check(study: Settings) -> Iterator[InputError]:
    """What the configuration says that cannot be meant, whatever scans there are.

    Parameters
    ----------
    study : pharmasl.study.settings.Settings

    Yields
    ------
    InputError
    """
    known = named(study)
    if not known:
        return
    for name, maps in (("cbf", study.derivatives.cbf), ("contrasts", study.derivatives.contrasts)):
        if maps is not None:
            yield InputError(
                "config",
                f"{FIELD}.{known[0]}",
                f"{' and '.join(known)}, beside derivatives.{name}",
                "no such setting: another program has quantified CBF",
                f"Remove {FIELD}, or give it to the program that made the maps.",
            )
            return
    for name in known:
        yield from known_images.check_setting(
            f"{FIELD}.{name}", getattr(study.perfusion.tissue, name), study.template.space
        )
    if "transit_time" in known and study.perfusion.q2tips == "commercial":
        yield InputError(
            "config",
            "perfusion.q2tips",
            f"commercial, beside {FIELD}",
            "consensus: the manufacturer's formula has no place for a transit time",
            "Remove either.",
        )


def check_scans(study: Study) -> Iterator[InputError]:
    """What of it does not suit the scans that there are.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
        One where no scan takes it; one where a scan of a single delay lacks the transit time, or the fit of several has no
        place for it; one for each tissue that label has not reached in a scan when it is read, of the first; those of
        :func:`pharmasl.study.known_images.check`.
    """
    tissue, known = study.settings.perfusion.tissue, named(study.settings)
    if not known:
        return
    time = tissue.transit_time
    own = [scan for scan in study.scans.values() if scan.acquisition.quantified]
    if not own:
        yield InputError(
            "config",
            f"{FIELD}.{known[0]}",
            "no scan that takes it",
            "series of controls and labels or of differences: the scanner's own CBF is taken as it is",
            f"Remove {FIELD}.",
        )
    single = [scan for scan in own if scan.acquisition.single_delay]
    if time is None and single:
        yield InputError(
            "config",
            f"{FIELD}.t1",
            f"t1 without transit_time, and {single[0].stem} has a single delay",
            "both: label decays with the T1 of blood until it arrives, which a single delay does not tell",
            f"Add {FIELD}.transit_time.",
        )
    several = [scan for scan in own if scan.acquisition.several_delays]
    if time is not None and several and study.settings.perfusion.delays.transit_sd is None:
        yield InputError(
            "config",
            f"{FIELD}.transit_time",
            f"a transit time, with perfusion.delays.transit_sd: null, and {several[0].stem} has several delays",
            "a prior of the transit time, whose mean is the known one: several delays tell it themselves",
            "Set perfusion.delays.transit_sd to how far off the known one may be (s), or leave the transit time out.",
        )
    for name in SUFFIXES:
        if (known := getattr(tissue, name)) is not None and known.image is not None:
            yield from known_images.check(f"{FIELD}.{name}", known, study, own)
    for part, value in (("gm", time.gm), ("wm", time.wm)) if time is not None else ():
        if value is None:
            continue
        for scan in own:
            last = _last(scan)
            if value >= last:
                yield InputError(
                    scan.asl,
                    f"{FIELD}.transit_time.{part} of the configuration",
                    f"{value:g} s",
                    f"less than {last:.2f} s, when a third of this scan's label has yet to arrive in time for the readout",
                    "Correct the time, or leave the run out: it shows too little of the label in this tissue.",
                )
                break


def _last(scan: Scan) -> float:
    """The transit time, seconds, at which :data:`pharmasl.study.physiology.LEAST_ARRIVED` of the label has arrived when a scan's first slice is read last."""
    acquired = scan.acquisition
    delays, durations = (
        list(value) if isinstance(value, tuple) else [value]
        for value in (acquired.post_labeling_delay, acquired.labeling_duration)
    )
    count = max(len(delays), len(durations))
    both = zip(*(values * (count if len(values) == 1 else 1) for values in (delays, durations)))
    # Of pulsed labelling the inversion time counts from the pulse; how long its bolus is decides at the voxels.
    pulsed = acquired.labeling_type == "PASL"
    return max(
        float(delay) + (0.0 if pulsed or duration is None else float(duration)) * (1 - LEAST_ARRIVED)
        for delay, duration in both
        if delay is not None
    )
