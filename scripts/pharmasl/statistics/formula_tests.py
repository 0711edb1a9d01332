"""What of a formula's model is tested: weights of its coefficients, named by the levels that they compare.

A test is written as

- a term, ``arm``, ``arm:genotype``, ``age``, ``arm:age``, ``baseline``, or ``1`` for the mean;
- a difference of levels, ``high - placebo``, or weights of levels, ``{placebo: -1, low: 0, high: 1}``;
- a contrast of contrasts, ``{arm: {...}, session: {...}}``;
- a list of these, which are tested together by F, as a factor of more than two levels is.

A factor is compared by its marginal means: each combination of the other factors' levels counts alike, and numbers are at their
mean (estimated marginal means; Searle, Speed and Milliken 1980, The American Statistician 34:216; R's emmeans). The result
does not depend on how factors are coded.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.statistics.formula_designs import Design
from pharmasl.statistics.formulas import parse_terms, read_factor

# As the configuration has it: a term, weights of levels, weights by factor, or a list of such.
Wanted = str | Mapping[str, "float | Mapping[str, float]"] | Sequence["str | Mapping[str, float | Mapping[str, float]]"]

_LEAST = 1e-12
_MOST_CELLS = 100_000


@dataclass(frozen=True, kw_only=True)
class Test:
    """A tested hypothesis: that all these weighted sums of coefficients are 0.

    Attributes
    ----------
    weights : ndarray of shape (q, terms), float64
    names : tuple of str
        One per row: ``high - placebo``.
    words : str
        What is tested, and over what it is averaged.
    term : tuple of str
        Factors of the formula that the test is about; none where it is about the mean.
    is_slope : bool
        A slope on a number is tested, or differences of slopes.
    """

    # No test for pytest to collect.
    __test__ = False

    weights: np.ndarray
    names: tuple[str, ...]
    words: str
    term: tuple[str, ...]
    is_slope: bool

    def symbols(self, names: Sequence[str]) -> list[str]:
        """Each row as a sum of coefficients, ``arm[high] + 0.5 arm[high]:genotype[b]``; ``names`` are the design's."""
        return [_sum(row, names) for row in self.weights]


@dataclass(frozen=True)
class _Contrast:
    """One row of a test before it has weights: each factor's weights of levels, and the numbers whose slope is taken."""

    levels: Mapping[str, Mapping[str, float]]
    slopes: tuple[str, ...]

    @property
    def name(self) -> str:
        parts = [difference(weights) for weights in self.levels.values()]
        if len(parts) > 1:
            parts = [f"({part})" for part in parts]
        if self.slopes:
            slope = f"slope on {' x '.join(self.slopes)}"
            return f"{slope}, {' x '.join(parts)}" if parts else slope
        return " x ".join(parts) or "mean"


def test(design: Design, wanted: Wanted) -> Test:
    """The weights of a test.

    Parameters
    ----------
    design : pharmasl.statistics.formula_designs.Design
    wanted : str, mapping or sequence
        As the module describes it.

    Returns
    -------
    Test

    Raises
    ------
    InputError
        For names that are no term, factor or level of the model, weights that do not sum to 0, a test that the model's terms do not
        hold, and rows that follow from one another.
    """
    several = [wanted] if isinstance(wanted, str | Mapping) else list(wanted)
    contrasts = [contrast for one in several for contrast in _contrasts(design, one)]
    if not contrasts:
        raise _refusal(design, wanted, "a term, or weights of levels", "Name what is tested.")
    weights = np.array([_weights(design, contrast) for contrast in contrasts])
    weights[np.abs(weights) < _LEAST * np.abs(weights).max(initial=1.0)] = 0.0
    for contrast, row in zip(contrasts, weights):
        if not row.any():
            raise _refusal(
                design,
                contrast.name,
                f"an effect that the terms hold: {', '.join(design.names)}",
                "Add the term to the formula, or test another.",
            )
    if np.linalg.matrix_rank(weights) < len(weights):
        raise _refusal(
            design,
            ", ".join(contrast.name for contrast in contrasts),
            "effects of which none follows from the others",
            "Take one of them out.",
        )
    about = tuple(dict.fromkeys(name for contrast in contrasts for name in (*contrast.levels, *contrast.slopes)))
    return Test(
        weights=weights,
        names=tuple(contrast.name for contrast in contrasts),
        words=_words(design, contrasts, about),
        term=about,
        is_slope=any(contrast.slopes for contrast in contrasts),
    )


def difference(weights: Mapping[str, float]) -> str:
    """Weights of levels as emmeans says them: ``high - placebo``, ``0.5 low + 0.5 high - placebo``."""
    parts = sorted(weights.items(), key=lambda item: item[1] < 0)
    return _sum([weight for _, weight in parts], [level for level, _ in parts])


def _sum(weights: Sequence[float] | np.ndarray, names: Sequence[str]) -> str:
    parts = []
    for weight, name in zip(weights, names):
        if weight:
            size = "" if abs(abs(weight) - 1) < 1e-9 else f"{abs(weight):.4g} "
            parts.append(f"{'-' if weight < 0 else '+'} {size}{name}")
    return " ".join(parts).removeprefix("+ ")


def _words(design: Design, contrasts: Sequence[_Contrast], about: Sequence[str]) -> str:
    text = "; ".join(contrast.name for contrast in contrasts)
    if len(contrasts) > 1:
        text += ", together"
    others = [factor.name for factor in design.factors if factor.name not in about]
    # Over a factor that stands in no product with the tested ones there is nothing to average.
    averaged = [name for name in others if _meets(design, name, about)]
    if averaged:
        text += f", averaged over the levels of {' and '.join(averaged)}, each counting alike"
    numbers = [name for name in design.numbers if name not in about and _meets(design, name, about)]
    return text + (f", at the mean of {' and '.join(numbers)}" if numbers else "")


def _meets(design: Design, name: str, about: Sequence[str]) -> bool:
    """Whether a factor stands in a term with one of others."""
    base = name.split("[")[0] if name.startswith("poly(") else name
    return any(base in term and set(term) & set(about) for term in design.formula.terms)


def _refusal(design: Design, value: Any, expected: str, fix: str) -> InputError:
    formula = design.formula
    return InputError(formula.file, formula.field.removesuffix("model") + "test", value, expected, fix)


def _contrasts(design: Design, wanted: str | Mapping) -> Iterator[_Contrast]:
    if isinstance(wanted, str):
        yield from _of_text(design, wanted)
    else:
        yield _of_weights(design, wanted)


def _of_text(design: Design, text: str) -> Iterator[_Contrast]:
    """The rows of a term, or of a difference of levels, ``high - placebo``."""
    first, minus, second = (part.strip() for part in text.partition(" - "))
    if minus and any({first, second} <= set(factor.levels) for factor in design.factors):
        yield _of_weights(design, {first: 1.0, second: -1.0})
        return

    def refuse(value: Any, expected: str, fix: str) -> InputError:
        return _refusal(design, value, expected, fix)

    if text.strip() == "1":
        yield _Contrast({}, ())
        return
    terms = [term for term in parse_terms(f"0 + {text}", refuse) if term]
    if len(terms) != 1:
        raise refuse(text, "one term, such as arm or arm:genotype", "List several terms to test them together.")
    choices: list[list[tuple[str, Mapping[str, float] | None]]] = []
    for part in terms[0]:
        name = read_factor(part, refuse, maps=design.formula.maps).text
        choices.append(_choices(design, _known(design, name)))
    for choice in itertools.product(*choices):
        yield _Contrast(
            {name: weights for name, weights in choice if weights is not None},
            tuple(name for name, weights in choice if weights is None),
        )


def _known(design: Design, name: str) -> str:
    """The factor of the formula that is meant; ``site`` may stand for ``C(site)``."""
    texts = [factor.text for factor in design.formula.factors]
    alike = [factor.text for factor in design.formula.factors if factor.function == "C" and factor.variables[0] == name]
    if name in texts or alike:
        return name if name in texts else alike[0]
    hint = did_you_mean(similar(name, texts), "Correct the name, or add it to the formula.")
    raise _refusal(design, name, f"one of the formula's {', '.join(texts) or 'terms: it has none'}", hint)


def _choices(design: Design, name: str) -> list[tuple[str, Mapping[str, float] | None]]:
    """The differences of a factor's levels from the reference, or the slope of a number: one per degree of a polynomial."""
    if any(factor.name == name for factor in design.factors):
        reference, *others = design.levels_of(name)
        return [(name, {level: 1.0, reference: -1.0}) for level in others]
    return [(own, None) for own in design.numbers if own == name or own.startswith(f"{name}[")]


def _of_weights(design: Design, wanted: Mapping[str, Any]) -> _Contrast:
    """The row of weights of levels, or of several factors' weights."""
    if all(isinstance(value, int | float) for value in wanted.values()):
        fitting = [factor for factor in design.factors if set(map(str, wanted)) <= set(factor.levels)]
        if len(fitting) != 1:
            known = "; ".join(f"{factor.name}: {', '.join(factor.levels)}" for factor in design.factors)
            raise _refusal(
                design,
                dict(wanted),
                f"levels of one factor ({known or 'the model has no factor'})",
                "Name the factor: {arm: {high: 1, placebo: -1}}.",
            )
        wanted = {fitting[0].name: wanted}
    levels: dict[str, Mapping[str, float]] = {}
    slopes: list[str] = []
    for name, weights in wanted.items():
        name = _known(design, name)
        factor = next((one for one in design.factors if one.name == name), None)
        if factor is None:
            slopes.append(name)
            continue
        own = {str(level): float(weight) for level, weight in weights.items()} if isinstance(weights, Mapping) else {}
        _check_weights(design, name, own, factor.levels)
        levels[name] = {level: weight for level, weight in own.items() if weight}
    return _Contrast(levels, tuple(slopes))


def _check_weights(design: Design, name: str, weights: Mapping[str, float], levels: Sequence[str]) -> None:
    if strange := [level for level in weights if level not in levels]:
        raise _refusal(design, ", ".join(strange), f"levels of {name}: {', '.join(levels)}", "Correct the level.")
    total, size = sum(weights.values()), sum(map(abs, weights.values()))
    if not size or abs(total) > 1e-9 * size:
        raise _refusal(
            design,
            f"weights of {name} that sum to {total:g}",
            "weights that are not all 0 and sum to 0: a difference of levels",
            "Correct the weights.",
        )


def _weights(design: Design, contrast: _Contrast) -> np.ndarray:
    """The weights of a row: the weighted sum of the design's rows over the grid of levels."""
    cells: list[tuple[dict[str, str], float]] = [({}, 1.0)]
    size = 1
    for factor in design.factors:
        own = contrast.levels.get(factor.name) or {level: 1 / len(factor.levels) for level in factor.levels}
        size *= len(own)
        if size > _MOST_CELLS:
            raise _refusal(design, contrast.name, "fewer combinations of levels to average over", "Take factors out.")
        cells = [({**at, factor.name: level}, weight * share) for at, weight in cells for level, share in own.items()]
    # A slope is the difference between 1 above the mean and the mean; of a product, the difference of differences.
    levels, numbers, weights = [], [], []
    for at, weight in cells:
        for corner in itertools.product((0.0, 1.0), repeat=len(contrast.slopes)):
            levels.append(at)
            numbers.append(dict(zip(contrast.slopes, corner)))
            weights.append(weight * (-1.0) ** (len(corner) - sum(corner)))
    return np.asarray(weights) @ design.rows_at(levels, numbers)
