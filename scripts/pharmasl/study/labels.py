"""What the study's sessions, arms, conditions, contrasts, analyses and regions are called on pages and in figures."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

# Between the names of conditions that alternate within one run.
TOGETHER = " and "


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
        """Words for a session, or for several, ``T1 and T2``; its own name unless it has some."""
        if name in self.sessions:
            return self.sessions[name]
        return " and ".join(self.sessions.get(part, part) for part in name.split(" and "))

    def arm(self, name: str) -> str:
        """Words for an arm; its own name unless it has some."""
        return self.arms.get(name, name)

    def condition(self, name: str) -> str:
        """Words for a condition, or for several that alternate within a run."""
        if name in self.conditions:
            return self.conditions[name]
        return TOGETHER.join(self.conditions.get(part, spaced(part)) for part in name.split(TOGETHER))

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

    def term(self, text: str) -> str:
        """A tested effect, "drug - placebo", with words for its arms and sessions; a coefficient, "arm[drug]", keeps its name."""
        return worded_levels(text, self._levels())

    def meaning(self, text: str) -> str:
        """What an effect means, "change of drug minus change of placebo", with words for its arms; of a formula, what was tested."""
        arms = "|".join(re.escape(name) for name in sorted(self.arms, key=len, reverse=True))
        for before, between, after in _MEANINGS if arms else ():
            # An arm without words may stand beside one that has some.
            second = rf"{between}(?P<second>.+){after}" if between else after
            if match := re.fullmatch(rf"{before}(?P<first>.+?){second}", text):
                return _put(text, match, self.arms)
        return self.term(text)

    def coding(self, text: str) -> str:
        """How a factor is coded, "arm: reference placebo, against it drug, low", with words for arms and sessions."""
        known = {"arm": self.arms, "session": self.sessions}
        match = re.fullmatch(r"(?P<factor>\w+): reference (?P<reference>.+), against it (?P<others>.+)", text)
        if not match or match["factor"] not in known:
            return text
        words = known[match["factor"]]
        others = ", ".join(words.get(name, name) for name in match["others"].split(", "))
        return f"{match['factor']}: reference {words.get(match['reference'], match['reference'])}, against it {others}"

    def _levels(self) -> dict[str, dict[str, str]]:
        return {"arms": dict(self.arms), "sessions": dict(self.sessions)}

    def of_scans(self) -> "Labels":
        """The words for sessions and conditions alone, for pages that know no arm."""
        return replace(NAMES, sessions=self.sessions, conditions=self.conditions)

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows of a table with these words in the columns ``arm``, ``session_id``, ``condition`` and ``term``, where it has them."""
        columns = {"arm": self.arm, "session_id": self.session, "condition": self.condition, "term": self.term}
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
            "effect": self.term,
        }
        return {name: words[name](value) if name in words and value else value for name, value in row.items()}

    def block(self, inference: Mapping[str, Any]) -> dict[str, Any]:
        """An analysis' inference block with these words for its contrast, its seed and its arms.

        A formula and its coefficients keep the names in which they are written; what was tested of it is in these words.

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
        is_formula = bool((block.get("effect") or {}).get("formula"))
        if is_formula:
            block["effect"] = self._effect(block["effect"])
        if "model" in block:
            block["model"] = self._model(block["model"], is_formula=is_formula)
        return block

    def _arms(self, names: Any) -> Any:
        return self.arm(names) if isinstance(names, str) else [self.arm(name) for name in names]

    def _effect(self, effect: Mapping[str, Any]) -> dict[str, Any]:
        # The test itself keeps its names, of which sentences are made; these then take the words of its levels.
        meaning = effect["meaning"].replace(effect["test"], self.term(effect["test"]))
        return {**effect, "meaning": meaning, "levels": self._levels()}

    def _model(self, model: Mapping[str, Any], *, is_formula: bool) -> dict[str, Any]:
        worded = dict(model)
        if is_formula:
            worded |= {name: self.term(model[name]) for name in ("meaning", "tested_term") if name in model}
            for name, words in (("tested_effects", self.term), ("coding", self.coding)):
                if name in model:
                    worded[name] = [words(text) for text in model[name]]
        if model.get("n_by_arm"):
            worded["n_by_arm"] = {self.arm(name): number for name, number in model["n_by_arm"].items()}
        if not is_formula:
            worded |= {name: self.meaning(model[name]) for name in ("meaning", "design") if name in model}
        return worded


# What effects mean, where they name arms: the text before the first, between the two, and after the last.
_MEANINGS = (
    ("change of ", " minus change of ", ""),
    ("baseline of ", " minus baseline of ", ""),
    ("mean change of ", "", ""),
    ("slope of the change on the seed's change on ", "", ""),
    ("slope on the seed's change in ", " minus that in ", ""),
    (".*within one arm, ", "", ", against zero(?:, signs flipped)?"),
)


def _put(text: str, match: re.Match[str], words: Mapping[str, str]) -> str:
    """A text with words in place of the names that a match holds."""
    for name in reversed([name for name, own in match.groupdict().items() if own is not None]):
        start, end = match.span(name)
        text = f"{text[:start]}{words.get(match[name], match[name])}{text[end:]}"
    return text


# Every name as it is written.
NAMES = Labels(sessions={}, arms={}, conditions={}, contrasts={}, analyses={}, regions={}, answers={})


def worded_levels(text: str, levels: Mapping[str, Mapping[str, str]]) -> str:
    """A tested effect with words for the arms and sessions that it compares.

    Parameters
    ----------
    text : str
        ``high - placebo``, ``0.5 low + 0.5 high - placebo``, ``T2 - T1 x drug - placebo``.
    levels : Mapping
        Name to words, of ``arms`` and ``sessions``.

    Returns
    -------
    str
        Coefficients, ``arm[high]``, and the terms of functions, ``roi(dlpfc, rest)``, keep their names.
    """
    words = {**levels["sessions"], **levels["arms"]}
    if not words:
        return text
    names = "|".join(re.escape(name) for name in sorted(words, key=len, reverse=True))
    # Tests write levels in differences alone ("0.5 low + 0.5 high - placebo"): elsewhere the same word is another's, such as the
    # "mean" or a term. After "at" stands a session.
    return re.sub(
        rf"(?<![\w\[~.:-])(?:{names})(?![\w\](~-]|[.:]\w)",
        lambda match: words[match[0]] if _is_level(text, match, levels["sessions"]) else match[0],
        text,
    )


# What stands before a level that is not the first of its sum.
_OPERATOR = re.compile(r" [-+] (?:[\d.e-]+ )?$")


def _is_level(text: str, match: re.Match[str], sessions: Mapping[str, str]) -> bool:
    """Whether what was matched stands in a difference, or says at which session."""
    before, after = text[: match.start()], text[match.end() :]
    at_session = match[0] in sessions and before.endswith(" at ")
    return at_session or bool(_OPERATOR.search(before)) or after.startswith((" - ", " + "))


def spaced(name: str) -> str:
    """A name of the configuration with spaces for its underscores."""
    return name.replace("_", " ")
