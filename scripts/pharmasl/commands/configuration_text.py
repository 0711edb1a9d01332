"""A commented configuration of what was seen in a dataset: YAML as a person would write it, questions as comments."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pharmasl.commands.guessed_maps import Maps
from pharmasl.commands.guessed_people import People
from pharmasl.commands.guessed_scores import Measure, Scores
from pharmasl.commands.guessed_sessions import OrderedSessions
from pharmasl.commands.guessed_states import States
from pharmasl.study.labels import spaced

_WIDTH = 118
# With what a question to the user begins; it can be searched for.
QUESTION = "CHECK: "
_CONTINUED = "#" + " " * (len(QUESTION) + 1)


@dataclass(frozen=True)
class Seen:
    """All that a configuration is made of.

    Attributes
    ----------
    title, bids_dir, output_dir : str
    sessions : OrderedSessions
    states : States
    people : People
    scores : Scores
    without_t1w : tuple of str
        Labels of the participants with perfusion scans and no T1-weighted image.
    maps : Maps or None
        CBF maps of another program in place of raw runs.
    """

    title: str
    bids_dir: str
    output_dir: str
    sessions: OrderedSessions
    states: States
    people: People
    scores: Scores
    without_t1w: tuple[str, ...]
    maps: Maps | None = None


def compose(seen: Seen, *, with_covariates: bool = True) -> str:
    """The text of a configuration.

    Parameters
    ----------
    seen : Seen
    with_covariates : bool
        Whether age and sex are terms of the analyses, where the table has them.

    Returns
    -------
    str
    """
    covariates = seen.people.covariates if with_covariates else ()
    sections = [
        _head(seen),
        _sessions(seen.sessions),
        _arms(seen),
        _states(seen.states),
        _anatomy(seen),
        _imported(seen.maps) if seen.maps else _perfusion(seen.people),
        _analyses(seen, covariates),
        _craving(seen),
        _endpoints(seen, covariates),
        _declared(seen),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def questions(text: str) -> list[str]:
    """The questions of a configuration, a line each."""
    asked: list[str] = []
    is_question = False
    for line in text.splitlines():
        comment = line.strip().removeprefix("# ")
        if comment.startswith(QUESTION):
            asked.append(comment.removeprefix(QUESTION))
            is_question = True
        elif is_question and line.startswith(_CONTINUED):
            asked[-1] += f" {line.removeprefix(_CONTINUED)}"
        else:
            is_question = False
    return asked


def flow(value: Any) -> str:
    """A value as YAML on one line, in quotes where YAML would read a label as a number or a truth."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
        .removesuffix("...\n")
        .strip()
    )


def _comment(text: str, question: bool = False) -> list[str]:
    words = (QUESTION if question else "") + text
    return textwrap.wrap(
        words,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent=_CONTINUED if question else "# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _asked(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _comment(text, question=True)]


def _commented(lines: Sequence[str]) -> list[str]:
    return [f"# {line}" for line in lines]


def _head(seen: Seen) -> list[str]:
    is_ready = not (seen.maps and seen.maps.template)
    return [
        *_comment(
            "Made from the dataset by ./run init. "
            + ("It can be planned as it is; what" if is_ready else "What")
            + " only you can know is asked in the lines "
            f"that begin with {QUESTION.strip()} Every other setting has a default: config/config.yaml explains all of them."
        ),
        "",
        f"title: {flow(seen.title)}",
        f"bids_dir: {flow(seen.bids_dir)}",
        f"output_dir: {flow(seen.output_dir)}",
    ]


def _sessions(sessions: OrderedSessions) -> list[str]:
    if not sessions.labels:
        return _comment("The dataset has no sessions (no ses- folders): nothing is compared over time.")
    baseline, *later = sessions.labels
    named: dict[str, Any] = {"baseline": baseline}
    if later:
        named |= {"followup": later[0]}
    if later[1:]:
        named |= {"others": later[1:]}
    asked = []
    if not sessions.is_sure:
        asked.append(f"is {baseline} the session before treatment? The sessions are {sessions.reason}.")
    if later[1:]:
        asked.append(f"is {later[0]} the session that is compared with {baseline}? Further ones are in others.")
    lines = _asked(asked) or _comment(f"Sessions, {sessions.reason}.")
    return [*lines, f"sessions: {flow(named)}"]


def _arms(seen: Seen) -> list[str]:
    people = seen.people
    lines = [f"#   {column.name}: {column.words()}" for column in people.columns]
    lines = [*(["# The columns of participants.tsv, over those who were scanned:"] if lines else []), *lines]
    lines += _asked(people.questions)
    if people.arm:
        treatment, control, *others = people.arms
        named = {
            "column": people.arm.name,
            "treatment": treatment,
            "control": control,
            **({"others": others} if others else {}),
        }
        if people.arm.missing:
            lines += _comment(f"{people.arm.missing} without an arm are scanned and take part in no comparison.")
        lines.append(f"arms: {flow(named)}")
    else:
        lines.append("# arms: {column: ..., treatment: ..., control: ...}")
    if people.without_row and people.columns:
        absent = ", ".join(people.without_row[:10]) + (" ..." if len(people.without_row) > 10 else "")
        lines += [
            "",
            *_asked([f"scanned, but without a row in participants.tsv, and so left out: {absent}. Add their rows?"]),
        ]
        lines.append(f"participants: {flow(list(people.with_row))}")
    lines += [
        "",
        *_comment(
            "true: everything runs with a sham allocation until code and configuration are final (docs/conduct.md)."
        ),
        "blinded: false",
    ]
    return lines


def _states(states: States) -> list[str]:
    lines = [*_comment("Which runs are which state, by the labels in their file names."), *_asked(states.questions)]
    lines.append("conditions:")
    for state in states.states:
        lines.append(f"  {state.name}: {flow(_selector(state.selector))}   # {state.runs} runs")
    if states.ignored:
        lines += ["", *_comment("Types of events that are no condition, and count as the baseline.")]
        lines.append(f"blocks: {flow({'ignore': list(states.ignored)})}")
    lines += ["", *_comment("Weighted sums of the states' CBF, each a question of its own.")]
    if any(len(weights) > 1 for weights in states.contrasts.values()):
        lines += _asked(["are these the responses that you want to look at?"])
    lines.append("contrasts:")
    return lines + [f"  {name}: {flow(dict(weights))}" for name, weights in states.contrasts.items()]


def _selector(selector: Mapping[str, str]) -> dict[str, str | int]:
    """Indices as numbers, which need no quotes."""
    return {
        word: int(label) if word in ("run", "echo") and label.isdigit() else label for word, label in selector.items()
    }


def _anatomy(seen: Seen) -> list[str]:
    if not seen.without_t1w:
        return []
    names = ", ".join(f"sub-{label}" for label in seen.without_t1w[:10]) + (
        " ..." if len(seen.without_t1w) > 10 else ""
    )
    ask = (
        f"no T1w: {names}. Their scans are fitted to the template itself, which is less exact (missing_t1w: template). Or "
        "add the images, or name all others in participants."
    )
    return [*_asked([ask]), "anatomy: {missing_t1w: template}"]


def _perfusion(people: People) -> list[str]:
    lines = _comment(
        "Where a sidecar is wrong or silent, its BIDS fields are given here, for all scans or for some: "
        "{override: [{where: {session: T2}, fields: {PostLabelingDelay: 1.8}}]}"
    )
    if people.haematocrit:
        lines += _asked([f"is {people.haematocrit} the haematocrit? Then T1 of blood is computed from it by:"])
        lines += [f"# perfusion: {{haematocrit: {flow(people.haematocrit)}}}"]
    return [*lines, "# perfusion: {override: {LabelingEfficiency: 0.85}}"]


def _imported(maps: Maps) -> list[str]:
    lines = [
        *_comment(
            "CBF maps of another program take the place of the raw runs (docs/derivatives.md). perfusion: {smoothing_fwhm: 6} smooths them."
        ),
        *_asked(maps.questions),
        "derivatives:",
        f"  cbf: {flow(dict(maps.source))}",
    ]
    if maps.template is None:
        return lines
    place = f"tpl-{maps.template}_res-01"
    files = {"t1w": "T1w", "mask": "desc-brain_mask", "gm": "label-GM_probseg", "wm": "label-WM_probseg"}
    return [
        *lines,
        "",
        *_asked(
            [
                f"the maps lie on {maps.template}, and the template at hand is another one. Where are its files (TemplateFlow has "
                "them), and an atlas on it? Or name a transform to the template at hand by derivatives.cbf.transform."
            ]
        ),
        "# template:",
        f"#   space: {maps.template}",
        *(f"#   {kind}: {place}_{name}.nii.gz" for kind, name in files.items()),
        "# atlas: {image: ..., labels: ...}",
    ]


def _can_compare(seen: Seen) -> bool:
    return bool(seen.people.arm and seen.sessions.labels)


def _analyses(seen: Seen, covariates: Sequence[str]) -> list[str]:
    has_followup = len(seen.sessions.labels) > 1
    outcome = "followup ~ arm + baseline" if has_followup else "baseline ~ arm"
    model = " + ".join([outcome, *covariates])
    lines = _comment(
        "Whole-brain questions. "
        + (
            "The recommended one for a randomised trial: do the arms differ at follow-up, given each voxel's own baseline? "
            "effect: group_by_time in place of model and test compares the changes. "
            if has_followup
            else ""
        )
        + "docs/models.md has other models."
    )
    if covariates:
        lines += _asked([f"{' and '.join(covariates)} are covariates because the table has them. Which were declared?"])
    entries = [
        f"  {name}_by_arm: {{contrast: {name}, model: {flow(model)}, test: arm}}" for name in seen.states.contrasts
    ]
    if _can_compare(seen):
        return [*lines, "analyses:", *entries]
    return [*lines, "# (they need arms and sessions)", *_commented(["analyses:", *entries])]


def _craving(seen: Seen) -> list[str]:
    pair = seen.scores.craving
    if not pair or not _can_compare(seen) or len(seen.sessions.labels) < 2:
        return []
    low, high = pair.scale
    source = (
        "the table's data dictionary says so"
        if pair.before.scale
        else (f"the values are {min(pair.before.low, pair.after.low):g} to {max(pair.before.high, pair.after.high):g}")
    )
    lines = _asked(
        [f"are these ratings of craving before and after cues, on a scale from {low:g} to {high:g} ({source})?"]
    )
    lines += [
        "craving:",
        f"  table: {flow(pair.before.table)}",
        f"  before: {flow(pair.before.name)}",
        f"  after: {flow(pair.after.name)}",
        f"  range: [{low:g}, {high:g}]",
    ]
    if pair.before.table in seen.scores.strangers or seen.people.without_row:
        lines.append("  unknown: ignore   # the table has people or sessions that were not scanned")
    return lines


def _endpoints(seen: Seen, covariates: Sequence[str]) -> list[str]:
    shown = [*(f"{name}: {_range(measure)}" for name, measure in _measures(seen)), *seen.scores.unread]
    if not shown:
        return []
    lines = _comment("Other measures by session that could be endpoints (docs/endpoints.md):")
    lines += [f"#   {text}" for text in shown]
    lines += _asked(["which of them are the trial's endpoints? Take the number signs off those, and give their units."])
    lines.append("# endpoints:")
    for name, measure in _measures(seen):
        score = dict(measure.columns) or measure.name
        extra = f", covariates: {flow(list(covariates))}" if covariates else ""
        unknown = ", unknown: ignore" if measure.table in seen.scores.strangers else ""
        lines.append(
            f"#   {name}: {{table: {flow(measure.table)}, score: {flow(score)}, unit: points{extra}{unknown}}}"
        )
    return lines


def _measures(seen: Seen) -> list[tuple[str, Measure]]:
    """Measures that could be endpoints, each by a name that the configuration allows."""
    craving = seen.scores.craving
    pairs = [part for pair in seen.scores.ratings if pair != craving for part in (pair.before, pair.after)]
    named: dict[str, Measure] = {}
    for measure in [*pairs, *seen.scores.measures]:
        letters = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in measure.name)
        name = letters if letters[:1].isalpha() else f"measure_{letters}"
        named.setdefault(name if name not in named else f"{name}_{len(named)}", measure)
    return list(named.items())


def _range(measure: Measure) -> str:
    return f"{measure.low:g} to {measure.high:g} in {measure.table}"


def _declared(seen: Seen) -> list[str]:
    if not _can_compare(seen):
        return []
    first = next(iter(seen.states.contrasts))
    return [
        *_asked(
            [
                "on which answers does the trial rest? Declare them before the data are seen; without, all is exploratory."
            ]
        ),
        f"# primary: {{answers: [{first}_by_arm], correction: holm}}",
        "",
        *_comment("Regions of interest, and what things are called on the pages; config/config.yaml has every form."),
        "# rois: {insula: {atlas: [Insula_L, Insula_R]}}",
        "# labels:",
        "#   arms: "
        + flow({arm: f"{arm}, with its dose" if not number else arm for number, arm in enumerate(seen.people.arms)}),
        "#   conditions: " + flow({state.name: spaced(state.name) for state in seen.states.states}),
    ]
