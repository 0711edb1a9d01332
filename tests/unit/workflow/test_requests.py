"""Memory and time of jobs."""

import pytest
from pharmasl.workflow.requests import Requests


@pytest.mark.parametrize(
    ("scans", "megabytes", "minutes"), [(0, 480, 1), (24, 480, 1), (3000, 555, 1), (12000, 780, 3)]
)
def test_a_jobs_snakemakes_ask_by_the_number_of_scans(scans, megabytes, minutes):
    requests = Requests(scans)
    assert requests.memory(500) - 500 == megabytes
    assert requests.minutes(10) - 10 == minutes


def test_what_the_script_takes_is_added():
    requests = Requests(100)
    assert requests.memory(2000) - requests.memory(500) == 1500
    assert requests.minutes(30) - requests.minutes(10) == 20
