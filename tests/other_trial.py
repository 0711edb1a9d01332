"""A trial of another shape than the model study, as a new user may bring it: nothing in it is named as the manual has it.

Ten people on a drug or a sham, scanned before and after in three runs that differ by their index alone, who rated craving from 0 to
10 around each scan. One has no T1w, and one never came to the second session.
"""

from pathlib import Path

import skeleton

SESSIONS = ("pre", "post")
RUNS = ("01", "02", "03")
# What the scanner called the three runs: the only place where the dataset says which state each was.
SERIES = {"01": "asl_rest", "02": "asl_cue_drug", "03": "asl_cue_neutral"}
WITHOUT_T1W, ONE_SESSION = "S104", "S107"


def people(number: int = 10) -> list[str]:
    """The labels of the participants."""
    return [f"S{100 + k}" for k in range(1, number + 1)]


def dataset(root: Path, number: int = 10) -> Path:
    """Write it with images of a few voxels; returns the folder."""
    root = Path(root)
    skeleton.write(root / "dataset_description.json", {"Name": "another trial", "BIDSVersion": "1.9.0"})
    rows = ["participant_id\tage\tsex\tgroup\thandedness\tsmoking_years"]
    scores = ["participant_id\tsession_id\tvas_before\tvas_after\tcigarettes_per_day"]
    for k, label in enumerate(people(number)):
        subject = f"sub-{label}"
        rows.append(f"{subject}\t{24 + 3 * k}\t{'FM'[k // 2 % 2]}\t{('drug', 'sham')[k % 2]}\tright\t{4 + k}")
        if label != WITHOUT_T1W:
            skeleton.image(root / subject / "ses-pre" / "anat" / f"{subject}_ses-pre_T1w.nii.gz", (3, 3, 3))
        for session in SESSIONS:
            if (label, session) == (ONE_SESSION, "post"):
                continue
            scores.append(f"{subject}\tses-{session}\t{3 + k % 3}\t{9 - k % 4}\t{10 + k}")
            for run in RUNS:
                sidecar = {**skeleton.SIDECAR, "SeriesDescription": SERIES[run]}
                folder = root / subject / f"ses-{session}" / "perf"
                skeleton.run(folder, f"{subject}_ses-{session}_run-{run}", sidecar=sidecar)
    skeleton.write(root / "participants.tsv", "\n".join(rows) + "\n")
    skeleton.write(root / "phenotype" / "ratings.tsv", "\n".join(scores) + "\n")
    return root
