"""What a mixed model over the brain costs beside lme4 per voxel, and its relabelling beside a permutation of the plain model.

    python benchmarks/mixed_models.py [voxels] [voxels of lme4]

43 people, three sessions, a quarter of the later scans missing; two arms by three sessions and age. CPU seconds of one core, all in one run.
lme4 (with lmerTest and pbkrtest where R has them) is timed by R itself, start-up apart.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pharmasl.group import scan_models
from pharmasl.group.engine import clusters, differences, exchange, glm, permutation, reallocation, relabelling, tfce
from pharmasl.group.engine.maxima import MaximumStatistics
from pharmasl.group.engine.relabelling import Relabellings

PEOPLE, TREATED, DRAWN, FORMING = 43, 21, 256, 3.1
ENHANCEMENT = tfce.Enhancement(extent_power=0.5, height_power=2.0, neighbours=6, scale="t")
R = """
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
rows <- read.csv("rows.csv"); y <- as.matrix(read.csv("maps.csv")); rows$id <- factor(rows$id); rows$visit <- factor(rows$visit)
quiet <- lmerControl(check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore")
time <- function(test) system.time(for (k in seq_len(ncol(y))) { rows$y <- y[, k]; test(rows) })[["user.self"]] / ncol(y)
fit <- function(d) lmer(y ~ arm * visit + age + (1 | id), d, control = quiet)
cat(time(function(d) lme4::lmer(y ~ arm * visit + age + (1 | id), d, control = quiet)),
    time(function(d) anova(fit(d), ddf = "Satterthwaite")), time(function(d) anova(fit(d), ddf = "Kenward-Roger")), "\\n")
"""


def cpu(work):
    """CPU seconds, after a first run that compiles."""
    work()
    start = time.process_time()
    work()
    return time.process_time() - start


def of_lme4(participant, arm, session, age, maps):
    """Seconds a voxel of lmer, with Satterthwaite's and with Kenward and Roger's tests."""
    with tempfile.TemporaryDirectory() as folder:
        rows = np.column_stack([participant, arm[participant], session, age[participant]])
        np.savetxt(Path(folder, "rows.csv"), rows, delimiter=",", header="id,arm,visit,age", comments="")
        names = ",".join(f"v{k}" for k in range(maps.shape[1]))
        np.savetxt(Path(folder, "maps.csv"), maps, delimiter=",", header=names, comments="")
        Path(folder, "time.R").write_text(R)
        told = subprocess.run(["Rscript", "time.R"], cwd=folder, capture_output=True, text=True, check=True).stdout
    return [float(part) for part in told.split()[-3:]]


def main(voxels, of_r):
    """Print the table."""
    rng = np.random.default_rng(20261128)
    pairs = [(p, t) for p in range(PEOPLE) for t in range(3) if t == 0 or rng.random() > 0.3]
    participant, session = np.array(pairs).T
    arm, age = (np.arange(PEOPLE) < TREATED).astype(int), rng.normal(size=PEOPLE)

    def design(of):
        late = [(session == k).astype(float) for k in (1, 2)]
        return np.column_stack([np.ones(len(session)), of, *late, *(of * part for part in late), age[participant]])

    designs = np.stack([design(np.full(len(session), float(k))) for k in (0, 1)])
    matrix, weights = design(arm[participant].astype(float)), np.eye(7)[4:6]
    level = rng.normal(size=(PEOPLE, voxels)).astype(np.float32)
    maps = (50 + level[participant] + rng.normal(size=(len(pairs), voxels))).astype(np.float32)
    maps = np.ascontiguousarray(maps.T).T
    orders, _ = relabelling.relabellings(arm[:, None].astype(float), DRAWN, 1)
    side = int(np.ceil(voxels ** (1 / 3)))
    mask = (np.arange(side**3) < voxels).reshape(side, side, side)
    lattice = clusters.Lattice(mask, 18)
    print(f"{len(pairs)} scans of {PEOPLE} people, {voxels} voxels, {DRAWN} relabellings, {matrix.shape[1]} terms\n")
    with threadpool_limits(1):
        plain, satterthwaite, kenward = of_lme4(participant, arm, session, age, maps[:, :of_r].astype(float))
        for method, theirs in (("satterthwaite", satterthwaite), ("kenward-roger", kenward)):
            for name, tested in (("t", weights[1:]), ("F of 2", weights)):
                ours = cpu(
                    lambda tested=tested, method=method: scan_models.fit(
                        maps, matrix, tested, participant, method=method
                    )
                )
                print(
                    f"fit and {name}, {method}: {1e6 * ours / voxels:.1f} us a voxel; lme4's fit {1e6 * plain:.0f}, with the tests "
                    f"{1e6 * theirs:.0f}: ratio {theirs * voxels / ours:.0f}"
                )
        x, others = np.ascontiguousarray(matrix[:, 5]), np.delete(matrix, 5, axis=1)
        form = glm.partial_form(x, others)
        fitted = differences.fit(maps, form)
        rows = np.stack([np.arange(len(x)), *(rng.permutation(len(x)) for _ in range(DRAWN - 1))])
        for words, statistics in (
            ("peak and extent", MaximumStatistics(threshold=FORMING)),
            ("with TFCE", MaximumStatistics(threshold=FORMING, enhancement=ENHANCEMENT)),
        ):
            base = cpu(
                lambda statistics=statistics: permutation.null_distribution(
                    fitted, form, Relabellings(permutations=rows), lattice, statistics
                )
            )
            for name, tested in (("t", weights[1:]), ("F of 2", weights)):
                scheme = exchange.allocation(
                    designs, tested, participant, arm[orders], exhaustive=False, log10_distinct=0.0
                )
                made = reallocation.Reallocation(
                    reallocation.prepare(lambda start, stop: maps[:, start:stop], voxels, scheme)
                )
                own = cpu(lambda made=made, statistics=statistics: made.null(lattice, statistics))
                print(
                    f"{words}, {name}: {1e3 * own / DRAWN:.2f} ms a relabelling; a permutation of the plain model of as many rows "
                    f"{1e3 * base / DRAWN:.2f}: ratio {own / base:.1f}"
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voxels", type=int, nargs="?", default=60000)
    parser.add_argument("of_r", type=int, nargs="?", default=200, help="voxels of lme4")
    main(**vars(parser.parse_args()))
