"""``./run power``: what a planned trial would find, from its configuration and a few assumptions.

In a region, by closed forms; with ``--maps`` over the whole brain too, by studies that Snakemake's jobs draw and test.
"""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pharmasl.commands import call, planned_study
from pharmasl.errors import InputError, wrapped
from pharmasl.export import map_power_table, power_table
from pharmasl.figures import map_power_plot, power_plot
from pharmasl.report import map_power_section, power_page, power_words
from pharmasl.report.power_page import PowerFiles
from pharmasl.study import maps_depth, planned_power
from pharmasl.study.planned_power import PLANNED
from pharmasl.study.power_assumptions import Assumptions
from pharmasl.study.settings import Settings

MAPS, MAP_FIGURE = "--maps", "maps.svg"


def main(arguments: list[str]) -> int:
    """Write table, figure, page and the protocol's paragraphs of a planned trial.

    Parameters
    ----------
    arguments : list of str
        What ``run`` asks of Snakemake, ``--user``, and what the user typed: the file of assumptions
        (:data:`pharmasl.commands.planned_study.ASSUMPTIONS` unless named), and :data:`MAPS` with options of Snakemake.

    Returns
    -------
    int
        0, or the status of Snakemake.

    Raises
    ------
    InputError, InputErrors
        For arguments, assumptions or a configuration that cannot be used.
    """
    first, typed = call.split(arguments) if "--user" in arguments else ([], arguments)
    named = [typed[0]] if typed and not typed[0].startswith("-") else []
    options = typed[len(named) :]
    if options and options[0] != MAPS:
        raise InputError(
            "./run power",
            "arguments",
            " ".join(typed),
            f"one file of assumptions, and {MAPS} with options of Snakemake",
            "Copy config/power.yaml; settings of the study stand in its configuration.",
        )
    file = named[0] if named else planned_study.ASSUMPTIONS
    assumptions, study = planned_study.read(file)
    if options:
        planned_study.maps(assumptions, study)
    for paragraph in _write(assumptions, study):
        print(f"{wrapped(paragraph)}\n")
    if options:
        print(wrapped("The power over the whole brain, by studies that are drawn:"))
        sys.stdout.flush()
        status = _snakemake([*first, *options[1:], "--config", f"assumptions={file}"])
        if status:
            return status
        _write(assumptions, study)
    folder = Path(assumptions.output_dir)
    shown = {"Page": "power.html", "Table": "power.tsv", "Figure": "power.svg", "For the protocol": "protocol.txt"}
    if _maps(assumptions, study):
        shown |= {"Table of the maps depth": map_power_section.TABLE, "Figure of the maps depth": MAP_FIGURE}
    print("\n".join(f"{what}: {folder / name}" for what, name in shown.items()))
    return 0


def _write(assumptions: Assumptions, study: Settings) -> list[str]:
    """Write all that is made at once; the protocol's paragraphs."""
    reckonings = planned_power.reckon(assumptions, study)
    folder = Path(assumptions.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    table, figure, page, text = (folder / name for name in ("power.tsv", "power.svg", "power.html", "protocol.txt"))
    power_table.write(table, reckonings)
    power_plot.draw(figure, reckonings, assumptions.power)
    maps, map_figure = _maps(assumptions, study), folder / MAP_FIGURE
    if maps is not None:
        map_power_plot.draw(map_figure, maps, assumptions.power)
    files = PowerFiles(table=table, figure=figure, maps=maps, map_figure=map_figure if maps else None)
    power_page.write(page, files, reckonings, assumptions, study)
    planned = [one for one in reckonings if one.is_planned and one.varied == PLANNED]
    paragraphs = [power_words.protocol(one, assumptions, study) for one in planned]
    plain = "\n\n".join(textwrap.fill(part.replace("\u00a0", " "), 120, break_on_hyphens=False) for part in paragraphs)
    text.write_text(f"{plain}\n", encoding="utf-8")
    return paragraphs


def _maps(assumptions: Assumptions, study: Settings) -> Path | None:
    """The table of the maps depth, if it is of these assumptions."""
    folder = Path(assumptions.output_dir)
    table, drawn = folder / map_power_section.TABLE, folder / map_power_section.ASSUMPTIONS
    if assumptions.maps is None or not (table.is_file() and drawn.is_file()):
        return None
    planned = maps_depth.read(assumptions, study)
    return table if map_power_table.is_of(drawn, planned, assumptions.maps.studies) else None


def _snakemake(arguments: Sequence[str]) -> int:
    """Call Snakemake, which gets the signals that would stop it."""
    command = [sys.executable, "-m", "snakemake_logger_plugin_pharmasl", *arguments]
    with subprocess.Popen(command) as process:

        def stop(number: int, frame: Any) -> None:
            process.send_signal(number)

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
        # Ctrl-C goes to both; Snakemake cancels what it has submitted, and this waits for it.
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
