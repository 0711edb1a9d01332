"""A Slurm of one node for tests: munged, slurmctld and slurmd on loopback, without accounting, all state in one folder.

Slurm's clients find it by ``/etc/slurm/slurm.conf``, since the executor plugin drops Slurm's variables before it submits; the link there
is the one thing outside the folder, and is removed at the end.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

LINK = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue")
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0
SlurmdParameters=config_overrides
KillWait=2
CompleteWait=0
ReturnToService=2
MinJobAge=600
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/daemon
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 State=UNKNOWN
PartitionName=hour Nodes=ALL Default=YES MaxTime=01:00:00 State=UP
"""


def why_not():
    """What keeps a Slurm of this module's own from being started here, if anything does."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"needs Slurm and munge (Debian, Ubuntu: slurm-wlm, munge): no {', '.join(missing)} on the PATH"
    if os.geteuid() != 0:
        return "only root can start Slurm's daemons"
    if LINK.exists() or LINK.is_symlink():
        return f"{LINK} is there: another Slurm's"
    return None


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _until(command, answer, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip() == answer:
            return
        time.sleep(0.2)
    raise TimeoutError(f"{' '.join(command)}: found {done.stdout!r} {done.stderr!r}, expected {answer!r}")


@contextlib.contextmanager
def started(folder):
    """Start it, wait for its node, and stop it at the end."""
    folder = Path(folder)
    for name in ("controller", "daemon"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    host = socket.gethostname().split(".")[0]
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(host=host, folder=folder, controller=_free_port(), daemon=_free_port())
    )
    files = {
        "--key-file": key,
        "--socket": folder / "munge.socket",
        "--pid-file": folder / "munged.pid",
        "--seed-file": folder / "munge.seed",
        "--log-file": folder / "munged.log",
    }
    LINK.parent.mkdir(exist_ok=True)
    LINK.symlink_to(configuration)
    try:
        subprocess.run(["munged", "--force", *(f"{name}={path}" for name, path in files.items())], check=True)
        for daemon in ("slurmctld", "slurmd"):
            subprocess.run([daemon, "-f", str(configuration)], check=True)
        _until(["sinfo", "-h", "-o", "%T"], "idle")
        yield
    finally:
        subprocess.run(["scancel", "--user", "root"], capture_output=True)
        for daemon in ("slurmd", "slurmctld", "munged"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((folder / f"{daemon}.pid").read_text()), signal.SIGTERM)
        LINK.unlink(missing_ok=True)
