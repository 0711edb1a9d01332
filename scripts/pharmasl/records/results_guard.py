"""What a run does for its results' folder outside its jobs: locks it, restores its records before the plan, saves them after.

Snakemake has no hook between the reading of its records and the plan, nor one after a run however it ends. So its
preparation of the plan is wrapped, and the manifest is written when the process ends.
"""

import atexit
import os
import sys
from collections.abc import Callable, Collection
from typing import Any

from pharmasl.errors import InputError, wrapped
from pharmasl.files import contents
from pharmasl.records import folder_lock, manifest, results_record

# Results named in a line.
_MOST = 3


class ResultsGuard:
    """The guard of the results' folder of one run.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    root : str
        The results' folder as the rules' outputs are written.
    rules : callable
        Returns the workflow's own rules.
    versions : dict of str to str
        Of the software that computes.
    record : type
        Snakemake's class of a record of a file.
    version : int
        Of the format of these records.
    on_request : collection of str
        Names of the rules whose files are made where they are asked for by name.
    """

    def __init__(
        self,
        workflow: Any,
        root: str,
        rules: Callable[[], list[Any]],
        versions: dict[str, str],
        record: Callable[..., Any],
        version: int,
        on_request: Collection[str],
    ) -> None:
        self._workflow, self._root, self._rules, self._versions = workflow, root, rules, versions
        self._record, self._record_version = record, version
        self._on_request = on_request
        # Absolute: at the end, Snakemake has gone back to the folder that it was started in.
        self._folder = os.path.abspath(root)
        self._lock = folder_lock.FolderLock(self._folder)
        self._is_refused = False
        # Of the whole plan: Snakemake forgets its jobs where there is nothing to be done.
        self._planned: list[Any] = []

    def watch(self) -> None:
        """Restore the records before Snakemake's next plan, and write the manifest when the process ends."""
        prepare, build = self._workflow._prepare_dag, self._workflow._build_dag

        def prepare_with_records(*arguments: Any, **named: Any) -> None:
            if os.path.isdir(self._folder):
                self.lock()
            prepare(*arguments, **named)
            if os.path.isdir(self._folder):
                self._restore()

        def build_to_its_end() -> None:
            build()
            self._planned = list(self._workflow.dag.jobs)

        self._workflow._prepare_dag, self._workflow._build_dag = prepare_with_records, build_to_its_end
        atexit.register(self._finish)

    @property
    def _runs(self) -> bool:
        """Whether jobs are to be run: dry runs and other looks at the plan write nothing."""
        return self._workflow.executor_plugin is not None and not self._workflow.dryrun

    @property
    def _is_whole_plan(self) -> bool:
        """Whether all results were planned, and not a target alone; the rule has a name before it in a module of another workflow."""
        return any(job.rule.name.endswith("all") for job in self._planned)

    def lock(self) -> None:
        """Refuse a second run on the folder, which is made if it is not there.

        Raises
        ------
        SystemExit
            With the reason; Snakemake would wrap another exception in a traceback of the program.
        """
        if not self._runs or not self._workflow.execution_settings.lock:
            return
        is_new = not os.path.isdir(self._folder)
        os.makedirs(self._folder, exist_ok=True)
        try:
            self._lock.acquire()
            if is_new and os.path.exists(os.path.join(self._folder, manifest.NAME)):
                raise InputError(
                    file=self._root,
                    field="run",
                    found="results of another run that ended since this one was planned",
                    expected="a folder that this run makes",
                    fix="Start again: what is there may be all that is asked for.",
                )
        except InputError as error:
            self._is_refused = True
            raise SystemExit(wrapped(error)) from None

    def _memory(self) -> results_record.Memory:
        return results_record.Memory(self._workflow.persistence, self._record, self._record_version, self._root)

    def _outputs_with(self, path: str) -> list[str]:
        """The results of the job that makes one of them, by their paths below the folder; none for another file."""
        full_path = f"{self._root}/{path}"
        for rule in self._rules():
            if rule.is_producer(full_path):
                outputs, *_ = rule.expand_output(rule.get_wildcards(full_path))
                return [str(output).removeprefix(f"{self._root}/") for output in outputs]
        return []

    def _is_temporary(self, path: str) -> bool:
        """Whether a path below the folder is of a result that is removed once it has been used."""
        full_path = f"{self._root}/{path}"
        outputs = (output for rule in self._rules() for output in rule.output if output.flags.get("temp"))
        return any(output.match(full_path) for output in outputs)

    def _remove_lone_sidecars(self, outputs: set[str]) -> None:
        """Remove the JSON files of images that Snakemake has removed: it removes outputs, and a sidecar is none."""
        there = manifest.listing(self._folder)
        for path in there:
            stem = path.removesuffix(".json")
            image = f"{stem}.nii.gz"
            if stem == path or image in there or f"{stem}.tsv" in there or path in outputs:
                continue
            if self._is_temporary(image) and not self._outputs_with(path):
                os.remove(os.path.join(self._folder, path))

    def _restore(self) -> None:
        """Restore Snakemake's records from the manifest, and report the files that have none."""
        # A look at the plan while another run writes changes no file.
        set_dates = not self._lock.is_held_by_another()
        unknown = results_record.restore(
            self._folder, self._memory(), contents.shared(), self._outputs_with, set_dates=set_dates
        )
        if unknown:
            some = ", ".join(unknown[:_MOST]) + (", ..." if len(unknown) > _MOST else "")
            message = (
                f"{self._root}: {len(unknown)} file(s) of which no record says how they were made, or that were changed since; "
                f"where they are asked for they are made again: {some}"
            )
            print(wrapped(message), file=sys.stderr)

    def _report_left_over(self) -> None:
        """Name the results that no job of a whole plan makes: nobody should take them for the configuration's own."""
        if not self._is_whole_plan:
            return
        made = [str(path).removeprefix(f"{self._root}/") for job in self._planned for path in job.output]
        current = {own for path in made for own in (path, manifest.sidecar(path)) if own}
        left = [path for path in manifest.listing(self._folder) if path not in current]
        left = [path for path in left if not self._is_on_request(path)]
        if left:
            some = ", ".join(left[:_MOST]) + (", ..." if len(left) > _MOST else "")
            message = (
                f"{self._root}: {len(left)} file(s) of an earlier configuration or version, or of something else: the present one "
                f"neither makes nor reads them. Move them out of the folder: {some}"
            )
            print(wrapped(message), file=sys.stderr)

    def _is_on_request(self, path: str) -> bool:
        """Whether a path below the folder is of a result, or its sidecar, that is made where it is asked for by name."""
        image = path.removesuffix(".json") + ".nii.gz"
        # With a name before it where the workflow is a module of another.
        asked = [rule for rule in self._rules() if rule.name.endswith(tuple(self._on_request))]
        return any(rule.is_producer(f"{self._root}/{name}") for rule in asked for name in (path, image))

    def _finish(self) -> None:
        """Write the manifest of what was made, however the run ended."""
        workflow = self._workflow
        if self._is_refused or workflow.persistence is None or not self._runs or not os.path.isdir(self._folder):
            return
        outputs = [str(path) for job in self._planned for path in job.output]
        made = [path.removeprefix(f"{self._root}/") for path in outputs if path.startswith(f"{self._root}/")]
        is_complete = workflow.scheduler is not None and self._is_whole_plan and not any(workflow.dag.needrun_jobs())
        try:
            self._remove_lone_sidecars(set(made))
            results_record.update(
                self._folder,
                self._memory(),
                contents.shared(),
                versions=self._versions,
                outputs=made,
                is_temporary=self._is_temporary,
                is_complete=is_complete,
            )
            if not any(workflow.dag.needrun_jobs() if workflow.dag else ()):
                self._report_left_over()
        except OSError as error:
            print(wrapped(f"{self._root}/{manifest.NAME} could not be written: {error}"), file=sys.stderr)
        finally:
            self._lock.release()
