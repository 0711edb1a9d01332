"""Outputs that an earlier run made and that are gone: Snakemake asks for no file that its target does not need."""

import base64
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pharmasl.errors import FilePath
from pharmasl.workflow.targets.study_targets import Targets

# Rules whose files are made where they are asked for by name; the last three belong to every run where all is kept.
ON_REQUEST = ("neurovault", "realigned_series", "cbf_series", "invert_registration")


def names(folder: str = ".snakemake/metadata") -> Iterator[str]:
    """The files of which Snakemake keeps a record.

    Parameters
    ----------
    folder : path-like
        Its records: each is named by the base64 code of its file's path, in pieces that begin with ``@`` where it is long.

    Yields
    ------
    str
    """
    for above, _, files in os.walk(folder):
        pieces = [] if above == folder else os.path.relpath(above, folder).split(os.sep)
        for name in files:
            code = "".join([*(piece.removeprefix("@") for piece in pieces), name])
            try:
                yield base64.urlsafe_b64decode(code).decode()
            except ValueError:
                continue  # no record of Snakemake's


def own(workflow: Any, folder: FilePath) -> list[Any]:
    """The rules (list of snakemake.rules.Rule) of a workflow so far whose files lie below a folder."""
    return [rule for rule in workflow.rules if Path(rule.snakefile).is_relative_to(folder)]


def lost(targets: Targets, rules: Sequence[Any], made: Iterable[str]) -> list[str]:
    """The outputs that are not there any more, of those that the configuration still asks for.

    Parameters
    ----------
    targets : pharmasl.workflow.targets.study_targets.Targets
    rules : iterable of snakemake.rules.Rule
    made : iterable of str
        As :func:`names` gives them.

    Returns
    -------
    list of str
        Sorted. What has served its turn (temporary files) is not missed.
    """
    root = os.path.join(targets.paths.root, "")
    gone = [path for path in made if path.startswith(root) and not os.path.lexists(path)]
    return sorted(path for path in gone if any(_makes(rule, path, targets) for rule in rules))


def _makes(rule, path, targets):
    if not rule.is_producer(path) or any(output.flags.get("temp") for output in rule.output if output.match(path)):
        return False
    return _asked(targets, rule.name, rule.get_wildcards(path))


def _asked(targets, name, wildcards):
    """Whether the configuration asks for a rule's output for some wildcards, of those that would make files."""
    study = targets.study
    craving, arms = study.settings.craving, study.settings.arms
    optional = {
        "craving_scores": craving,
        "craving_model": craving,
        "craving_figure": craving,
        "roi_craving": targets.craving.rois(),
        "craving_mediation": targets.craving.mediators(),
        "seed_slopes": targets.slopes.analyses(),
        **dict.fromkeys(
            ("repeatability", "repeatability_maps", "repeatability_figure"), targets.repeated.is_repeated()
        ),
        "participant_flow": arms,
        "flow_figure": arms,
        "allocation_log": None,
        **dict.fromkeys(ON_REQUEST),
        "trial_verdict": study.settings.primary,
    }
    if name in optional:
        return bool(optional[name])
    if name == "scan_field":
        return wildcards["scan"] in targets.field_maps.scans()
    if name == "known_tissue":
        return wildcards["scan"] in targets.tissue.scans()
    if name == "roi_left_out":
        return wildcards["roi"] in targets.clusters.left_out()
    visits = {study.visit_stem(visit): visit for visit in study.visits}
    if name in ("session_contrast", "import_contrast"):
        visit = visits.get(wildcards["visit"])
        return visit is not None and study.has_contrast(visit, targets.stems.contrast_name(wildcards["contrast"]))
    known = {"scan": study.scans, "anat": study.t1w, "visit": visits, "model": targets.models}
    return all(wildcards[key] in values for key, values in known.items() if key in wildcards)
