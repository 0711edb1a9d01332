"""The sham allocation of a blinded run, and the record of what was frozen before the trial's own was used."""

import hashlib
import html
import itertools
import json

import complete_settings
import pytest
import skeleton
from pharmasl.conduct import allocation_log
from pharmasl.errors import InputError, InputErrors
from pharmasl.files import blinding, tables
from pharmasl.report import allocation_section as told
from pharmasl.study import sham_allocation, sheet_content

NAMES = [f"{k:02d}" for k in range(1, 13)]


def test_a_sham_allocation_has_the_sizes_and_forgets_the_order():
    dealt = sham_allocation.sham(NAMES, {"a": 5, "b": 7}, 1)
    assert list(dealt) == NAMES
    assert sham_allocation.sizes(dealt.values(), ["a", "b"]) == {"a": 5, "b": 7}
    assert sham_allocation.sham(NAMES[::-1], {"a": 5, "b": 7}, 1) == dealt
    assert sham_allocation.sham(NAMES, {"a": 5, "b": 7}, 2) != dealt


def test_every_split_is_as_likely():
    """Of four participants in two arms there are six allocations; over 1,200 seeds each comes 200 times, SD 13."""
    seen = [tuple(sham_allocation.sham(NAMES[:4], {"a": 2, "b": 2}, seed).values()) for seed in range(1200)]
    counts = [seen.count(each) for each in set(seen)]
    assert len(counts) == 6
    # Chi-squared with five degrees of freedom: 20.5 is exceeded once in a thousand.
    assert sum((count - 200) ** 2 / 200 for count in counts) < 20.5


def test_the_trials_own_split_is_never_dealt():
    real = dict(zip(NAMES[:4], "aabb"))
    turned = dict(zip(NAMES[:4], "bbaa"))
    seen = [sham_allocation.sham(NAMES[:4], {"a": 2, "b": 2}, seed, real) for seed in range(200)]
    assert real not in seen
    assert turned not in seen


def test_sizes_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="13 places for 12"):
        sham_allocation.sham(NAMES, {"a": 6, "b": 7}, 1)


@pytest.fixture
def root(tmp_path):
    return skeleton.dataset(tmp_path / "bids", participants=8)


def blinded(root, **changes):
    return {**skeleton.config(root), "blinded": True, **changes}


def with_arms(root, arms, more=""):
    """The participants' table with other arms, everything else the same."""
    path = root / "participants.tsv"
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    lines = [lines[0]] + [[name, arm, *rest] for (name, _, *rest), arm in zip(lines[1:], arms)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines) + more)


def test_nothing_of_a_blinded_plan_depends_on_who_is_in_which_arm(root):
    seen = []
    # Where the first draw is the trial's own allocation, another is made: such a case aside, nothing depends on it.
    first = sham_allocation.sham([*NAMES[:8], "99"], {"baclofen": 3, "placebo": 6}, 20200218)
    for number, arms in enumerate(itertools.permutations(["baclofen"] * 3 + ["placebo"] * 5)):
        if number % 977 == 0 and list(arms) != list(first.values())[:8]:
            with_arms(root, arms, "sub-99\tplacebo\t40\tF\n")
            study = complete_settings.read(blinded(root))
            seen.append(json.dumps([sheet_content.content(study), study.randomised]))
    assert len(seen) > 40
    assert len(set(seen)) == 1
    content = sheet_content.content(study)
    # Over everyone randomised, the never scanned too.
    assert [row["arm"] for row in content["randomised"]].count("baclofen") == 3
    assert [row["scanned"] for row in content["randomised"]] == [True] * 8 + [False]
    assert {row["participant_id"]: row["arm"] for row in content["randomised"] if row["scanned"]} == {
        row["participant_id"]: row["arm"] for row in content["participants"]
    }


def test_those_not_selected_are_randomised_too_and_lose_their_arm_in_a_blinded_run(root):
    names = [name.removeprefix("sub-") for name in sorted(path.name for path in root.glob("sub-*"))]
    for config, others in ((skeleton.config(root), None), (blinded(root), [None, None])):
        study = complete_settings.read({**config, "participants": names[:6]})
        content = sheet_content.content(study)
        assert [row["selected"] for row in content["randomised"]] == [True] * 6 + [False] * 2
        arms = [row["arm"] for row in content["randomised"][6:]]
        assert arms == (
            others or [row.split("\t")[1] for row in (root / "participants.tsv").read_text().split("\n")[7:9]]
        )
        lost = [row for row in content["exclusions"] if row["reason"] == "not among the configuration's participants"]
        assert [row["participant_id"] for row in lost] == [f"sub-{name}" for name in names[6:]]


def test_a_column_that_nothing_names_stays_behind(root):
    path = root / "participants.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + "\tdose", *(line + "\t80" for line in lines[1:])]) + "\n")
    # Age and sex describe the arms at baseline; a blinded run has of them what the configuration names.
    for config, others in ((blinded(root), {"age"}), (skeleton.config(root), {"age", "sex"})):
        rows = sheet_content.content(complete_settings.read(config))["participants"]
        assert set(rows[0]) == {"participant_id", "arm", *others}


def test_those_who_do_not_have_the_allocation_give_its_sizes(root):
    path = root / "participants.tsv"
    path.write_text(path.read_text().replace("\tarm", "\twithheld"))
    with pytest.raises(InputErrors, match=r"arm.*no such column"):
        complete_settings.read(blinded(root))
    study = complete_settings.read(blinded(root, sham={"sizes": {"baclofen": 3, "placebo": 5}}))
    assert [row["arm"] for row in study.participants.values()].count("baclofen") == 3
    with pytest.raises(InputErrors, match=r"sham\.sizes.*9 places for 8"):
        complete_settings.read(blinded(root, sham={"sizes": {"baclofen": 4, "placebo": 5}}))
    with pytest.raises(InputErrors, match=r"sham\.sizes.*ketamine"):
        complete_settings.read(blinded(root, sham={"sizes": {"ketamine": 3, "placebo": 5}}))


@pytest.mark.parametrize(("given", "expected"), [("true", True), ("false", False), (True, True)])
def test_the_key_may_come_from_the_command_line(root, given, expected):
    assert complete_settings.read({**skeleton.config(root), "blinded": given}).config["blinded"] is expected


def test_a_key_that_is_neither_is_refused(root):
    with pytest.raises(InputErrors, match="blinded"):
        complete_settings.read({**skeleton.config(root), "blinded": "perhaps"})


def test_who_has_no_arm_gets_none(root):
    with_arms(root, ["n/a", *["baclofen", "placebo"] * 3, "placebo"])
    study = complete_settings.read(blinded(root))
    assert study.participants["01"]["arm"] is None
    assert sorted(row["arm"] for row in study.participants.values() if row["arm"]) == ["baclofen"] * 3 + ["placebo"] * 4


def test_all_that_is_written_carries_the_mark(tmp_path):
    with blinding.marking(True):
        tables.write_table(tmp_path / "t.tsv", [{"a": 1}], {"a": "first"})
        tables.write_json(tmp_path / "j.json", {"a": 1})
    assert (tmp_path / "t.tsv").read_text() == "a\tBLINDED\n1\tsham\n"
    assert "BLINDED" in tables.read_json(tmp_path / "t.json")
    assert tables.read_json(tmp_path / "j.json") == {"BLINDED": blinding.TEXT, "a": 1}
    # Whoever reads the table on does not meet the mark.
    with blinding.marking(True):
        assert tables.read_table(tmp_path / "t.tsv", of_arms=True) == [{"a": "1"}]
    with pytest.raises(InputError, match="sham"):
        tables.read_table(tmp_path / "t.tsv")
    tables.write_table(tmp_path / "t.tsv", [{"a": 1}], {"a": "first"})
    assert "BLINDED" not in (tmp_path / "t.tsv").read_text()
    with blinding.marking(True):
        # Of what does not depend on the arms, a blinded run reads unmarked tables.
        assert tables.read_table(tmp_path / "t.tsv") == [{"a": "1"}]
        with pytest.raises(InputError, match="trial's own allocation"):
            tables.read_table(tmp_path / "t.tsv", of_arms=True)


VERSIONS = {"pharmasl": "0.1.0"}
SETTINGS = {"blinded": True, "sham": {"seed": 7}, "perfusion": {"smoothing_fwhm": 6}}


@pytest.fixture
def log(tmp_path):
    """A workflow frozen twice with a sham allocation."""
    path, report = tmp_path / "log.json", tmp_path / "index.html"
    report.write_text(f"<p>{blinding.MARK}: {html.escape(blinding.TEXT)}</p>")
    allocation_log.record(path, allocation_log.state(SETTINGS | {"title": "old"}, VERSIONS), report)
    allocation_log.record(path, allocation_log.state(SETTINGS, VERSIONS), report)
    return path


@pytest.mark.parametrize("page", ["<p>the trial's own arms</p>", "<h1>BLINDED</h1>", ""])
def test_a_page_without_the_mark_is_not_recorded_as_blinded(log, tmp_path, page):
    before, report = log.read_bytes(), tmp_path / "index.html"
    report.write_text(page)
    with pytest.raises(InputError, match="own allocation"):
        allocation_log.record(log, allocation_log.state(SETTINGS | {"title": "new"}, VERSIONS), report)
    assert log.read_bytes() == before


def test_an_unblinding_that_changes_one_key_rests_on_what_was_frozen(log):
    with pytest.raises(InputError, match="sham allocations alone"):
        allocation_log.history(log)
    allocation_log.record(log, allocation_log.state(SETTINGS | {"blinded": False}, VERSIONS))
    entries = allocation_log.read(log)
    assert [entry["allocation"] for entry in entries] == ["sham", "sham", "real"]
    # The same again is no news.
    allocation_log.record(log, allocation_log.state(SETTINGS | {"blinded": False}, VERSIONS))
    assert len(allocation_log.read(log)) == 3
    assert entries[1]["report_sha256"] == hashlib.sha256((log.parent / "index.html").read_bytes()).hexdigest()
    found = allocation_log.history(log)
    assert found.frozen == entries[1]
    assert found.changed_files == found.changed_settings == []
    text = " ".join(told.sentences(log))
    assert "uses the frozen workflow: neither code nor configuration has changed" in text
    assert entries[1]["code"][:16] in text
    assert entries[1]["time"][:10] in text


def test_what_changed_after_the_freeze_is_named(log):
    now = allocation_log.state({**SETTINGS, "blinded": False, "perfusion": {"smoothing_fwhm": 8}}, VERSIONS)
    now["files"] = {**now["files"], "scripts/pharmasl/contrasts/contrast_maps.py": "0"}
    now["code"] = "other"
    allocation_log.record(log, now)
    allocation_log.record(log, allocation_log.state({**SETTINGS, "blinded": True}, VERSIONS))
    allocation_log.record(log, now)
    text = " ".join(told.sentences(log))
    assert "does not use the frozen workflow" in text
    assert "1 file of the code (scripts/pharmasl/contrasts/contrast_maps.py)" in text
    assert "1 key of the configuration (perfusion.smoothing_fwhm)" in text
    # A sham run in between and the same state again are no change.
    assert "Since unblinding" not in text
    allocation_log.record(log, allocation_log.state({**SETTINGS, "blinded": False}, VERSIONS))
    assert "Since unblinding, code or configuration has changed 1 time" in " ".join(told.sentences(log))


def test_a_trial_that_was_never_blinded_says_so(tmp_path):
    allocation_log.record(tmp_path / "log.json", allocation_log.state({**SETTINGS, "blinded": False}, VERSIONS))
    assert "No blinded run preceded this analysis" in " ".join(told.sentences(tmp_path / "log.json"))


def test_the_digest_covers_the_workflow():
    files = allocation_log.state(SETTINGS, VERSIONS)["files"]
    for name in (
        "Snakefile",
        "rules/group.smk",
        "scripts/report.py",
        "scripts/pharmasl/report/page.html.j2",
        "config/schemas/config.schema.yaml",
        "envs/report.yaml",
    ):
        assert name in files
    assert not any(name.endswith((".pyc", ".nbi", ".nbc")) for name in files)
