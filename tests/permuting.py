"""Null distributions as tests ask for them: by arrays of relabellings and settings by name."""

from pharmasl.group.engine import permutation, relabelling, tfce
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.permutation import Stride
from pharmasl.group.engine.relabelling import Relabellings


def enhancement(extent_power=0.5, height_power=2.0, neighbours=6, scale="t"):
    """As Smith and Nichols (2009) and FSL have it, with changes."""
    return tfce.Enhancement(extent_power=extent_power, height_power=height_power, neighbours=neighbours, scale=scale)


def enhance(t, mask, settings=None, df=None):
    return tfce.enhance(t, mask, settings or enhancement(), df)


def null_distribution(data, model, permutations, lattice, threshold=None, *, signs=None, threads=1, **settings):
    stride = {name: settings.pop(name) for name in ("batch", "tile", "integers") if name in settings}
    return permutation.null_distribution(
        data,
        model,
        Relabellings(permutations=permutations, signs=signs),
        lattice,
        MaximumStatistics(threshold=threshold, **settings),
        threads=threads,
        stride=Stride(**stride),
    )


def null_by_arm(by_arm, permutations, lattice, threshold, threads=1, **settings):
    return by_arm.null(permutations, lattice, MaximumStatistics(threshold=threshold, **settings), threads=threads)


def smallest_p(model, permutations=None, two_sided=True, signs=None):
    return relabelling.smallest_p(model, Relabellings(permutations=permutations, signs=signs), two_sided)
