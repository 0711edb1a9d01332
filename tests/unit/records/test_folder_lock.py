"""One run at a time in a results folder."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys

import pytest
from loading import ROOT
from pharmasl.errors import InputError
from pharmasl.records import folder_lock

HOLDER = """
import sys, time
from pharmasl.records.folder_lock import FolderLock
lock = FolderLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_another_process_is_named_and_its_death_frees_the_folder(holder, tmp_path):
    lock = folder_lock.FolderLock(tmp_path)
    assert lock.is_held_by_another()
    with pytest.raises(InputError) as refused:
        lock.acquire()
    for part in (str(tmp_path / ".lock"), f"process {holder.pid} on {socket.gethostname()}", "Wait until it has ended"):
        assert part in str(refused.value)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    # What it left behind is no lock.
    assert (tmp_path / ".lock").read_text()
    assert not lock.is_held_by_another()
    lock.acquire()
    lock.acquire()
    assert not lock.is_held_by_another()
    lock.release()
    lock.release()
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys):
    def no_locks(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    lock = folder_lock.FolderLock(tmp_path)
    lock.acquire()
    assert "no locks" in capsys.readouterr().err
    assert not lock.is_held_by_another()
    lock.release()
