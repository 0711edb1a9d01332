"""What all rules share: the study, the names of its files, digests of the code.

Needs the configuration. Gives STUDY (who was scanned, with which files), SETTINGS (of the study, typed), TARGETS (which outputs
follow from them), PATHS (of the files that several rules name) and one short name per kind of path: anat, scan, visit, template, roi and group build patterns, each with its wildcard.
"""

import atexit
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from snakemake.common import overwrite_function_params
from snakemake.exceptions import WorkflowError
from snakemake.io import AnnotatedString, ancient, sourcecache_entry, strip_wildcard_constraints
from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import Paramspace


include: "package.smk"


try:
    from pharmasl.conduct import allocation_log
    from pharmasl.errors import InputErrors, InputError, wrapped
    from pharmasl.files import bids, contents
    from pharmasl.records import fingerprints, provenance, results_guard
    from pharmasl.sensitivity import specification, specifications
    from pharmasl.study import example
    from pharmasl.study.settings import plain
    from pharmasl.workflow import (
        closing,
        failures,
        garbage,
        image_sidecars,
        job_process,
        kept_reading,
        output_levels,
        paths,
        plan,
        raw_files,
        recorded,
        report_entries,
        report_outputs,
        requests,
        rule_functions,
        script_copies,
    )
    from pharmasl.workflow import wildcards as job_wildcards
    from pharmasl.workflow.targets import patterns
    from pharmasl.workflow.targets.study_targets import Targets

    if config.get("sensitivity"):
        from pandas import DataFrame
except ModuleNotFoundError as error:
    # The plan is made from the images' headers, before any rule's own environment is there: what is imported here and in
    # the other rule files needs nibabel alone, and pandas where specifications are crossed.
    raise WorkflowError(
        f"Planning needs the package {error.name} beside Snakemake: install it there, or use ./run."
    ) from None

# Until the plan is made.
garbage.collect_rarely()
atexit.register(garbage.leave_to_the_system)
# Of each script once, and not three times for each of its jobs.
script_copies.remember(workflow.sourcecache)

# Without a configuration and data, the plan is that of an example, so that it, the rules and a linter's opinion can be seen.
EXAMPLE = not CONFIGURED and not Path(config["bids_dir"]).exists()
if EXAMPLE:
    NO_DATA = (
        f"No configuration was named (--configfile), and the shipped one's {config['bids_dir']} is not there. Copy "
        "config/config.yaml, change it, and name your copy."
    )
    print(wrapped(f"{NO_DATA} What follows is the plan of an example of twelve people."), file=sys.stderr)
    config["bids_dir"] = tempfile.mkdtemp(prefix="pharmasl-example-")
    atexit.register(shutil.rmtree, config["bids_dir"], ignore_errors=True)
    example.write(config["bids_dir"], config)

# As a module with `prefix:`, that goes before the results' folder here, once, for most rules name their inputs by paths that
# have it already. The dataset stays where the configuration has it.
PREFIX = workflow.modifier.path_modifier
workflow.modifier.path_modifier = type(PREFIX)(None, None, workflow)
if isinstance(config.get("output_dir"), str):
    if (prefixed := PREFIX.replace_prefix(f"{config['output_dir']}/")) != f"{config['output_dir']}/":
        config = {**config, "output_dir": prefixed}

try:
    # The files once more, which a job's own process leaves to the one before it; it reads whom its jobs are about alone.
    KEPT = kept_reading.KeptReading(config)
    if workflow.is_main_process:
        READING = plan.read(config, workflow.configfiles)
    else:
        PEOPLE = job_process.people(sys.argv)
        READING = (KEPT.load() if PEOPLE is None else None) or plan.read(config, people=PEOPLE)
except (InputError, InputErrors) as error:
    # One message, no traceback: the user can fix it.
    raise WorkflowError(wrapped(error)) from None

if READING.note and workflow.is_main_process:
    print(wrapped(READING.note), file=sys.stderr)
STUDY = READING.study
SETTINGS = STUDY.settings
OUTPUT = SETTINGS.output_dir.rstrip("/")
SPACE = SETTINGS.template.space
RESOLUTION = str(SETTINGS.template.resolution)
IMPORTED = SETTINGS.derivatives.contrasts
PATHS = paths.Paths(OUTPUT, SPACE)
TARGETS = Targets(STUDY, PATHS)
LEVELS = output_levels.OutputLevels(SETTINGS, OUTPUT)
# The sections that many rules' params hold; None where the study does not have them.
ARMS = SETTINGS.arms and plain(SETTINGS.arms)
SESSIONS = SETTINGS.sessions and plain(SETTINGS.sessions)
# What the results do not depend on: where they and the dataset lie.
PLACES = ("bids_dir", "output_dir")

# What computes, for the report: with --sdm conda the rules' own environments do.
if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    VERSIONS = provenance.pinned(
        ["imaging.yaml", "statistics.yaml", "report.yaml"]
        + ["ants.yaml"] * (SETTINGS.anatomy.registration.backend == "ants")
    )
else:
    VERSIONS = provenance.versions()

# What a job asks of a cluster: its script's memory and time, and those of the Snakemakes that start it there.
memory, minutes = requests.Requests(len(STUDY.scans)).memory, requests.Requests(len(STUDY.scans)).minutes
code = lambda script: fingerprints.Compared(provenance.digest(script))
anat = partial(bids.derivative, OUTPUT, "{anat}")
scan = partial(bids.derivative, OUTPUT, "{scan}")
visit = partial(bids.derivative, OUTPUT, "{visit}")
template = partial(bids.derivative, f"{OUTPUT}/template", f"tpl-{SPACE}")
# In its own folder, an analysis is the contrast that its label names.
group = partial(bids.derivative, f"{OUTPUT}/group/{{analysis}}", "contrast-{label}")
conjunction = partial(bids.derivative, f"{OUTPUT}/group/{{conjunction}}", "contrast-{label}")
per = partial(job_wildcards.per, named={"contrast": TARGETS.stems.contrast_name})
# An input of a file of every scan or visit: a function, for Snakemake goes through a list that stands in a rule once for each of
# its files.
for_all = partial(job_wildcards.per, "")
log_of = partial("{}/logs/{}/{}.log".format, OUTPUT)
# Of rules that work long; the last line of every log has a job's CPU, time and memory.
benchmark_of = partial("{}/benchmarks/{}/{}.tsv".format, OUTPUT)
# Refuses a trial that cannot be analysed, once an output of the trial is asked for.
checked_trial = plan.checking_trial(READING)

# Marks results for Snakemake's own report.
REPORTED = report_outputs.ReportOutputs(
    mark=report, per=per, settings=SETTINGS, paths=PATHS, inference=group("inference", ".json")
)

if workflow.is_main_process:
    atexit.register(contents.shared().save)
# As a module, this workflow stands beside the rules of others.
own_rules = partial(recorded.own, workflow, Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent)
# Before a plan is made, it puts back what Snakemake does not know of the results from their manifest; when the run ends,
# however it does, it writes the manifest. A run holds the results' folder alone.
RESULTS_GUARD = results_guard.ResultsGuard(
    workflow, OUTPUT, own_rules, VERSIONS, MetadataRecord, RECORD_FORMAT_VERSION, recorded.ON_REQUEST
)
if workflow.is_main_process:
    RESULTS_GUARD.watch()
# What was made and is gone is made again, also where nothing that is asked for needs it; and what the level of output adds.
further_results = lambda wildcards: [
    *recorded.lost(TARGETS, own_rules(), recorded.names()),
    *LEVELS.on_request(
        TARGETS,
        [scan("asl", desc="preproc"), scan("cbf", desc="timeseries")],
        anat("xfm", from_=SPACE, to="T1w", mode="image"),
    ),
]
# Raw files as inputs, whose dates and folder do not count, and what they hold, as a param of the same rule.
raw = partial(raw_files.inputs, root=SETTINGS.bids_dir, mark=lambda path, name: ancient(sourcecache_entry(path, name)))
# Nothing is compared in a job's own process, nor in a dry run without results.
content_of = partial(
    raw_files.content,
    compared=lambda: workflow.is_main_process and (Path(OUTPUT).exists() or not workflow.dryrun),
)


# With the logger of ./run, which says at the end how it went.
OWN_LOGGERS = [each for each in workflow.logger_manager.get_log_handlers() if hasattr(each, "closes_with")]
for each in OWN_LOGGERS:
    each.closes_with(
        partial(
            closing.closing,
            OUTPUT,
            PATHS.page,
            blinded=SETTINGS.blinded,
            has_answers=SETTINGS.has_answers,
            outputs=SETTINGS.outputs,
        )
    )


wildcard_constraints:
    anat=TARGETS.stems.pattern("anat"),
    scan=TARGETS.stems.pattern("perf"),
    scan_name=bids.scan_name_pattern(),
    visit=TARGETS.stems.pattern("contrasts"),
    contrast=patterns.any_of(map(bids.entity_label, SETTINGS.contrasts)),
    analysis=patterns.folders(SETTINGS.analyses),
    conjunction=patterns.folders(SETTINGS.conjunctions),
    label="[a-zA-Z0-9]+",
    roi=patterns.any_of(SETTINGS.rois),
    endpoint=patterns.any_of(SETTINGS.endpoints),


onstart:
    if EXAMPLE:
        raise WorkflowError(wrapped(NO_DATA))
    RESULTS_GUARD.lock()
    KEPT.save(READING)
    atexit.register(KEPT.remove)
    garbage.collect_as_usual()
    # Snakemake 9's limiter of jobs a second starts a timer with every job that ends, each of which looks at all ready
    # jobs again every second from then on: after some hundred jobs that takes a whole core. Where jobs run on this
    # machine, nothing needs limiting.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    failures.forget(f"{OUTPUT}/logs")
    # The logger tells a failure once; a job on another machine tells it in its own log.
    if OWN_LOGGERS and workflow.local_exec:
        os.environ[failures.REPORTED] = "1"
    # Before the first job of an unblinded run, whatever its target.
    if SETTINGS.arms and not SETTINGS.blinded:
        allocation_log.record(PATHS.allocation_log, allocation_log.state(STUDY.declared, VERSIONS))


onerror:
    # Jobs on other machines have left their reasons beside their logs.
    if (reasons := failures.summary(f"{OUTPUT}/logs")) and not OWN_LOGGERS:
        print(f"\n{reasons}", file=sys.stderr)
