"""CPU time and accuracy of the perfusion stage on a rendered head of a trial's size.

    python benchmarks/perfusion.py [--pairs 12] [--repeats 3]

52 x 62 x 20 voxels of 4 x 4 x 5 mm, T1w maps at 1.5 mm, template at 2 mm. Each step runs in a process of its own, as
a job does; the time is the process's user and system seconds with imports, reading and writing. Planted: a random
walk of the head, the pose of the T1w, grey 60 and white 20 mL/100 g/min, one percent noise.
"""

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests"))

import head
import perfusion_settings
from pharmasl.perfusion import alignment, kinetics, quantification
from pharmasl.space import images, transforms
from pharmasl.study import scan_acquisition

T1W = head.centred((110, 130, 100), (1.5, 1.5, 1.5), shift=(2, 5, -3))
ASL = head.centred((52, 62, 20), (4.0, 4.0, 5.0), shift=(-2, 4, 6))
TEMPLATE = head.centred((99, 117, 95), (2.0, 2.0, 2.0))
TO_T1W = transforms.rigid_matrix((6, -9, 14), (0.12, -0.05, 0.06), (0, 0, 0))
SIGNALS = {False: np.array([900.0, 720.0, 1250.0, 450.0]), True: np.array([170.0, 60.0, 400.0, 120.0])}
CBF = np.array([60.0, 20.0, 0.0, 0.0])
STEPS = ("align", "quantify")


def run(folder, step):
    """CPU seconds of one step in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, __file__, "--step", step, "--folder", str(folder)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def image(folder, name):
    """An image's path."""
    return folder / f"{name}.nii.gz"


def take(step, folder):
    """One step, on what lies in the folder."""
    acquisition = scan_acquisition.build(json.loads((folder / "acquisition.json").read_text()))
    moved = {name: folder / f"{name}.txt" for name in ("motion", "m0_motion", "coregistration")}
    if step == "align":
        alignment.align(
            alignment.Inputs(
                asl=image(folder, "asl"),
                m0=[],
                gm=image(folder, "gm"),
                wm=image(folder, "wm"),
                csf=image(folder, "csf"),
            ),
            alignment.Outputs(
                motion=moved["motion"],
                m0_motion=moved["m0_motion"],
                coregistration=moved["coregistration"],
                registration=folder / "registration.json",
                aslref=image(folder, "ref"),
                confounds=folder / "confounds.tsv",
            ),
            acquisition=acquisition,
            distorted=None,
            stretch=False,
            correct=True,
        )
        return
    names = [field.name for field in dataclasses.fields(quantification.Outputs) if "att" not in field.name]
    made = {name: image(folder, f"out_{name}") for name in names}
    made |= {"sidecar": folder / "cbf.json", "repeats": folder / "repeats.tsv"}
    quantification.quantify(
        quantification.Inputs(
            asl=image(folder, "asl"),
            m0=[],
            motion=moved["motion"],
            m0_motion=moved["m0_motion"],
            coregistration=moved["coregistration"],
            confounds=folder / "confounds.tsv",
            forward=image(folder, "forward"),
            gm=image(folder, "gm"),
            wm=image(folder, "wm"),
            csf=image(folder, "csf"),
            mask=image(folder, "mask"),
            reference=image(folder, "template_mask"),
            template_mask=image(folder, "template_mask"),
        ),
        quantification.Outputs(**made),
        acquisition=acquisition,
        distorted=None,
        quantification=perfusion_settings.quantification(m0={"t1_recovery": False}),
    )


def simulate(folder, pairs, suppressed):
    """Write the scan and its anatomy; returns the types and the planted poses."""
    rng = np.random.default_rng(7)
    shares = head.render(T1W, np.linalg.inv(TO_T1W))
    for number, name in enumerate(("gm", "wm", "csf")):
        images.save(folder / f"{name}.nii.gz", shares[..., number], T1W.affine)
    images.save(folder / "mask.nii.gz", shares[..., :3].sum(axis=3) > 0.5, T1W.affine, dtype=np.uint8)
    field = transforms.apply(TO_T1W, transforms.points(TEMPLATE))
    transforms.write_field(folder / "forward.nii.gz", field, TEMPLATE.affine)
    inside = head.render(TEMPLATE, parts=1)[..., :3].sum(axis=3) > 0.5
    images.save(folder / "template_mask.nii.gz", inside, TEMPLATE.affine, dtype=np.uint8)
    types = ["m0scan"] + ["control", "label"] * pairs
    steps = rng.normal(0, 1, (len(types), 6)) * ([0.12] * 3 + [0.0025] * 3)
    walk = np.cumsum(steps, axis=0)
    poses = [transforms.rigid_matrix(p[:3], p[3:], (0, 0, 0)) for p in walk]
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9)
    volumes = []
    for kind, pose in zip(types, poses):
        signal = SIGNALS[suppressed and kind != "m0scan"] - (CBF / factor * SIGNALS[False] if kind == "label" else 0)
        volumes.append(head.scan(ASL, pose) @ signal + rng.normal(0, 0.01 * signal.max(), ASL.shape))
    images.save(folder / "asl.nii.gz", np.stack(volumes, axis=3), ASL.affine)
    return types, poses


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        take(arguments.step, arguments.folder)
        return
    for suppressed in (False, True):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            types, poses = simulate(folder, arguments.pairs, suppressed)
            acquisition = {
                "volume_types": types,
                "labeling_type": "PCASL",
                "labeling_duration": 1.8,
                "post_labeling_delay": 1.8,
                # Slice by slice, so that slices are measured; all but at once, as the heads are rendered.
                "slice_timing": [1e-6 * k for k in range(ASL.shape[2])],
                "labeling_efficiency": 0.85,
                "background_suppression": suppressed,
                "m0_type": "Included",
                "m0_estimate": None,
                "m0_repetition_time": 6.0,
                "repetition_time": 4.0,
                "t1_blood": 1.65,
                "t1_tissue": 1.607,
                "partition_coefficient": 0.9,
                "sources": {},
            }
            (folder / "acquisition.json").write_text(json.dumps(acquisition))
            for step in STEPS:
                run(folder, step)  # compiles what is not cached yet
            seconds = {step: min(run(folder, step) for _ in range(arguments.repeats)) for step in STEPS}
            motion = transforms.read_affines(folder / "motion.txt")
            to_asl = transforms.read_affines(folder / "coregistration.txt")[0]
            whole = [head.distance(m @ to_asl @ TO_T1W, np.linalg.inv(p)) for m, p in zip(motion, poses)]
            middle = len(poses) // 2
            back = np.linalg.inv(motion[middle])
            apart = [head.distance(m @ back, np.linalg.inv(p) @ poses[middle]) for m, p in zip(motion, poses)]
            unmoved = [head.distance(np.eye(4), np.linalg.inv(p) @ poses[middle]) for p in poses]
            cbf = images.load(image(folder, "out_template_cbf"))[0]
            covered = images.load(image(folder, "out_coverage"))[0] > 0
            tissue = head.render(TEMPLATE, parts=1, blur=2.0)[covered][:, :3]
            found = np.linalg.lstsq(tissue, cbf[covered], rcond=None)[0]
            print(
                f"{len(types)} volumes, {'suppressed' if suppressed else 'plain':10}: "
                + ", ".join(f"{step} {value:.2f} s" for step, value in seconds.items())
                + f", both {sum(seconds.values()):.2f} s of CPU; realignment {np.mean(apart):.3f} mm mean, "
                f"{np.max(apart):.3f} worst (uncorrected {np.mean(unmoved):.2f}); template to volume {np.mean(whole):.2f} mm; "
                f"grey {found[0]:.1f}, white {found[1]:.1f} mL/100 g/min of 60 and 20"
            )


if __name__ == "__main__":
    main()
