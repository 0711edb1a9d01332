"""What a configuration says of conditions that alternate within a run, and what of it cannot be."""

from collections.abc import Iterator

from pharmasl.errors import InputError
from pharmasl.study import conditions
from pharmasl.study.settings import Settings

_FILE = "config"


def check(study: Settings) -> Iterator[InputError]:
    """What is wrong with the conditions that have a block, without a look at the dataset.

    Parameters
    ----------
    study : Settings
        Complete; its references need not exist.

    Yields
    ------
    InputError
    """
    names = study.block_conditions
    if not names:
        if study.blocks.table is not None:
            yield InputError(
                _FILE,
                "blocks.table",
                study.blocks.table,
                "a condition with a block",
                "Name the blocks by conditions.<name>.block, or remove the table.",
            )
        return
    if study.derivatives.cbf is not None:
        yield InputError(
            _FILE,
            "derivatives.cbf",
            study.derivatives.cbf.dir,
            "no such folder, as blocks are modelled on raw volumes",
            "Remove it, or the blocks of conditions.",
        )
    first = names[0]
    taken: dict[str | None, str] = {}
    for name in names:
        condition = study.conditions[name]
        if conditions.labels(condition) != conditions.labels(study.conditions[first]):
            yield InputError(
                _FILE,
                f"conditions.{name}",
                conditions.labels(condition),
                f"the runs of {first}: {conditions.labels(study.conditions[first])}",
                "Conditions that have a block alternate in the same runs.",
            )
        if condition.block in taken:
            yield InputError(
                _FILE,
                f"conditions.{name}.block",
                condition.block,
                f"another than that of {taken[condition.block]}",
                "Name each condition's own blocks.",
            )
        taken.setdefault(condition.block, name)
        if condition.block in study.blocks.ignore:
            yield InputError(
                _FILE,
                f"blocks.ignore.{condition.block}",
                condition.block,
                "no condition's block",
                f"Remove it there, or the condition {name}.",
            )
        if study.contrasts and not any(contrast.weights.get(name) for contrast in study.contrasts.values()):
            yield InputError(
                _FILE,
                f"conditions.{name}",
                "a weight in no contrast",
                "a contrast that takes it",
                "Add one, or put its blocks into blocks.ignore in place of the condition.",
            )
