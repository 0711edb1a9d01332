"""What a case of wrong input is, how it is tried on a small good trial, and what comes of it."""

import contextlib
import gzip
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skeleton
import yaml
from pharmasl.commands import planned_study
from pharmasl.errors import InputError, InputErrors
from pharmasl.study import planned_power
from pharmasl.workflow import plan as planning

RUN = "sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"
POWER = "planned trial"
T1W = "sub-01/ses-T1/anat/sub-01_ses-T1_T1w.nii.gz"


@dataclass(frozen=True)
class Trial:
    """A dataset, its configuration, and the assumptions of its power, all to be changed."""

    root: Path
    config: dict
    # Of a planned trial's power.
    assumptions: dict

    def path(self, name):
        return self.root / name

    def sidecar(self, run=RUN, **fields):
        """Change fields of a sidecar; ``...`` takes one away."""
        path = self.root / f"{run}_asl.json"
        content = {**json.loads(path.read_text()), **fields}
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))

    def sub(self, name, pattern, replacement, count=0):
        """Replace in a text file."""
        path = self.root / name
        text = path.read_text()
        changed = re.sub(pattern, replacement, text, count=count, flags=re.MULTILINE)
        assert changed != text, f"{name} is not changed"
        path.write_text(changed)

    def copy(self, source, target):
        path = self.root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.root / source, path)

    def copy_image(self, source, target):
        """An image like another, of other content: copies of one series are refused as such."""
        raw = gzip.decompress((self.root / source).read_bytes())
        # The last value is another, by the new name, so that no two are alike.
        raw = raw[:-4] + np.float32(2 + sum(target.encode())).tobytes()
        path = self.root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(raw, mtime=0) if target.endswith(".gz") else raw)

    def copy_run(self, name, source=RUN):
        """The three files of a run under another name."""
        self.copy_image(f"{source}_asl.nii.gz", f"{name}_asl.nii.gz")
        for end in ("_asl.json", "_aslcontext.tsv"):
            self.copy(source + end, name + end)


@dataclass(frozen=True)
class Case:
    """One wrong (or unusual) input.

    Attributes
    ----------
    name : str
        What is wrong, in words; unique.
    group : str
        What is read.
    change : callable
        Takes a :class:`Trial` and spoils it.
    outcome : {"accepted", "refused", "listed"}
        Whether the plan passes, ends in an error, or passes with a row among the exclusions.
    words : str
        Regular expression: of the error (file: field: found ..., expected ...), or of the exclusion's reason.
    errors : int
        How many, where it is refused: each cause is told once.
    holds : callable, optional
        Takes the study that was read; true if it is right.
    """

    name: str
    group: str
    change: Callable[[Trial], object]
    outcome: str
    words: str = ""
    errors: int = 1
    holds: Callable | None = None

    @property
    def expected(self):
        return {"accepted": "accepted", "refused": "refused", "listed": "left out, listed"}[self.outcome]


@dataclass(frozen=True)
class Answer:
    """What came of a case: whether that is right, and in words."""

    right: bool
    words: str


def good_trial(folder):
    """Six participants, two sessions, one state."""
    skeleton.dataset(folder / "bids", participants=6, conditions=("rest",))
    return folder / "bids"


def settings():
    """The configuration of the good trial, all paths below the folder it is run in."""
    return {
        "bids_dir": "bids",
        "output_dir": "results",
        "sessions": {"baseline": "T1", "followup": "T2"},
        "arms": {"column": "arm", "treatment": "baclofen", "control": "placebo"},
        "conditions": {"rest": {"acquisition": "rest"}},
        "contrasts": {"rest": {"rest": 1}},
        "analyses": {"rest_change": {"contrast": "rest", "effect": "group_by_time", "covariates": ["age"]}},
        "rois": {"vmpfc": {"sphere": [0, 44, -12], "radius": 10}},
        "craving": {
            "table": "phenotype/craving.tsv",
            "before": "craving_pre",
            "after": "craving_post",
            "range": [0, 100],
            "rois": ["vmpfc"],
            "contrast": "rest",
        },
    }


def assumed():
    """The assumptions of the good trial's power."""

    def pilot(value):
        return {"value": value, "source": "pilot"}

    return {
        "study": "config.yaml",
        "people": {"treatment": 21, "control": 22},
        "outcomes": {
            "rest": {
                "analysis": "rest_change",
                "effect": pilot(10),
                "sd": pilot(10),
                "correlation": pilot(0.5),
                "places": {"sphere": {"sphere": [42, 36, 28], "radius": 12}},
            },
            "craving": {"answer": "craving", "effect": pilot(10), "sd": pilot(10), "correlation": pilot(0.5)},
            "relation": {"answer": "craving.vmpfc", "effect": pilot(0.5)},
        },
        "maps": {
            "mean": {"value": 50, "source": "pilot"},
            "smoothness": {"between": pilot(10), "within": pilot(10)},
            "global_share": {"between": pilot(0.5), "within": pilot(0.5)},
        },
    }


def plan_power(config, assumptions):
    """What ``./run power --maps`` does before the first job: what is reckoned at once."""
    Path("config.yaml").write_text(yaml.safe_dump(config))
    Path("power.yaml").write_text(yaml.safe_dump(assumptions, sort_keys=False))
    assumed, study = planned_study.read("power.yaml")
    reckoned = planned_power.reckon(assumed, study)
    planned_study.maps(assumed, study)
    return reckoned


def plan_study(config):
    """What the rules do before the first job: the study, or all problems."""
    reading = planning.read(config)
    planning.check_trial(reading)
    return reading.study


def attempt(plan, *arguments):
    """What is planned, and the errors, of which one is empty; any other exception is a fault of the programme."""
    try:
        return plan(*arguments), []
    except InputErrors as several:
        return None, several.errors
    except InputError as error:
        return None, [error]


def judge(case, study, errors):
    """Compare what came with what was expected."""
    if errors:
        told = " / ".join(str(error) for error in errors)
        right = case.outcome == "refused" and len(errors) == case.errors and matches(case.words, told)
        return Answer(right, told if len(errors) == 1 else f"{len(errors)} errors: {told}")
    # A planned trial has no participants yet.
    reasons = [] if case.group == POWER else [str(row["reason"]) for row in study.exclusions]
    if case.outcome == "listed":
        right = any(matches(case.words, reason) for reason in reasons)
        return Answer(right and (case.holds is None or case.holds(study)), "accepted; left out: " + "; ".join(reasons))
    return Answer(case.outcome == "accepted" and (case.holds is None or bool(case.holds(study))), "accepted")


def matches(pattern, text):
    return re.search(pattern, text, re.IGNORECASE | re.DOTALL) is not None


def tried(case, good, folder):
    """Try a case on a copy of the good dataset in an empty folder, as if the plan were made there."""
    root = Path(folder) / "bids"
    shutil.copytree(good, root)
    config, assumptions = settings(), assumed()
    with contextlib.chdir(folder):
        case.change(Trial(Path("bids"), config, assumptions))
        try:
            is_power = case.group == POWER
            study, errors = attempt(plan_power, config, assumptions) if is_power else attempt(plan_study, config)
        except Exception as error:  # what the programme did not foresee is an answer too: the wrong one
            return Answer(False, f"traceback: {type(error).__name__}: {error}")
        return judge(case, study, errors)


def resolved(study, run=RUN):
    return study.scans[run].acquisition.plain()


def dangling(path, content=".git/annex/objects/00/absent"):
    path.unlink()
    os.symlink(content, path)
