"""Python looks for what is not needed rarely while a plan is made, and as before afterwards."""

import gc
import subprocess
import sys
from pathlib import Path

from pharmasl.workflow import garbage

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


def test_afterwards_all_is_as_before():
    before = gc.get_threshold()
    try:
        garbage.collect_rarely()
        garbage.collect_rarely()
        assert gc.get_threshold()[0] > before[0]
        garbage.collect_as_usual()
        assert gc.get_threshold() == before
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_a_plan_that_is_left_is_never_taken_apart():
    program = """
import atexit, gc, sys
sys.path.insert(0, {scripts!r})
from pharmasl.workflow import garbage
class Part:
    def __del__(self):
        print("taken apart", flush=True)
part = Part()
part.itself = part
if {left}:
    atexit.register(garbage.leave_to_the_system)
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", program.format(scripts=str(SCRIPTS), left=left)], capture_output=True, text=True
        )
        for left in (False, True)
    ]
    assert [(one.returncode, one.stderr, one.stdout) for one in said] == [(0, "", "taken apart\n"), (0, "", "")]
