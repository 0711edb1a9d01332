"""A replicate from raw images to the comparison with its truth: simulated, analysed and compared by the workflow's own commands."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import InputError, InputErrors
from pharmasl.validation import error_maps
from pharmasl.validation.replicates import (
    BIDS,
    CONFIGURATION,
    ERRORS,
    LOG,
    RECORD,
    RESULTS,
    TRUTH,
    Record,
    Replicate,
    StageCost,
    read_record,
)

SIMULATE, ANALYSE, COMPARE, COLLECT = "simulate", "analyse", "compare", "collect"
# Stages to the rule file and the target that does them.
_CALLS = {
    SIMULATE: ("rules/simulate.smk", "trial"),
    ANALYSE: ("Snakefile", "all"),
    COMPARE: ("rules/simulate.smk", "comparison"),
}
# Folders of the results whose tables and records stay, and their endings: what is counted over replicates, and little more.
_KEPT_RESULTS = ("craving", "endpoints", "group", "quality", "rois", "study", "trial")
_KEPT_ENDINGS = (".tsv", ".json", ".txt")
# Status of a process that Ctrl-C ended, as a shell gives it.
_STOPPED = 130
_SHOWN_LINES = 6
# Of Linux' prctl.
_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Means:
    """By what replicates are run.

    Attributes
    ----------
    checkout : Path
        Of the workflow.
    cores : str
        As Snakemake takes them.
    keep_files : bool
        Whether raw data, truth and maps stay.
    try_again : bool
        Whether a replicate that failed is run again.
    """

    checkout: Path
    cores: str
    keep_files: bool
    try_again: bool


class StageFailure(Exception):
    """A stage of a replicate ended with an error."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage, self.reason = stage, reason


def run(replicate: Replicate, means: Means, say: Callable[[str], None]) -> Record:
    """Bring a replicate to its end, from where it was stopped.

    Parameters
    ----------
    replicate : Replicate
    means : Means
    say : callable
        Takes what is done, in words.

    Returns
    -------
    Record
        Also of a replicate that fails: it stays in the counts.
    """
    earlier = read_record(replicate.folder)
    if earlier and (earlier.is_finished or not means.try_again):
        return earlier
    replicate.folder.mkdir(parents=True, exist_ok=True)
    replicate.write_settings()
    (replicate.folder / RECORD).unlink(missing_ok=True)
    costs = dict(earlier.costs) if earlier else {}
    failure = None
    try:
        for stage in _CALLS:
            say(stage)
            spent = _call(replicate, means, stage)
            before = costs.get(stage, StageCost(seconds=0, cpu_seconds=0))
            costs[stage] = StageCost(
                seconds=round(before.seconds + spent.seconds, 1),
                cpu_seconds=round(before.cpu_seconds + spent.cpu_seconds, 1),
            )
        say(COLLECT)
        _collect(replicate)
    except StageFailure as problem:
        failure = problem
    record = Record(
        variant=replicate.variant.name,
        number=replicate.number,
        seed=replicate.seed,
        configuration=replicate.variant.configuration,
        status="failed" if failure else "finished",
        failed_at=failure.stage if failure else None,
        reason=failure.reason if failure else None,
        failures=(earlier.failures + 1) if earlier else 0,
        costs=costs,
        peak_bytes=sum(path.lstat().st_size for path in replicate.folder.rglob("*") if path.is_file()),
    )
    record.write(replicate.folder)
    # What failed stays for whoever looks for the cause.
    if record.is_finished and not means.keep_files:
        empty(replicate.folder)
    return record


def _collect(replicate: Replicate) -> None:
    """Write the errors of the replicate's scans."""
    folder = replicate.folder
    try:
        maps = error_maps.collect(folder / RESULTS, folder / TRUTH, replicate.variant.study.perfusion.smoothing_fwhm)
    except (InputError, InputErrors) as problem:
        raise StageFailure(COLLECT, str(problem)) from None
    maps.write(folder / ERRORS)


def _call(replicate: Replicate, means: Means, stage: str) -> StageCost:
    """Run a stage; raises StageFailure where it ends with an error, KeyboardInterrupt where it was stopped."""
    command = _command(replicate, means, stage)
    start = time.monotonic()
    log = replicate.folder / LOG
    begins = log.stat().st_size if log.exists() else 0
    _adopt_orphans()
    with open(log, "ab") as file:
        # A group of its own, whose processes can be waited for together.
        process = subprocess.Popen(
            command, cwd=replicate.folder, stdout=file, stderr=subprocess.STDOUT, process_group=0
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            # As from a terminal: Snakemake cancels its jobs.
            os.killpg(process.pid, signal.SIGINT)
            process.wait()
            raise
    spent = used.ru_utime + used.ru_stime + _orphans_time(process.pid)
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    if code in (_STOPPED, -2):
        raise KeyboardInterrupt
    if code:
        raise StageFailure(stage, _reason(log, begins, code))
    return StageCost(seconds=time.monotonic() - start, cpu_seconds=spent)


def _adopt_orphans() -> None:
    """Become the parent of processes that outlive theirs: the one from which Snakemake's jobs are forked ends after it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)


def _orphans_time(group: int) -> float:
    """Processor seconds of a group's processes that have been left to this one, once they have ended."""
    spent = 0.0
    while True:
        try:
            _, _, used = os.wait4(-group, 0)
        except ChildProcessError:
            return spent
        spent += used.ru_utime + used.ru_stime


def _command(replicate: Replicate, means: Means, stage: str) -> list[str]:
    """The command line of a stage."""
    rules, target = _CALLS[stage]
    program = [sys.executable, "-m", "snakemake_logger_plugin_pharmasl", "--snakefile", str(means.checkout / rules)]
    files = ["--configfile", *map(str, replicate.variant.files), CONFIGURATION]
    # The study's folder is locked by the command; a lock that a power cut has left would stop each replicate.
    options = ["--cores", means.cores, "--rerun-incomplete", "--nolock", "--quiet", "rules"]
    return [*program, *files, *options, "--", target]


def _reason(log: Path, begins: int, code: int) -> str:
    """What a stage has written of its error: the last lines that name one, or else the last lines."""
    with open(log, "rb") as file:
        file.seek(begins)
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    last = ([line for line in lines if "Error" in line] or [line for line in lines if line])[-_SHOWN_LINES:]
    return f"status {code}: " + " | ".join(last)


def empty(folder: Path) -> None:
    """Remove the raw data, truth maps and maps of a finished replicate; its tables, records and errors stay.

    Parameters
    ----------
    folder : Path
        Of a replicate.
    """
    for name in (BIDS, ".snakemake"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (TRUTH, RESULTS):
        for path in sorted((folder / name).rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif not _stays(path.relative_to(folder).parts):
                path.unlink()


def _stays(parts: Sequence[str]) -> bool:
    """Whether a file below a replicate's folder stays when it is emptied."""
    first, *rest = parts
    is_record = rest[-1].endswith(_KEPT_ENDINGS)
    if first == TRUTH:
        return is_record and len(rest) == 1
    return is_record and (len(rest) == 1 or rest[0] in _KEPT_RESULTS)
