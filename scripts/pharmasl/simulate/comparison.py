"""Planted beside found: what the workflow made of the simulated trial, judged against its truth.

*Planted* is the amount in grey matter at a region's centre. A scanner's voxel holds other tissue too and the maps are
smoothed, so a perfect workflow would find less; *expected* is what it would find: the truth as the scanner resolves it,
smoothed as the workflow smooths, through the same least squares, averaged over the region by its weight. *Found* is the
same average of the workflow's own map.
"""

from pathlib import Path

import numpy as np

from pharmasl.files import tables
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import images, resample, transforms

COLUMNS = {
    "effect": "What was planted, or a measure of the workflow's accuracy",
    "region": "Where, or in what",
    "unit": "Unit of planted, expected and found",
    "planted": "Amount planted in grey matter, at the centre of the region",
    "expected": "What a perfect workflow would find, in the measure of the column found",
    "found": "What the workflow found",
    "p": "p of what was found",
    "p_kind": "Which p: family-wise over the brain at the peak by the statistic that decides, or of a single test",
    "planted_at": {"Description": "Planted centre in the template, x y z", "Units": "mm"},
    "found_at": {
        "Description": "Largest |t| of the planted sign among the significant voxels within 20 mm",
        "Units": "mm",
    },
    "distance": {"Description": "From the planted centre to the found peak", "Units": "mm"},
    "found_region": "Atlas region of the found cluster's nearest peak",
    "verdict": "found: significant and of the planted sign; or what it is instead. A change within one arm is described: it is "
    "no test of the drug",
}

_REACH = 20.0


def ordinary_least_squares(design, data):
    """Coefficients of shape (K, V) of data of shape (N, V) on a design of shape (N, K)."""
    return np.linalg.lstsq(design, data, rcond=None)[0]


def _rounded(value, digits=4):
    return None if value is None or not np.isfinite(value) else float(f"{value:.{digits}g}")


class Analysis:
    """The outputs of one whole-brain analysis.

    Parameters
    ----------
    files : mapping
        Paths: ``effect``, ``t``, ``verdict``, ``clusters``, ``table``, ``inference``.
    """

    def __init__(self, files):
        self.effect, self.affine = images.load(files["effect"])
        self.t, _ = images.load(files["t"])
        self.p = 10.0 ** -images.load(files["verdict"])[0].astype(np.float64)
        self.decided = tables.read_json(files["inference"])["verdict"]
        self.clusters = images.load(files["clusters"], dtype=np.int32)[0]
        self.rows = tables.read_table(files["table"])
        self.points = transforms.points(images.Grid(self.t.shape, self.affine))
        self.finite = np.isfinite(self.t) & np.isfinite(self.effect)
        # The map is in single precision; an analysis that was not run has no verdict.
        alpha = self.decided["alpha"] if self.decided else 0.0
        self.significant = self.finite & (np.nan_to_num(self.p, nan=1.0) <= alpha * (1 + 1e-5))

    def mean(self, centre, region):
        """Mean effect over the part of a region around one centre, by weight."""
        weight = part(region, centre).weight(self.points) * self.finite
        return float((weight * np.where(self.finite, self.effect, 0)).sum() / weight.sum()) if weight.any() else np.nan

    def peak(self, centre, sign):
        """The strongest significant voxel of a sign near a point: indices, or None."""
        near = ((self.points - centre) ** 2).sum(axis=-1) < _REACH**2
        score = np.where(self.significant & near, sign * self.t, -np.inf)
        at = np.unravel_index(np.argmax(score), score.shape)
        return at if score[at] > 0 else None

    def region_name(self, at):
        """Atlas region of the listed peak of the cluster that lies nearest to a voxel."""
        rows = [row for row in self.rows if row["cluster"] == str(self.clusters[at])]
        if not rows or "region" not in rows[0]:
            return None
        place = self.points[at]
        distances = [np.linalg.norm([float(row[axis]) - value for axis, value in zip("xyz", place)]) for row in rows]
        return rows[int(np.argmin(distances))]["region"]


def part(region, centre):
    """The part of a region around one of its centres, as a region."""
    return type(region)(region.name, region.label, (tuple(centre),), region.core, region.edge)


def _side(region, centre):
    if len(region.centres) == 1:
        return region.label
    return f"{region.label.split(',')[0]}, {'right' if centre[0] > 0 else 'left'}"


def _place_row(effect, region, centre, unit, planted, expected, analysis):
    sign = np.sign(planted) or 1.0
    found = analysis.mean(centre, region)
    at = analysis.peak(centre, sign)
    row = {
        "effect": effect,
        "region": _side(region, centre),
        "unit": unit,
        "planted": planted,
        "expected": _rounded(expected),
        "found": _rounded(found),
        "planted_at": " ".join(f"{value:g}" for value in centre),
    }
    if at is None:
        wrong = np.isfinite(found) and analysis.peak(centre, -sign) is not None
        return {**row, "verdict": "wrong sign" if wrong else "not found"}
    return {
        **row,
        "p": _rounded(float(analysis.p[at])),
        "p_kind": f"{analysis.decided['statistic']}, {analysis.decided['error_rate']}",
        "found_at": " ".join(f"{value:g}" for value in analysis.points[at]),
        "distance": round(float(np.linalg.norm(analysis.points[at] - centre)), 1),
        "found_region": analysis.region_name(at),
        "verdict": "found",
    }


def _elsewhere(effect, regions, analysis):
    """Significant clusters that touch no planted region: there should be none."""
    planted = np.maximum.reduce([region.weight(analysis.points) for region in regions]) > 0
    labels = set(np.unique(analysis.clusters[analysis.significant])) - {0}
    stray = sorted(labels - set(np.unique(analysis.clusters[planted])))
    volume = (
        abs(np.linalg.det(analysis.affine[:3, :3])) * np.isin(analysis.clusters, stray).sum() / 1000 if stray else 0
    )
    return {
        "effect": effect,
        "region": "clusters that touch no planted region",
        "unit": "significant clusters",
        "planted": 0,
        "expected": 0,
        "found": len(stray),
        "verdict": "none" if not stray else f"{volume:.1f} mL by chance or by error",
    }


class TruthMaps:
    """The truth's CBF maps, as a perfect workflow would smooth them.

    Parameters
    ----------
    scans : list of dict
        Rows of the truth's ``scans.tsv``.
    paths : list of path
        The maps, in the order of ``scans``.
    fwhm : float
        Of the workflow's smoothing, mm.
    """

    def __init__(self, scans, paths, fwhm):
        self._maps = {}
        for scan, path in zip(scans, paths, strict=True):
            data, self.affine = images.load(path)
            smooth = resample.smooth(data, self.affine, fwhm)
            self._maps[scan["participant_id"], scan["session_id"], scan["condition"]] = smooth
        self.points = transforms.points(images.Grid(smooth.shape, self.affine))

    def change(self, participants, sessions, weights):
        """Follow-up minus baseline of a weighted sum of conditions: ndarray of shape (N, X, Y, Z)."""
        first, second = sessions["baseline"], sessions["followup"]
        return np.stack(
            [
                sum(
                    w * (self._maps[row["participant_id"], second, c] - self._maps[row["participant_id"], first, c])
                    for c, w in weights.items()
                )
                for row in participants
            ]
        )

    def mean(self, volume, region, centre):
        """Mean over the part of a region around a centre, by weight, of maps of shape (..., X, Y, Z)."""
        weight = part(region, centre).weight(self.points)
        finite = np.isfinite(volume).reshape(-1, *weight.shape).all(axis=0)
        weight = weight * finite
        return (np.where(finite, volume, 0) * weight).sum(axis=(-3, -2, -1)) / weight.sum()


def _numbers(rows, name):
    return np.array([float(row[name]) for row in rows])


def brain_rows(participants, effects, truth, rest, association, arms, sessions):
    """Rows of the whole-brain effects.

    Parameters
    ----------
    participants, effects : list of dict
        Rows of the truth's tables.
    truth : TruthMaps
    rest, association : Analysis
    arms, sessions : dict

    Returns
    -------
    list of dict
        Keys as :data:`COLUMNS`.
    """
    n = len(participants)
    treated = np.array([row["arm"] == arms["treatment"] for row in participants], dtype=float)
    dlpfc = REGIONS["dlpfc"]
    amount = {(row["effect"], row["x"], row["y"], row["z"]): float(row["amount"]) for row in effects if row["x"]}

    def planted(effect, centre):
        return amount[(effect, *(repr(float(value)) for value in centre))]

    resting, cue = (truth.change(participants, sessions, w) for w in ({"rest": 1}, {"smoking": 1, "neutral": -1}))
    rows = []
    for centre in dlpfc.centres:
        change = truth.mean(resting, dlpfc, centre)
        expected = ordinary_least_squares(np.column_stack([np.ones(n), treated]), change[:, None])[1, 0]
        rows.append(
            _place_row(
                "resting CBF: group by time",
                dlpfc,
                centre,
                "mL/100 g/min",
                planted("resting group by time", centre),
                expected,
                rest,
            )
        )
    rows.append(_elsewhere("resting CBF: group by time", [dlpfc], rest))

    # The seed is the cluster that was found, read in the truth; the region itself where none was found.
    at = rest.peak(dlpfc.centres[0], 1.0)
    cluster = rest.clusters == rest.clusters[at] if at is not None and rest.clusters[at] else None
    if cluster is None:
        seed = truth.mean(resting, dlpfc, dlpfc.centres[0])
    else:
        inside = resample.resample(cluster.astype(np.float32), rest.affine, truth.points, fill=0.0) > 0.5
        inside &= np.isfinite(resting).all(axis=0)
        seed = resting[:, inside].mean(axis=1)
    design = np.column_stack([np.ones(n), treated, seed])
    for name in ("insula", "vmpfc"):
        for centre in REGIONS[name].centres:
            change = truth.mean(cue, REGIONS[name], centre)
            rows.append(
                _place_row(
                    "cue response: association with the dlPFC's change",
                    REGIONS[name],
                    centre,
                    "mL/100 g/min per mL/100 g/min",
                    planted("association with the dlPFC's change", centre),
                    ordinary_least_squares(design, change[:, None])[2, 0],
                    association,
                )
            )
    rows.append(
        _elsewhere(
            "cue response: association with the dlPFC's change", [REGIONS["insula"], REGIONS["vmpfc"]], association
        )
    )
    return rows


def _verdict(planted, found, p, alpha):
    if found is None or p is None:
        return "not tested"
    if planted == 0:
        return "none" if p >= alpha else "significant, though none was planted"
    if p >= alpha:
        return "not significant"
    return "found" if np.sign(planted) == np.sign(found) else "wrong sign"


def _single(row, key="estimate"):
    return [None if row is None or row[name] is None else float(row[name]) for name in (key, "p")]


def craving_rows(participants, model, correlations, arms, compare, alpha):
    """Rows of the craving effects.

    Parameters
    ----------
    participants : list of dict
        Of the truth.
    model, correlations : list of dict
        Rows of ``craving_model.tsv`` and ``roi_craving.tsv``.
    arms : dict
    compare : dict
        ``insula`` and ``vmpfc``: names of the ROIs.
    alpha : float

    Returns
    -------
    list of dict
    """
    treated = np.array([row["arm"] == arms["treatment"] for row in participants])
    change = _numbers(participants, "craving_followup") - _numbers(participants, "craving_baseline")
    rows = []

    def first(table, **wanted):
        return next((row for row in table if all(row[name] == value for name, value in wanted.items())), None)

    tests = [
        (
            "change in the treatment arm",
            change[treated].mean(),
            {"analysis": "paired_t", "term": "change", "arm": arms["treatment"]},
        ),
        (
            "change in the control arm",
            change[~treated].mean(),
            {"analysis": "paired_t", "term": "change", "arm": arms["control"]},
        ),
        (
            "group by time",
            change[treated].mean() - change[~treated].mean(),
            {"analysis": "difference_of_changes", "term": "arm:session"},
        ),
    ]
    for name, amount, wanted in tests:
        amount = round(float(amount), 6) + 0.0
        found, p = _single(first(model, **wanted))
        within = "arm" in wanted
        rows.append(
            {
                "effect": f"cue-elicited craving: {name}",
                "region": "craving",
                "unit": "points",
                "planted": _rounded(amount),
                "expected": _rounded(amount),
                "found": found,
                "p": None if within else p,
                "p_kind": None if within else "single test",
                "verdict": "described" if within else _verdict(amount, found, p, alpha),
            }
        )
    for name in ("insula", "vmpfc"):
        cue = _numbers(participants, f"{name}_cue_change")
        design = np.column_stack([np.ones(len(cue)), treated])
        left, right = ((v[:, None] - design @ ordinary_least_squares(design, v[:, None]))[:, 0] for v in (cue, change))
        length = np.linalg.norm(left) * np.linalg.norm(right)
        planted = float(left @ right / length) if length > 0 else np.nan
        row = first(correlations, roi=compare[name], timing="change", group="all", method="pearson")
        found, p = _single(row)
        rows.append(
            {
                "effect": "craving with the cue response: correlation of the changes, adjusted for arm",
                "region": REGIONS[name].label,
                "unit": "Pearson's r",
                "planted": _rounded(planted),
                "expected": None,
                "found": found,
                "p": p,
                "p_kind": "single test, permutation",
                "verdict": _verdict(planted, found, p, alpha),
            }
        )
    return rows


def map_rows(truth_paths, found_paths, gm_path):
    """Rows of the accuracy of the CBF maps in template space, unsmoothed.

    Parameters
    ----------
    truth_paths, found_paths : list of path
        Of the same scans in the same order.
    gm_path : path
        Grey matter shares of the template.

    Returns
    -------
    list of dict
    """
    planted, found, correlation = [], [], []
    grey = None
    for truth_path, found_path in zip(truth_paths, found_paths, strict=True):
        truth, affine = images.load(truth_path)
        points = transforms.points(images.Grid(truth.shape, affine))
        if grey is None:
            grey = resample.resample(*images.load(gm_path), points, fill=0.0) > 0.7
        maps = resample.resample(*images.load(found_path), points)
        both = np.isfinite(truth) & np.isfinite(maps)
        correlation.append(np.corrcoef(truth[both], maps[both])[0, 1])
        planted.append(truth[both & grey].mean())
        found.append(maps[both & grey].mean())
    ratio = np.array(found) / np.array(planted)
    return [
        {
            "effect": "CBF of grey matter, mean over scans",
            "region": "template grey matter above 0.7",
            "unit": "mL/100 g/min",
            "planted": None,
            "expected": _rounded(float(np.mean(planted))),
            "found": _rounded(float(np.mean(found))),
            "verdict": f"each scan {100 * (ratio.min() - 1):+.1f} to {100 * (ratio.max() - 1):+.1f} %",
        },
        {
            "effect": "CBF map with the truth, mean over scans",
            "region": "brain",
            "unit": "Pearson's r over voxels",
            "planted": None,
            "expected": 1,
            "found": _rounded(float(np.mean(correlation))),
            "verdict": f"lowest {min(correlation):.2f}",
        },
    ]


def _millimetres(effect, region, errors):
    errors = np.array(errors)
    return {
        "effect": effect,
        "region": region,
        "unit": "mm",
        "planted": None,
        "expected": 0,
        "found": _rounded(float(errors.mean())),
        "verdict": f"worst {errors.max():.2f}",
    }


def geometry_rows(people, runs, gm_path):
    """Rows of the accuracy of masks, registration and motion correction.

    Parameters
    ----------
    people : list of dict
        Paths: ``truth_mask``, ``truth_field``, ``mask``, ``field``.
    runs : list of dict
        Paths: ``truth_motion``, ``truth_coregistration``, ``motion``, ``coregistration``; ``person``, an index.
    gm_path : path
        Grey matter shares of the template: registration is judged there.

    Returns
    -------
    list of dict
    """
    dice, warp, where = [], [], []
    grey = None
    for person in people:
        truth = images.load(person["truth_mask"])[0] > 0.5
        mask = images.load(person["mask"])[0] > 0.5
        dice.append(2 * (truth & mask).sum() / (truth.sum() + mask.sum()))
        planted, grid = transforms.read_field(person["truth_field"])
        if grey is None:
            grey = resample.resample(*images.load(gm_path), transforms.points(grid), fill=0.0) > 0.5
        points = transforms.points(grid)[grey]
        field, found_grid = transforms.read_field(person["field"])
        found = np.stack([resample.resample(field[..., k], found_grid.affine, points) for k in range(3)], axis=-1)
        distance = np.linalg.norm(found - planted[grey], axis=-1)
        warp.append(np.nanmean(distance))
        # Points of the brain in the T1w frame, on which rigid errors are measured.
        where.append(planted[grey][::23])
    placement = []
    for run in runs:
        points = where[run["person"]]
        truth = transforms.read_affines(run["truth_motion"]) @ transforms.read_affines(run["truth_coregistration"])[0]
        found = transforms.read_affines(run["motion"]) @ transforms.read_affines(run["coregistration"])[0]
        squares = [
            ((transforms.apply(a, points) - transforms.apply(b, points)) ** 2).sum(axis=-1).mean()
            for a, b in zip(truth, found)
        ]
        placement.append(np.sqrt(np.mean(squares)))
    return [
        {
            "effect": "brain mask, mean over participants",
            "region": "T1w image",
            "unit": "Dice coefficient",
            "planted": None,
            "expected": 1,
            "found": _rounded(float(np.mean(dice))),
            "verdict": f"lowest {min(dice):.3f}",
        },
        _millimetres(
            "error of the fit to the template, mean over participants", "template grey matter above 0.5", warp
        ),
        _millimetres(
            "error of motion correction and coregistration together, root mean square over volumes, mean over scans",
            "grey matter",
            placement,
        ),
    ]


def text(rows, title):
    """The table as text for a terminal."""
    lines = [title, "=" * len(title), ""]
    for row in rows:
        values = "   ".join(
            f"{name} {row[name]:g}" for name in ("planted", "expected", "found") if row.get(name) is not None
        )
        lines.append(f"{row['effect']} — {row['region']}")
        lines.append(f"    {values} ({row['unit']})   -> {row['verdict']}")
        details = []
        if row.get("p") is not None:
            details.append(f"p = {row['p']:.2g} ({row['p_kind']})")
        if row.get("found_at"):
            details.append(
                f"peak at ({row['found_at']}), {row['distance']:g} mm from the planted ({row['planted_at']}): "
                f"{row['found_region'] or 'no atlas name'}"
            )
        if details:
            lines.append("    " + "; ".join(details))
    lines += [
        "",
        "planted: in grey matter at the centre. expected: what a perfect workflow would find, through the scanner's",
        "resolution and the maps' smoothing, as a mean over the region. found: the same mean of the workflow's map.",
        "",
    ]
    return "\n".join(lines)


def write_comparison(files, outputs, arms, sessions, compare, fwhm, alpha):
    """Compare truth and results.

    Parameters
    ----------
    files : mapping
        ``plan``, ``effects``, ``scans`` (truth tables); ``truth_cbf``, ``cbf`` (lists, in the order of ``scans``);
        ``rest`` and ``association`` (mappings for :class:`Analysis`); ``model``, ``correlations``; ``gm`` (template);
        ``people`` and ``runs`` (see :func:`geometry_rows`).
    outputs : mapping
        ``table``, ``text``.
    arms, sessions : dict
    compare : dict
        Names of the ROIs that answer for ``insula`` and ``vmpfc``.
    fwhm : float
        Of the workflow's smoothing, mm.
    alpha : float
        Level of the tests of craving.
    """
    participants, effects, scans = (tables.read_table(files[name]) for name in ("plan", "effects", "scans"))
    truth = TruthMaps(scans, files["truth_cbf"], fwhm)
    rest, association = Analysis(files["rest"]), Analysis(files["association"])
    rows = brain_rows(participants, effects, truth, rest, association, arms, sessions)
    rows += craving_rows(
        participants, tables.read_table(files["model"]), tables.read_table(files["correlations"]), arms, compare, alpha
    )
    rows += map_rows(files["truth_cbf"], files["cbf"], files["gm"])
    rows += geometry_rows(files["people"], files["runs"], files["gm"])
    tables.write_table(outputs["table"], rows, COLUMNS)
    Path(outputs["text"]).write_text(text(rows, "Planted and found"), encoding="utf-8")
