"""How often Python looks for objects that nothing needs any more.

A plan of thousands of jobs is millions of objects, all of which are needed until the run ends. Python goes through them
again and again as their number grows, which took an eighth of the time of a dry run. When the run has ended, it would take
them apart one by one, another sixth, of memory that the system takes back as a whole.
"""

import gc

_USUAL = gc.get_threshold()
# New objects before the youngest are looked through, and how many times that before all are.
_RARE = (100_000, 50, 1000)


def collect_rarely() -> None:
    """While a plan is made."""
    gc.set_threshold(*_RARE)


def collect_as_usual() -> None:
    """Once it is made, of what comes after it; what is there is not looked at again."""
    gc.freeze()
    gc.set_threshold(*_USUAL)


def leave_to_the_system() -> None:
    """When the process ends: a plan refers to itself in circles, which nothing takes apart any more."""
    gc.freeze()
