"""What the study's sessions, arms, conditions, contrasts, analyses and regions are called on pages and in figures."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Words for names of the configuration; each method gives those of one name.

    Attributes
    ----------
    sessions, arms, conditions, contrasts, analyses, regions, answers : Mapping
        Name to words, of the names that have their own; ``answers`` are those of the sensitivity analysis.
    """

    sessions: Mapping[str, str]
    arms: Mapping[str, str]
    conditions: Mapping[str, str]
    contrasts: Mapping[str, str]
    analyses: Mapping[str, str]
    regions: Mapping[str, str]
    answers: Mapping[str, str]

    def session(self, name: str) -> str:
        """Words for a session; its own name unless it has some."""
        return self.sessions.get(name, name)

    def arm(self, name: str) -> str:
        """Words for an arm; its own name unless it has some."""
        return self.arms.get(name, name)

    def condition(self, name: str) -> str:
        """Words for a condition."""
        return self.conditions.get(name, spaced(name))

    def contrast(self, name: str) -> str:
        """Words for a contrast."""
        return self.contrasts.get(name, spaced(name))

    def analysis(self, name: str) -> str:
        """Words for an analysis."""
        return self.analyses.get(name, spaced(name))

    def region(self, name: str) -> str:
        """Words for a region of interest."""
        return self.regions.get(name, spaced(name))

    def answer(self, name: str) -> str:
        """Words for an answer of the sensitivity analysis."""
        return self.answers.get(name, spaced(name))

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows of a table with these words in the columns ``arm``, ``session_id`` and ``condition``, where it has them."""
        columns = {"arm": self.arm, "session_id": self.session, "condition": self.condition}
        return [
            {name: columns[name](value) if name in columns and value else value for name, value in row.items()}
            for row in rows
        ]

    def region_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of a table of regions with words for its region, seed, contrasts and arms ("baclofen - placebo" too)."""
        words: dict[str, Callable[[str], str]] = {
            "roi": self.region,
            "seed": self.region,
            "contrast": self.contrast,
            "seed_contrast": self.contrast,
            "group": lambda arms: " - ".join(map(self.arm, arms.split(" - "))),
        }
        return {name: words[name](value) if name in words and value else value for name, value in row.items()}

    def block(self, inference: Mapping[str, Any]) -> dict[str, Any]:
        """An analysis' inference block with these words for its contrast, its seed and its arms.

        A formula, its coefficients and its tests keep the names in which they are written.

        Parameters
        ----------
        inference : Mapping
            Content of ``_inference.json``.

        Returns
        -------
        dict
        """
        block = dict(inference)
        if "contrast" in block:
            block["contrast"] = self.contrast(block["contrast"])
        if seed := block.get("seed"):
            block["seed"] = {**seed, "roi": self.region(seed["roi"]), "contrast": self.contrast(seed["contrast"])}
        if arms := block.get("arms"):
            block["arms"] = {role: self._arms(names) for role, names in arms.items()}
        for one in ("arm", "pair"):
            if block.get(one):
                block[one] = self._arms(block[one])
        if variance := block.get("variance"):
            block["variance"] = variance | {name: self.arm(variance[name]) for name in ("larger", "smaller")}
        if "model" in block:
            block["model"] = self._model(block["model"], is_formula=bool(block["effect"].get("formula")))
        return block

    def _arms(self, names: Any) -> Any:
        return self.arm(names) if isinstance(names, str) else [self.arm(name) for name in names]

    def _model(self, model: Mapping[str, Any], *, is_formula: bool) -> dict[str, Any]:
        worded = dict(model)
        if model.get("n_by_arm"):
            worded["n_by_arm"] = {self.arm(name): number for name, number in model["n_by_arm"].items()}
        if not is_formula:
            # "change of low_dose minus change of placebo", "within one arm, placebo"
            worded |= {name: self._within(model[name]) for name in ("meaning", "design") if name in model}
        return worded

    def _within(self, text: str) -> str:
        """A text with words for the arms that it names."""
        if not self.arms:
            return text
        names = "|".join(re.escape(name) for name in sorted(self.arms, key=len, reverse=True))
        before = r"(?:(?<=\b(?:of|on|in) )|(?<=within one arm, ))"
        return re.sub(rf"{before}(?:{names})(?!\w)", lambda match: self.arm(match[0]), text)


# Every name as it is written.
NAMES = Labels(sessions={}, arms={}, conditions={}, contrasts={}, analyses={}, regions={}, answers={})


def spaced(name: str) -> str:
    """A name of the configuration with spaces for its underscores."""
    return name.replace("_", " ")
