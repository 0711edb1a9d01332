"""The transforms of a perfusion scan: of every volume to the series' reference, and of that to the T1-weighted image."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np

from pharmasl.errors import InputError
from pharmasl.files import tables
from pharmasl.perfusion import acceptance, calibration, coregistration, mirror, motion, series
from pharmasl.space import images, spline, transforms

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
        "Description": "Root mean square over the brain of the change since the last volume of the same type and delay, "
        "after realignment (after Power et al. 2012)",
        "Units": "percent of the earlier volume's mean over the brain",
    },
}


# What the mean of a series shows, by what perfusion is computed from.
MEANS = {"pairs": "mean control", "deltam": "deltaM", "cbf": "CBF"}

REGISTRATION = {
    "Image": "The image that was registered: M0, mean control, deltaM or CBF",
    "Target": "T1w: the participant's own tissues, rigidly; template: those of other people, stretched to the "
    "scan; T1w in this transform's name then means the template, and the transform is affine",
    "Stretch": "How many times larger the template is than this head, along left-right, posterior-anterior, foot-head",
    "Unexplained": "Share of the image that the tissue model leaves over, 0 to 1, robustly counted",
    "Uncertainty": "Root mean square displacement of the brain that the residuals let expect: to compare images by",
    "Overlap": "Dice of the brain carried to the scan with the largest bright body that the scan itself shows; deltaM and CBF, "
    "whose white matter is dark, are smoothed and closed to one",
    "Contrast": "Share (partial R squared) of the variation within the brain that the pattern of grey and white matter "
    "accounts for, in the image where it is clearest (ContrastImage)",
    "ContrastImage": "That image",
    "ContrastDisplaced": f"The mean of such shares with the tissues {coregistration.DISPLACED:g} mm away",
    "ContrastMirrored": "Contrast in that image of the tissues' mirror image, fitted anew; only where the tissues are the "
    "participant's own",
    "LeftRight": f"Whether left and right of T1w and scan {mirror.AGREE} (Contrast is at least {mirror.MARGIN} times "
    f"ContrastMirrored), {mirror.CONTRADICT} (the other way round), or are {mirror.UNDECIDED}",
    "Starts": "Number of places from which the registration was begun",
    "Accepted": f"Whether Overlap is at least {acceptance.LEAST_OVERLAP}, Contrast at least {acceptance.LEAST_CONTRAST} "
    f"and {acceptance.LEAST_RATIO} times ContrastDisplaced, and LeftRight does not {mirror.CONTRADICT}",
    "Reason": "Why it is not accepted",
}


def align(asl, m0, gm, wm, csf, outputs, *, acquisition, affine=False, correct=True):
    """Find and write the transforms of one perfusion scan.

    Controls and labels are realigned to the control that is most like their median, M0 volumes to the first of them;
    the means of both are registered to the tissue maps. Then, the tissues being known, every volume is fitted once
    more to the mean control, and the mean M0 is fitted to it in M0's own contrast. The scan's registration is that of
    the two images which the fit pins down better. It is judged (:mod:`pharmasl.perfusion.acceptance`); where it is not
    accepted all is done again from the best of many more starts, of every image of the scan, and if that does not help
    either, the first result stands and is marked as not accepted.

    Parameters
    ----------
    asl : path-like
        The raw series.
    m0 : sequence of path-like
        The separate M0 image, or empty.
    gm, wm, csf : path-like
        Tissue maps on the T1-weighted image's grid, 0 to 1; the template's, where there is no T1-weighted image.
    outputs : dict
        Paths to write: ``motion``, ``m0_motion``, ``coregistration`` (ITK affines: one a volume of the series, one a
        volume of M0, one), ``registration`` (JSON, :data:`REGISTRATION`), ``aslref`` (image), ``confounds`` (table).
        Without M0 volumes, that of M0 is one identity.
    acquisition : dict
        Of the scan, as the study stage resolves it.
    affine : bool
        The tissue maps are the template's: their size and shape are fitted to the scan too.
    correct : bool
        False leaves every volume of the series where it is. (A separate M0 image is aligned all the same.)

    Raises
    ------
    InputError
        If the volumes are not what the acquisition says, M0 is missing, or the slab is too thin to realign its volumes.
    """
    types = list(acquisition["volume_types"])
    data, grid_affine, of, timing = series.load_acquired(asl, acquisition)
    delay = np.zeros(len(types), dtype=int) if timing is None else timing.group
    origin = calibration.source(acquisition, of, asl, m0)
    m0_data, m0_affine = series.load_m0(m0[0]) if origin == "separate" else (data[..., of.m0scan], grid_affine)
    if origin not in ("separate", "included"):
        m0_data = m0_data[..., :0]
    maps, (maps_affine, *_) = zip(*(images.load(path) for path in (gm, wm, csf)))
    tissues = coregistration.reduce(maps, maps_affine)
    try:
        found = solve(
            data,
            grid_affine,
            of,
            m0_data,
            m0_affine,
            tissues,
            correct=correct,
            separate=origin == "separate",
            stretch=affine,
            delay=delay,
        )
    except motion.TooThinError as error:
        raise InputError(
            asl,
            "dim",
            " x ".join(map(str, data.shape[:3])),
            "a slab thick enough to realign its volumes",
            "Set perfusion.motion.correct to false, or leave the scan out: a slab this thin does not show how the head moved.",
        ) from error

    transforms.write_affines(outputs["motion"], found.motion)
    transforms.write_affines(outputs["m0_motion"], found.m0_motion if len(found.m0_motion) else np.eye(4))
    transforms.write_affines(outputs["coregistration"], np.linalg.inv(found.to_t1w))
    tables.write_json(outputs["registration"], {**found.registration, "Descriptions": REGISTRATION})
    images.save(outputs["aslref"], found.reference, grid_affine)
    grid = images.Grid(data.shape[:3], grid_affine)
    brain = coregistration.carry(tissues.maps.sum(axis=0), tissues.affine, grid, found.to_t1w, parts=2)
    used = ["n/a" if number in of.lost else kind for number, kind in enumerate(types)]
    tables.write_table(outputs["confounds"], confounds(data, grid_affine, found.motion, used, brain, delay), CONFOUNDS)


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
    registration : dict
        Keys of :data:`REGISTRATION`.
    shown : dict of str to ndarray of shape (X, Y, Z)
        The images by which the registration was judged, on the series' grid.
    """

    motion: np.ndarray
    m0_motion: np.ndarray
    to_t1w: np.ndarray
    reference: np.ndarray
    registration: dict = field(default_factory=dict)
    shown: dict = field(default_factory=dict)


def solve(data, affine, of, m0_data, m0_affine, tissues, *, correct, separate, stretch=False, delay=None):
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
    stretch : bool
        Whether the tissues are the template's. ``to_t1w`` is then an affine map to the template.
    delay : sequence of int, optional
        Number of each volume's delay. After suppression pulses static tissue shows another contrast at each, which a
        realignment must not take for motion: volumes of one delay are realigned among themselves, and the delays linked so
        that the head moves on steadily.

    Returns
    -------
    Alignment
    """
    delay = np.zeros(data.shape[3], dtype=int) if delay is None else np.asarray(delay)
    scan = _prepare(data, affine, of, m0_data, m0_affine, correct, separate, _groups(data, of, delay))
    shape = _shape(scan, tissues) if stretch else np.eye(4)
    found = _attempt(scan, coregistration.stretched(tissues, shape))
    tried = found.registration["Starts"]
    if not found.registration["Accepted"]:
        log.warning("registration in doubt: %s. Many more starts are tried", found.registration["Reason"])
        anew = _shape(scan, tissues, wide=True) if stretch else shape
        target = coregistration.stretched(tissues, anew)
        again = [(name, coregistration.coregister(*image, target, wide=True)) for name, image in scan.images().items()]
        tried += sum(fit.starts for _, fit in again)
        for name, fit in sorted(again, key=lambda pair: pair[1].uncertainty):
            other = _attempt(scan, target, fit, name)
            if other.registration["Accepted"]:
                found, shape = other, anew
                break
    if not stretch:
        verdict = mirror.confront(found.registration, found.shown, tissues, scan.grid, found.to_t1w)
        found = replace(found, registration=verdict)
    record = {**found.registration, "Target": "template" if stretch else "T1w", "Starts": tried}
    if stretch:
        record["Stretch"] = [round(float(value), 4) for value in np.diag(shape)[:3]]
    if not record["Accepted"]:
        log.warning("the registration is not accepted: %s", record["Reason"])
    record = {key: record[key] for key in REGISTRATION if key in record}
    return replace(found, to_t1w=shape @ found.to_t1w, registration=record)


@dataclass(frozen=True)
class _Scan:
    """A scan realigned within itself: the means of its series and of its M0 volumes, each in a place of its own."""

    data: np.ndarray
    grid: images.Grid
    of: object
    matrices: np.ndarray
    mean: np.ndarray
    m0_volumes: list
    m0_affine: np.ndarray
    m0_matrices: np.ndarray
    m0_mean: np.ndarray
    correct: bool
    separate: bool
    groups: list

    @property
    def realigned(self):
        return self.correct and self.of.kind == "pairs"

    @property
    def mean_name(self):
        return MEANS[self.of.kind]

    def deltam(self, matrices):
        """Mean control minus mean label of the pairs."""
        control, label = (
            motion.mean([self.data[..., i] for i in chosen], self.grid.affine, matrices[chosen], self.grid)
            for chosen in self.of.pairs.T
        )
        return control - label

    def images(self):
        """Every image that the scan can be registered by, with its affine."""
        found = {self.mean_name: (self.mean, self.grid.affine)}
        if len(self.m0_volumes):
            found["M0"] = self.m0_mean, self.m0_affine
        if self.of.kind == "pairs":
            found["deltaM"] = self.deltam(self.matrices), self.grid.affine
        return found


def _groups(data, of, delay):
    """The controls and labels of each delay, that of the brightest controls first: it is the others' reference."""
    # A delay that has lost all its controls has nothing to be realigned to.
    with_control = np.unique(delay[of.control])
    groups = [of.moving[delay[of.moving] == number] for number in with_control]
    return sorted(groups, key=lambda members: -data[..., np.intersect1d(members, of.control)].mean(dtype=np.float64))


def _prepare(data, affine, of, m0_data, m0_affine, correct, separate, groups):
    """The first pass: volumes realigned to one of their own kind."""
    grid = images.Grid(data.shape[:3], affine)
    matrices = np.tile(np.eye(4), (data.shape[3], 1, 1))
    averaged = {"pairs": of.control, "deltam": of.deltam, "cbf": of.cbf}[of.kind]
    if of.kind == "pairs":
        averaged = np.intersect1d(groups[0], of.control)
    if correct and of.kind == "pairs":
        for members in groups:
            own = data[..., typical(data, np.intersect1d(members, of.control))]
            moving = [data[..., i] for i in members]
            # The second pass, which knows the tissues, does the fine fit.
            matrices[members] = motion.realign(moving, affine, own, affine, motion.head(own), fine=False)
        matrices = _linked(matrices, groups, grid)
    mean = motion.mean([data[..., i] for i in averaged], affine, matrices[averaged], grid)
    m0_volumes = list(np.moveaxis(m0_data, 3, 0))
    m0_matrices, m0_mean = np.tile(np.eye(4), (len(m0_volumes), 1, 1)), None
    if m0_volumes:
        if correct:
            m0_matrices = motion.realign(m0_volumes, m0_affine, m0_volumes[0], m0_affine, motion.head(m0_volumes[0]))
        m0_mean = motion.mean(m0_volumes, m0_affine, m0_matrices, images.Grid(m0_data.shape[:3], m0_affine))
    return _Scan(data, grid, of, matrices, mean, m0_volumes, m0_affine, m0_matrices, m0_mean, correct, separate, groups)


def _shape(scan, tissues, wide=False):
    """The stretch from this head to the template, by the image which then shows the tissues' pattern most clearly.

    A sharp outline is not enough: that of M0 may be the meninges'.
    """
    average = coregistration.average_size(tissues)
    found = []
    for image in scan.images().values():
        start = (
            average @ coregistration.coregister(*image, coregistration.stretched(tissues, average), wide=wide).matrix
        )
        stretch, rigid = coregistration.fit_stretch(*image, tissues, start)
        clear, _ = coregistration.contrast(*image, coregistration.stretched(tissues, stretch), rigid)
        found.append((clear, stretch))
    return max(found, key=lambda pair: pair[0])[1]


def _attempt(scan, tissues, start=None, image=None):
    """The registration, and the second pass that follows from it; from a start unless that is to be looked for.

    ``image`` names the image which ``start`` is the registration of. By deltaM the scan is registered only then: it has
    the clearest pattern, but often little signal.
    """
    grid, of, affine = scan.grid, scan.of, scan.grid.affine
    matrices = scan.matrices.copy()
    starts = None if start is None else [start.matrix]
    if not scan.m0_volumes:
        by_mean = start if image == "deltaM" else _register("the series", scan.mean, affine, tissues, starts)
        if scan.realigned:
            matrices = _again(scan, _anatomy(tissues, grid, by_mean.matrix))
        judged = _record(scan, tissues, by_mean, image or scan.mean_name, matrices, scan.mean, None)
        return Alignment(matrices, np.empty((0, 4, 4)), by_mean.matrix, scan.mean, *judged)

    by_m0 = _register("M0", scan.m0_mean, scan.m0_affine, tissues, starts)
    m0_matrices, chosen, name, to_t1w = scan.m0_matrices, by_m0, "M0", by_m0.matrix
    # Differences have too little contrast of their own: they are taken to lie where M0 lies.
    if of.kind == "pairs":
        by_mean = _register("the series", scan.mean, affine, tissues, [by_m0.matrix])
        by_mean = replace(by_mean, starts=by_m0.starts)
        by_series = start if image == "deltaM" else by_mean
        brain = _anatomy(tissues, grid, by_series.matrix)
        if scan.realigned:
            matrices = _again(scan, brain)
        link = np.eye(4)
        if scan.correct or scan.separate:
            # From points of the series to points of M0: through the T1-weighted image at first, then directly.
            link = np.linalg.inv(by_m0.matrix) @ by_mean.matrix
            weight = np.clip(sum(brain), 0, 1)
            link = motion.realign_contrast(scan.m0_mean, scan.m0_affine, scan.mean, affine, weight, brain, link)
        m0_matrices, to_t1w = m0_matrices @ link, by_m0.matrix @ link
        if image == "deltaM" or by_mean.uncertainty <= by_m0.uncertainty:
            chosen, name, to_t1w = by_series, image if image == "deltaM" else scan.mean_name, by_series.matrix
    if not scan.separate:
        matrices[of.m0scan] = m0_matrices
    shown = motion.mean(scan.m0_volumes, scan.m0_affine, m0_matrices, grid)
    judged = _record(scan, tissues, replace(chosen, matrix=to_t1w), name, matrices, scan.mean, shown)
    return Alignment(matrices, m0_matrices, to_t1w, shown if name == "M0" else scan.mean, *judged)


def _record(scan, tissues, fit, name, matrices, mean, m0):
    """What the scan's sidecar says of its registration, and the images that it is judged by.

    deltaM is made only where the other images do not convince.
    """
    shown = {} if m0 is None else {"M0": m0}
    if scan.of.kind == "pairs" or m0 is None:
        shown[scan.mean_name] = mean
    verdict = acceptance.judge(shown, tissues, scan.grid, fit.matrix)
    if not verdict["Accepted"] and scan.of.kind == "pairs":
        shown["deltaM"] = scan.deltam(matrices)
        verdict = acceptance.judge(shown, tissues, scan.grid, fit.matrix)
    uncertainty = round(fit.uncertainty, 4) if np.isfinite(fit.uncertainty) else None
    record = {
        "Image": name,
        "Unexplained": round(fit.unexplained, 4),
        "Uncertainty": {"Value": uncertainty, "Unit": "mm"},
        "Starts": fit.starts,
        **verdict,
    }
    return record, shown


def _anatomy(tissues, grid, to_t1w):
    return [coregistration.carry(image, tissues.affine, grid, to_t1w, parts=2) for image in tissues.maps]


def _linked(matrices, groups, grid):
    """The volumes of all delays in one space: see :func:`pharmasl.perfusion.motion.continuous`."""
    if len(groups) < 2:
        return matrices
    centre = transforms.apply(grid.affine, (np.array(grid.shape) - 1) / 2)
    moving = np.sort(np.concatenate(groups))
    of = np.zeros(len(matrices), dtype=int)
    for number, members in enumerate(groups):
        of[members] = number
    offsets = motion.continuous(motion.parameters(matrices[moving], centre), of[moving])
    links = np.array([transforms.rigid_matrix(offset[:3], offset[3:], centre) for offset in offsets])
    linked = matrices.copy()
    linked[moving] = matrices[moving] @ links[of[moving]]
    return linked


def _again(scan, brain):
    """The second pass: to the mean, weighted by the brain, with perfusion told from motion by grey and white matter."""
    matrices, affine, weight = scan.matrices.copy(), scan.grid.affine, np.clip(sum(brain), 0, 1)
    for number, members in enumerate(scan.groups):
        mean, controls = scan.mean, np.intersect1d(members, scan.of.control)
        if number:
            mean = motion.mean([scan.data[..., i] for i in controls], affine, scan.matrices[controls], scan.grid)
        moving, starts = [scan.data[..., i] for i in members], scan.matrices[members]
        matrices[members] = motion.realign(moving, affine, mean, affine, weight, maps=brain[:2], starts=starts)
    return _linked(matrices, scan.groups, scan.grid)


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


def confounds(data, affine, matrices, types, brain, delay=None):
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
    delay : sequence of int, optional
        Number of each volume's delay: a volume is compared with the last of its type and delay.

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
    alike = list(zip(types, [0] * len(types) if delay is None else delay))
    displacement, change = np.full(len(types), np.nan), motion.dvars(values, alike)
    # An M0 volume of another contrast is aligned less exactly than a head moves from volume to volume.
    moving = [i for i in used if types[i] in ("control", "label")]
    displacement[moving] = motion.framewise_displacement(found[moving])
    rows = [{} for _ in types]
    for number in used:
        rows[number] = dict(zip(CONFOUNDS, [*found[number], displacement[number], change[number]]))
    return rows
