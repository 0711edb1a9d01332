"""The methods text of conditions that alternate in blocks within a run."""

from pharmasl.report.words import listed, short
from pharmasl.statistics import block_design
from pharmasl.study.labels import NAMES, Labels
from pharmasl.study.settings import Settings


def blocks(settings: Settings, labels: Labels = NAMES) -> str | None:
    """How the CBF of each condition of such a run was estimated; None where each state has runs of its own.

    Parameters
    ----------
    settings : Settings
    labels : Labels
    """
    names = settings.block_conditions
    if not names:
        return None
    asked, motion = settings.blocks, settings.perfusion.motion.regress
    response = (
        f"spread by a gamma distribution of mean delay {short(asked.delay)} s (shape {block_design.SHAPE}, without an undershoot)"
        if asked.delay
        else "taken to be answered at once"
    )
    least, cycles = short(block_design.LEAST_CUTOFF), short(block_design.CUTOFF_CYCLES)
    drift = (
        f"{least} s or {cycles} cycles (whichever is longer)" if asked.cutoff is None else f"{short(asked.cutoff)} s"
    )
    return (
        f"In some runs {listed(map(labels.condition, names))} alternated in blocks. Each condition\u2019s CBF was estimated from "
        "the realigned volumes before subtraction by a linear model (Liu and Wong 2005; Mumford et al. 2006; Hernandez-Garcia et "
        "al. 2010) of perfusion at baseline and its change in each condition (columns times +1/2 for control and \u22121/2 for "
        "label), perfusion\u2019s slowest drift, the BOLD response to each condition, cosines of drift of periods of at least "
        f"{drift}{', six motion parameters' * motion}, and a constant, at the time at which each slice was read. Blocks were "
        f"{response}. Noise was autoregressive of first order in each voxel. Both volumes of a pair that was left out had a column of "
        "their own. A condition\u2019s CBF is the sum of baseline and change, times the scan\u2019s factor over M0; the standard error "
        "of a contrast takes the covariance of a run\u2019s conditions into account."
    )
