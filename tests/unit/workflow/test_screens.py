import io
import os
import re
import subprocess
import sys

import pytest
from pharmasl.workflow.progress import Job, Progress
from pharmasl.workflow.screens import LiveScreen, PlainScreen, screen_for, sentence
from pharmasl.workflow.strays import Strays


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def run(people=40):
    progress = Progress(capacity=2)
    progress.expect({"segment_anatomy": people, "report": 1})
    return progress


def visible(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_plain_lines_are_one_a_minute_at_most_and_one_for_each_stage_that_ends():
    clock, stream, progress = Clock(), io.StringIO(), run()
    screen = PlainScreen(stream, 0.0, clock)
    screen.show(progress)
    for number in range(40):
        progress.begin(number, Job("segment_anatomy", "", 1, clock.now))
        clock.now += 5
        progress.end(number, clock.now)
        screen.show(progress)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in lines)
    assert lines[0].endswith("41 jobs: Anatomy (40 people); Report (1 step)")
    assert "Anatomy 12 of 40 people; 1 min gone, about 1 min left (12 of 41 jobs)" in lines[1]
    assert lines[-1].endswith("Anatomy: done (40 people, 3 min)")
    assert "\x1b" not in stream.getvalue()


def test_long_runs_have_fewer_plain_lines():
    clock, stream, progress = Clock(), io.StringIO(), run(1000)
    screen = PlainScreen(stream, 0.0, clock)
    for number in range(1000):
        progress.begin(number, Job("segment_anatomy", "", 1, clock.now))
        clock.now += 60
        progress.end(number, clock.now)
        screen.show(progress)
    assert len(stream.getvalue().splitlines()) < 150


def test_a_terminal_has_bars_with_the_rules_sentence(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    clock, stream, progress = Clock(), Terminal(), run(3)
    screen = LiveScreen(stream, True, 0.0, clock)
    progress.begin(1, Job("segment_anatomy", "Segmenting: sub-01", 1, 0))
    screen.show(progress)
    screen.say("sub-02 failed", "error")
    clock.now = 30
    progress.end(1, 30)
    screen.close()
    text = visible(stream.getvalue())
    assert re.search(r"Anatomy\s+━+\s+0 of 3 people\s+Segmenting: sub-01", text)
    assert re.search(r"Anatomy\s+[━╸╺]+\s+1 of 3 people", text)
    assert "sub-02 failed" in text
    assert "30 s gone, about 1 min left (1 of 4 jobs)" in text
    assert "\x1b[31m" in stream.getvalue()


@pytest.mark.parametrize("color", [True, False])
def test_no_colour_where_none_is_wanted(monkeypatch, color):
    monkeypatch.setenv("TERM", "xterm-256color")
    if color:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    screen = LiveScreen(stream, color, 0.0, Clock())
    screen.show(run())
    screen.say("failed", "error")
    screen.close()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", stream.getvalue())


def test_a_terminal_without_cursor_and_a_pipe_have_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(screen_for(Terminal(), True, 0.0), PlainScreen)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(screen_for(io.StringIO(), True, 0.0), PlainScreen)


def test_a_narrow_terminal_has_words_without_bars(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "50")
    stream = Terminal()
    screen = LiveScreen(stream, False, 0.0, Clock())
    screen.show(run())
    screen.close()
    assert "━" not in stream.getvalue()
    assert "Anatomy" in stream.getvalue()


@pytest.mark.parametrize(
    ("words", "short"),
    [
        ("Masking the brain: sub-01/anat/sub-01", "Masking the brain: sub-01"),
        ("Masking: sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest", "Masking: sub-01_ses-T1_acq-rest"),
        ("Writing the report", "Writing the report"),
        ("Grey and/or white matter", "Grey and/or white matter"),
    ],
)
def test_sentences_lose_folders(words, short):
    assert sentence(words) == short


def test_what_others_write_is_passed_on_whole_and_dropped_once_a_user_stops(capfd):
    heard = []
    strays = Strays(heard.append)
    subprocess.run([sys.executable, "-c", "import sys; print('a warning', file=sys.stderr)"], check=True)
    strays.close()
    assert heard == ["a warning"]
    strays = Strays(heard.append)
    os.write(2, b"Traceback")
    strays.hush()
    strays.close()
    assert heard == ["a warning"]
    os.write(2, b"as before")
    assert capfd.readouterr().err == "as before"
