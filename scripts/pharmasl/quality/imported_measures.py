"""Which measures of quality there are of CBF maps that another program made."""

from collections.abc import Iterable, Iterator

from pharmasl.errors import InputError
from pharmasl.study.settings import ScanRules
from pharmasl.study.trial import Scan

# What a map on the template shows.
OF_MAP = (
    "qei",
    "structural_similarity",
    "dispersion_index",
    "negative_gm_share",
    "high_cbf_share",
    "spatial_cov",
    "gm_cbf",
    "wm_cbf",
    "gm_wm_ratio",
    "coverage",
    "template_correlation",
    "zero_cbf_share",
    "gm_voxels",
    "gm_threshold",
    "wm_voxels",
    "wm_threshold",
)


def unknown(rules: ScanRules, scans: Iterable[Scan]) -> Iterator[InputError]:
    """Measures that are to exclude scans, and that imported maps do not have.

    Parameters
    ----------
    rules : ScanRules
    scans : iterable of pharmasl.study.trial.Scan

    Yields
    ------
    InputError
        A rule that could not be applied would exclude nobody, in silence.
    """
    maps = [scan for scan in scans if scan.imported]
    for name in rules.exclude:
        without = [scan.name for scan in maps if scan.imported and name not in {*OF_MAP, *scan.imported.measures}]
        if without:
            yield InputError(
                "config",
                "quality.exclude",
                f"{name}, which {len(without)} of {len(maps)} imported CBF maps do not have, {without[0]} among them",
                f"measures of the maps ({', '.join(OF_MAP)}) or of the program's own table",
                "Take it out, or add it as a column to a table of the maps (derivatives.cbf.files).",
            )
