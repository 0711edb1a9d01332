"""The calls of conda that Snakemake makes, answered by py-rattler from a local channel.

``STAND_IN_CHANNEL`` names the folder that stands for every channel an environment file asks for (``channel.py`` makes it); the wheels
of a pip section come from the folder ``wheels`` in it. Environments are solved, linked and activated as by conda.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from rattler import Channel, Gateway, MatchSpec, Subdir, VirtualPackage, VirtualPackageOverrides, install, solve

CHANNEL = Path(os.environ["STAND_IN_CHANNEL"])


async def link(specifications, prefix):
    """Solve for the packages and put them into the environment."""
    records = await solve(
        [Channel(CHANNEL.as_uri())],
        [MatchSpec(text) for text in specifications],
        Gateway(),
        platforms=[Subdir.current(), Subdir("noarch")],
        virtual_packages=VirtualPackage.detect(VirtualPackageOverrides()),
    )
    await install(records, target_prefix=prefix, show_progress=False, cache_dir=CHANNEL / "cache")


def create(file, prefix):
    """An environment as its file says: the packages, then what its pip section names, which has to bring nothing else."""
    environment = yaml.safe_load(file.read_text())
    dependencies = environment["dependencies"]
    asyncio.run(link([entry for entry in dependencies if isinstance(entry, str)], prefix))
    by_pip = [text for entry in dependencies if isinstance(entry, dict) for text in entry["pip"]]
    if not by_pip:
        return
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text("\n".join(by_pip))
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        clean |= {"PIP_CONFIG_FILE": os.devnull, "PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        pip = [prefix / "bin/python", "-m", "pip"]
        wheels = ["--no-index", f"--find-links={CHANNEL / 'wheels'}", "--no-deps"]
        subprocess.run([*pip, "install", "--quiet", *wheels, "-r", requirements], check=True, env=clean)
        # pip would take what else they need in whatever version there is on the day.
        subprocess.run([*pip, "check"], check=True, env=clean)


def option(arguments, name):
    return Path(arguments[arguments.index(name) + 1])


def main(arguments):
    if arguments == ["--version"]:
        print("conda 24.7.1")
    elif arguments == ["info", "--json"]:
        prefix = Path(sys.argv[0]).resolve().parents[1]  # it lies in the folder bin, beside activate
        print(json.dumps({"conda_prefix": str(prefix), "platform": str(Subdir.current())}))
    elif arguments[:1] == ["config"]:
        print(json.dumps({"get": {"channel_priority": "strict"}, "rc_path": None, "success": True, "warnings": []}))
    elif arguments[:2] == ["env", "create"]:
        create(option(arguments, "--file"), option(arguments, "--prefix"))
    elif arguments[:1] != ["clean"]:
        sys.exit(f"stand-in for conda: found {arguments}, expected one of the calls that Snakemake makes")


if __name__ == "__main__":
    main(sys.argv[1:])
