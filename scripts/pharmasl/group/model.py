"""An analysis as a linear model and a tested contrast: all that tests, tables, regions and the sensitivity analysis read of it."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.files import tables
from pharmasl.group.allocation import Allocation
from pharmasl.statistics.formulas import RandomTerm
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
    weights : ndarray of shape (q, terms), float64
        Weights of the coefficients, a row per tested effect; each weighted sum is an effect. One row is tested by t,
        several together by F.
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
    effects : tuple of str
        Name of each row of ``weights``, such as ``high - placebo``; empty where the tested term has the name.
    voxelwise : tuple of tuple of str
        For each column the maps with which it is multiplied at every voxel, none for most; empty where no column has any. A map
        is centred at the participants' mean at each voxel.
    random : tuple of pharmasl.statistics.formulas.RandomTerm
        Random effects, where a row is a scan.
    session_labels : tuple of str
        Label of each number in ``sessions``.
    coding : tuple of str
        How each factor of a formula is coded, in words.
    symbols : tuple of str
        Each row of ``weights`` as a sum of a formula's coefficients.
    allocation : pharmasl.group.allocation.Allocation or None
        What was allocated to the participants, with the design under any allocation, where a row is a scan.
    """

    kind: EffectKind
    arm: str | None
    participants: list[str]
    arms: list[str | None]
    names: list[str]
    matrix: np.ndarray
    weights: np.ndarray
    blocks: np.ndarray | None
    formula: str
    meaning: str
    descriptions: Mapping[str, str]
    sessions: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)
    effects: tuple[str, ...] = ()
    voxelwise: tuple[tuple[str, ...], ...] = ()
    random: tuple[RandomTerm, ...] = ()
    session_labels: tuple[str, ...] = ("baseline", "followup")
    coding: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    allocation: Allocation | None = None

    @property
    def contrast(self) -> np.ndarray:
        """The weights of the one tested effect, shape (terms,).

        Raises
        ------
        ValueError
            If several effects are tested together.
        """
        if len(self.weights) != 1:
            raise ValueError(f"{len(self.weights)} effects are tested together, there is no one contrast")
        return self.weights[0]

    @property
    def is_joint(self) -> bool:
        """Whether several effects are tested together, by F."""
        return len(self.weights) > 1

    @property
    def maps(self) -> list[str]:
        """The maps that columns are multiplied with, each once."""
        return list(dict.fromkeys(name for maps in self.voxelwise for name in maps))

    @property
    def ordinary(self) -> np.ndarray:
        """The columns that are the same at every voxel, ndarray of int."""
        return np.array([k for k in range(len(self.names)) if not self.voxelwise or not self.voxelwise[k]], dtype=int)

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
        return [name for name, weight in zip(self.names, np.abs(self.weights).max(axis=0)) if weight]

    @property
    def incomplete(self) -> list[str]:
        """Participants with one scan, where a row is a scan."""
        if self.sessions is None:
            return []
        return [name for name in dict.fromkeys(self.participants) if self.participants.count(name) == 1]

    def digest(self) -> str:
        """SHA-256 of all that decides the test: rows, values, contrast, what is exchanged and in which blocks."""
        lines = ["\t".join(self.names), *("\t".join(repr(float(value)) for value in row) for row in self.weights)]
        if self.maps:
            lines.append("\t".join(" ".join(maps) for maps in self.voxelwise))
        if self.random:
            lines.append("\t".join(map(str, self.random)))
        return _sha256([*lines, *self._rows(), self.outcome, self.exchange, self._blocks()])

    def relabelling_digest(self) -> str:
        """SHA-256 of all that decides how rows are relabelled: the design, what is exchanged and in which blocks, not what is tested."""
        return _sha256([*self._rows(), self.exchange, self._blocks()])

    def _rows(self) -> list[str]:
        return [
            "\t".join([name, *(repr(float(value)) for value in row)])
            for name, row in zip(self.participants, self.matrix)
        ]

    def _blocks(self) -> str:
        return "none" if self.blocks is None else " ".join(map(str, self.blocks.tolist()))

    @property
    def _session_words(self) -> tuple[str, ...]:
        return tuple(label.replace("followup", "follow-up") for label in self.session_labels)

    @property
    def relabelled_rows(self) -> np.ndarray:
        """The rows by which relabellings are told apart: equal ones are interchangeable, ndarray of shape (n, ...)."""
        if not self.maps:
            return self.matrix
        # Each participant's maps are their own: no two rows are alike.
        return np.column_stack([self.matrix, np.arange(len(self.matrix))])

    def of_rows(self, rows: np.ndarray) -> "Model":
        """The model of some of its rows, ndarray of bool, shape (n,); columns stay as they are."""
        return dataclasses.replace(
            self,
            participants=[name for name, kept in zip(self.participants, rows) if kept],
            arms=[arm for arm, kept in zip(self.arms, rows) if kept],
            matrix=self.matrix[rows],
            blocks=None if self.blocks is None else self.blocks[rows],
            sessions=None if self.sessions is None else self.sessions[rows],
        )

    def record(self) -> dict[str, Any]:
        """What the matrix alone does not say of the test, as plain values; :meth:`read` takes it."""
        return {
            "columns": self.names,
            "weights": self.weights.tolist(),
            "effects": list(self.effects),
            "voxelwise": [list(maps) for maps in self.voxelwise],
            "outcome": self.outcome,
            "exchange": self.exchange,
            "is_slope": self.kind.is_slope,
            "session_labels": list(self.session_labels),
            "arms": list(self.arms),
            "blocks": None if self.blocks is None else self.blocks.tolist(),
            "allocation": None if self.allocation is None else self.allocation.plain(),
        }

    @classmethod
    def read(cls, design: FilePath, block: Mapping[str, Any]) -> "Model":
        """The model of an analysis from its files.

        Parameters
        ----------
        design : path-like
            As :meth:`write` writes it.
        block : mapping
            Content of the analysis' ``_inference.json``.

        Returns
        -------
        Model
            Without descriptions, notes and random effects.
        """
        rows, test = tables.read_table(design), block["model"]["tested_model"]
        effect, names = block["effect"], list(test["columns"])
        kind = EffectKind(
            name=effect["name"],
            formula=block["model"]["formula"],
            test=block["model"]["tested_term"],
            meaning=effect["meaning"],
            heading="",
            sentence="",
            outcome=test["outcome"],
            exchange=test["exchange"],
            unit=effect["unit"],
            is_slope=test["is_slope"],
        )
        scans = bool(rows) and "session_id" in rows[0]
        return cls(
            kind=kind,
            arm=block.get("arm"),
            participants=[row["participant_id"] for row in rows],
            arms=list(test["arms"]),
            names=names,
            matrix=np.array([[float(row[name]) for name in names] for row in rows]),
            weights=np.array(test["weights"], dtype=np.float64),
            blocks=None if test["blocks"] is None else np.array(test["blocks"], dtype=np.int64),
            formula=block["model"]["formula"],
            meaning=block["model"].get("meaning", ""),
            descriptions={},
            sessions=np.array([int(row["session_id"]) for row in rows]) if scans else None,
            effects=tuple(test["effects"]),
            voxelwise=tuple(tuple(maps) for maps in test["voxelwise"]),
            session_labels=tuple(test["session_labels"]),
            allocation=Allocation.build(test["allocation"]) if test["allocation"] else None,
        )

    def write(self, path: FilePath) -> None:
        """Write the matrix as a table with a data dictionary."""
        columns = {"participant_id": "Participant"}
        if self.sessions is not None:
            columns["session_id"] = ", ".join(f"{k} {label}" for k, label in enumerate(self._session_words))
        rows = []
        for number, (name, values) in enumerate(zip(self.participants, self.matrix)):
            row = {"participant_id": name, **dict(zip(self.names, values.tolist()))}
            if self.sessions is not None:
                row["session_id"] = int(self.sessions[number])
            rows.append(row)
        tables.write_table(path, rows, {**columns, **self.descriptions})

    def partition(self) -> tuple[np.ndarray, np.ndarray]:
        """The model as tested columns and the others, for :func:`pharmasl.group.engine.glm.partial_form`.

        The other columns span all of the model in which the tested effects are 0, and the coefficients of the tested columns
        are the effects (Ridgway's form; Winkler et al. 2014, NeuroImage 92:381). Columns that differ from voxel to voxel are left
        out: they are not tested, and come to the others at each voxel.

        Returns
        -------
        x : ndarray of shape (n,), or (n, q) where several effects are tested together
        nuisance : ndarray of shape (n, terms - q)

        Raises
        ------
        ValueError
            If a column that differs from voxel to voxel is tested.
        """
        ordinary = self.ordinary
        if len(ordinary) < len(self.names) and np.delete(self.weights, ordinary, axis=1).any():
            raise ValueError("a column that differs from voxel to voxel is tested")
        matrix, weights = self.matrix[:, ordinary], self.weights[:, ordinary]
        tested = np.flatnonzero(weights.any(axis=0))
        if len(weights) == 1 and len(tested) == 1 and weights[0, tested[0]] == 1:
            return matrix[:, tested[0]], np.delete(matrix, tested[0], axis=1)
        # Columns of equal length: badly scaled ones would cost digits.
        length = np.linalg.norm(matrix, axis=0)
        scaled, weights = matrix / length, weights / length
        others = scaled @ np.linalg.svd(weights)[2][len(weights) :].T
        if len(weights) == 1:
            direction = np.linalg.solve(scaled.T @ scaled, weights[0])
            return scaled @ direction / (weights[0] @ direction), others
        directions = np.linalg.solve(scaled.T @ scaled, weights.T)
        return scaled @ np.linalg.solve(directions.T @ weights.T, directions.T).T, others

    def variance_inflation(self) -> float:
        """Variance of the contrast over what it would be if the tested column shared only the mean with the others; 1 for an F."""
        x, nuisance = self.partition()
        if not nuisance.shape[1] or x.ndim > 1:
            return 1.0
        nuisance = nuisance / np.linalg.norm(nuisance, axis=0)
        rest = x - nuisance @ np.linalg.lstsq(nuisance, x, rcond=None)[0]
        constant = np.ones(len(x))
        fitted = nuisance @ np.linalg.lstsq(nuisance, constant, rcond=None)[0]
        alone = x - x.mean() if np.allclose(fitted, constant, atol=1e-9) else x
        return float((alone @ alone) / (rest @ rest))


def _sha256(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
