"""Which good scans the measures of the signal would lose, and which planted faults they find.

    python benchmarks/false_alarms.py --data FOLDER_OF_DATA_SETS --results WORK [--seeds 20] [--markdown FILE]

WORK is the folder of ``real_scans.py``, which analysed every data set as far as its quality: brain, grey matter and the
constants of each scan are read there, its volumes from the raw data. Simulated scans are one head of the simulator, run
again and again with its own noise, drift and motion. Each scan is measured by the workflow's own functions; CBF is taken
voxel by voxel from the volumes as they lie, without realignment. Faults are planted in copies of the good scans.
"""

import argparse
import json
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

import simulation
from pharmasl.errors import InputError
from pharmasl.perfusion import across_repeats, artefacts, consistency, far_off, repeat_measures, signal, volumes
from pharmasl.quality import implausible
from pharmasl.simulate import deformation, label_control_series, participant_anatomy
from pharmasl.space import images, resample, transforms

# Good as scans go; the phantom has no perfusion and is judged apart.
PHANTOM = "phantom-xa30-pcasl"
SCANNERS = {
    "3D, suppressed": {},
    "3D, suppressed, noise x 10": {"noise": 10.0},
    "3D, not suppressed": {"static_signal": 1.0},
    "2D, suppressed": {"slice_time": 0.04},
    "3D, 3 pairs": {"pairs": 3},
}


@dataclass(frozen=True)
class Case:
    """A raw scan, and where its brain and grey matter are."""

    name: str
    data: np.ndarray
    types: list
    group: np.ndarray
    m0: np.ndarray
    suppressed: bool
    m0_repetition_time: float | None
    brain: np.ndarray
    grey: np.ndarray
    factor: np.ndarray

    def changed(self, **values):
        return replace(self, **values)


def real(data, results):
    """Every scan that real_scans.py has analysed."""
    for table in sorted(results.glob("*/results/sub-*/**/*_desc-qualitycontrol_cbf.tsv")):
        stem = str(table).removesuffix("_desc-qualitycontrol_cbf.tsv")
        name = table.relative_to(results).parts[0]
        raw = data / name / Path(stem).relative_to(results / name / "results")
        types = Path(f"{raw}_aslcontext.tsv").read_text().split()[1:]
        series_data, _ = images.load(f"{raw}_asl.nii.gz")
        record = json.loads(Path(f"{stem}_cbf.json").read_text())
        sidecar = json.loads(Path(f"{raw}_asl.json").read_text())
        delays = sidecar["PostLabelingDelay"]
        delays = np.array(delays if isinstance(delays, list) else [delays] * len(types))
        group = np.unique(delays, return_inverse=True)[1]
        constant = {key: value["Value"] for key, value in record["Constants"].items()}
        brain, grey = (images.load(f"{stem}_{part}.nii.gz")[0] for part in ("desc-brain_mask", "label-GM_probseg"))
        efficiency, t1 = constant["labeling_efficiency"], constant["t1_blood"]
        # The scale alone: no measure but the level of far-off pairs depends on it, and that is in their own deviations.
        factor = 6000 * 0.9 * np.exp(delays / t1) / (2 * efficiency * t1)
        m0 = series_data[..., [kind == "m0scan" for kind in types]]
        yield Case(
            f"{name} {Path(stem).name}",
            series_data,
            types,
            group,
            m0,
            bool(sidecar.get("BackgroundSuppression")),
            None,
            brain > 0,
            (brain > 0) & (grey > 0.7),
            factor,
        )


def simulated(seeds):
    """Runs of one simulated head on several scanners."""
    settings = simulation.participant()
    template = participant_anatomy.read_template()
    shape = deformation.draw(
        np.random.default_rng(1), template.low, template.high, template.centre, settings.anatomy.warp
    )
    grid = participant_anatomy.t1w_grid(template, shape, 3.0)
    head = participant_anatomy.head(np.random.default_rng(2), template, shape, grid)
    base = settings.perfusion
    for name, change in SCANNERS.items():
        change = {**change, **({"noise": change["noise"] * base.noise} if "noise" in change else {})}
        scanner = replace(base, **{"pairs": min(base.pairs, 12), **change})
        magnetisation = label_control_series.magnetisation(head, scanner)
        levels = {"gm": 60.0, "wm": 22.0}
        tissue = label_control_series.Tissue(
            grid.affine,
            magnetisation,
            label_control_series.perfusion(head, levels, np.ones(head.fed.sum(), np.float32), scanner),
        )
        centre = shape.from_template(template.centre)
        asl = scanner.grid(centre)
        points = transforms.points(asl)
        brain = resample.resample(head.mask.astype(np.float32), grid.affine, points) > 0.5
        grey = resample.resample(head.fractions["gm"].astype(np.float32), grid.affine, points) > 0.7
        factor = np.full(1 + 2 * scanner.pairs, 1 / scanner.label_signal().mean())
        for seed in range(seeds):
            rng = np.random.default_rng([seed, 7])
            motions = label_control_series.motion_matrices(label_control_series.drift(rng, scanner), centre)
            run = label_control_series.acquire(rng, scanner, tissue, asl, np.eye(4), motions)
            yield Case(
                f"simulated, {name}, {seed}",
                run,
                scanner.volume_types,
                np.zeros(run.shape[3], dtype=int),
                run[..., :1],
                scanner.static_signal < 1,
                scanner.m0_repetition_time,
                brain,
                grey & brain,
                factor,
            )


def measured(case):
    """The scan's measures, what was left out, and why it would not be usable."""
    m0 = case.m0
    lost_m0 = signal.examine(m0, ["m0scan"] * m0.shape[3]).lost
    m0 = m0[..., [k for k in range(m0.shape[3]) if k not in lost_m0]]
    data, examined = case.data.copy(), signal.examine(case.data, case.types, case.group)
    data[..., list(examined.lost)] = 0
    try:
        of = volumes.sort(case.types, case.name, case.group, examined)
        volumes.require_m0(m0.shape[3] * [0], lost_m0, case.name)
    except InputError as error:
        return {"refused": str(error)}, examined.lost | lost_m0
    static = m0.mean(axis=3, dtype=np.float64)
    bright = static > 0.1 * np.median(static[case.brain])
    grey = case.grey & bright
    differences = data[grey][:, of.pairs[:, 0]].astype(np.float64) - data[grey][:, of.pairs[:, 1]]
    cbf = differences / static[grey][:, None] * case.factor[of.pairs[:, 0]]
    means, delays = cbf.mean(axis=0), case.group[of.pairs[:, 0]]
    for number in np.unique(delays):
        means[delays == number] -= np.median(means[delays == number])
    away = repeat_measures.deviation(means, np.isfinite(means))
    rows = [{"gm_cbf": float(value), "gm_deviation": float(each)} for value, each in zip(cbf.mean(axis=0), away)]
    choice = far_off.without_far_off(artefacts.Choice(np.ones(len(rows), dtype=bool), [""] * len(rows), rows, []))
    kept = choice.kept
    mean = cbf[:, kept].mean(axis=1)
    control = consistency.brightest(data[case.brain], of.pairs[:, 0], delays)
    here = control > consistency.DARK * np.median(control)
    quotient = float(np.median(static[case.brain][here] / control[here]))
    step, volume = consistency.gain_step(of, case.group[of.acquired[:, 0]])
    level = signal.levels(m0)
    values = {
        "volume level over its kind's median": signal_levels(case, examined),
        "repeat's deviation (robust SD)": float(np.nanmax(np.abs(away)))
        if len(away) >= far_off.LEAST
        else float("nan"),
        "M0 over suppressed control" if case.suppressed else "M0 over control": quotient,
        "spread of M0 volumes": float(level.max() / level.min()) if len(level) > 1 else float("nan"),
        "step of the level": step,
        "z of grey-matter CBF": across_repeats.repeats_z(cbf[:, kept].mean(axis=0), delays[kept]),
        "share of negative grey matter": float((mean < 0).mean()),
    }
    record = {
        "M0OverControl": quotient,
        "M0OverControlLeast": consistency.least_m0(case.suppressed, case.m0_repetition_time, 1.6),
        "M0Spread": float(level.max() / level.min()),
        "GainStep": step,
        "GainStepVolume": volume,
        "ZeroShare": float((mean == 0).mean()),
        "BackgroundSuppression": case.suppressed,
        "GreyMatterMedian": None,
        "EffectiveDelay": None,
        "EffectiveDelayLeast": None,
    }
    judged = {
        "gm_cbf": float(mean.mean()),
        "gm_cbf_z": values["z of grey-matter CBF"],
        "template_correlation": 1.0,
        "negative_gm_share": values["share of negative grey matter"],
    }
    record = {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in record.items()}
    lost = {**examined.lost, **{f"M0 {k}": reason for k, reason in lost_m0.items()}}
    lost |= {f"repeat {k}": reason for k, reason in enumerate(choice.reasons) if reason}
    return values | {"causes": implausible.causes(judged, record)}, lost


def signal_levels(case, examined):
    """The volumes' levels over the median of their delay: least and largest."""
    pairs = np.array([kind in ("control", "label") for kind in case.types])
    out = []
    for number in np.unique(case.group[pairs]):
        level = examined.level[pairs & (case.group == number)]
        out += list(level / np.nanmedian(level))
    return np.nanmin(out), np.nanmax(out)


LIMITS = {
    "volume level over its kind's median": f"{signal.LEVELS[0]:g} to {signal.LEVELS[1]:g}",
    "repeat's deviation (robust SD)": f"at most {far_off.LIMIT:g}",
    "M0 over suppressed control": f"at least {consistency.SUPPRESSED:g}",
    "M0 over control": f"at least {consistency.TOLERANCE:g} (1 - exp(-TR / T1))",
    "spread of M0 volumes": f"at most {implausible.M0_SPREAD:g}",
    "step of the level": f"at most {implausible.GAIN_STEP:g}",
    "z of grey-matter CBF": f"at least {implausible.NEGATIVE_Z:g}",
    "share of negative grey matter": f"at most {implausible.NEGATIVE_SHARE:g}",
}


def faults():
    """Name to a function that plants it in a copy of a scan's volumes."""

    def volume(change, count=1):
        def plant(case):
            data = case.data.copy()
            paired = np.flatnonzero([kind in ("control", "label") for kind in case.types])
            for number in paired[len(paired) // 2 :][:count]:
                change(data[..., number], case, number)
            return case.changed(data=data)

        return plant

    def block(share):
        def where(case):
            inside = np.argwhere(case.brain)
            size = max(1, round((share * len(inside)) ** (1 / 3)))
            corner = inside[len(inside) // 2]
            return tuple(slice(c, c + size) for c in corner)

        return where

    def fill(value, where=lambda case: ...):
        return lambda image, case, number: image.__setitem__(where(case), value)

    def noise(image, case, number):
        rng = np.random.default_rng(0)
        image[:] = np.abs(rng.normal(0, 0.02 * np.percentile(image, 98), image.shape))

    def copy_of_control(image, case, number):
        image[:] = case.data[..., case.types.index("control")]

    def m0_for_control(image, case, number):
        image[:] = case.m0[..., 0]

    def all_alike(case):
        data = case.data.copy()
        for number, kind in enumerate(case.types):
            if kind in ("control", "label"):
                data[..., number] = case.data[..., case.types.index("control")]
        return case.changed(data=data)

    def step(factor):
        def plant(case):
            data = case.data.copy()
            paired = np.flatnonzero([kind in ("control", "label") for kind in case.types])
            half = paired[2 * (len(paired) // 4) :]
            data[..., half] *= np.float32(factor)
            return case.changed(data=data)

        return plant

    def m0_is_control(case):
        control = case.data[..., [case.types.index("control")]].copy()
        return case.changed(m0=control) if case.suppressed else None

    def m0_disagree(factor):
        return lambda case: case.changed(
            m0=np.concatenate([case.m0, case.m0[..., :1] * np.float32(1 / factor)], axis=3)
        )

    def exchange(case):
        other = {"control": "label", "label": "control"}
        return case.changed(types=[other.get(kind, kind) for kind in case.types])

    def off_by_one(case):
        paired = [k for k, kind in enumerate(case.types) if kind in ("control", "label")]
        types = list(case.types)
        for here, before in zip(paired[1:], paired):
            types[here] = case.types[before]
        types[paired[0]] = "n/a"
        return case.changed(types=types)

    def offset(share):
        def change(image, case, number):
            image += np.float32(share * np.median(case.m0[case.brain]))

        return change

    return {
        "volume of zeros": volume(fill(0)),
        "last half of the volumes of zeros": volume(fill(0), 1000),
        "volume of NaN": volume(fill(np.nan)),
        "NaN in 0.1 % of the brain": volume(fill(np.nan, block(0.001))),
        "NaN in 10 % of the brain": volume(fill(np.nan, block(0.1))),
        "values of -1.9e34 in 1 % of the brain": volume(fill(-1.9e34, block(0.01))),
        "zeros in 1 % of the brain": volume(fill(0, block(0.01))),
        "zeros in 10 % of the brain": volume(fill(0, block(0.1))),
        "volume of noise": volume(noise),
        "label a copy of a control": volume(copy_of_control),
        "all controls and labels alike": all_alike,
        "M0 called control": volume(m0_for_control),
        "gain x 1.05 from half time": step(1.05),
        "gain x 1.15 from half time": step(1.15),
        "gain x 1.5 from half time": step(1.5),
        "gain x 10 from half time": step(10),
        "suppressed control called M0": m0_is_control,
        "M0 volumes differ x 1.3": m0_disagree(1.3),
        "M0 volumes differ x 2": m0_disagree(2),
        "M0 volumes differ x 10": m0_disagree(10),
        "label and control exchanged": exchange,
        "table off by one volume": off_by_one,
        "one volume brighter by 0.5 % of M0": volume(offset(0.005)),
        "one volume brighter by 5 % of M0": volume(offset(0.05)),
        "one volume brighter by 20 % of M0": volume(offset(0.2)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--planted", type=int, default=1, help="simulated scans of each scanner that get the faults")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    ranges, lost_good, count = defaultdict(list), [], {"real": 0, "simulated": 0}
    planted, total, missed, out = defaultdict(int), defaultdict(int), defaultdict(list), []

    def good(case, kind):
        values, lost = measured(case)
        count[kind] += 1
        if lost or values.get("causes") or "refused" in values:
            lost_good.append((case.name, lost, values))
        for name, value in values.items():
            if name in LIMITS:
                ranges[kind, name] += [v for v in np.atleast_1d(value) if np.isfinite(v)]

    def plant(case):
        for name, fault in faults().items():
            spoilt = fault(case)
            if spoilt is None:
                continue
            values, lost = measured(spoilt)
            total[name] += 1
            if lost or values.get("causes") or "refused" in values:
                planted[name] += 1
            else:
                missed[name].append(case.name)

    for case in real(options.data.resolve(), options.results.resolve()):
        if case.name.startswith(PHANTOM):
            values, lost = measured(case)
            out.append(f"Water phantom: {len(lost)} volumes or repeats left out, causes: {values['causes'] or 'none'}.")
            continue
        good(case, "real")
        plant(case)
    for number, case in enumerate(simulated(options.seeds)):
        good(case, "simulated")
        if number % options.seeds < options.planted:
            plant(case)

    lines = [
        f"**Measures of the signal: {count['real']} real and reference scans, {count['simulated']} simulated ones; good scans "
        f"of which anything was lost: {len(lost_good)}**",
        "",
        "| measure | limit | real scans | simulated scans |",
        "|---|---|---|---|",
    ]
    for name, limit in LIMITS.items():
        spans = [ranges[kind, name] for kind in ("real", "simulated")]
        spans = [f"{min(span):.3g} to {max(span):.3g}" if span else "" for span in spans]
        lines.append(f"| {name} | {limit} | {spans[0]} | {spans[1]} |")
    lines += ["", "| planted fault | found | not found in |", "|---|---|---|"]
    for name in total:
        where = (
            "; ".join(missed[name])
            if len(missed[name]) < 4
            else "several"
            if planted[name]
            else "all: within the limit"
        )
        lines.append(f"| {name} | {planted[name]} of {total[name]} | {where} |")
    lines += [
        "",
        *out,
        *(f"LOST: {name}: {lost} {values.get('causes') or values.get('refused')}" for name, lost, values in lost_good),
    ]
    print("\n".join(lines))
    if options.markdown:
        text = options.markdown.read_text(encoding="utf-8")
        start = "<!-- figures: false_alarms -->"
        body = "\n".join(lines)
        text = re.sub(f"{start}.*?<!-- end -->", lambda _: f"{start}\n{body}\n\n<!-- end -->", text, flags=re.DOTALL)
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
