"""An analysis as a linear model and a tested contrast: all that tests, tables, regions and the sensitivity analysis read of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.study.effect_kinds import EffectKind


@dataclass(frozen=True, kw_only=True)
class Model:
    """A design with its tested contrast, and what is exchangeable under the null.

    Attributes
    ----------
    kind : pharmasl.study.effect_kinds.EffectKind
        What is true of the effect in any study: its unit, its words, the sessions it takes, what it exchanges.
    arm : str or None
        The one arm within which the effect is estimated.
    participants : list of str
        One per row; a subset of those given where the effect is of one arm.
    arms : list of str or None
        The arm of each row; None where the table has none.
    names : list of str
        One per column.
    matrix : ndarray of shape (n, terms), float64
    contrast : ndarray of shape (terms,), float64
        Weights of the coefficients; their weighted sum is the effect.
    blocks : ndarray of int, shape (n,), or None
        Exchangeability block of each row: rows are exchanged within blocks.
    formula : str
        The model and the tested contrast in words.
    meaning : str
        What the effect says in this study.
    descriptions : mapping
        Term to its description.
    sessions : ndarray of int, shape (n,), or None
        0 baseline, 1 follow-up, where a row is a scan; None where a row is a participant.
    notes : list of str
        What a reader should know: near-confounding, sites without information.
    """

    kind: EffectKind
    arm: str | None
    participants: list[str]
    arms: list[str | None]
    names: list[str]
    matrix: np.ndarray
    contrast: np.ndarray
    blocks: np.ndarray | None
    formula: str
    meaning: str
    descriptions: Mapping[str, str]
    sessions: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The effect's name."""
        return self.kind.name

    @property
    def outcome(self) -> str:
        """What of a participant the model explains, ``change`` or ``baseline``."""
        return self.kind.outcome

    @property
    def exchange(self) -> str:
        """What a relabelling does, ``permute`` or ``flip``."""
        return self.kind.exchange

    @property
    def df(self) -> int:
        """Residual degrees of freedom."""
        return self.matrix.shape[0] - self.matrix.shape[1]

    @property
    def tested(self) -> list[str]:
        """The terms with a weight in the contrast."""
        return [name for name, weight in zip(self.names, self.contrast) if weight]

    @property
    def incomplete(self) -> list[str]:
        """Participants with one scan, where a row is a scan."""
        if self.sessions is None:
            return []
        return [name for name in dict.fromkeys(self.participants) if self.participants.count(name) == 1]

    def digest(self) -> str:
        """SHA-256 of all that decides the test: rows, values, contrast, what is exchanged and in which blocks."""
        lines = ["\t".join(self.names), "\t".join(repr(float(value)) for value in self.contrast)]
        lines += [
            "\t".join([name, *(repr(float(value)) for value in row)])
            for name, row in zip(self.participants, self.matrix)
        ]
        blocks = "none" if self.blocks is None else " ".join(map(str, self.blocks.tolist()))
        return hashlib.sha256("\n".join([*lines, self.outcome, self.exchange, blocks]).encode()).hexdigest()

    def write(self, path: FilePath) -> None:
        """Write the matrix as a table with a data dictionary."""
        columns = {"participant_id": "Participant"}
        if self.sessions is not None:
            columns["session_id"] = "0 baseline, 1 follow-up"
        rows = []
        for number, (name, values) in enumerate(zip(self.participants, self.matrix)):
            row = {"participant_id": name, **dict(zip(self.names, values.tolist()))}
            if self.sessions is not None:
                row["session_id"] = int(self.sessions[number])
            rows.append(row)
        tables.write_table(path, rows, {**columns, **self.descriptions})

    def partition(self) -> tuple[np.ndarray, np.ndarray]:
        """The model as one tested column and the others, for :func:`pharmasl.group.engine.glm.partial_form`.

        The other columns span all of the model in which the contrast is 0, and the coefficient of the tested column is
        the contrast (Ridgway's form; Winkler et al. 2014, NeuroImage 92:381).

        Returns
        -------
        x : ndarray of shape (n,)
        nuisance : ndarray of shape (n, terms - 1)
        """
        tested = np.flatnonzero(self.contrast)
        if len(tested) == 1 and self.contrast[tested[0]] == 1:
            return self.matrix[:, tested[0]], np.delete(self.matrix, tested[0], axis=1)
        # Columns of equal length: badly scaled ones would cost digits.
        length = np.linalg.norm(self.matrix, axis=0)
        scaled, weights = self.matrix / length, self.contrast / length
        direction = np.linalg.solve(scaled.T @ scaled, weights)
        x = scaled @ direction / (weights @ direction)
        others = np.linalg.svd(weights[None])[2][1:].T
        return x, scaled @ others

    def variance_inflation(self) -> float:
        """Variance of the contrast over what it would be if the tested column shared only the mean with the others."""
        x, nuisance = self.partition()
        if not nuisance.shape[1]:
            return 1.0
        nuisance = nuisance / np.linalg.norm(nuisance, axis=0)
        rest = x - nuisance @ np.linalg.lstsq(nuisance, x, rcond=None)[0]
        constant = np.ones(len(x))
        fitted = nuisance @ np.linalg.lstsq(nuisance, constant, rcond=None)[0]
        alone = x - x.mean() if np.allclose(fitted, constant, atol=1e-9) else x
        return float((alone @ alone) / (rest @ rest))
