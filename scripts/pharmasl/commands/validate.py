"""``./run validate``: simulated trials from raw images to their answers, many times, and the page of what came out."""

import argparse
import shlex
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from pharmasl.commands import call
from pharmasl.commands.check import configuration
from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.records.folder_lock import FolderLock
from pharmasl.simulate import planned_trial
from pharmasl.simulate.simulation_settings import ParticipantSettings, TrialSettings
from pharmasl.study import configuration as study_configuration
from pharmasl.study import settings
from pharmasl.validation import bank_study, error_maps, outcomes, replicate_runs, replicates, validation_page
from pharmasl.validation.error_maps import ErrorParts
from pharmasl.validation.replicate_runs import Means
from pharmasl.validation.replicates import Replicate, Variant
from pharmasl.validation.validation_page import VariantParts

# The variant without a file of its own.
PLAIN = "plain"
PAGE = "validation.md"
_STOPPED = 130
# So that a trial of the bank can be significant well below 0.05.
_FEWEST_PERMUTATIONS = 99


def main(arguments: list[str]) -> int:
    """Run the replicates that are lacking, and write the page of all that are there.

    Parameters
    ----------
    arguments : list of str
        ``--checkout`` and its folder, then what the user typed.

    Returns
    -------
    int
        1 if a replicate failed; 130 where the command was stopped.

    Raises
    ------
    InputError, InputErrors
        For arguments or configurations that cannot be used.
    """
    options = _options(arguments)
    # A batch system's signal to stop is taken as Ctrl-C, which a shell's background job would ignore.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    checkout, root = Path(options.checkout), Path(options.output)
    files = [Path(path) for path in options.configuration or [checkout / "config/twin.yaml"]]
    variants = [variant_of(name, files, checkout / "config/twin") for name in dict.fromkeys(options.variants)]
    names = [variant.name for variant in variants]
    numbers = _numbers("--replicates", options.replicates, names, least=1)
    _check_first(options.first, numbers)
    trials = _numbers("--bank", options.bank, names, least=0)
    _check_permutations(options.permutations)
    _make(root)
    lock = FolderLock(root)
    lock.acquire()
    try:
        asked = replicates.numbered(variants, numbers, root.absolute())
        replicates.check_same(asked, options.accept)
        means = Means(checkout.absolute(), options.cores, options.keep, options.again)
        stopped = False
        try:
            for replicate in asked if not options.page else ():
                if replicate.number >= options.first:
                    _run(replicate, means)
        except KeyboardInterrupt:
            stopped = True
        try:
            bank = None
            if not stopped:
                bank = bank_study.run(root, asked, trials, options.permutations, _say, options.accept)
        except KeyboardInterrupt:
            stopped, bank = True, None
        own = [outcome for replicate in asked if (outcome := outcomes.read(replicate))]
        words = shlex.join(word for word in arguments[2:] if word != "--page")
        text = validation_page.compose(asked, own, variants[0].alpha, words, _parts(asked), bank)
        (root / PAGE).write_text(text, encoding="utf-8")
        print(f"Page: {root / PAGE}")
    finally:
        lock.release()
    if stopped:
        print("Stopped; the same command goes on.")
        return _STOPPED
    failed = [record for one in asked if (record := replicates.read_record(one.folder)) and not record.is_finished]
    return int(bool(failed))


def _say(words: str) -> None:
    print(words, flush=True)


def _parts(asked: Sequence[Replicate]) -> list[VariantParts]:
    """Components of the errors of each variant's finished replicates."""
    by_variant: dict[str, list[ErrorParts]] = {}
    for one in asked:
        record, path = replicates.read_record(one.folder), one.folder / replicates.ERRORS
        if record and record.is_finished and (own := error_maps.parts(error_maps.read(path))):
            by_variant.setdefault(one.variant.name, []).append(own)
    return [VariantParts(variant=name, replicates=several) for name, several in by_variant.items()]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run validate",
        description="Simulated trials from raw images to their answers, and what the workflow makes of them.",
    )
    parser.add_argument("--checkout", required=True, help=argparse.SUPPRESS)
    parser.add_argument(
        "configuration",
        nargs="*",
        help="configuration of the trial with its section simulate, later files over earlier ones (default: config/twin.yaml)",
    )
    parser.add_argument(
        "--replicates",
        nargs="+",
        default=["1"],
        metavar="N",
        help="trials of each variant, or one number for each of them (default: 1)",
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        default=[PLAIN, "null", "transit", "global_flow"],
        help="plain, names of files in config/twin, or files of your own (default: %(default)s)",
    )
    parser.add_argument(
        "--bank",
        nargs="+",
        default=["200"],
        metavar="N",
        help="trials of the error bank of each variant, or one number for each of them (default: 200)",
    )
    parser.add_argument(
        "--permutations", type=int, default=500, help="relabellings of a trial of the bank (default: %(default)s)"
    )
    parser.add_argument(
        "--first",
        type=int,
        default=1,
        metavar="N",
        help="run none before the replicate of this number, which other machines run (default: %(default)s)",
    )
    parser.add_argument(
        "--accept",
        nargs="+",
        default=[],
        metavar="DIGEST",
        help="take trials whose settings have this digest for those of the configuration, as of a version that had fewer settings",
    )
    parser.add_argument("--output", default="validation", help="folder of the study (default: %(default)s)")
    parser.add_argument("--cores", default="all", help="as of Snakemake (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep raw data and maps of finished replicates")
    parser.add_argument("--page", action="store_true", help="run no replicate: the page of those that have ended")
    parser.add_argument("--again", action="store_true", help="run replicates again that have failed")
    return parser.parse_args(arguments)


def variant_of(name: str, files: Sequence[Path], folder: Path) -> Variant:
    """A variant by its name or file, with its settings checked."""
    own = list(files)
    if name != PLAIN:
        path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
        if not path.is_file():
            known = [PLAIN, *sorted(entry.stem for entry in folder.glob("*.yaml"))]
            raise InputError(
                "./run validate",
                "--variants",
                name,
                f"a file, or one of {', '.join(known)}",
                did_you_mean(similar(name, known)) or "Correct the name.",
            )
        own.append(path)
    for path in own:
        call.check_configuration(str(path))
    content, _ = configuration(["--configfile", *map(str, own)])
    section = planned_trial.complete(content.get("simulate", {}))
    asked = settings.build(TrialSettings, {key: section[key] for key in planned_trial.TRIAL})
    if asked.exact:
        raise InputError(
            files[-1],
            "simulate.exact",
            True,
            "false: replicates of an exact trial are all alike, and counts of them mean nothing",
            "Remove the key, or name another configuration.",
        )
    study = settings.read(study_configuration.resolve(content))
    return Variant(
        name=PLAIN if name == PLAIN else Path(name).stem,
        files=tuple(path.absolute() for path in own),
        study=study,
        trial=asked,
        person=settings.build(ParticipantSettings, {key: section[key] for key in planned_trial.PARTICIPANT}),
        cue=section["compare"]["cue"],
    )


def _numbers(option: str, words: Sequence[str], names: Sequence[str], *, least: int) -> dict[str, int]:
    """How many of an option each variant has, from one number or a number for each."""
    numbers = [int(word) for word in words if word.isdecimal() and int(word) >= least]
    if len(numbers) < len(words) or len(numbers) not in (1, len(names)):
        raise InputError(
            "./run validate",
            option,
            " ".join(words),
            f"one whole number of {least} or more, or {len(names)} of them, one for each variant ({', '.join(names)})",
            "Correct the numbers.",
        )
    return dict(zip(names, numbers * len(names) if len(numbers) == 1 else numbers))


def _check_first(first: int, numbers: Mapping[str, int]) -> None:
    """Refuse a first replicate that no variant has."""
    last = max(numbers.values())
    if not 1 <= first <= last:
        raise InputError(
            "./run validate",
            "--first",
            first,
            f"a whole number from 1 to {last}, the last that --replicates asks for",
            "Correct the numbers.",
        )


def _check_permutations(permutations: int) -> None:
    """Refuse a number by which a trial of the error bank could hardly be significant."""
    if permutations < _FEWEST_PERMUTATIONS:
        raise InputError(
            "./run validate",
            "--permutations",
            permutations,
            f"a whole number of {_FEWEST_PERMUTATIONS} or more",
            "Correct the number.",
        )


def _make(root: Path) -> None:
    """Make the folder of the study, or say why it cannot be."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "./run validate",
            "--output",
            f"{root} ({error.strerror})",
            "a folder, or the name of one that can be made",
            "Name another one.",
        ) from None


def _run(replicate: Replicate, means: Means) -> None:
    """Run a replicate unless it has ended, and say so in a line."""
    name = f"{replicate.variant.name} {replicate.number}"
    began = replicates.read_record(replicate.folder)
    record = replicate_runs.run(replicate, means, lambda stage: _say(f"{name}: {stage}"))
    if record == began:
        print(f"{name}: {record.status} before", flush=True)
    elif record.is_finished:
        minutes = sum(cost.seconds for cost in record.costs.values()) / 60
        print(f"{name}: finished in {minutes:.0f} minutes", flush=True)
    else:
        print(f"{name}: failed at {record.failed_at}: {record.reason}", flush=True)
