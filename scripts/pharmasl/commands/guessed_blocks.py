"""Which conditions alternate within the runs of a dataset, by the tables of events beside them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.errors import InputError, InputErrors
from pharmasl.files import bids, tables
from pharmasl.statistics.block_design import LEAST_BLOCKS

# Words of a type of event that is a baseline, not a condition.
_BASELINE = ("fixation", "rest", "baseline", "iti", "cross")


@dataclass(frozen=True)
class Blocks:
    """What the tables of events of a state's runs suggest.

    Attributes
    ----------
    conditions : tuple of str
        Types of events that are blocks of every run; fewer than two are none.
    ignored : tuple of str
        The other types of these tables.
    questions : tuple of str
    """

    conditions: tuple[str, ...]
    ignored: tuple[str, ...]
    questions: tuple[str, ...]


NONE = Blocks((), (), ())


def look(dataset: bids.Dataset, images: Sequence[bids.File]) -> Blocks:
    """Look at the tables of events of runs that are one state by their names.

    Parameters
    ----------
    dataset : bids.Dataset
    images : sequence of bids.File

    Returns
    -------
    Blocks
        No conditions where some run has no table, a table cannot be read, or fewer than two types have blocks in every run.
    """
    counts = [_counts(dataset, image) for image in images]
    known = [own for own in counts if own is not None]
    if not known:
        return NONE
    kinds = sorted(set().union(*known))
    shown = [kind for kind in kinds if not any(word in kind.casefold() for word in _BASELINE)]
    if len(known) < len(images):
        return Blocks(
            (),
            (),
            (
                f"{len(images) - len(known)} of {len(images)} runs have no table of events that can be read, "
                f"the others have blocks of {', '.join(kinds)}. Do conditions alternate within the runs (docs/blocks.md)?",
            ),
        )
    conditions = tuple(kind for kind in shown if all(own[kind] >= LEAST_BLOCKS for own in known))
    if len(conditions) < 2:
        return NONE
    ignored = tuple(kind for kind in kinds if kind not in conditions)
    least = {kind: min(own[kind] for own in known) for kind in conditions}
    asked = (
        f"the tables of events beside the runs have blocks of {', '.join(f'{kind} (at least {least[kind]} a run)' for kind in conditions)}, "
        "and so these stand as conditions that alternate within a run (docs/blocks.md). Are they, and do onsets count in seconds "
        "from the first stored volume, M0 and dummies included (blocks.start)?"
    )
    return Blocks(conditions, ignored, (asked,))


def _counts(dataset: bids.Dataset, image: bids.File) -> Counter[str] | None:
    """Blocks by type in a run's table of events: rows that last; None without a table that can be read."""
    files = dataset.metadata(image, "events", ".tsv")
    if not files:
        return None
    try:
        sheet = tables.read_sheet(files[-1].path)
    except (InputError, InputErrors):
        return None
    if not {"onset", "duration", "trial_type"} <= set(sheet.columns):
        return None
    counts: Counter[str] = Counter()
    for row in sheet.rows:
        if row["trial_type"] is not None:
            # A type without blocks, as of responses, is listed all the same.
            counts[row["trial_type"]] += _lasts(row["duration"])
    return counts


def _lasts(text: str | None) -> bool:
    return text is not None and tables.is_number(text) and float(text) > 0
