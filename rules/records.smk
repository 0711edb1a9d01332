"""Records: results know how they were made, and one run at a time writes them.

Needs the names of common.smk. Before a plan is made, what Snakemake does not know of the results is put back from their
manifest; when the run ends, however it does, the manifest is written. A run holds the results' folder alone.
"""

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord

from pharmasl import folder_lock, records

# As it is now: at the end, Snakemake has gone back to the folder that it was started in.
RESULTS = os.path.abspath(OUTPUT)
RUN_LOCK = folder_lock.FolderLock(RESULTS)


def result_records():
    """Snakemake's records of the results."""
    return records.Memory(workflow.persistence, MetadataRecord, RECORD_FORMAT_VERSION, OUTPUT)


def outputs_with(path):
    """The results of the job that makes one of them, by their paths below the folder."""
    for rule in own_rules():
        if rule.is_producer(f"{OUTPUT}/{path}"):
            outputs, *_ = rule.expand_output(rule.get_wildcards(f"{OUTPUT}/{path}"))
            return [str(output).removeprefix(f"{OUTPUT}/") for output in outputs]
    return []


def lock_results():
    """Refuse a second run; dry runs and other looks at the plan write nothing and may go on."""
    runs = workflow.executor_plugin is not None and not workflow.dryrun
    if runs and workflow.execution_settings.lock and os.path.isdir(RESULTS):
        try:
            RUN_LOCK.acquire()
        except InputError as error:
            raise WorkflowError(wrapped(error)) from None


def prepare_with_records(prepare, *arguments, **named):
    """In place of Snakemake's preparation of the plan, after which it looks into its records."""
    lock_results()
    prepare(*arguments, **named)
    if os.path.isdir(RESULTS):
        # A look at the plan while another run writes changes no file.
        dates = not RUN_LOCK.is_held_by_another()
        unknown = records.restore(RESULTS, result_records(), contents.shared(), outputs_with, dates)
        if unknown:
            some = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
            print(
                wrapped(
                    f"{OUTPUT}: {len(unknown)} file(s) of which no record tells how they were made, or that were changed since; "
                    f"where they are asked for they are made again: {some}"
                ),
                file=sys.stderr,
            )


def write_manifest():
    """What was made, by the end of a run."""
    if (
        workflow.persistence is None
        or RUN_LOCK.is_held_by_another()
        or workflow.executor_plugin is None
        or workflow.dryrun
        or not os.path.isdir(RESULTS)
    ):
        return
    jobs = list(workflow.dag.jobs) if workflow.dag else []
    made = [
        path.removeprefix(f"{OUTPUT}/")
        for job in jobs
        for path in map(str, job.output)
        if path.startswith(f"{OUTPUT}/")
    ]
    planned = workflow.scheduler is not None and any(job.rule.name.endswith("all") for job in jobs)
    is_complete = planned and not any(workflow.dag.needrun_jobs())
    try:
        records.update(RESULTS, result_records(), contents.shared(), VERSIONS, made, is_complete)
    except OSError as error:
        print(wrapped(f"{OUTPUT}/manifest.json could not be written: {error}"), file=sys.stderr)
    finally:
        RUN_LOCK.release()


if workflow.is_main_process:
    workflow._prepare_dag = partial(prepare_with_records, workflow._prepare_dag)
    atexit.register(write_manifest)
