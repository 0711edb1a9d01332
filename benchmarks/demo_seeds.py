"""How often the demo finds what was planted: its analyses on the same trial with amounts and noise drawn anew, seed by seed.

    python benchmarks/demo_seeds.py demo 1 2 3 ... [--rise 45] [--spread 13]

``demo`` is a finished demo (``./run demo``), whose contrast maps are taken apart at each voxel by least squares over its
participants: the change (follow-up minus baseline) is a mean, within 32 mm of what was planted a multiple of the person's amount, and a residual. Per seed the trial is
drawn anew (arms, planted amounts, craving), the residuals are dealt to other participants with signs at random, enlarged by
the root of n / (n - k) for the k coefficients, and the changes are put together again on the dealt participant's own baseline. The analyses
``rest_interaction`` and ``dlpfc_to_cue`` are then the workflow's own (the latter on the cluster that the former finds), and craving is
Welch's test of the drawn, unrounded scores. So nothing is simulated or registered anew: what varies are arms, amounts and whose noise goes
with whom, not a person's anatomy.

Prints Markdown: per seed the corrected p of each planted region (the least within 12 mm of its centre), the least p further than 32 mm
from all of them, and the p of craving; then in how many seeds each was at most alpha.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

import numpy as np
import yaml
from pharmasl.files import tables
from pharmasl.group import analysis
from pharmasl.group.analysis_rows import InputFiles
from pharmasl.group.definitions import Question
from pharmasl.simulate import planned_trial, simulation_settings, virtual_trial
from pharmasl.simulate.planted_regions import REGIONS
from pharmasl.space import images, transforms
from pharmasl.study import effect_words, schemas, settings
from pharmasl.workflow import paths, plan
from pharmasl.workflow.targets.study_targets import Targets
from scipy import ndimage, stats

NEAR, FAR, CLUSTER = 12.0, 32.0, 15.0  # mm from a planted centre
RESTING, ASSOCIATION, SEED = "rest_interaction", "dlpfc_to_cue", "dlpfc_cluster"
PLANTED = {RESTING: "dlpfc_change", ASSOCIATION: "insula_cue_change"}
WHERE = {RESTING: ("dlpfc",), ASSOCIATION: ("insula", "vmpfc")}


class Demo:
    """A finished demo: its configuration, contrast maps and planted amounts."""

    def __init__(self, folder, changes):
        config = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
        config |= {"bids_dir": str(folder / "bids"), "output_dir": str(folder / "results")}
        self.simulated = config["simulate"] | {"truth_dir": str(folder / "truth")}
        self.simulated["effects"] = self.simulated.get("effects", {}) | changes
        if problems := schemas.check(self.simulated, "simulate", "config", fill=True):
            raise SystemExit(str(problems))
        self.study = plan.read(config, ()).study
        self.settings = self.study.settings
        self.paths = paths.Paths(self.settings.output_dir, self.settings.template.space)
        self.targets = Targets(self.study, self.paths)
        self.truth = {row["participant_id"]: row for row in tables.read_table(folder / "truth/participants.tsv")}
        mask = next((folder / "results/template").glob("*desc-brain_mask.nii.gz"))
        loaded = images.load(mask)
        self.mask, self.mask_path, self.affine = loaded.data > 0.5, mask, loaded.affine
        points = transforms.points(images.Grid(self.mask.shape, self.affine))
        self.distance = {
            (name, number): region.around(centre).distance(points)
            for name, region in REGIONS.items()
            for number, centre in enumerate(region.centres)
        }
        self.parts = {name: self._parts(name) for name in PLANTED}

    def maps(self, name, session):
        """The contrast maps of an analysis at a session, shape (n, X, Y, Z)."""
        return np.stack([images.load(path).data for path in self.targets.analyses.session_maps(session, name)])

    def _parts(self, name):
        """Baselines, and mean, multiple of the planted amount and residuals of the changes."""
        before, after = (self.maps(name, session) for session in ("baseline", "followup"))
        people = self.targets.analyses.members(name)["baseline"]
        amounts = np.array([float(self.truth[who][PLANTED[name]]) for who in people])
        design = np.column_stack([np.ones(len(people)), amounts])
        change = (after - before).reshape(len(people), -1)
        coefficients = np.linalg.lstsq(design, np.nan_to_num(change))[0]
        # Far from all that was planted the multiple is noise, and stays in the residuals.
        far = self.far(WHERE[name]).ravel()
        coefficients[:, far] = [np.nan_to_num(change[:, far]).mean(axis=0), np.zeros(far.sum())]
        fitted = np.where(far, 1, 2)
        residual = (change - design @ coefficients) * np.sqrt(len(people) / (len(people) - fitted))
        return before, *(part.reshape(-1, *self.mask.shape) for part in (coefficients, residual))

    def far(self, regions):
        """The voxels far from all centres of some regions."""
        return np.minimum.reduce([distance for key, distance in self.distance.items() if key[0] in regions]) > FAR

    def trial(self, seed):
        """The trial of a seed."""
        values = {name: self.simulated[name] for name in planned_trial.TRIAL if name in self.simulated} | {"seed": seed}
        asked = settings.build(simulation_settings.TrialSettings, values)
        return virtual_trial.draw(asked, self.settings.arms, self.settings.sessions).participants

    def question(self, name):
        """An analysis as its rule asks it."""
        own = self.targets.analyses
        return Question(
            analysis=self.settings.analyses[name],
            arms=self.settings.arms,
            sessions=own.sessions(name),
            is_cbf=own.is_cbf(name),
            shared_data=tuple(own.shared_data(name)),
            scaling=settings.build(settings.Scaling, own.scaling(name)),
            cautions=tuple(self.targets.terms.cautions(name)),
            quantity=effect_words.Quantity(**self.targets.contrasts.quantity()),
        )

    def logarithms(self, name, files):
        """-log10 of the p that decides, at each voxel."""
        result = analysis.find(self.question(name), files)
        whole = np.zeros(self.mask.shape)
        whole[result.mask] = np.nan_to_num(result.maps["verdict"])
        return whole

    def least_p(self, logarithms, regions):
        """The least p near each centre of some regions, and far from all of these."""
        near = {
            key: 10 ** -logarithms[distance < NEAR].max()
            for key, distance in self.distance.items()
            if key[0] in regions
        }
        return near, 10 ** -logarithms[self.far(regions)].max()


def dealt(demo, name, rng, trial):
    """Maps of an analysis for a trial drawn anew: baselines and follow-ups, shape (n, X, Y, Z) each."""
    before, (mean, multiple), residual = demo.parts[name]
    order, signs = rng.permutation(len(before)), rng.choice([-1.0, 1.0], len(before))
    amounts = np.array([row[PLANTED[name]] for row in trial])
    columns = (slice(None), None, None, None)
    change = mean + amounts[columns] * multiple + signs[columns] * residual[order]
    return before[order], before[order] + change


def files_of(demo, folder, name, both, trial, seeds=()):
    """An analysis' files, written into a folder."""
    people, written = [row["participant_id"] for row in trial], []
    for session, data in zip(("baseline", "followup"), both):
        written.append([folder / f"{name}_{session}_{who}.nii.gz" for who in people])
        for path, values in zip(written[-1], data):
            images.save(path, values, demo.affine)
    table = folder / "participants.tsv"
    rows = [{"participant_id": row["participant_id"], "arm": row["arm"]} for row in trial]
    tables.write_table(table, rows, {"participant_id": "Participant", "arm": "Arm"})
    return InputFiles(
        baseline=written[0],
        followup=written[1],
        members={"baseline": people, "followup": people},
        participants=table,
        template_mask=demo.mask_path,
        seeds=seeds,
    )


def seed_values(demo, folder, both, trial, cluster):
    """The table of the cluster's resting CBF, as its rule writes it."""
    rows = []
    for label, data in zip(demo.targets.analyses.sessions(RESTING).values(), both):
        for row, values in zip(trial, data):
            own = {"participant_id": row["participant_id"], "session_id": label, "arm": row["arm"], "contrast": "rest"}
            own |= {"roi": SEED, "cbf": float(np.nanmean(values[cluster])), "coverage": 1.0}
            rows.append({**own, "n_voxels": int(cluster.sum())})
    path = folder / f"{SEED}_values.tsv"
    tables.write_table(path, rows, dict.fromkeys(rows[0], "As in the results"))
    return path


def cluster_at_dlpfc(demo, logarithms, alpha):
    """The significant voxels of the cluster at the planted region; None where there is none."""
    labels, _ = ndimage.label(logarithms >= -np.log10(alpha), ndimage.generate_binary_structure(3, 2))
    near = labels[(demo.distance["dlpfc", 0] < CLUSTER) & (labels > 0)]
    return labels == np.bincount(near).argmax() if len(near) else None


def craving(trial, treatment):
    """Welch's p of the change of cue-elicited craving by arm."""
    change = np.array([row["craving_followup"] - row["craving_baseline"] for row in trial])
    treated = np.array([row["arm"] == treatment for row in trial])
    return float(stats.ttest_ind(change[treated], change[~treated], equal_var=False).pvalue)


def answers(demo, seed, folder):
    """The p values of a seed by column of the table; None where the association has no seed region."""
    trial, rng = demo.trial(seed), np.random.default_rng([seed, 1])
    alpha = demo.settings.analyses[RESTING].inference.alpha
    resting = dealt(demo, RESTING, rng, trial)
    logarithms = demo.logarithms(RESTING, files_of(demo, folder, RESTING, resting, trial))
    near, far = demo.least_p(logarithms, WHERE[RESTING])
    row = {"dlPFC": near["dlpfc", 0], "elsewhere at rest": far}
    places = {"left insula": ("insula", 0), "right insula": ("insula", 1), "vmPFC": ("vmpfc", 0)}
    cluster = cluster_at_dlpfc(demo, logarithms, alpha)
    if cluster is None:
        row |= dict.fromkeys([*places, "elsewhere with the dlPFC"])
    else:
        seeds = [seed_values(demo, folder, resting, trial, cluster)]
        cue = dealt(demo, ASSOCIATION, rng, trial)
        found = demo.logarithms(ASSOCIATION, files_of(demo, folder, ASSOCIATION, cue, trial, seeds))
        near, far = demo.least_p(found, WHERE[ASSOCIATION])
        row |= {words: near[place] for words, place in places.items()} | {"elsewhere with the dlPFC": far}
    return row | {"craving": craving(trial, demo.settings.arms.treatment)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--rise", type=float, help="planted resting rise, mL/100 g/min")
    parser.add_argument("--spread", type=float, help="its standard deviation over people")
    asked = parser.parse_args()
    changes = {"resting_rise": asked.rise, "resting_spread": asked.spread}
    demo = Demo(asked.demo.resolve(), {name: value for name, value in changes.items() if value is not None})
    alpha, rows = demo.settings.analyses[RESTING].inference.alpha, []
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(answers(demo, seed, Path(folder)))
        if len(rows) == 1:
            print("| seed |", *(f"{name} |" for name in rows[0]))
            print("|---|" + "---:|" * len(rows[0]))
        print(f"| {seed} |", *("- |" if p is None else f"{p:.4f} |" for p in rows[-1].values()), flush=True)
    counts = [sum(row[name] is not None and row[name] <= alpha for row in rows) for name in rows[0]]
    print(f"| at most {alpha:g} |", *(f"{count} of {len(rows)} |" for count in counts))


if __name__ == "__main__":
    main()
