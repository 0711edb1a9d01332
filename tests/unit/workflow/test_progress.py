import pytest
from pharmasl.workflow.progress import Job, Progress, in_words, roughly
from pharmasl.workflow.stages import SECONDS


def anatomy(people, capacity=1):
    progress = Progress(capacity=capacity)
    rules = ("prepare_anatomy", "normalise_anatomy", "segment_anatomy")
    progress.expect({"all": 1, **dict.fromkeys(rules, people)})
    return progress


def ran(progress, number, rule, began, ended):
    progress.begin(number, Job(rule, rule, 1, began))
    progress.end(number, ended)


def test_people_count_once_their_last_job_is_done():
    progress = anatomy(2)
    for number, rule in enumerate(("prepare_anatomy", "normalise_anatomy")):
        ran(progress, number, rule, number, number + 1)
    (row,) = progress.rows(2)
    assert (row.done, row.total, row.unit, row.ended) == (0, 2, "people", False)
    weights = [SECONDS[rule] for rule in ("prepare_anatomy", "normalise_anatomy", "segment_anatomy")]
    assert row.share == pytest.approx(sum(weights[:2]) / (2 * sum(weights)))
    ran(progress, 2, "segment_anatomy", 2, 3)
    assert progress.rows(3)[0].done == 1
    assert (progress.done, progress.total) == (3, 6)


def test_one_unit_is_no_plural_and_an_anatomy_of_a_visit_no_person():
    progress = anatomy(1)
    assert progress.rows(0)[0].unit == "person"
    progress.begin(1, Job("prepare_anatomy", "", 1, 0), visit=True)
    assert progress.rows(0)[0].unit == "visit"


def test_where_no_counted_rule_is_to_be_done_jobs_are_counted():
    progress = Progress()
    progress.expect({"prepare_anatomy": 3})
    (row,) = progress.rows(0)
    assert (row.total, row.unit) == (3, "jobs")


def test_a_failure_counts_until_the_job_is_tried_again():
    progress = anatomy(2)
    progress.begin(7, Job("prepare_anatomy", "", 1, 0))
    progress.fail(7)
    assert progress.rows(1)[0].failed == 1
    progress.begin(7, Job("prepare_anatomy", "once more", 1, 1))
    (row,) = progress.rows(2)
    assert (row.failed, row.running) == (0, ("once more",))


def test_the_time_left_is_that_of_jobs_like_those_done():
    progress = Progress()
    progress.expect({"quantify_perfusion": 10})
    assert progress.left(0) is None
    for number in range(4):
        ran(progress, number, "quantify_perfusion", 30 * number, 30 * number + 30)
    assert progress.left(120) == pytest.approx(6 * 30)
    progress.begin(5, Job("quantify_perfusion", "", 1, 120))
    assert progress.left(130) == pytest.approx(6 * 30 - 10)


def test_cores_share_the_work_and_the_longest_job_is_waited_for():
    progress = Progress(capacity=4)
    progress.expect({"quantify_perfusion": 9})
    ran(progress, 0, "quantify_perfusion", 0, 40)
    assert progress.left(40) == pytest.approx(8 * 40 / 4)
    for number in range(1, 8):
        ran(progress, number, "quantify_perfusion", 40, 80)
    assert progress.left(80) == pytest.approx(40)


def test_rules_of_which_none_is_done_take_this_machines_pace():
    progress = Progress()
    progress.expect({"quantify_perfusion": 1, "scan_quality": 10})
    ran(progress, 0, "quantify_perfusion", 0, 60 * SECONDS["quantify_perfusion"])
    assert progress.left(60) == pytest.approx(10 * 60 * SECONDS["scan_quality"])


def test_what_follows_this_run_counts_at_its_pace():
    progress = Progress(capacity=2, later=100)
    progress.expect({"simulate_participant": 1})
    ran(progress, 0, "simulate_participant", 0, 4 * SECONDS["simulate_participant"])
    assert progress.left(60) == pytest.approx(100 * 4 / 2)


def test_jobs_that_failed_are_not_waited_for():
    progress = Progress()
    progress.expect({"quantify_perfusion": 3})
    ran(progress, 0, "quantify_perfusion", 0, 20)
    progress.begin(1, Job("quantify_perfusion", "", 1, 20))
    progress.fail(1)
    assert progress.left(25) == pytest.approx(20)


def test_threads_take_cores_on_this_machine_alone():
    for shared, seconds in ((True, 90), (False, 90 / 2)):
        progress = Progress(capacity=2, shared=shared)
        progress.expect({"group_statistics": 4})
        progress.begin(0, Job("group_statistics", "", 2, 0))
        progress.end(0, 30)
        assert progress.left(30) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (40, "40 s"), (60, "1 min"), (250, "4 min"), (3590, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(10, "less than a minute"), (45, "1 min"), (520, "9 min"), (1000, "15 min"), (5000, "1 h 25 min")],
)
def test_guessed_times_are_no_finer_than_known(seconds, words):
    assert roughly(seconds) == words
