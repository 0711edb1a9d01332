"""CBF of all regions of a table by contrast, participant and session: declared regions, or the parcels of an atlas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pharmasl.errors import FilePath, InputError
from pharmasl.files import tables
from pharmasl.files.bids import bare_label

# A participant and a session, bare labels.
Visit = tuple[str, str]
_VISIT = ["contrast", "participant_id", "session_id"]


def visits(participants: Sequence[str], sessions: Sequence[str]) -> list[Visit]:
    """Participants with their sessions, bare labels."""
    return [(bare_label(who, "sub"), bare_label(session, "ses")) for who, session in zip(participants, sessions)]


@dataclass(frozen=True, kw_only=True)
class VisitValues:
    """Values of R regions.

    Attributes
    ----------
    names : list of dict
        The columns that name each region in a table of results.
    frame : DataFrame
        CBF by contrast, participant and session (rows, bare labels) and region (R columns).
    chosen : ndarray of bool, shape (R,)
        Whether a region is a cluster of an analysis of this trial.
    file : path-like
        For messages.
    """

    names: list[dict[str, Any]]
    frame: pd.DataFrame
    chosen: np.ndarray
    file: FilePath

    def at(self, contrast: str, wanted: Sequence[Visit]) -> np.ndarray:
        """Values of a contrast at some visits, shape (n, R); NaN where missing.

        Raises
        ------
        InputError
            If a visit has no row.
        """
        index = pd.MultiIndex.from_tuples([(contrast, *visit) for visit in wanted], names=_VISIT)
        if missing := index[~index.isin(self.frame.index)].tolist():
            raise InputError(
                file=self.file,
                field="participant_id, session_id, contrast",
                found=f"no row of {', '.join('sub-{1} ses-{2} {0}'.format(*visit) for visit in missing[:3])}",
                expected="a row for each visit that the analysis takes",
                fix="Make the table again.",
            )
        return self.frame.reindex(index).to_numpy(dtype=np.float64)


def of_references(
    values: Mapping[tuple[str, str | None, str], Sequence[float]], references: Sequence[str], file: FilePath
) -> VisitValues:
    """Global CBF, each reference in the place of a region.

    Parameters
    ----------
    values : mapping
        Participant, session and contrast to a value per reference, NaN where missing.
    references : sequence of str
        Where means are taken.
    file : path-like
        For messages.
    """
    index = pd.MultiIndex.from_tuples(
        [(contrast, bare_label(who, "sub"), bare_label(session or "", "ses")) for who, session, contrast in values],
        names=_VISIT,
    )
    return VisitValues(
        names=[{"reference": name} for name in references],
        frame=pd.DataFrame(list(values.values()), index=index, columns=list(references), dtype=np.float64),
        # No family: each mean is told by itself.
        chosen=np.ones(len(references), dtype=bool),
        file=file,
    )


def _wide(long: pd.DataFrame, key: str, regions: Sequence[str]) -> pd.DataFrame:
    """A row per contrast, participant and session, a column per region."""
    labelled = long.assign(
        participant_id=[bare_label(name, "sub") for name in long["participant_id"]],
        session_id=["" if pd.isna(name) else bare_label(name, "ses") for name in long["session_id"]],
        cbf=long["cbf"].astype(float),
    )
    return labelled.pivot(index=_VISIT, columns=key, values="cbf").reindex(columns=list(regions))


def declared(values: Sequence[FilePath], sidecars: Sequence[FilePath]) -> VisitValues:
    """The declared regions.

    Parameters
    ----------
    values, sidecars : sequence of path-like
        ``{roi}_values.tsv`` and ``{roi}_mask.json``, in one order.
    """
    names, rows = [Path(path).name.removesuffix("_values.tsv") for path in values], list[tables.Row]()
    for path in values:
        rows += tables.read_table(path)
    long = pd.DataFrame(rows, columns=[*_VISIT, "roi", "cbf"])
    return VisitValues(
        names=[{"roi": name} for name in names],
        frame=_wide(long, "roi", names),
        chosen=np.array([bool(tables.read_json(path)["AnalysisDefined"]) for path in sidecars], dtype=bool),
        file=Path(values[0]).parent if values else "rois",
    )


def parcels(path: FilePath) -> VisitValues:
    """The parcels of ``parcels.tsv``, in the order of their labels."""
    # By pandas: of a large trial the table has a million rows.
    long = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, na_values=[tables.MISSING])
    known = dict(zip(long["index"], long["parcel"]))
    return VisitValues(
        names=[{"index": int(label), "parcel": name} for label, name in known.items()],
        frame=_wide(long, "index", list(known)),
        chosen=np.zeros(len(known), dtype=bool),
        file=path,
    )
