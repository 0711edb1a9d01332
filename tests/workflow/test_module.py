"""The workflow as a module of another."""

import re

import pytest
from loading import ROOT

SNAKEFILE = """
configfile: "config.yaml"

module pharmasl:
    snakefile: "{root}/Snakefile"
    config: config
{line}

use rule * from pharmasl{name}

rule mine:
    default_target: True
    input: rules.{all}.input
    message: "The answers are there"
"""


def module(small, *, name="", rule="all", line=""):
    """Write the workflow that uses this one as a module; its path."""
    path = small.folder / "Snakefile"
    path.write_text(SNAKEFILE.format(root=ROOT, name=name, all=rule, line=line))
    return path


@pytest.mark.parametrize(("name", "rule"), [("", "all"), (" as asl_*", "asl_all")])
def test_it_plans_as_a_module(small, name, rule):
    plan = small.snakemake("-n", snakefile=module(small, name=name, rule=rule)).stdout
    assert "The answers are there" in plan
    assert "Preparing the template MNI152NLin2009aSym" in plan
    assert "Writing the report" in plan


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ('    prefix: "perfusion"', "perfusion/results"),
        ('    replace_prefix: {"results/": "perfusion/"}', "perfusion"),
    ],
)
def test_a_prefix_goes_before_the_results_once_and_not_before_the_data(small, line, folder):
    snakefile = module(small, name=" as asl_*", rule="asl_all", line=line)
    plan = small.snakemake("-n", snakefile=snakefile).stdout
    files = set(re.findall(r"[\w./-]*results/[\w./-]+|perfusion/[\w./-]+", plan))
    assert len(files) > 100
    assert {path for path in files if not path.startswith(f"{folder}/")} == set()
    assert "perfusion/perfusion" not in plan
    assert f"{folder}/report/index.html" in files
    assert "perfusion/bids" not in plan


def test_a_module_with_a_prefix_writes_below_it(small):
    snakefile = module(small, name=" as asl_*", rule="asl_all", line='    prefix: "perfusion"')
    small.snakemake("--cores", "1", "--", "asl_study_tables", snakefile=snakefile)
    assert (small.folder / "perfusion/results/study/scans.tsv").is_file()
    assert (small.folder / "perfusion/results/logs/study_tables/study.log").is_file()
    assert not (small.folder / "results").exists()
    assert not (small.folder / "perfusion/perfusion").exists()
    # Nothing is left to do, in the module's own words too.
    again = small.snakemake("-n", "--", "asl_study_tables", snakefile=snakefile).stdout
    assert "Nothing to be done" in again
