"""The transforms of a perfusion scan: of every volume to the series' reference, and of that to the T1-weighted image."""

import logging
from dataclasses import dataclass

import numpy as np

from pharmasl import images, tables, transforms
from pharmasl.perfusion import calibration, coregistration, motion, series, spline

log = logging.getLogger(__name__)

CONFOUNDS = {
    "trans_x": {"Description": "Translation along x (RAS+) from the reference image to the volume", "Units": "mm"},
    "trans_y": {"Description": "Translation along y (RAS+) from the reference image to the volume", "Units": "mm"},
    "trans_z": {"Description": "Translation along z (RAS+) from the reference image to the volume", "Units": "mm"},
    "rot_x": {"Description": "x of the rotation vector about the centre of the brain", "Units": "rad"},
    "rot_y": {"Description": "y of the rotation vector about the centre of the brain", "Units": "rad"},
    "rot_z": {"Description": "z of the rotation vector about the centre of the brain", "Units": "rad"},
    "framewise_displacement": {
        "Description": "Sum of the absolute changes of the six parameters since the control or label before, rotations "
        "as arcs on a sphere of 50 mm radius (Power et al. 2012)",
        "Units": "mm",
    },
    "dvars": {
        "Description": "Root mean square over the brain of the change since the last volume of the same type, after "
        "realignment (after Power et al. 2012)",
        "Units": "percent of the earlier volume's mean over the brain",
    },
}


def align(asl, m0, gm, wm, csf, outputs, *, acquisition, correct=True):
    """Find and write the transforms of one perfusion scan.

    Controls and labels are realigned to the control that is most like their median, M0 volumes to the first of them;
    the means of both are registered to the tissue maps. Then, the tissues being known, every volume is fitted once
    more to the mean control, and the mean M0 is fitted to it in M0's own contrast. The scan's registration is that of
    the two images which the fit pins down better.

    Parameters
    ----------
    asl : path-like
        The raw series.
    m0 : sequence of path-like
        The separate M0 image, or empty.
    gm, wm, csf : path-like
        Tissue maps on the T1-weighted image's grid, 0 to 1.
    outputs : dict
        Paths to write: ``motion``, ``m0_motion``, ``coregistration`` (ITK affines: one a volume of the series, one a
        volume of M0, one), ``aslref`` (image), ``confounds`` (table). Without M0 volumes, that of M0 is one identity.
    acquisition : dict
        Of the scan, as the study stage resolves it.
    correct : bool
        False leaves every volume of the series where it is. (A separate M0 image is aligned all the same.)

    Raises
    ------
    InputError
        If the volumes are not what the acquisition says, or M0 is missing.
    """
    types = list(acquisition["volume_types"])
    data, affine, of = series.load(asl, types)
    origin = calibration.source(acquisition, of, asl, m0)
    m0_data, m0_affine = series.load_m0(m0[0]) if origin == "separate" else (data[..., of.m0scan], affine)
    if origin not in ("separate", "included"):
        m0_data = m0_data[..., :0]
    maps, (maps_affine, *_) = zip(*(images.load(path) for path in (gm, wm, csf)))
    tissues = coregistration.reduce(maps, maps_affine)
    found = solve(data, affine, of, m0_data, m0_affine, tissues, correct=correct, separate=origin == "separate")

    transforms.write_affines(outputs["motion"], found.motion)
    transforms.write_affines(outputs["m0_motion"], found.m0_motion if len(found.m0_motion) else np.eye(4))
    transforms.write_affines(outputs["coregistration"], np.linalg.inv(found.to_t1w))
    images.save(outputs["aslref"], found.reference, affine)
    grid = images.Grid(data.shape[:3], affine)
    brain = coregistration.carry(tissues.maps.sum(axis=0), tissues.affine, grid, found.to_t1w, parts=2)
    tables.write_table(outputs["confounds"], confounds(data, affine, found.motion, types, brain), CONFOUNDS)


@dataclass(frozen=True)
class Alignment:
    """Where everything lies.

    Attributes
    ----------
    motion : ndarray of shape (T, 4, 4)
        Maps points of the series' reference to points of each volume.
    m0_motion : ndarray of shape (N, 4, 4)
        The same for each M0 volume.
    to_t1w : ndarray of shape (4, 4)
        Maps points of the reference to points of the T1-weighted image.
    reference : ndarray of shape (X, Y, Z)
        The image by which the scan was registered, on the series' grid.
    """

    motion: np.ndarray
    m0_motion: np.ndarray
    to_t1w: np.ndarray
    reference: np.ndarray


def solve(data, affine, of, m0_data, m0_affine, tissues, *, correct, separate):
    """Find the transforms of a scan: see :func:`align`.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z, T)
    affine : ndarray of shape (4, 4)
    of : pharmasl.perfusion.volumes.Volumes
    m0_data : ndarray of shape (X, Y, Z, N)
        M0 volumes of the series or of the separate image; N may be zero.
    m0_affine : ndarray of shape (4, 4)
    tissues : pharmasl.perfusion.coregistration.Tissues
    correct : bool
    separate : bool
        Whether M0 is an image of its own.

    Returns
    -------
    Alignment
    """
    grid = images.Grid(data.shape[:3], affine)
    matrices = np.tile(np.eye(4), (data.shape[3], 1, 1))
    moving = [data[..., i] for i in of.moving]
    realigned = correct and of.kind == "pairs"
    if realigned:
        first = data[..., typical(data, of.control)]
        matrices[of.moving] = motion.realign(moving, affine, first, affine, motion.head(first))
    averaged = {"pairs": of.control, "deltam": of.deltam, "cbf": of.cbf}[of.kind]
    mean = motion.mean([data[..., i] for i in averaged], affine, matrices[averaged], grid)

    m0_volumes = list(np.moveaxis(m0_data, 3, 0))
    if not m0_volumes:
        to_t1w = _register("the series", mean, affine, tissues).matrix
        if realigned:
            matrices[of.moving] = _again(moving, affine, mean, _anatomy(tissues, grid, to_t1w), matrices[of.moving])
        return Alignment(matrices, np.empty((0, 4, 4)), to_t1w, mean)

    m0_matrices = np.tile(np.eye(4), (len(m0_volumes), 1, 1))
    if correct:
        m0_matrices = motion.realign(m0_volumes, m0_affine, m0_volumes[0], m0_affine, motion.head(m0_volumes[0]))
    m0_mean = motion.mean(m0_volumes, m0_affine, m0_matrices, images.Grid(m0_data.shape[:3], m0_affine))
    by_m0 = _register("M0", m0_mean, m0_affine, tissues)
    to_t1w = by_m0.matrix
    # Differences have too little contrast of their own: they are taken to lie where M0 lies.
    if of.kind == "pairs":
        by_mean = _register("the series", mean, affine, tissues, [by_m0.matrix])
        brain = _anatomy(tissues, grid, by_mean.matrix)
        if realigned:
            matrices[of.moving] = _again(moving, affine, mean, brain, matrices[of.moving])
        link = np.eye(4)
        if correct or separate:
            # From points of the series to points of M0: through the T1-weighted image at first, then directly.
            start = np.linalg.inv(by_m0.matrix) @ by_mean.matrix
            link = motion.realign_contrast(m0_mean, m0_affine, mean, affine, np.clip(sum(brain), 0, 1), brain, start)
        m0_matrices, to_t1w = m0_matrices @ link, by_m0.matrix @ link
    if not separate:
        matrices[of.m0scan] = m0_matrices
    if of.kind == "pairs" and by_mean.uncertainty <= by_m0.uncertainty:
        return Alignment(matrices, m0_matrices, by_mean.matrix, mean)
    return Alignment(matrices, m0_matrices, to_t1w, motion.mean(m0_volumes, m0_affine, m0_matrices, grid))


def _anatomy(tissues, grid, to_t1w):
    return [coregistration.carry(image, tissues.affine, grid, to_t1w, parts=2) for image in tissues.maps]


def _again(moving, affine, mean, brain, starts):
    """The second pass: to the mean, weighted by the brain, with perfusion told from motion by grey and white matter."""
    weight = np.clip(sum(brain), 0, 1)
    return motion.realign(moving, affine, mean, affine, weight, maps=brain[:2], starts=starts)


def _register(name, image, affine, tissues, starts=None):
    found = coregistration.coregister(image, affine, tissues, starts)
    log.info(
        "%s to T1w: the tissues leave %.0f%% of the image unexplained, uncertainty %.2f mm",
        name,
        100 * found.unexplained,
        found.uncertainty,
    )
    return found


def typical(data, control):
    """The control nearest to the voxelwise median of all, by least squares after scaling: index of its volume."""
    middle = np.median(data[..., control], axis=3).ravel()
    distances = []
    for number in control:
        values = data[..., number].ravel().astype(np.float64)
        scale = (values * middle).sum() / max((values * values).sum(), 1e-12)
        distances.append(((scale * values - middle) ** 2).sum())
    return int(control[int(np.argmin(distances))])


def confounds(data, affine, matrices, types, brain):
    """Motion of each volume, as rows of the confounds table.

    Parameters
    ----------
    data : ndarray of shape (X, Y, Z, T)
    affine : ndarray of shape (4, 4)
    matrices : ndarray of shape (T, 4, 4)
        Maps points of the reference to points of each volume.
    types : sequence of str
        Type of each volume; dummies (``n/a``) and ``noRF`` volumes get no values.
    brain : ndarray of shape (X, Y, Z)
        Share of brain in each voxel.

    Returns
    -------
    list of dict
        One a volume, with the keys of :data:`CONFOUNDS`.
    """
    points = transforms.points(images.Grid(data.shape[:3], affine))
    inside = points[brain > 0.5]
    used = [i for i, kind in enumerate(types) if kind not in ("n/a", "noRF")]
    centre = (inside if len(inside) else points.reshape(-1, 3)).mean(axis=0)
    found = motion.parameters(matrices, centre)
    values = np.full((len(inside), len(types)), np.nan, dtype=np.float32)
    for number in used:
        values[:, number] = spline.sample(spline.coefficients(data[..., number]), affine, inside, matrices[number])
    displacement, change = np.full(len(types), np.nan), motion.dvars(values, types)
    # An M0 volume of another contrast is aligned less exactly than a head moves from volume to volume.
    moving = [i for i in used if types[i] in ("control", "label")]
    displacement[moving] = motion.framewise_displacement(found[moving])
    rows = [{} for _ in types]
    for number in used:
        rows[number] = dict(zip(CONFOUNDS, [*found[number], displacement[number], change[number]]))
    return rows
