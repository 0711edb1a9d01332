"""The quality of a CBF map that another program made: measured on the template, and taken from what that program measured.

What can be measured on a map alone is measured as for any scan, with the template's tissues in place of the participant's.
What the program has measured by the same definition (the quality evaluation index, framewise displacement) is taken from it,
because it had the scan's own tissues and volumes. All else is missing, and neither flags nor excludes a scan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.quality import assessment, flags, implausible, judgement
from pharmasl.quality.imported_measures import OF_MAP
from pharmasl.quality.measure_columns import METRICS
from pharmasl.quality.metrics import scan_metrics
from pharmasl.quality.scan_maps import Motion, NativeMaps, Repeats, TemplateMaps
from pharmasl.space import images
from pharmasl.study.settings import ScanRules


@dataclass(frozen=True, kw_only=True)
class ImportedFiles:
    """The files of an imported map whose quality is measured; paths of images on the template's grid.

    Attributes
    ----------
    cbf, coverage : path-like
        Unsmoothed, and where it is known.
    sidecar : path-like
        JSON of the map: ``Consistency``.
    mask, gm, wm, csf : path-like
        The template's brain and tissues.
    """

    cbf: FilePath
    coverage: FilePath
    sidecar: FilePath
    mask: FilePath
    gm: FilePath
    wm: FilePath
    csf: FilePath


def assess(
    table_path: FilePath,
    *,
    scan: assessment.ScanLabel,
    files: ImportedFiles,
    measures: Mapping[str, float],
    rules: ScanRules,
    by_hand: assessment.ByHand,
) -> None:
    """:func:`pharmasl.quality.assessment.assess` of an imported map.

    Parameters
    ----------
    table_path, scan, rules, by_hand
        As there.
    files : ImportedFiles
    measures : mapping
        Measures that the other program has of the scan, by their names here.
    """
    record = tables.read_json(files.sidecar)["Consistency"]
    own = _measured(files)
    own["zero_cbf_share"] = float("nan") if record["ZeroShare"] is None else record["ZeroShare"]
    known = {**{name: own[name] for name in OF_MAP}, **measures}
    every = {name: known.get(name, float("nan")) for name in METRICS}
    findings = judgement.Findings(
        flags=flags.flags(every, {name: band for name, band in flags.resolve(rules.bands).items() if name in known}),
        implausible=implausible.causes(every, record),
        # A mean over repeats that nobody here counted: it is one map, and that is there.
        pairs_used=1,
        pairs=1,
        registration_accepted=None,
    )
    assessment.conclude(table_path, scan, every, findings, rules, by_hand)


def _measured(files: ImportedFiles) -> dict[str, float]:
    """The measures of a map with the template's tissues."""
    cbf, affine = images.load(files.cbf)
    coverage, brain, gm, wm, csf = (images.load(path)[0] for path in _maps(files))
    nothing = np.empty(0)
    return scan_metrics(
        native=NativeMaps(cbf=cbf, brain=brain * (coverage > 0), gm=gm, wm=wm, csf=csf, affine=affine),
        repeats=Repeats(passed=np.ones(1, bool), delays=np.zeros(1)),
        motion=Motion(displacement=nothing, dvars=nothing),
        template=TemplateMaps(cbf=cbf, coverage=coverage, brain=brain, gm=gm, affine=affine),
    )


def _maps(files: ImportedFiles) -> Sequence[FilePath]:
    return files.coverage, files.mask, files.gm, files.wm, files.csf
