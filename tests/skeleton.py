"""Skeleton BIDS datasets: real names and sidecars, images of a few voxels."""

import json
from pathlib import Path

from pharmasl.study import example

SIDECAR = {**example.SIDECAR, "LabelingEfficiency": 0.85, "TotalAcquiredPairs": 3}
image = example.image
CONTEXT = ["m0scan"] + ["control", "label"] * 3


def write(path, content):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def run(folder, name, sidecar=None, context=None, slices=3):
    """One ASL run: image, sidecar and context."""
    context = CONTEXT if context is None else context
    image(folder / f"{name}_asl.nii.gz", (3, 3, slices, len(context)))
    write(folder / f"{name}_asl.json", SIDECAR if sidecar is None else sidecar)
    write(folder / f"{name}_aslcontext.tsv", "\n".join(["volume_type", *context]) + "\n")


def dataset(
    root, participants=4, sessions=("T1", "T2"), conditions=("rest", "smoking", "neutral"), arms=("baclofen", "placebo")
):
    """A trial: participants alternate between the arms."""
    root = Path(root)
    write(root / "dataset_description.json", {"Name": "skeleton", "BIDSVersion": "1.10.0"})
    rows, craving = ["participant_id\tarm\tage\tsex"], ["participant_id\tsession\tcraving_pre\tcraving_post"]
    for number in range(1, participants + 1):
        subject = f"sub-{number:02d}"
        rows.append(f"{subject}\t{arms[number % len(arms)]}\t{30 + number}\t{'MF'[number // 2 % 2]}")
        image(root / subject / f"ses-{sessions[0]}" / "anat" / f"{subject}_ses-{sessions[0]}_T1w.nii.gz", (3, 3, 3))
        for session in sessions:
            craving.append(f"{subject}\t{session}\t{20 + number % 50}\t{50 - number % 50}")
            for condition in conditions:
                run(root / subject / f"ses-{session}" / "perf", f"{subject}_ses-{session}_acq-{condition}")
    write(root / "participants.tsv", "\n".join(rows) + "\n")
    write(root / "phenotype" / "craving.tsv", "\n".join(craving) + "\n")
    return root


def config(root, output="results"):
    """A small trial's configuration."""
    return {
        "bids_dir": str(root),
        "output_dir": str(output),
        "sessions": {"baseline": "T1", "followup": "T2"},
        "arms": {"column": "arm", "treatment": "baclofen", "control": "placebo"},
        "conditions": {name: {"acquisition": name} for name in ("rest", "smoking", "neutral")},
        "contrasts": {"rest": {"rest": 1}, "cue": {"smoking": 1, "neutral": -1}},
        "analyses": {"rest_interaction": {"contrast": "rest", "effect": "group_by_time", "covariates": ["age"]}},
    }
