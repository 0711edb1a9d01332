"""Repeatability of CBF between baseline and follow-up: global CBF, the declared regions and the parcels, in people without the drug.

In the control arm what differs between the sessions is measurement, physiology and time. Where the arms are unknown (a blinded run)
or there are none, all people are taken together; a drug's effect of delta then adds up to delta squared over 8 to the squared
within-person standard deviation of a trial of two equal arms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pharmasl.contrasts.global_values import GlobalValues
from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.files.bids import bare_label
from pharmasl.regions import global_effect, visit_values
from pharmasl.regions.repeated_people import LEAST, LEVEL, RepeatedContrast, RepeatedPeople
from pharmasl.regions.visit_values import VisitValues
from pharmasl.statistics.repeatability import Interval, Repeatability, repeatability
from pharmasl.study.cbf_units import CBF_UNIT

GLOBAL, REGION, PARCEL = "global", "region", "parcel"


@dataclass(frozen=True, kw_only=True)
class RepeatedFiles:
    """What is read.

    Attributes
    ----------
    global_values : path-like or None
        ``contrasts/global_values.tsv``; None of ready-made contrast maps.
    region_values, sidecars : sequence of path-like
        ``{roi}_values.tsv`` and ``{roi}_mask.json`` of the declared regions, in one order.
    parcels : path-like
        The parcels' values.
    """

    global_values: FilePath | None
    region_values: Sequence[FilePath]
    sidecars: Sequence[FilePath]
    parcels: FilePath


def _described(what: str, unit: str | None) -> Any:
    return {"Description": what, **({"Units": unit} if unit else {})}


def _with_interval(name: str, what: str, unit: str | None) -> dict[str, Any]:
    return {
        name: _described(what, unit),
        f"{name}_low": _described(f"Lower end of its {100 * LEVEL:g} % interval", unit),
        f"{name}_high": _described(f"Upper end of its {100 * LEVEL:g} % interval", unit),
    }


def dictionary() -> dict[str, Any]:
    """The data dictionary of the table; ``unit`` says what a row's CBF is in."""
    spread = "standard deviation of one person's value from session to session, a shift of all people left out"
    return {
        "contrast": "Contrast of conditions; global CBF is absolute also where the contrast is of relative CBF",
        "kind": {
            "Description": "Where CBF is averaged",
            "Levels": {
                GLOBAL: "the brain, or grey matter",
                REGION: "a declared region",
                PARCEL: "a parcel of the atlas",
            },
        },
        "name": "Name of the region, the parcel or the reference",
        "index": "Label of a parcel in the atlas' image",
        "defined_by_same_data": "true: the region is a cluster of an analysis of this trial",
        "people": "Arm whose people are taken; all: people of all arms, or of a study without arms",
        "n": "People with a value in both sessions",
        "unit": "Unit of the columns without one of their own",
        "mean": "Mean over people and sessions",
        **_with_interval("within_sd", f"Within-person {spread}", None),
        **_with_interval("detectable_change", "Smallest detectable change of one person: 1.96 sqrt(2) within_sd", None),
        **_with_interval(
            "within_cv",
            "Within-person coefficient of variation, by logarithms; n/a of a difference of conditions, and where a value is not above 0",
            "%",
        ),
        **_with_interval("icc_consistency", "Intraclass correlation ICC(3,1), a shift of all people left out", None),
        **_with_interval("icc_agreement", "Intraclass correlation ICC(2,1), a shift of all people included", None),
        **_with_interval("bias", "Mean of follow-up minus baseline", None),
        **_with_interval("lower_limit", "Lower 95 % limit of agreement of follow-up minus baseline", None),
        **_with_interval("upper_limit", "Upper 95 % limit of agreement of follow-up minus baseline", None),
        "note": "Why something is n/a, and how many people are lacking",
    }


def write(
    files: RepeatedFiles, table_path: FilePath, people: RepeatedPeople, contrasts: Sequence[RepeatedContrast]
) -> None:
    """Write the repeatability of every contrast in global CBF, each declared region and each parcel.

    Parameters
    ----------
    files : RepeatedFiles
    table_path : path-like
        The table to write.
    people : RepeatedPeople
    contrasts : sequence of RepeatedContrast
    """
    columns = dictionary()
    rows = [{name: row.get(name) for name in columns} for row in _rows(files, people, contrasts)]
    tables.write_table(table_path, rows, columns)


def _rows(
    files: RepeatedFiles, people: RepeatedPeople, contrasts: Sequence[RepeatedContrast]
) -> Iterator[dict[str, Any]]:
    places = {
        REGION: visit_values.declared(files.region_values, files.sidecars),
        PARCEL: visit_values.parcels(files.parcels),
    }
    if files.global_values is not None:
        places = {GLOBAL: global_effect.references(GlobalValues.read(files.global_values)), **places}
    for contrast in contrasts:
        for kind, values in places.items():
            pairs = paired(values, contrast.name, people)
            if kind == GLOBAL:
                unit, is_cbf = CBF_UNIT, contrast.is_cbf_absolute
            else:
                unit, is_cbf = contrast.unit, contrast.is_cbf
            for number, names in enumerate(values.names):
                yield {
                    "contrast": contrast.name,
                    "kind": kind,
                    "name": names.get("reference") or names.get("roi") or names.get("parcel"),
                    "index": names.get("index"),
                    "defined_by_same_data": bool(values.chosen[number]) if kind == REGION else None,
                    "people": people.arm or "all",
                    "unit": unit,
                    **measured(pairs[..., number], is_cbf=is_cbf),
                }


def paired(values: VisitValues, contrast: str, people: RepeatedPeople) -> np.ndarray:
    """Values of a contrast in both sessions, shape (n, 2, R); NaN where a person was not measured or not usable."""
    index = pd.MultiIndex.from_product(
        [
            [contrast],
            [bare_label(name, "sub") for name in people.participants],
            [bare_label(name, "ses") for name in people.sessions],
        ]
    )
    flat = values.frame.reindex(index).to_numpy(dtype=np.float64)
    return flat.reshape(len(people.participants), 2, flat.shape[-1])


def measured(pairs: np.ndarray, *, is_cbf: bool) -> dict[str, Any]:
    """The columns of one region.

    Parameters
    ----------
    pairs : ndarray, shape (n, 2)
        NaN where missing.
    is_cbf : bool
        Whether a coefficient of variation has a meaning.
    """
    complete = pairs[np.isfinite(pairs).all(axis=1)]
    lacking = len(pairs) - len(complete)
    notes = [f"{lacking} of {len(pairs)} people lack a value"] if lacking else []
    if len(complete) < LEAST:
        notes.append(f"not computed of fewer than {LEAST} people")
        return {"n": len(complete), "note": "; ".join(notes)}
    repeated = repeatability(complete, level=LEVEL)
    if is_cbf and (complete <= 0).any():
        notes.append("a value is not above 0, so that there is no coefficient of variation")
    return {"n": len(complete), **_columns(repeated, is_cbf=is_cbf), "note": "; ".join(notes) or None}


def _columns(repeated: Repeatability, *, is_cbf: bool) -> dict[str, float]:
    intervals: dict[str, Interval] = {
        "within_sd": repeated.within_sd,
        "detectable_change": repeated.detectable_change,
        "icc_consistency": repeated.consistency,
        "icc_agreement": repeated.agreement_icc,
    }
    if is_cbf:
        intervals["within_cv"] = repeated.within_cv.scaled(100)
    if repeated.agreement:
        intervals |= {
            "bias": repeated.agreement.bias,
            "lower_limit": repeated.agreement.lower,
            "upper_limit": repeated.agreement.upper,
        }
    columns = {"mean": float(repeated.mean)}
    for name, interval in intervals.items():
        ends = {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
        columns |= {column: float(value) for column, value in ends.items()}
    return columns
