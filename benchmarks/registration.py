"""How far apart the headers of a scan and its anatomy may be: real scans, displaced at random.

    python benchmarks/registration.py [--starts 12] [--distance 40] [--angle 20]

Each scan's mean control is fitted to the template (stretched to it once, from where it lies). Then its header is displaced
by up to the given distance (mm) and angle (degrees), and it is registered anew. Printed: the share that ends within 1 mm
(rms over the brain) and 1 degree of the first result, and the largest distance.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from pharmasl.perfusion import coregistration, series, template_size, tissue_maps
from pharmasl.space import images, template, transforms

DATA = ROOT.parent / "shared" / "data"
SCANS = (
    "siemens-prisma-multiasl/sub-01/perf/sub-01_acq-pcasl3d",
    "siemens-prisma-multiasl/sub-01/perf/sub-01_acq-pasl2d",
    "oxford-pcasl-6pld/sub-01/perf/sub-01",
    "siemens-xa30-pcasl/sub-01/perf/sub-01",
    "openneuro-ds000240-sub01/sub-01/perf/sub-01",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--distance", type=float, default=40)
    parser.add_argument("--angle", type=float, default=20)
    arguments = parser.parse_args()
    _, _, maps, affine = template.tissue_maps()
    general = tissue_maps.reduce([maps[label] for label in template.TISSUES], affine)
    average = template_size.average_size(general)
    rng = np.random.default_rng(0)
    for name in SCANS:
        types = (DATA / f"{name}_aslcontext.tsv").read_text().split()[1:]
        loaded = series.load(DATA / f"{name}_asl.nii.gz", types)
        data, affine, of = loaded.data, loaded.affine, loaded.volumes
        control = data[..., of.control].mean(axis=3)
        start = average @ coregistration.coregister(control, affine, tissue_maps.stretched(general, average)).matrix
        stretch, rigid = template_size.fit_stretch(control, affine, general, start)
        tissues = tissue_maps.stretched(general, stretch)
        best = coregistration.coregister(control, affine, tissues, [rigid]).matrix
        grid = images.Grid(control.shape, affine)
        brain = tissue_maps.carry(tissues.maps.sum(axis=0), tissues.affine, grid, best, parts=1) > 0.5
        points = transforms.points(grid)[brain]
        apart, turned = [], []
        for _ in range(arguments.starts):
            shift, turn = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
            shift, turn = shift * rng.uniform(0, arguments.distance), turn * np.radians(rng.uniform(0, arguments.angle))
            moved = transforms.rigid_matrix(shift, turn, points.mean(axis=0))
            found = coregistration.coregister(control, moved @ affine, tissues).matrix @ moved
            error = transforms.apply(found, points) - transforms.apply(best, points)
            apart.append(np.sqrt((error**2).sum(axis=1).mean()))
            turned.append(
                np.degrees(np.linalg.norm(transforms.rigid_parameters(found @ np.linalg.inv(best), np.zeros(3))[1]))
            )
        caught = sum(a < 1 and t < 1 for a, t in zip(apart, turned))
        print(f"{name}: {caught} of {len(apart)} within 1 mm and 1 degree, worst {max(apart):.2f} mm", flush=True)


if __name__ == "__main__":
    main()
