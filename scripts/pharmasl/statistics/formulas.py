"""Formulas of models, ``followup ~ arm * genotype + baseline``, read into terms and factors.

The grammar is Wilkinson's as R has it, parsed by formulaic: ``+``, ``:``, ``*``, ``^``, ``0 +``. What stands between the operators is
read here, and nothing is ever evaluated as a program:

============================ ==========================================================================================
factor                       what it is
============================ ==========================================================================================
``age``                      a column of numbers, or of words, which are the levels of a factor
``C(site)``, ``C(x, b)``     a column as a factor whatever it holds, and with the reference level ``b``
``log(x)``, ``sqrt(x)``      of a column of positive numbers
``I(w2 - w1)``               arithmetic of columns of numbers
``poly(age, 2)``             orthogonal polynomials of a column up to a degree
``visit(drug)``              a column that each session has its own of, ``drug_T1``, ``drug_T2``, where a row is a scan
``roi(region, contrast)``    a region's value of a contrast, a number per row
``baseline``, ``gm``, ...    a map: its value at each voxel
``cbf(contrast)``            the map of another contrast
``(1 + week | participant)`` a random intercept, and random slopes, of each level of a grouping column
============================ ==========================================================================================
"""

import ast
import dataclasses
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import FilePath, InputError

MAPS: frozenset[str] = frozenset({"baseline", "gm", "att"})
OUTCOMES: tuple[str, ...] = ("change", "followup", "baseline", "cbf")

# Makes an error of what was found, what was expected, and the fix.
Refusal = Callable[[Any, str, str], InputError]

NUMBER, FACTOR, MAP, REGION, POLYNOMIAL = "number", "factor", "map", "region", "polynomial"
_RANDOM = re.compile(r"\+?\s*\(([^()|]*)\|([^()|]*)\)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_LONGEST, _HIGHEST_DEGREE = 1000, 5


@dataclass(frozen=True)
class RandomTerm:
    """A random effect of a formula, such as ``(1 + week | participant)``.

    Attributes
    ----------
    group : str
        The factor whose levels have an effect of their own.
    slopes : tuple of str
        Numbers on which each level has a slope of its own, beside its intercept.
    """

    group: str
    slopes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"({' + '.join(['1', *self.slopes])} | {self.group})"


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What stands between the operators of a formula.

    Attributes
    ----------
    text : str
        As it is written, spaces apart.
    kind : {"number", "factor", "map", "region", "polynomial"}
        ``number`` for a plain column too, whose values decide whether it is a factor.
    variables : tuple of str
        The columns that it reads; of a region its name and the contrast; of ``cbf`` the contrast.
    function : str
        ``""`` for a plain name, else ``C``, ``log``, ``sqrt``, ``I``, ``poly``, ``visit``, ``roi`` or ``cbf``.
    reference : str or None
        The reference level of a factor.
    degree : int
        Of a polynomial.
    """

    text: str
    kind: str
    variables: tuple[str, ...]
    function: str = ""
    reference: str | None = None
    degree: int = 1


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A formula that has been read; no data yet.

    Attributes
    ----------
    text : str
        As it is written.
    outcome : str
        What stands left of ``~``.
    terms : tuple of tuple of str
        The factors of each term by their text; ``()`` is the intercept.
    factors : tuple of Factor
        In the order in which they occur.
    random : tuple of RandomTerm
    file : str
        Where the formula is written, for messages.
    field : str
        Its key there, for messages.
    """

    text: str
    outcome: str
    terms: tuple[tuple[str, ...], ...]
    factors: tuple[Factor, ...]
    random: tuple[RandomTerm, ...]
    file: str
    field: str

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns that the fixed effects read, each once."""
        plain = (factor for factor in self.factors if factor.kind not in (MAP, REGION) and factor.function != "visit")
        return tuple(dict.fromkeys(name for factor in plain for name in factor.variables))

    @property
    def visits(self) -> tuple[str, ...]:
        """The columns of which each session has its own."""
        return tuple(factor.variables[0] for factor in self.factors if factor.function == "visit")

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps whose values at each voxel are regressors, by their text."""
        return tuple(factor.text for factor in self.factors if factor.kind == MAP)

    @property
    def regions(self) -> tuple[tuple[str, str], ...]:
        """Region and contrast of each ``roi(region, contrast)``."""
        pairs = [factor.variables for factor in self.factors if factor.kind == REGION]
        return tuple((region, contrast) for region, contrast in pairs)

    @property
    def contrasts(self) -> tuple[str, ...]:
        """The contrasts that ``roi`` and ``cbf`` name, each once."""
        named = [factor.variables[-1] for factor in self.factors if factor.function in ("roi", "cbf")]
        return tuple(dict.fromkeys(named))

    def with_factor(self, column: str) -> "Formula":
        """The formula with a column as a factor, which stays as it is where that column is a term already."""
        if column in self.variables:
            return self
        text = f"C({column})"
        added = Factor(text=text, kind=FACTOR, variables=(column,), function="C")
        return dataclasses.replace(
            self, text=f"{self.text} + {text}", terms=(*self.terms, (text,)), factors=(*self.factors, added)
        )

    def refusal(self, value: Any, expected: str, fix: str) -> InputError:
        """An error about the formula, to be raised."""
        return InputError(self.file, self.field, value, expected, fix)


def parse(
    text: str,
    file: FilePath = "configuration",
    field: str = "model",
    *,
    outcomes: Collection[str] = OUTCOMES,
    maps: Collection[str] = MAPS,
) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text : str
        Such as ``followup ~ arm * genotype + baseline``.
    file, field : str
        Where it is written, for messages.
    outcomes : collection of str
        What may stand left of ``~``.
    maps : collection of str
        The plain names that are maps; none for models of numbers, where ``roi`` and ``cbf`` of a contrast are left.

    Returns
    -------
    Formula

    Raises
    ------
    InputError
        For what is no formula, an unknown outcome, a term that holds the outcome, functions that do not exist, and random effects
        without a grouping column.
    """

    def refuse(value: Any, expected: str, fix: str) -> InputError:
        return InputError(file, field, value, expected, fix)

    if text.count("~") != 1 or len(text) > _LONGEST:
        raise refuse(text, "a formula with one ~, such as change ~ arm", "Write what is explained, ~, and the terms.")
    left, right = (part.strip() for part in text.split("~"))
    if left not in outcomes:
        raise refuse(f"{left} ~", f"one of {', '.join(outcomes)} left of ~", "Name what is explained.")
    if not right:
        raise refuse(text, "terms right of ~", "Add a term, or 1 for the mean.")
    random = tuple(_random(match, refuse) for match in _RANDOM.finditer(right))
    fixed = _RANDOM.sub("", right).strip() or "1"
    if "|" in fixed:
        raise refuse(text, "random effects as (1 | participant)", "Put each into brackets of its own, joined by +.")
    terms = parse_terms(fixed, refuse)
    factors = {name: read_factor(name, refuse, maps=maps) for term in terms for name in term}
    # One factor may be written with other spaces in another term.
    spelt = tuple(tuple(factors[name].text for name in term) for term in terms)
    if any(left in term for term in spelt) or any(left in factor.variables for factor in factors.values()):
        raise refuse(text, f"terms other than {left}, which is explained", "Take it out of the terms.")
    return Formula(
        text=" ".join(text.split()),
        outcome=left,
        terms=spelt,
        factors=tuple({factor.text: factor for factor in factors.values()}.values()),
        random=random,
        file=str(file),
        field=field,
    )


def parse_terms(text: str, refuse: Refusal) -> tuple[tuple[str, ...], ...]:
    """The terms of the right side of a formula, each as its factors' texts, the intercept as ``()``.

    Parameters
    ----------
    text : str
    refuse : callable
        Makes the error from what was found, what was expected and the fix.
    """
    # It takes half a second to import, and most studies have no formula.
    try:
        from formulaic import Formula as Parsed
        from formulaic.errors import FormulaicError
    except ModuleNotFoundError as error:
        raise refuse(
            text, f"the package {error.name} beside Snakemake, to read the formula", "Install it there, or use ./run."
        ) from None
    try:
        parsed = list(Parsed(text))
    except (FormulaicError, SyntaxError, ValueError, TypeError, AttributeError) as error:
        reason = re.sub(r"\x1b\[[0-9;]*m|⧛|⧚", "", str(error)).split("\n")[0]
        raise refuse(text, f"terms joined by +, : or * ({reason})", "Correct the formula.") from None
    terms = []
    for term in parsed:
        names = [_spelt(str(factor.expr), is_column=factor.eval_method.value == "lookup") for factor in term.factors]
        if names and all(re.fullmatch(r"[0-9.]+", name) for name in names):
            if names != ["1"]:
                raise refuse(" ".join(names), "1 for the intercept, 0 for none", "Correct the number.")
            names = []
        terms.append(tuple(names))
    if not terms:
        raise refuse(text, "at least one term", "Add a term, or 1 for the mean.")
    return tuple(terms)


def _spelt(text: str, *, is_column: bool) -> str:
    # The parser takes off the backticks of a column whose name is no identifier.
    return f"`{text}`" if is_column and not _NAME.fullmatch(text) else text


def _random(match: re.Match[str], refuse: Refusal) -> RandomTerm:
    effects = [part.strip() for part in match[1].split("+")]
    group = match[2].strip()
    if not _NAME.fullmatch(group) or "1" not in effects or not all(effects):
        raise refuse(
            match[0].strip("+ "), "a random effect such as (1 | participant)", "Name 1 and slopes, |, a column."
        )
    slopes = tuple(effect for effect in effects if effect != "1")
    if strange := [slope for slope in slopes if not _NAME.fullmatch(slope)]:
        raise refuse(strange[0], "names of numbers as random slopes", "Name a column of numbers.")
    return RandomTerm(group, slopes)


def read_factor(text: str, refuse: Refusal, *, maps: Collection[str] = MAPS) -> Factor:
    """The factor of a text; parameters as :func:`parse_terms` and :func:`parse`."""
    name = text.strip("`")
    if text.startswith("`") or _NAME.fullmatch(text):
        kind = MAP if name in maps else NUMBER
        return Factor(text=name, kind=kind, variables=() if kind == MAP else (name,))
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise refuse(
            text, "a column, or a function of one", "Put a column with an unusual name into backticks."
        ) from None
    if not isinstance(node, ast.Call):
        # Braces of the grammar hold arithmetic, as I() does.
        return _arithmetic(node, refuse)
    function = node.func.id if isinstance(node.func, ast.Name) else ""
    if function not in _FUNCTIONS or node.keywords:
        known = ", ".join(f"{one}()" for one in _FUNCTIONS)
        raise refuse(text, f"a column or one of {known}", "Correct the function's name, or give a column for it.")
    if function == "I":
        if len(node.args) != 1:
            raise refuse(text, "I() of one expression", "Write I(a - b).")
        return _arithmetic(node.args[0], refuse)
    least, most = _FUNCTIONS[function]
    words = [_word(argument) for argument in node.args]
    if not least <= len(words) <= most or None in words:
        raise refuse(text, f"{function}() of {_EXAMPLES[function]}", "Correct what stands in its brackets.")
    return _call(function, [word for word in words if word is not None], refuse)


# Least and most arguments.
_FUNCTIONS = {
    "C": (1, 2),
    "log": (1, 1),
    "sqrt": (1, 1),
    "I": (1, 1),
    "poly": (2, 2),
    "visit": (1, 1),
    "roi": (2, 2),
    "cbf": (1, 1),
}
_EXAMPLES = {
    "C": "a column, and perhaps its reference level",
    "log": "a column",
    "sqrt": "a column",
    "poly": "a column and a degree",
    "visit": "a column",
    "roi": "a region and a contrast",
    "cbf": "a contrast",
}


def _call(function: str, words: list[str], refuse: Refusal) -> Factor:
    text = f"{function}({', '.join(words)})"
    if function == "C":
        return Factor(
            text=text, kind=FACTOR, variables=(words[0],), function="C", reference=words[1] if words[1:] else None
        )
    if function == "poly":
        if not words[1].isdigit() or not 1 <= int(words[1]) <= _HIGHEST_DEGREE:
            raise refuse(text, f"a degree from 1 to {_HIGHEST_DEGREE}", "Correct the degree.")
        return Factor(text=text, kind=POLYNOMIAL, variables=(words[0],), function="poly", degree=int(words[1]))
    kind = {"roi": REGION, "cbf": MAP}.get(function, NUMBER)
    return Factor(text=text, kind=kind, variables=tuple(words), function=function)


def _word(node: ast.expr) -> str | None:
    """A name, number or quoted word as text; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
        return str(node.value)
    return None


def _arithmetic(node: ast.expr, refuse: Refusal) -> Factor:
    names = list(dict.fromkeys(part.id for part in ast.walk(node) if isinstance(part, ast.Name)))
    text = f"I({ast.unparse(node)})"
    if not names or not _is_arithmetic(node):
        raise refuse(text, "+, -, *, / and ** of columns and numbers", "Take other operators out.")
    return Factor(text=text, kind=NUMBER, variables=tuple(names), function="I")


def _is_arithmetic(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Pow) and not isinstance(node.right, ast.Constant):
            return False
        return isinstance(node.op, _OPERATORS) and _is_arithmetic(node.left) and _is_arithmetic(node.right)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_arithmetic(node.operand)
    return isinstance(node, ast.Name) or (
        isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
    )
