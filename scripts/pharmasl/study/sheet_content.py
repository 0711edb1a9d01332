"""What the study's tables hold: rows of its scans, of its participants, of everyone randomised, of exclusions."""

import dataclasses
import functools
import os
from collections.abc import Iterator
from typing import Any

from pharmasl.files import bids
from pharmasl.study import arms as study_arms
from pharmasl.study import blood_columns, results_dataset
from pharmasl.study.sheets import ACQUISITION
from pharmasl.study.trial import Study

# Columns of participants.tsv that every trial describes its arms by, as BIDS names them.
DEMOGRAPHICS = ("age", "sex")


def imported_rows(study: Study) -> Iterator[dict[str, Any]]:
    """One dict per ready-made contrast map, keys as in ``scans.tsv`` of a study of such maps."""
    for own in study.contrast_maps.values():
        yield {
            "participant_id": f"sub-{own.subject}",
            "session_id": own.session,
            "condition": own.contrast,
            "scan": f"{study.visit_stem(own.visit)}_contrast-{own.contrast}",
            "map": bids.place(own.path, study.contrast_source.root) if study.contrast_source else own.path,
        }


def scan_rows(study: Study) -> Iterator[dict[str, Any]]:
    """One dict per scan, keys as in ``scans.tsv``; raw files by their place in the dataset, wherever it lies."""
    below = functools.partial(bids.place, root=study.settings.bids_dir)
    anatomy_root = study.imported_anatomies.dataset.root if study.imported_anatomies else study.settings.bids_dir
    for scan in study.scans.values():
        acquisition = scan.acquisition
        types, timing, sources = acquisition.volume_types, acquisition.slice_timing, acquisition.sources
        yield {
            "participant_id": f"sub-{scan.subject}",
            "session_id": scan.session,
            "condition": scan.condition,
            "scan": scan.stem,
            "asl": None if scan.imported else below(scan.asl),
            "imported_cbf": below(scan.asl) if scan.imported else None,
            "m0": below(scan.m0) if scan.m0 else None,
            "later_echoes": " ".join(map(below, [*scan.later_echoes, *scan.later_m0])) or None,
            "t1w": " ".join(bids.place(path, anatomy_root) for path in study.raw_t1w(scan.visit)) or None,
            "anatomy": study.anatomy_origin(scan.visit),
            "anatomy_program": study.imported_anatomies.dataset.words if study.imported_anatomies else None,
            "volumes": len(types),
            "pairs": acquisition.repeats,
            **{key: _text(getattr(acquisition, key)) for key in ACQUISITION},
            "slice_timing": None if timing is None else f"{min(timing):g} to {max(timing):g}",
            **{f"{key}_source": sources.get(key) for key in ACQUISITION},
        }


def _text(value):
    """A value of the acquisition as one cell; of one per volume, each that occurs."""
    if not isinstance(value, tuple):
        return value
    return " ".join(f"{number:g}" for number in dict.fromkeys(value) if number is not None)


def _from_results(folder: str, study: Study) -> str:
    """The place of a folder from the results' folder, wherever the two lie."""
    return bids.place(os.path.realpath(folder), os.path.realpath(study.settings.output_dir))


def content(study: Study) -> dict[str, Any]:
    """What the tables of a study hold: plain lists and dicts."""
    arms = study.settings.arms
    scanned = {subject for subject, _ in study.visits}
    chosen = study.settings.participants
    # Of the columns that the configuration does not name, those of the table of baseline characteristics alone.
    wanted = {"participant_id", *study_arms.named_columns(study.settings)} | ({arms.column, "arm"} if arms else set())
    wanted |= {name for names in blood_columns.by_session(study.settings).values() for name in names}
    wanted |= {name for row in study.people() for name in row if name.lower() in DEMOGRAPHICS}
    programs = {name: {"program": dataclasses.asdict(made)} for name, made in study.programs.items()}
    return {
        "dataset": {
            "title": study.settings.title,
            "authors": list(study.settings.dataset.authors),
            "license": study.settings.dataset.license,
            "sources": {
                name: {
                    "place": _from_results(folder, study),
                    **results_dataset.source(folder),
                    **programs.get(name, {}),
                }
                for name, folder in study.settings.source_folders.items()
            },
        },
        "scans": list(imported_rows(study) if study.contrast_maps else scan_rows(study)),
        "imported": bool(study.contrast_maps),
        "participants": [{name: value for name, value in row.items() if name in wanted} for row in study.people()],
        "randomised": [
            {
                "participant_id": f"sub-{label}",
                "arm": allotted,
                "selected": chosen is None or label in chosen,
                "scanned": label in scanned,
            }
            for label, allotted in study.randomised.items()
        ],
        "exclusions": [*study.exclusions, *study.incomplete()],
    }
