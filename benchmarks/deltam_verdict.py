"""The verdict on the registration of series that hold differences alone, at right and wrong poses.

    python benchmarks/deltam_verdict.py FOLDER RESULTS

FOLDER holds BIDS datasets, RESULTS what benchmarks/real_scans.py left of them (its ``--work``). Of each scan with a T1w
of its own the mean difference is judged by itself: at the pose by which the whole series was registered, and at poses moved
and turned away from it, in seeded random directions.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

import complete_settings
from pharmasl.perfusion import acceptance, tissue_maps
from pharmasl.space import images, transforms

POSES = 10
MOVES = {
    "moved 8 mm": (8, 0),
    "moved 16 mm": (16, 0),
    "moved 30 mm": (30, 0),
    "turned 10 deg": (0, 10),
    "turned 20 deg": (0, 20),
}


def scans(folder, results):
    """Name, mean difference, affine, tissues and pose of every scan with a T1w of its own."""
    for dataset in sorted(path.parent for path in folder.glob("*/dataset_description.json")):
        config = {"bids_dir": str(dataset), "output_dir": "out", "conditions": {"rest": {}}}
        study = complete_settings.read({**config, "anatomy": {"missing_t1w": "template"}})
        for stem, scan in study.scans.items():
            anatomy = study.anatomy(scan.visit)
            types = np.array(scan.acquisition.volume_types)
            if not study.t1w[anatomy] or not {"control", "label"} <= set(types):
                continue
            base = results / dataset.name / "results"
            maps = [images.load(base / f"{anatomy}_label-{name}_probseg.nii.gz") for name in ("GM", "WM", "CSF")]
            tissues = tissue_maps.reduce([map_ for map_, _ in maps], maps[0][1])
            pose = np.linalg.inv(transforms.read_affines(base / f"{stem}_from-aslref_to-T1w_mode-image_xfm.txt")[0])
            series, affine = images.load(base / f"{stem}_desc-preproc_asl.nii.gz")
            difference = series[..., types == "control"].mean(axis=3) - series[..., types == "label"].mean(axis=3)
            yield f"{dataset.name} {scan.name}", np.nan_to_num(difference), affine, tissues, pose


def wrong_poses(rng, pose, centre, move, turn):
    for _ in range(POSES):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        yield transforms.rigid_matrix(move * direction, np.radians(turn) * direction, centre) @ pose


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    options = parser.parse_args()
    print(
        "| scan | right pose | overlap (by brightness as it is) | contrast, times that displaced | "
        + " | ".join(MOVES)
        + " |"
    )
    print("|---" * (4 + len(MOVES)) + "|")
    for name, image, affine, tissues, pose in scans(options.folder, options.results):
        grid, rng = images.Grid(image.shape, affine), np.random.default_rng(20200218)
        right = acceptance.judge({"deltaM": image}, tissues, grid, pose)
        plain = acceptance.judge({"difference": image}, tissues, grid, pose)
        centre = (pose @ affine @ [*((np.array(image.shape) - 1) / 2), 1])[:3]
        cells = [
            name,
            "accepted" if right["Accepted"] else "refused",
            f"{right['Overlap']:.2f} ({plain['Overlap']:.2f})",
            f"{right['Contrast']:.2f}, {right['Contrast'] / max(right['ContrastDisplaced'], 1e-9):.1f}",
        ]
        for move, turn in MOVES.values():
            verdicts = [
                acceptance.judge({"deltaM": image}, tissues, grid, wrong)["Accepted"]
                for wrong in wrong_poses(rng, pose, centre, move, turn)
            ]
            cells.append(f"{verdicts.count(False)} of {POSES} refused")
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
