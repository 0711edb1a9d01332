"""How long a run takes and how large it is: by the study's own finished jobs where there are any, else by the demo's."""

from pathlib import Path

import pytest
from other_trial import dataset
from pharmasl.commands import finished_jobs, job_sizes, work
from pharmasl.commands.finished_jobs import Finished
from pharmasl.records import manifest
from pharmasl.records.manifest import Content, Entry, Making
from pharmasl.study import reading

CONFIG = {
    "sessions": {"baseline": "pre", "followup": "post"},
    "conditions": {"rest": {"run": 1}},
    "contrasts": {"rest": {"rest": 1}},
    "anatomy": {"missing_t1w": "template"},
}
LINE = "2026-11-28 10:00:00 pharmasl.workflow.job_log: took {:.1f} s of processor time and 300 MB at most\n"


@pytest.fixture
def study(tmp_path):
    folder = dataset(tmp_path / "data")
    result = reading.collect({**CONFIG, "bids_dir": str(folder), "output_dir": str(tmp_path / "results")})
    assert not result.errors
    return result.study


def finish(folder, rule, *jobs):
    """Jobs of a rule, each the seconds of its attempts and the bytes of its two files, the second one temporary or there."""
    record = manifest.read(folder) or manifest.Manifest()
    for number, (attempts, sizes) in enumerate(jobs):
        log = f"logs/{rule}/{number}.log"
        making = Making(rule=rule, log=(log,))
        for part, size in enumerate(sizes):
            content = Content(size, 0, "0") if size else None
            record.files[f"{rule}/{number}_{part}.nii.gz"] = Entry(making, content, "v")
        if attempts:
            (folder / log).parent.mkdir(parents=True, exist_ok=True)
            (folder / log).write_text("began\n" + "".join(map(LINE.format, attempts)))
    record.versions["v"] = {"pharmasl": "0.1.0"}
    manifest.write(folder, record)


def test_finished_jobs_by_rule_from_manifest_and_logs(tmp_path):
    assert finished_jobs.read(tmp_path) == {}
    finish(tmp_path, "align_perfusion", ([9.0, 2.0], [100, 50]), ([4.0], [250, 0]))
    finish(tmp_path, "report", ([], [1000, 0]))
    assert finished_jobs.read(tmp_path) == {
        "align_perfusion": Finished(jobs=2, seconds=3.0, size=200.0),
        "report": Finished(jobs=1, seconds=None, size=1000.0),
    }


def test_jobs_of_this_study_come_before_those_of_the_demo(study):
    counts = {"align_perfusion": 10, "report": 1}
    demo = work.core_seconds(study, counts, {})
    assert demo.own == 0
    assert str(demo) == "by the demo's jobs, the settings and the size of the images"
    mixed = work.core_seconds(study, counts, {"align_perfusion": Finished(jobs=2, seconds=3.0, size=200.0)})
    assert mixed.own == pytest.approx(10 * (3.0 + work._STARTING))
    report = job_sizes.seconds("report", job_sizes.of_study(study))
    assert mixed.rest == pytest.approx(report + work._STARTING)
    assert str(mixed) == f"by this study's finished jobs, for {100 * mixed.own / mixed.total:.0f} % of it"


def test_a_rule_without_a_log_goes_by_the_demo(study):
    assert work.core_seconds(study, {"report": 1}, {"report": Finished(1, None, 1e6)}).own == 0


def test_results_are_no_larger_for_being_made_again(study):
    """Half of the scans are done: their mean stands for all, and for no more than all."""
    number = len(study.scans)
    finished = {
        "quantify_perfusion": Finished(jobs=number // 2, seconds=1.0, size=4e6),
        "normalise_anatomy": Finished(jobs=1, seconds=1.0, size=0.0),
    }
    half = work.size(study, {"quantify_perfusion": number - number // 2}, finished)
    again = work.size(study, {"quantify_perfusion": number}, finished)
    assert half.own == again.own == 4e6 * number
    assert half.rest == 0


@pytest.mark.parametrize(("less", "more"), [("minimal", "default"), ("default", "full")])
def test_results_are_smaller_at_a_lower_level(tmp_path, less, more):
    folder, sizes = dataset(tmp_path / "data"), []
    for level in (less, more):
        places = {"bids_dir": str(folder), "output_dir": str(tmp_path / "results"), "outputs": level}
        own = reading.collect({**CONFIG, **places}).study
        sizes.append(work.size(own, {}, {}).rest)
        assert f"(outputs: {level})" in work.lines(own, {"report": 1})[2]
    assert sizes[0] < sizes[1]


def test_the_lines_say_whose_jobs_the_numbers_go_by(study):
    _, time, space = work.lines(study, {"align_perfusion": 10})
    assert "by the demo's jobs" in time
    assert "by the demo's jobs" in space
    folder = Path(study.settings.output_dir)
    folder.mkdir()
    finish(folder, "align_perfusion", ([2.0], [5]))
    _, time, space = work.lines(study, {"align_perfusion": 10})
    assert "(20 seconds on one), by this study's finished jobs; the time left" in time
    assert space.endswith("of it")
