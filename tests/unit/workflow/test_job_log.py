"""What a job says of itself at the end of its log."""

import logging
import resource
import subprocess
import sys
import time
from types import SimpleNamespace

from pharmasl.workflow import job_log
from pharmasl.workflow.job_log import Took

# The line has three decimals.
PRINTED = 0.0005
WORK = "import time\nwhile time.process_time() < .4: pass\nbytearray(b'x') * 150_000_000"


def test_the_line_is_read_as_it_is_written():
    own = Took(seconds=0.042, clock=12.5, megabytes=113)
    assert str(own) == "took 0.042 s of processor time, 12.500 s by the clock and 113 MB at most"
    assert job_log.took(f"took 9.000 s of processor time, 9.000 s by the clock and 9 MB at most\n{own}\n") == own


def test_logs_of_earlier_versions_are_read():
    assert job_log.took("x: took 3.1 s of processor time and 300 MB at most\n") == Took(3.1, None, 300)
    assert job_log.took("took part") is None


def test_programs_that_a_job_calls_are_its_own_time_and_memory():
    began = time.monotonic()
    before = job_log.used(began)
    subprocess.run([sys.executable, "-c", WORK], check=True)
    after = job_log.used(began)
    assert after.seconds - before.seconds > 0.4
    assert after.clock > 0.4
    assert after.megabytes > 150


def taken_by_all():
    """Processor time of this process and of the programs that it has called, s."""
    whole = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in whole)


def test_a_log_ends_with_what_the_job_took(caplog, tmp_path):
    (tmp_path / "out").write_bytes(bytes(2_000_000))
    snakemake = SimpleNamespace(rule="align", input={}, output={"table": str(tmp_path / "out")})
    start, before = time.monotonic(), taken_by_all()
    with caplog.at_level(logging.INFO):
        began = job_log.begin(snakemake)
        time.sleep(slept := 0.05)
        job_log.end(snakemake, began)
    assert caplog.messages[0].startswith("align, pharmasl ")
    assert caplog.messages[1] == f"wrote table: {tmp_path / 'out'} (2 MB)"
    own = job_log.took(caplog.messages[2])
    # Programs that this process has called before count too.
    assert before - PRINTED <= own.seconds <= taken_by_all() + PRINTED
    # By the clock the job alone: what lies between begin and end, within the test's own measure of it.
    assert slept - PRINTED <= own.clock <= time.monotonic() - start + PRINTED
