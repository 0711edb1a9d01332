"""Mixed models of scans in regions: the same as at voxels without neighbours, with what a region lacks left out of it."""

import complete_settings
import numpy as np
import pytest
from pharmasl.group import definitions, formula_models, reallocation_inference, scan_models
from pharmasl.group.formula_models import DesignRows
from pharmasl.group.maps import Maps
from pharmasl.group.model import Model
from pharmasl.regions import mixed_values
from pharmasl.regions.value_models import Values
from statsmodels.stats.multitest import multipletests

LABELS = ("T1", "T2", "T3")
PEOPLE, REGIONS = 18, 7


def scans(test="arm:session", missing=0.2, seed=3):
    """A trial of three sessions some of whose scans are missing: model, inference, and values in the regions."""
    rng = np.random.default_rng(seed)
    names = [f"sub-{k:02d}" for k in range(PEOPLE)]
    arms = ["baclofen" if k % 2 else "placebo" for k in range(PEOPLE)]
    table = [
        {"participant_id": name, "arm": arm, "age": str(20 + 7 * k % 31)}
        for k, (name, arm) in enumerate(zip(names, arms))
    ]
    pairs = [(k, t) for k in range(PEOPLE) for t in range(3) if t == k % 3 or rng.random() >= missing]
    level = rng.normal(50, 6, (PEOPLE, REGIONS))
    values = np.stack([level[k] for k, _ in pairs]) + rng.normal(0, 4, (len(pairs), REGIONS))
    values[np.array([arms[k] == "baclofen" and t == 2 for k, t in pairs]), 1] += 14
    rows = DesignRows(participants=[names[k] for k, _ in pairs], sessions=[LABELS[t] for _, t in pairs], labels=LABELS)
    analysis = complete_settings.analysis(
        effect=None,
        model="cbf ~ arm * session + age + (1 | participant)",
        test=test,
        inference={"permutations": 300, "statistics": ["extent"]},
    )
    model = formula_models.build(analysis, complete_settings.arms(), rows, table, "participants.tsv")
    # As in maps, in single precision.
    return model, analysis.inference, values.astype(np.float32).astype(np.float64)


def over_voxels(model, inference, values):
    """The result of maps that are these values, at voxels none of which touch."""
    mask = np.zeros((1, 1, 2 * values.shape[1]), dtype=bool)
    mask[..., ::2] = True
    n = len(values)
    maps = Maps(
        values.astype(np.float32),
        mask,
        np.eye(4),
        int(mask.sum()),
        [0] * n,
        [(False,)] * n,
        np.full(values.shape[1], 50.0),
        [f"{k}.nii.gz" for k in range(n)],
    )
    return reallocation_inference.test(model, maps, inference, is_cbf=True, threads=1)


ONE = {"arm": {"baclofen": 1, "placebo": -1}, "session": {"T3": 1, "T1": -1}}


@pytest.mark.parametrize("wanted", ["arm:session", ONE])
def test_regions_are_what_voxels_without_neighbours_are(wanted):
    model, inference, values = scans(wanted)
    result = over_voxels(model, inference, values)
    family = mixed_values.test(model, Values(outcome=values), inference, np.ones(REGIONS, dtype=bool))
    assert (family.size, family.complete, family.relabellings) == (REGIONS, REGIONS, 300)
    p = [one.p_corrected for one in family.tests]
    assert np.allclose(-np.log10(p), result.maps["voxel_pfwe"])
    assert np.allclose([one.value for one in family.tests], result.maps["t"])
    assert {one.corrected_by for one in family.tests} == {"max-T"}
    assert p[1] < 0.05
    # The critical value, on the scale of each region's own t, divides what is significant from what is not (of an F there is none).
    if not model.is_joint:
        called = [abs(one.value) >= one.critical * (1 - 1e-9) for one in family.tests]
        assert called == [value <= inference.alpha for value in p]
    assert len(family.tests[0].estimates) == len(model.weights)
    uncorrected = [one.p for one in family.tests]
    assert np.allclose([one.p_holm for one in family.tests], multipletests(uncorrected, method="holm")[1])


def test_scans_that_a_region_lacks_are_left_out_of_it():
    model, inference, values = scans(ONE)
    values[2, 3] = np.nan
    values[: len(values) // 2, 4] = np.nan
    family = mixed_values.test(model, Values(outcome=values), inference, np.ones(REGIONS, dtype=bool))
    keep = np.arange(len(values)) != 2
    alone = scan_models.fit(
        values[keep, 3:4],
        model.matrix[keep],
        model.weights,
        [name for name, kept in zip(model.participants, keep) if kept],
        method=inference.degrees_of_freedom,
    )
    assert np.isclose(family.tests[3].p, alone.p[0])
    assert family.tests[3].corrected_by == "max-T"
    # Half of the scans are too few to be relabelled with the others.
    assert family.tests[4].corrected_by in ("Bonferroni", None)
    low, high = (family.tests[3].estimates[0].low, family.tests[3].estimates[0].high)
    assert low < alone.effects[0, 0] < high


def test_what_was_allocated_is_read_with_the_model(tmp_path):
    model, inference, values = scans()
    model.write(tmp_path / "design.tsv")
    block = {"effect": definitions.effect(model.kind, None), "model": definitions.linear_model(model)}
    again = Model.read(tmp_path / "design.tsv", block)
    everywhere = np.ones(REGIONS, dtype=bool)
    tests = [mixed_values.test(each, Values(outcome=values), inference, everywhere).tests for each in (model, again)]
    assert tests[0] == tests[1]
