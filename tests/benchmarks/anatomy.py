"""Core-seconds of each step of the anatomy stage on one T1-weighted image.

    python tests/benchmarks/anatomy.py T1W [--resolution 2] [--affine 50x0x0] [--warp 60x10x0] [--folder DIR]

The three scripts run as the rules run them, one thread, in this process; the first call of a numba function compiles it,
so the second run of the benchmark is the one to read.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from loading import script
from pharmasl import template


def core_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def template_files(folder):
    paths = []
    for size in ("res-1", "res-2"):
        names = {"t1w": "T1w", "mask": "mask", "GM": "GM", "WM": "WM", "CSF": "CSF"}
        paths.append({key: str(folder / f"tpl_{size}_{name}.nii.gz") for key, name in names.items()})
    if not Path(paths[1]["CSF"]).exists():
        template.write_template(*paths, 2.0)
    return paths


def run(t1w, folder, registration):
    """Run the chain; returns the paths written and the core-seconds of each step."""
    fine, coarse = template_files(folder)
    given = {
        "t1w": t1w,
        "template": fine["t1w"],
        **{f"priors_{tissue.lower()}": fine[tissue] for tissue in ("GM", "WM", "CSF")},
        "reference": coarse["t1w"],
    }
    steps = {
        "prepare_anatomy": ("preproc.nii.gz", "mask.nii.gz", "sidecar.json"),
        "normalise_anatomy": ("forward.nii.gz", "inverse.nii.gz", "sidecar.json"),
        "segment_anatomy": ("gm.nii.gz", "wm.nii.gz", "csf.nii.gz", "template_t1w.nii.gz", "template_gm.nii.gz"),
    }
    params = SimpleNamespace(bias={}, registration=registration, segmentation={})
    seconds = {}
    for name, files in steps.items():
        made = {file.split(".")[0]: str(folder / f"{name}_{file}") for file in files}
        start = core_seconds()
        script(name).main(
            SimpleNamespace(input=SimpleNamespace(**given), output=SimpleNamespace(**made), params=params, threads=1)
        )
        seconds[name] = core_seconds() - start
        given.update(made)
    return given, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("t1w")
    parser.add_argument("--resolution", type=int, default=1)
    parser.add_argument("--affine", default="100x0x0")
    parser.add_argument("--warp", default="100x50x0")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    registration = {
        "resolution": given.resolution,
        "affine_iterations": given.affine,
        "warp_iterations": given.warp,
    }
    start = time.time()
    _, seconds = run(given.t1w, folder, registration)
    for name, value in seconds.items():
        print(f"{name:20s} {value:6.1f} core-s")
    print(f"{'all':20s} {sum(seconds.values()):6.1f} core-s, {time.time() - start:.1f} s of wall time")
    print("checks", json.loads((folder / "normalise_anatomy_sidecar.json").read_text())["Checks"])


if __name__ == "__main__":
    main()
