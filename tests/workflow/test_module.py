"""The workflow as a module of another."""

import pytest
from loading import ROOT

SNAKEFILE = """
configfile: "config.yaml"

module pharmasl:
    snakefile: "{root}/Snakefile"
    config: config

use rule * from pharmasl{name}

rule mine:
    default_target: True
    input: rules.{all}.input
    message: "The answers are there"
"""


@pytest.mark.parametrize(("name", "rule"), [("", "all"), (" as asl_*", "asl_all")])
def test_it_plans_as_a_module(small, name, rule):
    (small.folder / "Snakefile").write_text(SNAKEFILE.format(root=ROOT, name=name, all=rule))
    plan = small.snakemake("-n", snakefile=small.folder / "Snakefile").stdout
    assert "The answers are there" in plan
    assert "Preparing the template MNI152NLin2009aSym" in plan
    assert "Writing the report" in plan
