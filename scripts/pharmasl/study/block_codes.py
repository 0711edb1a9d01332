"""Codes of time-encoded labelling: a row for each volume of a cycle, a column for each block of labelling."""

from collections.abc import Iterator, Sequence

from pharmasl.errors import InputError
from pharmasl.study.settings import BlockCode


def check(code: BlockCode, field: str) -> Iterator[InputError]:
    """What is wrong with a code: it must tell its blocks apart and cancel static tissue.

    Parameters
    ----------
    code : pharmasl.study.settings.BlockCode
    field : str
        Of the configuration, that has it.

    Yields
    ------
    InputError
    """
    matrix = code.matrix
    lengths = sorted({len(row) for row in matrix})
    if len(lengths) > 1:
        yield InputError(
            "config",
            f"{field}.matrix",
            f"rows of {' and '.join(map(str, lengths))} numbers",
            "rows of one length: a number for each block",
            "Write a row for each volume of a cycle and a column for each block, in order of time.",
        )
        return
    rows, blocks = len(matrix), lengths[0]
    if rows <= blocks:
        yield InputError(
            "config",
            f"{field}.matrix",
            f"{rows} rows of {blocks} columns",
            "more rows (volumes of a cycle) than columns (blocks of labelling)",
            "Leave out the column that is the same in all rows, which is no block."
            if rows == blocks and any(len(set(column)) == 1 for column in zip(*matrix))
            else "Transpose it: a row is a volume, a column a block.",
        )
        return
    yield from _columns(f"{field}.matrix", matrix)
    if len(code.durations) != blocks:
        yield InputError(
            "config",
            f"{field}.durations",
            f"{len(code.durations)} durations",
            f"{blocks}, one for each column of the matrix",
            "Write how long each block labels, in order of time, in seconds.",
        )


def _columns(field: str, matrix: Sequence[Sequence[int]]) -> Iterator[InputError]:
    """The first column that is not balanced, or the first two that cannot be told apart."""
    rows, columns = len(matrix), list(zip(*matrix))
    for number, column in enumerate(columns):
        if sum(column):
            constant = len(set(column)) == 1
            yield InputError(
                "config",
                field,
                f"column {number + 1} with {column.count(1)} times 1 and {column.count(-1)} times -1",
                f"{rows / 2:g} of each, so that static tissue cancels",
                "Leave that column out: what is the same in all volumes is no block."
                if constant
                else "Correct the matrix; its columns are blocks, its rows volumes.",
            )
            return
    for later, column in enumerate(columns):
        for earlier in range(later):
            alike = sum(a == b for a, b in zip(column, columns[earlier]))
            if 2 * alike != rows:
                yield InputError(
                    "config",
                    field,
                    f"columns {earlier + 1} and {later + 1} alike in {alike} of {rows} rows",
                    f"alike in {rows / 2:g}: orthogonal columns, by which each block is told from every other",
                    "Correct the matrix.",
                )
                return


def block_delays(code: BlockCode) -> list[float]:
    """Of each block, the time from its end to the readout, seconds."""
    return [code.delay + sum(code.durations[number + 1 :]) for number in range(len(code.durations))]


def signs(code: BlockCode) -> list[list[int]]:
    """The matrix with 1 where a block is control and -1 where it is label, whatever the vendor writes."""
    return [[-code.label * value for value in row] for row in code.matrix]
