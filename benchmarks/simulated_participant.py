"""CPU seconds and memory of simulating one participant, the whole job with its imports: six runs of 40 pairs of the twin.

    python benchmarks/simulated_participant.py [--voxels 1 1.5] [--pairs 40] [--config FILE ...] [--profile]

Each line is one T1w voxel size, in a process of its own; the functions that numba compiles are in its cache, or a first run has put them
there (``--warm``). CPU is that of the whole process, user and system, however busy the machine is; memory is its largest. Printed too is a digest of
all images and tables written, by which a change that should leave every byte alone is known. ``--profile`` prints where the time goes.
"""

import argparse
import cProfile
import hashlib
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def simulate(config, voxel, pairs, folder):
    """Write the twin's first participant with all runs into a folder."""
    sys.path[:0] = [str(ROOT / "scripts")]
    import yaml
    from pharmasl.simulate import dataset, participant_anatomy, planned_trial, virtual_trial
    from pharmasl.simulate.simulation_settings import ParticipantSettings, TrialSettings
    from pharmasl.study import settings

    whole = {}
    for path in config:
        for name, value in (yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}).items():
            merged(whole, name, value)
    section = whole["simulate"]
    section.setdefault("anatomy", {})["voxel_size"] = voxel
    section.setdefault("perfusion", {})["pairs"] = pairs
    if not section.get("exact"):
        section["missing"] = {}
    section = planned_trial.complete(section)
    arms = settings.build(settings.Arms, {"others": [], **whole["arms"]})
    sessions = settings.build(settings.Sessions, {"others": [], **whole["sessions"]})
    asked = settings.build(TrialSettings, {name: section[name] for name in planned_trial.TRIAL})
    drawn = virtual_trial.draw(asked, arms, sessions)
    own = [row for row in drawn.scans if row["participant_id"] == drawn.participants[0]["participant_id"]]
    visits = {}
    for row in own:
        visits.setdefault(row["session_id"], {})[row["condition"]] = row
    person = settings.build(ParticipantSettings, {name: section[name] for name in planned_trial.PARTICIPANT})
    runs = range(len(own))
    names = [
        f"_ses-{session}_{name}" for session in visits for name in dataset.susceptibility.field_names(person.distortion)
    ]
    alternates = person.blocks.planted
    files = dataset.ParticipantFiles(
        **{name: folder / f"{name}.nii.gz" for name in ("t1w", "mask", "gm", "wm", "field")},
        t1w_sidecar=folder / "t1w.json",
        asl=[folder / f"asl-{run}.nii.gz" for run in runs],
        asl_sidecar=[folder / f"asl-{run}.json" for run in runs],
        aslcontext=[folder / f"context-{run}.tsv" for run in runs],
        motion=[folder / f"motion-{run}.txt" for run in runs],
        coregistration=[folder / f"coregistration-{run}.txt" for run in runs],
        cbf=[folder / f"cbf-{run}.nii.gz" for run in runs],
        field_map=[folder / f"{name}.nii.gz" for name in names],
        field_map_sidecar=[folder / f"{name}.json" for name in names],
        hertz=[folder / "hertz.nii.gz"],
        events=[folder / f"ses-{s}_acq-cues_run-{r}_events.tsv" for s in visits for r in (1, 2)] if alternates else [],
        states=[folder / f"state-{number}.nii.gz" for number in range(8)],
    )
    dataset.write_participant(person, 1, own, visits, participant_anatomy.read_template(), {}, files)


def merged(into, name, value):
    if isinstance(value, dict) and isinstance(into.get(name), dict):
        for key, own in value.items():
            merged(into[name], key, own)
    else:
        into[name] = value


def digest(folder):
    """One digest of all files of a folder, images by what is in them."""
    sys.path[:0] = [str(ROOT / "scripts")]
    from pharmasl.files import compression

    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        whole.update(path.name.encode())
        whole.update(compression.decompress(content) if path.suffix == ".gz" else content)
    return whole.hexdigest()[:16]


def measured(options, voxel):
    """The line of a voxel size."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", folder, "--voxels", f"{voxel:g}", "--pairs", str(options.pairs)]
        command += ["--config", *options.config] + ["--profile"] * options.profile
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"The simulation ended with status {os.waitstatus_to_exitcode(status)}.")
        cpu = usage.ru_utime + usage.ru_stime
        return f"{voxel:g} mm: {cpu:.1f} CPU s, {usage.ru_maxrss / 1024:.0f} MB, digest {digest(Path(folder))}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", nargs="+", type=float, default=[1.0, 1.5], metavar="MM")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--config", nargs="+", default=[str(ROOT / "config/twin.yaml")], metavar="FILE")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--one", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        arguments = options.config, options.voxels[0], options.pairs, Path(options.one)
        if not options.profile:
            simulate(*arguments)
            return
        with cProfile.Profile(time.process_time) as profile:
            simulate(*arguments)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    for voxel in options.voxels:
        print(measured(options, voxel), flush=True)


if __name__ == "__main__":
    main()
