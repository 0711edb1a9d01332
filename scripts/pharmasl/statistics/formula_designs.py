"""The design matrix of a formula: its columns of numbers, and what a row of it is at any levels of its factors.

Coding
------
Words are factors. A factor that stands beside the terms below it has one indicator column per level but the reference (treatment
coding, as R and formulaic have it), ``arm[high]``; the reference is the first of the levels that are declared (the control
arm, the baseline session), else the first in alphabetical order. Numbers are centred at the mean of the rows, so that the
effect of a factor in a model with a product is its effect at average numbers. A map that multiplies a column stands as 1 in the
matrix, and is centred at each voxel.
"""

import ast
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pharmasl.errors import FilePath, InputError
from pharmasl.statistics import factors as factor_levels
from pharmasl.statistics.covariates import number
from pharmasl.statistics.formulas import FACTOR, MAP, POLYNOMIAL, Factor, Formula

if TYPE_CHECKING:
    import pandas as pd

Value = str | float | None


@dataclass(frozen=True, kw_only=True)
class Levels:
    """A factor of a design.

    Attributes
    ----------
    name : str
    levels : tuple of str
        The reference first.
    """

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The data of a formula, a row of the design each.

    Attributes
    ----------
    columns : mapping
        A column's name, or the text of a ``roi(region, contrast)`` or ``visit(column)``, to a value per row: text or numbers, None where missing.
    rows : sequence of str
        Names of the rows, for messages.
    levels : mapping
        Levels of columns that have a natural order, the reference first; such columns are factors. Levels that no row has are
        dropped.
    file : path-like
        Where the columns are from, for messages.
    """

    columns: Mapping[str, Sequence[Value]]
    rows: Sequence[str]
    levels: Mapping[str, Sequence[str]]
    file: FilePath


@dataclass(frozen=True, kw_only=True)
class Design:
    """The design of a formula.

    Attributes
    ----------
    formula : pharmasl.statistics.formulas.Formula
    names : tuple of str
        One per column.
    matrix : ndarray of shape (n, terms), float64
        With 1 in the place of every map.
    voxelwise : tuple of tuple of str
        For each column the maps that multiply it at each voxel.
    descriptions : mapping
        Column to its description.
    factors : tuple of Levels
        The factors of the formula, each with its levels.
    numbers : tuple of str
        The factors of the formula that are numbers or maps, a polynomial once for each degree, ``poly(age, 2)[1]``.
    """

    formula: Formula
    names: tuple[str, ...]
    matrix: np.ndarray
    voxelwise: tuple[tuple[str, ...], ...]
    descriptions: Mapping[str, str]
    factors: tuple[Levels, ...]
    numbers: tuple[str, ...]
    _coding: "_Coding"

    def rows_at(self, levels: Sequence[Mapping[str, str]], numbers: Sequence[Mapping[str, float]]) -> np.ndarray:
        """Rows of the matrix at chosen levels of all factors and values of numbers.

        Parameters
        ----------
        levels : sequence of mapping
            Every factor to a level.
        numbers : sequence of mapping
            Numbers and maps, as distances from their means; 0 where not named.

        Returns
        -------
        ndarray of shape (rows, terms)
        """
        count = len(levels)
        frame: dict[str, list[str] | np.ndarray] = {}
        for factor in self.factors:
            frame[factor.name] = [row[factor.name] for row in levels]
        for name in self.numbers:
            frame[name] = np.array([float(row.get(name, 0.0)) for row in numbers])
        return self._coding.matrix(frame, count)

    def levels_of(self, name: str) -> tuple[str, ...]:
        """The levels of a factor, the reference first."""
        return next(factor.levels for factor in self.factors if factor.name == name)

    @property
    def coding(self) -> list[str]:
        """How each factor is coded, in words."""
        return [
            f"{factor.name}: reference {factor.levels[0]}, against it {', '.join(factor.levels[1:])}"
            for factor in self.factors
        ]


def design(formula: Formula, table: Table) -> Design:
    """The design of a formula in some rows.

    Parameters
    ----------
    formula : pharmasl.statistics.formulas.Formula
    table : Table

    Returns
    -------
    Design
        Whose columns may still be combinations of one another.

    Raises
    ------
    InputError
        For a column that is absent, values that are missing, words among numbers, a factor of one level, an unknown reference,
        and numbers that a function does not take.
    """
    values: dict[str, np.ndarray] = {}
    factors: list[Levels] = []
    texts: dict[str, Sequence[str]] = {}
    words: dict[str, str] = {}
    expanded: dict[str, list[str]] = {}
    for factor in formula.factors:
        expanded[factor.text] = [factor.text]
        if factor.kind == MAP:
            values[factor.text] = np.ones(len(table.rows))
            words[factor.text] = f"{factor.text} at each voxel, minus its mean"
        elif levels := _levels(formula, factor, table):
            factors.append(levels)
            texts[factor.text] = [str(value) for value in _column(formula, _key(factor), table)]
        elif factor.kind == POLYNOMIAL:
            parts = _polynomial(formula, factor, table)
            expanded[factor.text] = [f"{factor.text}[{power}]" for power in range(1, factor.degree + 1)]
            for name, part in zip(expanded[factor.text], parts):
                values[name], words[name] = part, f"orthogonal polynomial of {factor.variables[0]}, mean 0 and length 1"
        else:
            column = _numbers(formula, factor, table)
            values[factor.text] = column - column.mean()
            words[factor.text] = f"{factor.text} minus its mean, {column.mean():.6g}"
    coding = _Coding.make(formula, factors, expanded)
    frame: dict[str, Sequence[str] | np.ndarray] = {**texts, **values}
    matrix = coding.matrix(frame, len(table.rows))
    maps = set(formula.maps)
    return Design(
        formula=formula,
        names=coding.names,
        matrix=matrix,
        voxelwise=tuple(tuple(name for name in parts if name in maps) for parts in coding.parts),
        descriptions=dict(zip(coding.names, _descriptions(coding, factors, words))),
        factors=tuple(factors),
        numbers=tuple(values),
        _coding=coding,
    )


@dataclass(frozen=True, kw_only=True)
class _Coding:
    """The columns of a design, made by formulaic of plain names that stand for the factors.

    Attributes
    ----------
    names : tuple of str
    parts : tuple of tuple of str
        The factors (or parts of a polynomial) that each column multiplies.
    plain : mapping
        Factor to the name that stands for it.
    levels : mapping
        Factor to its levels.
    spec : formulaic.ModelSpec
    """

    names: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]
    plain: Mapping[str, str]
    levels: Mapping[str, tuple[str, ...]]
    spec: Any

    @classmethod
    def make(cls, formula: Formula, factors: Sequence[Levels], expanded: Mapping[str, list[str]]) -> "_Coding":
        from formulaic import ModelSpec

        levels = {factor.name: factor.levels for factor in factors}
        every = [name for names in expanded.values() for name in names]
        plain = {name: f"f{number}" for number, name in enumerate(every)}
        terms: list[str] = []
        for term in formula.terms:
            parts = itertools.product(*(expanded[name] for name in term)) if term else [()]
            terms += [":".join(plain[name] for name in part) or "1" for part in parts]
        text = " + ".join(terms if "1" in terms else ["0", *terms])
        coding = cls(names=(), parts=(), plain=plain, levels=levels, spec=ModelSpec(formula=text))
        # All levels once: the columns are those of any data with the same levels.
        rows = max([len(own) for own in levels.values()], default=1)
        frame: dict[str, Sequence[str] | np.ndarray] = {name: np.ones(rows) for name in every if name not in levels}
        frame |= {name: [own[row % len(own)] for row in range(rows)] for name, own in levels.items()}
        matrix = ModelSpec(formula=text, output="pandas").get_model_matrix(coding._frame(frame, rows))
        spec = matrix.model_spec
        names: list[str] = []
        columns: list[tuple[str, ...]] = []
        back = {short: name for name, short in plain.items()}
        for term, places in spec.term_slices.items():
            own_parts = tuple(back[str(factor.expr)] for factor in term.factors if str(factor.expr) in back)
            for column in spec.column_names[places]:
                columns.append(own_parts)
                names.append(":".join(_spelt(piece, back, levels) for piece in column.split(":")))
        return cls(names=tuple(names), parts=tuple(columns), plain=plain, levels=levels, spec=spec)

    def _frame(self, values: Mapping[str, Sequence[str] | np.ndarray], rows: int) -> "pd.DataFrame":
        import pandas as pd

        columns: dict[str, Any] = {}
        for name, column in values.items():
            if name in self.levels:
                # By their place: a level may have any letters.
                places = [f"l{self.levels[name].index(str(level))}" for level in column]
                columns[self.plain[name]] = pd.Categorical(places, categories=_places(self.levels[name]))
            else:
                columns[self.plain[name]] = np.asarray(column, dtype=np.float64)
        return pd.DataFrame(columns, index=range(rows))

    def matrix(self, values: Mapping[str, Sequence[str] | np.ndarray], rows: int) -> np.ndarray:
        made = self.spec.get_model_matrix(self._frame(values, rows))
        return np.ascontiguousarray(np.asarray(made, dtype=np.float64).reshape(rows, len(self.names)))


def _places(levels: Sequence[str]) -> list[str]:
    return [f"l{place}" for place in range(len(levels))]


def _spelt(piece: str, back: Mapping[str, str], levels: Mapping[str, tuple[str, ...]]) -> str:
    """A piece of formulaic's column name, ``f0[T.l1]``, as the design has it, ``arm[high]``."""
    if piece == "Intercept":
        return "intercept"
    short, bracket, place = piece.partition("[")
    name = back[short]
    if not bracket:
        return name
    level = levels[name][int(place.removeprefix("T.").strip("l]"))]
    # The columns of C(site) are site's.
    return f"{name[2:-1].split(',')[0] if name.startswith('C(') else name}[{level}]"


def _descriptions(coding: _Coding, factors: Sequence[Levels], words: Mapping[str, str]) -> list[str]:
    reference = {factor.name: factor.levels[0] for factor in factors}
    texts = []
    for name, parts in zip(coding.names, coding.parts):
        if not parts:
            texts.append("1 for all rows")
            continue
        pieces = [
            words[part]
            if part in words
            else f"1 where {part} is the level named, 0 otherwise; reference {reference[part]}"
            for part in parts
        ]
        texts.append((f"{name}: " if len(pieces) > 1 else "") + ", times ".join(pieces))
    return texts


def _key(factor: Factor) -> str:
    """The name of a factor's column in the table."""
    return factor.text if factor.function in ("roi", "visit") else factor.variables[0]


def _column(formula: Formula, name: str, table: Table) -> list[str | float]:
    """The values of a column, all of them there."""
    if name not in table.columns:
        known = ", ".join(list(table.columns)[:20])
        raise InputError(
            table.file,
            name,
            f"columns {known}",
            f"the column {name} of {formula.field}",
            "Add it, or correct the formula.",
        )
    values = table.columns[name]
    missing = [row for row, value in zip(table.rows, values) if _is_missing(value)]
    if missing:
        raise InputError(
            table.file,
            name,
            f"n/a for {', '.join(dict.fromkeys(missing))}",
            "a value for every participant analysed",
            "Complete the table, take the term out, or exclude the participants.",
        )
    return [value for value in values if value is not None]


def _is_missing(value: Value) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _levels(formula: Formula, factor: Factor, table: Table) -> Levels | None:
    """The factor's levels; None where it is a number."""
    if factor.function not in ("", "C", "visit") or not factor.variables:
        return None
    name = _key(factor)
    values = [str(value) for value in _column(formula, name, table)]
    if name not in table.levels and factor.kind != FACTOR:
        words = [f"{value} for {row}" for row, value in zip(table.rows, values) if number(value) is None]
        if not words:
            return None
        if len(words) < len(values):
            raise InputError(
                table.file,
                name,
                ", ".join(words[:10]),
                "a number, as the other participants have",
                f"Correct the value in the table, or write C({name}).",
            )
        factor_levels.check_values(values, table.rows, name, table.file)
    present = set(values)
    levels = [level for level in table.levels.get(name, sorted(present)) if level in present]
    if strange := sorted(present - set(levels)):
        raise InputError(table.file, name, ", ".join(strange), f"one of {', '.join(levels)}", "Correct the table.")
    if len(levels) < 2:
        raise InputError(
            table.file, name, f"{levels[0]} for all", "at least two levels", f"Take {factor.text} out of the formula."
        )
    if factor.reference is not None:
        if factor.reference not in levels:
            raise formula.refusal(
                factor.text, f"a reference that {name} has: {', '.join(levels)}", "Correct the level."
            )
        levels = [factor.reference, *(level for level in levels if level != factor.reference)]
    return Levels(name=factor.text, levels=tuple(levels))


def _as_numbers(formula: Formula, name: str, table: Table, use: str) -> np.ndarray:
    values = _column(formula, name, table)
    numbers = [value if isinstance(value, float | int) else number(value) for value in values]
    if strange := [f"{value} for {row}" for row, value, read in zip(table.rows, values, numbers) if read is None]:
        raise InputError(
            table.file, name, ", ".join(strange[:10]), f"numbers, for {use}", "Correct the table or the formula."
        )
    return np.array(numbers, dtype=np.float64)


def _numbers(formula: Formula, factor: Factor, table: Table) -> np.ndarray:
    """The values of a factor that is a number, not centred."""
    if factor.function in ("", "roi", "visit"):
        values = _as_numbers(formula, _key(factor), table, factor.text)
    elif factor.function == "I":
        columns = {name: _as_numbers(formula, name, table, factor.text) for name in factor.variables}
        with np.errstate(all="ignore"):
            values = np.broadcast_to(
                _arithmetic(ast.parse(factor.text[2:-1], mode="eval").body, columns), len(table.rows)
            )
    else:
        column = _as_numbers(formula, factor.variables[0], table, factor.text)
        low = [
            f"{value:g} for {row}"
            for row, value in zip(table.rows, column)
            if value < 0 or (value == 0 and factor.function == "log")
        ]
        if low:
            raise InputError(
                table.file,
                factor.variables[0],
                ", ".join(low[:10]),
                f"numbers above 0, for {factor.text}",
                "Take another transformation.",
            )
        values = np.log(column) if factor.function == "log" else np.sqrt(column)
    if not np.isfinite(values).all():
        rows = [row for row, value in zip(table.rows, values) if not math.isfinite(value)]
        raise InputError(
            table.file,
            factor.text,
            f"no number for {', '.join(rows[:10])}",
            "a finite number",
            "Correct the formula or the table.",
        )
    return np.array(values, dtype=np.float64)


def _arithmetic(node: ast.expr, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The value of an expression that :mod:`pharmasl.statistics.formulas` has read."""
    if isinstance(node, ast.Name):
        return columns[node.id]
    if isinstance(node, ast.Constant):
        return np.array(node.value, dtype=np.float64)
    if isinstance(node, ast.UnaryOp):
        return -_arithmetic(node.operand, columns)
    assert isinstance(node, ast.BinOp)
    left, right = _arithmetic(node.left, columns), _arithmetic(node.right, columns)
    return _OPERATIONS[type(node.op)](left, right)


_OPERATIONS = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}


def _polynomial(formula: Formula, factor: Factor, table: Table) -> list[np.ndarray]:
    """Orthogonal polynomials of a column, each of mean 0 and length 1 (as R's ``poly``)."""
    column = _as_numbers(formula, factor.variables[0], table, factor.text)
    if len(np.unique(column)) <= factor.degree:
        raise InputError(
            table.file,
            factor.variables[0],
            f"{len(np.unique(column))} different values",
            f"more than {factor.degree}, for {factor.text}",
            "Lower the degree.",
        )
    centred = column - column.mean()
    powers = np.vander(centred / np.abs(centred).max(), factor.degree + 1, increasing=True)
    basis, triangle = np.linalg.qr(powers)
    return [basis[:, power] * np.sign(triangle[power, power]) for power in range(1, factor.degree + 1)]
