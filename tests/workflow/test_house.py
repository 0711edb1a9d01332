"""What the source code holds to, by the counter in benchmarks/house.py; docs/architecture.md says why."""

import ast
import re
import subprocess

import complete_settings
import pytest
import skeleton
from loading import ROOT, benchmark
from pharmasl.workflow import stages

house = benchmark("house")
HERE = house.Checkout(ROOT)

# Words of tables and messages: InputError's keyword, and what the comparison with planted effects found.
NAMED_SO = {
    ("scripts/pharmasl/errors.py", "found"),
    ("scripts/pharmasl/space/header_problems.py", "found"),
    ("scripts/pharmasl/simulate/comparison_table.py", "found"),
}
# A configuration file read by a program that needs the results alone, and a mapping of an analysis' sessions to their labels.
NO_SETTINGS = {"config['output_dir']", "sessions['baseline']"}
# The scale that a statistic has, by the engine's own names.
OWN_DEFAULTS = {"scale='t'"}


def breaches(places):
    return [str(place) for place in places]


def test_public_functions_are_annotated():
    assert breaches([place for place, complete in HERE.public() if not complete]) == []


def test_annotations_say_what_a_value_holds():
    assert breaches(HERE.vague_annotations()) == []


def test_the_schema_alone_has_the_defaults_of_settings():
    assert breaches(place for place in HERE.restated_defaults() if place.text not in OWN_DEFAULTS) == []


def test_settings_are_objects_below_the_study():
    places = [place for place in HERE.config_dicts() if place.text not in NO_SETTINGS]
    assert breaches(places) == []


def test_the_settings_have_no_defaults_of_their_own():
    tree = HERE.trees[next(path for path in HERE.trees if path.as_posix() == "study/settings.py")]
    fields = [field for node in tree.body if isinstance(node, ast.ClassDef) for field in node.body]
    assert [ast.unparse(field) for field in fields if isinstance(field, ast.AnnAssign) and field.value] == []


def test_names_say_what_they_hold():
    places = [place for place in HERE.private_words() if (place.path, place.text) not in NAMED_SO]
    assert breaches(places) == []


def test_labels_are_read_in_one_place():
    assert breaches(HERE.label_readers()) == []


def test_no_function_is_tangled():
    assert breaches(HERE.functions_by(house.complexity, 15)) == []


def test_no_call_takes_more_than_nine_arguments():
    assert breaches(HERE.functions_by(house.parameters, 9)) == []


def test_file_names_occur_once():
    assert HERE.names_that_recur() == {}


def test_no_file_is_a_link():
    """What a link leads to is on one machine; taken over by another checkout, it replaces what lies there."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout of Git")
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    modes = {line.split()[0] for line in listed.splitlines()}
    assert modes == {"100644", "100755"}


def test_no_module_lies_loose():
    assert [path.name for path in HERE.loose()] == ["errors.py"]


def test_tests_of_functions_lie_as_the_package_does():
    folders = {path.parent.relative_to("tests/unit").as_posix() for path in HERE.python("tests/unit")}
    rooms = {path.parent.as_posix() for path in HERE.trees}
    assert {folder for folder in folders if not folder.startswith("reference")} <= rooms


def test_the_formatter_is_kept_from_tables_of_numbers_alone():
    for place in HERE.skips():
        tree = ast.parse(HERE.text(place.path))
        statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and node.end_lineno == place.line]
        innermost = max(statements, key=lambda node: node.lineno)
        constants = [node.value for node in ast.walk(innermost) if isinstance(node, ast.Constant)]
        numbers = [value for value in constants if isinstance(value, int | float)]
        assert len(numbers) >= max(12, 0.9 * len(constants)), str(place)


def test_the_gates_of_the_linter_are_those_of_the_counter():
    """Where ruff has them, its limits are the ones held here."""
    text = (ROOT / "pyproject.toml").read_text()
    for setting, limit in {"max-complexity": 15, "max-args": 9}.items():
        assert {int(number) for number in re.findall(rf"^{setting} = (\d+)", text, re.MULTILINE)} <= {limit}


def test_no_function_is_long():
    assert breaches(HERE.functions_by(house.length, 80)) == []


def test_every_rule_with_a_script_has_a_stage_on_the_terminal_and_no_stage_has_another():
    """A new rule gets its place in workflow/stages.py."""
    files = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    rules = {name for path in files for name in re.findall(r"^\s*rule (\w+):", path.read_text(), re.MULTILINE)}
    worked = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    uses = [re.findall(r"^use rule (\w+) as (\w+) with:", path.read_text(), re.MULTILINE) for path in files]
    alike = {own for pairs in uses for other, own in pairs if other in worked}
    assert set(stages.SECONDS) == (rules & worked) | alike
    assert rules - worked == stages.GATHERING


def test_an_input_that_a_study_may_lack_is_a_list_where_it_is_there(tmp_path):
    """A script takes its first entry: of a path alone that would be its first letter."""
    study = complete_settings.read(skeleton.config(skeleton.dataset(tmp_path / "bids")))
    giving_lists = {
        f"{part}.{name}"
        for part, own in vars(complete_settings.targets(study)).items()
        for name, function in vars(type(own)).items()
        if str(getattr(function, "__annotations__", {}).get("return")).startswith("list[")
    }
    assert {"scans.files", "visits.anatomy_files"} <= giving_lists
    assert "anatomies.file" not in giving_lists
    optional = []
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = re.sub(r"\s+", " ", path.read_text())
        optional += re.findall(r" (\w+)=(?:\( )?([^=]+(?:\([^()]*=[^()]*\)[^=]*)?) if [^=,]+ else \[\]", text)
    assert len(optional) > 30
    for name, value in optional:
        method = re.fullmatch(r"(?:per\(\"\w+\"|for_all\(), ?TARGETS\.(\w+\.\w+),.*", value)
        assert value.startswith(("[", "expand(")) or (method and method[1] in giving_lists), f"{name}={value}"
