"""How often the test of left and right errs: real and simulated heads, with their T1w as it is and mirrored.

    python benchmarks/mirror.py [--folder FOLDER] [--only real simulated]

A real T1w is mirrored in its header and goes through the whole anatomy stage like any other. Each scan is judged by M0 and
mean control, by the mean control alone, and by its differences alone; with all pairs and with some of them drawn at random,
with noise added to each image (relative to its 98th percentile), and from headers displaced at random by up to 40 mm and
20 degrees. Also printed: what another person's T1w does. Simulated heads are the analytic one of the tests, persons of
``pharmasl.simulate`` (the symmetric template, deformed) and the phantom of ASLDRO, whose anatomy is symmetric but for noise.

Columns: registrations; those that overlap and contrast accept; what left and right are said to do, of the accepted; the range
of Contrast over ContrastMirrored, of the accepted; core-seconds that the question costs a scan.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests"), str(Path(__file__).parent)]

import anatomy as chain
import complete_settings
import head as analytic
from pharmasl.perfusion import acceptance, coregistration, mirror, motion, series, tissue_maps
from pharmasl.simulate import deformation
from pharmasl.simulate import label_control_series as scanner
from pharmasl.simulate import participant_anatomy as simulated
from pharmasl.simulate.scanner_model import Scanner
from pharmasl.space import images, transforms

DATA = ROOT.parent / "shared" / "data"
REAL = {"ds000240": "openneuro-ds000240-sub01/sub-01", "Siemens XA30": "siemens-xa30-pcasl/sub-01"}
PHANTOM = "asldro-hrgt/sub-gkm"
NOISE = (0.1, 0.3, 1.0)
PAIRS = (10, 3, 1)
PERSONS = 2


@dataclass
class Scan:
    """A series: M0, controls and labels on one grid, each of shape (X, Y, Z, N)."""

    m0: np.ndarray
    control: np.ndarray
    label: np.ndarray
    affine: np.ndarray

    @classmethod
    def read(cls, path):
        """Of a BIDS series with controls paired with labels, its volumes realigned as a job does first."""
        types = path.with_name(path.name.replace("_asl.nii.gz", "_aslcontext.tsv")).read_text().split()[1:]
        loaded = series.load(path, types)
        data, affine, of = loaded.data, loaded.affine, loaded.volumes
        first = data[..., of.control[0]]
        chosen = of.pairs.ravel()
        matrices = motion.realign([data[..., i] for i in chosen], affine, first, affine, motion.head(first), fine=False)
        grid = images.Grid(first.shape, affine)
        placed = np.stack(
            [motion.mean([data[..., i]], affine, matrix[None], grid) for i, matrix in zip(chosen, matrices)], axis=-1
        )
        return cls(data[..., of.m0scan], placed[..., 0::2], placed[..., 1::2], affine)

    def shown(self, which, pairs, rng):
        """The images that a registration is judged by, of some of the pairs."""
        count = self.control.shape[3]
        chosen = np.sort(rng.permutation(count)[: pairs or count])
        control, label = (volumes[..., chosen].mean(axis=3) for volumes in (self.control, self.label))
        if which == "differences":
            return {"deltaM": control - label}
        with_m0 = {"M0": self.m0.mean(axis=3)} if which == "M0 and control" and self.m0.shape[3] else {}
        return {**with_m0, "mean control": control}


WHICH = ("M0 and control", "control", "differences")


def conditions(scan, draws, kinds=WHICH):
    """Name, images and affine of everything that is tried with one scan."""
    count, rng = scan.control.shape[3], np.random.default_rng(1)
    for which in kinds:
        yield f"{which}, all pairs", scan.shown(which, None, rng), scan.affine
        for pairs in PAIRS:
            for _ in range(draws if pairs < count else 0):
                yield f"{which}, fewer pairs", scan.shown(which, pairs, rng), scan.affine
        for noise in NOISE:
            for _ in range(draws):
                clean = scan.shown(which, None, rng)
                noisy = {
                    name: image + noise * np.percentile(image, 98) * rng.standard_normal(image.shape)
                    for name, image in clean.items()
                }
                yield f"{which}, noise added", noisy, scan.affine
        whole = scan.shown(which, None, rng)
        centre = transforms.apply(scan.affine, (np.array(scan.control.shape[:3]) - 1) / 2)
        for _ in range(draws):
            shift, turn = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
            moved = transforms.rigid_matrix(shift * rng.uniform(0, 40), turn * np.radians(rng.uniform(0, 20)), centre)
            yield f"{which}, header displaced", whole, moved @ scan.affine


def judged(shown, affine, tissues):
    """The verdict of a scan's registration, and the core-seconds that left and right took."""
    fits = [coregistration.coregister(image, affine, tissues) for image in shown.values()]
    fit = min(fits, key=lambda one: one.uncertainty)
    grid = images.Grid(next(iter(shown.values())).shape, affine)
    verdict = acceptance.judge(shown, tissues, grid, fit.matrix)
    start = time.process_time()
    return verdict, mirror.confront(verdict, shown, tissues, grid, fit.matrix), time.process_time() - start


class Table:
    """Rows of counts, and the sums of false alarms and misses."""

    def __init__(self):
        self.sums = {}
        chain.row(
            "scan", "T1w", "images", "n", "accepted", "agree", "undecided", "contradict", "contrast ratio", "core-s"
        )
        chain.row(*["---"] * 10)

    def add(self, name, sides, tissues, tried):
        rows = {}
        for condition, shown, affine in tried:
            rows.setdefault(condition, []).append(judged(shown, affine, tissues))
        for condition, verdicts in rows.items():
            told = [after for before, after, _ in verdicts if before["Accepted"]]
            counts = [
                sum(v["LeftRight"] == word for v in told)
                for word in (mirror.AGREE, mirror.UNDECIDED, mirror.CONTRADICT)
            ]
            ratios = [v["Contrast"] / max(v["ContrastMirrored"], 1e-4) for v in told]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else ""
            seconds = np.mean([spent for *_, spent in verdicts])
            chain.row(name, sides, condition, *map(str, [len(verdicts), len(told), *counts]), spread, f"{seconds:.2f}")
            total = self.sums.setdefault((name, sides), np.zeros(5, dtype=int))
            total += [len(verdicts), len(told), *counts]

    def totals(self):
        print("\n### In all\n")
        chain.row("scan", "T1w", "registrations", "accepted without the question", "agree", "undecided", "contradict")
        chain.row(*["---"] * 7)
        for (name, sides), total in self.sums.items():
            chain.row(name, sides, *map(str, total))


def real_tissues(path, folder, mirrored):
    """Tissues of a raw T1w that went through the anatomy stage, as it is or with its header mirrored."""
    made = folder / f"{path.parts[-4]}{'_mirrored' if mirrored else ''}"
    source = path
    if mirrored:
        image = nibabel.load(path)
        source = folder / f"{path.parts[-4]}_mirrored_T1w.nii.gz"
        images.save(source, np.asanyarray(image.dataobj), np.diag([-1.0, 1, 1, 1]) @ image.affine)
    expected = [made / f"segment_anatomy_{tissue}.nii.gz" for tissue in ("gm", "wm", "csf")]
    if not all(file.exists() for file in expected):
        chain.run(source, made, complete_settings.registration())
    maps, affines = zip(*(images.load(file) for file in expected))
    return tissue_maps.reduce(maps, affines[0])


def person(number, model):
    """A simulated person: tissues of the truth, and a scan."""
    rng = np.random.default_rng([7, number])
    shape = deformation.draw(rng, model.low, model.high, model.centre, 4.0)
    grid = simulated.t1w_grid(model, shape, 2.0)
    drawn = simulated.head(rng, model, shape, grid)
    machine = Scanner(
        matrix=(56, 64, 20),
        voxel_size=(3.75, 3.75, 6.0),
        pairs=12,
        labeling_duration=1.8,
        post_labeling_delay=1.8,
        slice_time=0.04,
        labeling_efficiency=0.85,
        m0_repetition_time=10.0,
        repetition_time=5.0,
        static_signal=0.2,
        noise=0.15,
        fluctuation=0.0005,
        perfusion_fluctuation=0.05,
        translation=0.1,
        rotation=0.1,
        receive_bias=0.15,
    )
    magnetisation = scanner.magnetisation(drawn, machine)
    flow = scanner.perfusion(drawn, {"gm": 60.0, "wm": 20.0}, np.ones(drawn.fed.sum(), np.float32), machine)
    middle = shape.from_template(model.centre)
    still = np.repeat(np.eye(4)[None], len(machine.volume_types), axis=0)
    tissue = scanner.Tissue(grid.affine, magnetisation, flow)
    asl = machine.grid(middle)
    data = scanner.acquire(rng, machine, tissue, asl, np.eye(4), still)
    tissues = tissue_maps.reduce([drawn.fractions[name] for name in ("gm", "wm", "csf")], grid.affine)
    return tissues, Scan(data[..., :1], data[..., 1::2], data[..., 2::2], asl.affine)


def analytic_head():
    """The tests' head: tissues and a scan of 12 pairs."""
    fine = analytic.centred((84, 100, 76), (2.0, 2.0, 2.0), shift=(3, 10, -5))
    coarse = analytic.centred((44, 52, 20), (4.0, 4.0, 6.0), shift=(0, 0, 6))
    tissue = analytic.render(fine)
    seen = analytic.scan(coarse, transforms.rigid_matrix((5, -7, 6), (0.1, -0.06, 0.08), (0, 0, 0)))
    m0 = seen @ np.array([900.0, 740.0, 1250.0, 400.0])
    rng = np.random.default_rng(3)
    control, label = (
        0.3 * m0[..., None] - less[..., None] + 8 * rng.standard_normal((*m0.shape, 12))
        for less in (0 * m0, seen @ np.array([10.0, 3.0, 0.0, 0.0]))
    )
    tissues = tissue_maps.reduce([tissue[..., k] for k in range(3)], fine.affine)
    return tissues, Scan(m0[..., None], control, label, coarse.affine)


def on_real(table, folder):
    """Real heads with their own T1w, and with each other's."""
    scans, tissues = {}, {}
    for name, where in REAL.items():
        subject = DATA / where
        scans[name] = Scan.read(subject / "perf" / f"{subject.name}_asl.nii.gz")
        for mirrored in (False, True):
            path = subject / "anat" / f"{subject.name}_T1w.nii.gz"
            tissues[name, mirrored] = real_tissues(path, folder, mirrored)
            sides = "mirrored" if mirrored else "its own"
            table.add(name, sides, tissues[name, mirrored], conditions(scans[name], 3))
    for name, other in zip(REAL, list(REAL)[::-1]):
        for mirrored in (False, True):
            sides = f"another person's{', mirrored' if mirrored else ''}"
            table.add(name, sides, tissues[other, mirrored], conditions(scans[name], 1, WHICH[::2]))


def on_simulated(table, folder):
    """Heads whose tissues are known."""
    made = {"analytic head": analytic_head()}
    model = simulated.read_template(step=2)
    for number in range(PERSONS):
        made[f"simulated person {number + 1}"] = person(number, model)
    subject = DATA / PHANTOM
    own = real_tissues(subject / "anat" / f"{subject.name}_T1w.nii.gz", folder, False)
    made["symmetric phantom"] = own, Scan.read(subject / "perf" / f"{subject.name}_asl.nii.gz")
    for name, (right, scan) in made.items():
        for sides, maps in (("its own", right), ("mirrored", mirror.mirrored(right))):
            table.add(name, sides, maps, conditions(scan, 1, WHICH[::2]))


PARTS = {"real": on_real, "simulated": on_simulated}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    folder = (arguments.folder or Path(tempfile.mkdtemp())).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    table = Table()
    for part in arguments.only:
        PARTS[part](table, folder)
    table.totals()


if __name__ == "__main__":
    main()
