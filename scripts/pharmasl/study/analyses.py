"""Whether the analyses can be made of the participants and scans that there are."""

from collections.abc import Iterator

from pharmasl.errors import InputError
from pharmasl.study import arms as study_arms
from pharmasl.study.trial import Study

# Participants without whom nothing can be tested, in each arm or in a study without arms.
LEAST = 2


def check(study: "Study") -> Iterator[InputError]:
    """The analyses that have too few participants.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    if not study.settings.analyses:
        return
    arms = study.settings.arms
    for name, analysis in study.settings.analyses.items():
        if arms is None:
            yield from _alone(study, name)
            continue
        labels = study_arms.concerned(analysis, arms)
        members = [study.participants[member][arms.column] for member in study.members(name)]
        counts = [members.count(label) for label in labels]
        if min(counts) < LEAST:
            yield InputError(
                "config",
                f"analyses.{name}",
                " and ".join(f"{count} complete participants of {label}" for count, label in zip(counts, labels)),
                f"{LEAST} or more in each",
                "Check the sessions' labels and the arms, or remove the analysis.",
            )


def _alone(study: "Study", name: str) -> Iterator[InputError]:
    """The error of an analysis of a study without arms that has too few participants."""
    if (number := len(study.members(name))) < LEAST:
        yield InputError(
            "config",
            f"analyses.{name}",
            f"{number} complete participant{'' if number == 1 else 's'}",
            f"{LEAST} or more",
            "Check the maps, the sessions' labels and the columns of the model, or remove the analysis.",
        )
