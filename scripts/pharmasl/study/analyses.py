"""Whether the analyses can be made of the participants and scans that there are."""

from pharmasl.errors import InputError
from pharmasl.study import arms as study_arms


def check(study):
    """The analyses that have too few participants.

    Parameters
    ----------
    study : pharmasl.study.trial.Study

    Yields
    ------
    InputError
    """
    arms = study.config.get("arms")
    for name, part in study.config["analyses"].items():
        labels = study_arms.concerned(part, arms)
        found = [study.participants[member][arms["column"]] for member in study.members(name)]
        counts = [found.count(label) for label in labels]
        if min(counts) < 2:
            yield InputError(
                "config",
                f"analyses.{name}",
                " and ".join(f"{count} complete participants of {label}" for count, label in zip(counts, labels)),
                "2 or more in each",
                "Check the sessions' labels and the arms, or remove the analysis.",
            )
