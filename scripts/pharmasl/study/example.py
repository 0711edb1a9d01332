"""A dataset of names, sheets and empty images, on which the shipped configuration can be planned without any data."""

import itertools
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from pharmasl.errors import FilePath

_PAIRS = 2
SIDECAR = {
    "ArterialSpinLabelingType": "PCASL",
    "LabelingDuration": 1.8,
    "PostLabelingDelay": 1.8,
    "BackgroundSuppression": False,
    "M0Type": "Included",
    "RepetitionTimePreparation": 6.0,
    "MagneticFieldStrength": 3,
    "MRAcquisitionType": "3D",
    "EchoTime": 0.012,
    "TotalAcquiredPairs": _PAIRS,
}


def image(path: FilePath, shape: tuple[int, ...]) -> Path:
    """Write an image of one value but for a voxel, which depend on the file's name, in voxels of 4 mm; returns its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # No two of thousands of scans are alike: copies are refused.
    last, value = divmod(zlib.crc32(path.name.encode()), 2**24)
    data = np.full(shape, 1 + value, np.float32)
    data[(-1,) * len(shape)] = 1 + last
    made = nibabel.Nifti1Image(data, np.diag([4.0, 4.0, 4.0, 1.0]))
    made.header.set_xyzt_units("mm", "sec")
    nibabel.save(made, path)
    return path


def _table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in (columns, *rows)), encoding="utf-8")


def write(root: FilePath, config: Mapping[str, Any], participants: int = 12) -> None:
    """Write the dataset.

    Parameters
    ----------
    root : path-like
        An empty folder.
    config : dict
        As the user writes it, with ``sessions``, ``arms``, ``conditions`` by ``acquisition``, and ``craving``.
    participants : int
        They alternate between the arms.
    """
    root = Path(root)
    people = [f"sub-{number:02d}" for number in range(1, participants + 1)]
    sessions = [config["sessions"]["baseline"], config["sessions"]["followup"]]
    states = [selector["acquisition"] for selector in config["conditions"].values()]
    arms, craving = config["arms"], config["craving"]
    (root / "dataset_description.json").write_text(json.dumps({"Name": "example", "BIDSVersion": "1.10.0"}))
    (root / "asl.json").write_text(json.dumps(SIDECAR))
    volumes = ["m0scan", *["control", "label"] * _PAIRS]
    _table(root / "aslcontext.tsv", ["volume_type"], [[kind] for kind in volumes])
    for person, session in itertools.product(people, sessions):
        stem = f"{person}_ses-{session}"
        if session == sessions[0]:
            image(root / person / f"ses-{session}" / "anat" / f"{stem}_T1w.nii.gz", (8, 8, 8))
        for state in states:
            image(root / person / f"ses-{session}" / "perf" / f"{stem}_acq-{state}_asl.nii.gz", (8, 8, 8, len(volumes)))
    _table(
        root / "participants.tsv",
        ["participant_id", arms["column"], "age", "sex"],
        [
            [person, arms["treatment" if number % 2 else "control"], 30 + number * 7 % 11, "MF"[number // 2 % 2]]
            for number, person in enumerate(people)
        ],
    )
    _table(
        root / craving["table"],
        ["participant_id", "session_id", craving["before"], craving["after"]],
        [
            [person, f"ses-{session}", 20 + number, 50 - number]
            for (number, person), session in itertools.product(enumerate(people), sessions)
        ],
    )
