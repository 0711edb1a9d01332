"""Whether the analyses can be made of the participants and scans that there are."""

from collections.abc import Iterator

from pharmasl.errors import InputError
from pharmasl.study import arms as study_arms
from pharmasl.study.trial import Study


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
    arms = study.arms
    for name, analysis in study.settings.analyses.items():
        labels = study_arms.concerned(analysis, arms)
        members = [study.participants[member][arms.column] for member in study.members(name)]
        counts = [members.count(label) for label in labels]
        if min(counts) < 2:
            yield InputError(
                "config",
                f"analyses.{name}",
                " and ".join(f"{count} complete participants of {label}" for count, label in zip(counts, labels)),
                "2 or more in each",
                "Check the sessions' labels and the arms, or remove the analysis.",
            )
