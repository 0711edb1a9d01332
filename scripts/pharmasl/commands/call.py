"""What is typed after ``./run`` as Snakemake takes it, with mistakes of typing explained before it starts.

Snakemake takes every word after ``--configfile`` and ``--config`` for a file or a setting, a target among them, and ends with a
traceback where one is none; it has no word for a setting within a section; and it reads the label 01 as the number 1.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from pharmasl.commands.usage import COMMANDS, TARGETS
from pharmasl.errors import InputError, did_you_mean, similar
from pharmasl.files import bids

FILES = ("--configfile", "--configfiles")
SETTINGS = ("--config", "-C")
_ENDINGS = (".yaml", ".yml", ".json")
# A section that holds settings and sections.
_Section = dict[str, "str | _Section"]


def main(arguments: list[str]) -> int:
    """Become Snakemake: in place of this process, so that a signal to stop reaches it."""
    first, rest = split(arguments)
    command = [sys.executable, "-m", "snakemake_logger_plugin_pharmasl", *first, *prepared(rest)]
    sys.stdout.flush()
    os.execvp(command[0], command)


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What ``run`` itself asks of Snakemake, and what the user typed, which stands after ``--user``."""
    place = list(arguments).index("--user")
    return list(arguments[:place]), list(arguments[place + 1 :])


def prepared(arguments: Sequence[str]) -> list[str]:
    """What a user typed, as Snakemake takes it.

    Parameters
    ----------
    arguments : sequence of str

    Returns
    -------
    list of str
        Targets behind ``--``, settings of a section in braces, participants as a list of texts.

    Raises
    ------
    InputError
        For a configuration that is not there or is no YAML, and a first word that is almost a command.
    """
    _refuse_misspelt_command(arguments)
    options: list[str] = []
    targets: list[str] = []
    files = 0
    for option, values in grouped(arguments):
        if option in FILES:
            kept = [value for number, value in enumerate(values) if _is_file(value, first=files + number == 0)]
            targets += [value for value in values if value not in kept]
            files += len(kept)
            for value in kept:
                check_configuration(value)
            options += [option, *kept]
        elif option in SETTINGS:
            kept = [value for value in values if "=" in value]
            targets += [value for value in values if "=" not in value]
            options += [option, *settings(kept)]
        elif option == "--":
            targets = [*values, *targets]
        else:
            options += [*([option] if option else []), *values]
    return [*options, *(["--", *targets] if targets else [])]


def _refuse_misspelt_command(arguments: Sequence[str]) -> None:
    word = arguments[0] if arguments else "-"
    is_word = word.isalpha() and word not in TARGETS and not os.path.exists(word)
    if is_word and (close := similar(word, [*COMMANDS, *TARGETS])):
        raise InputError("./run", "command", word, f"one of {', '.join([*COMMANDS, *TARGETS])}", did_you_mean(close))


def grouped(arguments: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Arguments, those that take several values with them.

    Parameters
    ----------
    arguments : sequence of str

    Yields
    ------
    option : str
        Of :data:`FILES` or :data:`SETTINGS`, ``--``, or empty for a word by itself.
    values : list of str
        Of ``--`` all that follows it.
    """
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            yield word, waiting
            return
        name, equals, value = word.partition("=")
        if name not in (*FILES, *SETTINGS):
            yield "", [word]
            continue
        values = [value] if equals else []
        while waiting and not waiting[0].startswith("-"):
            values.append(waiting.pop(0))
        yield name, values


def _is_file(value: str, *, first: bool) -> bool:
    """Whether a word after ``--configfile`` is meant as a configuration, not as a target."""
    return first or os.path.isfile(value) or value.lower().endswith(_ENDINGS)


def check_configuration(path: str) -> None:
    """Refuse a configuration that is not there, or is no YAML, with the nearest names or the line.

    Raises
    ------
    InputError
    """
    if not os.path.isfile(path):
        folder = os.path.dirname(path) or os.curdir
        names = (
            sorted(entry for entry in os.listdir(folder) if entry.endswith(_ENDINGS)) if os.path.isdir(folder) else []
        )
        hint = did_you_mean(os.path.join(os.path.dirname(path), name) for name in similar(Path(path).name, names))
        raise InputError(
            path,
            "--configfile",
            "a folder" if os.path.isdir(path) else "no such file",
            "a configuration",
            hint or "Correct the path; ./run init BIDS_DIR writes one for your dataset.",
        )
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "(whole file)"
        fix = "Correct the line: mind the indentation (blanks, no tabs), the blank after each colon, and brackets."
        raise InputError(path, where, problem.problem, "YAML", fix) from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise InputError(path, "(whole file)", str(problem), "YAML in UTF-8", "Save it as UTF-8 text.") from None
    if not isinstance(content, dict):
        fix = "See config/config.yaml; ./run init BIDS_DIR writes one for your dataset."
        raise InputError(path, "(top level)", content, "settings, such as bids_dir: data/bids", fix)


def settings(words: Sequence[str]) -> list[str]:
    """Settings of the command line as Snakemake reads them.

    Parameters
    ----------
    words : sequence of str
        ``name=value``; ``section.name=value`` for a setting of a section.

    Returns
    -------
    list of str
        Settings of a section in its braces, and participants as a list of labels in quotes: read as numbers they would lose
        their zeros.
    """
    sections: _Section = {}
    plain: list[str] = []
    for word in words:
        name, _, value = word.partition("=")
        keys = name.split(".")
        if name == "participants":
            plain.append(f"{name}={_labels(value)}")
        elif len(keys) == 1:
            plain.append(word)
        else:
            section = sections
            for key in keys[:-1]:
                inner = section.setdefault(key, {})
                section = inner if isinstance(inner, dict) else {}
            section[keys[-1]] = value
    return [*plain, *(f"{name}={_braces(part)}" for name, part in sections.items())]


def _braces(part: "str | _Section") -> str:
    if isinstance(part, str):
        return part
    return "{" + ", ".join(f"{name}: {_braces(inner)}" for name, inner in part.items()) + "}"


def _labels(value: str) -> str:
    """Labels of participants, separated by commas, with or without brackets, quotes and sub-, as a YAML list of texts."""
    names = [bids.bare_label(name.strip().strip("\"'"), "sub") for name in value.strip().strip("[]").split(",")]
    return "[" + ", ".join(f'"{name}"' for name in names if name) + "]"
