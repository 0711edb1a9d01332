"""How often a model with a voxelwise covariate calls an analysis significant where there is nothing, by scheme of relabelling.

    python benchmarks/voxelwise_nulls.py [--studies 1000] [--families 0 1 ...]

Outcome, covariate and errors are smooth maps in a ball of 949 voxels; the outcome depends on the covariate (a voxel's own
baseline, say) and not on the tested variable. Z holds the constant and an age that goes with the tested variable (r = .4); the
covariate's correlation with it is that of the family. Each study draws 200 relabellings, the observed labelling among them; a test
rejects where its family-wise p is at most .05, both signs counted. The standard error of a rate of .05 in 1,000 studies is .007.

Schemes (Winkler et al. 2014, NeuroImage 92:381): Freedman and Lane permute the residuals of the reduced model, ter Braak those of the
full one, Dekker the tested variable's residuals (here in each voxel, or those on Z alone), Draper and Stoneman the variable itself.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from scipy import ndimage, special

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import clusters, components, maxima

SHAPE, RADIUS, SMOOTH, SEED = (13, 13, 13), 6.1, 1.3, 20261128
RELABELLINGS, ALPHA, FORMING_P = 200, 0.05, 0.005
SCHEMES = ("Freedman-Lane", "ter Braak", "Dekker, voxel", "Dekker, Z", "Draper-Stoneman")


@dataclass(frozen=True)
class Family:
    """Studies of one kind: participants treated and not, the covariate's correlation with what is tested, errors, and kind."""

    treated: int
    control: int
    correlation: float
    errors: str = "normal"
    tested: str = "arm"

    @property
    def words(self):
        who = f"{self.treated} v {self.control}" if self.tested == "arm" else f"{self.treated + self.control}, slope"
        return f"{who} | {self.correlation:g} | {self.errors}"


FAMILIES = (
    *(Family(6, 6, r) for r in (0, 0.4, 0.8)),
    *(Family(6, 14, r) for r in (0, 0.4, 0.8)),
    *(Family(15, 30, r) for r in (0, 0.4, 0.8)),
    *(Family(6, 14, r, "skewed") for r in (0, 0.8)),
    Family(6, 6, 0.8, "skewed"),
    *(Family(10, 10, r, "normal", "slope") for r in (0.4, 0.8)),
)


def ball():
    """The search volume: ndarray of bool."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return np.linalg.norm(index - (np.array(SHAPE) - 1) / 2, axis=-1) < RADIUS


def smooth_maps(rng, mask, people, skewed=False):
    """Maps of standard deviation 1, (people, voxels): smooth, with a part that is a person's own everywhere."""
    maps = np.stack([ndimage.gaussian_filter(rng.normal(size=SHAPE), SMOOTH, mode="wrap")[mask] for _ in range(people)])
    maps = maps / 0.101 + 0.5 * rng.normal(size=(people, 1))
    maps /= np.sqrt(1.25)
    return (np.exp(0.8 * maps) - np.exp(0.32)) / 1.3 if skewed else maps


def study(rng, mask, family):
    """Tested variable (n,), common nuisance (n, 2), covariate and outcome (n, V)."""
    n = family.treated + family.control
    x = (np.arange(n) < family.treated).astype(float) if family.tested == "arm" else rng.normal(size=n)
    standard = (x - x.mean()) / x.std()
    age = 0.4 * standard + np.sqrt(1 - 0.16) * rng.normal(size=n)
    skewed, r = family.errors == "skewed", family.correlation
    covariate = r * standard[:, None] + np.sqrt(1 - r**2) * smooth_maps(rng, mask, n, skewed)
    outcome = covariate + 0.3 * age[:, None] + smooth_maps(rng, mask, n, skewed)
    return x, np.column_stack([np.ones(n), age]), covariate, outcome


def without(values, basis):
    return values - basis @ (basis.T @ values)


def unit(values):
    return values / np.sqrt((values**2).sum(axis=0))


@njit(cache=True, fastmath=True)
def _dots(one, other, order, out):
    """Products (V,) of the rows of one in this order with those of the other."""
    out[:] = 0.0
    for i in range(other.shape[0]):
        row, beside = one[order[i]], other[i]
        for v in range(out.size):
            out[v] += row[v] * beside[v]


@njit(cache=True, fastmath=True)
def _take_common(moved, basis, order, rest):
    """Less the squares of the products with common columns."""
    total = np.empty(rest.size)
    for c in range(basis.shape[1]):
        total[:] = 0.0
        for i in range(basis.shape[0]):
            row = moved[order[i]]
            for v in range(rest.size):
                total[v] += basis[i, c] * row[v]
        for v in range(rest.size):
            rest[v] -= total[v] * total[v]


@njit(cache=True, fastmath=True)
def _finish(b, c, rest, given, df, out):
    """T of products b and c with what is tested and with the covariate; ``given``: of a variable that is not yet of length 1."""
    for v in range(out.size):
        left = rest[v] - c[v] * c[v]
        if given:
            b[v] = b[v] / np.sqrt(max(left, 1e-14))
            left = 1.0
        out[v] = b[v] * np.sqrt(df / max(left - b[v] * b[v], 1e-14))


@njit(cache=True, fastmath=True)
def _relabelled(data, common, basis, orders, df, out):
    """Fill the t (5, B, V) of all schemes."""
    own, reduced, full, tested = data
    same = np.arange(own.shape[0])
    width = own.shape[1]
    b, c, rest = np.empty(width), np.empty(width), np.empty(width)
    spread = np.empty_like(own)
    for p in range(orders.shape[0]):
        order = orders[p]
        for scheme in range(2):
            residuals = reduced if scheme == 0 else full
            rest[:] = 1.0
            _take_common(residuals, basis, order, rest)
            _dots(residuals, tested, order, b)
            _dots(residuals, own, order, c)
            _finish(b, c, rest, False, df, out[scheme, p])
        rest[:] = 1.0
        _take_common(tested, basis, order, rest)
        _dots(tested, reduced, order, b)
        _dots(tested, own, order, c)
        _finish(b, c, rest, True, df, out[2, p])
        for scheme in range(2):
            for i in range(own.shape[0]):
                spread[i, :] = common[scheme, p, i]
            rest[:] = 1.0
            _dots(spread, reduced, same, b)
            _dots(spread, own, same, c)
            _finish(b, c, rest, True, df, out[3 + scheme, p])


def maps_of(x, z, covariate, outcome, orders):
    """For each scheme the t maps of all relabellings, (B, V); the first is the observed labelling's in every scheme."""
    df = len(x) - z.shape[1] - 2
    basis = np.linalg.qr(z)[0]
    own = unit(without(covariate, basis))
    reduced = without(outcome, basis)
    reduced = unit(reduced - own * (own * reduced).sum(axis=0))
    tested = without(x[:, None], basis)
    tested = unit(tested - own * (own * tested).sum(axis=0))
    full = unit(reduced - tested * (tested * reduced).sum(axis=0))
    on_z = unit(without(x[:, None], basis))[:, 0]
    common = np.stack([unit(without(variable[orders].T, basis)).T for variable in (on_z, x)])
    b = (tested * reduced).sum(axis=0)
    out = np.empty((len(SCHEMES), len(orders), covariate.shape[1]))
    _relabelled((own, reduced, full, tested), common, basis, orders, float(df), out)
    out[:, 0] = b * np.sqrt(df / (1 - b**2))
    return dict(zip(SCHEMES, out)), df


def rejections(maps, df, lattice):
    """Whether the largest |t|, and the largest cluster of either sign, reject."""
    threshold = float(special.stdtrit(df, 1 - FORMING_P))
    neighbourhood, extents, found = lattice.neighbourhood(), np.zeros(len(maps)), np.zeros(4)
    for b, t in enumerate(maps):
        above = np.flatnonzero(np.abs(t) > threshold).astype(np.int32)
        components.largest_clusters(
            components.Suprathreshold(above, t[above], t[above]), neighbourhood, 0.0, False, found
        )
        extents[b] = found[:2].max()
    largest = np.abs(maps).max(axis=1)
    return [maxima.family_wise_p(values[:1], values)[0] <= ALPHA + 1e-12 for values in (largest, extents)]


def rates(family, studies):
    """Scheme to its rates of the largest |t| and of the extent."""
    mask = ball()
    lattice = clusters.Lattice(mask, 18)
    rng = np.random.default_rng([SEED, FAMILIES.index(family)])
    hits = {scheme: np.zeros(2) for scheme in SCHEMES}
    for _ in range(studies):
        x, z, covariate, outcome = study(rng, mask, family)
        orders = np.argsort(rng.random((RELABELLINGS, len(x))), axis=1)
        orders[0] = np.arange(len(x))
        maps, df = maps_of(x, z, covariate, outcome, orders)
        for scheme, own in maps.items():
            hits[scheme] += rejections(own, df, lattice)
    return {scheme: counts / studies for scheme, counts in hits.items()}


def main():
    """Print the table's rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--families", type=int, nargs="*", default=range(len(FAMILIES)))
    options = parser.parse_args()
    print(f"| people | r with the covariate | errors | {' | '.join(SCHEMES)} |")
    print("|---" * (3 + len(SCHEMES)) + "|")
    for number in options.families:
        found = rates(FAMILIES[number], options.studies)
        cells = " | ".join(f"{voxel:.3f} / {extent:.3f}" for voxel, extent in found.values())
        print(f"| {FAMILIES[number].words} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
