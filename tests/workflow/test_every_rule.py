"""The small studies of ``every_rule`` ask together for every rule, as they are planned: ``test_conda`` runs them."""

import re

import every_rule
import pytest
import skeleton
from calling import Workflow
from loading import ROOT

pytestmark = pytest.mark.slow

# The simulation's rules are asked for by these targets of its own entry.
SIMULATED = {"simulate_trial": "trial", "simulate_participant": "trial", "compare_truth": "comparison"}


def rules_with_scripts():
    """Rule to script, of all rule files."""
    parts = [part for path in (ROOT / "rules").glob("*.smk") for part in re.split(r"\n *rule ", path.read_text())[1:]]
    found = {part.split(":")[0]: re.search(r'"\.\./scripts/(\w+)\.py"', part) for part in parts}
    return {name: script[1] for name, script in found.items() if script}


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """The rules that the studies ask for, by study."""

    def plan(name):
        folder = tmp_path_factory.mktemp(name)
        if name == "trial":  # the simulator would write these names
            skeleton.dataset(folder / "demo/bids")
        study = getattr(every_rule, name)(folder)
        workflow = Workflow(folder)
        workflow.configure(study.config)
        plan = workflow.snakemake("-n", "--quiet", "rules", *study.asked, snakefile=study.snakefile).stdout
        return set(re.findall(r"^(\w+) +\d+$", plan, re.MULTILINE))

    return {name: plan(name) for name in ("trial", *every_rule.MADE)}


def test_every_rule_is_asked_for(planned):
    rules = rules_with_scripts()
    assert set(rules.values()) == {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert set(rules) - set(SIMULATED) - set().union(*planned.values()) == set()


def test_no_study_asks_for_nothing_of_its_own(planned):
    """Each would else be time lost."""
    for name, asked in planned.items():
        others = [each for other, each in planned.items() if other != name]
        assert asked - set().union(*others), name
