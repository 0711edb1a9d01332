"""What the documentation says that rules use and ask for is what they ask for, and at most twice what they use."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(
    r"^\| `(\w+)` \| (\d+) \| (\d+) \|$", (ROOT / "docs/speed.md").read_text(encoding="utf-8"), re.MULTILINE
)
RULES = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))


@pytest.mark.parametrize(("rule", "used", "asked"), ROWS, ids=[rule for rule, *_ in ROWS])
def test_a_rule_asks_for_more_than_it_uses_and_at_most_twice(rule, used, asked):
    own = re.search(rf"^rule {rule}:.*?mem_mb=lambda [^:]*: memory\((\d+)\)", RULES, re.MULTILINE | re.DOTALL)
    assert own is not None
    assert own[1] == asked
    assert 1.25 * int(used) < int(asked) <= 2 * int(used)


def test_the_rules_of_scans_and_anatomies_are_among_them():
    named = {rule for rule, *_ in ROWS}
    assert named >= {"prepare_anatomy", "normalise_anatomy", "segment_anatomy", "align_perfusion", "quantify_perfusion"}


def test_every_rule_asks_for_its_snakemakes_too():
    """But for the simulation's, which read no study."""
    blocks = re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", RULES, re.MULTILINE | re.DOTALL)
    asking = {name: block for name, block in blocks if "mem_mb=" in block}
    assert len(asking) > 50
    bare = {name for name, block in asking.items() if " memory(" not in block or " minutes(" not in block}
    assert {name for name in bare if not name.startswith("simulate_") and name != "compare_truth"} == set()
