"""Python looks for what is not needed rarely while a plan is made, and as before afterwards."""

import gc

from pharmasl.workflow import garbage


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
