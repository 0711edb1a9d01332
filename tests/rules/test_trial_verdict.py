"""The verdict of a trial from the files that the group stage writes: two contrasts of the same eight people."""

import dataclasses
import itertools
import types

import complete_settings
import numpy as np
import pytest
from loading import script
from pharmasl.files import tables
from pharmasl.group import analysis
from pharmasl.space import images
from pharmasl.study.effect_words import PERFUSION
from scipy import ndimage

AFFINE = np.diag([4.0, 4, 4, 1])
SHAPE = (9, 9, 8)
NAMES = [f"sub-{k}" for k in range(8)]
TREATED = np.arange(8) < 4
ARMS = {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": []}
INFERENCE = complete_settings.plain_inference(
    permutations=500, seed=3, cluster_forming_p=0.05, statistics=["extent", "mass", "tfce"]
)
# All 70 ways to deal four of eight people to the treatment.
DEALS = [np.isin(np.arange(8), deal) for deal in itertools.combinations(range(8), 4)]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Changes of two contrasts whose noise is shared in part, an effect of the arm in one corner of the first."""
    folder, rng = tmp_path_factory.mktemp("maps"), np.random.default_rng(2)
    images.save(folder / "mask.nii.gz", np.ones(SHAPE), AFFINE, dtype=np.uint8)
    people = [{"participant_id": n, "arm": ARMS["treatment" if t else "control"]} for n, t in zip(NAMES, TREATED)]
    tables.write_table(folder / "participants.tsv", people, dict.fromkeys(people[0], ""))
    shared = rng.normal(size=(8, *SHAPE))
    changes, paths = {}, {}
    for contrast, effect in (("rest", 4.0), ("cue", 1.0)):
        noise = [ndimage.gaussian_filter(s + rng.normal(size=SHAPE), 1) * 5 for s in shared]
        changes[contrast] = np.array(noise)
        changes[contrast][TREATED, :4, :4, :4] -= effect
        paths[contrast] = {"baseline": [], "followup": []}
        for name, change in zip(NAMES, changes[contrast]):
            for which, values in (("baseline", np.full(SHAPE, 50.0)), ("followup", 50 + change)):
                path = folder / f"{name}_{contrast}_{which}.nii.gz"
                images.save(path, values, AFFINE)
                paths[contrast][which].append(str(path))
    return types.SimpleNamespace(folder=folder, changes=changes, paths=paths)


def analyse(trial, folder, contrast, primary, people=NAMES, variance="equal"):
    """Run the group stage's script; the folder holds what the verdict reads."""
    folder.mkdir()
    keep = [NAMES.index(name) for name in people]
    given = {which: [trial.paths[contrast][which][k] for k in keep] for which in ("baseline", "followup")}
    given |= {
        "participants": str(trial.folder / "participants.tsv"),
        "template_mask": str(trial.folder / "mask.nii.gz"),
    }
    params = types.SimpleNamespace(
        analysis=complete_settings.plain_analysis(
            effect="group_by_time",
            contrast=contrast,
            inference={**INFERENCE, "primary": primary, "variance": variance},
        ),
        arms=ARMS,
        sessions={"baseline": "T1", "followup": "T2"},
        is_cbf=True,
        shared=[],
        statistic="t",
        scaling={"scaling": "absolute", "reference": "brain"},
        terms=[],
        cautions=[],
        quantity=dataclasses.asdict(PERFUSION),
        participants={which: list(people) for which in ("baseline", "followup")},
    )
    output = {name: str(folder / f"{name}.nii.gz") for name in (*analysis.MAPS, "mask", "clusters")}
    output |= {"design": folder / "design.tsv", "null": folder / "null.tsv", "inference": folder / "inference.json"}
    source = types.SimpleNamespace(**given, seeds=[], further=[], within=[], terms=[], global_values=[])
    call = types.SimpleNamespace(input=source, output=types.SimpleNamespace(**output), params=params, threads=1)
    script("group_statistics").main(call)


def verdict(folder, correction="joint"):
    names = ["rest", "cue"]
    given = types.SimpleNamespace(
        inferences=[folder / name / "inference.json" for name in names],
        nulls=[folder / name / "null.tsv" for name in names],
        endpoint_models=[],
        endpoint_relations=[],
        craving_model=[],
        roi_craving=[],
    )
    asked = {"answers": names, "secondary": [], "correction": correction, "alpha": 0.05}
    params = types.SimpleNamespace(analyses=names, endpoints=[], relations={}, primary=asked, craving={}, arms=ARMS)
    output = types.SimpleNamespace(table=folder / "verdict.tsv")
    script("trial_verdict").main(types.SimpleNamespace(input=given, output=output, params=params))
    return tables.read_table(output.table)


def t_map(changes, treated):
    first, second = changes[treated], changes[~treated]
    pooled = (first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2
    return (first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(pooled / 2)


def largest(changes, treated, statistic):
    t = t_map(changes, treated)
    if statistic == "voxel":
        return np.abs(t).max()
    sizes = [0]
    for side in (t > 1.9431802805153027, t < -1.9431802805153027):  # t of 6 degrees of freedom, one-sided p .05
        labels, _ = ndimage.label(side, ndimage.generate_binary_structure(3, 2))
        sizes += np.bincount(labels.ravel())[1:].tolist()
    return max(sizes)


@pytest.mark.parametrize("statistic", ["voxel", "extent"])
def test_the_joint_verdict_is_that_of_all_relabellings_recomputed_here(trial, tmp_path, statistic):
    for contrast in trial.changes:
        analyse(trial, tmp_path / contrast, contrast, statistic)
    values = np.array([[largest(trial.changes[name], deal, statistic) for name in ("rest", "cue")] for deal in DEALS])
    observed = next(k for k, deal in enumerate(DEALS) if (deal == TREATED).all())
    p = np.array([[np.mean(values[:, k] >= v - 1e-6) for k, v in enumerate(row)] for row in values])
    least = p.min(axis=1)
    first, last = np.argsort(p[observed], kind="stable")
    expected = {first: np.mean(least <= p[observed, first] + 1e-12)}
    expected[last] = max(expected[first], np.mean(p[:, last] <= p[observed, last] + 1e-12))
    rows = verdict(tmp_path)
    for k, row in enumerate(rows):
        assert float(row["p"]) == pytest.approx(p[observed, k], abs=1e-12)
        assert float(row["p_corrected"]) == pytest.approx(expected[k], abs=1e-12)
    holm = verdict(tmp_path, "holm")
    assert all(float(j["p_corrected"]) <= float(h["p_corrected"]) + 1e-12 for j, h in zip(rows, holm))


@pytest.mark.parametrize("variance", ["equal", "by_arm"])
@pytest.mark.parametrize("statistic", ["mass", "tfce", "any"])
def test_the_tables_of_maxima_give_back_the_p_that_decides(trial, tmp_path, statistic, variance):
    """The p of the observed relabelling is the analysis' own, which is refused otherwise."""
    for contrast in trial.changes:
        analyse(trial, tmp_path / contrast, contrast, statistic, variance=variance)
    for row, name in zip(verdict(tmp_path), trial.changes):
        own = tables.read_json(tmp_path / name / "inference.json")["verdict"]
        assert own["statistic"] == statistic
        assert float(row["p"]) == own["p"]
        assert float(row["p_corrected"]) >= own["p"]


def test_where_exclusions_made_people_differ_no_joint_verdict_is_made(trial, tmp_path):
    analyse(trial, tmp_path / "rest", "rest", "extent")
    analyse(trial, tmp_path / "cue", "cue", "extent", NAMES[:-1])
    rows = verdict(tmp_path)
    assert {row["status"] for row in rows} == {
        "not run: no joint correction, since rest and cue differ in participants: sub-7 in one alone"
    }
    assert {row["significant"] for row in rows} == {"no"}
    # Holm's method asks for nothing in common; but of 4 v 4 and 4 v 3 no p is small enough for two answers.
    assert {row["status"] for row in verdict(tmp_path, "holm")} == {
        "could not reach 0.05: its smallest attainable p is 0.057"
    }
    assert {row["status"] for row in verdict(tmp_path, "sequence")} == {"answered"}
