"""How well the model of blocks within a run finds a contrast, and how often it finds one that is not there.

    python benchmarks/blocks.py [--voxels 1000]
    python benchmarks/blocks.py --people 6

Series of single voxels: a perfusion of 60 mL/100 g/min, control and label in turn, blocks of two conditions, a BOLD response
to the first, noise that is partly autoregressive, drift, motion that walks or is locked to the blocks, and perfusion that
wanes within blocks. They are fitted as the workflow fits them, with six columns of motion where the head moves, and by three
simpler ways: ordinary least squares, no columns of drift, and the mean of pairwise differences in the blocks of either
condition. The column "true" is the first condition's CBF less the second's. SD and bias are in mL/100 g/min; "false" is the
share of voxels with a two-sided p below .05.

With --people, raw images are simulated in which cues alternate (two runs of 60 pairs a person, BOLD of 1 % in the planted
regions), sampled through the true transforms, and fitted voxel by voxel on the scan's grid.

Last stand the seconds of the fit of 30,000 and of 230,000 voxels (a scan's grid, a template of 2 mm) with 200 volumes, and
those of nilearn's run_glm for the first.
"""

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import signal, stats

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests"))

import perfusion_settings
import quantified
import simulation
from pharmasl.perfusion import block_responses, scan
from pharmasl.perfusion import motion as head_motion
from pharmasl.simulate import label_control_series, participant_anatomy
from pharmasl.simulate.alternating_cues import CUES
from pharmasl.simulate.scanned_person import Person
from pharmasl.simulate.scanner_model import T1
from pharmasl.simulate.trial_draws import CUE_REGIONS
from pharmasl.space import images, transforms
from pharmasl.statistics import autoregression, block_design
from pharmasl.study import run_blocks, scan_acquisition

# Of a control's signal, per mL/100 g/min of CBF.
PER_CBF = 1e-4
PERFUSION = 60.0


@dataclass(frozen=True)
class Case:
    """How a run was scanned and what its voxels do; amounts of signal are shares of a control's."""

    name: str
    effect: float = 0.0
    pairs: int = 100
    block: float = 60.0
    repetition: float = 4.0
    bold: float = 0.01
    delay: float = 6.0
    noise: float = 0.0045
    coefficient: float = 0.4
    coloured: float = 0.5
    drift: float = 0.01
    walk: float = 0.0
    locked: float = 0.0
    waning: float = 0.0


DEFAULT = Case("60-s blocks, 100 pairs")
NULL = (
    DEFAULT,
    replace(DEFAULT, name="28-s blocks", block=28.0),
    replace(DEFAULT, name="120-s blocks", block=120.0),
    replace(DEFAULT, name="60 pairs", pairs=60),
    replace(DEFAULT, name="150 pairs", pairs=150),
    replace(DEFAULT, name="BOLD 1.5 %", bold=0.015),
    replace(DEFAULT, name="strong autoregression", coefficient=0.7, coloured=0.8),
    replace(DEFAULT, name="drift of 3 %", drift=0.03),
    replace(DEFAULT, name="random-walk motion", walk=0.004),
    replace(DEFAULT, name="motion locked to blocks", locked=0.004),
)
EFFECTS = (
    replace(DEFAULT, name="effect", effect=8.0),
    replace(DEFAULT, name="effect, 30-s blocks", effect=8.0, block=30.0),
    replace(DEFAULT, name="effect, 120-s blocks", effect=8.0, block=120.0),
    replace(DEFAULT, name="effect, 60 pairs", effect=8.0, pairs=60),
    replace(DEFAULT, name="effect, BOLD 1.5 %", effect=8.0, bold=0.015),
    replace(DEFAULT, name="effect that wanes", effect=8.0, waning=0.3),
    replace(DEFAULT, name="effect, response of 19.5 s", effect=8.0, delay=19.5),
)
WAYS = ("model", "least squares", "no drift", "pairs")


def scanned(case, voxels, rng):
    """A run's series (T, V), signs, times, blocks and motion."""
    length = 2 * case.pairs
    times = case.repetition * np.arange(length) + 3.6
    sign = np.where(np.arange(length) % 2, -0.5, 0.5)
    number = int(case.repetition * length // case.block)
    onsets = case.block * np.arange(number)
    blocks = {
        cue: np.stack([onsets[k::2], np.full(len(onsets[k::2]), case.block)], axis=1) for k, cue in enumerate(CUES)
    }
    smoking, neutral = (block_design.response(times, blocks[cue], case.delay) for cue in CUES)
    # Perfusion that falls within each block, by a share of itself.
    since = np.zeros(length)
    for onset, lasts in blocks[CUES[0]]:
        inside = (times >= onset) & (times < onset + lasts)
        since[inside] = (times[inside] - onset) / lasts
    perfusion = PERFUSION + case.effect * smoking * (1 - case.waning * since)
    static = 1 + case.bold * smoking[:, np.newaxis] * np.ones(voxels)
    series = static + PER_CBF * sign[:, np.newaxis] * perfusion[:, np.newaxis]
    phase = np.linspace(0, 1, length)[:, np.newaxis]
    slow = rng.standard_normal(voxels) * (phase - 0.5) + rng.standard_normal(voxels) * np.sin(np.pi * phase)
    series = series + case.drift * slow
    motion = np.zeros((length, 6))
    if case.walk:
        motion += np.cumsum(rng.standard_normal((length, 6)), axis=0) / np.sqrt(length) * case.walk
    if case.locked:
        motion += case.locked * (smoking - neutral)[:, np.newaxis] * rng.standard_normal(6)
    if case.walk or case.locked:
        motion += 0.1 * (case.walk + case.locked) * rng.standard_normal((length, 6))
        series += motion @ rng.standard_normal((6, voxels)) / np.sqrt(6)
    white = rng.standard_normal((length, voxels))
    own = signal.lfilter(
        [np.sqrt(1 - case.coefficient**2)], [1, -case.coefficient], rng.standard_normal((length, voxels)), axis=0
    )
    series += case.noise * (np.sqrt(1 - case.coloured) * white + np.sqrt(case.coloured) * own)
    return series, sign, times, blocks, motion


def estimates(series, sign, times, blocks, motion):
    """Effect and its standard error, in mL/100 g/min, and the degrees of freedom, by each way."""
    cutoff = block_design.drift_cutoff(blocks)
    model = block_design.design(sign, times, blocks, delay=6.0, cutoff=cutoff)
    moved = motion - motion.mean(axis=0)
    if moved.any():
        model = model.with_columns(tuple("abcdef"), moved / np.linalg.norm(moved, axis=0))
    weights = model.of_conditions({CUES[0]: 1.0, CUES[1]: -1.0})[np.newaxis]
    fit = autoregression.fit(series, model.matrix, weights)
    found = {"model": (fit.effect[0], np.sqrt(fit.covariance[0, 0]), fit.degrees)}
    found["least squares"] = least_squares(series, model.matrix, weights[0])
    kept = [k for k, name in enumerate(model.names) if "drift" not in name]
    fit = autoregression.fit(series, model.matrix[:, kept], weights[:, kept])
    found["no drift"] = fit.effect[0], np.sqrt(fit.covariance[0, 0]), fit.degrees
    difference, middle = series[0::2] - series[1::2], (times[0::2] + times[1::2]) / 2
    means, errors, degrees = [], [], -2
    for cue in CUES:
        inside = np.zeros(len(middle), dtype=bool)
        for onset, lasts in blocks[cue]:
            inside |= (middle >= onset) & (middle < onset + lasts)
        own = difference[inside]
        means.append(own.mean(axis=0))
        errors.append(own.var(axis=0, ddof=1) / len(own))
        degrees += len(own)
    found["pairs"] = means[0] - means[1], np.sqrt(errors[0] + errors[1]), degrees
    return {way: (effect / PER_CBF, error / PER_CBF, df) for way, (effect, error, df) in found.items()}


def least_squares(series, matrix, weights):
    """A sum of coefficients, its standard error and the degrees of freedom, the noise being taken to be white."""
    inverse = np.linalg.pinv(matrix)
    beta, degrees = inverse @ series, len(matrix) - np.linalg.matrix_rank(matrix)
    left = np.square(series - matrix @ beta).sum(axis=0) / degrees
    return weights @ beta, np.sqrt(np.square(weights @ inverse).sum() * left), degrees


def summary(case, voxels, seed):
    """Bias, SD, mean error over SD, and share of p below .05, by each way."""
    series = scanned(case, voxels, np.random.default_rng(seed))
    rows = {}
    for way, (effect, error, degrees) in estimates(*series).items():
        p = 2 * stats.t.sf(np.abs(effect / error), degrees)
        rows[way] = (
            effect.mean() - case.effect,
            effect.std(ddof=1),
            error.mean() / effect.std(ddof=1),
            (p < 0.05).mean(),
        )
    return rows


def seconds():
    """CPU s of the fit of a scan's grid and of a template's, MB that these take beside the series, and CPU s of nilearn's of the first."""
    from nilearn.glm.first_level import run_glm

    series, sign, times, blocks, motion = scanned(replace(DEFAULT, walk=0.004), 30000, np.random.default_rng(0))
    model = block_design.design(sign, times, blocks, delay=6.0, cutoff=block_design.drift_cutoff(blocks))
    model = model.with_columns(tuple("abcdef"), motion / np.linalg.norm(motion, axis=0))
    weights = np.array([model.of_conditions({cue: 1.0}) for cue in CUES])
    took = []
    for values in (series, np.tile(series, (1, 8))[:, :230000]):
        before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        autoregression.fit(values, model.matrix, weights)
        took.append(time.process_time() - begun)
    most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    begun = time.process_time()
    run_glm(series, model.matrix, noise_model="ar1")
    return *took, most, time.process_time() - begun


def person_rows(effect):
    """The truth's rows of a session's runs, by condition, with a response to smoking cues of so much in its regions."""
    common = {"gm_cbf": 60.0, "wm_cbf": 20.0, "dlpfc": 0.0, "session_id": "T1"}
    return {
        condition: {**common, "condition": condition, "run": number, **dict.fromkeys(CUE_REGIONS, gain)}
        for number, (condition, gain) in enumerate((("rest", 0.0), (CUES[0], effect), (CUES[1], 0.0)))
    }


def from_raw(folder, person, effect):
    """Two runs of a person: what was found on each scan's grid, and what a perfect quantification would find.

    Returns
    -------
    list of (found, error, truth, degrees)
        Of either run: smoking minus neutral and its standard error in V voxels of the brain, what was planted there, and the
        residuals' degrees of freedom.
    """
    rows, session, made = person_rows(effect), person.session(0), []
    for cue in CUES:
        run = person.run(rows[cue], session, rows)
        scanner, blocks = person.settings.perfusion, person.settings.blocks
        images.save(folder / "asl.nii.gz", run.data, run.grid.affine)
        transforms.write_affines(folder / "motion.txt", run.motions)
        transforms.write_affines(folder / "m0_motion.txt", np.eye(4))
        types = scanner.volume_types
        acquisition = scan_acquisition.build(
            {
                **quantified.ACQUISITION,
                "volume_types": types,
                "background_suppression": True,
                "m0_repetition_time": scanner.m0_repetition_time,
                "t1_tissue": T1["gm"],
            }
        )
        starts = [0.0, *(scanner.m0_repetition_time + scanner.repetition_time * np.arange(len(types) - 1))]
        planted = blocks.blocks(scanner, cue)
        own = run_blocks.RunBlocks(
            conditions=CUES,
            blocks=tuple(run_blocks.Block(kind, onset, lasts) for onset, lasts, kind in planted),
            readouts=tuple(None if kind == "m0scan" else start + 3.6 for start, kind in zip(starts, types)),
            signs=tuple({"control": 0.5, "label": -0.5}.get(kind) for kind in types),
            delay=6.0,
            cutoff=2.5 * 2 * blocks.duration,
            source="planted",
        )
        files = scan.RawFiles(folder / "asl.nii.gz", [], folder / "motion.txt", folder / "m0_motion.txt")
        raw = scan.read(files, acquisition, perfusion_settings.quantification(m0={"t1_recovery": True}))
        points = transforms.apply(run.placement, transforms.points(run.grid))
        states = {kind: person.run(rows[kind], session).tissue for kind in CUES}
        truth = [label_control_series.apparent_cbf(states[kind], points) for kind in CUES]
        brain = np.isfinite(truth[0] - truth[1])
        place = scan.own_place(raw, brain)
        moved = head_motion.parameters(raw.motion, place.points.mean(axis=0))[own.volumes]
        model = block_responses.Model(own, moved, {})
        conditions = model.conditions(raw, place)
        variance = conditions.covariance[0, 0] + conditions.covariance[1, 1] - 2 * conditions.covariance[0, 1]
        degrees = len(own.volumes) - np.linalg.matrix_rank(model.design(0.0).matrix)
        made.append((conditions.cbf[0] - conditions.cbf[1], np.sqrt(variance), (truth[0] - truth[1])[brain], degrees))
    return made


def images_of_people(number, planted):
    """Effects planted in raw images, and false positives of people in whom nothing was."""
    template = participant_anatomy.read_template(step=2)
    asked = {"pairs": 60, "repetition_time": 4, "matrix": [40, 46, 26], "voxel_size": [5, 5, 6]}
    settings = simulation.participant(perfusion=asked, exact=True, blocks={"duration": 40.0}, anatomy={"voxel_size": 2})
    for effect in planted:
        false, slopes, means = [], [], []
        for index in range(number):
            person = Person.draw(settings, index + 1, template, {})
            with tempfile.TemporaryDirectory() as folder:
                for found, error, truth, degrees in from_raw(Path(folder), person, effect):
                    known = np.isfinite(found) & (error > 0)
                    p = 2 * stats.t.sf(np.abs(found[known] / error[known]), degrees)
                    false.append((p[np.abs(truth[known]) < 0.01] < 0.05).mean())
                    inside = known & (truth > 3)
                    if inside.any():
                        slopes.append(found[inside] @ truth[inside] / (truth[inside] @ truth[inside]))
                        means.append((found[inside] - truth[inside]).mean())
        words = (
            f"false positives where nothing was planted {min(false):.3f} to {max(false):.3f}, mean {np.mean(false):.3f}"
        )
        if slopes:
            words += f"; found per planted {np.mean(slopes):.2f} (SD {np.std(slopes, ddof=1):.2f}), bias {np.mean(means):.2f}"
        print(
            f"{2 * number} runs of {number} people from raw images, {effect:g} mL/100 g/min planted: {words}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", type=int, default=1000)
    parser.add_argument("--people", type=int, default=0, help="simulate raw images of so many, and of nothing else")
    parser.add_argument("--planted", type=float, nargs="+", default=[0.0, 15.0], help="mL/100 g/min, with --people")
    asked = parser.parse_args()
    if asked.people:
        images_of_people(asked.people, asked.planted)
        return
    voxels = asked.voxels
    print("| run | true |", " | ".join(f"{way}: bias | SD | error/SD | false" for way in WAYS), "|")
    print("|---|---|" + "---|" * 4 * len(WAYS))
    false, biases = {way: [] for way in WAYS}, {way: [] for way in WAYS}
    for seed, case in enumerate((*NULL, *EFFECTS)):
        own = summary(case, voxels, seed)
        cells = [
            f"{b:.2f} | {sd:.1f} | {ratio:.2f} | {share:.3f}" for b, sd, ratio, share in (own[way] for way in WAYS)
        ]
        print(f"| {case.name} | {case.effect:g} |", " | ".join(cells), "|", flush=True)
        if not case.effect:
            for way in WAYS:
                biases[way].append(abs(own[way][0]))
                false[way].append(own[way][3])
    print()
    for way in WAYS:
        rates = false[way]
        print(
            f"{way}: over the {len(NULL)} runs without an effect, mean |bias| {np.mean(biases[way]):.2f}, false positives "
            f"{min(rates):.3f} to {max(rates):.3f}, mean {np.mean(rates):.3f}"
        )
    scan, template, most, nilearn = seconds()
    print(
        f"\nCPU s of a fit, 200 volumes: {scan:.1f} (30,000 voxels), {template:.1f} (230,000, {most:.0f} MB beside the series); "
        f"nilearn {nilearn:.1f} (30,000)"
    )


if __name__ == "__main__":
    main()
