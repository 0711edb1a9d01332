"""How well a field map corrects the distortion of a real head's EPI with a known field, and whether wrong maps are refused.

    python benchmarks/epi_distortion.py RAW RESULTS

RAW is a BIDS dataset of one participant (sub-01) with a T1w, a phase-difference map and a 2D pCASL series; RESULTS holds what the
workflow made of it, with the registration's inverse (`./run results/sub-01/anat/sub-01_from-<space>_to-T1w_mode-image_xfm.nii.gz`).
The head's tissues and its own field, smoothed, are taken as the truth. Signal of fine columns (2 x 8 x 2 to a voxel of 3.44 x 3.44 x
5 mm) is pushed along the phase encoding and binned; a new phase difference with noise (2 Hz where the magnitude is that of the
middle of the head) is made of the field, stored as Siemens does, and read back. Printed are the displacement that is left (root mean square),
the error of the registration, and CBF without noise against that of the undistorted head. The smoothed field is smoother than a head's: its
own smoothing costs less here than it would there. A table is of a head that moved between field map and scan, whose field is placed by the
headers or by registration; the field is then taken to lie with the T1w where the magnitude's registration has it, so that the
error of that registration is not in the table. The last table is of the real series, with its map as it is and spoilt.
"""

import argparse
import copy
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests"))

import planted_epi
from pharmasl.errors import InputError
from pharmasl.perfusion import coregistration, distortion_check, epi_shift, field_map, field_place, opposed_pair
from pharmasl.perfusion.field_map import Field
from pharmasl.perfusion.tissue_maps import reduce
from pharmasl.space import fields, images, spline, transforms
from pharmasl.study.distortion import OPPOSED, Distortion, FieldMap, PhaseEncoding

SHAPE, VOXEL = (64, 64, 26), np.array([3.44, 3.44, 5.0])
PARTS = (2, planted_epi.FINE, 2)
DIFFERENCE, NOISE = 0.00246, 2.0
REGIONS = {
    "brain": None,
    "vmPFC": ((0, 44, -14), 12),
    "frontal pole": ((18, 62, 0), 10),
    "inferior temporal": ((52, -28, -24), 10),
}
# Of the second of two opposed images: its pose against the first (mm, degrees), its noise over the usual one, and how its signal differs
# over the head, a function of the place in 100 mm from the middle.
STILL = ((0, 0, 0), (0, 0, 0))
PAIRS = {
    "as it is": (STILL, 1, None),
    "four times the noise": (STILL, 4, None),
    "gain 1.3": (STILL, 1, lambda place: 1.3),
    "moved 1 mm, 1 degree (left-right)": (((1, 0, 0), (1, 0, 0)), 1, None),
    "moved 1 mm, 1 degree (all axes)": (((0.58,) * 3, (0.58,) * 3), 1, None),
    "receive field 20 % in 100 mm": (STILL, 1, lambda place: 1 + 0.2 * place[..., 1]),
    "receive field of a bowl, 30 % at 100 mm": (STILL, 1, lambda place: 1 + 0.3 * (place**2).sum(-1)),
}
# Where the head lies in the scan against where it lay in the field map: mm, degrees; and the readout times.
MOVED = {
    "still": STILL,
    "2 mm": ((1.15,) * 3, (0, 0, 0)),
    "4 mm": ((2.31,) * 3, (0, 0, 0)),
    "1 degree": ((0, 0, 0), (0.58,) * 3),
    "3 degrees": ((0, 0, 0), (1.73,) * 3),
    "4 mm, 3 degrees": ((2.31,) * 3, (-1.73, 1.73, 1.73)),
}
SPOILT = {"as it is": 1.0, "opposite sign": -1.0, "rad/s as Hz": 2 * np.pi, "readout time x 1.5": 1.5}


def sampled(image, points):
    at = np.moveaxis(transforms.apply(np.linalg.inv(image.affine), points), -1, 0)
    return np.clip(ndimage.map_coordinates(image.data, at, order=1), 0, None)


def averaged(fine):
    shape = [part for size, parts in zip(SHAPE, PARTS) for part in (size, parts)]
    return fine.reshape(shape).mean(axis=(1, 3, 5))


class Head:
    """The head's tissues on a fine grid, its field, and the regions."""

    def __init__(self, anatomy, field):
        self.maps = [images.load(f"{anatomy}_label-{name}_probseg.nii.gz") for name in ("GM", "WM", "CSF")]
        self.tissues = reduce([image.data for image in self.maps], self.maps[0].affine)
        inside = transforms.apply(
            self.maps[0].affine, np.argwhere(sum(image.data for image in self.maps) > 0.5).astype(float)
        )
        centre = (inside.max(axis=0) + inside.min(axis=0)) / 2
        centre[2] = inside[:, 2].max() + 6 - VOXEL[2] * SHAPE[2] / 2
        affine = np.diag([*VOXEL, 1.0])
        affine[:3, 3] = centre - VOXEL * (np.array(SHAPE) - 1) / 2
        self.grid = images.Grid(SHAPE, affine)
        small = np.diag([*(VOXEL / PARTS), 1.0])
        small[:3, 3] = affine[:3, 3] - VOXEL / 2 + VOXEL / PARTS / 2
        fine = transforms.points(images.Grid(tuple(np.array(SHAPE) * PARTS), small))
        self.fine, self.small = fine, small
        self.shares = [sampled(image, fine) for image in self.maps]
        self.hertz = field.at(fine)
        self.points, self.grey, self.inside = (
            transforms.points(self.grid),
            averaged(self.shares[0]),
            averaged(sum(self.shares)) > 0.5,
        )
        inverse, grid = transforms.read_field(next(Path(anatomy).parent.glob("*_from-*_to-T1w_mode-image_xfm.nii.gz")))
        self.inverse, self.template = (inverse, grid.affine), fields.sample(inverse, grid.affine, self.points)

    def images(self):
        grey, white, fluid = self.shares
        m0 = fluid + 0.63 * grey + 0.53 * white
        return m0, (60 * grey + 20 * white) * 1e-4

    def posed(self, matrix):
        """The same head elsewhere: the matrix maps points of the grid to those of the T1w."""
        other = copy.copy(self)
        other.fine = transforms.apply(matrix, self.fine)
        other.shares = [sampled(image, other.fine) for image in self.maps]
        other.inside = averaged(sum(other.shares)) > 0.5
        other.template = fields.sample(*self.inverse, transforms.apply(matrix, self.points))
        return other

    def region(self, name):
        if REGIONS[name] is None:
            return self.inside
        place, radius = REGIONS[name]
        sides = [np.array(place) * [side, 1, 1] for side in (-1, 1)]
        return self.inside & np.any([((self.template - side) ** 2).sum(-1) < radius**2 for side in sides], axis=0)


def distorted(fine, hertz, readout_time):
    return averaged(planted_epi.push(fine, hertz * readout_time * PARTS[1])).astype(np.float32)


def acquired(field, magnitude, seed=0):
    """A phase difference of the field with noise, read back: the field, and the seconds that took."""
    typical = np.median(magnitude[field_map.head(magnitude, "magnitude")])
    noise = np.random.default_rng(seed).normal(0, NOISE, magnitude.shape) * typical / np.maximum(magnitude, 1)
    phase = np.angle(np.exp(2j * np.pi * DIFFERENCE * (field.hertz + noise)))
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/phase.nii.gz", f"{folder}/magnitude.nii.gz"]
        images.save(paths[0], np.round(phase / np.pi * 2048) * 2, field.affine)
        images.save(paths[1], magnitude, field.affine)
        start = time.process_time()
        return field_map.read(paths, "phasediff", DIFFERENCE, None, 3.0), time.process_time() - start


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def compare(head, own, readout_time):
    """The rows of one readout time."""
    encoding = PhaseEncoding(direction="j", readout_time=readout_time)
    unwarping = epi_shift.Unwarping(own, Distortion(series=encoding))
    affine, true = head.grid.affine, averaged(head.hertz)
    flat, seen = (
        [averaged(fine) for fine in head.images()],
        [distorted(fine, head.hertz, readout_time) for fine in head.images()],
    )
    shift, modulation = (
        unwarping.shift(head.points, affine),
        unwarping.modulation(head.points, affine, np.eye(4), separate=False),
    )
    back = [spline.sample(spline.coefficients(image), affine, head.points, shift=shift) * modulation for image in seen]
    with np.errstate(divide="ignore", invalid="ignore"):
        truth, before, after = (delta / m0 for m0, delta in (flat, seen, back))
    for name in REGIONS:
        where = head.region(name)
        millimetres = readout_time * VOXEL[1]
        used = where & (head.grey > 0.4) & np.isfinite(after) & (seen[0] > 0.1)
        cbf = [
            f"{100 * (own[used].mean() / truth[used].mean() - 1):+.1f} %, {100 * rms(own[used] - truth[used]) / truth[used].mean():.1f} %"
            for own in (before, after)
        ]
        left = (rms(true[where]) * millimetres, rms((true - own.hertz)[where]) * millimetres)
        print(f"| {1000 * readout_time:g} ms | {name} | {left[0]:.2f} | {left[1]:.2f} | {cbf[0]} | {cbf[1]} |")
    points = head.points[head.inside]
    for name, image in (
        ("distorted", seen[0]),
        ("corrected", epi_shift.unwarped(seen[0], affine, unwarping)),
        ("undistorted", flat[0]),
    ):
        fit = coregistration.coregister(image.astype(np.float32), affine, head.tissues)
        print(
            f"registration of the {name} image: {rms(np.linalg.norm(transforms.apply(fit.matrix, points) - points, axis=1)):.2f} mm"
        )


def with_scalp(head, raw):
    """The fine image of M0 with what lies about the brain, and a receive field."""
    t1w = images.load(raw / "anat" / "sub-01_T1w.nii.gz")
    bright = np.clip(sampled(t1w, head.fine) / np.percentile(t1w.data[t1w.data > 50], 90), 0, 1.2)
    place = (head.fine - head.fine.reshape(-1, 3).mean(axis=0)) / 100
    received = 1.1 + 0.25 * place[..., 1] - 0.2 * place[..., 2] + 0.15 * (place**2).sum(-1)
    return (head.images()[0] + 0.3 * bright * (1 - np.clip(sum(head.shares), 0, 1))) * received, place


def pairs(head, raw):
    """What two opposed images leave of the displacement."""
    (m0, place), true = with_scalp(head, raw), averaged(head.hertz)
    centre = head.fine.reshape(-1, 3).mean(axis=0)
    for readout_time in (0.025, 0.05):
        encodings = [PhaseEncoding(direction=direction, readout_time=readout_time) for direction in ("j", "j-")]
        for name, ((shift, turn), noisy, gain) in PAIRS.items():
            back = np.linalg.inv(head.small) @ transforms.rigid_matrix(shift, np.radians(turn), centre)
            at = np.moveaxis(transforms.apply(back, head.fine), -1, 0)
            seen, hertz = (
                (ndimage.map_coordinates(fine, at, order=1, mode="nearest") for fine in (m0, head.hertz))
                if (shift, turn) != STILL
                else (m0, head.hertz)
            )
            seen = seen * (1 if gain is None else gain(place))
            rng = np.random.default_rng(1)
            both = [distorted(m0, head.hertz, readout_time), distorted(seen, -hertz, readout_time)]
            with tempfile.TemporaryDirectory() as folder:
                paths = tuple(f"{folder}/{number}.nii.gz" for number in range(2))
                for path, image in zip(paths, both):
                    images.save(path, image + rng.normal(0, 0.0063 * noisy, image.shape), head.grid.affine)
                own = FieldMap(kind=OPPOSED, images=paths, encodings=tuple(encodings), volumes=(None, None))
                start = time.process_time()
                try:
                    field, *_ = opposed_pair.read(own)
                except InputError as error:
                    print(f"| {1000 * readout_time:g} ms | {name} | refused: {error.found} | | | | |")
                    continue
                seconds = time.process_time() - start
            left = (field.hertz - true) * readout_time * VOXEL[1]
            cells = " | ".join(f"{rms(left[head.region(region)]):.2f}" for region in REGIONS)
            print(f"| {1000 * readout_time:g} ms | {name} | {cells} | {seconds:.1f} |", flush=True)
    print()


def moved(head, raw, field, magnitude):
    """What is left of the displacement where the head moved between field map and scan."""
    to_map = np.linalg.inv(coregistration.coregister(magnitude, field.affine, head.tissues).matrix)
    centre = head.fine.reshape(-1, 3).mean(axis=0)
    # The map in the place of the T1w: without a movement its header is right.
    own = Field(field.hertz, np.linalg.inv(to_map) @ field.affine)
    for readout_time in (0.025, 0.05):
        encoding = Distortion(series=PhaseEncoding(direction="j", readout_time=readout_time))
        for name, (shift, turn) in MOVED.items():
            matrix = transforms.rigid_matrix(shift, np.radians(turn), centre)
            posed = head.posed(matrix)
            hertz = own.at(posed.fine)
            image = distorted(with_scalp(posed, raw)[0], hertz, readout_time)
            image = image + np.random.default_rng(1).normal(0, 0.0063, image.shape).astype(np.float32)
            start = time.process_time()
            place = field_place.find(own, magnitude, image, head.grid.affine, encoding, head.tissues)
            seconds = time.process_time() - start
            true, millimetres = averaged(hertz), readout_time * VOXEL[1]
            left = [(own.at(head.points, where) - true) * millimetres for where in (np.eye(4), place.matrix)]
            cells = [" to ".join(f"{rms(errors[posed.region(region)]):.2f}" for errors in left) for region in REGIONS]
            shares = " to ".join(f"{place.unexplained[by]:.4f}" for by in (field_place.HEADERS, field_place.REGISTERED))
            print(
                f"| {1000 * readout_time:g} ms | {name} | {' | '.join(cells)} | {shares} | {seconds:.1f} |", flush=True
            )
    print()


def spoilt(head, raw, field):
    """The real series with its map, as it is and wrong."""
    series = images.load(raw / "perf" / "sub-01_asl.nii.gz")
    image = series.data[..., 0]
    own = field_map.on_grid(field, images.Grid(image.shape, series.affine))
    unwarping = epi_shift.Unwarping(own, Distortion(series=PhaseEncoding(direction="j-", readout_time=0.0251997)))
    fit = coregistration.coregister(epi_shift.unwarped(image, series.affine, unwarping), series.affine, head.tissues)
    for name, multiple in SPOILT.items():
        checked = distortion_check.check(image, series.affine, unwarping.times(multiple), head.tissues, fit.matrix)
        try:
            distortion_check.judge(checked, "series")
            verdict = "accepted"
        except InputError:
            verdict = "refused"
        print(f"| {name} | {', '.join(f'{share:.3f}' for share in checked.unexplained.values())} | {verdict} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("results", type=Path)
    asked = parser.parse_args()
    raw = asked.raw / "sub-01"
    paths = [raw / "fmap" / f"sub-01_{name}.nii.gz" for name in ("phasediff", "magnitude1")]
    field = field_map.read(paths, "phasediff", DIFFERENCE, None, 3.0)
    head = Head(asked.results / "sub-01" / "anat" / "sub-01", field)
    again, seconds = acquired(field, nibabel.load(paths[1]).get_fdata())
    own = field_map.on_grid(again, head.grid)
    print(
        "| readout | region | displaced, mm | left, mm | CBF distorted: mean, rms error | CBF corrected |\n|---|---|---|---|---|---|"
    )
    for readout_time in (0.025, 0.05):
        compare(head, own, readout_time)
    print(f"field map to Hz: {seconds:.2f} s of CPU\n")
    print(f"| readout | two opposed images | {' | '.join(f'left in {name}, mm' for name in REGIONS)} | s of CPU |")
    print("|---" * (len(REGIONS) + 3) + "|")
    pairs(head, raw)
    print(
        f"| readout | moved | {' | '.join(f'left in {name}, mm, headers to registration' for name in REGIONS)} | unexplained | s of CPU |"
    )
    print("|---" * (len(REGIONS) + 4) + "|")
    moved(head, raw, field, nibabel.load(paths[1]).get_fdata())
    print(
        f"| real series, its map | unexplained at {', '.join(f'{m:g}' for m in distortion_check.MULTIPLES)} times | verdict |\n|---|---|---|"
    )
    spoilt(head, raw, field)


if __name__ == "__main__":
    main()
