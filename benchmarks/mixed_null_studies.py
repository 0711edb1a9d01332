"""How often a mixed model over the brain is called significant where there is nothing, by each way to a family-wise p.

    python benchmarks/mixed_null_studies.py [studies] [rows...]

Smooth noise in a ball of about 1,000 voxels, three sessions (two in the crossover), a quarter of the scans missing: at random, or mostly
in one arm. Covariance: a random intercept (between-participant share .5), or a random slope too, which the models do not know. Each
cell: the shares of studies with family-wise p <= .05 by the largest height, the largest extent, and TFCE.

reallocation: whole participants' labels dealt anew, effects of the treatment that are not tested taken off first; all off: the arms' difference
at baseline taken off too; sharp: nothing taken off; signs: signs of participants' whitened residuals;
SwE: the marginal model's t or F with small-sample covariance and wild bootstrap of restricted residuals (Guillaume 2014).
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage, special

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group.engine import clusters, exchange, height_tables, reallocation, relabelling, tfce
from pharmasl.group.engine.maxima import MaximumStatistics

SHAPE, RADIUS, SMOOTH, SEED = (14, 14, 14), 6.3, 1.3, 20261128
DRAWN, FORMING_P, ALPHA = 200, 0.001, 0.05
ENHANCEMENT = tfce.Enhancement(extent_power=0.5, height_power=2.0, neighbours=6, scale="t")
METHODS = ("reallocation", "all off", "sharp", "signs", "SwE")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table: whom, how many sessions, what is missing and what is tested."""

    arms: tuple
    tested: str
    missing: str = "random"
    slope: float = 0.0
    effect: float = 0.0
    methods: tuple = METHODS


def rows():
    """The rows of the table, by number."""
    table = []
    for arms in ((7, 8), (5, 10), (8, 16), (22, 23), (12, 33)):
        for missing, slope in (("random", 0.0), ("random", 1.0), ("by arm", 0.0), ("by arm", 1.0)):
            table.append(Row(arms, "arm:session, last", missing, slope))
    for arms in ((7, 8), (8, 16), (22, 23)):
        table.append(Row(arms, "arm:session, F", "random", 1.0))
        table.append(Row(arms, "arm:session, common baseline", "by arm", 1.0))
        table.append(Row(arms, "arm", "by arm", 0.0))
        table.append(Row(arms, "crossover", "random", 0.0))
        table.append(Row(arms, "arm:genotype", "random", 0.0, 3.0))
        table.append(Row(arms, "session in one arm", "random", 0.0, methods=("signs", "SwE")))
        table.append(Row(arms, "session in one arm", "random", 1.0, methods=("signs", "SwE")))
        table.append(Row(arms, "genotype", "random", 0.0, methods=("signs", "SwE")))
    return table


def ball():
    """The search volume: ndarray of bool."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return np.linalg.norm(index - (np.array(SHAPE) - 1) / 2, axis=-1) < RADIUS


def smooth(rng, mask, number):
    """Smooth noise of variance 1: ndarray of shape (number, voxels)."""
    maps = np.stack([ndimage.gaussian_filter(rng.normal(size=SHAPE), SMOOTH)[mask] for _ in range(number)])
    return maps / maps.std()


@dataclasses.dataclass
class Study:
    """Scans of a study and its design under each label."""

    participant: np.ndarray
    labels: np.ndarray
    designs: np.ndarray
    weights: np.ndarray
    maps: np.ndarray

    @property
    def design(self):
        return self.designs[self.labels[self.participant], np.arange(len(self.participant))]


def kept_scans(rng, row, labels, sessions):
    """Participants and sessions of the scans that are there."""
    share = np.full(len(labels), 0.25)
    if row.missing == "by arm":
        share = np.where(labels == 1, 0.45, 0.25 - 0.2 * (labels == 1).mean())
    pairs = [
        (p, t) for p in range(len(labels)) for t in range(sessions) if rng.random() >= share[p] * (1.4 if t else 0.2)
    ]
    return np.array(pairs).T


def columns(row, arm, session, genotype):
    """The design of these arms, one per scan."""
    one, late = np.ones(len(session)), [(session == k).astype(float) for k in (1, 2)]
    if row.tested == "crossover":
        return np.column_stack([one, session, (arm == session).astype(float)])
    by_arm = [arm * part for part in late]
    if row.tested == "arm:genotype":
        return np.column_stack([one, *late, arm, genotype, arm * genotype])
    if row.tested == "genotype":
        return np.column_stack([one, *late, arm, genotype])
    if row.tested == "arm:session, common baseline":
        return np.column_stack([one, *late, *by_arm])
    if row.tested == "arm":
        return np.column_stack([one, *late, arm])
    return np.column_stack([one, *late, arm, *by_arm])


def tested_weights(row, terms):
    """Weights of the tested coefficients, (q, terms)."""
    unit = np.eye(terms)
    if row.tested in ("arm:session, F", "arm:session, common baseline"):
        return unit[-2:]
    if row.tested == "session in one arm":
        return unit[2:3] + unit[5:6]
    return unit[-1:]


def study(rng, row, mask):
    """A study without effect."""
    labels = (np.arange(sum(row.arms)) < row.arms[0]).astype(int)
    sessions = 2 if row.tested == "crossover" else 3
    while True:
        participant, session = kept_scans(rng, row, labels, sessions)
        names, participant = np.unique(participant, return_inverse=True)
        own = labels[names]
        genotype = (rng.permutation(len(names)) % 3 == 0).astype(float)[participant]
        designs = np.stack([columns(row, np.full(len(session), float(k)), session, genotype) for k in (0, 1)])
        made = Study(participant, own, designs, tested_weights(row, designs.shape[2]), np.empty(0))
        if np.linalg.matrix_rank(made.design) == designs.shape[2]:
            break
    people = len(names)
    maps = smooth(rng, mask, people)[participant] + smooth(rng, mask, len(session))
    maps += row.slope * session[:, None] * smooth(rng, mask, people)[participant]
    maps += row.effect * own[participant][:, None]
    return dataclasses.replace(made, maps=maps)


class Marginal:
    """The marginal model's sandwich t or F, and its wild bootstrap."""

    def __init__(self, made, drawn):
        x, self.weights, self.signs = made.design, made.weights, drawn
        self.participant, self.q = made.participant, len(made.weights)
        inverse = np.linalg.inv(x.T @ x)
        hat = x @ inverse @ x.T
        others = x @ np.linalg.svd(self.weights)[2][self.q :].T
        null_hat = others @ np.linalg.pinv(others)
        # Residuals of the null model, and of the model, of length as if no degree of freedom had been spent.
        rest = made.maps - null_hat @ made.maps
        self.residuals = rest / np.sqrt(np.maximum(1 - np.diag(null_hat), 1e-9))[:, None]
        self.data, self.fitted = made.maps, null_hat @ made.maps
        self.former = (np.eye(len(x)) - hat) / np.sqrt(np.maximum(1 - np.diag(hat), 1e-9))[:, None]
        self.estimator = self.weights @ inverse @ x.T
        self.member = (made.participant == np.arange(made.participant.max() + 1)[:, None]).astype(float)
        self.tables = height_tables.make(self.q, np.array([float(len(self.member) - np.linalg.matrix_rank(x))]))

    def heights(self, b):
        """z of a bootstrap sample; of the data themselves where b is 0."""
        data = self.fitted + self.signs[b][self.participant][:, None] * self.residuals if b else self.data
        effect, rest = self.estimator @ data, self.former @ data
        scores = np.stack([self.member @ (row[:, None] * rest) for row in self.estimator])
        covariance = np.einsum("ipv,jpv->vij", scores, scores)
        if self.q == 1:
            root = effect[0] / np.sqrt(covariance[:, 0, 0])
        else:
            root = np.sqrt(np.einsum("iv,vi->v", effect, np.linalg.solve(covariance, effect.T[..., None])[..., 0]))
        nodes = self.tables.nodes[0]
        z = np.interp(np.abs(root), np.arange(len(nodes)) / self.tables.per_unit, nodes)
        return np.sign(root) * z if self.q == 1 else z


def dealt(made, drawn, method):
    """Labels dealt anew, with more or less taken off the data before."""
    scheme = exchange.allocation(
        made.designs, made.weights, made.participant, made.labels[drawn], exhaustive=False, log10_distinct=0.0
    )
    if method == "sharp":
        return dataclasses.replace(scheme, null=scheme.fixed)
    if method == "all off":
        observed = scheme.columns[made.labels[made.participant], np.arange(len(made.participant))]
        return dataclasses.replace(scheme, null=np.column_stack([scheme.fixed, observed[:, : -scheme.tested]]))
    return scheme


def maxima_of(made, method, rng, mask):
    """Table (relabellings, 8) of maxima, the observed first."""
    people, seed = len(made.labels), int(rng.integers(2**31))
    lattice = clusters.Lattice(mask, 18)
    statistics = MaximumStatistics(threshold=float(-special.ndtri(FORMING_P)), enhancement=ENHANCEMENT)
    signs, _ = relabelling.flips(np.ones((people, 1)), DRAWN, seed)
    if method == "SwE":
        model, finish, out = Marginal(made, signs), reallocation._Maxima(lattice, statistics), np.zeros((DRAWN, 8))
        for b in range(len(signs)):
            finish(model.heights(b).astype(np.float32), out[b])
        return out[:, [0, 1, 2, 3, 6, 7]]
    if method == "signs":
        scheme = exchange.signs(
            made.design, made.weights, made.participant, signs, exhaustive=False, log10_distinct=0.0
        )
    else:
        orders, _ = relabelling.relabellings(made.labels[:, None].astype(float), DRAWN, seed)
        scheme = dealt(made, orders, method)
    ready = reallocation.prepare(lambda start, stop: made.maps[:, start:stop], made.maps.shape[1], scheme)
    null = reallocation.Reallocation(ready).null(lattice, statistics)
    return np.column_stack(
        [null.max_t, null.min_t, null.extent_positive, null.extent_negative, null.tfce_positive, null.tfce_negative]
    )


def called(table):
    """Whether the observed maximum has p <= ALPHA: of height, extent and TFCE."""
    largest = np.maximum(np.abs(table[:, 0::2]), np.abs(table[:, 1::2]))
    return (largest >= largest[0] * (1 - 1e-6)).mean(axis=0) <= ALPHA


def main(studies, rows_asked):
    """Print the table."""
    mask = ball()
    print(f"{studies} studies a row, {int(mask.sum())} voxels, {DRAWN} relabellings; height / extent / TFCE\n")
    print(f"| arms | tested | missing | slope | {' | '.join(METHODS)} |\n|---|---|---|---|{'---|' * len(METHODS)}")
    for number, row in enumerate(rows()):
        if rows_asked and number not in rows_asked:
            continue
        cells = {}
        for method in row.methods:
            rng = np.random.default_rng([SEED, number])
            made = [study(rng, row, mask) for _ in range(studies)]
            rates = np.mean([called(maxima_of(one, method, rng, mask)) for one in made], axis=0)
            cells[method] = " / ".join(f"{rate:.3f}" for rate in rates)
        print(
            f"| {row.arms[0]} v {row.arms[1]} | {row.tested} | {row.missing} | {row.slope:g} | "
            f"{' | '.join(cells.get(method, '') for method in METHODS)} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=int, nargs="?", default=200)
    parser.add_argument("rows_asked", type=int, nargs="*", metavar="row")
    main(**vars(parser.parse_args()))
