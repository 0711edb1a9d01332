"""The examples of docs/models.md: each is a configuration that is taken, a design of full rank, and a test that it holds."""

import re

import complete_settings
import numpy as np
import pytest
import yaml
from loading import ROOT
from pharmasl.group import design_names, formula_models
from pharmasl.group.formula_models import DesignRows
from pharmasl.study.effect_kinds import CBF

PAGE = (ROOT / "docs/models.md").read_text()
EXAMPLES = {}
for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
    content = yaml.safe_load(block)
    EXAMPLES |= content.get("analyses", {}) if "analyses" in content else content
EXAMPLES.pop("primary", None)
STUDY = complete_settings.study(
    sessions={"baseline": "T1", "followup": "T2", "others": ["T3"]},
    arms={"column": "arm", "treatment": "high", "control": "placebo", "others": ["low"]},
    contrasts={
        "rest": {"rest": 1},
        "cue": {"cue": 1},
        "rest_relative": {"weights": {"rest": 1}, "scaling": "proportional", "reference": "grey_matter"},
    },
    rois={"dlpfc_cluster": {"sphere": [0, 0, 0], "radius": 6}},
    analyses={name: example for name, example in EXAMPLES.items() if isinstance(example, dict)},
)
NAMES = [f"sub-{k:02d}" for k in range(1, 37)]
TABLE = [
    {
        "participant_id": name,
        "arm": ("placebo", "low", "high")[k % 3],
        "genotype": "ab"[k // 3 % 2],
        "sequence": ("AB", "BA")[k // 2 % 2],
        "drug_T1": "no" if k // 2 % 2 else "yes",
        "drug_T2": "yes" if k // 2 % 2 else "no",
        "drug_T3": "no",
        "sex": "FM"[k // 6 % 2],
        "age": str(20 + 11 * k % 37),
    }
    for k, name in enumerate(NAMES)
]


def test_the_page_has_an_example_for_every_question():
    assert len(STUDY.analyses) > 18


@pytest.mark.parametrize("name", STUDY.analyses)
def test_an_example_can_be_planned(name):
    analysis = STUDY.analyses[name]
    if analysis.kind.outcome == CBF:
        labels = ["T1", "T2"] if analysis.visit_terms else ["T1", "T2", "T3"]
        rows = DesignRows(
            participants=[who for who in NAMES for _ in labels], sessions=labels * len(NAMES), labels=labels
        )
    else:
        rows = DesignRows(participants=NAMES)
    model = formula_models.build(analysis, STUDY.arms, rows, TABLE, "participants.tsv")
    assert np.linalg.matrix_rank(model.matrix[:, model.ordinary]) == len(model.ordinary)
    assert model.weights.any(axis=1).all()
    assert design_names.name_of(model)
