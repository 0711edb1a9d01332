"""Formulas of models."""

from dataclasses import dataclass


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
