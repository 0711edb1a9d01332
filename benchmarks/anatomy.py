"""What the anatomy and the alignment of scans cost and how far they err, beside peers measured in the same run.

    python benchmarks/anatomy.py [--only phantom planted real] [--peers FOLDER_OR_PYTHON ...] [--folder DIR]
        [--resolution 1] [--affine 100x0x0] [--warp 100x50x0] [--volumes 40] [--template-average FILE] [--t1w FILE ...]

phantom  A real head's tissue labels (k-means of its T1w) are declared the truth; T1w, M0 and a pCASL series with planted
         motion are synthesised from them: brain mask, segmentation, motion, registration of the scan, the whole T1w chain.
planted  The template pushed through a known affine and diffeomorphism (about 11 mm), contrast, bias and noise changed:
         the map is known at every voxel. With --template-average, another average brain in the same space is pushed: it is
         not the same anatomy, and no method can reach 0 mm.
real     T1w of real people: grey matter carried to the template against the template's own.

Peers are antspyx in the environments given (a folder for PYTHONPATH, or a Python). Core-seconds are user and system time;
numba's compilation is kept out by a first run on a small image, or by the cache. The head of the published comparison
(chris_t1) is not free to share: OpenNeuro ds000240's defaced head takes its place, so its figures are not these. The
phantom's mask is that of deepbet's networks on the real head, which this workflow uses too: its Dice has a home advantage.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests"), str(Path(__file__).parent)]

import complete_settings
from loading import script
from peers import Peers
from pharmasl.anatomy import bias, brain_mask, normalisation, segmentation
from pharmasl.files import tables
from pharmasl.perfusion import coregistration, motion, tissue_maps
from pharmasl.space import fields, images, resample, template, transforms
from pharmasl.space.images import Grid, coarser
from pharmasl.study import settings

DATA = ROOT.parent / "shared" / "data"
HEAD = DATA / "openneuro-ds000240-sub01" / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
REAL = (HEAD, DATA / "siemens-xa30-pcasl" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")


def core_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(function, *arguments, **options):
    start = core_seconds()
    found = function(*arguments, **options)
    return found, core_seconds() - start


def dice(a, b):
    """Of masks; of shares, the soft one."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return 2 * np.minimum(a, b).sum() / (a.sum() + b.sum())


def row(*cells):
    print(f"| {' | '.join(cells)} |", flush=True)


# The chain of rules on one T1w.


def template_files(folder):
    paths = []
    for size in ("res-1", "res-2"):
        names = {"t1w": "T1w", "mask": "mask", "GM": "GM", "WM": "WM", "CSF": "CSF"}
        paths.append({key: str(folder / f"tpl_{size}_{name}.nii.gz") for key, name in names.items()})
    if not Path(paths[1]["CSF"]).exists():
        fine, coarse = (template.TemplateFiles(**{key.lower(): path for key, path in size.items()}) for size in paths)
        template.write_template(fine, coarse, 2.0)
    return paths


def run(t1w, folder, registration):
    """Run the three scripts as the rules do; returns the paths written and the core-seconds of each."""
    folder.mkdir(parents=True, exist_ok=True)
    fine, coarse = template_files(folder.parent)
    given = {
        "t1w": [str(t1w)],
        "template": fine["t1w"],
        **{f"priors_{tissue.lower()}": fine[tissue] for tissue in ("GM", "WM", "CSF")},
        "reference": coarse["t1w"],
    }
    steps = {
        "prepare_anatomy": ("preproc.nii.gz", "mask.nii.gz", "sidecar.json", "poses.txt"),
        "normalise_anatomy": ("forward.nii.gz", "sidecar.json"),
        "segment_anatomy": ("gm.nii.gz", "wm.nii.gz", "csf.nii.gz", "template_t1w.nii.gz", "template_gm.nii.gz"),
    }
    params = SimpleNamespace(bias=settings.plain(complete_settings.bias()), registration=settings.plain(registration))
    seconds = {}
    for name, files in steps.items():
        made = {file.split(".")[0]: str(folder / f"{name}_{file}") for file in files}
        work = SimpleNamespace(input=SimpleNamespace(**given), output=SimpleNamespace(**made), params=params, threads=1)
        _, seconds[name] = timed(script(name).main, work)
        given.update(made)
    return given, seconds


# The phantom.


def pull(volume, affine, grid, matrix=None):
    """A volume at a grid's voxels, whose points the matrix maps to the volume's; 0 outside."""
    points = transforms.points(grid)
    points = points if matrix is None else transforms.apply(matrix, points)
    return resample.resample(np.ascontiguousarray(volume, dtype=np.float32), affine, points, fill=0)


def smooth_gain(rng, shape, amplitude):
    coarse = rng.standard_normal((4, 4, 4))
    gain = ndimage.zoom(coarse, [n / 4 for n in shape], order=3)
    return 1 + amplitude * (2 * (gain - gain.min()) / np.ptp(gain) - 1)


def rician(rng, signal, noise):
    return np.hypot(signal + noise * rng.standard_normal(signal.shape), noise * rng.standard_normal(signal.shape))


def k_means(values, classes=3):
    """Class of each value, 0 the darkest; centres from the quantiles on."""
    centres = np.quantile(values, (np.arange(classes) + 0.5) / classes)
    for _ in range(100):
        edges = (centres[1:] + centres[:-1]) / 2
        label = np.searchsorted(edges, values)
        new = np.array([values[label == k].mean() for k in range(classes)])
        if np.allclose(new, centres, rtol=1e-5):
            break
        centres = new
    return label, centres


def phantom(path):
    """T1w of 1 mm on an oblique grid, the shares that it was made of, and its mask."""
    head, affine = images.load(path)
    mask, _ = brain_mask.brain_mask(head, affine, path)
    head = head / bias.bias_field(head, mask, affine, complete_settings.bias())
    label = np.zeros(head.shape, dtype=int)
    label[mask], means = k_means(ndimage.median_filter(head, 3)[mask])
    label[mask] += 1
    turn = transforms.rigid_matrix([0, 0, 0], np.radians([4, -3, 5]), [0, 0, 0])
    shape = (184, 240, 200)
    centre = transforms.apply(affine, np.argwhere(mask).mean(axis=0))
    grid = Grid(shape, turn @ np.diag([1.0, 1, 1, 1]))
    grid.affine[:3, 3] = centre - grid.affine[:3, :3] @ (np.array(shape) / 2)
    tissue = [pull(ndimage.gaussian_filter((label == k).astype(np.float32), 0.45), affine, grid) for k in (1, 2, 3)]
    rng = np.random.default_rng(7)
    signal = pull(np.where(mask, 0, head), affine, grid)
    for share, mean in zip(tissue, means):
        texture = ndimage.gaussian_filter(rng.standard_normal(shape), 1.2)
        signal += share * mean * (1 + 0.035 * texture / texture.std())
    t1w = rician(rng, signal * smooth_gain(rng, shape, 0.25), 0.03 * means[2])
    whole = sum(tissue)
    outside = np.where(whole > 0.5, 0, signal)
    return SimpleNamespace(
        t1w=t1w, grid=grid, csf=tissue[0], gm=tissue[1], wm=tissue[2], mask=whole > 0.5, scalp=outside
    )


def pcasl(head, volumes, suppressed, seed):
    """A series (control first), its M0 and the planted motion, with 64 x 64 x 24 voxels of 3.44 x 3.44 x 5 mm.

    ``motion`` maps points of volume t to points of the head: random walks of up to 2 mm and 2 degrees, the first at rest.
    """
    rng = np.random.default_rng(seed)
    size, shape = np.array([3.4375, 3.4375, 5.0]), (64, 64, 24)
    affine = transforms.rigid_matrix([0, 0, 0], np.radians([-7, 2, -3]), [0, 0, 0]) @ np.diag([*size, 1.0])
    centre = transforms.apply(head.grid.affine, np.argwhere(head.mask).mean(axis=0))
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = Grid(shape, affine)

    def seen(volume):
        return ndimage.gaussian_filter(volume, 0.42 * size)

    scalp = np.clip(head.scalp / np.percentile(head.scalp[head.scalp > 0.1 * head.scalp.max()], 95), 0, 1)
    density = seen(1000 * (head.csf + 0.82 * head.gm + 0.66 * head.wm + 0.25 * scalp))
    flow = seen(60 * head.gm + 20 * head.wm)
    walk = np.cumsum(0.12 * rng.standard_normal((volumes, 6)), axis=0)
    walk += np.where(
        np.arange(volumes)[:, None] > rng.integers(volumes // 4, 3 * volumes // 4, 6), rng.uniform(-1, 1, 6), 0
    )
    walk -= walk[0]
    walk *= 2 / np.abs(walk).max(axis=0)
    poses = np.array([transforms.rigid_matrix(one[:3], np.radians(one[3:]), centre) for one in walk])
    gain = smooth_gain(rng, shape, 0.2)
    series = np.empty((*shape, volumes), dtype=np.float32)
    for t, pose in enumerate(poses):
        still = suppressed * pull(density, head.grid.affine, grid, pose)
        label = pull(flow, head.grid.affine, grid, pose) * 0.0105 / 60 * 900 if t % 2 else 0
        series[..., t] = rician(rng, gain * (still - label), 8 * max(suppressed, 0.35))
    m0 = rician(rng, gain * pull(density, head.grid.affine, grid), 8)
    brain = pull(seen(head.mask.astype(np.float32)), head.grid.affine, grid) > 0.5
    return SimpleNamespace(series=series, m0=m0, grid=grid, poses=poses, brain=brain)


def motion_error(found, poses, points):
    """Root mean square error, mm, over volumes and brain; and the mean label's error minus the mean control's.

    A series has no place of its own: what all volumes have in common does not count.
    """
    apart = np.array([pose @ matrix for pose, matrix in zip(poses, found)])  # the reference's points in the head
    apart = np.linalg.inv(apart.mean(axis=0)) @ apart
    errors = np.array([transforms.apply(matrix, points) - points for matrix in apart])
    offset = errors[1::2].mean(axis=0) - errors[::2].mean(axis=0)
    each = np.sqrt((errors**2).sum(axis=-1).mean(axis=1))
    return each.mean(), np.sqrt((offset**2).sum(axis=-1).mean())


def on_phantom(arguments, peers, folder):
    print("\n### Phantom of a real head\n")
    row("step", "peer", "ours")
    row("---", "---", "---")
    head = phantom(HEAD)
    affine = head.grid.affine
    images.save(folder / "phantom_T1w.nii.gz", head.t1w, affine)
    made, seconds = run(folder / "phantom_T1w.nii.gz", folder / "phantom", arguments.registration)
    mask = images.load(made["mask"], dtype=np.uint8)[0] > 0
    found, told = peers.run("ants_mask", head=head.t1w, affine=affine)
    theirs = told if found is None else f"{dice(found['mask'], head.mask):.3f}"
    row("brain mask, Dice (home advantage)", theirs, f"{dice(mask, head.mask):.3f}")

    def share_error(gm):
        return f"soft Dice {dice(gm[head.mask], head.gm[head.mask]):.3f}, rmse {np.sqrt(((gm - head.gm)[head.mask] ** 2).mean()):.3f}"

    preproc = images.load(made["preproc"])[0]
    found, told = peers.run("ants_segmentation", head=preproc, mask=mask, affine=affine)
    theirs = told if found is None else f"{share_error(found['gm'])}, {told['cpu']:.1f} core-s (Atropos, k-means)"
    gm = images.load(made["gm"])[0]
    row(
        "segmentation, share of GM",
        theirs,
        f"{share_error(gm)}, {seconds['segment_anatomy']:.1f} core-s with all files",
    )

    for name, suppressed in (("unsuppressed", 1.0), ("suppressed to 25 %", 0.25)):
        scan = pcasl(head, arguments.volumes, suppressed, 5)
        points = transforms.points(scan.grid)[scan.brain]
        data, weight = [np.ascontiguousarray(v) for v in np.moveaxis(scan.series, 3, 0)], scan.brain.astype(np.float32)
        motion.realign(data[:2], scan.grid.affine, data[0], scan.grid.affine, weight)  # compiles what is not cached
        tissues = [pull(head_map, affine, scan.grid) for head_map in (head.gm, head.wm, head.csf)]
        # As in the workflow, the first pass is coarse, and the second starts from there.
        first, spent = timed(motion.realign, data, scan.grid.affine, data[0], scan.grid.affine, weight, fine=False)
        # The second pass of the workflow: tissue maps take up what label and control differ by.
        second, more = timed(
            motion.realign, data, scan.grid.affine, data[0], scan.grid.affine, weight, maps=tissues[:2], starts=first
        )
        told = [motion_error(each, scan.poses, points) for each in (first, second)]
        ours = "; ".join(
            f"{1000 * cost / len(data):.0f} ms, {error:.3f} mm, {offset:.3f} mm"
            for cost, (error, offset) in zip((spent, spent + more), told)
        )
        few = min(10, len(data))
        found, facts = peers.run(
            "ants_motion", volumes=scan.series[..., :few], affine=scan.grid.affine, mean=scan.series[..., 0]
        )
        theirs = facts
        if found is not None:
            error, offset = motion_error(found["matrices"], scan.poses[:few], points)
            theirs = f"{1000 * facts['cpu'] / few:.0f} ms, {error:.3f} mm, {offset:.3f} mm (BOLDRigid, {few} volumes)"
        row(f"motion, {name}: a volume, rms, label-control offset (ours: coarse first pass; both passes)", theirs, ours)

    scan = pcasl(head, 2, 1.0, 5)
    maps = [images.load(made[tissue])[0] for tissue in ("gm", "wm", "csf")]
    (tissues, cost), errors, costs = timed(tissue_maps.reduce, maps, affine), [], []
    points = transforms.points(scan.grid)[scan.brain]
    coregistration.coregister(scan.m0, scan.grid.affine, tissues, [np.eye(4)])
    rng = np.random.default_rng(3)
    displaced = []
    for _ in range(4):
        shift, turn = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
        displaced.append(
            transforms.rigid_matrix(
                rng.uniform(8, 12) * shift, np.radians(rng.uniform(4, 9)) * turn, points.mean(axis=0)
            )
        )
    for moved in displaced:
        fit, spent = timed(coregistration.coregister, scan.m0, moved @ scan.grid.affine, tissues)
        error = transforms.apply(fit.matrix @ moved, points) - points
        errors.append(np.sqrt((error**2).sum(axis=1).mean()))
        costs.append(spent)
    found, facts = peers.run(
        "ants_rigid",
        fixed=preproc * mask,
        fixed_affine=affine,
        moving=scan.m0,
        moving_affine=displaced[0] @ scan.grid.affine,
    )
    theirs = facts
    if found is not None:
        error = transforms.apply(found["matrix"], points) - transforms.apply(displaced[0], points)
        theirs = f"{np.sqrt((error**2).sum(axis=1).mean()):.2f} mm, {facts['cpu']:.1f} core-s (Rigid)"
    ours = f"{min(errors):.2f} to {max(errors):.2f} mm, {cost + np.mean(costs):.1f} core-s"
    row("M0 to T1w, 4 starts 8 to 12 mm and 4 to 9 degrees away", theirs, ours)
    chain(seconds)


def chain(seconds):
    each = ", ".join(f"{name.split('_')[0]} {value:.1f}" for name, value in seconds.items())
    row("T1w chain, raw to tissues and template", "", f"{sum(seconds.values()):.1f} core-s ({each})")


# The planted warp.


def planted(seed=4, noise=0.03, strength=4.0, average=None):
    """A brain on the template's grid whose map to the template is known.

    Returns
    -------
    SimpleNamespace
        ``brain`` (bias corrected as the workflow does, 0 outside), ``mask``, ``gm`` and ``wm`` (the template's there),
        ``truth`` (RAS+ mm in the template of each voxel), ``affine``, ``displacement`` (mean over the brain, mm).
    """
    t1w, mask, maps, affine = template.tissue_maps()
    grid, coarse = Grid(t1w.shape, affine), coarser(Grid(t1w.shape, affine), 3.0)
    rng = np.random.default_rng(seed)

    def smooth(width):
        return np.stack([ndimage.gaussian_filter(rng.standard_normal(coarse.shape), width / 3) for _ in range(3)])

    inside = pull(mask, affine, coarse) > 0.5
    velocity = [one / one[:, inside].std() for one in (smooth(9), smooth(16))]
    velocity = velocity[0] + 1.8 * velocity[1]
    velocity *= strength / np.sqrt((velocity[:, inside] ** 2).sum(axis=0).mean())
    index = np.stack(np.meshgrid(*map(np.arange, coarse.shape), indexing="ij")).astype(np.float64)
    shift = velocity / 3 / 2**7  # voxels of 3 mm
    for _ in range(7):
        shift = shift + np.stack(
            [ndimage.map_coordinates(one, index + shift, order=1, mode="nearest") for one in shift]
        )
    index = np.stack(np.meshgrid(*(np.arange(n) / 3 for n in grid.shape), indexing="ij"))
    points = transforms.points(grid)
    truth = points.copy()
    for k in range(3):
        truth[..., k] += 3 * ndimage.map_coordinates(shift[k], index, order=3, mode="nearest")
    centre = transforms.apply(affine, np.argwhere(mask).mean(axis=0))
    stretch = np.diag([1.06, 0.95, 1.04, 1.0])
    stretch[0, 1] = 0.03
    stretch[:3, 3] = centre - stretch[:3, :3] @ centre
    truth = transforms.apply(transforms.rigid_matrix([3, -5, 4], np.radians([6, -4, 5]), centre) @ stretch, truth)

    def carried(volume, where=affine):
        return resample.resample(np.ascontiguousarray(volume, dtype=np.float32), where, truth, fill=0)

    here = carried(mask) > 0.5
    brain = carried(t1w)
    if average is not None:
        brain = carried(*images.load(average))
        here = ndimage.binary_fill_holes(brain > 0.1 * np.percentile(brain, 99))
    brain = (np.where(here, brain, 0) / np.percentile(brain[here], 98)) ** 0.85
    head = 500 * rician(rng, brain * smooth_gain(rng, grid.shape, 0.2), noise)
    return SimpleNamespace(
        brain=(head / bias.bias_field(head, here, affine, complete_settings.bias()) * here).astype(np.float32),
        mask=here,
        gm=carried(maps["GM"]),
        wm=carried(maps["WM"]),
        truth=truth,
        affine=affine,
        displacement=np.linalg.norm(truth - points, axis=-1)[here].mean(),
    )


def map_error(subject, field, field_affine):
    """Mean and 95th percentile of the error (mm) within the subject's brain, soft Dice, Jacobian range, folded share."""
    _, mask, maps, affine = template.tissue_maps()
    voxels = np.argwhere(ndimage.binary_erosion(subject.mask, iterations=3))[::13]
    ends = fields.sample(field, field_affine, subject.truth[tuple(voxels.T)])
    error = np.linalg.norm(ends - transforms.apply(subject.affine, voxels.astype(np.float64)), axis=-1)
    fine = fields.sample(field, field_affine, transforms.points(Grid(mask.shape, affine)))
    overlap = [
        dice(resample.resample(getattr(subject, name.lower()), subject.affine, fine, fill=0), maps[name])
        for name in ("GM", "WM")
    ]
    volume = fields.jacobian(fine, affine)[ndimage.binary_erosion(mask, iterations=2)]
    low, high = np.percentile(volume, [0.01, 99.99])
    return (
        f"{error.mean():.2f} mm (95 %: {np.percentile(error, 95):.2f}), soft Dice GM {overlap[0]:.3f} WM {overlap[1]:.3f}, "
        f"Jacobian {low:.2f} to {high:.2f}, folded {100 * (volume <= 0).mean():.3f} %"
    )


def on_planted(arguments, peers, _):
    subject = planted(average=arguments.template_average)
    print(f"\n### Planted warp of the template, mean displacement {subject.displacement:.1f} mm\n")
    row("step", "peer", "ours")
    row("---", "---", "---")
    target, affine = template.tissue_maps()[0], template.tissue_maps()[3]
    (field, where), spent = timed(
        normalisation.register,
        images.Volume(subject.brain, subject.affine),
        images.Volume(target, affine),
        arguments.registration,
    )
    found, told = peers.run(
        "ants_normalisation",
        brain=subject.brain,
        affine=subject.affine,
        template=target,
        template_affine=affine,
        resolution=arguments.registration.resolution,
    )
    theirs = told
    if found is not None:
        theirs = (
            f"{map_error(subject, found['field'], found['affine'])}, {told['cpu']:.1f} core-s, {told['rss']:.0f} MB"
        )
    row("T1w to template", theirs, f"{map_error(subject, field, where)}, {spent:.1f} core-s")


# Real heads.


def on_real(arguments, _, folder):
    print("\n### Real heads\n")
    row("T1w", "GM in the template against its own: correlation, soft Dice", "checks", "core-s")
    row("---", "---", "---", "---")
    for number, path in enumerate(arguments.t1w or REAL):
        if not Path(path).exists():
            row(str(path), "not there", "", "")
            continue
        made, seconds = run(path, folder / f"real{number}", arguments.registration)
        gm, where = images.load(made["template_gm"])
        expected = images.load(folder / "tpl_res-2_GM.nii.gz")[0]
        inside = images.load(folder / "tpl_res-2_mask.nii.gz", dtype=np.uint8)[0] > 0
        facts = tables.read_json(folder / f"real{number}" / "normalise_anatomy_sidecar.json")["Checks"]
        # The same without the template's priors, which would favour themselves.
        head, affine = images.load(made["preproc"])
        mask = images.load(made["mask"], dtype=np.uint8)[0] > 0
        own = np.zeros(head.shape, dtype=np.float32)
        own[mask] = segmentation.shares(head, mask, affine)[0][:, 1]
        field, grid = transforms.read_field(made["forward"])
        points = fields.sample(field, grid.affine, transforms.points(Grid(gm.shape, where)))
        free = resample.resample(own, affine, points, fill=0)
        told = "; ".join(
            f"{np.corrcoef(each[inside], expected[inside])[0, 1]:.3f}, {dice(each[inside], expected[inside]):.3f}"
            for each in (gm, free)
        )
        row(
            Path(path).parts[-4] if len(Path(path).parts) > 3 else str(path),
            f"{told} (with priors; without)",
            f"T1w correlation {facts['template_correlation']}, folded {facts['folded_share']:.1e}",
            ", ".join(f"{name.split('_')[0]} {value:.1f}" for name, value in seconds.items()),
        )


PARTS = {"phantom": on_phantom, "planted": on_planted, "real": on_real}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--peers", action="append", default=[])
    parser.add_argument("--folder", type=Path)
    usual = complete_settings.registration()
    parser.add_argument("--resolution", type=int, default=usual.resolution)
    parser.add_argument("--affine", default=usual.affine_iterations)
    parser.add_argument("--warp", default=usual.warp_iterations)
    parser.add_argument("--volumes", type=int, default=40)
    parser.add_argument("--template-average", type=Path)
    parser.add_argument("--t1w", nargs="+")
    arguments = parser.parse_args()
    arguments.registration = complete_settings.registration(
        resolution=arguments.resolution, affine_iterations=arguments.affine, warp_iterations=arguments.warp
    )
    folder = (arguments.folder or Path(tempfile.mkdtemp())).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    template_files(folder)
    start = time.time()
    for part in arguments.only:
        PARTS[part](arguments, Peers(arguments.peers), folder)
    print(f"\n{time.time() - start:.0f} s of wall time")


if __name__ == "__main__":
    main()
