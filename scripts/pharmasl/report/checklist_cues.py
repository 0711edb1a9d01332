"""Items of the reporting checklist on reactivity to drug cues, for a study that asks for craving elicited by cues.

They are the topics of the ENIGMA-ACRI checklist (Ekhtiari et al. 2022, Nat Protoc 17:567-595, tables 2, 5 and 7), by its categories.
What other guidelines ask for too (acquisition, preprocessing, eligibility) has its item there. Categories are numbered as in these
tables; items are named by topic, since the short form (table 7) does not number them.
"""

from collections.abc import Iterator, Mapping

from pharmasl.report.analysis_definitions import Block
from pharmasl.report.checklist_item import Item, acri
from pharmasl.report.words import listed, short
from pharmasl.study.settings import Ratings, Settings

PEOPLE = "category 1, Participant Characteristics"
IMAGING = "category 2, General fMRI Information"
TASK = "category 3, General Task Information"
CUES = "category 4, Cue Information"
INSIDE = "category 5, Craving Assessment Inside Scanner"
OUTSIDE = "category 6, Craving Assessment Outside Scanner"
AROUND = "category 7, Pre- and Post-Scanning Considerations"
_ASKED = (
    "Age and sex or gender of all groups",
    "Education, or a measure of intelligence",
    "Race or ethnicity",
    "Psychopathology other than substance use disorder",
    "Handedness",
    "Main drug: route of administration, current and lifetime use, severity",
    "Other drugs: current or lifetime use, severity",
    "Abstinence: time since the last use, and how it was verified",
    "Status of treatment for addiction",
)


def cues(settings: Settings, blocks: Mapping[str, Block]) -> Iterator[Item]:
    """What a study of reactivity to drug cues should state.

    Parameters
    ----------
    settings : Settings
        With craving.
    blocks : Mapping
        Analysis to its inference block.

    Yields
    ------
    Item
    """
    if settings.craving is None:
        return
    for topic in _ASKED:
        yield Item(topic, acri(PEOPLE))
    yield Item("Whole-brain response to drug cues", acri(IMAGING), _response(settings, blocks))
    states = listed(settings.labels.condition(name) for name in settings.conditions)
    yield Item(
        "Task: structure, runs, durations, instructions, what participants did",
        acri(TASK),
        f"States that were scanned: {states}.",
        "all else about the task",
    )
    yield Item("Cues: kind, sense, number, source, validation, choice for each person, control cues", acri(CUES))
    for category, place in ((INSIDE, "inside"), (OUTSIDE, "outside")):
        yield Item(
            f"Craving {place} the scanner: whether, when and by which instrument it was assessed",
            acri(category),
            _ratings(settings.craving),
            f"which of these ratings were given {place} the scanner, their wording and the instrument",
        )
    yield Item("Before and after scanning: tests for drugs, use and craving, care for participants", acri(AROUND))


def _response(settings: Settings, blocks: Mapping[str, Block]) -> str:
    """Which contrasts subtract states from one another, and whether one was tested over the brain."""
    differences = [
        name for name, own in settings.contrasts.items() if any(weight < 0 for weight in own.weights.values())
    ]
    if not differences:
        return ""
    words = listed(settings.labels.contrast(name) for name in differences)
    tested = [
        settings.labels.analysis(name)
        for name, block in blocks.items()
        if block["contrast"] in differences and block["status"] == "run"
    ]
    where = f"tested over the whole brain in {listed(tested)}" if tested else "not tested over the whole brain"
    return f"Contrast of states: {words}; {where}."


def _ratings(ratings: Ratings) -> str:
    """Which ratings were read, from which columns."""
    limits = f", from {listed(map(short, ratings.range), 'to')}" if ratings.range else ""
    return f"Rated before the cues ({listed(ratings.before)}) and after them ({listed(ratings.after)}){limits}."
