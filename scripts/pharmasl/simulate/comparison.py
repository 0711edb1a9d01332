"""The results of the workflow on the simulated trial, compared with the truth.

*Planted* is the amount in grey matter at a region's centre. A scanner's voxel contains other tissue too and the maps are
smoothed, so that even a perfect workflow would find less; *expected* is what it would find: the truth at the scanner's
resolution, smoothed as the workflow smooths, estimated by the same least squares, averaged over the region by its weight.
*Found* is the same average of the workflow's own map.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.simulate import accuracy, brain_comparison, comparison_table, craving_comparison, distortion_comparison
from pharmasl.simulate.accuracy import PersonFiles, RunFiles
from pharmasl.simulate.brain_comparison import AnalysisFiles, AnalysisResult
from pharmasl.simulate.distortion_comparison import FieldFiles
from pharmasl.simulate.simulation_settings import ComparedNames
from pharmasl.study.settings import Arms, SessionPair

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComparisonFiles:
    """Paths of the truth and of the results.

    Attributes
    ----------
    plan, effects, scans : path-like
        Tables of the truth.
    truth_cbf, cbf : sequence of path-like
        Maps of the scans that are compared.
    conditions : sequence of path-like
        The truth's maps of these scans' conditions: of a run in which cues alternate one of each, of another the scan's own.
    regions : path-like
        Table of the regions at rest.
    masks : mapping of str to path-like
        Of the regions, by name.
    rest, association : AnalysisFiles
    model, correlations : path-like
        Tables of the analyses of craving.
    cigarettes : path-like or None
        Table of the endpoint's models; None where the study has no such endpoint.
    cue : AnalysisFiles or None
    cue_regions : path-like or None
        Of the cue response at baseline, and its table of regions; None where the study has no such analysis.
    gm : path-like
        Grey matter shares of the template.
    people : sequence of PersonFiles
    runs : sequence of RunFiles
    truth_att, att : sequence of path-like
        Maps of arterial transit time of the scans that are compared; none unless they are time-encoded and it was planted.
    field : FieldFiles or None
        None where no magnetic field was planted.
    """

    plan: FilePath
    effects: FilePath
    scans: FilePath
    truth_cbf: Sequence[FilePath]
    cbf: Sequence[FilePath]
    conditions: Sequence[FilePath]
    regions: FilePath
    masks: Mapping[str, FilePath]
    rest: AnalysisFiles
    association: AnalysisFiles
    model: FilePath
    correlations: FilePath
    cigarettes: FilePath | None
    cue: AnalysisFiles | None
    cue_regions: FilePath | None
    gm: FilePath
    people: Sequence[PersonFiles]
    runs: Sequence[RunFiles]
    truth_att: Sequence[FilePath]
    att: Sequence[FilePath]
    field: FieldFiles | None


def write_comparison(
    files: ComparisonFiles,
    states: Sequence[tuple[str, int, str]],
    *,
    table: FilePath,
    text: FilePath,
    arms: Arms,
    sessions: SessionPair,
    compare: ComparedNames,
    fwhm: float,
    alpha: float,
) -> None:
    """Compare truth and results; write a table and a text.

    Parameters
    ----------
    files : ComparisonFiles
    states : sequence of (str, int, str)
        Participant, number of the run and condition of the files of ``conditions``, in their order: of those scans that the study has.
    table, text : path-like
        Written.
    arms : settings.Arms
    sessions : settings.SessionPair
    compare : simulation_settings.ComparedNames
    fwhm : float
        Of the workflow's smoothing, mm.
    alpha : float
        Level of the tests of craving.
    """
    drawn, effects, planted = (tables.read_table(path) for path in (files.plan, files.effects, files.scans))
    by_run = {(row["participant_id"], int(row["run"])): row for row in planted}
    compared = list(dict.fromkeys((who, run) for who, run, _ in states))
    scans = [by_run[name] for name in compared]
    present = {name for name, _ in compared}
    participants = [row for row in drawn if row["participant_id"] in present]
    # Their follow-up scores are missing.
    scored = [row for row in participants if row.get("dropped") != "yes"]
    LOG.info("%d of %d participants, %d of %d scans", len(participants), len(drawn), len(scans), len(planted))
    named = [{**by_run[who, run], "condition": condition} for who, run, condition in states]
    truth = brain_comparison.Truth(participants, effects, brain_comparison.TruthMaps(named, files.conditions, fwhm))
    rest, association = AnalysisResult(files.rest), AnalysisResult(files.association)
    rows = [
        *brain_comparison.brain_rows(truth, rest, association, files.masks, arms=arms, sessions=sessions),
        *brain_comparison.region_rows(truth, rest, files.regions, files.masks, arms=arms, sessions=sessions),
        *(
            brain_comparison.cue_rows(
                truth, AnalysisResult(files.cue), files.cue_regions, files.masks, sessions=sessions
            )
            if files.cue and files.cue_regions
            else ()
        ),
        *craving_comparison.craving_rows(
            scored,
            model=tables.read_table(files.model),
            correlations=tables.read_table(files.correlations),
            arms=arms,
            compare=compare,
            alpha=alpha,
        ),
        *(
            craving_comparison.cigarette_rows(scored, tables.read_table(files.cigarettes), arms=arms, alpha=alpha)
            if files.cigarettes
            else ()
        ),
        *accuracy.map_rows(files.truth_cbf, files.cbf, files.gm),
        *(accuracy.transit_rows(files.truth_att, files.att, files.gm) if files.truth_att else ()),
        *accuracy.geometry_rows(files.people, files.runs, files.gm),
        *(
            distortion_comparison.distortion_rows(
                files.field,
                files.people,
                files.runs,
                list(zip(files.truth_cbf, files.cbf, strict=True)),
                files.gm,
            )
            if files.field
            else ()
        ),
    ]
    for row in rows:
        LOG.info("%s, %s: %s", row.effect, row.region, row.verdict)
    comparison_table.write_table(table, rows)
    Path(text).write_text(comparison_table.text(rows, "Planted and found"), encoding="utf-8")
