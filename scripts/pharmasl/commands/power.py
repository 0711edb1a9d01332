"""``./run power``: what a planned trial would find in a region, from its configuration and a few assumptions."""

import textwrap
from pathlib import Path

from pharmasl.commands import call
from pharmasl.commands.check import configuration
from pharmasl.errors import InputError, wrapped
from pharmasl.export import power_table
from pharmasl.figures import power_plot
from pharmasl.report import power_page, power_words
from pharmasl.report.power_page import PowerFiles
from pharmasl.study import configuration as study_configuration
from pharmasl.study import planned_power, planned_tests, power_assumptions, settings
from pharmasl.study.planned_power import PLANNED

# What is read where nothing is named.
ASSUMPTIONS = "power.yaml"


def main(arguments: list[str]) -> int:
    """Write table, figure, page and the protocol's paragraphs of a planned trial.

    Parameters
    ----------
    arguments : list of str
        The file of assumptions; :data:`ASSUMPTIONS` unless named.

    Returns
    -------
    int
        0.

    Raises
    ------
    InputError, InputErrors
        For arguments, assumptions or a configuration that cannot be used.
    """
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        raise InputError(
            "./run power",
            "arguments",
            " ".join(arguments),
            "one file of assumptions",
            "Copy config/power.yaml; settings of the study stand in its configuration.",
        )
    assumptions = power_assumptions.read(arguments[0] if arguments else ASSUMPTIONS)
    call.check_configuration(assumptions.study)
    content, _ = configuration(["--configfile", assumptions.study])
    study = settings.read(study_configuration.whole(content))
    reckonings = planned_power.reckon(assumptions, study)
    folder = Path(assumptions.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    table, figure, page, text = (folder / name for name in ("power.tsv", "power.svg", "power.html", "protocol.txt"))
    power_table.write(table, reckonings)
    power_plot.draw(figure, reckonings, assumptions.power)
    power_page.write(page, PowerFiles(table=table, figure=figure), reckonings, assumptions, study)
    tests = planned_tests.tests_together(assumptions, study)
    planned = [one for one in reckonings if one.is_planned and one.varied == PLANNED]
    paragraphs = [power_words.protocol(one, assumptions, study, tests) for one in planned]
    plain = "\n\n".join(textwrap.fill(part.replace("\u00a0", " "), 120, break_on_hyphens=False) for part in paragraphs)
    text.write_text(f"{plain}\n", encoding="utf-8")
    for paragraph in paragraphs:
        print(f"{wrapped(paragraph)}\n")
    print(f"Page: {page}\nTable: {table}\nFigure: {figure}\nFor the protocol: {text}")
    return 0
