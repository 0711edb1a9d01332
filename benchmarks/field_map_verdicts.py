"""How often a right field map is refused, or said not to be confirmed, and how often a wrong one is.

    python benchmarks/field_map_verdicts.py TRIAL --scans 60

TRIAL is a simulated trial that was analysed, with its truth and results. Each scan is of the next participant: the true shares of
tissue (and the T1w beside the brain) in a random pose, in the contrast of M0 or of a suppressed control, with a receive field and
noise, distorted by a random field (above the sinuses 60 to 180 Hz, above the ears -20 to 80 Hz, elsewhere smooth and of 8 Hz) at a
readout time of 15 to 50 ms. The field map has noise of 2 to 8 Hz where the magnitude is that of the brain, was acquired in another
pose (the scan is turned and shifted by up to 5 degrees and 5 mm along each axis, the map by 1.2 and 1.7), and is read and placed as
the workflow does; the tissues are those that the workflow segmented.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests"))

import planted_epi
from pharmasl.perfusion import coregistration, distortion_check, epi_shift, field_map, field_place
from pharmasl.perfusion.epi_shift import Unwarping
from pharmasl.perfusion.field_map import Field
from pharmasl.perfusion.tissue_maps import reduce
from pharmasl.space import fields, images, transforms
from pharmasl.study.distortion import Distortion, PhaseEncoding

SHAPE, VOXEL = (64, 64, 26), np.array([3.44, 3.44, 5.0])
MAP_SHAPE, MAP_VOXEL = (64, 64, 40), np.array([3.44, 3.44, 3.5])
CONTRASTS = {"M0": (0.63, 0.53, 1.0), "suppressed control": (0.09, 0.12, 0.02)}
MAGNITUDE = (0.9, 1.0, 0.5)
WRONG = {"as it is": 1.0, "opposite sign": -1.0, "readout time x 1.5": 1.5, "readout time / 1.5": 1 / 1.5}
# Place in the template (mm), width (mm), and range of the peak (Hz) of a field.
SOURCES = [((0, 58, -26), 22.0, (60, 180)), ((58, -22, -32), 16.0, (-20, 80)), ((-58, -22, -32), 16.0, (-20, 80))]


@dataclass(frozen=True)
class Person:
    """True tissues and what lies beside the brain, on the grid of the T1w; the tissues that were segmented; places of the template."""

    shares: list
    beside: np.ndarray
    affine: np.ndarray
    tissues: object
    to_t1w: tuple
    centre: np.ndarray


def person(trial, name):
    truth, results = (trial / folder / name / "anat" / name for folder in ("truth", "results"))

    def load(stem, what):
        return images.load(f"{stem}_{what}.nii.gz")

    grey, white, mask = (load(truth, what) for what in ("label-GM_probseg", "label-WM_probseg", "desc-brain_mask"))
    fluid = np.clip(mask.data - grey.data - white.data, 0, 1)
    t1w = load(results, "desc-preproc_T1w").data
    beside = 0.3 * np.clip(t1w / np.percentile(t1w[mask.data > 0], 90), 0, 1.2) * (mask.data < 0.5)
    segmented = [load(results, f"label-{kind}_probseg").data for kind in ("GM", "WM", "CSF")]
    inverse, grid = transforms.read_field(next((trial / "results" / name / "anat").glob("*_from-T1w_to-*_xfm.nii.gz")))
    inside = transforms.apply(grey.affine, np.argwhere(mask.data > 0.5)[::97].astype(float))
    return Person(
        shares=[grey.data, white.data, fluid],
        beside=beside,
        affine=grey.affine,
        tissues=reduce(segmented, grey.affine),
        to_t1w=(inverse, grid.affine),
        centre=(inside.max(0) + inside.min(0)) / 2,
    )


def random_field(own, rng):
    """A function of points of the T1w, Hz."""
    places = [fields.sample(*own.to_t1w, np.array([place], dtype=float))[0] for place, _, _ in SOURCES]
    peaks = [rng.uniform(*peak) for _, _, peak in SOURCES]
    grid = np.diag([20.0, 20, 20, 1])
    grid[:3, 3] = own.centre - 200
    background = ndimage.gaussian_filter(rng.normal(size=(21, 21, 21)), 1.5)
    background *= 8 / background.std()

    def hertz(points):
        total = Field(background, grid).at(points)
        for place, peak, (_, width, _) in zip(places, peaks, SOURCES):
            total = total + peak * np.exp(-((points - place) ** 2).sum(-1) / (2 * width**2))
        return total

    return hertz


def rendered(own, points, signal):
    """Signal at points of the T1w, times a receive field."""
    at = np.moveaxis(transforms.apply(np.linalg.inv(own.affine), points), -1, 0)
    total = sum(level * ndimage.map_coordinates(share, at, order=1) for level, share in zip(signal, own.shares))
    total = total + ndimage.map_coordinates(own.beside, at, order=1) * signal[0] / 0.63
    place = (points - own.centre) / 100
    return total * (1.1 + 0.25 * place[..., 1] - 0.2 * place[..., 2] + 0.15 * (place**2).sum(-1))


def centred(shape, voxel, centre):
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = centre - voxel * (np.array(shape) - 1) / 2
    return images.Grid(shape, affine)


def pose(rng, own, shift, turn):
    return transforms.rigid_matrix(rng.uniform(-shift, shift, 3), np.radians(rng.uniform(-turn, turn, 3)), own.centre)


def scan(own, rng):
    """A distorted image, how it was encoded, its field map as the workflow reads it with its magnitude, and what it is made of."""
    hertz = random_field(own, rng)
    encoding = PhaseEncoding(direction=str(rng.choice(["j", "j-"])), readout_time=float(rng.uniform(0.015, 0.05)))
    contrast = str(rng.choice(list(CONTRASTS)))
    grid = centred(SHAPE, VOXEL, own.centre)
    fine = planted_epi.fine_grid(grid)
    points = transforms.apply(pose(rng, own, 5, 5), transforms.points(fine))
    signal = rendered(own, points, CONTRASTS[contrast])
    image = planted_epi.binned(planted_epi.push(signal, hertz(points) * encoding.voxels_per_hertz * planted_epi.FINE))
    noise = float(rng.uniform(0.01, 0.04)) * np.percentile(image, 90)
    image = (image + rng.normal(0, noise, image.shape)).astype(np.float32)
    map_grid = centred(MAP_SHAPE, MAP_VOXEL, own.centre)
    at = transforms.apply(pose(rng, own, 1.7, 1.2), transforms.points(map_grid))
    magnitude = np.abs(rendered(own, at, MAGNITUDE) + rng.normal(0, 0.02, MAP_SHAPE))
    phase = hertz(at) + rng.normal(0, rng.uniform(2, 8), MAP_SHAPE) / np.maximum(magnitude, 0.02)
    phase = np.angle(np.exp(2j * np.pi * 0.00246 * phase))
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/phase.nii.gz", f"{folder}/magnitude.nii.gz"]
        images.save(paths[0], np.round(phase / np.pi * 2048) * 2, map_grid.affine)
        images.save(paths[1], 1000 * magnitude, map_grid.affine)
        field = field_map.read(paths, "phasediff", 0.00246, None, 3.0)
    return image, grid, Distortion(series=encoding), field, magnitude, contrast


def verdict(checked):
    if checked.better is not None:
        return "refused"
    return "accepted" if checked.confirmed else "not confirmed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trial", type=Path)
    parser.add_argument("--scans", type=int, default=60)
    parser.add_argument("--wrong", type=int, default=20, help="how many of them are judged with wrong maps too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", action="store_true", help="print each scan")
    asked = parser.parse_args()
    names = sorted(path.name for path in (asked.trial / "truth").glob("sub-*"))
    verdicts = {name: [] for name in WRONG}
    minima, by = [], []
    for number in range(asked.scans):
        rng = np.random.default_rng([asked.seed, number])
        own = person(asked.trial, names[number % len(names)])
        image, grid, distorted, field, magnitude, contrast = scan(own, rng)
        place = field_place.find(field, magnitude, image, grid.affine, distorted, own.tissues)
        by.append(place.by)
        unwarping = Unwarping(field_map.on_grid(field, grid, place.matrix), distorted)
        fit = coregistration.coregister(epi_shift.unwarped(image, grid.affine, unwarping), grid.affine, own.tissues)
        for name, multiple in WRONG.items():
            if name != "as it is" and number >= asked.wrong:
                continue
            checked = distortion_check.check(image, grid.affine, unwarping.times(multiple), own.tissues, fit.matrix)
            verdicts[name].append(verdict(checked))
            if multiple == 1:
                minima.append(checked.minimum)
            if asked.each:
                shares = ", ".join(f"{share:.4f}" for share in checked.unexplained.values())
                readout = f"{1000 * distorted.series.readout_time:.0f} ms"
                print(
                    number, contrast, readout, place.by, name, shares, checked.minimum, verdicts[name][-1], flush=True
                )
    print("| field map | scans | accepted | not confirmed | refused |\n|---|---|---|---|---|")
    for name, own in verdicts.items():
        counts = " | ".join(str(own.count(kind)) for kind in ("accepted", "not confirmed", "refused"))
        print(f"| {name} | {len(own)} | {counts} |")
    least = [minimum for minimum in minima if minimum is not None]
    print(f"\nRight maps: least at {min(least):.2f} to {max(least):.2f}")
    print(f"placed by registration: {by.count(field_place.REGISTERED)} of {len(by)}")


if __name__ == "__main__":
    main()
