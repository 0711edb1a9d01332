"""The scripts of the participants' flow: the table of a messy trial, and a diagram whose boxes hold their text."""

from types import SimpleNamespace

import complete_settings
import numpy as np
import pytest
import skeleton
import trials
from loading import script
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from pharmasl.conduct import flow
from pharmasl.conduct.flow_stages import FlowSettings
from pharmasl.conduct.losses import CAUSES, FlowFiles
from pharmasl.figures import flow_boxes, measured, style
from pharmasl.figures import flow_diagram as diagram
from pharmasl.files import blinding, tables
from pharmasl.quality.measure_columns import EXCLUSIONS
from pharmasl.study import settings, sheet_content, sheets
from pharmasl.study.labels import NAMES


def table(here, trial, analyses=trials.ANALYSES, **changes):
    """Run the table's script on the tables of a made-up trial."""
    files = trials.write(trial, here)
    named = {**vars(files), **changes}
    whole = trials.study(trial.arms, analyses)
    params = SimpleNamespace(
        arms=settings.plain(whole.arms),
        sessions=settings.plain(whole.sessions),
        contrasts=settings.plain(whole)["contrasts"],
        analyses={name: settings.plain(analysis) for name, analysis in whole.analyses.items()},
    )
    script("participant_flow").main(
        SimpleNamespace(input=SimpleNamespace(**named), output=SimpleNamespace(table=here / "flow.tsv"), params=params)
    )
    return here / "flow.tsv"


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    return table(tmp_path_factory.mktemp("messy"), trials.draw(5, 43, lost=0.06))


ARMS = {"column": "arm", "treatment": "drug", "control": "placebo", "others": []}


def draw(path, output):
    given = SimpleNamespace(flow=path)
    params = SimpleNamespace(
        arms=ARMS,
        labels=settings.plain(NAMES),
    )
    script("flow_figure").main(SimpleNamespace(input=given, output=SimpleNamespace(figure=output), params=params))


# Names of stages, which the narrow diagram repeats for each arm.
RAILS = {"Scanned", "Analysed", "Craving"}


def drawn(monkeypatch, path, arms, narrow):
    """Boxes and texts of the diagram as drawn, in pixels: arrays of (left, bottom, right, top)."""
    kept = []
    monkeypatch.setattr(style, "save", lambda figure, path, narrow: kept.extend((figure, narrow)))
    diagram.draw(None, path, settings.build(settings.Arms, arms))
    figure = kept[narrow]
    figure.set_dpi(measured.DPI)
    renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    boxes = [p.get_window_extent(renderer).extents for p in axes.patches if isinstance(p, Rectangle)]
    texts = {text: text.get_window_extent(renderer).extents for text in axes.texts}
    return np.array(boxes), texts, np.array([*figure.get_size_inches()]) * figure.dpi


def check_layout(monkeypatch, path, arms=ARMS):
    """The texts of the diagram, whose boxes hold them, on wide pages and on narrow ones."""
    wide, narrow = (_check_layout(monkeypatch, path, arms, narrow) for narrow in (False, True))
    said = [
        sorted("".join(word for text in told for word in text.split() if word not in RAILS)) for told in (wide, narrow)
    ]
    assert said[0] == said[1]
    return wide


def _check_layout(monkeypatch, path, arms, narrow):
    boxes, texts, size = drawn(monkeypatch, path, arms, narrow)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= size).all()
    for k, box in enumerate(boxes):
        for other in boxes[k + 1 :]:
            overlap = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
            assert not (overlap > 1e-6).all(), (box, other)
    for text, extent in texts.items():
        inside = (boxes[:, :2] <= extent[:2]).all(axis=1) & (boxes[:, 2:] >= extent[2:]).all(axis=1)
        assert inside.sum() == 1, text.get_text()
    return [text.get_text() for text in texts]


def test_the_scripts_write_a_table_that_accounts_for_everyone_and_a_picture(messy, tmp_path):
    flow.verify(flow.read_flow(messy))
    draw(messy, tmp_path / "flow.svg")
    draw(messy, tmp_path / "again.svg")
    assert (tmp_path / "flow.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()
    assert "Randomised (n = " in (tmp_path / "flow.svg").read_text()
    with blinding.marking(True):
        draw(messy, tmp_path / "blinded.svg")
    assert (tmp_path / "flow.svg").read_bytes() != (tmp_path / "blinded.svg").read_bytes()


def test_the_diagram_tells_the_tables_numbers_and_its_boxes_hold_their_text(messy, monkeypatch):
    rows = flow.read_flow(messy)
    told = check_layout(monkeypatch, messy)
    assert told.count("Randomised (n = 43)") == 1
    for row in rows:
        if row["stage"] == "analysed" and row["arm"] is not None:
            assert f"{flow_boxes.plain(row['of'])} (n = {row['n']})" in told
        if row["stage"] == "scanned" and row["session_id"] and row["arm"] is not None:
            assert f"Scanned at {row['session_id']} (n = {row['n']})" in told
    assert (
        f"No arm recorded (n = {sum(r['n'] for r in rows if r['stage'] == 'randomised' and r['arm'] is None)})" in told
    )


@pytest.mark.parametrize("others", [(), ("half dose",), ("half dose", "double dose")])
def test_the_losses_that_a_box_lists_add_up_to_its_number(others, tmp_path):
    path = table(tmp_path, trials.draw(8, 60, others, lost=0.2))
    rows = flow.read_flow(path)
    for arm in ("drug", "placebo", *others):
        for name in trials.ANALYSES:
            lines = flow_boxes.analysis_lines(rows, name, arm)
            if len(lines) > 1:
                numbers = [int(line.text.rsplit("(", 1)[1].removeprefix("n = ").rstrip(")")) for line in lines]
                assert numbers[1] == sum(numbers[2:])
                assert numbers[0] + numbers[1] == sum(
                    r["n"] for r in rows if (r["stage"], r["arm"]) == ("randomised", arm)
                )
                assert len(numbers) - 2 <= len(CAUSES)


@pytest.mark.parametrize(
    "others",
    [("half dose",), ("half dose", "double dose"), ("half dose", "double dose", "a third dose of some length")],
)
def test_more_arms_have_a_column_each(others, tmp_path, monkeypatch):
    path = table(tmp_path, trials.draw(8, 60, others, lost=0.15))
    told = check_layout(monkeypatch, path, {**ARMS, "others": list(others)})
    assert sum(text.startswith("Allocated to") for text in told) == 2 + len(others)
    assert "rest on drug: not of this arm" in " ".join(told)


def test_an_arm_that_the_configuration_does_not_know_stands_aside(messy, tmp_path, monkeypatch):
    rows = tables.read_table(messy)
    rows.insert(2, {"stage": "randomised", "arm": "screening only", "n": 1, "participants": "sub-99"})
    tables.write_table(tmp_path / "flow.tsv", rows, flow.COLUMNS)
    told = check_layout(monkeypatch, tmp_path / "flow.tsv")
    assert "Randomised (n = 44)" in told
    assert "Allocated to screening only (n = 1)" in told


def test_text_of_the_dataset_is_text_however_long(messy, tmp_path, monkeypatch):
    rows = tables.read_table(messy)
    wide = "registration_not_accepted_" * 6
    long = "drug_at_a_dose_of_80_mg_a_day_in_three_parts_$with_food$"
    for row in rows:
        if row["reason"] == "no folder in the dataset":
            row["reason"] = f"$x^2$ {wide} <b>&</b> \\frac{{1}}{{2}}"
        row["arm"] = long if row["arm"] == "drug" else row["arm"]
    tables.write_table(tmp_path / "flow.tsv", rows, flow.COLUMNS)
    told = "".join(check_layout(monkeypatch, tmp_path / "flow.tsv", {**ARMS, "treatment": long}))
    assert wide in told
    assert "$x^2$" in told
    assert "$with_food$" in told


def test_one_arm_concerned_no_craving_and_nobody_lost(tmp_path, monkeypatch):
    trial = trials.draw(5, 12, lost=0.0)
    analyses = {"rest_interaction": trials.ANALYSES["rest_interaction"]}
    k = list(trials.ANALYSES).index("rest_interaction")
    files = trials.write(trial, tmp_path)
    path = table(
        tmp_path,
        trial,
        analyses,
        craving_scores=[],
        craving_model=[],
        designs=[files.designs[k]],
        inferences=[files.inferences[k]],
    )
    rows = flow.read_flow(path)
    assert {row["stage"] for row in rows} == {"randomised", "scanned", "usable", "analysed"}
    told = check_layout(monkeypatch, path)
    assert not any("Not scanned" in text or "Left out" in text or "No arm" in text for text in told)
    assert "Craving" not in told


def test_whom_the_configuration_does_not_name_stands_in_one_box(messy, tmp_path, monkeypatch):
    rows = []
    for row in tables.read_table(messy):
        row = dict(row)
        if row["stage"] == "randomised" and row["arm"] == "drug":
            kept = {"stage": "selected", "arm": "drug", "n": row["n"], "participants": row["participants"]}
            row |= {"n": int(row["n"]) + 2, "participants": f"{row['participants']} sub-98 sub-99"}
            lost = {"n": 2, "cause": "not selected", "reason": "not among them", "participants": "sub-98 sub-99"}
            after = [{**lost, "stage": stage, "arm": "drug"} for stage in ("not selected", "not scanned", "left out")]
            after[1] |= {"session_id": "T1"}
            after[2] |= {"of": "rest_interaction"}
            rows += [row, kept, *after]
        elif row["stage"] == "randomised" and row["arm"]:
            rows += [row, {**row, "stage": "selected"}]
        else:
            rows.append(row)
    tables.write_table(tmp_path / "flow.tsv", rows, flow.COLUMNS)
    told = check_layout(monkeypatch, tmp_path / "flow.tsv")
    assert told.count("Not selected (n = 2)") == 1
    assert not any("not among them" in text for text in told)
    assert "Randomised (n = 45)" in told


def test_without_analyses_the_diagram_ends_with_the_scans(tmp_path, monkeypatch):
    empty = {"craving_scores": [], "craving_model": [], "designs": [], "inferences": []}
    told = check_layout(monkeypatch, table(tmp_path, trials.draw(5, 12, lost=0.1), {}, **empty))
    assert "Analysed" not in told
    assert "Scanned at T2 (n = 0)" not in told


def test_the_flow_and_the_study_agree_on_who_enters_which_analysis(tmp_path):
    """The tables as the study stage writes them, the designs of those whom it sends to each analysis."""
    arms = ("baclofen", "placebo", "varenicline")
    root = skeleton.dataset(tmp_path / "bids", 15, arms=arms)
    for gone in (
        "sub-03/ses-T2/perf/*",
        "sub-05/*/perf/*",
        "sub-06/ses-T1/perf/*neutral*",
        "sub-07/ses-T1/perf/*rest*",
    ):
        for path in root.glob(gone):
            path.unlink()
    sheet = root / "participants.tsv"
    lines = sheet.read_text().splitlines()
    lines[4] = lines[4].replace("\t34\t", "\tn/a\t")  # sub-04 has no age
    lines[9] = lines[9].replace(lines[9].split("\t")[1], "n/a")  # sub-09 has no arm
    sheet.write_text("\n".join([*lines, "sub-16\tplacebo\t40\tF", "sub-17\tscreening\t40\tF"]) + "\n")
    rest, group = {"contrast": "rest"}, {"effect": "group_by_time"}
    cue = {"contrast": "cue", "effect": "association", "seed": {"roi": "sphere", "contrast": "rest"}}
    config = skeleton.config(root) | {
        "rois": {"sphere": {"sphere": [0, 0, 0], "radius": 5}},
        "arms": {"column": "arm", "treatment": "baclofen", "control": "placebo", "others": ["varenicline"]},
        "analyses": {
            "ages": {**rest, **group, "covariates": ["age"]},
            "seeded": cue,
            "mixed": {**rest, **group, "method": "mixed_model"},
            "three": {**rest, "effect": "between_arms", "pair": ["varenicline", "placebo"]},
            "one": {**rest, "effect": "within_arm", "arm": "varenicline"},
            "first": {"contrast": "cue", "effect": "baseline_difference"},
        },
    }
    study = complete_settings.read(config)
    names = ("description", "scans", "participants", "randomised", "exclusions")
    paths = {name: tmp_path / f"{name}.tsv" for name in names} | {"description": tmp_path / "description.json"}
    sheets.write_sheets(sheet_content.content(study), **paths, readme=tmp_path / "README.md")
    designs, inferences = [], []
    for name in study.config["analyses"]:
        rows = [{"participant_id": f"sub-{subject}"} for subject in study.members(name)]
        assert rows
        designs.append(tmp_path / f"{name}.tsv")
        inferences.append(tmp_path / f"{name}_inference.json")
        tables.write_table(designs[-1], rows, {"participant_id": "Participant"})
        tables.write_json(inferences[-1], {"status": "run", "excluded": []})
    quality = tmp_path / "quality.tsv"
    tables.write_table(quality, [], EXCLUSIONS)
    del paths["description"]
    files = FlowFiles(
        **paths,
        quality_exclusions=quality,
        designs=designs,
        inferences=inferences,
        craving_scores=None,
        craving_model=None,
    )
    whole = settings.build(settings.Settings, study.config)
    design = FlowSettings(arms=whole.arms, sessions=whole.sessions, contrasts=whole.contrasts, analyses=whole.analyses)
    rows = flow.flow(files, design)
    lost = {
        (row["of"], who): row["reason"]
        for row in rows
        if row["stage"] == "left out"
        for who in row["participants"].split()
    }
    assert lost["ages", "sub-04"] == "no age"
    assert lost["ages", "sub-03"] == "no scan at T2"
    assert lost["ages", "sub-07"] == "no rest scan at T1"
    assert lost["ages", "sub-09"] == lost["mixed", "sub-09"] == "no arm"
    assert lost["ages", "sub-16"] == "no folder in the dataset"
    assert lost["three", "sub-05"] == "no perfusion run of any condition"
    assert lost["first", "sub-06"] == "no neutral scan at T1"
    assert not any(who == "sub-17" for _, who in lost)
    sent = {name: {f"sub-{subject}" for subject in study.members(name)} for name in whole.analyses}
    for name, members in sent.items():
        kept = [row for row in rows if row["stage"] == "analysed" and row["of"] == name]
        assert {who for row in kept for who in row["participants"].split()} == members
