"""The maps depth of a planned trial's power on its page, from its table alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from pharmasl.errors import FilePath
from pharmasl.figures.map_power_plot import MODELS, NAMES, SCALINGS, Row
from pharmasl.files import tables
from pharmasl.power.named_tests import BRAIN, PLACE, REGION
from pharmasl.report.words import NONE, Table, count, short
from pharmasl.study.map_assumptions import ABSOLUTE

TABLE, ASSUMPTIONS = "maps.tsv", "maps_assumptions.json"


@dataclass(frozen=True, kw_only=True)
class MapPower:
    """What the page shows of an outcome.

    Attributes
    ----------
    sentences : list of str
    power, errors : Table
        Power in the place of an effect, and what is significant anywhere without one.
    """

    sentences: list[str]
    power: Table
    errors: Table


def sections(path: FilePath) -> list[MapPower]:
    """The outcomes of a table of :mod:`pharmasl.export.map_power_table`."""
    rows = tables.read_table(path)
    names = dict.fromkeys(row["outcome"] for row in rows)
    return [_section([row for row in rows if row["outcome"] == name], path) for name in names]


def _section(rows: Sequence[Row], path: FilePath) -> MapPower:
    tests = [name for name in NAMES if any(row["test"] == name for row in rows)]
    with_effect = [row for row in rows if row["where"] == PLACE and _effect(row) > 0]
    without = [row for row in rows if _effect(row) == 0 and row["planned_place"] == "yes"]
    return MapPower(
        sentences=_sentences(rows),
        power=_power(with_effect, tests, path),
        errors=_errors(without, tests, path),
    )


def _effect(row: Row) -> float:
    return float(row["effect"] or "nan")


def _number(row: Row, name: str) -> float:
    return float(row[name] or "nan")


def _share(row: Row) -> str:
    """A share with its interval, in percent."""
    return f"{100 * _number(row, 'power'):.0f} ({100 * _number(row, 'power_low'):.0f}\u2013{100 * _number(row, 'power_high'):.0f})"


def _cells(rows: Sequence[Row]) -> dict[tuple[str | None, ...], dict[str, Row]]:
    """Rows by place, effect, scaling and model, then by test."""
    cells: dict[tuple[str | None, ...], dict[str, Row]] = {}
    for row in rows:
        cell = row["place"], row["effect"], row["scaling"], row["model"]
        cells.setdefault(cell, {})[str(row["test"])] = row
    return cells


def _power(rows: Sequence[Row], tests: Sequence[str], path: FilePath) -> Table:
    heads = ["Place", "Effect", "CBF", "Model", *(NAMES[name] for name in tests), "Closed form"]
    cells, marked, minor = [], set(), set()
    for number, own in enumerate(_cells(rows).values()):
        first = own[REGION]
        closed = first["closed_form"]
        cells.append(
            [
                str(first["place"]),
                short(_effect(first)),
                SCALINGS[str(first["scaling"])],
                MODELS[str(first["model"])],
                *(_share(own[name]) for name in tests),
                NONE if closed is None else f"{100 * float(closed):.0f}",
            ]
        )
        if first["planned_place"] == "no":
            minor.add(number)
        elif first["planned_model"] == "yes" and first["scaling"] == ABSOLUTE:
            marked.add(number)
    caption = f"{rows[0]['outcome']}: power in percent, with its 95 % interval (effects in {rows[0]['unit']})"
    return Table(caption, heads, cells, {0, 2, 3}, marked, file=path, minor=minor)


def _errors(rows: Sequence[Row], tests: Sequence[str], path: FilePath) -> Table:
    """What is significant without an effect: searches anywhere in the brain."""
    brain = [row for row in rows if row["where"] == BRAIN]
    shown = [name for name in tests if any(row["test"] == name for row in brain)]
    cells = [
        [
            SCALINGS[str(own[shown[0]]["scaling"])],
            MODELS[str(own[shown[0]]["model"])],
            *(_share(own[name]) for name in shown),
        ]
        for own in _cells(brain).values()
    ]
    caption = (
        f"{rows[0]['outcome']}: without an effect, studies in percent with anything significant anywhere in the brain"
    )
    return Table(caption, ["CBF", "Model", *(NAMES[name] for name in shown)], cells, {0, 1}, file=path)


def _sentences(rows: Sequence[Row]) -> list[str]:
    """How the maps were drawn, and what the planned test finds in the planned region."""
    planned = [row for row in rows if row["planned_place"] == "yes" and row["where"] == PLACE]
    first = planned[0]
    drawn = (
        f"{first['outcome']}: {count(int(_number(first, 'studies')), 'study', 'studies')} of {first['complete_treatment']} + "
        f"{first['complete_control']} people. A voxel has a standard deviation of {_number(first, 'voxel_sd'):.1f} {first['unit']} "
        f"between people at one session and a correlation of the sessions of {_number(first, 'voxel_correlation'):.2f}; the mean over the "
        f"{first['place']}, of {count(int(_number(first, 'voxels')), 'voxel')}, {_number(first, 'sd'):.1f} and {_number(first, 'correlation'):.2f}."
    )
    largest = max(_effect(row) for row in planned)
    own = [row for row in planned if _effect(row) == largest and row["planned_model"] == "yes"]
    parts = []
    for scaling, words in SCALINGS.items():
        by_test = {str(row["test"]): row for row in own if row["scaling"] == scaling}
        primary = next((name for name, row in by_test.items() if row["primary"] == "yes"), None)
        if primary:
            parts.append(
                f"with {words} CBF in {100 * _number(by_test[primary], 'power'):.0f} % by the planned search ({NAMES[primary].lower()}) and "
                f"{100 * _number(by_test[REGION], 'power'):.0f} % in the declared region"
            )
    answer = f"Of these studies, a difference of {short(largest)} {first['unit']} in the {first['place']} is significant {'; '.join(parts)}."
    return [drawn, answer]
