"""What a run would do: its jobs, and about how long and how much they are."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.commands import finished_jobs, job_sizes
from pharmasl.commands.finished_jobs import Finished
from pharmasl.commands.job_sizes import voxels
from pharmasl.errors import InputError
from pharmasl.study.trial import Study
from pharmasl.workflow import stages

# Bytes of results: of each scan on a template of 2 mm, of each whole-brain analysis, and of the rest.
_SCAN_BYTES, _ANALYSIS_BYTES, _STUDY_BYTES = 6e6, 8e6, 40e6
# By level of output: of each voxel of a series and of a T1w on their own grids, of one volume of a series, and of each anatomy.
_SERIES_BYTES = {"minimal": 0.0, "default": 0.0, "full": 3.8}
_VOLUME_BYTES = {"minimal": 0.0, "default": 9.4, "full": 9.4}
_T1W_BYTES = {"minimal": 0.0, "default": 5.0, "full": 5.0}
_ANATOMY_BYTES = {"minimal": 1e6, "default": 6.5e6, "full": 12e6}
# Snakemake's own seconds for a job, which no job's log has: .05 to .09 where jobs are forks, as ./run starts them.
_STARTING = 0.08
# Whose files a rule of a scan, an anatomy and an analysis leaves: as many jobs as there are of these.
_OF_SCANS = ("align_perfusion", "quantify_perfusion", "fit_perfusion", "scan_quality", "scan_page")
_OF_ANATOMIES = ("prepare_anatomy", "normalise_anatomy", "segment_anatomy", "assume_anatomy")
_OF_ANALYSES = (
    "group_statistics",
    "group_f_statistics",
    "cluster_table",
    "cluster_values",
    "group_figure",
    "region_models",
    "region_figure",
)


@dataclass(frozen=True)
class Estimate:
    """How much something is expected to be.

    Attributes
    ----------
    own : float
        The part that this study's finished jobs say.
    rest : float
        The part for which the demo's jobs stand.
    """

    own: float
    rest: float

    @property
    def total(self) -> float:
        """Both parts."""
        return self.own + self.rest

    def __str__(self) -> str:
        """Whose jobs it goes by."""
        if not self.own:
            return "by the demo's jobs, the settings and the size of the images"
        share = round(100 * self.own / self.total)
        return f"by this study's finished jobs, for {share} % of it" if share < 100 else "by this study's finished jobs"


def planned(arguments: Sequence[str]) -> dict[str, int]:
    """The jobs of a run by rule, as Snakemake plans them; those that are done are not among them.

    Parameters
    ----------
    arguments : sequence of str
        Of Snakemake, the Snakefile among them.

    Returns
    -------
    dict of str to int

    Raises
    ------
    InputError
        If there can be no plan.
    """
    options = list(arguments)
    place = options.index("--") if "--" in options else len(options)
    command = ["snakemake", *options[:place], "--dry-run", "--quiet", "host", "reason", *options[place:]]
    done = subprocess.run(command, capture_output=True, text=True)
    text = done.stdout + done.stderr
    if done.returncode:
        raise InputError("./run check", "plan", text[-2000:], "a plan", "Correct what is said above.")
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)}
    return {rule: count for rule, count in counts.items() if rule != "total" and stages.works(rule)}


def lines(study: Study, counts: Mapping[str, int]) -> list[str]:
    """How many jobs by stage, how long they take, and what the results weigh.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    counts : mapping of str to int
        Jobs by rule.

    Returns
    -------
    list of str
    """
    if not counts:
        return ["nothing is left to do: all results are there and as the configuration has them"]
    by_stage = []
    for stage in stages.stages_of(counts):
        number = sum(counts.get(rule, 0) for rule in stage.seconds)
        by_stage.append(f"{stage.name.lower()} {number}")
    cores = os.cpu_count() or 1
    finished = finished_jobs.read(study.settings.output_dir)
    time, space = core_seconds(study, counts, finished), size(study, counts, finished)
    return [
        f"{sum(counts.values())} jobs: {', '.join(by_stage)}",
        f"about {span(time.total / cores)} on {cores} {'core' if cores == 1 else 'cores'} ({span(time.total)} on one), {time}; "
        "the time left is shown as it goes",
        f"about {space.total / 1e9:.1f} GB of results in {study.settings.output_dir} (outputs: {study.settings.outputs}), {space}",
    ]


def core_seconds(study: Study, counts: Mapping[str, int], finished: Mapping[str, Finished]) -> Estimate:
    """Seconds of one core that the jobs take: by the study's finished ones, else by :mod:`pharmasl.commands.job_sizes`.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    counts : mapping of str to int
        Jobs that are to be done, by rule.
    finished : mapping of str to Finished
        Jobs of the study that are done, by rule.

    Returns
    -------
    Estimate
    """
    sizes = job_sizes.of_study(study)
    own = rest = 0.0
    for rule, count in counts.items():
        done = finished.get(rule)
        if done and done.seconds is not None:
            own += count * (done.seconds + _STARTING)
            continue
        rest += count * (job_sizes.seconds(rule, sizes) + _STARTING)
    return Estimate(own, rest)


def size(study: Study, counts: Mapping[str, int], finished: Mapping[str, Finished]) -> Estimate:
    """Bytes of all results, there or not: by the study's finished jobs, else by the demo's and the size of the images.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    counts : mapping of str to int
        Jobs that are to be done, by rule.
    finished : mapping of str to Finished
        Jobs of the study that are done, by rule.

    Returns
    -------
    Estimate
    """
    most = {
        **dict.fromkeys(_OF_SCANS, len(study.scans)),
        **dict.fromkeys(_OF_ANATOMIES, len(set(study.anatomies.values()))),
        **dict.fromkeys(_OF_ANALYSES, len(study.settings.analyses)),
    }
    own, level = 0.0, study.settings.outputs
    for rule, done in finished.items():
        # What is done again takes the place of what was there.
        own += done.size * min(done.jobs + counts.get(rule, 0), most.get(rule, np.inf))
    rest = 0.0 if finished else _STUDY_BYTES
    if not any(rule in finished for rule in ("quantify_perfusion", "fit_perfusion")):
        scan_bytes = _SCAN_BYTES * (2 / study.settings.template.resolution) ** 3
        for scan in study.scans.values():
            volume, series = voxels(scan.asl, volumes=1), voxels(scan.asl)
            rest += scan_bytes + _VOLUME_BYTES[level] * volume + _SERIES_BYTES[level] * series
    if "normalise_anatomy" not in finished:
        rest += sum(_ANATOMY_BYTES[level] + _T1W_BYTES[level] * sum(map(voxels, paths)) for paths in study.t1w.values())
    if not any(rule in finished for rule in ("group_statistics", "group_f_statistics")):
        rest += len(study.settings.analyses) * _ANALYSIS_BYTES
    return Estimate(own, rest)


def span(seconds: float) -> str:
    """A time in words, as exactly as it can be expected."""
    if seconds < 90:
        return f"{max(10, round(seconds / 10) * 10)} seconds"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.0f} minutes"
    return f"{minutes / 60:.0f} hours" if minutes < 2880 else f"{minutes / 1440:.0f} days"
