"""How many slices with planted dropout are called out of line, and how many others; of real scans and of rendered heads.

    python benchmarks/slices.py [--data FOLDER]

A slice of the raw volumes loses a share of its signal, in 2 % of all slices at random. Heads are rendered as they move, up to
3 mm and 3 degrees over 32 volumes; of real scans, those below FOLDER whose volumes are enough (by default the data beside the
checkout). Real scans are realigned by the workflow's first pass, and every slice counts that holds brain. The seconds are of
the measure alone.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests"))

import head
from pharmasl.perfusion import motion, realigned_scan, series, slice_signal, volumes
from pharmasl.space import images, spline, transforms

DATA = ROOT.parent / "shared" / "data"
GRID = head.centred((30, 34, 24), (4.0, 4.0, 5.0))
HEADS = ("still", 0.0), ("moving", 1.0), ("restless", 3.0)
SHARES = (0.02, 0.05, 0.10, 0.30)
PLANTED = 0.02


def rendered(size, seed=1):
    """A series of a head that walks by so many steps, its matrices, brain and kinds (type, delay)."""
    rng, types = np.random.default_rng(seed), ["control", "label"] * 16
    steps = np.cumsum(rng.normal(0, size * np.array([0.1, 0.1, 0.2, 0.002, 0.001, 0.001]), (len(types), 6)), axis=0)
    matrices = np.stack([transforms.rigid_matrix(step[:3], step[3:], (0, 0, 0)) for step in steps])
    made = []
    for kind, matrix in zip(types, matrices):
        level = np.array([300.0, 400.0, 200.0]) - (4.0 if kind == "label" else 0.0)
        made.append(head.scan(GRID, np.linalg.inv(matrix))[..., :3] @ level + rng.normal(0, 2, GRID.shape))
    data = np.stack(made, axis=3).astype(np.float32)
    return (
        data,
        GRID.affine,
        matrices,
        head.scan(GRID)[..., :3].sum(axis=3) > slice_signal.WHOLLY,
        [(kind, 0) for kind in types],
    )


def real(path):
    """A series of a scanner, realigned."""
    types = path.with_name(path.name.replace("_asl.nii.gz", "_aslcontext.tsv")).read_text().split()[1:]
    loaded = series.load(path, types)
    nothing = realigned_scan.M0Volumes(np.zeros((*loaded.data.shape[:3], 0), np.float32), loaded.affine, separate=False)
    scan = realigned_scan.realign(loaded, nothing, correct=True)
    delays = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())["PostLabelingDelay"]
    delays = delays if isinstance(delays, list) else [delays] * len(types)
    kinds = list(zip(types, delays))
    return loaded.data, loaded.affine, scan.matrices, motion.head(scan.mean) > slice_signal.WHOLLY, kinds


def measured(data, affine, matrices, brain, kinds):
    """The slices out of line, and the seconds that they took."""
    points = transforms.points(images.Grid(data.shape[:3], affine))[brain]
    values = np.stack(
        [spline.sample(spline.coefficients(data[..., k]), affine, points, matrices[k]) for k in range(data.shape[3])],
        axis=1,
    )
    loaded = series.Series(data, affine, volumes.sort([kind for kind, _ in kinds], "series"))
    alike = [kind if kind[0] in ("control", "label") else None for kind in kinds]
    begun = time.process_time()
    found = slice_signal.measure(loaded, matrices, alike, values, brain)
    return found, time.process_time() - begun


def rows(name, scan):
    data, affine, matrices, brain, kinds = scan
    untouched, seconds = measured(*scan)
    known = np.isfinite(untouched.change)
    candidates, rng = np.argwhere(known), np.random.default_rng(2)
    clean = f"{untouched.out_of_line.sum()} of {known.sum()}"
    cells = []
    for share in SHARES:
        chosen = candidates[rng.choice(len(candidates), max(round(PLANTED * len(candidates)), 8), replace=False)]
        changed, planted = data.copy(), np.zeros(known.shape, dtype=bool)
        for volume, number in chosen:
            changed[:, :, number, volume] *= 1 - share
            planted[volume, number] = True
        out, _ = measured(changed, affine, matrices, brain, kinds)
        false = (out.out_of_line & ~planted).sum() / (known & ~planted).sum()
        cells.append(f"{out.out_of_line[planted].mean():.2f}; {100 * false:.1f} %")
    print(f"| {name} | {data.shape[3]} | {clean} | {' | '.join(cells)} | {seconds:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data
    print(
        "| series | volumes | out of line, untouched |",
        " | ".join(f"{100 * share:.0f} %" for share in SHARES),
        "| CPU s |",
    )
    print("|---|---|---|" + "---|" * len(SHARES) + "---|")
    for name, size in HEADS:
        rows(f"a {name} head", rendered(size))
    for path in sorted(data.rglob("*_asl.nii.gz")):
        scan = real(path)
        if sum(kind in ("control", "label") for kind, _ in scan[-1]) >= 16:
            rows(path.relative_to(data).parts[0] + " " + path.name.removesuffix("_asl.nii.gz"), scan)


if __name__ == "__main__":
    main()
